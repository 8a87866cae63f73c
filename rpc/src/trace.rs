//! `trace_`: Parity's traces, as reth, Erigon and OpenEthereum answer.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::{Reply, RpcError};
use crate::forked;
use crate::methods::Table;
use crate::request::{self, BlockArgument, Quantity};
use alloy_consensus::transaction::SignerRecoverable;
use alloy_consensus::{Transaction, TxEnvelope};
use alloy_eips::eip2718::Decodable2718;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, Bytes};
use alloy_rpc_types_eth::TransactionRequest;
use alloy_rpc_types_trace::filter::TraceFilterMode;
use alloy_rpc_types_trace::opcode::{BlockOpcodeGas, TransactionOpcodeGas};
use alloy_rpc_types_trace::parity::{
    LocalizedTransactionTrace, TraceResults, TraceResultsWithTransactionHash,
};
use node::call::{Call, Overrides};
use node::error::{CallError, QueryError};
use node::trace::{StepCall, TraceQuery, TraceTypes};
use serde::Deserialize;
use std::sync::Arc;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("trace_block", block);
    table.task("trace_transaction", transaction);
    table.task("trace_get", get);
    table.task("trace_filter", filter);
    table.task("trace_call", call);
    table.task("trace_callMany", call_many);
    table.task("trace_rawTransaction", raw_transaction);
    table.task("trace_replayTransaction", replay_transaction);
    table.task("trace_replayBlockTransactions", replay_block);
    table.task("trace_transactionOpcodeGas", transaction_opcode_gas);
    table.task("trace_blockOpcodeGas", block_opcode_gas);
}

/// What is not on the chain has no trace: null.
fn if_found<T>(traced: Result<T, CallError>) -> Reply<Option<T>> {
    match traced {
        Err(CallError::Query(
            QueryError::TransactionNotFound(_) | QueryError::BlockNotFound(_),
        )) => Ok(None),
        traced => Ok(Some(traced?)),
    }
}

fn take_block(arguments: &mut Arguments) -> Reply<BlockId> {
    let block = arguments.required::<BlockArgument>("block")?.0;
    if block == BlockId::pending() {
        return Err(RpcError::server("tracing on top of pending is not supported"));
    }
    Ok(block)
}

type Traces = Vec<LocalizedTransactionTrace>;

