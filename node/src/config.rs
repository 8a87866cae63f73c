//! All settings of a node, with their defaults. How they are read (flags, environment, file) is
//! the binary's business.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::TIMESTAMP_MAX;
use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

/// The mnemonic that every Ethereum development tool uses.
pub const TEST_MNEMONIC: &str = "test test test test test test test test test test test junk";

/// The longest time that can be set, in seconds.
pub const SECONDS_MAX: u64 = 1_000_000_000;
/// The most dev accounts.
const ACCOUNTS_MAX: u64 = 1_000_000;
/// The most calls, or traces, at the same time.
const CALLS_MAX: u64 = 1_000_000;
/// Calls that run at the same time, for each processor.
const CALLS_PER_PROCESSOR: usize = 4;
/// Most logs in one answer of a testnet node.
const TESTNET_LOGS_MAX: usize = 20_000;
/// Most blocks that a query for logs looks through on a testnet node.
const TESTNET_LOG_RANGE_MAX: u64 = 100_000;
/// How long transactions behind a missing nonce wait on a testnet node: as long as in geth.
const TESTNET_POOL_LIFETIME_SECONDS: u64 = 3 * 60 * 60;

/// What kind of chain the node runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Unlocked accounts and every dev method.
    #[default]
    Dev,
    /// None of the dev methods, and the rules of a public chain.
    Testnet,
}

/// What an acknowledged change outlives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// A kill of the process at any moment.
    Process,
    /// A power cut, too.
    Disk,
}

impl From<Durability> for storage::Durability {
    fn from(durability: Durability) -> Self {
        match durability {
            Durability::Process => Self::Process,
            Durability::Disk => Self::Disk,
        }
    }
}

/// How waiting transactions are ordered within a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// The highest tip first.
    #[default]
    Fees,
    /// The first to arrive first.
    Fifo,
}

/// When blocks are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealing {
    /// A block as soon as a transaction arrives.
    Auto,
    /// A block every so often, empty ones too.
    Interval(Duration),
    /// Both.
    Mixed(Duration),
    /// Only when asked.
    Manual,
}

