//! Whole tools: Hardhat with its plug-ins, forge, and MetaMask's test dapp in a browser. Each deploys
//! and uses contracts of both kinds, or shows the node to a wallet.

use std::{
    path::Path,
    process::{Command, Output},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tandem_tests::{Node, npm};

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
    let created =
        forge(&[&["create", "src/PingPong.sol:PingPong", "--json"], &sender[..]].concat())?;
    ensure!(created.contains("\"deployedTo\": \"0x"), "{created}");
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
