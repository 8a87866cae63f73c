//! Every setting of the node, once: flag, key of the file, environment variable and default.
//!
//! They stand in one file of over 600 lines, in the order of the help text: a list to look things
//! up in, of which clap makes one command line.
//!
//! A field's name is its key in the file; `--block-time` is the key `block_time` and the variable
//! `TANDEM_BLOCK_TIME`. `layers.rs` puts the sources together.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::ParseFloatError,
    path::PathBuf,
    str::FromStr,
};

use alloy_primitives::Address;
use clap::{
    Args, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use genesis::{RiscvParams, SpecId, fork_by_name};
use node::{
    NodeConfig,
    config::{ConfigError, Durability, Order, Profile, demand_within},
};
use rpc::{Hosts, Origins, ServerConfig};
use serde::{Deserialize, Serialize};

use crate::{fork::ForkSettings, pool::PoolSettings};

/// Where `--ipc` without a path listens.
pub(crate) const IPC_PATH: &str = "/tmp/tandem.ipc";
/// The most threads for sockets.
const THREADS_MAX: u64 = 1_024;

const DISPLAY: &str = "Display options";
const SERVER: &str = "Server options";
const LIMITS: &str = "Limits";
const ENVIRONMENT: &str = "Environment config";
const EVM: &str = "EVM options";
const RISCV: &str = "RISC-V options";

/// A hardfork by the name that anvil and geth have for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Hardfork {
    name: String,
    pub(crate) fork: SpecId,
}

/// A name that no hardfork has.
#[derive(Debug, thiserror::Error)]
#[error("no hardfork is called `{name}`")]
pub(crate) struct UnknownHardfork {
    name: String,
}

impl FromStr for Hardfork {
    type Err = UnknownHardfork;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let name = name.to_owned();
        match fork_by_name(&name) {
            Some(fork) => Ok(Self { name, fork }),
            None => Err(UnknownHardfork { name }),
        }
    }
}

impl TryFrom<String> for Hardfork {
    type Error = UnknownHardfork;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<Hardfork> for String {
    fn from(hardfork: Hardfork) -> Self {
        hardfork.name
    }
}

/// Addresses in a file or variable: one text, with commas.
mod hosts {
    use std::net::IpAddr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(hosts: &[IpAddr], out: S) -> Result<S::Ok, S::Error> {
        let texts: Vec<_> = hosts.iter().map(IpAddr::to_string).collect();
        out.serialize_str(&texts.join(","))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpAddr>, D::Error> {
        let text = String::deserialize(from)?;
        text.split(',').map(|host| host.parse().map_err(D::Error::custom)).collect()
    }
}

/// When log messages are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Color {
    /// On a terminal (default)
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

fn profile() -> impl TypedValueParser<Value = Profile> {
    PossibleValuesParser::new(["dev", "testnet"]).map(|name| match name.as_str() {
        "testnet" => Profile::Testnet,
        _ => Profile::Dev,
    })
}

fn durability() -> impl TypedValueParser<Value = Durability> {
    PossibleValuesParser::new(["process", "disk"]).map(|name| match name.as_str() {
        "disk" => Durability::Disk,
        _ => Durability::Process,
    })
}

fn order() -> impl TypedValueParser<Value = Order> {
    PossibleValuesParser::new(["fees", "fifo"]).map(|name| match name.as_str() {
        "fifo" => Order::Fifo,
        _ => Order::Fees,
    })
}

/// Every setting. An `Option` without a value follows from the others.
#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Number of dev accounts
    #[arg(short, long, value_name = "NUM", default_value_t = 10)]
    pub(crate) accounts: u32,

    /// Seconds between two blocks; without it, each transaction seals a block
    #[arg(short, long, value_name = "SECONDS", visible_alias = "blockTime", value_parser = seconds)]
    pub(crate) block_time: Option<f64>,

    /// Balance of each dev account in ether
    #[arg(long, value_name = "NUM", default_value_t = 10_000)]
    pub(crate) balance: u64,

    /// Who gets the fees of each block
    ///
    /// [default: the zero address; on a fork, the beneficiary of its block]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) coinbase: Option<Address>,

    /// Writes accounts, keys and fees to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) config_out: Option<PathBuf>,

