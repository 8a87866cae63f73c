//! Going back: savepoints of dev users, and rollback by a number of blocks.

use std::sync::Arc;

use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::Address;
use alloy_rlp::{Decodable, Encodable};
use storage::{Commit, ExecutedBlock, Mark, Savepoint, StoreError, Writer};

use super::{Sequencer, wall_clock};
use crate::chain::insert_again;
use crate::clock::Clock;
use crate::error::{DevError, Failure};
use crate::event::Event;
use crate::pool::PoolTransaction;

impl Sequencer {
    /// Marks the chain as it is, and says under which id.
    pub(crate) fn savepoint(&mut self) -> u64 {
        let id = self.next_savepoint;
        self.next_savepoint += 1;
        let settings = self.shared.settings();
        let mut kept = settings.clock.encode(wall_clock());
        settings.withdrawals.iter().copied().collect::<Vec<_>>().encode(&mut kept);
        settings.gas_limit.encode(&mut kept);
        drop(settings);
        self.job.changes.push(Commit::Savepoint { id, settings: kept });
        id
    }

    /// Makes the chain what it was at a savepoint; `false` if there is none of this id.
    ///
    /// The savepoint and all later ones are used up.
    pub(crate) fn revert(&mut self, id: u64) -> Result<bool, Failure> {
        self.settle()?;
        let savepoint = self.shared.store().snapshot()?.savepoint(id)?;
        let Some(Savepoint { mark, settings: kept }) = savepoint else { return Ok(false) };
        let reverted = self.go_back(mark, |writer| writer.revert(id))?.unwrap_or_default();
        let mut rest = kept.as_slice();
        let decoded = Clock::decode(&mut rest).zip(Vec::<Withdrawal>::decode(&mut rest).ok());
        let bad_row = || StoreError::BadRow { table: "savepoints", key: id.to_be_bytes().to_vec() };
        let ((clock, kept_at), withdrawals) = decoded.ok_or_else(bad_row)?;
        // Savepoints of older nodes do not tell the gas limit.
        let gas_limit = u64::decode(&mut rest).ok();
        let now_waiting = self.shared.change_settings(|settings| {
            settings.clock = clock;
            // The time that has passed since then is undone, too.
            let passed = i64::try_from(wall_clock().saturating_sub(kept_at)).unwrap_or_default();
            settings.clock.shift(-passed);
            settings.gas_limit = gas_limit.unwrap_or(settings.gas_limit);
            settings.next_base_fee = None;
            settings.next_prev_randao = None;
            std::mem::replace(&mut settings.withdrawals, withdrawals.into())
        });
        if now_waiting != self.shared.settings().withdrawals {
            self.note_withdrawals();
        }
        let mut pool = self.shared.pool_mut();
        // What is back may wait already, dropped and sent anew since then.
        for hash in reverted.gone.iter().chain(reverted.back.iter().map(|waits| &waits.hash)) {
            pool.remove(hash);
        }
        for waits in &reverted.back {
            insert_again(&mut pool, waits, &self.writer)?;
        }
        drop(pool);
        self.renew_senders(&reverted.accounts)?;
        Ok(true)
    }

    /// The block `depth` below the head; `what` goes back there.
    pub(crate) fn below(&self, what: &'static str, depth: u64) -> Result<u64, DevError> {
        let (head, first) = (self.head.header.number, self.shared.genesis_number());
        let to = head.checked_sub(depth).filter(|to| *to >= first);
        to.ok_or(DevError::Depth { what, depth, head, first })
    }

    /// Takes all blocks after `number` off the chain.
    pub(crate) fn set_head(&mut self, number: u64) -> Result<(), DevError> {
        let head = self.head.header.number;
        let depth = head.checked_sub(number).ok_or(DevError::Future { number, head })?;
        self.rollback(self.below("Rollback", depth)?)
    }

    /// Puts as many new blocks in the place of the newest `depth` ones, each with the transactions
    /// that are meant for it; one that cannot run is left out.
    pub(crate) fn reorg(
        &mut self,
        depth: u64,
        mut transactions: Vec<(Arc<PoolTransaction>, u64)>,
    ) -> Result<(), DevError> {
        let max = self.shared.config().seal_blocks_max;
        if depth > max {
            return Err(DevError::TooManyBlocks { blocks: depth, max });
        }
        self.rollback(self.below("Reorg", depth)?)?;
        for block in 0..depth {
            let own = transactions.extract_if(.., |(_, place)| *place == block);
            let own: Vec<_> = own.map(|(transaction, _)| transaction).collect();
            self.seal_exactly(own)?;
        }
        Ok(())
    }

