//! Chains that go on from a block of another chain.
//!
//! Such a chain has leaves for what it has written itself, and reads everything else in the other
//! chain's state after that block. So a leaf that is not there means "not written here", and what
//! is gone needs a leaf that says so: see `docs/spec/state.md`, section 4.

use crate::{ExecutedBlock, Snapshot, StoreError};
use alloy_consensus::{Header, Sealed};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, B256, U256};
use genesis::Genesis;
use revm::{DatabaseRef, state::AccountInfo};
use state::{LocalAccount, OWN_STORAGE, StateTree};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};
use tree::{HashFunction, Key, Stem, Update, Value, sub};

/// The state after the block that a chain was forked at.
pub type ForkedState = dyn DatabaseRef<Error = StoreError> + Send + Sync;

/// Where a chain parts from another one.
#[derive(Clone)]
pub struct ForkPoint {
    /// Header and hash of the last common block, as the other chain has them: the header's state
    /// root is not one of this store's tree.
    pub block: Sealed<Header>,
    /// The other chain's state after that block.
    pub state: Arc<ForkedState>,
}

impl fmt::Debug for ForkPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForkPoint").field("block", &self.block).finish_non_exhaustive()
    }
}

/// What a chain begins with.
#[derive(Clone)]
pub(crate) struct Origin {
    /// Number of the first block.
    pub(crate) first: u64,
    /// What is read where there is no leaf; nothing, if the chain is not forked.
    pub(crate) forked: Option<Arc<ForkedState>>,
    /// Whether headers hold the root of a Merkle trie, see [`genesis::Headers`]. A forked chain
    /// can't have them: nobody knows the whole state.
    pub(crate) merkle: bool,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let forked = self.forked.is_some();
        f.debug_struct("Origin").field("first", &self.first).field("forked", &forked).finish()
    }
}

impl Origin {
    pub(crate) fn new(genesis: &Genesis, point: Option<&ForkPoint>) -> Self {
        match point {
            Some(point) => {
                Self { first: point.block.number, forked: Some(point.state.clone()), merkle: false }
            }
            None => {
                Self { first: genesis.number, forked: None, merkle: genesis.spec.is_ethereum() }
            }
        }
    }

    /// Completes what the leaves say of an account.
    pub(crate) fn account(
        &self,
        address: Address,
        local: LocalAccount,
    ) -> Result<Option<AccountInfo>, StoreError> {
        match (local, &self.forked) {
            (LocalAccount::There(info), _) => Ok(Some(info)),
            (LocalAccount::Unwritten, Some(forked)) => forked.basic_ref(address),
            (LocalAccount::Unwritten, None) | (LocalAccount::Gone, _) => Ok(None),
        }
    }

    /// Reads a slot through `leaf`, and in the forked state what was never written here.
    pub(crate) fn slot(
        &self,
        hash: HashFunction,
        (address, slot): (Address, U256),
        leaf: impl Fn(&Key) -> Result<Option<Value>, StoreError>,
    ) -> Result<U256, StoreError> {
        let value = leaf(&state::slot_key(hash, address, slot))?;
        match (value, &self.forked) {
            (Some(value), _) => Ok(value.into()),
            (None, None) => Ok(U256::ZERO),
            (None, Some(forked)) => match leaf(&Stem::of(hash, address).header(OWN_STORAGE))? {
                Some(_) => Ok(U256::ZERO),
                None => forked.storage_ref(address, slot),
            },
        }
    }
}

/// Returns the first block of a forked chain: the last common one. Its transactions stay with the
/// other chain.
pub(crate) fn first_block(point: &ForkPoint) -> ExecutedBlock {
    ExecutedBlock {
        withdrawals: point.block.withdrawals_root.map(|_| Withdrawals::default()),
        ..ExecutedBlock::bare(point.block.clone())
    }
}

impl Snapshot {
    /// Whether an account is read in the forked state.
    pub fn reads_forked_account(&self, address: Address) -> Result<bool, StoreError> {
        let stem = Stem::of(self.shared.hash, address);
        Ok(matches!(self.account_at(stem)?, LocalAccount::Unwritten)
            && self.origin.forked.is_some())
    }

    /// Whether a slot is read in the forked state.
    pub fn reads_forked_slot(&self, address: Address, slot: U256) -> Result<bool, StoreError> {
        let own = Stem::of(self.shared.hash, address).header(OWN_STORAGE);
        let key = state::slot_key(self.shared.hash, address, slot);
        let written = self.leaf(&key)?.is_some() || self.leaf(&own)?.is_some();
        Ok(!written && self.origin.forked.is_some())
    }

    /// Rebuilds the root of a forked chain out of the leaves that its addresses and slots have.
    pub(crate) fn forked_root(&self) -> Result<B256, StoreError> {
        let hash = self.shared.hash;
        let (mut leaves, mut codes) = (BTreeMap::new(), BTreeSet::new());
        for address in self.written_addresses()? {
            let stem = Stem::of(hash, address);
            let slots = (0..=u8::MAX).map(|slot| state::slot_key(hash, address, U256::from(slot)));
            let fields = [sub::BASIC_DATA, sub::CODE_HASH, sub::DELEGATION, OWN_STORAGE];
            for key in fields.map(|sub| stem.header(sub)).into_iter().chain(slots) {
                let Some(value) = self.leaf(&key)? else { continue };
                if key == stem.header(sub::CODE_HASH) && !state::is_empty_code(value) {
                    codes.insert(value);
                }
                leaves.insert(key, value);
            }
        }
        for (address, group) in self.written_slot_groups()? {
            for slot in 0..=u8::MAX {
                let key = state::slot_key(hash, address, (group << 8) | U256::from(slot));
                leaves.extend(self.leaf(&key)?.map(|value| (key, value)));
            }
        }
        for code_hash in codes {
            let code = self.code_by_hash_ref(code_hash)?;
            leaves.extend(state::code_leaves(hash, code_hash, code.original_byte_slice()));
        }
        let updates: Vec<_> =
            leaves.into_iter().map(|(key, value)| Update { key, value: Some(value) }).collect();
        Ok(StateTree::new(hash).apply(&updates))
    }
}
