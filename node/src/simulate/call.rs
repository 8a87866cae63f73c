//! A call as a transaction: what it leaves out filled in, checked in geth's order.

use alloy_consensus::{
    EthereumTypedTransaction, Signed, TxEip1559, TxEip4844, TxEip4844Variant, TxEip7702,
    TxEnvelope, TxLegacy, TypedTransaction,
};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256, keccak256};
use alloy_rlp::{Encodable, Header as RlpHeader};
use executor::tx_env;
use revm::context::TxEnv;
use revm::state::AccountInfo;
use vm::TxError;

use super::SimulateError;
use crate::call::Call;
use crate::error::CallError;

/// What a call's transaction needs to know of its block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) chain_id: u64,
    /// The block's base fee, from London on.
    pub(super) base_fee: Option<u64>,
    pub(super) validation: bool,
}

/// A call's transaction.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) transaction: TxEnvelope,
    pub(super) sender: Address,
    pub(super) env: TxEnv,
}

/// The transaction of `call` with this gas and nonce. It is unsigned: its signature is zeros.
pub(super) fn make(
    call: &Call,
    (gas_limit, nonce): (u64, u64),
    place: Place,
) -> Result<Made, SimulateError> {
    let capped = call.max_fee_per_gas.is_some() || call.max_priority_fee_per_gas.is_some();
    if capped && call.gas_price.is_some() {
        return Err(CallError::MixedFees.into());
    }
    if let Some(have) = call.chain_id.filter(|id| *id != place.chain_id) {
        return Err(CallError::OtherChain { have, want: place.chain_id }.into());
    }
    let legacy = call.gas_price.is_some() || place.base_fee.is_none();
    let transaction = match (legacy, call.authorization_list.is_empty()) {
        (true, _) => TypedTransaction::Legacy(TxLegacy {
            chain_id: None,
            nonce,
            gas_price: call.gas_price.unwrap_or_default(),
            gas_limit,
            to: call.kind(),
            value: call.value,
            input: call.input.clone(),
        }),
        (false, false) => TypedTransaction::Eip7702(set_code(call, (gas_limit, nonce), place)?),
        (false, true) if !call.blob_versioned_hashes.is_empty() => {
            let blob = blob(call, (gas_limit, nonce), place)?;
            TypedTransaction::Eip4844(TxEip4844Variant::TxEip4844(blob))
        }
        (false, true) => TypedTransaction::Eip1559(TxEip1559 {
            chain_id: place.chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: call.max_fee_per_gas.unwrap_or_default(),
            max_priority_fee_per_gas: call.max_priority_fee_per_gas.unwrap_or_default(),
            to: call.kind(),
            value: call.value,
            access_list: call.access_list.clone().unwrap_or_default(),
            input: call.input.clone(),
        }),
    };
    let transaction = unsigned(transaction);
    let sender = call.from.unwrap_or_default();
    let mut env = tx_env(&transaction, sender);
    if legacy {
        // geth's message has them, whatever the transaction is.
        env.access_list = call.access_list.clone().unwrap_or_default();
    }
    Ok(Made { transaction, sender, env })
}

fn set_code(
    call: &Call,
    (gas_limit, nonce): (u64, u64),
    place: Place,
) -> Result<TxEip7702, SimulateError> {
    let to = call.to.ok_or(SimulateError::Transaction("authorizations need a callee"))?;
    Ok(TxEip7702 {
        chain_id: place.chain_id,
        nonce,
        gas_limit,
        max_fee_per_gas: call.max_fee_per_gas.unwrap_or_default(),
        max_priority_fee_per_gas: call.max_priority_fee_per_gas.unwrap_or_default(),
        to,
        value: call.value,
        access_list: call.access_list.clone().unwrap_or_default(),
        authorization_list: call.authorization_list.clone(),
        input: call.input.clone(),
    })
}

