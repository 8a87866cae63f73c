//! Transactions beside a naive twin: two sorted maps.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::{
    mdbx::{LazySync, Row, Size, Sync},
    tables::Tables,
};
use proptest::prelude::*;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

/// Keys of the table with one value each, and pairs of the one with many.
#[derive(Debug, Clone, Default, PartialEq)]
struct Twin {
    unique: BTreeMap<Vec<u8>, Vec<u8>>,
    many: BTreeSet<(Vec<u8>, Vec<u8>)>,
}

#[derive(Debug, Clone)]
enum Step {
    Put(u8, u8),
    PutNew(u8, u8),
    Remove(u8),
    RemoveFirst,
    Add(u8, u8),
    RemoveValue(u8, u8),
    Clear(bool),
    Commit,
    Abort,
    Settle,
    Keep,
    Reopen,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    let (key, value) = (|| 0..7u8, || 0..5u8);
    prop_oneof![
        4 => (key(), value()).prop_map(|(key, value)| Step::Put(key, value)),
        1 => (key(), value()).prop_map(|(key, value)| Step::PutNew(key, value)),
        2 => key().prop_map(Step::Remove),
        1 => Just(Step::RemoveFirst),
        4 => (key(), value()).prop_map(|(key, value)| Step::Add(key, value)),
        2 => (key(), value()).prop_map(|(key, value)| Step::RemoveValue(key, value)),
        1 => any::<bool>().prop_map(Step::Clear),
        3 => Just(Step::Commit),
        1 => Just(Step::Abort),
        1 => Just(Step::Settle),
        1 => Just(Step::Keep),
        1 => Just(Step::Reopen),
        1 => Just(Step::Kill),
    ]
}

/// Keys of different lengths, some the start of others.
fn key(key: u8) -> Vec<u8> {
    vec![key / 2 + 1; 1 + usize::from(key % 2)]
}

fn value(value: u8) -> Vec<u8> {
    vec![value; usize::from(value)]
}

fn many(key: u8, value: u8) -> (Vec<u8>, Vec<u8>) {
    (vec![key; 33], vec![value; 16])
}

fn open(path: &Path, settle_rows: usize) -> (Database, Tables) {
    let size = Size { max: 1 << 26, growth_step: 1 << 20 };
    let env = Env::open(path, Sync::OnDemand, size).unwrap();
    let tx = env.write().unwrap();
    let tables = Tables::make(&tx).unwrap();
    tx.commit().unwrap();
    let journal = Journal::new(path, never());
    let all = (tables.all().collect(), false);
    (Database::open(env, Some(journal), all, settle_rows).unwrap(), tables)
}

fn owned(row: Option<Row<'_>>) -> Option<(Vec<u8>, Vec<u8>)> {
    row.map(|(key, value)| (key.into_owned(), value.into_owned()))
}

/// Everything that a transaction can be asked, of one table.
fn check<K: TransactionKind>(tx: &Txn<K>, table: Table, rows: &[(Vec<u8>, Vec<u8>)]) {
    let mut cursor = tx.cursor(table).unwrap();
    for row in rows {
        assert_eq!(owned(cursor.next().unwrap()).as_ref(), Some(row));
    }
    assert_eq!(owned(cursor.next().unwrap()), None);
    assert_eq!(owned(cursor.last().unwrap()).as_ref(), rows.last());
    for row in rows.iter().rev().skip(1) {
        assert_eq!(owned(cursor.previous().unwrap()).as_ref(), Some(row));
    }
    let starts = rows.iter().map(|(key, _)| key.clone());
    for start in starts.chain((0..7).map(key)).chain((0..7).map(|key| many(key, 0).0)) {
        let at = rows.partition_point(|(key, _)| *key < start);
        assert_eq!(owned(cursor.seek(&start).unwrap()).as_ref(), rows.get(at));
        if at < rows.len() {
            // There and back again.
            assert_eq!(owned(cursor.next().unwrap()).as_ref(), rows.get(at + 1));
            if at + 1 < rows.len() {
                assert_eq!(owned(cursor.previous().unwrap()).as_ref(), rows.get(at));
            }
        }
        assert_eq!(owned(cursor.first().unwrap()).as_ref(), rows.first());
    }
}

