//! Encodings of 32 bits: RV64I, M, A and the two fences; `bitmanip` has those of Zba to Zbs.

use super::{
    bitmanip, compressed,
    instruction::{Instruction, Operation, length},
};

/// Decodes the instruction at the start of `bits`, or `None` if the encoding is undefined.
///
/// The upper half of `bits` is ignored by compressed instructions.
pub(super) fn decode(bits: u32) -> Option<Instruction> {
    if length(bits as u16) == 2 {
        return compressed::decode(bits as u16);
    }
    match bits & 0x7f {
        0x03 => load(bits),
        0x0f => fence(bits),
        0x13 => op_imm(bits),
        0x17 => Some(upper(bits, Operation::Auipc)),
        0x1b => op_imm_32(bits),
        0x23 => store(bits),
        0x2f => atomic(bits),
        0x33 => op(bits),
        0x37 => Some(upper(bits, Operation::Lui)),
        0x3b => op_32(bits),
        0x63 => branch(bits),
        0x67 if funct3(bits) == 0 => Some(register_immediate(bits, Operation::Jalr, imm_i(bits))),
        0x6f => Some(jal(bits)),
        0x73 => system(bits),
        _ => None,
    }
}

fn funct3(bits: u32) -> u32 {
    bits >> 12 & 7
}

fn funct7(bits: u32) -> u32 {
    bits >> 25
}

fn rd(bits: u32) -> u8 {
    (bits >> 7 & 31) as u8
}

fn rs1(bits: u32) -> u8 {
    (bits >> 15 & 31) as u8
}

fn rs2(bits: u32) -> u8 {
    (bits >> 20 & 31) as u8
}

fn imm_i(bits: u32) -> i32 {
    bits as i32 >> 20
}

fn imm_s(bits: u32) -> i32 {
    (bits as i32 >> 25) << 5 | (bits >> 7 & 31) as i32
}

fn imm_b(bits: u32) -> i32 {
    let low = (bits >> 8 & 15) << 1 | (bits >> 25 & 63) << 5 | (bits >> 7 & 1) << 11;
    (bits as i32 >> 31) << 12 | low as i32
}

fn imm_j(bits: u32) -> i32 {
    let low = (bits >> 21 & 0x3ff) << 1 | (bits >> 20 & 1) << 11 | (bits >> 12 & 0xff) << 12;
    (bits as i32 >> 31) << 20 | low as i32
}

fn register_immediate(bits: u32, operation: Operation, imm: i32) -> Instruction {
    Instruction { operation, rd: rd(bits), rs1: rs1(bits), rs2: 0, imm, length: 4 }
}

fn registers(bits: u32, operation: Operation) -> Instruction {
    Instruction { operation, rd: rd(bits), rs1: rs1(bits), rs2: rs2(bits), imm: 0, length: 4 }
}

fn upper(bits: u32, operation: Operation) -> Instruction {
    let imm = (bits & 0xffff_f000) as i32;
    Instruction { rs1: 0, ..register_immediate(bits, operation, imm) }
}

fn jal(bits: u32) -> Instruction {
    Instruction { rs1: 0, ..register_immediate(bits, Operation::Jal, imm_j(bits)) }
}

fn branch(bits: u32) -> Option<Instruction> {
    let operation = match funct3(bits) {
        0 => Operation::Beq,
        1 => Operation::Bne,
        4 => Operation::Blt,
        5 => Operation::Bge,
        6 => Operation::Bltu,
        7 => Operation::Bgeu,
        _ => return None,
    };
    Some(Instruction { rd: 0, imm: imm_b(bits), ..registers(bits, operation) })
}

fn load(bits: u32) -> Option<Instruction> {
    use Operation::{Lb, Lbu, Ld, Lh, Lhu, Lw, Lwu};
    let operation = *[Lb, Lh, Lw, Ld, Lbu, Lhu, Lwu].get(funct3(bits) as usize)?;
    Some(register_immediate(bits, operation, imm_i(bits)))
}

fn store(bits: u32) -> Option<Instruction> {
    use Operation::{Sb, Sd, Sh, Sw};
    let operation = *[Sb, Sh, Sw, Sd].get(funct3(bits) as usize)?;
    Some(Instruction { rd: 0, imm: imm_s(bits), ..registers(bits, operation) })
}

