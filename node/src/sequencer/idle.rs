//! Blocks without transactions, which dev users ask for by the thousand: made without the engine.
//!
//! From Prague on such a block makes four system calls. What they do is known where the usual
//! contracts are and nothing waits in the queues of EIP-7002 and EIP-7251: three slots are written.
//! Whether a state is like that is looked up once, and holds as long as only such blocks follow,
//! which the state's root tells.

use std::sync::LazyLock;

use alloy_consensus::{EMPTY_ROOT_HASH, Header};
use alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS;
use alloy_eips::eip4788::BEACON_ROOTS_ADDRESS;
use alloy_eips::eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS;
use alloy_eips::eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS;
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{Address, B256, U256, keccak256};
use genesis::{DevOptions, Genesis, SpecId};
use revm::DatabaseRef;
use storage::{StateDelta, StoreError, Writer};

use super::Sequencer;
use crate::chain::Shared;
use crate::fork::ring_slots;

/// The usual contracts that system calls go to, with the hashes of their code: as a dev chain has
/// them, for alloy's constant of the last one ends with two bytes that are none of its code.
static USUAL: LazyLock<Vec<(Address, B256)>> = LazyLock::new(|| {
    let genesis = Genesis::dev(DevOptions { fork: SpecId::PRAGUE, ..DevOptions::default() });
    let contracts = [BEACON_ROOTS_ADDRESS, HISTORY_STORAGE_ADDRESS].into_iter().chain(QUEUES);
    contracts.map(|address| (address, keccak256(&genesis.alloc[&address].code))).collect()
});
/// Those of them that keep requests.
const QUEUES: [Address; 2] =
    [WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS];
/// Their slots for the excess, the count, the head and the tail.
const QUEUE_SLOTS: u8 = 4;

impl Sequencer {
    /// Applies the block `header` and completes it but for the state root, if there is nothing to
    /// put into it and what its system calls do is known.
    pub(super) fn apply_idle(
        &mut self,
        header: &mut Header,
    ) -> Result<Option<Box<StateDelta>>, StoreError> {
        let fork = self.shared.engine().spec().fork(header.number, header.timestamp);
        // From Amsterdam on a block lists what was accessed (EIP-7928).
        let is_usual = fork.is_enabled_in(SpecId::PRAGUE)
            && !fork.is_enabled_in(SpecId::AMSTERDAM)
            && self.shared.fork().is_none()
            && self.writer.merkle().is_none();
        if !is_usual || !nothing_waits(&self.shared) {
            return Ok(None);
        }
        if self.idle_root != Some(self.writer.root()) && !is_idle(&self.writer)? {
            return Ok(None);
        }
        let values = [
            U256::from(header.timestamp),
            header.parent_beacon_block_root.unwrap_or_default().into(),
            header.parent_hash.into(),
        ];
        let delta =
            self.writer.apply_slots(header.number, ring_slots(header).into_iter().zip(values))?;
        self.idle_root = Some(delta.root());
        header.withdrawals_root = Some(EMPTY_ROOT_HASH);
        header.requests_hash = Some(EMPTY_REQUESTS_HASH);
        Ok(Some(delta))
    }
}

/// Whether there is nothing to put into the next block.
pub(crate) fn nothing_waits(shared: &Shared) -> bool {
    shared.pool().is_empty() && shared.settings().withdrawals.is_empty()
}

/// Whether the usual contracts are there, and nothing waits in the queues.
fn is_idle(state: &Writer) -> Result<bool, StoreError> {
    for (address, code_hash) in USUAL.iter() {
        let account = state.basic_ref(*address)?;
        if account.is_none_or(|account| account.code_hash != *code_hash) {
            return Ok(false);
        }
    }
    for (address, slot) in QUEUES.into_iter().flat_map(|at| (0..QUEUE_SLOTS).map(move |n| (at, n)))
    {
        if !state.storage_ref(address, U256::from(slot))?.is_zero() {
            return Ok(false);
        }
    }
    Ok(true)
}
