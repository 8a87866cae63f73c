//! Headers: what the next one holds before its block runs, and what running adds.

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use alloy_consensus::constants::EMPTY_OMMER_ROOT_HASH;
use alloy_consensus::proofs::{
    calculate_receipt_root, calculate_transaction_root, calculate_withdrawals_root,
};
use alloy_consensus::{Header, Sealed};
use alloy_eips::eip1559::DEFAULT_ELASTICITY_MULTIPLIER;
use alloy_primitives::{Address, B256, Bloom, Bytes, U256, keccak256};
use genesis::{ChainSpec, DAO_EXTRA_DATA, Headers, SpecId};

use super::{Body, proof_of_work};

/// What the producer of a block decides.
#[derive(Clone, Debug)]
pub struct NextBlock {
    /// Its timestamp, later than the parent's.
    pub timestamp: u64,
    /// Its gas limit.
    pub gas_limit: u64,
    /// Who gets the fees.
    pub coinbase: Address,
    /// Its base fee, if that is not to follow from the parent.
    pub base_fee: Option<u64>,
    /// Its randomness, if that is not to follow from the parent.
    pub prev_randao: Option<B256>,
}

/// The least gas limit of a block.
const GAS_LIMIT_MIN: u64 = 5_000;
/// A gas limit moves by less than this part of the parent's.
const GAS_LIMIT_DIVISOR: u64 = 1_024;

/// The gas limits that a block after `parent` may have where headers are as other clients make
/// them; `london` says whether it has a base fee.
pub fn gas_limits(parent: &Header, london: bool) -> RangeInclusive<u64> {
    // EIP-1559: from the first block with a base fee on, the limit means twice as much.
    let first = london && parent.base_fee_per_gas.is_none();
    let factor = if first { DEFAULT_ELASTICITY_MULTIPLIER } else { 1 };
    let usual = parent.gas_limit.saturating_mul(factor);
    let step = (usual / GAS_LIMIT_DIVISOR).saturating_sub(1);
    usual.saturating_sub(step).max(GAS_LIMIT_MIN)..=usual.saturating_add(step)
}

impl NextBlock {
    /// The same with a gas limit that the block after `parent` may have.
    pub fn within_limits(mut self, spec: &ChainSpec, parent: &Header) -> Self {
        if spec.is_ethereum() {
            let fork = spec.fork(parent.number + 1, self.timestamp);
            let limits = gas_limits(parent, fork.is_enabled_in(SpecId::LONDON));
            self.gas_limit = self.gas_limit.max(*limits.start()).min(*limits.end());
        }
        self
    }

    /// The header of the block after `parent`, before anything ran in it.
    pub fn header(&self, spec: &ChainSpec, parent: &Sealed<Header>) -> Header {
        let number = parent.number + 1;
        let fork = spec.fork(number, self.timestamp);
        let from = |start: SpecId| fork.is_enabled_in(start);
        let merged = from(SpecId::MERGE);
        let difficulty = match spec.headers {
            _ if merged => U256::ZERO,
            Headers::Ethereum => proof_of_work::difficulty(spec, parent, self.timestamp),
            // A chain that nobody mines keeps its difficulty until the merge takes it away.
            Headers::Tandem => parent.difficulty,
        };
        let base_fee = self.base_fee.or_else(|| next_base_fee(spec, parent, self.timestamp));
        Header {
            parent_hash: parent.hash(),
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: self.coinbase,
            difficulty,
            number,
            gas_limit: self.gas_limit,
            timestamp: self.timestamp,
            mix_hash: if merged { self.randomness(parent) } else { B256::ZERO },
            base_fee_per_gas: base_fee.filter(|_| from(SpecId::LONDON)),
            blob_gas_used: from(SpecId::CANCUN).then_some(0),
            excess_blob_gas: next_excess_blob_gas(spec, parent, self.timestamp),
            parent_beacon_block_root: from(SpecId::CANCUN).then_some(B256::ZERO),
            extra_data: match spec.dao_extra_data(number) {
                Some(true) => DAO_EXTRA_DATA.into(),
                _ => Bytes::new(),
            },
            slot_number: from(SpecId::AMSTERDAM)
                .then(|| parent.slot_number.unwrap_or(parent.number) + 1),
            ..Header::default()
        }
    }

    /// Without a beacon chain the randomness follows from the parent: the same on every replay.
    fn randomness(&self, parent: &Sealed<Header>) -> B256 {
        self.prev_randao.unwrap_or_else(|| keccak256(parent.hash()))
    }
}

/// The base fee of the block after `parent` (EIP-1559), from London on.
///
/// A base fee of zero stays: it is how a dev chain is told to have none. Not where headers are as
/// other clients make them.
pub fn next_base_fee(spec: &ChainSpec, parent: &Header, timestamp: u64) -> Option<u64> {
    if !spec.fork(parent.number + 1, timestamp).is_enabled_in(SpecId::LONDON) {
        return None;
    }
    match parent.base_fee_per_gas {
        Some(0) if !spec.is_ethereum() => Some(0),
        Some(_) => parent.next_block_base_fee(spec.base_fee_params()),
        None => Some(alloy_eips::eip1559::INITIAL_BASE_FEE),
    }
}

/// The excess blob gas of the block after `parent` (EIP-4844, EIP-7918), from Cancun on.
pub fn next_excess_blob_gas(spec: &ChainSpec, parent: &Header, timestamp: u64) -> Option<u64> {
    let blobs = spec.blob_params(timestamp)?;
    let (Some(excess), Some(used)) = (parent.excess_blob_gas, parent.blob_gas_used) else {
        return Some(0);
    };
    let base_fee = parent.base_fee_per_gas.unwrap_or_default();
    Some(blobs.next_block_excess_blob_gas_osaka(excess, used, base_fee))
}

/// Fills in the roots of the block's body.
pub(super) fn complete(header: &mut Header, body: &Body, headers: Headers) {
    let receipts: Vec<_> = body.receipts.iter().map(|receipt| receipt.envelope(headers)).collect();
    header.transactions_root = calculate_transaction_root(&body.transactions);
    header.receipts_root = calculate_receipt_root(&receipts);
    header.logs_bloom =
        receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | *receipt.logs_bloom());
    header.withdrawals_root =
        body.withdrawals.as_ref().map(|withdrawals| calculate_withdrawals_root(withdrawals));
}