    /// Keeps the chain in this directory; without it, the chain is gone when the node ends
    #[arg(long, value_name = "DIR")]
    pub(crate) datadir: Option<PathBuf>,

    /// Derivation path of the dev accounts, without the last index
    #[arg(long, default_value = "m/44'/60'/0'/0/")]
    pub(crate) derivation_path: String,

    /// Writes the chain's state to this file at the end, and every `--state-interval` seconds.
    ///
    /// In a directory, the file is `state.json`.
    #[arg(long, value_name = "PATH", conflicts_with = "state")]
    pub(crate) dump_state: Option<PathBuf>,

    /// What an acknowledged transaction outlives: a kill of the process, or a power cut too.
    ///
    /// [default: process in the dev profile, disk in the testnet profile]
    #[arg(long, value_parser = durability())]
    pub(crate) durability: Option<Durability>,

    /// Starts the chain from this genesis file: geth's format plus RISC-V
    #[arg(long, value_name = "FILE", visible_alias = "init")]
    pub(crate) genesis: Option<PathBuf>,

    /// The hardfork of the dev genesis by name, such as `prague`, `cancun` or `london`
    /// [default: latest]
    #[arg(long)]
    pub(crate) hardfork: Option<Hardfork>,

    /// Serves JSON-RPC at this Unix socket too; without a path, at `/tmp/tandem.ipc`
    #[arg(long, value_name = "PATH", visible_alias = "ipcpath", num_args = 0..=1)]
    #[arg(default_missing_value = IPC_PATH)]
    pub(crate) ipc: Option<PathBuf>,

    /// Threads for sockets and whatever waits; 0 is one per logical core, and 8 at least. Busy HTTP connections have threads of their own
    #[arg(short = 'j', long, visible_alias = "jobs", default_value_t = 0)]
    pub(crate) threads: usize,

    /// Starts from the state in this file, written by `--dump-state`
    #[arg(long, value_name = "PATH", conflicts_with = "state")]
    pub(crate) load_state: Option<PathBuf>,

    /// BIP-39 mnemonic of the dev accounts [default: the usual test mnemonic]
    #[arg(short, long, conflicts_with_all = ["mnemonic_random", "mnemonic_seed_unsafe"])]
    pub(crate) mnemonic: Option<String>,

    /// Most transactions in a block
    #[arg(long, default_value_t = 1_000)]
    pub(crate) max_transactions: usize,

    /// Seals a block per transaction and every `--block-time` seconds
    #[arg(long)]
    pub(crate) mixed_mining: bool,

    /// Draws a new mnemonic of that many words; without a number, of 12
    #[arg(long, num_args = 0..=1, default_missing_value = "12")]
    #[arg(conflicts_with = "mnemonic_seed_unsafe")]
    pub(crate) mnemonic_random: Option<usize>,

    /// Derives the mnemonic from this number: for tests only, everybody can do the same
    #[arg(long, value_name = "MNEMONIC_SEED")]
    pub(crate) mnemonic_seed_unsafe: Option<u64>,

    /// Seals blocks only when asked by a method such as `evm_mine`
    #[arg(long, visible_alias = "no-mine", conflicts_with = "block_time")]
    pub(crate) no_mining: bool,

    /// Number of the genesis block [default: 0]
    #[arg(long, value_name = "NUM")]
    pub(crate) number: Option<u64>,

    /// Order of transactions in a block: highest tip first, or first come first served
    #[arg(long, default_value = "fees", value_parser = order())]
    pub(crate) order: Order,

    /// Port to listen on; 0 picks a free one
    #[arg(short, long, value_name = "NUM", default_value_t = 8545)]
    pub(crate) port: u16,

    /// Writes the states of older blocks, too, with `--state` or `--dump-state`
    ///
    /// The node itself keeps them with or without this.
    #[arg(long)]
    pub(crate) preserve_historical_states: bool,

    /// dev has unlocked accounts and every dev method; testnet has none of these
    #[arg(long, default_value = "dev", value_parser = profile())]
    pub(crate) profile: Profile,

    /// Keeps the state of so many blocks before the newest one, and lets go of older state
    ///
    /// Blocks, transactions, receipts and logs stay. Without it, the state of every block is kept.
    #[arg(long, value_name = "NUM", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) prune: Option<u64>,

