//! What a node says about transactions that wait.

use std::time::{Duration, Instant};

use alloy::primitives::{Address, U256};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tandem_tests::{
    Client, Node,
    rpc::quantity,
    sign::{self, MAX_FEE, Request},
};

const SOMEONE: Address = Address::repeat_byte(0x55);

fn send(client: &mut Client, request: Request) -> Result<Value> {
    let raw = request.raw(&sign::account(0)?)?;
    client.call("eth_sendRawTransaction", json!([raw]))
}

fn one(client: &mut Client, method: &str, params: Value, wanted: &Value) -> Result<()> {
    let found = client.call(method, params)?;
    ensure!(found == *wanted, "{method}: {found}, not {wanted}");
    Ok(())
}

#[test]
fn waiting_transactions_are_seen_at_pending_and_nowhere_else() -> Result<()> {
    let node = Node::start(&["--no-mining"])?;
    let mut client = node.client()?;
    let alice = sign::account(0)?.address();
    let first = send(&mut client, Request::transfer(0, SOMEONE, U256::from(7)))?;
    let gapped = send(&mut client, Request::transfer(2, SOMEONE, U256::from(9)))?;
    one(&mut client, "txpool_status", json!([]), &json!({"pending": "0x1", "queued": "0x1"}))?;
    for (tag, count, balance) in [("latest", "0x0", "0x0"), ("pending", "0x1", "0x7")] {
        one(&mut client, "eth_getTransactionCount", json!([alice, tag]), &json!(count))?;
        one(&mut client, "eth_getBalance", json!([SOMEONE, tag]), &json!(balance))?;
        // ADDRESS BALANCE PUSH0 MSTORE MSIZE PUSH0 RETURN
        let code = json!({SOMEONE.to_string(): {"code": "0x30315f52595ff3"}});
        let call = json!([{"to": SOMEONE}, tag, code]);
        let word = U256::from_str_radix(&balance[2..], 16)?;
        let word = format!("{word:#066x}");
        one(&mut client, "eth_call", call, &json!(word))?;
    }
    let pending = client.call("eth_getBlockByNumber", json!(["pending", false]))?;
    ensure!(pending["transactions"] == json!([first]), "{pending}");
    ensure!(pending["number"] == "0x1" && pending["hash"].is_null(), "{pending}");
    one(&mut client, "eth_getBlockTransactionCountByNumber", json!(["pending"]), &json!("0x1"))?;
    for hash in [&first, &gapped] {
        let waiting = client.call("eth_getTransactionByHash", json!([hash]))?;
        ensure!(waiting["hash"] == *hash && waiting["blockHash"].is_null(), "{waiting}");
        ensure!(waiting["from"] == json!(alice), "{waiting}");
        one(&mut client, "eth_getTransactionReceipt", json!([hash]), &Value::Null)?;
    }
    let second = send(&mut client, Request::transfer(1, SOMEONE, U256::from(8)))?;
    one(&mut client, "eth_getTransactionCount", json!([alice, "pending"]), &json!("0x3"))?;
    client.call("evm_mine", json!([]))?;
    let block = client.call("eth_getBlockByNumber", json!(["latest", false]))?;
    ensure!(block["transactions"] == json!([first, second, gapped]), "{block}");
    one(&mut client, "txpool_status", json!([]), &json!({"pending": "0x0", "queued": "0x0"}))
}

#[test]
fn refusals_have_geths_phrases() -> Result<()> {
    let node = Node::start(&["--no-mining"])?;
    let mut client = node.client()?;
    let alice = sign::account(0)?;
    let transfer = |nonce| Request::transfer(nonce, SOMEONE, U256::from(1));
    let first = send(&mut client, transfer(0))?;
    let value = Request::transfer(0, SOMEONE, U256::from(2));
    let gas = |gas_limit| Request { gas_limit, ..transfer(1) };
    let rich = Request::transfer(1, SOMEONE, U256::from(10).pow(U256::from(30)));
    for (request, phrase) in [
        (transfer(0), "already known"),
        (value, "replacement transaction underpriced: "),
        (gas(20_999), "intrinsic gas too low: gas 20999, minimum needed 21000"),
        (gas(30_000_001), "exceeds block gas limit: "),
        (rich, "insufficient funds for gas * price + value: "),
    ] {
        let error = client.refused("eth_sendRawTransaction", json!([request.raw(&alice)?]))?;
        ensure!(error.code == -32000 && error.message.starts_with(phrase), "{error}");
    }
    client.call("anvil_setMinGasPrice", json!(["0x2"]))?;
    let error = client.refused("eth_sendRawTransaction", json!([transfer(1).raw(&alice)?]))?;
    ensure!(error.message.starts_with("transaction underpriced: "), "{error}");
    client.call("anvil_setMinGasPrice", json!(["0x0"]))?;
    // What pays a tenth more takes its place, and nobody knows the old one any more.
    let dearer = json!([{"from": alice.address(), "to": SOMEONE, "nonce": "0x0", "gas": "0x5208",
        "maxFeePerGas": format!("{:#x}", MAX_FEE * 11 / 10), "maxPriorityFeePerGas": "0x2"}]);
    let second = client.call("eth_sendTransaction", dearer)?;
    one(&mut client, "eth_getTransactionByHash", json!([first]), &Value::Null)?;
    one(&mut client, "txpool_status", json!([]), &json!({"pending": "0x1", "queued": "0x0"}))?;
    client.call("evm_mine", json!([]))?;
    let receipt = client.call("eth_getTransactionReceipt", json!([second]))?;
    ensure!(quantity(&receipt["blockNumber"])? == 1, "{receipt}");
    let error = client.refused("eth_sendRawTransaction", json!([transfer(0).raw(&alice)?]))?;
    ensure!(error.message == "nonce too low: next nonce 1, tx nonce 0", "{error}");
    Ok(())
}

#[test]
fn transactions_behind_a_missing_nonce_expire() -> Result<()> {
    let datadir = tempfile::tempdir()?;
    let datadir = datadir.path().to_str().context("path")?;
    let flags = ["--no-mining", "--datadir", datadir, "--pool-lifetime"];
    let start = |lifetime: &'static str| Node::start(&[&flags[..], &[lifetime]].concat());
    let node = start("1")?;
    let mut client = node.client()?;
    let ready = send(&mut client, Request::transfer(0, SOMEONE, U256::from(7)))?;
    let gapped = send(&mut client, Request::transfer(2, SOMEONE, U256::from(9)))?;
    let began = Instant::now();
    while client.call("txpool_status", json!([]))?["queued"] != "0x0" {
        ensure!(began.elapsed() < Duration::from_secs(20), "it still waits");
        std::thread::sleep(Duration::from_millis(50));
    }
    ensure!(began.elapsed() > Duration::from_millis(700), "after {:?}", began.elapsed());
    one(&mut client, "eth_getTransactionByHash", json!([gapped]), &Value::Null)?;
    node.wait_for_output("transaction expired in the queue")?;
    drop(client);
    node.stop()?;
    // It is gone from the journal, too; what can run is not, and nothing goes by default.
    let node = start("0")?;
    let mut client = node.client()?;
    one(&mut client, "txpool_status", json!([]), &json!({"pending": "0x1", "queued": "0x0"}))?;
    let found = client.call("eth_getTransactionByHash", json!([ready]))?;
    ensure!(found["hash"] == ready, "{found}");
    Ok(())
}
