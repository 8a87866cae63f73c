//! A stranger's way: from `tandem new` to a contract of their own, deployed and called.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tandem_tests::{Node, node, root};

/// The second dev account's key.
const KEY: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
const BOB: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

/// A project in a folder of its own, and the binary.
struct Project {
    folder: PathBuf,
    tandem: PathBuf,
    _temporary: tempfile::TempDir,
}

impl Project {
    fn new() -> Result<Self> {
        let temporary = tempfile::tempdir()?;
        let folder = temporary.path().join("tally");
        let project = Self { folder, tandem: node::binary()?, _temporary: temporary };
        let kit = root().join("kit");
        let kit = kit.to_str().context("a path in UTF-8")?;
        let place = project.folder.to_str().context("a path in UTF-8")?;
        let made =
            Command::new(&project.tandem).args(["new", place, "--kit-path", kit]).output()?;
        ensure!(made.status.success(), "{made:?}");
        // The versions that are locked here, so that no other is asked for.
        fs::copy(root().join("Cargo.lock"), project.folder.join("Cargo.lock"))?;
        Ok(project)
    }

    /// A command in the project's folder, with a target folder that later runs find again.
    fn run(&self, program: &Path, arguments: &[&str]) -> Result<Output> {
        let mut command = node::clean(Command::new(program));
        command.current_dir(&self.folder).args(arguments).env("CARGO_TARGET_DIR", target()?);
        command.output().with_context(|| format!("{} does not start", program.display()))
    }

    fn tandem(&self, arguments: &[&str]) -> Result<Output> {
        self.run(&self.tandem, arguments)
    }

    /// What a command prints as JSON.
    fn json(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.tandem(&[arguments, &["--json"]].concat())?;
        ensure!(output.status.success(), "{arguments:?}: {output:?}");
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

fn target() -> Result<PathBuf> {
    Ok(node::target()?.join("project"))
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

#[test]
fn a_new_project_is_built_deployed_and_called() -> Result<()> {
    let project = Project::new()?;
    let built = project.json(&["build"])?;
    let size = built["contracts"][0]["size"].as_u64().context("a size")?;
    ensure!(size < 8_192, "{size} bytes");
    let interface = fs::read_to_string(target()?.join("tandem/ITally.sol"))?;
    ensure!(interface.contains("function setLimit(uint256 limit)"), "{interface}");
    ensure!(interface.contains("error TooFar(uint256 limit)"), "{interface}");

    let node = Node::start(&[])?;
    let url = node.url();
    let at_node = ["--rpc-url", url.as_str()];
    let deployed = project.json(&[&["deploy", "tally", "100"], &at_node[..]].concat())?;
    let address = deployed["address"].as_str().context("an address")?;
    let foretold = built["contracts"][0]["deploymentGas"].as_u64().context("gas")?;
    let gas = deployed["gas"].as_u64().context("gas")?;
    // The constructor stores two values.
    ensure!((foretold..foretold + 60_000).contains(&gas), "{gas} gas, foretold {foretold}");

    let send = |arguments: &[&str]| {
        project.tandem(&[&["send", address], arguments, &at_node[..]].concat())
    };
    let call = |arguments: &[&str]| -> Result<String> {
        let output = project.tandem(&[&["call", address], arguments, &at_node[..]].concat())?;
        ensure!(output.status.success(), "{output:?}");
        Ok(text(&output.stdout))
    };
    let sent = send(&["add", "60", "--private-key", KEY])?;
    ensure!(sent.status.success(), "{sent:?}");
    let counted = format!("Counted(by: {BOB}, count: 60)");
    ensure!(text(&sent.stdout).contains(&counted), "{sent:?}");
    ensure!(call(&["count"])? == "60\n");
    ensure!(call(&["raised(address)(uint256)", BOB])? == "60\n");

    // Errors by their names, and an exit code of their own.
    let refused = send(&["add(uint256)", "41"])?;
    ensure!(refused.status.code() == Some(3), "{refused:?}");
    ensure!(text(&refused.stderr) == "error: reverted: TooFar(limit: 100)\n", "{refused:?}");
    let refused = send(&["setLimit", "1", "--private-key", KEY])?;
    ensure!(text(&refused.stderr).contains(&format!("NotOwner(account: {BOB})")), "{refused:?}");
    let refused = send(&["add", "41", "--gas", "200000"])?;
    ensure!(refused.status.code() == Some(3), "{refused:?}");
    ensure!(text(&refused.stderr).contains("TooFar(limit: 100)"), "{refused:?}");
    for (arguments, says) in [
        (&["nothing", "1"][..], "is not in the ABIs of target/tandem"),
        (&["add"], "add takes 1 argument(s)"),
        (&["add", "many"], "`many` is no uint256"),
    ] {
        let failed = send(arguments)?;
        ensure!(failed.status.code() == Some(1), "{failed:?}");
        ensure!(text(&failed.stderr).contains(says), "{failed:?}");
    }
    node.stop()
}

/// The same tests, over the contract as native code and over its image.
#[test]
fn a_new_projects_tests_pass_on_both() -> Result<()> {
    let project = Project::new()?;
    project.json(&["build"])?;
    let images = target()?.join("tandem");
    for folder in [None, Some(images)] {
        let mut command = Command::new("cargo");
        command.current_dir(&project.folder).arg("test").env("CARGO_TARGET_DIR", target()?);
        command.envs(folder.map(|folder| ("CONTRACT_IMAGES", folder)));
        let tested = command.output()?;
        ensure!(text(&tested.stdout).contains("2 passed; 0 failed"), "{tested:?}");
    }
    Ok(())
}
