//! Builds the crates that one day run on our own RISC-V engine, without the standard library.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::gate;

/// The target of our own RISC-V engine.
pub(crate) const TARGET: &str = "riscv64imac-unknown-none-elf";
const PACKAGES: [&str; 5] =
    ["tandem-genesis", "tandem-tree", "tandem-vm", "tandem-state", "tandem-executor"];
/// Debian's own toolchain, whose package of sources lets it build `core` for any target.
const SYSTEM: &str = "/usr/bin";

/// Builds them with rustup's target where that is installed, else with Debian's toolchain.
pub(crate) fn run() -> Result<()> {
    let mut command = if target_installed()? {
        Command::new("cargo")
    } else if Path::new("/usr/lib/rustlib/src/rust").exists() && system("cargo").exists() {
        let mut command = Command::new(system("cargo"));
        command.env("RUSTC", system("rustc")).env("RUSTC_BOOTSTRAP", "1");
        command.env_remove("RUSTUP_TOOLCHAIN").arg("-Zbuild-std=core,alloc");
        command
    } else if gate::strict() {
        bail!(
            "CI=true needs the target {TARGET}, or Debian's rustc-web, cargo-web and rust-web-src"
        );
    } else {
        println!("left out: no_std (rustup target add {TARGET}, see docs/testing.md)");
        return Ok(());
    };
    command.args(["build", "--quiet", "--no-default-features", "--target", TARGET]);
    command.args(["--target-dir", "target/no-std"]);
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

/// Whether rustup has the target for the toolchain in use.
fn target_installed() -> Result<bool> {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .context("cannot start rustc")?;
    let folder = String::from_utf8(output.stdout)?;
    Ok(output.status.success() && Path::new(folder.trim()).exists())
}

fn system(tool: &str) -> PathBuf {
    Path::new(SYSTEM).join(tool)
}
