//! Real programs, compiled from `bench/programs`: what compilers make of ordinary Rust and C.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use toolchain::{TARGET, Toolchain};

use crate::guests::Guest;

/// The programs in Rust.
const RUST: [&str; 10] = [
    "sha256",
    "keccak",
    "blake3",
    "integers",
    "calls",
    "memory",
    "sorting",
    "bigint",
    "formatting",
    "heap",
];

/// Builds the Rust programs; with `bitmanip`, for a machine with Zba, Zbb, Zbc and Zbs.
///
/// `None` if they cannot be built, for lack of the network, which cargo has said, or of a toolchain:
/// `cargo xtask contracts` says what is lacking.
pub fn rust(bitmanip: bool) -> Option<Vec<Guest>> {
    // Cargo adds them to those in the programs' own settings.
    let mut flags = "";
    let mut folder = workspace().join("target/programs");
    if bitmanip {
        flags = "-Ctarget-feature=+zba,+zbb,+zbc,+zbs";
        folder.push("bitmanip");
    }
    let toolchain = Toolchain::find(&sources()).ok()?;
    let status = toolchain
        .build(&sources())
        .args(["--release", "--locked", "--target-dir"])
        .arg(&folder)
        .env("CARGO_TARGET_RISCV64IMAC_UNKNOWN_NONE_ELF_RUSTFLAGS", flags)
        .env_remove("RUSTFLAGS")
        .status();
    status.ok()?.success().then_some(())?;
    let release = folder.join(TARGET).join("release");
    let suffix = if bitmanip { "+zb" } else { "" };
    RUST.map(|name| load(&format!("{name}{suffix}"), &release.join(name))).into_iter().collect()
}

/// Builds the C programs with `riscv64-unknown-elf-gcc` and picolibc; `None` if there is none.
pub fn c() -> Option<Vec<Guest>> {
    let folder = workspace().join("target/programs/c");
    std::fs::create_dir_all(&folder).ok()?;
    let mut sources: Vec<PathBuf> = std::fs::read_dir(folder_of_c())
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .collect();
    sources.sort();
    let build = |source: PathBuf| {
        let name = source.file_stem()?.to_str()?.to_owned();
        let file = folder.join(&name);
        let status = Command::new("riscv64-unknown-elf-gcc")
            .args(["-O2", "-march=rv64imac", "-mabi=lp64", "-mcmodel=medany"])
            .args(["--specs=picolibc.specs", "-nostartfiles", "-static", "-Wl,--build-id=none"])
            .arg("-Wl,--no-warn-rwx-segments")
            .arg("-T")
            .arg(folder_of_c().join("program.ld"))
            .arg("-o")
            .arg(&file)
            .arg(&source)
            .stdin(Stdio::null())
            .status();
        status.ok()?.success().then_some(())?;
        load(&format!("{name}.c"), &file)
    };
    sources.into_iter().map(build).collect()
}

fn load(name: &str, path: &Path) -> Option<Guest> {
    Some(Guest { name: name.to_owned(), elf: std::fs::read(path).ok()? })
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("programs")
}

fn folder_of_c() -> PathBuf {
    sources().join("c")
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
