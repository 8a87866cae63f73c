//! The node's public API against a real store: sealing, receipts, restarts, dev methods.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

extern crate tandem_node as node;

mod calls;
mod dev;
mod forks;
mod idle;
mod import;
mod limits;
mod protocol;
mod restart;
mod riscv;
mod savepoints;
mod sealing;

use std::path::PathBuf;

use alloy_consensus::TxEip1559;
use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use genesis::{DevOptions, Genesis};
use node::accounts::{UnsignedTransaction, dev_accounts};
use node::error::SubmitError;
use node::{Chain, NodeConfig};

/// One ether.
const ETHER: u128 = 1_000_000_000_000_000_000;
/// Somebody without a key.
const STRANGER: Address = Address::repeat_byte(0x77);

/// A chain of a test.
struct Devnet {
    chain: Chain,
}

impl Devnet {
    /// Starts a chain with the usual dev accounts.
    fn start(config: NodeConfig) -> Self {
        let (_, accounts) = dev_accounts(&config).expect("the test mnemonic is valid");
        let genesis = Genesis::dev(DevOptions {
            accounts: accounts.iter().map(|a| (a.address, config.balance_wei())).collect(),
            timestamp: 1_700_000_000,
            ..DevOptions::default()
        });
        let chain = Chain::start(config, genesis).expect("a fresh chain starts");
        Self { chain }
    }

    fn account(&self, index: usize) -> Address {
        self.chain.dev_accounts()[index].address
    }

    fn transfer(&self, from: usize, nonce: u64) -> Transfer {
        Transfer { from: self.account(from), nonce, tip: 1, cap: 2_000_000_000, value: 1 }
    }

    async fn send(&self, transfer: Transfer) -> Result<B256, SubmitError> {
        self.send_to(transfer, TxKind::Call(STRANGER), Bytes::new()).await
    }

    async fn send_to(
        &self,
        transfer: Transfer,
        to: TxKind,
        input: Bytes,
    ) -> Result<B256, SubmitError> {
        let gas_limit = if input.is_empty() { 21_000 } else { 2_000_000 };
        let unsigned = UnsignedTransaction::Eip1559(TxEip1559 {
            chain_id: self.chain.chain_id(),
            nonce: transfer.nonce,
            gas_limit,
            max_fee_per_gas: transfer.cap,
            max_priority_fee_per_gas: transfer.tip,
            to,
            value: U256::from(transfer.value),
            input,
            ..TxEip1559::default()
        });
        let signed = self.chain.sign_transaction(transfer.from, unsigned)?;
        self.chain.submit(signed).await
    }

    fn head(&self) -> u64 {
        self.chain.head().number()
    }

    async fn balance(&self, address: Address) -> U256 {
        let state = self.chain.state(BlockId::latest()).await.expect("latest is there");
        state.balance(address).expect("the store can be read")
    }

    /// The root of the newest header is the root rebuilt from all accounts.
    async fn check_root(&self) {
        let state = self.chain.state(BlockId::latest()).await.expect("latest is there");
        let rebuilt = state.snapshot().rebuild_root().expect("the store can be read");
        assert_eq!(rebuilt, self.chain.head().header.state_root);
    }
}

/// A transfer of a little ether to [`STRANGER`].
#[derive(Clone, Copy)]
struct Transfer {
    from: Address,
    nonce: u64,
    tip: u128,
    cap: u128,
    value: u64,
}

fn manual() -> NodeConfig {
    NodeConfig { no_mining: true, ..NodeConfig::default() }
}

fn in_directory(path: &std::path::Path) -> NodeConfig {
    NodeConfig { datadir: Some(PathBuf::from(path)), ..NodeConfig::default() }
}
