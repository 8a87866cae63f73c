//! Prints what opening, applying and committing cost: `cargo run --release --example measure`.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use alloy_consensus::{Eip658Value, Header, Receipt, Sealable, SignableTransaction, TxLegacy};
use alloy_primitives::{Address, B256, Signature, U256, keccak256};
use revm::{
    DatabaseRef,
    database::{AccountStatus, BundleAccount, BundleState},
    state::AccountInfo,
};
use std::{
    error::Error,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tandem_storage::{Commit, Durability, ExecutedBlock, OpenOptions, Store, TxReceipt, Writer};
use tree::{Blake3, Stem, Tree, Update};

type Outcome<T> = Result<T, Box<dyn Error>>;

const BLOCKS: u64 = 2_000;
const ACCOUNTS: u64 = 200_000;
const LEAVES: u64 = 1_000_000;

fn main() -> Outcome<()> {
    measure_tree()?;
    for durability in [Durability::Process, Durability::Disk] {
        let parent = tempfile::tempdir_in(".")?;
        println!("{durability:?}");
        measure(parent.path(), durability)?;
    }
    Ok(())
}

fn measure(path: &Path, durability: Durability) -> Outcome<()> {
    let genesis = genesis::Genesis::dev(genesis::DevOptions::default());
    let temporary = OpenOptions {
        path: path.into(),
        durability,
        size_max: 1 << 36,
        prune: None,
        temporary: true,
    };
    let opened = timed("open, temporary", || Store::open(&temporary, &genesis))??;
    drop(opened);
    let options = OpenOptions { temporary: false, ..temporary };
    let (store, mut writer) = timed("open, new", || Store::open(&options, &genesis))??;
    let mut number = 0;
    let (apply, commit) = transfer_blocks(&store, &mut writer, &mut number, 1)?;
    println!("  transfer block, alone: apply {apply:?}, commit {commit:?}");
    let (apply, commit) = transfer_blocks(&store, &mut writer, &mut number, 50)?;
    println!("  transfer block, 50 a commit: apply {apply:?}, commit {commit:?} each");
    let accounts = many_accounts();
    number += 1;
    let delta = timed("apply 200,000 new accounts", || writer.apply(number, &accounts))??;
    let block = Arc::new(block(number, delta.root()));
    let batch = vec![Commit::Block { block, delta }];
    timed("commit 200,000 new accounts", || store.commit(batch))??;
    let (apply, commit) = transfer_blocks(&store, &mut writer, &mut number, 50)?;
    println!("  transfer block, 50 a commit: apply {apply:?}, commit {commit:?} each");
    reads(&store)?;
    timed("close", || drop((store, writer)))?;
    let opened = timed("open, 400,000 leaves", || Store::open(&options, &genesis))??;
    drop(opened);
    Ok(())
}

/// The middle of many times: on a busy machine the mean says more about the others.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Updates of a tree of a million leaves, one and a thousand at a time.
fn measure_tree() -> Outcome<()> {
    println!("tree");
    let leaf = |index: u64, value: u64| Update {
        key: Stem::of(Blake3, account(index)).header(0),
        value: Some(U256::from(value + 1).into()),
    };
    let mut leaves: Vec<_> = (0..LEAVES).map(|index| leaf(index, 0)).collect();
    leaves.sort_by_key(|leaf| leaf.key);
    let mut tree = Tree::new(Blake3);
    timed("1,000,000 leaves from scratch", || tree.apply(&leaves))?;
    for count in [1, 10, 1000] {
        let rounds = 2_000 / count + 10;
        let mut spent = Vec::new();
        for round in 0..rounds {
            let changed = (0..count).map(|index| (round * count + index) * 7919 % LEAVES);
            let mut updates: Vec<_> = changed.map(|index| leaf(index, round + 1)).collect();
            updates.sort_by_key(|update| update.key);
            let start = Instant::now();
            tree.apply(&updates);
            spent.push(start.elapsed());
        }
        println!("  update of {count}: {:?}", median(spent));
    }
    Ok(())
}

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> Outcome<T> {
    let start = Instant::now();
    let result = run();
    println!("  {what}: {:?}", start.elapsed());
    Ok(result)
}

fn account(index: u64) -> Address {
    Address::from_word(keccak256(index.to_be_bytes()))
}

fn set(bundle: &mut BundleState, address: Address, nonce: u64, balance: u64) {
    let info = AccountInfo {
        nonce,
        balance: U256::from(balance),
        code_hash: revm::primitives::KECCAK_EMPTY,
        ..Default::default()
    };
    let account = BundleAccount::new(None, Some(info), Default::default(), AccountStatus::Changed);
    bundle.state.insert(address, account);
}

/// What a transfer changes: sender, receiver, the fees' receiver.
fn transfer(number: u64) -> BundleState {
    let mut bundle = BundleState::default();
    for (index, nonce) in [(1, number), (number % 1000 + 10, 0), (2, 0)] {
        set(&mut bundle, account(index), nonce, number + index);
    }
    bundle
}

fn many_accounts() -> BundleState {
    let mut bundle = BundleState::default();
    for index in 0..ACCOUNTS {
        set(&mut bundle, account(index), 1, index + 1);
    }
    bundle
}

fn block(number: u64, state_root: B256) -> ExecutedBlock {
    let header = Header { number, state_root, gas_limit: 30_000_000, ..Default::default() };
    let transaction = TxLegacy { nonce: number, gas_limit: 21_000, ..Default::default() };
    let signature = Signature::new(U256::from(number), U256::from(1), false);
    let receipt = Receipt {
        status: Eip658Value::Eip658(true),
        cumulative_gas_used: 21_000,
        logs: Vec::new(),
    };
    ExecutedBlock {
        header: header.seal_slow(),
        transactions: vec![transaction.into_signed(signature).into()],
        senders: vec![account(1)],
        receipts: vec![TxReceipt { tx_type: alloy_consensus::TxType::Legacy, receipt }],
        ommers: Vec::new(),
        withdrawals: None,
        requests: Vec::new(),
    }
}

/// Runs blocks of one transfer, `group` in each commit; returns what one block costs.
fn transfer_blocks(
    store: &Store,
    writer: &mut Writer,
    number: &mut u64,
    group: u64,
) -> Outcome<(Duration, Duration)> {
    let (mut apply, mut commit) = (Vec::new(), Vec::new());
    let mut batch = Vec::new();
    let blocks = if group == 1 { BLOCKS / 10 } else { BLOCKS };
    for _ in 0..blocks {
        *number += 1;
        let changes = transfer(*number);
        let start = Instant::now();
        let delta = writer.apply(*number, &changes)?;
        apply.push(start.elapsed());
        batch.push(Commit::Block { block: Arc::new(block(*number, delta.root())), delta });
        if batch.len() as u64 == group {
            let start = Instant::now();
            store.commit(std::mem::take(&mut batch))?;
            commit.push(start.elapsed());
        }
    }
    store.commit(batch)?;
    Ok((median(apply), median(commit) / group as u32))
}

fn reads(store: &Store) -> Outcome<()> {
    const READS: u32 = 20_000;
    let mut times = Vec::new();
    for _ in 0..READS {
        let start = Instant::now();
        store.snapshot()?;
        times.push(start.elapsed());
    }
    println!("  snapshot: {:?}", median(times));
    let (head, old) = (store.snapshot()?, store.snapshot_at(10)?);
    for (name, view) in [("head", &head), ("block 10", &old)] {
        let mut times = Vec::new();
        for index in 0..READS {
            let start = Instant::now();
            view.basic_ref(account(u64::from(index) * 7))?;
            times.push(start.elapsed());
        }
        println!("  account at {name}: {:?}", median(times));
    }
    Ok(())
}
