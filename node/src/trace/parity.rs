//! Parity's traces: `trace_*`.

use std::sync::Arc;

use alloy_eips::{BlockId, BlockNumHash};
use alloy_primitives::map::HashSet;
use alloy_primitives::{Address, B256, U256};
use genesis::SpecId;
use storage::ExecutedBlock;
use trace::Budget;
use trace::TransactionContext;
use trace::opcode::{BlockOpcodeGas, OpcodeGas, TransactionOpcodeGas};
use trace::parity_types::{
    LocalizedTransactionTrace, RewardAction, RewardType, TraceResults,
    TraceResultsWithTransactionHash, TraceType, TransactionTrace,
};

use super::replay::{Replay, find, hash_of, run_one};
use super::series::{At, StepCall};
use crate::chain::{Chain, Shared};
use crate::error::{CallError, QueryError};

/// The types of traces that are asked for.
pub type TraceTypes = HashSet<TraceType>;

/// Only the calls.
pub(super) fn calls_only() -> TraceTypes {
    [TraceType::Trace].into_iter().collect()
}

impl Chain {
    /// The calls of all transactions of a block, and its rewards.
    pub async fn parity_block(
        &self,
        id: BlockId,
    ) -> Result<Vec<LocalizedTransactionTrace>, CallError> {
        let block = self.block(id).await?.ok_or(QueryError::BlockNotFound(id))?;
        let shared = Arc::clone(&self.shared);
        self.traced(None, move |budget| block_traces(&shared, &block, budget)).await
    }

    /// What a block of proof of work gave its beneficiaries: that of the block first, then those of
    /// its ommers. Any other block gave nothing.
    pub fn rewards(&self, block: &ExecutedBlock) -> Vec<(Address, U256)> {
        rewards(&self.shared, block)
    }

    /// The calls of a transaction.
    pub async fn parity_transaction(
        &self,
        hash: B256,
    ) -> Result<Vec<LocalizedTransactionTrace>, CallError> {
        let shared = Arc::clone(&self.shared);
        self.traced(None, move |budget| {
            let number = find(&shared, hash)?.0.number();
            let (_, (place, traces)) =
                run_one(&shared, hash, budget, |execution, tx, place, budget| {
                    let traced = trace::parity_trace(execution, tx, &calls_only(), budget)?;
                    Ok((traced.0, (place, traced.1)))
                })?;
            Ok(traces.trace.into_iter().map(|trace| localized(trace, place, number)).collect())
        })
        .await
    }

    /// Traces of these types of a transaction.
    pub async fn replay_transaction(
        &self,
        hash: B256,
        types: TraceTypes,
    ) -> Result<TraceResults, CallError> {
        let shared = Arc::clone(&self.shared);
        self.traced(None, move |budget| {
            let traced = run_one(&shared, hash, budget, |execution, tx, _, budget| {
                trace::parity_trace(execution, tx, &types, budget)
            });
            Ok(traced?.1)
        })
        .await
    }

    /// Traces of these types of all transactions of a block.
    pub async fn replay_block(
        &self,
        id: BlockId,
        types: TraceTypes,
    ) -> Result<Vec<TraceResultsWithTransactionHash>, CallError> {
        let block = self.block(id).await?.ok_or(QueryError::BlockNotFound(id))?;
        let shared = Arc::clone(&self.shared);
        self.traced(None, move |budget| {
            let traces = replayed(&shared, &block, budget, |replay, budget| {
                replay.run_all(budget, |execution, tx, _, budget| {
                    trace::parity_trace(execution, tx, &types, budget)
                })
            })?;
            let hashes = block.transactions.iter().map(hash_of);
            let named = traces.into_iter().zip(hashes).map(|(full_trace, transaction_hash)| {
                TraceResultsWithTransactionHash { full_trace, transaction_hash }
            });
            Ok(named.collect())
        })
        .await
    }

    /// Traces of calls of which each sees what those before it changed.
    pub async fn parity_calls(
        &self,
        calls: Vec<StepCall<TraceTypes>>,
        at: At,
    ) -> Result<Vec<TraceResults>, CallError> {
        self.series(calls, at, None, |execution, tx, types, budget| {
            trace::parity_trace(execution, tx, types, budget)
        })
        .await
    }

