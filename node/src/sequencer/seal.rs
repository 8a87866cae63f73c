//! Sealing: waiting transactions become a block, applied to the state and handed over.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use alloy_consensus::{Header, Sealable};
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip4895::{Withdrawal, Withdrawals};
use revm::database::BundleState;
use revm::{Database, DatabaseRef};
use storage::{Commit, ExecutedBlock, Merkle, StateDelta, StoreError, Writer};
use vm::{EngineError, Print, TrapReport};

use super::{Sequencer, wall_clock};
use crate::building::executed_block;
use crate::chain::Shared;
use crate::error::{Failure, SubmitError};
use crate::event::Event;
use crate::fee::BaseFees;
use crate::fork::Opened;
use crate::pool::{Best, PoolTransaction};
use crate::settings::block_rules;
use executor::{
    BALANCE_MAX, BlockExecution, Body, Executed, ExecutorError, NextBlock, PushError, Roots,
};

/// Transactions that found no room after which a block counts as full.
const MISSES_MAX: usize = 16;
/// The least gas that any transaction takes.
const TX_GAS_MIN: u64 = 21_000;

/// A transaction that did not make it into a block, for good.
type Refused = (Arc<PoolTransaction>, SubmitError);

/// What came of the candidates for a block.
pub(crate) struct Selected {
    /// The block.
    pub(crate) executed: Executed,
    /// Those that can't run.
    pub(crate) refused: Vec<Refused>,
    /// Those whose state could not be fetched from the forked chain: they wait on.
    pub(super) unfetched: Vec<(Arc<PoolTransaction>, Arc<StoreError>)>,
    /// How many of the withdrawals that wait were due, be they paid or not.
    pub(super) due: usize,
    /// What contracts printed and trapped at, where that is to be logged.
    reports: Vec<(Arc<PoolTransaction>, Vec<Print>, Option<TrapReport>)>,
}

impl Sequencer {
    /// Seals a block for `transaction` and for each of its sender's that it made executable.
    pub(super) fn seal_ready(
        &mut self,
        transaction: &Arc<PoolTransaction>,
    ) -> Result<(), SubmitError> {
        let mut next = Some(Arc::clone(transaction));
        while let Some(current) = next.take_if(|next| self.can_seal(next)) {
            let refused = self.seal_one(&current)?;
            let failed = refused.is_some();
            if let Some((_, error)) =
                refused.filter(|(refused, _)| refused.hash == transaction.hash)
            {
                return Err(error);
            }
            if failed {
                break;
            }
            let nonce = alloy_consensus::Transaction::nonce(&current.transaction) + 1;
            next = self.shared.pool().find_by_nonce(current.sender, nonce).cloned();
        }
        Ok(())
    }

    /// Whether the next block can take `transaction`, as far as nonce and fees go.
    pub(super) fn can_seal(&self, transaction: &PoolTransaction) -> bool {
        transaction.tip(self.fees()).is_some() && self.shared.pool().is_ready(transaction)
    }

    /// What the next block would take first of what waits, as far as nonce and fees go.
    pub(super) fn first_waiting(&self) -> Option<Arc<PoolTransaction>> {
        self.shared.pool().best(self.fees(), self.shared.config().order).next()
    }

    /// Seals a block for each transaction that waits and can run.
    pub(super) fn seal_waiting(&mut self) -> Result<(), Failure> {
        while let Some(next) = self.first_waiting() {
            self.seal_one(&next)?;
        }
        Ok(())
    }

    fn seal_one(&mut self, only: &Arc<PoolTransaction>) -> Result<Option<Refused>, Failure> {
        let started = Instant::now();
        let next = self.next_block();
        let header = next.header(self.shared.engine().spec(), &self.head.header);
        let Selected { executed, mut refused, unfetched, due, .. } =
            execute(&self.shared, &self.writer, header, vec![Arc::clone(only)])?;
        if let Some((transaction, source)) = unfetched.into_iter().next() {
            return Err(Failure::Unfetched { hash: transaction.hash, source });
        }
        if let Some((transaction, error)) = refused.pop() {
            self.drop_transaction(&transaction, &error);
            return Ok(Some((transaction, error)));
        }
        self.append_next((executed, due), started)?;
        Ok(None)
    }

