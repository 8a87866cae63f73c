//! `debug_subscribe`: traces of a run of blocks, told block by block.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::connection::Notifier;
use crate::error::{Reply, RpcError};
use crate::methods::Table;
use alloy_eips::BlockId;
use alloy_primitives::{B256, U64};
use alloy_rpc_types_trace::geth::{GethDebugTracingOptions, GethTrace};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// The one kind of subscription.
const TRACE_CHAIN: &str = "traceChain";

/// Adds the methods of this file.
pub(super) fn register(table: &mut Table<Api>) {
    table.subscription(["debug_subscribe", "debug_subscription", "debug_unsubscribe"], subscribe);
    table.aliases(&[("debug_traceChain", "debug_subscribe")]);
}

/// The traces of one block.
#[derive(Clone, Debug, Serialize)]
struct BlockTraces {
    block: U64,
    hash: B256,
    traces: Vec<TransactionTrace>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TransactionTrace {
    tx_hash: B256,
    result: GethTrace,
}

/// Which blocks to trace, from the one after the first, and how.
#[derive(Debug)]
struct Wanted {
    numbers: std::ops::RangeInclusive<u64>,
    options: GethDebugTracingOptions,
}

async fn read(mut arguments: Arguments, api: &Api) -> Reply<Wanted> {
    let first: Value = arguments.required("subscription")?;
    // Under its own name the method leaves the kind out.
    let start = if first == TRACE_CHAIN {
        arguments.block_number("start block")?
    } else {
        serde_json::from_value(first.clone()).map_err(|_| {
            RpcError::invalid_params(format!("no {first} subscription in debug namespace"))
        })?
    };
    let mut ends = [0; 2];
    for (end, tag) in ends.iter_mut().zip([start, arguments.block_number("end block")?]) {
        let id = BlockId::Number(tag);
        let header = api.chain.header(id).await?;
        *end = header.ok_or_else(|| RpcError::no_block(id))?.number;
    }
    let [start, end] = ends;
    if start >= end {
        let text = format!("end block (#{end}) needs to come after start block (#{start})");
        return Err(RpcError::server(text));
    }
    let options = arguments.optional("options")?.unwrap_or_default();
    Ok(Wanted { numbers: start + 1..=end, options })
}

async fn subscribe(
    api: Arc<Api>,
    arguments: Arguments,
    notifier: Notifier,
) -> Reply<impl Future<Output = ()>> {
    let Wanted { numbers, options } = read(arguments, &api).await?;
    Ok(async move {
        let last = *numbers.end();
        for number in numbers {
            let traces = match trace(&api, number, options.clone()).await {
                Ok(traces) => traces,
                Err(error) => {
                    tracing::warn!(number, ?error, "a chain of traces ends early");
                    return;
                }
            };
            // geth tells nothing of blocks without transactions, but for the last one.
            if traces.traces.is_empty() && number != last {
                continue;
            }
            if !notifier.notify(&traces).await {
                return;
            }
        }
    })
}

async fn trace(api: &Api, number: u64, options: GethDebugTracingOptions) -> Reply<BlockTraces> {
    let id = BlockId::number(number);
    let header = api.chain.header(id).await?.ok_or_else(|| RpcError::no_block(id))?;
    let traces =
        api.chain.trace_block(BlockId::hash(header.hash()), (options, None)).await?.into_iter();
    Ok(BlockTraces {
        block: U64::from(number),
        hash: header.hash(),
        traces: traces.map(|(tx_hash, result)| TransactionTrace { tx_hash, result }).collect(),
    })
}
