//! What waits, and the blobs of what is in blocks, against the hashes that they go by; savepoints
//! against the chain, and the pool's undo rows against the pool.

use super::{Fault, Verified, ensure_row, row_fault};
use crate::{
    DataDir, Mark,
    codec::{self, SavepointRow},
    tables::meta,
};
use alloy_consensus::TxEnvelope;
use alloy_eips::Decodable2718;
use alloy_primitives::B256;
use std::collections::BTreeSet;

impl DataDir {
    pub(super) fn verify_waiting(&self, verified: &mut Verified) -> Result<(), Fault> {
        let (mut orders, mut hashes) = (BTreeSet::new(), BTreeSet::new());
        let table = self.tables.pool;
        let mut rows = self.tx.cursor(table)?;
        let mut row = rows.first()?;
        while let Some((key, value)) = row {
            let entry = codec::read_pool_row(&key, &value);
            let (order, bytes) = entry.ok_or_else(|| row_fault(table, &key, "no transaction"))?;
            ensure_row(hashes_to(bytes, &key), (table, &key), "not the transaction of this hash")?;
            ensure_row(orders.insert(order), (table, &key), "two transactions came as the same")?;
            hashes.insert(B256::from_slice(&key));
            verified.waiting += 1;
            row = rows.next()?;
        }
        let table = self.tables.blobs;
        let mut rows = self.tx.cursor(table)?;
        let mut row = rows.first()?;
        while let Some((key, value)) = row {
            let bytes = codec::read_checked(&key, &value);
            let holds = bytes.is_some_and(|bytes| hashes_to(bytes, &key));
            ensure_row(holds, (table, &key), "not the transaction of this hash")?;
            row = rows.next()?;
        }
        verified.savepoints = self.verify_savepoints()?;
        self.verify_pool_undo(hashes)
    }

    /// Checks that each savepoint is one of a state that there was, and says how many there are.
    fn verify_savepoints(&self) -> Result<u64, Fault> {
        let (table, at) = (self.tables.savepoints, (self.tables.meta, meta::SAVEPOINTS));
        let next = self.tx.value(at.0, at.1)?;
        let next = next.as_deref().map(|row| codec::read_checked(at.1, row));
        let next = next.map(|value| value.and_then(codec::read_number));
        let next = next.unwrap_or(Some(0)).ok_or_else(|| row_fault(at.0, at.1, "no id"))?;
        let head = Mark { number: self.head.number, edits: self.head.edits };
        let undo_end = self.tx.size(self.tables.pool_undo)?.rows;
        let first = Mark { number: self.genesis.0, edits: 0 };
        let mut last = SavepointRow { mark: first, undo: 0, settings: Vec::new() };
        let mut count = 0;
        let mut rows = self.tx.cursor(table)?;
        let mut row = rows.first()?;
        while let Some((key, value)) = row {
            let at = (table, &*key);
            let decoded = codec::read_number(&key).zip(SavepointRow::decode(&key, &value));
            let (id, savepoint) = decoded.ok_or_else(|| row_fault(at.0, at.1, "no savepoint"))?;
            ensure_row(id < next, at, "a savepoint with an id that was not given yet")?;
            ensure_row(!savepoint.is_above(head), at, "a savepoint above the head")?;
            let SavepointRow { mark, undo, .. } = savepoint;
            let follows = !last.is_above(mark) && undo >= last.undo;
            ensure_row(follows, at, "a savepoint before an older one")?;
            ensure_row(undo <= undo_end, at, "a savepoint of changes that never were")?;
            ensure_row(count > 0 || undo == 0, at, "undo rows that no savepoint needs")?;
            let edit = mark.edits.checked_sub(1).filter(|_| mark.number >= self.pruned.kept);
            if let Some(part) = edit {
                let change = codec::pair_key(mark.number + 1, part);
                let is_there = self.tx.value(self.tables.changes, &change)?.is_some();
                ensure_row(is_there, at, "a savepoint of an edit that is not there")?;
            }
            (last, count) = (savepoint, count + 1);
            row = rows.next()?;
        }
        if count == 0 {
            self.ensure_rows(self.tables.pool_undo, 0)?;
        }
        Ok(count)
    }

    /// Undoes every change of what waits, newest first.
    fn verify_pool_undo(&self, mut waiting: BTreeSet<B256>) -> Result<(), Fault> {
        let table = self.tables.pool_undo;
        let mut position = self.tx.size(table)?.rows;
        let mut rows = self.tx.cursor(table)?;
        let mut row = rows.last()?;
        while let Some((key, value)) = row {
            position = position.saturating_sub(1);
            let at = (table, &*key);
            ensure_row(*key == codec::number_key(position), at, "an undo row is missing")?;
            let undo = codec::read_pool_undo(&key, &value);
            let (hash, before) = undo.ok_or_else(|| row_fault(at.0, at.1, "no undo row"))?;
            match before {
                Some(before) => {
                    let holds = codec::read_pool_row(hash.as_slice(), before)
                        .is_some_and(|(_, bytes)| hashes_to(bytes, hash.as_slice()));
                    ensure_row(holds, at, "not the transaction of this hash")?;
                    waiting.insert(hash);
                }
                None => ensure_row(waiting.remove(&hash), at, "what came did not wait after it")?,
            }
            row = rows.previous()?;
        }
        Ok(())
    }
}

fn hashes_to(mut bytes: &[u8], hash: &[u8]) -> bool {
    TxEnvelope::decode_2718(&mut bytes)
        .is_ok_and(|transaction| transaction.tx_hash().as_slice() == hash && bytes.is_empty())
}
