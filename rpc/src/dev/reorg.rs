//! Other blocks in place of the newest ones.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::{Reply, RpcError};
use crate::eth;
use crate::methods::Table;
use crate::request::{self, Quantity};
use alloy_consensus::TxEnvelope;
use alloy_consensus::transaction::Recovered;
use alloy_eips::BlockId;
use alloy_primitives::{Address, Bytes};
use alloy_rpc_types_eth::TransactionRequest;
use node::call::Overrides;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("anvil_reorg", reorg);
}

/// A transaction as anvil takes it here: its bytes, or a request of an unlocked account.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Wanted {
    Raw(Bytes),
    Request(Box<TransactionRequest>),
}

/// Depth, and pairs of a transaction and the new block that it goes into, counted from 0.
async fn reorg(api: Arc<Api>, mut arguments: Arguments) -> Reply<()> {
    let depth = arguments.number("depth")?;
    let mut pairs: Vec<(Wanted, Quantity)> =
        arguments.optional("transactions and blocks")?.unwrap_or_default();
    api.chain.check_depth("Reorg", depth)?;
    if let Some((_, Quantity(block))) = pairs.iter().find(|(_, block)| block.0 >= depth) {
        return Err(RpcError::invalid_params(format!(
            "Block number for reorg tx will exceed the reorged chain height. Block number {block} \
             must not exceed (depth-1) {}",
            depth.saturating_sub(1)
        )));
    }
    // A sender's nonces follow the order of the blocks.
    pairs.sort_by_key(|(_, block)| block.0);
    let mut ancestor =
        Ancestor { api: &api, number: api.chain.head().number() - depth, nonces: HashMap::new() };
    let mut transactions = Vec::new();
    for (wanted, Quantity(block)) in pairs {
        transactions.push((ancestor.transaction(wanted).await?, block));
    }
    Ok(api.chain.reorg(depth, transactions).await?)
}

/// The newest block that stays, and the nonces that senders need after it.
struct Ancestor<'a> {
    api: &'a Api,
    number: u64,
    nonces: HashMap<Address, u64>,
}

impl Ancestor<'_> {
    async fn transaction(&mut self, wanted: Wanted) -> Reply<Recovered<TxEnvelope>> {
        let (from, signed) = match wanted {
            Wanted::Raw(bytes) => {
                let signed = eth::decode_recovered(&bytes)?;
                let from = signed.signer();
                (from, signed)
            }
            Wanted::Request(request) => {
                let from = eth::sender_of(self.api, &request)?;
                (from, self.sign(from, *request).await?)
            }
        };
        let nonce = self.nonce(from).await?;
        *nonce = nonce.saturating_add(1);
        Ok(signed)
    }

    async fn nonce(&mut self, from: Address) -> Reply<&mut u64> {
        let nonce = match self.nonces.get(&from) {
            Some(nonce) => *nonce,
            None => self.api.chain.state(BlockId::number(self.number)).await?.nonce(from)?,
        };
        Ok(self.nonces.entry(from).or_insert(nonce))
    }

    /// Fills in a request as it would have been filled in right after the ancestor.
    async fn sign(
        &mut self,
        from: Address,
        mut request: TransactionRequest,
    ) -> Reply<Recovered<TxEnvelope>> {
        let chain = &self.api.chain;
        let id = BlockId::number(self.number);
        let header = chain.header(id).await?.ok_or_else(|| RpcError::no_block(id))?;
        if request.gas_price.is_none() && request.max_fee_per_gas.is_none() {
            // The fees of the ancestor's time may have been higher than those of now.
            let now = chain.next_base_fee().unwrap_or_default();
            let base_fee = u128::from(now.max(header.base_fee_per_gas.unwrap_or_default()));
            let tip = *request.max_priority_fee_per_gas.get_or_insert(chain.suggested_tip());
            request.max_fee_per_gas = Some(tip + 3 * base_fee);
        }
        if request.gas.is_none() {
            request.from = Some(from);
            let call = request::call(request.clone())?;
            let estimate = chain.estimate_gas(call, id, Overrides::default()).await;
            // What the transaction needs may come about in an earlier one of the new blocks.
            request.gas = Some(estimate.unwrap_or(header.gas_limit));
        }
        if request.nonce.is_none() {
            request.nonce = Some(*self.nonce(from).await?);
        }
        let filled = eth::fill(self.api, from, request).await?;
        Ok(self.api.chain.sign_transaction(from, filled.into_transaction()?)?)
    }
}
