//! What a transaction request leaves out, as geth fills it in.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::{Reply, RpcError};
use crate::methods::Table;
use crate::request;
use alloy_consensus::{Transaction, TxEnvelope, TypedTransaction};
use alloy_eips::BlockId;
use alloy_primitives::{Address, Bytes, TxKind, U256};
use alloy_rpc_types_eth::{FillTransaction, TransactionRequest};
use genesis::SpecId;
use node::call::Overrides;
use serde_json::{Value, json};
use std::sync::Arc;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("eth_fillTransaction", fill_transaction);
}

/// geth's and reth's: the transaction with zeros for a signature, and the bytes that it has so;
/// with a `gasPrice` whatever its type, as execution-apis wants it.
async fn fill_transaction(
    api: Arc<Api>,
    mut arguments: Arguments,
) -> Reply<FillTransaction<Value>> {
    let mut wanted = arguments.transaction(&api.chain).await?;
    let from = wanted.from.unwrap_or_default();
    if wanted.nonce.is_none() {
        wanted.nonce = Some(api.chain.next_nonce(from)?);
    }
    let unsigned = node::simulate::unsigned(fill(&api, from, wanted).await?.into_transaction()?);
    let mut raw = Vec::new();
    node::simulate::encode(&unsigned, &mut raw);
    let mut tx = serde_json::to_value(&unsigned).map_err(RpcError::internal)?;
    if let Value::Object(fields) = &mut tx {
        if let TxEnvelope::Legacy(_) = &unsigned {
            // Other than a signed one, it has a `v` of 0.
            fields.insert("v".to_owned(), json!("0x0"));
        }
        let price = U256::from(unsigned.max_fee_per_gas());
        fields.insert("gasPrice".to_owned(), json!(price));
    }
    Ok(FillTransaction { raw: raw.into(), tx })
}

/// A request that lacks at most its nonce.
#[derive(Clone, Debug)]
pub(crate) struct Filled(pub(crate) TransactionRequest);

impl Filled {
    /// The transaction, to be signed.
    pub(crate) fn into_transaction(self) -> Reply<TypedTransaction> {
        self.0.build_consensus_tx().map_err(|error| RpcError::invalid_params(error.error))
    }
}

/// Fills in chain id, fees and gas of a request of `from`, and checks that they fit.
pub(crate) async fn fill(
    api: &Api,
    from: Address,
    mut wanted: TransactionRequest,
) -> Reply<Filled> {
    request::check_lists(&wanted)?;
    let input: Bytes = request::input(&wanted.input)?;
    let creation = request::is_creation(&wanted);
    if creation && input.is_empty() {
        return Err(RpcError::server("contract creation without any data provided"));
    }
    wanted.input = input.into();
    // Nobody's balance bounds the gas of a transaction whose sender is not known yet.
    let anybody = wanted.from.replace(from).is_none();
    wanted.to.get_or_insert(TxKind::Create);
    let chain_id = api.chain.chain_id();
    match wanted.chain_id {
        Some(have) if have != chain_id => {
            let text = format!("chainId does not match node's (have={have}, want={chain_id})");
            return Err(RpcError::server(text));
        }
        _ => wanted.chain_id = Some(chain_id),
    }
    fill_fees(api, &mut wanted)?;
    wanted.populate_blob_hashes();
    if wanted.gas.is_none() {
        let mut call = request::call(wanted.clone())?;
        if anybody {
            (call.gas_price, call.max_fee_per_gas) = (None, None);
            call.max_priority_fee_per_gas = None;
        }
        let gas = api.chain.estimate_gas(call, BlockId::pending(), Overrides::default()).await?;
        wanted.gas = Some(gas);
    }
    Ok(Filled(wanted))
}

fn fill_fees(api: &Api, wanted: &mut TransactionRequest) -> Reply<()> {
    let capped = wanted.max_fee_per_gas.is_some() || wanted.max_priority_fee_per_gas.is_some();
    if capped && wanted.gas_price.is_some() {
        return Err(RpcError::server(
            "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified",
        ));
    }
    let head = api.chain.head();
    let next = api.chain.next_block().timestamp;
    let london = api.chain.spec().fork(head.number() + 1, next).is_enabled_in(SpecId::LONDON);
    let old_type = matches!(wanted.transaction_type, Some(0 | 1));
    let legacy = wanted.gas_price.is_some() || !london || old_type;
    if legacy && !capped {
        wanted.gas_price.get_or_insert_with(|| api.chain.gas_price());
        return Ok(());
    }
    let tip = *wanted.max_priority_fee_per_gas.get_or_insert_with(|| {
        let suggested = api.chain.suggested_tip();
        wanted.max_fee_per_gas.map_or(suggested, |cap| suggested.min(cap))
    });
    let base_fee = u128::from(api.chain.next_base_fee().unwrap_or_default());
    let cap = *wanted.max_fee_per_gas.get_or_insert_with(|| tip.saturating_add(2 * base_fee));
    if cap < tip {
        let text = format!("maxFeePerGas ({cap}) < maxPriorityFeePerGas ({tip})");
        return Err(RpcError::server(text));
    }
    let blobs = wanted.sidecar.is_some() || wanted.blob_versioned_hashes.is_some();
    if blobs && wanted.max_fee_per_blob_gas.is_none() {
        let fee = api.chain.next_blob_base_fee().unwrap_or_default();
        wanted.max_fee_per_blob_gas = Some(fee.saturating_mul(2));
    }
    Ok(())
}
