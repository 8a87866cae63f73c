//! The contracts of `contracts/` beside their Solidity twins: `cargo xtask bench contracts`.
//!
//! Gas is what the node charges, in a transaction's receipt or, for what is only read, in the trace
//! of the call. Time is that of an `eth_call` over one connection, the least of many.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    signers::{SignerSync, local::PrivateKeySigner},
    sol,
    sol_types::{SolCall, SolValue},
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tandem_tests::{
    Client, Node,
    contracts::{MACHINES, Machine},
    node,
    rpc::quantity,
    sign,
};

use crate::micros;

sol! {
    interface Token {
        function transfer(address to, uint256 value) returns (bool);
        function approve(address spender, uint256 value) returns (bool);
        function transferFrom(address from, address to, uint256 value) returns (bool);
        function balanceOf(address account) returns (uint256);
    }
    interface Collection {
        function mint(address to) returns (uint256);
        function transferFrom(address from, address to, uint256 id);
        function tokenURI(uint256 id) returns (string);
    }
    interface Exchange {
        function createPair(address tokenA, address tokenB) returns (address);
        function getPair(address tokenA, address tokenB) returns (address);
    }
    interface Pair {
        function mint(address to) returns (uint256);
        function swap(uint256 out0, uint256 out1, address to);
    }
    interface Multisig {
        function transactionHash(address to, uint256 value, bytes data, uint256 nonce) returns (bytes32);
        function execute(address to, uint256 value, bytes data, bytes[] signatures) returns (bytes);
    }
    interface Claims {
        function claim(uint256 index, address account, uint256 amount, bytes32[] proof);
        function voucherHash(address account, uint256 amount, uint256 number) returns (bytes32);
        function redeem(address account, uint256 amount, uint256 number, uint8 v, bytes32 r, bytes32 s);
    }
    interface Crunch {
        function blake3(bytes data) returns (bytes32);
        function verifyBlake3(bytes32 root, bytes32 leaf, uint64 index, bytes32[] proof) returns (bool);
        function verifyEd25519(bytes32 key, bytes32 r, bytes32 s, bytes message) returns (bool);
        function fibonacci(uint64 n) returns (bytes32);
        function sortRandom(uint64 seed, uint64 count) returns (uint64, uint64, uint64);
    }
}

/// The most gas that a transaction may have: EIP-7825.
const TRANSACTION_GAS_MAX: u64 = 16_777_216;
/// Gas of calls that are only measured: those of the EVM need more than a transaction has.
const CALL_GAS: u64 = 10_000_000_000;
/// How long one call is repeated.
const MEASURE_TIME: Duration = Duration::from_millis(400);
/// How often one call is repeated at least, and at most.
const MEASURE_COUNTS: [usize; 2] = [10, 500];

/// RFC 8032's second test: a key, its signature's two halves, and the message.
const ED25519: [&str; 4] = [
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    "72",
];

/// What was measured.
struct Row {
    what: String,
    gas: u64,
    time: Option<Duration>,
}

/// A machine's contracts on a node.
struct Trial {
    client: Client,
    machine: Machine,
    accounts: [PrivateKeySigner; 3],
    rows: Vec<Row>,
}

/// Measures every pair and prints the table.
pub(crate) fn run() -> Result<()> {
    let mut command = Command::new(node::release_binary()?);
    command.args(["--port", "0", "--call-gas-limit", &CALL_GAS.to_string()]);
    let node = Node::spawn(node::clean(command))?;
    println!("| | gas, EVM | gas, RISC-V | ratio | time, EVM | time, RISC-V | ratio |");
    println!("|---|---|---|---|---|---|---|");
    for (name, measure) in PAIRS {
        let mut trials = Vec::new();
        for machine in MACHINES {
            let mut trial = Trial::new(&node, machine)?;
            measure(&mut trial).with_context(|| format!("{name}, {machine:?}"))?;
            trials.push(trial.rows);
        }
        let [evm, riscv] = &trials[..] else { continue };
        ensure!(evm.len() == riscv.len(), "{name}: the machines did not do the same");
        println!("| **{name}** | | | | | | |");
        for (evm, riscv) in evm.iter().zip(riscv) {
            print_row(evm, riscv);
        }
    }
    let mut trial = Trial::new(&node, Machine::Evm)?;
    let nothing = trial.time(Address::repeat_byte(0x99), &Bytes::new())?;
    println!("\nA call to an account without code takes {}.", text(nothing));
    Ok(())
}

