//! Calls that leave no trace on the chain.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::Reply;
use crate::methods::Table;
use crate::request;
use alloy_eips::BlockId;
use alloy_primitives::{Bytes, U64, U256};
use alloy_rpc_types_eth::state::StateOverride;
use alloy_rpc_types_eth::{AccessListResult, BlockOverrides, TransactionRequest};
use node::call::{Call, Overrides};
use std::sync::Arc;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("eth_call", call);
    table.task("eth_estimateGas", estimate_gas);
    table.task("eth_createAccessList", create_access_list);
}

/// A call, the block it runs on, and what to change before.
fn read(arguments: &mut Arguments) -> Reply<(Call, BlockId, Overrides)> {
    let call = request::call(arguments.required::<TransactionRequest>("transaction")?)?;
    let block = arguments.block()?;
    let state = arguments.optional::<StateOverride>("state overrides")?;
    let block_overrides = arguments.optional::<Box<BlockOverrides>>("block overrides")?;
    Ok((call, block, request::overrides(state, block_overrides)))
}

async fn call(api: Arc<Api>, mut arguments: Arguments) -> Reply<Bytes> {
    let (call, block, overrides) = read(&mut arguments)?;
    let outcome = api.chain.call(call, block, overrides).await?;
    Ok(outcome.output)
}

async fn estimate_gas(api: Arc<Api>, mut arguments: Arguments) -> Reply<U64> {
    let (call, block, overrides) = read(&mut arguments)?;
    let gas = api.chain.estimate_gas(call, block, overrides).await?;
    Ok(U64::from(gas))
}

async fn create_access_list(api: Arc<Api>, mut arguments: Arguments) -> Reply<AccessListResult> {
    let (call, block, overrides) = read(&mut arguments)?;
    let found = api.chain.create_access_list(call, block, overrides).await?;
    let gas_used = U256::from(found.gas_used);
    Ok(AccessListResult { access_list: found.access_list, gas_used, error: found.error })
}
