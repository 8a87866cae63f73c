//! `trace_*` and `ots_*` over transactions that cross both machines.

use alloy::primitives::{Address, B256};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tandem_tests::{Node, contracts::Machine, rpc::quantity};

use crate::support::{Factory, address, connect, deploy};
use crate::traces::{cross, same_address};

/// Who is called, from the outermost call to the innermost.
fn callees(traces: &Value) -> Vec<Option<Address>> {
    let all = traces.as_array().into_iter().flatten();
    all.map(|trace| trace["action"]["to"].as_str()?.parse().ok()).collect()
}

#[tokio::test]
async fn paritys_traces_of_blocks_and_transactions_agree() -> Result<()> {
    let mut case = cross().await?;
    let of_transaction = case.client.call("trace_transaction", json!([case.hash]))?;
    let path = [case.caller, case.peer, case.caller].map(Some);
    ensure!(callees(&of_transaction) == path, "{of_transaction}");
    ensure!(of_transaction[2]["traceAddress"] == json!([0, 0]), "{of_transaction}");
    let of_block = case.client.call("trace_block", json!(["latest"]))?;
    ensure!(of_block == of_transaction, "{of_block}");
    let one = case.client.call("trace_get", json!([case.hash, ["0x0"]]))?;
    ensure!(one == of_transaction[1], "{one}");
    ensure!(case.client.call("trace_get", json!([case.hash, ["0x7"]]))?.is_null(), "no such call");
    ensure!(case.client.call("trace_transaction", json!([B256::ZERO]))?.is_null(), "unknown");
    ensure!(case.client.call("trace_block", json!(["0x0"]))? == json!([]), "genesis");
    ensure!(case.client.call("trace_block", json!(["0x77"]))?.is_null(), "no such block");
    Ok(())
}

#[tokio::test]
async fn replays_show_steps_and_changes_of_both_machines() -> Result<()> {
    let mut case = cross().await?;
    let types = json!(["trace", "vmTrace", "stateDiff"]);
    let replayed = case.client.call("trace_replayTransaction", json!([case.hash, types]))?;
    ensure!(callees(&replayed["trace"]).len() == 3, "{}", replayed["trace"]);
    let outer = &replayed["vmTrace"];
    let guest = outer["ops"]
        .as_array()
        .and_then(|ops| ops.iter().map(|op| &op["sub"]).find(|sub| !sub.is_null()))
        .context("no call in the outer frame")?;
    ensure!(
        guest["code"].as_str().is_some_and(|code| code.starts_with("0xef5256")),
        "guest's code"
    );
    let ops: Vec<_> =
        guest["ops"].as_array().into_iter().flatten().filter_map(|op| op["op"].as_str()).collect();
    for op in ["CALLER", "SLOAD", "SSTORE", "LOG3", "CALL", "RETURN"] {
        ensure!(ops.contains(&op), "no {op} in {ops:?}");
    }
    let mut places = guest["ops"].as_array().into_iter().flatten();
    ensure!(places.all(|op| op["pc"].as_u64() >= Some(0x1_0000)), "the pc is the guest's");
    for contract in [case.caller, case.peer] {
        let changed = &replayed["stateDiff"][format!("{contract:?}")];
        let slots = changed["storage"].as_object().context("no storage")?;
        ensure!(slots.len() >= 2 && changed["balance"] == "=", "{changed}");
    }
    let block =
        case.client.call("trace_replayBlockTransactions", json!(["latest", ["stateDiff"]]))?;
    ensure!(block[0]["transactionHash"] == json!(case.hash), "{block}");
    ensure!(block[0]["stateDiff"] == replayed["stateDiff"], "{block}");
    let gas = case.client.call("trace_transactionOpcodeGas", json!([case.hash]))?;
    let sstore = gas["opcodeGas"].as_array().context("no list")?.iter();
    let sstore = sstore.clone().find(|row| row["opcode"] == "SSTORE").context("no SSTORE")?;
    ensure!(sstore["count"].as_u64() >= Some(4) && sstore["gasUsed"].as_u64() > Some(0), "{gas}");
    let all = case.client.call("trace_blockOpcodeGas", json!(["latest"]))?;
    ensure!(all["transactions"][0] == gas, "{all}");
    Ok(())
}

