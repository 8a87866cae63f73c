//! `tandem db`: a database looked at, checked, copied and moved, beside a running node and after it.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use alloy::primitives::U256;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tandem_tests::{
    Client, GenesisFile, Node, node,
    rpc::quantity,
    sign::{self, Request},
    stateless,
};

/// Wei.
const ETHER: u64 = 1_000_000_000_000_000_000;
const SOMEONE: &str = "0x0000000000000000000000000000000000005555";

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no UTF-8")
}

fn db(datadir: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(node::binary()?);
    command.arg("db").args(arguments).arg("--datadir").arg(datadir);
    Ok(node::clean(command).output()?)
}

/// Runs a command that has to succeed, and gives what it prints.
fn done(datadir: &Path, arguments: &[&str]) -> Result<String> {
    let output = db(datadir, arguments)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "db {arguments:?}: {}, {errors}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs a command that has to fail, and gives the reason that it prints.
fn refused(datadir: &Path, arguments: &[&str]) -> Result<String> {
    let output = db(datadir, arguments)?;
    ensure!(output.status.code() == Some(1), "db {arguments:?}: {}", output.status);
    Ok(String::from_utf8(output.stderr)?)
}

/// Adds blocks with transfers, edits and an impersonated sender to a chain; gives its head's hash.
fn add_blocks(node: &Node) -> Result<Value> {
    let mut client = node.client()?;
    let signer = sign::account(0)?;
    let nonce =
        quantity(&client.call("eth_getTransactionCount", json!([signer.address(), "latest"]))?)?;
    for nonce in nonce..nonce + 5 {
        let to = SOMEONE.parse()?;
        let raw = Request::transfer(nonce, to, U256::from(ETHER)).raw(&signer)?;
        client.call("eth_sendRawTransaction", json!([raw]))?;
        client
            .call("anvil_setStorageAt", json!([SOMEONE, "0x1", format!("{:#066x}", nonce + 1)]))?;
    }
    client.call("anvil_impersonateAccount", json!([SOMEONE]))?;
    let gift = json!({"from": SOMEONE, "to": signer.address(), "value": "0x1"});
    client.call("eth_sendTransaction", json!([gift]))?;
    client.call("anvil_mine", json!(["0x20"]))?;
    let head = client.call("eth_getBlockByNumber", json!(["latest", false]))?;
    Ok(head["hash"].clone())
}

#[test]
fn a_running_node_is_looked_at_checked_and_copied() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let genesis = GenesisFile::write(folder.path())?;
    let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
    let node = Node::start(&["--genesis", genesis.path()?, "--datadir", path(&data)?])?;
    let hash = add_blocks(&node)?;
    let stats: Value = serde_json::from_str(&done(&data, &["stats", "--json"])?)?;
    ensure!(stats["head"]["hash"] == hash && stats["durability"] == "process", "{stats}");
    let table = |name: &str| {
        let tables = stats["tables"].as_array().into_iter().flatten();
        tables.clone().find(|table| table["name"] == name).cloned().unwrap_or_default()
    };
    ensure!(table("headers")["rows"] == 39 && table("transactions")["rows"] == 6, "{stats}");
    ensure!(done(&data, &["stats"])?.contains("schema: "), "stats as text");
    ensure!(done(&data, &["verify"])?.ends_with("sound\n"), "verify");
    done(&data, &["snapshot", path(&copy)?])?;
    let text = refused(&data, &["snapshot", path(&copy)?])?;
    ensure!(text.contains("is not empty"), "{text}");
    // The node has gone on meanwhile; the copy has not.
    let later = add_blocks(&node)?;
    ensure!(later != hash, "the chain stands still");
    node.stop()?;
    ensure!(done(&copy, &["verify"])?.ends_with("sound\n"), "verify of the copy");
    let restored = folder.path().join("restored");
    done(&restored, &["restore", path(&copy)?, "--genesis", genesis.path()?])?;
    let text = refused(&restored, &["restore", path(&copy)?])?;
    ensure!(text.contains("is not empty"), "{text}");
    let node = Node::start(&["--datadir", path(&restored)?])?;
    let mut client = node.client()?;
    let head = client.call("eth_getBlockByNumber", json!(["latest", false]))?;
    ensure!(head["hash"] == hash, "{head}");
    let old = client.call("eth_getBalance", json!([SOMEONE, "0x2"]))?;
    ensure!(old == format!("{:#x}", 2 * ETHER), "{old}");
    add_blocks(&node)?;
    node.stop()?;
    ensure!(done(&restored, &["verify"])?.ends_with("sound\n"), "verify of the restored chain");
    Ok(())
}

