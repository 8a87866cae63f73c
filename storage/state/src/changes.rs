//! From changed accounts to changed leaves.

use crate::{
    GONE, OWN_STORAGE, OWN_STORAGE_VALUE, StateError, code_leaves, forked, is_empty_code, narrow,
    slot_key,
};
use alloc::vec::Vec;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256, map::HashMap};
use revm::{
    database::{BundleAccount, BundleState},
    primitives::KECCAK_EMPTY,
    state::AccountInfo,
};
use tree::{BasicData, HashFunction, Key, Stem, Update, Value, sub};

/// The state before a change, leaf by leaf.
pub trait Before {
    /// Why something could not be read.
    type Error: From<StateError>;

    /// Returns the tree's hash.
    fn hash(&self) -> HashFunction;

    /// Returns a leaf.
    fn leaf(&self, key: &Key) -> Result<Option<Value>, Self::Error>;

    /// Returns the keys that start with `prefix`.
    fn keys_from(&self, prefix: &[u8]) -> Result<Vec<Key>, Self::Error>;

    /// Returns code that some account holds, or held.
    fn code(&self, code_hash: B256) -> Result<Option<Bytes>, Self::Error>;

    /// Returns how many accounts hold the code.
    fn holder_count(&self, holding: &Holding<'_>) -> Result<u64, Self::Error>;

    /// Returns whether what has no leaf is read in another chain's state.
    fn is_forked(&self) -> bool {
        false
    }
}

/// A code whose number of holders changes.
#[derive(Debug)]
pub struct Holding<'a> {
    /// Its hash.
    pub code_hash: B256,
    /// By how much the number changes.
    pub change: i64,
    /// The code, if it is at hand: it always is when it may be new.
    pub code: Option<&'a Bytes>,
}

impl Holding<'_> {
    /// The number of holders for who has no count of them: what the leaves tell, which show
    /// whether there is any, and what is said of the last one.
    pub fn count_by_leaves<B: Before>(
        &self,
        before: &B,
        loses_last: bool,
    ) -> Result<u64, B::Error> {
        /// More than there ever are.
        const MANY: u64 = u64::MAX / 2;
        if self.change < 0 {
            return Ok(if loses_last { self.change.unsigned_abs() } else { MANY });
        }
        // Code without any chunk has no leaf that could come or go.
        let code = self.code.map(Bytes::as_ref).unwrap_or_default();
        match code_leaves(before.hash(), self.code_hash, code).next() {
            Some((key, _)) if before.leaf(&key)?.is_some() => Ok(MANY),
            _ => Ok(0),
        }
    }
}

/// A leaf's change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeafChange {
    /// The leaf's key.
    pub key: Key,
    /// Its value before, if there was one.
    pub old: Option<Value>,
    /// Its value after, if there is one.
    pub new: Option<Value>,
}

/// Changed leaves in order of their keys, with what only the accounts tell.
#[derive(Debug, Default)]
pub struct Changes {
    /// The leaves that change.
    pub leaves: Vec<LeafChange>,
    /// Addresses of changed accounts by their stem.
    pub addresses: HashMap<Stem, Address>,
    /// Address and number of changed groups of 256 slots by their hash.
    pub slot_groups: HashMap<B256, (Address, U256)>,
    /// Code that has got its first holder.
    pub code: Vec<(B256, Bytes)>,
    /// Code whose number of holders changes, and that number.
    pub holders: Vec<(B256, u64)>,
}

/// Changed leaves as they are collected.
#[derive(Debug, Default)]
pub struct Draft {
    hash: HashFunction,
    /// On a forked chain a leaf of zeros says that what the forked state has there is gone.
    keeps_zeros: bool,
    /// In any order; of two updates of a leaf the later one counts.
    updates: Vec<Update>,
    addresses: HashMap<Stem, Address>,
    slot_groups: HashMap<B256, (Address, U256)>,
    code: HashMap<B256, Bytes>,
}

/// The code part of an account's header.
struct CodeFields {
    size: u32,
    hash_leaf: Option<Value>,
    delegation_leaf: Option<Value>,
}

impl Changes {
    /// Returns the leaf changes that a bundle makes.
    pub fn of_bundle<B: Before>(bundle: &BundleState, before: &B) -> Result<Self, B::Error> {
        let mut draft = Draft::new(before.hash(), before.is_forked());
        for (address, account) in &bundle.state {
            let code = account.info.as_ref().and_then(|info| code_of(info, bundle));
            draft.change_account(*address, account, code, before)?;
        }
        draft.finish(before)
    }

