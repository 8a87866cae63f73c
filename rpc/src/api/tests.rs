//! Methods over a running chain, called in this process; and what is registered where.

use super::*;
use crate::connection::Connection;
use crate::local::Local;
use genesis::{DevOptions, Genesis};
use node::NodeConfig;
use serde_json::{Value, json};
use std::collections::BTreeSet;

mod calling;
mod dev;
mod forks;
mod sending;
mod simulate;
mod state;

/// A chain with the dev accounts, and its methods.
async fn start(config: NodeConfig) -> (Chain, Arc<Local>) {
    start_at(config, genesis::SpecId::OSAKA).await
}

/// The same from another fork on.
async fn start_at(config: NodeConfig, fork: genesis::SpecId) -> (Chain, Arc<Local>) {
    let (_, accounts) = node::accounts::dev_accounts(&config).unwrap();
    let balance = config.balance_wei();
    let accounts = accounts.into_iter().map(|account| (account.address, balance)).collect();
    let genesis = Genesis::dev(DevOptions {
        accounts,
        fork,
        timestamp: 1_700_000_000,
        ..DevOptions::default()
    });
    let chain = Chain::start(config, genesis).unwrap();
    let methods = calls(&chain);
    (chain, methods)
}

/// The methods of a chain, for who can't be told things.
fn calls(chain: &Chain) -> Arc<Local> {
    let limits = crate::ServerConfig::default().limits();
    Arc::new(Local::new(methods(chain.clone()).unwrap(), None, limits))
}

/// What a subscriber is told.
struct Subscriber {
    waiting: tokio::sync::mpsc::Receiver<crate::connection::Waiting>,
    _connection: Arc<Connection>,
}

impl Subscriber {
    /// Subscribes over a connection of its own; or the error.
    async fn begin(methods: &Local, method: &str, params: Value) -> Result<Self, Value> {
        let limits = crate::ServerConfig::default().limits();
        let (connection, mut waiting) = Connection::open(methods.table().clone(), limits);
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        Arc::clone(&connection).answer(request.to_string()).await;
        let answer: Value = serde_json::from_str(&waiting.recv().await.unwrap().text).unwrap();
        match answer.get("error") {
            Some(error) => Err(error.clone()),
            None => Ok(Self { waiting, _connection: connection }),
        }
    }

    async fn next(&mut self) -> Value {
        let told: Value = serde_json::from_str(&self.waiting.recv().await.unwrap().text).unwrap();
        told["params"]["result"].clone()
    }
}

async fn ask(methods: &Local, method: &str, params: Value) -> Value {
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let answer = methods.answer(request.to_string().as_bytes(), Vec::new()).await;
    serde_json::from_slice(&answer).unwrap()
}

#[track_caller]
fn result(answer: Value) -> Value {
    assert!(answer.get("error").is_none(), "{answer}");
    answer["result"].clone()
}

const ALICE: &str = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
const BOB: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";

/// The names in docs/rpc.md, in the order of the file, with the profile they need.
fn documented() -> (BTreeSet<String>, BTreeSet<String>) {
    let text = include_str!("../../../docs/rpc.md");
    let (mut every, mut dev) = (BTreeSet::new(), BTreeSet::new());
    let mut dev_only = false;
    for line in text.lines() {
        if line.starts_with("## ") {
            dev_only = line.ends_with("(dev)");
        }
        let Some(row) = line.strip_prefix("| `") else { continue };
        let names = row.split(" | ").next().unwrap_or_default();
        for name in names.split('`').filter(|name| name.contains('_')) {
            if dev_only { &mut dev } else { &mut every }.insert(name.to_owned());
        }
    }
    dev.extend(every.iter().cloned());
    (every, dev)
}

