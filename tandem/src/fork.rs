//! Forking another node's chain: its settings, and the start of such a chain.

use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy_primitives::B256;
use clap::Args;
use node::NodeConfig;
use node::accounts::{AccountError, dev_accounts};
use node::fork::{
    CachePlace, ForkBlock, ForkConfig, ForkError, ForkRules, ForkStart, RemoteConfig, begin,
    is_kept,
};
use serde::{Deserialize, Deserializer, Serialize};

use crate::settings::Settings;

const FORK: &str = "Fork config";

/// Where the cache is in the user's home directory.
const HOME_CACHE: &str = ".tandem/cache";
/// Where it is in a data directory.
const DATADIR_CACHE: &str = "fork-cache";

/// The settings of a fork, each with anvil's name and default where anvil has it.
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
pub(crate) struct ForkSettings {
    /// Goes on from the state of the node at this address, a URL (http, https, ws, wss) or the path
    /// of an IPC socket, an `@BLOCK` at its end being the block; several take turns
    #[arg(short = 'f', long, value_name = "URL", visible_alias = "rpc-url", help_heading = FORK)]
    #[serde(default, deserialize_with = "comma_list")]
    pub(crate) fork_url: Vec<String>,

    /// The block to fork at [default: the newest]; a negative number counts back from the newest
    #[arg(long, value_name = "BLOCK", help_heading = FORK, allow_negative_numbers = true)]
    pub(crate) fork_block_number: Option<i64>,

    /// The chain id of the forked chain, so that the node is not asked for it
    #[arg(long, value_name = "CHAIN", help_heading = FORK)]
    pub(crate) fork_chain_id: Option<u64>,

    /// Forks after this transaction: its block is run again up to it
    #[arg(long, value_name = "TRANSACTION", help_heading = FORK)]
    #[arg(conflicts_with = "fork_block_number")]
    pub(crate) fork_transaction_hash: Option<B256>,

    /// A header of every request to the forked node, as `Name: value`; may be given several times
    #[arg(long, value_name = "HEADERS", help_heading = FORK)]
    #[serde(default, deserialize_with = "line_list")]
    pub(crate) fork_header: Vec<String>,

    /// Milliseconds before a failed request is repeated; they double with each repetition
    #[arg(long, value_name = "BACKOFF", help_heading = FORK, default_value_t = 1_000)]
    pub(crate) fork_retry_backoff: u64,

    /// How often a request that failed is repeated
    #[arg(long, help_heading = FORK, default_value_t = 5)]
    pub(crate) retries: u32,

    /// Milliseconds that a request may take
    #[arg(long, help_heading = FORK, default_value_t = 45_000)]
    pub(crate) timeout: u64,

    /// Compute units per second that the provider grants: how long to wait after it said stop
    #[arg(long, value_name = "CUPS", help_heading = FORK, default_value_t = 330)]
    pub(crate) compute_units_per_second: u64,

    /// Does not reckon with a limit of the provider's
    #[arg(long, help_heading = FORK, visible_alias = "no-rpc-rate-limit")]
    pub(crate) no_rate_limit: bool,

    /// Keeps nothing that was fetched after the node has ended
    #[arg(long, help_heading = FORK)]
    pub(crate) no_storage_caching: bool,

    /// Where fetched state is kept [default: in `--datadir`, or in `~/.tandem/cache` if the forked
    /// node is on another machine]
    #[arg(long, value_name = "PATH", help_heading = FORK)]
    pub(crate) fork_cache_path: Option<PathBuf>,
}

/// A list, or its entries in one text, as a variable holds them.
#[derive(Deserialize)]
#[serde(untagged)]
enum List {
    Text(String),
    Entries(Vec<String>),
}

impl List {
    fn split(self, at: char) -> Vec<String> {
        match self {
            Self::Text(text) => {
                let entries = text.split(at).map(str::trim).filter(|entry| !entry.is_empty());
                entries.map(str::to_owned).collect()
            }
            Self::Entries(entries) => entries,
        }
    }
}