    /// Returns what the leaves become, as the tree takes it.
    pub fn updates(&self) -> Vec<Update> {
        self.leaves.iter().map(|change| Update { key: change.key, value: change.new }).collect()
    }
}

impl Draft {
    /// Starts with no change of a chain's state, forked from another one or not.
    pub fn new(hash: HashFunction, is_forked: bool) -> Self {
        Self { hash, keeps_zeros: is_forked, ..Self::default() }
    }

    fn change_account<B: Before>(
        &mut self,
        address: Address,
        account: &BundleAccount,
        code: Option<Bytes>,
        before: &B,
    ) -> Result<(), B::Error> {
        let stem = Stem::of(self.hash, address);
        let wiped = account.info.is_none() || account.status.was_destroyed();
        if wiped {
            self.wipe_storage(stem, before)?;
        }
        let Some(info) = &account.info else {
            self.remove(before.keys_from(&stem.header_prefix())?);
            if self.keeps_zeros {
                self.addresses.insert(stem, address);
                self.set(stem.header(sub::CODE_HASH), Some(GONE));
                self.set(stem.header(OWN_STORAGE), Some(OWN_STORAGE_VALUE));
            }
            return Ok(());
        };
        if self.keeps_zeros && (wiped || forked::is_created(account)) {
            self.set(stem.header(OWN_STORAGE), Some(OWN_STORAGE_VALUE));
        }
        if self.keeps_zeros && !wiped && forked::is_same(account) {
            // Its header stays where it is, here or in the forked state.
            self.addresses.insert(stem, address);
        } else {
            self.set_account(address, info, code, before)?;
        }
        for (slot, value) in &account.storage {
            self.set_slot(address, *slot, value.present_value);
        }
        Ok(())
    }

    /// Sets an account's header fields; `code` is its code, if that is at hand.
    pub fn set_account<B: Before>(
        &mut self,
        address: Address,
        info: &AccountInfo,
        code: Option<Bytes>,
        before: &B,
    ) -> Result<(), B::Error> {
        let balance = narrow(address, info.balance)?;
        let stem = Stem::of(self.hash, address);
        let code = self.code_fields(stem, info.code_hash, code, before)?;
        let basic = BasicData { code_size: code.size, nonce: info.nonce, balance };
        self.set(stem.header(sub::BASIC_DATA), Some(basic.encode()));
        self.set(stem.header(sub::CODE_HASH), code.hash_leaf);
        self.set(stem.header(sub::DELEGATION), code.delegation_leaf);
        self.addresses.insert(stem, address);
        Ok(())
    }

    /// Sets a slot.
    pub fn set_slot(&mut self, address: Address, slot: U256, value: U256) {
        let key = slot_key(self.hash, address, slot);
        if let Some(group) = key.slot_group() {
            self.slot_groups.insert(group, (address, slot >> 8));
        }
        self.set(key, Some(value.into()));
    }

    fn code_fields<B: Before>(
        &mut self,
        stem: Stem,
        code_hash: B256,
        code: Option<Bytes>,
        before: &B,
    ) -> Result<CodeFields, B::Error> {
        let code_hash = if code_hash.is_zero() { KECCAK_EMPTY } else { code_hash };
        let plain =
            |size: u32| CodeFields { size, hash_leaf: Some(code_hash), delegation_leaf: None };
        if code_hash == KECCAK_EMPTY {
            return Ok(plain(0));
        }
        let Some(code) = code else {
            return self.unchanged_code(stem, code_hash, before);
        };
        if let Some(target) = tree::delegation_target(&code).filter(|_| code.len() == 23) {
            let delegation_leaf = Some(tree::delegation(target));
            return Ok(CodeFields { size: 23, hash_leaf: None, delegation_leaf });
        }
        let size = code.len();
        self.code.insert(code_hash, code);
        Ok(plain(size as u32))
    }

