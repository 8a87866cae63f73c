//! Forks: a node on top of another one's state, be that anvil's, Tandem's, or a fork's itself.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, B256, U256, keccak256},
    providers::{DynProvider, Provider},
    sol_types::SolValue,
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tandem_tests::{
    Client, Node, Proxy,
    contracts::Machine,
    node, npm,
    proxy::Mood,
    rpc::quantity,
    sign::{self, Request},
    tls,
};

use crate::support::{PingPong, Token, address, connect, deploy};

/// A remote with a token and a player on it.
struct Remote {
    node: Node,
    token: Address,
    player: Address,
    /// Block of the last transfer.
    head: u64,
}

async fn prepare(node: Node) -> Result<Remote> {
    let provider = connect(&node)?;
    let arguments = ("T", "T", U256::from(1_000), address(0)?).abi_encode_params();
    let token = deploy(&provider, Machine::Evm, "Token", &arguments).await?;
    let player = deploy(&provider, Machine::Evm, "PingPong", &[]).await?;
    let contract = Token::new(token, &provider);
    contract.transfer(address(1)?, U256::from(300)).send().await?.get_receipt().await?;
    let head = provider.get_block_number().await?;
    Ok(Remote { node, token, player, head })
}

/// Tandem, and anvil where npm has it.
async fn remotes() -> Result<Vec<Remote>> {
    let mut remotes = vec![prepare(Node::start(&[])?).await?];
    if let Some(folder) = npm::folder("forks of anvil")? {
        let mut anvil = Command::new(npm::foundry_path(folder, "anvil")?);
        anvil.args(["--port", "0"]);
        remotes.push(prepare(Node::spawn(anvil)?).await?);
    }
    Ok(remotes)
}

fn fork(url: &str, more: &[&str]) -> Result<Node> {
    let fast = ["--fork-url", url, "--fork-retry-backoff", "10", "--retries", "3"];
    Node::start(&[&fast[..], more].concat())
}

async fn balance(provider: &DynProvider, token: Address, index: u32) -> Result<u64> {
    Ok(Token::new(token, provider).balanceOf(address(index)?).call().await?.to())
}