type Measure = fn(&mut Trial) -> Result<()>;

const PAIRS: [(&str, Measure); 6] = [
    ("ERC-20", token),
    ("ERC-721", collection),
    ("Pair and factory", exchange),
    ("Multisig wallet", multisig),
    ("Merkle proofs and vouchers", claims),
    ("Heavy work", crunch),
];

fn print_row(evm: &Row, riscv: &Row) {
    let gas = |gas: u64| match gas {
        much if much > TRANSACTION_GAS_MAX => format!("{much} (no transaction has it)"),
        some => some.to_string(),
    };
    let ratio = |a: f64, b: f64| format!("{:.2}", a / b);
    let times = match (evm.time, riscv.time) {
        (Some(a), Some(b)) => {
            let quotient = ratio(a.as_secs_f64(), b.as_secs_f64());
            format!("{} | {} | {quotient}", text(a), text(b))
        }
        _ => "| | ".to_owned(),
    };
    let gases = ratio(evm.gas as f64, riscv.gas as f64);
    println!("| {} | {} | {} | {gases} | {times} |", evm.what, gas(evm.gas), gas(riscv.gas));
}

fn text(time: Duration) -> String {
    micros(time.as_secs_f64() * 1e6)
}

impl Trial {
    fn new(node: &Node, machine: Machine) -> Result<Self> {
        let accounts = [sign::account(0)?, sign::account(1)?, sign::account(2)?];
        Ok(Self { client: node.client()?, machine, accounts, rows: Vec::new() })
    }

    fn account(&self, index: usize) -> Address {
        self.accounts[index].address()
    }

    /// Sends a transaction of the first account; its receipt says success.
    fn send(&mut self, to: Option<Address>, data: &Bytes, value: u64) -> Result<Value> {
        let request = json!({
            "from": self.account(0), "to": to, "data": data,
            "value": U256::from(value), "gas": U256::from(TRANSACTION_GAS_MAX),
        });
        let hash = self.client.call("eth_sendTransaction", json!([request]))?;
        let receipt = self.client.call("eth_getTransactionReceipt", json!([hash]))?;
        ensure!(receipt["status"] == "0x1", "{receipt}");
        Ok(receipt)
    }

    fn deploy(&mut self, contract: &str, arguments: &[u8], value: u64) -> Result<Address> {
        let code = self.machine.init_code(contract, arguments)?;
        let receipt = self.send(None, &code, value)?;
        let what = "deployment".to_owned();
        self.rows.push(Row { what, gas: quantity(&receipt["gasUsed"])?, time: None });
        Ok(serde_json::from_value(receipt["contractAddress"].clone())?)
    }

    /// Measures a function that changes the state, in a transaction of its own.
    fn write(&mut self, what: &str, to: Address, call: &impl SolCall) -> Result<()> {
        let data = call.abi_encode().into();
        let time = Some(self.time(to, &data)?);
        let receipt = self.send(Some(to), &data, 0)?;
        self.rows.push(Row { what: what.to_owned(), gas: quantity(&receipt["gasUsed"])?, time });
        Ok(())
    }

    /// Measures a function that only answers.
    fn read<C: SolCall>(&mut self, what: &str, to: Address, call: &C) -> Result<C::Return> {
        let data = call.abi_encode().into();
        let time = Some(self.time(to, &data)?);
        let request = self.request(to, &data);
        let tracer = json!({"tracer": "callTracer"});
        let trace = self.client.call("debug_traceCall", json!([request, "latest", tracer]))?;
        self.rows.push(Row { what: what.to_owned(), gas: quantity(&trace["gasUsed"])?, time });
        self.ask(to, call)
    }

