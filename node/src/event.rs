//! What the node tells those who subscribed.

use std::sync::Arc;

use storage::ExecutedBlock;

use crate::pool::PoolTransaction;

/// Something that happened, told once it is durable.
#[derive(Clone, Debug)]
pub enum Event {
    /// A new head, with its receipts and logs.
    Head(Arc<ExecutedBlock>),
    /// A block that is no longer part of the chain, newest first.
    Removed(Arc<ExecutedBlock>),
    /// Another chain has taken the place of this one, all blocks of which were removed before: its
    /// head.
    Restarted(Arc<ExecutedBlock>),
    /// A transaction that now waits.
    Pending(Arc<PoolTransaction>),
}
