//! Waiting transactions at another price, and signatures under given bytes. (dev)

use super::fill::fill;
use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::{Reply, RpcError};
use crate::methods::Table;
use alloy_consensus::transaction::RlpEcdsaDecodableTx;
use alloy_consensus::{
    EthereumTypedTransaction, SignableTransaction, Transaction, TxEip1559, TxEip2930, TxEip4844,
    TxEip7702, TxLegacy, TypedTransaction,
};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rlp::{Decodable, Header};
use alloy_rpc_types_eth::TransactionRequest;
use std::sync::Arc;

/// Adds the methods of this file.
pub(crate) fn register_unlocked(table: &mut Table<Api>) {
    table.task("eth_resend", resend);
    table.task("eth_signRawTransaction", sign_raw);
}

/// geth's: the transaction is described as it waits, the new price and gas limit come after it.
async fn resend(api: Arc<Api>, mut arguments: Arguments) -> Reply<B256> {
    let wanted: TransactionRequest = arguments.required("transaction")?;
    let gas_price = arguments.optional::<U256>("gas price")?.filter(|price| !price.is_zero());
    let gas_limit = arguments.optional_number("gas limit")?.filter(|limit| *limit > 0);
    let missing = || RpcError::server("missing transaction nonce in transaction spec");
    let nonce = wanted.nonce.ok_or_else(missing)?;
    let from = wanted.from.unwrap_or_default();
    let mut filled = fill(&api, from, wanted).await?;
    let described = filled.clone().into_transaction()?;
    let waiting = api.chain.waiting_of(from, nonce);
    let same = waiting
        .is_some_and(|waiting| waiting.transaction.signature_hash() == described.signature_hash());
    if !same {
        let text = format!("transaction {} not found", described.signature_hash());
        return Err(RpcError::server(text));
    }
    if let Some(price) = gas_price {
        let request = &mut filled.0;
        request.gas_price = Some(price.saturating_to());
        (request.max_fee_per_gas, request.max_priority_fee_per_gas) = (None, None);
        request.transaction_type = None;
    }
    filled.0.gas = gas_limit.or(filled.0.gas);
    let signed = api.chain.sign_transaction(from, filled.into_transaction()?)?;
    Ok(api.chain.submit(signed).await?)
}

/// Signs the bytes of an unsigned transaction, as they are hashed for the signature; the second
/// argument names the account, the first unlocked one unless given.
async fn sign_raw(api: Arc<Api>, mut arguments: Arguments) -> Reply<Bytes> {
    let bytes: Bytes = arguments.required("transaction")?;
    let from: Option<Address> = arguments.optional("account")?;
    let first = || api.chain.accounts().first().copied();
    let from = from.or_else(first).ok_or_else(|| RpcError::server("unknown account"))?;
    let transaction = decode_unsigned(&bytes)
        .map_err(|error| RpcError::server(format!("transaction could not be decoded: {error}")))?;
    if let Some(have) = transaction.chain_id().filter(|have| *have != api.chain.chain_id()) {
        let want = api.chain.chain_id();
        let text = format!("chainId does not match node's (have={have}, want={want})");
        return Err(RpcError::server(text));
    }
    let signed = api.chain.sign_transaction(from, transaction)?;
    Ok(signed.into_inner().encoded_2718().into())
}

/// Reads a transaction without a signature.
fn decode_unsigned(bytes: &[u8]) -> alloy_rlp::Result<TypedTransaction> {
    let (first, mut rest) = bytes.split_first().ok_or(alloy_rlp::Error::InputTooShort)?;
    let transaction = match first {
        0x01 => EthereumTypedTransaction::Eip2930(unsigned::<TxEip2930>(&mut rest)?),
        0x02 => EthereumTypedTransaction::Eip1559(unsigned::<TxEip1559>(&mut rest)?),
        0x03 => EthereumTypedTransaction::Eip4844(unsigned::<TxEip4844>(&mut rest)?.into()),
        0x04 => EthereumTypedTransaction::Eip7702(unsigned::<TxEip7702>(&mut rest)?),
        _ => {
            rest = bytes;
            EthereumTypedTransaction::Legacy(unsigned_legacy(&mut rest)?)
        }
    };
    if rest.is_empty() { Ok(transaction) } else { Err(alloy_rlp::Error::UnexpectedLength) }
}

fn unsigned<T: RlpEcdsaDecodableTx>(rest: &mut &[u8]) -> alloy_rlp::Result<T> {
    T::rlp_decode(rest)
}

/// EIP-155 puts the chain's id and two zeros behind the fields.
fn unsigned_legacy(rest: &mut &[u8]) -> alloy_rlp::Result<TxLegacy> {
    let mut fields = Header::decode_bytes(rest, true)?;
    let mut legacy = TxLegacy::rlp_decode_fields(&mut fields)?;
    if !fields.is_empty() {
        legacy.chain_id = Some(u64::decode(&mut fields)?);
        let zeros = (u64::decode(&mut fields)?, u64::decode(&mut fields)?);
        if zeros != (0, 0) || !fields.is_empty() {
            return Err(alloy_rlp::Error::Custom("the transaction is signed already"));
        }
    }
    Ok(legacy)
}
