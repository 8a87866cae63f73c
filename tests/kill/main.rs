//! The node is killed with SIGKILL at random moments under load and started again: what a caller
//! was told is still there, and the state root is that of the state.
//!
//! Three senders send transfers and calls of the Solidity and the RISC-V token without a pause.
//! `TANDEM_KILL_ROUNDS` says how often each mode of sealing is killed, `TANDEM_KILL_SEED` when.
//! [`power`] cuts the power instead, [`soak`] mixes all operations, [`fault`] lets the disk fail.
#![expect(clippy::print_stderr, reason = "how much each round acknowledged is worth seeing")]

mod disk;
mod fault;
mod load;
mod power;
mod soak;

use std::{
    env,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tandem_tests::{Client, GenesisFile, Node, rpc::quantity};
use tempfile::TempDir;

use load::{Ledger, Sealing, Sender, Tokens};

/// Rounds of each mode where nothing else is said: 21 in all.
const ROUNDS: u32 = 7;
const SENDERS: u32 = 3;
/// When a round's kill comes, in milliseconds after its load has begun.
const KILL_MS: std::ops::Range<u64> = 60..900;

/// How long a node may take to the blocks that it is to make before it is killed.
const HEIGHT_MAX: Duration = Duration::from_secs(30);

fn variable(name: &str, default: u64) -> Result<u64> {
    env::var(name).map_or(Ok(default), |text| text.parse().with_context(|| name.to_owned()))
}

/// Keeps the folder of a failed run, for whoever wants to know why.
fn check(sealing: Sealing, durability: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let result = run_rounds(sealing, durability, &folder);
    if result.is_err() {
        eprintln!("left as it was found: {}", folder.keep().display());
    }
    result
}

fn run_rounds(sealing: Sealing, durability: &str, folder: &TempDir) -> Result<()> {
    let genesis = GenesisFile::write(folder.path())?;
    let rounds = variable("TANDEM_KILL_ROUNDS", ROUNDS.into())?;
    let seed = variable("TANDEM_KILL_SEED", 1)?;
    let mut random = StdRng::seed_from_u64(seed + sealing as u64);
    let tokens = Tokens::deploy(&start(&genesis, folder, Sealing::Auto, durability)?)?;
    let mut ledger = Ledger::default();
    for round in 0..rounds {
        let kill_ms = random.random_range(KILL_MS);
        let label = format!("{sealing:?}, {durability}, round {round}, killed after {kill_ms} ms");
        let node = start(&genesis, folder, sealing, durability).context(label.clone())?;
        ledger.check(&mut node.client()?).context(label.clone())?;
        let news = run_until_killed(node, sealing, &tokens, (kill_ms, 0)).context(label.clone())?;
        eprintln!("{label}: {} acknowledged, {} sealed", news.hashes.len(), news.receipts.len());
        ledger.add(news);
        genesis.check_root(&folder.path().join("data")).context(label)?;
    }
    let node = start(&genesis, folder, Sealing::Manual, durability)?;
    let mut client = node.client()?;
    ledger.check(&mut client)?;
    seal_the_rest(&mut client, &ledger)?;
    ensure!(ledger.receipts.len() > 20, "only {} receipts in all", ledger.receipts.len());
    node.stop()?;
    let (head, root) = genesis.check_root(&folder.path().join("data"))?;
    eprintln!("{sealing:?}, {durability}: {} kept, head {head}, root {root}", ledger.hashes.len());
    Ok(())
}

fn start(
    genesis: &GenesisFile,
    folder: &TempDir,
    sealing: Sealing,
    durability: &str,
) -> Result<Node> {
    start_in(genesis, &folder.path().join("data"), sealing, durability)
}

fn start_in(
    genesis: &GenesisFile,
    data: &Path,
    sealing: Sealing,
    durability: &str,
) -> Result<Node> {
    let data = data.to_str().context("a folder that is no UTF-8")?;
    let mut arguments =
        vec!["--genesis", genesis.path()?, "--datadir", data, "--durability", durability];
    arguments.extend(sealing.arguments());
    Node::start(&arguments)
}

/// Loads the node, kills it after some time and so many blocks, and returns what it had told by
/// then.
fn run_until_killed(
    node: Node,
    sealing: Sealing,
    tokens: &Tokens,
    (kill_ms, blocks): (u64, u64),
) -> Result<Ledger> {
    let stopped = AtomicBool::new(false);
    let address = node.address();
    let first = height(&mut node.client()?)?;
    thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|index| {
                let stopped = &stopped;
                scope.spawn(move || -> Result<Ledger> {
                    match Client::connect(address).and_then(|c| Sender::new(index, tokens, c)) {
                        Ok(sender) => sender.send(sealing, stopped),
                        // It may be killed before the sender knows its nonce.
                        Err(error) => {
                            ensure!(stopped.load(Ordering::SeqCst), "sender: {error:#}");
                            Ok(Ledger::default())
                        }
                    }
                })
            })
            .collect();
        let sealer = (sealing == Sealing::Manual).then(|| {
            let stopped = &stopped;
            scope.spawn(move || seal_until_killed(Client::connect(address)?, stopped))
        });
        thread::sleep(Duration::from_millis(kill_ms));
        let reached = wait_for_height(&node, first + blocks);
        stopped.store(true, Ordering::SeqCst);
        node.kill()?;
        reached?;
        let mut told = Ledger::default();
        for sender in senders {
            told.add(sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))??);
        }
        if let Some(sealer) = sealer {
            sealer.join().map_err(|_| anyhow::anyhow!("the sealer panicked"))??;
        }
        Ok(told)
    })
}

