//! `testing_`: blocks that a test describes in full. (dev)

use crate::api::Api;
use crate::arguments::Arguments;
use crate::convert;
use crate::error::{Reply, RpcError};
use crate::eth::decode_recovered;
use crate::methods::Table;
use crate::request::Quantity;
use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, B256, Bloom, Bytes, U64, U256};
use node::building::{BuiltBlock, WantedBlock};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use storage::ExecutedBlock;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("testing_buildBlockV1", build_block);
    table.task("testing_commitBlockV1", commit_block);
}

/// The engine API's payload attributes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attributes {
    timestamp: Quantity,
    prev_randao: B256,
    suggested_fee_recipient: Address,
    #[serde(default)]
    withdrawals: Option<Withdrawals>,
    #[serde(default)]
    parent_beacon_block_root: Option<B256>,
    #[serde(default)]
    slot_number: Option<Quantity>,
    #[serde(default)]
    target_gas_limit: Option<Quantity>,
}

/// The engine API's payload envelope.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    execution_payload: Payload,
    block_value: U256,
    blobs_bundle: BlobsBundle,
    execution_requests: Vec<Bytes>,
    should_override_builder: bool,
}

/// The engine API's payload: a block, without what follows from the rest.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    parent_hash: B256,
    fee_recipient: Address,
    state_root: B256,
    receipts_root: B256,
    logs_bloom: Bloom,
    prev_randao: B256,
    block_number: U64,
    gas_limit: U64,
    gas_used: U64,
    timestamp: U64,
    extra_data: Bytes,
    base_fee_per_gas: U64,
    block_hash: B256,
    transactions: Vec<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    withdrawals: Option<Withdrawals>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob_gas_used: Option<U64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    excess_blob_gas: Option<U64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot_number: Option<U64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block_access_list: Option<Bytes>,
}

/// Blobs travel beside blocks, and this node keeps none.
#[derive(Clone, Debug, Default, Serialize)]
struct BlobsBundle {
    commitments: Vec<Bytes>,
    proofs: Vec<Bytes>,
    blobs: Vec<Bytes>,
}

async fn build_block(api: Arc<Api>, mut arguments: Arguments) -> Reply<Envelope> {
    let parent = arguments.hash("parent hash")?;
    let wanted = wanted(&mut arguments)?;
    let built = api.chain.build_block(parent, wanted).await?;
    Ok(envelope(&built))
}

async fn commit_block(api: Arc<Api>, mut arguments: Arguments) -> Reply<B256> {
    let wanted = wanted(&mut arguments)?;
    Ok(api.chain.commit_block(wanted).await?)
}

/// Attributes, transactions and extra data. No transactions means those of the pool, an empty list
/// means none.
fn wanted(arguments: &mut Arguments) -> Reply<WantedBlock> {
    let attributes: Attributes = arguments.required("payload attributes")?;
    let transactions: Option<Vec<Bytes>> = arguments.optional("transactions")?;
    let extra_data: Option<Bytes> = arguments.optional("extra data")?;
    let decode = |(index, bytes): (usize, Bytes)| {
        decode_recovered(&bytes).map(alloy_consensus::transaction::Recovered::into_parts).map_err(
            |error| RpcError::server(format!("invalid transaction {index}: {}", error.message())),
        )
    };
    let transactions = transactions
        .map(|all| all.into_iter().enumerate().map(decode).collect::<Reply<Vec<_>>>())
        .transpose()?;
    Ok(WantedBlock {
        timestamp: attributes.timestamp.0,
        prev_randao: attributes.prev_randao,
        fee_recipient: attributes.suggested_fee_recipient,
        withdrawals: attributes.withdrawals.unwrap_or_default(),
        beacon_root: attributes.parent_beacon_block_root,
        slot_number: attributes.slot_number.map(|number| number.0),
        gas_limit_target: attributes.target_gas_limit.map(|limit| limit.0),
        transactions,
        extra_data: extra_data.unwrap_or_default(),
    })
}

fn envelope(built: &BuiltBlock) -> Envelope {
    let block: &ExecutedBlock = &built.block;
    let header: &Header = &block.header;
    let access_list = built.accesses.as_ref();
    Envelope {
        execution_payload: Payload {
            parent_hash: header.parent_hash,
            fee_recipient: header.beneficiary,
            state_root: header.state_root,
            receipts_root: header.receipts_root,
            logs_bloom: header.logs_bloom,
            prev_randao: header.mix_hash,
            block_number: U64::from(header.number),
            gas_limit: U64::from(header.gas_limit),
            gas_used: U64::from(header.gas_used),
            timestamp: U64::from(header.timestamp),
            extra_data: header.extra_data.clone(),
            base_fee_per_gas: U64::from(header.base_fee_per_gas.unwrap_or_default()),
            block_hash: block.hash(),
            transactions: block.transactions.iter().map(convert::raw).collect(),
            withdrawals: block.withdrawals.clone(),
            blob_gas_used: header.blob_gas_used.map(U64::from),
            excess_blob_gas: header.excess_blob_gas.map(U64::from),
            slot_number: header.slot_number.map(U64::from),
            block_access_list: access_list.map(|list| alloy_rlp::encode(list).into()),
        },
        block_value: built.value,
        blobs_bundle: BlobsBundle::default(),
        execution_requests: block.requests.clone(),
        should_override_builder: false,
    }
}
