//! The state at the head as the sequencer changes it: the tree, and what is not committed yet.

use crate::{
    Snapshot, StoreError,
    codec::{BLOCK_PART, HistoryKey},
    commit,
    database::{Read, Write},
    folds::{FoldRows, Saved},
    forked::{ForkPoint, Origin},
    merkle::Merkle,
    store::{self, Shared},
};
use alloy_primitives::{
    Address, B256, Bytes, U256, keccak256,
    map::{HashMap, HashSet},
};
use genesis::Genesis;
use parking_lot::Mutex;
use revm::{DatabaseRef, bytecode::Bytecode, database::BundleState, state::AccountInfo};
use state::{Before, Changes, Draft, Holding, LeafChange, StateTree};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, atomic::Ordering},
};
use tree::{HashFunction, Key, Stem, Update, Value};

/// Committed leaves that are kept in the overlay as a cache before they are swept out.
const OVERLAY_LEN_MAX: usize = 1 << 16;

/// A leaf's change in one part of a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PartChange {
    pub(crate) key: Key,
    pub(crate) old: Option<Value>,
    pub(crate) new: Option<Value>,
    /// Whether the history row of this block is written with it.
    pub(crate) first: bool,
}

/// A change of the state by one block or edit, with everything that its commit writes.
#[derive(Debug, Clone)]
pub struct StateDelta {
    /// Order in which the writer made it, from 1.
    pub(crate) sequence: u64,
    pub(crate) number: u64,
    pub(crate) part: u32,
    pub(crate) root_before: B256,
    pub(crate) root: B256,
    pub(crate) leaves: Vec<PartChange>,
    pub(crate) addresses: Vec<(Stem, Address)>,
    pub(crate) slot_groups: Vec<(B256, (Address, U256))>,
    pub(crate) code: Vec<(B256, Bytes)>,
    pub(crate) holders: Vec<(B256, u64)>,
    /// The Merkle trie after the change, where one is kept.
    pub(crate) merkle: Option<Merkle>,
    /// What is written of the tree itself, if it was time to.
    pub(crate) folds: FoldRows,
}

impl StateDelta {
    /// Returns the root of the binary tree after the change.
    pub const fn root(&self) -> B256 {
        self.root
    }

