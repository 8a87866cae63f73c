//! Files of blocks: what is in them in the end, whatever is wrong with them on the way, and the DAO
//! fork's block.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tandem_tests::{Client, GenesisFile, Node, node, rpc::quantity};

const DRAINED: &str = "0xd4fe7bc31cedb7bfb8a345f31e668033056b2728";
const ALSO_DRAINED: &str = "0x807640a13483f8ac783c557fcdf27be11ea4ac7a";
const KEPT: &str = "0x0000000000000000000000000000000000005555";
const REFUND: &str = "0xbf4ed7b27f1d666546e30d74d50d173d20bca754";

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no UTF-8")
}

fn tandem(arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(node::binary()?);
    command.args(arguments);
    Ok(node::clean(command).output()?)
}

fn done(arguments: &[&str]) -> Result<()> {
    let output = tandem(arguments)?;
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Runs a command that has to fail for this reason.
fn refused(arguments: &[&str], reason: &str) -> Result<()> {
    let output = tandem(arguments)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let is_refused = output.status.code() == Some(1) && errors.contains(reason);
    ensure!(is_refused, "{arguments:?}: {}: {errors}", output.status);
    Ok(())
}

fn height(data: &str) -> Result<u64> {
    let node = Node::start(&["--datadir", data])?;
    let height = quantity(&node.client()?.call("eth_blockNumber", json!([]))?)?;
    node.stop()?;
    Ok(height)
}

/// The sizes of the lists that an RLP file is of.
fn sizes(mut bytes: &[u8]) -> Vec<usize> {
    let mut sizes = Vec::new();
    while let Some(&first) = bytes.first() {
        let count = usize::from(first.saturating_sub(0xf7));
        let length =
            bytes[1..1 + count].iter().fold(0, |size, byte| (size << 8) | usize::from(*byte));
        let size = if count == 0 { 1 + usize::from(first - 0xc0) } else { 1 + count + length };
        sizes.push(size);
        bytes = &bytes[size..];
    }
    sizes
}

#[test]
fn files_go_between_chains_and_what_is_wrong_with_one_is_said() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let genesis = GenesisFile::write(folder.path())?;
    let genesis = genesis.path()?;
    let at = |name: &str| folder.path().join(name);
    let data = at("data");
    let node = Node::start(&["--genesis", genesis, "--datadir", path(&data)?])?;
    let mut client = node.client()?;
    let from = crate::support::address(0)?;
    for _ in 0..3 {
        client.call("eth_sendTransaction", json!([{"from": from, "to": KEPT, "value": "0x1"}]))?;
    }
    client.call("anvil_mine", json!(["0x5"]))?;
    node.stop()?;
    let [plain, packed] = [at("chain.rlp"), at("chain.rlp.gz")];
    for file in [&plain, &packed] {
        done(&["export", path(file)?, "--datadir", path(&data)?])?;
    }
    let bytes = fs::read(&plain)?;
    ensure!(fs::read(&packed)?.starts_with(&[0x1f, 0x8b]), "not packed");
    let sizes = sizes(&bytes);
    ensure!(sizes.len() == 8, "{sizes:?}");
    let write = |name: &str, bytes: &[u8]| -> Result<String> {
        let file = at(name);
        fs::write(&file, bytes)?;
        Ok(path(&file)?.to_owned())
    };
    let import = |to: &str, files: &[&str]| -> Vec<String> {
        let files = files.iter().copied();
        let all =
            ["import"].into_iter().chain(files).chain(["--genesis", genesis, "--datadir", to]);
        all.map(str::to_owned).collect()
    };
    let run = |to: &str, files: &[&str]| {
        let arguments = import(to, files);
        done(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let fails = |to: &str, files: &[&str], reason: &str| {
        let arguments = import(to, files);
        refused(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), reason)
    };
    let (plain, packed) = (path(&plain)?, path(&packed)?);
    // Packed, all at once, and again: what is known is left out; out it comes as it was.
    let to = at("packed");
    let to = path(&to)?;
    run(to, &[packed])?;
    run(to, &[plain, packed])?;
    let again = at("again.rlp");
    done(&["export", path(&again)?, "--datadir", to])?;
    ensure!(fs::read(&again)? == bytes, "another file comes out");
    let empty = write("empty.rlp", b"")?;
    run(to, &[&empty])?;
    // Every block twice.
    let mut twice = Vec::new();
    let mut rest = &bytes[..];
    for size in &sizes {
        let (block, after) = rest.split_at(*size);
        twice.extend_from_slice(&[block, block].concat());
        rest = after;
    }
    let to = at("twice");
    run(path(&to)?, &[&write("twice.rlp", &twice)?])?;
    ensure!(height(path(&to)?)? == 8, "twice");
    // Cut off, with something behind, with a gap: the blocks before it stay.
    let last = bytes.len() - sizes[7];
    let gap = [&bytes[..sizes[0]], &bytes[sizes[0] + sizes[1]..]].concat();
    let junk = [&bytes[..], b"\x01"].concat();
    let wrong: [(&str, &[u8], &str, u64); 3] = [
        ("cut", &bytes[..bytes.len() - 5], &format!("byte {last}: the file ends after"), 7),
        ("junk", &junk, "block 8 of the file", 8),
        ("gap", &gap, "block 3: number: expected 2, got 3", 1),
    ];
    for (name, bytes, reason, height) in wrong {
        let (to, file) = (at(name), write(&format!("{name}.rlp"), bytes)?);
        let to = path(&to)?;
        fails(to, &[&file], reason)?;
        ensure!(self::height(to)? == height, "{name}");
        // The right file goes on from there, even after the wrong one.
        fails(to, &[&file, plain], reason)?;
        ensure!(self::height(to)? == 8, "{name}: not gone on");
    }
    let to = at("fresh");
    fails(path(&to)?, &[&empty], "the file has no blocks")?;
    fails(path(&to)?, &[&write("chain.gz", &bytes)?], "chain.gz")?;
    let other = fs::read_to_string(genesis)?.replacen("0x1c9c380", "0x1c9c381", 1);
    let other = write("other.json", other.as_bytes())?;
    refused(
        &["import", plain, "--genesis", &other, "--datadir", path(&to)?],
        "but the file's first block is on 0x",
    )
}

/// A chain of proof of work whose third block is the DAO fork's.
fn dao_genesis(supports: bool) -> Value {
    json!({
        "config": {"chainId": 1337, "homesteadBlock": 1, "daoForkBlock": 3,
            "daoForkSupport": supports, "headers": "ethereum"},
        "difficulty": "0x20000", "gasLimit": "0x2fefd8",
        "alloc": {
            DRAINED: {"balance": "0x10"}, ALSO_DRAINED: {"balance": "0x5", "nonce": "0x2"},
            REFUND: {"balance": "0x1", "code": "0x00"}, KEPT: {"balance": "0x7"},
        },
    })
}

#[test]
fn the_dao_fork_is_made_and_checked() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let files = [("with.json", true), ("without.json", false)].map(|(name, supports)| {
        let file = at(name);
        fs::write(&file, dao_genesis(supports).to_string()).map(|()| file)
    });
    let [with, without] = files;
    let (with, without) = (with?, without?);
    let [data, to, chain, other] = ["data", "to", "chain.rlp", "other.rlp"].map(at);
    let node = Node::start(&["--genesis", path(&with)?, "--datadir", path(&data)?])?;
    let mut client = node.client()?;
    client.call("anvil_mine", json!(["0xe"]))?;
    let check = |client: &mut Client| -> Result<()> {
        for (number, moved) in [(0, false), (2, false), (3, true), (14, true)] {
            let wanted = if moved { [0, 0, 0x16, 7] } else { [0x10, 5, 1, 7] };
            for (account, wanted) in [DRAINED, ALSO_DRAINED, REFUND, KEPT].into_iter().zip(wanted) {
                let asked = json!([account, format!("{number:#x}")]);
                let found = quantity(&client.call("eth_getBalance", asked)?)?;
                ensure!(found == wanted, "{account} has {found} at block {number}");
            }
        }
        for number in 1..=14 {
            let asked = json!([format!("{number:#x}"), false]);
            let block = client.call("eth_getBlockByNumber", asked)?;
            let marked = block["extraData"] == "0x64616f2d686172642d666f726b";
            ensure!(marked == (3..13).contains(&number), "{block}");
        }
        Ok(())
    };
    check(&mut client)?;
    node.stop()?;
    done(&["export", path(&chain)?, "--datadir", path(&data)?])?;
    done(&["import", path(&chain)?, "--genesis", path(&with)?, "--datadir", path(&to)?])?;
    done(&["db", "verify", "--datadir", path(&to)?])?;
    let node = Node::start(&["--datadir", path(&to)?])?;
    check(&mut node.client()?)?;
    node.stop()?;
    // The two chains part at the fork's block.
    let reason = "block 3: extraData of the DAO fork: expected";
    let no = at("no");
    refused(
        &["import", path(&chain)?, "--genesis", path(&without)?, "--datadir", path(&no)?],
        &format!("{reason} none, got one"),
    )?;
    let node = Node::start(&["--genesis", path(&without)?, "--datadir", path(&at("plain"))?])?;
    node.client()?.call("anvil_mine", json!(["0x4"]))?;
    node.stop()?;
    done(&["export", path(&other)?, "--datadir", path(&at("plain"))?])?;
    refused(
        &["import", path(&other)?, "--genesis", path(&with)?, "--datadir", path(&at("yes"))?],
        &format!("{reason} one, got none"),
    )
}