fn comma_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(List::deserialize(deserializer)?.split(','))
}

fn line_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(List::deserialize(deserializer)?.split('\n'))
}

/// Why a fork can't be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForkStartError {
    /// The forked node, the cache or the data directory.
    #[error(transparent)]
    Fork(#[from] ForkError),
    /// The dev accounts can't be made.
    #[error(transparent)]
    Accounts(#[from] AccountError),
    /// The data directory has a chain that is no fork.
    #[error(
        "{} holds a chain of its own, not a fork: use another data directory", path.display()
    )]
    NoFork {
        /// The data directory.
        path: PathBuf,
    },
    /// A setting that the kept fork contradicts.
    #[error("{key} = {set}, but it is {held} in the fork that {} holds", path.display())]
    Contradiction {
        /// Key of the setting.
        key: &'static str,
        /// Its value.
        set: String,
        /// What the fork began with.
        held: String,
        /// The data directory.
        path: PathBuf,
    },
    /// A setting that says what the forked block says.
    #[error("{key} can't be given with fork_url: the chain goes on from the forked block")]
    Settled {
        /// Key of the setting.
        key: &'static str,
    },
    /// A setting of forks, but nothing to fork.
    #[error("{key} needs a fork_url")]
    NoUrl {
        /// Key of the setting.
        key: &'static str,
    },
}

/// Begins a fork, or goes on with the one in the data directory; `None` if there is none to make.
pub(crate) fn resolve(
    settings: &Settings,
) -> Result<Option<(ForkStart, NodeConfig)>, ForkStartError> {
    let fork = &settings.fork;
    let kept = settings.datadir.as_deref().filter(|path| is_kept(path));
    if fork.fork_url.is_empty() && kept.is_none() {
        return fork.check_idle().map(|()| None);
    }
    if let Some(path) = settings.datadir.as_ref()
        && kept.is_none()
        && path.join(crate::chain_genesis::KEPT_FILE).exists()
    {
        return Err(ForkStartError::NoFork { path: path.clone() });
    }
    let settled = [
        ("genesis", settings.genesis.is_some()),
        ("number", settings.number.is_some()),
        ("timestamp", settings.timestamp.is_some()),
    ];
    if let Some((key, _)) = settled.into_iter().find(|(_, given)| *given) {
        return Err(ForkStartError::Settled { key });
    }
    let mut node = settings.node();
    let (mnemonic, accounts) = dev_accounts(&node)?;
    // A mnemonic that was drawn is drawn once.
    node.mnemonic = Some(mnemonic);
    (node.mnemonic_seed, node.mnemonic_random) = (None, None);
    let balance = node.balance_wei();
    let rules = ForkRules {
        chain_id: settings.chain_id,
        hardfork: settings.hardfork.as_ref().map(|hardfork| hardfork.fork),
        gas_limit: settings.gas_limit,
        accounts: accounts.iter().map(|account| (account.address, balance)).collect(),
        create2_deployer: !settings.disable_default_create2_deployer,
        riscv: settings.riscv(),
    };
    let start = begin(fork.config(settings.datadir.as_deref()), rules)?;
    if let Some(path) = kept {
        agree(settings, &start, path)?;
    }
    node.chain_id = start.genesis.spec.chain_id();
    Ok(Some((start, node)))
}

/// What the kept fork began with can't be set to something else.
fn agree(settings: &Settings, start: &ForkStart, path: &Path) -> Result<(), ForkStartError> {
    let genesis = &start.genesis;
    let hardfork = settings.hardfork.as_ref().map(|hardfork| hardfork.fork.to_string());
    let pairs = [
        (
            "chain_id",
            settings.chain_id.map(|id| id.to_string()),
            genesis.spec.chain_id().to_string(),
        ),
        ("hardfork", hardfork, genesis.fork().to_string()),
    ];
    for (key, set, held) in pairs {
        if let Some(set) = set.filter(|set| *set != held) {
            return Err(ForkStartError::Contradiction { key, set, held, path: path.to_owned() });
        }
    }
    Ok(())
}

