//! The state as a file, in the form of anvil's `--dump-state` and `anvil_dumpState`.
//!
//! Accounts, blocks and transactions go out and come in, older states if they are asked for or are
//! there: `blocks` and `states` have their forms, `load` finds what hangs together in a dump.

mod blocks;
mod load;
mod states;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;

use crate::chain::{Chain, blocking};
use crate::error::{DevError, Failure, QueryError};
use alloy_primitives::{Address, B256, Bytes, U256};
use executor::block_env;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use genesis::GenesisAccount;
use revm::context::BlockEnv;
use serde::{Deserialize, Serialize};
use storage::{Snapshot, StoreError};

use blocks::{BlockRow, TransactionRow};
pub(crate) use load::{Accounts, Dump, DumpedChain};
use states::StateRow;

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
    historical_states: Option<Vec<(B256, StateRow)>>,
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
    /// The state at the head, blocks and transactions, as JSON; the states after older blocks too,
    /// if they are asked for, as far as they are kept.
    pub async fn dump_state(&self, historical: bool) -> Result<Vec<u8>, DevError> {
        let view = self.state(alloy_eips::BlockId::latest()).await.map_err(failure)?;
        let (engine, shared) = (self.engine().clone(), Arc::clone(&self.shared));
        blocking(move || {
            let snapshot = view.snapshot();
            let head = snapshot.block(snapshot.head())?.ok_or(Failure::Missing { number: 0 })?;
            let mut dump = StateDump {
                block: block_env(&engine, &head.header).into(),
                accounts: accounts(snapshot)?,
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
            if historical {
                let older = snapshot.oldest_state()?..head.number();
                let state = |number| -> Result<_, DevError> {
                    let snapshot = shared.store().snapshot_at(number)?;
                    let hash = snapshot.hash(number)?.ok_or(Failure::Missing { number })?;
                    Ok((hash, StateRow::of(&snapshot)?))
                };
                dump.historical_states = Some(older.map(state).collect::<Result<_, _>>()?);
            }
            serde_json::to_vec(&dump).map_err(|error| DevError::Dump(error.to_string()))
        })
        .await?
    }

    /// The same, compressed as `anvil_dumpState` gives it.
    pub async fn dump_state_packed(&self, historical: bool) -> Result<Vec<u8>, DevError> {
        let dump = self.dump_state(historical).await?;
        blocking(move || {
            let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
            let packed = packer.write_all(&dump).and_then(|()| packer.finish());
            packed.map_err(|error| DevError::Dump(error.to_string()))
        })
        .await?
    }

    /// Puts the accounts of a dump over those of the chain, and its blocks, if it has any, in the
    /// place of the chain's own: the chain goes on from the newest one. A forked chain keeps its
    /// blocks: those that it has from the other chain are none of the dump's.
    pub async fn load_state(&self, dump: Vec<u8>) -> Result<(), DevError> {
        let dump = blocking(move || Dump::read(&dump)).await??;
        self.ask(move |sequencer| sequencer.load(dump)).await
    }

    /// Whether nothing has happened to the chain since its beginning.
    pub fn is_untouched(&self) -> Result<bool, StoreError> {
        let snapshot = self.shared.store().snapshot()?;
        let head = snapshot.head();
        Ok(head == snapshot.first() && snapshot.edits() == 0 && !snapshot.is_loaded(head)?)
    }
}

/// The accounts of a state, as a genesis has them.
pub(crate) fn held_accounts(snapshot: &Snapshot) -> Result<Accounts, StoreError> {
    let mut accounts = Accounts::new();
    for (address, account) in snapshot.accounts()? {
        let storage = snapshot.storage_of(address)?.into_iter();
        let storage = storage.map(|(slot, value)| (slot.into(), value.into())).collect();
        let (balance, nonce, code) = (account.balance, account.nonce, snapshot.code(address)?);
        accounts.insert(address, GenesisAccount { balance, nonce, code, storage });
    }
    Ok(accounts)
}

