//! What a dev chain lets its user do: savepoints, edits, impersonation, time, overrides, printing.

use alloy::{
    primitives::{Address, Bytes, U256, keccak256},
    sol_types::{SolCall, SolValue},
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tandem_tests::{
    Client, Node,
    contracts::{MACHINES, Machine},
    rpc::quantity,
    sign,
};

use crate::support::{PingPong, connect, deploy};

const SOMEONE: &str = "0x0000000000000000000000000000000000005555";

fn balance(client: &mut Client, who: &str) -> Result<u64> {
    quantity(&client.call("eth_getBalance", json!([who, "latest"]))?)
}

#[test]
fn edits_are_seen_at_once_and_kept() -> Result<()> {
    let node = Node::start(&[])?;
    let mut client = node.client()?;
    client.call("anvil_setBalance", json!([SOMEONE, "0x7"]))?;
    client.call("anvil_setNonce", json!([SOMEONE, "0x9"]))?;
    client.call("anvil_setCode", json!([SOMEONE, "0x60016000526001601ff3"]))?;
    let slot = format!("{:#066x}", 1);
    client.call("anvil_setStorageAt", json!([SOMEONE, "0x1", slot]))?;
    for _ in 0..2 {
        ensure!(balance(&mut client, SOMEONE)? == 7, "balance");
        let nonce = client.call("eth_getTransactionCount", json!([SOMEONE, "latest"]))?;
        ensure!(nonce == "0x9", "{nonce}");
        let answer = client.call("eth_call", json!([{"to": SOMEONE}, "latest"]))?;
        ensure!(answer == "0x01", "{answer}");
        let found = client.call("eth_getStorageAt", json!([SOMEONE, "0x1", "latest"]))?;
        ensure!(found == slot, "{found}");
        client.call("evm_mine", json!([]))?;
    }
    client.call("anvil_setBalance", json!([SOMEONE, "0x8"]))?;
    client.call("evm_mine", json!([]))?;
    for (block, wei) in [("0x0", "0x7"), ("0x1", "0x7"), ("0x2", "0x8"), ("0x3", "0x8")] {
        let then = client.call("eth_getBalance", json!([SOMEONE, block]))?;
        ensure!(then == wei, "after block {block}: {then}");
    }
    Ok(())
}

#[test]
fn fees_go_to_who_is_named() -> Result<()> {
    let node =
        Node::start(&["--coinbase", SOMEONE, "--profile", "testnet", "--block-time", "0.1"])?;
    let mut client = node.client()?;
    ensure!(client.call("eth_coinbase", json!([]))? == SOMEONE, "eth_coinbase");
    let raw = sign::Request::transfer(0, Address::ZERO, U256::ONE).raw(&sign::account(0)?)?;
    let receipt = client.call("eth_sendRawTransactionSync", json!([raw]))?;
    let block = client.call("eth_getBlockByNumber", json!([receipt["blockNumber"], false]))?;
    ensure!(block["miner"] == SOMEONE, "{block}");
    let [price, base_fee] = [&receipt["effectiveGasPrice"], &block["baseFeePerGas"]];
    let tip = quantity(price)? - quantity(base_fee)?;
    ensure!(tip == 1 && balance(&mut client, SOMEONE)? == 21_000, "{receipt}");
    Ok(())
}

/// Everything that a savepoint brings back is in the database.
#[test]
fn savepoints_outlive_the_node() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().context("a folder that is no UTF-8")?;
    let node = Node::start(&["--datadir", data, "--no-mining"])?;
    let mut client = node.client()?;
    let [from, to] = [sign::account(1)?.address(), sign::account(2)?.address()];
    let send = |client: &mut Client, nonce: &str| {
        client.call(
            "eth_sendTransaction",
            json!([{"from": from, "to": to, "value": "0x5", "nonce": nonce}]),
        )
    };
    client.call("anvil_mine", json!(["0x3"]))?;
    client.call("anvil_setBalance", json!([SOMEONE, "0x7"]))?;
    let waits = [send(&mut client, "0x0")?, send(&mut client, "0x2")?];
    let made = client.call("evm_snapshot", json!([]))?;
    let content = client.call("txpool_content", json!([]))?;
    client.call("anvil_setBalance", json!([SOMEONE, "0x8"]))?;
    client.call("anvil_dropTransaction", json!([waits[1]]))?;
    client.call("anvil_mine", json!(["0x2"]))?;
    let later = client.call("evm_snapshot", json!([]))?;
    node.kill()?;
    let node = Node::start(&["--datadir", data, "--no-mining"])?;
    let mut client = node.client()?;
    ensure!(client.call("txpool_status", json!([]))?["queued"] == "0x0", "what was dropped");
    client.call("anvil_mine", json!(["0x2"]))?;
    ensure!(client.call("evm_revert", json!([later]))? == true, "the savepoint {later} is gone");
    ensure!(client.call("eth_blockNumber", json!([]))? == "0x5", "not where {later} was");
    ensure!(client.call("evm_revert", json!([made]))? == true, "the savepoint {made} is gone");
    ensure!(client.call("eth_blockNumber", json!([]))? == "0x3", "not where {made} was");
    ensure!(balance(&mut client, SOMEONE)? == 7, "the edit before the savepoint");
    let found = client.call("txpool_content", json!([]))?;
    ensure!(found == content, "{content} waited, not {found}");
    let next = client.call("evm_snapshot", json!([]))?;
    ensure!(made == "0x0" && later == "0x1" && next == "0x2", "{made}, {later}, {next}");
    client.call("evm_mine", json!([]))?;
    let receipt = client.call("eth_getTransactionReceipt", json!([waits[0]]))?;
    ensure!(receipt["blockNumber"] == "0x4", "{receipt}");
    Ok(())
}

