//! The state as a file, in the form of anvil's `--dump-state` and `anvil_dumpState`.
//!
//! Accounts go out and come in; of the block only what the next one follows from. Blocks and
//! transactions are not part of it: a chain that is to be kept has a data directory.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};
use vm::AccountEdit;

use crate::chain::{Chain, blocking};
use crate::error::{DevError, QueryError};
use crate::query::StateView;

/// How a gzip file starts.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

#[derive(Serialize, Deserialize)]
struct StateDump {
    #[serde(default)]
    block: Option<BlockDump>,
    accounts: BTreeMap<Address, AccountDump>,
    #[serde(default)]
    best_block_number: Option<U256>,
    #[serde(default)]
    blocks: Vec<serde_json::Value>,
    #[serde(default)]
    transactions: Vec<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct BlockDump {
    number: U256,
    #[serde(alias = "coinbase")]
    beneficiary: Address,
    timestamp: U256,
    gas_limit: serde_json::Value,
    basefee: serde_json::Value,
    difficulty: U256,
    #[serde(default)]
    prevrandao: Option<B256>,
}

#[derive(Serialize, Deserialize)]
struct AccountDump {
    nonce: serde_json::Value,
    balance: U256,
    code: Bytes,
    #[serde(deserialize_with = "read_storage")]
    storage: BTreeMap<B256, B256>,
}

impl Chain {
    /// The state at the head as JSON.
    pub async fn dump_state(&self) -> Result<Vec<u8>, DevError> {
        let view = self.state(alloy_eips::BlockId::latest()).await.map_err(failure)?;
        let header = self.head().header.clone();
        blocking(move || {
            let dump = StateDump {
                block: Some(BlockDump {
                    number: U256::from(header.number),
                    beneficiary: header.beneficiary,
                    timestamp: U256::from(header.timestamp),
                    gas_limit: header.gas_limit.into(),
                    basefee: header.base_fee_per_gas.unwrap_or_default().into(),
                    difficulty: header.difficulty,
                    prevrandao: Some(header.mix_hash),
                }),
                accounts: accounts(&view)?,
                best_block_number: Some(U256::from(header.number)),
                blocks: Vec::new(),
                transactions: Vec::new(),
            };
            serde_json::to_vec(&dump).map_err(|error| DevError::Dump(error.to_string()))
        })
        .await?
    }

    /// Puts the accounts of a dump over those of the chain.
    pub async fn load_state(&self, dump: Vec<u8>) -> Result<(), DevError> {
        // On a fork, slots that the dump does not name stay as the other chain has them.
        let clears = self.fork().is_none();
        let (edits, timestamp) = blocking(move || read(&dump, clears)).await??;
        self.ask(move |sequencer| {
            sequencer.edit_all(&edits)?;
            if let Some(timestamp) = timestamp {
                sequencer.set_time(timestamp);
            }
            Ok(())
        })
        .await
    }
}

fn failure(error: QueryError) -> DevError {
    match error {
        QueryError::Failure(failure) => DevError::Failure(failure),
        other => DevError::Dump(other.to_string()),
    }
}

fn accounts(view: &StateView) -> Result<BTreeMap<Address, AccountDump>, DevError> {
    let snapshot = view.snapshot();
    let mut dumped = BTreeMap::new();
    for (address, account) in snapshot.accounts()? {
        let storage = snapshot.storage_of(address)?;
        let slots = storage.into_iter().map(|(slot, value)| (slot.into(), value.into()));
        let storage = slots.collect();
        let code = snapshot.code(address)?;
        let nonce = account.nonce.into();
        let balance = account.balance;
        dumped.insert(address, AccountDump { nonce, balance, code, storage });
    }
    Ok(dumped)
}

fn read(dump: &[u8], clears: bool) -> Result<(Vec<AccountEdit>, Option<u64>), DevError> {
    let bad = |error: &dyn std::fmt::Display| DevError::Dump(error.to_string());
    if dump.starts_with(&GZIP_MAGIC) {
        return Err(bad(&"it is compressed: unpack it with gunzip first"));
    }
    let dump: StateDump = serde_json::from_slice(dump).map_err(|error| bad(&error))?;
    let timestamp = dump.block.map(|block| block.timestamp.saturating_to());
    let edits = dump.accounts.into_iter().map(|(address, account)| {
        let storage = account.storage.into_iter();
        Ok(AccountEdit {
            address,
            balance: Some(account.balance),
            nonce: Some(number(&account.nonce).ok_or_else(|| bad(&"nonce is no number"))?),
            code: Some(account.code),
            storage: storage.map(|(slot, value)| (slot.into(), value.into())).collect(),
            clear_storage: clears,
        })
    });
    Ok((edits.collect::<Result<_, DevError>>()?, timestamp))
}

/// Slots and values with all their digits, or without leading zeros.
fn read_storage<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<B256, B256>, D::Error> {
    let storage = BTreeMap::<U256, U256>::deserialize(deserializer)?;
    Ok(storage.into_iter().map(|(slot, value)| (slot.into(), value.into())).collect())
}

/// A number that is written as one, or as hexadecimal text.
fn number(value: &serde_json::Value) -> Option<u64> {
    let text = || u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok();
    value.as_u64().or_else(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dumps_of_anvil_are_read() {
        let dump = r#"{"block":{"number":"0x2","beneficiary":"0x0000000000000000000000000000000000000000",
            "timestamp":"0x65","gas_limit":30000000,"basefee":7,"difficulty":"0x0","prevrandao":null},
            "accounts":{"0x0000000000000000000000000000000000000001":
            {"nonce":3,"balance":"0x10","code":"0x60","storage":{"0x1":"0x2"}}},
            "best_block_number":2,"blocks":[],"transactions":[],"historical_states":null}"#;
        let (edits, timestamp) = read(dump.as_bytes(), true).unwrap();
        assert_eq!(timestamp, Some(0x65));
        assert_eq!(edits[0].nonce, Some(3));
        assert_eq!(edits[0].storage, [(U256::from(1), U256::from(2))]);
    }

    #[test]
    fn other_bytes_are_refused() {
        assert!(matches!(read(b"{}", true), Err(DevError::Dump(_))));
        assert!(matches!(read(&[0x1f, 0x8b, 0], true), Err(DevError::Dump(_))));
    }
}
