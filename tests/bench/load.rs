//! The loads: the common reads, and transfers with their receipts.

use std::time::Instant;

use alloy::{
    consensus::{SignableTransaction, TxEip1559},
    eips::Encodable2718,
    primitives::{Address, Bytes, TxKind, U256, address, hex},
    signers::{SignerSync, local::PrivateKeySigner},
    sol,
    sol_types::{SolCall, SolValue},
};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use tandem_tests::{contracts::Machine, rpc::quantity, sign};

use crate::client::{Sample, Target, acknowledge, repeat, send_queues};

sol! {
    function balanceOf(address account) returns (uint256);
    function transfer(address to, uint256 value) returns (bool);
}

/// Whom transfers go to.
const RECIPIENT: Address = Address::repeat_byte(0x99);
/// Called where no token could be deployed: the precompile that gives back what it gets.
const IDENTITY: Address = address!("0000000000000000000000000000000000000004");
/// Transfers of one connection while a chain is made longer.
const RAISE_STEP: u64 = 50;

/// A chain under load.
pub(crate) struct Chain {
    target: Target,
    chain_id: u64,
    max_fee: u128,
    /// Accounts with ether; none on a chain that does not fund the dev accounts.
    senders: Vec<Sender>,
    /// What reads ask for, by method.
    pub(crate) reads: Vec<(&'static str, Vec<u8>)>,
}

struct Sender {
    signer: PrivateKeySigner,
    nonce: u64,
}

impl Chain {
    /// Looks which of the first dev accounts have ether, and deploys what is called.
    pub(crate) fn prepare(target: Target, accounts: u32) -> Result<Self> {
        let chain_id = quantity(&target.ask("eth_chainId", json!([]))?)?;
        let gas_price = quantity(&target.ask("eth_gasPrice", json!([]))?)?;
        let max_fee = sign::MAX_FEE.max(2 * u128::from(gas_price));
        let mut chain = Self { target, chain_id, max_fee, senders: Vec::new(), reads: Vec::new() };
        for index in 0..accounts {
            let signer = sign::account(index)?;
            let of = json!([signer.address(), "pending"]);
            let balance = chain.target.ask("eth_getBalance", of.clone())?;
            if balance != "0x0" {
                let nonce = quantity(&chain.target.ask("eth_getTransactionCount", of)?)?;
                chain.senders.push(Sender { signer, nonce });
            }
        }
        let deployed = if chain.senders.is_empty() { None } else { Some(chain.deploy()?) };
        chain.reads = chain.reads(deployed)?;
        Ok(chain)
    }

    /// How many accounts can send.
    pub(crate) fn senders(&self) -> usize {
        self.senders.len()
    }

    /// The height of the chain.
    pub(crate) fn height(&self) -> Result<u64> {
        quantity(&self.target.ask("eth_blockNumber", json!([]))?)
    }

    /// Deploys the token and sends some of it; says where it is, and in what transaction that was.
    fn deploy(&mut self) -> Result<(Address, Value)> {
        let owner = self.senders[0].signer.address();
        let arguments = ("Token", "TKN", U256::from(1000), owner).abi_encode_params();
        let code = Machine::Evm.init_code("Token", &arguments)?;
        let token = owner.create(self.senders[0].nonce);
        self.send(TxKind::Create, 5_000_000, code)?;
        let transfer = transferCall { to: RECIPIENT, value: U256::ONE }.abi_encode();
        Ok((token, self.send(TxKind::Call(token), 200_000, transfer.into())?))
    }

    /// Sends a transaction of the first sender and waits for its receipt.
    fn send(&mut self, to: TxKind, gas_limit: u64, input: Bytes) -> Result<Value> {
        let raw = self.sign(0, (to, U256::ZERO), (gas_limit, input))?;
        let hash = self.target.ask("eth_sendRawTransaction", json!([raw]))?;
        while self.target.ask("eth_getTransactionReceipt", json!([hash]))?.is_null() {}
        Ok(hash)
    }

    /// Signs a sender's next transaction.
    fn sign(
        &mut self,
        sender: usize,
        (to, value): (TxKind, U256),
        (gas_limit, input): (u64, Bytes),
    ) -> Result<String> {
        let Sender { signer, nonce } = &mut self.senders[sender];
        let tx = TxEip1559 {
            chain_id: self.chain_id,
            nonce: *nonce,
            gas_limit,
            max_fee_per_gas: self.max_fee,
            max_priority_fee_per_gas: 1,
            to,
            value,
            access_list: Default::default(),
            input,
        };
        *nonce += 1;
        let signature = signer.sign_hash_sync(&tx.signature_hash())?;
        Ok(format!("0x{}", hex::encode(tx.into_signed(signature).encoded_2718())))
    }

