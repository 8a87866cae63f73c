//! The state as a file, in the form of anvil's `--dump-state` and `anvil_dumpState`.
//!
//! Accounts, blocks and transactions go out; accounts and the time come in, and a new chain begins
//! where the dump's ends. `blocks` has the form of blocks and transactions.

mod blocks;

use std::collections::BTreeMap;
use std::io::{Read, Write};

use alloy_primitives::{Address, B256, Bytes, U256};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use revm::context::BlockEnv;
use serde::{Deserialize, Serialize};
use vm::AccountEdit;

use crate::chain::{Chain, blocking};
use crate::error::{DevError, Failure, QueryError};
use crate::query::StateView;
use executor::block_env;

use blocks::{BlockRow, TransactionRow};

/// How a gzip file starts.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Most bytes that a dump may have once it is unpacked.
const UNPACKED_MAX: u64 = 1 << 30;

/// A dump on its way out.
#[derive(Serialize)]
struct StateDump {
    block: BlockDump,
    accounts: BTreeMap<Address, AccountDump>,
    best_block_number: u64,
    blocks: Vec<BlockRow>,
    transactions: Vec<TransactionRow>,
    /// anvil keeps older states only if it is asked to; a data directory always does.
    historical_states: Option<()>,
}

/// What is read of a dump on its way in.
#[derive(Deserialize)]
struct ReadDump {
    #[serde(default)]
    block: Option<ReadBlock>,
    accounts: BTreeMap<Address, AccountDump>,
}

#[derive(Deserialize)]
struct ReadBlock {
    timestamp: U256,
}

/// The block that a dump is of, as far as a new chain goes on from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DumpHead {
    /// Number of the newest block.
    pub number: u64,
    /// Its time in seconds.
    pub timestamp: u64,
    /// Its base fee in wei.
    pub base_fee_wei: u64,
    /// Its gas limit.
    pub gas_limit: u64,
}

impl DumpHead {
    /// Reads it out of a dump, packed or not; old dumps of anvil don't name it.
    pub fn of(dump: &[u8]) -> Result<Option<Self>, DevError> {
        #[derive(Deserialize)]
        struct Head {
            #[serde(default)]
            block: Option<Block>,
            #[serde(default)]
            best_block_number: Option<U256>,
        }
        #[derive(Deserialize)]
        struct Block {
            number: U256,
            timestamp: U256,
            basefee: U256,
            gas_limit: U256,
        }
        let Head { block, best_block_number } = parse(dump)?;
        let Some(block) = block else { return Ok(None) };
        let head = Self {
            number: best_block_number.unwrap_or(block.number).saturating_to(),
            timestamp: block.timestamp.saturating_to(),
            base_fee_wei: block.basefee.saturating_to(),
            gas_limit: block.gas_limit.saturating_to(),
        };
        let (Self { number, timestamp, .. }, max) = (head, u64::MAX / 2);
        if number.max(timestamp) > max {
            let text = format!("block number {number} or time {timestamp} is above {max}");
            return Err(DevError::Dump(text));
        }
        Ok(Some(head))
    }
}

/// The head's environment.
#[derive(Serialize)]
struct BlockDump {
    number: U256,
    beneficiary: Address,
    timestamp: U256,
    gas_limit: u64,
    basefee: u64,
    difficulty: U256,
    prevrandao: Option<B256>,
    blob_excess_gas_and_price: Option<BlobDump>,
    slot_num: u64,
}

#[derive(Serialize)]
struct BlobDump {
    excess_blob_gas: u64,
    blob_gasprice: u128,
}

