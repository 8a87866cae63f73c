//! `cast`: accounts and transfers, and the repository's contracts of both kinds.

use std::{path::Path, process::Command};

use alloy::primitives::{Bytes, hex};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tandem_tests::{
    Node,
    contracts::{self, MACHINES, Machine},
    npm,
};

const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const OWNER: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const FRIEND: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const TRANSFER: &str = "transfer(address,uint256)";

/// The tool, and the node that it asks.
struct Cast<'a> {
    folder: &'a Path,
    url: String,
}

impl Cast<'_> {
    /// What a command prints; it has to succeed.
    fn run(&self, arguments: &[&str]) -> Result<String> {
        let (text, errors) = self.try_run(arguments)?;
        text.with_context(|| format!("cast {arguments:.200?}: {errors}"))
    }

    /// What a command prints if it succeeds, and what it complains of.
    fn try_run(&self, arguments: &[&str]) -> Result<(Option<String>, String)> {
        let mut cast = Command::new(npm::foundry_path(self.folder, "cast")?);
        let output = cast.args(arguments).env("ETH_RPC_URL", &self.url).output()?;
        let text = String::from_utf8(output.stdout)?.trim().to_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((output.status.success().then_some(text), errors))
    }

    /// Sends from the first account, and returns the receipt, which has to say success.
    fn send(&self, arguments: &[&str]) -> Result<Value> {
        let options = ["send", "--private-key", KEY, "--json"];
        let receipt: Value = serde_json::from_str(&self.run(&[&options, arguments].concat())?)?;
        ensure!(receipt["status"] == "0x1", "{receipt}");
        Ok(receipt)
    }

    /// Deploys by a creation transaction.
    fn deploy(&self, machine: Machine, name: &str, constructor: &[&str]) -> Result<String> {
        let code = machine.init_code(name, &[])?.to_string();
        let receipt = self.send(&[&["--create", &code], constructor].concat())?;
        Ok(receipt["contractAddress"].as_str().context("no address")?.to_owned())
    }

    /// A token from its deployment to a refusal, and through an EVM contract.
    fn use_token(&self, token: &str, between: &str) -> Result<()> {
        let balance = |of: &str| self.run(&["call", token, "balanceOf(address)(uint256)", of]);
        ensure!(self.run(&["call", token, "name()(string)"])? == "\"Tandem Token\"", "name");
        ensure!(balance(OWNER)? == "1000000 [1e6]", "the supply");
        let receipt = self.send(&[token, TRANSFER, FRIEND, "300"])?;
        let moved = receipt["logs"][0].clone();
        let event = "Transfer(address indexed,address indexed,uint256)";
        let logs = ["logs", "--json", "--address", token, event, OWNER];
        let found: Value = serde_json::from_str(&self.run(&logs)?)?;
        ensure!(found == json!([moved]), "{found} beside {receipt}");
        let data = moved["data"].as_str().context("no data")?;
        let decoded = self.run(&["decode-event", "--sig", "Transfer(uint256)", data])?;
        ensure!(decoded == "300" && balance(FRIEND)? == "300", "{decoded}");
        let poor = ["call", token, TRANSFER, OWNER, "301", "--from", FRIEND];
        self.refuses(&poor, [FRIEND, "300", "301"])?;
        let query = self.run(&["calldata", "balanceOf(address)", FRIEND])?;
        let signature = "staticCall(address,bytes)(bytes)";
        let answer = self.run(&["call", between, signature, token, &query])?;
        ensure!(answer == format!("0x{:064x}", 300), "through an EVM contract: {answer}");
        let query = self.run(&["calldata", TRANSFER, OWNER, "5"])?;
        let through = ["call", between, signature, token, &query];
        self.refuses(&through, [between, "0", "5"])
    }

    /// A call that ends with the token's error for want of balance, with these values.
    fn refuses(&self, call: &[&str], values: [&str; 3]) -> Result<()> {
        let (answer, errors) = self.try_run(call)?;
        ensure!(answer.is_none(), "not refused: {answer:?}");
        let data = errors.split('"').find(|part| part.starts_with("0x")).context(errors.clone())?;
        let error = "ERC20InsufficientBalance(address,uint256,uint256)";
        let decoded = self.run(&["decode-error", "--sig", error, data])?;
        let same =
            decoded.lines().zip(values).all(|(line, value)| line.eq_ignore_ascii_case(value));
        ensure!(same && decoded.lines().count() == 3, "{decoded} is not {values:?}");
        Ok(())
    }
}

