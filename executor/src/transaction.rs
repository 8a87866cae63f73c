//! Transactions as revm takes them and as blocks hold them.

use alloy_consensus::{Signed, Transaction, TxEip4844Variant, TxEnvelope, Typed2718};
use alloy_primitives::Address;
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
