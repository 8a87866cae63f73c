//! The block that would be sealed now, built on demand and never kept.

use std::sync::Arc;

use alloy_consensus::{Header, Sealed};
use alloy_primitives::B256;
use parking_lot::Mutex;
use revm::database::BundleState;
use storage::{ExecutedBlock, Snapshot};

use super::StateView;
use crate::brief::brief;
use crate::building::executed_block;
use crate::chain::{Chain, Shared};
use crate::error::{Failure, QueryError};
use crate::fee::BaseFees;
use crate::sequencer::{Selected, nothing_waits, select, wall_clock};
use executor::{Executed, NextBlock};

/// The pending block and its state.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The block. Its hash is zero, and its state root too where that is the binary tree's: they
    /// are not known before it is sealed.
    pub block: Arc<ExecutedBlock>,
    /// What it changes.
    pub changes: Arc<BundleState>,
}

/// The last pending block without transactions, with what it was built on: the root of the state
/// and the header's fields. Until one of them changes, the next such block is the same.
#[derive(Default)]
pub(crate) struct Idle(Mutex<Option<(B256, Header, Pending)>>);

impl Idle {
    fn find(&self, root: B256, header: &Header) -> Option<Pending> {
        let last = self.0.lock();
        let (_, _, pending) = last.as_ref().filter(|last| (last.0, &last.1) == (root, header))?;
        Some(pending.clone())
    }

    fn keep(&self, root: B256, header: Header, pending: &Pending) {
        *self.0.lock() = Some((root, header, pending.clone()));
    }
}

impl Chain {
    /// Builds the block that would be sealed now.
    pub async fn pending(&self) -> Result<Pending, QueryError> {
        let shared = Arc::clone(&self.shared);
        let snapshot = shared.store().snapshot()?;
        brief(move || build_pending(&shared, &snapshot)).await?
    }

    /// The state after the block that would be sealed now, and that block.
    pub(crate) async fn pending_state(
        &self,
    ) -> Result<(StateView, Arc<ExecutedBlock>), QueryError> {
        let shared = Arc::clone(&self.shared);
        let snapshot = shared.store().snapshot()?;
        let pending =
            brief(move || build_pending(&shared, &snapshot).map(|pending| (pending, snapshot)));
        let (Pending { block, changes }, snapshot) = pending.await??;
        Ok((StateView::with_changes(snapshot, changes), block))
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
    let root = snapshot.live_root();
    let is_idle = nothing_waits(shared);
    if is_idle && let Some(pending) = shared.idle().find(root, &header) {
        return Ok(pending);
    }
    let built_on = header.clone();
    let best = shared.pool().best(BaseFees::of(spec, &header), shared.config().order);
    let merkle = snapshot.merkle()?;
    let Selected { executed, .. } = select(shared, (snapshot, merkle.as_ref()), header, best)?;
    let Executed { mut header, body, changes } = executed;
    if let Some(mut merkle) = merkle {
        merkle.apply(&changes);
        header.state_root = merkle.root();
    }
    let block = executed_block(Sealed::new_unchecked(header, B256::ZERO), body);
    let pending = Pending { block: Arc::new(block), changes: Arc::new(changes) };
    if is_idle && pending.block.transactions.is_empty() {
        shared.idle().keep(root, built_on, &pending);
    }
    Ok(pending)
}
