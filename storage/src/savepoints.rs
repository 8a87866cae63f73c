//! Savepoints: marks of the chain that a caller can go back to, with what waited there. They are
//! rows of their own, so that making one takes the same time whatever the chain and the pool hold:
//! the state is undone by its change rows, the pool by undo rows, which are written as long as
//! there is a savepoint.

use crate::{
    Mark, Snapshot, StoreError, Waiting, Writer,
    codec::{self, SavepointRow},
    database::{TransactionKind, Txn, Write},
    store::Shared,
    tables::meta,
};
use alloy_primitives::{Address, B256, Bytes};
use std::collections::BTreeMap;

/// A savepoint, as [`crate::Commit::Savepoint`] made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Savepoint {
    /// Where the chain stood.
    pub mark: Mark,
    /// What the caller gave.
    pub settings: Vec<u8>,
}

/// What going back to a savepoint has changed, besides the chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reverted {
    /// Accounts whose nonce or balance was set back.
    pub accounts: Vec<Address>,
    /// Transactions that wait no longer.
    pub gone: Vec<B256>,
    /// Transactions that wait again, or at another place in the order of arrival.
    pub back: Vec<Waiting>,
}

impl SavepointRow {
    /// Whether the chain stood after `mark`.
    pub(crate) fn is_above(&self, mark: Mark) -> bool {
        (self.mark.number, self.mark.edits) > (mark.number, mark.edits)
    }
}

impl Snapshot {
    /// Returns a savepoint that was made and is not used up.
    pub fn savepoint(&self, id: u64) -> Result<Option<Savepoint>, StoreError> {
        let row = self.shared.savepoint(&self.tx, id)?;
        Ok(row.map(|row| Savepoint { mark: row.mark, settings: row.settings }))
    }

    /// Returns the savepoints that are not used up, oldest first: the id of each, and its mark.
    pub fn savepoints(&self) -> Result<Vec<(u64, Mark)>, StoreError> {
        let table = self.shared.tables.savepoints;
        let mut found = Vec::new();
        let mut rows = self.tx.cursor(table)?;
        let mut row = rows.first()?;
        while let Some((key, value)) = row {
            let read = codec::read_number(&key).zip(SavepointRow::decode(&key, &value));
            let (id, savepoint) = read.ok_or_else(|| self.shared.bad_row(table, &key))?;
            found.push((id, savepoint.mark));
            row = rows.next()?;
        }
        Ok(found)
    }

    /// Returns the id of the next savepoint: none is given twice.
    pub fn next_savepoint(&self) -> Result<u64, StoreError> {
        self.shared.next_savepoint(&self.tx)
    }
}

impl Writer {
    /// Makes chain and journal what they were at a savepoint, as [`Writer::unwind`] does; nothing
    /// if there is none of this id. The savepoint and all later ones are used up.
    pub fn revert(&mut self, id: u64) -> Result<Option<Reverted>, StoreError> {
        let row = self.base(|tx| self.shared.savepoint(tx, id))?;
        let Some(SavepointRow { mark, undo, .. }) = row else { return Ok(None) };
        let mut reverted = Reverted::default();
        reverted.accounts = self.go_back(mark, |shared, tx| {
            shared.undo_pool(tx, undo, &mut reverted)?;
            shared.drop_savepoints(tx, |key, _| key >= id)
        })?;
        Ok(Some(reverted))
    }
}

impl Shared {
    fn savepoint<K: TransactionKind>(
        &self,
        tx: &Txn<K>,
        id: u64,
    ) -> Result<Option<SavepointRow>, StoreError> {
        let key = codec::number_key(id);
        self.decode(tx, self.tables.savepoints, &key, |row| SavepointRow::decode(&key, row))
    }