    /// The common reads.
    fn reads(&self, deployed: Option<(Address, Value)>) -> Result<Vec<(&'static str, Vec<u8>)>> {
        let account = self.senders.first().map_or(RECIPIENT, |sender| sender.signer.address());
        let contract = deployed.as_ref().map_or(IDENTITY, |(token, _)| *token);
        let balance_of = Bytes::from(balanceOfCall { account }.abi_encode());
        let transfer = Bytes::from(transferCall { to: RECIPIENT, value: U256::ONE }.abi_encode());
        let mut reads = vec![
            ("eth_blockNumber", json!([])),
            ("eth_chainId", json!([])),
            ("eth_gasPrice", json!([])),
            ("eth_feeHistory", json!(["0x5", "latest", [50]])),
            ("eth_getBalance", json!([account, "latest"])),
            ("eth_getTransactionCount", json!([account, "latest"])),
            ("eth_getCode", json!([contract, "latest"])),
            ("eth_getStorageAt", json!([contract, "0x0", "latest"])),
            ("eth_call", json!([{"to": contract, "data": balance_of}, "latest"])),
            ("eth_estimateGas", json!([{"from": account, "to": contract, "data": transfer}])),
            ("eth_getBlockByNumber", json!(["latest", false])),
        ];
        if let Some((token, hash)) = &deployed {
            let receipt = self.target.ask("eth_getTransactionReceipt", json!([hash]))?;
            let block = receipt["blockNumber"].clone();
            let logs = json!([{"address": token, "fromBlock": block, "toBlock": "latest"}]);
            reads.push(("eth_getTransactionByHash", json!([hash])));
            reads.push(("eth_getTransactionReceipt", json!([hash])));
            reads.push(("eth_getLogs", logs));
        }
        let request = |(method, params)| (method, self.target.request(method, &params));
        Ok(reads.into_iter().map(request).collect())
    }

    /// Sends one read again and again over each of so many connections.
    pub(crate) fn read(&self, request: &[u8], connections: usize, count: usize) -> Result<Sample> {
        let each = count.div_ceil(connections);
        self.target.measure(each * connections, || repeat(&self.target, request, connections, each))
    }

    /// Sends transfers of so many accounts, each over a connection of its own.
    pub(crate) fn transfer(&mut self, accounts: usize, each: u64) -> Result<Sample> {
        let queues = self.transfers(accounts, each)?;
        let count = queues.iter().map(Vec::len).sum();
        self.target.measure(count, || send_queues(&self.target, &queues))
    }

    /// Sends transfers in the same way without a look at their receipts, and returns what each
    /// waited for its acknowledgement, and all of them together, in microseconds.
    pub(crate) fn acknowledge(&mut self, accounts: usize, each: u64) -> Result<(Vec<f64>, f64)> {
        let queues = self.transfers(accounts, each)?;
        let start = Instant::now();
        let waits = acknowledge(&self.target, &queues)?;
        Ok((waits, start.elapsed().as_secs_f64() * 1e6))
    }

    /// Signs transfers of so many accounts.
    fn transfers(&mut self, accounts: usize, each: u64) -> Result<Vec<Vec<Vec<u8>>>> {
        let mut queues = Vec::new();
        for sender in 0..accounts.min(self.senders.len()) {
            let transfer = |_| {
                let raw = self.sign(
                    sender,
                    (TxKind::Call(RECIPIENT), U256::ONE),
                    (21_000, Bytes::new()),
                )?;
                Ok(self.target.request("eth_sendRawTransaction", &json!([raw])))
            };
            queues.push((0..each).map(transfer).collect::<Result<Vec<_>>>()?);
        }
        Ok(queues)
    }

    /// Sends transfers, each in a block of its own, until the chain is this high.
    pub(crate) fn raise_to(&mut self, height: u64) -> Result<()> {
        loop {
            let missing = height.saturating_sub(self.height()?);
            if missing == 0 {
                return Ok(());
            }
            let senders = u64::try_from(self.senders.len())?;
            self.transfer(self.senders.len(), missing.div_ceil(senders).min(RAISE_STEP))?;
        }
    }

    /// Has so many empty blocks sealed at once; the time is that of one.
    pub(crate) fn mine(&self, blocks: u64) -> Result<Sample> {
        let count = usize::try_from(blocks)?;
        self.target.measure(count, || {
            self.target.ask("anvil_mine", json!([format!("{blocks:#x}")])).context("mining")?;
            Ok(())
        })
    }
}
