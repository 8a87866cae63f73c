//! Waiting transactions in the order in which a block takes them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use alloy_primitives::Address;

use super::{Pool, PoolTransaction};
use crate::config::Order;
use crate::fee::BaseFees;

/// Gives executable transactions, the most wanted first, each sender's in order of nonce.
#[derive(Debug)]
pub struct Best {
    fees: BaseFees,
    order: Order,
    heads: BinaryHeap<Candidate>,
    rest: HashMap<Address, std::vec::IntoIter<Arc<PoolTransaction>>>,
}

#[derive(Debug)]
struct Candidate {
    tip: u128,
    arrival: Reverse<u64>,
    transaction: Arc<PoolTransaction>,
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.tip, self.arrival).cmp(&(other.tip, other.arrival))
    }
}

impl Pool {
    /// The executable transactions in the order in which a block with such fees takes them.
    pub fn best(&self, fees: BaseFees, order: Order) -> Best {
        let mut best = Best { fees, order, heads: BinaryHeap::new(), rest: HashMap::new() };
        for (address, sender) in &self.senders {
            let ready: Vec<_> = sender.ready().cloned().collect();
            best.rest.insert(*address, ready.into_iter());
            best.offer_next(*address);
        }
        best
    }
}

impl Best {
    fn offer_next(&mut self, sender: Address) {
        let Some(transaction) = self.rest.get_mut(&sender).and_then(Iterator::next) else { return };
        // What cannot pay the fees stays, and so does everything of its sender behind it.
        let Some(tip) = transaction.tip(self.fees) else { return };
        let tip = if self.order == Order::Fifo { 0 } else { tip };
        let arrival = Reverse(transaction.arrival);
        self.heads.push(Candidate { tip, arrival, transaction });
    }

    /// Drops what is left of `sender`: one of its transactions did not make it into the block.
    pub fn skip_sender(&mut self, sender: Address) {
        self.rest.remove(&sender);
        self.heads.retain(|candidate| candidate.transaction.sender != sender);
    }
}

impl Iterator for Best {
    type Item = Arc<PoolTransaction>;

    fn next(&mut self) -> Option<Self::Item> {
        let transaction = self.heads.pop()?.transaction;
        self.offer_next(transaction.sender);
        Some(transaction)
    }
}
