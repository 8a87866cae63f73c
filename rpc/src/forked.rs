//! On a forked chain: requests about blocks that both chains have go to the other node.
//!
//! [`PLACES`] says for each method where in its arguments the block or transaction stands. The
//! state at the fork block itself is this chain's, the block with its transactions the other's.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::{Reply, RpcError};
use crate::log_filter::LogFilter;
use crate::request::BlockArgument;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, Bytes, U64};
use alloy_rpc_types_eth::{FilterBlockOption, Log};
use alloy_rpc_types_trace::filter::{TraceFilter, TraceFilterMode};
use alloy_rpc_types_trace::parity::LocalizedTransactionTrace;
use node::Chain;
use node::error::QueryError;
use node::fork::{Fork, Reason, RemoteError};
use node::query::Position;
use node::trace::TraceQuery;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use storage::StoreError;

/// Which argument decides who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The block whose state is read.
    State(usize),
    /// The block itself.
    Block(usize),
    /// The hash of a transaction.
    Transaction(usize),
}

use Place::{Block, State, Transaction};

/// The methods that the other node may have to answer.
const PLACES: &[(&str, Place)] = &[
    ("eth_getBalance", State(1)),
    ("eth_getCode", State(1)),
    ("eth_getStorageAt", State(2)),
    ("eth_getStorageValues", State(1)),
    ("eth_getTransactionCount", State(1)),
    ("eth_getAccount", State(1)),
    ("eth_getAccountInfo", State(1)),
    ("eth_getProof", State(2)),
    ("eth_getMultiProof", State(1)),
    ("eth_call", State(1)),
    ("eth_callMany", State(1)),
    ("eth_estimateGas", State(1)),
    ("eth_createAccessList", State(1)),
    ("eth_simulateV1", State(1)),
    ("debug_traceCall", State(1)),
    ("debug_traceCallMany", State(1)),
    ("debug_accountRange", State(0)),
    ("debug_dumpBlock", State(0)),
    ("trace_call", State(2)),
    ("trace_callMany", State(1)),
    ("eth_getBlockByHash", Block(0)),
    ("eth_getBlockByNumber", Block(0)),
    ("eth_getHeaderByHash", Block(0)),
    ("eth_getHeaderByNumber", Block(0)),
    ("eth_getBlockReceipts", Block(0)),
    ("eth_getBlockTransactionCountByHash", Block(0)),
    ("eth_getBlockTransactionCountByNumber", Block(0)),
    ("eth_getUncleCountByBlockHash", Block(0)),
    ("eth_getUncleCountByBlockNumber", Block(0)),
    ("eth_getUncleByBlockHashAndIndex", Block(0)),
    ("eth_getUncleByBlockNumberAndIndex", Block(0)),
    ("eth_getTransactionByBlockHashAndIndex", Block(0)),
    ("eth_getTransactionByBlockNumberAndIndex", Block(0)),
    ("eth_getRawTransactionByBlockHashAndIndex", Block(0)),
    ("eth_getRawTransactionByBlockNumberAndIndex", Block(0)),
    ("eth_feeHistory", Block(1)),
    ("debug_traceBlockByHash", Block(0)),
    ("debug_traceBlockByNumber", Block(0)),
    ("debug_getRawBlock", Block(0)),
    ("debug_getRawHeader", Block(0)),
    ("debug_getRawReceipts", Block(0)),
    ("debug_getRawTransactions", Block(0)),
    ("debug_accountAt", Block(0)),
    ("debug_accountInfoAt", Block(0)),
    ("debug_executionWitness", Block(0)),
    ("debug_executionWitnessByBlockHash", Block(0)),
    ("debug_getModifiedAccountsByHash", Block(0)),
    ("debug_getModifiedAccountsByNumber", Block(0)),
    ("debug_intermediateRoots", Block(0)),
    ("debug_storageRangeAt", Block(0)),
    ("reth_getBalanceChangesInBlock", Block(0)),
    ("reth_getBlockExecutionOutcome", Block(0)),
    ("trace_block", Block(0)),
    ("trace_blockOpcodeGas", Block(0)),
    ("trace_replayBlockTransactions", Block(0)),
    ("eth_getTransactionByHash", Transaction(0)),
    ("eth_getRawTransactionByHash", Transaction(0)),
    ("eth_getTransactionReceipt", Transaction(0)),
    ("debug_traceTransaction", Transaction(0)),
    ("debug_getRawTransaction", Transaction(0)),
    ("rv_gasReport", Transaction(0)),
    ("trace_transaction", Transaction(0)),
    ("trace_transactionOpcodeGas", Transaction(0)),
    ("trace_replayTransaction", Transaction(0)),
    ("trace_get", Transaction(0)),
    ("ots_hasCode", State(1)),
    ("ots_getBlockDetails", Block(0)),
    ("ots_getBlockDetailsByHash", Block(0)),
    ("ots_getBlockTransactions", Block(0)),
    ("ots_getInternalOperations", Transaction(0)),
    ("ots_getTransactionError", Transaction(0)),
    ("ots_traceTransaction", Transaction(0)),
];

