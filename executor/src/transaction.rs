//! Transactions as revm takes them and as blocks hold them.

use alloy_consensus::{Signed, Transaction, TxEip4844Variant, TxEnvelope, Typed2718};
use alloy_primitives::{Address, Signature, U256};
use revm::context::TxEnv;
use revm::context_interface::either::Either;

/// The environment in which revm runs `transaction` of `sender`.
pub fn tx_env(transaction: &TxEnvelope, sender: Address) -> TxEnv {
    let authorizations = transaction.authorization_list().unwrap_or_default();
    TxEnv {
        tx_type: transaction.ty(),
        caller: sender,
        gas_limit: transaction.gas_limit(),
        gas_price: transaction.max_fee_per_gas(),
        kind: transaction.kind(),
        value: transaction.value(),
        data: transaction.input().clone(),
        nonce: transaction.nonce(),
        chain_id: transaction.chain_id(),
        access_list: transaction.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: transaction.max_priority_fee_per_gas(),
        blob_hashes: transaction.blob_versioned_hashes().unwrap_or_default().to_vec(),
        max_fee_per_blob_gas: transaction.max_fee_per_blob_gas().unwrap_or_default(),
        authorization_list: authorizations.iter().cloned().map(Either::Left).collect(),
    }
}

/// The transaction as a block holds it: its blobs travel beside the chain.
pub fn without_sidecar(transaction: TxEnvelope) -> TxEnvelope {
    match transaction {
        TxEnvelope::Eip4844(signed) => {
            let (transaction, signature, hash) = signed.into_parts();
            let bare = TxEip4844Variant::TxEip4844(transaction.into());
            TxEnvelope::Eip4844(Signed::new_unchecked(bare, signature, hash))
        }
        other => other,
    }
}

/// The signature of a transaction that its sender did not sign: r is the sender, s is zero.
///
/// No key can make such a signature, so it cannot come from outside. It keeps the sender with the
/// transaction wherever that is stored, and makes the hash differ between two senders.
pub fn impersonated_signature(sender: Address) -> Signature {
    Signature::new(U256::from_be_slice(sender.as_slice()), U256::ZERO, false)
}

/// The sender that an impersonated transaction names, if it is one.
pub fn impersonated_sender(signature: &Signature) -> Option<Address> {
    let r = signature.r();
    (signature.s().is_zero() && r >> 160 == U256::ZERO)
        .then(|| Address::from_slice(&r.to_be_bytes::<32>()[12..]))
}
