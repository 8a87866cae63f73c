//! Builds the crates that one day run on our own RISC-V engine, without the standard library.

use std::path::Path;

use anyhow::{Context, Result, bail};
use toolchain::{TARGET, Toolchain};

const PACKAGES: [&str; 5] =
    ["tandem-genesis", "tandem-tree", "tandem-vm", "tandem-state", "tandem-executor"];

/// Builds them.
pub(crate) fn run(toolchain: &Toolchain) -> Result<()> {
    let mut command = toolchain.build(Path::new("."));
    command.args(["--no-default-features", "--target-dir", "target/no-std"]);
    for package in PACKAGES {
        command.args(["--package", package]);
    }
    let status = command.status().context("cannot start cargo")?;
    if !status.success() {
        bail!("{} do not build for {TARGET}: {status}", PACKAGES.join(", "));
    }
    println!("{} build for {TARGET}", PACKAGES.join(", "));
    Ok(())
}
