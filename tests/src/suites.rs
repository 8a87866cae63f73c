//! Where the public test suites lie: `TANDEM_SUITES` says it, see docs/testing.md.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::strict;

/// The suites' folder, or `None` where it is not set: `what` is then named as left out.
/// With `CI=true` it has to be there.
pub fn folder(what: &str) -> Result<Option<PathBuf>> {
    match env::var_os("TANDEM_SUITES") {
        Some(path) if Path::new(&path).is_dir() => Ok(Some(PathBuf::from(path))),
        Some(path) => bail!("TANDEM_SUITES names {}, which is no folder", path.display()),
        None if strict() => bail!("{what}: CI=true needs TANDEM_SUITES, see docs/testing.md"),
        None => {
            eprintln!("left out: {what} (set TANDEM_SUITES, see docs/testing.md)");
            Ok(None)
        }
    }
}

/// Unpacks a `.tar.gz` into a temporary folder.
pub fn unpack(archive: &Path) -> Result<TempDir> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let status = Command::new("tar")
        .arg("xzf")
        .arg(archive)
        .arg("-C")
        .arg(folder.path())
        .status()
        .context("cannot run tar")?;
    if !status.success() {
        bail!("tar could not unpack {}: {status}", archive.display());
    }
    Ok(folder)
}

/// Every `.json` file below a folder, sorted by path.
pub fn json_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in next.read_dir().with_context(|| format!("cannot list {}", next.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
