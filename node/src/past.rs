//! Sealed blocks run again: the state between their transactions, and what they changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_eips::BlockId;
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::{Address, B256, U256, keccak256};
use executor::Executed;
use revm::DatabaseRef;
use revm::database::states::StorageSlot;
use revm::database::{AccountStatus, BundleAccount, BundleState};
use revm::primitives::map::HashMap;
use revm::state::AccountInfo;
use storage::{ExecutedBlock, Snapshot, Start};

use crate::chain::{Chain, blocking};
use crate::error::{CallError, QueryError};
use crate::query::{Position, StateView};
use crate::trace::Replay;

/// Accounts and slots under their hashes, as clients of a Merkle-Patricia trie name them.
#[derive(Clone, Debug, Default)]
pub struct HashedUpdates {
    /// Accounts by the hash of their address; `None` removes one.
    pub accounts: BTreeMap<B256, Option<HashedAccount>>,
    /// Storage by the hash of its account's address.
    pub storages: BTreeMap<B256, HashedStorage>,
}

/// What an account becomes.
#[derive(Clone, Copy, Debug)]
pub struct HashedAccount {
    /// Its nonce.
    pub nonce: u64,
    /// Its balance.
    pub balance: U256,
    /// Hash of its code, if it has any.
    pub code_hash: Option<B256>,
}

/// What an account's storage becomes.
#[derive(Clone, Debug, Default)]
pub struct HashedStorage {
    /// All older slots go first.
    pub wiped: bool,
    /// Values by the hash of their slot.
    pub slots: BTreeMap<B256, U256>,
}

impl Chain {
    /// The state after the first `count` transactions of a sealed block, all of them at most.
    pub async fn state_within(
        &self,
        block: Arc<ExecutedBlock>,
        count: usize,
    ) -> Result<StateView, CallError> {
        if block.number() == self.first() {
            return Ok(self.state_at(Position::Number(block.number()))?);
        }
        let shared = Arc::clone(&self.shared);
        self.traced(None, move |budget| {
            let mut replay = Replay::begin(&shared, &block, budget)?;
            replay.skip(count, budget)?;
            let (changes, mut view) = replay.execution.into_parts();
            view.add_changes(changes);
            Ok(view)
        })
        .await
    }

    /// The state root after each transaction of a sealed block.
    pub async fn roots_within(&self, block: Arc<ExecutedBlock>) -> Result<Vec<B256>, CallError> {
        let start = Start::Before(block.number());
        let (frozen, _, permit) = self.freeze(start).await?;
        let shared = Arc::clone(&self.shared);
        self.traced(None, move |budget| {
            let mut scratch = frozen.scratch(start).map_err(QueryError::from)?;
            let mut replay = Replay::begin(&shared, &block, budget)?;
            let mut roots = Vec::with_capacity(block.transactions.len());
            for (transaction, sender) in block.transactions.iter().zip(&block.senders) {
                replay.execution.push(transaction.clone(), *sender)?;
                let changes = replay.execution.execution().take_changes();
                roots.push(scratch.apply(&changes).map_err(QueryError::from)?);
            }
            drop(permit);
            Ok(roots)
        })
        .await
    }

    /// Runs a sealed block again, with its block access list from Amsterdam on (EIP-7928).
    pub async fn run_again(
        &self,
        block: Arc<ExecutedBlock>,
    ) -> Result<(Executed, Option<BlockAccessList>), CallError> {
        let shared = Arc::clone(&self.shared);
        self.traced(None, move |budget| {
            let mut replay = Replay::begin(&shared, &block, budget)?;
            replay.skip(block.transactions.len(), budget)?;
            let mut execution = replay.execution;
            execution.set_rest(block.ommers.clone(), block.withdrawals.clone());
            Ok(execution.finish_with_accesses()?)
        })
        .await
    }

    /// Accounts that differ between the state after block `from` and the one after block `to`.
    pub async fn changed_accounts(&self, from: u64, to: u64) -> Result<Vec<Address>, QueryError> {
        let snapshot = self.state_at(Position::Number(to))?.into_snapshot();
        blocking(move || Ok(snapshot.changed_accounts(from)?.into_iter().collect())).await?
    }

