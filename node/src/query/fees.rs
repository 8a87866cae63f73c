//! What the node suggests to pay, and what was paid.

use alloy_consensus::Transaction;
use alloy_eips::BlockNumberOrTag;
use storage::{ExecutedBlock, Snapshot};

use crate::brief::brief;
use crate::chain::Chain;
use crate::error::{Failure, QueryError};
use crate::fee::{
    BlockFees, FEE_HISTORY_MAX, FeeHistory, PERCENTILES_MAX, SUGGESTED_TIP_WEI, blob_base_fee,
    next_blob_base_fee, tips_at,
};
use executor::next_base_fee;

impl Chain {
    /// The base fee of the next block, from London on.
    pub fn next_base_fee(&self) -> Option<u64> {
        let head = self.head();
        let next = self.next_block();
        next.base_fee.or_else(|| next_base_fee(self.spec(), &head.header, next.timestamp))
    }

    /// The blob base fee of the next block, from Cancun on.
    pub fn next_blob_base_fee(&self) -> Option<u128> {
        next_blob_base_fee(self.spec(), &self.head().header, self.next_block().timestamp)
    }

    /// The blob base fee of a block, from Cancun on.
    pub fn blob_base_fee(&self, block: &ExecutedBlock) -> Option<u128> {
        blob_base_fee(self.spec(), &block.header)
    }

    /// The tip to offer.
    pub fn suggested_tip(&self) -> u128 {
        let least = self.shared.settings().min_gas_price;
        if self.config().disable_min_priority_fee { least } else { SUGGESTED_TIP_WEI.max(least) }
    }

    /// The gas price to offer.
    pub fn gas_price(&self) -> u128 {
        if let Some(price) = self.config().gas_price {
            return price;
        }
        self.next_base_fee().map_or(0, u128::from).saturating_add(self.suggested_tip())
    }

    /// Fees of up to `count` blocks that end with `newest`, with tips at `percentiles`.
    pub async fn fee_history(
        &self,
        count: u64,
        newest: BlockNumberOrTag,
        percentiles: Vec<f64>,
    ) -> Result<FeeHistory, QueryError> {
        check_percentiles(&percentiles)?;
        let pending = if newest.is_pending() { Some(self.pending().await?.block) } else { None };
        let head = pending.as_ref().map_or(self.head().header.number, |block| block.number() - 1);
        let newest = self.resolve_tag(newest, head).unwrap_or(head);
        if newest > head {
            return Err(QueryError::AfterHead { number: newest, head });
        }
        let first = self.shared.genesis_number();
        if newest < first {
            return Err(QueryError::BlockNotFound(newest.into()));
        }
        let last = newest + u64::from(pending.is_some());
        let count = count.min(FEE_HISTORY_MAX).min(last - first + 1);
        if count == 0 {
            return Ok(FeeHistory::default());
        }
        let (chain, oldest) = (self.clone(), last + 1 - count);
        brief(move || {
            let mut history = FeeHistory { oldest, ..FeeHistory::default() };
            let mut snapshot = None;
            for number in oldest..=last {
                let pending = pending.as_ref().filter(|block| block.number() == number);
                let recent = chain.shared.recent().find(number).filter(|_| pending.is_none());
                let found;
                let fees = match (pending, &recent) {
                    (Some(block), _) => {
                        found = chain.block_fees(block);
                        &found
                    }
                    (None, Some(recent)) => {
                        recent.fees.get_or_init(|| chain.block_fees(&recent.block))
                    }
                    (None, None) => {
                        let snapshot = match &snapshot {
                            Some(snapshot) => snapshot,
                            None => snapshot.insert(chain.shared.store().snapshot()?),
                        };
                        found = chain.old_block_fees(snapshot, (number, &percentiles))?;
                        &found
                    }
                };
                history.base_fees.push(fees.base_fee);
                history.blob_base_fees.push(fees.blob_base_fee);
                history.gas_used_ratios.push(fees.gas_used_ratio);
                history.blob_gas_used_ratios.push(fees.blob_gas_used_ratio);
                if number == last {
                    let [base_fee, blob_base_fee] = fees.next;
                    // One that was set for the block after the head.
                    let is_head = pending.is_none() && last == head;
                    let set = chain.shared.settings().next_base_fee.filter(|_| is_head);
                    history.base_fees.push(set.map_or(base_fee, u128::from));
                    history.blob_base_fees.push(blob_base_fee);
                }
                if !percentiles.is_empty() {
                    history.rewards.push(tips_at(&percentiles, &fees.paid));
                }
            }
            Ok(history)
        })
        .await?
    }

    fn block_fees(&self, block: &ExecutedBlock) -> BlockFees {
        BlockFees::of(self.spec(), &block.header, paid(block))
    }

    /// The same of a block that is read; its transactions only if they are asked for.
    fn old_block_fees(
        &self,
        snapshot: &Snapshot,
        (number, percentiles): (u64, &[f64]),
    ) -> Result<BlockFees, QueryError> {
        let missing = Failure::Missing { number };
        if percentiles.is_empty() {
            let header = snapshot.header(number)?.ok_or(missing)?;
            return Ok(BlockFees::of(self.spec(), &header, Vec::new()));
        }
        Ok(self.block_fees(&snapshot.block(number)?.ok_or(missing)?))
    }
}

/// Tip and gas of each transaction of a block.
fn paid(block: &ExecutedBlock) -> Vec<(u128, u64)> {
    let base_fee = block.header.base_fee_per_gas.unwrap_or_default();
    let mut before = 0;
    let receipts = block.transactions.iter().zip(&block.receipts);
    receipts
        .map(|(transaction, receipt)| {
            let gas = receipt.receipt.cumulative_gas_used - before;
            before = receipt.receipt.cumulative_gas_used;
            (transaction.effective_tip_per_gas(base_fee).unwrap_or_default(), gas)
        })
        .collect()
}

fn check_percentiles(percentiles: &[f64]) -> Result<(), QueryError> {
    if percentiles.len() > PERCENTILES_MAX {
        return Err(QueryError::TooManyPercentiles { count: percentiles.len() });
    }
    let mut before = None;
    for (index, value) in percentiles.iter().enumerate() {
        if !(0.0..=100.0).contains(value) {
            return Err(QueryError::Percentile { value: *value });
        }
        if let Some(before) = before.filter(|before| before >= value) {
            return Err(QueryError::PercentileOrder { index, before, value: *value });
        }
        before = Some(*value);
    }
    Ok(())
}
