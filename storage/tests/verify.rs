//! What `DataDir` finds, copies and exports: a sound database, and one of which a bit was flipped.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and print")]

mod workload;

use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bytes, Log, LogData, U256};
use genesis::Genesis;
use std::{fs, os::unix::fs::FileExt, panic, path::Path, sync::Arc};
use tandem_storage::{
    Commit, DataDir, Durability, Fault, Mark, OpenOptions, Rules, Store, StoreError, Verified,
    Writer,
};
use workload::{Change, Fields};

const BLOCKS: u64 = 40;
const ACCOUNTS: u64 = 9;
const PAGE: usize = 4096;

fn code(number: u64) -> Bytes {
    match number % 4 {
        0 => Bytes::new(),
        1 => Bytes::from(vec![0x60; 70 + number as usize % 3]),
        2 => Bytes::from([&genesis::container::MAGIC[..], &[number as u8 % 2; 90]].concat()),
        _ => Bytes::from([&[0xef, 0x01, 0x00][..], &[0x77; 20]].concat()),
    }
}

fn changes(number: u64) -> Vec<Change> {
    let touched = [number % ACCOUNTS, (number + 3) % ACCOUNTS];
    let changes = touched.into_iter().map(|index| {
        let removed = number % 13 == index;
        let slots = [number % 3, 64 + number % 5, 5000 + number];
        Change {
            address: workload::address(index),
            fields: (!removed).then(|| Fields {
                nonce: number,
                balance: u128::from(number + index),
                code: code(number + index),
            }),
            wiped: number.is_multiple_of(7),
            slots: if removed {
                Vec::new()
            } else {
                slots.map(|slot| (U256::from(slot), U256::from(number % 4))).to_vec()
            },
        }
    });
    changes.collect()
}

fn logs(number: u64) -> Vec<Vec<Log>> {
    let log = |index: u64| Log {
        address: workload::address(index % 3),
        data: LogData::new_unchecked(
            (0..(number + index) % 5).map(|topic| workload::word(topic % 3)).collect(),
            Bytes::from_static(b"data"),
        ),
    };
    (0..number % 4)
        .map(|tx| (0..(number + tx) % 6).map(|index| log(index + tx)).collect())
        .collect()
}

/// Makes a chain with a bit of everything, and two changes pending.
fn make_chain(path: &Path, genesis: &Genesis) -> (Store, Writer) {
    make_chain_with(path, genesis, Durability::Process)
}

fn make_chain_with(path: &Path, genesis: &Genesis, durability: Durability) -> (Store, Writer) {
    let options = workload::options(path, durability);
    let (store, mut writer) = Store::open(&options, genesis).unwrap();
    let mut parent = store.genesis_hash().unwrap();
    for number in 1..=BLOCKS {
        let mut batch = Vec::new();
        for edit in 0..number % 3 {
            let delta = writer.edit(&workload::bundle(&changes(number * 31 + edit))).unwrap();
            batch.push(Commit::Edit { delta });
        }
        let delta = writer.apply(number, &workload::bundle(&changes(number))).unwrap();
        let block = workload::block(number, parent, delta.root(), logs(number));
        parent = block.hash();
        batch.push(Commit::Block { block: Arc::new(block), delta });
        let waiting = workload::transaction(number + 1000, number);
        batch.push(Commit::PoolInsert {
            hash: *waiting.tx_hash(),
            order: number,
            bytes: waiting.encoded_2718().into(),
        });
        store.commit(batch).unwrap();
        if number == BLOCKS / 2 {
            writer.unwind(Mark { number: number - 2, edits: 1 }).unwrap();
            writer.unwind(Mark { number: number - 4, edits: 0 }).unwrap();
            let snapshot = store.snapshot().unwrap();
            parent = snapshot.hash(number - 4).unwrap().unwrap();
            drop(snapshot);
            for number in number - 3..=number {
                let delta = writer.apply(number, &workload::bundle(&changes(number + 5))).unwrap();
                let block = workload::block(number, parent, delta.root(), logs(number + 1));
                parent = block.hash();
                store.commit(vec![Commit::Block { block: Arc::new(block), delta }]).unwrap();
            }
        }
    }
    for edit in 0..2 {
        let delta = writer.edit(&workload::bundle(&changes(edit))).unwrap();
        store.commit(vec![Commit::Edit { delta }]).unwrap();
    }
    (store, writer)
}

