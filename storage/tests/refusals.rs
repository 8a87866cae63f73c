//! What the store refuses, and in which words.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and print")]

mod workload;

use alloy_primitives::{Bytes, U256};
use std::{fs, path::Path, sync::Arc};
use tandem_storage::{
    Commit, DataDir, Durability, LogFilter, Mark, OpenOptions, Store, StoreError, TxLocation,
};
use workload::{Change, Fields};

fn refusal(path: &Path) -> StoreError {
    let options = workload::options(path, Durability::Process);
    match Store::open(&options, &workload::genesis(1337)) {
        Ok(_) => panic!("the store opened"),
        Err(error) => error,
    }
}

/// Adds `count` blocks that each touch some accounts.
fn add_blocks(path: &Path, count: u64) {
    let (store, mut writer) = workload::open(path);
    for number in 1..=count {
        let changes: Vec<_> = (0..20)
            .map(|index| Change {
                address: workload::address(number * 100 + index),
                fields: Some(Fields { nonce: number, balance: 1, code: Bytes::new() }),
                ..Default::default()
            })
            .collect();
        let delta = writer.apply(number, &workload::bundle(&changes)).unwrap();
        let block = workload::block(number, Default::default(), delta.root(), vec![vec![]; 3]);
        store.commit(vec![Commit::Block { block: Arc::new(block), delta }]).unwrap();
    }
}

#[test]
fn another_genesis_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(workload::open(directory.path()));
    let mut other = workload::genesis(1337);
    other.timestamp += 1;
    let options = workload::options(directory.path(), Durability::Process);
    let error = Store::open(&options, &other).unwrap_err();
    assert!(matches!(error, StoreError::GenesisMismatch { .. }), "{error}");
    assert!(error.to_string().contains("holds the chain of genesis 0x"), "{error}");
}

#[test]
fn a_second_open_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _held = workload::open(directory.path());
    let error = refusal(directory.path());
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("in use by another process"), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    for content in [&b"hello"[..], &[0; 4096], &[0x55; 100_000]] {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("mdbx.dat"), content).unwrap();
        let error = refusal(directory.path());
        assert!(matches!(error, StoreError::NotADatabase { .. }), "{error}");
    }
}

#[test]
fn a_truncated_file_is_refused() {
    let whole = tempfile::tempdir().unwrap();
    add_blocks(whole.path(), 60);
    let bytes = fs::read(whole.path().join("mdbx.dat")).unwrap();
    let used = bytes.len() - bytes.iter().rev().take_while(|byte| **byte == 0).count();
    for keep in [1, 100, 4096, 8192, 12_288, 12_289, used / 4, used / 2, used - 4097] {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("mdbx.dat"), &bytes[..keep]).unwrap();
        let error = DataDir::open_unchecked(directory.path()).unwrap_err().to_string();
        assert!(keep >= 12_288 || error.contains("it was cut off"), "{keep} of {used}: {error}");
        let error = refusal(directory.path());
        let expected = matches!(error, StoreError::NotADatabase { .. });
        assert!(expected, "{keep} of {used} bytes: {error}");
    }
}

#[test]
fn a_file_that_is_gone_is_not_made_anew_beside_its_journal() {
    for clear in [fs::remove_file as fn(_) -> _, |path| fs::write(path, "")] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mdbx.dat");
        let journals = ["journal0.dat", "journal1.dat"].map(|name| directory.path().join(name));
        add_blocks(directory.path(), 3);
        clear(path.clone()).unwrap();
        let found = journals.clone().map(|path| fs::read(path).unwrap());
        // Once refused there is a file, which is no database.
        for _ in 0..2 {
            let error = refusal(directory.path()).to_string();
            assert!(error.contains("mdbx.dat is no usable database: it does not say"), "{error}");
            assert!(DataDir::open(directory.path()).is_err());
        }
        assert!(journals.clone().map(|path| fs::read(path).unwrap()) == found);
        // Who wants to begin anew says so.
        journals.iter().for_each(|path| fs::remove_file(path).unwrap());
        drop(workload::open(directory.path()));
    }
}

