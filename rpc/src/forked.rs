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
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_eth::{FilterBlockOption, Log};
use node::Chain;
use node::error::QueryError;
use node::fork::{Fork, Reason, RemoteError};
use node::query::Position;
use serde_json::value::RawValue;
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
    ("eth_call", State(1)),
    ("eth_callMany", State(1)),
    ("eth_estimateGas", State(1)),
    ("eth_createAccessList", State(1)),
    ("eth_simulateV1", State(1)),
    ("debug_traceCall", State(1)),
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
    ("trace_block", Block(0)),
    ("trace_replayBlockTransactions", Block(0)),
    ("eth_getTransactionByHash", Transaction(0)),
    ("eth_getRawTransactionByHash", Transaction(0)),
    ("eth_getTransactionReceipt", Transaction(0)),
    ("debug_traceTransaction", Transaction(0)),
    ("debug_getRawTransaction", Transaction(0)),
    ("trace_transaction", Transaction(0)),
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
        Ok(true) => Some(ask(fork, method, &Value::Array(arguments))),
        Ok(false) => None,
        Err(error) => Some(Err(error.into())),
    }
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
    let head = api.chain.head().number();
    let number = |tag| number(&api.chain, tag).unwrap_or(head);
    let (from, to) = (number(from), number(to));
    if from > to || from > fork.number() {
        return Ok((Vec::new(), Some(filter)));
    }
    let theirs = filter.between(from, to.min(fork.number()));
    let rest = (to > fork.number()).then(|| filter.between(fork.number() + 1, to));
    Ok((their_logs(fork, &theirs)?, rest))
}

fn their_logs(fork: &Fork, filter: &LogFilter) -> Reply<Vec<Log>> {
    let answer = ask(fork, "eth_getLogs", &json!([filter.for_others()]))?;
    let mut logs: Vec<Log> = serde_json::from_str(answer.get())
        .map_err(|error| RpcError::internal(format!("the forked chain's logs: {error}")))?;
    logs.retain(|log| filter.matches_event(log));
    Ok(logs)
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
