//! The state at the head as the sequencer changes it: the tree, and what is not committed yet.

use crate::{
    StoreError,
    changes::{self, Draft, LeafChange},
    codec::{self, BLOCK_PART},
    mdbx::Read,
    state::{self, StateTree},
    store::Shared,
};
use alloy_primitives::{Address, B256, Bytes, U256};
use parking_lot::Mutex;
use revm::{DatabaseRef, bytecode::Bytecode, database::BundleState, state::AccountInfo};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    sync::{Arc, atomic::Ordering},
};
use tree::{Key, Stem, Update, Value};

/// Committed leaves that are kept in the overlay as a cache before they are swept out.
const OVERLAY_LEN_MAX: usize = 1 << 16;
/// Leaves that are fed to the tree at a time when it is rebuilt.
const REBUILD_BATCH: usize = 1 << 14;

/// A change of the state by one block or edit, with everything that its commit writes.
#[derive(Debug, Clone)]
pub struct StateDelta {
    /// Order in which the writer made it, from 1.
    pub(crate) sequence: u64,
    pub(crate) number: u64,
    pub(crate) part: u32,
    pub(crate) root_before: B256,
    pub(crate) root: B256,
    pub(crate) leaves: Vec<LeafChange>,
    pub(crate) addresses: Vec<(Stem, Address)>,
    pub(crate) slot_groups: Vec<(B256, (Address, U256))>,
    pub(crate) code: Vec<(B256, Bytes)>,
    pub(crate) holders: Vec<(B256, u64)>,
}

impl StateDelta {
    /// Returns the state root after the change.
    pub const fn root(&self) -> B256 {
        self.root
    }

    /// Returns how many leaves change.
    pub const fn leaf_count(&self) -> usize {
        self.leaves.len()
    }
}

/// A state to go back to: after block `number` and the first `edits` edits made on top of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The block.
    pub number: u64,
    /// How many edits of the next block are kept.
    pub edits: u32,
}

/// The head state; owned by the thread that executes blocks.
pub struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) tree: StateTree,
    pub(crate) head: Mark,
    /// The newest change made.
    pub(crate) sequence: u64,
    /// Leaves that edits have changed since the head: their history rows are there already.
    pub(crate) edited: HashSet<Key>,
    overlay: Overlay,
    /// A read transaction under the overlay, and how many commits there were at its start.
    base: Mutex<Option<(u64, Read)>>,
}

