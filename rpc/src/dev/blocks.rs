//! Sealing blocks, and going back.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::convert::{self, Sealing};
use crate::error::{Reply, RpcError};
use crate::methods::Table;
use crate::request::Quantity;
use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_eth::Block;
use node::config::SECONDS_MAX;
use node::fork::{ForkBlock, ForkConfig, RemoteConfig};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("anvil_mine", mine);
    table.task("evm_mine", evm_mine);
    table.task("anvil_mine_detailed", mine_detailed);
    table.quick("anvil_getAutomine", automine);
    table.task("anvil_setAutomine", set_automine);
    table.quick("anvil_getIntervalMining", interval_mining);
    table.task("anvil_setIntervalMining", set_interval_mining);
    table.task("anvil_snapshot", snapshot);
    table.task("anvil_revert", revert);
    table.task("anvil_rollback", rollback);
    table.task("debug_setHead", set_head);
    table.task("dev_addWithdrawal", add_withdrawal);
    table.task("anvil_reset", reset);
    table.task("hardhat_reset", hardhat_reset);
    table.task("anvil_setRpcUrl", set_rpc_url);
    table.task("anvil_dropTransaction", drop_transaction);
    table.task("hardhat_dropTransaction", hardhat_drop_transaction);
    table.task("anvil_dropAllTransactions", drop_all_transactions);
    table.task("anvil_removePoolTransactions", remove_pool_transactions);
}

async fn mine(api: Arc<Api>, mut arguments: Arguments) -> Reply<()> {
    let blocks = arguments.optional_number("blocks")?.unwrap_or(1);
    let interval = arguments.optional_number("interval")?;
    api.chain.seal(blocks, interval).await?;
    Ok(())
}

/// When to seal, and how often: both forms of anvil and ganache.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Mine {
    Timestamp(Quantity),
    Options { timestamp: Option<Quantity>, blocks: Option<Quantity> },
}

async fn seal(api: &Api, arguments: &mut Arguments) -> Reply<node::SealedBlocks> {
    let (timestamp, blocks) = match arguments.optional::<Mine>("options")? {
        None => (None, None),
        Some(Mine::Timestamp(timestamp)) => (Some(timestamp.0), None),
        Some(Mine::Options { timestamp, blocks }) => (timestamp.map(|t| t.0), blocks.map(|b| b.0)),
    };
    match (timestamp, blocks.unwrap_or(1)) {
        (timestamp, 1) => Ok(api.chain.seal_at(timestamp).await?),
        (None, blocks) => Ok(api.chain.seal(blocks, None).await?),
        (Some(timestamp), blocks) => {
            api.chain.set_next_timestamp(timestamp).await?;
            Ok(api.chain.seal(blocks, None).await?)
        }
    }
}

async fn evm_mine(api: Arc<Api>, mut arguments: Arguments) -> Reply<&'static str> {
    seal(&api, &mut arguments).await?;
    Ok("0x0")
}

async fn mine_detailed(api: Arc<Api>, mut arguments: Arguments) -> Reply<Vec<Sealing<Block>>> {
    let sealed = seal(&api, &mut arguments).await?;
    let mut blocks = Vec::new();
    for number in (sealed.first..).take(usize::try_from(sealed.count).unwrap_or(usize::MAX)) {
        let block = api.chain.block(number.into()).await?;
        blocks.extend(block.map(|block| convert::block(&block, true)));
    }
    Ok(blocks)
}

fn automine(api: &Api, _: Arguments) -> Reply<bool> {
    Ok(api.chain.automine())
}

async fn set_automine(api: Arc<Api>, mut arguments: Arguments) -> Reply<()> {
    Ok(api.chain.set_automine(arguments.required("enabled")?).await?)
}

fn interval_mining(api: &Api, _: Arguments) -> Reply<Option<u64>> {
    Ok(api.chain.interval().map(|interval| interval.as_secs()))
}

/// Seconds; zero stops it.
async fn set_interval_mining(api: Arc<Api>, mut arguments: Arguments) -> Reply<()> {
    let seconds = arguments.number("seconds")?;
    if seconds > SECONDS_MAX {
        let text = format!("an interval of {seconds} seconds is more than {SECONDS_MAX}");
        return Err(RpcError::invalid_params(text));
    }
    let interval = (seconds > 0).then(|| Duration::from_secs(seconds));
    Ok(api.chain.set_interval(interval).await?)
}

