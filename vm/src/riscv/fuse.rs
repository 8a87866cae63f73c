//! Fusion: frequent sequences of instructions that the interpreter does in one step.
//!
//! The choice is what compilers emit in loops, address arithmetic, prologues and hashes, where the
//! base instruction set lacks a rotate. Prices are not concerned: a block costs what its
//! instructions cost.

use super::{
    instruction::Operation::{self, *},
    op::Op,
};

/// Fused operations of two, and what they consist of.
const PAIRS: &[(Operation, [Operation; 2])] = &[
    (AddiAddi, [Addi, Addi]),
    (AddiAdd, [Addi, Add]),
    (AddAddi, [Add, Addi]),
    (AddAdd, [Add, Add]),
    (AddXor, [Add, Xor]),
    (XorAdd, [Xor, Add]),
    (XorXor, [Xor, Xor]),
    (XorAnd, [Xor, And]),
    (AndXor, [And, Xor]),
    (AndOr, [And, Or]),
    (OrXor, [Or, Xor]),
    (XorSlli, [Xor, Slli]),
    (XorSrli, [Xor, Srli]),
    (SlliXor, [Slli, Xor]),
    (SrliXor, [Srli, Xor]),
    (SlliAdd, [Slli, Add]),
    (SlliSrli, [Slli, Srli]),
    (SlliOr, [Slli, Or]),
    (SrliOr, [Srli, Or]),
    (SrliAndi, [Srli, Andi]),
    (AndiAdd, [Andi, Add]),
    (LuiAddi, [Lui, Addi]),
    (LuiAddiw, [Lui, Addiw]),
    (AddwAddw, [Addw, Addw]),
    (AddwXor, [Addw, Xor]),
    (XorAddw, [Xor, Addw]),
    (MulAdd, [Mul, Add]),
    (MulAddi, [Mul, Addi]),
    (AddSltu, [Add, Sltu]),
    (SltuAdd, [Sltu, Add]),
    (LdLd, [Ld, Ld]),
    (LdAddi, [Ld, Addi]),
    (LdAdd, [Ld, Add]),
    (AddiLd, [Addi, Ld]),
    (AddLd, [Add, Ld]),
    (LwAddw, [Lw, Addw]),
    (LwAdd, [Lw, Add]),
    (AddiLbu, [Addi, Lbu]),
    (LbuAddi, [Lbu, Addi]),
    (SdSd, [Sd, Sd]),
    (AddiSd, [Addi, Sd]),
    (SdAddi, [Sd, Addi]),
    (SbAddi, [Sb, Addi]),
    (AddiBne, [Addi, Bne]),
    (AddiBeq, [Addi, Beq]),
    (AddiBltu, [Addi, Bltu]),
    (AddiBgeu, [Addi, Bgeu]),
    (AndiBne, [Andi, Bne]),
    (AndiBeq, [Andi, Beq]),
    (LbuBne, [Lbu, Bne]),
    (AddiJal, [Addi, Jal]),
    (AddiJalr, [Addi, Jalr]),
    (LdJalr, [Ld, Jalr]),
    (AuipcJalr, [Auipc, Jalr]),
];

/// Fused operations of three: rotates.
const TRIPLES: &[(Operation, [Operation; 3])] = &[
    (SrliwSlliwOr, [Srliw, Slliw, Or]),
    (SlliwSrliwOr, [Slliw, Srliw, Or]),
    (SrliSlliOr, [Srli, Slli, Or]),
    (SlliSrliOr, [Slli, Srli, Or]),
];

/// Operations that come out of encodings stand before this one.
const DECODED: usize = Undefined as usize;

/// For two operations, the place of their fusion in `PAIRS`, counted from 1; 0 if there is none.
static FUSED: [[u8; DECODED]; DECODED] = {
    let mut table = [[0; DECODED]; DECODED];
    let mut place = 0;
    while place < PAIRS.len() {
        let [first, second] = PAIRS[place].1;
        place += 1;
        table[first as usize][second as usize] = place as u8;
    }
    table
};

fn find_pair(first: Operation, second: Operation) -> Option<Operation> {
    let place = FUSED.get(first as usize)?.get(second as usize)?.checked_sub(1)?;
    PAIRS.get(usize::from(place)).map(|&(fused, _)| fused)
}

/// Replaces the operation of an op that starts a known sequence; everything else stays, so a jump
/// to a later op of the sequence, or a stop inside of it, finds that op unchanged.
///
/// Only the last operation of a sequence may transfer control, so what stands next to an op is
/// what runs next.
pub(super) fn fuse(ops: &mut [Op]) {
    for place in 0..ops.len() {
        // Later ops have not been replaced yet.
        let operation = |offset: usize| ops.get(place + offset).map(|op: &Op| op.operation);
        let (Some(first), Some(second)) = (operation(0), operation(1)) else { return };
        let third = operation(2);
        let starts_rotate = matches!(first, Slli | Srli | Slliw | Srliw);
        let triple = TRIPLES.iter().find(|(_, [one, two, three])| {
            starts_rotate && (*one, *two, Some(*three)) == (first, second, third)
        });
        let fused = triple.map(|&(fused, _)| fused).or_else(|| find_pair(first, second));
        if let Some(fused) = fused {
            ops[place].operation = fused;
        }
    }
}

/// What the first op of a fused sequence does on its own.
pub(super) fn plain(operation: Operation) -> Operation {
    let pair = PAIRS.iter().find(|(fused, _)| *fused == operation).map(|(_, parts)| parts[0]);
    let triple = || TRIPLES.iter().find(|(fused, _)| *fused == operation);
    pair.or_else(|| triple().map(|(_, parts)| parts[0])).unwrap_or(operation)
}
