//! A search through the calls of many blocks: `trace_filter`.

use std::sync::Arc;

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::Address;
use alloy_rpc_types_trace::filter::{TraceFilter, TraceFilterMode};
use storage::ExecutedBlock;
use trace::Budget;
use trace::parity_types::LocalizedTransactionTrace;

use super::limits::{LimitError, check};
use super::parity::block_traces;
use super::replay::is_empty;
use crate::chain::{Chain, Shared};
use crate::error::{CallError, Failure, QueryError};

/// Bytes that a trace takes besides its input and output.
const TRACE_SIZE: usize = 512;

/// What to look for.
#[derive(Clone, Debug, Default)]
pub struct TraceQuery {
    /// The first block; the oldest if not set.
    pub from: Option<BlockNumberOrTag>,
    /// The last block; the newest if not set.
    pub to: Option<BlockNumberOrTag>,
    /// Calls from any of these; from all if empty.
    pub senders: Vec<Address>,
    /// Calls to any of these; to all if empty.
    pub receivers: Vec<Address>,
    /// Whether one of both is enough.
    pub either: bool,
    /// Matches to leave out first.
    pub after: u64,
    /// Most matches to give.
    pub count: Option<u64>,
}

impl Chain {
    /// The calls that match, in the order of the chain.
    pub async fn filter_traces(
        &self,
        query: TraceQuery,
    ) -> Result<Vec<LocalizedTransactionTrace>, CallError> {
        let (from, to) = (
            query.from.unwrap_or(BlockNumberOrTag::Earliest),
            query.to.unwrap_or(BlockNumberOrTag::Latest),
        );
        let (from, to) = self.numbers(from, to)?;
        let shared = Arc::clone(&self.shared);
        self.traced(None, move |budget| {
            let filter = TraceFilter {
                from_address: query.senders,
                to_address: query.receivers,
                mode: if query.either {
                    TraceFilterMode::Union
                } else {
                    TraceFilterMode::Intersection
                },
                ..TraceFilter::default()
            };
            let matcher = filter.matcher();
            let (mut left_out, count) = (query.after, query.count.unwrap_or(u64::MAX));
            let mut found = Vec::new();
            each_block(&shared, from..=to, budget, |block, budget| {
                for trace in traces_apart(&shared, block, budget)? {
                    if !matcher.matches(&trace.trace) {
                        continue;
                    }
                    if left_out > 0 {
                        left_out -= 1;
                        continue;
                    }
                    if found.len() as u64 >= count {
                        return Ok(false);
                    }
                    budget.take(size_of_trace(&trace));
                    check(budget)?;
                    found.push(trace);
                }
                Ok((found.len() as u64) < count)
            })?;
            Ok(found)
        })
        .await
    }

    /// The numbers of the first and the last block of a range on the chain.
    fn numbers(
        &self,
        from: BlockNumberOrTag,
        to: BlockNumberOrTag,
    ) -> Result<(u64, u64), QueryError> {
        let head = self.head().number();
        let number = |tag| self.resolve_tag(tag, head).unwrap_or(head);
        let (from, to) = (number(from), number(to));
        if from > to {
            return Err(QueryError::Range { from, to });
        }
        if to > head {
            return Err(QueryError::AfterHead { number: to, head });
        }
        Ok((from.max(self.first()), to))
    }
}

/// Shows `look` the blocks with transactions, until it has seen enough.
pub(super) fn each_block(
    shared: &Shared,
    numbers: impl Iterator<Item = u64>,
    budget: &mut Budget,
    mut look: impl FnMut(&ExecutedBlock, &mut Budget) -> Result<bool, CallError>,
) -> Result<(), CallError> {
    let max = shared.config().trace_blocks_max;
    let mut blocks = 0;
    for number in numbers {
        check(budget)?;
        // A view is short-lived: it keeps the database's old pages.
        let snapshot = shared.store().snapshot()?;
        let header = snapshot.header(number)?.ok_or(Failure::Missing { number })?;
        if is_empty(&header) {
            continue;
        }
        if blocks == max {
            return Err(LimitError::Blocks { max, number }.into());
        }
        blocks += 1;
        let block = snapshot.block(number)?.ok_or(Failure::Missing { number })?;
        drop(snapshot);
        if !look(&block, budget)? {
            break;
        }
    }
    Ok(())
}

/// A block's traces, of which only what is kept counts against the budget.
pub(super) fn traces_apart(
    shared: &Shared,
    block: &ExecutedBlock,
    budget: &Budget,
) -> Result<Vec<LocalizedTransactionTrace>, CallError> {
    block_traces(shared, block, &mut budget.clone())
}

fn size_of_trace(trace: &LocalizedTransactionTrace) -> usize {
    use trace::parity_types::Action;
    let input = match &trace.trace.action {
        Action::Call(call) => call.input.len(),
        Action::Create(create) => create.init.len(),
        Action::Selfdestruct(_) | Action::Reward(_) => 0,
    };
    let output = trace.trace.result.as_ref().map_or(0, |result| result.output().len());
    TRACE_SIZE + input + output
}
