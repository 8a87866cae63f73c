//! Balances and allowances of tokens.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::Reply;
use crate::methods::Table;
use alloy_primitives::Address;
use node::TokenValue;
use std::sync::Arc;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("anvil_dealERC20", deal_erc20);
    table.task("anvil_setERC20Allowance", set_erc20_allowance);
}

async fn deal_erc20(api: Arc<Api>, mut arguments: Arguments) -> Reply<()> {
    let owner = arguments.required("address")?;
    let token: Address = arguments.required("token address")?;
    let amount = arguments.required("balance")?;
    Ok(api.chain.set_token_value(token, TokenValue::Balance { owner }, amount).await?)
}

async fn set_erc20_allowance(api: Arc<Api>, mut arguments: Arguments) -> Reply<()> {
    let owner = arguments.required("owner")?;
    let spender = arguments.required("spender")?;
    let token: Address = arguments.required("token address")?;
    let amount = arguments.required("amount")?;
    Ok(api.chain.set_token_value(token, TokenValue::Allowance { owner, spender }, amount).await?)
}