impl From<BlockEnv> for BlockDump {
    fn from(env: BlockEnv) -> Self {
        Self {
            number: env.number,
            beneficiary: env.beneficiary,
            timestamp: env.timestamp,
            gas_limit: env.gas_limit,
            basefee: env.basefee,
            difficulty: env.difficulty,
            prevrandao: env.prevrandao,
            blob_excess_gas_and_price: env.blob_excess_gas_and_price.map(|blobs| BlobDump {
                excess_blob_gas: blobs.excess_blob_gas,
                blob_gasprice: blobs.blob_gasprice,
            }),
            slot_num: env.slot_num,
        }
    }
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
    /// The state at the head, blocks and transactions, as JSON.
    pub async fn dump_state(&self) -> Result<Vec<u8>, DevError> {
        let view = self.state(alloy_eips::BlockId::latest()).await.map_err(failure)?;
        let engine = self.engine().clone();
        blocking(move || {
            let snapshot = view.snapshot();
            let head = snapshot.block(snapshot.head())?.ok_or(Failure::Missing { number: 0 })?;
            let mut dump = StateDump {
                block: block_env(&engine, &head.header).into(),
                accounts: accounts(&view)?,
                best_block_number: head.number(),
                blocks: Vec::new(),
                transactions: Vec::new(),
                historical_states: None,
            };
            for number in snapshot.first()..=head.number() {
                let block = snapshot.block(number)?.ok_or(Failure::Missing { number })?;
                dump.transactions.extend(TransactionRow::all_of(&block, engine.spec().headers));
                dump.blocks.push(BlockRow::from(block));
            }
            serde_json::to_vec(&dump).map_err(|error| DevError::Dump(error.to_string()))
        })
        .await?
    }

    /// The same, compressed as `anvil_dumpState` gives it.
    pub async fn dump_state_packed(&self) -> Result<Vec<u8>, DevError> {
        let dump = self.dump_state().await?;
        blocking(move || {
            let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
            let packed = packer.write_all(&dump).and_then(|()| packer.finish());
            packed.map_err(|error| DevError::Dump(error.to_string()))
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
    let dump: ReadDump = parse(dump)?;
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

/// Reads a dump as JSON, packed or not.
fn parse<T: serde::de::DeserializeOwned>(dump: &[u8]) -> Result<T, DevError> {
    let unpacked = match dump.starts_with(&GZIP_MAGIC) {
        true => Some(unpack(dump, UNPACKED_MAX)?),
        false => None,
    };
    serde_json::from_slice(unpacked.as_deref().unwrap_or(dump))
        .map_err(|error| DevError::Dump(error.to_string()))
}

fn unpack(dump: &[u8], max: u64) -> Result<Vec<u8>, DevError> {
    let mut unpacked = Vec::new();
    let mut reader = MultiGzDecoder::new(dump).take(max + 1);
    reader.read_to_end(&mut unpacked).map_err(|error| DevError::Dump(error.to_string()))?;
    if unpacked.len() as u64 > max {
        return Err(DevError::Dump(format!("unpacked it has more than {max} bytes")));
    }
    Ok(unpacked)
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
    fn the_head_is_read_in_every_form() {
        let head = |text: &str| DumpHead::of(text.as_bytes()).unwrap();
        let block =
            r#""block":{"number":"0x2","timestamp":"0x65","gas_limit":30000000,"basefee":7}"#;
        let want = DumpHead { number: 2, timestamp: 0x65, base_fee_wei: 7, gas_limit: 30_000_000 };
        assert_eq!(head(&format!("{{{block}}}")), Some(want));
        // The newest block's number may be another than that of its environment, as on Arbitrum.
        for number in ["9", r#""0x9""#] {
            let text = format!(r#"{{{block},"best_block_number":{number}}}"#);
            assert_eq!(head(&text), Some(DumpHead { number: 9, ..want }));
        }
        assert_eq!(head(r#"{"accounts":{}}"#), None);
        assert!(matches!(DumpHead::of(b"[]{"), Err(DevError::Dump(_))));
        let huge = format!(r#"{{{block},"best_block_number":"0xffffffffffffffff"}}"#);
        assert!(matches!(DumpHead::of(huge.as_bytes()), Err(DevError::Dump(_))));
    }

    #[test]
    fn packed_dumps_are_unpacked_up_to_a_limit() {
        let pack = |bytes: &[u8]| {
            let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
            packer.write_all(bytes).unwrap();
            packer.finish().unwrap()
        };
        let (edits, timestamp) = read(&pack(br#"{"accounts":{}}"#), true).unwrap();
        assert_eq!((edits.len(), timestamp), (0, None));
        let bomb = pack(&[b' '; 1_000]);
        assert_eq!(unpack(&bomb, 1_000).unwrap().len(), 1_000);
        let error = unpack(&bomb, 999).unwrap_err().to_string();
        assert_eq!(error, "state dump: unpacked it has more than 999 bytes");
    }

    #[test]
    fn other_bytes_are_refused() {
        assert!(matches!(read(b"{}", true), Err(DevError::Dump(_))));
        assert!(matches!(read(&[0x1f, 0x8b, 0], true), Err(DevError::Dump(_))));
    }
}
