//! Encodings of 16 bits: the C extension of RV64 without floating point.
//!
//! Reserved encodings are undefined; hints are the no-ops that they expand to.

use super::instruction::{Instruction, Operation};

/// Register numbers that the expansions name.
const ZERO: u8 = 0;
const RA: u8 = 1;
const SP: u8 = 2;

/// Decodes a compressed instruction into what it expands to.
pub(super) fn decode(half: u16) -> Option<Instruction> {
    let bits = u32::from(half);
    match (bits & 3, bits >> 13) {
        (0, 0) => addi4spn(bits),
        (0, 2) => Some(load(bits, Operation::Lw, offset_w(bits))),
        (0, 3) => Some(load(bits, Operation::Ld, offset_d(bits))),
        (0, 6) => Some(store(bits, Operation::Sw, offset_w(bits))),
        (0, 7) => Some(store(bits, Operation::Sd, offset_d(bits))),
        (1, 0) => Some(immediate(Operation::Addi, rd(bits), rd(bits), imm6(bits))),
        (1, 1) if rd(bits) != ZERO => {
            Some(immediate(Operation::Addiw, rd(bits), rd(bits), imm6(bits)))
        }
        (1, 2) => Some(immediate(Operation::Addi, rd(bits), ZERO, imm6(bits))),
        (1, 3) => lui_or_addi16sp(bits),
        (1, 4) => arithmetic(bits),
        (1, 5) => Some(immediate(Operation::Jal, ZERO, ZERO, imm_j(bits))),
        (1, 6) => Some(branch(bits, Operation::Beq)),
        (1, 7) => Some(branch(bits, Operation::Bne)),
        (2, 0) => Some(immediate(Operation::Slli, rd(bits), rd(bits), shift(bits))),
        (2, 2) if rd(bits) != ZERO => {
            let offset = field(bits, 12, 1, 5) | field(bits, 4, 3, 2) | field(bits, 2, 2, 6);
            Some(immediate(Operation::Lw, rd(bits), SP, offset as i32))
        }
        (2, 3) if rd(bits) != ZERO => {
            let offset = field(bits, 12, 1, 5) | field(bits, 5, 2, 3) | field(bits, 2, 3, 6);
            Some(immediate(Operation::Ld, rd(bits), SP, offset as i32))
        }
        (2, 4) => jump_or_add(bits),
        (2, 6) => {
            let offset = field(bits, 9, 4, 2) | field(bits, 7, 2, 6);
            Some(store_to(SP, rs2(bits), Operation::Sw, offset))
        }
        (2, 7) => {
            let offset = field(bits, 10, 3, 3) | field(bits, 7, 3, 6);
            Some(store_to(SP, rs2(bits), Operation::Sd, offset))
        }
        _ => None,
    }
}

/// `count` bits of `bits` from position `from`, moved to position `to`.
fn field(bits: u32, from: u32, count: u32, to: u32) -> u32 {
    (bits >> from & ((1 << count) - 1)) << to
}

/// The full register number in bits 7 to 11: destination, and first source where they are one.
fn rd(bits: u32) -> u8 {
    field(bits, 7, 5, 0) as u8
}

fn rs2(bits: u32) -> u8 {
    field(bits, 2, 5, 0) as u8
}

/// The short register number at `from`: x8 to x15.
fn short(bits: u32, from: u32) -> u8 {
    field(bits, from, 3, 0) as u8 + 8
}

fn sign_extend(value: u32, bits: u32) -> i32 {
    (value << (32 - bits)) as i32 >> (32 - bits)
}

fn imm6(bits: u32) -> i32 {
    sign_extend(field(bits, 12, 1, 5) | field(bits, 2, 5, 0), 6)
}

fn shift(bits: u32) -> i32 {
    (field(bits, 12, 1, 5) | field(bits, 2, 5, 0)) as i32
}

fn offset_w(bits: u32) -> u32 {
    field(bits, 10, 3, 3) | field(bits, 6, 1, 2) | field(bits, 5, 1, 6)
}

fn offset_d(bits: u32) -> u32 {
    field(bits, 10, 3, 3) | field(bits, 5, 2, 6)
}