/// Every setting of a node. Keys that it does not know are errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "snake_case")]
pub struct NodeConfig {
    /// What kind of chain the node runs.
    pub profile: Profile,
    /// Where the chain is kept; a temporary directory if there is none.
    pub datadir: Option<PathBuf>,
    /// What an acknowledged change outlives; by the profile if not set.
    pub durability: Option<Durability>,
    /// The largest size of the database, in bytes.
    pub database_size_max: u64,
    /// How many blocks before the newest one keep their state; all of them if not set.
    pub prune: Option<u64>,
    /// Number of dev accounts.
    pub accounts: u32,
    /// Balance of each dev account, in ether.
    pub balance: u64,
    /// The mnemonic of the dev accounts.
    pub mnemonic: Option<String>,
    /// A seed from which to draw a mnemonic (not for production).
    pub mnemonic_seed: Option<u64>,
    /// A new random mnemonic of that many words.
    pub mnemonic_random: Option<usize>,
    /// The derivation path of the dev accounts, without the last index.
    pub derivation_path: String,
    /// The chain id of the dev genesis.
    pub chain_id: u64,
    /// Name of the hardfork of the dev genesis; the newest one on mainnet if not set.
    pub hardfork: Option<String>,
    /// Seconds between two blocks; a block per transaction if not set.
    pub block_time: Option<f64>,
    /// Seals both on an interval and for each transaction.
    pub mixed_mining: bool,
    /// Seals blocks only when asked.
    pub no_mining: bool,
    /// Gas limit of a block.
    pub gas_limit: Option<u64>,
    /// Lets a block take any amount of gas.
    pub disable_block_gas_limit: bool,
    /// Enforces the gas limit of a transaction (EIP-7825); by the profile if not set.
    pub tx_gas_limit: Option<bool>,
    /// Base fee of the genesis block, in wei.
    pub base_fee: Option<u64>,
    /// The gas price that the node suggests, in wei.
    pub gas_price: Option<u128>,
    /// The least tip or gas price that the pool takes, in wei.
    pub min_gas_price: u128,
    /// Suggests a tip of zero.
    pub disable_min_priority_fee: bool,
    /// Order of transactions within a block.
    pub order: Order,
    /// Most transactions in a block.
    pub max_transactions: usize,
    /// Size limit of EVM code, in bytes; the fork's if not set.
    pub code_size_limit: Option<usize>,
    /// Lifts the size limit of EVM code.
    pub disable_code_size_limit: bool,
    /// Lets every account send without a signature.
    pub auto_impersonate: bool,
    /// Blocks in an epoch: `safe` is one epoch behind the head, `finalized` two.
    pub slots_in_an_epoch: u64,
    /// Timestamp of the genesis block; now if not set.
    pub timestamp: Option<u64>,
    /// Number of the genesis block.
    pub number: Option<u64>,
    /// Receives the fees of each block.
    pub coinbase: Address,
    /// Most transactions in the pool.
    pub pool_transactions_max: usize,
    /// Most transactions of one sender in the pool.
    pub pool_sender_max: usize,
    /// Most bytes in the pool.
    pub pool_bytes_max: usize,
    /// Seconds that transactions behind a missing nonce may wait after their sender's last one; 0
    /// for any time, and by the profile if not set.
    pub pool_lifetime: Option<u64>,
    /// Gas limit of a call, an estimate or a trace; if not set, 50 million or a block's.
    pub call_gas_limit: Option<u64>,
    /// Most seconds that a call waits for others and runs.
    pub call_time_max: u64,
    /// Most calls that run at the same time; four for each processor if not set.
    pub calls_max: Option<usize>,
    /// Most seconds that a trace may take.
    pub trace_time_max: u64,
    /// Most bytes that a trace may record.
    pub trace_size_max: usize,
    /// Most blocks with transactions that a search through traces runs again.
    pub trace_blocks_max: u64,
    /// Most traces that run at the same time; as many as there are processors if not set.
    pub traces_max: Option<usize>,
    /// Most blocks that one request may seal.
    pub seal_blocks_max: u64,
    /// Most logs in one answer; if not set, any number in the dev profile.
    pub logs_max: Option<usize>,
    /// Most blocks that a query for logs looks through; if not set, any number in the dev profile.
    pub log_range_max: Option<u64>,
    /// Logs what contracts print.
    pub console: bool,
    /// Logs the calls of each sealed transaction and each call as a tree.
    pub print_traces: bool,
    /// Most bytes of memory that the EVM frames of a transaction have together; 4 GiB if not set.
    pub memory_limit: Option<u64>,
    /// Takes transactions whose senders cannot pay for them, and lends them the value.
    pub disable_balance_checks: bool,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            profile: Profile::Dev,
            datadir: None,
            durability: None,
            database_size_max: 1 << 40,
            prune: None,
            accounts: 10,
            balance: 10_000,
            mnemonic: None,
            mnemonic_seed: None,
            mnemonic_random: None,
            derivation_path: "m/44'/60'/0'/0/".to_owned(),
            chain_id: 31337,
            hardfork: None,
            block_time: None,
            mixed_mining: false,
            no_mining: false,
            gas_limit: None,
            disable_block_gas_limit: false,
            tx_gas_limit: None,
            base_fee: None,
            gas_price: None,
            min_gas_price: 0,
            disable_min_priority_fee: false,
            order: Order::Fees,
            max_transactions: 1_000,
            code_size_limit: None,
            disable_code_size_limit: false,
            auto_impersonate: false,
            slots_in_an_epoch: 32,
            timestamp: None,
            number: None,
            coinbase: Address::ZERO,
            pool_transactions_max: 100_000,
            pool_sender_max: 10_000,
            pool_bytes_max: 256 << 20,
            pool_lifetime: None,
            call_gas_limit: None,
            call_time_max: 30,
            calls_max: None,
            trace_time_max: 60,
            trace_size_max: 256 << 20,
            trace_blocks_max: 10_000,
            traces_max: None,
            seal_blocks_max: 1_000_000,
            logs_max: None,
            log_range_max: None,
            console: true,
            print_traces: false,
            memory_limit: None,
            disable_balance_checks: false,
        }
    }
}

