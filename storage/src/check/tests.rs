//! A bit is flipped in rows of each table, keys and values: each is reported.

use super::{Fault, Rules};
use crate::{
    Commit, DataDir, Durability, ExecutedBlock, Mark, OpenOptions, Store, TreeLimits, TxReceipt,
    mdbx::{Env, Sync, Table, Write},
    store,
    tables::Tables,
};
use alloy_consensus::{
    Eip658Value, Header, Receipt, Sealable, SignableTransaction, TxEip4844, TxEnvelope, TxType,
    proofs::{calculate_receipt_root, calculate_transaction_root},
};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Log, LogData, Signature, U256};
use genesis::{Genesis, Headers};
use std::{path::Path, sync::Arc};
use workload::{Change, Fields};

#[path = "../../tests/workload/mod.rs"]
mod workload;

const BLOCKS: u64 = 14;
const LIMITS: TreeLimits = TreeLimits {
    fold_leaves_max: 4,
    whole_leaves_max: 3,
    leaves_max: 64,
    save_interval: 2,
    settle_rows: 100,
};

/// A transaction that has blobs by name.
fn blob_transaction(nonce: u64) -> TxEnvelope {
    let hashes = vec![B256::repeat_byte(1), B256::repeat_byte(2)];
    let transaction = TxEip4844 {
        nonce,
        blob_versioned_hashes: hashes,
        max_fee_per_gas: 7,
        ..TxEip4844::default()
    };
    let signature = Signature::new(U256::from(nonce + 1), U256::from(3), false);
    let signed = transaction.into_signed(signature);
    TxEnvelope::Eip4844(signed.map(Into::into))
}

fn block_of(transaction: TxEnvelope, parent: &Header, state_root: B256) -> ExecutedBlock {
    let receipt = Receipt {
        status: Eip658Value::Eip658(true),
        cumulative_gas_used: 21_000,
        logs: Vec::new(),
    };
    let receipt = TxReceipt { tx_type: TxType::Eip4844, receipt };
    let header = Header {
        number: parent.number + 1,
        parent_hash: parent.hash_slow(),
        state_root,
        transactions_root: calculate_transaction_root(std::slice::from_ref(&transaction)),
        receipts_root: calculate_receipt_root(&[receipt.envelope(Headers::Tandem)]),
        ..Default::default()
    };
    ExecutedBlock {
        header: header.seal_slow(),
        senders: vec![workload::sender(&transaction).unwrap()],
        transactions: vec![transaction],
        receipts: vec![receipt],
        ommers: Vec::new(),
        withdrawals: None,
        requests: Vec::new(),
    }
}

fn changes(number: u64) -> Vec<Change> {
    (0..3)
        .map(|index| Change {
            address: workload::address((number + index) % 7),
            fields: Some(Fields {
                nonce: number,
                balance: u128::from(number),
                code: vec![0x5b; number as usize % 3 * 40].into(),
            }),
            wiped: false,
            slots: vec![
                (U256::from(number % 4), U256::from(1)),
                (U256::from(900), U256::from(number)),
            ],
        })
        .collect()
}

/// Makes a chain that has rows in every table, and of whose history a part is to go.
fn make_chain(path: &Path, genesis: &Genesis) {
    let options = workload::options(path, Durability::Process);
    let (store, mut writer) = Store::open_within(&options, genesis, LIMITS).unwrap();
    let mut parent = store.snapshot().unwrap().header(0).unwrap().unwrap().into_inner();
    for number in 1..=BLOCKS {
        let mut batch = Vec::new();
        for edit in 0..number % 3 {
            let delta = writer.edit(&workload::bundle(&changes(number * 5 + edit))).unwrap();
            batch.push(Commit::Edit { delta });
        }
        if number % 4 == 3 {
            let (id, settings) = (number / 4, vec![number as u8; 5]);
            batch.push(Commit::Savepoint { id, settings });
        }
        for waits in [number + 1, number + 500] {
            let transaction = workload::transaction(waits, 0);
            let (hash, bytes) = (*transaction.tx_hash(), transaction.encoded_2718().into());
            batch.push(Commit::PoolInsert { hash, order: waits, bytes });
        }
        let delta = writer.apply(number, &workload::bundle(&changes(number))).unwrap();
        let log = Log {
            address: workload::address(number % 2),
            data: LogData::new_unchecked(vec![workload::word(number % 3)], vec![7; 9].into()),
        };
        let block = if number % 5 == 2 {
            let transaction = blob_transaction(number * 1000);
            batch.push(Commit::Blobs {
                hash: *transaction.tx_hash(),
                blob_hashes: vec![B256::repeat_byte(1), B256::repeat_byte(2)],
                bytes: transaction.encoded_2718().into(),
            });
            block_of(transaction, &parent, delta.root())
        } else {
            workload::block(number, parent.hash_slow(), delta.root(), vec![vec![log]])
        };
        parent = block.header.clone_inner();
        batch.push(Commit::Block { block: Arc::new(block), delta });
        batch.push(Commit::Meta { key: "note", value: vec![number as u8; 3] });
        store.commit(batch).unwrap();
    }
    let delta = writer.edit(&workload::bundle(&changes(3))).unwrap();
    store.commit(vec![Commit::Edit { delta }]).unwrap();
    drop((store, writer));
    let options = OpenOptions { prune: Some(5), ..options };
    let (store, _writer) = Store::open_within(&options, genesis, LIMITS).unwrap();
    store.prune().unwrap();
    assert!(store.has_to_prune(), "a part of the history is to go");
}

