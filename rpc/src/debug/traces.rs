//! Geth's traces of transactions, blocks and calls.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::{Reply, RpcError};
use crate::methods::Table;
use crate::request;
use alloy_eips::BlockId;
use alloy_primitives::B256;
use alloy_rpc_types_eth::TransactionRequest;
use alloy_rpc_types_trace::geth::{
    GethDebugTracingCallOptions, GethDebugTracingOptions, GethTrace,
};
use serde::Serialize;
use std::sync::Arc;

/// Adds the methods of this file.
pub(super) fn register(table: &mut Table<Api>) {
    table.task("debug_traceTransaction", trace_transaction);
    table.task("debug_traceBlockByHash", trace_block_by_hash);
    table.task("debug_traceBlockByNumber", trace_block_by_number);
    table.task("debug_traceCall", trace_call);
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
