//! How much of the tree is in memory, and what it is made of at the start.
//!
//! Of a large state the table `folds` keeps the subtrees of a few hundred leaves, each with its two
//! hashes: the tree is made of them without a look at the leaves, which are read when something
//! below changes. The rows are written every few thousand changed leaves, in the transaction of
//! the change that they go with; what the rows of later changes tell is then made good at the
//! start. They are never trusted: leaves must have the hash of their fold, and the tree the root
//! that was recorded with the last commit. If not, it is made anew of all leaves.

use crate::{
    Snapshot, StoreError, Writer,
    codec::{self, ChangeRow, Head},
    database::{Read, TransactionKind, Txn, Write},
    mdbx::Row,
    store::Shared,
    tables::meta,
};
use state::StateTree;
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};
use tree::{Below, Fold, FoldChanges, Key, Update, Value};

/// Leaves that are fed to the tree at a time when it is rebuilt.
const REBUILD_BATCH: usize = 1 << 14;

/// How much of the tree is kept in memory, and how many rows that the file has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeLimits {
    /// Leaves that a fold has at most.
    pub fold_leaves_max: u32,
    /// A state of so many leaves is read and checked as a whole at the start.
    pub whole_leaves_max: usize,
    /// Leaves in memory from which on parts that have not changed for long are let go, about 160
    /// bytes each.
    pub leaves_max: usize,
    /// Changed leaves after which folds are written.
    pub save_interval: usize,
    /// Rows that are only in the journal and in memory from which on they are settled in the
    /// database's file.
    pub settle_rows: usize,
}

impl Default for TreeLimits {
    fn default() -> Self {
        Self {
            fold_leaves_max: tree::FOLD_LEAVES_MAX,
            whole_leaves_max: 1 << 16,
            leaves_max: 1 << 21,
            save_interval: 1 << 12,
            settle_rows: 1 << 14,
        }
    }
}

/// The change of the table that goes with a change of the state.
pub(crate) type FoldRows = Option<Arc<FoldChanges>>;

/// What of the tree the table holds.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    /// The period of changes that was written last; none if the table is to be written as a whole.
    epoch: Option<u32>,
    /// The newest change in it.
    sequence: u64,
    /// Leaves changed since.
    changed: usize,
}

impl Saved {
    /// The table is to be written as a whole, for what it holds is not known.
    pub(crate) fn forget(&mut self) {
        self.epoch = None;
    }

    const fn loaded() -> Self {
        Self { epoch: Some(0), sequence: 0, changed: 0 }
    }
}

/// The leaves of a fold, by their keys.
type Leaves = BTreeMap<Key, Value>;

impl Writer {
    /// Has everything in memory that a change of these leaves needs.
    pub(crate) fn unfold<'a>(
        &mut self,
        keys: impl Iterator<Item = &'a Key>,
    ) -> Result<(), StoreError> {
        for key in keys {
            let Some(fold) = self.tree.find_fold(key).copied() else { continue };
            let leaves = self.base(|tx| self.shared.leaves_of(tx, &fold))?;
            put_back(Arc::make_mut(&mut self.tree), &fold, leaves)?;
        }
        Ok(())
    }

    /// Lets go of everything that has not changed since folds were written, if by far too much is
    /// in memory: many changes all over the tree leave nothing that has not changed for long.
    pub(crate) fn shrink(&mut self, committed: u64) {
        if let Some(last) = self.saved.epoch.filter(|_| self.saved.sequence <= committed)
            && self.tree.unfolded_count() > 2 * self.shared.limits.leaves_max
        {
            Arc::make_mut(&mut self.tree).fold(last);
        }
    }

    /// Returns the keys that start with `prefix`.
    pub(crate) fn keys_below(&self, prefix: &[u8]) -> Result<Vec<Key>, StoreError> {
        keys_below(&self.tree, prefix, |fold| self.base(|tx| self.shared.leaves_of(tx, fold)))
    }

    /// Returns what is to be written of the tree after a change of some leaves, if it is time to;
    /// lets go of what has not changed since the last time if there is too much in memory.
    pub(crate) fn save_folds(&mut self, changed: usize) -> FoldRows {
        let TreeLimits { whole_leaves_max, leaves_max, save_interval, .. } = self.shared.limits;
        self.saved.changed += changed;
        let is_small = self.saved.epoch.is_none() && self.tree.leaf_count() <= whole_leaves_max;
        if is_small || self.saved.changed < save_interval {
            return None;
        }
        let tree = Arc::make_mut(&mut self.tree);
        let changes = tree.take_folds(self.saved.epoch);
        let epoch = tree.next_epoch();
        let is_committed = self.saved.sequence <= self.shared.committed.load(Ordering::Acquire);
        if let Some(last) = self.saved.epoch.filter(|_| is_committed)
            && tree.unfolded_count() > leaves_max
        {
            tree.fold(last);
        }
        self.saved = Saved { epoch: Some(epoch), sequence: self.sequence, changed: 0 };
        Some(Arc::new(changes))
    }

    /// Writes what the table holds of a state that was gone back to.
    pub(crate) fn save_unwound(&mut self, tx: &Write, place: [u8; 12]) -> Result<(), StoreError> {
        if self.saved.epoch.is_none() {
            // The table may hold what was undone: it is not to be read.
            tx.remove(self.shared.tables.meta, meta::FOLDS)?;
            return Ok(());
        }
        let tree = Arc::make_mut(&mut self.tree);
        let changes = tree.take_folds(self.saved.epoch);
        let (epoch, sequence) = (Some(tree.next_epoch()), self.sequence);
        self.saved = Saved { epoch, sequence, changed: 0 };
        self.shared.put_folds(tx, &changes, place)
    }
}

