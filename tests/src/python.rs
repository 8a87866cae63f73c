//! Python packages, installed once into a virtual environment under `target/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{root, strict};

/// Runs the tests of `tests/python` whose names match `filter` against the node at `url`, which
/// may be the path of a Unix socket; every one has to pass or to be in the list of exceptions.
pub fn run_tests(url: &str, filter: &str) -> Result<()> {
    let Some(environment) = environment(filter)? else { return Ok(()) };
    let output = Command::new(environment.join("bin/python"))
        .args(["-m", "pytest", "--quiet", "--tb=short", "--node", url, "-k", filter])
        .arg(root().join("tests/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(environment)
        .output()
        .context("cannot start pytest")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "pytest {filter} {}:\n{text}", output.status);
    eprintln!("{filter}: {}", text.lines().last().unwrap_or_default());
    Ok(())
}

/// The virtual environment; `None`, with a line that says so, where Python is not there. With
/// `CI=true` it has to be.
fn environment(what: &str) -> Result<Option<&'static Path>> {
    static FOLDER: OnceLock<Result<Option<PathBuf>, String>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| install().map_err(|error| format!("{error:#}")));
    match folder {
        Ok(Some(path)) => Ok(Some(path)),
        Ok(None) if strict() => bail!("{what}: CI=true needs python3-venv, see docs/testing.md"),
        Ok(None) => {
            eprintln!("left out: {what} (needs python3-venv, see docs/testing.md)");
            Ok(None)
        }
        Err(error) => bail!("{what}: {error}"),
    }
}

fn install() -> Result<Option<PathBuf>> {
    let probe = Command::new("python3").args(["-c", "import ensurepip, venv"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        return Ok(None);
    }
    let source = root().join("tests/python/requirements.txt");
    let folder = root().join("target/python");
    fs::create_dir_all(&folder)?;
    // Several test binaries may come here at once.
    let lock = fs::File::create(folder.with_extension("lock"))?;
    lock.lock()?;
    let wanted = fs::read(&source)?;
    let mark = folder.join("installed.txt");
    if !fs::read(&mark).is_ok_and(|there| there == wanted) {
        let folder = folder.to_str().context("a path that is no UTF-8")?;
        let source = source.to_str().context("a path that is no UTF-8")?;
        run("python3", &["-m", "venv", "--clear", folder])?;
        let pip = format!("{folder}/bin/pip");
        // Every package is in the list, with its version.
        run(&pip, &["install", "--quiet", "--no-deps", "--requirement", source])?;
        fs::write(mark, wanted)?;
    }
    Ok(Some(folder))
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {arguments:?}: {errors}");
    Ok(())
}
