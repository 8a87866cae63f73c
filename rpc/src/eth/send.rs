//! Transactions on their way in.

use super::fill::fill;
use crate::api::Api;
use crate::arguments::Arguments;
use crate::convert;
use crate::error::{Reply, RpcError};
use crate::methods::Table;
use alloy_consensus::transaction::RlpEcdsaDecodableTx;
use alloy_consensus::transaction::{Recovered, SignerRecoverable};
use alloy_consensus::{Transaction, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::{Address, B256, Bytes};
use alloy_rpc_types_eth::{TransactionReceipt, TransactionRequest};
use node::accounts::{AccountError, UnsignedTransaction};
use node::error::SubmitError;
use node::{Chain, Event};
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a synchronous send waits unless it says otherwise.
const SYNC_WAIT: Duration = Duration::from_secs(2);
/// The longest that it may ask for.
const SYNC_WAIT_MAX: Duration = Duration::from_secs(60);

/// Adds the methods that every profile has.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("eth_sendRawTransaction", send_raw);
    table.task("eth_sendRawTransactionSync", send_raw_sync);
}

/// Adds the methods that use the node's own accounts.
pub(crate) fn register_unlocked(table: &mut Table<Api>) {
    table.task("eth_sendTransaction", send);
    table.task("eth_sendTransactionSync", send_sync);
    table.task("eth_signTransaction", sign_transaction);
    table.task("eth_sendUnsignedTransaction", send_unsigned);
}

async fn send_raw(api: Arc<Api>, mut arguments: Arguments) -> Reply<B256> {
    submit_raw(&api, &arguments.required("transaction")?).await
}

/// Takes a signed transaction.
pub(super) async fn submit_raw(api: &Api, bytes: &Bytes) -> Reply<B256> {
    Ok(api.chain.submit(decode_recovered(bytes)?).await?)
}

/// Reads a signed transaction and finds its sender.
pub(crate) fn decode_recovered(bytes: &[u8]) -> Reply<Recovered<TxEnvelope>> {
    let transaction = decode(bytes)?;
    let sender = transaction.recover_signer().map_err(|_| RpcError::server("invalid sender"))?;
    Ok(Recovered::new_unchecked(transaction, sender))
}

fn decode(bytes: &[u8]) -> Reply<TxEnvelope> {
    let refused =
        |reason: String| RpcError::server(format!("transaction could not be decoded: {reason}"));
    let mut rest = bytes;
    let transaction = TxEnvelope::decode_2718(&mut rest).map_err(|error| {
        refused(match bytes.first() {
            None => "typed transaction too short: no bytes".to_owned(),
            Some(kind @ 5..0xc0) => format!("transaction type not supported: {kind:#04x}"),
            // alloy's error for a list is that it is none of the types.
            Some(0xc0..) => TxLegacy::rlp_decode_signed(&mut &*bytes)
                .map_or_else(|error| error.to_string(), |_| error.to_string()),
            Some(_) => error.to_string(),
        })
    })?;
    if !rest.is_empty() {
        return Err(refused(format!("{} bytes too many", rest.len())));
    }
    Ok(transaction)
}

async fn send_raw_sync(api: Arc<Api>, mut arguments: Arguments) -> Reply<TransactionReceipt> {
    let bytes = arguments.required("transaction")?;
    let wait = wait_of(&mut arguments)?;
    let events = api.chain.subscribe();
    let hash = submit_raw(&api, &bytes).await?;
    receipt_within(&api, hash, (events, wait)).await
}

async fn send_sync(api: Arc<Api>, mut arguments: Arguments) -> Reply<TransactionReceipt> {
    let wanted = arguments.transaction(&api.chain).await?;
    let wait = wait_of(&mut arguments)?;
    let events = api.chain.subscribe();
    let hash = send_unlocked(&api, wanted).await?.hash;
    receipt_within(&api, hash, (events, wait)).await
}

fn wait_of(arguments: &mut Arguments) -> Reply<Duration> {
    let wait = arguments.optional_number("timeout")?.map(Duration::from_millis);
    Ok(wait.unwrap_or(SYNC_WAIT).min(SYNC_WAIT_MAX))
}

async fn receipt_within(
    api: &Api,
    hash: B256,
    (mut events, wait): (tokio::sync::broadcast::Receiver<Event>, Duration),
) -> Reply<TransactionReceipt> {
    let sealed = async {
        loop {
            if let Some(receipt) = api.chain.receipt(hash)? {
                return Ok(convert::receipt(receipt));
            }
            // Lagging behind is no harm: the next look is at the chain itself.
            if let Err(tokio::sync::broadcast::error::RecvError::Closed) = events.recv().await {
                return Err(RpcError::internal("the node is stopped"));
            }
        }
    };
    tokio::time::timeout(wait, sealed).await.unwrap_or_else(|_| Err(RpcError::not_sealed(hash)))
}

async fn send(api: Arc<Api>, mut arguments: Arguments) -> Reply<B256> {
    Ok(send_unlocked(&api, arguments.transaction(&api.chain).await?).await?.hash)
}

/// As in anvil: no signature, and nobody need be impersonated.
async fn send_unsigned(api: Arc<Api>, mut arguments: Arguments) -> Reply<B256> {
    let wanted = arguments.transaction(&api.chain).await?;
    let missing = || RpcError::invalid_params("invalid argument 0 (transaction): from is missing");
    let from = wanted.from.ok_or_else(missing)?;
    Ok(send_as(&api, from, wanted, Chain::pass_transaction).await?.hash)
}