impl NodeConfig {
    /// What an acknowledged change outlives, by the profile unless it was set.
    pub fn durability(&self) -> Durability {
        self.durability.unwrap_or(match self.profile {
            Profile::Dev => Durability::Process,
            Profile::Testnet => Durability::Disk,
        })
    }

    /// When blocks are sealed.
    pub fn sealing(&self) -> Result<Sealing, ConfigError> {
        let interval = match self.block_time {
            Some(seconds) if seconds.is_finite() && (0.001..=1e9).contains(&seconds) => {
                Some(Duration::from_secs_f64(seconds))
            }
            Some(seconds) => return Err(ConfigError::BlockTime { seconds }),
            None => None,
        };
        match (interval, self.mixed_mining, self.no_mining) {
            (Some(_), _, true) => Err(ConfigError::BlockTimeWithoutMining),
            (None, true, _) => Err(ConfigError::MixedWithoutBlockTime),
            (Some(interval), true, false) => Ok(Sealing::Mixed(interval)),
            (Some(interval), false, false) => Ok(Sealing::Interval(interval)),
            (None, false, true) => Ok(Sealing::Manual),
            (None, false, false) => Ok(Sealing::Auto),
        }
    }

    /// Whether the gas limit of a transaction (EIP-7825) is enforced.
    pub fn tx_gas_limit_enforced(&self) -> bool {
        self.tx_gas_limit.unwrap_or(self.profile == Profile::Testnet)
    }

    /// Most calls that run at the same time.
    pub fn calls_max(&self) -> usize {
        let processors = || std::thread::available_parallelism().map_or(2, usize::from);
        self.calls_max.unwrap_or_else(|| CALLS_PER_PROCESSOR * processors())
    }

    /// Most logs in one answer.
    pub fn logs_max(&self) -> Option<usize> {
        self.logs_max.or((self.profile == Profile::Testnet).then_some(TESTNET_LOGS_MAX))
    }

    /// Most blocks that a query for logs looks through.
    pub fn log_range_max(&self) -> Option<u64> {
        self.log_range_max.or((self.profile == Profile::Testnet).then_some(TESTNET_LOG_RANGE_MAX))
    }

    /// How long transactions behind a missing nonce may wait; `None` for any time.
    pub fn pool_lifetime(&self) -> Option<Duration> {
        let by_profile = match self.profile {
            Profile::Dev => 0,
            Profile::Testnet => TESTNET_POOL_LIFETIME_SECONDS,
        };
        let seconds = self.pool_lifetime.unwrap_or(by_profile);
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }

    /// Most traces that run at the same time.
    pub fn traces_max(&self) -> usize {
        let processors = || std::thread::available_parallelism().map_or(2, usize::from);
        self.traces_max.unwrap_or_else(processors).max(1)
    }

    /// Balance of each dev account, in wei.
    pub fn balance_wei(&self) -> U256 {
        U256::from(self.balance) * U256::from(1_000_000_000_000_000_000u64)
    }

    /// Size limit of EVM code, in bytes; `None` for the fork's.
    pub fn code_size_max(&self) -> Option<usize> {
        if self.disable_code_size_limit { Some(usize::MAX) } else { self.code_size_limit }
    }

    /// Checks what no single setting shows.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.sealing()?;
        let count = |count: usize| Some(count as u64);
        let (calls, traces) = (self.calls_max.and_then(count), self.traces_max.and_then(count));
        let any = 1..=u64::MAX;
        demand_within(&[
            ("accounts", Some(self.accounts.into()), 0..=ACCOUNTS_MAX),
            ("slots_in_an_epoch", Some(self.slots_in_an_epoch), any.clone()),
            ("max_transactions", count(self.max_transactions), any.clone()),
            ("calls_max", calls, 1..=CALLS_MAX),
            ("call_time_max", Some(self.call_time_max), 1..=SECONDS_MAX),
            ("traces_max", traces, 1..=CALLS_MAX),
            ("trace_time_max", Some(self.trace_time_max), 0..=SECONDS_MAX),
            ("gas_limit", self.gas_limit, any.clone()),
            ("pool_transactions_max", count(self.pool_transactions_max), any.clone()),
            ("pool_sender_max", count(self.pool_sender_max), any.clone()),
            ("pool_size_max", count(self.pool_bytes_max), any),
            ("pool_lifetime", self.pool_lifetime, 0..=SECONDS_MAX),
        ])
    }
}

