//! Geth's traces of transactions, blocks and calls.

use super::options;
use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::{Reply, RpcError};
use crate::methods::Table;
use crate::request;
use alloy_consensus::{Block, TxEnvelope};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, Bytes, hex};
use alloy_rlp::Decodable;
use alloy_rpc_types_eth::{Bundle, StateContext};
use alloy_rpc_types_trace::geth::GethTrace;
use node::error::{CallError, QueryError};
use node::trace::{At, StepCall};
use serde::Serialize;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

/// Most bytes of a file with a block: more than a block may have (EIP-7934), as text.
const FILE_SIZE_MAX: u64 = 32 << 20;

/// Adds the methods that every profile has.
pub(super) fn register(table: &mut Table<Api>) {
    table.task("debug_traceTransaction", trace_transaction);
    table.task("debug_traceBlock", trace_block);
    table.task("debug_traceBlockByHash", trace_block_by_hash);
    table.task("debug_traceBlockByNumber", trace_block_by_number);
    table.task("debug_traceCall", trace_call);
    table.task("debug_traceCallMany", trace_call_many);
}

/// Adds the methods that look at files of the node's machine.
pub(super) fn register_files(table: &mut Table<Api>) {
    table.task("debug_traceBlockFromFile", trace_block_from_file);
}

async fn trace_transaction(api: Arc<Api>, mut arguments: Arguments) -> Reply<GethTrace> {
    let hash = arguments.hash("transaction hash")?;
    let options = options::take(&mut arguments)?;
    match api.chain.trace_transaction(hash, options).await {
        Err(CallError::Query(QueryError::TransactionNotFound(_))) => {
            Err(RpcError::server("transaction not found"))
        }
        trace => Ok(trace?),
    }
}

/// The trace of one transaction of a block.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TransactionTrace {
    tx_hash: B256,
    result: GethTrace,
}

/// Traces as they go over the wire.
pub(super) fn named(traces: Vec<(B256, GethTrace)>) -> Vec<TransactionTrace> {
    traces.into_iter().map(|(tx_hash, result)| TransactionTrace { tx_hash, result }).collect()
}

async fn trace_block_by_hash(
    api: Arc<Api>,
    mut arguments: Arguments,
) -> Reply<Vec<TransactionTrace>> {
    let hash = arguments.hash("block hash")?;
    trace_block_at(&api, BlockId::hash(hash), &mut arguments).await
}

async fn trace_block_by_number(
    api: Arc<Api>,
    mut arguments: Arguments,
) -> Reply<Vec<TransactionTrace>> {
    let number = arguments.block_number("block number")?;
    if number == BlockNumberOrTag::Pending {
        return Err(RpcError::server("tracing on top of pending is not supported"));
    }
    trace_block_at(&api, BlockId::Number(number), &mut arguments).await
}

async fn trace_block_at(
    api: &Api,
    id: BlockId,
    arguments: &mut Arguments,
) -> Reply<Vec<TransactionTrace>> {
    let options = options::take(arguments)?;
    let header = api.chain.header(id).await?.ok_or_else(|| not_found(id))?;
    check_genesis(api, header.number)?;
    Ok(named(api.chain.trace_block(id, options).await?))
}

fn check_genesis(api: &Api, number: u64) -> Reply<()> {
    if number == api.chain.first() {
        return Err(RpcError::server("genesis is not traceable"));
    }
    Ok(())
}

/// Geth's words for a block that is not there.
pub(super) fn not_found(id: BlockId) -> RpcError {
    match id {
        BlockId::Hash(hash) => RpcError::server(format!("block {} not found", hash.block_hash)),
        BlockId::Number(BlockNumberOrTag::Number(number)) => {
            RpcError::server(format!("block #{number} not found"))
        }
        BlockId::Number(tag) => RpcError::server(format!("block {tag} not found")),
    }
}

