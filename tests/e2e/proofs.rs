//! Proofs: verified by the example from a block's hash, and by `tandem proof verify`.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result, ensure};
use genesis::TreeHash;
use serde_json::{Value, json};
use tandem_tests::{GenesisFile, Node, node, npm, stateless};

use crate::support::address;

#[test]
fn an_example_verifies_from_the_block_hash() -> Result<()> {
    let node = Node::start(&[])?;
    npm::run_script("proof.mjs", &[&node.url()])
}

#[test]
fn every_hash_of_the_tree_proves() -> Result<()> {
    for (hash, name) in [(TreeHash::Keccak256, "keccak256"), (TreeHash::Poseidon2, "poseidon2")] {
        let folder = tempfile::tempdir()?;
        let genesis = GenesisFile::write_hashed(folder.path(), hash)?;
        let data = folder.path().join("data");
        let data = data.to_str().context("a path")?;
        let node = Node::start(&["--genesis", genesis.path()?, "--datadir", data])?;
        if hash == TreeHash::Keccak256 {
            npm::run_script("proof.mjs", &[&node.url(), name])?;
        }
        let mut client = node.client()?;
        let (sender, to) = (address(0)?, "0x00000000000000000000000000000000deadbeef");
        let transfer = json!([{"from": sender, "to": to, "value": "0x5"}]);
        client.call("anvil_setStorageAt", json!([to, "0x1ff", format!("0x{:064x}", 9)]))?;
        client.call("eth_sendTransaction", transfer)?;
        let proof = client.call("eth_getProof", json!([to, ["0x1ff"], "latest"]))?;
        let header = client.call("debug_getRawHeader", json!(["latest"]))?;
        let header = header.as_str().context("a header")?;
        let output = verify(&proof, &["--header", header, "--tree-hash", name])?;
        let text = String::from_utf8(output.stdout)?;
        ensure!(output.status.success() && text.contains("slot 0x1ff: 0x9"), "{name}: {text}");
        let output = verify(&proof, &["--header", header])?;
        ensure!(output.status.code() == Some(1), "{name}: not BLAKE3");
        ensure!(stateless::check(&mut client)? >= 1, "{name}: a block on its witness");
        node.stop()?;
        genesis.check_root(data.as_ref())?;
    }
    Ok(())
}

/// Runs `tandem proof verify - OPTIONS` on an answer.
fn verify(answer: &Value, options: &[&str]) -> Result<Output> {
    let mut child = node::clean(Command::new(node::binary()?))
        .args(["proof", "verify", "-"])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    stdin.write_all(answer.to_string().as_bytes())?;
    drop(stdin);
    Ok(child.wait_with_output()?)
}

#[test]
fn the_command_says_what_is_proven() -> Result<()> {
    let node = Node::start(&[])?;
    let mut client = node.client()?;
    let (account, absent) = (address(0)?, "0x00000000000000000000000000000000deadbeef");
    // Edits belong to the next block: the proofs of this one do not show them.
    client.call("anvil_setBalance", json!([absent, "0x7"]))?;
    let targets = json!([[account, ["0x0"]], [absent, []]]);
    let proof = client.call("eth_getMultiProof", json!([targets, "latest"]))?;
    let header = client.call("debug_getRawHeader", json!(["latest"]))?;
    let header = header.as_str().context("a header")?;
    let output = verify(&proof, &["--header", header])?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "{text}");
    ensure!(text.contains("balance: 10000000000000000000000 wei"), "{text}");
    ensure!(text.contains("slot 0x0: 0x0") && text.contains("which is not there"), "{text}");
    let block = client.call("eth_getBlockByNumber", json!(["0x0", false]))?;
    ensure!(text.contains(block["hash"].as_str().context("a hash")?), "{text}");
    client.call("evm_mine", json!([]))?;
    let later = client.call("eth_getProof", json!([absent, [], "latest"]))?;
    ensure!(later["balance"] == "0x7", "{later}");
    let block = client.call("eth_getBlockByNumber", json!(["0x1", false]))?;
    let root = block["stateRoot"].as_str().context("a root")?.to_owned();
    ensure!(later["storageHash"] == root, "{later}");
    let output = verify(&json!({"result": later}), &["--root", &root])?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The same proof against another root, and with another balance.
    let output = verify(&later, &["--header", header])?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(1) && errors.contains("is not proven"), "{errors}");
    let mut spoilt = later;
    spoilt["balance"] = json!("0x8");
    let output = verify(&spoilt, &["--root", &root])?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let expected = "balance is said to be 8, but 7 is proven";
    ensure!(output.status.code() == Some(1) && errors.contains(expected), "{errors}");
    let output = verify(&json!([]), &["--root", &root])?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(1) && errors.contains("proves nothing"), "{errors}");
    let refused = client.refused("eth_getProof", json!([account, [], "pending"]))?;
    ensure!(refused.code == -32000 && refused.message.contains("no state root"), "{refused}");
    let refused = client.refused("eth_getProof", json!([account, vec!["0x1"; 1_024], "latest"]))?;
    ensure!(refused.message.contains("1025 accounts and slots, at most 1024"), "{refused}");
    Ok(())
}
