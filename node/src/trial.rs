//! States to try blocks on: what they would lead to, root included, without the chain knowing.

use std::borrow::Cow;
use std::sync::Arc;

use alloy_consensus::{Header, Sealable, Sealed};
use alloy_eips::BlockId;
use alloy_primitives::B256;
use executor::BALANCE_MAX;
use revm::database::BundleState;
use storage::{Frozen, Merkle, Scratch, Snapshot, Start, StoreError};
use tokio::sync::OwnedSemaphorePermit;

use crate::chain::{Chain, blocking};
use crate::error::{Failure, QueryError};
use crate::query::{Pending, Position, StateView, build_pending};
use crate::sequencer::Sequencer;

/// Copies of the state tree that may be there at a time; others wait.
pub(crate) const TRIALS_MAX: usize = 4;

/// The state after a block, with a copy of its tree.
pub(crate) struct Trial {
    /// The state.
    pub(crate) view: StateView,
    /// The block's header.
    pub(crate) parent: Sealed<Header>,
    /// Its root, and that of what comes after it.
    pub(crate) roots: StateRoots,
    /// Held for as long as the copy is there.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// Says which root a state has after changes.
pub(crate) enum StateRoots {
    /// The binary tree's.
    Tree(Box<Scratch>),
    /// The Merkle trie's, where headers have that.
    Merkle(Merkle),
}

impl StateRoots {
    /// Makes the changes and returns the root that they lead to.
    pub(crate) fn apply(&mut self, changes: &BundleState) -> Result<B256, StoreError> {
        match self {
            Self::Tree(scratch) => scratch.apply(&within_the_tree(changes)),
            Self::Merkle(merkle) => {
                merkle.apply(changes);
                Ok(merkle.root())
            }
        }
    }

    /// The Merkle trie, where headers have its root.
    pub(crate) fn merkle(&self) -> Option<&Merkle> {
        match self {
            Self::Tree(_) => None,
            Self::Merkle(merkle) => Some(merkle),
        }
    }
}

/// The changes as the state tree can hold them: an override may give more than 128 bits of balance.
fn within_the_tree(changes: &BundleState) -> Cow<'_, BundleState> {
    let accounts = || changes.state.values().filter_map(|account| account.info.as_ref());
    if accounts().all(|info| info.balance <= BALANCE_MAX) {
        return Cow::Borrowed(changes);
    }
    let mut bounded = changes.clone();
    for info in bounded.state.values_mut().filter_map(|account| account.info.as_mut()) {
        info.balance = info.balance.min(BALANCE_MAX);
    }
    Cow::Owned(bounded)
}

impl Chain {
    /// The state after the block at `id`, to try blocks on.
    pub(crate) async fn trial(&self, id: BlockId) -> Result<Trial, QueryError> {
        let position = self.resolve(id)?;
        let start = match position {
            Position::Number(number) => Start::After(number),
            Position::Head | Position::Pending => Start::Head,
        };
        let (frozen, snapshot, permit) = self.freeze(start).await?;
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            let start = if snapshot.number() == snapshot.head() { Start::Head } else { start };
            let mut roots = match snapshot.merkle()? {
                Some(merkle) => StateRoots::Merkle(merkle),
                None => StateRoots::Tree(Box::new(frozen.scratch(start)?)),
            };
            let number = snapshot.number();
            let missing = Failure::Missing { number };
            let parent = snapshot.header(number)?.ok_or(missing)?;
            if position != Position::Pending {
                return Ok(Trial { view: StateView::new(snapshot), parent, roots, permit });
            }
            let Pending { block, changes } = build_pending(&shared, &snapshot)?;
            let state_root = roots.apply(&changes)?;
            let header = Header { state_root, ..block.header.inner().clone() };
            let parent = header.seal_slow();
            let mut view = StateView::with_changes(snapshot, changes);
            view.add_block_hash(parent.number, parent.hash());
            Ok(Trial { view, parent, roots, permit })
        })
        .await?
    }

    /// The head state's tree, and the state at `start`, as of one moment.
    pub(crate) async fn freeze(
        &self,
        start: Start,
    ) -> Result<(Frozen, Snapshot, OwnedSemaphorePermit), QueryError> {
        let trials = Arc::clone(self.shared.trials());
        let permit = trials.acquire_owned().await.map_err(|_| Failure::Stopped)?;
        let (frozen, snapshot) = self.ask(move |sequencer| sequencer.freeze(start)).await?;
        Ok((frozen, snapshot, permit))
    }
}

impl Sequencer {
    /// The head state's tree, and a view of the state at `start`.
    fn freeze(&mut self, start: Start) -> Result<(Frozen, Snapshot), QueryError> {
        let frozen = self.frozen()?;
        let store = self.shared().store();
        let live = store.snapshot()?;
        let snapshot = match start {
            Start::After(number) if number != live.head() => store.snapshot_sealed(number),
            Start::Before(number) => store.snapshot_before(number),
            // At the head, however it was named, with the edits made since.
            Start::After(_) | Start::Head => Ok(live),
        };
        match snapshot {
            Err(StoreError::BlockNotKept { asked: number, .. }) => {
                Err(QueryError::StateNotAvailable { number })
            }
            snapshot => Ok((frozen, snapshot?)),
        }
    }
}