fn verify(path: &Path, genesis: &Genesis) -> Result<Verified, Vec<Fault>> {
    let rules = Rules { genesis, forked: false, sender: workload::sender };
    DataDir::open(path).map_err(|error| vec![error.into()])?.verify(&rules)
}

fn digest(path: &Path) -> Result<B256, StoreError> {
    DataDir::open(path)?.digest()
}

#[test]
fn a_sound_database_is_found_sound_and_copied_as_it_is() {
    let (directory, genesis) = (tempfile::tempdir().unwrap(), workload::genesis(1337));
    make_chain(directory.path(), &genesis);
    let found = verify(directory.path(), &genesis).unwrap();
    assert_eq!((found.states, found.blocks), ((0, BLOCKS), BLOCKS + 1));
    assert!(found.transactions > 50 && found.log_entries > 100, "{found:?}");
    assert!(found.old_values > 400 && found.roots > 60 && found.codes > 3, "{found:?}");
    assert_eq!(found.waiting, BLOCKS);
    let copy = tempfile::tempdir().unwrap();
    DataDir::open(directory.path()).unwrap().copy(copy.path()).unwrap();
    assert_eq!(digest(copy.path()).unwrap(), digest(directory.path()).unwrap());
    let copied = verify(copy.path(), &genesis).unwrap();
    assert_eq!(Verified { pages: found.pages, ..copied }, found);
    assert!(copied.pages.free < found.pages.free / 2, "{copied:?}, {found:?}");
    let stats = DataDir::open(copy.path()).unwrap().stats().unwrap();
    let leaves = stats.tables.iter().find(|table| table.name == "leaves").unwrap();
    assert_eq!((leaves.rows, stats.edits, stats.head.0), (found.leaves, 2, BLOCKS));
    let sum: u64 = stats.tables.iter().map(|table| table.pages).sum();
    assert!(sum < stats.used_bytes / stats.page_size, "{stats:?}");
    // It goes on as the original would.
    let (_, writer) = workload::open(copy.path());
    assert_eq!(writer.root(), stats.root);
}

#[test]
fn another_genesis_is_a_fault() {
    let directory = tempfile::tempdir().unwrap();
    make_chain(directory.path(), &workload::genesis(1337));
    let mut other = workload::genesis(1337);
    other.timestamp = 5;
    let faults = verify(directory.path(), &other).unwrap_err();
    assert!(matches!(faults[..], [Fault::Genesis { .. }]), "{faults:?}");
}

/// Whether a flipped bit is found; where it is not, nothing of what the database holds may differ.
fn judge(path: &Path, genesis: &Genesis, sound: B256) -> Result<bool, String> {
    let outcome = panic::catch_unwind(|| match verify(path, genesis) {
        Err(_) => Ok(true),
        Ok(_) if digest(path).unwrap() == sound => Ok(false),
        Ok(_) => Err("what the database holds differs, and verify finds it sound".to_owned()),
    });
    outcome.unwrap_or_else(|_| Err("panic".to_owned()))
}

/// Flips a bit of a file of a data directory for a moment.
fn is_found(
    (file, bytes): (&Path, &[u8]),
    (at, bit): (usize, u8),
    (genesis, sound): (&Genesis, B256),
) -> bool {
    let options = fs::File::options().write(true).open(file).unwrap();
    options.write_at(&[bytes[at] ^ bit], at as u64).unwrap();
    let judged = judge(file.parent().unwrap(), genesis, sound);
    options.write_at(&[bytes[at]], at as u64).unwrap();
    let place = format!("page {}, byte {}, bit {bit:#x}", at / PAGE, at % PAGE);
    judged.unwrap_or_else(|error| panic!("{place}: {error}"))
}

/// The database's file, the journal's other file, and the one that has records.
const FILES: [&str; 3] = ["mdbx.dat", "journal0.dat", "journal1.dat"];

