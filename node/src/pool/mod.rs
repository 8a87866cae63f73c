//! Waiting transactions: who comes next, who waits for a gap, who replaces whom.
//!
//! Start with [`Pool::insert`] and [`Pool::best`]. The pool does no I/O; the sequencer, its only
//! writer, journals what it changes. What makes a transaction acceptable stands in [`rules`].

mod best;
pub mod rules;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_consensus::{Transaction, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, U256};

use crate::fee::BaseFees;

pub use best::Best;
pub use rules::{PoolError, PoolRules};

/// A replacement offers at least this many percent more.
const PRICE_BUMP: u128 = 10;
/// The same for blob transactions.
const BLOB_PRICE_BUMP: u128 = 100;

/// A transaction that waits.
#[derive(Clone, Debug)]
pub struct PoolTransaction {
    /// The transaction, with its blobs if it has any.
    pub transaction: TxEnvelope,
    /// Its hash.
    pub hash: B256,
    /// Who sends it.
    pub sender: Address,
    /// Its place in the order of arrival.
    pub arrival: u64,
    /// Bytes on the wire.
    pub size: usize,
}

impl PoolTransaction {
    /// Wraps `transaction` of `sender`.
    pub fn new(transaction: TxEnvelope, sender: Address) -> Self {
        let (hash, size) = (*transaction.tx_hash(), transaction.encode_2718_len());
        Self { transaction, hash, sender, arrival: 0, size }
    }

    /// What the block's producer gets per gas under such fees; `None` if it cannot pay them.
    pub fn tip(&self, fees: BaseFees) -> Option<u128> {
        let blob_cap = self.transaction.max_fee_per_blob_gas();
        if blob_cap.zip(fees.blob).is_some_and(|(cap, fee)| cap < fee) {
            return None;
        }
        self.transaction.effective_tip_per_gas(fees.gas)
    }

    /// Tip and fee cap: what decides who stays in a full pool.
    fn pays(&self) -> (u128, u128) {
        let cap = self.transaction.max_fee_per_gas();
        (self.transaction.max_priority_fee_per_gas().unwrap_or(cap), cap)
    }
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Transactions in all.
    pub transactions: usize,
    /// Transactions of one sender.
    pub sender: usize,
    /// Bytes in all.
    pub bytes: usize,
}

/// How many transactions wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStatus {
    /// Those that the next block could take.
    pub pending: usize,
    /// Those that wait for a missing nonce.
    pub queued: usize,
}

/// What an insertion changed.
#[derive(Debug)]
pub struct Inserted {
    /// The new transaction.
    pub transaction: Arc<PoolTransaction>,
    /// What it took the place of.
    pub replaced: Option<Arc<PoolTransaction>>,
    /// What had to make room.
    pub evicted: Vec<Arc<PoolTransaction>>,
}

#[derive(Debug, Default)]
struct Sender {
    /// The account's nonce at the head.
    nonce: u64,
    transactions: BTreeMap<u64, Arc<PoolTransaction>>,
    /// When some of them were first seen to wait for a gap, since the last one arrived.
    queued_since: Option<Instant>,
}

impl Sender {
    /// The transactions that can run one after the other from the account's nonce on.
    fn ready(&self) -> impl Iterator<Item = &Arc<PoolTransaction>> {
        let ready = self.transactions.range(self.nonce..).zip(self.nonce..);
        ready.take_while(|((nonce, _), want)| *nonce == want).map(|((_, tx), _)| tx)
    }
}

/// The waiting transactions.
#[derive(Debug)]
pub struct Pool {
    limits: PoolLimits,
    senders: HashMap<Address, Sender>,
    hashes: HashMap<B256, Arc<PoolTransaction>>,
    arrivals: u64,
    bytes: usize,
    /// What is in a block that is sealed but not yet committed: no reader may miss it meanwhile.
    sealed: HashMap<B256, Arc<PoolTransaction>>,
}

