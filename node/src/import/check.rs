//! What the header of a block must be like, seen from its parent, and what its body must match.

use std::collections::{HashMap, HashSet};

use alloy_consensus::constants::MAXIMUM_EXTRA_DATA_SIZE;
use alloy_consensus::proofs::{calculate_ommers_root, calculate_transaction_root};
use alloy_consensus::{Block, Header, Sealed, TxEnvelope};
use alloy_primitives::B256;
use genesis::{ChainSpec, DAO_EXTRA_DATA, SpecId};
use storage::ExecutedBlock;

use super::error::{FieldValue, ImportError, OmmerProblem};
use executor::{NextBlock, OMMER_DEPTH_MAX, gas_limits};

/// Most ommers of a block.
const OMMERS_MAX: u64 = 2;

/// The header that `actual` must be as far as its parent tells; what execution gives is taken over
/// from `actual`.
pub(crate) fn expected(
    spec: &ChainSpec,
    parent: &Sealed<Header>,
    actual: &Header,
) -> Result<Header, ImportError> {
    let number = actual.number;
    follows(parent, actual)?;
    bounds(spec, parent, actual)?;
    let next = NextBlock {
        timestamp: actual.timestamp,
        gas_limit: actual.gas_limit,
        coinbase: actual.beneficiary,
        base_fee: None,
        prev_randao: Some(actual.mix_hash),
    };
    let mut header = next.header(spec, parent);
    let from = |start: SpecId| spec.fork(header.number, actual.timestamp).is_enabled_in(start);
    let merged = from(SpecId::MERGE);
    if !merged {
        (header.ommers_hash, header.nonce) = (actual.ommers_hash, actual.nonce);
    }
    header.mix_hash = actual.mix_hash;
    header.extra_data = actual.extra_data.clone();
    header.state_root = actual.state_root;
    header.transactions_root = actual.transactions_root;
    header.receipts_root = actual.receipts_root;
    header.logs_bloom = actual.logs_bloom;
    header.gas_used = actual.gas_used;
    let there = |given: Option<B256>, from: bool| from.then(|| given.unwrap_or_default());
    header.withdrawals_root = there(actual.withdrawals_root, from(SpecId::SHANGHAI));
    header.parent_beacon_block_root = there(actual.parent_beacon_block_root, from(SpecId::CANCUN));
    header.requests_hash = there(actual.requests_hash, from(SpecId::PRAGUE));
    header.block_access_list_hash = there(actual.block_access_list_hash, from(SpecId::AMSTERDAM));
    header.blob_gas_used = header.blob_gas_used.map(|zero| actual.blob_gas_used.unwrap_or(zero));
    header.slot_number = header.slot_number.map(|slot| actual.slot_number.unwrap_or(slot));
    if !spec.is_ethereum() {
        // Dev methods set it as they like.
        header.base_fee_per_gas =
            header.base_fee_per_gas.map(|fee| actual.base_fee_per_gas.unwrap_or(fee));
    }
    same(number, &header, actual)?;
    Ok(header)
}

/// Refuses a block that does not come right after `parent`.
fn follows(parent: &Sealed<Header>, actual: &Header) -> Result<(), ImportError> {
    let number = actual.number;
    let (expected, given) = (FieldValue::Number(parent.number + 1), FieldValue::Number(number));
    if expected != given {
        return Err(ImportError::Field { number, field: "number", expected, actual: given });
    }
    if actual.parent_hash != parent.hash() {
        let (expected, actual) =
            (FieldValue::Hash(parent.hash()), FieldValue::Hash(actual.parent_hash));
        return Err(ImportError::Field { number, field: "parentHash", expected, actual });
    }
    Ok(())
}

/// Refuses the first field in which `actual` is not as `expected`.
pub(crate) fn same(number: u64, expected: &Header, actual: &Header) -> Result<(), ImportError> {
    for ((field, expected), (_, actual)) in fields(expected).into_iter().zip(fields(actual)) {
        if expected != actual {
            return Err(ImportError::Field { number, field, expected, actual });
        }
    }
    Ok(())
}

/// Refuses a body that the header's roots are not of.
pub(crate) fn same_body(block: &Block<TxEnvelope>, fork: SpecId) -> Result<(), ImportError> {
    let Block { header, body } = block;
    let number = header.number;
    let wrong =
        |field, expected, actual| Err(ImportError::Field { number, field, expected, actual });
    let transactions = calculate_transaction_root(&body.transactions);
    if header.transactions_root != transactions {
        let actual = FieldValue::Hash(header.transactions_root);
        return wrong("transactionsRoot", FieldValue::Hash(transactions), actual);
    }
    let ommers = calculate_ommers_root(&body.ommers);
    if header.ommers_hash != ommers {
        let (expected, actual) = (FieldValue::Hash(ommers), FieldValue::Hash(header.ommers_hash));
        return wrong("sha3Uncles", expected, actual);
    }
    match (&body.withdrawals, fork.is_enabled_in(SpecId::SHANGHAI)) {
        (None, true) => wrong("withdrawals", FieldValue::Some, FieldValue::None),
        (Some(_), false) => wrong("withdrawals", FieldValue::None, FieldValue::Some),
        _ => Ok(()),
    }
}

