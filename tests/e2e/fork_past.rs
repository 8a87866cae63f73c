//! What a fork says of the blocks before it, in answers that take both chains, and of the blocks
//! that the other chain has made since.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tandem_tests::{Client, Node};

/// Creates a contract of one STOP.
const STOP: &str = "0x600060005360016000f3";

/// A chain with one transaction in each of its first four blocks, and the fork after the third,
/// with two blocks of its own.
struct Forked {
    ours: Client,
    theirs: Client,
    contract: Value,
    /// The transactions of the forked chain.
    hashes: Vec<Value>,
    /// Those of the fork.
    own: Vec<Value>,
    nodes: [Node; 2],
}

fn forked() -> Result<Forked> {
    let remote = Node::start(&[])?;
    let mut theirs = remote.client()?;
    let from = theirs.call("eth_accounts", json!([]))?[0].clone();
    let create = json!([{"from": from, "data": STOP}]);
    let mut hashes = vec![theirs.call("eth_sendTransaction", create)?];
    let receipt = theirs.call("eth_getTransactionReceipt", json!([hashes[0]]))?;
    let contract = receipt["contractAddress"].clone();
    let call = json!([{"from": from, "to": contract}]);
    for _ in 0..3 {
        hashes.push(theirs.call("eth_sendTransaction", call.clone())?);
    }
    let node = Node::start(&["--fork-url", &remote.url(), "--fork-block-number", "3"])?;
    let mut ours = node.client()?;
    let other = json!([{"from": from, "to": contract, "gas": "0xffff"}]);
    let own = [other.clone(), other].map(|call| ours.call("eth_sendTransaction", call));
    let own = own.into_iter().collect::<Result<_>>()?;
    Ok(Forked { ours, theirs, contract, hashes, own, nodes: [remote, node] })
}

#[test]
fn what_the_other_chain_did_since_is_not_on_the_fork() -> Result<()> {
    let Forked { mut ours, mut theirs, hashes, nodes: _nodes, .. } = forked()?;
    let blocks: Vec<_> = (3..=4)
        .map(|number| theirs.call("eth_getBlockByNumber", json!([format!("{number:#x}"), false])))
        .collect::<Result<_>>()?;
    for (method, common, later) in [
        ("eth_getTransactionByHash", &hashes[2], &hashes[3]),
        ("eth_getTransactionReceipt", &hashes[2], &hashes[3]),
        ("eth_getBlockByHash", &blocks[0]["hash"], &blocks[1]["hash"]),
        ("eth_getHeaderByHash", &blocks[0]["hash"], &blocks[1]["hash"]),
    ] {
        let want = theirs.call(method, json!([common, false]))?;
        ensure!(ours.call(method, json!([common, false]))? == want, "{method}: {want}");
        let found = ours.call(method, json!([later, false]))?;
        ensure!(found.is_null(), "{method}: {found}");
    }
    theirs.call("evm_setAutomine", json!([false]))?;
    let from = theirs.call("eth_accounts", json!([]))?[1].clone();
    let waiting = theirs.call("eth_sendTransaction", json!([{"from": from, "to": from}]))?;
    let found = ours.call("eth_getTransactionByHash", json!([waiting]))?;
    ensure!(found.is_null(), "it waits in the other node: {found}");
    Ok(())
}

#[test]
fn traces_of_both_chains_are_in_one_answer() -> Result<()> {
    let Forked { mut ours, mut theirs, contract, hashes, own, nodes: _nodes } = forked()?;
    let mut filter = |filter: Value| -> Result<Vec<Value>> {
        let found = ours.call("trace_filter", json!([filter]))?;
        Ok(found.as_array().context("traces")?.clone())
    };
    let all = filter(json!({"toAddress": [contract]}))?;
    let found: Vec<_> = all.iter().map(|trace| &trace["transactionHash"]).collect();
    ensure!(found == [&hashes[0], &hashes[1], &hashes[2], &own[0], &own[1]], "{found:?}");
    for after in 0..7 {
        for count in 0..7 {
            let some = filter(json!({"toAddress": [contract], "after": after, "count": count}))?;
            let want: Vec<_> = all.iter().skip(after).take(count).cloned().collect();
            ensure!(some == want, "{after}, {count}: {some:?}");
        }
    }
    let range = json!({"fromBlock": "0x1", "toBlock": "0x3"});
    let want = theirs.call("trace_filter", json!([range]))?;
    ensure!(json!(filter(range)?) == want, "{want}");
    Ok(())
}

