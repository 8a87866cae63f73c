//! `eth_subscribe`: what happens on the chain, told as it happens.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::connection::Notifier;
use crate::convert;
use crate::error::{Reply, RpcError};
use crate::log_filter::LogFilter;
use crate::methods::Table;
use alloy_primitives::B256;
use node::{Chain, Event};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.subscription(["eth_subscribe", "eth_subscription", "eth_unsubscribe"], subscribe);
}

/// What a client wants to be told.
#[derive(Debug)]
enum Wanted {
    Heads,
    Logs(Box<LogFilter>),
    Pending {
        full: bool,
    },
    Receipts {
        of: Option<BTreeSet<B256>>,
    },
    /// The node never syncs, so there is nothing to tell.
    Syncing,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptsOf {
    transaction_hashes: Option<BTreeSet<B256>>,
}

impl Wanted {
    fn read(mut arguments: Arguments) -> Reply<Self> {
        let kind: String = arguments.required("subscription")?;
        match kind.as_str() {
            "newHeads" => Ok(Self::Heads),
            "logs" => Ok(Self::Logs(arguments.optional("filter")?.unwrap_or_default())),
            "newPendingTransactions" => {
                let full = arguments.optional("full transactions")?.unwrap_or(false);
                Ok(Self::Pending { full })
            }
            "transactionReceipts" => {
                let of: Option<ReceiptsOf> = arguments.optional("filter")?;
                let hashes = of.and_then(|of| of.transaction_hashes);
                Ok(Self::Receipts { of: hashes.filter(|hashes| !hashes.is_empty()) })
            }
            "syncing" => Ok(Self::Syncing),
            _ => Err(RpcError::invalid_params(format!(
                "no \"{kind}\" subscription in eth namespace"
            ))),
        }
    }

    /// The notifications that an event gives.
    fn notifications(&self, chain: &Chain, event: &Event) -> Vec<Box<RawValue>> {
        match (self, event) {
            (Self::Heads, Event::Head(block) | Event::Restarted(block)) => {
                json([convert::sealed_header(block)])
            }
            (Self::Logs(filter), Event::Head(block) | Event::Removed(block)) => {
                let removed = matches!(event, Event::Removed(_));
                let logs = convert::logs_of(block, removed);
                json(logs.into_iter().filter(|log| filter.matches_event(log)))
            }
            (Self::Pending { full: false }, Event::Pending(waiting)) => json([waiting.hash]),
            (Self::Pending { full: true }, Event::Pending(waiting)) => {
                json([convert::waiting(waiting)])
            }
            (Self::Receipts { of }, Event::Head(block)) => {
                let receipts = chain.receipts(block).into_iter().map(convert::receipt);
                let wanted: Vec<_> = receipts
                    .filter(|r| of.as_ref().is_none_or(|of| of.contains(&r.transaction_hash)))
                    .collect();
                if wanted.is_empty() { Vec::new() } else { json([wanted]) }
            }
            _ => Vec::new(),
        }
    }
}

fn json<T: Serialize>(values: impl IntoIterator<Item = T>) -> Vec<Box<RawValue>> {
    values.into_iter().filter_map(|value| serde_json::value::to_raw_value(&value).ok()).collect()
}

async fn subscribe(
    api: Arc<Api>,
    arguments: Arguments,
    notifier: Notifier,
) -> Reply<impl Future<Output = ()>> {
    let wanted = Wanted::read(arguments)?;
    // Before the answer: the client misses nothing that happens after it.
    let mut events = api.chain.subscribe();
    Ok(async move {
        while let Some(event) = next(&mut events).await {
            for notification in wanted.notifications(&api.chain, &event) {
                if !notifier.notify(&notification).await {
                    return;
                }
            }
        }
    })
}

/// The next event; nothing at the end, or if a subscriber has missed some.
pub(crate) async fn next(events: &mut Receiver<Event>) -> Option<Event> {
    match events.recv().await {
        Ok(event) => Some(event),
        Err(RecvError::Lagged(count)) => {
            tracing::warn!(count, "a subscriber reads too slowly, its subscription ends");
            None
        }
        Err(RecvError::Closed) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonrpsee::types::Params;

    fn read(params: &'static str) -> Reply<Wanted> {
        Wanted::read(Arguments::new(&Params::new(Some(params)))?)
    }

    #[test]
    fn reads_what_is_wanted() {
        assert!(matches!(read(r#"["newHeads"]"#), Ok(Wanted::Heads)));
        assert!(matches!(read(r#"["logs"]"#), Ok(Wanted::Logs(_))));
        assert!(matches!(read(r#"["logs", {"address": []}]"#), Ok(Wanted::Logs(_))));
        let full = read(r#"["newPendingTransactions", true]"#);
        assert!(matches!(full, Ok(Wanted::Pending { full: true })));
        let all = read(r#"["transactionReceipts", {"transactionHashes": []}]"#);
        assert!(matches!(all, Ok(Wanted::Receipts { of: None })));
        let error = read(r#"["newNews"]"#).unwrap_err();
        assert_eq!(error.message(), "no \"newNews\" subscription in eth namespace");
    }
}