#[test]
fn another_schema_and_a_stranger_s_database_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    add_blocks(directory.path(), 1);
    let path = directory.path().join("mdbx.dat");
    let mut bytes = fs::read(&path).unwrap();
    let schema = b"schema";
    let places: Vec<_> = (0..bytes.len() - 10)
        .filter(|at| bytes[*at..].starts_with(schema) && bytes[at + 6..at + 10] == [0, 0, 0, 3])
        .collect();
    assert!(!places.is_empty(), "the schema row is in the file");
    for at in places {
        bytes[at + 9] = 9;
    }
    fs::write(&path, bytes).unwrap();
    let error = refusal(directory.path());
    assert!(matches!(error, StoreError::Schema { stored: 9, supported: 3, .. }), "{error}");
}

#[test]
fn a_changed_leaf_is_found_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    add_blocks(directory.path(), 1);
    let path = directory.path().join("mdbx.dat");
    let mut bytes = fs::read(&path).unwrap();
    // Basic data of an account: nonce 1, balance 1.
    let mut basic = [0; 32];
    basic[15] = 1;
    basic[31] = 1;
    let places: Vec<_> = (0..bytes.len() - 32).filter(|at| bytes[*at..at + 32] == basic).collect();
    assert!(!places.is_empty(), "the leaf is in the file");
    for at in places {
        bytes[at + 31] = 2;
    }
    fs::write(&path, bytes).unwrap();
    let error = refusal(directory.path());
    assert!(matches!(error, StoreError::RootMismatch { .. }), "{error}");
}

#[test]
fn balances_that_the_tree_cannot_hold_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (_store, mut writer) = workload::open(directory.path());
    let rich = Change {
        address: workload::address(1),
        fields: Some(Fields::default()),
        ..Default::default()
    };
    let mut bundle = workload::bundle(&[rich]);
    for account in bundle.state.values_mut() {
        if let Some(info) = &mut account.info {
            info.balance = U256::from(1) << 128;
        }
    }
    let root = writer.root();
    let error = writer.apply(1, &bundle).unwrap_err();
    assert!(matches!(error, StoreError::BalanceTooLarge { .. }), "{error}");
    assert!(error.to_string().contains("2^128"), "{error}");
    assert_eq!(writer.root(), root, "a refused change leaves the state as it was");
}

#[test]
fn blocks_and_roots_out_of_order_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (store, mut writer) = workload::open(directory.path());
    let error = writer.apply(2, &workload::bundle(&[])).unwrap_err();
    assert!(matches!(error, StoreError::OutOfOrder { expected: 1, given: 2 }), "{error}");
    let delta = writer.apply(1, &workload::bundle(&[])).unwrap();
    let block = workload::block(1, Default::default(), workload::word(1), vec![]);
    let error = store.commit(vec![Commit::Block { block: Arc::new(block), delta }]).unwrap_err();
    assert!(matches!(error, StoreError::RootMismatch { .. }), "{error}");
    assert_eq!(store.snapshot().unwrap().head(), 0, "nothing of the batch is persisted");
    let error = writer.unwind(Mark { number: 7, edits: 0 }).unwrap_err();
    assert!(matches!(error, StoreError::Uncommitted { pending: 1 }), "{error}");
}

#[test]
fn a_full_database_is_an_error_and_keeps_what_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let options = OpenOptions {
        size_max: 2 << 20,
        ..workload::options(directory.path(), Durability::Process)
    };
    let (store, _writer) = Store::open(&options, &workload::genesis(1337)).unwrap();
    let value = vec![7; 64 << 10];
    let keys = ["a", "b", "c", "d"];
    let mut kept = 0;
    let error = loop {
        let key = keys.get(kept % 4).copied().unwrap_or("z");
        let key: &'static str = if kept < 4 { key } else { Box::leak(format!("k{kept}").into()) };
        match store.commit(vec![Commit::Meta { key, value: value.clone() }]) {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 1000, "the limit holds");
    };
    assert!(matches!(error, StoreError::Full { size_max } if size_max == 2 << 20), "{error}");
    assert!(kept > 4);
    assert_eq!(store.snapshot().unwrap().meta("a").unwrap(), Some(value));
}

