//! The sequencer: the one thread that changes the chain.
//!
//! It takes tasks one after the other: a transaction, a block to seal, a dev user's edit. What a
//! task changed goes to the commit thread, which answers the caller once it is durable. Start with
//! [`Sequencer::start`]; [`seal`] makes blocks, [`dev`] is what dev users may do.

mod build;
mod dev;
mod edit;
mod fork;
mod idle;
mod import;
mod rewind;
mod seal;
mod withdrawals;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use alloy_consensus::Transaction;
use alloy_primitives::{Address, B256, U256};
use revm::DatabaseRef;
use revm::state::AccountInfo;
use storage::{Commit, ExecutedBlock, Frozen, PendingWriter, Writer};

pub use dev::SealedBlocks;
pub(crate) use edit::bytecode;
pub(crate) use idle::nothing_waits;
pub(crate) use seal::{Selected, roots, select};
pub(crate) use withdrawals::restore as restore_withdrawals;

use crate::chain::{Sentinel, Shared};
use crate::commit::{Answer, Committer, Job};
use crate::config::Sealing;
use crate::error::{Failure, SubmitError};
use crate::event::Event;
use crate::fee::{BaseFees, next_blob_base_fee};
use crate::pool::{PoolError, PoolRules, PoolTransaction, rules};
use crate::settings::pool_rules;

/// The least and the longest time between two looks for what has waited too long.
const SWEEP_PAUSE_MIN: Duration = Duration::from_millis(100);
const SWEEP_PAUSE_MAX: Duration = Duration::from_secs(60);

/// Work for the sequencer.
pub(crate) type Task = Box<dyn FnOnce(&mut Sequencer) + Send>;

/// The chain's only writer.
pub(crate) struct Sequencer {
    shared: Arc<Shared>,
    writer: Writer,
    committer: Committer,
    /// The newest block, durable or not yet.
    head: Arc<ExecutedBlock>,
    /// When the next block is due.
    due: Option<Instant>,
    /// When to look next for what has waited too long.
    sweep: Option<Instant>,
    next_savepoint: u64,
    /// Root of the newest state that is known to be idle.
    idle_root: Option<B256>,
    /// What the task at hand changed.
    job: Job,
    stopped: bool,
}

impl Sequencer {
    /// Makes the state tree and runs a sequencer over it; if there is no such tree the node fails
    /// before anything is written.
    pub(crate) fn start(shared: Arc<Shared>, writer: PendingWriter, tasks: &Receiver<Task>) {
        let _sentinel = Sentinel(Arc::clone(&shared));
        match Self::new(Arc::clone(&shared), writer) {
            Ok(sequencer) => sequencer.run(tasks),
            Err(failure) => shared.fail(&failure),
        }
    }

    fn new(shared: Arc<Shared>, writer: PendingWriter) -> Result<Self, Failure> {
        let writer = writer.load()?;
        let head = shared.head();
        let next_savepoint = shared.store().snapshot()?.next_savepoint()?;
        let committer = Committer::start(Arc::clone(&shared))?;
        let mut sequencer = Self {
            shared,
            writer,
            committer,
            head,
            due: None,
            sweep: None,
            next_savepoint,
            idle_root: None,
            job: Job::default(),
            stopped: false,
        };
        sequencer.schedule();
        sequencer.sweep_pool(Instant::now());
        Ok(sequencer)
    }

