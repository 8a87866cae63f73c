//! Signatures of the node's own accounts.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::{Reply, RpcError};
use crate::methods::Table;
use alloy_dyn_abi::{Eip712Domain, Resolver, TypedData};
use alloy_primitives::{Address, B256, Bytes, eip191_hash_message};
use serde::Deserialize;
use serde_json::Value;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.quick("eth_sign", sign);
    table.quick("personal_sign", personal_sign);
    table.quick("eth_signTypedData_v4", sign_typed_data);
    table.aliases(&[
        ("eth_signTypedData", "eth_signTypedData_v4"),
        ("eth_signTypedData_v3", "eth_signTypedData_v4"),
    ]);
}

fn sign(api: &Api, mut arguments: Arguments) -> Reply<Bytes> {
    let address = arguments.required("address")?;
    let message: Bytes = arguments.required("message")?;
    sign_hash(api, address, eip191_hash_message(message))
}

/// The same with its arguments the other way round.
fn personal_sign(api: &Api, mut arguments: Arguments) -> Reply<Bytes> {
    let message: Bytes = arguments.required("message")?;
    let address = arguments.required("address")?;
    sign_hash(api, address, eip191_hash_message(message))
}

/// [`TypedData`] as it comes; alloy's own reading of it does not say what is wrong.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Typed {
    #[serde(default)]
    domain: Eip712Domain,
    types: Resolver,
    primary_type: String,
    #[serde(default)]
    message: Value,
}

fn sign_typed_data(api: &Api, mut arguments: Arguments) -> Reply<Bytes> {
    let address = arguments.required("address")?;
    let data = match arguments.required("typed data")? {
        // Wallets pass it as text.
        Value::String(text) => serde_json::from_str::<Typed>(&text),
        value => serde_json::from_value(value),
    };
    let invalid = |error: &dyn std::fmt::Display| {
        RpcError::invalid_params(format!("invalid argument 1 (typed data): {error}"))
    };
    let Typed { domain, types, primary_type, message } = data.map_err(|e| invalid(&e))?;
    let data = TypedData { domain, resolver: types, primary_type, message };
    let hash = data.eip712_signing_hash().map_err(|e| invalid(&e))?;
    sign_hash(api, address, hash)
}

fn sign_hash(api: &Api, address: Address, hash: B256) -> Reply<Bytes> {
    Ok(Bytes::copy_from_slice(&api.chain.sign_hash(address, hash)?.as_bytes()))
}
