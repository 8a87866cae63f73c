//! Going back to an earlier state: leaves from the change rows, blocks and indices removed.

use crate::{
    Mark, StoreError, Writer,
    codec::{self, BLOCK_PART, ChangeRow, Head, HistoryKey},
    commit,
    database::Write,
    forked::Origin,
    store::Shared,
    tables::meta,
};
use alloy_consensus::{Transaction, TxEnvelope};
use alloy_primitives::{Address, B256};
use state::LeafChange;
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};
use tree::{Key, Update, Value, sub};

/// What the rows above a mark say about the state at it.
struct Past {
    leaves: BTreeMap<Key, Option<Value>>,
    root: B256,
}

impl Writer {
    /// Goes back to an earlier state and removes the blocks after it, durably, in a database
    /// transaction of its own; everything must be committed. Savepoints above it are gone then.
    ///
    /// Returns the accounts whose nonce or balance that has set back. When it fails the store is to
    /// be opened anew: the database is as it was, the writer's tree may not be. That is not so if
    /// there is no such state, or not any more.
    pub fn unwind(&mut self, to: Mark) -> Result<Vec<Address>, StoreError> {
        self.go_back(to, |shared, tx| shared.drop_savepoints(tx, |_, row| row.is_above(to)))
    }

    /// Goes back to `to` and does `also` in the same database transaction.
    pub(crate) fn go_back(
        &mut self,
        to: Mark,
        also: impl FnOnce(&Shared, &Write) -> Result<(), StoreError>,
    ) -> Result<Vec<Address>, StoreError> {
        self.rewind(to, also).map_err(|error| self.shared.explain(error))
    }

    fn rewind(
        &mut self,
        to: Mark,
        also: impl FnOnce(&Shared, &Write) -> Result<(), StoreError>,
    ) -> Result<Vec<Address>, StoreError> {
        let pending = self.pending();
        if pending > 0 {
            return Err(StoreError::Uncommitted { pending });
        }
        let shared = self.shared.clone();
        let tx = shared.database.write()?;
        also(&shared, &tx)?;
        let moves = to != self.mark();
        let mut accounts = Vec::new();
        if moves {
            self.check_mark(&tx, to)?;
            accounts = self.undo(&tx, to)?;
        }
        tx.commit()?;
        shared.commits.fetch_add(1, Ordering::AcqRel);
        if moves {
            self.begin_at(to);
            self.load_merkle()?;
        }
        Ok(accounts)
    }

    fn undo(&mut self, tx: &Write, to: Mark) -> Result<Vec<Address>, StoreError> {
        let shared = self.shared.clone();
        self.forget_overlay();
        let past = shared.undo_rows(tx, to)?;
        self.unfold(past.leaves.keys())?;
        let head = shared.undo_leaves(tx, (to, &self.origin), &past)?;
        let updates: Vec<_> =
            past.leaves.iter().map(|(key, value)| Update { key: *key, value: *value }).collect();
        let rebuilt = Arc::make_mut(&mut self.tree).apply(&updates);
        if rebuilt != head.root {
            return Err(StoreError::RootMismatch { recorded: head.root, rebuilt });
        }
        let place = match to.edits.checked_sub(1) {
            Some(part) => codec::pair_key(to.number + 1, part),
            None => codec::pair_key(to.number, BLOCK_PART),
        };
        self.save_unwound(tx, place)?;
        tx.put(shared.tables.meta, meta::HEAD, &head.encode())?;
        shared.accounts_of(tx, past.leaves.keys())
    }

    fn check_mark(&self, tx: &Write, to: Mark) -> Result<(), StoreError> {
        let head = self.mark();
        // Before the edits are looked for: those of old blocks are gone with their history.
        self.shared.check_history(tx, (to.number, head.number))?;
        let above = to.number > head.number || (to.number == head.number && to.edits > head.edits);
        let last_edit = to.edits.checked_sub(1).map(|part| codec::pair_key(to.number + 1, part));
        let edit_is_there = match last_edit {
            Some(key) => tx.value(self.shared.tables.changes, &key)?.is_some(),
            None => true,
        };
        if above || to.number < self.origin.first || !edit_is_there {
            return Err(StoreError::BadMark {
                asked: to.number,
                edits: to.edits,
                head: head.number,
                head_edits: head.edits,
            });
        }
        Ok(())
    }
}

