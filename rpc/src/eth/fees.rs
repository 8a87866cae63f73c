//! Prices of gas.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::convert;
use crate::error::Reply;
use crate::methods::Table;
use alloy_primitives::U256;
use alloy_rpc_types_eth::FeeHistory;
use std::sync::Arc;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.quick("eth_gasPrice", gas_price);
    table.quick("eth_maxPriorityFeePerGas", max_priority_fee);
    table.quick("eth_baseFee", base_fee);
    table.quick("eth_blobBaseFee", blob_base_fee);
    table.task("eth_feeHistory", fee_history);
}

fn gas_price(api: &Api, _: Arguments) -> Reply<U256> {
    Ok(U256::from(api.chain.gas_price()))
}

fn max_priority_fee(api: &Api, _: Arguments) -> Reply<U256> {
    Ok(U256::from(api.chain.suggested_tip()))
}

fn base_fee(api: &Api, _: Arguments) -> Reply<Option<U256>> {
    Ok(api.chain.next_base_fee().map(U256::from))
}

fn blob_base_fee(api: &Api, _: Arguments) -> Reply<U256> {
    Ok(U256::from(api.chain.next_blob_base_fee().unwrap_or_default()))
}

async fn fee_history(api: Arc<Api>, mut arguments: Arguments) -> Reply<FeeHistory> {
    let count = arguments.number("block count")?;
    let newest = arguments.block_number("newest block")?;
    let percentiles = arguments.optional("reward percentiles")?.unwrap_or_default();
    let history = api.chain.fee_history(count, newest, percentiles).await?;
    Ok(convert::fee_history(history))
}
