//! Fees: what the node suggests, and what blocks of the past took.

use alloy_consensus::Header;
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

/// The blob base fee of a block, from Cancun on.
pub fn blob_base_fee(spec: &ChainSpec, header: &Header) -> Option<u128> {
    let blobs = spec.blob_params(header.timestamp)?;
    header.excess_blob_gas.map(|excess| blobs.calc_blob_fee(excess))
}

/// The tips, weighted by gas, at `percentiles` (ascending) of `(tip, gas used)` pairs.
pub fn tips_at(percentiles: &[f64], mut paid: Vec<(u128, u64)>) -> Vec<u128> {
    paid.sort_unstable();
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
        assert_eq!(tips_at(percentiles, paid.to_vec()), want);
    }

    #[test]
    fn tips_are_weighted_by_gas() {
        check(&[0.0, 50.0, 100.0], &[], &[0, 0, 0]);
        check(&[10.0, 90.0], &[(5, 100)], &[5, 5]);
        check(&[0.0, 25.0, 26.0, 75.0, 100.0], &[(3, 75), (1, 25)], &[1, 1, 3, 3, 3]);
    }
}