fn copy_files(from: &Path, to: &Path) {
    for name in FILES {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

/// A chain as a node that was killed leaves it: most of it in the journal.
fn make_unsettled(path: &Path, genesis: &Genesis) {
    let directory = tempfile::tempdir().unwrap();
    let open = make_chain(directory.path(), genesis);
    copy_files(directory.path(), path);
    drop(open);
}

#[test]
fn what_is_in_the_journal_counts_as_what_is_in_the_file() {
    let (directory, genesis) = (tempfile::tempdir().unwrap(), workload::genesis(1337));
    let (killed, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    make_chain(directory.path(), &genesis);
    make_unsettled(killed.path(), &genesis);
    let (found, expected) = (verify(killed.path(), &genesis), verify(directory.path(), &genesis));
    let (found, expected) = (found.unwrap(), expected.unwrap());
    assert_eq!(Verified { pages: expected.pages, ..found }, expected);
    assert!(found.pages.used < expected.pages.used, "{found:?}, {expected:?}");
    let data = DataDir::open(killed.path()).unwrap();
    assert_eq!(data.digest().unwrap(), digest(directory.path()).unwrap());
    let rows = |data: &DataDir| {
        let tables = data.stats().unwrap().tables;
        tables.iter().map(|table| (table.name, table.rows)).collect::<Vec<_>>()
    };
    assert_eq!(rows(&data), rows(&DataDir::open(directory.path()).unwrap()));
    data.copy(copy.path()).unwrap();
    assert_eq!(digest(copy.path()).unwrap(), digest(directory.path()).unwrap());
}

#[test]
fn a_journal_that_is_damaged_or_not_there_is_refused() {
    let (whole, genesis) = (tempfile::tempdir().unwrap(), workload::genesis(1337));
    make_unsettled(whole.path(), &genesis);
    let sound = digest(whole.path()).unwrap();
    let file = whole.path().join(FILES[2]);
    let bytes = fs::read(&file).unwrap();
    let used = bytes.len() - bytes.iter().rev().take_while(|byte| **byte == 0).count();
    let opens = |path: &Path| {
        let options = workload::options(path, Durability::Process);
        Store::open(&options, &genesis).map(drop)
    };
    let cuts = [1, 4096, 12_288, used / 2, used - 4097].map(Some);
    for (name, keep) in cuts.map(|keep| (FILES[2], keep)).into_iter().chain([
        (FILES[1], None),
        (FILES[2], None),
        (FILES[1], Some(0)),
        (FILES[2], Some(0)),
    ]) {
        let cut = tempfile::tempdir().unwrap();
        copy_files(whole.path(), cut.path());
        match keep {
            Some(keep) => fs::write(cut.path().join(name), &bytes[..keep]).unwrap(),
            None => fs::remove_file(cut.path().join(name)).unwrap(),
        }
        let error = opens(cut.path()).unwrap_err();
        assert!(error.to_string().contains(name), "{keep:?} of {used} bytes: {error}");
        assert!(verify(cut.path(), &genesis).is_err(), "{keep:?} of {used} bytes");
    }
    let flips = std::env::var("TANDEM_FLIPS").map_or(300, |text| text.parse().unwrap());
    let found = (0..flips).filter(|flip| {
        let at = match flip % 4 {
            0 => flip * 7919 % (used / PAGE) * PAGE + flip % 48,
            _ => flip * 1_000_003 % used,
        };
        is_found((&file, &bytes), (at, 1 << (flip % 8)), (&genesis, sound))
    });
    let found = found.count();
    println!("{found} of {flips} flipped bits of the journal are found, no other matters");
    assert!(found * 4 > flips, "{found} of {flips}");
    opens(whole.path()).unwrap();
    assert_eq!(digest(whole.path()).unwrap(), sound);
}

#[test]
fn a_record_is_found_beside_a_file_that_says_it_needs_none() {
    let (directory, genesis) = (tempfile::tempdir().unwrap(), workload::genesis(1337));
    drop(make_chain(directory.path(), &genesis));
    let closed = fs::read(directory.path().join(FILES[0])).unwrap();
    let (store, _writer) = workload::open(directory.path());
    store.commit(vec![Commit::Meta { key: "note", value: vec![7] }]).unwrap();
    // The page that says otherwise was torn.
    let torn = tempfile::tempdir().unwrap();
    copy_files(directory.path(), torn.path());
    fs::write(torn.path().join(FILES[0]), closed).unwrap();
    let (store, _writer) = workload::open(torn.path());
    assert_eq!(store.snapshot().unwrap().meta("note").unwrap(), Some(vec![7]));
}

/// Without that name the journal would be nobody's, and its commits lost.
#[test]
fn a_flip_in_the_name_of_what_is_settled_is_found() {
    let (whole, genesis) = (tempfile::tempdir().unwrap(), workload::genesis(1337));
    make_unsettled(whole.path(), &genesis);
    let sound = digest(whole.path()).unwrap();
    let file = whole.path().join(FILES[0]);
    let bytes = fs::read(&file).unwrap();
    let places = bytes.windows(7).zip(0..).filter(|(name, _)| *name == b"settled");
    let flips = places.flat_map(|(_, at)| (at..at + 7).map(|at| (at, 1 << (at % 8))));
    let found = flips.filter(|flip| is_found((&file, &bytes), *flip, (&genesis, sound))).count();
    assert!(found >= 7, "{found}");
    fs::write(&file, &bytes).unwrap();
    assert_eq!(digest(whole.path()).unwrap(), sound);
}

#[test]
fn a_flipped_bit_is_found_or_does_not_matter() {
    let (directory, genesis) = (tempfile::tempdir().unwrap(), workload::genesis(1337));
    make_chain(directory.path(), &genesis);
    // Nothing tells in which order transactions came but the order itself.
    let options = workload::options(directory.path(), Durability::Process);
    let (store, _) = Store::open(&options, &genesis).unwrap();
    let waiting = store.snapshot().unwrap().waiting().unwrap();
    store.commit(waiting.iter().map(|waits| Commit::PoolRemove(waits.hash)).collect()).unwrap();
    store.sync().unwrap();
    drop(store);
    let flips = std::env::var("TANDEM_FLIPS").map_or(600, |text| text.parse().unwrap());
    for compact in [false, true] {
        let copy = tempfile::tempdir().unwrap();
        let file = copy.path().join("mdbx.dat");
        match compact {
            true => DataDir::open(directory.path()).unwrap().copy(copy.path()).unwrap(),
            false => drop(fs::copy(directory.path().join("mdbx.dat"), &file).unwrap()),
        }
        let sound = digest(copy.path()).unwrap();
        let used = DataDir::open(copy.path()).unwrap().stats().unwrap().used_bytes as usize;
        let bytes = fs::read(&file).unwrap();
        let (mut found, mut seed) = (0, 0x9e37_79b9_7f4a_7c15_u64);
        for flip in 0..flips {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            // Every fourth one hits the head of a page.
            let at = match flip % 4 {
                0 => seed as usize % (used / PAGE) * PAGE + (seed >> 40) as usize % 48,
                _ => seed as usize % used,
            };
            let bit = 1 << (seed >> 60 & 7);
            found += usize::from(is_found((&file, &bytes), (at, bit), (&genesis, sound)));
        }
        println!("compact: {compact}: {found} of {flips} flipped bits are found, no other matters");
        // Of a compact copy most bytes hold something.
        assert!(!compact || found * 2 > flips, "{found} of {flips}");
    }
}

#[test]
fn a_torn_page_that_names_a_commit_is_told_of_and_the_commit_before_it_is_sound() {
    let (directory, genesis) = (tempfile::tempdir().unwrap(), workload::genesis(1337));
    // Every commit is synced: what is torn is one that the disk was told of.
    make_chain_with(directory.path(), &genesis, Durability::Disk);
    let bytes = fs::read(directory.path().join("mdbx.dat")).unwrap();
    let whole = verify(directory.path(), &genesis).unwrap();
    assert_eq!(whole.pages.torn, 0);
    let root = DataDir::open(directory.path()).unwrap().stats().unwrap().root;
    let mut refused = 0;
    for page in 0..3 {
        let copy = tempfile::tempdir().unwrap();
        copy_files(directory.path(), copy.path());
        let mut torn = bytes.clone();
        // The number of the commit stands at both ends of what is written.
        torn[page * PAGE + 20 + 8] ^= 0x40;
        fs::write(copy.path().join("mdbx.dat"), torn).unwrap();
        // What the commit before it lacks is in the journal.
        let found = verify(copy.path(), &genesis).unwrap();
        assert_eq!((found.pages.torn, found.blocks), (1, whole.blocks), "page {page}");
        let stats = DataDir::open(copy.path()).unwrap().stats().unwrap();
        assert_eq!((stats.root, stats.edits), (root, 2), "page {page}");
        let (_, writer) = workload::open(copy.path());
        assert_eq!(writer.root(), root, "page {page}");
        let alone = tempfile::tempdir().unwrap();
        fs::copy(copy.path().join("mdbx.dat"), alone.path().join("mdbx.dat")).unwrap();
        refused += usize::from(verify(alone.path(), &genesis).is_err());
    }
    assert_eq!(refused, 1, "without the journal the newest commit is missed");
}

#[test]
fn a_state_is_exported_and_imported_and_checked() {
    let directory = tempfile::tempdir().unwrap();
    let mut genesis = workload::genesis(1337);
    make_chain(directory.path(), &genesis);
    let to = tempfile::tempdir().unwrap();
    let refused = DataDir::open(directory.path()).unwrap().export(to.path(), false);
    assert!(refused.unwrap_err().to_string().starts_with("2 changes were made since block 40"));
    let (store, mut writer) = workload::open(directory.path());
    writer.unwind(Mark { number: BLOCKS, edits: 0 }).unwrap();
    let accounts = store.snapshot().unwrap().accounts().unwrap();
    drop((store, writer));
    let done = DataDir::open(directory.path()).unwrap().export(to.path(), false).unwrap();
    let state = tandem_storage::import(to.path(), &genesis).unwrap();
    assert_eq!((state.root, state.header.number), (done.root, BLOCKS));
    assert_eq!(state.header.hash_slow(), done.hash);
    assert!(state.accounts.keys().eq(accounts.keys()) && accounts.len() > 5);
    // A chain that begins with the state has the same tree.
    genesis.alloc = state.accounts;
    let again = tempfile::tempdir().unwrap();
    let options = workload::options(again.path(), Durability::Process);
    let (_, writer) = Store::open(&options, &genesis).unwrap();
    assert_eq!(writer.root(), done.root);
    // Any changed byte is refused: nothing in the files is there twice or for nothing.
    for name in ["snapshot.pbt", "preimages.rlp"] {
        let path = to.path().join(name);
        let bytes = fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(&path, bad).unwrap();
            assert!(tandem_storage::import(to.path(), &genesis).is_err(), "{name}, byte {at}");
        }
        for cut in [0, 1, 33, bytes.len() / 2, bytes.len() - 1] {
            fs::write(&path, &bytes[..cut]).unwrap();
            assert!(tandem_storage::import(to.path(), &genesis).is_err(), "{name}, {cut} bytes");
        }
        fs::write(&path, bytes).unwrap();
    }
    tandem_storage::import(to.path(), &genesis).unwrap();
}

#[test]
fn history_goes_in_steps_and_is_sound_after_each() {
    let (directory, genesis) = (tempfile::tempdir().unwrap(), workload::genesis(1337));
    let open = |prune| {
        let options = workload::options(directory.path(), Durability::Process);
        Store::open(&OpenOptions { prune, ..options }, &genesis).unwrap()
    };
    let (store, mut writer) = open(None);
    let mut parent = store.genesis_hash().unwrap();
    for number in 1..=6 {
        let slots = (0..6000).map(|slot| (U256::from(slot * 3), U256::from(number))).collect();
        let fields = Some(Fields { nonce: number, ..Fields::default() });
        let change = Change { address: workload::address(1), fields, wiped: false, slots };
        let delta = writer.apply(number, &workload::bundle(&[change])).unwrap();
        let block = workload::block(number, parent, delta.root(), Vec::new());
        parent = block.hash();
        store.commit(vec![Commit::Block { block: Arc::new(block), delta }]).unwrap();
    }
    drop((store, writer));
    let whole = verify(directory.path(), &genesis).unwrap();
    let mut left = vec![whole.old_values];
    loop {
        let (store, _writer) = open(Some(2));
        store.prune().unwrap();
        let more = store.has_to_prune();
        drop(store);
        drop(_writer);
        let found = verify(directory.path(), &genesis).unwrap();
        assert_eq!(found.states, (4, 6));
        let data = DataDir::open(directory.path()).unwrap();
        let rows = |name: &str| {
            let stats = data.stats().unwrap();
            stats.tables.iter().find(|table| table.name == name).unwrap().rows
        };
        left.push(rows("history"));
        if !more {
            assert_eq!((rows("changes"), rows("history")), (3, found.old_values));
            break;
        }
    }
    assert!(left.len() > 4 && left.windows(2).all(|pair| pair[0] - pair[1] <= 4096), "{left:?}");
    // A larger number brings nothing back.
    let (store, _writer) = open(None);
    assert!(matches!(store.snapshot_at(3), Err(StoreError::HistoryPruned { .. })));
    assert!(store.snapshot_at(4).is_ok());
}