impl Shared {
    pub(crate) fn empty_tree(&self) -> StateTree {
        StateTree::new(self.hash).with_folds_of(self.limits.fold_leaves_max)
    }

    /// Whether there are folds to make the tree of.
    pub(crate) fn has_folds(&self) -> Result<bool, StoreError> {
        Ok(self.database.read()?.value(self.tables.meta, meta::FOLDS)?.is_some())
    }

    /// Makes the tree of the newest state and checks its root.
    pub(crate) fn load_tree(
        &self,
        tx: &Read,
        head: &Head,
    ) -> Result<(StateTree, Saved), StoreError> {
        match self.load_folds(tx) {
            Ok(Some(tree)) if tree.root() == head.root => return Ok((tree, Saved::loaded())),
            Ok(None) => {}
            Ok(Some(_)) | Err(StoreError::Leaves(_) | StoreError::BadRow { .. }) => {
                tracing::warn!("the folds of the state tree are wrong: making it of all leaves");
            }
            Err(error) => return Err(error),
        }
        let tree = self.rebuild_tree(tx)?;
        let (recorded, rebuilt) = (head.root, tree.root());
        if rebuilt != recorded {
            return Err(StoreError::RootMismatch { recorded, rebuilt });
        }
        Ok((tree, Saved::default()))
    }

    /// Makes the tree of its folds and of what was changed since they were written; nothing if
    /// there are none, or it would not pay.
    fn load_folds(&self, tx: &Read) -> Result<Option<StateTree>, StoreError> {
        let place = |row: &[u8]| codec::read_checked(meta::FOLDS, row).map(<[u8]>::to_vec);
        let Some(place) = self.decode(tx, self.tables.meta, meta::FOLDS, place)? else {
            return Ok(None);
        };
        // What came after them may have been let go of.
        if *place < codec::pair_key(self.pruned(tx)?.kept, 0)[..] {
            return Ok(None);
        }
        let mut folds = Vec::new();
        let mut rows = tx.cursor(self.tables.folds)?;
        let mut row = rows.first()?;
        while let Some((key, value)) = row {
            let fold = codec::read_fold(&key, &value);
            folds.push(fold.ok_or_else(|| self.bad_row(self.tables.folds, &key))?);
            row = rows.next()?;
        }
        let count: usize = folds.iter().map(|fold| fold.count as usize).sum();
        if count <= self.limits.whole_leaves_max {
            return Ok(None);
        }
        let tree = StateTree::of_folds(self.hash, folds);
        let bad_table = || self.bad_row(self.tables.meta, meta::FOLDS);
        let mut tree = tree.ok_or_else(bad_table)?.with_folds_of(self.limits.fold_leaves_max);
        let old = self.changed_since(tx, &place)?;
        if old.len() > count / 8 {
            return Ok(None);
        }
        let mut updates = Vec::with_capacity(old.len());
        for key in old.keys() {
            if let Some(fold) = tree.find_fold(key).copied() {
                let mut leaves = self.leaves_of(tx, &fold)?;
                for (key, old) in old.range(key..).take_while(|(key, _)| fold.covers(key)) {
                    match old {
                        Some(old) => leaves.insert(*key, *old),
                        None => leaves.remove(key),
                    };
                }
                put_back(&mut tree, &fold, leaves)?;
            }
            updates.push(Update { key: *key, value: self.leaf(tx, key)? });
        }
        tree.apply(&updates);
        Ok(Some(tree))
    }

    /// The values before all changes that came after a place in the table of changes.
    fn changed_since(
        &self,
        tx: &Read,
        place: &[u8],
    ) -> Result<BTreeMap<Key, Option<Value>>, StoreError> {
        let mut old = BTreeMap::new();
        let mut rows = tx.cursor(self.tables.changes)?;
        let mut row = rows.seek(place)?;
        while let Some((key, value)) = row {
            if *key != *place {
                let change = ChangeRow::decode(&value);
                let bad_row = || self.bad_row(self.tables.changes, &key);
                for leaf in change.ok_or_else(bad_row)?.leaves {
                    old.entry(leaf.key).or_insert(leaf.old);
                }
            }
            row = rows.next()?;
        }
        Ok(old)
    }

    /// Makes the tree of all leaves, folding what there is no room for.
    fn rebuild_tree(&self, tx: &Read) -> Result<StateTree, StoreError> {
        let mut tree = self.empty_tree();
        let mut rows = tx.cursor(self.tables.leaves)?;
        let mut batch = Vec::with_capacity(REBUILD_BATCH);
        let mut row = rows.first()?;
        while let Some((key, value)) = row {
            let (key, value) = self.read_leaf(&key, &value)?;
            batch.push(Update { key, value: Some(value) });
            if batch.len() == REBUILD_BATCH {
                self.append(tx, &mut tree, &batch)?;
                batch.clear();
            }
            row = rows.next()?;
        }
        self.append(tx, &mut tree, &batch)?;
        Ok(tree)
    }