#[test]
fn calls_that_say_a_place_in_a_block_run_in_the_other_chains_blocks() -> Result<()> {
    let Forked { mut ours, mut theirs, contract, hashes, nodes: _nodes, .. } = forked()?;
    let (bundles, tracer) =
        (json!([{"transactions": [{"to": contract}]}]), json!({"tracer": "callTracer"}));
    let context = json!({"blockNumber": "0x1", "transactionIndex": 0});
    let hash = theirs.call("eth_getBlockByNumber", json!(["0x2", false]))?["hash"].clone();
    let (by_number, block) = (json!({"blockNumber": "0x1"}), json!("0x2"));
    for (method, params) in [
        ("eth_callMany", json!([bundles, context])),
        ("eth_callMany", json!([bundles, by_number])),
        ("debug_traceCallMany", json!([bundles, context, tracer])),
        ("eth_getBalance", json!([contract, by_number])),
        ("debug_accountAt", json!([block, 0, contract])),
        ("debug_storageRangeAt", json!([block, 0, contract, "0x", 5])),
        ("debug_intermediateRoots", json!([hash])),
        ("reth_getBlockExecutionOutcome", json!([block])),
        ("trace_blockOpcodeGas", json!([block])),
        ("trace_transactionOpcodeGas", json!([hashes[1]])),
        ("rv_gasReport", json!([hashes[1]])),
        ("eth_getHeaderByNumber", json!([block])),
    ] {
        let want = theirs.call(method, params.clone())?;
        ensure!(!want.is_null(), "{method}");
        let got = ours.call(method, params)?;
        ensure!(got == want, "{method}: {got} instead of {want}");
    }
    Ok(())
}

#[test]
fn otterscan_searches_in_both_chains() -> Result<()> {
    let Forked { mut ours, mut theirs, contract, hashes, own, nodes: _nodes } = forked()?;
    let creator = theirs.call("ots_getContractCreator", json!([contract]))?;
    ensure!(creator["hash"] == hashes[0], "{creator}");
    ensure!(ours.call("ots_getContractCreator", json!([contract]))? == creator, "the same");
    // Blocks 1 to 5, of which the fork has made the last two.
    let all: Vec<_> = hashes[..3].iter().chain(&own).cloned().collect();
    for size in 1..=6 {
        for block in 0..=6_usize {
            let page = json!([contract, block, size]);
            let newest = if block == 0 { 5 } else { (block - 1).min(5) };
            let found = ours.call("ots_searchTransactionsBefore", page.clone())?;
            let want: Vec<_> = all[..newest].iter().rev().take(size).collect();
            check(&found, &want, (block == 0, newest <= size))
                .with_context(|| format!("before {page}"))?;
            let found = ours.call("ots_searchTransactionsAfter", page.clone())?;
            let rest = &all[block.min(5)..];
            let mut want: Vec<_> = rest.iter().take(size).collect();
            want.reverse();
            check(&found, &want, (rest.len() <= size, block == 0))
                .with_context(|| format!("after {page}"))?;
        }
    }
    Ok(())
}

fn check(found: &Value, want: &[&Value], (first, last): (bool, bool)) -> Result<()> {
    let txs = found["txs"].as_array().context("no transactions")?;
    let hashes: Vec<_> = txs.iter().map(|transaction| &transaction["hash"]).collect();
    ensure!(hashes == want, "{hashes:?} instead of {want:?}");
    let receipts = found["receipts"].as_array().context("no receipts")?;
    ensure!(receipts.iter().zip(txs).all(|(receipt, tx)| receipt["transactionHash"] == tx["hash"]));
    ensure!(receipts.len() == txs.len(), "a receipt for each");
    let pages = (&found["firstPage"], &found["lastPage"]);
    ensure!(pages == (&json!(first), &json!(last)), "{pages:?}");
    Ok(())
}
