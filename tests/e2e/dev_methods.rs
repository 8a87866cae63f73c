//! Dev methods that need real contracts, blobs or blocks: tokens, signatures, reorgs, flags.

use alloy::{
    consensus::{SidecarBuilder, SimpleCoder},
    eips::eip7594::BlobTransactionSidecarEip7594,
    network::{TransactionBuilder, TransactionBuilder4844},
    primitives::{Address, U256, hex},
    rpc::types::TransactionRequest,
    sol_types::SolValue,
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tandem_tests::{
    Client, Node,
    contracts::MACHINES,
    npm,
    rpc::quantity,
    sign::{self, Request},
};

use crate::support::{Token, address, connect, deploy, succeed};

const SOMEONE: Address = Address::repeat_byte(0x55);

#[tokio::test]
async fn tokens_of_both_machines_can_be_dealt() -> Result<()> {
    let node = Node::start(&[])?;
    let provider = connect(&node)?;
    let mut client = node.client()?;
    let owner = address(0)?;
    let arguments = ("Token", "TKN", U256::from(1_000), owner).abi_encode_params();
    for machine in MACHINES {
        let token = deploy(&provider, machine, "Token", &arguments).await?;
        let contract = Token::new(token, &provider);
        for (method, amount) in
            [("anvil_dealERC20", 77), ("hardhat_dealERC20", 5), ("anvil_setERC20Balance", 0)]
        {
            client.call(method, json!([SOMEONE, token, format!("{amount:#x}")]))?;
            let balance = contract.balanceOf(SOMEONE).call().await?;
            ensure!(balance == U256::from(amount), "{machine:?} {method}: {balance}");
        }
        ensure!(contract.balanceOf(owner).call().await? == U256::from(1_000), "{machine:?} owner");
        client.call("anvil_setERC20Allowance", json!([owner, SOMEONE, token, "0x9"]))?;
        let allowance = contract.allowance(owner, SOMEONE).call().await?;
        ensure!(allowance == U256::from(9), "{machine:?} allowance: {allowance}");
        // The token itself finds what was dealt.
        client.call("anvil_dealERC20", json!([owner, token, "0xffff"]))?;
        let call = contract.transfer(SOMEONE, U256::from(0xffff)).into_transaction_request();
        succeed(&provider, call).await?;
        ensure!(contract.balanceOf(SOMEONE).call().await? == U256::from(0xffff), "{machine:?}");
    }
    let error = client.refused("anvil_dealERC20", json!([SOMEONE, owner, "0x1"]))?;
    let wanted = (-32603, "Unable to set ERC20 balance, no slot found");
    ensure!((error.code, error.message.as_str()) == wanted, "{error}");
    let error = client.refused("anvil_setERC20Allowance", json!([owner, owner, owner, "0x1"]))?;
    ensure!(error.message == "Unable to set ERC20 allowance, no slot found", "{error}");
    Ok(())
}

#[test]
fn a_signature_can_be_anybodys() -> Result<()> {
    let node = Node::start(&[])?;
    let mut client = node.client()?;
    let (r, s) = ("11".repeat(32), "22".repeat(32));
    let signature = format!("0x{r}{s}1b");
    let input = format!("0x{}{:064x}{r}{s}", "99".repeat(32), 27);
    let call = json!([{"to": Address::with_last_byte(1), "data": input}, "latest"]);
    ensure!(client.call("eth_call", call.clone())? != json!(SOMEONE.into_word()), "before");
    client.call("anvil_impersonateSignature", json!([signature, SOMEONE]))?;
    ensure!(client.call("eth_call", call.clone())? == json!(SOMEONE.into_word()), "after");
    let gas = client.call("eth_estimateGas", json!([call[0]]))?;
    ensure!(quantity(&gas)? > 24_000, "{gas}: the precompile has its price");
    let error = client.refused("anvil_impersonateSignature", json!(["0x1234", SOMEONE]))?;
    ensure!(error.message.contains("2 bytes, not 65"), "{error}");
    Ok(())
}

/// The transactions of the block with this number.
fn transactions(client: &mut Client, number: u64) -> Result<Value> {
    let block = client.call("eth_getBlockByNumber", json!([format!("{number:#x}"), false]))?;
    Ok(block["transactions"].clone())
}

#[test]
fn a_reorg_puts_other_blocks_in_place() -> Result<()> {
    let node = Node::start(&[])?;
    let mut client = node.client()?;
    let alice = sign::account(0)?;
    let send = |nonce| Request::transfer(nonce, SOMEONE, U256::from(1)).raw(&alice);
    let mut gone = Vec::new();
    for nonce in 0..3 {
        gone.push(client.call("eth_sendRawTransaction", json!([send(nonce)?]))?);
    }
    let old = client.call("eth_getBlockByNumber", json!(["0x2", false]))?["hash"].take();
    let unsigned = json!({"from": alice.address(), "to": SOMEONE, "value": "0x10"});
    let other = json!({"from": address(1)?, "to": SOMEONE, "value": "0x100"});
    let raw = Request::transfer(1, SOMEONE, U256::from(0x1000)).raw(&alice)?;
    let pairs = json!([[unsigned, 1], [other, 0], [raw, 0]]);
    client.call("anvil_reorg", json!([2, pairs]))?;
    ensure!(client.call("eth_blockNumber", json!([]))? == "0x3", "the height stays");
    let (second, third) = (transactions(&mut client, 2)?, transactions(&mut client, 3)?);
    ensure!(second.as_array().map(Vec::len) == Some(2), "{second}");
    ensure!(third.as_array().map(Vec::len) == Some(1), "{third}");
    let new = client.call("eth_getBlockByNumber", json!(["0x2", false]))?["hash"].take();
    ensure!(new != old, "block 2 is the old one");
    let balance = client.call("eth_getBalance", json!([SOMEONE, "latest"]))?;
    ensure!(balance == "0x1111", "{balance}");
    ensure!(client.call("eth_getTransactionReceipt", json!([gone[2]]))?.is_null(), "it is gone");
    client.call("anvil_reorg", json!([1, []]))?;
    ensure!(transactions(&mut client, 3)? == json!([]), "an empty block");

    let (unsigned, height) = (json!({"to": SOMEONE}), "current height 3, depth 4");
    for (method, params, wanted) in [
        (
            "anvil_reorg",
            json!([4, []]),
            format!("Reorg depth must not exceed current chain height: {height}"),
        ),
        (
            "anvil_rollback",
            json!([4]),
            format!("Rollback depth must not exceed current chain height: {height}"),
        ),
        (
            "anvil_reorg",
            json!([2, [[unsigned, 2]]]),
            "Block number for reorg tx will exceed the reorged chain height. Block number 2 must \
             not exceed (depth-1) 1"
                .to_owned(),
        ),
    ] {
        let error = client.refused(method, params)?;
        ensure!((error.code, &error.message) == (-32602, &wanted), "{error}");
    }
    let error = client.refused("debug_setHead", json!(["0x4"]))?;
    ensure!(error.message.starts_with("not allowed to rewind to a future block"), "{error}");
    client.call("debug_setHead", json!(["0x1"]))?;
    ensure!(client.call("eth_blockNumber", json!([]))? == "0x1", "set back");
    Ok(())
}

#[test]
fn the_chain_id_and_the_accounts_can_change() -> Result<()> {
    let node = Node::start(&[])?;
    let mut client = node.client()?;
    let alice = sign::account(0)?;
    let raw = Request::transfer(0, SOMEONE, U256::from(1)).raw(&alice)?;
    let hash = client.call("eth_sendRawTransaction", json!([raw]))?;
    client.call("anvil_setChainId", json!([5]))?;
    ensure!(client.call("eth_chainId", json!([]))? == "0x5", "chain id");
    ensure!(client.call("net_version", json!([]))? == "5", "network id");
    let config = client.call("eth_config", json!([]))?;
    ensure!(config["current"]["chainId"] == "0x5", "{config}");
    // CHAINID PUSH0 MSTORE PUSH1 32 PUSH0 RETURN
    client.call("anvil_setCode", json!([SOMEONE, "0x465f5260205ff3"]))?;
    let seen = client.call("eth_call", json!([{"to": SOMEONE}, "latest"]))?;
    ensure!(seen == format!("{:#066x}", 5), "{seen}");
    let blocks = json!([{"blockStateCalls": [{"calls": [{"to": SOMEONE}]}]}]);
    let simulated = client.call("eth_simulateV1", blocks)?;
    ensure!(simulated[0]["calls"][0]["returnData"] == seen, "{simulated}");
    let raw = Request::transfer(1, SOMEONE, U256::from(1)).raw(&alice)?;
    let error = client.refused("eth_sendRawTransaction", json!([raw]))?;
    ensure!(error.message == "invalid chain id for signer: have 31337 want 5", "{error}");
    client.call("debug_traceTransaction", json!([hash]))?;
    let request = json!([{"from": alice.address(), "to": SOMEONE, "value": "0x1"}]);
    client.call("eth_sendTransaction", request.clone())?;

    ensure!(client.call("evm_addAccount", json!([SOMEONE, "secret"]))? == true, "added");
    ensure!(client.call("evm_addAccount", json!([SOMEONE, "secret"]))? == false, "added again");
    ensure!(client.call("evm_addAccount", json!([alice.address(), ""]))? == false, "a dev account");
    let accounts = client.call("eth_accounts", json!([]))?;
    ensure!(accounts[10] == json!(SOMEONE), "{accounts}");
    ensure!(client.call("evm_removeAccount", json!([alice.address(), ""]))? == true, "removed");
    ensure!(client.call("evm_removeAccount", json!([alice.address(), ""]))? == false, "again");
    let error = client.refused("eth_sendTransaction", request.clone())?;
    ensure!(error.message.contains("unknown account"), "{error}");
    ensure!(client.call("eth_accounts", json!([]))?[0] != json!(alice.address()), "listed");
    ensure!(client.call("evm_addAccount", json!([alice.address(), ""]))? == true, "back");
    client.call("eth_sendTransaction", request)?;
    let before = client.call("anvil_getLastBlockWallTime", json!([]))?;
    ensure!(before.as_u64().is_some_and(|time| time > 1_700_000_000), "{before}");
    client.call("dev_setFeeRecipient", json!([SOMEONE]))?;
    client.call("evm_mine", json!([]))?;
    let miner = client.call("eth_getBlockByNumber", json!(["latest", false]))?["miner"].take();
    ensure!(miner == json!(SOMEONE), "{miner}");
    Ok(())
}

#[test]
fn withdrawals_wait_for_a_block_and_are_paid() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let data = data.to_str().context("no UTF-8")?;
    let node = Node::start(&["--no-mining", "--datadir", data])?;
    let mut client = node.client()?;
    let withdrawal = |index: u64| json!({"index": format!("{index:#x}"), "validatorIndex": "0x7", "address": SOMEONE, "amount": "0x2"});
    for index in 0..17 {
        client.call("dev_addWithdrawal", json!([withdrawal(index)]))?;
    }
    let pending = client.call("eth_getBalance", json!([SOMEONE, "pending"]))?;
    ensure!(quantity(&pending)? == 32_000_000_000, "{pending}");
    node.kill()?;
    let node = Node::start(&["--no-mining", "--datadir", data])?;
    let mut client = node.client()?;
    for (paid, balance) in [(16, 32_000_000_000), (1, 34_000_000_000), (0, 34_000_000_000)] {
        client.call("evm_mine", json!([]))?;
        let block = client.call("eth_getBlockByNumber", json!(["latest", false]))?;
        ensure!(block["withdrawals"].as_array().map(Vec::len) == Some(paid), "{block}");
        let found = client.call("eth_getBalance", json!([SOMEONE, "latest"]))?;
        ensure!(quantity(&found)? == balance, "{found}");
    }
    client.call("evm_setAutomine", json!([true]))?;
    client.call("dev_addWithdrawal", json!([withdrawal(17)]))?;
    let block = client.call("eth_getBlockByNumber", json!(["latest", false]))?;
    ensure!(block["withdrawals"][0] == withdrawal(17), "{block}");
    Ok(())
}

