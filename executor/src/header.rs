//! Headers: what the next one holds before its block runs, and what running adds.

use alloc::vec::Vec;

use alloy_consensus::constants::EMPTY_OMMER_ROOT_HASH;
use alloy_consensus::proofs::{
    calculate_receipt_root, calculate_transaction_root, calculate_withdrawals_root,
};
use alloy_consensus::{Header, Sealed};
use alloy_primitives::{Address, B256, U256, keccak256};
use genesis::{ChainSpec, SpecId, logs_bloom};

use super::Body;

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

impl NextBlock {
    /// The header of the block after `parent`, before anything ran in it.
    pub fn header(&self, spec: &ChainSpec, parent: &Sealed<Header>) -> Header {
        let number = parent.number + 1;
        let fork = spec.fork(number, self.timestamp);
        let from = |start: SpecId| fork.is_enabled_in(start);
        // A chain that nobody mines keeps its difficulty until the merge takes it away.
        let merged = from(SpecId::MERGE);
        let difficulty = if merged { U256::ZERO } else { parent.difficulty };
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
/// A base fee of zero stays: it is how a dev chain is told to have none.
pub fn next_base_fee(spec: &ChainSpec, parent: &Header, timestamp: u64) -> Option<u64> {
    if !spec.fork(parent.number + 1, timestamp).is_enabled_in(SpecId::LONDON) {
        return None;
    }
    match parent.base_fee_per_gas {
        Some(0) => Some(0),
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
pub(super) fn complete(header: &mut Header, body: &Body) {
    let receipts: Vec<_> = body.receipts.iter().map(|receipt| receipt.envelope()).collect();
    header.transactions_root = calculate_transaction_root(&body.transactions);
    header.receipts_root = calculate_receipt_root(&receipts);
    header.logs_bloom =
        logs_bloom(body.receipts.iter().any(|receipt| !receipt.receipt.logs.is_empty()));
    header.withdrawals_root =
        body.withdrawals.as_ref().map(|withdrawals| calculate_withdrawals_root(withdrawals));
}
