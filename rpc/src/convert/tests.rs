//! Each type of transaction as geth's JSON has it.

use super::*;
use alloy_consensus::{
    Eip658Value, Header as ConsensusHeader, Sealed, SignableTransaction, TxEip1559, TxEip2930,
    TxEip4844, TxEip4844Variant, TxEip7702, TxLegacy,
};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_eips::eip4895::Withdrawals;
use alloy_eips::eip7702::Authorization;
use alloy_primitives::{Address, Log as PlainLog, Signature, TxKind, address, b256, bytes};
use serde_json::json;
use storage::TxReceipt;

const TO: Address = address!("0x00000000000000000000000000000000000000bb");
const SENDER: Address = address!("0x00000000000000000000000000000000000000aa");

fn signature() -> Signature {
    Signature::new(U256::from(0x11), U256::from(0x22), true)
}

fn all_types() -> Vec<TxEnvelope> {
    let kind = TxKind::Call(TO);
    let list = AccessList(vec![AccessListItem {
        address: TO,
        storage_keys: vec![B256::with_last_byte(1)],
    }]);
    let (gas_limit, value, input) = (21_000, U256::from(5), bytes!("1234"));
    let legacy = TxLegacy {
        chain_id: Some(1),
        nonce: 1,
        gas_price: 7,
        gas_limit,
        to: kind,
        value,
        input: input.clone(),
    };
    let listed = TxEip2930 {
        chain_id: 1,
        nonce: 2,
        gas_price: 7,
        gas_limit,
        to: kind,
        access_list: list.clone(),
        ..TxEip2930::default()
    };
    let capped = TxEip1559 {
        chain_id: 1,
        nonce: 3,
        gas_limit,
        max_fee_per_gas: 20,
        max_priority_fee_per_gas: 2,
        to: kind,
        ..TxEip1559::default()
    };
    let blobs = TxEip4844 {
        chain_id: 1,
        nonce: 4,
        gas_limit,
        max_fee_per_gas: 20,
        max_priority_fee_per_gas: 2,
        to: TO,
        blob_versioned_hashes: vec![B256::with_last_byte(1)],
        max_fee_per_blob_gas: 9,
        ..TxEip4844::default()
    };
    let authorization = Authorization { chain_id: U256::from(1), address: TO, nonce: 6 };
    let setting = TxEip7702 {
        chain_id: 1,
        nonce: 5,
        gas_limit,
        max_fee_per_gas: 20,
        max_priority_fee_per_gas: 2,
        to: TO,
        authorization_list: vec![authorization.into_signed(signature())],
        ..TxEip7702::default()
    };
    vec![
        legacy.into_signed(signature()).into(),
        listed.into_signed(signature()).into(),
        capped.into_signed(signature()).into(),
        TxEnvelope::Eip4844(TxEip4844Variant::TxEip4844(blobs).into_signed(signature())),
        setting.into_signed(signature()).into(),
    ]
}

fn executed() -> ExecutedBlock {
    let header = ConsensusHeader {
        number: 7,
        timestamp: 100,
        base_fee_per_gas: Some(10),
        withdrawals_root: Some(B256::ZERO),
        ..ConsensusHeader::default()
    };
    let transactions = all_types();
    let log = PlainLog::new_unchecked(TO, vec![B256::with_last_byte(9)], bytes!("01"));
    let receipts = transactions.iter().enumerate().map(|(index, tx)| TxReceipt {
        tx_type: tx.tx_type(),
        receipt: Receipt {
            status: Eip658Value::Eip658(true),
            cumulative_gas_used: 21_000 * (index as u64 + 1),
            logs: vec![log.clone(); index],
        },
    });
    ExecutedBlock {
        header: Sealed::new_unchecked(header, B256::with_last_byte(0xff)),
        senders: vec![SENDER; transactions.len()],
        receipts: receipts.collect(),
        transactions,
        ommers: Vec::new(),
        withdrawals: Some(Withdrawals::default()),
        requests: Vec::new(),
    }
}

#[track_caller]
fn check(value: &Value, fields: Value) {
    for (field, want) in fields.as_object().expect("an object") {
        assert_eq!(value.get(field).unwrap_or(&json!("absent")), want, "{field} of {value}");
    }
}