#[tokio::test]
async fn savepoints_nest_and_undo_both_machines() -> Result<()> {
    let node = Node::start(&[])?;
    let provider = connect(&node)?;
    let mut client = node.client()?;
    let evm = deploy(&provider, Machine::Evm, "PingPong", &[]).await?;
    let riscv = deploy(&provider, Machine::Riscv, "PingPong", &[]).await?;
    let contract = PingPong::new(riscv, &provider);
    let outer = client.call("evm_snapshot", json!([]))?;
    contract.play(evm, U256::from(3)).send().await?.get_receipt().await?;
    let root = client.call("eth_getBlockByNumber", json!(["latest", false]))?["stateRoot"].take();
    let inner = client.call("evm_snapshot", json!([]))?;
    client.call("anvil_setBalance", json!([SOMEONE, "0x7"]))?;
    contract.play(evm, U256::from(1)).send().await?.get_receipt().await?;
    ensure!(contract.hits().call().await? == U256::from(3), "hits");
    ensure!(client.call("evm_revert", json!([inner]))? == true, "revert");
    ensure!(contract.hits().call().await? == U256::from(2), "hits after the inner revert");
    ensure!(balance(&mut client, SOMEONE)? == 0, "balance after the inner revert");
    let head = client.call("eth_getBlockByNumber", json!(["latest", false]))?;
    ensure!(head["stateRoot"] == root && head["number"] == "0x3", "{head}");
    ensure!(client.call("evm_revert", json!([outer]))? == true, "revert");
    ensure!(contract.hits().call().await?.is_zero(), "hits after the outer revert");
    ensure!(client.call("evm_revert", json!([inner]))? == false, "a used savepoint");
    // The chain goes on where it went back to.
    // alloy's wallet remembers the nonce that it was at, and its watcher the height.
    let hash = *contract.play(evm, U256::from(1)).nonce(2).send().await?.tx_hash();
    let receipt = client.call("eth_getTransactionReceipt", json!([hash]))?;
    ensure!(receipt["status"] == "0x1" && receipt["blockNumber"] == "0x3", "{receipt}");
    Ok(())
}

#[test]
fn anyone_can_be_impersonated() -> Result<()> {
    let node = Node::start(&[])?;
    let mut client = node.client()?;
    let tx = json!([{"from": SOMEONE, "to": SOMEONE, "value": "0x1"}]);
    client.refused("eth_sendTransaction", tx.clone())?;
    client.call("anvil_setBalance", json!([SOMEONE, "0xde0b6b3a7640000"]))?;
    client.call("anvil_impersonateAccount", json!([SOMEONE]))?;
    let hash = client.call("eth_sendTransaction", tx.clone())?;
    let receipt = client.call("eth_getTransactionReceipt", json!([hash]))?;
    ensure!(receipt["status"] == "0x1" && receipt["from"] == SOMEONE, "{receipt}");
    client.call("anvil_stopImpersonatingAccount", json!([SOMEONE]))?;
    client.refused("eth_sendTransaction", tx)?;
    Ok(())
}

#[test]
fn time_goes_where_it_is_told() -> Result<()> {
    let node = Node::start(&[])?;
    let mut client = node.client()?;
    let time = |client: &mut Client| -> Result<u64> {
        let block = client.call("eth_getBlockByNumber", json!(["latest", false]))?;
        quantity(&block["timestamp"])
    };
    let start = time(&mut client)?;
    client.call("evm_setNextBlockTimestamp", json!([start + 500]))?;
    client.call("evm_mine", json!([]))?;
    ensure!(time(&mut client)? == start + 500, "next block");
    client.call("evm_increaseTime", json!([1000]))?;
    client.call("evm_mine", json!([]))?;
    ensure!(time(&mut client)? >= start + 1500, "increase");
    client.refused("evm_setNextBlockTimestamp", json!([start]))?;
    Ok(())
}

