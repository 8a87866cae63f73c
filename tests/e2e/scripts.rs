//! The scripts of `tests/js`: viem, ethers, and contracts that nobody here wrote.

use anyhow::Result;
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
fn smart_accounts_cross_the_machines() -> Result<()> {
    check(&["wallets.mjs"])
}

#[test]
fn examples_do_the_same_on_both_machines() -> Result<()> {
    check(&["examples.mjs"])
}

#[test]
fn access_lists_are_the_same_on_both_machines() -> Result<()> {
    let node = Node::start(&["--hardfork", "amsterdam"])?;
    npm::run_script("access-lists.mjs", &[&node.url()])
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
