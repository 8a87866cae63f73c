//! What the table of folds holds after a load of everything that changes it, and what becomes of
//! rows that are wrong.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::{Commit, Durability, ExecutedBlock, Mark, OpenOptions, PendingWriter, Store, store};
use alloy_consensus::{Header, Sealable};
use alloy_primitives::{Address, B256, U256, keccak256};
use genesis::{DevOptions, Genesis};
use revm::{
    database::{AccountStatus, BundleAccount, BundleState, states::StorageSlot},
    state::AccountInfo,
};
use std::path::Path;

const LIMITS: TreeLimits = TreeLimits {
    fold_leaves_max: 8,
    whole_leaves_max: 40,
    leaves_max: 60,
    save_interval: 10,
    settle_rows: 50,
};

struct Chain {
    directory: tempfile::TempDir,
    open: Option<(Store, Writer)>,
    number: u64,
    seed: u64,
}

impl Chain {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let open = Some(open(directory.path()));
        Self { directory, open, number: 0, seed: 1 }
    }

    fn reopen(&mut self) -> &mut (Store, Writer) {
        self.open = None;
        self.open.insert(open(self.directory.path()))
    }

    fn random(&mut self, bound: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.seed >> 33) % bound
    }

    /// Slots of three contracts, some set and some cleared.
    fn changes(&mut self, count: u64) -> BundleState {
        let mut bundle = BundleState::default();
        for index in 0..3 {
            let slots = (0..count).map(|_| {
                let slot = U256::from_be_bytes(keccak256([self.random(200) as u8]).0);
                let value = U256::from(self.random(3));
                (slot, StorageSlot::new_changed(U256::ZERO, value))
            });
            let slots = slots.collect();
            let info = AccountInfo { nonce: self.number, ..Default::default() };
            let status = AccountStatus::Changed;
            let account = BundleAccount::new(None, Some(info), slots, status);
            bundle.state.insert(Address::repeat_byte(index + 1), account);
        }
        bundle
    }

    fn block(&mut self, count: u64) {
        self.number += 1;
        let changes = self.changes(count);
        let (store, writer) = self.open.as_mut().unwrap();
        let delta = writer.apply(self.number, &changes).unwrap();
        let header = Header { number: self.number, state_root: delta.root(), ..Default::default() };
        let block = Arc::new(ExecutedBlock::bare(header.seal_slow()));
        store.commit(vec![Commit::Block { block, delta }]).unwrap();
    }

    fn edit(&mut self) {
        let changes = self.changes(2);
        let (store, writer) = self.open.as_mut().unwrap();
        let delta = writer.edit(&changes).unwrap();
        store.commit(vec![Commit::Edit { delta }]).unwrap();
    }

    /// Fills the state until folds are written.
    fn fill(&mut self) {
        for _ in 0..12 {
            self.block(30);
        }
        assert!(self.writer().leaf_count() > 150);
        self.check();
    }

    fn writer(&self) -> &Writer {
        &self.open.as_ref().unwrap().1
    }

    /// The tree that the rows make is the one in memory, and the leaves make it too.
    fn check(&self) {
        let writer = self.writer();
        let shared = &writer.shared;
        let tx = shared.database.read().unwrap();
        let head = shared.head(&tx).unwrap();
        assert_eq!(head.root, writer.root());
        let tree = shared.load_folds(&tx).unwrap().unwrap();
        assert_eq!((tree.root(), tree.leaf_count()), (writer.root(), writer.leaf_count()));
        assert_eq!(shared.rebuild_tree(&tx).unwrap().root(), writer.root());
    }
}

fn open(path: &Path) -> (Store, Writer) {
    let (store, writer) = open_ahead(path);
    (store, writer.load().unwrap())
}

fn open_ahead(path: &Path) -> (Store, PendingWriter) {
    let options = OpenOptions {
        path: path.into(),
        durability: Durability::Process,
        size_max: 1 << 28,
        temporary: false,
        prune: None,
    };
    store::open(&options, (&Genesis::dev(DevOptions::default()), None), LIMITS).unwrap()
}

#[test]
fn the_table_makes_the_tree_after_whatever_changed_it() {
    let mut chain = Chain::new();
    chain.fill();
    for round in 0..120 {
        match chain.random(6) {
            0 => chain.edit(),
            1 => {
                let to = chain.number - chain.random(4);
                let writer = &mut chain.open.as_mut().unwrap().1;
                writer.unwind(Mark { number: to, edits: 0 }).unwrap();
                chain.number = to;
            }
            2 if round % 3 == 0 => drop(chain.reopen()),
            _ => {
                let count = chain.random(9);
                chain.block(count);
            }
        }
        chain.check();
        let unfolded = chain.writer().tree.unfolded_count();
        assert!(unfolded < chain.writer().leaf_count(), "{unfolded} leaves in memory");
    }
}