#[test]
fn a_state_goes_through_files_into_another_chain() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let genesis = GenesisFile::write(folder.path())?;
    let [data, files, again, more] =
        ["data", "files", "again", "more"].map(|name| folder.path().join(name));
    let node = Node::start(&["--genesis", genesis.path()?, "--datadir", path(&data)?])?;
    add_blocks(&node)?;
    let root = node.client()?.call("eth_getBlockByNumber", json!(["latest", false]))?;
    node.client()?.call("anvil_setBalance", json!([SOMEONE, "0x1"]))?;
    let text = refused(&data, &["export", path(&files)?])?;
    ensure!(text.contains("1 changes were made since block 38"), "{text}");
    node.client()?.call("evm_mine", json!([]))?;
    done(&data, &["export", path(&files)?])?;
    node.stop()?;
    let text = done(&again, &["import", path(&files)?])?;
    ensure!(text.starts_with("block 39, 0x"), "{text}");
    let node = Node::start(&["--datadir", path(&again)?])?;
    let mut client = node.client()?;
    ensure!(client.call("eth_getBalance", json!([SOMEONE, "latest"]))? == "0x1", "balance");
    let slot = client.call("eth_getStorageAt", json!([SOMEONE, "0x1", "latest"]))?;
    ensure!(slot == format!("{:#066x}", 5), "{slot}");
    let head = client.call("eth_getBlockByNumber", json!(["latest", false]))?;
    ensure!(head["number"] == "0x27" && head["stateRoot"] != root["stateRoot"], "{head}");
    add_blocks(&node)?;
    node.stop()?;
    ensure!(done(&again, &["verify"])?.ends_with("sound\n"), "verify");
    // A state of which one byte was changed is refused, and nothing is left of the try.
    let snapshot = files.join("snapshot.pbt");
    let mut bytes = fs::read(&snapshot)?;
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    fs::write(&snapshot, bytes)?;
    let text = refused(&more, &["import", path(&files)?])?;
    ensure!(text.contains("the root of the snapshot is 0x"), "{text}");
    ensure!(!more.exists(), "{} was made", more.display());
    Ok(())
}

#[test]
fn what_is_no_database_of_the_chain_is_refused_with_a_reason() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let genesis = GenesisFile::write(folder.path())?;
    let [data, copy, to] = ["data", "copy", "to"].map(|name| folder.path().join(name));
    let text = refused(&data, &["verify"])?;
    ensure!(text.contains("holds no database of a node"), "{text}");
    let node = Node::start(&["--genesis", genesis.path()?, "--datadir", path(&data)?])?;
    add_blocks(&node)?;
    node.stop()?;
    done(&data, &["snapshot", path(&copy)?])?;
    let other = folder.path().join("other.json");
    fs::write(&other, fs::read_to_string(genesis.path()?)?.replacen("0x1c9c380", "0x1c9c381", 1))?;
    let text = refused(&to, &["restore", path(&copy)?, "--genesis", path(&other)?])?;
    ensure!(text.contains("the snapshot begins with block 0x"), "{text}");
    let file = copy.join("mdbx.dat");
    let whole = fs::read(&file)?;
    fs::write(&file, &whole[..8 * 4096])?;
    let text = refused(&to, &["restore", path(&copy)?])?;
    ensure!(text.contains("cut off") || text.contains("damaged"), "{text}");
    fs::write(&file, &whole)?;
    fs::remove_file(copy.join("genesis.json"))?;
    let text = refused(&to, &["restore", path(&copy)?])?;
    ensure!(text.contains("it is no data directory of a node"), "{text}");
    ensure!(!to.exists(), "{} was made", to.display());
    Ok(())
}

