//! Builds the contracts in `contracts/` for RISC-V and keeps their images and ABIs in
//! `contracts/images`, so that nobody needs a toolchain for RISC-V to try the node or to run its
//! tests. The same sources and the same compiler give the same bytes on every machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use toolchain::{TARGET, Toolchain};

/// The examples, then what `contracts/patterns` has.
const CONTRACTS: [&str; 16] = [
    "erc20",
    "collection",
    "pair",
    "exchange",
    "multisig",
    "claims",
    "crunch",
    "pingpong",
    "factory",
    "proxy",
    "ledger",
    "bank",
    "thief",
    "trouble",
    "catcher",
    "account",
];
/// Images that are not kept, for other people's crates are in them: each run writes them.
const NOT_KEPT: [&str; 1] = ["crunch"];
/// The `imageSizeMax` of a genesis that says nothing else.
const IMAGE_SIZE_MAX: usize = 524_288;
/// Says which compiler made the images: only the same one makes the same bytes.
const COMPILER_FILE: &str = "COMPILER";
/// Builds all contracts and writes their images and ABIs; with `check` it writes
/// none that are kept, and fails if a file would change that the same compiler made.
pub(crate) fn run(toolchain: &Toolchain, check: bool) -> Result<()> {
    let root = root()?;
    let images = root.join("contracts/images");
    let compiler = toolchain.describe() + "\n";
    let built_by = fs::read_to_string(images.join(COMPILER_FILE)).unwrap_or_default();
    let folder = build(toolchain, &root)?;
    let mut stale = Vec::new();
    for name in CONTRACTS {
        let image = fs::read(folder.join(name)).with_context(|| format!("no image of {name}"))?;
        accept(name, &image, &root)?;
        println!("{name}: {} bytes", image.len());
        if NOT_KEPT.contains(&name) {
            fs::write(images.join(format!("{name}.elf")), &image)?;
        }
        let files =
            [(format!("{name}.elf"), image), (format!("{name}.abi.json"), abi(&root, name)?)];
        for (file, bytes) in files {
            let path = images.join(&file);
            let same = fs::read(&path).is_ok_and(|old| old == bytes);
            if check && !same && (built_by == compiler || file.ends_with(".json")) {
                stale.push(file);
            } else if !check && !same {
                fs::write(&path, bytes).with_context(|| path.display().to_string())?;
            }
        }
    }
    if !check {
        fs::write(images.join(COMPILER_FILE), &compiler)?;
    } else if built_by != compiler {
        println!("images not compared: made by {}, not by {}", built_by.trim(), compiler.trim());
    }
    if !stale.is_empty() {
        bail!("contracts/images is stale, run `cargo xtask contracts`: {}", stale.join(", "));
    }
    Ok(())
}

/// Builds the contracts; the folder where the images are.
fn build(toolchain: &Toolchain, root: &Path) -> Result<PathBuf> {
    let target = target_folder(root);
    let mut command = toolchain.build(&root.join("contracts"));
    command.args(["--release", "--locked"]);
    command.arg("--target-dir").arg(&target);
    let mut flags = vec![format!("--remap-path-prefix={}=/tandem", root.display())];
    if let Some(crates) = registry() {
        flags.push(format!("--remap-path-prefix={}=/crates", crates.display()));
    }
    if let Some(library) = toolchain.library() {
        flags.push(format!("--remap-path-prefix={}=/rust", library.display()));
    }
    command.arg("--config").arg(format!("target.{TARGET}.rustflags={flags:?}"));
    run_to_end(command, "the contracts do not build")?;
    Ok(target.join(TARGET).join("release"))
}

/// A contract that is built for the machine at hand is a program that prints its ABI.
fn abi(root: &Path, name: &str) -> Result<Vec<u8>> {
    let output = Command::new("cargo")
        .current_dir(root.join("contracts"))
        .args(["run", "--quiet", "--locked", "--bin", name, "--target-dir"])
        .arg(target_folder(root))
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("the ABI of {name} cannot be printed: {}", output.status);
    }
    Ok(output.stdout)
}

/// What an image has to be, besides what the node's loader checks.
fn accept(name: &str, image: &[u8], root: &Path) -> Result<()> {
    if image.len() > IMAGE_SIZE_MAX {
        bail!("{name}: the image has {} bytes, the limit is {IMAGE_SIZE_MAX}", image.len());
    }
    let root = root.display().to_string();
    if image.windows(root.len()).any(|bytes| bytes == root.as_bytes()) {
        bail!("{name}: the image names a path of this machine, {root}");
    }
    Ok(())
}

fn root() -> Result<PathBuf> {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(xtask.parent().context("xtask is in the project's folder")?.canonicalize()?)
}

/// Where cargo keeps the sources of crates that contracts use.
fn registry() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cargo")))?;
    Some(home.join("registry/src"))
}

fn target_folder(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    target.join("contracts")
}

fn run_to_end(mut command: Command, failure: &str) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?} does not start"))?;
    if !status.success() {
        bail!("{failure}: {status}");
    }
    Ok(())
}
