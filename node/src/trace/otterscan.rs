//! What Otterscan, a block explorer, asks: `ots_*`.

use std::sync::Arc;

use alloy_consensus::Transaction;
use alloy_primitives::{Address, B256, Bytes};
use revm::context_interface::result::ExecutionResult;
use storage::Snapshot;
use trace::geth::{CallConfig, CallFrame, GethDebugTracingOptions, GethTrace};
use trace::otterscan::InternalOperation;
use trace::parity_types::{Action, LocalizedTransactionTrace, TraceOutput};

use super::filter::{each_block, traces_apart};
use super::parity::block_traces;
use super::replay::run_one;
use crate::chain::{Chain, Shared, blocking};
use crate::error::{CallError, Failure, QueryError};

/// Who created a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Creator {
    /// The transaction.
    pub hash: B256,
    /// The account that created it, which may be a contract itself.
    pub creator: Address,
}

/// Which way to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards older blocks.
    Before,
    /// Towards newer blocks.
    After,
}

/// A page of a search.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// The block before or after which to look, itself left out; 0 for the chain's end.
    pub block: u64,
    /// Transactions that make a page; a block is never torn apart.
    pub size: usize,
}

/// What a search has found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The transactions, newest first.
    pub hashes: Vec<B256>,
    /// Whether nothing newer matches.
    pub first_page: bool,
    /// Whether nothing older matches.
    pub last_page: bool,
}

impl Chain {
    /// Transfers, creations and destructions inside a transaction.
    pub async fn internal_operations(
        &self,
        hash: B256,
    ) -> Result<Vec<InternalOperation>, CallError> {
        let shared = Arc::clone(&self.shared);
        self.traced(None, move |budget| {
            let traced = run_one(&shared, hash, budget, |execution, tx, _, budget| {
                trace::internal_operations(execution, tx, budget)
            });
            Ok(traced?.1.into_operations())
        })
        .await
    }

    /// The call tree of a transaction.
    pub async fn call_tree(&self, hash: B256) -> Result<CallFrame, CallError> {
        let options = GethDebugTracingOptions::call_tracer(CallConfig::default());
        match self.trace_transaction(hash, (options, None)).await? {
            GethTrace::CallTracer(root) => Ok(root),
            _ => Err(Failure::Worker.into()),
        }
    }

    /// What a transaction gave back as its reason to revert; empty if it did not revert.
    pub async fn revert_data(&self, hash: B256) -> Result<Bytes, CallError> {
        let shared = Arc::clone(&self.shared);
        self.traced(None, move |budget| {
            let (outcome, ()) = run_one(&shared, hash, budget, |execution, tx, _, _| {
                Ok((execution.call(tx)?, ()))
            })?;
            Ok(match outcome.result {
                ExecutionResult::Revert { output, .. } => output,
                _ => Bytes::new(),
            })
        })
        .await
    }

    /// The transaction of `sender` with this nonce.
    pub async fn transaction_by_nonce(
        &self,
        sender: Address,
        nonce: u64,
    ) -> Result<Option<B256>, CallError> {
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            let used = |snapshot: &Snapshot| {
                Ok(snapshot.account(sender)?.is_some_and(|account| account.nonce > nonce))
            };
            let Some(number) = first_block(&shared, used)? else { return Ok(None) };
            let block = shared.store().snapshot()?.block(number)?;
            let block = block.ok_or(Failure::Missing { number })?;
            let mut transactions = block.transactions.iter().zip(&block.senders);
            let place = transactions.position(|(tx, from)| *from == sender && tx.nonce() == nonce);
            Ok(place.map(|place| *block.transactions[place].tx_hash()))
        })
        .await?
    }

    /// Who created the contract at `address`; nothing for accounts without code, and for code that
    /// no transaction put there.
    pub async fn contract_creator(&self, address: Address) -> Result<Option<Creator>, CallError> {
        let shared = Arc::clone(&self.shared);
        self.traced(None, move |budget| {
            let has_code = |snapshot: &Snapshot| {
                let account = snapshot.account(address)?;
                Ok(account.is_some_and(|account| !account.is_empty_code_hash()))
            };
            let Some(number) = first_block(&shared, has_code)? else { return Ok(None) };
            if number == shared.genesis_number() {
                return Ok(None);
            }
            let block = shared.store().snapshot()?.block(number)?;
            let block = block.ok_or(Failure::Missing { number })?;
            let traces = block_traces(&shared, &block, budget)?;
            Ok(traces.iter().find_map(|trace| created(trace, address)))
        })
        .await
    }

    /// Transactions that `address` has to do with: as sender, receiver, or inside of them.
    pub async fn search_transactions(
        &self,
        address: Address,
        direction: Direction,
        page: Page,
    ) -> Result<Found, CallError> {
        let shared = Arc::clone(&self.shared);
        let (genesis, head) = (self.first(), self.head().number());
        self.traced(None, move |budget| {
            let mut hashes = Vec::new();
            let mut more = false;
            let mut look = |block: &storage::ExecutedBlock, budget: &mut _| {
                if hashes.len() >= page.size {
                    more = true;
                    return Ok(false);
                }
                let mut found: Vec<B256> = traces_apart(&shared, block, budget)?
                    .iter()
                    .filter(|trace| mentions(trace, address))
                    .filter_map(|trace| trace.transaction_hash)
                    .collect();
                found.dedup();
                if direction == Direction::Before {
                    found.reverse();
                }
                hashes.extend(found);
                Ok(true)
            };
            match direction {
                Direction::Before => {
                    let last = if page.block == 0 { head } else { (page.block - 1).min(head) };
                    each_block(&shared, (genesis..=last).rev(), budget, &mut look)?;
                }
                Direction::After => {
                    let first =
                        if page.block == 0 { genesis } else { page.block.saturating_add(1) };
                    each_block(&shared, first..=head, budget, &mut look)?;
                    hashes.reverse();
                }
            }
            let at_end = page.block == 0;
            Ok(match direction {
                Direction::Before => Found { hashes, first_page: at_end, last_page: !more },
                Direction::After => Found { hashes, first_page: !more, last_page: at_end },
            })
        })
        .await
    }
}

/// The first block after which `holds` is so, if it is so at the head, by halving.
fn first_block(
    shared: &Shared,
    holds: impl Fn(&Snapshot) -> Result<bool, QueryError>,
) -> Result<Option<u64>, CallError> {
    let snapshot = shared.store().snapshot()?;
    let (mut low, mut high) = (shared.genesis_number(), snapshot.head());
    if !holds(&shared.store().snapshot_at(high)?)? {
        return Ok(None);
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(&shared.store().snapshot_at(middle)?)? {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(Some(low))
}

fn created(trace: &LocalizedTransactionTrace, address: Address) -> Option<Creator> {
    match (&trace.trace.action, &trace.trace.result) {
        (Action::Create(create), Some(TraceOutput::Create(result)))
            if result.address == address =>
        {
            Some(Creator { hash: trace.transaction_hash?, creator: create.from })
        }
        _ => None,
    }
}

fn mentions(trace: &LocalizedTransactionTrace, address: Address) -> bool {
    match (&trace.trace.action, &trace.trace.result) {
        (Action::Call(call), _) => call.from == address || call.to == address,
        (Action::Create(create), result) => {
            let created = result.as_ref().and_then(|result| match result {
                TraceOutput::Create(output) => Some(output.address),
                TraceOutput::Call(_) => None,
            });
            create.from == address || created == Some(address)
        }
        (Action::Selfdestruct(end), _) => end.address == address || end.refund_address == address,
        (Action::Reward(_), _) => false,
    }
}
