//! Sending transactions.

use std::thread::sleep;
use std::time::{Duration, Instant};

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{
    Address, B256, Bytes, LogData, TxKind, U64, U128, U256, utils::parse_units,
};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::abi::Known;
use crate::node::Node;
use crate::{Failure, Report};

/// From whom, and with what.
#[derive(Debug, Args)]
pub(crate) struct Sender {
    #[command(flatten)]
    pub(crate) node: Node,
    /// Sends from this account, which the node has unlocked; its first one if not given
    #[arg(long, value_name = "ADDRESS", conflicts_with = "private_key")]
    from: Option<Address>,
    /// Signs with this key [env: ETH_PRIVATE_KEY]
    #[arg(
        long,
        value_name = "KEY",
        env = "ETH_PRIVATE_KEY",
        hide_env = true,
        hide_env_values = true
    )]
    private_key: Option<String>,
    /// Wei that go with it: 5, 30gwei, 1ether
    #[arg(long, value_name = "AMOUNT", default_value = "0")]
    value: String,
    /// Most gas that it may use; as much as the node finds that it needs if not given
    #[arg(long, value_name = "GAS")]
    gas: Option<u64>,
}

/// How long a transaction may take to get into a block.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// What the node says of a transaction in a block.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    status: U64,
    gas_used: U64,
    block_number: U64,
    contract_address: Option<Address>,
    logs: Vec<Log>,
}

#[derive(Deserialize)]
struct Log {
    topics: Vec<B256>,
    data: Bytes,
}

/// A number of wei, with or without a unit.
pub(crate) fn amount(text: &str) -> Result<U256, Failure> {
    let fail = || Failure::Amount { text: text.to_owned() };
    if let Some(digits) = text.strip_prefix("0x") {
        return U256::from_str_radix(digits, 16).map_err(|_| fail());
    }
    let at = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    if number.trim().is_empty() || number.starts_with('-') {
        return Err(fail());
    }
    let unit = if unit.is_empty() { "wei" } else { unit };
    let parsed = parse_units(number.trim(), unit).map_err(|_| fail())?;
    Ok(parsed.get_absolute())
}

impl Sender {
    /// Sends a transaction (a creation without `to`), waits for its block, and reports it.
    pub(crate) fn send(
        &self,
        to: Option<Address>,
        data: &Bytes,
        known: &Known,
    ) -> Result<Report, Failure> {
        let value = amount(&self.value)?;
        let hash = match &self.private_key {
            Some(key) => self.send_signed(&key.parse()?, to, data, value),
            None => self.send_unlocked(to, data, value),
        };
        let hash = hash.map_err(|failure| known.explain(failure))?;
        let receipt = self.receipt(hash)?;
        if receipt.status != U64::from(1) {
            let reason = self.reason(to, data, value, known);
            return Err(Failure::Failed { hash: hash.to_string(), reason });
        }
        let mut report = Report::default();
        if let Some(address) = receipt.contract_address {
            report = report.with("address", address.to_string());
        }
        let logs = receipt.logs.iter().filter_map(|log| {
            let log = LogData::new(log.topics.clone(), log.data.clone())?;
            Some(Value::from(known.event(&log).unwrap_or_else(|| format!("{log:?}"))))
        });
        Ok(report
            .with("transaction", hash.to_string())
            .with("block", receipt.block_number.to::<u64>())
            .with("gas", receipt.gas_used.to::<u64>())
            .with("events", logs.collect::<Vec<_>>()))
    }

    /// Who sends what is not signed here.
    fn account(&self) -> Result<Address, Failure> {
        match self.from {
            Some(from) => Ok(from),
            None => {
                let accounts: Vec<Address> = self.node.ask("eth_accounts", json!([]))?;
                accounts.first().copied().ok_or(Failure::NoAccount)
            }
        }
    }