    /// What a function answers, not measured.
    fn ask<C: SolCall>(&mut self, to: Address, call: &C) -> Result<C::Return> {
        let request = self.request(to, &call.abi_encode().into());
        let answer = self.client.call("eth_call", json!([request, "latest"]))?;
        let answer: Bytes = serde_json::from_value(answer)?;
        Ok(C::abi_decode_returns(&answer)?)
    }

    fn request(&self, to: Address, data: &Bytes) -> Value {
        json!({"from": self.account(0), "to": to, "data": data, "gas": U256::from(CALL_GAS), "gasPrice": "0x0"})
    }

    /// The least time of one `eth_call`.
    fn time(&mut self, to: Address, data: &Bytes) -> Result<Duration> {
        let request = json!([self.request(to, data), "latest"]);
        let start = Instant::now();
        let mut least = Duration::MAX;
        let [least_count, most] = MEASURE_COUNTS;
        for count in 1..=most {
            let begun = Instant::now();
            self.client.call("eth_call", request.clone())?;
            least = least.min(begun.elapsed());
            if count >= least_count && start.elapsed() > MEASURE_TIME {
                break;
            }
        }
        Ok(least)
    }
}

fn units(value: u64) -> U256 {
    U256::from(value)
}

fn coin(trial: &mut Trial) -> Result<Address> {
    let arguments = ("Coin", "C", units(1 << 60), trial.account(0)).abi_encode_params();
    trial.deploy("Token", &arguments, 0)
}

fn token(trial: &mut Trial) -> Result<()> {
    let (me, friend) = (trial.account(0), trial.account(1));
    let token = coin(trial)?;
    let transfer = Token::transferCall { to: friend, value: units(5) };
    trial.write("transfer to a new holder", token, &transfer)?;
    trial.write("transfer to a holder", token, &transfer)?;
    trial.write("approve", token, &Token::approveCall { spender: me, value: units(9) })?;
    let pull = Token::transferFromCall { from: me, to: friend, value: units(4) };
    trial.write("transferFrom", token, &pull)?;
    let balance = trial.read("balanceOf", token, &Token::balanceOfCall { account: friend })?;
    ensure!(balance == units(14), "{balance}");
    Ok(())
}

fn collection(trial: &mut Trial) -> Result<()> {
    let (me, friend) = (trial.account(0), trial.account(1));
    let arguments = ("Things", "THG", "https://example.org/collection/").abi_encode_params();
    let collection = trial.deploy("Collection", &arguments, 0)?;
    trial.write("mint", collection, &Collection::mintCall { to: me })?;
    let give = Collection::transferFromCall { from: me, to: friend, id: units(1) };
    trial.write("transferFrom", collection, &give)?;
    let uri = trial.read("tokenURI", collection, &Collection::tokenURICall { id: units(1) })?;
    ensure!(uri == "https://example.org/collection/1", "{uri}");
    Ok(())
}

fn exchange(trial: &mut Trial) -> Result<()> {
    let (me, friend) = (trial.account(0), trial.account(1));
    let mut tokens = [coin(trial)?, coin(trial)?];
    tokens.sort();
    trial.rows.clear();
    let [token_a, token_b] = tokens;
    // The RISC-V factory copies a pair that is there: it is a part of what the factory costs.
    let mut arguments = Vec::new();
    if trial.machine == Machine::Riscv {
        let template = trial.deploy("Pair", &tokens.abi_encode(), 0)?;
        arguments = template.abi_encode();
    }
    let exchange = trial.deploy("Exchange", &arguments, 0)?;
    let gas = trial.rows.drain(..).map(|row| row.gas).sum();
    trial.rows.push(Row { what: "deployment with the pair's code".to_owned(), gas, time: None });
    let create = Exchange::createPairCall { tokenA: token_a, tokenB: token_b };
    trial.write("createPair", exchange, &create)?;
    let pair = trial.ask(exchange, &Exchange::getPairCall { tokenA: token_a, tokenB: token_b })?;
    for token in tokens {
        let lend = Token::transferCall { to: pair, value: units(1 << 40) };
        trial.send(Some(token), &lend.abi_encode().into(), 0)?;
    }
    trial.write("mint, the first shares", pair, &Pair::mintCall { to: me })?;
    let pay = Token::transferCall { to: pair, value: units(1_000_000) };
    trial.send(Some(token_a), &pay.abi_encode().into(), 0)?;
    let swap = Pair::swapCall { out0: U256::ZERO, out1: units(990_000), to: friend };
    trial.write("swap", pair, &swap)
}

