//! `eth_simulateV1`: blocks of calls that are run and forgotten.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::convert::{self, Sealing};
use crate::error::{Reply, RpcError};
use crate::methods::Table;
use crate::request;
use alloy_consensus::TxEnvelope;
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Bytes, U64};
use alloy_rpc_types_eth::state::StateOverride;
use alloy_rpc_types_eth::{Block, BlockOverrides, Log, TransactionRequest};
use node::simulate::{CallFailure, PlannedBlock, SimulatedBlock, SimulatedCall, Simulation};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use storage::ExecutedBlock;

/// Code of a call that halted.
const HALTED: i32 = -32015;
/// Code of a call that reverted.
const REVERTED: i32 = 3;
/// The chain id that geth reads out of a legacy transaction whose `v` is 0.
const CHAIN_ID_OF_ZERO: u64 = (u64::MAX - 34) / 2;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("eth_simulateV1", simulate);
}

/// What to simulate, as it comes over the wire.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Request {
    block_state_calls: Vec<BlockRequest>,
    trace_transfers: bool,
    validation: bool,
    return_full_transactions: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct BlockRequest {
    block_overrides: Option<Overrides>,
    state_overrides: Option<StateOverride>,
    calls: Option<Vec<TransactionRequest>>,
}

/// Overrides of a simulated block: alloy's, and withdrawals.
#[derive(Debug, Deserialize)]
struct Overrides {
    #[serde(flatten)]
    fields: BlockOverrides,
    #[serde(default)]
    withdrawals: Option<Withdrawals>,
}

/// A simulated block with what its calls gave.
#[derive(Clone, Debug, Serialize)]
struct Simulated {
    #[serde(flatten)]
    block: Value,
    calls: Vec<CallResult>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CallResult {
    return_data: Bytes,
    logs: Vec<Log>,
    gas_used: U64,
    max_used_gas: U64,
    status: U64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<CallError>,
}

#[derive(Clone, Debug, Serialize)]
struct CallError {
    message: String,
    code: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Bytes>,
}

async fn simulate(api: Arc<Api>, mut arguments: Arguments) -> Reply<Vec<Simulated>> {
    let request: Request = arguments.required("simulation")?;
    let block = arguments.block()?;
    let full = request.return_full_transactions;
    let blocks = request.block_state_calls.into_iter().map(planned).collect::<Reply<_>>()?;
    let simulation = Simulation {
        blocks,
        trace_transfers: request.trace_transfers,
        validation: request.validation,
    };
    let simulated = api.chain.simulate(simulation, block).await?;
    simulated.iter().map(|block| answer(block, full)).collect()
}

fn planned(request: BlockRequest) -> Reply<PlannedBlock> {
    let (fields, withdrawals) = match request.block_overrides {
        Some(overrides) => (overrides.fields, overrides.withdrawals),
        None => (BlockOverrides::default(), None),
    };
    let beacon_root = fields.beacon_root;
    let overrides = request::overrides(request.state_overrides, Some(Box::new(fields)));
    let calls = request.calls.unwrap_or_default();
    Ok(PlannedBlock {
        overrides: overrides.block,
        beacon_root,
        withdrawals: withdrawals.unwrap_or_default(),
        state: overrides.state,
        calls: calls.into_iter().map(request::call).collect::<Reply<_>>()?,
    })
}

fn answer(simulated: &SimulatedBlock, full: bool) -> Reply<Simulated> {
    let SimulatedBlock { block, calls } = simulated;
    let sealed: Sealing<Block> = convert::block(block, full);
    let mut json = serde_json::to_value(sealed).map_err(RpcError::internal)?;
    if full && let Some(Value::Array(transactions)) = json.get_mut("transactions") {
        transactions
            .iter_mut()
            .zip(&block.transactions)
            .filter(|(_, transaction)| matches!(transaction, TxEnvelope::Legacy(_)))
            .for_each(|(shown, _)| show_unsigned(shown));
    }
    let calls = calls.iter().enumerate().map(|(index, call)| result(block, index, call)).collect();
    Ok(Simulated { block: json, calls })
}

/// A legacy transaction without a signature has a `v` of 0, which alloy has no form for.
fn show_unsigned(transaction: &mut Value) {
    if let Value::Object(fields) = transaction {
        fields.insert("v".to_owned(), json!("0x0"));
        fields.insert("chainId".to_owned(), json!(U64::from(CHAIN_ID_OF_ZERO)));
    }
}

fn result(block: &ExecutedBlock, index: usize, call: &SimulatedCall) -> CallResult {
    let logs = call.logs.iter().map(|(log, log_index)| Log {
        inner: log.clone(),
        block_hash: Some(block.hash()),
        block_number: Some(block.number()),
        block_timestamp: Some(block.header.timestamp),
        transaction_hash: block.transactions.get(index).map(|tx| *tx.tx_hash()),
        transaction_index: Some(index as u64),
        log_index: Some(*log_index),
        removed: false,
    });
    CallResult {
        return_data: call.output.clone(),
        logs: logs.collect(),
        gas_used: U64::from(call.gas_used),
        max_used_gas: U64::from(call.gas_used_max),
        status: U64::from(u8::from(call.failure.is_none())),
        error: call.failure.as_ref().map(failure),
    }
}

fn failure(failure: &CallFailure) -> CallError {
    match failure {
        CallFailure::Revert(data) => {
            let message = crate::revert::message(data);
            CallError { message, code: REVERTED, data: Some(data.clone()) }
        }
        CallFailure::Halt(message) => {
            CallError { message: message.clone(), code: HALTED, data: None }
        }
    }
}