async fn trace_block(api: Arc<Api>, mut arguments: Arguments) -> Reply<Vec<TransactionTrace>> {
    let block: Bytes = arguments.required("block")?;
    trace_encoded(&api, &block, &mut arguments).await
}

async fn trace_encoded(
    api: &Api,
    mut encoded: &[u8],
    arguments: &mut Arguments,
) -> Reply<Vec<TransactionTrace>> {
    let options = options::take(arguments)?;
    let block = Block::<TxEnvelope>::decode(&mut encoded);
    let block =
        block.map_err(|e| RpcError::invalid_params(format!("could not decode block: {e}")))?;
    check_genesis(api, block.header.number)?;
    let block = Arc::new(node::trace::unexecuted(block)?);
    Ok(named(api.chain.trace_foreign_block(block, options).await?))
}

async fn trace_block_from_file(
    api: Arc<Api>,
    mut arguments: Arguments,
) -> Reply<Vec<TransactionTrace>> {
    let path: String = arguments.required("file")?;
    let read = tokio::task::spawn_blocking(move || read_file(&path));
    let bytes = read.await.map_err(RpcError::internal)??;
    // As text, as `debug_getRawBlock` gives it, or as the bytes themselves.
    let text = str::from_utf8(&bytes).ok().map(str::trim);
    let block = text.and_then(|text| hex::decode(text).ok()).unwrap_or(bytes);
    trace_encoded(&api, &block, &mut arguments).await
}

/// Reads an ordinary file; a device or a pipe might never end.
fn read_file(path: &str) -> Reply<Vec<u8>> {
    let failed = |error| RpcError::server(format!("could not read file: {error}"));
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(RpcError::server("could not read file: not a regular file"));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(FILE_SIZE_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_SIZE_MAX {
        let text = format!("could not read file: it has more than {FILE_SIZE_MAX} bytes");
        return Err(RpcError::server(text));
    }
    Ok(bytes)
}

async fn trace_call(api: Arc<Api>, mut arguments: Arguments) -> Reply<GethTrace> {
    let call = arguments.call()?;
    let block = arguments.block()?;
    let (options, timeout) = options::take_of_call(&mut arguments)?;
    let overrides =
        request::overrides(options.state_overrides, options.block_overrides.map(Box::new));
    let at = At { block, index: options.tx_index };
    let calls = vec![StepCall { call, overrides, kind: () }];
    let options = (options.tracing_options, timeout);
    let mut traces = api.chain.trace_calls(calls, at, options).await?;
    traces.pop().ok_or_else(|| RpcError::internal("a call without a trace"))
}

async fn trace_call_many(api: Arc<Api>, mut arguments: Arguments) -> Reply<Vec<Vec<GethTrace>>> {
    let bundles: Vec<Bundle> = arguments.required("bundles")?;
    let context: StateContext = arguments.optional("state context")?.unwrap_or_default();
    let (options, timeout) = options::take_of_call(&mut arguments)?;
    if bundles.is_empty() {
        return Err(RpcError::invalid_params("bundles are empty."));
    }
    let index = context.transaction_index.and_then(|index| index.index());
    let block = context.block_number.unwrap_or_default();
    let at = At { block, index: index.map(|index| index as u64) };
    let mut state = options.state_overrides;
    let block = options.block_overrides;
    let sizes: Vec<usize> = bundles.iter().map(|bundle| bundle.transactions.len()).collect();
    let mut calls = Vec::with_capacity(sizes.iter().sum());
    for bundle in bundles {
        let block = bundle.block_override.or_else(|| block.clone()).map(Box::new);
        for transaction in bundle.transactions {
            // The state is changed once, before everything else.
            let overrides = request::overrides(state.take(), block.clone());
            calls.push(StepCall { call: request::call(transaction)?, overrides, kind: () });
        }
    }
    let traces = api.chain.trace_calls(calls, at, (options.tracing_options, timeout)).await?;
    let mut traces = traces.into_iter();
    Ok(sizes.into_iter().map(|size| traces.by_ref().take(size).collect()).collect())
}
