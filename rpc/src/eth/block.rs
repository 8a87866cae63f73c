//! Blocks, headers and ommers.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::convert::{self, Sealing};
use crate::error::Reply;
use crate::methods::Table;
use alloy_eips::BlockId;
use alloy_primitives::U64;
use alloy_rpc_types_eth::{Block, Header};
use std::sync::Arc;
use storage::ExecutedBlock;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("eth_getBlockByHash", block_by_hash);
    table.task("eth_getBlockByNumber", block_by_number);
    table.task("eth_getHeaderByHash", header_by_hash);
    table.task("eth_getHeaderByNumber", header_by_number);
    table.task("eth_getBlockTransactionCountByHash", transaction_count_by_hash);
    table.task("eth_getBlockTransactionCountByNumber", transaction_count_by_number);
    table.task("eth_getUncleCountByBlockHash", ommer_count_by_hash);
    table.task("eth_getUncleCountByBlockNumber", ommer_count_by_number);
    table.task("eth_getUncleByBlockHashAndIndex", ommer_by_hash);
    table.task("eth_getUncleByBlockNumberAndIndex", ommer_by_number);
    table.aliases(&[("erigon_getHeaderByNumber", "eth_getHeaderByNumber")]);
}

/// A block by its hash, the first argument.
pub(super) async fn find_by_hash(
    api: &Api,
    arguments: &mut Arguments,
) -> Reply<Option<Arc<ExecutedBlock>>> {
    let hash = arguments.hash("block hash")?;
    Ok(api.chain.block(BlockId::hash(hash)).await?)
}

/// A block by its number or tag, the first argument.
pub(super) async fn find_by_number(
    api: &Api,
    arguments: &mut Arguments,
) -> Reply<Option<Arc<ExecutedBlock>>> {
    let number = arguments.block_number("block number")?;
    Ok(api.chain.block(BlockId::Number(number)).await?)
}

async fn block_by_hash(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<Sealing<Block>>> {
    let block = find_by_hash(&api, &mut arguments).await?;
    let full = arguments.optional("full transactions")?.unwrap_or(false);
    Ok(block.map(|block| convert::block(&block, full)))
}

async fn block_by_number(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<Sealing<Block>>> {
    let block = find_by_number(&api, &mut arguments).await?;
    let full = arguments.optional("full transactions")?.unwrap_or(false);
    Ok(block.map(|block| convert::block(&block, full)))
}

async fn header_by_hash(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<Sealing<Header>>> {
    let block = find_by_hash(&api, &mut arguments).await?;
    Ok(block.map(|block| convert::header(&block)))
}

async fn header_by_number(
    api: Arc<Api>,
    mut arguments: Arguments,
) -> Reply<Option<Sealing<Header>>> {
    let block = find_by_number(&api, &mut arguments).await?;
    Ok(block.map(|block| convert::header(&block)))
}

async fn transaction_count_by_hash(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<U64>> {
    let block = find_by_hash(&api, &mut arguments).await?;
    Ok(block.map(|block| U64::from(block.transactions.len())))
}

async fn transaction_count_by_number(
    api: Arc<Api>,
    mut arguments: Arguments,
) -> Reply<Option<U64>> {
    let block = find_by_number(&api, &mut arguments).await?;
    Ok(block.map(|block| U64::from(block.transactions.len())))
}

async fn ommer_count_by_hash(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<U64>> {
    let block = find_by_hash(&api, &mut arguments).await?;
    Ok(block.map(|block| U64::from(block.ommers.len())))
}

async fn ommer_count_by_number(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<U64>> {
    let block = find_by_number(&api, &mut arguments).await?;
    Ok(block.map(|block| U64::from(block.ommers.len())))
}

async fn ommer_by_hash(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<Block>> {
    let block = find_by_hash(&api, &mut arguments).await?;
    ommer(block, arguments.number("index")?)
}

async fn ommer_by_number(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<Block>> {
    let block = find_by_number(&api, &mut arguments).await?;
    ommer(block, arguments.number("index")?)
}

fn ommer(block: Option<Arc<ExecutedBlock>>, index: u64) -> Reply<Option<Block>> {
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    Ok(block.and_then(|block| block.ommers.get(index).map(convert::ommer)))
}
