//! Logs, and the filters that clients poll.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::convert;
use crate::error::{Reply, RpcError};
use crate::filters::{Changes, Kind};
use crate::forked;
use crate::log_filter::LogFilter;
use crate::methods::Table;
use crate::plain::PlainLog;
use node::error::QueryError;
use std::sync::Arc;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("eth_getLogs", logs);
    table.quick("eth_newFilter", new_filter);
    table.quick("eth_newBlockFilter", new_block_filter);
    table.quick("eth_newPendingTransactionFilter", new_pending_transaction_filter);
    table.task("eth_getFilterChanges", filter_changes);
    table.task("eth_getFilterLogs", filter_logs);
    table.quick("eth_uninstallFilter", uninstall_filter);
}

async fn logs(api: Arc<Api>, mut arguments: Arguments) -> Reply<Vec<PlainLog>> {
    let filter: LogFilter = arguments.required("filter")?;
    if filter.last_number().is_some_and(|last| last > api.chain.head().number()) {
        let text = "block range extends beyond current head block";
        return Err(RpcError::invalid_params(text));
    }
    find(&api, filter).await
}

/// The logs that match: on a forked chain also those of the other one's blocks.
async fn find(api: &Api, filter: LogFilter) -> Reply<Vec<PlainLog>> {
    let (logs, rest) = forked::logs(api, filter)?;
    let mut logs: Vec<_> = logs.into_iter().map(PlainLog).collect();
    if let Some(filter) = rest {
        let found = api.chain.logs(filter.query()).await?;
        logs.extend(found.into_iter().map(convert::log).map(PlainLog));
    }
    Ok(logs)
}

fn new_filter(api: &Api, mut arguments: Arguments) -> Reply<String> {
    let filter: LogFilter = arguments.required("filter")?;
    if let (Some(from), Some(to)) = (filter.first_number(), filter.last_number())
        && from > to
    {
        return Err(QueryError::Range { from, to }.into());
    }
    add(api, Kind::Logs(Box::new(filter)))
}

fn new_block_filter(api: &Api, _: Arguments) -> Reply<String> {
    add(api, Kind::Blocks)
}

fn new_pending_transaction_filter(api: &Api, mut arguments: Arguments) -> Reply<String> {
    let full = arguments.optional("full transactions")?.unwrap_or(false);
    add(api, Kind::Pending { full })
}

fn add(api: &Api, kind: Kind) -> Reply<String> {
    api.filters.add(kind, api.chain.head().number(), || api.chain.subscribe())
}

async fn filter_changes(api: Arc<Api>, mut arguments: Arguments) -> Reply<Changes> {
    let id: String = arguments.required("filter id")?;
    let poll = api.filters.poll(&id, || api.chain.head().number())?;
    poll.changes(&api.chain).await
}

async fn filter_logs(api: Arc<Api>, mut arguments: Arguments) -> Reply<Vec<PlainLog>> {
    let id: String = arguments.required("filter id")?;
    find(&api, api.filters.log_filter(&id)?).await
}

fn uninstall_filter(api: &Api, mut arguments: Arguments) -> Reply<bool> {
    let id: String = arguments.required("filter id")?;
    Ok(api.filters.remove(&id))
}
