//! Accounts at a block.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::convert::Account;
use crate::error::{Reply, RpcError};
use crate::methods::{Hex, Table};
use crate::request::Slot;
use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, U64, U256};
use alloy_rpc_types_eth::AccountInfo;
use node::query::StateView;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Slots that one request may ask for.
const SLOTS_MAX: usize = 1_024;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("eth_getBalance", balance);
    table.task("eth_getCode", code);
    table.task("eth_getStorageAt", storage_at);
    table.task("eth_getStorageValues", storage_values);
    table.task("eth_getTransactionCount", transaction_count);
    table.task("eth_getAccount", account);
    table.task("eth_getAccountInfo", account_info);
}

async fn balance(api: Arc<Api>, mut arguments: Arguments) -> Reply<U256> {
    let address = arguments.required("address")?;
    let state = api.chain.state(arguments.block()?).await?;
    Ok(state.balance(address)?)
}

async fn code(api: Arc<Api>, mut arguments: Arguments) -> Reply<Hex> {
    let address = arguments.required("address")?;
    let state = api.chain.state(arguments.block()?).await?;
    Ok(Hex(state.code(address)?))
}

async fn storage_at(api: Arc<Api>, mut arguments: Arguments) -> Reply<B256> {
    let address = arguments.required("address")?;
    let Slot(slot) = arguments.required("slot")?;
    let state = api.chain.state(arguments.block()?).await?;
    Ok(state.storage(address, slot)?.into())
}

async fn storage_values(
    api: Arc<Api>,
    mut arguments: Arguments,
) -> Reply<BTreeMap<Address, Vec<B256>>> {
    let wanted: BTreeMap<Address, Vec<Slot>> = arguments.required("slots")?;
    let count: usize = wanted.values().map(Vec::len).sum();
    if count > SLOTS_MAX {
        return Err(RpcError::limit(format!("too many slots: {count} (max {SLOTS_MAX})")));
    }
    if count == 0 {
        return Err(RpcError::invalid_params("empty request"));
    }
    let state = api.chain.state(arguments.block()?).await?;
    let mut values = BTreeMap::new();
    for (address, slots) in wanted {
        let read = slots.into_iter().map(|slot| Ok(state.storage(address, slot.0)?.into()));
        values.insert(address, read.collect::<Reply<Vec<B256>>>()?);
    }
    Ok(values)
}

async fn transaction_count(api: Arc<Api>, mut arguments: Arguments) -> Reply<U64> {
    let address = arguments.required("address")?;
    let block = arguments.block()?;
    if block == BlockId::pending() {
        return Ok(U64::from(api.chain.next_nonce(address)?));
    }
    let state = api.chain.state(block).await?;
    Ok(U64::from(state.nonce(address)?))
}

async fn account(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<Account>> {
    let address = arguments.required("address")?;
    let state = api.chain.state(arguments.block()?).await?;
    account_in(&state, address)
}

/// What stands at an address; the binary tree has no storage root of its own for it.
pub(crate) fn account_in(state: &StateView, address: Address) -> Reply<Option<Account>> {
    let account = state.account(address)?;
    Ok(account.map(|account| Account {
        code_hash: account.code_hash,
        storage_root: B256::ZERO,
        balance: account.balance,
        nonce: account.nonce,
    }))
}

async fn account_info(api: Arc<Api>, mut arguments: Arguments) -> Reply<AccountInfo> {
    let address = arguments.required("address")?;
    let state = api.chain.state(arguments.block()?).await?;
    account_info_in(&state, address)
}

/// Balance, nonce and code of an address.
pub(crate) fn account_info_in(state: &StateView, address: Address) -> Reply<AccountInfo> {
    let account = state.account(address)?.unwrap_or_default();
    let code = state.code(address)?;
    Ok(AccountInfo { balance: account.balance, nonce: account.nonce, code })
}
