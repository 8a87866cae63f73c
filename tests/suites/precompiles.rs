//! go-ethereum's vectors of precompiled contracts: input, output and gas.

use std::{fs, path::Path};

use alloy_primitives::{Bytes, U256};
use anyhow::{Context, Result, ensure};
use genesis::SpecId;
use serde::Deserialize;
use vm::Engine;

use super::{Report, engine, hex, run_code};

/// A file's name, the precompile's address, and the fork whose prices the file has.
const FILES: [(&str, u16, SpecId); 29] = [
    ("ecRecover", 0x01, SpecId::OSAKA),
    ("modexp", 0x05, SpecId::BYZANTIUM),
    ("modexp_eip2565", 0x05, SpecId::BERLIN),
    ("modexp_eip7883", 0x05, SpecId::OSAKA),
    ("bn256Add", 0x06, SpecId::OSAKA),
    ("bn256ScalarMul", 0x07, SpecId::OSAKA),
    ("bn256Pairing", 0x08, SpecId::OSAKA),
    ("blake2F", 0x09, SpecId::OSAKA),
    ("fail-blake2f", 0x09, SpecId::OSAKA),
    ("pointEvaluation", 0x0a, SpecId::OSAKA),
    ("blsG1Add", 0x0b, SpecId::OSAKA),
    ("fail-blsG1Add", 0x0b, SpecId::OSAKA),
    // A product is a sum of products with one term.
    ("blsG1Mul", 0x0c, SpecId::OSAKA),
    ("fail-blsG1Mul", 0x0c, SpecId::OSAKA),
    ("blsG1MultiExp", 0x0c, SpecId::OSAKA),
    ("fail-blsG1MultiExp", 0x0c, SpecId::OSAKA),
    ("blsG2Add", 0x0d, SpecId::OSAKA),
    ("fail-blsG2Add", 0x0d, SpecId::OSAKA),
    ("blsG2Mul", 0x0e, SpecId::OSAKA),
    ("fail-blsG2Mul", 0x0e, SpecId::OSAKA),
    ("blsG2MultiExp", 0x0e, SpecId::OSAKA),
    ("fail-blsG2MultiExp", 0x0e, SpecId::OSAKA),
    ("blsPairing", 0x0f, SpecId::OSAKA),
    ("fail-blsPairing", 0x0f, SpecId::OSAKA),
    ("blsMapG1", 0x10, SpecId::OSAKA),
    ("fail-blsMapG1", 0x10, SpecId::OSAKA),
    ("blsMapG2", 0x11, SpecId::OSAKA),
    ("fail-blsMapG2", 0x11, SpecId::OSAKA),
    ("p256Verify", 0x100, SpecId::OSAKA),
];
/// The identity precompile and its price: 15 and 3 a word.
const IDENTITY: u16 = 0x04;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Vector {
    name: String,
    input: String,
    expected: Option<String>,
    gas: Option<u64>,
    expected_error: Option<String>,
}

pub(crate) fn run(folder: &Path, report: &mut Report) -> Result<()> {
    let mut files = 0;
    for (file, address, fork) in FILES {
        let path = folder.join("precompiles/precompiles").join(format!("{file}.json"));
        let text = fs::read(&path).with_context(|| path.display().to_string())?;
        let vectors: Vec<Vector> = serde_json::from_slice(&text)?;
        let engine = engine(fork);
        for vector in &vectors {
            let label = format!("{file} {}", vector.name);
            report.note(&label, check(&engine, address, vector));
        }
        files += 1;
    }
    let there = fs::read_dir(folder.join("precompiles/precompiles"))?.count();
    ensure!(files == there, "{files} of {there} files of precompiles are known");
    Ok(())
}

fn check(engine: &Engine, address: u16, vector: &Vector) -> Result<()> {
    let input = hex(&vector.input)?;
    let called = call(engine, address, &input)?;
    if let Some(error) = &vector.expected_error {
        ensure!(!called.succeeded, "{error} expected, but it succeeded");
        return Ok(());
    }
    let expected = hex(vector.expected.as_deref().context("no output")?)?;
    ensure!(called.succeeded, "it failed");
    ensure!(called.output == expected, "{} instead of {expected}", called.output);
    // What the caller itself costs is what an identity of known price costs beyond it.
    let identity = call(engine, IDENTITY, &input)?;
    let words = u64::try_from(input.len().div_ceil(32))?;
    let overhead = identity.gas - (15 + 3 * words);
    let gas = called.gas - overhead;
    ensure!(Some(gas) == vector.gas, "{gas} gas instead of {:?}", vector.gas);
    Ok(())
}

struct Called {
    succeeded: bool,
    gas: u64,
    output: Bytes,
}

/// Has a contract call a precompile and say whether it succeeded, the gas, and the output.
fn call(engine: &Engine, address: u16, input: &Bytes) -> Result<Called> {
    let [high, low] = address.to_be_bytes();
    let code = [
        // CALLDATACOPY(0, 0, CALLDATASIZE)
        &[0x36, 0x60, 0, 0x60, 0, 0x37][..],
        // GAS, STATICCALL(GAS, address, 0, CALLDATASIZE, 0, 0), GAS
        &[0x5a, 0x60, 0, 0x60, 0, 0x36, 0x60, 0, 0x61, high, low, 0x5a, 0xfa, 0x5a],
        // The stack is now: before, success, after. MSTORE(0, success), MSTORE(32, before - after)
        &[0x90, 0x60, 0, 0x52, 0x90, 0x03, 0x60, 32, 0x52],
        // RETURNDATACOPY(64, 0, RETURNDATASIZE), RETURN(0, RETURNDATASIZE + 64)
        &[0x3d, 0x60, 0, 0x60, 64, 0x3e, 0x60, 64, 0x3d, 0x01, 0x60, 0, 0xf3],
    ]
    .concat();
    let answer = run_code(engine, code.into(), input.clone())?;
    ensure!(answer.len() >= 64, "{} bytes of answer", answer.len());
    let word = |at: usize| U256::from_be_slice(&answer[at..at + 32]);
    Ok(Called {
        succeeded: word(0) == U256::from(1),
        gas: word(32).saturating_to(),
        output: answer.slice(64..),
    })
}