fn bounds(spec: &ChainSpec, parent: &Sealed<Header>, header: &Header) -> Result<(), ImportError> {
    let number = header.number;
    let wrong = |field, expected, actual| {
        Err(ImportError::Field { number, field, expected, actual: FieldValue::Number(actual) })
    };
    if header.timestamp <= parent.timestamp {
        return wrong("timestamp", FieldValue::Above(parent.timestamp), header.timestamp);
    }
    if header.gas_used > header.gas_limit {
        return wrong("gasUsed", FieldValue::AtMost(header.gas_limit), header.gas_used);
    }
    if !spec.is_ethereum() {
        return Ok(());
    }
    let extra = header.extra_data.len() as u64;
    if header.extra_data.len() > MAXIMUM_EXTRA_DATA_SIZE {
        let max = MAXIMUM_EXTRA_DATA_SIZE as u64;
        return wrong("size of extraData", FieldValue::AtMost(max), extra);
    }
    if let Some(supported) = spec.dao_extra_data(number)
        && supported != (header.extra_data[..] == *DAO_EXTRA_DATA)
    {
        let (mut expected, mut actual) = (FieldValue::Some, FieldValue::None);
        if !supported {
            std::mem::swap(&mut expected, &mut actual);
        }
        let field = "extraData of the DAO fork";
        return Err(ImportError::Field { number, field, expected, actual });
    }
    let london = spec.fork(number, header.timestamp).is_enabled_in(SpecId::LONDON);
    let limits = gas_limits(parent, london);
    if !limits.contains(&header.gas_limit) {
        let (low, high) = limits.into_inner();
        return wrong("gasLimit", FieldValue::Between(low, high), header.gas_limit);
    }
    Ok(())
}

/// Refuses ommers that the block may not have. `ancestors` are the blocks before it, the newest
/// first, [`OMMER_DEPTH_MAX`] of them if there are as many.
pub(crate) fn ommers(
    spec: &ChainSpec,
    block: &Block<TxEnvelope>,
    ancestors: &[ExecutedBlock],
) -> Result<(), ImportError> {
    let (number, ommers) = (block.header.number, &block.body.ommers);
    let count = ommers.len() as u64;
    if count > OMMERS_MAX {
        let (expected, actual) = (FieldValue::AtMost(OMMERS_MAX), FieldValue::Number(count));
        return Err(ImportError::Field { number, field: "number of uncles", expected, actual });
    }
    let by_hash: HashMap<B256, &Sealed<Header>> =
        ancestors.iter().map(|ancestor| (ancestor.hash(), &ancestor.header)).collect();
    let earlier = ancestors.iter().flat_map(|ancestor| &ancestor.ommers).map(Header::hash_slow);
    let mut taken: HashSet<B256> = earlier.collect();
    for (index, ommer) in ommers.iter().enumerate() {
        let hash = ommer.hash_slow();
        let wrong = |problem| Err(ImportError::Ommer { number, index, problem });
        if !taken.insert(hash) {
            return wrong(OmmerProblem::Twice { hash });
        }
        if by_hash.contains_key(&hash) {
            return wrong(OmmerProblem::Ancestor { hash });
        }
        let parent = by_hash.get(&ommer.parent_hash);
        // A child of the block's own parent would be its sibling.
        let parent = parent.filter(|_| ommer.parent_hash != block.header.parent_hash);
        let Some(parent) = parent else {
            let (parent, depth) = (ommer.parent_hash, OMMER_DEPTH_MAX - 1);
            return wrong(OmmerProblem::Dangling { parent, depth });
        };
        if let Err(error) = expected(spec, parent, ommer) {
            return wrong(OmmerProblem::Header(Box::new(error)));
        }
    }
    Ok(())
}

/// A header's fields under the names that JSON-RPC has for them, those that place the block first.
fn fields(header: &Header) -> [(&'static str, FieldValue); 23] {
    let bytes = |bytes: &[u8]| FieldValue::Bytes(bytes.to_vec().into());
    [
        ("number", FieldValue::Number(header.number)),
        ("parentHash", FieldValue::Hash(header.parent_hash)),
        ("timestamp", FieldValue::Number(header.timestamp)),
        ("miner", bytes(header.beneficiary.as_slice())),
        ("difficulty", FieldValue::Word(header.difficulty)),
        ("sha3Uncles", FieldValue::Hash(header.ommers_hash)),
        ("gasLimit", FieldValue::Number(header.gas_limit)),
        ("extraData", FieldValue::Bytes(header.extra_data.clone())),
        ("mixHash", FieldValue::Hash(header.mix_hash)),
        ("nonce", bytes(header.nonce.as_slice())),
        ("baseFeePerGas", header.base_fee_per_gas.into()),
        ("excessBlobGas", header.excess_blob_gas.into()),
        ("parentBeaconBlockRoot", header.parent_beacon_block_root.into()),
        ("slotNumber", header.slot_number.into()),
        ("transactionsRoot", FieldValue::Hash(header.transactions_root)),
        ("withdrawalsRoot", header.withdrawals_root.into()),
        ("gasUsed", FieldValue::Number(header.gas_used)),
        ("blobGasUsed", header.blob_gas_used.into()),
        ("receiptsRoot", FieldValue::Hash(header.receipts_root)),
        ("logsBloom", FieldValue::Bloom(Box::new(header.logs_bloom))),
        ("requestsHash", header.requests_hash.into()),
        ("blockAccessListHash", header.block_access_list_hash.into()),
        ("stateRoot", FieldValue::Hash(header.state_root)),
    ]
}
