//! What builds for RISC-V: rustup's target where that is installed, else Debian's toolchain with
//! the sources of `core`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

/// The target of our own RISC-V engine.
pub(crate) const TARGET: &str = "riscv64imac-unknown-none-elf";
/// Where Debian's own toolchain is, whose package of sources builds `core` for any target.
const SYSTEM: &str = "/usr/bin";

const HELP: &str = "no Rust toolchain here can build for riscv64imac-unknown-none-elf: install one
  with rustup:  rustup target add riscv64imac-unknown-none-elf
  on Debian:    apt install rustc-web cargo-web rust-web-src lld";

/// A compiler, and how it comes by `core`.
pub(crate) struct Toolchain {
    cargo: PathBuf,
    rustc: PathBuf,
    /// Where the sources of `core` are, if it has to be built too.
    library: Option<PathBuf>,
}

impl Toolchain {
    /// The first that is here; the error says what to install.
    pub(crate) fn find() -> Result<Self> {
        let rustup = Self { cargo: "cargo".into(), rustc: "rustc".into(), library: None };
        if rustup.has_target() {
            return Ok(rustup);
        }
        let system = Path::new(SYSTEM);
        for (cargo, rustc) in [
            (system.join("cargo"), system.join("rustc")),
            (PathBuf::from("cargo"), PathBuf::from("rustc")),
        ] {
            let Some(sysroot) = ask(&rustc, &["--print", "sysroot"]) else { continue };
            let library = Path::new(&sysroot).join("lib/rustlib/src/rust/library");
            if library.exists() && ask("ld.lld".as_ref(), &["--version"]).is_some() {
                // Packages of a distribution keep the sources behind a link.
                let library = library.canonicalize()?;
                return Ok(Self { cargo, rustc, library: Some(library) });
            }
        }
        bail!(HELP)
    }

    fn has_target(&self) -> bool {
        let folder = ask(&self.rustc, &["--print", "target-libdir", "--target", TARGET]);
        folder.is_some_and(|folder| Path::new(&folder).exists())
    }

    /// The compiler's version, and how it comes by `core`.
    pub(crate) fn describe(&self) -> Result<String> {
        let version = ask(&self.rustc, &["--version"]).context("rustc does not start")?;
        let with = if self.library.is_some() { ", core built from source" } else { "" };
        Ok(format!("{version}{with}\n"))
    }

    /// Where the sources of `core` are, if it has to be built too.
    pub(crate) fn library(&self) -> Option<&Path> {
        self.library.as_deref()
    }

    /// cargo that builds for RISC-V.
    pub(crate) fn build(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        command.env("RUSTC", &self.rustc).args(["build", "--quiet", "--target", TARGET]);
        if self.library.is_some() {
            command.env("RUSTC_BOOTSTRAP", "1").env_remove("RUSTUP_TOOLCHAIN");
            command.arg("-Zbuild-std=core,alloc,compiler_builtins");
            command.arg("-Zbuild-std-features=compiler-builtins-mem");
        }
        command
    }
}

/// What a tool says, if it starts and succeeds.
fn ask(tool: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new(tool).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
