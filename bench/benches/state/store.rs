//! The store under the same load: one contract with a slot for each leaf, a block for each round.

use alloy_consensus::{Header, Sealable};
use alloy_primitives::{Address, U256};
use revm::{
    database::{AccountStatus, BundleAccount, BundleState, states::StorageSlot},
    state::AccountInfo,
};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use storage::{Commit, Durability, ExecutedBlock, OpenOptions, Store, Writer};

const CONTRACT: Address = Address::repeat_byte(0xcc);
/// Slots of a block that fills the state.
const FILL: u64 = 50_000;

/// A chain whose every commit is on the disk.
pub(crate) struct Chain {
    store: Store,
    writer: Writer,
    number: u64,
}

impl Chain {
    /// Makes the chain with its leaves.
    pub(crate) fn new(path: &Path, leaves: u64) -> Self {
        let options = OpenOptions {
            path: path.into(),
            durability: Durability::Disk,
            size_max: 1 << 36,
            temporary: false,
            prune: None,
        };
        let genesis = genesis::Genesis::dev(genesis::DevOptions::default());
        let (store, writer) = Store::open(&options, &genesis).unwrap();
        let mut chain = Self { store, writer, number: 0 };
        let slots: Vec<_> = (0..leaves).collect();
        for slots in slots.chunks(FILL as usize) {
            chain.change(slots, 0);
        }
        chain
    }

    /// Changes slots in a block of their own; returns the time to the root and the durable commit.
    pub(crate) fn change(&mut self, slots: &[u64], round: u64) -> Duration {
        self.number += 1;
        let changes = bundle(slots, round);
        let start = Instant::now();
        let delta = self.writer.apply(self.number, &changes).unwrap();
        let block = Arc::new(block(self.number, delta.root()));
        self.store.commit(vec![Commit::Block { block, delta }]).unwrap();
        start.elapsed()
    }
}

fn bundle(slots: &[u64], round: u64) -> BundleState {
    let info = AccountInfo { nonce: 1, ..Default::default() };
    let storage = slots.iter().map(|index| {
        // Far apart, as a mapping's slots are.
        let slot = U256::from_be_bytes(*blake3::hash(&index.to_be_bytes()).as_bytes());
        (slot, StorageSlot::new_changed(U256::ZERO, U256::from((round << 32) + index + 1)))
    });
    let account = BundleAccount::new(None, Some(info), storage.collect(), AccountStatus::Changed);
    let mut bundle = BundleState::default();
    bundle.state.insert(CONTRACT, account);
    bundle
}

fn block(number: u64, state_root: alloy_primitives::B256) -> ExecutedBlock {
    let header = Header { number, state_root, ..Default::default() };
    ExecutedBlock::bare(header.seal_slow())
}
