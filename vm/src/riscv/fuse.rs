//! Fusion: frequent sequences of instructions that the interpreter does in one step.
//!
//! The choice is what compilers emit in loops, address arithmetic, prologues and hashes. Prices are
//! not concerned: a block costs what its instructions cost.

use super::{
    cpu::{Cpu, Step, next, pause},
    instruction::Operation,
    op::{Op, SINK},
    pool::Registers,
    steps::{self, *},
};

/// A fused pair: its operations, and its steps. A step's number has bit 0 set if the value of the
/// first `rs1` is what the step before computed, bit 1 if that of the second is what the first does.
type Pair = (Operation, Operation, [Step; 4]);

macro_rules! pairs {
    ($name:ident = $step:ident: $($first:ident: $($second:ident)*;)*) => {
        const $name: &[Pair] = &[$($((
            Operation::$first,
            Operation::$second,
            [
                $step::<$first, $second, false, false>,
                $step::<$first, $second, true, false>,
                $step::<$first, $second, false, true>,
                $step::<$first, $second, true, true>,
            ],
        ),)*)*];
    };
}

pairs! { STRAIGHT = two:
    Addi: Addi Add Sub Xor And Or Andi Slli Srli Lui Auipc Addiw Sltu Mul Ld Lw Lbu Lhu Sd Sw Sb
        Sh1add Sh2add Sh3add;
    Add: Addi Add Sub Xor And Andn Slli Srli Auipc Srliw Sltu Mul Ld Lw Lbu Lhu Sd Sw Sb Roriw
        Sh3add;
    Sub: Addi Add Xor And;
    Xor: Add Xor And Or Xori Andn Slli Srli Addw Slliw Srliw Mul Ld Sd Sw Rori Roriw;
    And: Add Xor And Or Sltu Sd;
    Or: Add Xor And Or Slli Srli Addw Srliw Ld Lbu Sd Sw Sb Roriw;
    Xori: Add Xor And Xori Ld;
    Andi: Addi Add Sub Xor Or Slli Sltu Sltiu Sb;
    Andn: Xor And;
    Slli: Addi Add Sub Xor Or Slli Srli Srai Ld;
    Srli: Addi Add Xor And Or Andi Slli Srli Mul Sb;
    Srai: Add And;
    Lui: Addi Add And Addiw;
    Auipc: Addi Ld;
    Addiw: Add And Slli Addw Sw;
    Addw: Xor Addiw Addw Slliw Srliw Lw Sw;
    Slliw: Xor Or Addw Srliw;
    Srliw: Xor Or Andi Slli Slliw;
    Sltu: Addi Add Sub Or Xori Sltu Ld Sd;
    Mul: Addi Add Sub Sltu Mul Mulhu Sd;
    Mulhu: Add Mul;
    Ld: Addi Add Sub Xor And Or Andn Slli Srli Sltu Mul Ld Lbu Sd Rori Sh3add;
    Lw: Addi Add Xor And Slli Srli Addw Lw Sw;
    Lwu: Add Xor Slli Addw;
    Lbu: Addi Add Xor Or Andi Slli Ld Lbu Lhu Sb;
    Lhu: Addi Add;
    Sd: Addi Add Xor Or Xori Andn Slli Srli Auipc Srliw Ld Lbu Sd;
    Sw: Addi Xor Addw Lw Sw;
    Sb: Addi Add Srli Lbu Sb;
    Rori: Add Xor Ld Sd Rori;
    Roriw: Add Xor Addw Roriw;
    AddUw: Add Lbu;
    Maxu: Sub;
    Minu: Maxu;
    Sh1add: Addi Slli;
    Sh2add: Lw Sh1add;
    Sh3add: Addi Ld Sd;
}