/// Refuses the first setting that is given and does not lie within its range.
pub fn demand_within(
    settings: &[(&'static str, Option<u64>, RangeInclusive<u64>)],
) -> Result<(), ConfigError> {
    let outside = |(key, value, range): &(&'static str, Option<u64>, RangeInclusive<u64>)| {
        let value = value.filter(|value| !range.contains(value))?;
        let key = *key;
        Some(if value == 0 {
            ConfigError::Zero { key }
        } else {
            ConfigError::TooLarge { key, value, max: *range.end() }
        })
    };
    settings.iter().find_map(outside).map_or(Ok(()), Err)
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// The block time is not a time.
    #[error("block_time: {seconds} is not between 0.001 and 1,000,000,000 seconds")]
    BlockTime {
        /// What was given.
        seconds: f64,
    },
    /// Two settings contradict each other.
    #[error("no_mining: a block_time was given as well")]
    BlockTimeWithoutMining,
    /// Mixed mining needs an interval.
    #[error("mixed_mining: needs a block_time")]
    MixedWithoutBlockTime,
    /// The first block leaves no room for later ones, which count up from it.
    #[error("{key}: {value} is too large, at most {} can be", TIMESTAMP_MAX)]
    FirstBlock {
        /// The number, the timestamp, or one of those that the next block's blob gas is a sum of.
        key: &'static str,
        /// What was given.
        value: u64,
    },
    /// A setting must be at least one.
    #[error("{key}: must not be 0")]
    Zero {
        /// Name of the setting.
        key: &'static str,
    },
    /// A setting is larger than it may be.
    #[error("{key}: {value} is more than {max}")]
    TooLarge {
        /// Name of the setting.
        key: &'static str,
        /// What was given.
        value: u64,
        /// The most.
        max: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        block_time: Option<f64>,
        mixed: bool,
        no_mining: bool,
        want: Result<Sealing, ConfigError>,
    ) {
        let config =
            NodeConfig { block_time, mixed_mining: mixed, no_mining, ..NodeConfig::default() };
        assert_eq!(config.sealing(), want);
    }

    #[test]
    fn settings_lie_within_their_ranges() {
        let refusal = |change: fn(&mut NodeConfig)| {
            let mut config = NodeConfig::default();
            change(&mut config);
            config.validate().map_err(|error| error.to_string())
        };
        assert_eq!(refusal(|_| ()), Ok(()));
        assert_eq!(refusal(|config| config.accounts = 0), Ok(()));
        assert_eq!(refusal(|config| config.calls_max = Some(1_000_000)), Ok(()));
        let refused = |change, text: &str| assert_eq!(refusal(change), Err(text.to_owned()));
        refused(|config| config.calls_max = Some(0), "calls_max: must not be 0");
        refused(
            |config| config.calls_max = Some(1_000_001),
            "calls_max: 1000001 is more than 1000000",
        );
        refused(
            |config| config.call_time_max = 1_000_000_001,
            "call_time_max: 1000000001 is more than 1000000000",
        );
        refused(|config| config.accounts = 1_000_001, "accounts: 1000001 is more than 1000000");
    }

    #[test]
    fn sealing_follows_three_settings() {
        let two = Duration::from_millis(2_500);
        check(None, false, false, Ok(Sealing::Auto));
        check(Some(2.5), false, false, Ok(Sealing::Interval(two)));
        check(Some(2.5), true, false, Ok(Sealing::Mixed(two)));
        check(None, false, true, Ok(Sealing::Manual));
        check(Some(2.5), false, true, Err(ConfigError::BlockTimeWithoutMining));
        check(None, true, false, Err(ConfigError::MixedWithoutBlockTime));
        check(Some(0.0), false, false, Err(ConfigError::BlockTime { seconds: 0.0 }));
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = serde_json::from_str::<NodeConfig>(r#"{"chainid": 1}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `chainid`"), "{error}");
    }
}
