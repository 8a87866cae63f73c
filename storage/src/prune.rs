//! Letting go of old history: with a bound on the number of blocks, the state of older ones is
//! refused from then on, and the rows that made it readable go in small steps.

use crate::{
    Store, StoreError,
    codec::{self, ChangeRow, HistoryKey, Pruned},
    database::{TransactionKind, Txn, Write},
    store::Shared,
    tables::meta,
};
use std::sync::atomic::Ordering;

/// Rows that go in one step; few in tests of small chains.
const STEP_ROWS: u32 = if cfg!(test) { 20 } else { 1 << 12 };

impl Store {
    /// Returns whether there may be history to let go of.
    pub fn has_to_prune(&self) -> bool {
        self.0.has_to_prune.load(Ordering::Relaxed)
    }

    /// Lets go of some old history, in a database transaction of its own.
    pub fn prune(&self) -> Result<(), StoreError> {
        let tx = self.0.database.write()?;
        let head = self.0.head(&tx)?.number;
        let more = self.0.prune(&tx, head)?;
        tx.commit().map_err(|error| self.0.explain(error.into()))?;
        self.0.has_to_prune.store(more, Ordering::Relaxed);
        Ok(())
    }
}

impl Shared {
    /// Returns the oldest block whose state is kept, and how far the rows below it are gone.
    pub(crate) fn pruned<K: TransactionKind>(&self, tx: &Txn<K>) -> Result<Pruned, StoreError> {
        let row = self.decode(tx, self.tables.meta, meta::PRUNED, Pruned::decode)?;
        Ok(row.unwrap_or_default())
    }

    /// Demands that the state of a block is kept.
    pub(crate) fn check_history<K: TransactionKind>(
        &self,
        tx: &Txn<K>,
        (asked, head): (u64, u64),
    ) -> Result<(), StoreError> {
        let oldest = self.pruned(tx)?.kept;
        if asked >= oldest {
            return Ok(());
        }
        Err(StoreError::HistoryPruned { asked, oldest, head })
    }

    /// Takes a step; returns whether another one is to follow.
    pub(crate) fn prune(&self, tx: &Write, head: u64) -> Result<bool, StoreError> {
        let before = self.pruned(tx)?;
        let first = self.origin.read().first;
        let bound = self.prune.map_or(0, |blocks| head.saturating_sub(blocks));
        let mut pruned = Pruned { kept: before.kept.max(bound), ..before };
        if pruned.kept <= first {
            return Ok(false);
        }
        let table = self.tables.changes;
        let (mut rows, mut budget, mut more) = (tx.cursor(table)?, STEP_ROWS, false);
        let oldest = self.oldest_change.load(Ordering::Relaxed);
        let mut row = rows.seek(&codec::pair_key(oldest, 0))?;
        while let Some((key, value)) = row {
            let bad_row = || self.bad_row(table, &key);
            let (number, _) = codec::read_pair(&key).ok_or_else(bad_row)?;
            self.oldest_change.store(number, Ordering::Relaxed);
            if number >= pruned.kept {
                break;
            }
            let change = ChangeRow::decode(&value).ok_or_else(bad_row)?;
            let left = change.leaves.iter().skip(pruned.done as usize);
            for leaf in left.take(budget as usize) {
                if leaf.first {
                    let key = HistoryKey::new(&leaf.key, number);
                    tx.remove(self.tables.history, key.as_slice())?;
                }
                (pruned.done, budget) = (pruned.done + 1, budget - 1);
            }
            if pruned.done as usize == change.leaves.len() && budget > 0 {
                rows.remove();
                (pruned.done, budget) = (0, budget - 1);
            }
            if budget == 0 {
                more = true;
                break;
            }
            row = rows.next()?;
        }
        drop(rows);
        if pruned != before {
            tx.put(self.tables.meta, meta::PRUNED, &pruned.encode())?;
        }
        Ok(more)
    }
}
