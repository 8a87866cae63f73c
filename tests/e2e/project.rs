//! A stranger's way: from `tandem new` to a contract of their own, deployed and called.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tandem_tests::{Node, node, npm, root};

/// The second dev account's key.
const KEY: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
const BOB: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

/// A project in a folder of its own, and the binary.
pub(crate) struct Project {
    pub(crate) folder: PathBuf,
    tandem: PathBuf,
    _temporary: tempfile::TempDir,
}

impl Project {
    /// Projects that are built at the same time have names of their own, for they share a target
    /// folder.
    pub(crate) fn new(name: &str) -> Result<Self> {
        Self::with_kit(name, "--kit-path", &root().join("kit"))
    }

    fn with_kit(name: &str, flag: &str, kit: &Path) -> Result<Self> {
        let temporary = tempfile::tempdir()?;
        let folder = temporary.path().join(name);
        let project = Self { folder, tandem: node::binary()?, _temporary: temporary };
        let made = Command::new(&project.tandem)
            .args(["new".as_ref(), project.folder.as_os_str(), flag.as_ref(), kit.as_os_str()])
            .output()?;
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
    pub(crate) fn json(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.tandem(&[arguments, &["--json"]].concat())?;
        ensure!(output.status.success(), "{arguments:?}: {output:?}");
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// Where its packages are built.
pub(crate) fn target() -> Result<PathBuf> {
    Ok(node::target()?.join("project"))
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

#[test]
fn a_new_project_is_built_deployed_and_called() -> Result<()> {
    let project = Project::new("tally")?;
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
    let nobody = project.tandem(&[&["call", BOB, "count()(uint256)"], &at_node[..]].concat())?;
    let says = format!("error: there is no contract at {BOB} in block latest\n");
    ensure!(text(&nobody.stderr) == says, "{nobody:?}");
    node.stop()
}

/// The same tests, over the contract as native code and over its image.
#[test]
fn a_new_projects_tests_pass_on_both() -> Result<()> {
    let project = Project::new("tally")?;
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

/// Panics with their messages, of the contract as native code and of its image.
#[test]
fn panics_reach_the_caller_with_their_messages() -> Result<()> {
    let project = Project::new("panicking")?;
    fs::write(project.folder.join("src/main.rs"), PANICKING)?;
    fs::write(project.folder.join("src/tests.rs"), PANICS)?;
    project.json(&["build"])?;
    for folder in [None, Some(target()?.join("tandem"))] {
        let mut command = Command::new("cargo");
        command.current_dir(&project.folder).arg("test").env("CARGO_TARGET_DIR", target()?);
        command.envs(folder.map(|folder| ("CONTRACT_IMAGES", folder)));
        let tested = command.output()?;
        ensure!(text(&tested.stdout).contains("1 passed; 0 failed"), "{tested:?}");
    }
    Ok(())
}

const PANICKING: &str = "\
#![cfg_attr(target_os = \"none\", no_std, no_main)]
#[cfg(test)]
mod tests;
use tandem_kit::prelude::*;
#[storage]
pub struct Panicking {}
#[contract]
impl Panicking {
    pub fn fail(how: u64, list: Vec<u64>) -> u64 {
        match how {
            0 => panic!(\"in plain words\"),
            1 => panic!(\"{} of {list:?}\", list.len()),
            2 => \"x\".parse().expect(\"a number\"),
            n => list[n as usize],
        }
    }
}
entry!(Panicking);
";

const PANICS: &str = "\
use tandem_kit_test::Chain;
#[test]
fn messages_are_the_reason() {
    let mut chain = Chain::new();
    let contract = chain.deploy::<crate::Panicking>(&());
    let mut fail = |how: u64, says: &str| {
        let arguments = (how, vec![7u64, 8]);
        chain.send(contract, \"fail(uint64,uint64[])\", &arguments).reverted_with(says);
    };
    fail(0, \"in plain words\");
    fail(1, \"2 of [7, 8]\");
    fail(2, \"a number: ParseIntError { kind: InvalidDigit }\");
    fail(5, \"index out of bounds: the len is 2 but the index is 5\");
}
";

/// The kit out of a git repository: one that is made of the files here.
#[test]
fn a_projects_kit_may_come_from_git() -> Result<()> {
    let repository = tempfile::tempdir()?;
    let git = |folder: &Path, arguments: &[&str]| -> Result<Output> {
        let mut command = Command::new("git");
        command.current_dir(folder).args(["-c", "user.name=a", "-c", "user.email=a@b"]);
        let output = command.args(arguments).output()?;
        ensure!(output.status.success(), "git {arguments:?}: {output:?}");
        Ok(output)
    };
    let listed = git(&root(), &["ls-files", "-co", "--exclude-standard"]);
    let Ok(listed) = listed else { return npm::left_out("a kit from git", "a clone by git") };
    for file in text(&listed.stdout).lines().filter(|file| root().join(file).is_file()) {
        let place = repository.path().join(file);
        fs::create_dir_all(place.parent().context("a folder")?)?;
        fs::copy(root().join(file), place)?;
    }
    git(repository.path(), &["init", "--quiet"])?;
    git(repository.path(), &["add", "--all"])?;
    git(repository.path(), &["commit", "--quiet", "--message", "All of it"])?;
    let project = Project::with_kit("from-git", "--kit-git", repository.path())?;
    let manifest = fs::read_to_string(project.folder.join("Cargo.toml"))?;
    ensure!(manifest.contains("git = \"file:///"), "{manifest}");
    // The contract's ABI, by the cargo at hand: a distribution's may know no git.
    let abi = project.run(Path::new("cargo"), &["run", "--quiet"])?;
    ensure!(text(&abi.stdout).contains("\"setLimit\""), "{abi:?}");
    Ok(())
}

/// What the compiler says of contracts that are wrong.
#[test]
fn wrong_contracts_do_not_compile() -> Result<()> {
    let project = Project::new("wrong")?;
    let program = project.folder.join("src/main.rs");
    for (functions, says) in WRONG {
        let source =
            format!("{WRONG_START}#[contract]\nimpl Wrong {{\n{functions}\n}}\nentry!(Wrong);\n");
        fs::write(&program, source)?;
        let built = project.run(Path::new("cargo"), &["build", "--quiet"])?;
        ensure!(!built.status.success(), "this compiles:\n{functions}");
        let errors = text(&built.stderr);
        ensure!(errors.contains(says), "{functions}\ndoes not end in `{says}`:\n{errors}");
    }
    // The same without a mistake.
    let right =
        "pub fn f(&mut self, to: Address) -> Result<(), Failure> { Other::at(to).write(self) }";
    fs::write(
        &program,
        format!("{WRONG_START}#[contract]\nimpl Wrong {{ {right} }}\nentry!(Wrong);\n"),
    )?;
    let built = project.run(Path::new("cargo"), &["build", "--quiet"])?;
    ensure!(built.status.success(), "{built:?}");
    Ok(())
}

/// What stands before the functions below.
const WRONG_START: &str = "\
#![cfg_attr(target_os = \"none\", no_std, no_main)]
use tandem_kit::call::{create, selfdestruct};
use tandem_kit::prelude::*;
event! { Seen(count: U256); }
interface! { Other { view read() -> U256; write write(); payable pay(); } }
#[storage]
pub struct Wrong { count: U256, map: Map<Address, U256>, list: Vec<U256> }
";

/// Functions of a contract, and what the compiler says of them.
const WRONG: [(&str, &str); 14] = [
    ("pub fn f(&self) { self.count.set(U256::ONE) }", "cannot borrow `self.count` as mutable"),
    (
        "pub fn f(&self, a: Address) { self.map.set(a, U256::ONE) }",
        "cannot borrow `self.map` as mutable",
    ),
    ("pub fn f(&self) { self.list.push(U256::ONE) }", "cannot borrow `self.list` as mutable"),
    (
        "pub fn f(&self) { self.at_slot_mut(Word::ZERO).set(U256::ONE) }",
        "cannot borrow `*self` as mutable",
    ),
    (
        "pub fn f(&self) { self.emit(Seen { count: U256::ONE }) }",
        "cannot borrow `*self` as mutable",
    ),
    (
        "pub fn f(&self, to: Address) -> Result<(), Failure> { Other::at(to).write(self) }",
        "types differ in mutability",
    ),
    (
        "pub fn f(&self, to: Address) -> Result<(), Failure> { Other::at(to).pay(self) }",
        "types differ in mutability",
    ),
    (
        "pub fn f(to: Address) -> Result<(), Failure> { Other::at(to).write() }",
        "this method takes 1 argument",
    ),
    (
        "pub fn f(&self, to: Address) -> Result<U256, Failure> { Other::at(to).delegated(self).read() }",
        "types differ in mutability",
    ),
    (
        "pub fn f(&self, to: Address) { let _ = Call::to(to).send(self, &[]); }",
        "types differ in mutability",
    ),
    (
        "pub fn f(&self, code: Bytes) { let _ = create(self, &code.0, U256::ZERO); }",
        "types differ in mutability",
    ),
    ("pub fn f(&self, heir: Address) { selfdestruct(self, heir) }", "types differ in mutability"),
    (
        "pub fn burn(&mut self, value: U256) { self.count.set(value) }\n\
         #[name(\"collate_propagate_storage\")]\n\
         pub fn collate(&mut self, text: FixedBytes<16>) { self.count.erase() }",
        "`burn` has the selector of another function",
    ),
    ("#[payable]\npub fn f(&self) {}", "a payable function takes `&mut self`"),
];
