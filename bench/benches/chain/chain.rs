//! A chain in a store, without a node around it.

use alloy_consensus::{
    Eip658Value, Header, Receipt, Sealable, SignableTransaction, TxLegacy, TxType,
};
use alloy_primitives::{Address, B256, Log, Signature, U256};
use genesis::{DevOptions, Genesis};
use revm::{
    DatabaseRef,
    database::{AccountStatus, BundleAccount, BundleState, states::StorageSlot},
    state::AccountInfo,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use storage::{Commit, Durability, ExecutedBlock, OpenOptions, Store, TxReceipt, Writer};
use tree::{HashFunction, Stem};

/// The contract whose slots and logs there are.
pub(crate) const CONTRACT: Address = Address::repeat_byte(0xcc);
/// Slots of a block that fills the state; a block of a chain has room for no more.
const FILL: u64 = 10_000;
/// Blocks of logs in a commit.
const GROUP: usize = 50;

pub(crate) struct Chain {
    path: PathBuf,
    open: Option<(Store, Writer)>,
    number: u64,
    batch: Vec<Commit>,
}

impl Chain {
    pub(crate) fn new(path: &Path) -> Self {
        Self::open(path)
    }

    pub(crate) fn open(path: &Path) -> Self {
        let open = Some(open(path));
        let mut chain = Self { path: path.into(), open, number: 0, batch: Vec::new() };
        chain.number = chain.store().snapshot().unwrap().head();
        chain
    }

    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn store(&self) -> &Store {
        &self.open.as_ref().unwrap().0
    }

    /// Runs `run` while the store is closed.
    pub(crate) fn closed<T>(&mut self, run: impl FnOnce(&Path) -> T) -> T {
        self.open = None;
        let result = run(&self.path);
        self.open = Some(open(&self.path));
        result
    }

    /// Reads an account and a slot.
    pub(crate) fn read(&self) {
        let view = self.store().snapshot().unwrap();
        assert!(view.basic_ref(CONTRACT).unwrap().is_some());
        assert_ne!(view.storage_ref(CONTRACT, slot(7)).unwrap(), U256::ZERO);
    }

    /// The median of 101 times that an account's reading takes, each of a thousand.
    pub(crate) fn timed_account(&self, index: u64) -> Duration {
        let address = account(index);
        let view = self.store().snapshot().unwrap();
        let times = (0..101).map(|_| {
            let start = Instant::now();
            for _ in 0..1_000 {
                std::hint::black_box(view.basic_ref(address).unwrap());
            }
            start.elapsed() / 1_000
        });
        super::median(times.collect())
    }

    /// Fills the state with slots, in the order of their leaves: blocks that change leaves all over
    /// a state that is not in memory read most of it, each. `each` is told of every block.
    pub(crate) fn fill(&mut self, count: u64, mut each: impl FnMut(u64)) {
        let hash = HashFunction::Blake3;
        let stem = Stem::of(hash, CONTRACT);
        let mut slots: Vec<_> = (0..count).collect();
        slots.sort_by_cached_key(|index| stem.slot(hash, CONTRACT, slot(*index)));
        for slots in slots.chunks(FILL as usize) {
            self.change(slots, 0);
            each(self.number);
        }
    }

    /// Changes slots in a block of their own.
    pub(crate) fn change(&mut self, slots: &[u64], round: u64) {
        let value = |index: u64| U256::from((round << 32) + index + 1);
        let slots = slots
            .iter()
            .map(|index| (slot(*index), StorageSlot::new_changed(U256::ZERO, value(*index))));
        let mut bundle = BundleState::default();
        put(&mut bundle, CONTRACT, (1, 0), slots.collect());
        self.block(&bundle, Vec::new());
        self.commit();
    }

    /// Blocks of one transfer, some in each commit.
    pub(crate) fn transfers(&mut self, count: u64, group: usize) {
        for _ in 0..count {
            let bundle = transfer(self.number);
            self.block(&bundle, Vec::new());
            if self.batch.len() >= group {
                self.commit();
            }
        }
        self.commit();
    }

    /// The median time of blocks of one transfer, each with a commit of its own.
    pub(crate) fn timed_transfers(&mut self, count: u64) -> Duration {
        let times = (0..count).map(|_| {
            let bundle = transfer(self.number);
            let start = Instant::now();
            self.block(&bundle, Vec::new());
            self.commit();
            start.elapsed()
        });
        super::median(times.collect())
    }

    /// A block with one transaction that leaves these logs.
    pub(crate) fn logs(&mut self, logs: Vec<Log>) {
        self.block(&BundleState::default(), logs);
        if self.batch.len() >= GROUP {
            self.commit();
        }
    }

    fn block(&mut self, changes: &BundleState, logs: Vec<Log>) {
        self.number += 1;
        let writer = &mut self.open.as_mut().unwrap().1;
        let delta = writer.apply(self.number, changes).unwrap();
        let block = Arc::new(block(self.number, delta.state_root(), logs));
        self.batch.push(Commit::Block { block, delta });
    }

    pub(crate) fn commit(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        self.store().commit(batch).unwrap();
    }
}

fn open(path: &Path) -> (Store, Writer) {
    let options = OpenOptions {
        path: path.into(),
        durability: Durability::Process,
        size_max: 1 << 38,
        temporary: false,
        prune: None,
    };
    Store::open(&options, &genesis()).unwrap()
}

pub(crate) fn genesis() -> Genesis {
    Genesis::dev(DevOptions::default())
}

fn account(index: u64) -> Address {
    Address::from_word(B256::from(slot(index)))
}

/// Far apart, as a mapping's slots are.
fn slot(index: u64) -> U256 {
    U256::from_be_bytes(*blake3::hash(&index.to_be_bytes()).as_bytes())
}

fn put(
    bundle: &mut BundleState,
    address: Address,
    (nonce, balance): (u64, u64),
    slots: revm::database::StorageWithOriginalValues,
) {
    let info = AccountInfo { nonce, balance: U256::from(balance), ..Default::default() };
    let account = BundleAccount::new(None, Some(info), slots, AccountStatus::Changed);
    bundle.state.insert(address, account);
}

/// Sender, one of a thousand receivers, the receiver of the fees.
fn transfer(number: u64) -> BundleState {
    let mut bundle = BundleState::default();
    let receiver = if number == 2 { 2_000 } else { number % 1_000 + 10 };
    for (index, nonce) in [(1, number + 1), (receiver, 0), (2, 0)] {
        put(&mut bundle, account(index), (nonce, number + index), Default::default());
    }
    bundle
}

fn block(number: u64, state_root: B256, logs: Vec<Log>) -> ExecutedBlock {
    let header = Header { number, state_root, gas_limit: 30_000_000, ..Default::default() };
    let transaction = TxLegacy { nonce: number, gas_limit: 21_000, ..Default::default() };
    let signature = Signature::new(U256::from(number), U256::from(1), false);
    let status = Eip658Value::Eip658(true);
    let receipt = Receipt { status, cumulative_gas_used: 21_000, logs };
    ExecutedBlock {
        header: header.seal_slow(),
        transactions: vec![transaction.into_signed(signature).into()],
        senders: vec![CONTRACT],
        receipts: vec![TxReceipt { tx_type: TxType::Legacy, receipt }],
        ommers: Vec::new(),
        withdrawals: None,
        requests: Vec::new(),
    }
}
