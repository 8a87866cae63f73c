//! A genesis file that a test and the node share, so that the test can open the node's store.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use alloy::primitives::{B256, U256};
use anyhow::{Result, ensure};
use genesis::{DevOptions, Genesis, TreeHash};
use node::NodeConfig;
use storage::{Durability, OpenOptions, Store};

use crate::sign;

/// Accounts of the dev mnemonic that have ether in it.
const ACCOUNTS: u32 = 10;

/// A dev chain's genesis in a file.
#[derive(Debug)]
pub struct GenesisFile {
    genesis: Genesis,
    path: PathBuf,
}

impl GenesisFile {
    /// Writes it to `folder`.
    pub fn write(folder: &Path) -> Result<Self> {
        Self::write_hashed(folder, TreeHash::default())
    }

    /// Writes that of a chain whose state tree has this hash.
    pub fn write_hashed(folder: &Path, hash: TreeHash) -> Result<Self> {
        let balance = U256::from(10).pow(U256::from(22));
        let accounts = (0..ACCOUNTS).map(|index| Ok((sign::account(index)?.address(), balance)));
        let accounts = accounts.collect::<Result<_>>()?;
        let mut genesis = Genesis::dev(DevOptions { accounts, ..DevOptions::default() });
        genesis.spec.tree_hash = hash;
        let path = folder.join("genesis.json");
        fs::write(&path, genesis.to_json())?;
        Ok(Self { genesis, path })
    }

    /// Where the file is.
    pub fn path(&self) -> Result<&str> {
        self.path.to_str().ok_or_else(|| anyhow::anyhow!("{} is no UTF-8", self.path.display()))
    }

    /// Opens the data directory of a node that has ended, rebuilds the root of its newest state out
    /// of accounts, slots and code, and demands that the head's header and the tree have it.
    pub fn check_root(&self, datadir: &Path) -> Result<(u64, B256)> {
        self.check_store(datadir, &BTreeSet::new())
    }

    /// Besides, demands that each of these transactions is in a block or waits.
    pub fn check_store(&self, datadir: &Path, hashes: &BTreeSet<String>) -> Result<(u64, B256)> {
        let options = OpenOptions {
            path: datadir.to_owned(),
            durability: Durability::Process,
            // The node's own: the library takes a file whose bound is lowered for a damaged one.
            size_max: NodeConfig::default().database_size_max,
            prune: None,
            temporary: false,
        };
        let (store, writer) = Store::open(&options, &self.genesis)?;
        let snapshot = store.snapshot()?;
        let waiting: BTreeSet<_> =
            snapshot.waiting()?.into_iter().map(|waits| waits.hash).collect();
        for hash in hashes {
            let parsed = hash.parse()?;
            let kept = waiting.contains(&parsed) || snapshot.location(parsed)?.is_some();
            ensure!(kept, "the acknowledged transaction {hash} is lost");
        }
        let head = snapshot.head();
        let rebuilt = snapshot.rebuild_root()?;
        ensure!(rebuilt == writer.root(), "block {head}: the tree has another root");
        let header = snapshot.header(head)?.ok_or_else(|| anyhow::anyhow!("no head"))?;
        ensure!(rebuilt == header.state_root, "block {head}: the header has another root");
        Ok((head, rebuilt))
    }
}
