//! Files of blocks: what is in them in the end, whatever is wrong with them on the way, and the DAO
//! fork's block.

use std::{
    fs,
    path::{Path, PathBuf},
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

/// A chain of eight blocks as a file, in a folder of its own.
struct Files {
    folder: tempfile::TempDir,
    genesis: GenesisFile,
    /// The file, and the same packed.
    plain: PathBuf,
    packed: PathBuf,
    bytes: Vec<u8>,
}

impl Files {
    fn make() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let genesis = GenesisFile::write(folder.path())?;
        let data = folder.path().join("data");
        let node = Node::start(&["--genesis", genesis.path()?, "--datadir", path(&data)?])?;
        let mut client = node.client()?;
        let from = crate::support::address(0)?;
        let transfer = json!([{"from": from, "to": KEPT, "value": "0x1"}]);
        for _ in 0..3 {
            client.call("eth_sendTransaction", transfer.clone())?;
        }
        client.call("anvil_mine", json!(["0x5"]))?;
        node.stop()?;
        let [plain, packed] = ["chain.rlp", "chain.rlp.gz"].map(|name| folder.path().join(name));
        for file in [&plain, &packed] {
            done(&["export", path(file)?, "--datadir", path(&data)?])?;
        }
        let bytes = fs::read(&plain)?;
        Ok(Self { folder, genesis, plain, packed, bytes })
    }

    fn at(&self, name: &str) -> Result<String> {
        Ok(path(&self.folder.path().join(name))?.to_owned())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<String> {
        let file = self.at(name)?;
        fs::write(&file, bytes)?;
        Ok(file)
    }

    fn import(&self, to: &str, files: &[&str]) -> Result<()> {
        let end = ["--genesis", self.genesis.path()?, "--datadir", to];
        done(&[&["import"][..], files, &end[..]].concat())
    }

    fn refuse(&self, to: &str, files: &[&str], reason: &str) -> Result<()> {
        let end = ["--genesis", self.genesis.path()?, "--datadir", to];
        refused(&[&["import"][..], files, &end[..]].concat(), reason)
    }
}

#[test]
fn files_go_between_chains() -> Result<()> {
    let files = Files::make()?;
    let (plain, packed) = (path(&files.plain)?, path(&files.packed)?);
    ensure!(fs::read(packed)?.starts_with(&[0x1f, 0x8b]), "not packed");
    let sizes = sizes(&files.bytes);
    ensure!(sizes.len() == 8, "{sizes:?}");
    // Packed, all at once, and again: what is known is left out; out it comes as it was.
    let to = files.at("packed")?;
    files.import(&to, &[packed])?;
    files.import(&to, &[plain, packed])?;
    let again = files.at("again.rlp")?;
    done(&["export", &again, "--datadir", &to])?;
    ensure!(fs::read(&again)? == files.bytes, "another file comes out");
    files.import(&to, &[&files.write("empty.rlp", b"")?])?;
    // Every block twice.
    let mut twice = Vec::new();
    let mut rest = &files.bytes[..];
    for size in &sizes {
        let (block, after) = rest.split_at(*size);
        twice.extend_from_slice(&[block, block].concat());
        rest = after;
    }
    let to = files.at("twice")?;
    files.import(&to, &[&files.write("twice.rlp", &twice)?])?;
    ensure!(height(&to)? == 8, "twice");
    Ok(())
}

#[test]
fn what_is_wrong_with_a_file_is_said() -> Result<()> {
    let files = Files::make()?;
    let (plain, bytes) = (path(&files.plain)?, &files.bytes);
    let sizes = sizes(bytes);
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
        let (to, file) = (files.at(name)?, files.write(&format!("{name}.rlp"), bytes)?);
        files.refuse(&to, &[&file], reason)?;
        ensure!(self::height(&to)? == height, "{name}");
        // The right file goes on from there, even after the wrong one.
        files.refuse(&to, &[&file, plain], reason)?;
        ensure!(self::height(&to)? == 8, "{name}: not gone on");
    }
    let to = files.at("fresh")?;
    files.refuse(&to, &[&files.write("empty.rlp", b"")?], "the file has no blocks")?;
    files.refuse(&to, &[&files.write("chain.gz", bytes)?], "chain.gz")?;
    let other = fs::read_to_string(files.genesis.path()?)?.replacen("0x1c9c380", "0x1c9c381", 1);
    let other = files.write("other.json", other.as_bytes())?;
    refused(
        &["import", plain, "--genesis", &other, "--datadir", &to],
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