    /// Seconds between two writes of the state, with `--state` or `--dump-state` [default: 60]
    #[arg(short, long, value_name = "SECONDS")]
    pub(crate) state_interval: Option<u64>,

    /// Blocks in an epoch: `safe` is one epoch behind the head, `finalized` two
    #[arg(long, default_value_t = 32)]
    pub(crate) slots_in_an_epoch: u64,

    /// `--load-state` where the file exists, and `--dump-state`, with one file
    #[arg(long, value_name = "PATH")]
    pub(crate) state: Option<PathBuf>,

    /// Timestamp of the genesis block in seconds [default: now]
    #[arg(long, value_name = "NUM")]
    pub(crate) timestamp: Option<u64>,

    /// When log messages are coloured
    #[arg(long, default_value = "auto", help_heading = DISPLAY, value_enum)]
    pub(crate) color: Color,

    /// Writes log messages as JSON, and no banner
    #[arg(long, help_heading = DISPLAY)]
    pub(crate) json: bool,

    /// Prints neither banner nor log messages
    #[arg(short, long, help_heading = DISPLAY, visible_alias = "silent")]
    pub(crate) quiet: bool,

    /// More log messages: -v details, -vv everything of the node, -vvv the libraries' too
    #[arg(short, long, help_heading = DISPLAY, action = clap::ArgAction::Count)]
    pub(crate) verbosity: u8,

    /// Names by which requests may call the node besides addresses, names without a dot and names
    /// for private use, separated by commas; `*` is any [default: none]
    #[arg(long, value_name = "HOSTS", visible_alias = "http.vhosts", help_heading = SERVER)]
    pub(crate) allow_host: Option<String>,

    /// Origins of web pages that may use the node (CORS), separated by commas; `*` is any
    /// [default: any in the dev profile, none in the testnet profile]
    #[arg(long, help_heading = SERVER)]
    pub(crate) allow_origin: Option<String>,

    /// Addresses to listen on, separated by commas or in several flags [env: ANVIL_IP_ADDR]
    #[arg(long, value_name = "IP_ADDR", help_heading = SERVER, value_delimiter = ',')]
    #[arg(default_values_t = [IpAddr::V4(Ipv4Addr::LOCALHOST)])]
    #[serde(with = "hosts")]
    pub(crate) host: Vec<IpAddr>,

    /// Refuses every request from a web page
    #[arg(long, help_heading = SERVER, conflicts_with = "allow_origin")]
    pub(crate) no_cors: bool,

    /// Lifts the limit of `--request-size-max`
    #[arg(long, help_heading = SERVER)]
    pub(crate) no_request_size_limit: bool,

    /// What is forked, if anything is.
    #[command(flatten)]
    #[serde(flatten, skip_deserializing)]
    pub(crate) fork: ForkSettings,

    /// What may wait.
    #[command(flatten)]
    #[serde(flatten, skip_deserializing)]
    pub(crate) pool: PoolSettings,

    /// Most calls in a batch
    #[arg(long, value_name = "NUM", default_value_t = 10_000, help_heading = LIMITS)]
    pub(crate) batch_max: u32,

    /// Gas of a call, an estimate or a trace [default: a block's gas limit, 50000000 at least; with
    /// --disable-block-gas-limit 1000000000]
    #[arg(long, value_name = "GAS", visible_alias = "rpc.gascap", help_heading = LIMITS)]
    pub(crate) call_gas_limit: Option<u64>,

    /// Seconds that a call, an estimate, a simulation or a search for logs may wait and run
    #[arg(long, value_name = "SECONDS", default_value_t = 30, help_heading = LIMITS)]
    pub(crate) call_time_max: u64,

    /// Calls, estimates, simulations, proofs and searches for logs that run at the same time [default: four for each processor]
    #[arg(long, value_name = "NUM", help_heading = LIMITS)]
    pub(crate) calls_max: Option<usize>,

    /// Requests in flight and open sockets
    #[arg(long, value_name = "NUM", default_value_t = 4_096, help_heading = LIMITS)]
    pub(crate) connections_max: u32,

    /// Blocks that a query for logs may look through
    /// [default: any number in the dev profile, 100000 in the testnet profile]
    #[arg(long, value_name = "BLOCKS", help_heading = LIMITS)]
    pub(crate) log_range_max: Option<u64>,