/// A body of the beacon chain's interface.
async fn beacon(node: &Node, path: &str) -> Result<(u16, Value)> {
    let address = node.address();
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(address)?;
        write!(
            stream,
            "GET /eth/v1/beacon/{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let status = text.split(' ').nth(1).context("no status")?.parse()?;
        let body = text.split_once("\r\n\r\n").context("no body")?.1;
        Ok((status, serde_json::from_str(body).with_context(|| text.clone())?))
    })
    .await?
}

#[tokio::test]
async fn blobs_are_found_by_all_their_names() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let data = data.to_str().context("no UTF-8")?;
    let node = Node::start(&["--datadir", data])?;
    let provider = connect(&node)?;
    let mut client = node.client()?;
    let sidecar = SidecarBuilder::<SimpleCoder>::from_slice(b"a blob")
        .build::<BlobTransactionSidecarEip7594>()?;
    let blob = format!("0x{}", alloy::primitives::hex::encode(sidecar.blobs[0]));
    let blob_hash = sidecar.versioned_hashes().next().context("no hash")?;
    let mut request = TransactionRequest::default().with_to(SOMEONE);
    request.set_blob_sidecar(sidecar.into());
    request.set_max_fee_per_blob_gas(1_000_000_000);
    let hash = succeed(&provider, request).await?.transaction_hash;
    let mut node = node;
    for restarted in [false, true] {
        if restarted {
            node.kill()?;
            node = Node::start(&["--datadir", data])?;
            client = node.client()?;
        }
        ensure!(client.call("anvil_getBlobByHash", json!([blob_hash]))? == blob, "by hash");
        let found = client.call("anvil_getBlobsByTransactionHash", json!([hash]))?;
        ensure!(found == json!([blob]), "by transaction");
        for id in ["1", "0x1", "head", "latest"] {
            let (status, body) = beacon(&node, &format!("blobs/{id}")).await?;
            ensure!(status == 200 && body["data"] == json!([blob]), "{id}: {status}");
        }
    }
    let other = format!("blobs/1?versioned_hashes={}", Address::repeat_byte(1).into_word());
    ensure!(beacon(&node, &other).await?.1["data"] == json!([]), "another hash");
    ensure!(beacon(&node, "blobs/0").await?.1["data"] == json!([]), "a block without blobs");
    let missing = (404, json!({"code": 404, "message": "Block not found"}));
    ensure!(beacon(&node, "blobs/99").await? == missing, "no such block");
    let wrong = (400, json!({"code": 400, "message": "Invalid block ID: foo"}));
    ensure!(beacon(&node, "blobs/foo").await? == wrong, "no block id");
    ensure!(beacon(&node, "blob_sidecars/head").await?.0 == 410, "sidecars");
    let time = client.call("anvil_getGenesisTime", json!([]))?;
    let (_, genesis) = beacon(&node, "genesis").await?;
    let time = time.to_string();
    ensure!(genesis["data"]["genesis_time"] == time.as_str(), "{genesis}");
    let nothing = client.call("anvil_getBlobByHash", json!([SOMEONE.into_word()]))?;
    ensure!(nothing.is_null(), "{nothing}");
    client.call("anvil_rollback", json!([1]))?;
    ensure!(client.call("anvil_getBlobByHash", json!([blob_hash]))?.is_null(), "rolled back");
    Ok(())
}

