//! Zba, Zbb, Zbc and Zbs: their encodings, and what their longer instructions compute.
//!
//! Source: the RISC-V instruction set manual, volume I, chapter "B" (bit manipulation).

use super::instruction::Operation::{self, *};

/// The operation of an `OP` encoding.
pub(super) fn op(funct7: u32, funct3: u32) -> Option<Operation> {
    Some(match (funct7, funct3) {
        (0x10, 2) => Sh1add,
        (0x10, 4) => Sh2add,
        (0x10, 6) => Sh3add,
        (0x20, 4) => Xnor,
        (0x20, 6) => Orn,
        (0x20, 7) => Andn,
        (0x05, 1) => Clmul,
        (0x05, 2) => Clmulr,
        (0x05, 3) => Clmulh,
        (0x05, 4) => Min,
        (0x05, 5) => Minu,
        (0x05, 6) => Max,
        (0x05, 7) => Maxu,
        (0x30, 1) => Rol,
        (0x30, 5) => Ror,
        (0x14, 1) => Bset,
        (0x24, 1) => Bclr,
        (0x24, 5) => Bext,
        (0x34, 1) => Binv,
        _ => return None,
    })
}

/// The operation of an `OP-32` encoding; `zext.h` is not among them.
pub(super) fn op_32(funct7: u32, funct3: u32) -> Option<Operation> {
    Some(match (funct7, funct3) {
        (0x04, 0) => AddUw,
        (0x10, 2) => Sh1addUw,
        (0x10, 4) => Sh2addUw,
        (0x10, 6) => Sh3addUw,
        (0x30, 1) => Rolw,
        (0x30, 5) => Rorw,
        _ => return None,
    })
}

/// The operation and the immediate of an `OP-IMM` encoding with these twelve upper bits.
pub(super) fn op_imm(funct3: u32, upper: u32) -> Option<(Operation, i32)> {
    let unary = match (funct3, upper) {
        (1, 0x600) => Clz,
        (1, 0x601) => Ctz,
        (1, 0x602) => Cpop,
        (1, 0x604) => SextB,
        (1, 0x605) => SextH,
        (5, 0x287) => OrcB,
        (5, 0x6b8) => Rev8,
        _ => {
            let operation = match (funct3, upper >> 6) {
                (1, 0x0a) => Bseti,
                (1, 0x12) => Bclri,
                (1, 0x1a) => Binvi,
                (5, 0x12) => Bexti,
                (5, 0x18) => Rori,
                _ => return None,
            };
            return Some((operation, (upper & 63) as i32));
        }
    };
    Some((unary, 0))
}

/// The operation and the immediate of an `OP-IMM-32` encoding with these twelve upper bits.
pub(super) fn op_imm_32(funct3: u32, upper: u32) -> Option<(Operation, i32)> {
    Some(match (funct3, upper) {
        (1, 0x600) => (Clzw, 0),
        (1, 0x601) => (Ctzw, 0),
        (1, 0x602) => (Cpopw, 0),
        (1, _) if upper >> 6 == 0x02 => (SlliUw, (upper & 63) as i32),
        (5, _) if upper >> 5 == 0x30 => (Roriw, (upper & 31) as i32),
        _ => return None,
    })
}

/// Each byte becomes 0xff unless it is zero.
pub(super) fn orc_b(a: u64) -> u64 {
    u64::from_le_bytes(a.to_le_bytes().map(|byte| if byte == 0 { 0 } else { 0xff }))
}

/// The product of two polynomials over GF(2), 127 bits of it.
fn carryless_product(a: u64, b: u64) -> u128 {
    let mut product = 0;
    let mut rest = b;
    while rest != 0 {
        product ^= u128::from(a) << rest.trailing_zeros();
        rest &= rest - 1;
    }
    product
}

/// The low half of the carry-less product.
pub(super) fn clmul(a: u64, b: u64) -> u64 {
    carryless_product(a, b) as u64
}

/// The high half of the carry-less product.
pub(super) fn clmulh(a: u64, b: u64) -> u64 {
    (carryless_product(a, b) >> 64) as u64
}

/// The upper 64 of the carry-less product's 127 bits: the product of the reversed factors, reversed.
pub(super) fn clmulr(a: u64, b: u64) -> u64 {
    (carryless_product(a, b) >> 63) as u64
}
