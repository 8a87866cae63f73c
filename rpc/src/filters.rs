//! Filters that clients poll.
//!
//! A filter remembers up to which block it has been read, and looks the rest up in the chain, so
//! it costs the same however long nobody reads it. Only removed logs and waiting transactions are
//! kept for it, up to a limit. Filters that nobody polls for five minutes are gone, as in geth.

use crate::connection::new_id;
use crate::convert;
use crate::error::{Reply, RpcError};
use crate::log_filter::LogFilter;
use alloy_primitives::B256;
use alloy_rpc_types_eth::{Log, Transaction};
use node::{Chain, Event};
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use storage::ExecutedBlock;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// A filter that nobody has polled for so long is removed.
const IDLE_MAX: Duration = Duration::from_secs(300);
/// Most filters at a time.
const FILTERS_MAX: usize = 10_000;
/// Most removed logs or waiting transactions that a filter keeps; the oldest go first.
const KEPT_MAX: usize = 10_000;

/// What a filter looks for.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Logs that match.
    Logs(Box<LogFilter>),
    /// Hashes of new blocks.
    Blocks,
    /// Waiting transactions: hashes, or all of each.
    Pending {
        /// All of each.
        full: bool,
    },
}

/// What has come up since the last poll.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Changes {
    /// Block hashes, or hashes of transactions.
    Hashes(Vec<B256>),
    /// Logs, removed ones first.
    Logs(Vec<Log>),
    /// Transactions.
    Transactions(Vec<Transaction>),
}

/// All filters of a server.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    filters: Mutex<HashMap<String, Entry>>,
    /// What they hear of, as long as there are any: without a listener no block wakes anybody.
    events: Mutex<Option<Receiver<Event>>>,
}

#[derive(Debug)]
struct Entry {
    kind: Kind,
    /// The newest block that the client knows of.
    block: u64,
    removed: VecDeque<Log>,
    waiting: VecDeque<Transaction>,
    polled: Instant,
}

/// One poll of a filter.
#[derive(Debug)]
pub(crate) struct Poll {
    kind: Kind,
    /// Blocks that the client does not know, if there are any.
    blocks: Option<(u64, u64)>,
    removed: Vec<Log>,
    waiting: Vec<Transaction>,
}

