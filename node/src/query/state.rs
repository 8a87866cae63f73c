//! The state at a block, with what the pending block or a caller puts over it.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, U256};
use revm::DatabaseRef;
use revm::bytecode::Bytecode;
use revm::database::BundleState;
use revm::state::AccountInfo;
use storage::{Snapshot, StoreError};

use super::Position;
use crate::chain::Chain;
use crate::error::QueryError;
use crate::fork::{Overwritten, UNREAD};

/// The state to read at some block.
pub struct StateView {
    snapshot: Snapshot,
    changes: Option<Arc<BundleState>>,
    hashes: BTreeMap<u64, B256>,
    overwritten: Overwritten,
}

impl StateView {
    /// The state of a snapshot.
    pub fn new(snapshot: Snapshot) -> Self {
        Self { snapshot, changes: None, hashes: BTreeMap::new(), overwritten: Vec::new() }
    }

    /// The state of a snapshot after `changes`.
    pub fn with_changes(snapshot: Snapshot, changes: Arc<BundleState>) -> Self {
        Self { changes: Some(changes), ..Self::new(snapshot) }
    }

    /// The state as a block's opening finds it, which overwrites these slots.
    pub(crate) fn opened(snapshot: Snapshot, overwritten: Overwritten) -> Self {
        Self { overwritten, ..Self::new(snapshot) }
    }

    /// Gives some earlier blocks other hashes.
    pub fn set_block_hashes(&mut self, hashes: BTreeMap<u64, B256>) {
        self.hashes = hashes;
    }

    /// Tells the hash of a block that is not on the chain.
    pub(crate) fn add_block_hash(&mut self, number: u64, hash: B256) {
        self.hashes.insert(number, hash);
    }

    /// Puts changes over those that are there already.
    pub(crate) fn add_changes(&mut self, changes: BundleState) {
        match &mut self.changes {
            Some(before) => Arc::make_mut(before).extend(changes),
            None => self.changes = Some(Arc::new(changes)),
        }
    }

    /// The snapshot below, for itself.
    pub fn into_snapshot(self) -> Snapshot {
        self.snapshot
    }

    /// The snapshot below.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The account at `address`, if there is one.
    pub fn account(&self, address: Address) -> Result<Option<AccountInfo>, StoreError> {
        self.basic_ref(address)
    }

    /// The balance of `address`.
    pub fn balance(&self, address: Address) -> Result<U256, StoreError> {
        Ok(self.basic_ref(address)?.map_or(U256::ZERO, |account| account.balance))
    }

    /// The nonce of `address`.
    pub fn nonce(&self, address: Address) -> Result<u64, StoreError> {
        Ok(self.basic_ref(address)?.map_or(0, |account| account.nonce))
    }

    /// The code of `address`: EVM code, a delegation, or a RISC-V container.
    pub fn code(&self, address: Address) -> Result<Bytes, StoreError> {
        let Some(account) = self.basic_ref(address)? else { return Ok(Bytes::new()) };
        if account.is_empty_code_hash() {
            return Ok(Bytes::new());
        }
        let code = match account.code {
            Some(code) => code,
            None => self.code_by_hash_ref(account.code_hash)?,
        };
        Ok(code.original_bytes())
    }

    /// The code with this hash, if some account has it, or had it.
    pub fn find_code(&self, code_hash: B256) -> Result<Option<Bytes>, StoreError> {
        match self.code_by_hash_ref(code_hash) {
            Ok(code) => Ok(Some(code.original_bytes())),
            Err(StoreError::MissingCode { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All slots of `address` that are not zero.
    pub fn storage_of(&self, address: Address) -> Result<BTreeMap<U256, U256>, StoreError> {
        let changed = self.changes.as_ref().and_then(|changes| changes.account(&address));
        let mut slots = match changed {
            Some(changed) if changed.was_destroyed() => BTreeMap::new(),
            _ => self.snapshot.storage_of(address)?,
        };
        for (slot, value) in changed.into_iter().flat_map(|changed| &changed.storage) {
            slots.insert(*slot, value.present_value);
        }
        slots.retain(|_, value| !value.is_zero());
        Ok(slots)
    }

    /// A storage slot of `address`.
    pub fn storage(&self, address: Address, slot: U256) -> Result<U256, StoreError> {
        self.storage_ref(address, slot)
    }
}

impl DatabaseRef for StateView {
    type Error = StoreError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StoreError> {
        match self.changes.as_ref().and_then(|changes| changes.account(&address)) {
            Some(changed) => Ok(changed.info.clone()),
            None => self.snapshot.basic_ref(address),
        }
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, StoreError> {
        match self.changes.as_ref().and_then(|changes| changes.bytecode(&code_hash)) {
            Some(code) => Ok(code),
            None => self.snapshot.code_by_hash_ref(code_hash),
        }
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StoreError> {
        if self.overwritten.contains(&(address, slot)) {
            return Ok(UNREAD);
        }
        let changed = self.changes.as_ref().and_then(|changes| changes.account(&address));
        match changed.and_then(|account| account.storage_slot(slot)) {
            Some(value) => Ok(value),
            None => self.snapshot.storage_ref(address, slot),
        }
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StoreError> {
        match self.hashes.get(&number) {
            Some(hash) => Ok(*hash),
            None => self.snapshot.block_hash_ref(number),
        }
    }
}

impl Chain {
    /// The state at `id`.
    pub async fn state(&self, id: BlockId) -> Result<StateView, QueryError> {
        match self.resolve(id)? {
            // In a box: it is large, and nearly nobody asks for it.
            Position::Pending => Ok(Box::pin(self.pending_state()).await?.0),
            position => self.state_at(position),
        }
    }

    /// Number of the oldest block whose state is kept.
    pub fn oldest_state(&self) -> Result<u64, QueryError> {
        Ok(self.shared.store().snapshot()?.oldest_state()?)
    }

    /// The state after a sealed block.
    pub(crate) fn state_at(&self, position: Position) -> Result<StateView, QueryError> {
        let store = self.shared.store();
        match position {
            Position::Number(number) => match store.snapshot_at(number) {
                Err(StoreError::BlockNotKept { .. }) => {
                    Err(QueryError::StateNotAvailable { number })
                }
                snapshot => Ok(StateView::new(snapshot?)),
            },
            Position::Head | Position::Pending => Ok(StateView::new(store.snapshot()?)),
        }
    }
}