impl Pool {
    /// An empty pool.
    pub fn new(limits: PoolLimits) -> Self {
        let (senders, hashes, sealed) = Default::default();
        Self { limits, senders, hashes, sealed, arrivals: 0, bytes: 0 }
    }

    /// Adds a transaction that passed the rules; `nonce` is its sender's at the head.
    pub fn insert(
        &mut self,
        mut transaction: PoolTransaction,
        nonce: u64,
    ) -> Result<Inserted, PoolError> {
        transaction.arrival = self.arrivals;
        self.insert_again(transaction, nonce)
    }

    /// Adds a transaction that was there before, at its old place in the order of arrival.
    pub fn insert_again(
        &mut self,
        transaction: PoolTransaction,
        nonce: u64,
    ) -> Result<Inserted, PoolError> {
        if self.hashes.contains_key(&transaction.hash) {
            return Err(PoolError::AlreadyKnown);
        }
        let address = transaction.sender;
        let sender = self.senders.get(&address);
        let old =
            sender.and_then(|s| s.transactions.get(&transaction.transaction.nonce())).cloned();
        self.check_room(sender, &transaction, old.is_some())?;
        if let Some(old) = &old {
            check_replacement(&old.transaction, &transaction.transaction)?;
        }
        let evicted = self.make_room(&transaction, old.as_ref(), nonce)?;
        self.arrivals = self.arrivals.max(transaction.arrival + 1);
        if let Some(old) = &old {
            self.remove(&old.hash);
        }
        let transaction = Arc::new(transaction);
        self.bytes += transaction.size;
        self.hashes.insert(transaction.hash, Arc::clone(&transaction));
        let sender = self.senders.entry(address).or_default();
        sender.nonce = nonce;
        sender.transactions.insert(transaction.transaction.nonce(), Arc::clone(&transaction));
        sender.queued_since = None;
        Ok(Inserted { transaction, replaced: old, evicted })
    }

    fn check_room(
        &self,
        sender: Option<&Sender>,
        transaction: &PoolTransaction,
        replaces: bool,
    ) -> Result<(), PoolError> {
        let Some(waiting) = sender.map(|sender| &sender.transactions) else { return Ok(()) };
        let address = transaction.sender;
        if !replaces && waiting.len() >= self.limits.sender {
            return Err(PoolError::SenderFull { address, count: waiting.len() });
        }
        // As in geth: blob transactions and others of one sender do not mix.
        let blobs = transaction.transaction.is_eip4844();
        if waiting.values().any(|other| other.transaction.is_eip4844() != blobs) {
            return Err(PoolError::Reserved { address });
        }
        Ok(())
    }

    /// Evicts what matters least until `transaction` has room: transactions that wait for a gap,
    /// newest first, then those of other senders that pay less, cheapest first.
    fn make_room(
        &mut self,
        transaction: &PoolTransaction,
        old: Option<&Arc<PoolTransaction>>,
        nonce: u64,
    ) -> Result<Vec<Arc<PoolTransaction>>, PoolError> {
        let freed = old.map_or(0, |old| old.size);
        let mut count = self.hashes.len() + usize::from(old.is_none());
        let mut bytes = (self.bytes + transaction.size).saturating_sub(freed);
        let fits = |count, bytes| count <= self.limits.transactions && bytes <= self.limits.bytes;
        if fits(count, bytes) {
            return Ok(Vec::new());
        }
        let full = PoolError::Full { count: self.hashes.len(), bytes: self.bytes };
        let next = self.next_nonce(transaction.sender).unwrap_or(nonce);
        if transaction.transaction.nonce() > next {
            return Err(full);
        }
        let mut victims = Vec::new();
        for victim in self.victims(transaction) {
            if old.is_some_and(|old| old.hash == victim.hash) {
                continue;
            }
            count -= 1;
            bytes = bytes.saturating_sub(victim.size);
            victims.push(victim.hash);
            if fits(count, bytes) {
                return Ok(victims.iter().filter_map(|hash| self.remove(hash)).collect());
            }
        }
        Err(full)
    }

