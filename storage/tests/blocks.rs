//! Blocks come back as they went in, whatever is in them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod workload;

use alloy_consensus::{
    Eip658Value, Header, Receipt, Sealable, SignableTransaction, TxEip1559, TxEip2930, TxEip4844,
    TxEip4844Variant, TxEip7702, TxEnvelope, TxLegacy, TxType,
};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip4895::Withdrawal,
    eip7702::Authorization,
};
use alloy_primitives::{B256, Bytes, Log, Signature, TxKind, U256};
use genesis::Headers;
use std::sync::Arc;
use tandem_storage::{Commit, ExecutedBlock, LogFilter, TxLocation, TxReceipt};
use workload::{address, word};

/// One transaction of each type, and one that nobody has signed: the sender stands in `r`.
fn transactions() -> Vec<TxEnvelope> {
    let signature = Signature::new(U256::from(3), U256::from(5), true);
    let unsigned = Signature::new(U256::from_be_bytes(address(9).into_word().0), U256::ZERO, false);
    let access = AccessListItem { address: address(1), storage_keys: vec![word(1), word(2)] };
    let access_list = AccessList(vec![access]);
    let to = TxKind::Call(address(2));
    let authorization = Authorization { chain_id: U256::from(1337), address: address(3), nonce: 4 };
    let authorization =
        authorization.into_signed(Signature::new(U256::from(7), U256::from(8), false));
    vec![
        TxLegacy {
            nonce: 1,
            to: TxKind::Create,
            input: vec![1; 5000].into(),
            ..Default::default()
        }
        .into_signed(signature)
        .into(),
        TxEip2930 { chain_id: 1337, access_list: access_list.clone(), to, ..Default::default() }
            .into_signed(signature)
            .into(),
        TxEip1559 { chain_id: 1337, max_fee_per_gas: 1 << 100, to, ..Default::default() }
            .into_signed(unsigned)
            .into(),
        TxEnvelope::Eip4844(
            TxEip4844Variant::TxEip4844(TxEip4844 {
                chain_id: 1337,
                blob_versioned_hashes: vec![word(4)],
                ..Default::default()
            })
            .into_signed(signature),
        ),
        TxEip7702 {
            chain_id: 1337,
            authorization_list: vec![authorization],
            access_list,
            ..Default::default()
        }
        .into_signed(signature)
        .into(),
    ]
}

fn receipts() -> Vec<TxReceipt> {
    let types =
        [TxType::Legacy, TxType::Eip2930, TxType::Eip1559, TxType::Eip4844, TxType::Eip7702];
    let statuses = [
        Eip658Value::PostState(word(1)),
        Eip658Value::Eip658(true),
        Eip658Value::Eip658(false),
        Eip658Value::Eip658(true),
        Eip658Value::Eip658(true),
    ];
    let both = types.into_iter().zip(statuses).zip(1u64..);
    both.map(|((tx_type, status), count)| {
        let log = |index| {
            let topics = (0..index).map(word).collect();
            Log::new_unchecked(address(index), topics, Bytes::from(vec![7; 40 * index as usize]))
        };
        let logs = (0..count % 5).map(log).collect();
        let receipt = Receipt { status, cumulative_gas_used: count * 50_000, logs };
        TxReceipt { tx_type, receipt }
    })
    .collect()
}

fn full_block(state_root: B256) -> ExecutedBlock {
    let header = Header {
        number: 1,
        state_root,
        timestamp: 99,
        base_fee_per_gas: Some(7),
        withdrawals_root: Some(word(1)),
        blob_gas_used: Some(1),
        excess_blob_gas: Some(2),
        parent_beacon_block_root: Some(word(2)),
        requests_hash: Some(word(3)),
        ..Default::default()
    };
    let withdrawal =
        Withdrawal { index: 1, validator_index: 2, address: address(4), amount: 1 << 60 };
    ExecutedBlock {
        header: header.seal_slow(),
        transactions: transactions(),
        senders: (10..15).map(address).collect(),
        receipts: receipts(),
        ommers: vec![Header { number: 0, ..Default::default() }],
        withdrawals: Some(vec![withdrawal].into()),
        requests: vec![Bytes::from_static(&[0, 1, 2]), Bytes::from_static(&[1])],
    }
}

