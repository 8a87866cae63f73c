//! `debug_*` over transactions that cross both machines.

use alloy::{
    primitives::{Address, B256, Bytes, U256, hex},
    providers::DynProvider,
    sol_types::SolCall,
};
use alloy_consensus::{Block, TxEnvelope};
use alloy_rlp::Decodable;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tandem_tests::{Client, Node, contracts::Machine, rpc::quantity};

use crate::support::{PingPong, connect, deploy};

pub(crate) struct Crossing {
    pub(crate) node: Node,
    pub(crate) client: Client,
    pub(crate) caller: Address,
    pub(crate) peer: Address,
    pub(crate) hash: B256,
    pub(crate) gas_used: u64,
}

/// An EVM contract calls a RISC-V one, which calls the EVM one again.
pub(crate) async fn cross() -> Result<Crossing> {
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

pub(crate) fn same_address(value: &Value, expected: Address) -> bool {
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

#[tokio::test]
async fn the_flat_trace_and_the_others_cross_the_machines() -> Result<()> {
    let mut case = cross().await?;
    let mut trace = |tracer: &str, config: Value| {
        let options = json!({"tracer": tracer, "tracerConfig": config});
        case.client.call("debug_traceTransaction", json!([case.hash, options]))
    };
    let flat = trace("flatCallTracer", json!({}))?;
    let entries = flat.as_array().context("no list")?;
    let expected =
        [(case.caller, json!([])), (case.peer, json!([0])), (case.caller, json!([0, 0]))];
    ensure!(entries.len() == expected.len(), "{flat}");
    for (entry, (to, place)) in entries.iter().zip(&expected) {
        ensure!(entry["type"] == "call" && entry["action"]["callType"] == "call", "{entry}");
        ensure!(same_address(&entry["action"]["to"], *to), "{entry}");
        ensure!(entry["traceAddress"] == *place, "{entry}");
        ensure!(entry["transactionHash"] == json!(case.hash), "{entry}");
    }
    ensure!(quantity(&entries[0]["result"]["gasUsed"])? == case.gas_used, "{flat}");
    let selectors = trace("4byteTracer", json!({}))?;
    // play(address,uint256), by all three.
    let play = format!("{}-64", hex::encode_prefixed(PingPong::playCall::SELECTOR));
    ensure!(selectors == json!({ play: 3 }), "{selectors}");
    ensure!(trace("noopTracer", json!({}))? == json!({}), "noop");
    let mux = trace("muxTracer", json!({"4byteTracer": {}, "flatCallTracer": {}, "rvTracer": {}}))?;
    ensure!(mux["4byteTracer"] == selectors && mux["flatCallTracer"] == flat, "{mux}");
    ensure!(mux["rvTracer"]["steps"].as_array().is_some_and(|steps| steps.len() > 100), "rvTracer");
    let erc7562 = trace("erc7562Tracer", json!({}))?;
    let guest = &erc7562["calls"][0];
    ensure!(same_address(&guest["to"], case.peer), "{erc7562}");
    ensure!(guest["usedOpcodes"]["0xa3"] == 1, "{guest}");
    Ok(())
}

#[tokio::test]
async fn blocks_are_traced_by_their_bytes_and_from_files() -> Result<()> {
    let mut case = cross().await?;
    let options = json!({"tracer": "callTracer"});
    let want = case.client.call("debug_traceBlockByNumber", json!(["latest", options]))?;
    let raw = case.client.call("debug_getRawBlock", json!(["latest"]))?;
    let have = case.client.call("debug_traceBlock", json!([raw, options]))?;
    ensure!(have == want, "{have}");
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("block.rlp");
    std::fs::write(&path, raw.as_str().context("no text")?)?;
    let from_file = json!([path, options]);
    ensure!(case.client.call("debug_traceBlockFromFile", from_file)? == want, "from a file");
    let device = case.client.refused("debug_traceBlockFromFile", json!(["/dev/zero"]))?;
    ensure!(device.message == "could not read file: not a regular file", "{device}");
    let orphan = case.client.refused("debug_traceBadBlock", json!([case.hash]))?;
    ensure!(orphan.message == format!("bad block {} not found", case.hash), "{orphan}");
    let genesis = case.client.refused("debug_traceBlockByNumber", json!(["0x0"]))?;
    ensure!(genesis.message == "genesis is not traceable", "{genesis}");
    let missing = case.client.refused("debug_traceBlockByNumber", json!(["0x99"]))?;
    ensure!(missing.message == "block #153 not found", "{missing}");
    let missing = case.client.refused("debug_traceTransaction", json!([B256::ZERO]))?;
    ensure!(missing.message == "transaction not found", "{missing}");
    Ok(())
}

#[tokio::test]
async fn refused_blocks_are_kept() -> Result<()> {
    let mut case = cross().await?;
    ensure!(case.client.call("debug_getBadBlocks", json!([]))? == json!([]), "none yet");
    let raw = case.client.call("debug_getRawBlock", json!(["latest"]))?;
    let raw = hex::decode(raw.as_str().context("no text")?)?;
    let mut block = Block::<TxEnvelope>::decode(&mut &raw[..])?;
    // The same transactions once more, in a block on top.
    block.header.parent_hash = block.header.hash_slow();
    block.header.number += 1;
    let hash = block.header.hash_slow();
    let encoded = json!([hex::encode_prefixed(alloy_rlp::encode(&block))]);
    let refused = case.client.refused("debug_traceBlock", encoded.clone())?;
    ensure!(refused.message.starts_with("nonce too low"), "{refused}");
    let kept = case.client.call("debug_getBadBlocks", json!([]))?;
    ensure!(kept.as_array().is_some_and(|kept| kept.len() == 1), "{kept}");
    ensure!(kept[0]["hash"] == json!(hash) && kept[0]["rlp"] == encoded[0], "{kept}");
    ensure!(kept[0]["block"]["transactions"][0]["hash"] == json!(case.hash), "{kept}");
    let again = case.client.refused("debug_traceBadBlock", json!([hash]))?;
    ensure!(again == refused, "{again}");
    block.header.parent_hash = B256::repeat_byte(1);
    let orphan = json!([hex::encode_prefixed(alloy_rlp::encode(&block))]);
    let refused = case.client.refused("debug_traceBlock", orphan)?;
    let parent = "0x01".to_owned() + &"01".repeat(31);
    ensure!(refused.message == format!("parent {parent} not found"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn calls_are_traced_within_a_block_and_one_after_another() -> Result<()> {
    let mut case = cross().await?;
    let hits = Bytes::from(PingPong::hitsCall {}.abi_encode());
    let hits = json!({"to": case.caller, "data": hits});
    let options = |index: Value| json!({"tracer": "callTracer", "txIndex": index});
    // The caller was hit twice, both times by the block's only transaction.
    for (index, want) in [(json!("0x0"), 0), (json!("0x1"), 2), (Value::Null, 2)] {
        let trace = case.client.call("debug_traceCall", json!([hits, "latest", options(index)]))?;
        let output = trace["output"].as_str().context("no output")?;
        ensure!(output.parse::<U256>()? == U256::from(want), "{trace}");
    }
    let beyond = json!([hits, "latest", options(json!("0x2"))]);
    let error = case.client.refused("debug_traceCall", beyond)?;
    ensure!(error.message.starts_with("transaction index 2 out of range for block 0x"), "{error}");
    let play = PingPong::playCall { peer: case.peer, depth: U256::from(2) }.abi_encode();
    let play = json!({"to": case.caller, "data": Bytes::from(play)});
    let bundles = json!([{"transactions": [hits, play, hits]}, {"transactions": [hits]}]);
    let context = json!({"blockNumber": "latest"});
    let tracer = json!({"tracer": "callTracer"});
    let traces = case.client.call("debug_traceCallMany", json!([bundles, context, tracer]))?;
    let output = |trace: &Value| -> Result<U256> {
        Ok(trace["output"].as_str().context("no output")?.parse()?)
    };
    ensure!(output(&traces[0][0])? == U256::from(2), "{traces}");
    ensure!(same_address(&traces[0][1]["calls"][0]["to"], case.peer), "{traces}");
    ensure!(output(&traces[0][2])? == U256::from(4), "{traces}");
    ensure!(output(&traces[1][0])? == U256::from(4), "{traces}");
    Ok(())
}

#[tokio::test]
async fn limits_of_traces_say_how_to_raise_them() -> Result<()> {
    let mut case = cross().await?;
    let options = json!({"tracer": "callTracer", "timeout": "0s"});
    let late = case.client.refused("debug_traceTransaction", json!([case.hash, options]))?;
    ensure!(late.message == "execution timeout: the trace took more than 0 ms", "{late}");
    let options = json!({"timeout": "a while"});
    let wrong = case.client.refused("debug_traceTransaction", json!([case.hash, options]))?;
    ensure!(wrong.code == -32602 && wrong.message.contains("invalid duration"), "{wrong}");
    Ok(())
}