#[test]
fn cast_sends_calls_and_reads() -> Result<()> {
    let Some(folder) = npm::folder("cast")? else { return Ok(()) };
    let node = Node::start(&[])?;
    let cast = Cast { folder, url: node.url() };
    ensure!(cast.run(&["chain-id"])? == "31337", "chain id");
    ensure!(cast.run(&["block-number"])? == "0", "block number");
    ensure!(cast.run(&["balance", FRIEND, "--ether"])?.starts_with("10000"), "balance");
    cast.send(&[FRIEND, "--value", "1ether"])?;
    ensure!(cast.run(&["balance", FRIEND, "--ether"])?.starts_with("10001"), "balance");
    let stale = ["send", FRIEND, "--value", "1ether", "--private-key", KEY, "--nonce", "0"];
    let (answer, why) = cast.try_run(&stale)?;
    ensure!(answer.is_none() && why.contains("nonce too low"), "{why}");
    let unlocked = cast.run(&["send", FRIEND, "--unlocked", "--from", FRIEND, "--json"])?;
    ensure!(unlocked.contains("\"status\":\"0x1\""), "{unlocked}");
    ensure!(cast.run(&["nonce", FRIEND])? == "1", "nonce");
    Ok(())
}

#[test]
fn cast_deploys_and_uses_both_kinds() -> Result<()> {
    let Some(folder) = npm::folder("cast")? else { return Ok(()) };
    let node = Node::start(&[])?;
    let cast = Cast { folder, url: node.url() };
    let players = [
        cast.deploy(Machine::Evm, "PingPong", &[])?,
        cast.deploy(Machine::Riscv, "PingPong", &[])?,
    ];
    let signature = "constructor(string,string,uint256,address)";
    let constructor = [signature, "Tandem Token", "TDM", "1000000", OWNER];
    for machine in MACHINES {
        let token = cast.deploy(machine, "Token", &constructor)?;
        let code = cast.run(&["code", &token])?;
        ensure!(code.starts_with("0xef525601") == (machine == Machine::Riscv), "{code:.20}");
        cast.use_token(&token, &players[0])?;
    }
    let arguments = cast.run(&[&["abi-encode"], &constructor[..]].concat())?;
    let image = Bytes::from(contracts::image("Token")?);
    let request = json!({"image": image, "args": arguments, "from": OWNER}).to_string();
    let answer: Value = serde_json::from_str(&cast.run(&["rpc", "rv_deploy", &request])?)?;
    let token = answer["address"].as_str().context("no address")?;
    cast.use_token(token, &players[0])?;
    // Both kinds call each other, in turn.
    let receipt = cast.send(&[&players[0], "play(address,uint256)", &players[1], "5"])?;
    let logs = receipt["logs"].as_array().context("no logs")?;
    for (log, depth) in logs.iter().zip((0..=5_u8).rev()) {
        let player = &players[usize::from((5 - depth) % 2)];
        let by = log["address"].as_str().context("no address")?;
        ensure!(by.eq_ignore_ascii_case(player), "{log}");
        let topic = hex::decode(log["topics"][2].as_str().context("no topic")?)?;
        ensure!(topic.last() == Some(&depth), "{log}");
    }
    ensure!(logs.len() == 6, "{} logs", logs.len());
    ensure!(cast.run(&["call", &players[1], "hits()(uint256)"])? == "3", "hits");
    Ok(())
}