    /// What may have to go for `transaction`, first to last.
    fn victims(&self, transaction: &PoolTransaction) -> Vec<Arc<PoolTransaction>> {
        let (mut queued, mut cheaper) = (Vec::new(), Vec::new());
        for (address, sender) in &self.senders {
            let first_queued = sender.nonce + sender.ready().count() as u64;
            queued.extend(sender.transactions.range(first_queued..).map(|(_, tx)| tx));
            if *address != transaction.sender {
                let ready = sender.transactions.range(..first_queued).map(|(_, tx)| tx);
                cheaper.extend(ready.filter(|tx| tx.pays() < transaction.pays()));
            }
        }
        queued.sort_unstable_by_key(|tx| Reverse(tx.arrival));
        cheaper.sort_unstable_by_key(|tx| (tx.pays(), Reverse(tx.arrival)));
        queued.into_iter().chain(cheaper).cloned().collect()
    }

    /// The most wei that the waiting transactions of `sender` take together, but for the one with
    /// the nonce `except`.
    pub fn cost(&self, sender: Address, except: u64) -> U256 {
        let waiting = self.senders.get(&sender).into_iter().flat_map(|sender| &sender.transactions);
        let others = waiting.filter(|(nonce, _)| **nonce != except);
        let costs = others.map(|(_, tx)| rules::cost(&tx.transaction).unwrap_or(U256::MAX));
        costs.fold(U256::ZERO, U256::saturating_add)
    }

    /// Takes a transaction out.
    pub fn remove(&mut self, hash: &B256) -> Option<Arc<PoolTransaction>> {
        let removed = self.hashes.remove(hash)?;
        self.bytes -= removed.size;
        if let Some(sender) = self.senders.get_mut(&removed.sender) {
            sender.transactions.remove(&removed.transaction.nonce());
            if sender.transactions.is_empty() {
                self.senders.remove(&removed.sender);
            }
        }
        Some(removed)
    }

    /// Takes out what has waited for a gap for `lifetime`, as far as that was seen: this has to be
    /// called now and then. As in geth, a new transaction of a sender gives all of its own a new
    /// life.
    pub fn expire(&mut self, now: Instant, lifetime: Duration) -> Vec<Arc<PoolTransaction>> {
        let mut expired = Vec::new();
        for sender in self.senders.values_mut() {
            let first_queued = sender.nonce + sender.ready().count() as u64;
            let mut queued = sender.transactions.range(first_queued..).peekable();
            if queued.peek().is_none() {
                sender.queued_since = None;
                continue;
            }
            let since = *sender.queued_since.get_or_insert(now);
            if now.saturating_duration_since(since) >= lifetime {
                expired.extend(queued.map(|(_, transaction)| transaction.hash));
            }
        }
        expired.iter().filter_map(|hash| self.remove(hash)).collect()
    }

    /// Takes everything out.
    pub fn take_all(&mut self) -> Vec<Arc<PoolTransaction>> {
        self.senders.clear();
        self.bytes = 0;
        let mut all: Vec<_> = self.hashes.drain().map(|(_, transaction)| transaction).collect();
        all.sort_by_key(|transaction| transaction.arrival);
        all
    }

    /// Moves the transactions of a sealed block out of what waits, and learns the nonces after it;
    /// gives back what else that made worthless.
    pub fn seal(
        &mut self,
        hashes: &[B256],
        nonces: impl IntoIterator<Item = (Address, u64)>,
    ) -> Vec<Arc<PoolTransaction>> {
        for hash in hashes {
            if let Some(sealed) = self.remove(hash) {
                self.sealed.insert(*hash, sealed);
            }
        }
        nonces.into_iter().flat_map(|(address, nonce)| self.set_nonce(address, nonce)).collect()
    }

    /// Forgets the transactions of a sealed block: its commit is done.
    pub fn settle(&mut self, hashes: impl IntoIterator<Item = B256>) {
        for hash in hashes {
            self.sealed.remove(&hash);
        }
    }