#[tokio::test]
async fn calls_and_signed_transactions_are_traced_on_top() -> Result<()> {
    let mut case = cross().await?;
    let tx = case.client.call("eth_getTransactionByHash", json!([case.hash]))?;
    let raw = case.client.call("eth_getRawTransactionByHash", json!([case.hash]))?;
    let before = format!("{:#x}", quantity(&tx["blockNumber"])? - 1);
    let call = json!({"from": tx["from"], "to": tx["to"], "data": tx["input"], "gas": tx["gas"]});
    let want = case.client.call("trace_replayTransaction", json!([case.hash, ["trace"]]))?;
    let called = case.client.call("trace_call", json!([call, ["trace"], before]))?;
    ensure!(called == want, "{called} {want}");
    let signed = case.client.call("trace_rawTransaction", json!([raw, ["trace"], before]))?;
    ensure!(signed == want, "{signed} {want}");
    let calls = json!([[call, ["stateDiff"]], [call, ["stateDiff"]]]);
    let many = case.client.call("trace_callMany", json!([calls, before]))?;
    // The second call sees what the first one wrote.
    let written = |trace: &Value| {
        let slots = &trace["stateDiff"][format!("{:?}", case.peer)]["storage"];
        slots.as_object().map(|slots| slots.values().cloned().collect::<Vec<_>>())
    };
    let (first, second) = (written(&many[0]), written(&many[1]));
    ensure!(first.is_some() && second.is_some() && first != second, "{many}");
    Ok(())
}

#[tokio::test]
async fn the_filter_finds_calls_by_both_ends() -> Result<()> {
    let mut case = cross().await?;
    let mut find = |filter: Value| case.client.call("trace_filter", json!([filter]));
    let inner = find(json!({"fromAddress": [case.peer], "toAddress": [case.caller]}))?;
    ensure!(inner.as_array().is_some_and(|all| all.len() == 1), "{inner}");
    ensure!(inner[0]["traceAddress"] == json!([0, 0]), "{inner}");
    ensure!(inner[0]["transactionHash"] == json!(case.hash), "{inner}");
    let ends = json!({
        "fromBlock": "earliest", "toBlock": "latest",
        "fromAddress": [case.caller], "toAddress": [case.caller], "mode": "union",
    });
    let either = find(ends.clone())?;
    // Its creation, and the three calls that cross the machines.
    ensure!(either.as_array().is_some_and(|all| all.len() == 4), "{either}");
    let mut paged = ends;
    (paged["after"], paged["count"]) = (json!(1), json!(1));
    ensure!(find(paged)? == json!([either[1]]), "the second of them");
    // Creations count as calls to what they create.
    let created = find(json!({"toAddress": [case.peer], "toBlock": "0x2"}))?;
    ensure!(created[0]["type"] == "create", "{created}");
    ensure!(same_address(&created[0]["result"]["address"], case.peer), "{created}");
    let error =
        case.client.refused("trace_filter", json!([{"fromBlock": "0x3", "toBlock": "0x1"}]))?;
    ensure!(error.code == -32602, "{error}");
    Ok(())
}

#[tokio::test]
async fn otterscan_finds_its_way_through_both_machines() -> Result<()> {
    let mut case = cross().await?;
    let client = &mut case.client;
    ensure!(client.call("ots_getApiLevel", json!([]))? == 8, "level");
    ensure!(client.call("ots_hasCode", json!([case.peer, "latest"]))? == true, "code");
    ensure!(client.call("ots_hasCode", json!([address(0)?, "latest"]))? == false, "no code");
    let entries = client.call("ots_traceTransaction", json!([case.hash]))?;
    let depths: Vec<_> =
        entries.as_array().into_iter().flatten().filter_map(|e| e["depth"].as_u64()).collect();
    ensure!(depths == [0, 1, 2], "{entries}");
    ensure!(same_address(&entries[1]["to"], case.peer), "{entries}");
    for contract in [case.caller, case.peer] {
        let creator = client.call("ots_getContractCreator", json!([contract]))?;
        ensure!(same_address(&creator["creator"], address(0)?), "{creator}");
        let receipt = client.call("eth_getTransactionReceipt", json!([creator["hash"]]))?;
        ensure!(same_address(&receipt["contractAddress"], contract), "{receipt}");
    }
    let nonce = client.call("eth_getTransactionByHash", json!([case.hash]))?["nonce"].clone();
    let by_nonce =
        client.call("ots_getTransactionBySenderAndNonce", json!([address(0)?, nonce]))?;
    ensure!(by_nonce == json!(case.hash), "{by_nonce}");
    let later = json!([address(0)?, 1_000]);
    ensure!(client.call("ots_getTransactionBySenderAndNonce", later)?.is_null(), "not yet");
    let details = client.call("ots_getBlockDetails", json!(["latest"]))?;
    ensure!(details["block"]["transactionCount"] == 1, "{details}");
    let receipt = client.call("eth_getTransactionReceipt", json!([case.hash]))?;
    let fee = quantity(&receipt["gasUsed"])? * quantity(&receipt["effectiveGasPrice"])?;
    ensure!(quantity(&details["totalFees"])? == fee, "{details}");
    let by_hash = client.call("ots_getBlockDetailsByHash", json!([receipt["blockHash"]]))?;
    ensure!(by_hash == details, "{by_hash}");
    let page = client.call("ots_getBlockTransactions", json!(["latest", 0, 10]))?;
    ensure!(page["fullblock"]["transactions"][0]["hash"] == json!(case.hash), "{page}");
    ensure!(
        page["fullblock"]["transactions"][0]["input"].as_str().map(str::len) == Some(10),
        "{page}"
    );
    ensure!(
        page["receipts"][0]["logs"].is_null() && page["receipts"][0]["status"] == "0x1",
        "{page}"
    );
    ensure!(client.call("ots_getTransactionError", json!([case.hash]))? == "0x", "no error");
    Ok(())
}