    /// The code part of an account whose code was not even loaded.
    fn unchanged_code<B: Before>(
        &self,
        stem: Stem,
        code_hash: B256,
        before: &B,
    ) -> Result<CodeFields, B::Error> {
        let size_in = |leaf: Option<Value>| {
            BasicData::decode(&leaf.unwrap_or_default()).map(|basic| basic.code_size)
        };
        let plain = |size| CodeFields { size, hash_leaf: Some(code_hash), delegation_leaf: None };
        if before.leaf(&stem.header(sub::CODE_HASH))? == Some(code_hash) {
            let basic_key = stem.header(sub::BASIC_DATA);
            let size = size_in(before.leaf(&basic_key)?);
            return Ok(plain(size.map_err(|_| StateError::BadLeaf { key: basic_key })?));
        }
        let delegation_leaf = before.leaf(&stem.header(sub::DELEGATION))?;
        if let Some(leaf) = delegation_leaf
            && keccak256(&leaf[..23]) == code_hash
        {
            return Ok(CodeFields { size: 23, hash_leaf: None, delegation_leaf });
        }
        let code = before.code(code_hash)?.ok_or(StateError::MissingCode { code_hash })?;
        // A delegation that the forked state has.
        match tree::delegation_target(&code).filter(|_| code.len() == 23) {
            Some(target) => Ok(CodeFields {
                size: 23,
                hash_leaf: None,
                delegation_leaf: Some(tree::delegation(target)),
            }),
            None => Ok(plain(code.len() as u32)),
        }
    }

    fn wipe_storage<B: Before>(&mut self, stem: Stem, before: &B) -> Result<(), B::Error> {
        self.remove(before.keys_from(&stem.storage_prefix())?);
        let mut header = before.keys_from(&stem.header_prefix())?;
        header.retain(|key| key.sub() >= sub::FIRST_SLOT);
        self.remove(header);
        Ok(())
    }

    fn remove(&mut self, keys: Vec<Key>) {
        self.updates.extend(keys.into_iter().map(|key| Update { key, value: None }));
    }

    /// Sets a leaf; 32 zero bytes remove it, but on a forked chain.
    fn set(&mut self, key: Key, value: Option<Value>) {
        let value = value.filter(|value| self.keeps_zeros || !value.is_zero());
        self.updates.push(Update { key, value });
    }

    /// Counts holders of code, adds the chunks that come or go with that, and returns all changes.
    pub fn finish<B: Before>(mut self, before: &B) -> Result<Changes, B::Error> {
        let mut leaves = self.take_changes(before)?;
        let holders = self.count_holders(&leaves, before)?;
        let chunks = self.take_changes(before)?;
        if !chunks.is_empty() {
            leaves.extend(chunks);
            leaves.sort_unstable_by_key(|change| change.key);
        }
        let code = holders.iter().filter_map(|(hash, _)| self.code.remove_entry(hash)).collect();
        let Self { addresses, slot_groups, .. } = self;
        Ok(Changes { leaves, addresses, slot_groups, code, holders })
    }

    fn count_holders<B: Before>(
        &mut self,
        leaves: &[LeafChange],
        before: &B,
    ) -> Result<Vec<(B256, u64)>, B::Error> {
        let mut holders = Vec::new();
        for (code_hash, by) in holder_changes(leaves) {
            let code = self.code.get(&code_hash);
            let count = before.holder_count(&Holding { code_hash, change: by, code })?;
            let new_count = count.saturating_add_signed(by);
            if (count == 0) != (new_count == 0) {
                let code = match self.code.get(&code_hash) {
                    Some(code) => Some(code.clone()),
                    None => before.code(code_hash)?,
                };
                let code = code.ok_or(StateError::MissingCode { code_hash })?;
                for (key, chunk) in code_leaves(self.hash, code_hash, &code) {
                    self.set(key, (count == 0).then_some(chunk));
                }
                if count == 0 {
                    // It may come from the forked state.
                    self.code.insert(code_hash, code);
                }
            }
            holders.push((code_hash, new_count));
        }
        Ok(holders)
    }

    /// Takes the collected updates and returns those that change something, sorted.
    fn take_changes<B: Before>(&mut self, before: &B) -> Result<Vec<LeafChange>, B::Error> {
        let mut updates = core::mem::take(&mut self.updates);
        updates.sort_by_key(|update| update.key);
        let mut changes = Vec::with_capacity(updates.len());
        for (index, update) in updates.iter().enumerate() {
            if updates.get(index + 1).is_some_and(|next| next.key == update.key) {
                continue;
            }
            let old = before.leaf(&update.key)?;
            if old != update.value {
                let Update { key, value: new } = *update;
                changes.push(LeafChange { key, old, new });
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
pub fn holder_changes(changes: &[LeafChange]) -> HashMap<B256, i64> {
    let mut counts = HashMap::default();
    let mut count = |code_hash: Option<Value>, by: i64| {
        if let Some(code_hash) = code_hash.filter(|hash| !is_empty_code(*hash)) {
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