fn check_all<K: TransactionKind>(tx: &Txn<K>, tables: &Tables, twin: &Twin) {
    let unique: Vec<_> = twin.unique.clone().into_iter().collect();
    check(tx, tables.leaves, &unique);
    for name in (0..7).map(key) {
        let found = tx.value(tables.leaves, &name).unwrap().map(Cow::into_owned);
        assert_eq!(found.as_ref(), twin.unique.get(&name));
    }
    let pairs: Vec<_> = twin.many.iter().cloned().collect();
    check(tx, tables.logs, &pairs);
    let mut cursor = tx.cursor(tables.logs).unwrap();
    for (name, from) in (0..7).flat_map(|key| (0..5).map(move |value| many(key, value))) {
        let found = cursor.seek_value(&name, &from).unwrap().map(Cow::into_owned);
        let expected = pairs.iter().find(|(key, value)| *key == name && *value >= from);
        assert_eq!(found.as_ref(), expected.map(|(_, value)| value));
    }
}

fn check_sizes(tx: &Read, tables: &Tables, twin: &Twin) {
    assert_eq!(tx.size(tables.leaves).unwrap().rows, twin.unique.len() as u64);
    assert_eq!(tx.size(tables.logs).unwrap().rows, twin.many.len() as u64);
}

/// Makes a step in an open transaction, and in its twin.
fn write(tx: &Write, tables: &Tables, twin: &mut Twin, step: &Step) {
    match *step {
        Step::Put(at, new) => {
            tx.put(tables.leaves, &key(at), &value(new)).unwrap();
            twin.unique.insert(key(at), value(new));
        }
        Step::PutNew(at, new) => {
            let is_new = tx.put_new(tables.leaves, &key(at), &value(new)).unwrap();
            assert_eq!(is_new, !twin.unique.contains_key(&key(at)));
            twin.unique.entry(key(at)).or_insert_with(|| value(new));
        }
        Step::Remove(at) => {
            let was_there = tx.remove(tables.leaves, &key(at)).unwrap();
            assert_eq!(was_there, twin.unique.remove(&key(at)).is_some());
        }
        Step::RemoveFirst => {
            let mut cursor = tx.cursor(tables.leaves).unwrap();
            if cursor.first().unwrap().is_some() {
                cursor.remove();
            }
            twin.unique.pop_first();
        }
        Step::Add(at, new) => {
            let (key, value) = many(at, new);
            tx.put(tables.logs, &key, &value).unwrap();
            twin.many.insert((key, value));
        }
        Step::RemoveValue(at, old) => {
            let pair = many(at, old);
            tx.remove_value(tables.logs, &pair.0, &pair.1);
            twin.many.remove(&pair);
        }
        Step::Clear(true) => {
            tx.clear(tables.leaves);
            twin.unique.clear();
        }
        Step::Clear(false) => {
            tx.clear(tables.logs);
            twin.many.clear();
        }
        _ => {}
    }
}

fn run(steps: &[Step], settle_rows: usize) {
    let directory = tempfile::tempdir().unwrap();
    let (mut database, mut tables) = open(directory.path(), settle_rows);
    let (mut committed, mut twin) = (Twin::default(), Twin::default());
    let mut kept = Vec::new();
    let mut tx = Some(database.write().unwrap());
    for step in steps {
        if let Some(tx) = &tx {
            write(tx, &tables, &mut twin, step);
            check_all(tx, &tables, &twin);
        }
        match step {
            Step::Commit => {
                tx.take().unwrap().commit().unwrap();
                committed = twin.clone();
            }
            Step::Abort => tx = None,
            Step::Settle => {
                tx = None;
                database.settle().unwrap();
            }
            Step::Keep => kept.push((database.read().unwrap(), committed.clone())),
            Step::Reopen | Step::Kill => {
                tx = None;
                kept.clear();
                if matches!(step, Step::Kill) {
                    // A thread that settles may end or not: nothing more is settled.
                    database.0.wait();
                    *database.0.failure.lock() = mdbx::check_key(&[]).err();
                }
                drop(database);
                (database, tables) = open(directory.path(), settle_rows);
            }
            _ => continue,
        }
        let view = database.read().unwrap();
        check_all(&view, &tables, &committed);
        check_sizes(&view, &tables, &committed);
        for (view, twin) in &kept {
            check_all(view, &tables, twin);
        }
        if tx.is_none() {
            twin.clone_from(&committed);
            tx = Some(database.write().unwrap());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() })]

    #[test]
    fn transactions_and_the_twin_agree(
        steps in prop::collection::vec(step(), 1..60),
        settle_rows in prop_oneof![1..6usize, Just(1 << 20)],
    ) {
        run(&steps, settle_rows);
    }
}

