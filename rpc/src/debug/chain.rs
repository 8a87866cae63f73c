//! What `debug_` tells of the chain as a whole.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::{Reply, RpcError};
use crate::methods::Table;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, U256};
use node::past::{HashedAccount, HashedStorage, HashedUpdates};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Adds the methods of this file.
pub(super) fn register(table: &mut Table<Api>) {
    table.quick("debug_chainConfig", chain_config);
    table.quick("debug_replayBadBlock", replay_bad_block);
    table.task("debug_getAccessibleState", accessible_state);
    table.task("debug_printBlock", print_block);
    table.task("debug_intermediateRoots", intermediate_roots);
    table.task("debug_stateRootWithUpdates", state_root_with_updates);
}

fn chain_config(api: &Api, _: Arguments) -> Reply<Value> {
    serde_json::to_value(&api.chain.spec().config).map_err(RpcError::internal)
}

/// No block that was refused is kept with what running it gave.
fn replay_bad_block(_: &Api, mut arguments: Arguments) -> Reply<Value> {
    let hash = arguments.hash("block hash")?;
    Err(RpcError::server(format!("bad block {hash} not found")))
}

/// The first block of a range, from either end, whose state is there: not of what was pruned.
async fn accessible_state(api: Arc<Api>, mut arguments: Arguments) -> Reply<u64> {
    let head = api.chain.head().number();
    // geth: every tag means the head here.
    let number = |tag: BlockNumberOrTag| tag.as_number().unwrap_or(head);
    let from = number(arguments.block_number("from")?);
    let to = number(arguments.block_number("to")?);
    if from == to {
        return Err(RpcError::server("from and to needs to be different"));
    }
    let none = || RpcError::server(format!("missing header {from}"));
    let from = api.chain.header(from.into()).await?.ok_or_else(none)?.number;
    let first = api.chain.oldest_state()?.max(from);
    let has = first == from || (from..to).contains(&first);
    has.then_some(first).ok_or_else(|| RpcError::server("no state found"))
}

/// The block with all its fields, for people to read: the form is not fixed.
async fn print_block(api: Arc<Api>, mut arguments: Arguments) -> Reply<String> {
    let number = arguments.number("block number")?;
    let none = || RpcError::server(format!("block #{number} not found"));
    let block = api.chain.block(BlockId::number(number)).await?.ok_or_else(none)?;
    Ok(format!("{block:#?}"))
}

async fn intermediate_roots(api: Arc<Api>, mut arguments: Arguments) -> Reply<Vec<B256>> {
    let hash = arguments.hash("block hash")?;
    let none = || RpcError::server(format!("block {hash} not found"));
    let block = api.chain.block(BlockId::hash(hash)).await?.ok_or_else(none)?;
    if block.number() == api.chain.first() {
        return Err(RpcError::server("genesis is not traceable"));
    }
    Ok(api.chain.roots_within(block).await?)
}

/// reth's form of changed accounts and slots, all under the hashes of their names.
#[derive(Debug, Deserialize)]
struct HashedPostState {
    #[serde(default)]
    accounts: BTreeMap<B256, Option<AccountUpdate>>,
    #[serde(default)]
    storages: BTreeMap<B256, StorageUpdate>,
}

#[derive(Debug, Deserialize)]
struct AccountUpdate {
    nonce: u64,
    balance: U256,
    #[serde(default, alias = "bytecodeHash")]
    bytecode_hash: Option<B256>,
}

#[derive(Debug, Deserialize)]
struct StorageUpdate {
    #[serde(default)]
    wiped: bool,
    #[serde(default)]
    storage: BTreeMap<B256, U256>,
}

/// reth's form of changed trie nodes. This chain has no such trie, so there never is one.
#[derive(Clone, Debug, Default, Serialize)]
struct TrieUpdates {
    account_nodes: BTreeMap<String, Value>,
    removed_nodes: Vec<String>,
    storage_tries: BTreeMap<B256, Value>,
}

async fn state_root_with_updates(
    api: Arc<Api>,
    mut arguments: Arguments,
) -> Reply<(B256, TrieUpdates)> {
    let wanted: HashedPostState = arguments.required("hashed state")?;
    let block = arguments.block()?;
    let account = |update: AccountUpdate| HashedAccount {
        nonce: update.nonce,
        balance: update.balance,
        code_hash: update.bytecode_hash,
    };
    let accounts = wanted.accounts.into_iter();
    let storages = wanted.storages.into_iter();
    let updates = HashedUpdates {
        accounts: accounts.map(|(hash, update)| (hash, update.map(account))).collect(),
        storages: storages
            .map(|(hash, update)| {
                (hash, HashedStorage { wiped: update.wiped, slots: update.storage })
            })
            .collect(),
    };
    let root = api.chain.root_with(updates, block).await?;
    Ok((root, TrieUpdates::default()))
}
