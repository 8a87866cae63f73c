//! `eth_callMany`: calls one after the other, each on the state that the one before left.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_eips::BlockId;
use alloy_primitives::Address;

use super::{AccountOverride, BlockOverrides, Call, CallOutcome, Overrides, Session, outcome};
use crate::chain::Chain;
use crate::error::{CallError, QueryError};

/// Calls in the same block.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    /// Fields of the block.
    pub block: BlockOverrides,
    /// The calls, in order.
    pub calls: Vec<Call>,
}

/// What each call gave, or why it failed.
pub type BundleOutcome = Vec<Result<CallOutcome, CallError>>;

impl Chain {
    /// Runs `bundles` on the state at `id`, before the transaction at `index` of that block if one
    /// is given; `state` is changed before the first call.
    pub async fn call_many(
        &self,
        bundles: Vec<Bundle>,
        (id, index): (BlockId, Option<usize>),
        state: BTreeMap<Address, AccountOverride>,
    ) -> Result<Vec<BundleOutcome>, CallError> {
        let (mut view, header) = self.base(id).await?;
        if let Some(index) = index.filter(|_| id != BlockId::pending()) {
            let block = self.block(id).await?.ok_or(QueryError::BlockNotFound(id))?;
            if index < block.transactions.len() {
                view = self.state_within(block, index).await?;
            }
        }
        let shared = Arc::clone(&self.shared);
        self.traced(None, move |budget| {
            let mut overrides = Overrides { state, ..Overrides::default() };
            let mut all = Vec::with_capacity(bundles.len());
            for bundle in bundles.into_iter().filter(|bundle| !bundle.calls.is_empty()) {
                overrides.block = bundle.block;
                let mut outcomes = Vec::with_capacity(bundle.calls.len());
                for call in &bundle.calls {
                    let session = Session::new(shared.engine(), shared.config(), view, &header);
                    let (mut execution, tx) = session.prepare(call, &overrides)?;
                    budget.watch(&mut execution);
                    overrides.state.clear();
                    let ran = execution.call(&tx)?;
                    outcomes.push(outcome(execution.commit(ran)));
                    let (changes, below) = execution.into_parts();
                    view = below;
                    view.add_changes(changes);
                }
                all.push(outcomes);
            }
            Ok(all)
        })
        .await
    }
}