    /// Returns the state root that a header has after the change: the Merkle trie's, where one is
    /// kept, and that of the binary tree where none is.
    pub fn state_root(&self) -> B256 {
        self.merkle.as_ref().map_or(self.root, Merkle::root)
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
    pub(crate) origin: Arc<Origin>,
    /// Shared with those who copy it ([`crate::Frozen`]).
    pub(crate) tree: Arc<StateTree>,
    pub(crate) head: Mark,
    /// The newest change made.
    pub(crate) sequence: u64,
    /// Leaves that edits have changed since the head, as far as they were made here.
    edited: HashSet<Key>,
    /// Whether there were edits before those: which leaves they changed the history tells.
    edited_before: bool,
    /// The state as a Merkle trie, on a chain whose headers need one.
    pub(crate) merkle: Option<Merkle>,
    /// What of the tree the database holds.
    pub(crate) saved: Saved,
    overlay: Overlay,
    /// The newest committed change when the overlay was last swept.
    swept: u64,
    /// Whether a chain begins: what the tables hold is another one's.
    begins: bool,
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
    pub(crate) fn new(shared: Arc<Shared>, origin: Arc<Origin>, head: Mark) -> Self {
        Self {
            tree: Arc::new(shared.empty_tree()),
            shared,
            origin,
            head,
            sequence: 0,
            edited: HashSet::default(),
            edited_before: false,
            merkle: None,
            saved: Saved::default(),
            overlay: Overlay::default(),
            swept: 0,
            begins: false,
            base: Mutex::new(None),
        }
    }

    /// Makes the writer of a store that is there, with its tree, whose root is checked.
    pub(crate) fn load(shared: Arc<Shared>) -> Result<Self, StoreError> {
        let tx = shared.database.read_apart()?;
        let head = shared.head(&tx)?;
        let origin = shared.origin.read().clone();
        let mark = Mark { number: head.number, edits: head.edits };
        let mut writer = Self::new(shared.clone(), origin, mark);
        let (tree, saved) = shared.load_tree(&tx, &head)?;
        (writer.tree, writer.saved) = (Arc::new(tree), saved);
        writer.begin_at(mark);
        writer.load_merkle()?;
        Ok(writer)
    }

    /// Makes the Merkle trie anew, if the chain's headers need one, and checks its root.
    pub(crate) fn load_merkle(&mut self) -> Result<(), StoreError> {
        if !self.origin.merkle {
            return Ok(());
        }
        let snapshot = Snapshot::live(self.shared.clone())?;
        let merkle = Merkle::of_snapshot(&snapshot)?;
        let header = snapshot.header(self.head.number)?;
        let is_own = self.head.edits == 0 && !snapshot.is_loaded(self.head.number)?;
        if let Some(header) = header.filter(|_| is_own)
            && header.state_root != merkle.root()
        {
            let (recorded, rebuilt) = (header.state_root, merkle.root());
            return Err(StoreError::RootMismatch { recorded, rebuilt });
        }
        self.shared.merkles.put_newest(self.root(), merkle.clone());
        self.merkle = Some(merkle);
        Ok(())
    }

    /// Takes note that the state is at `mark`, whose edits are in the database.
    pub(crate) fn begin_at(&mut self, mark: Mark) {
        self.head = mark;
        self.edited.clear();
        self.edited_before = mark.edits > 0;
    }

    /// Whether an edit since the head has changed a leaf: then its history row is there already.
    fn is_edited(&self, key: &Key, number: u64) -> Result<bool, StoreError> {
        if self.edited.contains(key) || !self.edited_before {
            return Ok(self.edited.contains(key));
        }
        let row = HistoryKey::new(key, number);
        self.base(|tx| Ok(tx.value(self.shared.tables.history, row.as_slice())?.is_some()))
    }

    /// Forgets the whole chain and begins another one in its place, durably, in a database
    /// transaction of its own; everything must be committed.
    ///
    /// When it fails the store is to be opened anew: the database is as it was, the writer is not.
    pub fn restart(
        &mut self,
        genesis: &Genesis,
        point: Option<&ForkPoint>,
    ) -> Result<(), StoreError> {
        self.forget(Origin::new(genesis, point))?;
        let shared = self.shared.clone();
        let block = store::first_block(genesis, point)?;
        let delta = self.genesis_delta(genesis)?;
        if point.is_none() {
            commit::check_root(block.header.state_root, delta.state_root())?;
        }
        let tx = shared.database.write()?;
        shared.clear(&tx, false)?;
        shared.commit_genesis(&block, &delta, &tx)?;
        self.begun(tx)
    }

    /// Forgets the chain, to begin another one.
    pub(crate) fn forget(&mut self, origin: Origin) -> Result<(), StoreError> {
        let pending = self.pending();
        if pending > 0 {
            return Err(StoreError::Uncommitted { pending });
        }
        let (sequence, mark) = (self.sequence, Mark { number: origin.first, edits: 0 });
        *self = Self::new(self.shared.clone(), Arc::new(origin), mark);
        (self.sequence, self.begins) = (sequence, true);
        Ok(())
    }

    /// Commits the beginning of another chain.
    pub(crate) fn begun(&mut self, tx: Write) -> Result<(), StoreError> {
        let shared = self.shared.clone();
        // Whoever reads sees the old chain with its origin or the new one with its own.
        let mut now = shared.origin.write();
        tx.commit().map_err(|error| shared.explain(error.into()))?;
        *now = self.origin.clone();
        drop(now);
        if let Some(merkle) = &self.merkle {
            shared.merkles.put_newest(self.root(), merkle.clone());
        }
        self.begins = false;
        shared.committed.fetch_max(self.sequence, Ordering::AcqRel);
        shared.commits.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    pub(crate) fn genesis_delta(
        &mut self,
        genesis: &Genesis,
    ) -> Result<Box<StateDelta>, StoreError> {
        let mut draft = Draft::new(self.shared.hash, self.is_forked());
        for (address, account) in &genesis.alloc {
            let info = AccountInfo {
                nonce: account.nonce,
                balance: account.balance,
                code_hash: keccak256(&account.code),
                ..Default::default()
            };
            draft.set_account(*address, &info, Some(account.code.clone()), self)?;
            for (slot, value) in &account.storage {
                draft.set_slot(*address, (*slot).into(), (*value).into());
            }
        }
        let changes = draft.finish(self)?;
        let mut delta = self.apply_changes(changes, genesis.number, BLOCK_PART)?;
        if self.origin.merkle {
            self.merkle = Some(Merkle::of_genesis(genesis));
            delta.merkle = self.merkle.clone();
        }
        Ok(delta)
    }

    /// Applies the changes of block `number`, the one after the head.
    pub fn apply(
        &mut self,
        number: u64,
        changes: &BundleState,
    ) -> Result<Box<StateDelta>, StoreError> {
        self.begin_block(number)?;
        let leaves = Changes::of_bundle(changes, self)?;
        let mut delta = self.apply_changes(leaves, number, BLOCK_PART)?;
        delta.merkle = self.change_merkle(changes);
        self.begin_at(Mark { number, edits: 0 });
        Ok(delta)
    }

    /// Does what [`Writer::apply`] does for a block that changes nothing but slots of contracts that
    /// are there, on a chain that is not forked and keeps no Merkle trie.
    pub fn apply_slots(
        &mut self,
        number: u64,
        slots: impl IntoIterator<Item = ((Address, U256), U256)>,
    ) -> Result<Box<StateDelta>, StoreError> {
        self.begin_block(number)?;
        let mut draft = Draft::new(self.shared.hash, self.is_forked());
        slots.into_iter().for_each(|((at, slot), value)| draft.set_slot(at, slot, value));
        let delta = self.apply_changes(draft.finish(self)?, number, BLOCK_PART)?;
        self.begin_at(Mark { number, edits: 0 });
        Ok(delta)
    }

    fn begin_block(&mut self, number: u64) -> Result<(), StoreError> {
        let expected = self.head.number + 1;
        if number != expected {
            return Err(StoreError::OutOfOrder { expected, given: number });
        }
        self.sweep();
        Ok(())
    }

    /// Takes back the newest change, which was a block's, on a state without edits: the block
    /// turned out to be wrong. `merkle` is what [`Writer::merkle`] gave before it.
    pub fn take_back(&mut self, delta: &StateDelta, merkle: Option<Merkle>) {
        let back = |change: &PartChange| Update { key: change.key, value: change.old };
        let updates: Vec<_> = delta.leaves.iter().map(back).collect();
        Arc::make_mut(&mut self.tree).apply(&updates);
        self.sequence -= 1;
        self.overlay.take_back(delta, self.sequence);
        if delta.folds.is_some() {
            self.saved.forget();
        }
        self.head = Mark { number: delta.number - 1, edits: 0 };
        self.merkle = merkle;
    }

    /// Returns the state as a Merkle trie, on a chain whose headers need one.
    pub const fn merkle(&self) -> Option<&Merkle> {
        self.merkle.as_ref()
    }

    fn change_merkle(&mut self, changes: &BundleState) -> Option<Merkle> {
        let merkle = self.merkle.as_mut()?;
        merkle.apply(changes);
        Some(merkle.clone())
    }

    /// Applies a change between two blocks; it belongs to the history of the next one.
    pub fn edit(&mut self, changes: &BundleState) -> Result<Box<StateDelta>, StoreError> {
        self.sweep();
        let leaves = Changes::of_bundle(changes, self)?;
        let mut delta = self.apply_changes(leaves, self.head.number + 1, self.head.edits)?;
        delta.merkle = self.change_merkle(changes);
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

    /// Applies changed leaves to the tree and returns what a commit has to write.
    pub(crate) fn apply_changes(
        &mut self,
        changes: Changes,
        number: u64,
        part: u32,
    ) -> Result<Box<StateDelta>, StoreError> {
        let root_before = self.tree.root();
        let part_change = |&LeafChange { key, old, new }: &LeafChange| {
            Ok(PartChange { key, old, new, first: !self.is_edited(&key, number)? })
        };
        let leaves = changes.leaves.iter().map(part_change);
        let leaves = leaves.collect::<Result<Vec<_>, StoreError>>()?;
        self.unfold(changes.leaves.iter().map(|change| &change.key))?;
        let root = Arc::make_mut(&mut self.tree).apply(&changes.updates());
        self.sequence += 1;
        let mut delta = Box::new(StateDelta {
            sequence: self.sequence,
            number,
            part,
            root_before,
            root,
            leaves,
            addresses: new_addresses(&changes, self.origin.forked.is_some()),
            slot_groups: new_slot_groups(&changes),
            code: changes.code,
            holders: changes.holders,
            merkle: None,
            folds: None,
        });
        self.overlay.add(&delta);
        delta.folds = self.save_folds(delta.leaves.len());
        Ok(delta)
    }

    fn find_code(&self, code_hash: B256) -> Result<Option<Bytes>, StoreError> {
        if let Some((code, _)) = self.overlay.code.get(&code_hash) {
            return Ok(Some(code.clone()));
        }
        let code = self.base(|tx| self.shared.code(tx, code_hash))?;
        match (code, &self.origin.forked) {
            (None, Some(forked)) => Ok(Some(forked.code_by_hash_ref(code_hash)?.original_bytes())),
            (code, _) => Ok(code),
        }
    }

    /// Reads under the overlay. The transaction is renewed after every commit, so that it never
    /// keeps more than one commit's old pages; the overlay holds whatever is newer.
    pub(crate) fn base<T>(
        &self,
        read: impl FnOnce(&Read) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let commits = self.shared.commits.load(Ordering::Acquire);
        let mut base = self.base.lock();
        if base.as_ref().is_none_or(|(at, _)| *at != commits) {
            *base = None;
        }
        let (_, tx) = match &mut *base {
            Some(open) => open,
            None => base.insert((commits, self.shared.database.read_apart()?)),
        };
        read(tx)
    }

    /// Forgets what the database has, when there is much of it.
    fn sweep(&mut self) {
        let committed = self.shared.committed.load(Ordering::Acquire);
        if committed != self.swept {
            self.swept = committed;
            self.overlay.sweep(committed);
            self.shrink(committed);
            // It may have begun before what the overlay has no longer.
            *self.base.lock() = None;
        }
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

    /// Makes the values those from before `delta`, as of the change with this sequence.
    fn take_back(&mut self, delta: &StateDelta, sequence: u64) {
        let old = delta.leaves.iter().map(|change| (change.key, (change.old, sequence)));
        self.leaves.extend(old);
        let changes: Vec<_> = delta
            .leaves
            .iter()
            .map(|change| LeafChange { key: change.key, old: change.old, new: change.new })
            .collect();
        let by = state::holder_changes(&changes);
        self.holders.extend(delta.holders.iter().map(|(hash, count)| {
            let by = by.get(hash).copied().unwrap_or_default();
            (*hash, (count.saturating_add_signed(-by), sequence))
        }));
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

fn new_addresses(changes: &Changes, is_forked: bool) -> Vec<(Stem, Address)> {
    let new = changes.leaves.iter().filter(|change| {
        let sub = change.key.sub();
        let names_account = sub == tree::sub::CODE_HASH || sub == tree::sub::DELEGATION;
        // On a forked chain an account may have slots here and its header elsewhere.
        let in_header = names_account && change.key.zone() == tree::HEADER_ZONE;
        change.old.is_none() && (in_header || is_forked)
    });
    let mut addresses: Vec<_> = new
        .filter_map(|change| changes.addresses.get_key_value(&change.key.stem()?))
        .map(|(stem, address)| (*stem, *address))
        .collect();
    addresses.dedup();
    addresses
}

fn new_slot_groups(changes: &Changes) -> Vec<(B256, (Address, U256))> {
    let new = changes.leaves.iter().filter(|change| change.old.is_none());
    let mut groups: Vec<_> = new
        .filter_map(|change| changes.slot_groups.get_key_value(&change.key.slot_group()?))
        .map(|(hash, group)| (*hash, *group))
        .collect();
    groups.dedup();
    groups
}

impl Before for Writer {
    type Error = StoreError;

    fn hash(&self) -> HashFunction {
        self.shared.hash
    }

    fn leaf(&self, key: &Key) -> Result<Option<Value>, StoreError> {
        if let Some((value, _)) = self.overlay.leaves.get(key) {
            return Ok(*value);
        }
        if self.begins {
            return Ok(None);
        }
        self.base(|tx| self.shared.leaf(tx, key))
    }

    fn keys_from(&self, prefix: &[u8]) -> Result<Vec<Key>, StoreError> {
        self.keys_below(prefix)
    }

    fn code(&self, code_hash: B256) -> Result<Option<Bytes>, StoreError> {
        self.find_code(code_hash)
    }

    fn holder_count(&self, holding: &Holding<'_>) -> Result<u64, StoreError> {
        let code_hash = holding.code_hash;
        if let Some((count, _)) = self.overlay.holders.get(&code_hash) {
            return Ok(*count);
        }
        if self.begins {
            return Ok(0);
        }
        self.base(|tx| self.shared.holder_count(tx, code_hash))
    }

    fn is_forked(&self) -> bool {
        self.origin.forked.is_some()
    }
}

impl DatabaseRef for Writer {
    type Error = StoreError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StoreError> {
        let stem = Stem::of(self.shared.hash, address);
        self.origin.account(address, state::local_account(stem, |key| self.leaf(key))?)
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, StoreError> {
        if let Some(code) = self.shared.code_cache.find(code_hash) {
            return Ok(code);
        }
        let code = self.find_code(code_hash)?.ok_or(StoreError::MissingCode { code_hash })?;
        let code = state::bytecode(code);
        self.shared.code_cache.insert(code_hash, code.clone());
        Ok(code)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StoreError> {
        self.origin.slot(self.shared.hash, (address, slot), |key| self.leaf(key))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StoreError> {
        if let Some(hash) = self.overlay.hashes.get(&number) {
            return Ok(*hash);
        }
        let hash = self.base(|tx| self.shared.block_hash(tx, number))?;
        match (hash, &self.origin.forked) {
            (Some(hash), _) => Ok(hash),
            (None, Some(forked)) if number < self.origin.first => forked.block_hash_ref(number),
            (None, _) => Ok(B256::ZERO),
        }
    }
}