#[tokio::test]
async fn docs_list_what_is_registered() {
    let (testnet_docs, dev_docs) = documented();
    for (profile, want) in [(Profile::Dev, dev_docs), (Profile::Testnet, testnet_docs)] {
        let (chain, methods) = start(NodeConfig { profile, ..NodeConfig::default() }).await;
        let have: BTreeSet<_> = methods.table().0.keys().map(|name| (*name).to_owned()).collect();
        let undocumented: Vec<_> = have.difference(&want).collect();
        let missing: Vec<_> = want.difference(&have).collect();
        assert!(undocumented.is_empty(), "{profile:?}: not in docs/rpc.md: {undocumented:?}");
        assert!(missing.is_empty(), "{profile:?}: in docs/rpc.md only: {missing:?}");
        drop(methods);
        chain.stop().await;
    }
}

/// The lists under `rpc/methods` are a promise to clients: they change only on purpose.
/// `TANDEM_TEST_BLESS=1` writes what there is.
#[tokio::test]
async fn the_golden_lists_name_every_method() {
    for (profile, name) in [(Profile::Dev, "dev"), (Profile::Testnet, "testnet")] {
        let (chain, methods) = start(NodeConfig { profile, ..NodeConfig::default() }).await;
        let names: BTreeSet<_> = methods.table().0.keys().copied().collect();
        let have: String = names.iter().map(|name| format!("{name}\n")).collect();
        let path = format!("{}/methods/{name}.txt", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("TANDEM_TEST_BLESS").is_some() {
            std::fs::write(&path, &have).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap();
        let golden: BTreeSet<_> = golden.lines().collect();
        let more: Vec<_> = names.difference(&golden).collect();
        let fewer: Vec<_> = golden.difference(&names).collect();
        assert!(more.is_empty() && fewer.is_empty(), "{path}: new {more:?}, gone {fewer:?}");
        let namespaces: BTreeSet<_> =
            names.iter().filter_map(|name| name.split('_').next()).collect();
        let modules = result(ask(&methods, "rpc_modules", json!([])).await);
        let modules: BTreeSet<_> =
            modules.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(modules, namespaces);
        drop(methods);
        chain.stop().await;
    }
}

#[tokio::test]
async fn testnets_have_no_dev_methods_and_no_accounts() {
    let profile = Profile::Testnet;
    let (chain, methods) = start(NodeConfig { profile, ..NodeConfig::default() }).await;
    for name in methods.table().0.keys() {
        let namespace = name.split('_').next().unwrap_or_default();
        assert!(
            [
                "eth", "net", "web3", "rpc", "txpool", "debug", "rv", "erigon", "reth", "admin",
                "trace", "ots",
            ]
            .contains(&namespace),
            "{name}"
        );
    }
    for name in ["eth_sendTransaction", "eth_sign", "eth_signTransaction", "eth_signTypedData_v4"] {
        assert!(methods.table().find(name).is_none(), "{name}");
    }
    assert_eq!(result(ask(&methods, "eth_accounts", json!([])).await), json!([]));
    chain.stop().await;
}

#[tokio::test]
async fn a_transfer_is_sealed_and_found() {
    let (chain, methods) = start(NodeConfig::default()).await;
    assert_eq!(result(ask(&methods, "eth_chainId", json!([])).await), "0x7a69");
    let accounts = result(ask(&methods, "eth_accounts", json!([])).await);
    assert_eq!((accounts.as_array().unwrap().len(), &accounts[0]), (10, &json!(ALICE)));
    let send = json!([{"from": ALICE, "to": BOB, "value": "0x1"}]);
    let hash = result(ask(&methods, "eth_sendTransaction", send).await);

    let receipt = result(ask(&methods, "eth_getTransactionReceipt", json!([hash])).await);
    let block = result(ask(&methods, "eth_getBlockByNumber", json!(["latest", false])).await);
    let bloom = format!("0x{}", "0".repeat(512));
    assert_eq!(
        receipt,
        json!({
            "type": "0x2", "status": "0x1", "cumulativeGasUsed": "0x5208", "logs": [],
            "logsBloom": bloom, "transactionHash": hash, "transactionIndex": "0x0",
            "blockHash": block["hash"], "blockNumber": "0x1", "gasUsed": "0x5208",
            "effectiveGasPrice": receipt["effectiveGasPrice"],
            "from": ALICE, "to": BOB, "contractAddress": null,
        })
    );
    assert_eq!(block["transactions"], json!([hash]));
    assert_eq!(block["number"], "0x1");
    assert_eq!(block["logsBloom"], bloom);
    assert!(block.get("totalDifficulty").is_none(), "{block}");
    assert!(block["size"].is_string() && block["withdrawals"].is_array(), "{block}");

    let tx = result(ask(&methods, "eth_getTransactionByHash", json!([hash])).await);
    for (field, want) in [
        ("type", json!("0x2")),
        ("nonce", json!("0x0")),
        ("from", json!(ALICE)),
        ("to", json!(BOB)),
        ("input", json!("0x")),
        ("blockNumber", json!("0x1")),
        ("chainId", json!("0x7a69")),
        ("accessList", json!([])),
        ("gasPrice", receipt["effectiveGasPrice"].clone()),
    ] {
        assert_eq!(tx[field], want, "{field} of {tx}");
    }
    assert_eq!(tx["v"], tx["yParity"]);
    let raw = result(ask(&methods, "eth_getRawTransactionByHash", json!([hash])).await);
    let again = ask(&methods, "eth_sendRawTransaction", json!([raw])).await;
    let text = again["error"]["message"].as_str().unwrap_or_default();
    assert_eq!(again["error"]["code"], -32000);
    assert!(text.starts_with("nonce too low") || text == "already known", "{again}");
    chain.stop().await;
}

#[tokio::test]
async fn a_pending_block_has_nulls() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let block = result(ask(&methods, "eth_getBlockByNumber", json!(["pending", true])).await);
    for field in ["hash", "nonce", "miner"] {
        assert!(block[field].is_null(), "{field} of {block}");
    }
    assert_eq!(block["number"], "0x1");
    let none = result(ask(&methods, "eth_getBlockByNumber", json!(["0x5", true])).await);
    assert!(none.is_null());
    chain.stop().await;
}

#[tokio::test]
async fn many_sends_at_once_get_nonces_of_their_own() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let sends = (0..20).map(|_| {
        let methods = methods.clone();
        tokio::spawn(async move {
            let send = json!([{"from": ALICE, "to": BOB, "value": "0x1"}]);
            ask(&methods, "eth_sendTransaction", send).await
        })
    });
    for send in sends.collect::<Vec<_>>() {
        result(send.await.unwrap());
    }
    let count = ask(&methods, "eth_getTransactionCount", json!([ALICE, "latest"])).await;
    assert_eq!(result(count), "0x14");
    chain.stop().await;
}

