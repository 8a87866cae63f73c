//! `debug_*` over transactions that cross both machines.

use alloy::{
    primitives::{Address, B256, U256},
    providers::DynProvider,
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tandem_tests::{Client, Node, contracts::Machine, rpc::quantity};

use crate::support::{PingPong, connect, deploy};

struct Crossing {
    node: Node,
    client: Client,
    caller: Address,
    peer: Address,
    hash: B256,
    gas_used: u64,
}

/// An EVM contract calls a RISC-V one, which calls the EVM one again.
async fn cross() -> Result<Crossing> {
    let node = Node::start(&[])?;
    let provider: DynProvider = connect(&node)?;
    let caller = deploy(&provider, Machine::Evm, "PingPong", &[]).await?;
    let peer = deploy(&provider, Machine::Riscv, "PingPong", &[]).await?;
    let contract = PingPong::new(caller, &provider);
    let receipt = contract.play(peer, U256::from(2)).send().await?.get_receipt().await?;
    ensure!(receipt.status(), "{receipt:?}");
    let client = node.client()?;
    let (hash, gas_used) = (receipt.transaction_hash, receipt.gas_used);
    Ok(Crossing { node, client, caller, peer, hash, gas_used })
}

fn same_address(value: &Value, expected: Address) -> bool {
    value.as_str().and_then(|text| text.parse::<Address>().ok()) == Some(expected)
}

#[tokio::test]
async fn the_call_tracer_nests_frames_of_both_machines() -> Result<()> {
    let mut case = cross().await?;
    let options = json!({"tracer": "callTracer", "tracerConfig": {"withLog": true}});
    let trace = case.client.call("debug_traceTransaction", json!([case.hash, options]))?;
    ensure!(quantity(&trace["gasUsed"])? == case.gas_used, "{trace}");
    let second = &trace["calls"][0];
    let third = &second["calls"][0];
    for (frame, expected) in [(&trace, case.caller), (second, case.peer), (third, case.caller)] {
        ensure!(frame["type"] == "CALL" && same_address(&frame["to"], expected), "{frame}");
        let logs = frame["logs"].as_array().context("no logs")?;
        ensure!(logs.len() == 1 && same_address(&logs[0]["address"], expected), "{logs:?}");
    }
    ensure!(third["calls"].is_null(), "{third}");
    Ok(())
}

#[tokio::test]
async fn the_struct_log_has_an_entry_for_each_system_call() -> Result<()> {
    let mut case = cross().await?;
    let trace = case.client.call("debug_traceTransaction", json!([case.hash]))?;
    let entries = trace["structLogs"].as_array().context("no struct log")?;
    let of_depth = |depth: u64| entries.iter().filter(move |entry| entry["depth"] == depth);
    let ops: Vec<_> = of_depth(2).filter_map(|entry| entry["op"].as_str()).collect();
    for op in ["CALLER", "SLOAD", "SSTORE", "LOG3", "CALL", "RETURN"] {
        ensure!(ops.contains(&op), "no {op} in the RISC-V frame: {ops:?}");
    }
    ensure!(!ops.contains(&"PUSH1"), "the RISC-V frame has no stack machine's opcodes: {ops:?}");
    ensure!(of_depth(3).any(|entry| entry["op"] == "PUSH1"), "the EVM frame below it has");
    let pcs: Vec<_> = of_depth(2).filter_map(|entry| entry["pc"].as_u64()).collect();
    ensure!(pcs.iter().all(|pc| *pc >= 0x1_0000), "the pc is the guest's: {pcs:?}");
    ensure!(trace["gas"] == case.gas_used, "{}", trace["gas"]);
    Ok(())
}

#[tokio::test]
async fn the_prestate_tracer_sees_accounts_of_both_machines() -> Result<()> {
    let mut case = cross().await?;
    let options = json!({"tracer": "prestateTracer", "tracerConfig": {"diffMode": true}});
    let trace = case.client.call("debug_traceTransaction", json!([case.hash, options]))?;
    for contract in [case.caller, case.peer] {
        let key = format!("{contract:?}");
        let slots = trace["post"][&key]["storage"].as_object().context("no storage")?;
        ensure!(slots.len() >= 2, "{key}: {slots:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_traced_call_equals_the_traced_transaction() -> Result<()> {
    let mut case = cross().await?;
    let tx = case.client.call("eth_getTransactionByHash", json!([case.hash]))?;
    let call = json!({"from": tx["from"], "to": tx["to"], "data": tx["input"], "gas": tx["gas"]});
    let before = format!("{:#x}", quantity(&tx["blockNumber"])? - 1);
    let options = json!({"tracer": "callTracer"});
    let called = case.client.call("debug_traceCall", json!([call, before, options]))?;
    let sent = case.client.call("debug_traceTransaction", json!([case.hash, options]))?;
    ensure!(called["gasUsed"] == sent["gasUsed"], "{called} {sent}");
    ensure!(called["calls"] == sent["calls"], "{called} {sent}");
    let block =
        case.client.call("debug_traceBlockByNumber", json!([tx["blockNumber"], options]))?;
    ensure!(block[0]["result"] == sent, "{block}");
    drop(case.node);
    Ok(())
}
