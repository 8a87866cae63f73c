//! Transactions that are taken only on a condition (ERC-7796).
//!
//! The condition is checked when the transaction arrives, against the head's state and the block
//! that would be sealed now; a node that seals at once seals it there.

use super::send::submit_raw;
use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::{Reply, RpcError};
use crate::methods::Table;
use alloy_eips::BlockId;
use alloy_primitives::B256;
use alloy_rpc_types_eth::erc4337::{AccountStorage, TransactionConditional};
use node::query::StateView;
use std::sync::Arc;

/// Most accounts and slots in a condition.
const COST_MAX: usize = 1_000;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("eth_sendRawTransactionConditional", send);
}

async fn send(api: Arc<Api>, mut arguments: Arguments) -> Reply<B256> {
    let bytes = arguments.required("transaction")?;
    let condition: TransactionConditional = arguments.required("condition")?;
    let next = (api.chain.head().number() + 1, api.chain.next_block().timestamp);
    check_block(&condition, next)?;
    let cost = condition.known_accounts.values().map(|storage| match storage {
        AccountStorage::RootHash(_) => 1,
        AccountStorage::Slots(slots) => slots.len(),
    });
    let cost: usize = cost.sum();
    if cost > COST_MAX {
        let text = format!("conditional cost, {cost}, exceeds max: {COST_MAX}");
        return Err(RpcError::condition_too_large(text));
    }
    check_accounts(&condition, &api.chain.state(BlockId::latest()).await?)?;
    submit_raw(&api, &bytes).await
}

/// Checks the block that the transaction would be in.
fn check_block(condition: &TransactionConditional, (number, timestamp): (u64, u64)) -> Reply<()> {
    for (what, have, min, max) in [
        ("block number", number, condition.block_number_min, condition.block_number_max),
        ("timestamp", timestamp, condition.timestamp_min, condition.timestamp_max),
    ] {
        if let Some(min) = min.filter(|min| have < *min) {
            let text = format!("next {what} {have} is below the least one, {min}");
            return Err(RpcError::condition_failed(text));
        }
        if let Some(max) = max.filter(|max| have > *max) {
            let text = format!("next {what} {have} is above the largest one, {max}");
            return Err(RpcError::condition_failed(text));
        }
    }
    Ok(())
}

fn check_accounts(condition: &TransactionConditional, state: &StateView) -> Reply<()> {
    for (address, storage) in &condition.known_accounts {
        let AccountStorage::Slots(slots) = storage else {
            let text =
                format!("{address}: accounts of this chain have no storage root, give slots");
            return Err(RpcError::invalid_params(text));
        };
        for (slot, want) in slots {
            let have = B256::from(state.storage(*address, *slot)?);
            if have != *want {
                let text = format!("slot {slot:#x} of {address} is {have}, not {want}");
                return Err(RpcError::condition_failed(text));
            }
        }
    }
    Ok(())
}
