//! Accounts, slots and code as leaves of the state tree, whoever holds the leaves.
//!
//! Start with [`account`], which reads an account out of its leaves, and [`Draft`], which turns
//! changed accounts into changed leaves. The store uses both on its tables, a stateless execution
//! on a witness. Pure: no I/O, no standard library.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod changes;
mod forked;

use alloc::{collections::BTreeMap, vec::Vec};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use genesis::{TreeHash, container};
use revm::{bytecode::Bytecode, primitives::KECCAK_EMPTY, state::AccountInfo};
use tree::{BasicData, Chunking, HashFunction, Key, Stem, Update, Value, sub};

pub use changes::{Before, Changes, Draft, Holding, LeafChange, holder_changes};
pub use forked::{GONE, LocalAccount, OWN_STORAGE, OWN_STORAGE_VALUE, local_account};

/// The tree of a chain's state.
pub type StateTree = tree::Tree<HashFunction>;

/// The hash that a genesis chooses for the state tree.
pub const fn tree_hash(choice: TreeHash) -> HashFunction {
    match choice {
        TreeHash::Blake3 => HashFunction::Blake3,
        TreeHash::Keccak256 => HashFunction::Keccak256,
        TreeHash::Poseidon2 => HashFunction::Poseidon2,
    }
}

/// The largest balance that the state tree holds (EIP-8297).
pub const BALANCE_MAX: U256 = U256::from_limbs([u64::MAX, u64::MAX, 0, 0]);

/// Leaves that make no state, or a state that makes no leaves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// A leaf of an account's header is not what such a leaf can be.
    #[error("the leaf at {key:?} is no part of an account")]
    BadLeaf {
        /// The leaf's key.
        key: Key,
    },
    /// EIP-8297 keeps balances in 16 bytes.
    #[error("balance {balance} of {address} is 2^128 or more: the state tree cannot hold it")]
    BalanceTooLarge {
        /// The account.
        address: Address,
        /// Its balance in wei.
        balance: U256,
    },
    /// A state change names a code hash, but nobody has the code.
    #[error("code {code_hash} is not known")]
    MissingCode {
        /// Keccak hash of the code.
        code_hash: B256,
    },
}

/// Returns the key of a slot.
pub fn slot_key(hash: HashFunction, address: Address, slot: U256) -> Key {
    Stem::of(hash, address).slot(hash, address, slot)
}

/// Reads an account out of its header leaves.
pub fn account<E: From<StateError>>(
    stem: Stem,
    leaf: impl Fn(&Key) -> Result<Option<Value>, E>,
) -> Result<Option<AccountInfo>, E> {
    let basic_key = stem.header(sub::BASIC_DATA);
    let bad_leaf = |key: Key| E::from(StateError::BadLeaf { key });
    let basic = leaf(&basic_key)?;
    let (code_hash, code) = match leaf(&stem.header(sub::CODE_HASH))? {
        Some(code_hash) => (code_hash, None),
        None => match leaf(&stem.header(sub::DELEGATION))? {
            Some(delegation) => {
                let code = delegation_code(&delegation)
                    .ok_or_else(|| bad_leaf(stem.header(sub::DELEGATION)))?;
                (code.hash_slow(), Some(code))
            }
            None if basic.is_some() => return Err(bad_leaf(basic_key)),
            None => return Ok(None),
        },
    };
    // Basic data of 32 zero bytes has no leaf.
    let basic = BasicData::decode(&basic.unwrap_or_default()).map_err(|_| bad_leaf(basic_key))?;
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

/// Returns how code is cut: images are data to the EVM's rule, so they have one of their own.
///
/// The rule looks at nothing but the code, for chunks are shared by all who hold it.
fn chunking(code: &[u8]) -> Chunking {
    if code.starts_with(&container::MAGIC) { Chunking::Plain } else { Chunking::Evm }
}

/// Returns the leaves of code; chunks of zeros have none.
pub fn code_leaves(
    hash: HashFunction,
    code_hash: B256,
    code: &[u8],
) -> impl Iterator<Item = (Key, Value)> {
    let chunks = tree::chunks(code, chunking(code)).into_iter().enumerate();
    chunks
        .filter(|(_, chunk)| !chunk.is_zero())
        .map(move |(index, chunk)| (Key::chunk(hash, code_hash, index as u32), chunk))
}

/// The leaves of a state that is built from scratch.
#[derive(Debug, Default)]
pub struct Scratch {
    hash: HashFunction,
    leaves: BTreeMap<Key, Value>,
}

/// The fields of an account's header.
#[derive(Debug)]
pub struct AccountFields<'a> {
    /// Nonce.
    pub nonce: u64,
    /// Balance in wei.
    pub balance: U256,
    /// Code: EVM code, a RISC-V container, a delegation, or none.
    pub code: &'a [u8],
}

impl Scratch {
    /// Starts with no leaves.
    pub const fn new(hash: HashFunction) -> Self {
        Self { hash, leaves: BTreeMap::new() }
    }

    /// Adds the leaves of an account and its code.
    pub fn add_account(
        &mut self,
        address: Address,
        account: &AccountFields<'_>,
    ) -> Result<(), StateError> {
        let balance = narrow(address, account.balance)?;
        let stem = Stem::of(self.hash, address);
        let code = account.code;
        let basic =
            BasicData { code_size: code.len() as u32, nonce: account.nonce, balance }.encode();
        if !basic.is_zero() {
            self.leaves.insert(stem.header(sub::BASIC_DATA), basic);
        }
        if let Some(target) = tree::delegation_target(code).filter(|_| code.len() == 23) {
            self.leaves.insert(stem.header(sub::DELEGATION), tree::delegation(target));
        } else {
            let code_hash = keccak256(code);
            self.leaves.insert(stem.header(sub::CODE_HASH), code_hash);
            self.leaves.extend(code_leaves(self.hash, code_hash, code));
        }
        Ok(())
    }

    /// Adds the leaf of a slot.
    pub fn add_slot(&mut self, address: Address, slot: U256, value: U256) {
        if !value.is_zero() {
            self.leaves.insert(slot_key(self.hash, address, slot), value.into());
        }
    }

    /// Returns the root.
    pub fn root(self) -> B256 {
        let leaves = self.leaves.into_iter();
        let updates: Vec<_> =
            leaves.map(|(key, value)| Update { key, value: Some(value) }).collect();
        StateTree::new(self.hash).apply(&updates)
    }
}

/// The balance in the 16 bytes that it has in a leaf.
fn narrow(address: Address, balance: U256) -> Result<u128, StateError> {
    u128::try_from(balance).map_err(|_| StateError::BalanceTooLarge { address, balance })
}

/// Whether `code_hash` is that of an account without code.
pub fn is_empty_code(code_hash: B256) -> bool {
    code_hash == KECCAK_EMPTY || code_hash.is_zero()
}

/// Makes code runnable for revm.
pub fn bytecode(code: Bytes) -> Bytecode {
    Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code))
}
