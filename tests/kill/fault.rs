//! The disk is full, or fails: the node says so, seals nothing more, loses nothing it has
//! acknowledged, answers what it can from what is there, and goes on after a restart.
//!
//! `strace` answers the node's system calls on its database's files with an error, from a random
//! call on; where the machine lets it, a small file system is filled up, too.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tandem_tests::{
    GenesisFile, Node, node,
    rpc::quantity,
    sign::{self, Request},
};

use crate::{
    load::{Ledger, Sealing},
    power, soak,
};

/// Transfers that have to fail at the latest.
const TRANSFERS_MAX: u64 = 4_000;
/// Bytes that go with a transfer.
const DATA: usize = 30_000;
const GAS: u64 = 1_500_000;

/// What goes wrong: calls, with an error, and what the node has to say.
pub(crate) struct Fault {
    pub(crate) calls: &'static str,
    pub(crate) error: &'static str,
    pub(crate) says: &'static str,
    pub(crate) durability: &'static str,
}

/// Lets calls fail from the `after`th on.
pub(crate) fn check(fault: &Fault, after: u32) -> Result<()> {
    if !power::has_strace()? {
        eprintln!("left out: {} with {} (needs strace)", fault.calls, fault.error);
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let genesis = GenesisFile::write(folder.path())?;
    let data = folder.path().join("data");
    crate::start(&genesis, &folder, Sealing::Auto, fault.durability)?.stop()?;
    let name = format!("{} with {}", fault.calls, fault.error);
    let command = injected(fault, after, &data)?;
    fail_and_go_on((&genesis, &data), (command, fault), "process").context(name)
}

fn injected(fault: &Fault, after: u32, data: &Path) -> Result<Command> {
    let mut command = Command::new("strace");
    let inject = format!("inject={}:error={}:when={after}+", fault.calls, fault.error);
    command.args(["-D", "-f", "-qq", "-o", "/dev/null", "-e", &inject, "-P"]);
    command.arg(data.join("mdbx.dat"));
    for name in ["journal0.dat", "journal1.dat"] {
        command.arg("-P").arg(data.join(name));
    }
    command.arg(node::binary()?);
    Ok(command)
}

/// Lets calls fail from the first one on, while the chain goes back to a savepoint.
pub(crate) fn check_revert(fault: &Fault) -> Result<()> {
    if !power::has_strace()? {
        eprintln!("left out: a revert with {} (needs strace)", fault.error);
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let genesis = GenesisFile::write(folder.path())?;
    let data = folder.path().join("data");
    let node = crate::start(&genesis, &folder, Sealing::Auto, fault.durability)?;
    let mut client = node.client()?;
    client.call("anvil_mine", json!(["0x5"]))?;
    let id = client.call("evm_snapshot", json!([]))?;
    client.call("anvil_mine", json!(["0x5"]))?;
    let head = client.call("eth_getBlockByNumber", json!(["latest", false]))?;
    node.stop()?;
    let mut command = injected(fault, 1, &data)?;
    command.args(["--port", "0", "--genesis", genesis.path()?, "--durability", fault.durability]);
    command.arg("--datadir").arg(&data);
    let node = Node::spawn(node::clean(command))?;
    let mut client = node.client()?;
    for (method, params) in [("evm_revert", json!([id])), ("evm_mine", json!([]))] {
        let error = client.refused(method, params)?;
        ensure!(error.message.contains(fault.says), "{method}: {error}");
    }
    let found = client.call("eth_getBlockByNumber", json!(["latest", false]))?;
    ensure!(found == head, "the head was {head}, is {found}");
    node.wait_for_output("the node takes no more work")?;
    node.kill()?;
    soak::verify(&data)?;
    let node = crate::start(&genesis, &folder, Sealing::Auto, fault.durability)?;
    let mut client = node.client()?;
    ensure!(client.call("eth_getBlockByNumber", json!(["latest", false]))? == head, "not {head}");
    ensure!(client.call("evm_revert", json!([id]))? == true, "the savepoint is gone");
    ensure!(quantity(&client.call("eth_blockNumber", json!([]))?)? == 5, "not back at block 5");
    node.stop()?;
    soak::verify(&data)
}

/// Fills a file system of a few megabytes.
pub(crate) fn check_full_disk() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let disk = folder.path().join("disk");
    fs::create_dir(&disk)?;
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(&disk);
    if !mount.output().is_ok_and(|output| output.status.success()) {
        eprintln!("left out: the full file system (nothing can be mounted here)");
        return Ok(());
    }
    let _unmount = Unmount(disk.clone());
    let genesis = GenesisFile::write(folder.path())?;
    // There was room for a part of the last write: the library says no more than that it failed.
    let says = "No space left on device: ";
    let fault = Fault { calls: "", error: "", says, durability: "process" };
    let command = Command::new(node::binary()?);
    let data = disk.join("data");
    fail_and_go_on((&genesis, &data), (command, &fault), "full")
}

struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn fail_and_go_on(
    (genesis, data): (&GenesisFile, &Path),
    (mut command, fault): (Command, &Fault),
    kind: &str,
) -> Result<()> {
    command.args(["--port", "0", "--genesis", genesis.path()?, "--durability", fault.durability]);
    command.arg("--datadir").arg(data);
    let node = Node::spawn(node::clean(command))?;
    let (told, head) = load_until_it_fails(&node, fault.says)?;
    let mut client = node.client()?;
    for (method, params) in [("evm_mine", json!([])), ("anvil_setBalance", json!([head, "0x1"]))] {
        let params =
            if method == "evm_mine" { params } else { json!([sign::account(9)?.address(), "0x1"]) };
        let error = client.refused(method, params)?;
        ensure!(error.message.contains(fault.says), "{method}: {error}");
    }
    // It seals no more, and answers from what it has.
    let block = client.call("eth_getBlockByNumber", json!(["latest", true]))?;
    ensure!(quantity(&block["number"])? == head, "the head was {head}, is {block}");
    told.check(&mut client)?;
    node.wait_for_output("the node takes no more work")?;
    node.kill()?;
    // As it is, the data is sound; with room to write, or on a disk that works, it goes on.
    soak::verify(data)?;
    let mut kept = data.to_owned();
    if kind == "full" {
        kept = data.with_file_name("../kept");
        copy(data, &kept)?;
    }
    let node = crate::start_in(genesis, &kept, Sealing::Auto, fault.durability)?;
    let mut client = node.client()?;
    told.check(&mut client)?;
    let raw =
        Request::transfer(head, sign::account(5)?.address(), alloy::primitives::U256::from(1));
    client.call("eth_sendRawTransaction", json!([raw.raw(&sign::account(0)?)?]))?;
    ensure!(quantity(&client.call("eth_blockNumber", json!([]))?)? == head + 1, "it stands still");
    node.stop()?;
    soak::verify(&kept)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Sends transfers one after the other; gives what was acknowledged, and how many.
fn load_until_it_fails(node: &Node, says: &str) -> Result<(Ledger, u64)> {
    let (mut client, mut told) = (node.client()?, Ledger::default());
    let signer = sign::account(0)?;
    for nonce in 0..TRANSFERS_MAX {
        let to = sign::account(5)?.address();
        let raw = Request::call(nonce, to, vec![1; DATA].into(), GAS).raw(&signer)?;
        let hash = match client.try_call("eth_sendRawTransaction", json!([raw]))? {
            Ok(hash) => hash,
            Err(error) => {
                ensure!(error.code == -32603 && error.message.contains(says), "{error}");
                eprintln!("{nonce} transfers, then {error}");
                return Ok((told, nonce));
            }
        };
        let receipt = client.call("eth_getTransactionReceipt", json!([hash]))?;
        let hash = hash.as_str().context("no hash")?.to_owned();
        told.receipts.insert(hash.clone(), receipt);
        told.hashes.insert(hash);
    }
    anyhow::bail!("nothing fails")
}