impl Shared {
    /// The accounts whose nonce and balance are among these leaves.
    fn accounts_of<'a>(
        &self,
        tx: &Write,
        keys: impl Iterator<Item = &'a Key>,
    ) -> Result<Vec<Address>, StoreError> {
        let is_basic = |key: &&Key| key.zone() == tree::HEADER_ZONE && key.sub() == sub::BASIC_DATA;
        let mut accounts = Vec::new();
        for stem in keys.filter(is_basic).filter_map(Key::stem) {
            let read = |row: &[u8]| Address::try_from(row).ok();
            accounts.extend(self.decode(tx, self.tables.addresses, stem.0.as_slice(), read)?);
        }
        Ok(accounts)
    }

    /// Removes everything that was written after the mark, newest first, but for the leaves.
    fn undo_rows(&self, tx: &Write, to: Mark) -> Result<Past, StoreError> {
        let oldest = codec::pair_key(to.number + 1, to.edits);
        let mut past = Past { leaves: BTreeMap::new(), root: self.head(tx)?.root };
        let mut rows = tx.cursor(self.tables.changes)?;
        let mut row = rows.last()?;
        while let Some((key, value)) = row.filter(|(key, _)| **key >= oldest[..]) {
            let bad_row = || self.bad_row(self.tables.changes, &key);
            let (number, part) = codec::read_pair(&key).ok_or_else(bad_row)?;
            let change = ChangeRow::decode(&value).ok_or_else(bad_row)?;
            for leaf in &change.leaves {
                past.leaves.insert(leaf.key, leaf.old);
                if leaf.first {
                    let key = HistoryKey::new(&leaf.key, number);
                    tx.remove(self.tables.history, key.as_slice())?;
                }
            }
            past.root = change.root_before;
            if part == BLOCK_PART {
                self.remove_block(tx, number)?;
            }
            rows.remove();
            row = rows.previous()?;
        }
        Ok(past)
    }

    /// Puts the old leaves back and returns the head to be.
    fn undo_leaves(
        &self,
        tx: &Write,
        (to, origin): (Mark, &Origin),
        past: &Past,
    ) -> Result<Head, StoreError> {
        let mut undone = Vec::with_capacity(past.leaves.len());
        for (key, value) in &past.leaves {
            let now = self.leaf(tx, key)?;
            undone.push(LeafChange { key: *key, old: now, new: *value });
            match value {
                Some(value) => tx.put(self.tables.leaves, key.as_slice(), value.as_slice())?,
                None => {
                    tx.remove(self.tables.leaves, key.as_slice())?;
                }
            }
        }
        for (code_hash, by) in state::holder_changes(&undone) {
            let count = self.holder_count(tx, code_hash)?.saturating_add_signed(by);
            let key = code_hash.as_slice();
            if count == 0 {
                tx.remove(self.tables.code_holders, key)?;
            } else {
                tx.put(self.tables.code_holders, key, &count.to_be_bytes())?;
            }
        }
        let key = codec::number_key(to.number);
        let header = self.decode(tx, self.tables.headers, &key, codec::read_header)?;
        let (hash, header) = header.ok_or_else(|| self.bad_row(self.tables.headers, &key))?;
        // The first block of a forked chain has the other chain's root. That of a Merkle trie is
        // checked once it is made anew.
        let has_root = (origin.forked.is_none() || to.number > origin.first)
            && !origin.merkle
            && !self.is_loaded(tx, to.number)?;
        self.unload(tx, to.number)?;
        if has_root && to.edits == 0 && header.state_root != past.root {
            let (recorded, rebuilt) = (header.state_root, past.root);
            return Err(StoreError::RootMismatch { recorded, rebuilt });
        }
        Ok(Head { number: to.number, hash, root: past.root, edits: to.edits })
    }

    fn remove_block(&self, tx: &Write, number: u64) -> Result<(), StoreError> {
        let tables = &self.tables;
        let key = codec::number_key(number);
        if let Some(hash) = self.block_hash(tx, number)? {
            tx.remove(tables.numbers, hash.as_slice())?;
        }
        let count = self.decode(tx, tables.bodies, &key, |row| {
            row.first_chunk().map(|count| u32::from_be_bytes(*count))
        })?;
        for index in 0..count.unwrap_or(0) {
            let place = codec::pair_key(number, index);
            let transaction =
                self.decode(tx, tables.transactions, &place, codec::read_transaction)?;
            if let Some((transaction, _)) = transaction {
                let hash = transaction.tx_hash();
                // The same transaction may stand in an older block, too.
                if tx.value(tables.locations, hash.as_slice())?.as_deref() == Some(&place[..]) {
                    tx.remove(tables.locations, hash.as_slice())?;
                }
                self.remove_blobs(tx, &transaction)?;
            }
            if let Some(stored) = self.decode(tx, tables.receipts, &place, codec::read_receipt)? {
                for (log_key, position) in commit::log_rows(&stored, number, index) {
                    tx.remove_value(tables.logs, log_key.as_slice(), &position.encode());
                }
            }
            tx.remove(tables.transactions, &place)?;
            tx.remove(tables.receipts, &place)?;
        }
        tx.remove(tables.bodies, &key)?;
        tx.remove(tables.headers, &key)?;
        Ok(())
    }

    fn remove_blobs(&self, tx: &Write, transaction: &TxEnvelope) -> Result<(), StoreError> {
        let tx_hash = transaction.tx_hash();
        let blob_hashes = transaction.blob_versioned_hashes().unwrap_or_default();
        for (blob_hash, place) in blob_hashes.iter().zip(0..) {
            // Another transaction may have had the same blob later.
            let (table, key) = (self.tables.blob_places, blob_hash.as_slice());
            if tx.value(table, key)?.as_deref() == Some(&codec::blob_place_row(*tx_hash, place)) {
                tx.remove(table, key)?;
            }
        }
        if !blob_hashes.is_empty() {
            tx.remove(self.tables.blobs, tx_hash.as_slice())?;
        }
        Ok(())
    }
}
