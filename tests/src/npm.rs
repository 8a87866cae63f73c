//! Tools and contracts from npm, installed once into a folder under `target/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use anyhow::{Context, Result, bail};

use crate::{root, strict};

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

/// Runs a tool of the Foundry packages.
pub fn foundry(folder: &Path, tool: &str, arguments: &[&str]) -> Result<Output> {
    let path = foundry_path(folder, tool)?;
    Command::new(path).args(arguments).output().with_context(|| format!("cannot start {tool}"))
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
    if !is_there {
        // Not `npm ci`: it wants the binaries of every other platform in the lock file, and a lock
        // file without hosts has none of them.
        let output = Command::new("npm")
            .args(["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"])
            .arg("--legacy-peer-deps")
            .current_dir(&folder)
            .output()?;
        if !output.status.success() {
            bail!("npm install: {}", String::from_utf8_lossy(&output.stderr));
        }
        fs::write(folder.join("installed.json"), wanted)?;
    }
    Ok(Some(folder))
}