    fn request(&self, from: Address, to: Option<Address>, data: &Bytes, value: U256) -> Value {
        let mut request = json!({ "from": from, "data": data, "value": value });
        if let Some(to) = to {
            request["to"] = json!(to);
        }
        if let Some(gas) = self.gas {
            request["gas"] = json!(U64::from(gas));
        }
        request
    }

    fn send_unlocked(
        &self,
        to: Option<Address>,
        data: &Bytes,
        value: U256,
    ) -> Result<B256, Failure> {
        let mut request = self.request(self.account()?, to, data, value);
        if self.gas.is_none() {
            let gas: U64 = self.node.ask("eth_estimateGas", json!([request]))?;
            request["gas"] = json!(gas);
        }
        self.node.ask("eth_sendTransaction", json!([request]))
    }

    fn send_signed(
        &self,
        key: &PrivateKeySigner,
        to: Option<Address>,
        data: &Bytes,
        value: U256,
    ) -> Result<B256, Failure> {
        let from = key.address();
        let gas: U64 = match self.gas {
            Some(gas) => U64::from(gas),
            None => {
                let request = self.request(from, to, data, value);
                self.node.ask("eth_estimateGas", json!([request]))?
            }
        };
        let number = |method, params| self.node.ask::<U64>(method, params).map(|n| n.to::<u64>());
        let chain_id = number("eth_chainId", json!([]))?;
        let nonce = number("eth_getTransactionCount", json!([from, "pending"]))?;
        let tip: U128 = self.node.ask("eth_maxPriorityFeePerGas", json!([]))?;
        let price: U128 = self.node.ask("eth_gasPrice", json!([]))?;
        let max_priority_fee_per_gas = tip.to::<u128>();
        let transaction = TxEip1559 {
            chain_id,
            nonce,
            gas_limit: gas.to(),
            // The base fee may double until it is in a block.
            max_fee_per_gas: price.to::<u128>().saturating_mul(2).max(max_priority_fee_per_gas),
            max_priority_fee_per_gas,
            to: to.map_or(TxKind::Create, TxKind::Call),
            value,
            access_list: Default::default(),
            input: data.clone(),
        };
        let signature = key.sign_hash_sync(&transaction.signature_hash())?;
        let raw = TxEnvelope::from(transaction.into_signed(signature)).encoded_2718();
        self.node.ask("eth_sendRawTransaction", json!([Bytes::from(raw)]))
    }

    fn receipt(&self, hash: B256) -> Result<Receipt, Failure> {
        let start = Instant::now();
        let mut pause = PAUSE_MIN;
        while start.elapsed() < PATIENCE {
            let found: Option<Receipt> =
                self.node.ask("eth_getTransactionReceipt", json!([hash]))?;
            if let Some(receipt) = found {
                return Ok(receipt);
            }
            sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Err(Failure::NotMined { hash: hash.to_string(), seconds: PATIENCE.as_secs() })
    }

    /// Why a transaction that is in a block failed, as a call of the same says.
    fn reason(&self, to: Option<Address>, data: &Bytes, value: U256, known: &Known) -> String {
        let from = match &self.private_key {
            Some(key) => key.parse::<PrivateKeySigner>().map(|key| key.address()).ok(),
            None => self.account().ok(),
        };
        let request = self.request(from.unwrap_or_default(), to, data, value);
        match self.node.ask::<Bytes>("eth_call", json!([request, "latest"])) {
            Err(failure) => match known.explain(failure) {
                Failure::Reverted { reason, .. } => reason,
                other => other.to_string(),
            },
            Ok(_) => "for a reason that a call of the same does not show".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_units() {
        let check = |text: &str, wei: u128| assert_eq!(amount(text).unwrap(), U256::from(wei));
        check("0", 0);
        check("5", 5);
        check("0x10", 16);
        check("30gwei", 30_000_000_000);
        check("1.5 ether", 1_500_000_000_000_000_000);
        for text in ["", "ether", "-1", "1parsec", "0xg"] {
            assert!(amount(text).is_err(), "{text}");
        }
    }
}