#[test]
fn flags_of_anvil_do_what_they_say() -> Result<()> {
    let node = Node::start(&[
        "--print-traces",
        "--memory-limit",
        "65536",
        "--disable-pool-balance-checks",
        "--host",
        "127.0.0.1,127.0.0.2",
        "--prune-history",
        "--max-persisted-states",
        "3",
    ])?;
    let mut client = Client::connect(([127, 0, 0, 2], node.address().port()).into())?;
    // PUSH1 1 PUSH3 0x010000 MSTORE: 65,568 bytes of memory.
    client.call("anvil_setCode", json!([SOMEONE, "0x60016201000052"]))?;
    let error = client.refused("eth_call", json!([{"to": SOMEONE}, "latest"]))?;
    ensure!(error.message.contains("out of gas"), "{error}");
    client.call("anvil_setCode", json!([SOMEONE, "0x600160ff52"]))?;
    client.call("anvil_impersonateAccount", json!([Address::repeat_byte(0xaa)]))?;
    let request = json!([{"from": Address::repeat_byte(0xaa), "to": SOMEONE, "value": "0x1",
        "gas": "0x100000"}]);
    let hash = client.call("eth_sendTransaction", request)?;
    let receipt = client.call("eth_getTransactionReceipt", json!([hash]))?;
    ensure!(receipt["status"] == "0x1", "{receipt}");
    let traced = node.wait_for_output("0x5555555555555555555555555555555555555555::")?;
    ensure!(traced.contains('['), "{traced}");
    Ok(())
}

