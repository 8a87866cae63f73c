//! From changed accounts to changed leaves.

use crate::{
    StoreError, Writer,
    state::{self, StateTree},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use revm::{
    database::{BundleAccount, BundleState},
    primitives::KECCAK_EMPTY,
    state::AccountInfo,
};
use std::collections::HashMap;
use tree::{BasicData, Key, Stem, Update, Value, sub};

/// A leaf's change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LeafChange {
    pub(crate) key: Key,
    pub(crate) old: Option<Value>,
    pub(crate) new: Option<Value>,
    /// Whether the history row of this block is written with it.
    pub(crate) first: bool,
}

/// Changed leaves as they are collected, with what only the accounts tell.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// In any order; of two updates of a leaf the later one counts.
    updates: Vec<Update>,
    pub(crate) addresses: HashMap<Stem, Address>,
    pub(crate) slot_groups: HashMap<B256, (Address, U256)>,
    pub(crate) code: HashMap<B256, Bytes>,
}

/// The code part of an account's header.
struct CodeFields {
    size: u32,
    hash_leaf: Option<Value>,
    delegation_leaf: Option<Value>,
}

impl Draft {
    /// Collects the changes of a bundle.
    pub(crate) fn of_bundle(bundle: &BundleState, before: &Writer) -> Result<Self, StoreError> {
        let mut draft = Self::default();
        for (address, account) in &bundle.state {
            let code = account.info.as_ref().and_then(|info| code_of(info, bundle));
            draft.change_account(*address, account, code, before)?;
        }
        Ok(draft)
    }

    fn change_account(
        &mut self,
        address: Address,
        account: &BundleAccount,
        code: Option<Bytes>,
        before: &Writer,
    ) -> Result<(), StoreError> {
        let stem = state::stem(address);
        if account.info.is_none() || account.status.was_destroyed() {
            self.wipe_storage(stem, &before.tree);
        }
        let Some(info) = &account.info else {
            self.remove(before.tree.keys_from(&stem.header_prefix()));
            return Ok(());
        };
        self.set_account(address, info, code, before)?;
        for (slot, value) in &account.storage {
            self.set_slot(address, *slot, value.present_value);
        }
        Ok(())
    }

    /// Sets an account's header fields.
    pub(crate) fn set_account(
        &mut self,
        address: Address,
        info: &AccountInfo,
        code: Option<Bytes>,
        before: &Writer,
    ) -> Result<(), StoreError> {
        let balance = u128::try_from(info.balance)
            .map_err(|_| StoreError::BalanceTooLarge { address, balance: info.balance })?;
        let stem = state::stem(address);
        let code = self.code_fields(stem, info.code_hash, code, before)?;
        let basic = BasicData { code_size: code.size, nonce: info.nonce, balance };
        self.set(stem.header(sub::BASIC_DATA), Some(basic.encode()));
        self.set(stem.header(sub::CODE_HASH), code.hash_leaf);
        self.set(stem.header(sub::DELEGATION), code.delegation_leaf);
        self.addresses.insert(stem, address);
        Ok(())
    }

    /// Sets a slot.
    pub(crate) fn set_slot(&mut self, address: Address, slot: U256, value: U256) {
        let key = state::slot_key(address, slot);
        if let Some(group) = key.slot_group() {
            self.slot_groups.insert(group, (address, slot >> 8));
        }
        self.set(key, Some(value.into()));
    }

    fn code_fields(
        &mut self,
        stem: Stem,
        code_hash: B256,
        code: Option<Bytes>,
        before: &Writer,
    ) -> Result<CodeFields, StoreError> {
        let code_hash = if code_hash.is_zero() { KECCAK_EMPTY } else { code_hash };
        let plain = |size: usize| CodeFields {
            size: size as u32,
            hash_leaf: Some(code_hash),
            delegation_leaf: None,
        };
        if code_hash == KECCAK_EMPTY {
            return Ok(plain(0));
        }
        let Some(code) = code else {
            let delegation_leaf = before.leaf(&stem.header(sub::DELEGATION))?;
            if let Some(leaf) = delegation_leaf
                && alloy_primitives::keccak256(&leaf[..23]) == code_hash
            {
                return Ok(CodeFields { size: 23, hash_leaf: None, delegation_leaf });
            }
            let size = before.code_size(code_hash)?;
            return size.map(plain).ok_or(StoreError::MissingCode { code_hash });
        };
        if let Some(target) = tree::delegation_target(&code).filter(|_| code.len() == 23) {
            let delegation_leaf = Some(tree::delegation(target));
            return Ok(CodeFields { size: 23, hash_leaf: None, delegation_leaf });
        }
        let size = code.len();
        self.code.insert(code_hash, code);
        Ok(plain(size))
    }

    fn wipe_storage(&mut self, stem: Stem, tree: &StateTree) {
        self.remove(tree.keys_from(&stem.storage_prefix()));
        let header = tree.keys_from(&stem.header_prefix());
        self.remove(header.filter(|key| key.sub() >= sub::FIRST_SLOT));
    }

    fn remove(&mut self, keys: impl Iterator<Item = Key>) {
        self.updates.extend(keys.map(|key| Update { key, value: None }));
    }

    /// Sets a leaf; 32 zero bytes remove it.
    fn set(&mut self, key: Key, value: Option<Value>) {
        let value = value.filter(|value| !value.is_zero());
        self.updates.push(Update { key, value });
    }

    /// Sets the leaves of code that has got its first holder.
    pub(crate) fn add_code(&mut self, code_hash: B256, code: &[u8]) {
        for (key, chunk) in state::code_leaves(code_hash, code) {
            self.set(key, Some(chunk));
        }
    }

    /// Removes the leaves of code that has lost its last holder.
    pub(crate) fn remove_code(&mut self, code_hash: B256, code: &[u8]) {
        self.remove(state::code_leaves(code_hash, code).map(|(key, _)| key));
    }

    /// Takes the collected updates and returns those that change something, sorted.
    pub(crate) fn take_changes(&mut self, before: &Writer) -> Result<Vec<LeafChange>, StoreError> {
        let mut updates = std::mem::take(&mut self.updates);
        updates.sort_by_key(|update| update.key);
        let mut changes = Vec::with_capacity(updates.len());
        for (index, update) in updates.iter().enumerate() {
            if updates.get(index + 1).is_some_and(|next| next.key == update.key) {
                continue;
            }
            let old = before.leaf(&update.key)?;
            if old != update.value {
                let Update { key, value: new } = *update;
                changes.push(LeafChange { key, old, new, first: true });
            }
        }
        Ok(changes)
    }
}

fn code_of(info: &AccountInfo, bundle: &BundleState) -> Option<Bytes> {
    let known = info.code.as_ref().filter(|code| !code.is_empty());
    let code = known.or_else(|| bundle.contracts.get(&info.code_hash))?;
    Some(code.original_bytes())
}

/// Returns by how much the number of holders of each code changes.
pub(crate) fn holder_changes(changes: &[LeafChange]) -> HashMap<B256, i64> {
    let mut counts = HashMap::new();
    let mut count = |code_hash: Option<Value>, by: i64| {
        if let Some(code_hash) = code_hash.filter(|hash| *hash != KECCAK_EMPTY) {
            *counts.entry(code_hash).or_insert(0) += by;
        }
    };
    for change in changes {
        if change.key.zone() == tree::HEADER_ZONE && change.key.sub() == sub::CODE_HASH {
            count(change.old, -1);
            count(change.new, 1);
        }
    }
    counts.retain(|_, by| *by != 0);
    counts
}