async fn block(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<Traces>> {
    let block = take_block(&mut arguments)?;
    if_found(api.chain.parity_block(block).await)
}

async fn transaction(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<Traces>> {
    let hash = arguments.hash("transaction hash")?;
    if_found(api.chain.parity_transaction(hash).await)
}

async fn get(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<LocalizedTransactionTrace>> {
    let hash = arguments.hash("transaction hash")?;
    let address: Vec<Quantity> = arguments.required("trace address")?;
    let address: Vec<usize> =
        address.iter().map(|place| usize::try_from(place.0).unwrap_or(usize::MAX)).collect();
    let traces = if_found(api.chain.parity_transaction(hash).await)?.unwrap_or_default();
    Ok(traces.into_iter().find(|trace| trace.trace.trace_address == address))
}

/// A filter as it comes over the wire.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Filter {
    from_block: Option<BlockArgument>,
    to_block: Option<BlockArgument>,
    from_address: Option<Vec<Address>>,
    to_address: Option<Vec<Address>>,
    mode: TraceFilterMode,
    after: Option<Quantity>,
    count: Option<Quantity>,
}

fn number_or_tag(block: Option<BlockArgument>) -> Reply<Option<BlockNumberOrTag>> {
    match block.map(|block| block.0) {
        None => Ok(None),
        Some(BlockId::Number(number)) => Ok(Some(number)),
        Some(BlockId::Hash(_)) => {
            Err(RpcError::invalid_params("a range of blocks needs numbers or tags"))
        }
    }
}

async fn filter(api: Arc<Api>, mut arguments: Arguments) -> Reply<Traces> {
    let filter: Filter = arguments.required("filter")?;
    let query = TraceQuery {
        from: number_or_tag(filter.from_block)?,
        to: number_or_tag(filter.to_block)?,
        senders: filter.from_address.unwrap_or_default(),
        receivers: filter.to_address.unwrap_or_default(),
        either: filter.mode == TraceFilterMode::Union,
        after: filter.after.map_or(0, |after| after.0),
        count: filter.count.map(|count| count.0),
    };
    let (mut traces, rest) = forked::traces(&api, query)?;
    if let Some(query) = rest {
        traces.extend(api.chain.filter_traces(query).await?);
    }
    Ok(traces)
}

async fn call(api: Arc<Api>, mut arguments: Arguments) -> Reply<TraceResults> {
    let call = arguments.call()?;
    let kind = arguments.required("trace types")?;
    let block = arguments.block()?;
    let state = arguments.optional("state overrides")?;
    let overrides = request::overrides(state, arguments.optional("block overrides")?);
    one(&api, StepCall { call, overrides, kind }, block).await
}

async fn one(api: &Api, call: StepCall<TraceTypes>, block: BlockId) -> Reply<TraceResults> {
    let mut traces = api.chain.parity_calls(vec![call], block.into()).await?;
    traces.pop().ok_or_else(|| RpcError::internal("a call without a trace"))
}

async fn call_many(api: Arc<Api>, mut arguments: Arguments) -> Reply<Vec<TraceResults>> {
    let calls: Vec<(TransactionRequest, TraceTypes)> = arguments.required("calls")?;
    let block = arguments.block()?;
    let calls = calls.into_iter().map(|(call, kind)| {
        Ok(StepCall { call: request::call(call)?, overrides: Overrides::default(), kind })
    });
    Ok(api.chain.parity_calls(calls.collect::<Reply<_>>()?, block.into()).await?)
}

async fn raw_transaction(api: Arc<Api>, mut arguments: Arguments) -> Reply<TraceResults> {
    let bytes: Bytes = arguments.required("transaction")?;
    let kind = arguments.required("trace types")?;
    let block = arguments.block()?;
    let transaction = TxEnvelope::decode_2718_exact(&bytes)
        .map_err(|error| RpcError::server(format!("transaction could not be decoded: {error}")))?;
    let sender = transaction.recover_signer();
    let sender = sender.map_err(|_| RpcError::server("invalid sender"))?;
    let call = signed_call(&transaction, sender);
    one(&api, StepCall { call, overrides: Overrides::default(), kind }, block).await
}

/// The call that a signed transaction makes.
fn signed_call(transaction: &TxEnvelope, sender: Address) -> Call {
    let dynamic = transaction.is_dynamic_fee();
    Call {
        from: Some(sender),
        to: transaction.to(),
        gas: Some(transaction.gas_limit()),
        gas_price: transaction.gas_price(),
        max_fee_per_gas: dynamic.then(|| transaction.max_fee_per_gas()),
        max_priority_fee_per_gas: transaction.max_priority_fee_per_gas(),
        max_fee_per_blob_gas: transaction.max_fee_per_blob_gas(),
        value: transaction.value(),
        input: transaction.input().clone(),
        nonce: Some(transaction.nonce()),
        chain_id: transaction.chain_id(),
        access_list: transaction.access_list().cloned(),
        blob_versioned_hashes: transaction.blob_versioned_hashes().unwrap_or_default().to_vec(),
        authorization_list: transaction.authorization_list().unwrap_or_default().to_vec(),
    }
}

async fn replay_transaction(api: Arc<Api>, mut arguments: Arguments) -> Reply<TraceResults> {
    let hash = arguments.hash("transaction hash")?;
    let types = arguments.required("trace types")?;
    Ok(api.chain.replay_transaction(hash, types).await?)
}

async fn replay_block(
    api: Arc<Api>,
    mut arguments: Arguments,
) -> Reply<Option<Vec<TraceResultsWithTransactionHash>>> {
    let block = take_block(&mut arguments)?;
    let types = arguments.required("trace types")?;
    if_found(api.chain.replay_block(block, types).await)
}

async fn transaction_opcode_gas(
    api: Arc<Api>,
    mut arguments: Arguments,
) -> Reply<Option<TransactionOpcodeGas>> {
    let hash = arguments.hash("transaction hash")?;
    if_found(api.chain.transaction_opcode_gas(hash).await)
}

async fn block_opcode_gas(
    api: Arc<Api>,
    mut arguments: Arguments,
) -> Reply<Option<BlockOpcodeGas>> {
    let block = take_block(&mut arguments)?;
    if_found(api.chain.block_opcode_gas(block).await)
}