#[test]
fn pruned_state_is_refused_everywhere_and_says_so() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let genesis = GenesisFile::write(folder.path())?;
    let data = folder.path().join("data");
    let start = |prune: &str| {
        let genesis = genesis.path()?;
        let flags = ["--genesis", genesis, "--datadir", path(&data)?, "--prune", prune];
        let mut command = Command::new(node::binary()?);
        command.args(["--port", "0"]).args(flags);
        Node::spawn(node::clean(command))
    };
    let node = start("8")?;
    let mut client = node.client()?;
    let mark = client.call("evm_snapshot", json!([]))?;
    add_blocks(&node)?;
    let block = client.call("eth_getBlockByNumber", json!(["0x2", false]))?;
    let hash = block["transactions"][0].clone();
    let reads = [
        ("eth_getBalance", json!([SOMEONE, "0x2"])),
        ("eth_getTransactionCount", json!([SOMEONE, "0x2"])),
        ("eth_getCode", json!([SOMEONE, "0x2"])),
        ("eth_getStorageAt", json!([SOMEONE, "0x1", "0x2"])),
        ("eth_getProof", json!([SOMEONE, [], "0x2"])),
        ("eth_call", json!([{"to": SOMEONE}, "0x2"])),
        ("eth_estimateGas", json!([{"to": SOMEONE}, "0x2"])),
        ("eth_createAccessList", json!([{"to": SOMEONE}, "0x2"])),
        ("debug_traceTransaction", json!([hash])),
        ("debug_traceBlockByNumber", json!(["0x2"])),
        ("debug_traceCall", json!([{"to": SOMEONE}, "0x2"])),
        ("debug_executionWitness", json!(["0x2"])),
        ("trace_block", json!(["0x2"])),
        ("trace_transaction", json!([hash])),
        ("anvil_rollback", json!([36])),
        ("debug_setHead", json!(["0x2"])),
        ("evm_revert", json!([mark])),
    ];
    for (method, params) in &reads {
        let error = client.refused(method, params.clone())?;
        let says = error.message.contains("those of blocks 30 to 38");
        ensure!(error.code == -32000 && says, "{method}: {error}");
    }
    let receipt = client.call("eth_getTransactionReceipt", json!([hash]))?;
    ensure!(receipt["blockNumber"] == "0x2", "{receipt}");
    let oldest = client.call("eth_capabilities", json!([]))?;
    ensure!(oldest["state"]["oldestBlock"] == "0x1e", "{oldest}");
    ensure!(oldest["blocks"]["oldestBlock"] == "0x0", "{oldest}");
    find_states(&mut client)?;
    ensure!(client.call("eth_getBalance", json!([SOMEONE, "0x1e"]))? != "0x0", "the oldest kept");
    client.call("anvil_rollback", json!([3]))?;
    ensure!(done(&data, &["verify"])?.contains("history: blocks 30 to 35"), "verify");
    node.stop()?;
    // A smaller number lets go of more at once, a larger one brings nothing back.
    for (prune, from) in [("2", 33), ("100", 33)] {
        let node = start(prune)?;
        let mut client = node.client()?;
        let error = loop {
            let error = client.refused("eth_getBalance", json!([SOMEONE, "0x1d"]))?;
            // It happens beside everything else.
            if error.message.contains(&format!("blocks {from} to 35")) {
                break error;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        };
        ensure!(error.message.starts_with("state of block 29 is not available"), "{error}");
        ensure!(done(&data, &["verify"])?.contains(&format!("blocks {from} to 35")), "verify");
        node.stop()?;
    }
    reset_pruned(&start("2")?, &data)
}