/// A contract that returns what is in slot 1.
const READER: &str = "0x60015460005260206000f3";

/// What a node has at `SOMEONE`, and of its first transaction.
fn facts(client: &mut Client, hash: &Value) -> Result<Value> {
    let slot = json!([SOMEONE, "0x1", "latest"]);
    let block = client.call("eth_getBlockByNumber", json!(["0x1", false]))?;
    let receipt = client.call("eth_getTransactionReceipt", json!([hash]))?;
    Ok(json!({
        "number": client.call("eth_blockNumber", json!([]))?,
        "balance": client.call("eth_getBalance", json!([SOMEONE, "latest"]))?,
        "code": client.call("eth_getCode", json!([SOMEONE, "latest"]))?,
        "slot": client.call("eth_getStorageAt", slot)?,
        "call": client.call("eth_call", json!([{"to": SOMEONE}, "latest"]))?,
        "hash": block["hash"],
        "transactions": block["transactions"],
        "receipt": [receipt["blockHash"], receipt["status"], receipt["gasUsed"], receipt["from"]],
    }))
}

/// Gives `SOMEONE` something of everything; the hash of the transaction that does.
fn furnish(client: &mut Client) -> Result<Value> {
    let request = json!([{"from": address(0)?, "to": SOMEONE, "value": "0x7"}]);
    let hash = client.call("eth_sendTransaction", request)?;
    client.call("anvil_setCode", json!([SOMEONE, READER]))?;
    let (slot, value) = (format!("{:#066x}", 1), format!("{:#066x}", 9));
    client.call("anvil_setStorageAt", json!([SOMEONE, slot, value]))?;
    Ok(hash)
}

