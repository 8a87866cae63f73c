//! Sealing, restarts, older states, profiles, and how the binary starts and ends.

use std::process::Command;

use alloy::{
    primitives::{Address, B256, U256},
    providers::Provider,
    rpc::types::BlockNumberOrTag,
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tandem_tests::{
    Client, GenesisFile, Node,
    contracts::MACHINES,
    node,
    rpc::quantity,
    sign::{self, Request},
};
use tempfile::TempDir;

use crate::support::{PingPong, address, connect, deploy};

/// Sends a transfer of one wei from the first account and returns its hash.
fn transfer(client: &mut Client, nonce: u64) -> Result<Value> {
    let request = Request::transfer(nonce, Address::repeat_byte(0x55), U256::from(1));
    client.call("eth_sendRawTransaction", json!([request.raw(&sign::account(0)?)?]))
}

fn receipt(client: &mut Client, hash: &Value) -> Result<Value> {
    client.call("eth_getTransactionReceipt", json!([hash]))
}

fn height(client: &mut Client) -> Result<u64> {
    quantity(&client.call("eth_blockNumber", json!([]))?)
}

/// Block n holds the n-th wei of an account; whoever names a block gets it, and not the next one.
#[test]
fn a_number_means_its_block_while_others_are_sealed() -> Result<()> {
    const BLOCKS: u64 = 120;
    let node = Node::start(&[])?;
    let (mut sender, mut client) = (node.client()?, node.client()?);
    let sending = std::thread::spawn(move || -> Result<()> {
        (0..BLOCKS).try_for_each(|nonce| transfer(&mut sender, nonce).map(drop))
    });
    let rich = Address::repeat_byte(0x55);
    // PUSH20 rich BALANCE PUSH0 MSTORE PUSH1 32 PUSH0 RETURN.
    let code = format!("0x73{}315f5260205ff3", "55".repeat(20));
    let overrides = json!({Address::repeat_byte(0x77).to_string(): {"code": code}});
    let call = json!({"to": Address::repeat_byte(0x77)});
    let simulation = json!({"blockStateCalls": [{"stateOverrides": overrides, "calls": [call]}]});
    let number =
        |value: &Value| -> Result<U256> { Ok(value.as_str().context("no text")?.parse()?) };
    while !sending.is_finished() {
        let block = client.call("eth_blockNumber", json!([]))?;
        let found = [
            number(&client.call("eth_getBalance", json!([rich, block]))?)?,
            number(&client.call("eth_call", json!([call, block, overrides]))?)?,
            number(
                &client.call("eth_simulateV1", json!([simulation, block]))?[0]["calls"][0]["returnData"],
            )?,
            number(&client.call("eth_getBlockByNumber", json!([block, false]))?["number"])?,
        ];
        let wanted = U256::from(quantity(&block)?);
        ensure!(found.iter().all(|found| *found == wanted), "block {wanted}: {found:?}");
    }
    sending.join().ok().context("the sender panicked")??;
    ensure!(height(&mut client)? == BLOCKS, "not all were sealed");
    Ok(())
}

#[test]
fn a_bare_node_is_the_usual_dev_chain() -> Result<()> {
    let node = Node::start(&[])?;
    let mut client = node.client()?;
    ensure!(node.address().ip().is_loopback(), "{}", node.address());
    ensure!(client.call("eth_chainId", json!([]))? == "0x7a69", "chain id");
    ensure!(client.call("net_version", json!([]))? == "31337", "net version");
    let accounts = client.call("eth_accounts", json!([]))?;
    let accounts: Vec<Address> = serde_json::from_value(accounts)?;
    ensure!(accounts.len() == 10 && accounts[9] == address(9)?, "{accounts:?}");
    let balance = client.call("eth_getBalance", json!([accounts[9], "latest"]))?;
    ensure!(balance == "0x21e19e0c9bab2400000", "10,000 ether: {balance}");
    for predeployed in [
        "0x4e59b44847b379578588920cA78FbF26c0B4956C",
        "0xcA11bde05977b3631167028862bE2a173976CA11",
        "0x000F3df6D732807Ef1319fB7B8bB8522d0Beac02",
        "0x0000F90827F1C53a10cb7A02335B175320002935",
        "0x00000961Ef480Eb55e80D19ad83579A64c007002",
        "0x0000BBdDc7CE488642fb579F8B00f3a590007251",
    ] {
        let code = client.call("eth_getCode", json!([predeployed, "latest"]))?;
        ensure!(code.as_str().is_some_and(|code| code.len() > 60), "{predeployed}: {code}");
    }
    let output = node.output();
    ensure!(output.contains("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"));
    node.stop()
}

#[test]
fn a_block_holds_what_its_header_says() -> Result<()> {
    let node = Node::start(&[])?;
    let mut client = node.client()?;
    let hash = transfer(&mut client, 0)?;
    let sealed = receipt(&mut client, &hash)?;
    ensure!(sealed["blockNumber"] == "0x1" && sealed["status"] == "0x1", "{sealed}");
    let block = client.call("eth_getBlockByNumber", json!(["latest", true]))?;
    ensure!(block["hash"] == sealed["blockHash"], "{block}");
    ensure!(block["transactions"][0]["hash"] == hash, "{block}");
    ensure!(block["gasUsed"] == "0x5208", "{block}");
    let parent = client.call("eth_getBlockByNumber", json!(["0x0", false]))?;
    ensure!(block["parentHash"] == parent["hash"], "{block}");
    ensure!(block["stateRoot"] != parent["stateRoot"], "{block}");
    let none = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    ensure!(block["requestsHash"] == format!("0x{none}"), "no requests: {block}");
    // The parent's hash is in the history contract (EIP-2935).
    let history = "0x0000F90827F1C53a10cb7A02335B175320002935";
    let slot = client.call("eth_getStorageAt", json!([history, "0x0", "latest"]))?;
    ensure!(slot == parent["hash"], "{slot}");
    Ok(())
}

#[test]
fn manual_sealing_waits_and_interval_sealing_does_not() -> Result<()> {
    let node = Node::start(&["--no-mining"])?;
    let mut client = node.client()?;
    let first = transfer(&mut client, 0)?;
    let second = transfer(&mut client, 1)?;
    ensure!(height(&mut client)? == 0 && receipt(&mut client, &first)?.is_null(), "sealed");
    let pending = client.call("eth_getBlockByNumber", json!(["pending", false]))?;
    ensure!(pending["transactions"] == json!([first, second]), "{pending}");
    client.call("evm_mine", json!([]))?;
    let block = client.call("eth_getBlockByNumber", json!(["0x1", false]))?;
    ensure!(block["transactions"] == json!([first, second]), "{block}");
    node.stop()?;

    let node = Node::start(&["--block-time", "0.2"])?;
    let mut client = node.client()?;
    let hash = transfer(&mut client, 0)?;
    while receipt(&mut client, &hash)?.is_null() {}
    let before = height(&mut client)?;
    while height(&mut client)? < before + 2 {}
    node.stop()?;

    // Mixed: a transaction does not wait for the hour.
    let node = Node::start(&["--block-time", "3600", "--mixed-mining"])?;
    let mut client = node.client()?;
    let hash = transfer(&mut client, 0)?;
    ensure!(receipt(&mut client, &hash)?["status"] == "0x1", "not sealed at once");
    Ok(())
}

#[tokio::test]
async fn a_chain_goes_on_after_a_restart() -> Result<()> {
    let folder = TempDir::new()?;
    let genesis = GenesisFile::write(folder.path())?;
    let data = folder.path().join("data");
    let arguments = ["--genesis", genesis.path()?, "--datadir", data.to_str().context("no UTF-8")?];
    let node = Node::start(&arguments)?;
    let provider = connect(&node)?;
    let mut players = Vec::new();
    for machine in MACHINES {
        players.push(deploy(&provider, machine, "PingPong", &[]).await?);
    }
    let first = PingPong::new(players[0], &provider);
    first.play(players[1], U256::from(4)).send().await?.get_receipt().await?;
    let head = provider.get_block_by_number(BlockNumberOrTag::Latest).await?.context("no head")?;
    node.stop()?;
    let (number, root) = genesis.check_root(&data)?;
    ensure!((number, root) == (head.header.number, head.header.state_root), "{number} {root}");

    let node = Node::start(&arguments)?;
    let provider = connect(&node)?;
    let again = provider.get_block_by_number(BlockNumberOrTag::Latest).await?.context("no head")?;
    ensure!(again.header == head.header, "{again:?}");
    let first = PingPong::new(players[0], &provider);
    let second = PingPong::new(players[1], &provider);
    let play = second.play(players[0], U256::from(1));
    ensure!(play.send().await?.get_receipt().await?.status(), "the contracts go on");
    let hits = first.hits();
    ensure!(hits.call().await? == U256::from(4), "hits before and after");
    // As it was before the restart's block.
    ensure!(hits.block(head.header.number.into()).call().await? == U256::from(3), "older state");
    node.stop()
}

#[test]
fn waiting_transactions_survive_a_kill() -> Result<()> {
    let folder = TempDir::new()?;
    let genesis = GenesisFile::write(folder.path())?;
    let data = folder.path().join("data");
    let arguments = [
        "--genesis",
        genesis.path()?,
        "--datadir",
        data.to_str().context("no UTF-8")?,
        "--no-mining",
    ];
    let node = Node::start(&arguments)?;
    let mut client = node.client()?;
    let ready = transfer(&mut client, 0)?;
    let gapped = transfer(&mut client, 2)?;
    node.kill()?;
    let node = Node::start(&arguments)?;
    let mut client = node.client()?;
    for hash in [&ready, &gapped] {
        let tx = client.call("eth_getTransactionByHash", json!([hash]))?;
        ensure!(tx["hash"] == *hash && tx["blockHash"].is_null(), "{tx}");
    }
    transfer(&mut client, 1)?;
    client.call("evm_mine", json!([]))?;
    ensure!(receipt(&mut client, &gapped)?["status"] == "0x1", "the gap is closed");
    Ok(())
}

#[test]
fn a_temporary_chain_leaves_nothing_behind() -> Result<()> {
    let folder = TempDir::new()?;
    let mut command = node::clean(Command::new(node::binary()?));
    command.args(["--port", "0"]).env("TMPDIR", folder.path());
    let node = Node::spawn(command)?;
    transfer(&mut node.client()?, 0)?;
    node.kill()?;
    let left: Vec<_> = folder.path().read_dir()?.collect();
    ensure!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}

#[test]
fn tags_follow_the_head_at_their_distance() -> Result<()> {
    let node = Node::start(&[])?;
    let mut client = node.client()?;
    client.call("anvil_mine", json!(["0x64"]))?;
    let mut number = |tag: &str| -> Result<u64> {
        let block = client.call("eth_getBlockByNumber", json!([tag, false]))?;
        quantity(&block["number"]).with_context(|| tag.to_owned())
    };
    let numbers = (number("latest")?, number("safe")?, number("finalized")?, number("earliest")?);
    ensure!(numbers == (100, 68, 36, 0), "{numbers:?}");
    Ok(())
}

#[test]
fn the_testnet_profile_has_no_dev_methods() -> Result<()> {
    let folder = TempDir::new()?;
    let genesis = GenesisFile::write(folder.path())?;
    let data = folder.path().join("data");
    let node = Node::start(&[
        "--profile",
        "testnet",
        "--genesis",
        genesis.path()?,
        "--datadir",
        data.to_str().context("no UTF-8")?,
    ])?;
    let mut client = node.client()?;
    for method in ["evm_mine", "anvil_setBalance", "evm_snapshot", "anvil_impersonateAccount"] {
        let error = client.refused(method, json!([]))?;
        ensure!(error.code == -32601, "{method}: {error}");
    }
    ensure!(client.call("eth_accounts", json!([]))? == json!([]), "unlocked accounts");
    Ok(())
}

#[test]
fn the_same_genesis_has_the_same_hash() -> Result<()> {
    let folder = TempDir::new()?;
    let genesis = GenesisFile::write(folder.path())?;
    let hash = || -> Result<B256> {
        let node = Node::start(&["--genesis", genesis.path()?])?;
        let block = node.client()?.call("eth_getBlockByNumber", json!(["0x0", false]))?;
        Ok(serde_json::from_value(block["hash"].clone())?)
    };
    ensure!(hash()? == hash()?, "two nodes, two hashes");
    Ok(())
}

/// Runs the binary with arguments that it has to refuse, and returns what it said.
fn complaint(arguments: &[&str]) -> Result<String> {
    let output = node::clean(Command::new(node::binary()?))
        .args(["--port", "0"])
        .args(arguments)
        .output()?;
    ensure!(!output.status.success(), "{arguments:?} were taken");
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn wrong_settings_are_named() -> Result<()> {
    ensure!(complaint(&["--no-such-flag"])?.contains("--no-such-flag"));
    ensure!(complaint(&["--block-time", "soon"])?.contains("--block-time"));
    let folder = TempDir::new()?;
    let file = folder.path().join("tandem.toml");
    std::fs::write(&file, "blocktime = 3\n")?;
    let said = complaint(&["--config", file.to_str().context("no UTF-8")?])?;
    ensure!(said.contains("blocktime"), "{said}");
    let genesis = folder.path().join("genesis.json");
    std::fs::write(&genesis, r#"{"config": {"chainId": 1}, "alloc": {"0x01": 5}}"#)?;
    let said = complaint(&["--genesis", genesis.to_str().context("no UTF-8")?])?;
    ensure!(said.contains("alloc"), "{said}");
    Ok(())
}

#[test]
fn the_healthcheck_asks_a_running_node() -> Result<()> {
    let node = Node::start(&[])?;
    let port = node.address().port().to_string();
    let check = || -> Result<bool> {
        let mut command = node::clean(Command::new(node::binary()?));
        Ok(command.args(["--port", &port, "healthcheck"]).output()?.status.success())
    };
    ensure!(check()?, "a running node is not healthy");
    node.kill()?;
    ensure!(!check()?, "a dead node is healthy");
    Ok(())
}

#[test]
fn a_first_block_leaves_room_for_later_ones() -> Result<()> {
    let most = u64::MAX >> 1;
    let over = (most + 1).to_string();
    for flag in ["number", "timestamp"] {
        let error = Node::start(&[&format!("--{flag}"), &over]).err().context("it started")?;
        let wanted = format!("config: {flag}: {over} is too large, at most {most} can be");
        ensure!(format!("{error:#}").contains(&wanted), "{error:#}");
    }
    let most = most.to_string();
    let node = Node::start(&["--number", &most, "--timestamp", &most])?;
    let mut client = node.client()?;
    client.call("anvil_mine", json!(["0x2"]))?;
    let hash = transfer(&mut client, 0)?;
    let receipt = receipt(&mut client, &hash)?;
    ensure!(receipt["blockNumber"] == "0x8000000000000002", "{receipt}");
    let block = client.call("eth_getBlockByNumber", json!(["latest", false]))?;
    ensure!(block["timestamp"] == "0x8000000000000002", "{block}");
    node.stop()
}
