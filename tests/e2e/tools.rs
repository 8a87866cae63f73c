//! Whole tools: Hardhat with its plug-ins, forge, and MetaMask's test dapp in a browser. Each deploys
//! and uses contracts of both kinds, or shows the node to a wallet.

use std::{
    path::Path,
    process::{Command, Output},
};

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol_types::SolCall,
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tandem_tests::{Node, contracts::Machine, npm};

use crate::support::PingPong;

const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// What a tool printed; it has to have succeeded.
fn printed(tool: &str, output: &Output) -> Result<String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{tool} {}:\n{text}\n{errors}", output.status);
    Ok(text)
}

fn hardhat(folder: &Path, project: &Path, node: &Node, arguments: &[&str]) -> Result<String> {
    let output = Command::new(npm::newer_node(folder))
        .arg(folder.join("node_modules/hardhat/dist/src/cli.js"))
        .args(arguments)
        .args(["--network", "tandem"])
        .env("TANDEM_TEST_URL", node.url())
        .env("HARDHAT_IGNITION_CONFIRM_DEPLOYMENT", "true")
        .current_dir(project)
        .output()
        .context("cannot start node")?;
    printed("hardhat", &output)
}

#[test]
fn hardhat_deploys_and_uses_both_kinds() -> Result<()> {
    let Some(folder) = npm::folder("hardhat")? else { return Ok(()) };
    let project = npm::project(folder, "hardhat", "contracts")?;
    let node = Node::start(&[])?;
    let text = hardhat(folder, &project, &node, &["run", "scripts/viem.mjs"])?;
    ensure!(text.ends_with("6 passed, 0 failed\n"), "{text}");
    let module = "ignition/modules/players.mjs";
    let text = hardhat(folder, &project, &node, &["ignition", "deploy", module])?;
    ensure!(text.contains("Players#PingPongRiscv - 0x"), "{text}");
    Ok(())
}

#[test]
fn forge_deploys_and_uses_both_kinds() -> Result<()> {
    let Some(folder) = npm::folder("forge")? else { return Ok(()) };
    let project = npm::project(folder, "forge", "src")?;
    let node = Node::start(&[])?;
    let url = node.url();
    let path = npm::foundry_path(folder, "forge")?;
    let forge = |arguments: &[&str]| -> Result<String> {
        let output = Command::new(&path).args(arguments).current_dir(&project).output()?;
        printed("forge", &output)
    };
    ensure!(forge(&["test", "--offline"])?.contains("1 tests passed, 0 failed"), "forge test");
    let sender = ["--rpc-url", &url, "--broadcast", "--private-key", KEY];
    let script = ["script", "script/Play.s.sol", "--slow", "--skip-simulation"];
    forge(&[&script[..], &sender].concat())?;
    let create = |arguments: &[&str]| -> Result<Address> {
        let printed = forge(&[&["create", "--json"], &sender[..], arguments].concat())?;
        let start = printed.find('{').context("no JSON")?;
        let created: Value = serde_json::from_str(&printed[start..])?;
        Ok(serde_json::from_value(created["deployedTo"].clone())?)
    };
    let player = create(&["src/PingPong.sol:PingPong"])?;
    let container = Machine::Riscv.init_code("PingPong", &[])?.to_string();
    let launch = create(&["src/Launch.sol:Launch", "--constructor-args", &container])?;
    play_created(&node, player, launch)?;
    // The script's contracts: the second account deployed for RISC-V, the first one for the EVM.
    let mut client = node.client()?;
    let mut read =
        |to: &str, data: String| client.call("eth_call", json!([{"to": to, "data": data}]));
    let balance = format!("0x70a08231{:0>64}", "beef");
    let word = |value: u64| json!(format!("0x{value:064x}"));
    ensure!(
        read("0x5fbdb2315678afecb367f032d93f642f64180aa3", balance.clone())? == word(300),
        "EVM"
    );
    let riscv = "0x8464135c8f25da09e49bc8782676a84730c318bc";
    ensure!(read(riscv, balance)? == word(400), "RISC-V");
    // hits(): the players met six times, three times each.
    let player = "0x71c95911e9a5d330f4d621842ec243ee1343292e";
    ensure!(read(player, "0xcf2470f6".to_owned())? == word(3), "the RISC-V player");
    Ok(())
}

/// What `forge create` made plays: Solidity's player, and the one for RISC-V that came along.
fn play_created(node: &Node, player: Address, launch: Address) -> Result<()> {
    let mut client = node.client()?;
    // child()
    let child = client.call("eth_call", json!([{"to": launch, "data": "0x237b5e96"}]))?;
    let child = Address::from_word(serde_json::from_value::<B256>(child)?);
    let code: Bytes = serde_json::from_value(client.call("eth_getCode", json!([child]))?)?;
    ensure!(code.starts_with(&[0xef, 0x52, 0x56, 0x01]), "{code:.20}");
    let game = PingPong::playCall { peer: child, depth: U256::from(3) }.abi_encode();
    let from = client.call("eth_accounts", json!([]))?[2].clone();
    let send = json!([{"from": from, "to": player, "data": Bytes::from(game)}]);
    let hash = client.call("eth_sendTransaction", send)?;
    let receipt = client.call("eth_getTransactionReceipt", json!([hash]))?;
    ensure!(receipt["status"] == "0x1", "{receipt}");
    let by: Vec<Address> = receipt["logs"]
        .as_array()
        .context("no logs")?
        .iter()
        .map(|log| serde_json::from_value(log["address"].clone()))
        .collect::<Result<_, _>>()?;
    ensure!(by == [player, child, player, child], "{by:?}");
    Ok(())
}

#[test]
fn a_browser_wallet_sees_the_node() -> Result<()> {
    let chromium = "/usr/bin/chromium";
    if !Path::new(chromium).exists() {
        return npm::left_out("the test dapp", "chromium");
    }
    let node = Node::start(&[])?;
    let other = Node::start(&["--chain-id", "1338"])?;
    npm::run_script("dapp.mjs", &[&node.url(), &other.url()])
}