pairs! { ENDING = then_last:
    Addi: Beq Bge Bgeu Blt Bltu Bne Jal Jalr Jump;
    Add: Beq Bgeu Bltu Bne Jalr Jump;
    Sub: Beq Bltu Bne;
    Xor: Beq Bne;
    And: Beq Bne;
    Or: Beq Bne;
    Xori: Jalr;
    Andi: Beq Bne;
    Slli: Beq Bge Blt Bne;
    Srli: Beq Bgeu Bne;
    Lui: Jalr;
    Auipc: Jalr;
    Addiw: Beq Bge Blt Bne;
    Sltu: Beq Bne;
    Ld: Beq Bgeu Bltu Bne Jalr Jump;
    Lw: Beq Bge Bgeu Blt Bltu Bne;
    Lbu: Beq Bgeu Bltu Bne;
    Sd: Beq Bltu Bne Jal Jump;
    Sw: Bne Jump;
    Sb: Bltu Bne Jump;
}

/// A fused triple: its operations, and its steps. Their numbers have the bits of a pair's, and bit 2
/// for the third `rs1`.
type Triple = ([Operation; 3], [Step; 8]);

macro_rules! triples {
    ($name:ident = $step:ident: $($first:ident $second:ident $third:ident;)*) => {
        const $name: &[Triple] = &[$((
            [Operation::$first, Operation::$second, Operation::$third],
            [
                $step::<$first, $second, $third, false, false, false>,
                $step::<$first, $second, $third, true, false, false>,
                $step::<$first, $second, $third, false, true, false>,
                $step::<$first, $second, $third, true, true, false>,
                $step::<$first, $second, $third, false, false, true>,
                $step::<$first, $second, $third, true, false, true>,
                $step::<$first, $second, $third, false, true, true>,
                $step::<$first, $second, $third, true, true, true>,
            ],
        ),)*];
    };
}

triples! { TRIPLES = three:
    Addi Addi Sd;
    Addi Mul Addi;
    Addi Sd Add;
    Addi Sd Sd;
    Add Add Add;
    Add Add Xor;
    Add Ld Ld;
    Add Sltu Add;
    Add Xor Add;
    Add Xor Xor;
    Xor Xor Xor;
    Xor Xor Ld;
    Xor Xor Roriw;
    Xor Ld Xor;
    Xor Andn Xor;
    And And Xor;
    Andn Xor Andn;
    Slli Slli Add;
    Slli Add Add;
    Mul Mulhu Add;
    Mul Sub Addi;
    Ld Addi Add;
    Ld Add Add;
    Ld Xor Xor;
    Ld Ld Addi;
    Ld Ld Ld;
    Ld Sd Addi;
    Lw Srli Addi;
    Sd Addi Addi;
    Sd Sd Addi;
    Sd Sd Sd;
    Roriw Roriw Roriw;
    Roriw Roriw Add;
    Roriw Add Add;
    Rori Rori Rori;
}

triples! { ENDING_TRIPLES = three_last:
    Addi Addi Bltu;
    Addi Addi Bne;
    Addi Addi Beq;
    Addi Add Bne;
    Addi Add Bltu;
    Add Addi Bne;
    Sb Add Bne;
    Sb Addi Bne;
    Addi Sw Bne;
    Srli Addi Bne;
    Lbu Addi Bne;
    Sd Add Bne;
    Ld Addi Jalr;
}

/// A fused rotation: its operations, and its steps by whether the value of the first `rs1` is what
/// the step before computed.
type Rotation = ([Operation; 3], [Step; 2]);

macro_rules! rotations {
    ($($first:ident $second:ident $third:ident;)*) => {
        const ROTATIONS: &[Rotation] = &[$((
            [Operation::$first, Operation::$second, Operation::$third],
            [joined::<$first, $second, $third, false>, joined::<$first, $second, $third, true>],
        ),)*];
    };
}

rotations! {
    Srliw Slliw Or;
    Slliw Srliw Or;
    Srliw Slli Or;
    Slli Srliw Or;
    Srli Slli Or;
    Slli Srli Or;
    Srliw Slliw Xor;
    Slliw Srliw Xor;
    Srli Slli Xor;
    Slli Srli Xor;
    Slli Srli Add;
    Slliw Srliw Addw;
}

