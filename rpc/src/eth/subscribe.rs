//! `eth_subscribe`: what happens on the chain, told as it happens.
//!
//! Each subscription has a place in the node's broadcast and a bounded queue to its socket. Who
//! reads too slowly loses the subscription instead of filling memory.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::convert;
use crate::error::{Reply, RpcError};
use crate::log_filter::LogFilter;
use crate::methods::Table;
use alloy_primitives::B256;
use jsonrpsee::server::{PendingSubscriptionSink, SubscriptionSink};
use jsonrpsee::types::Params;
use node::{Chain, Event};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// How long a full queue to a socket may stay full.
const SLOW_MAX: Duration = Duration::from_secs(10);

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    let added = table.module.register_subscription(
        "eth_subscribe",
        "eth_subscription",
        "eth_unsubscribe",
        |params, pending, api, _| subscribe(params, pending, api),
    );
    let added = added.map(|_| ());
    table.result(added);
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
    fn read(params: &Params<'_>) -> Reply<Self> {
        let mut arguments = Arguments::new(params)?;
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

async fn subscribe(params: Params<'static>, pending: PendingSubscriptionSink, api: Arc<Api>) {
    let wanted = match Wanted::read(&params) {
        Ok(wanted) => wanted,
        Err(error) => return pending.reject(error).await,
    };
    // Before the answer: the client misses nothing that happens after it.
    let mut events = api.chain.subscribe();
    let Ok(sink) = pending.accept().await else { return };
    loop {
        let event = tokio::select! {
            () = sink.closed() => return,
            event = events.recv() => event,
        };
        match event {
            Ok(event) => {
                for notification in wanted.notifications(&api.chain, &event) {
                    if !send(&sink, notification).await {
                        return;
                    }
                }
            }
            Err(RecvError::Lagged(count)) => {
                tracing::warn!(count, "a subscriber reads too slowly, its subscription ends");
                return;
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// Tells a subscriber `value`; false if its subscription has ended.
pub(crate) async fn tell<T: Serialize>(sink: &SubscriptionSink, value: &T) -> bool {
    match serde_json::value::to_raw_value(value) {
        Ok(notification) => send(sink, notification).await,
        Err(_) => false,
    }
}

async fn send(sink: &SubscriptionSink, notification: Box<RawValue>) -> bool {
    let sent = sink.send_timeout(notification, SLOW_MAX).await;
    if let Err(error) = &sent {
        tracing::debug!(%error, "subscription ends");
    }
    sent.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(params: &'static str) -> Reply<Wanted> {
        Wanted::read(&Params::new(Some(params)))
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