#[tokio::test]
async fn contracts_of_both_chains_and_machines_call_each_other() -> Result<()> {
    for remote in remotes().await? {
        let node = fork(&remote.node.url(), &[])?;
        let (ours, theirs) = (connect(&node)?, connect(&remote.node)?);
        ensure!(ours.get_block_number().await? == remote.head, "the fork's head");
        ensure!(balance(&ours, remote.token, 0).await? == 700, "a balance of the remote");
        let whole = U256::from(10).pow(U256::from(22));
        ensure!(ours.get_balance(address(0)?).await? == whole, "the dev accounts are funded");
        let nonce = theirs.get_transaction_count(address(0)?).await?;
        ensure!(ours.get_transaction_count(address(0)?).await? == nonce, "and keep their nonce");
        // A RISC-V contract made here, and an EVM contract of the remote.
        let riscv = deploy(&ours, Machine::Riscv, "PingPong", &[]).await?;
        for (first, second) in [(remote.player, riscv), (riscv, remote.player)] {
            let contract = PingPong::new(first, &ours);
            let sent = contract.play(second, U256::from(3)).value(U256::from(2)).send().await?;
            let receipt = sent.get_receipt().await?;
            ensure!(receipt.status() && receipt.logs().len() == 4, "{receipt:?}");
            let at = [first, second, first, second];
            ensure!(receipt.logs().iter().map(|log| log.address()).eq(at), "{receipt:?}");
        }
        ensure!(PingPong::new(remote.player, &ours).hits().call().await? == U256::from(4), "hits");
        ensure!(PingPong::new(riscv, &ours).hits().call().await? == U256::from(4), "hits");
        ensure!(PingPong::new(remote.player, &theirs).hits().call().await?.is_zero(), "remote");
        // The token goes on here, and stands still there.
        let token = Token::new(remote.token, &ours);
        token.transfer(address(2)?, U256::from(700)).send().await?.get_receipt().await?;
        let balances =
            (balance(&ours, remote.token, 0).await?, balance(&ours, remote.token, 2).await?);
        ensure!(balances == (0, 700), "{balances:?}");
        ensure!(balance(&theirs, remote.token, 0).await? == 700, "the remote's token");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_older_than_the_fork_is_the_other_nodes() -> Result<()> {
    for remote in remotes().await? {
        let mut theirs = remote.node.client()?;
        let node = fork(&remote.node.url(), &[])?;
        let mut ours = node.client()?;
        let provider = connect(&node)?;
        Token::new(remote.token, &provider)
            .transfer(address(3)?, U256::from(1))
            .send()
            .await?
            .get_receipt()
            .await?;
        let head = remote.head;
        let block = theirs.call("eth_getBlockByNumber", json!([head, true]).hex())?;
        let hash = block["transactions"][0]["hash"].clone();
        let data = keccak256("totalSupply()")[..4].to_vec();
        let call =
            json!({"to": remote.token, "data": alloy::primitives::hex::encode_prefixed(data)});
        for (method, params) in [
            ("eth_getBlockByNumber", json!([head, true]).hex()),
            ("eth_getBlockByNumber", json!(["earliest", false])),
            ("eth_getBlockByHash", json!([block["hash"], true])),
            ("eth_getTransactionByHash", json!([hash])),
            ("eth_getTransactionReceipt", json!([hash])),
            ("eth_getTransactionByBlockNumberAndIndex", json!([head, "0x0"]).hex()),
            ("eth_getBlockReceipts", json!([head]).hex()),
            ("eth_getBlockTransactionCountByHash", json!([block["hash"]])),
            ("eth_getBalance", json!([address(0)?, "0x1"])),
            ("eth_getTransactionCount", json!([address(0)?, "0x2"])),
            ("eth_getCode", json!([remote.player, "0x1"])),
            ("eth_call", json!([call, "0x2"])),
            ("ots_hasCode", json!([remote.player, "0x1"])),
            ("ots_getBlockDetails", json!([head])),
            ("ots_getBlockTransactions", json!([head, 0, 5])),
            ("ots_getInternalOperations", json!([hash])),
            ("ots_getTransactionError", json!([hash])),
            ("ots_traceTransaction", json!([hash])),
        ] {
            let (here, there) =
                (ours.call(method, params.clone())?, theirs.call(method, params.clone())?);
            ensure!(here == there, "{method} {params}: {here} and {there}");
        }
        ensure!(ours.call("eth_getTransactionByHash", json!([B256::ZERO]))?.is_null(), "no such");
        let missing = ours.refused("eth_getBalance", json!([address(0)?, "0xffff"]))?;
        ensure!(missing.message.starts_with("header not found"), "{missing}");
        // Logs of both chains in one answer, in order.
        let filter = json!({"address": remote.token, "fromBlock": "0x0", "toBlock": "latest"});
        let logs = ours.call("eth_getLogs", json!([filter]))?;
        let logs = logs.as_array().context("logs")?;
        let before = theirs.call("eth_getLogs", json!([filter]))?;
        let before = before.as_array().context("logs")?;
        ensure!(logs.len() == before.len() + 1, "{} and {}", logs.len(), before.len());
        ensure!(logs.iter().zip(before).all(|(a, b)| a["transactionHash"] == b["transactionHash"]));
        ensure!(quantity(&logs[before.len()]["blockNumber"])? == head + 1, "{logs:?}");
        // The next block links to the other chain's.
        let next = ours.call("eth_getBlockByNumber", json!([head + 1, false]).hex())?;
        ensure!(next["parentHash"] == block["hash"], "{next}");
        ensure!(quantity(&next["timestamp"])? > quantity(&block["timestamp"])?, "{next}");
    }
    Ok(())
}

/// Numbers as clients write them.
trait Hex {
    fn hex(self) -> Value;
}

impl Hex for Value {
    fn hex(self) -> Value {
        match self {
            Self::Array(values) => values.into_iter().map(Hex::hex).collect(),
            Self::Number(number) => json!(format!("{:#x}", number.as_u64().unwrap_or_default())),
            other => other,
        }
    }
}

#[tokio::test]
async fn nothing_is_asked_for_twice() -> Result<()> {
    let remote = prepare(Node::start(&[])?).await?;
    let proxy = Proxy::start(remote.node.address())?;
    let node = fork(&proxy.url(), &[])?;
    let provider = connect(&node)?;
    for _ in 0..2 {
        balance(&provider, remote.token, 0).await?;
        provider.get_balance(remote.player).await?;
        provider.get_code_at(remote.token).await?;
        provider.get_block(1.into()).await?.context("block 1")?;
        let token = Token::new(remote.token, &provider);
        token.transfer(address(4)?, U256::from(1)).send().await?.get_receipt().await?;
        node.client()?.call("anvil_mine", json!(["0x20"]))?;
    }
    // Many at a time for something new.
    let slots: Vec<_> = (0..8)
        .map(|_| {
            let node = node.client();
            std::thread::spawn(move || -> Result<Value> {
                node?.call("eth_getStorageAt", json!([Address::repeat_byte(7), "0x5", "latest"]))
            })
        })
        .collect();
    for slot in slots {
        slot.join().map_err(|_| anyhow::anyhow!("a reader panicked"))??;
    }
    let calls = proxy.calls();
    let twice: Vec<_> = calls.iter().filter(|(_, count)| **count > 1).collect();
    ensure!(twice.is_empty(), "asked again: {twice:?}");
    // 64 blocks were sealed, and no slot of a ring was fetched for them.
    let slots = calls.keys().filter(|call| call.starts_with("eth_getStorageAt")).count();
    ensure!(slots < 24, "{slots} slots: {:?}", calls.keys().collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn what_is_deleted_here_does_not_shine_through() -> Result<()> {
    let remote = prepare(Node::start(&[])?).await?;
    let mut theirs = remote.node.client()?;
    theirs.call("anvil_setStorageAt", json!([remote.player, "0x7", B256::with_last_byte(9)]))?;
    theirs.call("evm_mine", json!([]))?;
    let node = fork(&remote.node.url(), &[])?;
    let mut ours = node.client()?;
    let slot = |client: &mut Client, tag: Value| -> Result<Value> {
        client.call("eth_getStorageAt", json!([remote.player, "0x7", tag]))
    };
    let (nine, zero) = (json!(B256::with_last_byte(9)), json!(B256::ZERO));
    let start = quantity(&ours.call("eth_blockNumber", json!([]))?)?;
    let mark = ours.call("evm_snapshot", json!([]))?;
    ours.call("evm_mine", json!([]))?;
    ours.call("anvil_setStorageAt", json!([remote.player, "0x7", B256::ZERO]))?;
    ensure!(slot(&mut ours, json!("latest"))? == zero, "set to zero");
    ours.call("evm_mine", json!([]))?;
    ensure!(slot(&mut ours, json!("latest"))? == zero, "and sealed");
    ensure!(slot(&mut ours, json!(format!("{start:#x}")))? == nine, "history");
    ensure!(slot(&mut ours, json!(format!("{:#x}", start + 1)))? == zero, "set after that block");
    let provider = connect(&node)?;
    let token = Token::new(remote.token, &provider);
    token.transfer(address(1)?, U256::from(700)).send().await?.get_receipt().await?;
    ensure!(balance(&provider, remote.token, 0).await? == 0, "a balance of zero");
    let dump = ours.call("anvil_dumpState", json!([]))?;
    ensure!(ours.call("evm_revert", json!([mark]))? == true, "revert");
    ensure!(slot(&mut ours, json!("latest"))? == nine, "undone");
    ensure!(balance(&provider, remote.token, 0).await? == 700, "undone");
    ensure!(ours.call("anvil_loadState", json!([dump]))? == true, "load");
    ensure!(balance(&provider, remote.token, 1).await? == 1_000, "loaded");
    Ok(())
}

#[tokio::test]
async fn a_remote_that_fails_is_asked_again_and_then_named() -> Result<()> {
    let remote = prepare(Node::start(&[])?).await?;
    let proxy = Proxy::start(remote.node.address())?;
    let node = fork(&proxy.url(), &["--timeout", "1000", "--no-rate-limit"])?;
    let mut client = node.client()?;
    let slow = Mood::Slow(Duration::from_millis(1_600));
    let moods = [
        (Mood::Status(429), "HTTP status 429: out of order"),
        (Mood::Status(500), "HTTP status 500: out of order"),
        (Mood::Garbage, "no JSON-RPC answer"),
        (Mood::RateLimit, "request rate exceeded (code -32005)"),
        (slow, "timed out after 1000 ms"),
        (Mood::Closes, ""),
    ];
    for (index, (mood, reason)) in (0x50_u8..).zip(moods) {
        let ask = json!([Address::repeat_byte(index), "latest"]);
        proxy.set_mood(mood, usize::MAX);
        let before = proxy.requests();
        let error = client.refused("eth_getBalance", ask.clone())?;
        let start = format!(
            "store: forked state: eth_getBalance at {} failed after 4 attempts: ",
            proxy.url()
        );
        ensure!(error.code == -32603 && error.message.starts_with(&start), "{mood:?}: {error}");
        ensure!(error.message.contains(reason), "{mood:?}: {error}");
        ensure!(proxy.requests() - before == 4, "{mood:?}: {} requests", proxy.requests() - before);
        // The node goes on, and so does the request once the remote does.
        ensure!(client.call("eth_chainId", json!([]))? == "0x7a69", "{mood:?}");
        proxy.set_mood(mood, 2);
        ensure!(client.call("eth_getBalance", ask)? == "0x0", "{mood:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_transaction_whose_state_is_missing_waits() -> Result<()> {
    let remote = prepare(Node::start(&[])?).await?;
    let proxy = Proxy::start(remote.node.address())?;
    let node = fork(&proxy.url(), &[])?;
    let mut client = node.client()?;
    let nonce = quantity(&client.call("eth_getTransactionCount", json!([address(0)?, "latest"]))?)?;
    let head = client.call("eth_blockNumber", json!([]))?;
    let data =
        [&keccak256("transfer(address,uint256)")[..4], &(address(1)?, U256::from(5)).abi_encode()]
            .concat();
    let request = Request::call(nonce, remote.token, data.into(), 200_000);
    let signed = request.sign(&sign::account(0)?)?;
    let raw = Request::call(
        nonce,
        remote.token,
        alloy::consensus::Transaction::input(&signed).clone(),
        200_000,
    )
    .raw(&sign::account(0)?)?;
    proxy.set_mood(Mood::Status(503), usize::MAX);
    let error = client.refused("eth_sendRawTransaction", json!([raw]))?;
    let start = format!("transaction {} waits, its state could not be fetched: ", signed.tx_hash());
    ensure!(error.message.starts_with(&start), "{error}");
    ensure!(client.call("eth_blockNumber", json!([]))? == head, "no block");
    let waiting = client.call("eth_getTransactionByHash", json!([signed.tx_hash()]))?;
    ensure!(
        waiting["blockHash"].is_null() && waiting["hash"] == json!(signed.tx_hash()),
        "{waiting}"
    );
    // A block without it, since nobody knows what it would do.
    client.call("evm_mine", json!([]))?;
    ensure!(client.call("eth_getTransactionReceipt", json!([signed.tx_hash()]))?.is_null(), "none");
    proxy.set_mood(Mood::Works, 0);
    ensure!(
        client.call("eth_sendRawTransaction", json!([raw]))? == json!(signed.tx_hash()),
        "again"
    );
    let receipt = client.call("eth_getTransactionReceipt", json!([signed.tx_hash()]))?;
    ensure!(receipt["status"] == "0x1", "{receipt}");
    let provider = connect(&node)?;
    ensure!(balance(&provider, remote.token, 1).await? == 305, "it ran once");
    Ok(())
}

#[tokio::test]
async fn a_fork_in_a_directory_outlives_the_remote() -> Result<()> {
    let remote = prepare(Node::start(&[])?).await?;
    let folder = tempfile::tempdir()?;
    let datadir = folder.path().to_str().context("a path")?;
    let url = remote.node.url();
    let node = fork(&url, &["--datadir", datadir])?;
    let provider = connect(&node)?;
    let token = Token::new(remote.token, &provider);
    token.transfer(address(1)?, U256::from(50)).send().await?.get_receipt().await?;
    node.kill()?;
    // Another block of the same node is another fork.
    let number = format!("{}", remote.head - 1);
    let error = fork(&url, &["--datadir", datadir, "--fork-block-number", &number]).err();
    let error = format!("{:#}", error.context("it started on another block")?);
    ensure!(error.contains("holds a fork of chain 31337 at block"), "{error}");
    let other = prepare(Node::start(&["--chain-id", "5"])?).await?;
    let error = fork(&other.node.url(), &["--datadir", datadir]).err();
    let error = format!("{:#}", error.context("it started on another chain")?);
    ensure!(error.contains("not of chain 5 at block"), "{error}");
    remote.node.kill()?;
    for arguments in [vec!["--fork-url", &url, "--retries", "0"], vec![]] {
        let node = Node::start(&[&arguments[..], &["--datadir", datadir]].concat())?;
        let mut client = node.client()?;
        let provider = connect(&node)?;
        ensure!(balance(&provider, remote.token, 0).await? >= 640, "cached");
        let token = Token::new(remote.token, &provider);
        token.transfer(address(1)?, U256::from(5)).send().await?.get_receipt().await?;
        client.call("anvil_mine", json!(["0x5"]))?;
        let error = client.refused("eth_getBalance", json!([Address::repeat_byte(9), "latest"]))?;
        ensure!(error.message.contains("eth_getBalance at"), "{error}");
        node.stop()?;
    }
    Ok(())
}

#[tokio::test]
async fn runs_share_the_cache_of_a_directory() -> Result<()> {
    let remote = prepare(Node::start(&[])?).await?;
    let proxy = Proxy::start(remote.node.address())?;
    let folder = tempfile::tempdir()?;
    let cache = folder.path().to_str().context("a path")?;
    let mut counts = Vec::new();
    for _ in 0..2 {
        let node = fork(&proxy.url(), &["--fork-cache-path", cache])?;
        ensure!(balance(&connect(&node)?, remote.token, 0).await? == 700);
        counts.push(proxy.calls().values().sum::<usize>());
        node.stop()?;
    }
    // The second run asks which chain and block there is, and for nothing else.
    ensure!(counts[1] - counts[0] <= 4, "{counts:?}: {:?}", proxy.calls());
    Ok(())
}

#[tokio::test]
async fn a_fork_can_be_forked_and_begun_anew() -> Result<()> {
    let remote = prepare(Node::start(&[])?).await?;
    let first = fork(&remote.node.url(), &[])?;
    let provider = connect(&first)?;
    let token = Token::new(remote.token, &provider);
    token.transfer(address(1)?, U256::from(100)).send().await?.get_receipt().await?;
    let riscv = deploy(&provider, Machine::Riscv, "PingPong", &[]).await?;
    let second = fork(&first.url(), &[])?;
    let provider = connect(&second)?;
    ensure!(balance(&provider, remote.token, 0).await? == 600, "the first fork's state");
    let contract = PingPong::new(riscv, &provider);
    let sent = contract.play(remote.player, U256::from(2)).send().await?;
    ensure!(sent.get_receipt().await?.status(), "a RISC-V contract of the first fork runs");
    // Another block of the node that is forked; then one of another node; then none.
    let mut client = second.client()?;
    let block = |number: u64| json!([{"forking": {"blockNumber": number}}]);
    let filter = client.call("eth_newBlockFilter", json!([]))?;
    client.call("anvil_reset", block(remote.head))?;
    ensure!(quantity(&client.call("eth_blockNumber", json!([]))?)? == remote.head);
    ensure!(balance(&connect(&second)?, remote.token, 0).await? == 700, "before the transfer");
    let url = remote.node.url();
    let params = json!([{"forking": {"jsonRpcUrl": url, "blockNumber": "0x1"}}]);
    client.call("hardhat_reset", params)?;
    let metadata = client.call("hardhat_metadata", json!([]))?;
    ensure!(metadata["forkedNetwork"]["forkBlockNumber"] == 1, "{metadata}");
    let info = client.call("anvil_nodeInfo", json!([]))?;
    ensure!(info["forkConfig"]["forkUrl"] == url && info["forkConfig"]["forkBlockNumber"] == 1);
    ensure!(client.call("eth_getCode", json!([remote.player, "latest"]))? == "0x", "not there yet");
    client.call("anvil_reset", json!([]))?;
    ensure!(client.call("eth_blockNumber", json!([]))? == "0x0");
    // A filter goes on from where the new chain begins, however long the old one was.
    ensure!(client.call("eth_getFilterChanges", json!([filter]))? == json!([]), "nothing new");
    client.call("evm_mine", json!([]))?;
    let newest = client.call("eth_getBlockByNumber", json!(["latest", false]))?["hash"].clone();
    let changes = client.call("eth_getFilterChanges", json!([filter]))?;
    ensure!(changes == json!([newest]), "{changes}");
    ensure!(client.call("eth_getCode", json!([remote.token, "latest"]))? == "0x", "no fork");
    ensure!(client.call("hardhat_metadata", json!([]))?["forkedNetwork"].is_null());
    let refused = client.refused("anvil_reset", json!([{"forking": {}}]))?;
    ensure!(refused.message.contains("no jsonRpcUrl is given"), "{refused}");
    let refused = client.refused("anvil_setRpcUrl", json!([url]))?;
    ensure!(refused.message == "the chain is not forked", "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_fork_goes_on_after_a_transaction() -> Result<()> {
    for remote in remotes().await? {
        let provider = connect(&remote.node)?;
        let mut theirs = remote.node.client()?;
        theirs.call("evm_setAutomine", json!([false]))?;
        let nonce = provider.get_transaction_count(address(0)?).await?;
        let mut hashes = Vec::new();
        for index in 0..3 {
            let raw = Request::transfer(nonce + index, Address::repeat_byte(3), U256::from(7))
                .raw(&sign::account(0)?)?;
            hashes.push(theirs.call("eth_sendRawTransaction", json!([raw]))?);
        }
        theirs.call("evm_mine", json!([]))?;
        let hash = hashes[1].as_str().context("a hash")?;
        let node = fork(&remote.node.url(), &["--fork-transaction-hash", hash])?;
        let mut ours = node.client()?;
        ensure!(quantity(&ours.call("eth_blockNumber", json!([]))?)? == remote.head + 1);
        let tag = json!([Address::repeat_byte(3), "latest"]);
        ensure!(ours.call("eth_getBalance", tag.clone())? == "0xe", "two of three");
        ensure!(theirs.call("eth_getBalance", tag)? == "0x15", "all three");
        let (here, there) = (
            ours.call("eth_getBlockByNumber", json!([remote.head + 1, false]).hex())?,
            theirs.call("eth_getBlockByNumber", json!([remote.head + 1, false]).hex())?,
        );
        for field in ["parentHash", "timestamp", "baseFeePerGas", "gasLimit", "mixHash", "miner"] {
            ensure!(here[field] == there[field], "{field}: {} and {}", here[field], there[field]);
        }
    }
    Ok(())
}

#[test]
fn what_cannot_be_forked_is_named() -> Result<()> {
    let fails = |arguments: &[&str], expected: &str| -> Result<()> {
        let quick = ["--retries", "1", "--fork-retry-backoff", "1", "--timeout", "2000"];
        let error = Node::start(&[arguments, &quick].concat()).err().context("it started")?;
        let error = format!("{error:#}");
        ensure!(error.contains(expected), "{error}");
        ensure!(!error.lines().last().unwrap_or_default().contains("secret"), "{error}");
        Ok(())
    };
    let remote = Node::start(&[])?;
    let url = remote.url();
    let kinds = "only http, https, ws, wss and the path of a socket can be forked from";
    fails(&["-f", "ftp://127.0.0.1:1"], kinds)?;
    fails(&["-f", &url, "--fork-block-number", "9"], "has no block 9, its newest is 0")?;
    fails(&["-f", &url, "--fork-block-number=-3"], "3 blocks back from block 0")?;
    fails(&["-f", &url, "--number", "3"], "number can't be given with fork_url")?;
    fails(&["--fork-block-number", "3"], "fork_block_number needs a fork_url")?;
    let file = tempfile::NamedTempFile::new()?;
    let path = file.path().to_str().context("a path")?;
    fails(&["-f", &url, "--fork-cache-path", path], "remove the directory, or leave it alone")?;
    let start = Instant::now();
    let nobody = "http://user:secret@127.0.0.1:9/secret";
    fails(&["-f", nobody], "eth_chainId at http://127.0.0.1:9 failed after 2 attempts")?;
    ensure!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    Ok(())
}

/// Uniswap V2's pairs, made and traded on the remote by its own scripts, go on here.
#[tokio::test]
async fn uniswap_goes_on_after_the_fork() -> Result<()> {
    let remote = Node::start(&[])?;
    if npm::folder("a fork of Uniswap")?.is_none() {
        return Ok(());
    }
    npm::run_script("uniswap-v2.mjs", &[&remote.url()])?;
    let node = fork(&remote.url(), &[])?;
    let (mut ours, mut theirs) = (node.client()?, remote.client()?);
    let topic = keccak256("Sync(uint112,uint112)");
    let filter = json!([{"fromBlock": "earliest", "topics": [topic]}]);
    let syncs = ours.call("eth_getLogs", filter.clone())?;
    ensure!(syncs == theirs.call("eth_getLogs", filter)?, "{syncs}");
    let pair = syncs[0]["address"].clone();
    let call = |name: &str| {
        json!({"to": pair, "from": address(0).unwrap_or_default(),
            "data": alloy::primitives::hex::encode_prefixed(&keccak256(name)[..4])})
    };
    let reserves = json!([call("getReserves()"), "latest"]);
    ensure!(ours.call("eth_call", reserves.clone())? == theirs.call("eth_call", reserves)?);
    let hash = ours.call("eth_sendTransaction", json!([call("sync()")]))?;
    let receipt = ours.call("eth_getTransactionReceipt", json!([hash]))?;
    ensure!(receipt["status"] == "0x1" && receipt["logs"][0]["topics"][0] == json!(topic));
    npm::run_script("uniswap-v2.mjs", &[&node.url()])
}

#[tokio::test]
async fn a_fork_asks_over_web_and_unix_sockets_as_well() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("node.ipc");
    let path = path.to_str().context("path")?;
    let mut over = Vec::new();
    for remote in remotes().await? {
        over.push((remote.node.ws_url(), remote));
    }
    over.push((path.to_owned(), prepare(Node::start(&["--ipc", path])?).await?));
    for (url, remote) in over {
        let node = fork(&url, &["--timeout", "20000"])?;
        let ours = connect(&node)?;
        ensure!(ours.get_block_number().await? == remote.head, "{url}: the fork's head");
        ensure!(balance(&ours, remote.token, 0).await? == 700, "{url}: a balance of the remote");
        let token = Token::new(remote.token, &ours);
        let sent = token.transfer(address(2)?, U256::from(700)).send().await?;
        ensure!(sent.get_receipt().await?.status(), "{url}: a transfer here");
        ensure!(balance(&ours, remote.token, 2).await? == 700, "{url}");
        let mut client = node.client()?;
        let block = json!([format!("{:#x}", remote.head), true]);
        let mut theirs = remote.node.client()?;
        let wanted = theirs.call("eth_getBlockByNumber", block.clone())?;
        ensure!(client.call("eth_getBlockByNumber", block)?["hash"] == wanted["hash"], "{url}");
        let info = client.call("anvil_nodeInfo", json!([]))?;
        ensure!(info["forkConfig"]["forkUrl"] == url, "{info}");
        // What the other node refuses comes through.
        drop((theirs, remote));
        let gone = json!(["0x00000000000000000000000000000000000000aa", "latest"]);
        let refused = client.refused("eth_getBalance", gone)?;
        ensure!(refused.message.contains("4 attempts"), "{url}: {refused}");
    }
    Ok(())
}

/// A node that forks the one at `url`, and trusts the certificates in `roots`.
fn fork_trusting(url: &str, roots: Option<&str>) -> Result<Node> {
    let mut command = node::clean(Command::new(node::binary()?));
    command.args(["--port", "0", "--fork-url", url, "--retries", "0", "--timeout", "5000"]);
    if let Some(roots) = roots {
        command.env("SSL_CERT_FILE", roots);
    }
    Node::spawn(command)
}

#[test]
fn a_fork_asks_over_tls_whom_it_was_told_to_trust() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let (own, none) = (directory.path().join("own.pem"), directory.path().join("none.pem"));
    std::fs::write(&none, "nothing")?;
    let (own, none) = (own.to_str().context("path")?, none.to_str().context("path")?);
    let mut remotes = vec![Node::start(&[])?];
    if let Some(folder) = npm::folder("a fork of anvil over TLS")? {
        let mut anvil = Command::new(npm::foundry_path(folder, "anvil")?);
        anvil.args(["--port", "0"]);
        remotes.push(Node::spawn(anvil)?);
    }
    for remote in remotes {
        remote.client()?.call("anvil_setBalance", json!([address(11)?, "0x1234"]))?;
        remote.client()?.call("evm_mine", json!([]))?;
        let port = tls::start(remote.address(), own.as_ref())?.port();
        for scheme in ["https", "wss"] {
            let url = format!("{scheme}://localhost:{port}");
            let node = fork_trusting(&url, Some(own))?;
            let mut client = node.client()?;
            ensure!(client.call("eth_blockNumber", json!([]))? == "0x1", "{url}");
            let balance = client.call("eth_getBalance", json!([address(11)?, "latest"]))?;
            ensure!(balance == "0x1234", "{url}: {balance}");
            for (roots, wanted) in [
                (None, "UnknownIssuer".to_owned()),
                (Some(none), format!("SSL_CERT_FILE {none}: no certificates in it")),
                (Some("/nowhere"), "SSL_CERT_FILE /nowhere: ".to_owned()),
            ] {
                let error = fork_trusting(&url, roots).err().context("it started")?;
                ensure!(format!("{error:#}").contains(&wanted), "{url} {roots:?}: {error:#}");
            }
        }
    }
    Ok(())
}