    /// Seals a block with as many waiting transactions as it has room for.
    pub(crate) fn seal_best(&mut self) -> Result<Arc<ExecutedBlock>, Failure> {
        self.check_alive()?;
        let started = Instant::now();
        let next = self.next_block();
        let mut header = next.header(self.shared.engine().spec(), &self.head.header);
        if let Some(delta) = self.apply_idle(&mut header)? {
            let body = Body { withdrawals: Some(Withdrawals::default()), ..Body::default() };
            return Ok(self.append_applied(
                (header, body),
                delta,
                (&BundleState::default(), started),
            ));
        }
        let fees = BaseFees::of(self.shared.engine().spec(), &header);
        let best = self.shared.pool().best(fees, self.shared.config().order);
        let Selected { executed, refused, unfetched, due, .. } =
            execute(&self.shared, &self.writer, header, best)?;
        for (transaction, error) in unfetched {
            let hash = transaction.hash;
            tracing::warn!(%hash, "transaction waits, its state could not be fetched: {error}");
        }
        for (transaction, error) in refused {
            self.drop_transaction(&transaction, &error);
        }
        self.append_next((executed, due), started)
    }

    /// Seals a block with `transactions` and no others; one that cannot run is left out.
    pub(super) fn seal_exactly(
        &mut self,
        transactions: Vec<Arc<PoolTransaction>>,
    ) -> Result<(), Failure> {
        let started = Instant::now();
        let header = self.next_block().header(self.shared.engine().spec(), &self.head.header);
        let Selected { executed, refused, unfetched, due, .. } =
            execute(&self.shared, &self.writer, header, transactions)?;
        for (transaction, error) in refused {
            self.drop_transaction(&transaction, &error);
        }
        for (transaction, error) in unfetched {
            self.drop_transaction(&transaction, &error);
        }
        self.append_next((executed, due), started)?;
        Ok(())
    }

    /// What the next block is to be like.
    fn next_block(&self) -> NextBlock {
        let head = &self.head.header;
        let next = self.shared.settings().next_block(head.timestamp, wall_clock());
        next.within_limits(self.shared.engine().spec(), head)
    }

    /// Makes the block the head that follows from the settings and paid what was due there.
    fn append_next(
        &mut self,
        (executed, due): (Executed, usize),
        started: Instant,
    ) -> Result<Arc<ExecutedBlock>, Failure> {
        let block = self.append(executed, started)?;
        self.pay_withdrawals(due);
        Ok(block)
    }

    /// Applies an executed block to the state and makes it the head.
    pub(super) fn append(
        &mut self,
        executed: Executed,
        started: Instant,
    ) -> Result<Arc<ExecutedBlock>, Failure> {
        let Executed { header, body, changes } = executed;
        let delta = self.writer.apply(header.number, &changes)?;
        Ok(self.append_applied((header, body), delta, (&changes, started)))
    }

    /// Makes a block the head whose changes were applied, with the state root that they gave.
    fn append_applied(
        &mut self,
        (mut header, body): (Header, Body),
        delta: Box<StateDelta>,
        (changes, started): (&BundleState, Instant),
    ) -> Arc<ExecutedBlock> {
        header.state_root = delta.state_root();
        let block = Arc::new(executed_block(header.seal_slow(), body));
        self.shared
            .change_settings(|settings| settings.use_up(block.header.timestamp, wall_clock()));
        self.adopt(Arc::clone(&block), delta, (changes, started));
        block
    }

    /// Makes a block the head whose changes were applied, and hands it to the commit thread.
    pub(super) fn adopt(
        &mut self,
        block: Arc<ExecutedBlock>,
        delta: Box<StateDelta>,
        (changes, started): (&BundleState, Instant),
    ) {
        self.writer.sealed(block.number(), block.hash());
        self.head = Arc::clone(&block);
        self.keep_blobs(&block);
        self.job.changes.push(Commit::Block { block: Arc::clone(&block), delta });
        self.job.head = Some(Arc::clone(&block));
        self.job.events.push(Event::Head(Arc::clone(&block)));
        let taken: Vec<_> =
            block.transactions.iter().map(|transaction| *transaction.tx_hash()).collect();
        let nonces = changes.state.iter().filter_map(|(address, account)| {
            account.info.as_ref().map(|info| (*address, info.nonce))
        });
        let stale = self.shared.pool_mut().seal(&taken, nonces);
        for hash in taken {
            // The journal loses it with the block's own commit.
            self.unjournal(hash);
        }
        for transaction in stale {
            self.forget(transaction.hash);
        }
        if self.shared.settings().logging {
            log(&block, started);
        }
    }
}

