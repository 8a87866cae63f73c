//! `debug_`: traces, and bytes as they are hashed.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::convert;
use crate::error::{Reply, RpcError};
use crate::eth;
use crate::methods::Table;
use crate::request;
use alloy_consensus::Header;
use alloy_eips::BlockId;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::Encodable;
use alloy_rpc_types_eth::TransactionRequest;
use alloy_rpc_types_trace::geth::{
    GethDebugTracingCallOptions, GethDebugTracingOptions, GethTrace,
};
use serde::Serialize;
use std::sync::Arc;
use storage::ExecutedBlock;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("debug_traceTransaction", trace_transaction);
    table.task("debug_traceBlockByHash", trace_block_by_hash);
    table.task("debug_traceBlockByNumber", trace_block_by_number);
    table.task("debug_traceCall", trace_call);
    table.task("debug_getRawBlock", raw_block);
    table.task("debug_getRawHeader", raw_header);
    table.task("debug_getRawReceipts", raw_receipts);
    table.task("debug_getRawTransactions", raw_transactions);
    table.quick("debug_getRawTransaction", eth::raw_transaction);
}

async fn trace_transaction(api: Arc<Api>, mut arguments: Arguments) -> Reply<GethTrace> {
    let hash = arguments.hash("transaction hash")?;
    let options = arguments.optional("options")?.unwrap_or_default();
    Ok(api.chain.trace_transaction(hash, options).await?)
}

/// The trace of one transaction of a block.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TransactionTrace {
    tx_hash: B256,
    result: GethTrace,
}

async fn trace_block_by_hash(
    api: Arc<Api>,
    mut arguments: Arguments,
) -> Reply<Vec<TransactionTrace>> {
    let hash = arguments.hash("block hash")?;
    trace_block(&api, BlockId::hash(hash), &mut arguments).await
}

async fn trace_block_by_number(
    api: Arc<Api>,
    mut arguments: Arguments,
) -> Reply<Vec<TransactionTrace>> {
    let number = arguments.block_number("block number")?;
    trace_block(&api, BlockId::Number(number), &mut arguments).await
}

async fn trace_block(
    api: &Api,
    id: BlockId,
    arguments: &mut Arguments,
) -> Reply<Vec<TransactionTrace>> {
    let options: GethDebugTracingOptions = arguments.optional("options")?.unwrap_or_default();
    let header = api.chain.header(id).await?.ok_or_else(|| RpcError::no_block(id))?;
    if header.number == api.chain.genesis().number {
        return Err(RpcError::server("genesis is not traceable"));
    }
    let traces = api.chain.trace_block(id, options).await?;
    Ok(traces.into_iter().map(|(tx_hash, result)| TransactionTrace { tx_hash, result }).collect())
}

async fn trace_call(api: Arc<Api>, mut arguments: Arguments) -> Reply<GethTrace> {
    let call = request::call(arguments.required::<TransactionRequest>("transaction")?)?;
    let block = arguments.block()?;
    let options: GethDebugTracingCallOptions = arguments.optional("options")?.unwrap_or_default();
    let overrides =
        request::overrides(options.state_overrides, options.block_overrides.map(Box::new));
    Ok(api.chain.trace_call(call, block, (overrides, options.tracing_options)).await?)
}

async fn block(api: &Api, id: BlockId) -> Reply<Arc<ExecutedBlock>> {
    api.chain.block(id).await?.ok_or_else(|| RpcError::no_block(id))
}

async fn raw_block(api: Arc<Api>, mut arguments: Arguments) -> Reply<Bytes> {
    let block = block(&api, arguments.block()?).await?;
    let header: Header = block.header.inner().clone();
    let mut raw = Vec::new();
    block.body().into_block(header).encode(&mut raw);
    Ok(raw.into())
}

async fn raw_header(api: Arc<Api>, mut arguments: Arguments) -> Reply<Bytes> {
    let block = block(&api, arguments.block()?).await?;
    Ok(alloy_rlp::encode(block.header.inner()).into())
}

async fn raw_receipts(api: Arc<Api>, mut arguments: Arguments) -> Reply<Vec<Bytes>> {
    let block = block(&api, arguments.block()?).await?;
    let receipts = block.receipts.iter();
    Ok(receipts.map(|receipt| receipt.envelope().encoded_2718().into()).collect())
}

async fn raw_transactions(api: Arc<Api>, mut arguments: Arguments) -> Reply<Vec<Bytes>> {
    let block = block(&api, arguments.block()?).await?;
    Ok(block.transactions.iter().map(convert::raw).collect())
}