fn blob(
    call: &Call,
    (gas_limit, nonce): (u64, u64),
    place: Place,
) -> Result<TxEip4844, SimulateError> {
    let to = call.to.ok_or(SimulateError::Transaction("blobs need a callee"))?;
    Ok(TxEip4844 {
        chain_id: place.chain_id,
        nonce,
        gas_limit,
        max_fee_per_gas: call.max_fee_per_gas.unwrap_or_default(),
        max_priority_fee_per_gas: call.max_priority_fee_per_gas.unwrap_or_default(),
        to,
        value: call.value,
        access_list: call.access_list.clone().unwrap_or_default(),
        blob_versioned_hashes: call.blob_versioned_hashes.clone(),
        max_fee_per_blob_gas: call.max_fee_per_blob_gas.unwrap_or_default(),
        input: call.input.clone(),
    })
}

/// The transaction with a signature of zeros, under the hash that it has then.
pub fn unsigned(transaction: TypedTransaction) -> TxEnvelope {
    let zeros = Signature::new(U256::ZERO, U256::ZERO, false);
    match transaction {
        EthereumTypedTransaction::Legacy(legacy) => {
            let hash = keccak256(encode_legacy(&legacy));
            TxEnvelope::Legacy(Signed::new_unchecked(legacy, zeros, hash))
        }
        other => other.into_envelope(zeros),
    }
}

/// The bytes of an unsigned transaction. A legacy one has a `v` of 0, which no signed one has.
pub fn encode(transaction: &TxEnvelope, out: &mut dyn alloy_rlp::BufMut) {
    match transaction {
        TxEnvelope::Legacy(legacy) => out.put_slice(&encode_legacy(legacy.tx())),
        other => out.put_slice(&other.encoded_2718()),
    }
}

fn encode_legacy(legacy: &TxLegacy) -> Vec<u8> {
    let zero = 0u64;
    let to: Bytes = match legacy.to {
        TxKind::Call(to) => to.to_vec().into(),
        TxKind::Create => Bytes::new(),
    };
    let fields: [&dyn Encodable; 9] = [
        &legacy.nonce,
        &legacy.gas_price,
        &legacy.gas_limit,
        &to,
        &legacy.value,
        &legacy.input,
        &zero,
        &zero,
        &zero,
    ];
    let payload_length = fields.iter().map(|field| field.length()).sum();
    let mut out = Vec::with_capacity(payload_length + 9);
    RlpHeader { list: true, payload_length }.encode(&mut out);
    fields.iter().for_each(|field| field.encode(&mut out));
    out
}