#[test]
fn a_block_of_every_kind_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let (store, mut writer) = workload::open(directory.path());
    let delta = writer.apply(1, &workload::bundle(&[])).unwrap();
    let block = Arc::new(full_block(delta.root()));
    store.commit(vec![Commit::Block { block: block.clone(), delta }]).unwrap();
    let view = store.snapshot().unwrap();
    assert_eq!(view.block(1).unwrap().as_ref(), Some(&*block));
    assert_eq!(view.number_of(block.hash()).unwrap(), Some(1));
    let mut first_log = 0;
    for (index, transaction) in (0u32..).zip(&block.transactions) {
        let at = TxLocation { number: 1, index };
        assert_eq!(view.location(*transaction.tx_hash()).unwrap(), Some(at));
        let (read, sender) = view.transaction(at).unwrap().unwrap();
        assert_eq!((&read, sender), (transaction, block.senders[index as usize]));
        let stored = view.receipt(at).unwrap().unwrap();
        assert_eq!(stored.receipt, block.receipts[index as usize]);
        assert_eq!((stored.gas_used, stored.first_log), (50_000, first_log));
        first_log += stored.receipt.receipt.logs.len() as u64;
    }
    let logs = view.logs(&LogFilter { to: 1, ..Default::default() }, &|| false).unwrap();
    assert_eq!(logs.len() as u64, first_log);
    assert_eq!(view.receipts(1).unwrap().len(), 5);
    assert_eq!(view.block(2).unwrap(), None);
    assert_eq!(view.location(word(1)).unwrap(), None);
}

#[test]
fn receipts_carry_the_constant_bloom() {
    for receipt in receipts() {
        let byte = if receipt.receipt.logs.is_empty() { 0 } else { 0xff };
        let envelope = receipt.envelope(Headers::Tandem);
        assert_eq!(envelope.logs_bloom().as_slice(), [byte; 256]);
        assert_eq!(envelope.tx_type(), receipt.tx_type);
    }
}

#[test]
fn the_writer_sees_what_is_not_committed_yet() {
    use revm::DatabaseRef;
    let directory = tempfile::tempdir().unwrap();
    let (store, mut writer) = workload::open(directory.path());
    let code = Bytes::from_static(&[0x60, 0x00, 0x5b]);
    let fields = workload::Fields { nonce: 1, balance: 5, code: code.clone() };
    let change = workload::Change {
        address: address(1),
        fields: Some(fields),
        wiped: false,
        slots: vec![(U256::from(1), U256::from(2)), (U256::from(1000), U256::from(3))],
    };
    let delta = writer.apply(1, &workload::bundle(&[change])).unwrap();
    let block = workload::block(1, B256::ZERO, delta.root(), vec![]);
    writer.sealed(1, block.hash());
    let check = |writer: &tandem_storage::Writer| {
        let info = writer.basic_ref(address(1)).unwrap().unwrap();
        assert_eq!((info.nonce, info.balance), (1, U256::from(5)));
        let read = writer.code_by_hash_ref(info.code_hash).unwrap();
        assert_eq!(read.original_bytes(), code);
        assert_eq!(writer.storage_ref(address(1), U256::from(1)).unwrap(), U256::from(2));
        assert_eq!(writer.storage_ref(address(1), U256::from(1000)).unwrap(), U256::from(3));
        assert_eq!(writer.block_hash_ref(1).unwrap(), block.hash());
    };
    check(&writer);
    assert_eq!(store.snapshot().unwrap().account(address(1)).unwrap(), None);
    store.commit(vec![Commit::Block { block: Arc::new(block.clone()), delta }]).unwrap();
    check(&writer);
    drop((store, writer));
    let (_store, writer) = workload::open(directory.path());
    check(&writer);
}

#[test]
fn views_and_writers_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<tandem_storage::Snapshot>();
    crosses::<tandem_storage::Store>();
    crosses::<tandem_storage::Writer>();
    crosses::<Commit>();
}
