//! Calls that build on one another, from a block on or from within it.

use std::sync::Arc;
use std::time::Duration;

use alloy_consensus::Header;
use alloy_eips::BlockId;
use revm::context::TxEnv;
use trace::Budget;
use vm::Execution;

use super::limits::check;
use super::replay::{Replay, Traced};
use crate::call::{Call, Overrides, Session};
use crate::chain::{Chain, Shared};
use crate::error::{CallError, QueryError};
use crate::query::StateView;

/// Where a series of calls begins.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// The block whose environment the calls see.
    pub block: BlockId,
    /// How many of the block's transactions have run before them; all of them if not set.
    pub index: Option<u64>,
}

impl From<BlockId> for At {
    fn from(block: BlockId) -> Self {
        Self { block, index: None }
    }
}

/// One call of a series.
#[derive(Clone, Debug)]
pub struct StepCall<K> {
    /// The call.
    pub call: Call,
    /// What is changed before it.
    pub overrides: Overrides,
    /// What to trace of it.
    pub kind: K,
}

impl Chain {
    /// Runs calls one after another, each under the eyes of `each`, and forgets what they changed.
    pub(super) async fn series<K, T>(
        &self,
        calls: Vec<StepCall<K>>,
        at: At,
        timeout: Option<Duration>,
        each: impl Fn(&mut Execution<StateView>, &TxEnv, &K, &mut Budget) -> Traced<T> + Send + 'static,
    ) -> Result<Vec<T>, CallError>
    where
        K: Send + 'static,
        T: Send + 'static,
    {
        let start = match at.index {
            None => Start::After(Box::new(self.base(at.block).await?)),
            Some(index) => {
                let block = self.block(at.block).await?;
                let block = block.ok_or(QueryError::BlockNotFound(at.block))?;
                if index > block.transactions.len() as u64 {
                    return Err(CallError::TransactionIndex { index, hash: block.hash() });
                }
                Start::Within(block, index as usize)
            }
        };
        let shared = Arc::clone(&self.shared);
        self.traced(timeout, move |budget| {
            let (mut state, header) = start.open(&shared, budget)?;
            let mut all = Vec::with_capacity(calls.len());
            for StepCall { call, overrides, kind } in &calls {
                check(budget)?;
                let session = Session::new(shared.engine(), shared.config(), state, &header);
                let (mut execution, tx) = session.prepare(call, overrides)?;
                let (outcome, one) = each(&mut execution, &tx, kind, budget)?;
                execution.commit(outcome);
                let (changes, below) = execution.into_parts();
                state = below;
                state.add_changes(changes);
                all.push(one);
            }
            Ok(all)
        })
        .await
    }
}

/// What a series begins on.
enum Start {
    /// The state after a block, or the pending one, and the header that calls see.
    After(Box<(StateView, Header)>),
    /// The state within a block, after so many of its transactions.
    Within(Arc<storage::ExecutedBlock>, usize),
}

impl Start {
    fn open(self, shared: &Shared, budget: &mut Budget) -> Result<(StateView, Header), CallError> {
        match self {
            Self::After(base) => Ok(*base),
            Self::Within(block, index) => {
                let mut replay = Replay::begin(shared, &block, budget)?;
                replay.skip(index, budget)?;
                let state = replay.into_state();
                Ok((state, block.header.inner().clone()))
            }
        }
    }
}