fn imm_j(bits: u32) -> i32 {
    let low = field(bits, 3, 3, 1) | field(bits, 11, 1, 4) | field(bits, 2, 1, 5);
    let high = field(bits, 7, 1, 6) | field(bits, 6, 1, 7) | field(bits, 9, 2, 8);
    sign_extend(low | high | field(bits, 8, 1, 10) | field(bits, 12, 1, 11), 12)
}

fn immediate(operation: Operation, rd: u8, rs1: u8, imm: i32) -> Instruction {
    Instruction { operation, rd, rs1, rs2: 0, imm, length: 2 }
}

fn registers(operation: Operation, rd: u8, rs1: u8, rs2: u8) -> Instruction {
    Instruction { operation, rd, rs1, rs2, imm: 0, length: 2 }
}

fn load(bits: u32, operation: Operation, offset: u32) -> Instruction {
    immediate(operation, short(bits, 2), short(bits, 7), offset as i32)
}

fn store(bits: u32, operation: Operation, offset: u32) -> Instruction {
    store_to(short(bits, 7), short(bits, 2), operation, offset)
}

fn store_to(base: u8, source: u8, operation: Operation, offset: u32) -> Instruction {
    Instruction { operation, rd: 0, rs1: base, rs2: source, imm: offset as i32, length: 2 }
}

fn branch(bits: u32, operation: Operation) -> Instruction {
    let low = field(bits, 3, 2, 1) | field(bits, 10, 2, 3) | field(bits, 2, 1, 5);
    let imm = sign_extend(low | field(bits, 5, 2, 6) | field(bits, 12, 1, 8), 9);
    Instruction { operation, rd: 0, rs1: short(bits, 7), rs2: ZERO, imm, length: 2 }
}

fn addi4spn(bits: u32) -> Option<Instruction> {
    let low = field(bits, 6, 1, 2) | field(bits, 5, 1, 3);
    let imm = low | field(bits, 11, 2, 4) | field(bits, 7, 4, 6);
    (imm != 0).then(|| immediate(Operation::Addi, short(bits, 2), SP, imm as i32))
}

fn lui_or_addi16sp(bits: u32) -> Option<Instruction> {
    if rd(bits) == SP {
        let low = field(bits, 6, 1, 4) | field(bits, 2, 1, 5) | field(bits, 5, 1, 6);
        let imm = sign_extend(low | field(bits, 3, 2, 7) | field(bits, 12, 1, 9), 10);
        return (imm != 0).then(|| immediate(Operation::Addi, SP, SP, imm));
    }
    let imm = imm6(bits) << 12;
    (imm != 0).then(|| immediate(Operation::Lui, rd(bits), ZERO, imm))
}

fn arithmetic(bits: u32) -> Option<Instruction> {
    let register = short(bits, 7);
    let operation = match (field(bits, 10, 2, 0), field(bits, 12, 1, 0), field(bits, 5, 2, 0)) {
        (0, _, _) => return Some(immediate(Operation::Srli, register, register, shift(bits))),
        (1, _, _) => return Some(immediate(Operation::Srai, register, register, shift(bits))),
        (2, _, _) => return Some(immediate(Operation::Andi, register, register, imm6(bits))),
        (_, 0, 0) => Operation::Sub,
        (_, 0, 1) => Operation::Xor,
        (_, 0, 2) => Operation::Or,
        (_, 0, _) => Operation::And,
        (_, _, 0) => Operation::Subw,
        (_, _, 1) => Operation::Addw,
        _ => return None,
    };
    Some(registers(operation, register, register, short(bits, 2)))
}

fn jump_or_add(bits: u32) -> Option<Instruction> {
    match (field(bits, 12, 1, 0), rd(bits), rs2(bits)) {
        (0, ZERO, ZERO) => None,
        (0, register, ZERO) => Some(immediate(Operation::Jalr, ZERO, register, 0)),
        (0, rd, source) => Some(registers(Operation::Add, rd, ZERO, source)),
        (_, ZERO, ZERO) => Some(immediate(Operation::Ebreak, ZERO, ZERO, 0)),
        (_, register, ZERO) => Some(immediate(Operation::Jalr, RA, register, 0)),
        (_, rd, source) => Some(registers(Operation::Add, rd, rd, source)),
    }
}