/// Whether the other node may have to answer a method.
pub(crate) fn may_forward(method: &str) -> bool {
    PLACES.iter().any(|(name, _)| *name == method)
}

/// The other node's answer, if the request is about what only that one has. It waits for the node;
/// a thread of the runtime makes room for others first.
pub(crate) fn forward(
    api: &Api,
    method: &str,
    arguments: &Arguments,
) -> Option<Reply<Box<RawValue>>> {
    let fork = api.chain.fork()?;
    let (_, place) = PLACES.iter().find(|(name, _)| *name == method)?;
    // Arguments that make no sense get their error from the method itself.
    let arguments = arguments.all().iter().map(|argument| serde_json::from_str(argument.get()));
    let mut arguments: Vec<Value> = arguments.collect::<Result<_, _>>().ok()?;
    let (chain, number, otterscan) = (&api.chain, fork.number(), method.starts_with("ots_"));
    let is_theirs = match place {
        State(index) => block(chain, &mut arguments, (*index, number.checked_sub(1)?), false),
        Block(index) => block(chain, &mut arguments, (*index, number), otterscan),
        Transaction(index) => {
            let hash = serde_json::from_value(arguments.get(*index)?.clone()).ok()?;
            is_unknown(chain, hash)
        }
    };
    match is_theirs {
        Ok(true) => {
            let answer = match method.strip_prefix("eth_getHeader") {
                Some(by) => {
                    arguments.truncate(1);
                    arguments.push(json!(false));
                    read(fork, &format!("eth_getBlock{by}"), &Value::Array(arguments))
                        .and_then(header)
                }
                None => ask(fork, method, &Value::Array(arguments)),
            };
            Some(answer.map(|answer| if_common(method, answer, number)))
        }
        Ok(false) => None,
        Err(error) => Some(Err(error.into())),
    }
}

/// The header of a block: many nodes have no method for it.
fn header(mut block: Value) -> Reply<Box<RawValue>> {
    if let Some(fields) = block.as_object_mut() {
        fields
            .retain(|name, _| !["transactions", "uncles", "withdrawals"].contains(&name.as_str()));
    }
    to_raw_value(&block).map_err(|error| RpcError::internal(error.to_string()))
}

/// What is found by its hash, if both chains have it: what the other one did since is not there.
fn if_common(method: &str, answer: Box<RawValue>, last: u64) -> Box<RawValue> {
    #[derive(Deserialize)]
    struct Placed {
        #[serde(alias = "blockNumber")]
        number: Option<U64>,
    }
    let found_by_hash = matches!(
        method,
        "eth_getBlockByHash"
            | "eth_getHeaderByHash"
            | "eth_getTransactionByHash"
            | "eth_getTransactionReceipt"
    );
    if !found_by_hash {
        return answer;
    }
    let place = serde_json::from_str(answer.get());
    let is_common = place
        .is_ok_and(|placed: Placed| placed.number.is_some_and(|number| number.to::<u64>() <= last));
    if is_common { answer } else { RawValue::NULL.to_owned() }
}

/// Whether the block at an argument is the other node's: of a number up to `last`, or a hash that
/// is not known here. A tag is replaced by the number that it means here.
fn block(
    chain: &Chain,
    arguments: &mut [Value],
    (index, last): (usize, u64),
    otterscan: bool,
) -> Result<bool, QueryError> {
    let Some(argument) = arguments.get_mut(index).filter(|argument| !argument.is_null()) else {
        return Ok(false);
    };
    // The context of calls may say a place in the block, too.
    let has_number = argument.get("blockNumber").is_some();
    let argument = if has_number { &mut argument["blockNumber"] } else { argument };
    let Ok(BlockArgument(id)) = serde_json::from_value(argument.clone()) else { return Ok(false) };
    match id {
        BlockId::Number(tag) => {
            let number = number(chain, tag).filter(|number| *number <= last);
            match number {
                // Otterscan's numbers stay what they are: nodes take them as nothing else.
                Some(number) if otterscan => *argument = json!(number),
                Some(number) => *argument = json!(BlockNumberOrTag::Number(number)),
                None => {}
            }
            Ok(number.is_some())
        }
        BlockId::Hash(_) => match chain.resolve(id) {
            Err(QueryError::BlockNotFound(_)) => Ok(true),
            Ok(Position::Number(number)) => Ok(number <= last),
            Ok(Position::Head) => Ok(chain.head().number() <= last),
            Ok(Position::Pending) => Ok(false),
            Err(error) => Err(error),
        },
    }
}

/// The number that a tag means on the whole of the chain, as anvil has it.
fn number(chain: &Chain, tag: BlockNumberOrTag) -> Option<u64> {
    let head = chain.head().number();
    let behind =
        |epochs: u64| head.saturating_sub(chain.config().slots_in_an_epoch.saturating_mul(epochs));
    match tag {
        BlockNumberOrTag::Latest => Some(head),
        BlockNumberOrTag::Safe => Some(behind(1)),
        BlockNumberOrTag::Finalized => Some(behind(2)),
        BlockNumberOrTag::Earliest => Some(0),
        BlockNumberOrTag::Number(number) => Some(number),
        BlockNumberOrTag::Pending => None,
    }
}