/// Operations that may be fused stand before this one.
const DECODED: usize = Operation::Undefined as usize;
/// Where the numbers of the steps of each list begin.
const STRAIGHT_START: usize = steps::FUSED;
const ENDING_START: usize = STRAIGHT_START + 4 * STRAIGHT.len();
const TRIPLES_START: usize = ENDING_START + 4 * ENDING.len();
const ENDING_TRIPLES_START: usize = TRIPLES_START + 8 * TRIPLES.len();
const ROTATIONS_START: usize = ENDING_TRIPLES_START + 8 * ENDING_TRIPLES.len();
const _: () = assert!(ROTATIONS_START + 2 * ROTATIONS.len() < steps::STOP as usize);

/// For two operations, the number of their first step; 0 if they have none.
static PAIRS: [[u16; DECODED]; DECODED] = {
    let table = number([[0; DECODED]; DECODED], STRAIGHT, STRAIGHT_START);
    number(table, ENDING, ENDING_START)
};

const fn number(
    mut table: [[u16; DECODED]; DECODED],
    pairs: &[Pair],
    start: usize,
) -> [[u16; DECODED]; DECODED] {
    let mut place = 0;
    while place < pairs.len() {
        let (first, second, _) = &pairs[place];
        table[*first as usize][*second as usize] = (start + 4 * place) as u16;
        place += 1;
    }
    table
}

/// Puts the fused steps into the table.
pub(super) const fn fill(mut table: [Step; STEPS]) -> [Step; STEPS] {
    let mut place = 0;
    while place < 4 * STRAIGHT.len() {
        table[STRAIGHT_START + place] = STRAIGHT[place / 4].2[place % 4];
        place += 1;
    }
    place = 0;
    while place < 4 * ENDING.len() {
        table[ENDING_START + place] = ENDING[place / 4].2[place % 4];
        place += 1;
    }
    place = 0;
    while place < 8 * TRIPLES.len() {
        table[TRIPLES_START + place] = TRIPLES[place / 8].1[place % 8];
        place += 1;
    }
    place = 0;
    while place < 8 * ENDING_TRIPLES.len() {
        table[ENDING_TRIPLES_START + place] = ENDING_TRIPLES[place / 8].1[place % 8];
        place += 1;
    }
    place = 0;
    while place < 2 * ROTATIONS.len() {
        table[ROTATIONS_START + place] = ROTATIONS[place / 2].1[place % 2];
        place += 1;
    }
    table
}

/// Gives each op the number of its step. A step may do the ops that follow as well; these keep steps
/// of their own, for a jump to one of them or a stop in between.
///
/// Only the last operation of a sequence may transfer control, so what stands next to an op is what
/// runs next.
pub(super) fn fuse(ops: &mut [Op]) {
    for place in 0..ops.len() {
        let before = place.checked_sub(1).and_then(|before| ops.get(before)).copied();
        // What was just computed is at hand for the first operand only.
        if let Some(before) = before
            && commutes(ops[place].operation)
            && follows(before.rd, ops[place].rs2)
        {
            let op = &mut ops[place];
            core::mem::swap(&mut op.rs1, &mut op.rs2);
        }
        let acc = before.is_some_and(|before| follows(before.rd, ops[place].rs1));
        ops[place].step = steps::plain(ops[place].operation, acc);
    }
    // From the back, so that each op gets what leaves the fewest steps behind it.
    let mut behind = [0u32; 3];
    for place in (0..ops.len()).rev() {
        let acc = ops[place].step % 2;
        let [first, second, third] = core::array::from_fn(|offset| ops.get(place + offset));
        let mut best = (behind[0], ops[place].step);
        if let (Some(first), Some(second)) = (first, second) {
            let pair = find_pair(first, second, acc).map(|step| (behind[1], step));
            let triple = third.and_then(|third| find_triple(first, second, third, acc));
            let triple = triple.map(|step| (behind[2], step));
            best = pair.into_iter().chain(triple).fold(best, |a, b| if b.0 <= a.0 { b } else { a });
        }
        ops[place].step = best.1;
        behind = [best.0 + 1, behind[0], behind[1]];
    }
}

