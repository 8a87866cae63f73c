//! The repository's contracts, in Solidity and for RISC-V, as they are kept in `contracts/images`.

use std::fs;

use alloy::primitives::{Bytes, hex};
use anyhow::{Context, Result};
use serde_json::Value;

use crate::root;

/// RISC-V code's magic and version.
const CONTAINER: [u8; 4] = [0xef, 0x52, 0x56, 0x01];

/// Which of the two machines a contract is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// Solidity's output.
    Evm,
    /// The kit's.
    Riscv,
}

/// Both.
pub const MACHINES: [Machine; 2] = [Machine::Evm, Machine::Riscv];

impl Machine {
    /// The init code of a contract (`Token`, `PingPong`, ...) with its constructor's arguments.
    pub fn init_code(self, contract: &str, arguments: &[u8]) -> Result<Bytes> {
        let mut code = match self {
            Self::Evm => solidity_code(contract)?,
            Self::Riscv => container(&image(contract)?)?,
        };
        code.extend_from_slice(arguments);
        Ok(code.into())
    }
}

/// A RISC-V image.
pub fn image(contract: &str) -> Result<Vec<u8>> {
    let name = match contract {
        "Token" => "erc20".to_owned(),
        other => other.to_lowercase(),
    };
    read(&format!("{name}.elf"))
}

/// A container around an image, with an empty tail.
pub fn container(image: &[u8]) -> Result<Vec<u8>> {
    let length = u32::try_from(image.len())?;
    Ok([&CONTAINER[..], &length.to_be_bytes(), image].concat())
}

fn solidity_code(contract: &str) -> Result<Vec<u8>> {
    let artifact: Value = serde_json::from_slice(&read(&format!("{contract}.json"))?)?;
    let code = artifact["bytecode"].as_str().context("an artifact without bytecode")?;
    Ok(hex::decode(code)?)
}

fn read(name: &str) -> Result<Vec<u8>> {
    let path = root().join("contracts/images").join(name);
    fs::read(&path)
        .with_context(|| format!("cannot read {}: cargo xtask contracts builds it", path.display()))
}
