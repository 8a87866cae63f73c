//! Who is measured: the release build in several ways to keep its data, and anvil from npm.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::json;
use tandem_tests::{Client, Node, node, npm};
use tempfile::TempDir;

use crate::client::{Cpu, Sample};

/// Accounts with ether: one for each connection.
pub(crate) const ACCOUNTS: u32 = 32;
const START_MAX: Duration = Duration::from_secs(30);

/// A node to measure.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// Whether it is ours.
    pub(crate) ours: bool,
    program: PathBuf,
    arguments: &'static [&'static str],
    accounts: u32,
    folder: TempDir,
}

/// Anvil first, then ours.
pub(crate) fn all(npm: &Path) -> Result<Vec<Peer>> {
    let anvil = npm::foundry_path(npm, "anvil")?;
    let mut peers = vec![Peer::new("anvil", &anvil, &[], ACCOUNTS)?];
    peers.extend(ours(ACCOUNTS)?);
    Ok(peers)
}

/// Ours, with so many accounts that have ether.
pub(crate) fn ours(accounts: u32) -> Result<[Peer; 3]> {
    let tandem = node::release_binary()?;
    Ok([
        Peer::new("temporary", &tandem, &[], accounts)?,
        Peer::new("process", &tandem, &["--durability", "process"], accounts)?,
        Peer::new("disk", &tandem, &["--durability", "disk"], accounts)?,
    ])
}

impl Peer {
    fn new(
        name: &'static str,
        program: &Path,
        arguments: &'static [&'static str],
        accounts: u32,
    ) -> Result<Self> {
        let folder = tempfile::tempdir_in(node::target()?)?;
        let (ours, program) = (name != "anvil", program.to_owned());
        Ok(Self { name, ours, program, arguments, accounts, folder })
    }

    fn command(&self) -> Result<Command> {
        let mut command = node::clean(Command::new(&self.program));
        command.args(["--accounts", &self.accounts.to_string()]).args(self.arguments);
        if self.ours && !self.arguments.is_empty() {
            let data = self.folder.path().join("data");
            if data.exists() {
                fs::remove_dir_all(&data)?;
            }
            command.arg("--datadir").arg(data);
        }
        Ok(command)
    }

    /// Starts it on a free port.
    pub(crate) fn start(&self) -> Result<Node> {
        let mut command = self.command()?;
        command.args(["--port", "0"]);
        Node::spawn(command)
    }

    /// How long it takes from the start of the process to its first answer.
    pub(crate) fn start_time(&self) -> Result<Sample> {
        // The port has to be known before: it is free now, and nobody else asks for it.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = self.command()?;
        command.args(["--port", &address.port().to_string(), "--quiet"]);
        command.stdout(Stdio::null());
        let start = Instant::now();
        let mut child = command.spawn().context("cannot start a peer")?;
        let sample = loop {
            let answer = Client::connect(address)
                .and_then(|mut client| client.call("eth_chainId", json!([])));
            if answer.is_ok() {
                let wall_us = start.elapsed().as_secs_f64() * 1e6;
                break Some(Sample { wall_us, cpu_us: Some(Cpu::of(child.id())?.total_us()) });
            }
            if start.elapsed() > START_MAX {
                break None;
            }
            thread::sleep(Duration::from_micros(500));
        };
        child.kill()?;
        child.wait()?;
        match sample {
            Some(sample) => Ok(sample),
            None => bail!("{} does not answer", self.name),
        }
    }
}

/// Memory of a process in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    /// What it has allocated.
    pub(crate) own: u64,
    /// That and what it has mapped of files, which the kernel takes back when it needs it.
    pub(crate) resident: u64,
}

impl Memory {
    /// Of this process.
    pub(crate) fn of(process: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let field = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.split_whitespace().nth(1));
            Ok(kib.with_context(|| format!("no {name} in the status"))?.parse::<u64>()? << 10)
        };
        Ok(Self { own: field("RssAnon")?, resident: field("VmRSS")? })
    }
}
