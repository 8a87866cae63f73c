//! What builds for RISC-V: rustup's target where that is installed, else Debian's toolchain with
//! the sources of `core`. `tandem build` and `cargo xtask` both go by it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The target of contracts.
pub const TARGET: &str = "riscv64imac-unknown-none-elf";
/// Where Debian's own toolchain is, whose package of sources builds `core` for any target.
const SYSTEM: &str = "/usr/bin";
/// Links without a compiler's driver.
const LINKER: &str = "ld.lld";

/// No toolchain that was found can build for [`TARGET`].
#[derive(Debug, thiserror::Error)]
#[error(
    "no Rust toolchain here can build for {TARGET}:{lacking}
install one
  with rustup:  rustup target add {TARGET}
  on Debian:    apt install rustc-web cargo-web rust-web-src lld"
)]
pub struct NoToolchain {
    /// What each that was looked at lacks, a line each.
    lacking: String,
}

/// A compiler, and how it comes by `core`.
#[derive(Debug)]
pub struct Toolchain {
    cargo: PathBuf,
    rustc: PathBuf,
    /// Where the sources of `core` are, if it has to be built too.
    library: Option<PathBuf>,
}

impl Toolchain {
    /// The first that can build what is in `folder`: that of the search path by its target, then
    /// the system's and that of the search path by their sources.
    ///
    /// # Errors
    /// If there is none; it says what each lacks, and what to install.
    pub fn find(folder: &Path) -> Result<Self, NoToolchain> {
        let system = Path::new(SYSTEM);
        let path = [PathBuf::from("cargo"), PathBuf::from("rustc")];
        let installed = [system.join("cargo"), system.join("rustc")];
        let mut lacking = String::new();
        for ([cargo, rustc], from_source) in
            [(path.clone(), false), (installed, true), (path, true)]
        {
            match check(folder, &cargo, &rustc, from_source) {
                Ok(library) => return Ok(Self { cargo, rustc, library }),
                Err(lacks) if lacking.contains(&lacks) => {}
                Err(lacks) => lacking += &format!("\n  {lacks}"),
            }
        }
        Err(NoToolchain { lacking })
    }

    /// The compiler's version, and how it comes by `core`.
    pub fn describe(&self) -> String {
        let version = ask(Path::new("."), &self.rustc, &["--version"]).unwrap_or_default();
        let core = if self.library.is_some() { ", core built from source" } else { "" };
        format!("{version}{core}")
    }

    /// Where the sources of `core` are, if it has to be built too.
    pub fn library(&self) -> Option<&Path> {
        self.library.as_deref()
    }

    /// cargo for the machine at hand.
    pub fn cargo(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.cargo);
        command.current_dir(folder).env("RUSTC", &self.rustc);
        if self.library.is_some() {
            command.env_remove("RUSTUP_TOOLCHAIN");
        }
        command
    }

    /// `cargo build --quiet` for RISC-V.
    pub fn build(&self, folder: &Path) -> Command {
        let mut command = self.cargo(folder);
        command.args(["build", "--quiet", "--target", TARGET]);
        if self.library.is_some() {
            command.env("RUSTC_BOOTSTRAP", "1");
            command.arg("-Zbuild-std=core,alloc,compiler_builtins");
            command.arg("-Zbuild-std-features=compiler-builtins-mem");
            command.arg("--config").arg(format!("target.{TARGET}.linker={LINKER:?}"));
        }
        command
    }
}

/// The sources that a toolchain builds `core` from, none if it has the target; or what it lacks.
fn check(
    folder: &Path,
    cargo: &Path,
    rustc: &Path,
    from_source: bool,
) -> Result<Option<PathBuf>, String> {
    for tool in [cargo, rustc] {
        if ask(folder, tool, &["--version"]).is_none() {
            return Err(format!("{} does not start", tool.display()));
        }
    }
    let lacks = |what: &str| Err(format!("{} has no {what}", rustc.display()));
    let print = |what: &str| ask(folder, rustc, &["--print", what, "--target", TARGET]);
    if !from_source {
        let there = print("target-libdir").is_some_and(|libdir| Path::new(&libdir).exists());
        return if there { Ok(None) } else { lacks(&format!("target {TARGET}")) };
    }
    let library =
        Path::new(&print("sysroot").unwrap_or_default()).join("lib/rustlib/src/rust/library");
    // Packages of a distribution keep the sources behind a link.
    let Ok(library) = library.canonicalize() else {
        return lacks("sources of core");
    };
    match ask(folder, Path::new(LINKER), &["--version"]) {
        Some(_) => Ok(Some(library)),
        None => Err(format!("{LINKER} does not start")),
    }
}

/// What a tool says, if it starts and succeeds.
fn ask(folder: &Path, tool: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(tool);
    let output = command.current_dir(folder).args(arguments).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A tool that answers what `script` says.
    fn tool(folder: &Path, name: &str, script: &str) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn what_a_toolchain_lacks_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        let cargo = tool(here, "cargo", "echo cargo 1");
        let rustc = tool(here, "rustc", &format!("echo {}", here.join("none").display()));
        let missing = here.join("missing");
        let fails = |cargo: &Path, rustc: &Path, from_source| {
            check(here, cargo, rustc, from_source).unwrap_err()
        };
        assert!(fails(&missing, &rustc, false).ends_with("missing does not start"));
        assert!(fails(&cargo, &missing, true).ends_with("missing does not start"));
        let broken = tool(here, "broken", "exit 1");
        assert!(fails(&cargo, &broken, true).ends_with("broken does not start"));
        assert!(fails(&cargo, &rustc, false).ends_with(&format!("rustc has no target {TARGET}")));
        assert!(fails(&cargo, &rustc, true).ends_with("rustc has no sources of core"));
        let ready = tool(here, "ready", &format!("echo {}", here.display()));
        assert_eq!(check(here, &cargo, &ready, false), Ok(None));
        let error = NoToolchain { lacking: "\n  cargo does not start".to_owned() }.to_string();
        assert!(error.contains(":\n  cargo does not start\ninstall one\n"), "{error}");
    }
}