#[test]
fn queries_say_what_is_kept_and_how_much_is_too_much() {
    let directory = tempfile::tempdir().unwrap();
    let (store, mut writer) = workload::open(directory.path());
    let log = alloy_primitives::Log::new_unchecked(workload::address(1), vec![], Bytes::new());
    let delta = writer.apply(1, &workload::bundle(&[])).unwrap();
    let block = workload::block(1, Default::default(), delta.root(), vec![vec![log; 3]; 4]);
    store.commit(vec![Commit::Block { block: Arc::new(block), delta }]).unwrap();
    let view = store.snapshot().unwrap();
    let filter = LogFilter { to: 9, limit: Some(11), ..Default::default() };
    let error = view.logs(&filter, &|| false).unwrap_err();
    assert!(matches!(error, StoreError::TooManyLogs { limit: 11, .. }), "{error}");
    assert_eq!(view.logs(&LogFilter { limit: Some(12), ..filter }, &|| false).unwrap().len(), 12);
    let error = store.snapshot_at(5).unwrap_err();
    assert_eq!(error.to_string(), "block 5 is not kept: blocks 0 to 1 are");
    let stored = view.receipt(TxLocation { number: 1, index: 2 }).unwrap().unwrap();
    assert_eq!((stored.first_log, stored.gas_used), (6, 21_000));
    assert_eq!(view.receipt(TxLocation { number: 1, index: 4 }).unwrap(), None);
}

#[test]
fn a_temporary_store_leaves_nothing_behind() {
    let parent = tempfile::tempdir().unwrap();
    let options =
        OpenOptions { temporary: true, ..workload::options(parent.path(), Durability::Process) };
    let (store, mut writer) = Store::open(&options, &workload::genesis(1337)).unwrap();
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    let delta = writer.apply(1, &workload::bundle(&[])).unwrap();
    let block = workload::block(1, Default::default(), delta.root(), vec![vec![]]);
    store.commit(vec![Commit::Block { block: Arc::new(block), delta }]).unwrap();
    // Enough to make the file grow although it has no name.
    for _ in 0..4 {
        let value = vec![1; 24 << 20];
        store.commit(vec![Commit::Meta { key: "large", value }]).unwrap();
    }
    assert_eq!(store.snapshot().unwrap().head(), 1);
}

#[test]
fn waiting_transactions_keep_their_order_and_leave_with_their_block() {
    let directory = tempfile::tempdir().unwrap();
    let hash = |index| *workload::transaction(1, index).tx_hash();
    let insert = |index: u64| Commit::PoolInsert {
        hash: hash(index),
        order: if index == 9 { 9 } else { 6 - index },
        bytes: Bytes::from(index.to_be_bytes().to_vec()),
    };
    {
        let (store, _writer) = workload::open(directory.path());
        store.commit((0..6).rev().map(insert).collect()).unwrap();
        store.commit(vec![Commit::PoolRemove(hash(4))]).unwrap();
    }
    let (store, mut writer) = workload::open(directory.path());
    store.commit(vec![insert(9)]).unwrap();
    let order = |store: &Store| {
        let waiting = store.snapshot().unwrap().waiting().unwrap();
        waiting.into_iter().map(|waits| waits.bytes[7]).collect::<Vec<_>>()
    };
    assert_eq!(order(&store), [5, 3, 2, 1, 0, 9]);
    let delta = writer.apply(1, &workload::bundle(&[])).unwrap();
    let block = workload::block(1, Default::default(), delta.root(), vec![vec![]; 3]);
    store.commit(vec![Commit::Block { block: Arc::new(block), delta }]).unwrap();
    assert_eq!(order(&store), [5, 3, 9]);
}