fn verify(path: &Path, genesis: &Genesis) -> Result<(), Vec<Fault>> {
    let rules = Rules { genesis, forked: false, sender: workload::sender };
    let data = DataDir::open(path).map_err(|error| vec![error.into()])?;
    data.verify(&rules).map(drop)
}

/// Writes to the database in a transaction of its own.
fn change(path: &Path, write: impl FnOnce(&Write, &Tables)) {
    let env = Env::open(path, Sync::Never, store::file_size(1 << 30)).unwrap();
    let tx = env.write().unwrap();
    let tables = Tables::make(&tx).unwrap();
    write(&tx, &tables);
    tx.commit().unwrap();
}

fn replace(tx: &Write, table: Table, old: &(Vec<u8>, Vec<u8>), new: &(Vec<u8>, Vec<u8>)) {
    if table.name() == "logs" {
        assert!(tx.remove_value(table, &old.0, &old.1).unwrap());
    } else {
        assert!(tx.remove(table, &old.0).unwrap());
    }
    tx.put(table, &new.0, &new.1).unwrap();
}

#[test]
fn a_flipped_bit_of_any_row_is_reported() {
    let (directory, genesis) = (tempfile::tempdir().unwrap(), workload::genesis(1337));
    let path = directory.path();
    make_chain(path, &genesis);
    verify(path, &genesis).unwrap();
    let mut all = Vec::new();
    change(path, |tx, tables| {
        for (index, table) in tables.all().enumerate() {
            let mut rows = tx.cursor(table).unwrap();
            let mut row = rows.first().unwrap();
            let mut own = Vec::new();
            while let Some((key, value)) = row {
                own.push((key.into_owned(), value.into_owned()));
                row = rows.next().unwrap();
            }
            if table.name() == "changes" {
                // Of the row that is about to go, flags of leaves whose history went before it tell
                // nobody anything any more.
                own.remove(0);
            }
            assert!(!own.is_empty(), "table {} has no rows", table.name());
            all.push((index, table.name(), own));
        }
    });
    let flips = std::env::var("TANDEM_FLIPS").map_or(12, |text| text.parse().unwrap());
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 16) as usize % below
    };
    for (index, name, rows) in &all {
        for flip in 0..flips {
            let row = &rows[random(rows.len())];
            let mut bad = row.clone();
            // Every third one is of the key; some values have no bytes.
            let bytes = if flip % 3 == 2 || bad.1.is_empty() { &mut bad.0 } else { &mut bad.1 };
            let (at, bit) = (random(bytes.len()), random(8));
            bytes[at] ^= 1 << bit;
            // It may have become another row's.
            let is_taken = rows.iter().any(|(key, _)| bad.0 != row.0 && *key == bad.0);
            if is_taken || rows.contains(&bad) {
                continue;
            }
            let table = |tables: &Tables| tables.all().nth(*index).unwrap();
            change(path, |tx, tables| replace(tx, table(tables), row, &bad));
            let found = verify(path, &genesis);
            assert!(found.is_err(), "{name}: {row:02x?} became {bad:02x?}, and that is not seen");
            change(path, |tx, tables| replace(tx, table(tables), &bad, row));
        }
    }
    verify(path, &genesis).unwrap();
}

#[test]
fn a_savepoint_leads_back_over_what_was_let_go_of_as_far_as_it_is_there() {
    let (directory, genesis) = (tempfile::tempdir().unwrap(), workload::genesis(1337));
    make_chain(directory.path(), &genesis);
    let options = workload::options(directory.path(), Durability::Process);
    let (store, mut writer) = Store::open_within(&options, &genesis, LIMITS).unwrap();
    let mark = |id| store.snapshot().unwrap().savepoint(id).unwrap().unwrap().mark;
    // Made before blocks 3, 7 and 11, after their edits.
    assert_eq!([mark(0), mark(1), mark(2)].map(|mark| mark.number), [2, 6, 10]);
    assert!(writer.revert(0).unwrap_err().to_string().contains("it was pruned"));
    assert_eq!(mark(2), Mark { number: 10, edits: 2 });
    assert!(writer.revert(2).unwrap().is_some());
    assert_eq!(writer.mark(), Mark { number: 10, edits: 2 });
    drop((store, writer));
    verify(directory.path(), &genesis).unwrap();
}
