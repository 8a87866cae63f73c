//! Log queries through the exact index: address and topic streams, intersected lazily.

use crate::{
    Snapshot, StoreError, StoredReceipt, TxLocation,
    codec::{LogKey, LogPosition},
    database::{Cursor, Reading},
    store::Shared,
};
use alloy_primitives::{Address, B256, Log};
use std::sync::Arc;

/// Places in the index, blocks and transactions between two looks at the clock.
const LOOKS_PER_CHECK: u32 = 256;

/// Which logs are wanted. Both ends of the range are included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// First block.
    pub from: u64,
    /// Last block; it may be after the head.
    pub to: u64,
    /// Emitters; empty means any.
    pub addresses: Vec<Address>,
    /// For each topic position the alternatives; an empty list means any, also none.
    pub topics: [Vec<B256>; 4],
    /// The least number of topics that a log must have.
    pub topics_min: usize,
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

impl LogFilter {
    /// Returns whether a log has the wanted address and topics.
    pub fn matches(&self, log: &Log) -> bool {
        let address = self.addresses.is_empty() || self.addresses.contains(&log.address);
        let mut positions = self.topics.iter().enumerate();
        address
            && log.topics().len() >= self.topics_min
            && positions.all(|(position, wanted)| {
                let topic = log.topics().get(position);
                wanted.is_empty() || topic.is_some_and(|topic| wanted.contains(topic))
            })
    }

    /// The index keys of each condition; a log must be under one key of every condition.
    fn conditions(&self) -> Vec<Vec<LogKey>> {
        let addresses = self.addresses.iter().map(|address| LogKey::address(*address)).collect();
        let topics = self.topics.iter().enumerate().map(|(position, wanted)| {
            wanted.iter().map(|topic| LogKey::topic(position, *topic)).collect()
        });
        let all = std::iter::once(addresses).chain(topics);
        all.filter(|keys: &Vec<_>| !keys.is_empty()).collect()
    }
}

impl Snapshot {
    /// Returns the logs that match, in the chain's order; [`StoreError::Stopped`] soon after
    /// `is_over` says that there is no more time for it.
    pub fn logs(
        &self,
        filter: &LogFilter,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let mut results = Results::new(self, filter, is_over);
        let conditions = filter.conditions();
        if conditions.is_empty() {
            results.add_all_blocks()?;
            return Ok(results.entries);
        }
        let mut unions = Vec::with_capacity(conditions.len());
        for keys in conditions {
            unions.push(Union::open(self, &keys)?);
        }
        let mut at = LogPosition { number: filter.from, tx_index: 0, log_index: 0 };
        // Every condition is moved to the furthest position that any of them has; where all meet
        // is a match.
        'next: while at.number <= filter.to {
            results.look()?;
            for union in &mut unions {
                match union.seek(at)? {
                    None => break 'next,
                    Some(found) if found > at => {
                        at = found;
                        continue 'next;
                    }
                    Some(_) => {}
                }
            }
            results.add(at)?;
            at.log_index += 1;
        }
        Ok(results.entries)
    }
}

/// The places of all logs that are under one of several keys.
struct Union<'a> {
    shared: &'a Shared,
    streams: Vec<Stream<'a>>,
}

/// The places of the logs under one key.
struct Stream<'a> {
    key: LogKey,
    rows: Cursor<'a, Reading>,
    /// Where the cursor is; `None` at the end.
    at: Option<LogPosition>,
    started: bool,
}

impl<'a> Union<'a> {
    fn open(snapshot: &'a Snapshot, keys: &[LogKey]) -> Result<Self, StoreError> {
        let shared = &*snapshot.shared;
        let mut streams = Vec::with_capacity(keys.len());
        for key in keys {
            let rows = snapshot.tx.cursor(shared.tables.logs)?;
            streams.push(Stream { key: *key, rows, at: None, started: false });
        }
        Ok(Self { shared, streams })
    }

    /// Returns the first place at or after `from`.
    fn seek(&mut self, from: LogPosition) -> Result<Option<LogPosition>, StoreError> {
        let mut first = None;
        for stream in &mut self.streams {
            let at = stream.seek(self.shared, from)?;
            first = match (first, at) {
                (Some(a), Some(b)) => Some(std::cmp::min(a, b)),
                (a, b) => a.or(b),
            };
        }
        Ok(first)
    }
}

impl Stream<'_> {
    fn seek(
        &mut self,
        shared: &Shared,
        from: LogPosition,
    ) -> Result<Option<LogPosition>, StoreError> {
        if self.started && self.at.is_none_or(|at| at >= from) {
            return Ok(self.at);
        }
        let key = self.key.as_slice();
        let decode = |row: &[u8]| {
            LogPosition::decode(row).ok_or_else(|| shared.bad_row(shared.tables.logs, key))
        };
        if std::mem::replace(&mut self.started, true) {
            // Mostly it is the next one; to go there costs half of a search.
            let row = self.rows.next()?.filter(|(found, _)| **found == *key);
            self.at = row.map(|(_, value)| decode(&value)).transpose()?;
            if self.at.is_none_or(|at| at >= from) {
                return Ok(self.at);
            }
        }
        let row = self.rows.seek_value(key, &from.encode())?;
        self.at = row.map(|row| decode(&row)).transpose()?;
        Ok(self.at)
    }
}