/// A transaction that was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    /// Its hash.
    pub(crate) hash: B256,
    /// Its nonce.
    pub(crate) nonce: u64,
}

/// Fills, signs and sends a transaction of one of the node's own accounts.
pub(crate) async fn send_unlocked(api: &Api, wanted: TransactionRequest) -> Reply<Sent> {
    let from = sender_of(api, &wanted)?;
    send_as(api, from, wanted, Chain::sign_transaction).await
}

async fn send_as(
    api: &Api,
    from: Address,
    wanted: TransactionRequest,
    sign: fn(&Chain, Address, UnsignedTransaction) -> Result<Recovered<TxEnvelope>, SubmitError>,
) -> Reply<Sent> {
    let mut filled = fill(api, from, wanted).await?;
    let reservation = match filled.0.nonce {
        Some(_) => None,
        None => {
            let next = api.chain.next_nonce(from)?;
            let reservation = api.reserved.reserve(from, next);
            filled.0.nonce = Some(reservation.nonce);
            Some(reservation)
        }
    };
    let signed = sign(&api.chain, from, filled.into_transaction()?)?;
    let nonce = signed.nonce();
    let hash = api.chain.submit(signed).await;
    drop(reservation);
    Ok(Sent { hash: hash?, nonce })
}

/// Who sends a request: the account that it names, if the node may send for it, or the first one.
pub(crate) fn sender_of(api: &Api, wanted: &TransactionRequest) -> Reply<Address> {
    let first = || api.chain.accounts().first().copied();
    let from = wanted.from.or_else(first).ok_or_else(|| RpcError::server("unknown account"))?;
    if api.chain.accounts().contains(&from) || api.chain.is_impersonated(from) {
        return Ok(from);
    }
    Err(SubmitError::from(AccountError::Unknown { address: from }).into())
}

/// A signed transaction: its bytes, and what is in them, as geth answers.
#[derive(Clone, Debug, Serialize)]
struct Signed {
    raw: Bytes,
    tx: TxEnvelope,
}

async fn sign_transaction(api: Arc<Api>, mut arguments: Arguments) -> Reply<Signed> {
    let wanted = arguments.transaction(&api.chain).await?;
    let from = sender_of(&api, &wanted)?;
    if !api.chain.has_key(from) {
        // An impersonated account sends, but what would pass for its signature is worth nothing.
        return Err(SubmitError::from(AccountError::Unknown { address: from }).into());
    }
    let mut filled = fill(&api, from, wanted).await?;
    if filled.0.nonce.is_none() {
        filled.0.nonce = Some(api.chain.next_nonce(from)?);
    }
    let signed = api.chain.sign_transaction(from, filled.into_transaction()?)?;
    let tx = signed.into_inner();
    Ok(Signed { raw: tx.encoded_2718().into(), tx })
}

/// Nonces of requests in flight: two at a time from one account must not get the same.
#[derive(Debug, Default)]
pub(crate) struct Reserved {
    accounts: Mutex<HashMap<Address, InFlight>>,
}

#[derive(Debug, Default)]
struct InFlight {
    next: u64,
    requests: usize,
}

/// A nonce that nobody else gets while this lives.
#[derive(Debug)]
pub(crate) struct Reservation<'a> {
    reserved: &'a Reserved,
    address: Address,
    nonce: u64,
}

impl Reserved {
    /// Reserves the first nonce of `address` from `next` on that is free.
    fn reserve(&self, address: Address, next: u64) -> Reservation<'_> {
        let mut accounts = self.accounts.lock();
        let in_flight = accounts.entry(address).or_default();
        let nonce = next.max(in_flight.next);
        in_flight.next = nonce.saturating_add(1);
        in_flight.requests += 1;
        Reservation { reserved: self, address, nonce }
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let mut accounts = self.reserved.accounts.lock();
        if let Some(in_flight) = accounts.get_mut(&self.address) {
            in_flight.requests -= 1;
            if in_flight.requests == 0 {
                accounts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_in_flight_get_different_nonces() {
        let reserved = Reserved::default();
        let address = Address::with_last_byte(1);
        let first = reserved.reserve(address, 5);
        let second = reserved.reserve(address, 5);
        let other = reserved.reserve(Address::ZERO, 5);
        assert_eq!((first.nonce, second.nonce, other.nonce), (5, 6, 5));
        drop(first);
        assert_eq!(reserved.reserve(address, 6).nonce, 7);
        drop(second);
        // Nobody is in flight any more: what failed leaves no gap.
        assert_eq!(reserved.reserve(address, 5).nonce, 5);
    }

    #[test]
    fn bad_bytes_are_named() {
        for (bytes, reason) in [
            (&[][..], "typed transaction too short: no bytes"),
            (&[0x12, 0x34], "transaction type not supported: 0x12"),
            (&[0xab; 32], "transaction type not supported: 0xab"),
            (&[0x02, 0xc0], "input too short"),
            (&[0xf8, 0x6b], "input too short"),
            (&[0xc0], "input too short"),
        ] {
            let error = decode(bytes).unwrap_err();
            let text = format!("transaction could not be decoded: {reason}");
            assert_eq!(error, RpcError::server(text));
        }
    }
}
