//! A node as a process: started on a free port, killed by its id when dropped.

use std::{
    env,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, OnceLock},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{Client, root, stateless};

/// How long a node may take to say where it listens.
const START_MAX: Duration = Duration::from_secs(60);
/// How long a node may take to end after SIGTERM.
const STOP_MAX: Duration = Duration::from_secs(30);
/// What stands before the address in the banner.
const LISTENING: &str = "Listening on ";

/// A running node.
#[derive(Debug)]
pub struct Node {
    child: Child,
    address: SocketAddr,
    output: Arc<Mutex<Vec<String>>>,
    /// Whether its blocks are run again, each on its witness alone, before it ends.
    checks_blocks: bool,
}

impl Node {
    /// Starts the project's binary with `arguments` on a free port of loopback.
    pub fn start(arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(binary()?);
        command.args(["--port", "0"]).args(arguments);
        let mut node = Self::spawn(clean(command))?;
        node.checks_blocks = true;
        Ok(node)
    }

    /// Starts a command that prints `Listening on ADDRESS`, as anvil does too.
    pub fn spawn(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let output = Arc::new(Mutex::new(Vec::new()));
        let (sender, receiver) = std::sync::mpsc::channel();
        let errors = child.stderr.take().map(|stderr| {
            let output = Arc::clone(&output);
            thread::spawn(move || collect(BufReader::new(stderr), &output, |_| ()))
        });
        if let Some(stdout) = child.stdout.take() {
            let output = Arc::clone(&output);
            thread::spawn(move || {
                collect(BufReader::new(stdout), &output, |line| {
                    if let Some(address) = listening(line) {
                        // The receiver is gone once the first address has come.
                        let _ = sender.send(address);
                    }
                });
            });
        }
        match receiver.recv_timeout(START_MAX) {
            Ok(address) => Ok(Self { child, address, output, checks_blocks: false }),
            Err(_) => {
                // It may have ended by itself; what it printed says why.
                let _ = child.kill();
                let status = child.wait()?;
                // Its standard output may have come to its end before the other.
                errors.map(thread::JoinHandle::join);
                let lines = output.lock().map(|lines| lines.join("\n")).unwrap_or_default();
                bail!("no \"{LISTENING}\" from {command:?} ({status}):\n{lines}")
            }
        }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://ADDRESS`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `ws://ADDRESS`.
    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// A new connection to it.
    pub fn client(&self) -> Result<Client> {
        Client::connect(self.address)
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        self.output.lock().map(|lines| lines.join("\n")).unwrap_or_default()
    }

    /// Waits until it has printed a line with `text`, ten seconds at most.
    pub fn wait_for_output(&self, text: &str) -> Result<String> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            let output = self.output();
            if let Some(line) = output.lines().find(|line| line.contains(text)) {
                return Ok(line.to_owned());
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("no {text:?} in the node's output:\n{}", self.output())
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub fn kill(mut self) -> Result<()> {
        self.checks_blocks = false;
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end with SIGTERM; it has to end with success.
    pub fn stop(mut self) -> Result<()> {
        self.check_blocks()?;
        let status = Command::new("kill").args(["-TERM", &self.id().to_string()]).status()?;
        if !status.success() {
            bail!("cannot send SIGTERM to {}", self.id());
        }
        let start = Instant::now();
        while start.elapsed() < STOP_MAX {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("it ended with {status}:\n{}", self.output()),
                None => thread::sleep(Duration::from_millis(20)),
            }
        }
        bail!("it runs on {} s after SIGTERM", STOP_MAX.as_secs())
    }
}

impl Node {
    /// Runs its blocks on their witnesses, once.
    fn check_blocks(&mut self) -> Result<()> {
        let runs = std::mem::take(&mut self.checks_blocks) && self.child.try_wait()?.is_none();
        if runs {
            stateless::check(&mut self.client()?)?;
        }
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if !thread::panicking()
            && let Err(error) = self.check_blocks()
        {
            let _ = self.child.kill();
            panic!("{error:#}\n{}", self.output());
        }
        // It is gone already after `kill` and `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Takes the variables of the tests away, for the node reads every one that starts with `TANDEM_`.
pub fn clean(mut command: Command) -> Command {
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("TANDEM_") {
            command.env_remove(name);
        }
    }
    command
}

fn collect(lines: impl BufRead, output: &Mutex<Vec<String>>, mut see: impl FnMut(&str)) {
    for line in lines.lines() {
        let Ok(line) = line else { return };
        see(&line);
        if let Ok(mut output) = output.lock() {
            output.push(line);
        }
    }
}

fn listening(line: &str) -> Option<SocketAddr> {
    line.split_once(LISTENING)?.1.split_whitespace().next()?.parse().ok()
}

/// The binary: what `TANDEM_BIN` names, or one that is built here and now.
pub fn binary() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    if let Some(path) = env::var_os("TANDEM_BIN") {
        return Ok(path.into());
    }
    // A test target is named too, so that the features of shared dependencies are those that
    // `cargo test` has just built them with.
    let built =
        BUILT.get_or_init(|| build(&["--test", "e2e"]).map_err(|error| format!("{error:#}")));
    built.clone().map_err(anyhow::Error::msg)
}

/// The release build: what `TANDEM_BIN` names, or one that is built here and now.
pub fn release_binary() -> Result<PathBuf> {
    env::var_os("TANDEM_BIN").map_or_else(|| build(&["--release"]), |path| Ok(path.into()))
}

/// Builds the binary and says where it is.
fn build(options: &[&str]) -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--bin", "tandem"])
        .args(options)
        .current_dir(root())
        .status()
        .context("cannot start cargo")?;
    if !status.success() {
        bail!("tandem does not build: {status}");
    }
    let profile = if options.contains(&"--release") { "release" } else { "debug" };
    Ok(target()?.join(profile).join("tandem"))
}

/// Where cargo builds.
pub fn target() -> Result<PathBuf> {
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    std::fs::create_dir_all(&target)?;
    Ok(target)
}