#[test]
fn dumps_go_to_anvil_and_come_back() -> Result<()> {
    let Some(folder) = npm::folder("dumps and anvil")? else { return Ok(()) };
    let anvil = |arguments: &[&str]| {
        let mut command = std::process::Command::new(npm::foundry_path(folder, "anvil")?);
        command.args(["--port", "0"]).args(arguments);
        Node::spawn(command)
    };
    let files = tempfile::tempdir()?;
    let file = files.path().join("state.json");
    let file = file.to_str().context("no UTF-8")?;
    let ours = Node::start(&["--dump-state", file])?;
    let mut client = ours.client()?;
    let hash = furnish(&mut client)?;
    let expected = facts(&mut client, &hash)?;
    let dump = client.call("anvil_dumpState", json!([]))?;
    ensure!(dump.as_str().is_some_and(|text| text.starts_with("0x1f8b")), "not packed");
    ours.stop()?;
    let theirs = anvil(&[])?;
    let mut client = theirs.client()?;
    ensure!(client.call("anvil_loadState", json!([dump]))? == true, "anvil takes no dump");
    let found = facts(&mut client, &hash)?;
    ensure!(found == expected, "by RPC: anvil has {found}, not {expected}");
    let found = facts(&mut anvil(&["--load-state", file])?.client()?, &hash)?;
    ensure!(found == expected, "by file: anvil has {found}, not {expected}");

    let theirs = anvil(&[])?;
    let mut client = theirs.client()?;
    let hash = furnish(&mut client)?;
    let expected = facts(&mut client, &hash)?;
    let dump = client.call("anvil_dumpState", json!([]))?;
    let ours = Node::start(&[])?;
    let mut client = ours.client()?;
    ensure!(client.call("anvil_loadState", json!([dump]))? == true, "no dump taken");
    let slot = client.call("eth_call", json!([{"to": SOMEONE}, "latest"]))?;
    ensure!(slot == expected["call"], "{slot}");
    let balance = client.call("eth_getBalance", json!([SOMEONE, "latest"]))?;
    ensure!(balance == expected["balance"], "{balance}");
    Ok(())
}