#[test]
fn records_of_any_length_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let lens = [0, 1, 430, 490, 4_000, 60_000, 300_000, 3_000_000];
    let (database, tables) = open(directory.path(), 1 << 20);
    for (place, len) in (1..).zip(lens) {
        let tx = database.write().unwrap();
        tx.put(tables.code, &[place], &vec![place; len]).unwrap();
        tx.commit().unwrap();
    }
    *database.0.failure.lock() = mdbx::check_key(&[]).err();
    drop(database);
    let (database, tables) = open(directory.path(), 1 << 20);
    let tx = database.read().unwrap();
    for (place, len) in (1..).zip(lens) {
        let row = tx.value(tables.code, &[place]).unwrap().unwrap();
        assert_eq!(*row, vec![place; len][..]);
    }
}

#[test]
fn the_numbers_of_what_a_cut_left_are_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (mut database, mut tables) = open(path, 1 << 20);
    let put = |database: &Database, tables: &Tables, place: u8| {
        let tx = database.write().unwrap();
        tx.put(tables.code, &[place], &[place]).unwrap();
        tx.commit().unwrap();
    };
    let kill = |database: Database| {
        *database.0.failure.lock() = mdbx::check_key(&[]).err();
        drop(database);
        open(path, 1 << 20)
    };
    let check = |database: &Database, tables: &Tables, places: &[u8], record: u64| {
        let tx = database.read().unwrap();
        for place in 1..=9 {
            let is_there = tx.value(tables.code, &[place]).unwrap().is_some();
            assert_eq!(is_there, places.contains(&place), "row {place} after record {record}");
        }
        assert_eq!(database.0.newest.read().record, record);
    };
    (1..=4).for_each(|place| put(&database, &tables, place));
    drop((database, tables));
    (database, tables) = open(path, 1 << 20);
    (5..=7).for_each(|place| put(&database, &tables, place));
    *database.0.failure.lock() = mdbx::check_key(&[]).err();
    drop(database);
    // Of the three records since, which fill a page each, the second one did not arrive.
    let file = path.join(journal::FILES[0]);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[2 * 4096..3 * 4096].fill(0);
    std::fs::write(&file, bytes).unwrap();
    (database, tables) = open(path, 1 << 20);
    check(&database, &tables, &[1, 2, 3, 4, 5], 7);
    // What comes is as long, and is found without what was left.
    put(&database, &tables, 8);
    (database, tables) = kill(database);
    check(&database, &tables, &[1, 2, 3, 4, 5, 8], 8);
    drop(database);
    (database, tables) = open(path, 1 << 20);
    check(&database, &tables, &[1, 2, 3, 4, 5, 8], 8);
    put(&database, &tables, 9);
    (database, tables) = kill(database);
    check(&database, &tables, &[1, 2, 3, 4, 5, 8, 9], 9);
}

/// A record's bytes by its number: some fill less than a sector, some pages.
fn record(number: u64) -> Vec<u8> {
    let len = [0, 700, 5_000, 40, 2_000][number as usize % 5];
    (0..len).map(|at| (at as u64 * 7 + number) as u8 | 1).collect()
}

fn never() -> Option<LazySync> {
    Some(LazySync { bytes: usize::MAX, period: Duration::MAX })
}

/// Numbers and bytes of the records after one.
fn read(path: &Path, settled: u64) -> std::result::Result<(Vec<u64>, bool), StoreError> {
    let found = Records::load(path)?.after(settled, true)?;
    let mut numbers = Vec::new();
    for part in found.parts {
        for (number, bytes) in (part.first..).zip(part.records) {
            assert_eq!(bytes, record(number));
            numbers.push(number);
        }
    }
    Ok((numbers, found.rest.is_some()))
}

/// Writes records; returns the file before each of them and at last.
fn write_records(path: &Path, lazy: Option<LazySync>, numbers: u64) -> Vec<Vec<u8>> {
    let file = path.join(journal::FILES[0]);
    let mut journal = Journal::new(path, lazy);
    journal.prepare().unwrap();
    let mut images = vec![std::fs::read(&file).unwrap()];
    for number in 1..=numbers {
        journal.append(number, |bytes| bytes.extend(record(number))).unwrap();
        images.push(std::fs::read(&file).unwrap());
    }
    images
}

