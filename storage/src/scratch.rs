//! Copies of the state to try changes on, for the root that they would lead to.

use crate::{
    Mark, StoreError, Writer,
    codec::{self, BLOCK_PART, ChangeRow},
    database::Read,
    folds::{keys_below, put_back},
    forked::Origin,
    store::Shared,
};
use alloy_primitives::{B256, Bytes};
use revm::{DatabaseRef, database::BundleState};
use state::{Before, Changes, Holding, LeafChange, StateTree, holder_changes};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};
use tree::{HashFunction, Key, Value};

/// Which state a [`Scratch`] starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The newest one, with the edits made since the head.
    Head,
    /// The one after a block, without later edits.
    After(u64),
    /// The one that a block was executed on: its parent's, with the edits made in between.
    Before(u64),
}

/// The head state as it was at one moment, to be copied on any thread.
pub struct Frozen {
    shared: Arc<Shared>,
    origin: Arc<Origin>,
    tree: Arc<StateTree>,
    head: Mark,
    tx: Read,
}

impl fmt::Debug for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frozen").field("head", &self.head).finish_non_exhaustive()
    }
}

/// A copy of the state that changes are tried on; nothing of it reaches the database.
pub struct Scratch {
    shared: Arc<Shared>,
    origin: Arc<Origin>,
    tree: StateTree,
    tx: Read,
    /// What differs from the database.
    leaves: HashMap<Key, Option<Value>>,
    code: HashMap<B256, Bytes>,
    holders: HashMap<B256, u64>,
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").field("root", &self.root()).finish_non_exhaustive()
    }
}

impl Writer {
    /// Returns the head state as it is now; everything must be committed.
    pub fn freeze(&self) -> Result<Frozen, StoreError> {
        let pending = self.pending();
        if pending > 0 {
            return Err(StoreError::Uncommitted { pending });
        }
        let tx = self.shared.database.read()?;
        let (shared, origin) = (self.shared.clone(), self.origin.clone());
        Ok(Frozen { shared, origin, tree: self.tree.clone(), head: self.head, tx })
    }
}

impl Frozen {
    /// Copies the tree and takes the copy back to `start`.
    ///
    /// It costs a copy of the tree in memory, about 100 bytes a leaf, and the time to undo what
    /// blocks since `start` have changed.
    pub fn scratch(self, start: Start) -> Result<Scratch, StoreError> {
        let oldest = match start {
            Start::Head => None,
            Start::After(number) => Some((number, codec::pair_key(number + 1, 0))),
            Start::Before(number) => {
                let parent = number.saturating_sub(1);
                Some((parent, codec::pair_key(number, BLOCK_PART)))
            }
        };
        let undone = match oldest {
            Some((number, oldest)) => {
                let first = self.origin.first;
                if !(first..=self.head.number).contains(&number) {
                    let head = self.head.number;
                    return Err(StoreError::BlockNotKept { asked: number, first, head });
                }
                // The state before a block takes the block's own history alone.
                let asked = number + u64::from(matches!(start, Start::Before(_)));
                self.shared.check_history(&self.tx, (asked, self.head.number))?;
                self.old_leaves(&oldest)?
            }
            None => BTreeMap::new(),
        };
        let Self { shared, origin, tree, tx, .. } = self;
        let mut scratch = Scratch {
            shared,
            origin,
            tree: Arc::unwrap_or_clone(tree),
            tx,
            leaves: HashMap::new(),
            code: HashMap::new(),
            holders: HashMap::new(),
        };
        scratch.put_back(undone)?;
        Ok(scratch)
    }

    /// The values that leaves had before the changes from `oldest` on.
    fn old_leaves(&self, oldest: &[u8]) -> Result<BTreeMap<Key, Option<Value>>, StoreError> {
        let table = self.shared.tables.changes;
        let mut leaves = BTreeMap::new();
        let mut rows = self.tx.cursor(table)?;
        let mut row = rows.seek(oldest)?;
        while let Some((key, value)) = row {
            let change = ChangeRow::decode(&value);
            let change = change.ok_or_else(|| self.shared.bad_row(table, &key))?;
            for leaf in change.leaves {
                // Rows come oldest first: what the first one says was there at the start.
                leaves.entry(leaf.key).or_insert(leaf.old);
            }
            row = rows.next()?;
        }
        Ok(leaves)
    }
}

impl Scratch {
    /// Sets leaves and the numbers of code's holders to what they were.
    fn put_back(&mut self, old: BTreeMap<Key, Option<Value>>) -> Result<(), StoreError> {
        let mut undone = Vec::with_capacity(old.len());
        for (key, value) in old {
            undone.push(LeafChange { key, old: self.leaf(&key)?, new: value });
        }
        let mut holders = Vec::new();
        for (code_hash, by) in holder_changes(&undone) {
            let holding = Holding { code_hash, change: by, code: None };
            holders.push((code_hash, self.holder_count(&holding)?.saturating_add_signed(by)));
        }
        self.change(&Changes { leaves: undone, holders, ..Changes::default() })
    }

    fn change(&mut self, changes: &Changes) -> Result<(), StoreError> {
        for change in &changes.leaves {
            // What is folded has not been changed: it is as the database has it.
            if let Some(fold) = self.tree.find_fold(&change.key).copied() {
                put_back(&mut self.tree, &fold, self.shared.leaves_of(&self.tx, &fold)?)?;
            }
        }
        self.tree.apply(&changes.updates());
        self.leaves.extend(changes.leaves.iter().map(|change| (change.key, change.new)));
        self.code.extend(changes.code.iter().cloned());
        self.holders.extend(changes.holders.iter().copied());
        Ok(())
    }

    /// Makes the changes and returns the root that they lead to.
    pub fn apply(&mut self, changes: &BundleState) -> Result<B256, StoreError> {
        let changes = Changes::of_bundle(changes, self)?;
        self.change(&changes)?;
        Ok(self.root())
    }

    /// Returns the root of the state as it is now.
    pub fn root(&self) -> B256 {
        self.tree.root()
    }
}

impl Before for Scratch {
    type Error = StoreError;

    fn hash(&self) -> HashFunction {
        self.shared.hash
    }

    fn leaf(&self, key: &Key) -> Result<Option<Value>, StoreError> {
        match self.leaves.get(key) {
            Some(value) => Ok(*value),
            None => self.shared.leaf(&self.tx, key),
        }
    }

    fn keys_from(&self, prefix: &[u8]) -> Result<Vec<Key>, StoreError> {
        keys_below(&self.tree, prefix, |fold| self.shared.leaves_of(&self.tx, fold))
    }

    fn code(&self, code_hash: B256) -> Result<Option<Bytes>, StoreError> {
        if let Some(code) = self.code.get(&code_hash) {
            return Ok(Some(code.clone()));
        }
        match (self.shared.code(&self.tx, code_hash)?, &self.origin.forked) {
            (None, Some(forked)) => Ok(Some(forked.code_by_hash_ref(code_hash)?.original_bytes())),
            (code, _) => Ok(code),
        }
    }

    fn holder_count(&self, holding: &Holding<'_>) -> Result<u64, StoreError> {
        let code_hash = holding.code_hash;
        match self.holders.get(&code_hash) {
            Some(count) => Ok(*count),
            None => self.shared.holder_count(&self.tx, code_hash),
        }
    }

    fn is_forked(&self) -> bool {
        self.origin.forked.is_some()
    }
}
