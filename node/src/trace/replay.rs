//! A block that is run again.

use alloy_consensus::{Header, Transaction, TxEnvelope};
use alloy_primitives::B256;
use executor::{BlockExecution, tx_env};
use revm::context::TxEnv;
use storage::{ExecutedBlock, Snapshot, StoreError};
use trace::{Budget, TraceError, TransactionContext};
use vm::{Engine, Execution, Outcome};

use super::limits::check;
use crate::chain::Shared;
use crate::error::{CallError, Failure, QueryError};
use crate::fork::overwritten;
use crate::query::StateView;
use crate::settings::block_rules;

/// What runs a transaction and looks at it.
pub(super) type Traced<T> = Result<(Outcome, T), TraceError<StoreError>>;

/// A block that is run again.
pub(crate) struct Replay<'a> {
    pub(super) block: &'a ExecutedBlock,
    pub(crate) execution: BlockExecution<StateView>,
}

impl<'a> Replay<'a> {
    /// Opens a sealed block, to be run within the time of `budget`.
    pub(crate) fn begin(
        shared: &Shared,
        block: &'a ExecutedBlock,
        budget: &Budget,
    ) -> Result<Self, CallError> {
        let snapshot = snapshot_before(shared, block.number())?;
        Self::on(shared, block, snapshot, budget)
    }

    /// Opens a block on the state of `snapshot`.
    pub(super) fn on(
        shared: &Shared,
        block: &'a ExecutedBlock,
        snapshot: Snapshot,
        budget: &Budget,
    ) -> Result<Self, CallError> {
        let header: &Header = &block.header;
        let header = Header { blob_gas_used: header.blob_gas_used.map(|_| 0), ..header.clone() };
        let engine = engine_of(shared.engine(), block);
        let rules = vm::Rules { check_chain_id: false, ..block_rules(shared.config()) };
        let view = opened(shared, snapshot, &header)?;
        let mut execution = BlockExecution::begin(&engine, header, rules, view)?;
        budget.watch(execution.execution());
        Ok(Self { block, execution })
    }

    /// Runs the transactions before `index`.
    pub(crate) fn skip(&mut self, index: usize, budget: &mut Budget) -> Result<(), CallError> {
        let before = self.block.transactions.iter().zip(&self.block.senders).take(index);
        for (transaction, sender) in before {
            check(budget)?;
            self.execution.push(transaction.clone(), *sender)?;
        }
        Ok(())
    }

    /// Runs the transaction at `index` under the eyes of `each`, and commits nothing.
    pub(super) fn run<T>(
        &mut self,
        index: usize,
        each: impl FnOnce(&mut Execution<StateView>, &TxEnv, TransactionContext) -> Traced<T>,
    ) -> Result<(Outcome, T), CallError> {
        let transaction = &self.block.transactions[index];
        let place = TransactionContext {
            block_hash: Some(self.block.hash()),
            tx_hash: Some(*transaction.tx_hash()),
            tx_index: Some(index),
        };
        let tx = tx_env(transaction, self.block.senders[index]);
        Ok(each(self.execution.execution(), &tx, place)?)
    }

    /// Runs all transactions, each under the eyes of `each`.
    pub(super) fn run_all<T>(
        &mut self,
        budget: &mut Budget,
        mut each: impl FnMut(
            &mut Execution<StateView>,
            &TxEnv,
            TransactionContext,
            &mut Budget,
        ) -> Traced<T>,
    ) -> Result<Vec<T>, CallError> {
        let mut all = Vec::with_capacity(self.block.transactions.len());
        for index in 0..self.block.transactions.len() {
            check(budget)?;
            let (outcome, one) =
                self.run(index, |execution, tx, place| each(execution, tx, place, budget))?;
            self.execution.execution().commit(outcome);
            all.push(one);
        }
        Ok(all)
    }

    /// The state after what has run so far.
    pub(super) fn into_state(self) -> StateView {
        let (changes, mut view) = self.execution.into_parts();
        view.add_changes(changes);
        view
    }
}

/// What runs `block` under the chain id that its transactions name: a dev user may have given the
/// chain another one since, which CHAINID and authorizations (EIP-7702) would see.
pub(crate) fn engine_of(engine: &Engine, block: &ExecutedBlock) -> Engine {
    let named = block.transactions.iter().find_map(|transaction| transaction.chain_id());
    match named.filter(|named| *named != engine.chain_id()) {
        Some(chain_id) => {
            let own = engine.without_caches();
            own.set_chain_id(chain_id);
            own
        }
        None => engine.clone(),
    }
}

/// What a block with this header sees of the state of `snapshot`.
fn opened(shared: &Shared, snapshot: Snapshot, header: &Header) -> Result<StateView, CallError> {
    let Some(spec) = shared.forked_spec() else { return Ok(StateView::new(snapshot)) };
    let overwritten = overwritten(&snapshot, header, spec).map_err(QueryError::from)?;
    Ok(StateView::opened(snapshot, overwritten))
}

/// The state that a sealed block ran on.
pub(super) fn snapshot_before(shared: &Shared, number: u64) -> Result<Snapshot, CallError> {
    match shared.store().snapshot_before(number) {
        Err(StoreError::BlockNotKept { .. }) => {
            Err(QueryError::StateNotAvailable { number }.into())
        }
        snapshot => Ok(snapshot.map_err(QueryError::from)?),
    }
}

/// A transaction's block and its place there.
pub(super) fn find(shared: &Shared, hash: B256) -> Result<(ExecutedBlock, usize), CallError> {
    let snapshot = shared.store().snapshot()?;
    let location = snapshot.location(hash)?.ok_or(QueryError::TransactionNotFound(hash))?;
    let number = location.number;
    let block = snapshot.block(number)?.ok_or(Failure::Missing { number })?;
    Ok((block, location.index as usize))
}

/// Runs one transaction of the chain again, under the eyes of `each`.
pub(super) fn run_one<T>(
    shared: &Shared,
    hash: B256,
    budget: &mut Budget,
    each: impl FnOnce(&mut Execution<StateView>, &TxEnv, TransactionContext, &mut Budget) -> Traced<T>,
) -> Result<(Outcome, T), CallError> {
    let (block, index) = find(shared, hash)?;
    let mut replay = Replay::begin(shared, &block, budget)?;
    replay.skip(index, budget)?;
    replay.run(index, |execution, tx, place| each(execution, tx, place, budget))
}

/// Whether a block has nothing to run again.
pub(super) fn is_empty(header: &Header) -> bool {
    header.transactions_root == alloy_consensus::constants::EMPTY_ROOT_HASH
}

/// A transaction's hash.
pub(super) fn hash_of(transaction: &TxEnvelope) -> B256 {
    *transaction.tx_hash()
}
