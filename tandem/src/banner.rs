//! What the node tells at its start: on the terminal, and in the file of `--config-out`.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    net::SocketAddr,
    path::PathBuf,
};

use alloy_eips::BlockId;
use alloy_primitives::{B256, U256, utils::format_ether};
use node::{Chain, accounts::DevAccount, error::QueryError};
use serde_json::json;
use storage::StoreError;

use crate::settings::Settings;

/// Why the start can't be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BannerError {
    /// The chain can't be read.
    #[error("reading the chain: {0}")]
    Query(#[from] QueryError),
    /// The accounts can't be read.
    #[error("reading the accounts: {0}")]
    Store(#[from] StoreError),
    /// The file can't be written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// What there is to tell.
struct Facts<'a> {
    settings: &'a Settings,
    chain: &'a Chain,
    addresses: &'a [SocketAddr],
    accounts: Vec<(&'a DevAccount, U256)>,
    genesis_hash: B256,
    base_fee: Option<u64>,
    gas_limit: u64,
}

/// Tells where the node listens and what it holds.
pub(crate) async fn announce(
    settings: &Settings,
    chain: &Chain,
    addresses: &[SocketAddr],
) -> Result<(), BannerError> {
    let facts = Facts::gather(settings, chain, addresses).await?;
    if let Some(path) = &settings.config_out {
        fs::write(path, facts.json())
            .map_err(|source| BannerError::File { path: path.clone(), source })?;
    }
    if settings.quiet {
        return Ok(());
    }
    if settings.json {
        for address in addresses {
            tracing::info!("Listening on {address}");
        }
        return Ok(());
    }
    let mut text = String::new();
    if facts.text(&mut text).is_ok() {
        let mut output = io::stdout().lock();
        // A node whose output goes nowhere runs all the same.
        let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    }
    Ok(())
}

impl<'a> Facts<'a> {
    async fn gather(
        settings: &'a Settings,
        chain: &'a Chain,
        addresses: &'a [SocketAddr],
    ) -> Result<Self, BannerError> {
        let state = chain.state(BlockId::latest()).await?;
        let accounts = chain
            .dev_accounts()
            .iter()
            .map(|account| Ok((account, state.balance(account.address)?)))
            .collect::<Result<_, StoreError>>()?;
        let genesis = chain.header(BlockId::number(chain.first())).await?;
        let head = chain.head();
        Ok(Self {
            settings,
            chain,
            addresses,
            accounts,
            genesis_hash: genesis.map(|header| header.hash()).unwrap_or_default(),
            base_fee: head.header.base_fee_per_gas,
            gas_limit: head.header.gas_limit,
        })
    }

    fn text(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\ntandem {}", env!("CARGO_PKG_VERSION"))?;
        if !self.accounts.is_empty() {
            self.accounts_text(out)?;
        }
        if let Some(fork) = self.chain.fork() {
            let (remote, number, hash) =
                (fork.remote().shown(), fork.number(), fork.block().hash());
            writeln!(out, "\nFork\n==================\n")?;
            writeln!(out, "Endpoint:       {}", if remote.is_empty() { "none" } else { &remote })?;
            writeln!(out, "Block number:   {number}\nBlock hash:     {hash}")?;
            writeln!(out, "Chain ID:       {}", fork.chain_id())?;
        }
        let genesis = self.chain.genesis();
        section(out, "Chain ID", self.chain.chain_id())?;
        if let Some(base_fee) = self.base_fee {
            section(out, "Base Fee", base_fee)?;
        }
        section(out, "Gas Limit", self.gas_limit)?;
        section(out, "Genesis Timestamp", genesis.timestamp)?;
        section(out, "Genesis Number", genesis.number)?;
        section(out, "Genesis Hash", self.genesis_hash)?;
        match &self.settings.datadir {
            Some(path) => section(out, "Data Directory", path.display())?,
            None => section(out, "Data Directory", "none: the chain is gone when the node ends")?,
        }
        if let Some(path) = &self.settings.ipc {
            section(out, "IPC Path", path.display())?;
        }
        writeln!(out)?;
        self.addresses.iter().try_for_each(|address| writeln!(out, "Listening on {address}"))
    }

    fn accounts_text(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\nAvailable Accounts\n==================\n")?;
        for (index, (account, balance)) in self.accounts.iter().enumerate() {
            writeln!(out, "({index}) {} ({} ETH)", account.address, format_ether(*balance))?;
        }
        writeln!(out, "\nPrivate Keys\n==================\n")?;
        for (index, (account, _)) in self.accounts.iter().enumerate() {
            writeln!(out, "({index}) {}", account.signer.to_bytes())?;
        }
        writeln!(out, "\nWallet\n==================")?;
        writeln!(out, "Mnemonic:          {}", self.chain.mnemonic())?;
        writeln!(out, "Derivation path:   {}\n", self.settings.derivation_path)
    }

    /// anvil's keys, and three of our own at the end.
    fn json(&self) -> String {
        let addresses: Vec<_> =
            self.accounts.iter().map(|(account, _)| format!("{:?}", account.address)).collect();
        let keys: Vec<_> = self
            .accounts
            .iter()
            .map(|(account, _)| account.signer.to_bytes().to_string())
            .collect();
        let wallet = json!({
            "derivation_path": self.settings.derivation_path,
            "mnemonic": self.chain.mnemonic(),
        });
        let value = json!({
            "available_accounts": addresses,
            "private_keys": keys,
            "wallet": wallet,
            "base_fee": self.base_fee.map(|fee| fee.to_string()),
            "gas_price": self.chain.gas_price().to_string(),
            "gas_limit": self.gas_limit.to_string(),
            "genesis_timestamp": self.chain.genesis().timestamp.to_string(),
            "chain_id": self.chain.chain_id(),
            "genesis_hash": self.genesis_hash,
            "address": self.addresses.first(),
        });
        value.to_string()
    }
}

fn section(out: &mut String, title: &str, value: impl std::fmt::Display) -> std::fmt::Result {
    writeln!(out, "\n{title}\n==================\n\n{value}")
}
