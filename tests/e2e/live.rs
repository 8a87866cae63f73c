//! Filters over HTTP and subscriptions over WebSocket, with alloy.

use std::{
    io::{BufReader, Write},
    os::unix::net::UnixStream,
    thread,
    time::Duration,
};

use alloy::{
    primitives::{Address, B256, U256},
    providers::{Provider, ProviderBuilder, WsConnect},
    rpc::types::Filter,
    sol_types::SolEvent,
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tandem_tests::{
    Node,
    contracts::Machine,
    sign::{self, Request},
};
use tokio::time::timeout;

use crate::support::{PingPong, connect, deploy};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn subscriptions_push_heads_logs_and_waiting_transactions() -> Result<()> {
    let node = Node::start(&[])?;
    let provider = connect(&node)?;
    let evm = deploy(&provider, Machine::Evm, "PingPong", &[]).await?;
    let riscv = deploy(&provider, Machine::Riscv, "PingPong", &[]).await?;
    let live = ProviderBuilder::new().connect_ws(WsConnect::new(node.ws_url())).await?;
    let mut heads = live.subscribe_blocks().await?;
    let filter = Filter::new().address(riscv).event_signature(PingPong::Hit::SIGNATURE_HASH);
    let mut logs = live.subscribe_logs(&filter).await?;
    let mut waiting = live.subscribe_pending_transactions().await?;
    let player = PingPong::new(evm, &provider);
    let receipt = player.play(riscv, U256::from(3)).send().await?.get_receipt().await?;
    let head = timeout(SOON, heads.recv()).await??;
    ensure!(Some(head.hash) == receipt.block_hash, "{head:?}");
    ensure!(timeout(SOON, waiting.recv()).await?? == receipt.transaction_hash, "waiting");
    // The RISC-V contract was hit at depths 2 and 0.
    for depth in [2, 0] {
        let log = timeout(SOON, logs.recv()).await??;
        let hit = log.log_decode::<PingPong::Hit>()?.inner;
        ensure!(hit.depth == U256::from(depth), "{hit:?}");
    }
    ensure!(live.get_chain_id().await? == sign::CHAIN_ID, "a call over the same socket");
    Ok(())
}

#[tokio::test]
async fn removed_logs_are_announced_after_a_revert() -> Result<()> {
    let node = Node::start(&[])?;
    let provider = connect(&node)?;
    let contract = deploy(&provider, Machine::Riscv, "PingPong", &[]).await?;
    let live = ProviderBuilder::new().connect_ws(WsConnect::new(node.ws_url())).await?;
    let mut logs = live.subscribe_logs(&Filter::new().address(contract)).await?;
    let mut client = node.client()?;
    let savepoint = client.call("evm_snapshot", json!([]))?;
    let player = PingPong::new(contract, &provider);
    player.play(Address::ZERO, U256::ZERO).send().await?.get_receipt().await?;
    ensure!(!timeout(SOON, logs.recv()).await??.removed, "the log as it came");
    client.call("evm_revert", json!([savepoint]))?;
    ensure!(timeout(SOON, logs.recv()).await??.removed, "the log as it went");
    Ok(())
}

#[test]
fn filters_give_what_is_new() -> Result<()> {
    let node = Node::start(&["--no-mining"])?;
    let mut client = node.client()?;
    let blocks = client.call("eth_newBlockFilter", json!([]))?;
    let waiting = client.call("eth_newPendingTransactionFilter", json!([]))?;
    let logs = client.call("eth_newFilter", json!([{"fromBlock": "0x0"}]))?;
    // LOG1 with the topic 0x2a and no data.
    let request = Request::create(0, vec![0x60, 0x2a, 0x5f, 0x5f, 0xa1].into(), 100_000);
    let hash = client.call("eth_sendRawTransaction", json!([request.raw(&sign::account(0)?)?]))?;
    ensure!(client.call("eth_getFilterChanges", json!([waiting]))? == json!([hash]), "waiting");
    ensure!(client.call("eth_getFilterChanges", json!([blocks]))? == json!([]), "no block yet");
    client.call("evm_mine", json!([]))?;
    let head = client.call("eth_getBlockByNumber", json!(["latest", false]))?;
    let new = client.call("eth_getFilterChanges", json!([blocks]))?;
    ensure!(new == json!([head["hash"]]), "{new}");
    let topic = json!(B256::with_last_byte(0x2a));
    for method in ["eth_getFilterChanges", "eth_getFilterLogs"] {
        let found = client.call(method, json!([logs]))?;
        ensure!(found[0]["topics"] == json!([topic]), "{method}: {found}");
        ensure!(found[0]["transactionHash"] == hash, "{method}: {found}");
    }
    ensure!(client.call("eth_getFilterChanges", json!([logs]))? == json!([]), "told twice");
    ensure!(client.call("eth_uninstallFilter", json!([logs]))? == true, "uninstall");
    client.refused("eth_getFilterChanges", json!([logs]))?;
    // Where there are logs the bloom is all ones, elsewhere zeros: no client skips a block.
    let bloom = head["logsBloom"].as_str().context("no bloom")?;
    ensure!(bloom == format!("0x{}", "f".repeat(512)), "{bloom}");
    let before: Value = client.call("eth_getBlockByNumber", json!(["0x0", false]))?;
    ensure!(before["logsBloom"] == format!("0x{}", "0".repeat(512)), "{before}");
    Ok(())
}

/// More blocks at once than a subscriber may fall behind by: nobody who reads misses any.
#[test]
fn blocks_by_the_thousand_reach_filters_and_subscribers() -> Result<()> {
    const BLOCKS: usize = 6_000;
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("node.ipc");
    let node = Node::start(&["--ipc", socket.to_str().context("a path that is no UTF-8")?])?;
    let mut live = UnixStream::connect(&socket)?;
    live.set_read_timeout(Some(SOON))?;
    for wanted in ["newHeads", "logs"] {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe",
            "params": [wanted]});
        live.write_all(request.to_string().as_bytes())?;
    }
    let reader = thread::spawn(move || -> Result<(Vec<Value>, Vec<Value>)> {
        let (mut heads, mut logs) = (Vec::new(), Vec::new());
        let messages = serde_json::Deserializer::from_reader(BufReader::new(live));
        for message in messages.into_iter::<Value>() {
            let told = message.context("no more is told")?["params"]["result"].take();
            match told.get("removed") {
                Some(removed) => logs.push(removed.clone()),
                None if told.is_object() => heads.push(told["number"].clone()),
                None => {}
            }
            if logs.len() == 2 {
                break;
            }
        }
        Ok((heads, logs))
    });
    let mut client = node.client()?;
    let filter = client.call("eth_newFilter", json!([{}]))?;
    client.call("anvil_mine", json!([BLOCKS]))?;
    // LOG0 without data.
    let request = Request::create(0, vec![0x5f, 0x5f, 0xa0].into(), 100_000);
    client.call("eth_sendRawTransaction", json!([request.raw(&sign::account(0)?)?]))?;
    let removed = |client: &mut tandem_tests::Client| -> Result<Value> {
        let logs = client.call("eth_getFilterChanges", json!([filter]))?;
        Ok(logs.as_array().into_iter().flatten().map(|log| log["removed"].clone()).collect())
    };
    ensure!(removed(&mut client)? == json!([false]), "the log as it came");
    client.call("anvil_rollback", json!([BLOCKS + 1]))?;
    ensure!(removed(&mut client)? == json!([true]), "the log as it went");
    let (heads, logs) = reader.join().ok().context("the reader panicked")??;
    let numbers: Vec<_> = (1..=BLOCKS + 1).map(|number| json!(format!("{number:#x}"))).collect();
    ensure!(heads == numbers, "{} heads of {}", heads.len(), BLOCKS + 1);
    ensure!(logs == [false, true], "{logs:?}");
    Ok(())
}