impl Filters {
    /// Tells the filters of everything that has happened on the chain.
    ///
    /// Every poll begins with it, for an event is published before the answer that it belongs to:
    /// who polls after a send finds its transaction.
    fn catch_up(&self) {
        let mut listens = self.events.lock();
        let Some(events) = &mut *listens else { return };
        loop {
            match events.try_recv() {
                Ok(Event::Head(_)) => {}
                Ok(Event::Removed(block)) => self.block_removed(&block),
                Ok(Event::Restarted(block)) => self.chain_restarted(block.number()),
                Ok(Event::Pending(transaction)) => self.transaction_waits(&transaction),
                Err(TryRecvError::Lagged(count)) => {
                    tracing::warn!(count, "filters have missed events");
                }
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    /// Adds a filter for what comes after block `head`, and says under which id; the first one has
    /// all of them listen to what `subscribe` gives. Needs a tokio runtime.
    pub(crate) fn add(
        self: &Arc<Self>,
        kind: Kind,
        head: u64,
        subscribe: impl FnOnce() -> Receiver<Event>,
    ) -> Reply<String> {
        self.catch_up();
        let mut events = self.events.lock();
        let mut filters = self.filters.lock();
        filters.retain(|_, entry| entry.polled.elapsed() < IDLE_MAX);
        if filters.len() >= FILTERS_MAX {
            return Err(RpcError::server(format!("too many filters: at most {FILTERS_MAX}")));
        }
        let (removed, waiting) = (VecDeque::new(), VecDeque::new());
        let id = new_id();
        let entry = Entry { kind, block: head, removed, waiting, polled: Instant::now() };
        filters.insert(id.clone(), entry);
        if events.is_none() {
            let events = events.insert(subscribe());
            tokio::spawn(follow(Arc::downgrade(self), events.resubscribe()));
        }
        Ok(id)
    }

    /// Stops listening if nobody polls any more; says whether nothing listens now.
    fn stop_if_unused(&self) -> bool {
        let mut events = self.events.lock();
        let mut filters = self.filters.lock();
        filters.retain(|_, entry| entry.polled.elapsed() < IDLE_MAX);
        if filters.is_empty() {
            *events = None;
        }
        events.is_none()
    }

    /// Removes a filter, and says whether it was there.
    pub(crate) fn remove(&self, id: &str) -> bool {
        self.filters.lock().remove(id).is_some()
    }

    /// Takes what a filter has kept, and the blocks that it has not looked at up to `head`, which
    /// is asked once removed blocks are known: the chain may be shorter by then.
    pub(crate) fn poll(&self, id: &str, head: impl FnOnce() -> u64) -> Reply<Poll> {
        self.catch_up();
        let head = head();
        let mut filters = self.filters.lock();
        let entry = live(&mut filters, id)?;
        let blocks = (head > entry.block).then(|| (entry.block + 1, head));
        entry.block = entry.block.max(head);
        Ok(Poll {
            kind: entry.kind.clone(),
            blocks,
            removed: entry.removed.drain(..).collect(),
            waiting: entry.waiting.drain(..).collect(),
        })
    }

    /// The criteria of a log filter.
    pub(crate) fn log_filter(&self, id: &str) -> Reply<LogFilter> {
        match &live(&mut self.filters.lock(), id)?.kind {
            Kind::Logs(filter) => Ok(filter.as_ref().clone()),
            Kind::Blocks | Kind::Pending { .. } => Err(RpcError::server("filter not found")),
        }
    }

    fn block_removed(&self, block: &ExecutedBlock) {
        let mut logs = None;
        for entry in self.filters.lock().values_mut() {
            // A filter that has not read the block will never know of it.
            if entry.block < block.number() {
                continue;
            }
            entry.block = block.number().saturating_sub(1);
            if let Kind::Logs(filter) = &entry.kind {
                let logs = logs.get_or_insert_with(|| convert::logs_of(block, true));
                let matching = logs.iter().filter(|log| filter.matches_event(log)).cloned();
                keep(&mut entry.removed, matching);
            }
        }
    }

    /// What is before the head of another chain is nothing new.
    fn chain_restarted(&self, head: u64) {
        self.filters.lock().values_mut().for_each(|entry| entry.block = head);
    }

    fn transaction_waits(&self, transaction: &node::pool::PoolTransaction) {
        let mut filters = self.filters.lock();
        let entries = filters.values_mut().filter(|e| matches!(e.kind, Kind::Pending { .. }));
        for entry in entries {
            keep(&mut entry.waiting, [convert::waiting(transaction)]);
        }
    }
}

fn live<'a>(filters: &'a mut HashMap<String, Entry>, id: &str) -> Reply<&'a mut Entry> {
    let found = filters.get_mut(id).filter(|entry| entry.polled.elapsed() < IDLE_MAX);
    let entry = found.ok_or_else(|| RpcError::server("filter not found"))?;
    entry.polled = Instant::now();
    Ok(entry)
}

fn keep<T>(kept: &mut VecDeque<T>, more: impl IntoIterator<Item = T>) {
    kept.extend(more);
    let excess = kept.len().saturating_sub(KEPT_MAX);
    kept.drain(..excess);
}

impl Poll {
    /// What the client is told.
    pub(crate) async fn changes(self, chain: &Chain) -> Reply<Changes> {
        match self.kind {
            Kind::Logs(filter) => {
                let mut logs = self.removed;
                if let Some(filter) = self.blocks.and_then(|new| filter.within(new)) {
                    let found = chain.logs(filter.query()).await?;
                    logs.extend(found.into_iter().map(convert::log));
                }
                Ok(Changes::Logs(logs))
            }
            Kind::Blocks => {
                let Some((from, to)) = self.blocks else { return Ok(Changes::Hashes(Vec::new())) };
                let mut hashes = Vec::new();
                for number in from..=to {
                    // A block may be gone by now.
                    let header = chain.header(number.into()).await?;
                    hashes.extend(header.map(|header| header.seal()));
                }
                Ok(Changes::Hashes(hashes))
            }
            Kind::Pending { full: true } => Ok(Changes::Transactions(self.waiting)),
            Kind::Pending { full: false } => {
                let hashes = self.waiting.iter().map(|tx| *tx.inner.tx_hash());
                Ok(Changes::Hashes(hashes.collect()))
            }
        }
    }
}

/// Keeps the filters from falling behind the chain while nobody polls them, until they or the chain
/// are gone.
async fn follow(filters: Weak<Filters>, mut events: Receiver<Event>) {
    while !matches!(events.recv().await, Err(RecvError::Closed)) {
        let Some(filters) = filters.upgrade() else { return };
        filters.catch_up();
        if filters.stop_if_unused() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::broadcast;

    fn add(filters: &Arc<Filters>, kind: Kind, head: u64) -> String {
        filters.add(kind, head, || broadcast::channel(1).1).unwrap()
    }

    #[tokio::test]
    async fn who_has_filters_listens() {
        let (chain, filters) = (broadcast::channel(4).0, Arc::new(Filters::default()));
        assert!(filters.stop_if_unused());
        let add = || filters.add(Kind::Blocks, 5, || chain.subscribe()).unwrap();
        let ids = [add(), add()];
        // Theirs and that of the task that follows.
        assert_eq!(chain.receiver_count(), 2);
        let head = || Event::Restarted(Arc::new(ExecutedBlock::bare(sealed(9))));
        chain.send(head()).unwrap();
        assert_eq!(filters.poll(&ids[0], || 10).unwrap().blocks, Some((10, 10)));
        ids.iter().for_each(|id| assert!(filters.remove(id)));
        // The next event finds nobody, and the one after it nobody who listens.
        chain.send(head()).unwrap();
        while chain.receiver_count() > 0 {
            tokio::task::yield_now().await;
        }
        let id = add();
        chain.send(head()).unwrap();
        assert_eq!(filters.poll(&id, || 9).unwrap().blocks, None);
        assert_eq!(chain.receiver_count(), 2);
    }

    fn sealed(number: u64) -> alloy_consensus::Sealed<alloy_consensus::Header> {
        alloy_consensus::Sealable::seal_slow(alloy_consensus::Header {
            number,
            ..Default::default()
        })
    }

    #[tokio::test]
    async fn a_poll_sees_each_block_once() {
        let filters = Arc::default();
        let id = add(&filters, Kind::Blocks, 5);
        assert_eq!(filters.poll(&id, || 5).unwrap().blocks, None);
        assert_eq!(filters.poll(&id, || 8).unwrap().blocks, Some((6, 8)));
        assert_eq!(filters.poll(&id, || 8).unwrap().blocks, None);
        assert!(filters.remove(&id));
        assert!(!filters.remove(&id));
        assert_eq!(filters.poll(&id, || 9).unwrap_err().message(), "filter not found");
    }

    #[tokio::test]
    async fn only_log_filters_have_logs() {
        let filters = Arc::default();
        let blocks = add(&filters, Kind::Blocks, 0);
        assert!(filters.log_filter(&blocks).is_err());
        let logs = add(&filters, Kind::Logs(Box::default()), 0);
        assert!(filters.log_filter(&logs).is_ok());
    }

    #[tokio::test]
    async fn idle_filters_expire() {
        let filters = Arc::default();
        let id = add(&filters, Kind::Blocks, 0);
        if let Some(long_ago) = Instant::now().checked_sub(IDLE_MAX) {
            filters.filters.lock().get_mut(&id).unwrap().polled = long_ago;
            assert!(filters.poll(&id, || 1).is_err());
            add(&filters, Kind::Blocks, 0);
            assert_eq!(filters.filters.lock().len(), 1);
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut kept = VecDeque::new();
        keep(&mut kept, 0..KEPT_MAX + 3);
        assert_eq!((kept.len(), kept[0]), (KEPT_MAX, 3));
    }
}