/// Init code that deploys nothing but runs `code` first.
fn creation(code: &str) -> Value {
    json!([{"from": ALICE, "data": code}])
}

#[tokio::test]
async fn calls_that_fail_say_why() {
    let (chain, methods) = start(NodeConfig::default()).await;
    // PUSH0 PUSH0 REVERT; then INVALID.
    let reverted = ask(&methods, "eth_call", creation("0x5f5ffd")).await;
    let want = json!({"code": 3, "message": "execution reverted", "data": "0x"});
    assert_eq!(reverted["error"], want);
    for method in ["eth_call", "eth_estimateGas"] {
        let halted = ask(&methods, method, creation("0xfe")).await;
        let text = halted["error"]["message"].as_str().unwrap_or_default();
        assert!(text.contains("invalid opcode"), "{method}: {halted}");
    }
    let unknown = ask(&methods, "eth_getBalance", json!([ALICE, "0x99"])).await;
    let want = json!({"code": -32000, "message": "header not found: block 0x99"});
    assert_eq!(unknown["error"], want);
    let bad = ask(&methods, "eth_getBalance", json!(["0x12", "latest"])).await;
    assert_eq!(bad["error"]["code"], -32602);
    chain.stop().await;
}

#[tokio::test]
async fn filters_tell_of_blocks_and_reverts() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let filter = result(ask(&methods, "eth_newBlockFilter", json!([])).await);
    let snapshot = result(ask(&methods, "evm_snapshot", json!([])).await);
    result(ask(&methods, "anvil_mine", json!(["0x3"])).await);
    let hashes = result(ask(&methods, "eth_getFilterChanges", json!([filter])).await);
    assert_eq!(hashes.as_array().unwrap().len(), 3);
    assert_eq!(result(ask(&methods, "evm_revert", json!([snapshot])).await), true);
    assert_eq!(result(ask(&methods, "eth_blockNumber", json!([])).await), "0x0");
    assert_eq!(result(ask(&methods, "eth_uninstallFilter", json!([filter])).await), true);
    let gone = ask(&methods, "eth_getFilterChanges", json!([filter])).await;
    assert_eq!(gone["error"], json!({"code": -32000, "message": "filter not found"}));
    chain.stop().await;
}