/// Whether a register is the one that was just written.
fn follows(rd: u8, rs: u8) -> bool {
    rd == rs && rd != SINK
}

const fn commutes(operation: Operation) -> bool {
    use Operation::{Add, Addw, And, Beq, Bne, Mul, Mulhu, Mulw, Or, Xor};
    matches!(operation, Add | Addw | And | Or | Xor | Mul | Mulw | Mulhu | Beq | Bne)
}

fn find_pair(first: &Op, second: &Op, acc: u16) -> Option<u16> {
    let number = *PAIRS.get(first.operation as usize)?.get(second.operation as usize)?;
    let forward = u16::from(follows(first.rd, second.rs1));
    (number != 0).then_some(number + 2 * forward + acc)
}

/// For two operations, whether a triple or a rotation begins with them.
static BEGIN_TRIPLE: [[bool; DECODED]; DECODED] = {
    let mut table = [[false; DECODED]; DECODED];
    let mut place = 0;
    while place < TRIPLES.len() + ENDING_TRIPLES.len() + ROTATIONS.len() {
        let [first, second, _] = if place < TRIPLES.len() {
            TRIPLES[place].0
        } else if place < TRIPLES.len() + ENDING_TRIPLES.len() {
            ENDING_TRIPLES[place - TRIPLES.len()].0
        } else {
            ROTATIONS[place - TRIPLES.len() - ENDING_TRIPLES.len()].0
        };
        table[first as usize][second as usize] = true;
        place += 1;
    }
    table
};

fn find_triple(first: &Op, second: &Op, third: &Op, acc: u16) -> Option<u16> {
    let row = BEGIN_TRIPLE.get(first.operation as usize)?;
    if row.get(second.operation as usize) != Some(&true) {
        return None;
    }
    if let Some(rotation) = find_rotation(first, second, third) {
        return Some(rotation + acc);
    }
    let operations = [first, second, third].map(|op| op.operation);
    let forward = u16::from(follows(first.rd, second.rs1));
    let last = u16::from(follows(second.rd, third.rs1));
    [(TRIPLES, TRIPLES_START), (ENDING_TRIPLES, ENDING_TRIPLES_START)].iter().find_map(
        |(triples, start)| {
            let place = triples.iter().position(|(triple, _)| *triple == operations)?;
            Some((start + 8 * place) as u16 + 4 * last + 2 * forward + acc)
        },
    )
}

/// Finds the steps of a rotation: the third op joins what the other two compute.
fn find_rotation(first: &Op, second: &Op, third: &Op) -> Option<u16> {
    let [one, two] = [first.rd, second.rd];
    let joins = [[one, two], [two, one]].contains(&[third.rs1, third.rs2]);
    if !joins || one == two || one == SINK || two == SINK || second.rs1 == one {
        return None;
    }
    let operations = [first, second, third].map(|op| op.operation);
    let place = ROTATIONS.iter().position(|(rotation, _)| *rotation == operations)?;
    Some((ROTATIONS_START + 2 * place) as u16)
}

/// Does two instructions. With `ACC`, `acc` is the value of the first `rs1`; with `FORWARD`, the
/// second `rs1` is what the first one writes. A stop in between leaves the second one to be done.
fn two<A: Compute, B: Compute, const ACC: bool, const FORWARD: bool>(
    x: &mut Registers,
    rest: &[Op],
    left: u64,
    acc: u64,
    cpu: &mut Cpu<'_>,
) {
    let [first, second, _, ..] = rest else { return pause(rest, left, cpu) };
    let a = if ACC { acc } else { x[usize::from(first.rs1)] };
    let Some(value) = run::<A>(a, first, x, cpu) else {
        return slowly::<A>(x, rest, left, a, cpu);
    };
    let b = if FORWARD { value } else { x[usize::from(second.rs1)] };
    let Some(value) = run::<B>(b, second, x, cpu) else {
        return slowly::<B>(x, &rest[1..], left, b, cpu);
    };
    next(x, &rest[2..], left, value, cpu)
}