impl ForkSettings {
    /// Refuses settings that have no effect without something to fork.
    fn check_idle(&self) -> Result<(), ForkStartError> {
        let given = [
            ("fork_block_number", self.fork_block_number.is_some()),
            ("fork_chain_id", self.fork_chain_id.is_some()),
            ("fork_transaction_hash", self.fork_transaction_hash.is_some()),
            ("fork_header", !self.fork_header.is_empty()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((key, _)) => Err(ForkStartError::NoUrl { key }),
            None => Ok(()),
        }
    }

    fn config(&self, datadir: Option<&Path>) -> ForkConfig {
        let mut block = None;
        let urls: Vec<_> = self.fork_url.iter().map(|url| split_block(url, &mut block)).collect();
        let block = match (self.fork_transaction_hash, self.fork_block_number) {
            (Some(hash), _) => ForkBlock::Transaction(hash),
            (None, Some(number)) => match u64::try_from(number) {
                Ok(number) => ForkBlock::Number(number),
                Err(_) => ForkBlock::Back(number.unsigned_abs()),
            },
            (None, None) => block.map_or(ForkBlock::Newest, ForkBlock::Number),
        };
        let remote = RemoteConfig {
            urls,
            headers: self.fork_header.clone(),
            timeout: Duration::from_millis(self.timeout.max(1)),
            retries: self.retries,
            backoff: Duration::from_millis(self.fork_retry_backoff),
            compute_units_per_second: (!self.no_rate_limit)
                .then_some(self.compute_units_per_second),
        };
        let cache = self.cache(&remote, datadir);
        let datadir = datadir.map(Path::to_owned);
        ForkConfig { remote, block, chain_id: self.fork_chain_id, cache, datadir }
    }

    fn cache(&self, remote: &RemoteConfig, datadir: Option<&Path>) -> CachePlace {
        if self.no_storage_caching {
            return CachePlace::Nowhere;
        }
        if let Some(path) = &self.fork_cache_path {
            return CachePlace::Below(path.clone());
        }
        if let Some(datadir) = datadir {
            return CachePlace::Below(datadir.join(DATADIR_CACHE));
        }
        // What a node on this machine says of a block may change: its users edit its state.
        match std::env::var_os("HOME").filter(|home| !home.is_empty() && !remote.is_local()) {
            Some(home) => CachePlace::Below(Path::new(&home).join(HOME_CACHE)),
            None => CachePlace::Nowhere,
        }
    }
}

/// Takes a block off the end of `URL@BLOCK`.
fn split_block(url: &str, block: &mut Option<u64>) -> String {
    let Some((rest, number)) = url.rsplit_once('@') else { return url.to_owned() };
    match number.parse() {
        Ok(number) => {
            *block = Some(number);
            rest.to_owned()
        }
        Err(_) if number == "latest" => rest.to_owned(),
        // A user and password before the host.
        Err(_) => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli, layers};

    fn settings(file: &str, env: &[(&str, &str)], flags: &[&str]) -> Settings {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tandem.toml");
        std::fs::write(&path, file).unwrap();
        let given = ["tandem", "--config", path.to_str().unwrap()];
        let flags = given.iter().chain(flags);
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        layers::merge(&cli::parse(flags).unwrap(), env.collect()).unwrap()
    }

    fn block(flags: &[&str]) -> (Vec<String>, ForkBlock) {
        let config = settings("", &[], flags).fork.config(None);
        (config.remote.urls, config.block)
    }

    #[test]
    fn the_block_comes_with_the_address_or_by_itself() {
        let urls = |url: &str| vec![url.to_owned()];
        assert_eq!(block(&["-f", "http://a"]), (urls("http://a"), ForkBlock::Newest));
        assert_eq!(block(&["--rpc-url", "http://a@7"]), (urls("http://a"), ForkBlock::Number(7)));
        assert_eq!(block(&["-f", "http://u:p@a"]), (urls("http://u:p@a"), ForkBlock::Newest));
        assert_eq!(block(&["-f", "http://u:p@a@9"]), (urls("http://u:p@a"), ForkBlock::Number(9)));
        assert_eq!(block(&["-f", "http://a@latest"]), (urls("http://a"), ForkBlock::Newest));
        let both = ["-f", "http://a@7", "--fork-block-number", "8"];
        assert_eq!(block(&both).1, ForkBlock::Number(8));
        let back = ["-f", "http://a", "--fork-block-number", "-3"];
        assert_eq!(block(&back).1, ForkBlock::Back(3));
        assert_eq!(block(&["-f", "a", "-f", "b"]).0, ["a", "b"]);
    }

    #[test]
    fn the_defaults_are_anvils() {
        let config = settings("", &[], &["-f", "http://a"]).fork.config(None);
        let urls = vec!["http://a".to_owned()];
        assert_eq!(config.remote, RemoteConfig { urls, ..RemoteConfig::default() });
        let unlimited = settings("", &[], &["--no-rpc-rate-limit"]).fork.config(None);
        assert_eq!(unlimited.remote.compute_units_per_second, None);
    }

    #[test]
    fn file_and_environment_have_lists_and_numbers() {
        let file = "fork_url = [\"http://a\", \"http://b\"]\nretries = 2\nno_rate_limit = true\n";
        let env = [("TANDEM_FORK_HEADER", "A: b\nC: d"), ("TANDEM_TIMEOUT", "9")];
        let fork = settings(file, &env, &[]).fork;
        assert_eq!((fork.retries, fork.timeout, fork.no_rate_limit), (2, 9, true));
        assert_eq!(fork.fork_url, ["http://a", "http://b"]);
        assert_eq!(fork.fork_header, ["A: b", "C: d"]);
        let fork = settings(file, &[("TANDEM_FORK_URL", "http://c, http://d")], &[]).fork;
        assert_eq!(fork.fork_url, ["http://c", "http://d"]);
    }

    #[test]
    fn the_cache_lies_with_the_chain_or_at_home() {
        let place = |flags: &[&str]| {
            let settings = settings("", &[], flags);
            settings.fork.config(settings.datadir.as_deref()).cache
        };
        let below = |path: &str| CachePlace::Below(PathBuf::from(path));
        assert_eq!(place(&["-f", "http://a", "--datadir", "/d"]), below("/d/fork-cache"));
        assert_eq!(place(&["-f", "http://a", "--fork-cache-path", "/c"]), below("/c"));
        assert_eq!(place(&["-f", "http://a", "--no-storage-caching"]), CachePlace::Nowhere);
        assert_eq!(place(&["-f", "http://127.0.0.1:1"]), CachePlace::Nowhere);
        let home = std::env::var("HOME").unwrap_or_default();
        assert_eq!(place(&["-f", "http://a"]), below(&format!("{home}/.tandem/cache")));
    }

    fn fails(flags: &[&str], expected: &str) {
        let error = resolve(&settings("", &[], flags)).unwrap_err().to_string();
        assert_eq!(error, expected);
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        fails(&["--fork-block-number", "1"], "fork_block_number needs a fork_url");
        fails(&["--fork-header", "a: b"], "fork_header needs a fork_url");
        fails(
            &["-f", "http://127.0.0.1:1", "--number", "1"],
            "number can't be given with fork_url: the chain goes on from the forked block",
        );
        fails(
            &["-f", "ftp://127.0.0.1:1"],
            "fork_url ftp://127.0.0.1:1: only http, https, ws, wss and the path of a socket can be \
             forked from",
        );
        assert!(resolve(&settings("", &[], &[])).unwrap().is_none());
    }
}