fn failure(error: QueryError) -> DevError {
    match error {
        QueryError::Failure(failure) => DevError::Failure(failure),
        other => DevError::Dump(other.to_string()),
    }
}

fn accounts(snapshot: &Snapshot) -> Result<BTreeMap<Address, AccountDump>, DevError> {
    let held = held_accounts(snapshot)?.into_iter().map(|(address, account)| {
        let GenesisAccount { balance, nonce, code, storage } = account;
        (address, AccountDump { nonce: nonce.into(), balance, code, storage })
    });
    Ok(held.collect())
}

/// Says whether these bytes are a dump that a chain could go on from.
pub fn check_dump(dump: &[u8]) -> Result<(), DevError> {
    Dump::read(dump).map(|_| ())
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
    use genesis::{DevOptions, Genesis};
    use storage::{ExecutedBlock, Loaded};

    use super::*;

    /// What a chain goes on from.
    fn loaded(text: &str) -> Loaded {
        let dump = Dump::read(text.as_bytes()).unwrap();
        let mut accounts = Accounts::new();
        let chain = dump.put_over(&mut accounts).unwrap();
        chain.into_loaded(&Genesis::dev(DevOptions::default()), accounts).unwrap()
    }

    #[test]
    fn dumps_of_anvil_are_read() {
        let dump = r#"{"block":{"number":"0x2","beneficiary":"0x0000000000000000000000000000000000000000",
            "timestamp":"0x65","gas_limit":30000000,"basefee":7,"difficulty":"0x0","prevrandao":null},
            "accounts":{"0x0000000000000000000000000000000000000001":
            {"nonce":3,"balance":"0x10","code":"0x60","storage":{"0x1":"0x2"}}},
            "best_block_number":2,"blocks":[],"transactions":[],"historical_states":null}"#;
        let loaded = loaded(dump);
        assert_eq!(loaded.blocks[0].header.timestamp, 0x65);
        let account = &loaded.accounts[&Address::with_last_byte(1)];
        assert_eq!((account.nonce, account.balance), (3, U256::from(16)));
        let slots = [(B256::with_last_byte(1), B256::with_last_byte(2))];
        assert_eq!(account.storage, BTreeMap::from(slots));
    }

    #[test]
    fn accounts_are_put_over_those_that_are_there() {
        let [one, two, three] = [1, 2, 3].map(B256::with_last_byte);
        let mine = GenesisAccount {
            balance: U256::from(5),
            nonce: 9,
            code: vec![0x60].into(),
            storage: [(one, one), (two, two)].into(),
        };
        let other = Address::with_last_byte(7);
        let address = Address::with_last_byte(1);
        let mut accounts = Accounts::from([(other, mine.clone()), (address, mine.clone())]);
        let dump = format!(
            r#"{{"accounts":{{"{address}":{{"nonce":"0x3","balance":"0x10","code":"0x",
            "storage":{{"0x2":"0x0","0x3":"0x3"}}}},"{}":{{"nonce":0,"balance":"0x0","code":"0x",
            "storage":{{}}}}}}}}"#,
            Address::ZERO
        );
        assert!(Dump::read(dump.as_bytes()).unwrap().put_over(&mut accounts).is_none());
        let merged = GenesisAccount {
            balance: U256::from(16),
            nonce: 9,
            code: Bytes::new(),
            storage: [(one, one), (three, three)].into(),
        };
        assert_eq!(accounts, Accounts::from([(other, mine), (address, merged)]));
    }

    #[test]
    fn the_head_is_read_in_every_form() {
        let head = |text: &str| {
            let loaded = loaded(text);
            let header = &loaded.blocks.last().unwrap().header;
            (header.number, header.timestamp, header.base_fee_per_gas, header.gas_limit)
        };
        let block = r#""accounts":{},"block":{"number":"0x2","timestamp":"0x65","gas_limit":30000000,"basefee":7}"#;
        assert_eq!(head(&format!("{{{block}}}")), (2, 0x65, Some(7), 30_000_000));
        // The newest block's number may be another than that of its environment, as on Arbitrum.
        for number in ["9", r#""0x9""#] {
            let text = format!(r#"{{{block},"best_block_number":{number}}}"#);
            assert_eq!(head(&text), (9, 0x65, Some(7), 30_000_000));
        }
        assert!(Dump::read(br#"{"accounts":{}}"#).unwrap().chain.is_none());
        assert!(matches!(Dump::read(b"[]{"), Err(DevError::Dump(_))));
        let huge = format!(r#"{{{block},"best_block_number":"0xffffffffffffffff"}}"#);
        assert!(matches!(Dump::read(huge.as_bytes()), Err(DevError::Dump(_))));
        let none =
            format!(r#"{{{block},"blocks":[{{"header":{},"transactions":[]}}]}}"#, header(5));
        let error = Dump::read(none.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, "state dump: block 2 is not among its blocks");
    }

    fn header(number: u64) -> String {
        let header = alloy_consensus::Header { number, ..Default::default() };
        serde_json::to_string(&header).unwrap()
    }

    #[test]
    fn blocks_that_hang_together_are_taken() {
        let block = |number, parent_hash, time| alloy_consensus::Header {
            number,
            parent_hash,
            timestamp: time,
            ..Default::default()
        };
        let lost = block(4, B256::with_last_byte(9), 1);
        let first = block(5, B256::with_last_byte(1), 1);
        let [other, second] = [3, 2].map(|time| block(6, first.hash_slow(), time));
        let third = block(7, second.hash_slow(), 4);
        let rows: Vec<_> = [&third, &second, &other, &lost, &first]
            .map(|header| serde_json::json!({"header": header, "transactions": []}))
            .into();
        let state = |balance: &str| {
            serde_json::json!({"accounts": {Address::with_last_byte(1).to_string():
                {"balance": balance, "nonce": 1, "code": null,
                    "code_hash": alloy_primitives::KECCAK256_EMPTY}}})
        };
        let dump = |states: serde_json::Value| {
            serde_json::json!({"accounts": {}, "blocks": rows, "historical_states": states,
                "block": {"number": 7, "timestamp": 4}})
            .to_string()
        };
        let (one, two) = (first.hash_slow(), second.hash_slow());
        let whole = loaded(&dump(serde_json::json!([[one, state("0x1")], [two, state("0x2")]])));
        let numbers: Vec<_> = whole.blocks.iter().map(ExecutedBlock::hash).collect();
        assert_eq!(numbers, [one, two, third.hash_slow()]);
        assert_eq!(whole.accounts[&Address::with_last_byte(1)].balance, U256::from(1));
        let changed: Vec<_> = whole.changes.iter().map(|change| change.state.len()).collect();
        assert_eq!(changed, [1, 1]);
        // States before a gap are of no use.
        let gap = loaded(&dump(serde_json::json!([[one, state("0x1")]])));
        assert_eq!((gap.blocks.len(), gap.changes.len()), (3, 0));
    }

    #[test]
    fn packed_dumps_are_unpacked_up_to_a_limit() {
        let pack = |bytes: &[u8]| {
            let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
            packer.write_all(bytes).unwrap();
            packer.finish().unwrap()
        };
        let dump = Dump::read(&pack(br#"{"accounts":{}}"#)).unwrap();
        assert!(dump.accounts.is_empty() && dump.chain.is_none());
        let bomb = pack(&[b' '; 1_000]);
        assert_eq!(unpack(&bomb, 1_000).unwrap().len(), 1_000);
        let error = unpack(&bomb, 999).unwrap_err().to_string();
        assert_eq!(error, "state dump: unpacked it has more than 999 bytes");
    }

    #[test]
    fn other_bytes_are_refused() {
        assert!(matches!(Dump::read(b"{}"), Err(DevError::Dump(_))));
        assert!(matches!(Dump::read(&[0x1f, 0x8b, 0]), Err(DevError::Dump(_))));
    }
}
