//! Transactions, on the chain and waiting.

use super::block::{find_by_hash, find_by_number};
use crate::api::Api;
use crate::arguments::Arguments;
use crate::convert;
use crate::error::Reply;
use crate::methods::Table;
use alloy_primitives::Bytes;
use alloy_rpc_types_eth::Transaction;
use std::sync::Arc;
use storage::ExecutedBlock;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.quick("eth_getTransactionByHash", by_hash);
    table.task("eth_getTransactionByBlockHashAndIndex", by_block_hash);
    table.task("eth_getTransactionByBlockNumberAndIndex", by_block_number);
    table.quick("eth_getRawTransactionByHash", raw_by_hash);
    table.task("eth_getRawTransactionByBlockHashAndIndex", raw_by_block_hash);
    table.task("eth_getRawTransactionByBlockNumberAndIndex", raw_by_block_number);
    table.task("eth_getTransactionBySenderAndNonce", by_nonce);
    table.quick("eth_pendingTransactions", pending);
}

fn by_hash(api: &Api, mut arguments: Arguments) -> Reply<Option<Transaction>> {
    let hash = arguments.hash("transaction hash")?;
    let waiting = api.chain.waiting(hash);
    match api.chain.transaction(hash)? {
        Some(found) => Ok(Some(convert::included(found))),
        None => Ok(waiting.map(|waiting| convert::waiting(&waiting))),
    }
}

async fn by_nonce(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<Transaction>> {
    let sender = arguments.required("sender")?;
    let nonce = arguments.number("nonce")?;
    let waiting = api.chain.waiting_of(sender, nonce);
    match api.chain.transaction_of(sender, nonce).await? {
        Some(found) => Ok(Some(convert::included(found))),
        None => Ok(waiting.map(|waiting| convert::waiting(&waiting))),
    }
}

async fn by_block_hash(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<Transaction>> {
    let block = find_by_hash(&api, &mut arguments).await?;
    at_index(block.as_deref(), &mut arguments)
}

async fn by_block_number(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<Transaction>> {
    let block = find_by_number(&api, &mut arguments).await?;
    at_index(block.as_deref(), &mut arguments)
}

fn at_index(
    block: Option<&ExecutedBlock>,
    arguments: &mut Arguments,
) -> Reply<Option<Transaction>> {
    let index = usize::try_from(arguments.number("index")?).unwrap_or(usize::MAX);
    Ok(block.and_then(|block| convert::transaction_of(block, index)))
}

/// The bytes of a transaction, wherever it is.
pub(crate) fn raw_by_hash(api: &Api, mut arguments: Arguments) -> Reply<Option<Bytes>> {
    let hash = arguments.hash("transaction hash")?;
    let waiting = api.chain.waiting(hash);
    if let Some(found) = api.chain.transaction(hash)? {
        return Ok(Some(convert::raw(&found.transaction)));
    }
    Ok(waiting.map(|waiting| {
        // A transaction that waits still has its blobs, and goes round with them.
        convert::raw(&waiting.transaction)
    }))
}

async fn raw_by_block_hash(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<Bytes>> {
    let block = find_by_hash(&api, &mut arguments).await?;
    raw_at_index(block.as_deref(), &mut arguments)
}

async fn raw_by_block_number(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<Bytes>> {
    let block = find_by_number(&api, &mut arguments).await?;
    raw_at_index(block.as_deref(), &mut arguments)
}

fn raw_at_index(block: Option<&ExecutedBlock>, arguments: &mut Arguments) -> Reply<Option<Bytes>> {
    let index = usize::try_from(arguments.number("index")?).unwrap_or(usize::MAX);
    Ok(block.and_then(|block| block.transactions.get(index).map(convert::raw)))
}

fn pending(api: &Api, _: Arguments) -> Reply<Vec<Transaction>> {
    let own = api.chain.accounts();
    let waiting = api.chain.pool_content().into_iter().map(|(waiting, _)| waiting);
    let mine = waiting.filter(|waiting| own.contains(&waiting.sender));
    Ok(mine.map(|waiting| convert::waiting(&waiting)).collect())
}