/// Checks what geth checks before it looks at the gas that a transaction takes, in its order.
pub(super) fn check(env: &TxEnv, account: &AccountInfo, place: Place) -> Result<(), TxError> {
    let (address, nonce, next) = (env.caller, env.nonce, account.nonce);
    if place.validation {
        if next < nonce {
            return Err(TxError::NonceTooHigh { address, next, nonce });
        }
        if next > nonce {
            return Err(TxError::NonceTooLow { next, nonce });
        }
        if next == u64::MAX {
            return Err(TxError::NonceMax { address, nonce });
        }
    }
    let max_fee = env.gas_price;
    let tip = env.gas_priority_fee.unwrap_or(max_fee);
    let free = !place.validation && max_fee == 0 && tip == 0;
    if let Some(base_fee) = place.base_fee.filter(|_| !free) {
        if max_fee < tip {
            return Err(TxError::TipAboveFee { address, max_priority_fee: tip, max_fee });
        }
        if max_fee < u128::from(base_fee) {
            return Err(TxError::FeeTooLow { address, max_fee, base_fee });
        }
    }
    let blob_gas = env.blob_hashes.len() as u64 * alloy_eips::eip4844::DATA_GAS_PER_BLOB;
    let blobs = U256::from(blob_gas).checked_mul(U256::from(env.max_fee_per_blob_gas));
    let cost = U256::from(env.gas_limit)
        .checked_mul(U256::from(max_fee))
        .and_then(|cost| cost.checked_add(env.value))
        .and_then(|cost| cost.checked_add(blobs?))
        .ok_or(TxError::CostOverflow { address })?;
    if account.balance < cost {
        let balance = account.balance;
        return Err(TxError::InsufficientFunds { address, balance, cost });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::address;

    fn place(base_fee: Option<u64>, validation: bool) -> Place {
        Place { chain_id: 1, base_fee, validation }
    }

    fn env(call: Call, base_fee: Option<u64>) -> TxEnv {
        make(&call, (100_000, call.nonce.unwrap_or_default()), place(base_fee, true)).unwrap().env
    }

    fn call() -> Call {
        let from = Some(address!("0xc000000000000000000000000000000000000000"));
        Call { from, to: from, ..Call::default() }
    }

    /// The hash of what geth makes of it: `types.NewTx(&types.LegacyTx{...}).Hash()`.
    #[test]
    fn unsigned_transactions_have_zeros_for_a_signature() {
        let legacy = Call { gas_price: Some(0), ..call() };
        let made = make(&legacy, (21_000, 0), place(Some(7), false)).unwrap();
        let mut bytes = Vec::new();
        encode(&made.transaction, &mut bytes);
        let want =
            concat!("df80808252089", "4c00000000000000000000000000000000000000080", "80808080");
        assert_eq!(alloy_primitives::hex::encode(&bytes), want);
        assert_eq!(*made.transaction.tx_hash(), keccak256(&bytes));
        let dynamic = make(&call(), (21_000, 0), place(Some(7), false)).unwrap();
        assert_eq!(alloy_consensus::Typed2718::ty(&dynamic.transaction), 2);
        let old = make(&call(), (21_000, 0), place(None, false)).unwrap();
        assert_eq!(alloy_consensus::Typed2718::ty(&old.transaction), 0);
    }

    #[track_caller]
    fn check_text(call: Call, balance: u64, validation: bool, want: Option<&str>) {
        let account =
            AccountInfo { nonce: 5, balance: U256::from(balance), ..AccountInfo::default() };
        let have = check(&env(call, Some(10)), &account, place(Some(10), validation));
        assert_eq!(have.err().map(|error| error.to_string()).as_deref(), want);
    }

    #[test]
    fn checks_come_in_geths_order() {
        let nonce = |nonce| Call { nonce: Some(nonce), ..call() };
        let fees = |max, tip| Call {
            max_fee_per_gas: Some(max),
            max_priority_fee_per_gas: Some(tip),
            ..nonce(5)
        };
        let who = "0xC000000000000000000000000000000000000000";
        check_text(nonce(4), 0, true, Some("nonce too low: next nonce 5, tx nonce 4"));
        let high = format!("nonce too high: address {who}, tx: 6 state: 5");
        check_text(nonce(6), 0, true, Some(&high));
        let low = format!(
            "max fee per gas less than block base fee: address {who}, maxFeePerGas: 0, baseFee: 10"
        );
        check_text(nonce(5), 0, true, Some(&low));
        check_text(nonce(4), 0, false, None);
        let tip = format!(
            "max priority fee per gas higher than max fee per gas: address {who}, \
             maxPriorityFeePerGas: 3, maxFeePerGas: 2"
        );
        check_text(fees(2, 3), 0, false, Some(&tip));
        let poor = format!(
            "insufficient funds for gas * price + value: address {who} have 7 want 1000000"
        );
        check_text(fees(10, 0), 7, true, Some(&poor));
        check_text(fees(10, 0), 1_000_000, true, None);
        let value = Call { value: U256::from(1000), ..nonce(5) };
        let poor =
            format!("insufficient funds for gas * price + value: address {who} have 0 want 1000");
        check_text(value, 0, false, Some(&poor));
    }
}