/// As `two`; the second one ends the block.
fn then_last<A: Compute, B: Transfer, const ACC: bool, const FORWARD: bool>(
    x: &mut Registers,
    rest: &[Op],
    left: u64,
    acc: u64,
    cpu: &mut Cpu<'_>,
) {
    let [first, second, _, ..] = rest else { return pause(rest, left, cpu) };
    let a = if ACC { acc } else { x[usize::from(first.rs1)] };
    let Some(value) = run::<A>(a, first, x, cpu) else {
        return slowly::<A>(x, rest, left, a, cpu);
    };
    let b = if FORWARD { value } else { x[usize::from(second.rs1)] };
    B::transfer(b, x, &rest[1..], left, cpu)
}

/// As `two`, with a third one.
fn three<
    A: Compute,
    B: Compute,
    C: Compute,
    const ACC: bool,
    const FORWARD: bool,
    const LAST: bool,
>(
    x: &mut Registers,
    rest: &[Op],
    left: u64,
    acc: u64,
    cpu: &mut Cpu<'_>,
) {
    let [first, second, third, _, ..] = rest else { return pause(rest, left, cpu) };
    let a = if ACC { acc } else { x[usize::from(first.rs1)] };
    let Some(value) = run::<A>(a, first, x, cpu) else {
        return slowly::<A>(x, rest, left, a, cpu);
    };
    let b = if FORWARD { value } else { x[usize::from(second.rs1)] };
    let Some(value) = run::<B>(b, second, x, cpu) else {
        return slowly::<B>(x, &rest[1..], left, b, cpu);
    };
    let c = if LAST { value } else { x[usize::from(third.rs1)] };
    let Some(value) = run::<C>(c, third, x, cpu) else {
        return slowly::<C>(x, &rest[2..], left, c, cpu);
    };
    next(x, &rest[3..], left, value, cpu)
}

/// As `three`; the third one ends the block.
fn three_last<
    A: Compute,
    B: Compute,
    C: Transfer,
    const ACC: bool,
    const FORWARD: bool,
    const LAST: bool,
>(
    x: &mut Registers,
    rest: &[Op],
    left: u64,
    acc: u64,
    cpu: &mut Cpu<'_>,
) {
    let [first, second, third, _, ..] = rest else { return pause(rest, left, cpu) };
    let a = if ACC { acc } else { x[usize::from(first.rs1)] };
    let Some(value) = run::<A>(a, first, x, cpu) else {
        return slowly::<A>(x, rest, left, a, cpu);
    };
    let b = if FORWARD { value } else { x[usize::from(second.rs1)] };
    let Some(value) = run::<B>(b, second, x, cpu) else {
        return slowly::<B>(x, &rest[1..], left, b, cpu);
    };
    let c = if LAST { value } else { x[usize::from(third.rs1)] };
    C::transfer(c, x, &rest[2..], left, cpu)
}

/// Does two instructions of which neither reads what the other writes, and one that joins them.
fn joined<A: Compute, B: Compute, C: Join, const ACC: bool>(
    x: &mut Registers,
    rest: &[Op],
    left: u64,
    acc: u64,
    cpu: &mut Cpu<'_>,
) {
    let [first, second, third, _, ..] = rest else { return pause(rest, left, cpu) };
    let a = if ACC { acc } else { x[usize::from(first.rs1)] };
    let b = x[usize::from(second.rs1)];
    let Some(one) = A::compute(a, first, x, cpu) else { return pause(rest, left, cpu) };
    let Some(two) = B::compute(b, second, x, cpu) else { return pause(rest, left, cpu) };
    x[usize::from(first.rd)] = one;
    x[usize::from(second.rd)] = two;
    let value = C::join(one, two);
    x[usize::from(third.rd)] = value;
    next(x, &rest[3..], left, value, cpu)
}