/// The newest values, whether committed or not; each with the sequence of its change.
#[derive(Default)]
struct Overlay {
    leaves: HashMap<Key, (Option<Value>, u64)>,
    code: HashMap<B256, (Bytes, u64)>,
    holders: HashMap<B256, (u64, u64)>,
    hashes: BTreeMap<u64, B256>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("head", &self.head).finish_non_exhaustive()
    }
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, head: Mark) -> Self {
        Self {
            shared,
            tree: StateTree::new(),
            head,
            sequence: 0,
            edited: HashSet::new(),
            overlay: Overlay::default(),
            base: Mutex::new(None),
        }
    }

    /// Makes the writer of a store that is there: rebuilds the tree and checks its root.
    pub(crate) fn load(shared: Arc<Shared>) -> Result<Self, StoreError> {
        let tx = shared.env.read()?;
        let head = shared.head(&tx)?;
        let mut writer = Self::new(shared.clone(), Mark { number: head.number, edits: head.edits });
        let mut rows = tx.cursor(shared.tables.leaves)?;
        let mut batch = Vec::with_capacity(REBUILD_BATCH);
        while let Some((key, value)) = rows.next()? {
            let bad_row = || shared.bad_row(shared.tables.leaves, &key);
            let value = codec::read_word(&value).ok_or_else(bad_row)?;
            let key = Key::parse(&key).filter(|parsed| parsed.as_slice() == &*key);
            batch.push(Update { key: key.ok_or_else(bad_row)?, value: Some(value) });
            if batch.len() == REBUILD_BATCH {
                writer.tree.apply(&batch);
                batch.clear();
            }
        }
        let rebuilt = writer.tree.apply(&batch);
        if rebuilt != head.root {
            return Err(StoreError::RootMismatch { recorded: head.root, rebuilt });
        }
        writer.load_edited(&tx)?;
        Ok(writer)
    }

    /// Reads which leaves the pending edits have changed.
    pub(crate) fn load_edited(&mut self, tx: &Read) -> Result<(), StoreError> {
        self.edited.clear();
        for part in 0..self.head.edits {
            let row = self.shared.change_row(tx, self.head.number + 1, part)?;
            self.edited.extend(row.leaves.iter().map(|leaf| leaf.key));
        }
        Ok(())
    }

    /// Applies the changes of block `number`, the one after the head.
    pub fn apply(&mut self, number: u64, changes: &BundleState) -> Result<StateDelta, StoreError> {
        let expected = self.head.number + 1;
        if number != expected {
            return Err(StoreError::OutOfOrder { expected, given: number });
        }
        self.sweep();
        let draft = Draft::of_bundle(changes, self)?;
        let delta = self.apply_draft(draft, number, BLOCK_PART)?;
        self.head = Mark { number, edits: 0 };
        self.edited.clear();
        Ok(delta)
    }

    /// Applies a change between two blocks; it belongs to the history of the next one.
    pub fn edit(&mut self, changes: &BundleState) -> Result<StateDelta, StoreError> {
        self.sweep();
        let draft = Draft::of_bundle(changes, self)?;
        let delta = self.apply_draft(draft, self.head.number + 1, self.head.edits)?;
        self.head.edits += 1;
        self.edited.extend(delta.leaves.iter().map(|change| change.key));
        Ok(delta)
    }

    /// Tells the hash of a block that was applied, for BLOCKHASH.
    pub fn sealed(&mut self, number: u64, hash: B256) {
        self.overlay.hashes.insert(number, hash);
    }

    /// Returns the root of the state, edits included.
    pub fn root(&self) -> B256 {
        self.tree.root()
    }

    /// Returns how many leaves the state has.
    pub fn leaf_count(&self) -> usize {
        self.tree.leaf_count()
    }

    /// Returns where the head is, to come back to with [`Writer::unwind`].
    pub const fn mark(&self) -> Mark {
        self.head
    }

    /// Turns collected changes into new leaves, a new root and what a commit has to write.
    pub(crate) fn apply_draft(
        &mut self,
        mut draft: Draft,
        number: u64,
        part: u32,
    ) -> Result<StateDelta, StoreError> {
        let mut leaves = draft.take_changes(self)?;
        let holders = self.count_holders(&leaves, &mut draft)?;
        let chunks = draft.take_changes(self)?;
        if !chunks.is_empty() {
            leaves.extend(chunks);
            leaves.sort_unstable_by_key(|change| change.key);
        }
        for change in &mut leaves {
            change.first = !self.edited.contains(&change.key);
        }
        let updates: Vec<_> =
            leaves.iter().map(|change| Update { key: change.key, value: change.new }).collect();
        let root_before = self.tree.root();
        let root = self.tree.apply(&updates);
        self.sequence += 1;
        let sequence = self.sequence;
        let new_code = holders.iter().filter_map(|(hash, _)| draft.code.remove_entry(hash));
        let delta = StateDelta {
            sequence,
            number,
            part,
            root_before,
            root,
            code: new_code.collect(),
            addresses: new_addresses(&leaves, &draft),
            slot_groups: new_slot_groups(&leaves, &draft),
            leaves,
            holders,
        };
        self.overlay.add(&delta);
        Ok(delta)
    }

    /// Counts the holders of code anew and adds the chunks that come or go with that.
    fn count_holders(
        &self,
        leaves: &[LeafChange],
        draft: &mut Draft,
    ) -> Result<Vec<(B256, u64)>, StoreError> {
        let mut holders = Vec::new();
        for (code_hash, by) in changes::holder_changes(leaves) {
            let count = self.holder_count(code_hash)?;
            let new_count = count.saturating_add_signed(by);
            if (count == 0) != (new_count == 0) {
                let code = match draft.code.get(&code_hash) {
                    Some(code) => code.clone(),
                    None => self.load_code(code_hash)?,
                };
                if count == 0 {
                    draft.add_code(code_hash, &code);
                } else {
                    draft.remove_code(code_hash, &code);
                }
            }
            holders.push((code_hash, new_count));
        }
        Ok(holders)
    }

    /// Returns a leaf.
    pub(crate) fn leaf(&self, key: &Key) -> Result<Option<Value>, StoreError> {
        if let Some((value, _)) = self.overlay.leaves.get(key) {
            return Ok(*value);
        }
        self.base(|tx| self.shared.leaf(tx, key))
    }

    /// Returns the size of code that some account holds, or held.
    pub(crate) fn code_size(&self, code_hash: B256) -> Result<Option<usize>, StoreError> {
        match self.load_code(code_hash) {
            Ok(code) => Ok(Some(code.len())),
            Err(StoreError::MissingCode { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn holder_count(&self, code_hash: B256) -> Result<u64, StoreError> {
        if let Some((count, _)) = self.overlay.holders.get(&code_hash) {
            return Ok(*count);
        }
        self.base(|tx| self.shared.holder_count(tx, code_hash))
    }

    fn load_code(&self, code_hash: B256) -> Result<Bytes, StoreError> {
        if let Some((code, _)) = self.overlay.code.get(&code_hash) {
            return Ok(code.clone());
        }
        let code = self.base(|tx| self.shared.code(tx, code_hash))?;
        code.ok_or(StoreError::MissingCode { code_hash })
    }

    /// Reads under the overlay. The transaction is renewed after every commit, so that it never
    /// keeps more than one commit's old pages; the overlay holds whatever is newer.
    fn base<T>(&self, read: impl FnOnce(&Read) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let commits = self.shared.commits.load(Ordering::Acquire);
        let mut base = self.base.lock();
        if base.as_ref().is_none_or(|(at, _)| *at != commits) {
            *base = None;
        }
        let (_, tx) = match &mut *base {
            Some(open) => open,
            None => base.insert((commits, self.shared.env.read()?)),
        };
        read(tx)
    }

    /// Forgets what the database has, when there is much of it.
    fn sweep(&mut self) {
        let committed = self.shared.committed.load(Ordering::Acquire);
        self.overlay.sweep(committed);
        *self.base.lock() = None;
    }

    /// Returns how many changes are not committed.
    pub(crate) fn pending(&self) -> u64 {
        self.sequence - self.shared.committed.load(Ordering::Acquire)
    }

    /// Forgets everything that the database has; nothing is pending.
    pub(crate) fn forget_overlay(&mut self) {
        self.overlay = Overlay::default();
        *self.base.lock() = None;
    }
}

impl Overlay {
    fn add(&mut self, delta: &StateDelta) {
        let sequence = delta.sequence;
        self.leaves.extend(delta.leaves.iter().map(|change| (change.key, (change.new, sequence))));
        self.code.extend(delta.code.iter().map(|(hash, code)| (*hash, (code.clone(), sequence))));
        self.holders.extend(delta.holders.iter().map(|(hash, count)| (*hash, (*count, sequence))));
    }

    fn sweep(&mut self, committed: u64) {
        if self.leaves.len() > OVERLAY_LEN_MAX {
            self.leaves.retain(|_, (_, sequence)| *sequence > committed);
        }
        if !self.code.is_empty() {
            self.code.retain(|_, (_, sequence)| *sequence > committed);
        }
        if !self.holders.is_empty() {
            self.holders.retain(|_, (_, sequence)| *sequence > committed);
        }
        while self.hashes.len() > 256 {
            self.hashes.pop_first();
        }
    }
}

fn new_addresses(leaves: &[LeafChange], draft: &Draft) -> Vec<(Stem, Address)> {
    let new = leaves.iter().filter(|change| {
        let sub = change.key.sub();
        let names_account = sub == tree::sub::CODE_HASH || sub == tree::sub::DELEGATION;
        change.old.is_none() && names_account && change.key.zone() == tree::HEADER_ZONE
    });
    new.filter_map(|change| draft.addresses.get_key_value(&change.key.stem()?))
        .map(|(stem, address)| (*stem, *address))
        .collect()
}

fn new_slot_groups(leaves: &[LeafChange], draft: &Draft) -> Vec<(B256, (Address, U256))> {
    let new = leaves.iter().filter(|change| change.old.is_none());
    let mut groups: Vec<_> = new
        .filter_map(|change| draft.slot_groups.get_key_value(&change.key.slot_group()?))
        .map(|(hash, group)| (*hash, *group))
        .collect();
    groups.dedup();
    groups
}

impl DatabaseRef for Writer {
    type Error = StoreError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StoreError> {
        state::account(state::stem(address), |key| self.leaf(key))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, StoreError> {
        if let Some(code) = self.shared.code_cache.find(code_hash) {
            return Ok(code);
        }
        let code = state::bytecode(self.load_code(code_hash)?);
        self.shared.code_cache.insert(code_hash, code.clone());
        Ok(code)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StoreError> {
        let value = self.leaf(&state::slot_key(address, slot))?;
        Ok(value.unwrap_or_default().into())
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StoreError> {
        if let Some(hash) = self.overlay.hashes.get(&number) {
            return Ok(*hash);
        }
        self.base(|tx| Ok(self.shared.block_hash(tx, number)?.unwrap_or_default()))
    }
}