#[tokio::test]
async fn otterscan_searches_and_finds_what_happens_inside() -> Result<()> {
    let mut case = cross().await?;
    let provider = connect(&case.node)?;
    let factory = deploy(&provider, Machine::Riscv, "Factory", &[]).await?;
    let code = Machine::Evm.init_code("PingPong", &[])?;
    let contract = Factory::new(factory, &provider);
    let receipt = contract.create(code).send().await?.get_receipt().await?;
    ensure!(receipt.status(), "{receipt:?}");
    let client = &mut case.client;
    let inside = client.call("ots_getInternalOperations", json!([receipt.transaction_hash]))?;
    ensure!(inside.as_array().is_some_and(|all| all.len() == 1), "{inside}");
    ensure!(inside[0]["type"] == 2 && same_address(&inside[0]["from"], factory), "{inside}");
    let child: Address = inside[0]["to"].as_str().context("no child")?.parse()?;
    let creator = client.call("ots_getContractCreator", json!([child]))?;
    ensure!(same_address(&creator["creator"], factory), "{creator}");
    ensure!(creator["hash"] == json!(receipt.transaction_hash), "{creator}");
    // The peer was created and called once from within, two transactions in three blocks.
    let search = |client: &mut tandem_tests::Client, method: &str, block: u64, size: usize| {
        client.call(method, json!([case.peer, block, size]))
    };
    let found = search(client, "ots_searchTransactionsBefore", 0, 10)?;
    let hashes = |found: &Value| -> Vec<String> {
        let txs = found["txs"].as_array().into_iter().flatten();
        txs.filter_map(|tx| Some(tx["hash"].as_str()?.to_owned())).collect()
    };
    let all = hashes(&found);
    ensure!(all.len() == 2 && all[0] == format!("{:?}", case.hash), "{found}");
    ensure!(found["firstPage"] == true && found["lastPage"] == true, "{found}");
    ensure!(found["receipts"].as_array().is_some_and(|all| all.len() == 2), "{found}");
    let first = search(client, "ots_searchTransactionsBefore", 0, 1)?;
    ensure!(hashes(&first) == all[..1] && first["lastPage"] == false, "{first}");
    let block = quantity(&first["txs"][0]["blockNumber"])?;
    let next = search(client, "ots_searchTransactionsBefore", block, 1)?;
    ensure!(hashes(&next) == all[1..] && next["firstPage"] == false, "{next}");
    let oldest = search(client, "ots_searchTransactionsAfter", 0, 1)?;
    ensure!(hashes(&oldest) == all[1..] && oldest["firstPage"] == false, "{oldest}");
    ensure!(hashes(&search(client, "ots_searchTransactionsAfter", 0, 10)?) == all, "both");
    let large = client.refused("ots_searchTransactionsAfter", json!([case.peer, 0, 5_000]))?;
    ensure!(large.message == "max allowed page size: 1000, asked for 5000", "{large}");
    Ok(())
}

#[tokio::test]
async fn a_search_says_when_it_has_seen_enough() -> Result<()> {
    let node = Node::start(&["--trace-blocks-max", "2", "--trace-size-max", "15000"])?;
    let provider = connect(&node)?;
    for _ in 0..3 {
        deploy(&provider, Machine::Evm, "PingPong", &[]).await?;
    }
    let mut client = node.client()?;
    let log = json!(["latest", {"enableMemory": true}]);
    let error = client.refused("debug_traceBlockByNumber", log)?;
    let text = "the trace recorded more than 15000 bytes (see --trace-size-max): ask for less of \
                it, or raise the limit";
    ensure!(error.message == text, "{error}");
    let stranger = json!([{"toAddress": [Address::repeat_byte(9)]}]);
    let error = client.refused("trace_filter", stranger)?;
    let text = "more than 2 blocks with transactions to run again (see --trace-blocks-max): \
                stopped before block 3, ask for a smaller range";
    ensure!(error.message == text, "{error}");
    let few = client.call("trace_filter", json!([{"fromBlock": "0x2"}]))?;
    ensure!(few.as_array().is_some_and(|all| all.len() == 2), "{few}");
    Ok(())
}