    /// Logs in one answer [default: any number in the dev profile, 20000 in the testnet profile]
    #[arg(long, value_name = "NUM", help_heading = LIMITS)]
    pub(crate) logs_max: Option<usize>,

    /// Bytes of one request, a batch counting as one
    #[arg(long, value_name = "BYTES", default_value_t = 128 << 20, help_heading = LIMITS)]
    pub(crate) request_size_max: u32,

    /// Bytes of one answer, a batch counting as one
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 20, help_heading = LIMITS)]
    pub(crate) response_size_max: u32,

    /// Blocks that one request may seal
    #[arg(long, value_name = "BLOCKS", default_value_t = 1_000_000, help_heading = LIMITS)]
    pub(crate) seal_blocks_max: u64,

    /// Subscriptions of one socket
    #[arg(long, value_name = "NUM", default_value_t = 1_024, help_heading = LIMITS)]
    pub(crate) subscriptions_max: u32,

    /// Seconds that a trace or witness may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60, help_heading = LIMITS)]
    pub(crate) trace_time_max: u64,

    /// Blocks with transactions that a search through traces runs again
    #[arg(long, value_name = "BLOCKS", default_value_t = 10_000, help_heading = LIMITS)]
    pub(crate) trace_blocks_max: u64,

    /// Bytes that a trace may record
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 20, help_heading = LIMITS)]
    pub(crate) trace_size_max: usize,

    /// Traces and witnesses that run at the same time [default: one for each processor]
    #[arg(long, value_name = "NUM", help_heading = LIMITS)]
    pub(crate) traces_max: Option<usize>,

    /// Base fee of the genesis block in wei [default: 1000000000]
    #[arg(long, value_name = "FEE", visible_alias = "base-fee", help_heading = ENVIRONMENT)]
    pub(crate) block_base_fee_per_gas: Option<u64>,

    /// Chain id [default: 31337]
    #[arg(long, help_heading = ENVIRONMENT)]
    pub(crate) chain_id: Option<u64>,

    /// Size limit of EVM code in bytes [default: the fork's, 24576 since EIP-170]
    #[arg(long, value_name = "CODE_SIZE", help_heading = ENVIRONMENT)]
    #[arg(conflicts_with = "disable_code_size_limit")]
    pub(crate) code_size_limit: Option<usize>,

    /// Lets a transaction or call have more gas than a block
    #[arg(long, help_heading = ENVIRONMENT, conflicts_with = "gas_limit")]
    pub(crate) disable_block_gas_limit: bool,

    /// Lifts the size limit of EVM code
    #[arg(long, help_heading = ENVIRONMENT)]
    pub(crate) disable_code_size_limit: bool,

    /// Suggests a tip of zero
    #[arg(long, help_heading = ENVIRONMENT, visible_alias = "no-priority-fee")]
    pub(crate) disable_min_priority_fee: bool,

    /// Holds transactions to the gas limit of EIP-7825; the testnet profile always does
    #[arg(long, help_heading = ENVIRONMENT, visible_alias = "tx-gas-limit")]
    pub(crate) enable_tx_gas_limit: bool,

    /// Gas limit of a block [default: 30000000]
    #[arg(long, help_heading = ENVIRONMENT)]
    pub(crate) gas_limit: Option<u64>,

    /// Gas price that the node suggests, in wei [default: from the base fee]
    #[arg(long, help_heading = ENVIRONMENT)]
    pub(crate) gas_price: Option<u64>,

    /// Lets every account send without a signature
    #[arg(long, help_heading = EVM, visible_alias = "auto-unlock")]
    pub(crate) auto_impersonate: bool,

    /// Keeps what contracts print (`console.log`) out of the log
    #[arg(long, help_heading = EVM, visible_alias = "no-console-log")]
    pub(crate) disable_console_log: bool,

    /// Leaves the CREATE2 deployer out of the dev genesis
    #[arg(long, help_heading = EVM, visible_alias = "no-create2")]
    pub(crate) disable_default_create2_deployer: bool,

    /// Most bytes of memory that the EVM frames of a transaction have together
    /// [default: 4294967295]
    #[arg(long, value_name = "BYTES", help_heading = EVM)]
    pub(crate) memory_limit: Option<u64>,

    /// Logs the calls of each sealed transaction and of each `eth_call` as a tree
    #[arg(long, help_heading = EVM, visible_alias = "enable-trace-printing")]
    pub(crate) print_traces: bool,

    /// Largest RISC-V image of the dev genesis in bytes [default: 524288]
    #[arg(long, value_name = "BYTES", help_heading = RISCV)]
    pub(crate) riscv_image_size_max: Option<u32>,

    /// Largest RISC-V init code of the dev genesis in bytes [default: 655360]
    #[arg(long, value_name = "BYTES", help_heading = RISCV)]
    pub(crate) riscv_init_code_size_max: Option<u32>,

    /// Most memory pages of 4 KiB that the RISC-V frames of a transaction have together
    /// [default: 16384]
    #[arg(long, value_name = "PAGES", help_heading = RISCV)]
    pub(crate) riscv_memory_pages_max: Option<u32>,

    /// Gas per byte of deployed RISC-V code [default: 20]
    #[arg(long, value_name = "GAS", help_heading = RISCV)]
    pub(crate) riscv_deposit_gas_per_byte: Option<u64>,

    /// Gas per byte of RISC-V code that is decoded at deployment [default: 4]
    #[arg(long, value_name = "GAS", help_heading = RISCV)]
    pub(crate) riscv_decode_gas_per_byte: Option<u64>,
}

