//! Traces: a transaction of the chain, or a call, run again under a tracer.
//!
//! A block is replayed on the state that it was sealed on, dev edits included, with the same
//! system calls before its first transaction.

use std::sync::Arc;
use std::time::Duration;

use alloy_consensus::Header;
use alloy_eips::BlockId;
use alloy_primitives::B256;
use storage::{ExecutedBlock, StoreError};
use vm::Outcome;
use vm::trace::geth::{GethDebugTracingOptions, GethTrace};
use vm::trace::{TraceError, TransactionContext};

use crate::call::{Call, Overrides};
use crate::chain::{Chain, Shared, blocking};
use crate::error::{CallError, Failure, QueryError};
use crate::fork::overwritten;
use crate::query::StateView;
use crate::settings::block_rules;
use executor::BlockExecution;
use executor::tx_env;

impl Chain {
    /// Runs `work` for as long as a trace may take. What takes longer runs on to the end of its
    /// gas, but nobody waits for it.
    pub(crate) async fn traced<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, CallError> {
        let seconds = self.config().trace_time_max;
        let limit = Duration::from_secs(seconds);
        let traced = tokio::time::timeout(limit, blocking(work)).await;
        traced.map_err(|_| CallError::Timeout { seconds })??
    }

    /// The trace of a transaction that is in a block.
    pub async fn trace_transaction(
        &self,
        hash: B256,
        options: GethDebugTracingOptions,
    ) -> Result<GethTrace, CallError> {
        let shared = Arc::clone(&self.shared);
        self.traced(move || {
            let snapshot = shared.store().snapshot().map_err(QueryError::from)?;
            let location = snapshot.location(hash).map_err(QueryError::from)?;
            let location = location.ok_or(QueryError::TransactionNotFound(hash))?;
            let number = location.number;
            let block = snapshot.block(number)?.ok_or(Failure::Missing { number })?;
            drop(snapshot);
            let index = location.index as usize;
            let mut replay = Replay::begin(&shared, &block)?;
            replay.skip(index)?;
            Ok(replay.trace(index, &options)?.1)
        })
        .await
    }

    /// The traces of all transactions of a block.
    pub async fn trace_block(
        &self,
        id: BlockId,
        options: GethDebugTracingOptions,
    ) -> Result<Vec<(B256, GethTrace)>, CallError> {
        let block = self.block(id).await?.ok_or(QueryError::BlockNotFound(id))?;
        let shared = Arc::clone(&self.shared);
        self.traced(move || {
            let mut replay = Replay::begin(&shared, &block)?;
            let mut traces = Vec::with_capacity(block.transactions.len());
            for (index, transaction) in block.transactions.iter().enumerate() {
                let (outcome, trace) = replay.trace(index, &options)?;
                replay.execution.execution().commit(outcome);
                traces.push((*transaction.tx_hash(), trace));
            }
            Ok(traces)
        })
        .await
    }

    /// The trace of a call on the state at `id`.
    pub async fn trace_call(
        &self,
        call: Call,
        id: BlockId,
        (overrides, options): (Overrides, GethDebugTracingOptions),
    ) -> Result<GethTrace, CallError> {
        let session = self.session(id).await?;
        self.traced(move || {
            let (mut execution, tx) = session.prepare(&call, &overrides)?;
            Ok(execution.trace(&tx, &options, TransactionContext::default())?.1)
        })
        .await
    }
}

/// A sealed block that is run again.
pub(crate) struct Replay<'a> {
    block: &'a ExecutedBlock,
    pub(crate) execution: BlockExecution<StateView>,
}

impl<'a> Replay<'a> {
    /// Opens the block on the state that it was sealed on.
    pub(crate) fn begin(shared: &Shared, block: &'a ExecutedBlock) -> Result<Self, CallError> {
        let number = block.number();
        let snapshot = match shared.store().snapshot_before(number) {
            Err(StoreError::BlockNotKept { .. }) => {
                return Err(QueryError::StateNotAvailable { number }.into());
            }
            snapshot => snapshot.map_err(QueryError::from)?,
        };
        let header: &Header = &block.header;
        let header = Header { blob_gas_used: header.blob_gas_used.map(|_| 0), ..header.clone() };
        let rules = block_rules(shared.config());
        let view = match shared.forked_spec() {
            Some(spec) => {
                let overwritten =
                    overwritten(&snapshot, &header, spec).map_err(QueryError::from)?;
                StateView::opened(snapshot, overwritten)
            }
            None => StateView::new(snapshot),
        };
        let execution = BlockExecution::begin(shared.engine(), header, rules, view)?;
        Ok(Self { block, execution })
    }

    /// Runs the transactions before `index`.
    pub(crate) fn skip(&mut self, index: usize) -> Result<(), CallError> {
        let before = self.block.transactions.iter().zip(&self.block.senders).take(index);
        for (transaction, sender) in before {
            self.execution.push(transaction.clone(), *sender)?;
        }
        Ok(())
    }

    /// Runs the transaction at `index` under a tracer, and commits nothing.
    fn trace(
        &mut self,
        index: usize,
        options: &GethDebugTracingOptions,
    ) -> Result<(Outcome, GethTrace), CallError> {
        let transaction = &self.block.transactions[index];
        let place = TransactionContext {
            block_hash: Some(self.block.hash()),
            tx_hash: Some(*transaction.tx_hash()),
            tx_index: Some(index),
        };
        let tx = tx_env(transaction, self.block.senders[index]);
        Ok(self.execution.execution().trace(&tx, options, place)?)
    }
}

impl From<TraceError<StoreError>> for CallError {
    fn from(error: TraceError<StoreError>) -> Self {
        match error {
            TraceError::Engine(error) => error.into(),
            other => Self::Tracer(Arc::new(other)),
        }
    }
}
