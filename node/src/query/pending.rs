//! The block that would be sealed now, built on demand and never kept.

use std::sync::Arc;

use alloy_consensus::Sealed;
use alloy_primitives::B256;
use revm::database::BundleState;
use storage::{ExecutedBlock, Snapshot};

use super::StateView;
use crate::brief::brief;
use crate::building::executed_block;
use crate::chain::{Chain, Shared};
use crate::error::{Failure, QueryError};
use crate::fork::Opened;
use crate::sequencer::{roots, set_withdrawals, wall_clock};
use crate::settings::block_rules;
use executor::{BlockExecution, Executed, NextBlock, PushError};

/// The pending block and its state.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The block. Its hash is zero, and its state root too where that is the binary tree's: they
    /// are not known before it is sealed.
    pub block: Arc<ExecutedBlock>,
    /// What it changes.
    pub changes: Arc<BundleState>,
}

impl Chain {
    /// Builds the block that would be sealed now.
    pub async fn pending(&self) -> Result<Pending, QueryError> {
        let shared = Arc::clone(&self.shared);
        let snapshot = shared.store().snapshot()?;
        brief(move || build_pending(&shared, &snapshot)).await?
    }

    pub(super) async fn pending_state(&self) -> Result<StateView, QueryError> {
        let shared = Arc::clone(&self.shared);
        let snapshot = shared.store().snapshot()?;
        let pending = brief(move || {
            build_pending(&shared, &snapshot).map(|pending| (pending.changes, snapshot))
        });
        let (changes, snapshot) = pending.await??;
        Ok(StateView::with_changes(snapshot, changes))
    }

    /// The header fields of the next block, were it sealed now.
    pub fn next_block(&self) -> NextBlock {
        self.shared.settings().next_block(self.head().header.timestamp, wall_clock())
    }
}

/// Builds the block that would be sealed now on the state of `snapshot`.
pub(crate) fn build_pending(shared: &Shared, snapshot: &Snapshot) -> Result<Pending, QueryError> {
    let number = snapshot.head();
    let parent = snapshot.header(number)?.ok_or(Failure::Missing { number })?;
    let next = shared.settings().next_block(parent.timestamp, wall_clock());
    let spec = shared.engine().spec();
    let header = next.within_limits(spec, &parent).header(spec, &parent);
    let fork = spec.fork(number + 1, header.timestamp);
    let failed = |source| Failure::Block { number: number + 1, source: Arc::new(source) };
    let base_fee = header.base_fee_per_gas.unwrap_or_default();
    let mut best = shared.pool().best(base_fee, shared.config().order);
    let rules = block_rules(shared.config());
    let opened = Opened::new(snapshot, &header, shared.forked_spec())?;
    let mut block =
        BlockExecution::begin(shared.engine(), header, rules, opened).map_err(failed)?;
    let merkle = snapshot.merkle()?;
    block.keep_roots(roots(merkle.as_ref()));
    let mut taken = 0;
    while taken < shared.config().max_transactions
        && let Some(candidate) = best.next()
    {
        match block.push(candidate.transaction.clone(), candidate.sender) {
            Ok(_) => taken += 1,
            Err(PushError::Full | PushError::Refused(_)) => best.skip_sender(candidate.sender),
            Err(PushError::Engine(error)) => return Err(failed(error.into()).into()),
        }
    }
    set_withdrawals(&mut block, shared.settings().next_withdrawals(fork));
    let Executed { mut header, body, changes } = block.finish().map_err(failed)?;
    if let Some(mut merkle) = merkle {
        merkle.apply(&changes);
        header.state_root = merkle.root();
    }
    let block = executed_block(Sealed::new_unchecked(header, B256::ZERO), body);
    Ok(Pending { block: Arc::new(block), changes: Arc::new(changes) })
}