/// Reads a number of seconds: infinity and the like would be lost among the layers.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|error: ParseFloatError| error.to_string())?;
    seconds.is_finite().then_some(seconds).ok_or_else(|| "not a number of seconds".to_owned())
}

/// Whether a browser may name this in the header `Origin`.
fn is_origin(text: &str) -> bool {
    let is_host = |host: &str| !host.is_empty() && !host.contains(['/', '?', '#', '@', '*']);
    let parts = text.split_once("://");
    text == "null" || parts.is_some_and(|(scheme, host)| !scheme.is_empty() && is_host(host))
}

/// Why the settings don't go together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// What no web page has for an origin.
    #[error(
        "allow_origin: `{origin}` is no origin: it has a scheme and a host, and no path, as in \
         https://app.example:8080"
    )]
    Origin {
        /// What was given.
        origin: String,
    },
    /// A number outside its range.
    #[error(transparent)]
    Range(#[from] ConfigError),
    /// No address to listen on.
    #[error("host: no address")]
    NoHost,
    /// Two settings of which one alone has a meaning.
    #[error("{first} and {second} can't be given together")]
    Conflict {
        /// One key.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
}

impl Settings {
    /// What clap checks among flags, checked among all sources.
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        let state = self.state.is_some();
        let mnemonic = self.mnemonic.is_some();
        let seed = self.mnemonic_seed_unsafe.is_some();
        let conflicts = [
            ("state", state, "load_state", self.load_state.is_some()),
            ("state", state, "dump_state", self.dump_state.is_some()),
            ("mnemonic", mnemonic, "mnemonic_seed_unsafe", seed),
            ("mnemonic", mnemonic, "mnemonic_random", self.mnemonic_random.is_some()),
            ("mnemonic_seed_unsafe", seed, "mnemonic_random", self.mnemonic_random.is_some()),
            ("no_cors", self.no_cors, "allow_origin", self.allow_origin.is_some()),
            (
                "fork_block_number",
                self.fork.fork_block_number.is_some(),
                "fork_transaction_hash",
                self.fork.fork_transaction_hash.is_some(),
            ),
            (
                "code_size_limit",
                self.code_size_limit.is_some(),
                "disable_code_size_limit",
                self.disable_code_size_limit,
            ),
        ];
        for (first, a, second, b) in conflicts {
            if a && b {
                return Err(SettingsError::Conflict { first, second });
            }
        }
        Ok(demand_within(&[
            ("threads", Some(self.threads as u64), 0..=THREADS_MAX),
            ("connections_max", Some(self.connections_max.into()), 1..=u64::MAX),
            ("request_size_max", Some(self.request_size_max.into()), 1..=u64::MAX),
            ("response_size_max", Some(self.response_size_max.into()), 1..=u64::MAX),
        ])?)
    }

    /// The node's part. The mnemonic stays as given: the genesis may have to draw one first.
    pub(crate) fn node(&self) -> NodeConfig {
        let mut config = NodeConfig {
            profile: self.profile,
            datadir: self.datadir.clone(),
            durability: self.durability,
            prune: self.prune,
            accounts: self.accounts,
            balance: self.balance,
            mnemonic: self.mnemonic.clone(),
            mnemonic_seed: self.mnemonic_seed_unsafe,
            mnemonic_random: self.mnemonic_random,
            derivation_path: self.derivation_path.clone(),
            block_time: self.block_time,
            mixed_mining: self.mixed_mining,
            no_mining: self.no_mining,
            gas_limit: self.gas_limit,
            disable_block_gas_limit: self.disable_block_gas_limit,
            tx_gas_limit: self.enable_tx_gas_limit.then_some(true),
            base_fee: self.block_base_fee_per_gas,
            gas_price: self.gas_price.map(u128::from),
            disable_min_priority_fee: self.disable_min_priority_fee,
            order: self.order,
            max_transactions: self.max_transactions,
            code_size_limit: self.code_size_limit,
            disable_code_size_limit: self.disable_code_size_limit,
            auto_impersonate: self.auto_impersonate,
            slots_in_an_epoch: self.slots_in_an_epoch,
            timestamp: self.timestamp,
            number: self.number,
            coinbase: self.coinbase.unwrap_or_default(),
            console: !self.disable_console_log,
            call_gas_limit: self.call_gas_limit,
            call_time_max: self.call_time_max,
            calls_max: self.calls_max,
            trace_time_max: self.trace_time_max,
            seal_blocks_max: self.seal_blocks_max,
            logs_max: self.logs_max,
            log_range_max: self.log_range_max,
            trace_blocks_max: self.trace_blocks_max,
            trace_size_max: self.trace_size_max,
            traces_max: self.traces_max,
            print_traces: self.print_traces,
            memory_limit: self.memory_limit,
            ..NodeConfig::default()
        };
        self.pool.apply(&mut config);
        config
    }

    /// The server's part.
    pub(crate) fn server(&self) -> Result<ServerConfig, SettingsError> {
        let origins = match self.allow_origin.as_deref().map(str::trim) {
            _ if self.no_cors => Origins::Nobody,
            None if self.profile == Profile::Testnet => Origins::Nobody,
            None | Some("*") => Origins::Any,
            Some(list) => Origins::Only(
                list.split(',')
                    .map(str::trim)
                    .map(|origin| {
                        let value = is_origin(origin).then(|| origin.parse().ok()).flatten();
                        value.ok_or_else(|| SettingsError::Origin { origin: origin.to_owned() })
                    })
                    .collect::<Result<_, _>>()?,
            ),
        };
        let names = |list: &str| list.split(',').map(|name| name.trim().to_lowercase()).collect();
        let hosts = match self.allow_host.as_deref().map(str::trim) {
            Some("*") => Hosts::Any,
            list => Hosts::Private(list.map(names).unwrap_or_default()),
        };
        let (first, more) = match &self.host[..] {
            [first, more @ ..] => (*first, more),
            [] => return Err(SettingsError::NoHost),
        };
        let mut server = ServerConfig {
            address: SocketAddr::new(first, self.port),
            more: more.to_vec(),
            origins,
            hosts,
            json_only: self.profile == Profile::Testnet,
            request_bytes_max: self.request_size_max,
            response_bytes_max: self.response_size_max,
            connections_max: self.connections_max,
            batch_max: self.batch_max,
            subscriptions_max: self.subscriptions_max,
        };
        if self.no_request_size_limit {
            server.request_bytes_max = u32::MAX;
        }
        Ok(server)
    }

    /// The RISC-V rules of a dev genesis.
    pub(crate) fn riscv(&self) -> RiscvParams {
        let default = RiscvParams::default();
        RiscvParams {
            image_size_max: self.riscv_image_size_max.unwrap_or(default.image_size_max),
            init_code_size_max: self.riscv_init_code_size_max.unwrap_or(default.init_code_size_max),
            memory_pages_max: self.riscv_memory_pages_max.unwrap_or(default.memory_pages_max),
            deposit_gas_per_byte: self
                .riscv_deposit_gas_per_byte
                .unwrap_or(default.deposit_gas_per_byte),
            decode_gas_per_byte: self
                .riscv_decode_gas_per_byte
                .unwrap_or(default.decode_gas_per_byte),
            gas: default.gas,
        }
    }
}
