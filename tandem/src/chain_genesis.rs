//! Which genesis the node starts from: a file, the one kept in the data directory, or a dev one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use alloy_primitives::B256;
use genesis::{DEV_CHAIN_ID, DevOptions, Genesis, GenesisError, Headers, SpecId};
use node::{
    NodeConfig,
    accounts::{AccountError, dev_accounts},
};

use crate::{db, settings::Settings};

/// The data directory's own copy, which says what the chain in it began with.
pub(crate) const KEPT_FILE: &str = "genesis.json";

/// Gas limit of a dev genesis.
const DEV_GAS_LIMIT: u64 = 30_000_000;

/// Why there is no genesis to start from.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// A file or directory that can't be used.
    #[error("{}: {source}", path.display())]
    File {
        /// The path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A genesis file with an error in it.
    #[error("{}: {source}", path.display())]
    Genesis {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: GenesisError,
    },
    /// Another chain in the data directory.
    #[error(
        "{} holds a chain that does not begin with {}; its own genesis is in {KEPT_FILE} there",
        datadir.display(), given.display()
    )]
    OtherChain {
        /// The data directory.
        datadir: PathBuf,
        /// The genesis file given.
        given: PathBuf,
    },
    /// A setting that the genesis contradicts.
    #[error("{key} = {set}, but it is {held} in {}", path.display())]
    Contradiction {
        /// Key of the setting.
        key: &'static str,
        /// Its value.
        set: String,
        /// What the genesis says.
        held: String,
        /// The genesis file.
        path: PathBuf,
    },
    /// A file of blocks that are not on this genesis.
    #[error(
        "{}: the genesis block is {tandem} with Tandem's headers and {ethereum} with those of \
         other clients, but the file's first block is on {hash}", path.display()
    )]
    OtherGenesis {
        /// The genesis file.
        path: PathBuf,
        /// Hash of the block that the file is on.
        hash: B256,
        /// Hash of the genesis block with the root of the binary tree.
        tandem: B256,
        /// Hash of the genesis block with the root of the Merkle Patricia trie.
        ethereum: B256,
    },
    /// The genesis state can't be a tree.
    #[error(transparent)]
    Store(#[from] storage::StoreError),
    /// The dev accounts can't be made.
    #[error(transparent)]
    Accounts(#[from] AccountError),
}

/// The genesis and the node's settings that belong to it.
///
/// The chain in a data directory goes on with the genesis it began with: a copy lies beside it.
pub(crate) fn resolve(settings: &Settings, now: u64) -> Result<(Genesis, NodeConfig), SourceError> {
    let mut node = settings.node();
    let kept = settings.datadir.as_ref().map(|dir| dir.join(KEPT_FILE));
    let held = match &kept {
        Some(path) if path.exists() => Some((read(path)?, path)),
        _ => None,
    };
    let given = match &settings.genesis {
        Some(path) => Some((read(path)?, path)),
        None => None,
    };
    if let (Some((held, _)), Some((given, path)), Some(datadir)) =
        (&held, &given, &settings.datadir)
        && held != given
        // A file for other clients does not say that headers are to be theirs.
        && !(held.spec.is_ethereum() && *held == with_headers(given, Headers::Ethereum))
    {
        let (datadir, given) = (datadir.clone(), (*path).clone());
        return Err(SourceError::OtherChain { datadir, given });
    }
    let is_new = held.is_none();
    let genesis = match held.or(given) {
        Some((genesis, path)) => {
            agree(settings, &genesis, path)?;
            genesis
        }
        None => dev(settings, &mut node, now)?,
    };
    node.chain_id = genesis.spec.chain_id();
    if let (Some(datadir), Some(path), true) = (&settings.datadir, &kept, is_new) {
        keep(datadir, path, &genesis)?;
    }
    Ok((genesis, node))
}

/// Whether the data directory has a chain.
pub(crate) fn has_chain(settings: &Settings) -> bool {
    settings.datadir.as_ref().is_some_and(|dir| dir.join(KEPT_FILE).exists())
}

/// The genesis that a chain file is on: that of the data directory, or the one given. A new one's
/// headers are those that make its hash the one of block `number` of the file's chain, `hash`.
pub(crate) fn resolve_for_file(
    settings: &Settings,
    (number, hash): (u64, B256),
) -> Result<(Genesis, NodeConfig), SourceError> {
    let kept = settings.datadir.as_ref().map(|dir| dir.join(KEPT_FILE));
    let (Some(path), true) = (&settings.genesis, !kept.is_some_and(|path| path.exists())) else {
        return resolve(settings, 0);
    };
    let given = read(path)?;
    let kinds = [Headers::Tandem, Headers::Ethereum].map(|kind| with_headers(&given, kind));
    let [tandem, ethereum] = [storage::genesis_hash(&kinds[0])?, storage::genesis_hash(&kinds[1])?];
    let [as_tandem, as_ethereum] = kinds;
    let genesis = match hash {
        // A file that begins later belongs to a chain that is there already.
        _ if number != given.number => given,
        hash if hash == tandem => as_tandem,
        hash if hash == ethereum => as_ethereum,
        _ => return Err(SourceError::OtherGenesis { path: path.clone(), hash, tandem, ethereum }),
    };
    let mut node = settings.node();
    agree(settings, &genesis, path)?;
    node.chain_id = genesis.spec.chain_id();
    if let Some(datadir) = &settings.datadir {
        keep(datadir, &datadir.join(KEPT_FILE), &genesis)?;
    }
    Ok((genesis, node))
}

fn with_headers(genesis: &Genesis, headers: Headers) -> Genesis {
    let mut genesis = genesis.clone();
    genesis.spec.headers = headers;
    genesis
}

fn read(path: &Path) -> Result<Genesis, SourceError> {
    let text = fs::read_to_string(path)
        .map_err(|source| SourceError::File { path: path.to_owned(), source })?;
    Genesis::from_json(&text)
        .map_err(|source| SourceError::Genesis { path: path.to_owned(), source })
}

/// Writes the copy in one step: a half-written one would lock the chain out.
pub(crate) fn keep(datadir: &Path, path: &Path, genesis: &Genesis) -> Result<(), SourceError> {
    fs::create_dir_all(datadir)
        .map_err(|source| SourceError::File { path: datadir.to_owned(), source })?;
    db::write_file(path, genesis.to_json().as_bytes())
        .map_err(|source| SourceError::File { path: path.to_owned(), source })
}

fn dev(settings: &Settings, node: &mut NodeConfig, now: u64) -> Result<Genesis, SourceError> {
    let (mnemonic, accounts) = dev_accounts(node)?;
    // A mnemonic that was drawn is drawn once.
    node.mnemonic = Some(mnemonic);
    (node.mnemonic_seed, node.mnemonic_random) = (None, None);
    let default = DevOptions::default();
    let balance = node.balance_wei();
    Ok(Genesis::dev(DevOptions {
        chain_id: settings.chain_id.unwrap_or(DEV_CHAIN_ID),
        fork: settings.hardfork.as_ref().map_or(SpecId::OSAKA, |hardfork| hardfork.fork),
        number: settings.number.unwrap_or(default.number),
        timestamp: settings.timestamp.unwrap_or(now),
        gas_limit: settings.gas_limit.unwrap_or(DEV_GAS_LIMIT),
        base_fee_wei: settings.block_base_fee_per_gas.unwrap_or(default.base_fee_wei),
        accounts: accounts.iter().map(|account| (account.address, balance)).collect(),
        create2_deployer: !settings.disable_default_create2_deployer,
        riscv: settings.riscv(),
    }))
}

/// What a genesis file says can't be set to something else.
fn agree(settings: &Settings, genesis: &Genesis, path: &Path) -> Result<(), SourceError> {
    let riscv = &genesis.spec.riscv;
    let base_fee = genesis.base_fee_per_gas.or(settings.block_base_fee_per_gas);
    let numbers = [
        ("chain_id", settings.chain_id, genesis.spec.chain_id()),
        ("number", settings.number, genesis.number),
        ("timestamp", settings.timestamp, genesis.timestamp),
        ("block_base_fee_per_gas", settings.block_base_fee_per_gas, base_fee.unwrap_or_default()),
        (
            "riscv_image_size_max",
            settings.riscv_image_size_max.map(u64::from),
            riscv.image_size_max.into(),
        ),
        (
            "riscv_init_code_size_max",
            settings.riscv_init_code_size_max.map(u64::from),
            riscv.init_code_size_max.into(),
        ),
        (
            "riscv_memory_pages_max",
            settings.riscv_memory_pages_max.map(u64::from),
            riscv.memory_pages_max.into(),
        ),
        (
            "riscv_deposit_gas_per_byte",
            settings.riscv_deposit_gas_per_byte,
            riscv.deposit_gas_per_byte,
        ),
        (
            "riscv_decode_gas_per_byte",
            settings.riscv_decode_gas_per_byte,
            riscv.decode_gas_per_byte,
        ),
    ];
    let contradiction =
        |key, set, held| Err(SourceError::Contradiction { key, set, held, path: path.to_owned() });
    for (key, set, held) in numbers {
        if let Some(set) = set
            && set != held
        {
            return contradiction(key, set.to_string(), held.to_string());
        }
    }
    match &settings.hardfork {
        Some(hardfork) if hardfork.fork != genesis.fork() => {
            let (set, held) = (hardfork.fork.to_string(), genesis.fork().to_string());
            contradiction("hardfork", set, held)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;

    use super::*;
    use crate::{cli, layers};

    fn settings(flags: &[&str]) -> Settings {
        let flags = ["tandem"].iter().chain(flags);
        layers::merge(&cli::parse(flags).unwrap(), config::Map::new()).unwrap()
    }

    fn text(path: &Path) -> &str {
        path.to_str().unwrap()
    }

    #[test]
    fn a_dev_genesis_is_what_the_settings_say() {
        let flags = [
            "-a",
            "2",
            "--balance",
            "3",
            "--chain-id",
            "9",
            "--hardfork",
            "cancun",
            "--number",
            "4",
            "--timestamp",
            "7",
            "--gas-limit",
            "8",
            "--base-fee",
            "6",
            "--no-create2",
            "--riscv-image-size-max",
            "1000",
            "--mnemonic-seed-unsafe",
            "1",
        ];
        let (genesis, node) = resolve(&settings(&flags), 99).unwrap();
        assert_eq!((genesis.spec.chain_id(), node.chain_id), (9, 9));
        assert_eq!((genesis.number, genesis.timestamp, genesis.gas_limit), (4, 7, 8));
        assert_eq!((genesis.base_fee_per_gas, genesis.fork()), (Some(6), SpecId::CANCUN));
        assert_eq!(genesis.spec.riscv.image_size_max, 1_000);
        let three_ether = U256::from(3) * U256::from(10).pow(U256::from(18));
        let funded = genesis.alloc.values().filter(|account| account.balance == three_ether);
        assert_eq!(funded.count(), 2);
        assert!(!genesis.alloc.contains_key(&genesis::CREATE2_DEPLOYER));
        assert_eq!(resolve(&settings(&[]), 99).unwrap().0.timestamp, 99);
    }

    #[test]
    fn a_drawn_mnemonic_is_drawn_once() {
        let (genesis, node) = resolve(&settings(&["--mnemonic-random", "24"]), 0).unwrap();
        assert_eq!((node.mnemonic_random, node.mnemonic_seed), (None, None));
        assert_eq!(node.mnemonic.as_deref().unwrap().split(' ').count(), 24);
        let (_, accounts) = dev_accounts(&node).unwrap();
        assert!(accounts.iter().all(|account| genesis.alloc.contains_key(&account.address)));
    }

    #[test]
    fn a_data_directory_goes_on_with_its_genesis() {
        let dir = tempfile::tempdir().unwrap();
        let datadir = dir.path().join("deep/er");
        let first = resolve(&settings(&["--datadir", text(&datadir), "--chain-id", "5"]), 10);
        let again = resolve(&settings(&["--datadir", text(&datadir)]), 20).unwrap().0;
        assert_eq!(first.unwrap().0, again);
        assert_eq!(again.timestamp, 10);
        let fails = |flags: &[&str], expected: &str| {
            let flags = [&["--datadir", text(&datadir)], flags].concat();
            let error = resolve(&settings(&flags), 20).unwrap_err().to_string();
            let error = error.replace(text(dir.path()), "DIR");
            assert_eq!(error, expected);
        };
        fails(&["--chain-id", "6"], "chain_id = 6, but it is 5 in DIR/deep/er/genesis.json");
        fails(
            &["--hardfork", "london"],
            "hardfork = London, but it is Osaka in DIR/deep/er/genesis.json",
        );
        fails(
            &["--riscv-memory-pages-max", "1"],
            "riscv_memory_pages_max = 1, but it is 16384 in DIR/deep/er/genesis.json",
        );
        let other = dir.path().join("other.json");
        fs::write(&other, Genesis::dev(DevOptions::default()).to_json()).unwrap();
        fails(
            &["--genesis", text(&other)],
            "DIR/deep/er holds a chain that does not begin with DIR/other.json; its own genesis \
             is in genesis.json there",
        );
    }

    #[test]
    fn a_genesis_file_gets_no_dev_accounts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("genesis.json");
        let genesis = Genesis::dev(DevOptions { chain_id: 77, ..DevOptions::default() });
        fs::write(&path, genesis.to_json()).unwrap();
        let (read, node) = resolve(&settings(&["--genesis", text(&path)]), 1).unwrap();
        assert_eq!((read, node.chain_id), (genesis, 77));
        fs::write(&path, "{").unwrap();
        let error = resolve(&settings(&["--genesis", text(&path)]), 1).unwrap_err().to_string();
        assert!(
            error.ends_with(
                "genesis.json: genesis file: EOF while parsing an object at line 1 column 1"
            ),
            "{error}"
        );
        let error = resolve(&settings(&["--genesis", "/none.json"]), 1).unwrap_err().to_string();
        assert_eq!(error, "/none.json: No such file or directory (os error 2)");
    }
}