/// A chain that begins with a file of anvil's or of our own has its height, time and fees.
#[test]
fn a_chain_goes_on_at_the_height_of_its_file() -> Result<()> {
    let Some(folder) = npm::folder("a file of anvil's")? else { return Ok(()) };
    let files = tempfile::tempdir()?;
    let file = files.path().join("state.json");
    let path = file.to_str().context("no UTF-8")?;
    let mut command = std::process::Command::new(npm::foundry_path(folder, "anvil")?);
    command.args(["--port", "0", "--timestamp", "1000000", "--gas-limit", "25000000"]);
    let theirs = Node::spawn(command)?;
    let mut client = theirs.client()?;
    furnish(&mut client)?;
    client.call("anvil_mine", json!(["0x8", "0xa"]))?;
    let newest = client.call("eth_getBlockByNumber", json!(["latest", false]))?;
    let dump = client.call("anvil_dumpState", json!([]))?;
    let dump = dump.as_str().and_then(|text| hex::decode(text).ok()).context("no dump")?;
    std::fs::write(&file, dump)?;
    ensure!(newest["number"] == "0x9", "{newest}");
    // Twice: out of anvil's file, then out of the one that this writes.
    let mut before = newest;
    for round in 0..2 {
        let ours = Node::start(&["--state", path])?;
        let mut client = ours.client()?;
        let first = client.call("eth_getBlockByNumber", json!(["latest", false]))?;
        for field in ["number", "timestamp", "baseFeePerGas", "gasLimit"] {
            ensure!(first[field] == before[field], "{round}: {field} of {first}, not {before}");
        }
        let code = client.call("eth_getCode", json!([SOMEONE, "latest"]))?;
        ensure!(code == READER, "{round}: {code}");
        let request = json!([{"from": address(0)?, "to": SOMEONE, "value": "0x7"}]);
        let hash = client.call("eth_sendTransaction", request)?;
        let receipt = client.call("eth_getTransactionReceipt", json!([hash]))?;
        before = client.call("eth_getBlockByNumber", json!(["latest", false]))?;
        ensure!(receipt["blockNumber"] == before["number"], "{receipt}");
        ensure!(before["parentHash"] == first["hash"], "{before} on {first}");
        ours.stop()?;
    }
    ensure!(before["number"] == "0xb", "{before}");
    Ok(())
}