#[test]
fn a_torn_record_was_never_there_and_a_damaged_one_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (path, file) = (directory.path(), directory.path().join(journal::FILES[0]));
    let images = write_records(path, None, 7);
    let (before, last) = (&images[6], &images[7]);
    assert_eq!(read(path, 0).unwrap(), ((1..=7).collect(), false));
    let error = read(path, 4).unwrap_err().to_string();
    assert!(error.contains("record 5"), "a file is settled as a whole: {error}");
    let differs = |at: &usize| last[*at..at + 512] != before[*at..at + 512];
    let changed: Vec<_> = (0..last.len()).step_by(512).filter(differs).collect();
    assert_eq!(changed.len(), 11);
    for mask in (0..1_u32 << changed.len()).step_by(37) {
        let mut torn = before.clone();
        for (_, at) in changed.iter().enumerate().filter(|(index, _)| mask >> index & 1 == 1) {
            torn[*at..at + 512].copy_from_slice(&last[*at..at + 512]);
        }
        std::fs::write(&file, torn).unwrap();
        let (numbers, has_rest) = read(path, 0).unwrap();
        assert_eq!((numbers, has_rest), ((1..=6).collect(), mask != 0), "{mask:b}");
    }
    let end = changed[10] + 512;
    for at in (0..end).filter(|at| last[at / 512 * 512..][..512].iter().any(|byte| *byte != 0)) {
        if at % 512 > 20 && at % 97 > 0 {
            continue;
        }
        let mut flipped = last.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&file, flipped).unwrap();
        assert!(matches!(read(path, 0), Err(StoreError::NotADatabase { .. })), "byte {at}");
    }
    // Record 5 is gone, and record 6 says that it was synced.
    let mut lost = last.clone();
    let differs = |at: &usize| images[4][*at..at + 512] != images[5][*at..at + 512];
    let at = (0..last.len()).step_by(512).find(differs).unwrap();
    lost[at..at + 512].fill(0);
    std::fs::write(&file, lost).unwrap();
    let error = read(path, 0).unwrap_err().to_string();
    assert!(error.contains("record 5, which was synced, is not there"), "{error}");
}

#[test]
fn without_a_sync_a_gap_ends_the_journal() {
    let directory = tempfile::tempdir().unwrap();
    let (path, file) = (directory.path(), directory.path().join(journal::FILES[0]));
    let images = write_records(path, never(), 7);
    let mut torn = images[7].clone();
    for at in (0..torn.len()).filter(|at| images[3][*at] != images[4][*at]) {
        torn[at] = images[3][at];
    }
    std::fs::write(&file, torn).unwrap();
    assert_eq!(read(path, 0).unwrap(), (vec![1, 2, 3], true));
}

#[test]
fn the_files_are_written_in_turn() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let mut journal = Journal::new(path, None);
    let mut number = 0;
    let mut write = |journal: &mut Journal, count: u64| {
        for _ in 0..count {
            number += 1;
            journal.append(number, |bytes| bytes.extend(record(number))).unwrap();
        }
    };
    write(&mut journal, 9);
    journal.switch();
    write(&mut journal, 3);
    assert_eq!(read(path, 0).unwrap(), ((1..=12).collect(), false));
    journal.switch();
    assert_eq!(read(path, 9).unwrap(), ((10..=12).collect(), false));
    write(&mut journal, 2);
    assert_eq!(read(path, 9).unwrap(), ((10..=14).collect(), false));
    assert_eq!(read(path, 12).unwrap(), (vec![13, 14], false));
    // Another process goes on.
    let mut journal = Journal::new(path, None);
    journal.go_on(&journal.read(9, true).unwrap().parts).unwrap();
    write(&mut journal, 1);
    assert_eq!(read(path, 9).unwrap(), ((10..=15).collect(), false));
    journal.switch();
    write(&mut journal, 60);
    assert_eq!(read(path, 12).unwrap(), ((13..=75).collect(), false));
    assert_eq!(read(path, 15).unwrap(), ((16..=75).collect(), false));
    journal.clear().unwrap();
    assert!(read(path, 75).unwrap_err().to_string().contains(journal::FILES[0]));
    journal.prepare().unwrap();
    assert_eq!(read(path, 75).unwrap(), (Vec::new(), false));
}
