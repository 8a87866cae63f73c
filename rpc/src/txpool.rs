//! `txpool_`: what waits.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::convert;
use crate::error::Reply;
use crate::methods::Table;
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, U64};
use alloy_rpc_types_eth::Transaction;
use node::pool::PoolTransaction;
use serde::Serialize;
use std::collections::BTreeMap;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.quick("txpool_status", status);
    table.quick("txpool_content", content);
    table.quick("txpool_contentFrom", content_from);
    table.quick("txpool_inspect", inspect);
}

/// How much waits, and how much of it for a missing nonce.
#[derive(Clone, Debug, Serialize)]
struct Status {
    pending: U64,
    queued: U64,
}

/// What waits, by whether it could run, as sender -> nonce -> transaction.
#[derive(Clone, Debug, Serialize)]
struct Content<T> {
    pending: BTreeMap<Address, BTreeMap<String, T>>,
    queued: BTreeMap<Address, BTreeMap<String, T>>,
}

impl<T> Content<T> {
    fn of(api: &Api, show: fn(&PoolTransaction) -> T) -> Self {
        let mut content = Self { pending: BTreeMap::new(), queued: BTreeMap::new() };
        for (waiting, ready) in api.chain.pool_content() {
            let part = if ready { &mut content.pending } else { &mut content.queued };
            let nonce = waiting.transaction.nonce().to_string();
            part.entry(waiting.sender).or_default().insert(nonce, show(&waiting));
        }
        content
    }
}

fn status(api: &Api, _: Arguments) -> Reply<Status> {
    let status = api.chain.pool_status();
    Ok(Status { pending: U64::from(status.pending), queued: U64::from(status.queued) })
}

fn content(api: &Api, _: Arguments) -> Reply<Content<Transaction>> {
    Ok(Content::of(api, convert::waiting))
}

/// What waits of one sender.
#[derive(Clone, Debug, Serialize)]
struct ContentFrom {
    pending: BTreeMap<String, Transaction>,
    queued: BTreeMap<String, Transaction>,
}

fn content_from(api: &Api, mut arguments: Arguments) -> Reply<ContentFrom> {
    let sender: Address = arguments.required("address")?;
    let mut content = Content::of(api, convert::waiting);
    Ok(ContentFrom {
        pending: content.pending.remove(&sender).unwrap_or_default(),
        queued: content.queued.remove(&sender).unwrap_or_default(),
    })
}

fn inspect(api: &Api, _: Arguments) -> Reply<Content<String>> {
    Ok(Content::of(api, |waiting| {
        let tx = &waiting.transaction;
        let to = tx.to().map_or_else(|| "contract creation".to_owned(), |to| to.to_string());
        let (value, gas, price) = (tx.value(), tx.gas_limit(), tx.max_fee_per_gas());
        format!("{to}: {value} wei + {gas} gas × {price} wei")
    }))
}
