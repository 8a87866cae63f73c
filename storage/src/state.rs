//! From leaves to accounts and slots, whoever holds the leaves.

use crate::StoreError;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use genesis::container;
use parking_lot::Mutex;
use revm::{bytecode::Bytecode, primitives::KECCAK_EMPTY, state::AccountInfo};
use std::collections::{BTreeMap, HashMap};
use tree::{BasicData, Blake3, Chunking, Key, Stem, Update, Value, sub};

/// The hash of this chain's tree.
pub(crate) type TreeHash = Blake3;
/// The tree in memory.
pub(crate) type StateTree = tree::Tree<TreeHash>;

/// Bytes of code whose analysis is kept.
const CODE_CACHE_BYTES: usize = 64 << 20;

/// Returns the stem of an account's keys.
pub(crate) fn stem(address: Address) -> Stem {
    Stem::of::<TreeHash>(address)
}

/// Returns the key of a slot.
pub(crate) fn slot_key(address: Address, slot: U256) -> Key {
    stem(address).slot::<TreeHash>(address, slot)
}

/// Reads an account out of its header leaves.
pub(crate) fn account(
    stem: Stem,
    leaf: impl Fn(&Key) -> Result<Option<Value>, StoreError>,
) -> Result<Option<AccountInfo>, StoreError> {
    let basic_key = stem.header(sub::BASIC_DATA);
    let basic = leaf(&basic_key)?;
    let (code_hash, code) = match leaf(&stem.header(sub::CODE_HASH))? {
        Some(code_hash) => (code_hash, None),
        None => match leaf(&stem.header(sub::DELEGATION))? {
            Some(delegation) => {
                let code = delegation_code(&delegation)
                    .ok_or_else(|| bad_leaf(&stem.header(sub::DELEGATION)))?;
                (code.hash_slow(), Some(code))
            }
            None if basic.is_some() => return Err(bad_leaf(&basic_key)),
            None => return Ok(None),
        },
    };
    // Basic data of 32 zero bytes has no leaf.
    let basic = BasicData::decode(&basic.unwrap_or_default()).map_err(|_| bad_leaf(&basic_key))?;
    Ok(Some(AccountInfo {
        balance: U256::from(basic.balance),
        nonce: basic.nonce,
        code_hash,
        code,
        ..Default::default()
    }))
}

fn delegation_code(leaf: &Value) -> Option<Bytecode> {
    tree::delegation_target(leaf.as_slice()).map(Bytecode::new_eip7702)
}

pub(crate) fn bad_leaf(key: &Key) -> StoreError {
    StoreError::BadRow { table: "leaves", key: key.as_slice().to_vec() }
}

/// Returns how code is cut: images are data to the EVM's rule, so they have one of their own.
///
/// The rule looks at nothing but the code, for chunks are shared by all who hold it.
pub(crate) fn chunking(code: &[u8]) -> Chunking {
    if code.starts_with(&container::MAGIC) { Chunking::Plain } else { Chunking::Evm }
}

/// Returns the leaves of code; chunks of zeros have none.
pub(crate) fn code_leaves(code_hash: B256, code: &[u8]) -> impl Iterator<Item = (Key, Value)> {
    let chunks = tree::chunks(code, chunking(code)).into_iter().enumerate();
    chunks
        .filter(|(_, chunk)| !chunk.is_zero())
        .map(move |(index, chunk)| (Key::chunk::<TreeHash>(code_hash, index as u32), chunk))
}

/// The fields of an account's header.
#[derive(Debug)]
pub(crate) struct AccountFields<'a> {
    pub(crate) nonce: u64,
    pub(crate) balance: U256,
    pub(crate) code: &'a [u8],
}

/// Adds the leaves of an account and its code to those of a state that is built from scratch.
pub(crate) fn add_account(
    leaves: &mut BTreeMap<Key, Value>,
    address: Address,
    account: &AccountFields<'_>,
) -> Result<(), StoreError> {
    let balance = u128::try_from(account.balance)
        .map_err(|_| StoreError::BalanceTooLarge { address, balance: account.balance })?;
    let stem = stem(address);
    let code = account.code;
    let basic = BasicData { code_size: code.len() as u32, nonce: account.nonce, balance }.encode();
    if !basic.is_zero() {
        leaves.insert(stem.header(sub::BASIC_DATA), basic);
    }
    if let Some(target) = tree::delegation_target(code).filter(|_| code.len() == 23) {
        leaves.insert(stem.header(sub::DELEGATION), tree::delegation(target));
    } else {
        let code_hash = keccak256(code);
        leaves.insert(stem.header(sub::CODE_HASH), code_hash);
        leaves.extend(code_leaves(code_hash, code));
    }
    Ok(())
}

/// Adds the leaf of a slot.
pub(crate) fn add_slot(
    leaves: &mut BTreeMap<Key, Value>,
    address: Address,
    slot: U256,
    value: U256,
) {
    if !value.is_zero() {
        leaves.insert(slot_key(address, slot), value.into());
    }
}

/// Returns the root of a state that is built from scratch.
pub(crate) fn root_of(leaves: BTreeMap<Key, Value>) -> B256 {
    let updates: Vec<_> =
        leaves.into_iter().map(|(key, value)| Update { key, value: Some(value) }).collect();
    StateTree::new().apply(&updates)
}

/// Makes code runnable for revm.
pub(crate) fn bytecode(code: Bytes) -> Bytecode {
    Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code))
}

/// Analysed code by hash, so that a contract is analysed once and not at every load.
#[derive(Debug, Default)]
pub(crate) struct CodeCache(Mutex<(HashMap<B256, Bytecode>, usize)>);

impl CodeCache {
    pub(crate) fn find(&self, code_hash: B256) -> Option<Bytecode> {
        if code_hash == KECCAK_EMPTY || code_hash.is_zero() {
            return Some(Bytecode::default());
        }
        self.0.lock().0.get(&code_hash).cloned()
    }

    pub(crate) fn insert(&self, code_hash: B256, code: Bytecode) {
        let mut cache = self.0.lock();
        if cache.1 + code.len() > CODE_CACHE_BYTES {
            // Contracts in use come back at once; keeping an order would cost every hit.
            cache.0.clear();
            cache.1 = 0;
        }
        cache.1 += code.len();
        cache.0.insert(code_hash, code);
    }
}
