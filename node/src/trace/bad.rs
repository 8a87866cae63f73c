//! Blocks that the node was given and refused, kept so that one can see why.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::B256;
use parking_lot::Mutex;
use storage::ExecutedBlock;
use trace::geth::{GethDebugTracingOptions, GethTrace};

use crate::chain::Chain;
use crate::error::CallError;

/// Most blocks that are kept: as many as geth keeps.
const KEPT_MAX: usize = 10;

/// The newest blocks that were refused.
#[derive(Default)]
pub(crate) struct BadBlocks(Mutex<VecDeque<Arc<ExecutedBlock>>>);

impl BadBlocks {
    /// Keeps a block that was refused; the oldest one makes room for it.
    pub(crate) fn note(&self, block: Arc<ExecutedBlock>) {
        let mut kept = self.0.lock();
        kept.retain(|other| other.hash() != block.hash());
        kept.push_front(block);
        kept.truncate(KEPT_MAX);
    }
}

impl Chain {
    /// Blocks that the node was given and refused, the newest first.
    pub fn bad_blocks(&self) -> Vec<Arc<ExecutedBlock>> {
        self.shared.bad_blocks().0.lock().iter().cloned().collect()
    }

    /// The traces of the transactions of a block that was refused.
    pub async fn trace_bad_block(
        &self,
        hash: B256,
        options: (GethDebugTracingOptions, Option<Duration>),
    ) -> Result<Vec<(B256, GethTrace)>, CallError> {
        let block = self.bad_blocks().into_iter().find(|block| block.hash() == hash);
        let block = block.ok_or(CallError::NoBadBlock { hash })?;
        self.trace_foreign_block(block, options).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{Header, Sealable};

    fn block(number: u64) -> Arc<ExecutedBlock> {
        let header = Header { number, ..Header::default() };
        Arc::new(ExecutedBlock::bare(header.seal_slow()))
    }

    #[test]
    fn the_newest_are_kept_once_each() {
        let bad = BadBlocks::default();
        for number in (0..12).chain([5]) {
            bad.note(block(number));
        }
        let numbers: Vec<_> = bad.0.lock().iter().map(|block| block.number()).collect();
        assert_eq!(numbers, [5, 11, 10, 9, 8, 7, 6, 4, 3, 2]);
    }
}
