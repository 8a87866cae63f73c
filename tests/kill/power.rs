//! The power goes while the node is under load, with durability `disk`.
//!
//! The node runs under `strace`, which records what it writes, syncs and answers. A cut is made
//! right before each moment at which something reaches the disk for good: then the node has told
//! the most that it ever tells over what the disk has. What was not synced is dropped, or has
//! arrived in part. On the files that are left, everything told by then has to be there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rand::{SeedableRng, rngs::StdRng, seq::index};
use tandem_tests::{GenesisFile, Node, node};
use tempfile::TempDir;

use crate::{
    disk::{CALLS, Disk, Event, read_trace},
    load::{Ledger, Sealing, Tokens},
};

/// How long the recorded node is under load, and how many blocks it makes meanwhile, at least.
const LOAD: (u64, u64) = (1_200, 20);
/// Cuts for each round, of which one is looked at through the node.
const CUTS: usize = 5;
/// How long `strace` may take to write down the end of the node.
const RECORD_MAX: Duration = Duration::from_secs(20);

/// Cuts the power at several moments of one run, `rounds` of them with a restart of the node.
pub(crate) fn check(sealing: Sealing) -> Result<()> {
    if !has_strace()? {
        eprintln!("left out: the power cut (needs strace)");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let result = run(sealing, &folder);
    if result.is_err() {
        eprintln!("left as it was found: {}", folder.keep().display());
    }
    result
}

/// Whether `strace` is there, as it has to be with TANDEM_REQUIRE_STRACE=1.
pub(crate) fn has_strace() -> Result<bool> {
    if Command::new("strace").args(["-o", "/dev/null", "true"]).status().is_ok() {
        return Ok(true);
    }
    let required = std::env::var("TANDEM_REQUIRE_STRACE").is_ok_and(|value| value == "1");
    ensure!(!required, "strace is not there and TANDEM_REQUIRE_STRACE=1");
    Ok(false)
}

fn run(sealing: Sealing, folder: &TempDir) -> Result<()> {
    let rounds = usize::try_from(crate::variable("TANDEM_KILL_ROUNDS", 4)?)?;
    let mut random = StdRng::seed_from_u64(crate::variable("TANDEM_KILL_SEED", 1)?);
    let cuts = Cuts { genesis: GenesisFile::write(folder.path())?, folder: folder.path() };
    let data = folder.path().join("data");
    let (disk, tokens) = if sealing == Sealing::Auto {
        // From the node's first start on.
        (Disk::default(), None)
    } else {
        let node = crate::start(&cuts.genesis, folder, Sealing::Auto, "disk")?;
        let tokens = Tokens::deploy(&node)?;
        node.stop()?;
        (Disk::read(&data)?, Some(tokens))
    };
    let (events, told) = cuts.record(sealing, tokens, &data)?;
    let moments = moments(&events, rounds * CUTS, &mut random);
    let most = cuts.replay(&events, disk, &moments, &mut random)?;
    for hash in &told.hashes {
        ensure!(most.hashes.contains(hash), "the record lacks the answer {hash}");
    }
    eprintln!(
        "{sealing:?}: cut {} times of {} calls, {} acknowledged, {} receipts",
        moments.len(),
        events.len(),
        most.hashes.len(),
        most.receipts.len()
    );
    ensure!(most.receipts.len() > 5, "only {} receipts in all", most.receipts.len());
    Ok(())
}

/// Up to `wanted` moments right before something reaches the disk, once a transaction was
/// acknowledged; and the end.
fn moments(events: &[Event], wanted: usize, random: &mut StdRng) -> Vec<usize> {
    let first = events.iter().position(|event| matches!(event, Event::Told(_)));
    let from = first.unwrap_or(events.len());
    let all: Vec<_> =
        (from..events.len()).filter(|index| Disk::persists(&events[*index])).collect();
    let chosen = index::sample(random, all.len(), wanted.min(all.len()));
    let mut moments: Vec<_> = chosen.into_iter().map(|index| all[index]).collect();
    moments.push(events.len());
    moments.sort_unstable();
    moments
}

struct Cuts<'a> {
    genesis: GenesisFile,
    folder: &'a Path,
}

impl Cuts<'_> {
    /// Runs the node under load and under `strace`; gives its calls, and what its callers heard.
    fn record(
        &self,
        sealing: Sealing,
        tokens: Option<Tokens>,
        data: &Path,
    ) -> Result<(Vec<Event>, Ledger)> {
        let log = self.folder.join("trace");
        let mut command = Command::new("strace");
        // With -D the node is the child, and strace a grandchild that outlives it for a moment.
        command.args(["-D", "-f", "--seccomp-bpf", "-y", "-xx", "-s", "16777216", "-e", CALLS]);
        command.arg("-o").arg(&log).arg(node::binary()?);
        command.args(["--port", "0", "--genesis", self.genesis.path()?, "--durability", "disk"]);
        command.arg("--datadir").arg(data).args(sealing.arguments());
        let node = Node::spawn(node::clean(command))?;
        let id = node.id();
        let tokens = match tokens {
            Some(tokens) => tokens,
            None => Tokens::deploy(&node)?,
        };
        let told = crate::run_until_killed(node, sealing, &tokens, LOAD)?;
        Ok((read_trace(&ended(&log, id)?, data)?, told))
    }

    /// Goes through the calls and cuts at each of `moments`; gives all that was told.
    fn replay(
        &self,
        events: &[Event],
        mut disk: Disk,
        moments: &[usize],
        random: &mut StdRng,
    ) -> Result<Ledger> {
        let (mut told, mut cuts) = (Ledger::default(), 0);
        for index in 0..=events.len() {
            if moments.binary_search(&index).is_ok() {
                let torn = (cuts % 2 == 1).then_some(&mut *random);
                let label = format!("cut before call {index}, torn: {}", torn.is_some());
                let left = self.folder.join(format!("cut-{index}"));
                disk.cut(&left, torn)?;
                self.check(&left, &told, cuts % CUTS == 0).context(label)?;
                fs::remove_dir_all(left)?;
                cuts += 1;
            }
            let Some(event) = events.get(index) else { break };
            disk.apply(event);
            if let Event::Told(answer) = event {
                told.hear(answer);
            }
        }
        Ok(told)
    }

    fn check(&self, left: &Path, told: &Ledger, restart: bool) -> Result<()> {
        self.genesis.check_store(left, &told.hashes)?;
        if !restart {
            return Ok(());
        }
        let node = crate::start_in(&self.genesis, left, Sealing::Manual, "disk")?;
        let mut client = node.client()?;
        told.check(&mut client)?;
        crate::seal_the_rest(&mut client, told)?;
        node.stop()?;
        self.genesis.check_root(left)?;
        Ok(())
    }
}

/// The record, once it holds the end of the process.
fn ended(log: &PathBuf, id: u32) -> Result<String> {
    let start = Instant::now();
    loop {
        let text = fs::read_to_string(log)?;
        let tail = text.get(text.len().saturating_sub(4_096)..).unwrap_or(&text);
        let over = |line: &str| {
            line.split_once(' ').is_some_and(|(process, what)| {
                process == id.to_string() && what.trim_start().starts_with("+++ ")
            })
        };
        if tail.lines().any(over) {
            return Ok(text);
        }
        ensure!(start.elapsed() < RECORD_MAX, "strace does not end: {}", log.display());
        thread::sleep(Duration::from_millis(20));
    }
}
