//! The newest blocks, in memory: what clients ask for again and again.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;
use storage::{ExecutedBlock, LogEntry, LogFilter};

use crate::fee::BlockFees;

/// Blocks that are kept: clients look at fees this far back.
const RECENT_MAX: usize = 32;

/// The head and the blocks before it, without a gap.
#[derive(Default)]
pub(crate) struct Recent(RwLock<VecDeque<RecentBlock>>);

/// One of the newest blocks, with what was worked out about it.
#[derive(Clone)]
pub(crate) struct RecentBlock {
    pub(crate) block: Arc<ExecutedBlock>,
    /// What it took, once somebody has asked.
    pub(crate) fees: Arc<OnceLock<BlockFees>>,
}

impl RecentBlock {
    fn number(&self) -> u64 {
        self.block.number()
    }
}

impl Recent {
    /// Puts `head` on top; what it does not follow from goes.
    pub(crate) fn put(&self, head: &Arc<ExecutedBlock>) {
        let mut blocks = self.0.write();
        if blocks.back().is_some_and(|last| Arc::ptr_eq(&last.block, head)) {
            return;
        }
        while blocks.back().is_some_and(|last| last.number() >= head.number()) {
            blocks.pop_back();
        }
        if blocks.back().is_some_and(|last| last.block.hash() != head.header.parent_hash) {
            blocks.clear();
        }
        if blocks.len() == RECENT_MAX {
            blocks.pop_front();
        }
        blocks.push_back(RecentBlock { block: Arc::clone(head), fees: Arc::default() });
    }

    /// The block with this number, if it is one of the newest.
    pub(crate) fn find(&self, number: u64) -> Option<RecentBlock> {
        let blocks = self.0.read();
        blocks.get(index(&blocks, number)?).cloned()
    }

    /// The blocks of a range, if all of them are among the newest.
    pub(crate) fn range(&self, numbers: RangeInclusive<u64>) -> Option<Vec<RecentBlock>> {
        let blocks = self.0.read();
        let (start, end) = (index(&blocks, *numbers.start())?, index(&blocks, *numbers.end())?);
        if start > end || end >= blocks.len() {
            return None;
        }
        Some(blocks.range(start..=end).cloned().collect())
    }
}

/// Where a block with this number stands, or would stand.
fn index(blocks: &VecDeque<RecentBlock>, number: u64) -> Option<usize> {
    usize::try_from(number.checked_sub(blocks.front()?.number())?).ok()
}

/// The logs of these blocks that match, in the order of the chain; nothing if they are more than
/// the filter allows.
pub(crate) fn logs_of(blocks: &[RecentBlock], filter: &LogFilter) -> Option<Vec<LogEntry>> {
    let mut entries = Vec::new();
    for RecentBlock { block, .. } in blocks {
        let mut log_index = 0;
        let all = block.transactions.iter().zip(&block.receipts).zip(0..);
        for ((transaction, receipt), tx_index) in all {
            for log in &receipt.receipt.logs {
                if filter.matches(log) {
                    if filter.limit.is_some_and(|limit| entries.len() >= limit) {
                        return None;
                    }
                    entries.push(LogEntry {
                        number: block.number(),
                        block_hash: block.hash(),
                        timestamp: block.header.timestamp,
                        tx_hash: *transaction.tx_hash(),
                        tx_index,
                        log_index,
                        log: log.clone(),
                    });
                }
                log_index += 1;
            }
        }
    }
    Some(entries)
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
        let hash = |number| recent.find(number).map(|found| found.block.hash());
        assert_eq!(hash(49), Some(blocks[49].hash()));
        assert_eq!(hash(18), Some(blocks[18].hash()));
        assert_eq!((hash(17), hash(50)), (None, None));
        // Back to an earlier block, and on from there.
        recent.put(&blocks[30]);
        assert_eq!((hash(30), hash(31)), (Some(blocks[30].hash()), None));
        let other = block(31, blocks[30].hash(), 7);
        recent.put(&other);
        assert_eq!((hash(31), hash(29)), (Some(other.hash()), Some(blocks[29].hash())));
        assert_eq!(recent.range(30..=31).map(|found| found.len()), Some(2));
        assert!(recent.range(30..=32).is_none() && recent.range(17..=31).is_none());
        // Another chain altogether.
        recent.put(&block(32, B256::ZERO, 9));
        assert_eq!((hash(31), hash(32).is_some()), (None, true));
    }
}
