//! What the node says of itself.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::Reply;
use crate::methods::Table;
use alloy_primitives::{Address, U64};

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.quick("eth_accounts", accounts);
    table.quick("eth_blockNumber", block_number);
    table.quick("eth_chainId", chain_id);
    table.quick("eth_coinbase", coinbase);
    table.quick("eth_mining", mining);
    table.quick("eth_protocolVersion", protocol_version);
    table.quick("eth_syncing", syncing);
    table.aliases(&[("eth_requestAccounts", "eth_accounts")]);
}

fn accounts(api: &Api, _: Arguments) -> Reply<Vec<Address>> {
    Ok(api.chain.accounts())
}

fn block_number(api: &Api, _: Arguments) -> Reply<U64> {
    Ok(U64::from(api.chain.head().number()))
}

fn chain_id(api: &Api, _: Arguments) -> Reply<U64> {
    Ok(U64::from(api.chain.chain_id()))
}

fn coinbase(api: &Api, _: Arguments) -> Reply<Address> {
    Ok(api.chain.next_block().coinbase)
}

fn mining(_: &Api, _: Arguments) -> Reply<bool> {
    Ok(true)
}

fn protocol_version(_: &Api, _: Arguments) -> Reply<U64> {
    // eth/68, the newest version of the wire protocol that clients ask about.
    Ok(U64::from(68))
}

fn syncing(_: &Api, _: Arguments) -> Reply<bool> {
    Ok(false)
}