fn multisig(trial: &mut Trial) -> Result<()> {
    let owners: Vec<Address> = (0..3).map(|index| trial.account(index)).collect();
    let arguments = (owners, units(2)).abi_encode_params();
    let wallet = trial.deploy("Multisig", &arguments, 1000)?;
    let (to, value, data) = (Address::repeat_byte(0x77), units(1), Bytes::new());
    let hash = Multisig::transactionHashCall { to, value, data: data.clone(), nonce: U256::ZERO };
    let hash = trial.ask(wallet, &hash)?;
    let mut signers = trial.accounts[..2].to_vec();
    signers.sort_by_key(PrivateKeySigner::address);
    let sign = |signer: &PrivateKeySigner| Ok(signer.sign_hash_sync(&hash)?.as_bytes().into());
    let signatures = signers.iter().map(sign).collect::<Result<Vec<Bytes>>>()?;
    let execute = Multisig::executeCall { to, value, data, signatures };
    trial.write("execute, signed by two of three", wallet, &execute)
}

fn claims(trial: &mut Trial) -> Result<()> {
    let (me, heir) = (trial.account(0), Address::repeat_byte(0x78));
    let leaf = keccak256(keccak256((units(5), heir, units(6)).abi_encode()));
    // A tree of 1,024 leaves: what stands beside the way up is of no interest.
    let proof: Vec<B256> = (1..=10).map(|level| keccak256([level; 3])).collect();
    let climb = |hash: B256, other: &B256| keccak256([hash.min(*other), hash.max(*other)].concat());
    let root = proof.iter().fold(leaf, climb);
    let contract = trial.deploy("Claims", &(root, me).abi_encode(), 1000)?;
    let claim = Claims::claimCall { index: units(5), account: heir, amount: units(6), proof };
    trial.write("claim with a proof of ten levels", contract, &claim)?;
    let hash = Claims::voucherHashCall { account: heir, amount: units(7), number: units(1) };
    let hash = trial.ask(contract, &hash)?;
    let signature = trial.accounts[0].sign_hash_sync(&hash)?;
    let (v, r, s) = (27 + u8::from(signature.v()), signature.r().into(), signature.s().into());
    let redeem = Claims::redeemCall { account: heir, amount: units(7), number: units(1), v, r, s };
    trial.write("redeem a signed voucher", contract, &redeem)
}

fn crunch(trial: &mut Trial) -> Result<()> {
    let contract = trial.deploy("Crunch", &[], 0)?;
    for (what, size) in [("BLAKE3 of 64 bytes", 64), ("BLAKE3 of 16 KiB", 16_384)] {
        let data = vec![7; size].into();
        trial.read(what, contract, &Crunch::blake3Call { data })?;
    }
    let proof: Vec<B256> = (1..=20).map(B256::repeat_byte).collect();
    let (root, leaf) = (B256::ZERO, B256::ZERO);
    let verify = Crunch::verifyBlake3Call { root, leaf, index: 0xabcd, proof };
    trial.read("BLAKE3 Merkle proof of 20 levels", contract, &verify)?;
    let [key, r, s, message] = ED25519;
    let [key, r, s] = [key.parse()?, r.parse()?, s.parse()?];
    let message = alloy::primitives::hex::decode(message)?.into();
    let verify = Crunch::verifyEd25519Call { key, r, s, message };
    ensure!(trial.read("Ed25519 signature", contract, &verify)?, "a good signature is refused");
    let fibonacci = Crunch::fibonacciCall { n: 10_000 };
    trial.read("Fibonacci number 10,000", contract, &fibonacci)?;
    for (what, count) in [("sorting 1,000 numbers", 1000), ("sorting 50,000 numbers", 50_000)] {
        trial.read(what, contract, &Crunch::sortRandomCall { seed: 42, count })?;
    }
    Ok(())
}
