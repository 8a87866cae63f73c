//! Fees, limits, and what the node is.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::Reply;
use crate::methods::Table;
use crate::net::client_name;
use alloy_primitives::{B256, U64, U256, keccak256};
use genesis::SpecId;
use node::Chain;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("anvil_setCoinbase", set_coinbase);
    table.task("anvil_setBlockGasLimit", set_block_gas_limit);
    table.task("anvil_setNextBlockBaseFeePerGas", set_next_base_fee);
    table.task("anvil_setNextBlockPrevRandao", set_next_prev_randao);
    table.task("anvil_setMinGasPrice", set_min_gas_price);
    table.task("anvil_setLoggingEnabled", set_logging_enabled);
    table.task("anvil_setChainId", set_chain_id);
    table.quick("anvil_nodeInfo", node_info);
    table.task("anvil_metadata", metadata);
}

async fn set_coinbase(api: Arc<Api>, mut arguments: Arguments) -> Reply<()> {
    Ok(api.chain.set_coinbase(arguments.required("address")?).await?)
}

async fn set_block_gas_limit(api: Arc<Api>, mut arguments: Arguments) -> Reply<bool> {
    api.chain.set_block_gas_limit(arguments.number("gas limit")?).await?;
    Ok(true)
}

async fn set_next_base_fee(api: Arc<Api>, mut arguments: Arguments) -> Reply<()> {
    Ok(api.chain.set_next_base_fee(arguments.number("base fee")?).await?)
}

async fn set_next_prev_randao(api: Arc<Api>, mut arguments: Arguments) -> Reply<()> {
    let randomness: U256 = arguments.required("prevrandao")?;
    Ok(api.chain.set_next_prev_randao(randomness.into()).await?)
}

async fn set_min_gas_price(api: Arc<Api>, mut arguments: Arguments) -> Reply<()> {
    let price: U256 = arguments.required("gas price")?;
    Ok(api.chain.set_min_gas_price(price.saturating_to()).await?)
}

async fn set_chain_id(api: Arc<Api>, mut arguments: Arguments) -> Reply<()> {
    Ok(api.chain.set_chain_id(arguments.number("chain id")?).await?)
}

async fn set_logging_enabled(api: Arc<Api>, mut arguments: Arguments) -> Reply<()> {
    Ok(api.chain.set_logging(arguments.required("enabled")?).await?)
}

/// What Foundry asks for.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeInfo {
    current_block_number: U64,
    current_block_timestamp: u64,
    current_block_hash: B256,
    hard_fork: &'static str,
    transaction_order: String,
    environment: Environment,
    fork_config: ForkConfig,
}

/// The next block.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Environment {
    base_fee: U256,
    chain_id: u64,
    gas_limit: U64,
    gas_price: U256,
}

/// What the chain was forked from, if it was. Of the URL what may hold a key is left out.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct ForkConfig {
    fork_url: Option<String>,
    fork_block_number: Option<u64>,
    fork_retry_backoff: Option<u128>,
}

impl ForkConfig {
    fn of(chain: &Chain) -> Self {
        let Some(fork) = chain.fork() else { return Self::default() };
        let remote = fork.remote();
        Self {
            fork_url: Some(remote.shown()),
            fork_block_number: Some(fork.number()),
            fork_retry_backoff: Some(remote.config().backoff.as_millis()),
        }
    }
}

fn node_info(api: &Api, _: Arguments) -> Reply<NodeInfo> {
    let head = api.chain.head();
    let next = api.chain.next_block();
    let fork: SpecId = api.chain.spec().fork(head.number() + 1, next.timestamp);
    Ok(NodeInfo {
        current_block_number: U64::from(head.number()),
        current_block_timestamp: head.header.timestamp,
        current_block_hash: head.hash(),
        hard_fork: fork.into(),
        transaction_order: format!("{:?}", api.chain.config().order).to_lowercase(),
        environment: Environment {
            base_fee: U256::from(api.chain.next_base_fee().unwrap_or_default()),
            chain_id: api.chain.chain_id(),
            gas_limit: U64::from(next.gas_limit),
            gas_price: U256::from(api.chain.gas_price()),
        },
        fork_config: ForkConfig::of(&api.chain),
    })
}

/// What Hardhat asks for.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    client_version: String,
    chain_id: u64,
    /// The same as long as the chain is.
    instance_id: B256,
    latest_block_number: u64,
    latest_block_hash: B256,
    forked_network: Option<ForkedNetwork>,
    snapshots: BTreeMap<U256, (u64, B256)>,
}

/// The chain that this one was forked from.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ForkedNetwork {
    chain_id: u64,
    fork_block_number: u64,
    fork_block_hash: B256,
}

async fn metadata(api: Arc<Api>, _: Arguments) -> Reply<Metadata> {
    let mut snapshots = BTreeMap::new();
    for (id, number) in api.chain.savepoints()? {
        if let Some(header) = api.chain.header(number.into()).await? {
            snapshots.insert(U256::from(id), (number, header.seal()));
        }
    }
    let head = api.chain.head();
    let genesis = api.chain.genesis();
    Ok(Metadata {
        client_version: client_name(),
        chain_id: api.chain.chain_id(),
        instance_id: keccak256(
            [genesis.timestamp.to_be_bytes(), genesis.number.to_be_bytes()].concat(),
        ),
        latest_block_number: head.number(),
        latest_block_hash: head.hash(),
        forked_network: api.chain.fork().map(|fork| ForkedNetwork {
            chain_id: fork.chain_id(),
            fork_block_number: fork.number(),
            fork_block_hash: fork.block().hash(),
        }),
        snapshots,
    })
}