impl Sequencer {
    /// Keeps the blobs of a block's transactions: the block itself holds their hashes only.
    fn keep_blobs(&mut self, block: &ExecutedBlock) {
        use alloy_consensus::Transaction;
        for transaction in &block.transactions {
            let hash = *transaction.tx_hash();
            let Some(blob_hashes) = transaction.blob_versioned_hashes() else { continue };
            let waiting = self.shared.pool().find(&hash).cloned();
            // A block that was made by hand may have had its transactions from elsewhere.
            let Some(waiting) = waiting else { continue };
            let bytes = waiting.transaction.encoded_2718().into();
            let blob_hashes = blob_hashes.to_vec();
            self.job.changes.push(Commit::Blobs { hash, blob_hashes, bytes });
        }
    }
}

/// Executes a block of `candidates` on the newest state, says which of them cannot run, and logs
/// what they print.
pub(super) fn execute(
    shared: &Shared,
    writer: &Writer,
    header: Header,
    candidates: impl IntoIterator<Item = Arc<PoolTransaction>, IntoIter: SkipSender>,
) -> Result<Selected, Failure> {
    let selected = select(shared, (writer, writer.merkle()), header, candidates)?;
    for (transaction, prints, trap) in &selected.reports {
        report(transaction, prints, trap.as_ref());
    }
    Ok(selected)
}

/// Executes a block of `candidates` on a state, and says which of them cannot run.
///
/// If the whole block fails with them but not without, as with a log that should be a deposit and
/// is none, the first one to make it fail is refused.
pub(crate) fn select<DB: DatabaseRef<Error = StoreError> + Copy>(
    shared: &Shared,
    state: (DB, Option<&Merkle>),
    header: Header,
    candidates: impl IntoIterator<Item = Arc<PoolTransaction>, IntoIter: SkipSender>,
) -> Result<Selected, Failure> {
    let mut taken = Vec::new();
    let mut result = run(shared, state, header.clone(), candidates, &mut taken);
    let mut spoilers = Vec::new();
    while let Err(Failure::Block { source, .. }) = &result
        && !matches!(**source, ExecutorError::Engine(EngineError::Database(_)))
        && !taken.is_empty()
    {
        let fails = |count: &usize| {
            let some = taken[..*count].to_vec();
            run(shared, state, header.clone(), some, &mut Vec::new()).is_err()
        };
        if fails(&0) {
            return result;
        }
        let counts: Vec<_> = (1..taken.len()).collect();
        let spoiler_at = counts.partition_point(|count| !fails(count));
        let behind = taken.split_off(spoiler_at + 1);
        let Some(spoiler) = taken.pop() else { break };
        // What its sender sends later has no turn yet.
        taken.extend(behind.into_iter().filter(|later| later.sender != spoiler.sender));
        spoilers.push((spoiler, SubmitError::Spoils(Arc::clone(source))));
        result = run(shared, state, header.clone(), taken.clone(), &mut Vec::new());
    }
    let mut selected = result?;
    selected.refused.extend(spoilers);
    Ok(selected)
}

