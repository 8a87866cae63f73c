//! The exact log index.
use alloy_primitives::{Address, B256, Log};

/// Which logs are wanted. Both ends of the range are included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// First block.
    pub from: u64,
    /// Last block.
    pub to: u64,
    /// Emitters; empty means any.
    pub addresses: Vec<Address>,
    /// For each topic position the alternatives; an empty list means any, also none.
    pub topics: [Vec<B256>; 4],
    /// How many results are allowed.
    pub limit: Option<usize>,
}

/// A log and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Number of the block.
    pub number: u64,
    /// Hash of the block.
    pub block_hash: B256,
    /// Seconds since 1970 of the block.
    pub timestamp: u64,
    /// Hash of the transaction.
    pub tx_hash: B256,
    /// Position of the transaction in the block.
    pub tx_index: u32,
    /// Position of the log in the block.
    pub log_index: u32,
    /// The log.
    pub log: Log,
}
