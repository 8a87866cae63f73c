//! Fees: what the node suggests, and what blocks of the past took.

use alloy_consensus::Header;
use executor::{next_base_fee, next_excess_blob_gas};
use genesis::ChainSpec;

/// The tip that the node suggests, in wei.
pub const SUGGESTED_TIP_WEI: u128 = 1_000_000_000;
/// Most blocks in one fee history.
pub const FEE_HISTORY_MAX: u64 = 1_024;
/// Most percentiles in one fee history.
pub const PERCENTILES_MAX: usize = 100;

/// Fees of a run of blocks, and of the one after it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeeHistory {
    /// Number of the first block.
    pub oldest: u64,
    /// Base fee of each block and of the next one.
    pub base_fees: Vec<u128>,
    /// Blob base fee of each block and of the next one.
    pub blob_base_fees: Vec<u128>,
    /// Part of its gas limit that each block used.
    pub gas_used_ratios: Vec<f64>,
    /// The same of blob gas.
    pub blob_gas_used_ratios: Vec<f64>,
    /// Tips at the asked percentiles of each block's gas; empty if none were asked for.
    pub rewards: Vec<Vec<u128>>,
}

/// What one block took.
#[derive(Clone, Debug)]
pub(crate) struct BlockFees {
    pub(crate) base_fee: u128,
    pub(crate) blob_base_fee: u128,
    pub(crate) gas_used_ratio: f64,
    pub(crate) blob_gas_used_ratio: f64,
    /// Base fee and blob base fee that the next block would have after a second.
    pub(crate) next: [u128; 2],
    /// Tip and gas of each transaction, the least tip first.
    pub(crate) paid: Vec<(u128, u64)>,
}

impl BlockFees {
    /// What a block with this header took; `paid` is tip and gas of each transaction.
    pub(crate) fn of(spec: &ChainSpec, header: &Header, mut paid: Vec<(u128, u64)>) -> Self {
        paid.sort_unstable();
        let blobs = spec.blob_params(header.timestamp);
        let blob_gas_max = blobs.map_or(0, |blobs| blobs.max_blob_gas_per_block());
        let timestamp = header.timestamp + 1;
        let next = next_base_fee(spec, header, timestamp).unwrap_or_default();
        let next_blob = next_blob_base_fee(spec, header, timestamp).unwrap_or_default();
        Self {
            base_fee: header.base_fee_per_gas.unwrap_or_default().into(),
            blob_base_fee: blob_base_fee(spec, header).unwrap_or_default(),
            gas_used_ratio: ratio(header.gas_used, header.gas_limit),
            blob_gas_used_ratio: ratio(header.blob_gas_used.unwrap_or_default(), blob_gas_max),
            next: [next.into(), next_blob],
            paid,
        }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a ratio for display")]
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The blob base fee of a block, from Cancun on.
pub fn blob_base_fee(spec: &ChainSpec, header: &Header) -> Option<u128> {
    let blobs = spec.blob_params(header.timestamp)?;
    header.excess_blob_gas.map(|excess| blobs.calc_blob_fee(excess))
}

/// The blob base fee of a block after `head` at `timestamp`, from Cancun on.
pub(crate) fn next_blob_base_fee(spec: &ChainSpec, head: &Header, timestamp: u64) -> Option<u128> {
    let blobs = spec.blob_params(timestamp)?;
    next_excess_blob_gas(spec, head, timestamp).map(|excess| blobs.calc_blob_fee(excess))
}

/// What a block asks of each of its transactions, in wei for a unit of gas.
#[derive(Clone, Copy, Debug)]
pub struct BaseFees {
    /// For gas, 0 before London.
    pub gas: u64,
    /// For blob gas, from Cancun on.
    pub blob: Option<u128>,
}

impl BaseFees {
    /// Those of the block that `header` begins.
    pub(crate) fn of(spec: &ChainSpec, header: &Header) -> Self {
        let gas = header.base_fee_per_gas.unwrap_or_default();
        Self { gas, blob: blob_base_fee(spec, header) }
    }
}

/// The tips, weighted by gas, at `percentiles` (ascending) of `(tip, gas used)` pairs, which ascend
/// too.
pub(crate) fn tips_at(percentiles: &[f64], paid: &[(u128, u64)]) -> Vec<u128> {
    let total: u64 = paid.iter().map(|(_, gas)| gas).sum();
    let mut tips = Vec::with_capacity(percentiles.len());
    let mut rest = paid.iter();
    let (mut tip, mut sum) = rest.next().copied().unwrap_or_default();
    for percentile in percentiles {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a gas sum is far below 2^52; geth cuts the threshold off"
        )]
        let threshold = (total as f64 * percentile / 100.0) as u64;
        while sum < threshold {
            let Some((next, gas)) = rest.next() else { break };
            tip = *next;
            sum += gas;
        }
        tips.push(tip);
    }
    tips
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(percentiles: &[f64], paid: &[(u128, u64)], want: &[u128]) {
        let header = Header::default();
        let spec = genesis::Genesis::dev(genesis::DevOptions::default()).spec;
        let fees = BlockFees::of(&spec, &header, paid.to_vec());
        assert_eq!(tips_at(percentiles, &fees.paid), want);
    }

    #[test]
    fn tips_are_weighted_by_gas() {
        check(&[0.0, 50.0, 100.0], &[], &[0, 0, 0]);
        check(&[10.0, 90.0], &[(5, 100)], &[5, 5]);
        check(&[0.0, 25.0, 26.0, 75.0, 100.0], &[(3, 75), (1, 25)], &[1, 1, 3, 3, 3]);
    }
}