#[tokio::test]
async fn dev_changes_are_seen_at_once() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let account = "0x00000000000000000000000000000000000000aa";
    result(ask(&methods, "hardhat_setBalance", json!([account, "0x64"])).await);
    result(ask(&methods, "anvil_setNonce", json!([account, 7])).await);
    result(ask(&methods, "anvil_setCode", json!([account, "0x6001"])).await);
    result(ask(&methods, "anvil_setStorageAt", json!([account, "0x1", "0x2a"])).await);
    let balance = result(ask(&methods, "eth_getBalance", json!([account])).await);
    assert_eq!(balance, "0x64");
    let nonce = result(ask(&methods, "eth_getTransactionCount", json!([account])).await);
    assert_eq!(nonce, "0x7");
    assert_eq!(result(ask(&methods, "eth_getCode", json!([account])).await), "0x6001");
    let slot = result(ask(&methods, "eth_getStorageAt", json!([account, "0x1", "latest"])).await);
    assert_eq!(slot, format!("0x{:064x}", 42));
    chain.stop().await;
}

#[tokio::test]
async fn subscribers_hear_of_heads_logs_and_removals() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let mut heads =
        Subscriber::begin(&methods, "eth_subscribe", json!(["newHeads"])).await.unwrap();
    let mut logs = Subscriber::begin(&methods, "eth_subscribe", json!(["logs"])).await.unwrap();
    let mut waiting =
        Subscriber::begin(&methods, "eth_subscribe", json!(["newPendingTransactions"]))
            .await
            .unwrap();
    let snapshot = result(ask(&methods, "evm_snapshot", json!([])).await);
    // PUSH1 0x2a, PUSH0, PUSH0, LOG1: the creation itself makes a log.
    let hash = result(ask(&methods, "eth_sendTransaction", creation("0x602a5f5fa1")).await);
    let head = heads.next().await;
    let block = result(ask(&methods, "eth_getBlockByNumber", json!(["latest", false])).await);
    assert_eq!((&head["hash"], &head["number"]), (&block["hash"], &json!("0x1")));
    let log = logs.next().await;
    assert_eq!((&log["transactionHash"], &log["removed"]), (&hash, &json!(false)));
    assert_eq!(log["topics"], json!([format!("0x{:064x}", 0x2a)]));
    let heard = waiting.next().await;
    assert_eq!(heard, hash);

    let found = result(ask(&methods, "eth_getLogs", json!([{"fromBlock": "0x0"}])).await);
    assert_eq!(found, json!([log]));
    let beyond = json!([{"fromBlock": "0x0", "toBlock": "0x9"}]);
    assert_eq!(ask(&methods, "eth_getLogs", beyond).await["error"]["code"], -32602);

    assert_eq!(result(ask(&methods, "evm_revert", json!([snapshot])).await), true);
    let gone = logs.next().await;
    assert_eq!((&gone["transactionHash"], &gone["removed"]), (&hash, &json!(true)));
    chain.stop().await;
}