    /// Adds leaves that come after all others.
    fn append(&self, tx: &Read, tree: &mut StateTree, batch: &[Update]) -> Result<(), StoreError> {
        let Some(first) = batch.first() else { return Ok(()) };
        if let Some(fold) = tree.find_fold(&first.key).copied() {
            let mut leaves = self.leaves_of(tx, &fold)?;
            leaves.split_off(&first.key);
            put_back(tree, &fold, leaves)?;
        }
        tree.apply(batch);
        if tree.unfolded_count() > self.limits.leaves_max {
            let epoch = tree.next_epoch();
            tree.fold(epoch);
        }
        Ok(())
    }

    /// Reads the leaves of a fold.
    pub(crate) fn leaves_of<K: TransactionKind>(
        &self,
        tx: &Txn<K>,
        fold: &Fold,
    ) -> Result<Leaves, StoreError> {
        let mut leaves = Leaves::new();
        let mut rows = tx.cursor(self.tables.leaves)?;
        let mut row = rows.seek(&fold.start())?;
        while let Some((key, value)) = row {
            let (key, value) = self.read_leaf(&key, &value)?;
            if !fold.covers(&key) {
                break;
            }
            leaves.insert(key, value);
            row = rows.next()?;
        }
        Ok(leaves)
    }

    fn read_leaf(&self, key: &[u8], value: &[u8]) -> Result<(Key, Value), StoreError> {
        let parsed = Key::parse(key).filter(|parsed| parsed.as_slice() == key);
        parsed.zip(codec::read_word(value)).ok_or_else(|| self.bad_row(self.tables.leaves, key))
    }

    /// Writes a change of the folds, and the place in the table of changes that they are up to.
    pub(crate) fn put_folds(
        &self,
        tx: &Write,
        changes: &FoldChanges,
        place: [u8; 12],
    ) -> Result<(), StoreError> {
        let table = self.tables.folds;
        let mut gone = Vec::new();
        let mut rows = tx.cursor(table)?;
        let mut row = None;
        for (from, to) in &changes.removed {
            // The ranges ascend: where one begins at the last one's end the row is at hand.
            if row.as_ref().is_none_or(|(key, _): &Row<'_>| **key < from[..]) {
                row = rows.seek(from)?;
            }
            while let Some((key, _)) = &row
                && to.as_ref().is_none_or(|to| **key < to[..])
            {
                let is_added = |fold: &Fold| fold.key.as_slice().cmp(key);
                if changes.added.binary_search_by(is_added).is_err() {
                    gone.push(key.to_vec());
                }
                row = rows.next()?;
            }
        }
        gone.iter().for_each(|key| tx.remove_at(table, key));
        for fold in &changes.added {
            tx.put(table, fold.key.as_slice(), &codec::fold_row(fold))?;
        }
        Ok(tx.put(self.tables.meta, meta::FOLDS, &codec::checked(meta::FOLDS, &place))?)
    }
}

impl Snapshot {
    /// Reads the leaves of a fold as they are after a block.
    pub(crate) fn leaves_at(&self, fold: &Fold, number: u64) -> Result<Leaves, StoreError> {
        let mut leaves = Leaves::new();
        for table in [self.shared.tables.leaves, self.shared.tables.history] {
            let mut rows = self.tx.cursor(table)?;
            let mut row = rows.seek(&fold.start())?;
            while let Some((key, _)) = row {
                let bad_row = || self.shared.bad_row(table, &key);
                let key = Key::parse(&key).ok_or_else(bad_row)?;
                if !fold.covers(&key) {
                    break;
                }
                if !leaves.contains_key(&key)
                    && let Some(value) = self.leaf_at(&key, number)?
                {
                    leaves.insert(key, value);
                }
                row = rows.next()?;
            }
        }
        Ok(leaves)
    }
}

/// Puts the leaves below a fold in its place.
pub(crate) fn put_back(
    tree: &mut StateTree,
    fold: &Fold,
    leaves: Leaves,
) -> Result<(), StoreError> {
    let leaves: Vec<_> = leaves.into_iter().collect();
    Ok(tree.unfold(fold, &leaves)?)
}

/// Returns the keys of a tree that start with `prefix`, in order; `load` reads a fold's leaves.
pub(crate) fn keys_below(
    tree: &StateTree,
    prefix: &[u8],
    load: impl Fn(&Fold) -> Result<Leaves, StoreError>,
) -> Result<Vec<Key>, StoreError> {
    let mut keys = Vec::new();
    for below in tree.below(prefix) {
        match below {
            Below::Leaf(key) => keys.push(*key),
            Below::Fold(fold) => {
                let leaves = load(fold)?.into_keys();
                keys.extend(leaves.filter(|key| key.as_slice().starts_with(prefix)));
            }
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests;