/// The first state of a range, where those of blocks 30 to 38 are kept.
fn find_states(client: &mut Client) -> Result<()> {
    for (from, to, first) in [("0x0", "0x26", 30), ("0x21", "0x0", 33), ("0x1e", "0x0", 30)] {
        let found = client.call("debug_getAccessibleState", json!([from, to]))?;
        ensure!(found == first, "from {from} to {to}: {found}");
    }
    for (from, to) in [("0x0", "0x1e"), ("0x2", "0x0")] {
        let error = client.refused("debug_getAccessibleState", json!([from, to]))?;
        ensure!(error.message == "no state found", "from {from} to {to}: {error}");
    }
    Ok(())
}

/// The beginning can be made anew whatever was let go of.
fn reset_pruned(node: &Node, data: &Path) -> Result<()> {
    let mut client = node.client()?;
    let first = client.call("eth_getBlockByNumber", json!(["0x0", false]))?;
    client.call("anvil_addBalance", json!([SOMEONE, "0x1"]))?;
    client.call("anvil_reset", json!([]))?;
    let head = client.call("eth_getBlockByNumber", json!(["latest", false]))?;
    ensure!(head == first, "not the first block {first}, but {head}");
    ensure!(client.call("eth_getBalance", json!([SOMEONE, "latest"]))? == "0x0", "a balance");
    ensure!(client.call("evm_snapshot", json!([]))? == "0x1", "an id that was given before");
    add_blocks(node)?;
    ensure!(done(data, &["verify"])?.contains("history: blocks 36 to 38"), "verify");
    Ok(())
}

/// As in anvil: after going back, the balance that was set after the block counts.
#[test]
fn what_was_set_after_a_block_stays_when_it_becomes_the_head() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let mut node = Node::start(&["--datadir", path(&data)?])?;
    let mut client = node.client()?;
    client.call("anvil_mine", json!(["0x1"]))?;
    for balance in ["0x5", "0x6", "0x7"] {
        client.call("anvil_setBalance", json!([SOMEONE, "0x1"]))?;
        client.call("anvil_setBalance", json!([SOMEONE, balance]))?;
        client.call("anvil_mine", json!(["0x1"]))?;
    }
    client.call("anvil_setBalance", json!([SOMEONE, "0x8"]))?;
    for (method, params, height, balance) in [
        ("anvil_rollback", json!([0]), "0x4", "0x8"),
        ("anvil_rollback", json!([1]), "0x3", "0x7"),
        ("debug_setHead", json!(["0x2"]), "0x2", "0x6"),
        ("anvil_reorg", json!([1, []]), "0x2", "0x5"),
    ] {
        client.call(method, params)?;
        for start in 0..2 {
            let found = client.call("eth_blockNumber", json!([]))?;
            ensure!(found == height, "{method}, start {start}: block {found}, not {height}");
            let found = client.call("eth_getBalance", json!([SOMEONE, "latest"]))?;
            ensure!(found == balance, "{method}, start {start}: {found}, not {balance}");
            if start == 0 {
                node.kill()?;
                ensure!(done(&data, &["verify"])?.ends_with("sound\n"), "verify");
                node = Node::start(&["--datadir", path(&data)?])?;
                client = node.client()?;
            }
        }
    }
    for (block, wanted) in [("0x0", "0x0"), ("0x1", "0x5"), ("0x2", "0x5")] {
        let found = client.call("eth_getBalance", json!([SOMEONE, block]))?;
        ensure!(found == wanted, "at block {block}: {found}");
    }
    stateless::check(&mut client)?;
    client.call("anvil_reset", json!([]))?;
    let begun = client.call("eth_getBalance", json!([SOMEONE, "latest"]))?;
    ensure!(begun == "0x0", "{begun}");
    node.stop()
}
