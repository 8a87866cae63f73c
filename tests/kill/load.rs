//! The load of the kill tests, and what the node said about it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
};

use alloy::{
    primitives::{Address, U256},
    signers::local::PrivateKeySigner,
    sol,
    sol_types::{SolCall, SolValue},
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tandem_tests::{
    Client, Node,
    contracts::{MACHINES, Machine},
    rpc::quantity,
    sign::{self, Request},
};

sol! {
    #[allow(unreachable_pub)]
    function transfer(address to, uint256 amount) returns (bool);
}

/// Gas of a token's deployment and of a call of it.
const DEPLOY_GAS: u64 = 12_000_000;
const CALL_GAS: u64 = 300_000;
/// Characters of a hash.
const HASH_LEN: usize = 66;
/// What each sender has of each token.
const SUPPLY: u64 = 1_000_000_000;

/// How the node seals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sealing {
    /// A block for each transaction.
    Auto,
    /// A block a second.
    Interval,
    /// When it is told to.
    Manual,
}

impl Sealing {
    /// The node's options for it.
    pub(crate) const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Auto => &[],
            Self::Interval => &["--block-time", "0.1"],
            Self::Manual => &["--no-mining"],
        }
    }
}

/// What the node has told: transactions that it took, and receipts.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) hashes: BTreeSet<String>,
    pub(crate) receipts: BTreeMap<String, Value>,
}

impl Ledger {
    pub(crate) fn add(&mut self, other: Self) {
        self.hashes.extend(other.hashes);
        self.receipts.extend(other.receipts);
    }

    /// Takes an answer of the node: the hash of a transaction, or a receipt.
    pub(crate) fn hear(&mut self, answer: &Value) {
        let result = &answer["result"];
        // The load asks for no other 32 bytes.
        if let Some(hash) = result.as_str().filter(|text| text.len() == HASH_LEN) {
            self.hashes.insert(hash.to_owned());
        } else if let Some(hash) = result["transactionHash"].as_str() {
            self.receipts.insert(hash.to_owned(), result.clone());
        }
    }

    /// Demands that a node still knows all of it.
    pub(crate) fn check(&self, client: &mut Client) -> Result<()> {
        for hash in &self.hashes {
            let found = client.call("eth_getTransactionByHash", json!([hash]))?;
            ensure!(found["hash"] == **hash, "the acknowledged transaction {hash} is lost");
        }
        for (hash, told) in &self.receipts {
            let found = client.call("eth_getTransactionReceipt", json!([hash]))?;
            ensure!(found == *told, "the receipt was {told}, is {found}");
        }
        Ok(())
    }
}

/// The tokens of both kinds, one of each for each sender.
pub(crate) struct Tokens(Vec<[Address; 2]>);

impl Tokens {
    /// The tokens of one sender.
    pub(crate) fn of(&self, sender: usize) -> Result<[Address; 2]> {
        self.0.get(sender).copied().context("no such sender")
    }

    pub(crate) fn deploy(node: &Node) -> Result<Self> {
        let mut client = node.client()?;
        let mut tokens = Vec::new();
        for index in 0..super::SENDERS {
            let signer = sign::account(index)?;
            let owner = signer.address();
            let arguments = ("Token", "TKN", U256::from(SUPPLY), owner).abi_encode_params();
            let mut pair = [Address::ZERO; 2];
            for (nonce, (slot, machine)) in (0..).zip(pair.iter_mut().zip(MACHINES)) {
                let code = Machine::init_code(machine, "Token", &arguments)?;
                let raw = Request::create(nonce, code, DEPLOY_GAS).raw(&signer)?;
                let hash = client.call("eth_sendRawTransaction", json!([raw]))?;
                let receipt = client.call("eth_getTransactionReceipt", json!([hash]))?;
                ensure!(receipt["status"] == "0x1", "{machine:?} token: {receipt}");
                *slot = owner.create(nonce);
            }
            tokens.push(pair);
        }
        Ok(Self(tokens))
    }
}

/// One account that sends without a pause.
pub(crate) struct Sender {
    signer: PrivateKeySigner,
    tokens: [Address; 2],
    client: Client,
    nonce: u64,
    told: Ledger,
    unsealed: Vec<String>,
}

impl Sender {
    pub(crate) fn new(index: u32, tokens: &Tokens, mut client: Client) -> Result<Self> {
        let signer = sign::account(index)?;
        let tokens = *tokens.0.get(usize::try_from(index)?).context("no such sender")?;
        let count = json!([signer.address(), "pending"]);
        let nonce = quantity(&client.call("eth_getTransactionCount", count)?)?;
        Ok(Self { signer, tokens, client, nonce, told: Ledger::default(), unsealed: Vec::new() })
    }

    /// Sends until the connection breaks, which is wrong before the node was killed.
    pub(crate) fn send(mut self, sealing: Sealing, stopped: &AtomicBool) -> Result<Ledger> {
        loop {
            if let Err(error) = self.send_one(sealing) {
                ensure!(stopped.load(Ordering::SeqCst), "sender: {error:#}");
                return Ok(self.told);
            }
        }
    }

    fn send_one(&mut self, sealing: Sealing) -> Result<()> {
        let raw = self.request().raw(&self.signer)?;
        let hash = self.client.call("eth_sendRawTransaction", json!([raw]))?;
        let hash = hash.as_str().context("no hash")?.to_owned();
        self.nonce += 1;
        self.told.hashes.insert(hash.clone());
        self.unsealed.push(hash);
        // With automatic sealing the next request has the receipt; otherwise it may take a while.
        let oldest = self.unsealed[0].clone();
        let receipt = self.client.call("eth_getTransactionReceipt", json!([oldest]))?;
        if receipt.is_null() {
            ensure!(sealing != Sealing::Auto, "no receipt right after {oldest} was answered");
            return Ok(());
        }
        ensure!(receipt["status"] == "0x1", "{oldest}: {receipt}");
        self.unsealed.remove(0);
        self.told.receipts.insert(oldest, receipt);
        Ok(())
    }

    fn request(&self) -> Request {
        let to = Address::repeat_byte(0xee);
        let call = transferCall { to, amount: U256::from(1) }.abi_encode();
        match self.nonce % 3 {
            0 => Request::transfer(self.nonce, to, U256::from(1)),
            1 => Request::call(self.nonce, self.tokens[0], call.into(), CALL_GAS),
            _ => Request::call(self.nonce, self.tokens[1], call.into(), CALL_GAS),
        }
    }
}