    /// Works until it is told to stop, or nobody is left to tell it anything.
    fn run(mut self, tasks: &Receiver<Task>) {
        // What waited when the node stopped waits no longer than it would have then.
        if self.seals_at_once()
            && let Err(failure) = self.seal_waiting()
        {
            tracing::error!(%failure, "waiting transactions could not be sealed");
        }
        self.hand_over(None);
        while !self.stopped {
            let task = match [self.due, self.sweep].into_iter().flatten().min() {
                None => tasks.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => match due.checked_duration_since(Instant::now()) {
                    Some(wait) => tasks.recv_timeout(wait),
                    None => Err(RecvTimeoutError::Timeout),
                },
            };
            match task {
                Ok(task) => task(&mut self),
                Err(RecvTimeoutError::Timeout) => {
                    let now = Instant::now();
                    if self.due.is_some_and(|due| due <= now) {
                        self.seal_when_due();
                    }
                    if self.sweep.is_some_and(|sweep| sweep <= now) {
                        self.sweep_pool(now);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    }

    /// Ends the loop after this task.
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
    }

    /// Hands what the task changed to the commit thread, which then calls `answer`.
    pub(crate) fn hand_over(&mut self, answer: Option<Answer>) {
        let mut job = std::mem::take(&mut self.job);
        let idle = job.changes.is_empty() && job.events.is_empty() && job.head.is_none();
        if idle && let Some(answer) = answer {
            answer(self.shared.failure().map_or(Ok(()), Err));
            return;
        }
        job.answers.extend(answer);
        if !idle {
            self.committer.send(job);
        }
    }

    /// What the sequencer and readers share.
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The state as it is now, once all of it is durable.
    pub(crate) fn frozen(&mut self) -> Result<Frozen, Failure> {
        self.settle()?;
        Ok(self.writer.freeze()?)
    }

    /// Waits until everything done so far has arrived in the database.
    fn settle(&mut self) -> Result<(), Failure> {
        self.check_alive()?;
        self.hand_over(None);
        self.committer.wait()
    }

    /// Sets when the next block is due, from now on.
    pub(crate) fn schedule(&mut self) {
        self.due = match self.shared.settings().sealing {
            Sealing::Interval(interval) | Sealing::Mixed(interval) => {
                Some(Instant::now() + interval)
            }
            Sealing::Auto | Sealing::Manual => None,
        };
    }

    fn seal_when_due(&mut self) {
        let due = self.due;
        self.schedule();
        // Late blocks do not push all later ones back, unless more than a whole interval was lost.
        if let (Some(due), Some(next)) = (due, self.due) {
            let interval = next.saturating_duration_since(Instant::now());
            self.due = Some((due + interval).max(Instant::now()));
        }
        if let Err(failure) = self.seal_best() {
            tracing::error!(%failure, "no block could be sealed");
        }
        self.hand_over(None);
    }

    /// Drops what has waited for a gap too long, and says when to look again.
    fn sweep_pool(&mut self, now: Instant) {
        let Some(lifetime) = self.shared.config().pool_lifetime() else { return };
        let expired = self.shared.pool_mut().expire(now, lifetime);
        for transaction in expired {
            let (hash, nonce) = (transaction.hash, transaction.transaction.nonce());
            let sender = transaction.sender;
            let seconds = lifetime.as_secs();
            tracing::info!(%hash, %sender, nonce, seconds, "transaction expired in the queue");
            self.forget(hash);
        }
        self.hand_over(None);
        self.sweep = Some(now + (lifetime / 4).clamp(SWEEP_PAUSE_MIN, SWEEP_PAUSE_MAX));
    }

    /// Takes a transaction into the pool and, when sealing automatically, into a block.
    pub(crate) fn submit(&mut self, transaction: PoolTransaction) -> Result<B256, SubmitError> {
        self.check_alive()?;
        let hash = transaction.hash;
        let account = self.account(transaction.sender)?;
        let sender = (transaction.sender, &account, self.is_delegated(&account)?);
        let rules = self.pool_rules();
        rules::check_form(&rules, &transaction.transaction)?;
        if self.shared.pool().find(&hash).is_some() {
            return self.submit_again(hash);
        }
        rules::check_sender(&rules, &transaction.transaction, sender)?;
        let queued = match rules.check_overdraft {
            true => self.shared.pool().cost(sender.0, transaction.transaction.nonce()),
            false => U256::ZERO,
        };
        rules::check_overdraft(&rules, &transaction.transaction, (&account, queued))?;
        let inserted = self.shared.pool_mut().insert(transaction, account.nonce)?;
        for gone in inserted.replaced.iter().chain(&inserted.evicted) {
            self.forget(gone.hash);
        }
        let transaction = inserted.transaction;
        self.journal(&transaction);
        self.job.events.push(Event::Pending(Arc::clone(&transaction)));
        if self.seals_at_once() {
            self.seal_ready(&transaction)?;
            if !rules.refuse_below_base_fee {
                // The base fee may have fallen to what others offer.
                self.seal_waiting()?;
            }
        }
        Ok(hash)
    }

    /// Takes a transaction that waits already: one whose state could not be fetched is tried again.
    fn submit_again(&mut self, hash: B256) -> Result<B256, SubmitError> {
        let waiting = self.shared.pool().find(&hash).cloned();
        match waiting.filter(|_| self.shared.fork().is_some() && self.seals_at_once()) {
            Some(waiting) if self.can_seal(&waiting) => {
                self.seal_ready(&waiting)?;
                Ok(hash)
            }
            _ => Err(PoolError::AlreadyKnown.into()),
        }
    }

    /// Whether a transaction is sealed as soon as it arrives.
    fn seals_at_once(&self) -> bool {
        matches!(self.shared.settings().sealing, Sealing::Auto | Sealing::Mixed(_))
    }

    /// The pool's rules for the next block.
    fn pool_rules(&self) -> PoolRules {
        let settings = self.shared.settings();
        let timestamp = settings.clock.peek(self.head.header.timestamp, wall_clock());
        let chain = (self.shared.config(), self.shared.engine());
        pool_rules(chain, &settings, &self.head.header, timestamp)
    }

    /// The fees of the next block.
    fn fees(&self) -> BaseFees {
        let settings = self.shared.settings();
        let (spec, head) = (self.shared.engine().spec(), &self.head.header);
        let timestamp = settings.clock.peek(head.timestamp, wall_clock());
        let blob = next_blob_base_fee(spec, head, timestamp);
        BaseFees { gas: settings.base_fee(spec, head, timestamp), blob }
    }

    fn account(&self, address: Address) -> Result<AccountInfo, Failure> {
        Ok(self.writer.basic_ref(address)?.unwrap_or_default())
    }

    /// Whether an account's code is a delegation (EIP-7702), which may send.
    fn is_delegated(&self, account: &AccountInfo) -> Result<bool, Failure> {
        if account.is_empty_code_hash() {
            return Ok(false);
        }
        let code = match &account.code {
            Some(code) => code.clone(),
            None => self.writer.code_by_hash_ref(account.code_hash)?,
        };
        Ok(code.is_eip7702())
    }

    fn check_alive(&self) -> Result<(), Failure> {
        self.shared.failure().map_or(Ok(()), Err)
    }

    /// Writes a waiting transaction into the journal.
    fn journal(&mut self, transaction: &PoolTransaction) {
        use alloy_eips::eip2718::Encodable2718;
        let bytes = transaction.transaction.encoded_2718().into();
        let (hash, order) = (transaction.hash, transaction.arrival);
        self.job.changes.push(Commit::PoolInsert { hash, order, bytes });
    }

    /// Strikes a transaction from the journal.
    fn forget(&mut self, hash: B256) {
        if !self.unjournal(hash) {
            self.job.changes.push(Commit::PoolRemove(hash));
        }
    }

    /// Takes back that this task journalled a transaction: it came and went, no one needs to know.
    fn unjournal(&mut self, hash: B256) -> bool {
        let inserted = self.job.changes.iter().position(
            |change| matches!(change, Commit::PoolInsert { hash: inserted, .. } if *inserted == hash),
        );
        inserted.map(|index| self.job.changes.remove(index)).is_some()
    }

    /// Tells the pool the nonces of accounts that changed.
    fn renew_nonces(&mut self, nonces: impl IntoIterator<Item = (Address, u64)>) {
        let mut stale = Vec::new();
        {
            let mut pool = self.shared.pool_mut();
            for (address, nonce) in nonces {
                stale.extend(pool.set_nonce(address, nonce));
            }
        }
        for transaction in stale {
            self.forget(transaction.hash);
        }
    }

    /// Drops a transaction that turned out not to run.
    fn drop_transaction(&mut self, transaction: &PoolTransaction, why: &dyn std::fmt::Display) {
        let (hash, nonce) = (transaction.hash, transaction.transaction.nonce());
        tracing::warn!(%hash, sender = %transaction.sender, nonce, "transaction dropped: {why}");
        self.shared.pool_mut().remove(&hash);
        self.forget(hash);
    }
}

/// Seconds since 1970.
pub(crate) fn wall_clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
