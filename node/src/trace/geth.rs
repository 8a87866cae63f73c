//! Geth's traces, and ours: `debug_trace*`.

use std::sync::Arc;
use std::time::Duration;

use alloy_consensus::transaction::SignerRecoverable;
use alloy_consensus::{Block, Sealable, TxEnvelope};
use alloy_eips::BlockId;
use alloy_primitives::B256;
use storage::ExecutedBlock;
use trace::TransactionContext;
use trace::geth::{GethDebugTracingOptions, GethTrace};

use super::replay::{Replay, hash_of, run_one, snapshot_before};
use super::series::{At, StepCall};
use crate::chain::Chain;
use crate::error::{CallError, QueryError};

impl Chain {
    /// The trace of a transaction that is in a block.
    pub async fn trace_transaction(
        &self,
        hash: B256,
        (options, timeout): (GethDebugTracingOptions, Option<Duration>),
    ) -> Result<GethTrace, CallError> {
        let shared = Arc::clone(&self.shared);
        self.traced(timeout, move |budget| {
            let traced = run_one(&shared, hash, budget, |execution, tx, place, budget| {
                trace::geth_trace(execution, tx, (&options, place), budget)
            });
            Ok(traced?.1)
        })
        .await
    }

    /// The traces of all transactions of a block.
    pub async fn trace_block(
        &self,
        id: BlockId,
        (options, timeout): (GethDebugTracingOptions, Option<Duration>),
    ) -> Result<Vec<(B256, GethTrace)>, CallError> {
        let block = self.block(id).await?.ok_or(QueryError::BlockNotFound(id))?;
        let shared = Arc::clone(&self.shared);
        self.traced(timeout, move |budget| {
            let traces = Replay::begin(&shared, &block, budget)?.run_all(
                budget,
                |execution, tx, place, budget| {
                    trace::geth_trace(execution, tx, (&options, place), budget)
                },
            )?;
            Ok(block.transactions.iter().map(hash_of).zip(traces).collect())
        })
        .await
    }

    /// The traces of all transactions of a block that need not be on the chain, but whose parent
    /// is.
    pub async fn trace_foreign_block(
        &self,
        block: Arc<ExecutedBlock>,
        (options, timeout): (GethDebugTracingOptions, Option<Duration>),
    ) -> Result<Vec<(B256, GethTrace)>, CallError> {
        let shared = Arc::clone(&self.shared);
        self.traced(timeout, move |budget| {
            let store = shared.store();
            let number = block.number();
            let on_chain = store.snapshot()?.number_of(block.hash())?;
            let snapshot = if on_chain == Some(number) {
                snapshot_before(&shared, number)?
            } else {
                let parent = block.header.parent_hash;
                let parent_number = store.snapshot()?.number_of(parent)?;
                let parent_number = parent_number
                    .filter(|parent_number| parent_number + 1 == number)
                    .ok_or(CallError::NoParent { parent })?;
                store.snapshot_at(parent_number)?
            };
            let traced = Replay::on(&shared, &block, snapshot, budget)?.run_all(
                budget,
                |execution, tx, place, budget| {
                    trace::geth_trace(execution, tx, (&options, place), budget)
                },
            );
            if let Err(CallError::Invalid(_)) = &traced {
                shared.bad_blocks().note(Arc::clone(&block));
            }
            Ok(block.transactions.iter().map(hash_of).zip(traced?).collect())
        })
        .await
    }

    /// The traces of calls of which each sees what those before it changed.
    pub async fn trace_calls(
        &self,
        calls: Vec<StepCall<()>>,
        at: At,
        (options, timeout): (GethDebugTracingOptions, Option<Duration>),
    ) -> Result<Vec<GethTrace>, CallError> {
        self.series(calls, at, timeout, move |execution, tx, (), budget| {
            trace::geth_trace(execution, tx, (&options, TransactionContext::default()), budget)
        })
        .await
    }
}

/// A block with its senders, but without what running it gave.
pub fn unexecuted(block: Block<TxEnvelope>) -> Result<ExecutedBlock, CallError> {
    let Block { header, body } = block;
    let senders = body.transactions.iter().enumerate().map(|(index, transaction)| {
        transaction.recover_signer_unchecked().map_err(|_| CallError::Sender { index })
    });
    Ok(ExecutedBlock {
        senders: senders.collect::<Result<_, _>>()?,
        header: header.seal_slow(),
        transactions: body.transactions,
        receipts: Vec::new(),
        ommers: body.ommers,
        withdrawals: body.withdrawals,
        requests: Vec::new(),
    })
}
