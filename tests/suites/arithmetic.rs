//! go-ethereum's vectors of opcodes with two operands.

use std::{fs, path::Path};

use alloy_primitives::Bytes;
use anyhow::{Context, Result, ensure};
use genesis::SpecId;
use serde::Deserialize;
use vm::Engine;

use super::{Report, engine, hex, run_code};

/// A file's ending and the opcode.
const OPCODES: [(&str, u8); 21] = [
    ("add", 0x01),
    ("mul", 0x02),
    ("sub", 0x03),
    ("div", 0x04),
    ("sdiv", 0x05),
    ("mod", 0x06),
    ("smod", 0x07),
    ("exp", 0x0a),
    ("signext", 0x0b),
    ("lt", 0x10),
    ("gt", 0x11),
    ("slt", 0x12),
    ("sgt", 0x13),
    ("eq", 0x14),
    ("and", 0x16),
    ("or", 0x17),
    ("xor", 0x18),
    ("byte", 0x1a),
    ("shl", 0x1b),
    ("shr", 0x1c),
    ("sar", 0x1d),
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Vector {
    x: String,
    y: String,
    expected: String,
}

pub(crate) fn run(folder: &Path, report: &mut Report) -> Result<()> {
    let engine = engine(SpecId::OSAKA);
    for (name, opcode) in OPCODES {
        let path = folder.join("precompiles").join(format!("testcases_{name}.json"));
        let text = fs::read(&path).with_context(|| path.display().to_string())?;
        let vectors: Vec<Vector> = serde_json::from_slice(&text)?;
        for vector in &vectors {
            let label = format!("{name} {} {}", vector.x, vector.y);
            report.note(&label, check(&engine, opcode, vector));
        }
    }
    Ok(())
}

fn check(engine: &Engine, opcode: u8, vector: &Vector) -> Result<()> {
    let (x, y, expected) = (hex(&vector.x)?, hex(&vector.y)?, hex(&vector.expected)?);
    // PUSH32 x, PUSH32 y, the opcode, MSTORE at 0, RETURN 32 bytes.
    let end = [opcode, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3];
    let code = [&[0x7f][..], &x, &[0x7f], &y, &end].concat();
    let answer = run_code(engine, code.into(), Bytes::new())?;
    ensure!(answer == expected, "{answer} instead of {expected}");
    Ok(())
}