/// Executes a block of `candidates`, and puts those that ran, or made it fail, into `taken`.
fn run<DB: DatabaseRef<Error = StoreError>>(
    shared: &Shared,
    (db, merkle): (DB, Option<&Merkle>),
    header: Header,
    candidates: impl IntoIterator<Item = Arc<PoolTransaction>, IntoIter: SkipSender>,
    taken: &mut Vec<Arc<PoolTransaction>>,
) -> Result<Selected, Failure> {
    let number = header.number;
    let failed = |source: ExecutorError<_>| Failure::Block { number, source: Arc::new(source) };
    let (gas_limit, config) = (header.gas_limit, shared.config());
    let fork = shared.engine().spec().fork(number, header.timestamp);
    let rules = block_rules(config);
    let opened = Opened::new(db, &header, shared.forked_spec())?;
    let mut block =
        BlockExecution::begin(shared.engine(), header, rules, opened).map_err(failed)?;
    block.keep_roots(roots(merkle));
    let (mut refused, mut unfetched, mut reports) = (Vec::new(), Vec::new(), Vec::new());
    let mut misses = 0;
    let mut candidates = candidates.into_iter();
    while let Some(candidate) = candidates.next() {
        match block.push(candidate.transaction.clone(), candidate.sender) {
            Ok(pushed) => {
                if config.console && shared.settings().logging {
                    reports.push((Arc::clone(&candidate), pushed.prints, pushed.trap));
                }
                taken.push(candidate);
            }
            Err(PushError::Full) => {
                misses += 1;
                candidates.skip_sender(candidate.sender);
            }
            Err(PushError::Refused(error)) => {
                candidates.skip_sender(candidate.sender);
                refused.push((candidate, error.into()));
            }
            Err(PushError::Engine(EngineError::Database(error @ StoreError::Forked(_)))) => {
                candidates.skip_sender(candidate.sender);
                unfetched.push((candidate, Arc::new(error)));
            }
            Err(PushError::Engine(error)) => {
                taken.push(candidate);
                return Err(failed(error.into()));
            }
        }
        let room = config.disable_block_gas_limit || gas_limit - block.gas_used() >= TX_GAS_MIN;
        if misses >= MISSES_MAX || taken.len() >= config.max_transactions || !room {
            break;
        }
    }
    let withdrawals = shared.settings().next_withdrawals(fork);
    let due = withdrawals.as_ref().map_or(0, |due| due.len());
    set_withdrawals(&mut block, withdrawals);
    let executed = block.finish().map_err(failed)?;
    Ok(Selected { executed, refused, unfetched, due, reports })
}

/// Has a block pay those of `withdrawals` after which the state tree can hold the balance
/// (EIP-8297).
pub(crate) fn set_withdrawals<DB: DatabaseRef<Error = StoreError>>(
    block: &mut BlockExecution<DB>,
    withdrawals: Option<Withdrawals>,
) {
    let mut balances = HashMap::new();
    let payable = |withdrawal: &Withdrawal| {
        let balance = balances.entry(withdrawal.address).or_insert_with(|| {
            // What can't be read now can't be read either when it is to be paid, which says so.
            let account = block.execution().state().basic(withdrawal.address).ok().flatten();
            account.unwrap_or_default().balance
        });
        let sum = balance.saturating_add(withdrawal.amount_wei());
        let fits = sum <= BALANCE_MAX;
        if fits {
            *balance = sum;
        } else {
            let Withdrawal { index, address, .. } = withdrawal;
            tracing::warn!(index, %address, "withdrawal dropped: balance {sum} does not fit 128 bits");
        }
        fits
    };
    let payable = withdrawals.map(|due| due.into_iter().filter(payable).collect::<Vec<_>>().into());
    block.set_rest(Vec::new(), payable);
}

/// What says the root after each transaction, on a chain whose receipts may need it.
pub(crate) fn roots(merkle: Option<&Merkle>) -> Option<Roots> {
    merkle.map(|merkle| Roots(Box::new(merkle.clone().into_roots())))
}

/// A source of transactions that can leave out what is left of a sender.
pub(crate) trait SkipSender: Iterator<Item = Arc<PoolTransaction>> {
    /// Leaves out what is left of `sender`.
    fn skip_sender(&mut self, sender: alloy_primitives::Address);
}

impl SkipSender for Best {
    fn skip_sender(&mut self, sender: alloy_primitives::Address) {
        Self::skip_sender(self, sender);
    }
}

impl SkipSender for std::vec::IntoIter<Arc<PoolTransaction>> {
    fn skip_sender(&mut self, _: alloy_primitives::Address) {}
}

/// Logs what a transaction's contracts printed, and why one of them trapped.
fn report(transaction: &PoolTransaction, prints: &[Print], trap: Option<&TrapReport>) {
    for print in prints {
        let line = console::text(print);
        tracing::info!(target: "console", contract = %print.address, "{line}");
    }
    if let Some(trap) = trap {
        let TrapReport { reason, pc, address, depth } = trap;
        let hash = transaction.hash;
        tracing::info!(%hash, contract = %address, depth, "trap at pc {pc:#x}: {reason}");
    }
}

fn log(block: &ExecutedBlock, started: Instant) {
    let header = &block.header;
    tracing::info!(
        number = header.number,
        hash = %header.hash(),
        txs = block.transactions.len(),
        gas = header.gas_used,
        time = header.timestamp,
        took = ?started.elapsed(),
        "block"
    );
}
