//! Going back: savepoints of dev users, and rollback by a number of blocks.

use std::sync::Arc;

use storage::{ExecutedBlock, Mark};

use super::{Sequencer, wall_clock};
use crate::clock::Clock;
use crate::error::{DevError, Failure};
use crate::event::Event;
use crate::pool::PoolTransaction;

/// An undo mark of a dev user (`evm_snapshot`).
#[derive(Clone, Debug)]
pub(crate) struct Savepoint {
    id: u64,
    /// Where in the chain.
    mark: Mark,
    /// The clock, and the time at which it was kept.
    clock: (Clock, u64),
    waiting: Vec<Arc<PoolTransaction>>,
}

impl Sequencer {
    /// Marks the chain as it is, and says under which id.
    pub(crate) fn savepoint(&mut self) -> u64 {
        let id = self.savepoints_made;
        self.savepoints_made += 1;
        let waiting = self.shared.pool().all();
        self.savepoints.push(Savepoint {
            id,
            mark: self.writer.mark(),
            clock: (self.shared.settings().clock.clone(), wall_clock()),
            waiting: waiting.into_iter().map(|(transaction, _)| transaction).collect(),
        });
        id
    }

    /// Makes the chain what it was at a savepoint; `false` if there is none of this id.
    ///
    /// The savepoint and all later ones are used up.
    pub(crate) fn revert(&mut self, id: u64) -> Result<bool, Failure> {
        let Some(index) = self.savepoints.iter().position(|savepoint| savepoint.id == id) else {
            return Ok(false);
        };
        let savepoint = self.savepoints[index].clone();
        self.unwind(savepoint.mark)?;
        self.savepoints.truncate(index);
        let (clock, kept_at) = savepoint.clock;
        self.shared.change_settings(|settings| {
            settings.clock = clock;
            // The time that has passed since then is undone, too.
            let passed = i64::try_from(wall_clock().saturating_sub(kept_at)).unwrap_or_default();
            settings.clock.increase(-passed);
            settings.next_base_fee = None;
            settings.next_prev_randao = None;
        });
        self.restore_pool(savepoint.waiting)?;
        Ok(true)
    }

    /// The block `depth` below the head; `what` goes back there.
    pub(crate) fn below(&self, what: &'static str, depth: u64) -> Result<u64, DevError> {
        let height = self.head.header.number - self.shared.genesis_number();
        if depth > height {
            return Err(DevError::Depth { what, depth, height });
        }
        Ok(self.head.header.number - depth)
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

    /// Takes all blocks after `to` off the chain.
    pub(crate) fn rollback(&mut self, to: u64) -> Result<(), DevError> {
        self.unwind(Mark { number: to, edits: 0 })?;
        self.savepoints.retain(|savepoint| {
            let mark = savepoint.mark;
            mark.number < to || (mark.number == to && mark.edits == 0)
        });
        Ok(())
    }

    /// Goes back to the genesis block, with an empty pool.
    pub(crate) fn reset(&mut self) -> Result<(), DevError> {
        self.unwind(Mark { number: self.shared.genesis_number(), edits: 0 })?;
        self.savepoints.clear();
        self.drop_withdrawals();
        self.drop_all();
        Ok(())
    }

    fn unwind(&mut self, mark: Mark) -> Result<(), Failure> {
        self.check_alive()?;
        // What is undone is read back from the database: all of it must have arrived there.
        self.hand_over(None);
        self.committer.wait()?;
        let removed = self.blocks_down_to(mark.number)?;
        let number = mark.number;
        let head = self.shared.store().snapshot()?.block(number)?;
        let head = Arc::new(head.ok_or(Failure::Missing { number })?);
        self.writer.unwind(mark)?;
        self.head = Arc::clone(&head);
        self.job.head = Some(head);
        self.forget_imported(mark.number);
        self.job.events.extend(removed.into_iter().map(Event::Removed));
        let senders = self.shared.pool().senders();
        let nonces = senders
            .into_iter()
            .map(|sender| Ok((sender, self.account(sender)?.nonce)))
            .collect::<Result<Vec<_>, Failure>>()?;
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

    /// Makes the pool hold exactly `waiting`.
    fn restore_pool(&mut self, waiting: Vec<Arc<PoolTransaction>>) -> Result<(), Failure> {
        let kept: std::collections::HashSet<_> = waiting.iter().map(|tx| tx.hash).collect();
        let removed = self.shared.pool_mut().take_all();
        let known: std::collections::HashSet<_> = removed.iter().map(|tx| tx.hash).collect();
        for transaction in removed.iter().filter(|tx| !kept.contains(&tx.hash)) {
            self.forget(transaction.hash);
        }
        for transaction in waiting {
            let nonce = self.account(transaction.sender)?.nonce;
            let inserted =
                self.shared.pool_mut().insert(transaction.as_ref().clone(), nonce).is_ok();
            if inserted && !known.contains(&transaction.hash) {
                self.journal(&transaction);
            }
        }
        Ok(())
    }
}