#[test]
fn transactions_of_every_type() {
    let block = executed();
    let tx = |index| serde_json::to_value(transaction_of(&block, index)).unwrap();
    let key = B256::with_last_byte(1);
    let list = json!([{"address": TO, "storageKeys": [key]}]);
    check(
        &tx(0),
        json!({
            "type": "0x0", "nonce": "0x1", "gasPrice": "0x7", "gas": "0x5208", "value": "0x5",
            "input": "0x1234", "v": "0x26", "r": "0x11", "s": "0x22", "chainId": "0x1",
            "from": SENDER, "to": TO, "blockNumber": "0x7", "transactionIndex": "0x0",
            "blockHash": B256::with_last_byte(0xff), "yParity": "absent", "accessList": "absent",
            "maxFeePerGas": "absent",
        }),
    );
    check(
        &tx(1),
        json!({
            "type": "0x1", "gasPrice": "0x7", "accessList": list, "v": "0x1", "yParity": "0x1",
            "maxFeePerGas": "absent",
        }),
    );
    check(
        &tx(2),
        json!({
            "type": "0x2", "gasPrice": "0xc", "maxFeePerGas": "0x14", "maxPriorityFeePerGas": "0x2",
            "accessList": [], "v": "0x1", "yParity": "0x1",
        }),
    );
    check(
        &tx(3),
        json!({
            "type": "0x3", "maxFeePerBlobGas": "0x9", "blobVersionedHashes": [key], "yParity": "0x1",
            "blobs": "absent", "sidecar": "absent",
        }),
    );
    check(
        &tx(4),
        json!({
            "type": "0x4", "authorizationList": [{
                "chainId": "0x1", "address": TO, "nonce": "0x6", "yParity": "0x1", "r": "0x11",
                "s": "0x22",
            }],
        }),
    );
    assert!(transaction_of(&block, 5).is_none());
}

#[test]
fn blocks_are_whole_or_hashes() {
    let sealed = executed();
    let full = serde_json::to_value(block(&sealed, true)).unwrap();
    check(
        &full,
        json!({
            "number": "0x7", "hash": B256::with_last_byte(0xff), "timestamp": "0x64",
            "baseFeePerGas": "0xa", "withdrawals": [], "uncles": [], "totalDifficulty": "absent",
            "nonce": "0x0000000000000000",
        }),
    );
    assert_eq!(full["transactions"].as_array().unwrap().len(), 5);
    let size = alloy_rlp::encode(sealed.body().into_block(sealed.header.inner().clone())).len();
    assert_eq!(full["size"], format!("{size:#x}"));
    let hashes = serde_json::to_value(block(&sealed, false)).unwrap();
    assert_eq!(hashes["transactions"][2], json!(sealed.transactions[2].tx_hash()));

    let mut pending = sealed;
    pending.header = Sealed::new_unchecked(pending.header.inner().clone(), B256::ZERO);
    let pending = serde_json::to_value(block(&pending, true)).unwrap();
    check(&pending, json!({"hash": null, "nonce": null, "miner": null, "number": "0x7"}));
    check(
        &pending["transactions"][0],
        json!({
            "blockHash": null, "blockNumber": null, "transactionIndex": null,
        }),
    );
}

#[test]
fn logs_count_on_through_the_block() {
    let block = executed();
    let logs = logs_of(&block, true);
    assert_eq!(logs.len(), 1 + 2 + 3 + 4);
    let last = serde_json::to_value(&logs[9]).unwrap();
    assert_eq!(
        last,
        json!({
            "address": TO, "topics": [B256::with_last_byte(9)], "data": "0x01",
            "blockHash": B256::with_last_byte(0xff), "blockNumber": "0x7",
            "blockTimestamp": "0x64", "transactionHash": block.transactions[4].tx_hash(),
            "transactionIndex": "0x4", "logIndex": "0x9", "removed": true,
        })
    );
}

#[test]
fn receipts_have_blob_fields_only_with_blobs() {
    let block = executed();
    let of = |index: usize, blob_gas_price| {
        let included = IncludedTransaction {
            transaction: block.transactions[index].clone(),
            sender: SENDER,
            header: block.header.clone(),
            index: index as u64,
        };
        let found = IncludedReceipt {
            included,
            receipt: block.receipts[index].clone(),
            gas_used: 21_000,
            first_log: 3,
            effective_gas_price: 12,
            blob_gas_price,
            contract: None,
            logs_bloom: block.receipts[index].bloom(genesis::Headers::Tandem),
        };
        serde_json::to_value(receipt(found)).unwrap()
    };
    check(
        &of(0, None),
        json!({
            "type": "0x0", "status": "0x1", "gasUsed": "0x5208", "effectiveGasPrice": "0xc",
            "logsBloom": format!("0x{}", "0".repeat(512)), "contractAddress": null,
            "blobGasUsed": "absent", "blobGasPrice": "absent",
        }),
    );
    let blobs = of(3, Some(1));
    check(
        &blobs,
        json!({
            "type": "0x3", "blobGasUsed": "0x20000", "blobGasPrice": "0x1",
            "logsBloom": format!("0x{}", "f".repeat(512)), "cumulativeGasUsed": "0x14820",
        }),
    );
    assert_eq!(blobs["logs"][2]["logIndex"], "0x5");
}

#[test]
fn blobs_stay_behind() {
    let hash = b256!("0x0000000000000000000000000000000000000000000000000000000000000001");
    let sidecar = alloy_consensus::BlobTransactionSidecarVariant::default();
    let tx = TxEip4844 { to: TO, blob_versioned_hashes: vec![hash], ..TxEip4844::default() };
    let with_blobs = TxEip4844Variant::TxEip4844WithSidecar(tx.with_sidecar(sidecar));
    let envelope = TxEnvelope::Eip4844(with_blobs.into_signed(signature()));
    let TxEnvelope::Eip4844(stripped) = without_blobs(envelope) else { panic!("type 3") };
    assert!(stripped.tx().sidecar().is_none());
}
