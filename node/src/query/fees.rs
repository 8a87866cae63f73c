//! What the node suggests to pay, and what was paid.

use std::sync::Arc;

use alloy_consensus::Transaction;
use alloy_eips::BlockNumberOrTag;
use storage::{ExecutedBlock, Snapshot};

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
        let head = self.head().header.number;
        // The pending block has paid nothing yet: it is left out, and counts nonetheless.
        let count = count.saturating_sub(u64::from(newest.is_pending()));
        let newest = self.resolve_tag(newest, head).unwrap_or(head);
        if newest > head {
            return Err(QueryError::AfterHead { number: newest, head });
        }
        let first = self.shared.genesis_number();
        if newest < first {
            return Err(QueryError::BlockNotFound(newest.into()));
        }
        let count = count.clamp(0, FEE_HISTORY_MAX).min(newest.saturating_sub(first) + 1);
        if count == 0 {
            return Ok(FeeHistory::default());
        }
        let (chain, snapshot) = (self.clone(), self.shared.store().snapshot()?);
        let oldest = newest + 1 - count;
        brief(move || chain.collect_fees(&snapshot, (oldest, newest), &percentiles)).await?
    }

    fn collect_fees(
        &self,
        snapshot: &Snapshot,
        (oldest, newest): (u64, u64),
        percentiles: &[f64],
    ) -> Result<FeeHistory, QueryError> {
        let mut history = FeeHistory { oldest, ..FeeHistory::default() };
        for number in oldest..=newest {
            let missing = Failure::Missing { number };
            let recent = self.shared.recent().find(number);
            let header = match &recent {
                Some(block) => block.header.clone(),
                None => snapshot.header(number)?.ok_or(missing.clone())?,
            };
            history.base_fees.push(header.base_fee_per_gas.unwrap_or_default().into());
            history.blob_base_fees.push(blob_base_fee(self.spec(), &header).unwrap_or_default());
            history.gas_used_ratios.push(ratio(header.gas_used, header.gas_limit));
            let blobs = self.spec().blob_params(header.timestamp);
            let blob_gas_max = blobs.map_or(0, |blobs| blobs.max_blob_gas_per_block());
            let blob_gas_used = header.blob_gas_used.unwrap_or_default();
            history.blob_gas_used_ratios.push(ratio(blob_gas_used, blob_gas_max));
            if !percentiles.is_empty() {
                let block = match recent {
                    Some(block) => block,
                    None => Arc::new(snapshot.block(number)?.ok_or(missing)?),
                };
                history.rewards.push(tips_at(percentiles, paid(&block)));
            }
            if number == newest {
                let timestamp = header.timestamp + 1;
                let next = next_base_fee(self.spec(), &header, timestamp);
                history.base_fees.push(next.unwrap_or_default().into());
                let excess = next_excess_blob_gas(self.spec(), &header, timestamp);
                let fee = blobs.zip(excess).map(|(blobs, excess)| blobs.calc_blob_fee(excess));
                history.blob_base_fees.push(fee.unwrap_or_default());
            }
        }
        Ok(history)
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
