//! `eth_`: one file per topic, one function per method.
//!
//! Start with `call` for a method that runs a contract, with `state` for one that reads.

mod access_list;
mod block;
mod call;
mod conditional;
mod config;
mod fees;
mod fill;
mod logs;
mod node_info;
mod proof;
mod receipt;
mod resend;
mod send;
mod sign;
mod simulate;
pub(crate) mod state;
mod subscribe;
mod transaction;

use crate::api::Api;
use crate::methods::Table;

pub(crate) use fill::fill;
pub(crate) use send::{Reserved, decode_recovered, send_unlocked, sender_of};
pub(crate) use subscribe::next as next_event;
pub(crate) use transaction::raw_by_hash as raw_transaction;

/// Adds the methods that every profile has.
pub(crate) fn register(table: &mut Table<Api>) {
    node_info::register(table);
    state::register(table);
    proof::register(table);
    block::register(table);
    transaction::register(table);
    receipt::register(table);
    call::register(table);
    simulate::register(table);
    access_list::register(table);
    config::register(table);
    conditional::register(table);
    fees::register(table);
    logs::register(table);
    subscribe::register(table);
    send::register(table);
    fill::register(table);
}

/// Adds the methods that use the node's own accounts.
pub(crate) fn register_unlocked(table: &mut Table<Api>) {
    send::register_unlocked(table);
    resend::register_unlocked(table);
    sign::register(table);
}
