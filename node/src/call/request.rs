//! What a caller asks the node to run without putting it on the chain, and what comes of it.

use std::collections::BTreeMap;

use alloy_eips::eip2930::AccessList;
use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::{Address, B256, Bytes, Log, TxKind, U256};

/// A message call or creation. What is not given is filled in.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// The sender; the zero address if not given.
    pub from: Option<Address>,
    /// The callee; a creation if not given.
    pub to: Option<Address>,
    /// Gas limit; as much as the node allows if not given.
    pub gas: Option<u64>,
    /// Gas price of a legacy transaction.
    pub gas_price: Option<u128>,
    /// Fee cap.
    pub max_fee_per_gas: Option<u128>,
    /// Tip cap.
    pub max_priority_fee_per_gas: Option<u128>,
    /// Blob fee cap.
    pub max_fee_per_blob_gas: Option<u128>,
    /// Value in wei.
    pub value: U256,
    /// Call data or init code.
    pub input: Bytes,
    /// Nonce; the account's if not given.
    pub nonce: Option<u64>,
    /// Chain id; the chain's if not given.
    pub chain_id: Option<u64>,
    /// Access list (EIP-2930).
    pub access_list: Option<AccessList>,
    /// Hashes of blobs (EIP-4844).
    pub blob_versioned_hashes: Vec<B256>,
    /// Authorizations (EIP-7702).
    pub authorization_list: Vec<SignedAuthorization>,
}

impl Call {
    /// Whom the call goes to.
    pub fn kind(&self) -> TxKind {
        self.to.map_or(TxKind::Create, TxKind::Call)
    }
}

/// Changes that hold for one call only.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Accounts to change before it.
    pub state: BTreeMap<Address, AccountOverride>,
    /// Fields of its block to change.
    pub block: BlockOverrides,
}

/// What to change of one account.
#[derive(Clone, Debug, Default)]
pub struct AccountOverride {
    /// The balance.
    pub balance: Option<U256>,
    /// The nonce.
    pub nonce: Option<u64>,
    /// The code.
    pub code: Option<Bytes>,
    /// All of the storage: what is not named becomes zero.
    pub state: Option<BTreeMap<B256, B256>>,
    /// Single storage slots.
    pub state_diff: Option<BTreeMap<B256, B256>>,
    /// Moves the precompile at this address to another one.
    pub move_precompile_to: Option<Address>,
}

/// What to change of the block.
#[derive(Clone, Debug, Default)]
pub struct BlockOverrides {
    /// Its number.
    pub number: Option<U256>,
    /// Its difficulty.
    pub difficulty: Option<U256>,
    /// Its timestamp.
    pub time: Option<u64>,
    /// Its gas limit.
    pub gas_limit: Option<u64>,
    /// Who gets its fees.
    pub coinbase: Option<Address>,
    /// Its randomness.
    pub random: Option<B256>,
    /// Its base fee.
    pub base_fee: Option<U256>,
    /// Its blob base fee.
    pub blob_base_fee: Option<U256>,
    /// Hashes of earlier blocks.
    pub block_hash: BTreeMap<u64, B256>,
}

/// What a call that ended well gave.
#[derive(Clone, Debug, Default)]
pub struct CallOutcome {
    /// What it returned; of a creation the deployed code.
    pub output: Bytes,
    /// Gas used, after refunds.
    pub gas_used: u64,
    /// The logs it made.
    pub logs: Vec<Log>,
    /// The contract that it created.
    pub created: Option<Address>,
}

/// An access list, and the gas that a call takes with it.
#[derive(Clone, Debug, Default)]
pub struct AccessListOutcome {
    /// The list.
    pub access_list: AccessList,
    /// Gas used with it.
    pub gas_used: u64,
    /// Why the call failed, if it did.
    pub error: Option<String>,
}