fn is_unknown(chain: &Chain, hash: B256) -> Result<bool, QueryError> {
    Ok(chain.waiting(hash).is_none() && chain.transaction(hash)?.is_none())
}

fn ask(fork: &Fork, method: &str, params: &Value) -> Reply<Box<RawValue>> {
    fork.forward(method, params).map_err(|error| match &error {
        StoreError::Forked(source) => match source.downcast_ref().map(|e: &RemoteError| &*e.reason)
        {
            Some(Reason::Error { code, message, data }) => {
                let data = data.as_ref().and_then(Value::as_str).and_then(|text| text.parse().ok());
                theirs(*code, message, data)
            }
            _ => error.into(),
        },
        _ => error.into(),
    })
}

/// An error of the other node, as it gave it.
fn theirs(code: i64, message: &str, data: Option<Bytes>) -> RpcError {
    let error = RpcError::new(i32::try_from(code).unwrap_or(crate::error::INTERNAL), message);
    error.with_data(data)
}

/// The logs of the other node that a filter asks for, and the filter for the rest; no filter if
/// there is no rest.
pub(crate) fn logs(api: &Api, filter: LogFilter) -> Reply<(Vec<Log>, Option<LogFilter>)> {
    let Some(fork) = api.chain.fork() else { return Ok((Vec::new(), Some(filter))) };
    let (from, to) = match filter.blocks() {
        FilterBlockOption::AtBlockHash(hash) => {
            let mut arguments = [json!(hash)];
            return match block(&api.chain, &mut arguments, (0, fork.number()), false)? {
                true => Ok((their_logs(fork, &filter)?, None)),
                false => Ok((Vec::new(), Some(filter))),
            };
        }
        FilterBlockOption::Range { from_block, to_block } => {
            (from_block.unwrap_or_default(), to_block.unwrap_or_default())
        }
    };
    let Some((theirs, ours)) = parts(api, fork, (from, to)) else {
        return Ok((Vec::new(), Some(filter)));
    };
    let between = |(from, to)| filter.between(from, to);
    Ok((their_logs(fork, &between(theirs))?, ours.map(between)))
}

/// The first and the last number of a range.
type Numbers = (u64, u64);

/// The blocks of a range that both chains have, and those after them; nothing if both have none.
fn parts(
    api: &Api,
    fork: &Fork,
    (from, to): (BlockNumberOrTag, BlockNumberOrTag),
) -> Option<(Numbers, Option<Numbers>)> {
    let head = api.chain.head().number();
    let number = |tag| number(&api.chain, tag).unwrap_or(head);
    let (from, to, last) = (number(from), number(to), fork.number());
    (from <= to.min(last)).then(|| ((from, to.min(last)), (to > last).then_some((last + 1, to))))
}

fn their_logs(fork: &Fork, filter: &LogFilter) -> Reply<Vec<Log>> {
    let mut logs: Vec<Log> = read(fork, "eth_getLogs", &json!([filter.for_others()]))?;
    logs.retain(|log| filter.matches_event(log));
    Ok(logs)
}

/// The other node's answer, as what it should be.
pub(crate) fn read<T: DeserializeOwned>(fork: &Fork, method: &str, params: &Value) -> Reply<T> {
    let answer = ask(fork, method, params)?;
    serde_json::from_str(answer.get())
        .map_err(|error| RpcError::internal(format!("{method} of the forked chain: {error}")))
}

/// The calls of the other node's blocks that a query asks for, and the query for the rest; no query
/// if there is no rest.
pub(crate) fn traces(
    api: &Api,
    query: TraceQuery,
) -> Reply<(Vec<LocalizedTransactionTrace>, Option<TraceQuery>)> {
    let range = (query.from.unwrap_or(BlockNumberOrTag::Earliest), query.to.unwrap_or_default());
    let fork = api.chain.fork();
    let split = fork.and_then(|fork| Some((fork, parts(api, fork, range)?)));
    let Some((fork, ((from, to), ours))) = split else { return Ok((Vec::new(), Some(query))) };
    let filter = TraceFilter {
        from_block: Some(from),
        to_block: Some(to),
        from_address: query.senders.clone(),
        to_address: query.receivers.clone(),
        mode: if query.either { TraceFilterMode::Union } else { TraceFilterMode::Intersection },
        after: None,
        count: query.count.map(|count| count.saturating_add(query.after)),
    };
    let mut found: Vec<_> = read(fork, "trace_filter", &json!([filter]))?;
    let left_out = query.after.min(found.len() as u64);
    found.drain(..left_out as usize);
    let count = query.count.map(|count| count.saturating_sub(found.len() as u64));
    let rest = ours.filter(|_| count != Some(0)).map(|(from, _)| TraceQuery {
        from: Some(from.into()),
        after: query.after - left_out,
        count,
        ..query
    });
    Ok((found, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_has_one_place() {
        let mut names: Vec<_> = PLACES.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PLACES.len());
        assert!(may_forward("eth_getBalance") && !may_forward("eth_sendRawTransaction"));
    }
}
