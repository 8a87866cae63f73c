//! The scripts of `tests/js`: viem, ethers, and contracts that nobody here wrote; and `cast`.

use anyhow::{Result, ensure};
use tandem_tests::{GenesisFile, Node, npm};

/// Runs scripts one after the other on one node; then rebuilds the root of the state they made.
fn check(scripts: &[&str]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let genesis = GenesisFile::write(folder.path())?;
    let data = folder.path().join("data");
    let node = Node::start(&[
        "--genesis",
        genesis.path()?,
        "--datadir",
        data.to_str().unwrap_or_default(),
    ])?;
    for script in scripts {
        npm::run_script(script, &[&node.url()])?;
    }
    node.stop()?;
    genesis.check_root(&data)?;
    Ok(())
}

#[test]
fn uniswap_trades() -> Result<()> {
    check(&["uniswap-v2.mjs", "uniswap-v3.mjs"])
}

#[test]
fn safe_and_account_abstraction_run() -> Result<()> {
    check(&["safe.mjs", "accounts.mjs"])
}

#[test]
fn openzeppelin_tokens_and_governor_run() -> Result<()> {
    check(&["tokens.mjs"])
}

#[test]
fn proxies_clones_and_factories_cross_the_machines() -> Result<()> {
    check(&["proxies.mjs"])
}

#[test]
fn guards_failures_and_ends_cross_the_machines() -> Result<()> {
    check(&["guards.mjs"])
}

#[test]
fn viem_works() -> Result<()> {
    let node = Node::start(&[])?;
    npm::run_script("viem.mjs", &[&node.url()])
}

#[test]
fn ethers_works() -> Result<()> {
    let node = Node::start(&[])?;
    npm::run_script("ethers.mjs", &[&node.url()])
}

const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const FRIEND: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

#[test]
fn cast_sends_calls_and_reads() -> Result<()> {
    let Some(folder) = npm::folder("cast")? else { return Ok(()) };
    let node = Node::start(&[])?;
    let url = node.url();
    let cast = |arguments: &[&str]| -> Result<String> {
        let output = npm::foundry(folder, "cast", &[arguments, &["--rpc-url", &url]].concat())?;
        let text = String::from_utf8(output.stdout)?.trim().to_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "cast {arguments:?}: {text} {errors}");
        Ok(text)
    };
    ensure!(cast(&["chain-id"])? == "31337", "chain id");
    ensure!(cast(&["block-number"])? == "0", "block number");
    ensure!(cast(&["balance", FRIEND, "--ether"])?.starts_with("10000"), "balance");
    let sent = cast(&["send", FRIEND, "--value", "1ether", "--private-key", KEY, "--json"])?;
    ensure!(sent.contains("\"status\":\"0x1\""), "{sent}");
    ensure!(cast(&["balance", FRIEND, "--ether"])?.starts_with("10001"), "balance");
    let refused = npm::foundry(
        folder,
        "cast",
        &[
            "send",
            FRIEND,
            "--value",
            "1ether",
            "--private-key",
            KEY,
            "--nonce",
            "0",
            "--rpc-url",
            &url,
        ],
    )?;
    let why = String::from_utf8_lossy(&refused.stderr);
    ensure!(!refused.status.success() && why.contains("nonce too low"), "{why}");
    let unlocked = cast(&["send", FRIEND, "--unlocked", "--from", FRIEND, "--json"])?;
    ensure!(unlocked.contains("\"status\":\"0x1\""), "{unlocked}");
    ensure!(cast(&["nonce", FRIEND])? == "1", "nonce");
    Ok(())
}