#[test]
fn overrides_hold_for_one_call() -> Result<()> {
    let node = Node::start(&[])?;
    let mut client = node.client()?;
    // SLOAD(0) + BALANCE(SOMEONE), returned.
    let code = format!("0x73{}316000540160005260206000f3", &SOMEONE[2..]);
    let overrides = json!({SOMEONE: {
        "balance": "0x5", "code": code, "stateDiff": {format!("{:#066x}", 0): format!("{:#066x}", 8)},
    }});
    let answer = client.call("eth_call", json!([{"to": SOMEONE}, "latest", overrides]))?;
    ensure!(answer == format!("{:#066x}", 13), "{answer}");
    ensure!(client.call("eth_call", json!([{"to": SOMEONE}, "latest"]))? == "0x", "it stayed");
    Ok(())
}

#[tokio::test]
async fn riscv_code_can_be_set_and_overridden() -> Result<()> {
    let node = Node::start(&[])?;
    let provider = connect(&node)?;
    let code = Machine::Riscv.init_code("PingPong", &[])?;
    let mut client = node.client()?;
    let data = Bytes::from(PingPong::hitsCall {}.abi_encode());
    let hits = json!({"to": SOMEONE, "data": data});
    let overrides = json!({SOMEONE: {"code": code}});
    let answer = client.call("eth_call", json!([hits, "latest", overrides]))?;
    ensure!(answer == format!("{:#066x}", 0), "{answer}");
    client.call("anvil_setCode", json!([SOMEONE, code]))?;
    let contract = PingPong::new(SOMEONE.parse::<Address>()?, &provider);
    contract.play(Address::ZERO, U256::ZERO).send().await?.get_receipt().await?;
    ensure!(contract.hits().call().await? == U256::from(1), "hits");
    Ok(())
}

#[tokio::test]
async fn console_log_of_both_machines_is_printed_by_the_node() -> Result<()> {
    let node = Node::start(&[])?;
    let provider = connect(&node)?;
    let selector = keccak256("log(string)");
    let console: Address = "0x000000000000000000636F6e736F6c652e6c6f67".parse()?;
    for machine in MACHINES {
        let contract = PingPong::new(deploy(&provider, machine, "PingPong", &[]).await?, &provider);
        let text = format!("{machine:?} prints");
        let data = [&selector[..4], &text.abi_encode()].concat();
        contract.call(console, data.into()).send().await?.get_receipt().await?;
        node.wait_for_output(&text)?;
    }
    Ok(())
}

#[test]
fn unknown_methods_and_bad_parameters_have_their_codes() -> Result<()> {
    let node = Node::start(&[])?;
    let mut client = node.client()?;
    ensure!(client.refused("eth_noSuchMethod", json!([]))?.code == -32601, "no method");
    ensure!(client.refused("eth_getBalance", json!(["0x12", "latest"]))?.code == -32602, "params");
    let batch = client.exchange(
        br#"[{"jsonrpc":"2.0","id":7,"method":"eth_chainId"},{"jsonrpc":"2.0","id":8,"method":"x"}]"#,
    )?;
    let batch: Value = serde_json::from_slice(&batch)?;
    ensure!(batch[0]["id"] == 7 && batch[0]["result"] == "0x7a69", "{batch}");
    ensure!(batch[1]["id"] == 8 && batch[1]["error"]["code"] == -32601, "{batch}");
    let broken: Value = serde_json::from_slice(&client.exchange(b"{")?)?;
    ensure!(broken["error"]["code"] == -32700, "{broken}");
    let version = client.call("web3_clientVersion", json!([]))?;
    let version = version.as_str().context("no version")?.to_lowercase();
    ensure!(version.contains("tandem"), "{version}");
    Ok(())
}

/// Bodies that are cut, repeated or changed in one byte: each is answered, and the node goes on.
#[test]
fn hostile_bodies_are_answered() -> Result<()> {
    let node = Node::start(&[])?;
    let mut client = node.client()?;
    let bodies = [
        r#"{"jsonrpc":"2.0","id":1,"method":"eth_call","params":[{"to":"0x00"},"latest",{"0x01":{}}]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x0","topics":[[]]}]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"rv_deploy","params":[{"image":"0x7f454c46","args":"0x"}]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x02f86a8201"]}"#,
    ];
    for body in bodies {
        for at in 1..body.len() {
            let mut changed = body.as_bytes().to_vec();
            match at % 3 {
                0 => changed.truncate(at),
                1 => changed[at] ^= 0x11,
                _ => changed.extend_from_slice(&body.as_bytes()[at..]),
            }
            let answer = client.exchange(&changed)?;
            // A request whose id is spoilt is a notification: its answer is empty.
            if !answer.is_empty() {
                let answer: Value = serde_json::from_slice(&answer)?;
                ensure!(answer["jsonrpc"] == "2.0" || answer.is_array(), "{answer}");
            }
        }
    }
    ensure!(client.call("eth_chainId", json!([]))? == "0x7a69", "the node goes on");
    Ok(())
}
