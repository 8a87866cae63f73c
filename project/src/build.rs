//! `tandem build`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use alloy_json_abi::JsonAbi;
use clap::Args;
use genesis::RiscvParams;
use serde::Deserialize;
use toolchain::{TARGET, Toolchain};
use vm::riscv::Image;

use crate::new::write;
use crate::{Failure, Report};

/// Builds the contracts of a project.
#[derive(Debug, Args)]
pub(crate) struct Build {
    /// The project's folder
    #[arg(default_value = ".", value_name = "DIR")]
    folder: PathBuf,
}

/// The folder of images, ABIs and interfaces, inside of cargo's target folder.
pub(crate) const OUTPUT: &str = "tandem";

/// The most gas that a transaction may have: EIP-7825.
const TRANSACTION_GAS_MAX: u64 = 16_777_216;

/// What cargo says of a project.
#[derive(Deserialize)]
struct Metadata {
    target_directory: PathBuf,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Build {
    pub(crate) fn run(&self) -> Result<Report, Failure> {
        let folder = fs::canonicalize(&self.folder)
            .map_err(|error| Failure::File { path: self.folder.clone(), error })?;
        let toolchain = Toolchain::find(&folder)?;
        let (target, contracts) = contracts(&toolchain, &folder)?;
        let mut build = toolchain.build(&folder);
        build.args(["--release", "--config", "profile.release.strip=\"symbols\""]);
        for contract in &contracts {
            build.args(["--bin", contract]);
        }
        run(&mut build)?;
        let output = target.join(OUTPUT);
        let mut text = String::new();
        let mut built = Vec::new();
        for name in &contracts {
            let file = target.join(TARGET).join("release").join(name);
            let image = fs::read(&file).map_err(|error| Failure::File { path: file, error })?;
            check(name, &image)?;
            let abi = run(toolchain.cargo(&folder).args(["run", "--quiet", "--bin", name]))?;
            let parsed: JsonAbi = serde_json::from_slice(&abi)
                .map_err(|error| Failure::Abi { name: name.clone(), error })?;
            let interface = interface(name, &parsed);
            let gas = deployment_gas(&image);
            write(&output.join(format!("{name}.elf")), &image)?;
            write(&output.join(format!("{name}.abi.json")), &abi)?;
            write(&output.join(format!("I{}.sol", pascal(name))), interface.as_bytes())?;
            let size = image.len();
            text += &format!("{name}: {size} bytes, {gas} gas to deploy before its constructor\n");
            if gas > TRANSACTION_GAS_MAX {
                text += &format!(
                    "  more than a transaction has from Osaka on ({TRANSACTION_GAS_MAX}): genesis \
                     or anvil_setCode can place it\n"
                );
            }
            built.push(serde_json::json!({ "name": name, "size": size, "deploymentGas": gas }));
        }
        text += &format!("images, ABIs and interfaces are in {}\n", output.display());
        let report =
            Report::default().with("contracts", built).with("compiler", toolchain.describe());
        Ok(report.with("folder", output.display().to_string()).text(text))
    }
}

/// cargo's target folder, and the programs of the package in `folder`.
fn contracts(toolchain: &Toolchain, folder: &Path) -> Result<(PathBuf, Vec<String>), Failure> {
    let none = |reason: String| Failure::NoContract(reason);
    if !folder.join("Cargo.toml").is_file() {
        return Err(none(format!("{} has no Cargo.toml", folder.display())));
    }
    let arguments = ["metadata", "--format-version", "1", "--no-deps"];
    let json = run(toolchain.cargo(folder).args(arguments))?;
    let metadata: Metadata =
        serde_json::from_slice(&json).map_err(|error| none(error.to_string()))?;
    let manifest = folder.join("Cargo.toml");
    let here = metadata.packages.into_iter().filter(|package| package.manifest_path == manifest);
    let programs = here
        .flat_map(|package| package.targets)
        .filter(|target| target.kind.iter().any(|kind| kind == "bin"))
        .map(|target| target.name);
    let programs: Vec<String> = programs.collect();
    if programs.is_empty() {
        return Err(none(format!("{} has no program (src/main.rs)", folder.display())));
    }
    Ok((metadata.target_directory, programs))
}

/// Runs a program to its end; its standard output.
fn run(command: &mut Command) -> Result<Vec<u8>, Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdout(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .map_err(|error| Failure::Start { program, error })?;
    if !output.status.success() {
        return Err(Failure::Program { program: "cargo", status: output.status });
    }
    Ok(output.stdout)
}

/// Whether a chain with the default limits takes the image.
fn check(name: &str, image: &[u8]) -> Result<(), Failure> {
    let fail = |reason: String| Failure::Image { name: name.to_owned(), reason };
    let params = RiscvParams::default();
    let (size, limit) = (image.len(), params.image_size_max as usize);
    if size > limit {
        return Err(fail(format!("the image has {size} bytes, the limit is {limit}")));
    }
    Image::load(image, &params.gas).map_err(|error| fail(error.to_string()))?;
    Ok(())
}

/// The gas of a transaction that deploys the image with a constructor without arguments that does
/// nothing, at the default prices (docs/spec/riscv-abi.md, section 1).
fn deployment_gas(image: &[u8]) -> u64 {
    const BASE: u64 = 21_000 + 32_000;
    let params = RiscvParams::default();
    let container = genesis::Container { image, tail: &[] }.encode().unwrap_or_default();
    let data: u64 = container.iter().map(|byte| if *byte == 0 { 4 } else { 16 }).sum();
    let (size, bytes) = (image.len() as u64, container.len() as u64);
    let words = 2 * bytes.div_ceil(32);
    let decode = 2 * params.decode_gas_per_byte * size;
    BASE + data + words + decode + params.deposit_gas_per_byte * bytes
}

/// The contract's Solidity interface, as a file.
fn interface(name: &str, abi: &JsonAbi) -> String {
    let interface = abi.to_sol(&format!("I{}", pascal(name)), None);
    format!("// SPDX-License-Identifier: UNLICENSED\npragma solidity ^0.8.4;\n\n{interface}\n")
}

/// A name as Solidity names contracts: `my-coin` is `MyCoin`.
pub(crate) fn pascal(name: &str) -> String {
    let words = name.split(['-', '_']);
    words
        .map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map(|first| first.to_ascii_uppercase())
                .into_iter()
                .chain(letters)
                .collect::<String>()
        })
        .collect()
}
