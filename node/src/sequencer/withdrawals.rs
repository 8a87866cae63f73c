//! Withdrawals that a dev user wants paid. They wait in the database, as transactions do.

use alloy_eips::eip4895::Withdrawal;
use alloy_rlp::Decodable;
use genesis::SpecId;
use storage::{Commit, Store};

use super::{Sequencer, wall_clock};
use crate::error::{DevError, StartError};

/// Where they wait.
const NOTE: &str = "withdrawals";
/// Withdrawals that may wait.
const WAITING_MAX: usize = 10_000;

/// The withdrawals that waited when the node stopped.
pub(crate) fn restore(store: &Store) -> Result<Vec<Withdrawal>, StartError> {
    let Some(bytes) = store.snapshot()?.meta(NOTE)? else { return Ok(Vec::new()) };
    Vec::decode(&mut bytes.as_slice()).map_err(|source| StartError::Withdrawals { source })
}

impl Sequencer {
    /// Has the next block pay a withdrawal; with automatic sealing that block comes at once.
    pub(crate) fn add_withdrawal(&mut self, withdrawal: Withdrawal) -> Result<(), DevError> {
        self.check_alive()?;
        let (number, timestamp) = {
            let settings = self.shared.settings();
            let parent = &self.head.header;
            (parent.number + 1, settings.clock.peek(parent.timestamp, wall_clock()))
        };
        if !self.shared.engine().spec().fork(number, timestamp).is_enabled_in(SpecId::SHANGHAI) {
            return Err(DevError::NoWithdrawals { number });
        }
        let waiting = self.shared.settings().withdrawals.len();
        if waiting >= WAITING_MAX {
            return Err(DevError::TooManyWithdrawals { waiting });
        }
        self.shared.change_settings(|settings| settings.withdrawals.push_back(withdrawal));
        self.note_withdrawals();
        if self.seals_at_once() {
            self.seal_best()?;
        }
        Ok(())
    }

    /// Forgets the first `count`: a block has paid them.
    pub(super) fn pay_withdrawals(&mut self, count: usize) {
        if count > 0 {
            self.shared.change_settings(|settings| drop(settings.withdrawals.drain(..count)));
            self.note_withdrawals();
        }
    }

    /// Forgets all of them.
    pub(super) fn drop_withdrawals(&mut self) {
        let waiting = self.shared.settings().withdrawals.len();
        self.pay_withdrawals(waiting);
    }

    pub(super) fn note_withdrawals(&mut self) {
        let waiting: Vec<_> = self.shared.settings().withdrawals.iter().copied().collect();
        let value = alloy_rlp::encode(&waiting);
        self.job.changes.push(Commit::Meta { key: NOTE, value });
    }
}