#[tokio::test]
async fn subscribers_hear_of_reorgs_and_resets() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let mut heads =
        Subscriber::begin(&methods, "eth_subscribe", json!(["newHeads"])).await.unwrap();
    let mut logs = Subscriber::begin(&methods, "eth_subscribe", json!(["logs"])).await.unwrap();
    let block = |number: &'static str| {
        let block = ask(&methods, "eth_getBlockByNumber", json!([number, false]));
        async move { result(block.await) }
    };
    let mut hashes = Vec::new();
    for _ in 0..3 {
        let hash = ask(&methods, "eth_sendTransaction", creation("0x602a5f5fa1"));
        hashes.push(result(hash.await));
        heads.next().await;
        assert_eq!(logs.next().await["removed"], false);
    }
    let old = block("0x3").await;
    // Two other blocks, of which the second one makes the log again.
    let reorg = json!([2, [[creation("0x602a5f5fa1")[0], 1]]]);
    result(ask(&methods, "anvil_reorg", reorg).await);
    for (number, hash) in [("0x3", &hashes[2]), ("0x2", &hashes[1])] {
        let log = logs.next().await;
        assert_eq!((&log["transactionHash"], &log["removed"]), (hash, &json!(true)));
        assert_eq!(log["blockNumber"], number);
    }
    for number in ["0x2", "0x3"] {
        let head = heads.next().await;
        let block = block(number).await;
        assert_eq!((&head["hash"], &head["number"]), (&block["hash"], &json!(number)));
    }
    let log = logs.next().await;
    let new = block("0x3").await;
    assert_ne!(new["hash"], old["hash"]);
    assert_eq!((&log["blockHash"], &log["removed"]), (&new["hash"], &json!(false)));
    assert_eq!(log["transactionHash"], new["transactions"][0]);

    result(ask(&methods, "anvil_reset", json!([])).await);
    for hash in [&new["transactions"][0], &hashes[0]] {
        let log = logs.next().await;
        assert_eq!((&log["transactionHash"], &log["removed"]), (hash, &json!(true)));
    }
    result(ask(&methods, "evm_mine", json!([])).await);
    let head = heads.next().await;
    let (block, genesis) = (block("0x1").await, block("0x0").await);
    assert_eq!((&head["hash"], &head["parentHash"]), (&block["hash"], &genesis["hash"]));
    chain.stop().await;
}

#[tokio::test]
async fn metadata_lists_savepoints() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let snapshots = || async {
        result(ask(&methods, "hardhat_metadata", json!([])).await)["snapshots"].clone()
    };
    assert_eq!(snapshots().await, json!({}));
    assert_eq!(result(ask(&methods, "evm_snapshot", json!([])).await), "0x0");
    result(ask(&methods, "evm_mine", json!([])).await);
    assert_eq!(result(ask(&methods, "evm_snapshot", json!([])).await), "0x1");
    let genesis = result(ask(&methods, "eth_getBlockByNumber", json!(["0x0", false])).await);
    let (genesis, head) = (&genesis["hash"], chain.head().hash());
    assert_eq!(snapshots().await, json!({"0x0": [0, genesis], "0x1": [1, head]}));
    result(ask(&methods, "evm_revert", json!(["0x1"])).await);
    assert_eq!(snapshots().await, json!({"0x0": [0, genesis]}));
    chain.stop().await;
}

#[tokio::test]
async fn fees_of_the_pending_block_are_history_too() {
    let (chain, methods) = start(NodeConfig::default()).await;
    result(ask(&methods, "evm_mine", json!([])).await);
    result(ask(&methods, "evm_setAutomine", json!([false])).await);
    let send = json!([{"from": ALICE, "to": BOB, "maxPriorityFeePerGas": "0x77"}]);
    result(ask(&methods, "eth_sendTransaction", send).await);
    let fees = |count: &'static str, newest: &'static str| {
        let params = json!([count, newest, [50]]);
        let history = ask(&methods, "eth_feeHistory", params);
        async move { result(history.await) }
    };
    let pending = result(ask(&methods, "eth_getBlockByNumber", json!(["pending", false])).await);
    let (sealed, whole, one) =
        (fees("0x1", "latest").await, fees("0x2", "pending").await, fees("0x1", "pending").await);
    assert_eq!((&whole["oldestBlock"], &one["oldestBlock"]), (&json!("0x1"), &json!("0x2")));
    assert_eq!(whole["baseFeePerGas"][0], sealed["baseFeePerGas"][0]);
    // What the head foretells is what the pending block has.
    assert_eq!(whole["baseFeePerGas"][1], sealed["baseFeePerGas"][1]);
    assert_eq!(whole["baseFeePerGas"][1], pending["baseFeePerGas"]);
    assert_eq!(whole["gasUsedRatio"], json!([0.0, 0.0007]));
    assert_eq!(whole["reward"], json!([["0x0"], ["0x77"]]));
    for list in ["baseFeePerGas", "baseFeePerBlobGas", "gasUsedRatio", "blobGasUsedRatio", "reward"]
    {
        let (whole, one) = (whole[list].as_array().unwrap(), one[list].as_array().unwrap());
        assert_eq!(whole[1..], one[..], "{list}");
    }
    // No more than there is.
    assert_eq!(fees("0x400", "pending").await["oldestBlock"], "0x0");
    assert_eq!(fees("0x0", "pending").await["gasUsedRatio"], json!([]));
    chain.stop().await;
}

