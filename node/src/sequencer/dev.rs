//! What dev users may do to the chain besides sending transactions.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, U256};
use genesis::Container;
use storage::{Commit, ExecutedBlock};
use vm::AccountEdit;

use super::{Sequencer, edit, wall_clock};
use crate::config::Sealing;
use crate::error::DevError;
use crate::pool::PoolTransaction;
use crate::settings::Settings;
use executor::BALANCE_MAX;

/// Blocks after which a long run of sealing hands over what it has.
const HAND_OVER_BLOCKS: u64 = 256;
/// How an ELF file starts.
const ELF_MAGIC: [u8; 4] = [0x7f, b'E', b'L', b'F'];

/// Blocks sealed on request.
#[derive(Clone, Debug)]
pub struct SealedBlocks {
    /// Number of the first.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// The newest.
    pub head: Arc<ExecutedBlock>,
}

impl Sequencer {
    /// Seals `blocks` blocks, each `interval` seconds after the one before if that is given.
    pub(crate) fn seal_blocks(
        &mut self,
        blocks: u64,
        interval: Option<u64>,
    ) -> Result<SealedBlocks, DevError> {
        let max = self.shared.config().seal_blocks_max;
        if blocks > max {
            return Err(DevError::TooManyBlocks { blocks, max });
        }
        let first = self.head.header.number + 1;
        for index in 0..blocks {
            if let Some(seconds) = interval.filter(|seconds| *seconds > 0) {
                let parent = self.head.header.timestamp;
                let now = (index == 0).then(wall_clock);
                self.shared
                    .change_settings(|settings| settings.clock.space(seconds, parent, now))?;
            }
            self.seal_best()?;
            if index % HAND_OVER_BLOCKS == HAND_OVER_BLOCKS - 1 {
                self.job.is_paced = true;
                self.hand_over(None);
            }
        }
        Ok(SealedBlocks { first, count: blocks, head: Arc::clone(&self.head) })
    }

    /// Seals one block, at `timestamp` if that is given.
    pub(crate) fn seal_at(&mut self, timestamp: Option<u64>) -> Result<SealedBlocks, DevError> {
        if let Some(timestamp) = timestamp {
            self.set_next_timestamp(timestamp)?;
        }
        self.seal_blocks(1, None)
    }

    /// Changes an account between two blocks.
    pub(crate) fn edit(&mut self, edit: &AccountEdit) -> Result<(), DevError> {
        self.check_alive()?;
        if let Some(balance) = edit.balance.filter(|balance| *balance > BALANCE_MAX) {
            return Err(DevError::Balance { address: edit.address, balance });
        }
        let changes = edit::changes(edit, &self.writer)?;
        let delta = self.writer.edit(&changes)?;
        self.job.changes.push(Commit::Edit { delta });
        if let Some(nonce) = edit.nonce {
            self.renew_nonces([(edit.address, nonce)]);
        }
        Ok(())
    }

    /// Gives an account code: EVM code, a RISC-V container, or a RISC-V image to be wrapped.
    pub(crate) fn set_code(
        &mut self,
        address: Address,
        (code, riscv): (Bytes, bool),
    ) -> Result<(), DevError> {
        let code = if riscv { riscv_code(address, code)? } else { code };
        if code.starts_with(&genesis::container::MAGIC) {
            Container::parse(&code).map_err(|source| DevError::Code { address, source })?;
        }
        self.edit(&AccountEdit { address, code: Some(code), ..AccountEdit::default() })
    }

    /// Moves the clock by `seconds`, and says how far it is from the wall clock.
    pub(crate) fn increase_time(&mut self, seconds: i64) -> i64 {
        let (head, now) = (self.head.header.timestamp, wall_clock());
        self.shared.change_settings(|settings| settings.clock.increase(seconds, head, now))
    }

    /// Sets the clock, and says by how many seconds that moved it.
    pub(crate) fn set_time(&mut self, timestamp: u64) -> i64 {
        self.shared.change_settings(|settings| settings.clock.set(timestamp, wall_clock()))
    }

    /// Gives the next block this timestamp.
    pub(crate) fn set_next_timestamp(&mut self, timestamp: u64) -> Result<(), DevError> {
        let head = self.head.header.timestamp;
        Ok(self.shared.change_settings(|settings| settings.clock.set_next(timestamp, head))?)
    }

    /// Seals a block per transaction, or no more. What waits until then goes into as few blocks as
    /// hold it, as it would have been sealed.
    pub(crate) fn set_automine(&mut self, automine: bool) -> Result<(), DevError> {
        self.shared.change_settings(|settings| {
            settings.sealing = match (settings.sealing, automine) {
                (Sealing::Interval(interval) | Sealing::Mixed(interval), true) => {
                    Sealing::Mixed(interval)
                }
                (Sealing::Interval(interval) | Sealing::Mixed(interval), false) => {
                    Sealing::Interval(interval)
                }
                (Sealing::Auto | Sealing::Manual, true) => Sealing::Auto,
                (Sealing::Auto | Sealing::Manual, false) => Sealing::Manual,
            };
        });
        self.schedule();
        while automine && self.first_waiting().is_some() {
            // What could not be taken, as without a fork's other chain, goes on waiting.
            if self.seal_best()?.transactions.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Seals a block every so often and at no other time, or on no interval any more.
    pub(crate) fn set_interval(&mut self, interval: Option<Duration>) {
        self.shared.change_settings(|settings| {
            settings.sealing = interval.map_or(Sealing::Manual, Sealing::Interval);
        });
        self.schedule();
    }

    /// Takes a transaction out of the pool.
    pub(crate) fn drop_by_hash(&mut self, hash: B256) -> Option<Arc<PoolTransaction>> {
        let removed = self.shared.pool_mut().remove(&hash)?;
        self.forget(hash);
        Some(removed)
    }

    /// Takes all transactions of `sender` out of the pool.
    pub(crate) fn drop_of(&mut self, sender: Address) -> usize {
        let all = self.shared.pool().all();
        let own = all.iter().filter(|(transaction, _)| transaction.sender == sender);
        own.filter_map(|(transaction, _)| self.drop_by_hash(transaction.hash)).count()
    }

    /// Empties the pool.
    pub(crate) fn drop_all(&mut self) -> usize {
        let all = self.shared.pool_mut().take_all();
        all.iter().for_each(|transaction| self.forget(transaction.hash));
        all.len()
    }

    /// Adds to an account's balance.
    pub(crate) fn add_balance(&mut self, address: Address, amount: U256) -> Result<(), DevError> {
        let balance = self.account(address)?.balance.saturating_add(amount);
        self.edit(&AccountEdit { address, balance: Some(balance), ..AccountEdit::default() })
    }

    /// Gives the chain another id.
    pub(crate) fn set_chain_id(&mut self, chain_id: u64) {
        self.shared.engine().set_chain_id(chain_id);
    }

    /// Changes settings in the order in which tasks arrive.
    pub(crate) fn change_settings<T>(&mut self, change: impl FnOnce(&mut Settings) -> T) -> T {
        self.shared.change_settings(change)
    }
}

/// Code given as RISC-V: a container as it is, a bare ELF file in a container without a tail.
fn riscv_code(address: Address, code: Bytes) -> Result<Bytes, DevError> {
    if !code.starts_with(&ELF_MAGIC) {
        return Ok(code);
    }
    let container = Container { image: &code, tail: &[] };
    let encoded = container.encode().map_err(|source| DevError::Code { address, source })?;
    Ok(encoded.into())
}
