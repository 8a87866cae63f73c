//! The JSON of Ethereum state tests, as `ethereum/tests` and `execution-spec-tests` write it.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::Deserialize;

/// One file: tests by name.
pub(crate) type File = BTreeMap<String, Test>;

/// One test: a pre-state, a block's environment, and what is expected by fork.
#[derive(Deserialize)]
pub(crate) struct Test {
    pub(crate) env: Env,
    pub(crate) pre: BTreeMap<Address, Account>,
    pub(crate) post: BTreeMap<String, Vec<Post>>,
}

/// The environment of the block that the transaction is in.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Env {
    pub(crate) current_coinbase: Address,
    pub(crate) current_difficulty: U256,
    pub(crate) current_gas_limit: U256,
    pub(crate) current_number: U256,
    pub(crate) current_timestamp: U256,
    pub(crate) current_base_fee: Option<U256>,
    pub(crate) current_random: Option<U256>,
    pub(crate) current_excess_blob_gas: Option<U256>,
}

/// An account of a pre-state or a post-state.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) balance: U256,
    pub(crate) nonce: U256,
    pub(crate) code: Bytes,
    pub(crate) storage: BTreeMap<U256, U256>,
}

/// What one transaction has to lead to.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Post {
    /// Root of the Merkle Patricia trie over the post-state.
    pub(crate) hash: B256,
    /// Hash of the RLP list of logs.
    pub(crate) logs: B256,
    /// The signed transaction.
    pub(crate) txbytes: Bytes,
    /// Which of the test's inputs the transaction is made of.
    pub(crate) indexes: Indexes,
    /// The whole post-state, where the suite has it.
    pub(crate) state: Option<BTreeMap<Address, Account>>,
    /// Why the transaction has to be refused: names joined by `|`.
    pub(crate) expect_exception: Option<String>,
}

/// Which of the test's data, gas limits and values a transaction has.
#[derive(Deserialize)]
pub(crate) struct Indexes {
    pub(crate) data: usize,
    pub(crate) gas: usize,
    pub(crate) value: usize,
}