#[test]
fn wrong_folds_are_made_anew() {
    let mut chain = Chain::new();
    chain.fill();
    let (root, shared) = (chain.writer().root(), chain.writer().shared.clone());
    let tables = shared.tables;
    let row = |at: usize| {
        let tx = shared.database.read().unwrap();
        let mut rows = tx.cursor(tables.folds).unwrap();
        let mut row = rows.first().unwrap();
        for _ in 0..at {
            row = rows.next().unwrap();
        }
        row.map(|(key, value)| (key.into_owned(), value.into_owned())).unwrap()
    };
    let (first, second) = (row(0), row(1));
    drop(shared);
    type Damage<'a> = &'a dyn Fn(&Shared, &Write);
    let damages: [Damage<'_>; 5] = [
        &|shared, tx| assert!(tx.remove(shared.tables.folds, &first.0).unwrap()),
        &|shared, tx| tx.put(shared.tables.folds, &first.0, &second.1).unwrap(),
        &|shared, tx| tx.put(shared.tables.folds, &first.0, b"short").unwrap(),
        &|shared, tx| tx.put(shared.tables.folds, &[0x55; 34], &second.1).unwrap(),
        &|shared, tx| {
            let mut row = first.1.clone();
            row[10] ^= 1;
            tx.put(shared.tables.folds, &first.0, &row).unwrap();
        },
    ];
    for (index, damage) in damages.iter().enumerate() {
        let shared = chain.writer().shared.clone();
        let tx = shared.database.write().unwrap();
        damage(&shared, &tx);
        tx.commit().unwrap();
        drop(shared);
        let (_, writer) = chain.reopen();
        assert_eq!(writer.root(), root, "damage {index}");
        // The next change writes the table as a whole.
        let (number, before) = (chain.number, chain.seed);
        chain.block(20);
        chain.check();
        let writer = &mut chain.open.as_mut().unwrap().1;
        writer.unwind(Mark { number, edits: 0 }).unwrap();
        (chain.number, chain.seed) = (number, before);
        assert_eq!(chain.writer().root(), root);
    }
}

#[test]
fn a_large_state_is_read_before_its_tree_is_made_and_a_wrong_one_has_no_writer() {
    let mut chain = Chain::new();
    chain.fill();
    let (root, number) = (chain.writer().root(), chain.number);
    chain.open = None;
    let (store, writer) = open_ahead(chain.directory.path());
    assert!(writer.made.is_none(), "the tree is made later");
    let before = store.snapshot().unwrap();
    assert_eq!(before.rebuild_root().unwrap(), root);
    let writer = writer.load().unwrap();
    assert_eq!((writer.root(), writer.mark()), (root, Mark { number, edits: 0 }));
    // Neither the folds nor the leaves have another root.
    let recorded = B256::repeat_byte(9);
    {
        let shared = &writer.shared;
        let head =
            Head { root: recorded, ..shared.head(&shared.database.read().unwrap()).unwrap() };
        let tx = shared.database.write().unwrap();
        tx.put(shared.tables.meta, meta::HEAD, &head.encode()).unwrap();
        tx.commit().unwrap();
    }
    drop((store, writer, before));
    let (store, writer) = open_ahead(chain.directory.path());
    assert_eq!(store.snapshot().unwrap().head(), number);
    let error = writer.load().unwrap_err();
    let expected = StoreError::RootMismatch { recorded, rebuilt: root };
    assert_eq!(error.to_string(), expected.to_string());
}

#[test]
fn a_leaf_that_was_changed_behind_its_fold_is_refused() {
    let mut chain = Chain::new();
    chain.fill();
    let shared = chain.writer().shared.clone();
    let mut rows = Vec::new();
    let tx = shared.database.read().unwrap();
    let mut cursor = tx.cursor(shared.tables.leaves).unwrap();
    let mut row = cursor.first().unwrap();
    while let Some((key, value)) = row {
        rows.push((key.into_owned(), value.into_owned()));
        row = cursor.next().unwrap();
    }
    drop(cursor);
    drop(tx);
    let tx = shared.database.write().unwrap();
    for (key, _) in &rows {
        tx.put(shared.tables.leaves, key, B256::repeat_byte(9).as_slice()).unwrap();
    }
    tx.commit().unwrap();
    drop(shared);
    // Nothing is read of the leaves at the start but what has changed since the folds were written.
    chain.open = None;
    let options = OpenOptions {
        path: chain.directory.path().into(),
        durability: Durability::Process,
        size_max: 1 << 28,
        temporary: false,
        prune: None,
    };
    let opened = Store::open_within(&options, &Genesis::dev(DevOptions::default()), LIMITS);
    let error = match opened {
        Ok((store, writer)) => {
            (chain.open, chain.number) = (Some((store, writer)), chain.number + 1);
            let changes = chain.changes(20);
            chain.open.as_mut().unwrap().1.apply(chain.number, &changes).unwrap_err()
        }
        Err(error) => error,
    };
    let refused = matches!(error, StoreError::Leaves(_) | StoreError::RootMismatch { .. });
    assert!(refused, "{error}");
}
