//! The newest blocks, in memory: what clients ask for again and again.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::RwLock;
use storage::ExecutedBlock;

/// Blocks that are kept: clients look at fees this far back.
const RECENT_MAX: usize = 32;

/// The head and the blocks before it, without a gap.
#[derive(Default)]
pub(crate) struct Recent(RwLock<VecDeque<Arc<ExecutedBlock>>>);

impl Recent {
    /// Puts `head` on top; what it does not follow from goes.
    pub(crate) fn put(&self, head: &Arc<ExecutedBlock>) {
        let mut blocks = self.0.write();
        while blocks.back().is_some_and(|block| block.number() >= head.number()) {
            blocks.pop_back();
        }
        if blocks.back().is_some_and(|block| block.hash() != head.header.parent_hash) {
            blocks.clear();
        }
        if blocks.len() == RECENT_MAX {
            blocks.pop_front();
        }
        blocks.push_back(Arc::clone(head));
    }

    /// The block with this number, if it is one of the newest.
    pub(crate) fn find(&self, number: u64) -> Option<Arc<ExecutedBlock>> {
        let blocks = self.0.read();
        let first = blocks.front()?.number();
        let index = usize::try_from(number.checked_sub(first)?).ok()?;
        blocks.get(index).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{Header, Sealable};
    use alloy_primitives::B256;

    fn block(number: u64, parent_hash: B256, timestamp: u64) -> Arc<ExecutedBlock> {
        let header = Header { number, parent_hash, timestamp, ..Header::default() };
        Arc::new(ExecutedBlock::bare(header.seal_slow()))
    }

    #[test]
    fn it_holds_one_chain_up_to_the_head() {
        let recent = Recent::default();
        assert!(recent.find(0).is_none());
        let mut blocks = vec![block(0, B256::ZERO, 0)];
        for number in 1..50 {
            blocks.push(block(number, blocks[number as usize - 1].hash(), number));
        }
        blocks.iter().for_each(|block| recent.put(block));
        let hash = |number| recent.find(number).map(|block| block.hash());
        assert_eq!(hash(49), Some(blocks[49].hash()));
        assert_eq!(hash(18), Some(blocks[18].hash()));
        assert_eq!((hash(17), hash(50)), (None, None));
        // Back to an earlier block, and on from there.
        recent.put(&blocks[30]);
        assert_eq!((hash(30), hash(31)), (Some(blocks[30].hash()), None));
        let other = block(31, blocks[30].hash(), 7);
        recent.put(&other);
        assert_eq!((hash(31), hash(29)), (Some(other.hash()), Some(blocks[29].hash())));
        // Another chain altogether.
        recent.put(&block(32, B256::ZERO, 9));
        assert_eq!((hash(31), hash(32).is_some()), (None, true));
    }
}
