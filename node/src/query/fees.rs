//! What the node suggests to pay, and what was paid.

use std::sync::Arc;

use alloy_consensus::{Header, Transaction};
use alloy_eips::BlockNumberOrTag;
use storage::ExecutedBlock;

use crate::brief::brief;
use crate::chain::Chain;
use crate::error::{Failure, QueryError};
use crate::fee::{
    FEE_HISTORY_MAX, FeeHistory, PERCENTILES_MAX, SUGGESTED_TIP_WEI, blob_base_fee, tips_at,
};
use executor::{next_base_fee, next_excess_blob_gas};

impl Chain {
    /// The base fee of the next block, from London on.
    pub fn next_base_fee(&self) -> Option<u64> {
        let head = self.head();
        let next = self.next_block();
        next.base_fee.or_else(|| next_base_fee(self.spec(), &head.header, next.timestamp))
    }

    /// The blob base fee of the next block, from Cancun on.
    pub fn next_blob_base_fee(&self) -> Option<u128> {
        let timestamp = self.next_block().timestamp;
        let excess = next_excess_blob_gas(self.spec(), &self.head().header, timestamp)?;
        self.spec().blob_params(timestamp).map(|blobs| blobs.calc_blob_fee(excess))
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
        let (chain, snapshot) = (self.clone(), self.shared.store().snapshot()?);
        let oldest = last + 1 - count;
        brief(move || {
            let mut history = FeeHistory { oldest, ..FeeHistory::default() };
            for number in oldest..=last {
                let missing = Failure::Missing { number };
                let known = pending.clone().filter(|block| block.number() == number);
                let known = known.or_else(|| chain.shared.recent().find(number));
                let block = match known {
                    None if !percentiles.is_empty() => {
                        Some(Arc::new(snapshot.block(number)?.ok_or(missing.clone())?))
                    }
                    known => known,
                };
                let header = match &block {
                    Some(block) => block.header.clone(),
                    None => snapshot.header(number)?.ok_or(missing)?,
                };
                chain.add_fees(&mut history, &header, number == last);
                if let Some(block) = block.filter(|_| !percentiles.is_empty()) {
                    history.rewards.push(tips_at(&percentiles, paid(&block)));
                }
            }
            Ok(history)
        })
        .await?
    }

    /// Adds what a block's header says, and what it says of the next block if it is the last one.
    fn add_fees(&self, history: &mut FeeHistory, header: &Header, is_last: bool) {
        history.base_fees.push(header.base_fee_per_gas.unwrap_or_default().into());
        history.gas_used_ratios.push(ratio(header.gas_used, header.gas_limit));
        let blobs = self.spec().blob_params(header.timestamp);
        let blob_fee = |excess: Option<u64>| {
            blobs.zip(excess).map_or(0, |(blobs, excess)| blobs.calc_blob_fee(excess))
        };
        history.blob_base_fees.push(blob_fee(header.excess_blob_gas));
        let blob_gas_max = blobs.map_or(0, |blobs| blobs.max_blob_gas_per_block());
        let blob_gas_used = header.blob_gas_used.unwrap_or_default();
        history.blob_gas_used_ratios.push(ratio(blob_gas_used, blob_gas_max));
        if is_last {
            let timestamp = header.timestamp + 1;
            let next = next_base_fee(self.spec(), header, timestamp);
            history.base_fees.push(next.unwrap_or_default().into());
            let excess = next_excess_blob_gas(self.spec(), header, timestamp);
            history.blob_base_fees.push(blob_fee(excess));
        }
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

fn ratio(part: u64, whole: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a ratio for display")]
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
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
