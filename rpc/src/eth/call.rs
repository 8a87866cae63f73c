//! Calls that leave no trace on the chain.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::{Reply, RpcError};
use crate::methods::{Hex, Table};
use crate::request;
use alloy_eips::BlockId;
use alloy_primitives::{U64, U256};
use alloy_rpc_types_eth::state::StateOverride;
use alloy_rpc_types_eth::{
    AccessListResult, BlockOverrides, Bundle, EthCallResponse, StateContext,
};
use node::call::{Call, CallOutcome, Overrides};
use node::config::Profile;
use node::error::CallError;
use std::sync::Arc;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("eth_call", call);
    table.task("eth_estimateGas", estimate_gas);
    table.task("eth_createAccessList", create_access_list);
    table.task("eth_callMany", call_many);
}

/// A call, the block it runs on (`default` if none is named), and what to change before.
fn read(arguments: &mut Arguments, default: BlockId) -> Reply<(Call, BlockId, Overrides)> {
    let call = arguments.call()?;
    let block = arguments.block_or(default)?;
    let state = arguments.optional::<StateOverride>("state overrides")?;
    let block_overrides = arguments.optional::<Box<BlockOverrides>>("block overrides")?;
    if block_overrides.as_ref().is_some_and(|block| block.beacon_root.is_some()) {
        let text = "block override \"beaconRoot\" is not supported for this RPC method";
        return Err(RpcError::server(text));
    }
    Ok((call, block, request::overrides(state, block_overrides)))
}

async fn call(api: Arc<Api>, mut arguments: Arguments) -> Reply<Hex> {
    let (call, block, overrides) = read(&mut arguments, BlockId::latest())?;
    let outcome = api.chain.call(call, block, overrides).await?;
    Ok(Hex(outcome.output))
}

/// On a dev chain in the pending block unless another one is named, as by anvil and Hardhat: its
/// number and time are what the transaction will see. On a testnet in the newest one, as by geth,
/// so that strangers do not have the pending block made for each estimate.
async fn estimate_gas(api: Arc<Api>, mut arguments: Arguments) -> Reply<U64> {
    let default = match api.chain.profile() {
        Profile::Dev => BlockId::pending(),
        Profile::Testnet => BlockId::latest(),
    };
    let (call, block, overrides) = read(&mut arguments, default)?;
    let gas = api.chain.estimate_gas(call, block, overrides).await?;
    Ok(U64::from(gas))
}

async fn create_access_list(api: Arc<Api>, mut arguments: Arguments) -> Reply<AccessListResult> {
    let (call, block, overrides) = read(&mut arguments, BlockId::latest())?;
    let found = api.chain.create_access_list(call, block, overrides).await?;
    let gas_used = U256::from(found.gas_used);
    Ok(AccessListResult { access_list: found.access_list, gas_used, error: found.error })
}

/// reth's: bundles of calls, each call on the state that the one before left.
async fn call_many(api: Arc<Api>, mut arguments: Arguments) -> Reply<Vec<Vec<EthCallResponse>>> {
    let bundles: Vec<Bundle> = arguments.required("bundles")?;
    if bundles.is_empty() {
        return Err(RpcError::invalid_params("bundles are empty."));
    }
    let context: StateContext = arguments.optional("state context")?.unwrap_or_default();
    let state = arguments.optional::<StateOverride>("state overrides")?;
    let state = request::overrides(state, None).state;
    let block = context.block_number.unwrap_or_default();
    let index = context.transaction_index.unwrap_or_default().index();
    let bundles = bundles.into_iter().map(bundle).collect::<Reply<Vec<_>>>()?;
    let outcomes = api.chain.call_many(bundles, (block, index), state).await?;
    let response = |outcome: Result<CallOutcome, CallError>| match outcome {
        Ok(outcome) => EthCallResponse { value: Some(outcome.output), error: None },
        Err(error) => {
            let error = Some(RpcError::from(error).message().to_owned());
            EthCallResponse { value: None, error }
        }
    };
    Ok(outcomes.into_iter().map(|bundle| bundle.into_iter().map(response).collect()).collect())
}

fn bundle(bundle: Bundle) -> Reply<node::call::Bundle> {
    let block = request::overrides(None, bundle.block_override.map(Box::new)).block;
    let calls = bundle.transactions.into_iter().map(request::call).collect::<Reply<_>>()?;
    Ok(node::call::Bundle { block, calls })
}