    /// Accounts whose balance a block changed, with what it is after it.
    pub async fn balance_changes(
        &self,
        number: u64,
    ) -> Result<BTreeMap<Address, U256>, QueryError> {
        let Some(before) = number.checked_sub(1).filter(|_| number > self.first()) else {
            return Ok(BTreeMap::new());
        };
        let changed = self.changed_accounts(before, number).await?;
        let (old, new) =
            (self.state_at(Position::Number(before))?, self.state_at(Position::Number(number))?);
        let mut balances = BTreeMap::new();
        for address in changed {
            let balance = new.balance(address)?;
            if balance != old.balance(address)? {
                balances.insert(address, balance);
            }
        }
        Ok(balances)
    }

    /// The root that the state after the block at `id` would have after `updates`.
    pub async fn root_with(&self, updates: HashedUpdates, id: BlockId) -> Result<B256, CallError> {
        let trial = self.trial(id).await?;
        self.traced(None, move |_| {
            let mut trial = trial;
            let changes = named(&updates, trial.view.snapshot())?;
            Ok(trial.roots.apply(&changes).map_err(QueryError::from)?)
        })
        .await
    }

    /// The address or slot of the state at the head whose hash is `hash`.
    pub async fn preimage(&self, hash: B256) -> Result<Option<Vec<u8>>, QueryError> {
        let snapshot = self.state_at(Position::Head)?.into_snapshot();
        blocking(move || {
            let accounts = snapshot.accounts()?;
            if let Some(address) = accounts.keys().find(|address| keccak256(address) == hash) {
                return Ok(Some(address.to_vec()));
            }
            for address in accounts.keys() {
                let slots = snapshot.storage_of(*address)?;
                let mut slots = slots.keys().map(|slot| B256::from(*slot));
                if let Some(slot) = slots.find(|slot| keccak256(slot) == hash) {
                    return Ok(Some(slot.to_vec()));
                }
            }
            Ok(None)
        })
        .await?
    }
}

/// The updates with addresses and slots instead of hashes. Only what the state has is known by its
/// hash: this tree's keys do not follow from keccak hashes.
fn named(updates: &HashedUpdates, snapshot: &Snapshot) -> Result<BundleState, CallError> {
    let unknown = |hash: &B256| CallError::UnknownPreimage { hash: *hash };
    let accounts = snapshot.accounts().map_err(QueryError::from)?;
    let by_hash: HashMap<_, _> =
        accounts.into_iter().map(|(address, info)| (keccak256(address), (address, info))).collect();
    let mut changes = BundleState::default();
    for hash in updates.accounts.keys().chain(updates.storages.keys()) {
        let (address, original) = by_hash.get(hash).ok_or_else(|| unknown(hash))?;
        let info = match updates.accounts.get(hash) {
            None => Some(original.clone()),
            Some(account) => account.map(|account| AccountInfo {
                nonce: account.nonce,
                balance: account.balance,
                code_hash: account.code_hash.unwrap_or(revm::primitives::KECCAK_EMPTY),
                ..AccountInfo::default()
            }),
        };
        let mut storage = HashMap::default();
        let wiped = updates.storages.get(hash).is_some_and(|storage| storage.wiped);
        if let Some(updates) = updates.storages.get(hash) {
            let slots = snapshot.storage_of(*address).map_err(QueryError::from)?;
            let slots: HashMap<_, _> =
                slots.keys().map(|slot| (keccak256(B256::from(*slot)), *slot)).collect();
            for (hash, value) in &updates.slots {
                let slot = *slots.get(hash).ok_or_else(|| unknown(hash))?;
                let old = snapshot.storage_ref(*address, slot).map_err(QueryError::from)?;
                storage.insert(slot, StorageSlot::new_changed(old, *value));
            }
        }
        let status = match (wiped, &info) {
            (_, None) => AccountStatus::Destroyed,
            (true, Some(_)) => AccountStatus::DestroyedChanged,
            (false, Some(_)) => AccountStatus::Changed,
        };
        let account = BundleAccount::new(Some(original.clone()), info, storage, status);
        changes.state.insert(*address, account);
    }
    Ok(changes)
}
