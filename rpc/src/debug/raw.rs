//! Blocks, headers, receipts and transactions as bytes.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::convert;
use crate::error::{Reply, RpcError};
use crate::eth;
use crate::methods::Table;
use alloy_consensus::Header;
use alloy_eips::BlockId;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::Bytes;
use alloy_rlp::Encodable;
use std::sync::Arc;
use storage::ExecutedBlock;

/// Adds the methods of this file.
pub(super) fn register(table: &mut Table<Api>) {
    table.task("debug_getRawBlock", raw_block);
    table.task("debug_getRawHeader", raw_header);
    table.task("debug_getRawReceipts", raw_receipts);
    table.task("debug_getRawTransactions", raw_transactions);
    table.quick("debug_getRawTransaction", eth::raw_transaction);
}

async fn block(api: &Api, id: BlockId) -> Reply<Arc<ExecutedBlock>> {
    api.chain.block(id).await?.ok_or_else(|| RpcError::no_block(id))
}

async fn raw_block(api: Arc<Api>, mut arguments: Arguments) -> Reply<Bytes> {
    let block = block(&api, arguments.block()?).await?;
    Ok(encoded(&block))
}

/// A block's RLP.
pub(super) fn encoded(block: &ExecutedBlock) -> Bytes {
    let header: Header = block.header.inner().clone();
    let mut raw = Vec::new();
    block.body().into_block(header).encode(&mut raw);
    raw.into()
}

async fn raw_header(api: Arc<Api>, mut arguments: Arguments) -> Reply<Bytes> {
    let block = block(&api, arguments.block()?).await?;
    Ok(alloy_rlp::encode(block.header.inner()).into())
}

async fn raw_receipts(api: Arc<Api>, mut arguments: Arguments) -> Reply<Vec<Bytes>> {
    let block = block(&api, arguments.block()?).await?;
    let headers = api.chain.spec().headers;
    let receipts = block.receipts.iter();
    Ok(receipts.map(|receipt| receipt.envelope(headers).encoded_2718().into()).collect())
}

async fn raw_transactions(api: Arc<Api>, mut arguments: Arguments) -> Reply<Vec<Bytes>> {
    let block = block(&api, arguments.block()?).await?;
    Ok(block.transactions.iter().map(convert::raw).collect())
}