/// Results as they are found, with what is the same for a whole block or transaction.
struct Results<'a> {
    snapshot: &'a Snapshot,
    filter: &'a LogFilter,
    entries: Vec<LogEntry>,
    block: Option<(u64, B256, u64)>,
    transaction: Option<(TxLocation, B256, Arc<StoredReceipt>)>,
    is_over: &'a dyn Fn() -> bool,
    /// Places looked at.
    looks: u32,
}

impl<'a> Results<'a> {
    const fn new(
        snapshot: &'a Snapshot,
        filter: &'a LogFilter,
        is_over: &'a dyn Fn() -> bool,
    ) -> Self {
        let entries = Vec::new();
        Self { snapshot, filter, entries, block: None, transaction: None, is_over, looks: 0 }
    }

    /// Counts a place that is looked at, and stops if the time is over.
    fn look(&mut self) -> Result<(), StoreError> {
        self.looks = self.looks.wrapping_add(1);
        let over = self.looks.is_multiple_of(LOOKS_PER_CHECK) && (self.is_over)();
        if over { Err(StoreError::Stopped) } else { Ok(()) }
    }

    /// Adds the log at a place that the index gave.
    fn add(&mut self, at: LogPosition) -> Result<(), StoreError> {
        let place = TxLocation { number: at.number, index: at.tx_index };
        let (tx_hash, stored) = self.load_transaction(place)?;
        let position = u64::from(at.log_index).checked_sub(stored.first_log);
        let log = position
            .and_then(|position| stored.receipt.receipt.logs.get(position as usize).cloned());
        // The index does not know how many topics a log has.
        if log.as_ref().is_some_and(|log| log.topics().len() < self.filter.topics_min) {
            return Ok(());
        }
        // The index must lead to a log that the filter wants: anything else is damage.
        let log = log.filter(|log| self.filter.matches(log));
        let log = log.ok_or_else(|| {
            let shared = &self.snapshot.shared;
            shared.bad_row(shared.tables.logs, &at.encode())
        })?;
        self.push(at, tx_hash, log)
    }

    /// Without conditions every log of the range is wanted: the receipts are read in order.
    fn add_all_blocks(&mut self) -> Result<(), StoreError> {
        let last = self.filter.to.min(self.snapshot.head());
        for number in self.filter.from.max(self.snapshot.first())..=last {
            self.look()?;
            for index in 0..self.snapshot.tx_count(number)?.unwrap_or(0) {
                self.look()?;
                let (tx_hash, stored) = self.load_transaction(TxLocation { number, index })?;
                let logs = &stored.receipt.receipt.logs;
                for (log_index, log) in (stored.first_log as u32..).zip(logs) {
                    if !self.filter.matches(log) {
                        continue;
                    }
                    let at = LogPosition { number, tx_index: index, log_index };
                    self.push(at, tx_hash, log.clone())?;
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, at: LogPosition, tx_hash: B256, log: Log) -> Result<(), StoreError> {
        if let Some(limit) = self.filter.limit
            && self.entries.len() >= limit
        {
            return Err(StoreError::TooManyLogs { limit, reached: at.number });
        }
        let (block_hash, timestamp) = self.load_block(at.number)?;
        self.entries.push(LogEntry {
            number: at.number,
            block_hash,
            timestamp,
            tx_hash,
            tx_index: at.tx_index,
            log_index: at.log_index,
            log,
        });
        Ok(())
    }

    fn load_block(&mut self, number: u64) -> Result<(B256, u64), StoreError> {
        if let Some((_, hash, timestamp)) = self.block.filter(|(known, ..)| *known == number) {
            return Ok((hash, timestamp));
        }
        let header = self.snapshot.header(number)?;
        let header = header.ok_or_else(|| self.snapshot.not_kept(number))?;
        self.block = Some((number, header.seal(), header.timestamp));
        Ok((header.seal(), header.timestamp))
    }

    fn load_transaction(
        &mut self,
        at: TxLocation,
    ) -> Result<(B256, Arc<StoredReceipt>), StoreError> {
        if let Some((known, hash, stored)) = &self.transaction
            && *known == at
        {
            return Ok((*hash, stored.clone()));
        }
        let transaction = self.snapshot.transaction(at)?;
        let found = transaction.zip(self.snapshot.receipt(at)?);
        let ((transaction, _), stored) = found.ok_or_else(|| self.snapshot.not_kept(at.number))?;
        let hash = *transaction.tx_hash();
        let stored = Arc::new(stored);
        self.transaction = Some((at, hash, stored.clone()));
        Ok((hash, stored))
    }
}