fn op_imm(bits: u32) -> Option<Instruction> {
    let shift_kind = bits >> 26;
    let operation = match (funct3(bits), shift_kind) {
        (0, _) => Operation::Addi,
        (2, _) => Operation::Slti,
        (3, _) => Operation::Sltiu,
        (4, _) => Operation::Xori,
        (6, _) => Operation::Ori,
        (7, _) => Operation::Andi,
        (1, 0) => Operation::Slli,
        (5, 0) => Operation::Srli,
        (5, 0x10) => Operation::Srai,
        _ => {
            let (operation, imm) = bitmanip::op_imm(funct3(bits), bits >> 20)?;
            return Some(register_immediate(bits, operation, imm));
        }
    };
    let imm = match funct3(bits) {
        1 | 5 => (bits >> 20 & 63) as i32,
        _ => imm_i(bits),
    };
    Some(register_immediate(bits, operation, imm))
}

fn op_imm_32(bits: u32) -> Option<Instruction> {
    let operation = match (funct3(bits), funct7(bits)) {
        (0, _) => return Some(register_immediate(bits, Operation::Addiw, imm_i(bits))),
        (1, 0) => Operation::Slliw,
        (5, 0) => Operation::Srliw,
        (5, 0x20) => Operation::Sraiw,
        _ => {
            let (operation, imm) = bitmanip::op_imm_32(funct3(bits), bits >> 20)?;
            return Some(register_immediate(bits, operation, imm));
        }
    };
    Some(register_immediate(bits, operation, (bits >> 20 & 31) as i32))
}

fn op(bits: u32) -> Option<Instruction> {
    use Operation::*;
    let by_funct3 = |row: [Operation; 8]| row[funct3(bits) as usize];
    let operation = match (funct7(bits), funct3(bits)) {
        (0, _) => by_funct3([Add, Sll, Slt, Sltu, Xor, Srl, Or, And]),
        (0x20, 0) => Sub,
        (0x20, 5) => Sra,
        (1, _) => by_funct3([Mul, Mulh, Mulhsu, Mulhu, Div, Divu, Rem, Remu]),
        (funct7, funct3) => bitmanip::op(funct7, funct3)?,
    };
    Some(registers(bits, operation))
}

fn op_32(bits: u32) -> Option<Instruction> {
    let operation = match (funct7(bits), funct3(bits)) {
        (0, 0) => Operation::Addw,
        (0, 1) => Operation::Sllw,
        (0, 5) => Operation::Srlw,
        (0x20, 0) => Operation::Subw,
        (0x20, 5) => Operation::Sraw,
        (1, 0) => Operation::Mulw,
        (1, 4) => Operation::Divw,
        (1, 5) => Operation::Divuw,
        (1, 6) => Operation::Remw,
        (1, 7) => Operation::Remuw,
        // The encoding of `zext.h` has no second source.
        (0x04, 4) if rs2(bits) == 0 => Operation::ZextH,
        (funct7, funct3) => bitmanip::op_32(funct7, funct3)?,
    };
    Some(registers(bits, operation))
}

/// `fence` and `fence.i`; their other fields are reserved for finer fences and ignored.
fn fence(bits: u32) -> Option<Instruction> {
    match funct3(bits) {
        0 => Some(bare(Operation::Fence)),
        1 => Some(bare(Operation::FenceI)),
        _ => None,
    }
}

fn bare(operation: Operation) -> Instruction {
    Instruction { operation, rd: 0, rs1: 0, rs2: 0, imm: 0, length: 4 }
}

fn system(bits: u32) -> Option<Instruction> {
    match bits {
        0x0000_0073 => Some(bare(Operation::Ecall)),
        0x0010_0073 => Some(bare(Operation::Ebreak)),
        _ => None,
    }
}

fn atomic(bits: u32) -> Option<Instruction> {
    use Operation::*;
    // The two bits below funct5 order memory among harts; one hart needs no order.
    let (word, double) = match bits >> 27 {
        0x02 if rs2(bits) == 0 => (LrW, LrD),
        0x03 => (ScW, ScD),
        0x01 => (AmoswapW, AmoswapD),
        0x00 => (AmoaddW, AmoaddD),
        0x04 => (AmoxorW, AmoxorD),
        0x0c => (AmoandW, AmoandD),
        0x08 => (AmoorW, AmoorD),
        0x10 => (AmominW, AmominD),
        0x14 => (AmomaxW, AmomaxD),
        0x18 => (AmominuW, AmominuD),
        0x1c => (AmomaxuW, AmomaxuD),
        _ => return None,
    };
    match funct3(bits) {
        2 => Some(registers(bits, word)),
        3 => Some(registers(bits, double)),
        _ => None,
    }
}
