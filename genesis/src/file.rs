//! The genesis file and the genesis block.

use alloc::{borrow::ToOwned, collections::BTreeMap, format, string::String};

use alloy_consensus::{
    Header,
    constants::{EMPTY_TRANSACTIONS, EMPTY_WITHDRAWALS},
};
use alloy_eips::{eip1559::INITIAL_BASE_FEE, eip7685::EMPTY_REQUESTS_HASH};
use alloy_genesis::ChainConfig;
use alloy_primitives::{Address, B64, B256, Bytes, U256, b256};
use revm::primitives::hardfork::SpecId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    ChainSpec, GenesisAccount, Headers, RiscvParams, TreeHash,
    account::Entries,
    error::{GenesisError, Problem},
};

/// Hash of a block access list without entries (EIP-7928): keccak256 of an empty RLP list.
const EMPTY_ACCESS_LIST_HASH: B256 =
    b256!("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347");

/// A chain before its first block: rules, the header's fields, accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// Rules of the chain.
    pub spec: ChainSpec,
    /// Number of the first block; 0 but for a chain that goes on from another's state.
    pub number: u64,
    /// Hash of the block before it; zero but for a chain that goes on from another's state.
    pub parent_hash: B256,
    /// Timestamp in seconds.
    pub timestamp: u64,
    /// Nonce of the header.
    pub nonce: u64,
    /// Extra data of the header.
    pub extra_data: Bytes,
    /// Gas limit of the block.
    pub gas_limit: u64,
    /// Difficulty.
    pub difficulty: U256,
    /// Mix hash, since the merge the randomness.
    pub mix_hash: B256,
    /// Beneficiary of the header.
    pub coinbase: Address,
    /// Base fee in wei; without it, 1 gwei from London on.
    pub base_fee_per_gas: Option<u64>,
    /// Excess blob gas; without it, 0 from Cancun on.
    pub excess_blob_gas: Option<u64>,
    /// Blob gas used; without it, 0 from Cancun on.
    pub blob_gas_used: Option<u64>,
    /// Slot number; without it, 0 from Amsterdam on.
    pub slot_number: Option<u64>,
    /// The accounts.
    pub alloc: BTreeMap<Address, GenesisAccount>,
}

/// The file. Keys that geth does not know either are ignored, as it does.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "the object of a genesis file")]
struct GenesisFile {
    config: ChainConfig,
    #[serde(default, with = "alloy_serde::quantity")]
    nonce: u64,
    #[serde(default, with = "alloy_serde::quantity")]
    timestamp: u64,
    #[serde(default)]
    extra_data: Bytes,
    #[serde(with = "alloy_serde::quantity")]
    gas_limit: u64,
    #[serde(default)]
    difficulty: U256,
    #[serde(default)]
    mix_hash: B256,
    #[serde(default)]
    coinbase: Address,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "alloy_serde::quantity::opt")]
    number: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent_hash: Option<B256>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "alloy_serde::quantity::opt")]
    base_fee_per_gas: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "alloy_serde::quantity::opt")]
    excess_blob_gas: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "alloy_serde::quantity::opt")]
    blob_gas_used: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "alloy_serde::quantity::opt")]
    slot_number: Option<u64>,
    alloc: Entries,
}

/// The path that stands for the whole file.
const WHOLE_FILE: &str = "genesis file";

/// Key of the RISC-V rules in `config`.
const RISCV: &str = "riscv";
/// Key of the kind of headers in `config`.
const HEADERS: &str = "headers";
/// Key of the state tree's hash in `config`.
const TREE_HASH: &str = "treeHash";

impl ChainSpec {
    /// The rules that `config` of a genesis file sets.
    fn of_config(mut config: ChainConfig) -> Result<Self, GenesisError> {
        let riscv: RiscvParams = take(&mut config, RISCV)?;
        riscv.check()?;
        let (headers, tree_hash) = (take(&mut config, HEADERS)?, take(&mut config, TREE_HASH)?);
        Ok(Self { config, riscv, headers, tree_hash })
    }

    fn to_config(&self) -> ChainConfig {
        let mut config = self.config.clone();
        let riscv = serde_json::to_value(&self.riscv).expect("a struct of integers");
        config.extra_fields.insert(RISCV.to_owned(), riscv);
        if self.headers != Headers::default() {
            let headers = serde_json::to_value(self.headers).expect("an enum of two words");
            config.extra_fields.insert(HEADERS.to_owned(), headers);
        }
        if self.tree_hash != TreeHash::default() {
            let name = serde_json::to_value(self.tree_hash).expect("a unit variant");
            config.extra_fields.insert(TREE_HASH.to_owned(), name);
        }
        config
    }

    /// Reads what [`Self::to_json`] writes.
    pub fn from_json(config: serde_json::Value) -> Result<Self, GenesisError> {
        let spec = Self::of_config(parse("config", config)?)?;
        spec.check()?;
        Ok(spec)
    }

    /// Writes the rules as `config` of a genesis file has them.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self.to_config()).expect("string keys and no failing serialiser")
    }
}

