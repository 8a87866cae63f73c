//! The tree at older blocks, for proofs and witnesses.
//!
//! A tree in memory is at one block; the leaves that the blocks after it have changed are in the
//! tables. So there is a second tree beside the writer's: it is made of the leaves when a proof is
//! asked for the first time, and then goes from block to block by what they changed, back and
//! forth. Readers take turns at it, and hold up nobody else.

use crate::{
    Snapshot, Store, StoreError,
    codec::{self, BLOCK_PART, ChangeRow},
    folds::put_back,
    store::Shared,
};
use alloy_primitives::{Address, B256, U256};
use parking_lot::Mutex;
use state::StateTree;
use std::collections::{BTreeMap, BTreeSet};
use tree::{HashFunction, Key, PartialTree, ProvenAccount, Stem, Update, Value, Wanted};

/// Blocks that the tree goes by at a time.
const STEP_BLOCKS: u64 = 1 << 10;
/// Changes that the tree goes by for one request.
const CHANGES_MAX: usize = 1 << 22;

/// Where the tree is, if it was asked for.
pub(crate) type PastTree = Mutex<Option<Place>>;

/// A tree at a block.
#[derive(Debug)]
pub(crate) struct Place {
    tree: StateTree,
    number: u64,
    hash: B256,
}

/// A part of the state after a block, and the state's root.
#[derive(Debug, Clone)]
pub struct StatePart {
    /// The root of the whole state.
    pub root: B256,
    /// The part.
    pub tree: PartialTree,
    /// The hash of the tree.
    pub hash: HashFunction,
}

/// An account with the proof of it and of some of its slots.
#[derive(Debug, Clone)]
pub struct AccountProof {
    /// The root that the proofs of slots start from: the state's, or in a Merkle trie that of the
    /// account's storage.
    pub root: B256,
    /// The account.
    pub address: Address,
    /// What is proven of it, `None` if there is no such account.
    pub account: Option<ProvenAccount>,
    /// The nodes, see [`tree::verify_account`]; in a Merkle trie those of EIP-1186.
    pub proof: Vec<Vec<u8>>,
    /// The slots, in the order in which they were asked for.
    pub slots: Vec<SlotProof>,
}

/// A slot with its proof.
#[derive(Debug, Clone)]
pub struct SlotProof {
    /// The slot.
    pub slot: U256,
    /// Its value, zero if there is no leaf.
    pub value: U256,
    /// The nodes, see [`tree::verify_slot`].
    pub proof: Vec<Vec<u8>>,
}

impl Store {
    /// Returns the part of the state after a block that shows the leaves at `wanted`. Edits made
    /// since the block do not count: they are in no header yet.
    ///
    /// It costs time in proportion to what was changed between the block and the one that was asked
    /// for before; the first time, to the size of the state.
    pub fn state_part(&self, number: u64, wanted: &[Wanted]) -> Result<StatePart, StoreError> {
        let mut past = self.0.past.lock();
        // Taken under the lock: whoever moved the tree before has seen no newer block.
        let snapshot = Snapshot::sealed(self.0.clone(), number)?;
        if snapshot.origin.forked.is_some() {
            return Err(StoreError::Unprovable);
        }
        let place = Place::reach(&mut past, &snapshot, number)?;
        let mut load = |key: &Key| {
            let value = snapshot.leaf(key)?;
            value.ok_or_else(|| self.0.bad_row(self.0.tables.leaves, key.as_slice()))
        };
        place.unfold(&snapshot, wanted.iter().map(|wanted| &wanted.key))?;
        let tree = place.tree.reveal(wanted, &mut load)?;
        let root = place.tree.root();
        place.shrink(&self.0);
        Ok(StatePart { root, tree, hash: self.0.hash })
    }

    /// Returns accounts and slots as they are after a block, with proofs: of the Merkle trie where
    /// headers hold its root.
    pub fn prove(
        &self,
        number: u64,
        targets: &[(Address, Vec<U256>)],
    ) -> Result<Vec<AccountProof>, StoreError> {
        if self.0.origin.read().merkle {
            return self.prove_in_trie(number, targets);
        }
        let hash = self.0.hash;
        let mut keys = BTreeSet::new();
        for (address, slots) in targets {
            keys.extend(tree::account_keys(hash, *address));
            keys.extend(slots.iter().map(|slot| state::slot_key(hash, *address, *slot)));
        }
        let wanted: Vec<_> = keys.into_iter().map(|key| Wanted { key, removed: false }).collect();
        let part = self.state_part(number, &wanted)?;
        targets.iter().map(|(address, slots)| part.prove(*address, slots)).collect()
    }
}

impl StatePart {
    fn prove(&self, address: Address, slots: &[U256]) -> Result<AccountProof, StoreError> {
        let proof = self.tree.prove(self.hash, &tree::account_keys(self.hash, address));
        // What is said of the account is what its proof says.
        let account = tree::verify_account(self.hash, self.root, address, &proof)?;
        let stem = Stem::of(self.hash, address);
        let slots = slots.iter().map(|slot| {
            let key = stem.slot(self.hash, address, *slot);
            let proof = self.tree.prove(self.hash, &[key]);
            let value = tree::verify_slot(self.hash, self.root, (address, *slot), &proof)?;
            Ok(SlotProof { slot: *slot, value, proof })
        });
        let slots = slots.collect::<Result<_, StoreError>>()?;
        Ok(AccountProof { root: self.root, address, account, proof, slots })
    }
}