#[tokio::test]
async fn removed_logs_reach_filters() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let snapshot = result(ask(&methods, "evm_snapshot", json!([])).await);
    let filter = result(ask(&methods, "eth_newFilter", json!([{}])).await);
    let poll = || ask(&methods, "eth_getFilterChanges", json!([filter]));
    result(ask(&methods, "eth_sendTransaction", creation("0x602a5f5fa1")).await);
    assert_eq!(result(poll().await)[0]["removed"], false);
    assert_eq!(result(poll().await), json!([]));
    result(ask(&methods, "evm_revert", json!([snapshot])).await);
    assert_eq!(result(poll().await)[0]["removed"], true);
    chain.stop().await;
}

#[tokio::test]
async fn a_synchronous_send_answers_the_receipt_or_gives_up() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let send = json!([{"from": ALICE, "to": BOB, "value": "0x1"}, 100]);
    let receipt = result(ask(&methods, "eth_sendTransactionSync", send.clone()).await);
    assert_eq!(receipt["status"], "0x1");
    result(ask(&methods, "evm_setAutomine", json!([false])).await);
    let waiting = ask(&methods, "eth_sendTransactionSync", send).await;
    assert_eq!(waiting["error"]["code"], 4);
    let hash = &waiting["error"]["data"];
    let found = result(ask(&methods, "eth_getTransactionByHash", json!([hash])).await);
    assert_eq!(found["blockNumber"], Value::Null);
    let status = result(ask(&methods, "txpool_status", json!([])).await);
    assert_eq!(status, json!({"pending": "0x1", "queued": "0x0"}));
    chain.stop().await;
}

#[tokio::test]
async fn a_chain_goes_out_to_a_file_and_in_again() {
    let (chain, methods) = start(NodeConfig::default()).await;
    let (other, other_methods) = start(NodeConfig::default()).await;
    result(ask(&methods, "anvil_mine", json!([3])).await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chain.rlp").to_str().unwrap().to_owned();
    let export = |params| ask(&methods, "admin_exportChain", params);
    assert_eq!(result(export(json!([file])).await), true);
    let refused = |answer: Value| answer["error"]["message"].as_str().unwrap().to_owned();
    let overwritten = refused(export(json!([file])).await);
    assert_eq!(overwritten, "location would overwrite an existing file");
    let part = format!("{file}.gz");
    let half = refused(export(json!([part, null, 2])).await);
    assert_eq!(half, "last cannot be specified without first");
    let beyond = refused(export(json!([part, 2, "0x4"])).await);
    assert_eq!(beyond, "blocks 2 to 4 asked for: the chain has 0 to 3");
    assert_eq!(result(export(json!([part, 2, "0x3"])).await), true);

    let import = |file| ask(&other_methods, "admin_importChain", json!([file]));
    let gap = refused(import(part.clone()).await);
    assert_eq!(gap, "block 2: number: expected 1, got 2");
    for file in [&file, &part, &file] {
        assert_eq!(result(import(file.clone()).await), true);
        assert_eq!(other.head().hash(), chain.head().hash());
    }
    let missing = refused(import(format!("{file}x")).await);
    assert!(missing.ends_with("No such file or directory (os error 2)"), "{missing}");
    chain.stop().await;
    other.stop().await;
}