impl Genesis {
    /// Reads a genesis file.
    pub fn from_json(text: &str) -> Result<Self, GenesisError> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let file: GenesisFile = parse("", &mut reader)?;
        reader
            .end()
            .map_err(|source| GenesisError::Json { path: WHOLE_FILE.to_owned(), source })?;
        let spec = ChainSpec::of_config(file.config)?;
        let number = file.number.unwrap_or_default();
        spec.check()?;
        if file.gas_limit == 0 {
            return Err(Problem::Zero.at("gasLimit".to_owned()));
        }
        let fork = spec.fork(number, file.timestamp);
        let alloc = file.alloc.into_accounts(fork, &spec.riscv)?;
        Ok(Self {
            spec,
            number,
            parent_hash: file.parent_hash.unwrap_or_default(),
            timestamp: file.timestamp,
            nonce: file.nonce,
            extra_data: file.extra_data,
            gas_limit: file.gas_limit,
            difficulty: file.difficulty,
            mix_hash: file.mix_hash,
            coinbase: file.coinbase,
            base_fee_per_gas: file.base_fee_per_gas,
            excess_blob_gas: file.excess_blob_gas,
            blob_gas_used: file.blob_gas_used,
            slot_number: file.slot_number,
            alloc,
        })
    }

    /// Writes the genesis file that [`Self::from_json`] reads back as the same genesis.
    pub fn to_json(&self) -> String {
        let config = self.spec.to_config();
        let file = GenesisFile {
            config,
            nonce: self.nonce,
            timestamp: self.timestamp,
            extra_data: self.extra_data.clone(),
            gas_limit: self.gas_limit,
            difficulty: self.difficulty,
            mix_hash: self.mix_hash,
            coinbase: self.coinbase,
            number: (self.number != 0).then_some(self.number),
            parent_hash: (!self.parent_hash.is_zero()).then_some(self.parent_hash),
            base_fee_per_gas: self.base_fee_per_gas,
            excess_blob_gas: self.excess_blob_gas,
            blob_gas_used: self.blob_gas_used,
            slot_number: self.slot_number,
            alloc: Entries(self.alloc.iter().map(|(at, account)| (*at, account.into())).collect()),
        };
        serde_json::to_string_pretty(&file).expect("string keys and no failing serialiser")
    }

    /// The fork of the genesis block.
    pub fn fork(&self) -> SpecId {
        self.spec.fork(self.number, self.timestamp)
    }

    /// The genesis block's header, with the fields of its fork, over the given state root.
    pub fn header(&self, state_root: B256) -> Header {
        let fork = self.fork();
        let from = |start: SpecId, value: u64| fork.is_enabled_in(start).then_some(value);
        let hash = |start: SpecId, value: B256| fork.is_enabled_in(start).then_some(value);
        Header {
            parent_hash: self.parent_hash,
            beneficiary: self.coinbase,
            state_root,
            transactions_root: EMPTY_TRANSACTIONS,
            difficulty: self.difficulty,
            number: self.number,
            gas_limit: self.gas_limit,
            timestamp: self.timestamp,
            extra_data: self.extra_data.clone(),
            mix_hash: self.mix_hash,
            nonce: B64::from(self.nonce),
            base_fee_per_gas: from(
                SpecId::LONDON,
                self.base_fee_per_gas.unwrap_or(INITIAL_BASE_FEE),
            ),
            withdrawals_root: hash(SpecId::SHANGHAI, EMPTY_WITHDRAWALS),
            blob_gas_used: from(SpecId::CANCUN, self.blob_gas_used.unwrap_or_default()),
            excess_blob_gas: from(SpecId::CANCUN, self.excess_blob_gas.unwrap_or_default()),
            parent_beacon_block_root: hash(SpecId::CANCUN, B256::ZERO),
            requests_hash: hash(SpecId::PRAGUE, EMPTY_REQUESTS_HASH),
            block_access_list_hash: hash(SpecId::AMSTERDAM, EMPTY_ACCESS_LIST_HASH),
            slot_number: from(SpecId::AMSTERDAM, self.slot_number.unwrap_or_default()),
            ..Header::default()
        }
    }
}

/// Takes a key of our own out of `config`; without it, the default.
fn take<T: DeserializeOwned + Default>(
    config: &mut ChainConfig,
    key: &str,
) -> Result<T, GenesisError> {
    let Some(value) = config.extra_fields.remove(key) else { return Ok(T::default()) };
    parse(&format!("config.{key}"), value)
}

/// Parses with the path of the field that is wrong in the error; `prefix` is where `from` stands.
fn parse<'de, T, D>(prefix: &str, from: D) -> Result<T, GenesisError>
where
    T: DeserializeOwned,
    D: serde::Deserializer<'de, Error = serde_json::Error>,
{
    serde_path_to_error::deserialize(from).map_err(|error| {
        let inner = format!("{}", error.path());
        let path = match (prefix, inner.as_str()) {
            ("", "." | "?") => WHOLE_FILE.to_owned(),
            ("", _) => inner,
            (_, ".") => prefix.to_owned(),
            _ => format!("{prefix}.{inner}"),
        };
        GenesisError::Json { path, source: error.into_inner() }
    })
}