    /// Takes all blocks after `to` off the chain; what dev methods set between `to` and the next
    /// block stays, as in anvil.
    pub(crate) fn rollback(&mut self, to: u64) -> Result<(), DevError> {
        self.settle()?;
        let mark = self.shared.store().snapshot()?.mark_with_edits(to)?;
        self.unwind(mark)
    }

    /// Makes the chain what it was at `mark`; the pool stays, but for nonces that are used then.
    fn unwind(&mut self, mark: Mark) -> Result<(), DevError> {
        self.settle()?;
        let accounts = self.go_back(mark, |writer| writer.unwind(mark))?;
        Ok(self.renew_senders(&accounts)?)
    }

    /// Goes back to the genesis block, with an empty pool and the time as it was at the start; what
    /// came out of a dump is gone then.
    pub(crate) fn reset(&mut self) -> Result<(), DevError> {
        self.drop_withdrawals();
        self.drop_all();
        let number = self.shared.genesis_number();
        let now = self.shared.store().snapshot()?;
        let is_lost = now.is_loaded(number)? || now.oldest_state()? > number;
        drop(now);
        if is_lost {
            // The way back was pruned, or leads to a dump; the beginning can be made anew.
            let (genesis, fork) = (self.shared.genesis().clone(), self.shared.fork().cloned());
            let settings = self.shared.settings().clone();
            self.restart(genesis, fork)?;
            self.shared.change_settings(|now| *now = settings);
        } else {
            self.unwind(Mark { number, edits: 0 })?;
            self.job.changes.push(Commit::ForgetSavepoints);
        }
        let own_time = self.shared.config().timestamp.is_some() || self.shared.fork().is_some();
        let clock = Clock::of_chain(own_time, self.head.header.timestamp, wall_clock());
        self.shared.change_settings(|settings| settings.clock = clock);
        Ok(())
    }

    /// Goes back to `mark`, as `rewind` does it.
    fn go_back<T>(
        &mut self,
        mark: Mark,
        rewind: impl FnOnce(&mut Writer) -> Result<T, StoreError>,
    ) -> Result<T, Failure> {
        let removed = self.blocks_down_to(mark.number)?;
        let number = mark.number;
        let head = self.shared.store().snapshot()?.block(number)?;
        let head = Arc::new(head.ok_or(Failure::Missing { number })?);
        let rewound = rewind(&mut self.writer).map_err(|error| {
            let refused =
                matches!(error, StoreError::HistoryPruned { .. } | StoreError::BadMark { .. });
            let failure = Failure::from(error);
            if !refused {
                // The writer may be neither where it was nor where it should be.
                self.shared.fail(&failure);
            }
            failure
        })?;
        self.head = Arc::clone(&head);
        self.job.head = Some(head);
        self.forget_imported(mark.number);
        self.job.events.extend(removed.into_iter().map(Event::Removed));
        self.job.is_paced = true;
        Ok(rewound)
    }

    /// Tells the pool the nonces that accounts have after going back.
    pub(super) fn renew_senders(&mut self, accounts: &[Address]) -> Result<(), Failure> {
        let nonces = accounts.iter().map(|account| Ok((*account, self.account(*account)?.nonce)));
        let nonces = nonces.collect::<Result<Vec<_>, Failure>>()?;
        self.renew_nonces(nonces);
        Ok(())
    }

    /// The blocks after `number`, newest first; all of them must be in the store.
    pub(super) fn blocks_down_to(&self, number: u64) -> Result<Vec<Arc<ExecutedBlock>>, Failure> {
        let snapshot = self.shared.store().snapshot()?;
        let numbers = (number + 1..=self.head.header.number).rev();
        let load = |number| match snapshot.block(number)? {
            Some(block) => Ok(Arc::new(block)),
            None => Err(Failure::Missing { number }),
        };
        numbers.map(load).collect()
    }
}