fn height(client: &mut Client) -> Result<u64> {
    quantity(&client.call("eth_blockNumber", json!([]))?)
}

/// On a busy machine a node under load may take longer than it was given.
fn wait_for_height(node: &Node, wanted: u64) -> Result<()> {
    let mut client = node.client()?;
    let end = Instant::now() + HEIGHT_MAX;
    while height(&mut client)? < wanted {
        ensure!(Instant::now() < end, "not at block {wanted} after {HEIGHT_MAX:?} more");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn seal_until_killed(mut client: Client, stopped: &AtomicBool) -> Result<()> {
    loop {
        thread::sleep(Duration::from_millis(15));
        if let Err(error) = client.call("evm_mine", json!([])) {
            // The connection breaks when the node is killed, and only then.
            ensure!(stopped.load(Ordering::SeqCst), "evm_mine: {error:#}");
            return Ok(());
        }
    }
}

/// Seals what waits: every acknowledged transaction ends up in a block, and succeeds.
fn seal_the_rest(client: &mut Client, ledger: &Ledger) -> Result<()> {
    for _ in 0..1000 {
        let status = client.call("txpool_status", json!([]))?;
        if quantity(&status["pending"])? == 0 {
            break;
        }
        client.call("evm_mine", json!([]))?;
    }
    for hash in &ledger.hashes {
        let receipt = client.call("eth_getTransactionReceipt", json!([hash]))?;
        ensure!(receipt["status"] == "0x1", "{hash}: {receipt}");
    }
    let head = client.call("eth_getBlockByNumber", json!(["latest", false]))?;
    ensure!(head["number"] != Value::Null, "no head");
    Ok(())
}

#[test]
fn nothing_acknowledged_is_lost_under_automatic_sealing() -> Result<()> {
    check(Sealing::Auto, "process")
}

#[test]
fn nothing_acknowledged_is_lost_under_interval_sealing() -> Result<()> {
    check(Sealing::Interval, "process")
}

#[test]
fn nothing_acknowledged_is_lost_under_manual_sealing() -> Result<()> {
    check(Sealing::Manual, "disk")
}

#[test]
fn a_power_cut_loses_nothing_acknowledged_under_automatic_sealing() -> Result<()> {
    power::check(Sealing::Auto)
}

#[test]
fn a_power_cut_loses_nothing_acknowledged_under_interval_sealing() -> Result<()> {
    power::check(Sealing::Interval)
}

#[test]
fn a_power_cut_loses_nothing_acknowledged_under_manual_sealing() -> Result<()> {
    power::check(Sealing::Manual)
}

#[test]
fn nothing_acknowledged_is_lost_under_all_operations() -> Result<()> {
    soak::run()
}

const WRITES: &str = "pwrite64,pwritev,pwritev2";

#[test]
fn a_disk_without_room_stops_the_node_and_loses_nothing() -> Result<()> {
    let says = "No space left on device: ";
    let fault = fault::Fault { calls: WRITES, error: "ENOSPC", says, durability: "process" };
    [1, 7, 40].into_iter().try_for_each(|after| fault::check(&fault, after))?;
    fault::check(&fault::Fault { durability: "disk", ..fault }, 23)
}

#[test]
fn a_full_file_system_stops_the_node_and_loses_nothing() -> Result<()> {
    fault::check_full_disk()
}

#[test]
fn writes_that_fail_stop_the_node_and_lose_nothing() -> Result<()> {
    let says = "Input/output error";
    let fault = fault::Fault { calls: WRITES, error: "EIO", says, durability: "process" };
    [2, 31].into_iter().try_for_each(|after| fault::check(&fault, after))
}

#[test]
fn syncs_that_fail_stop_the_node_and_lose_nothing() -> Result<()> {
    let says = "Input/output error";
    let calls = "fdatasync,fsync";
    let fault = fault::Fault { calls, error: "EIO", says, durability: "disk" };
    [3, 12].into_iter().try_for_each(|after| fault::check(&fault, after))
}

#[test]
fn a_file_that_cannot_grow_stops_the_node_and_loses_nothing() -> Result<()> {
    let (calls, says) = ("ftruncate,fallocate", "No space left on device: ");
    let fault = fault::Fault { calls, error: "ENOSPC", says, durability: "process" };
    // The file is opened with the first one.
    fault::check(&fault, 2)?;
    let says = "Input/output error";
    fault::check(&fault::Fault { error: "EIO", says, ..fault }, 2)
}

#[test]
fn a_revert_that_fails_stops_the_node_and_changes_nothing() -> Result<()> {
    let (calls, says) = (WRITES, "No space left on device: ");
    let fault = fault::Fault { calls, error: "ENOSPC", says, durability: "process" };
    fault::check_revert(&fault)?;
    let says = "Input/output error";
    fault::check_revert(&fault::Fault { error: "EIO", says, ..fault })?;
    let calls = "fdatasync,fsync";
    fault::check_revert(&fault::Fault { calls, error: "EIO", says, durability: "disk" })
}