    /// Gas by opcode of a transaction.
    pub async fn transaction_opcode_gas(
        &self,
        hash: B256,
    ) -> Result<TransactionOpcodeGas, CallError> {
        let shared = Arc::clone(&self.shared);
        self.traced(None, move |budget| {
            let (_, gas) = run_one(&shared, hash, budget, |execution, tx, _, budget| {
                trace::opcode_gas(execution, tx, budget)
            })?;
            let opcode_gas = sorted(gas.opcode_gas_iter());
            Ok(TransactionOpcodeGas { transaction_hash: hash, opcode_gas })
        })
        .await
    }

    /// Gas by opcode of each transaction of a block.
    pub async fn block_opcode_gas(&self, id: BlockId) -> Result<BlockOpcodeGas, CallError> {
        let block = self.block(id).await?.ok_or(QueryError::BlockNotFound(id))?;
        let shared = Arc::clone(&self.shared);
        self.traced(None, move |budget| {
            let all = replayed(&shared, &block, budget, |replay, budget| {
                replay.run_all(budget, |execution, tx, _, budget| {
                    trace::opcode_gas(execution, tx, budget)
                })
            })?;
            let hashes = block.transactions.iter().map(hash_of);
            let transactions = all.into_iter().zip(hashes).map(|(gas, transaction_hash)| {
                let opcode_gas = sorted(gas.opcode_gas_iter());
                TransactionOpcodeGas { transaction_hash, opcode_gas }
            });
            Ok(BlockOpcodeGas {
                block_hash: block.hash(),
                block_number: block.number(),
                transactions: transactions.collect(),
            })
        })
        .await
    }
}

/// A table of opcodes in the order of their names: the same for every run.
fn sorted(gas: impl Iterator<Item = OpcodeGas>) -> Vec<OpcodeGas> {
    let mut gas: Vec<_> = gas.collect();
    gas.sort_by(|a, b| a.opcode.cmp(&b.opcode));
    gas
}

/// Replays a block; one without transactions needs no state.
fn replayed<T>(
    shared: &Shared,
    block: &ExecutedBlock,
    budget: &mut Budget,
    run: impl FnOnce(&mut Replay<'_>, &mut Budget) -> Result<Vec<T>, CallError>,
) -> Result<Vec<T>, CallError> {
    if block.transactions.is_empty() {
        return Ok(Vec::new());
    }
    run(&mut Replay::begin(shared, block, budget)?, budget)
}

/// The calls of all transactions of a block.
pub(super) fn block_traces(
    shared: &Shared,
    block: &ExecutedBlock,
    budget: &mut Budget,
) -> Result<Vec<LocalizedTransactionTrace>, CallError> {
    let (types, number) = (calls_only(), block.number());
    let traces = replayed(shared, block, budget, |replay, budget| {
        replay.run_all(budget, |execution, tx, place, budget| {
            let (outcome, traces) = trace::parity_trace(execution, tx, &types, budget)?;
            Ok((outcome, (place, traces)))
        })
    })?;
    let traces = traces.into_iter().flat_map(|(place, traces)| {
        traces.trace.into_iter().map(move |trace| localized(trace, place, number))
    });
    Ok(traces.chain(block_rewards(shared, block)).collect())
}

/// What a block of a chain with proof of work gave its beneficiaries: the block's first.
fn rewards(shared: &Shared, block: &ExecutedBlock) -> Vec<(Address, U256)> {
    let (spec, header) = (shared.engine().spec(), block.header.inner());
    let fork = spec.fork(header.number, header.timestamp);
    let paid = spec.is_ethereum() && !fork.is_enabled_in(SpecId::MERGE) && header.number > 0;
    if paid { executor::rewards(fork, header, &block.ommers) } else { Vec::new() }
}

fn block_rewards(shared: &Shared, block: &ExecutedBlock) -> Vec<LocalizedTransactionTrace> {
    let (header, rewards) = (block.header.inner(), rewards(shared, block));
    let place = BlockNumHash::new(header.number, block.hash());
    let types = std::iter::once(RewardType::Block).chain(std::iter::repeat(RewardType::Uncle));
    let named = rewards.into_iter().zip(types).map(|((author, value), reward_type)| {
        RewardAction { author, reward_type, value }.into_localized_trace(place)
    });
    named.collect()
}

fn localized(
    trace: TransactionTrace,
    place: TransactionContext,
    number: u64,
) -> LocalizedTransactionTrace {
    LocalizedTransactionTrace {
        trace,
        block_hash: place.block_hash,
        block_number: Some(number),
        transaction_hash: place.tx_hash,
        transaction_position: place.tx_index.map(|index| index as u64),
    }
}