async fn snapshot(api: Arc<Api>, _: Arguments) -> Reply<U256> {
    Ok(U256::from(api.chain.savepoint().await?))
}

async fn revert(api: Arc<Api>, mut arguments: Arguments) -> Reply<bool> {
    Ok(api.chain.revert(arguments.number("snapshot id")?).await?)
}

async fn rollback(api: Arc<Api>, mut arguments: Arguments) -> Reply<()> {
    Ok(api.chain.rollback(arguments.optional_number("depth")?.unwrap_or(1)).await?)
}

async fn set_head(api: Arc<Api>, mut arguments: Arguments) -> Reply<()> {
    Ok(api.chain.set_head(arguments.number("block number")?).await?)
}

/// geth's: index, validator, address, and the amount in gwei.
async fn add_withdrawal(api: Arc<Api>, mut arguments: Arguments) -> Reply<()> {
    Ok(api.chain.add_withdrawal(arguments.required("withdrawal")?).await?)
}

async fn reset(api: Arc<Api>, mut arguments: Arguments) -> Reply<()> {
    match arguments.optional("forking")? {
        None | Some(Reset::Hardhat { forking: None }) => api.chain.reset().await?,
        Some(Reset::Hardhat { forking: Some(forking) } | Reset::Anvil(forking)) => {
            fork_anew(&api, forking).await?;
        }
    }
    Ok(())
}

/// Hardhat answers `true`, and anvil nothing.
async fn hardhat_reset(api: Arc<Api>, arguments: Arguments) -> Reply<bool> {
    reset(api, arguments).await?;
    Ok(true)
}

/// What to fork anew, in the form of Hardhat and in the one that anvil takes too.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Reset {
    Hardhat { forking: Option<Forking> },
    Anvil(Forking),
}

/// From where, and at which block.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Forking {
    json_rpc_url: Option<String>,
    block_number: Option<Quantity>,
}

async fn fork_anew(api: &Api, forking: Forking) -> Reply<()> {
    let Forking { json_rpc_url: url, block_number } = forking;
    let block = block_number.map_or(ForkBlock::Newest, |number| ForkBlock::Number(number.0));
    let config = match (url, api.chain.fork()) {
        (Some(url), _) => {
            let remote = api.chain.fork().map(|fork| fork.remote().config().clone());
            let remote = RemoteConfig { urls: vec![url], ..remote.unwrap_or_default() };
            ForkConfig { remote, block, ..ForkConfig::default() }
        }
        (None, Some(fork)) => fork.config_at(block),
        (None, None) => {
            let text =
                "invalid argument 0 (forking): the chain is not forked, and no jsonRpcUrl is given";
            return Err(RpcError::invalid_params(text));
        }
    };
    Ok(api.chain.fork_anew(config).await?)
}

/// The node to ask from now on, for the chain that is forked already.
async fn set_rpc_url(api: Arc<Api>, mut arguments: Arguments) -> Reply<()> {
    Ok(api.chain.set_fork_url(arguments.required("url")?)?)
}

async fn drop_transaction(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<B256>> {
    let hash = arguments.hash("transaction hash")?;
    Ok(api.chain.drop_transaction(hash).await?.map(|dropped| dropped.hash))
}

/// Hardhat answers whether it was there.
async fn hardhat_drop_transaction(api: Arc<Api>, mut arguments: Arguments) -> Reply<bool> {
    let hash = arguments.hash("transaction hash")?;
    Ok(api.chain.drop_transaction(hash).await?.is_some())
}

async fn drop_all_transactions(api: Arc<Api>, _: Arguments) -> Reply<()> {
    api.chain.drop_all_transactions().await?;
    Ok(())
}

async fn remove_pool_transactions(api: Arc<Api>, mut arguments: Arguments) -> Reply<()> {
    let sender: Address = arguments.required("address")?;
    api.chain.drop_transactions_of(sender).await?;
    Ok(())
}
