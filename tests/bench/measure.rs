//! The loads, and how long a peer takes for them.

use std::{fs, net::SocketAddr, thread, time::Instant};

use alloy::{
    primitives::{Address, Bytes, U256},
    signers::local::PrivateKeySigner,
    sol,
    sol_types::{SolCall, SolValue},
};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tandem_tests::{
    Client, Node,
    contracts::Machine,
    rpc::quantity,
    sign::{self, Request},
};

use crate::peers::ACCOUNTS;

sol! {
    function balanceOf(address account) returns (uint256);
}

const TRANSFERS: u64 = 400;
const TRANSFERS_A_CONNECTION: u64 = 40;
const READS: u64 = 5_000;
/// Connections that read.
const READERS: u64 = 4;
/// The kernel's unit of CPU time in `/proc`: 100 a second on every Linux.
const TICK_US: f64 = 10_000.0;

/// What is asked of a peer.
#[derive(Clone, Copy)]
pub(crate) enum Load {
    /// A transfer, its receipt, and then the next.
    OneByOne,
    /// The same from 32 accounts over 32 connections at once.
    Pipelined,
    /// A token's `balanceOf`.
    Call,
    /// A balance.
    Balance,
}

/// Time for one operation.
pub(crate) struct Sample {
    pub(crate) wall_us: f64,
    pub(crate) cpu_us: f64,
}

/// A peer under measurement.
pub(crate) struct Bench<'a> {
    node: &'a Node,
    signers: Vec<PrivateKeySigner>,
    nonces: Vec<u64>,
    token: Address,
}

impl<'a> Bench<'a> {
    /// Deploys what is called.
    pub(crate) fn prepare(node: &'a Node) -> Result<Self> {
        let signers = (0..ACCOUNTS).map(sign::account).collect::<Result<Vec<_>>>()?;
        let mut nonces = vec![0; signers.len()];
        let owner = signers[0].address();
        let arguments = ("Token", "TKN", U256::from(1000), owner).abi_encode_params();
        let code = Machine::Evm.init_code("Token", &arguments)?;
        let raw = Request::create(0, code, 5_000_000).raw(&signers[0])?;
        send(&mut node.client()?, &body(1, "eth_sendRawTransaction", &json!([raw])))?;
        nonces[0] = 1;
        Ok(Self { node, token: owner.create(0), signers, nonces })
    }

    /// Sends transfers, each in a block of its own, until the chain is this high.
    pub(crate) fn raise_to(&mut self, height: u64) -> Result<()> {
        let mut client = self.node.client()?;
        loop {
            let now = quantity(&client.call("eth_blockNumber", json!([]))?)?;
            if now >= height {
                return Ok(());
            }
            let each = (height - now).div_ceil(u64::from(ACCOUNTS)).min(50);
            let queues = self.transfers(self.signers.len(), each)?;
            run_queues(self.node.address(), &queues)?;
        }
    }

    /// Runs a load and divides the time by the number of operations.
    pub(crate) fn run(&mut self, load: Load) -> Result<Sample> {
        let queues = match load {
            Load::OneByOne => self.transfers(1, TRANSFERS)?,
            Load::Pipelined => self.transfers(self.signers.len(), TRANSFERS_A_CONNECTION)?,
            Load::Call => {
                let data = balanceOfCall { account: self.signers[0].address() }.abi_encode();
                let call = json!([{"to": self.token, "data": Bytes::from(data)}, "latest"]);
                reads("eth_call", &call)
            }
            Load::Balance => reads("eth_getBalance", &json!([self.signers[1].address(), "latest"])),
        };
        let count: usize = queues.iter().map(Vec::len).sum();
        let count = f64::from(u32::try_from(count)?);
        let cpu = cpu_us(self.node.id())?;
        let start = Instant::now();
        run_queues(self.node.address(), &queues)?;
        let wall_us = start.elapsed().as_secs_f64() * 1e6 / count;
        Ok(Sample { wall_us, cpu_us: (cpu_us(self.node.id())? - cpu) / count })
    }

    /// Signed transfers of the first accounts.
    fn transfers(&mut self, accounts: usize, each: u64) -> Result<Vec<Vec<Ask>>> {
        let senders = self.signers.iter().zip(&mut self.nonces).take(accounts);
        senders
            .map(|(signer, next)| {
                let nonces = *next..*next + each;
                *next += each;
                nonces
                    .map(|nonce| {
                        let to = Address::repeat_byte(0x99);
                        let raw = Request::transfer(nonce, to, U256::from(1)).raw(signer)?;
                        Ok(Ask::Transfer(body(1, "eth_sendRawTransaction", &json!([raw]))))
                    })
                    .collect()
            })
            .collect()
    }
}

/// One operation, ready to be sent.
enum Ask {
    Transfer(Vec<u8>),
    Read(Vec<u8>),
}

fn reads(method: &str, params: &Value) -> Vec<Vec<Ask>> {
    let one = || (0..READS / READERS).map(|id| Ask::Read(body(id, method, params))).collect();
    (0..READERS).map(|_| one()).collect()
}

fn body(id: u64, method: &str, params: &Value) -> Vec<u8> {
    let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    request.to_string().into_bytes()
}

/// Each queue over a connection of its own, all at once.
fn run_queues(address: SocketAddr, queues: &[Vec<Ask>]) -> Result<()> {
    thread::scope(|scope| {
        let threads: Vec<_> = queues
            .iter()
            .map(|queue| {
                scope.spawn(move || -> Result<()> {
                    let mut client = Client::connect(address)?;
                    queue.iter().try_for_each(|ask| run_one(&mut client, ask))
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(_) => bail!("a connection's thread panicked"),
        })
    })
}

fn run_one(client: &mut Client, ask: &Ask) -> Result<()> {
    match ask {
        Ask::Read(body) => send(client, body).map(|_| ()),
        Ask::Transfer(body) => {
            let hash = send(client, body)?;
            let request = self::body(2, "eth_getTransactionReceipt", &json!([hash]));
            // Anvil answers before the block is there.
            while send(client, &request)?.is_null() {}
            Ok(())
        }
    }
}

fn send(client: &mut Client, body: &[u8]) -> Result<Value> {
    let mut answer: Value = serde_json::from_slice(&client.exchange(body)?)?;
    ensure!(answer["error"].is_null(), "{}", answer["error"]);
    Ok(answer["result"].take())
}

/// The CPU time that a process has used so far.
pub(crate) fn cpu_us(process: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in parentheses may hold spaces; user and system time are fields 14 and 15.
    let fields = stat.rsplit_once(')').context("no name in stat")?.1;
    let mut times = fields.split_whitespace().skip(11).take(2);
    let ticks =
        times.try_fold(0.0, |sum, field| Ok::<_, anyhow::Error>(sum + field.parse::<f64>()?))?;
    Ok(ticks * TICK_US)
}