    /// The transaction with this hash, if it waits or its block is not committed yet.
    pub fn find_unsettled(&self, hash: &B256) -> Option<&Arc<PoolTransaction>> {
        self.find(hash).or_else(|| self.sealed.get(hash))
    }

    /// The nonce after all executable and all uncommitted transactions of `sender`, if any.
    pub fn next_unsettled_nonce(&self, sender: Address) -> Option<u64> {
        let sealed = self.sealed.values().filter(|transaction| transaction.sender == sender);
        let after_sealed = sealed.map(|transaction| transaction.transaction.nonce() + 1).max();
        self.next_nonce(sender).max(after_sealed)
    }

    /// Learns an account's nonce at the head, and gives back what that made worthless.
    pub fn set_nonce(&mut self, address: Address, nonce: u64) -> Vec<Arc<PoolTransaction>> {
        let Some(sender) = self.senders.get_mut(&address) else { return Vec::new() };
        sender.nonce = nonce;
        let stale: Vec<_> = sender.transactions.range(..nonce).map(|(_, tx)| tx.hash).collect();
        stale.iter().filter_map(|hash| self.remove(hash)).collect()
    }

    /// The transaction with this hash.
    pub fn find(&self, hash: &B256) -> Option<&Arc<PoolTransaction>> {
        self.hashes.get(hash)
    }

    /// The transaction of `sender` with this nonce.
    pub fn find_by_nonce(&self, sender: Address, nonce: u64) -> Option<&Arc<PoolTransaction>> {
        self.senders.get(&sender)?.transactions.get(&nonce)
    }

    /// The first nonce of `sender` that no executable transaction takes, if any of it waits.
    pub fn next_nonce(&self, sender: Address) -> Option<u64> {
        self.senders.get(&sender).map(|sender| sender.nonce + sender.ready().count() as u64)
    }

    /// Whether the next block could take `transaction`, as far as nonces go.
    pub fn is_ready(&self, transaction: &PoolTransaction) -> bool {
        let nonce = transaction.transaction.nonce();
        self.next_nonce(transaction.sender).is_some_and(|next| nonce < next)
    }

    /// Everything that waits, in order of arrival; the flag says whether it could run.
    pub fn all(&self) -> Vec<(Arc<PoolTransaction>, bool)> {
        let mut all: Vec<_> = self
            .senders
            .values()
            .flat_map(|sender| {
                let first_queued = sender.nonce + sender.ready().count() as u64;
                sender.transactions.iter().map(move |(nonce, transaction)| {
                    (Arc::clone(transaction), *nonce < first_queued)
                })
            })
            .collect();
        all.sort_by_key(|(transaction, _)| transaction.arrival);
        all
    }

    /// How many transactions wait.
    pub fn status(&self) -> PoolStatus {
        let pending = self.senders.values().map(|sender| sender.ready().count()).sum();
        PoolStatus { pending, queued: self.hashes.len() - pending }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }
}

fn check_replacement(old: &TxEnvelope, new: &TxEnvelope) -> Result<(), PoolError> {
    let bump = if new.is_eip4844() { BLOB_PRICE_BUMP } else { PRICE_BUMP };
    let raised = |fee: u128| fee.saturating_add(fee.saturating_mul(bump).div_ceil(100)).max(1);
    let tip = |tx: &TxEnvelope| tx.max_priority_fee_per_gas().unwrap_or(tx.max_fee_per_gas());
    let (need_cap, need_tip) = (raised(old.max_fee_per_gas()), raised(tip(old)));
    let blob_fee = |tx: &TxEnvelope| tx.max_fee_per_blob_gas().unwrap_or_default();
    let (cap, new_tip) = (new.max_fee_per_gas(), tip(new));
    if cap < need_cap || new_tip < need_tip {
        return Err(PoolError::ReplacementUnderpriced { cap, tip: new_tip, need_cap, need_tip });
    }
    let (cap, need) = (blob_fee(new), raised(blob_fee(old)));
    if new.is_eip4844() && cap < need {
        return Err(PoolError::ReplacementBlobFee { cap, need });
    }
    Ok(())
}
