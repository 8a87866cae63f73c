//! Who is measured: the release build in several ways to keep its data, and anvil from npm.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::json;
use tandem_tests::{Client, Node, node, npm};
use tempfile::TempDir;

use crate::measure::{Sample, cpu_us};

/// Accounts with ether: one for each connection.
pub(crate) const ACCOUNTS: u32 = 32;
const START_MAX: Duration = Duration::from_secs(30);

/// A node to measure.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    program: PathBuf,
    arguments: &'static [&'static str],
    keeps_data: bool,
    folder: TempDir,
}

/// Ours first, anvil last.
pub(crate) fn all(npm: &Path) -> Result<Vec<Peer>> {
    let tandem = node::release_binary()?;
    let anvil = npm::foundry_path(npm, "anvil")?;
    let peer = |name, program: &Path, arguments, keeps_data| -> Result<Peer> {
        let folder = tempfile::tempdir_in(node::target()?)?;
        Ok(Peer { name, program: program.to_owned(), arguments, keeps_data, folder })
    };
    Ok(vec![
        peer("tandem, temporary", &tandem, &[], false)?,
        peer("tandem, process", &tandem, &["--durability", "process"], true)?,
        peer("tandem, disk", &tandem, &["--durability", "disk"], true)?,
        peer("anvil", &anvil, &[], false)?,
    ])
}

impl Peer {
    fn command(&self) -> Result<Command> {
        let mut command = node::clean(Command::new(&self.program));
        command.args(["--accounts", &ACCOUNTS.to_string()]).args(self.arguments);
        if self.keeps_data {
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
        command.stdout(std::process::Stdio::null());
        let start = Instant::now();
        let mut child = command.spawn().context("cannot start a peer")?;
        let sample = loop {
            let answer = Client::connect(address)
                .and_then(|mut client| client.call("eth_chainId", json!([])));
            if answer.is_ok() {
                let wall_us = start.elapsed().as_secs_f64() * 1e6;
                break Ok(Sample { wall_us, cpu_us: cpu_us(child.id())? });
            }
            if start.elapsed() > START_MAX {
                break Err(());
            }
            std::thread::sleep(Duration::from_micros(500));
        };
        child.kill()?;
        child.wait()?;
        match sample {
            Ok(sample) => Ok(sample),
            Err(()) => bail!("{} does not answer", self.name),
        }
    }
}
