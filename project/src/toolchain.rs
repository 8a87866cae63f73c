//! What builds for RISC-V.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Failure;

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
    /// Whether `core` is built from source.
    from_source: bool,
}

impl Toolchain {
    pub(crate) fn find() -> Result<Self, Failure> {
        let path = Self { cargo: "cargo".into(), rustc: "rustc".into(), from_source: false };
        if path.has_target() {
            return Ok(path);
        }
        let system = Path::new(SYSTEM);
        let places = [(system.join("cargo"), system.join("rustc")), (path.cargo, path.rustc)];
        for (cargo, rustc) in places {
            let Some(sysroot) = ask(&rustc, &["--print", "sysroot"]) else { continue };
            let sources = Path::new(&sysroot).join("lib/rustlib/src/rust/library/core");
            let linker = ask(Path::new("ld.lld"), &["--version"]).is_some();
            if sources.is_dir() && linker && ask(&cargo, &["--version"]).is_some() {
                return Ok(Self { cargo, rustc, from_source: true });
            }
        }
        Err(Failure::Toolchain(HELP))
    }

    fn has_target(&self) -> bool {
        let folder = ask(&self.rustc, &["--print", "target-libdir", "--target", TARGET]);
        folder.is_some_and(|folder| Path::new(&folder).exists())
    }

    /// The compiler's name and version, and how it comes by `core`.
    pub(crate) fn describe(&self) -> String {
        let version = ask(&self.rustc, &["--version"]).unwrap_or_default();
        let core = if self.from_source { ", core built from source" } else { "" };
        format!("{version}{core}")
    }

    /// cargo for the machine at hand.
    pub(crate) fn cargo(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.cargo);
        command.current_dir(folder).env("RUSTC", &self.rustc).stderr(Stdio::inherit());
        if self.from_source {
            command.env_remove("RUSTUP_TOOLCHAIN");
        }
        command
    }

    /// cargo that builds a release for RISC-V.
    pub(crate) fn build(&self, folder: &Path) -> Command {
        let mut command = self.cargo(folder);
        command.args(["build", "--release", "--target", TARGET]);
        command.args(["--config", "profile.release.strip=\"symbols\""]);
        if self.from_source {
            command.env("RUSTC_BOOTSTRAP", "1");
            command.args(["-Zbuild-std=core,alloc,compiler_builtins"]);
            command.args(["-Zbuild-std-features=compiler-builtins-mem"]);
            command.arg("--config").arg(format!("target.{TARGET}.linker=\"ld.lld\""));
        }
        command
    }
}

/// What a tool says, if it starts and succeeds.
fn ask(tool: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new(tool).args(arguments).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