    pub(crate) fn next_savepoint<K: TransactionKind>(
        &self,
        tx: &Txn<K>,
    ) -> Result<u64, StoreError> {
        let read = |row: &[u8]| codec::read_number(codec::read_checked(meta::SAVEPOINTS, row)?);
        Ok(self.decode(tx, self.tables.meta, meta::SAVEPOINTS, read)?.unwrap_or(0))
    }

    pub(crate) fn put_next_savepoint(&self, tx: &Write, next: u64) -> Result<(), StoreError> {
        let row = codec::checked(meta::SAVEPOINTS, &codec::number_key(next));
        Ok(tx.put(self.tables.meta, meta::SAVEPOINTS, &row)?)
    }

    pub(crate) fn put_savepoint(
        &self,
        tx: &Write,
        id: u64,
        row: &SavepointRow,
    ) -> Result<(), StoreError> {
        tx.put(self.tables.savepoints, &codec::number_key(id), &row.encode(id))?;
        self.put_next_savepoint(tx, id + 1)
    }

    /// Returns the place of the next undo row of the pool; nothing if there is no savepoint, and so
    /// nothing to undo it for.
    pub(crate) fn pool_undo_end(&self, tx: &Write) -> Result<Option<u64>, StoreError> {
        if tx.cursor(self.tables.savepoints)?.first()?.is_none() {
            return Ok(None);
        }
        let (table, mut end) = (self.tables.pool_undo, 0);
        if let Some((key, _)) = tx.cursor(table)?.last()? {
            end = codec::read_number(&key).ok_or_else(|| self.bad_row(table, &key))? + 1;
        }
        Ok(Some(end))
    }

    /// Takes savepoints away, newest first, as long as `goes` says so of id and row; with the last
    /// one go the undo rows.
    pub(crate) fn drop_savepoints(
        &self,
        tx: &Write,
        goes: impl Fn(u64, &SavepointRow) -> bool,
    ) -> Result<(), StoreError> {
        let table = self.tables.savepoints;
        let mut rows = tx.cursor(table)?;
        let mut newest = rows.last()?;
        while let Some((key, value)) = newest {
            let row = codec::read_number(&key).zip(SavepointRow::decode(&key, &value));
            let (id, row) = row.ok_or_else(|| self.bad_row(table, &key))?;
            if !goes(id, &row) {
                return Ok(());
            }
            rows.remove();
            newest = rows.previous()?;
        }
        tx.clear(self.tables.pool_undo);
        Ok(())
    }

    /// Undoes what the journal has changed from undo row `from` on.
    fn undo_pool(&self, tx: &Write, from: u64, reverted: &mut Reverted) -> Result<(), StoreError> {
        let (table, pool) = (self.tables.pool_undo, self.tables.pool);
        let (mut before, from_key) = (BTreeMap::new(), codec::number_key(from));
        let mut rows = tx.cursor(table)?;
        let mut newest = rows.last()?;
        while let Some((key, value)) = newest.filter(|(key, _)| **key >= from_key[..]) {
            let bad_row = || self.bad_row(table, &key);
            let (hash, row) = codec::read_pool_undo(&key, &value).ok_or_else(bad_row)?;
            before.insert(hash, row.map(<[u8]>::to_vec));
            rows.remove();
            newest = rows.previous()?;
        }
        drop(rows);
        for (hash, row) in before {
            let Some(row) = row else {
                if tx.remove(pool, hash.as_slice())? {
                    reverted.gone.push(hash);
                }
                continue;
            };
            let entry = codec::read_pool_row(hash.as_slice(), &row);
            let (order, bytes) = entry.ok_or_else(|| self.bad_row(pool, hash.as_slice()))?;
            if tx.value(pool, hash.as_slice())?.as_deref() != Some(&row[..]) {
                let bytes = Bytes::copy_from_slice(bytes);
                reverted.back.push(Waiting { hash, order, bytes });
            }
            tx.put(pool, hash.as_slice(), &row)?;
        }
        reverted.back.sort_unstable_by_key(|waits| waits.order);
        Ok(())
    }
}
