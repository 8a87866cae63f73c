//! Filters over HTTP and subscriptions over WebSocket, with alloy.

use std::time::Duration;

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