impl Place {
    /// Takes the tree to a block, making it if it is not there or its block has gone.
    fn reach<'a>(
        past: &'a mut Option<Self>,
        snapshot: &Snapshot,
        number: u64,
    ) -> Result<&'a mut Self, StoreError> {
        let mut place = match past.take() {
            Some(place)
                if snapshot.hash(place.number)? == Some(place.hash)
                    && place.number >= snapshot.oldest_state()? =>
            {
                place
            }
            _ => Self::make(snapshot)?,
        };
        match place.go(snapshot, number) {
            // Not to be used again: whatever is wrong, the next one starts from the leaves.
            Err(error @ (StoreError::RootMismatch { .. } | StoreError::Leaves(_))) => Err(error),
            outcome => {
                let place = past.insert(place);
                outcome.map(|()| place)
            }
        }
    }

    /// Has everything in memory that lies on the ways to these leaves.
    fn unfold<'a>(
        &mut self,
        snapshot: &Snapshot,
        keys: impl Iterator<Item = &'a Key>,
    ) -> Result<(), StoreError> {
        for key in keys {
            if let Some(fold) = self.tree.find_fold(key).copied() {
                put_back(&mut self.tree, &fold, snapshot.leaves_at(&fold, self.number)?)?;
            }
        }
        Ok(())
    }

    /// Keeps no more in memory than a part of what the writer does.
    fn shrink(&mut self, shared: &Shared) {
        if self.tree.unfolded_count() > shared.limits.leaves_max / 4 {
            let epoch = self.tree.next_epoch();
            self.tree.fold(epoch);
        }
    }

    fn go(&mut self, snapshot: &Snapshot, number: u64) -> Result<(), StoreError> {
        let mut changes = 0;
        while self.number != number {
            if changes > CHANGES_MAX {
                let (asked, reached) = (number, self.number);
                return Err(StoreError::FarBlock { asked, reached, limit: CHANGES_MAX });
            }
            changes += self.step(snapshot, number)?;
        }
        let (recorded, rebuilt) = (root_after(snapshot, number)?, self.tree.root());
        if recorded == rebuilt {
            Ok(())
        } else {
            Err(StoreError::RootMismatch { recorded, rebuilt })
        }
    }

    /// Makes the tree at the head, without the edits made since.
    fn make(snapshot: &Snapshot) -> Result<Self, StoreError> {
        let shared: &Shared = &snapshot.shared;
        let (mut tree, _) = shared.load_tree(&snapshot.tx, &snapshot.head)?;
        let number = snapshot.head();
        let old = old_values(snapshot, number + 1, number + 1)?;
        for key in old.keys() {
            if let Some(fold) = tree.find_fold(key).copied() {
                put_back(&mut tree, &fold, shared.leaves_of(&snapshot.tx, &fold)?)?;
            }
        }
        tree.apply(&updates(old));
        let hash = shared.block_hash(&snapshot.tx, number)?;
        let key = codec::number_key(number);
        let hash = hash.ok_or_else(|| shared.bad_row(shared.tables.headers, &key))?;
        Ok(Self { tree, number, hash })
    }

    /// Goes by some blocks towards `to`, and says how many changes that took.
    fn step(&mut self, snapshot: &Snapshot, to: u64) -> Result<usize, StoreError> {
        let (next, changed) = if to < self.number {
            let next = to.max(self.number.saturating_sub(STEP_BLOCKS));
            (next, old_values(snapshot, next + 1, self.number)?)
        } else {
            let next = to.min(self.number.saturating_add(STEP_BLOCKS));
            let mut changed = old_values(snapshot, self.number + 1, next)?;
            for (key, value) in &mut changed {
                *value = snapshot.leaf_at(key, next)?;
            }
            (next, changed)
        };
        let count = changed.len();
        self.unfold(snapshot, changed.keys())?;
        let hash = snapshot.hash(next)?.ok_or_else(|| snapshot.not_kept(next))?;
        self.tree.apply(&updates(changed));
        (self.number, self.hash) = (next, hash);
        Ok(count + 1)
    }
}

/// The root of the leaves after a block; a header that came from elsewhere may have another one.
fn root_after(snapshot: &Snapshot, number: u64) -> Result<B256, StoreError> {
    if number > snapshot.first() || snapshot.origin.merkle || snapshot.is_loaded(number)? {
        return Ok(snapshot.shared.change_row(&snapshot.tx, number, BLOCK_PART)?.root);
    }
    let header = snapshot.header(number)?.ok_or_else(|| snapshot.not_kept(number))?;
    Ok(header.state_root)
}

/// The leaves that some blocks and the edits before them changed, with their values before all that.
fn old_values(
    snapshot: &Snapshot,
    first: u64,
    last: u64,
) -> Result<BTreeMap<Key, Option<Value>>, StoreError> {
    let mut values = BTreeMap::new();
    let table = snapshot.shared.tables.changes;
    let mut rows = snapshot.tx.cursor(table)?;
    let mut row = rows.seek(&codec::pair_key(first, 0))?;
    let end = codec::pair_key(last, BLOCK_PART);
    while let Some((key, value)) = row.filter(|(key, _)| **key <= end[..]) {
        let change = ChangeRow::decode(&value);
        for leaf in change.ok_or_else(|| snapshot.shared.bad_row(table, &key))?.leaves {
            values.entry(leaf.key).or_insert(leaf.old);
        }
        row = rows.next()?;
    }
    Ok(values)
}

fn updates(values: BTreeMap<Key, Option<Value>>) -> Vec<Update> {
    values.into_iter().map(|(key, value)| Update { key, value }).collect()
}
