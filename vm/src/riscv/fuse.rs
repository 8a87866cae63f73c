//! Fusion: frequent sequences of instructions that the interpreter does in one step.
//!
//! The choice is what compilers emit in loops, address arithmetic, prologues and hashes. Prices are
//! not concerned: a block costs what its instructions cost.

use super::{
    cpu::{Cpu, Step, next, pause},
    instruction::Operation,
    op::{Op, SINK},
    pool::Registers,
    steps::*,
};

/// A fused sequence of `N` operations, and its steps.
type Fused<const N: usize, Steps> = ([Operation; N], Steps);

/// Fused pairs. A step's place has bit 0 set if the value of the first `rs1` is what the step before
/// computed, bit 1 if that of the second is what the first does.
macro_rules! pairs {
    ($($first:ident: $($second:ident)*;)*) => {
        const PAIRS: &[Fused<2, [Step; 4]>] = &[$($((
            [Operation::$first, Operation::$second],
            [
                two::<$first, $second, false, false>,
                two::<$first, $second, true, false>,
                two::<$first, $second, false, true>,
                two::<$first, $second, true, true>,
            ],
        ),)*)*];
    };
}

pairs! {
    Addi: Addi Add Sub Xor And Or Andi Slli Srli Lui Auipc Addiw Sltu Mul Ld Lw Lbu Lhu Sd Sw Sb
        Sh1add Sh2add Sh3add;
    Add: Addi Add Sub Xor And Andn Slli Srli Auipc Srliw Sltu Mul Divuw Ld Lw Lbu Lhu Sd Sw Sb
        Roriw Sh3add;
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
    Divuw: Mul;
    Ld: Addi Add Sub Xor And Or Andn Slli Srli Sltu Mul Ld Lbu Sd Rori Sh3add;
    Lw: Addi Add Xor And Slli Srli Addw Lw Sw;
    Lwu: Add Xor Slli Addw;
    Lb: Slli;
    Lbu: Addi Add Xor Or Andi Slli Ld Lb Lbu Lhu Sb;
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
    // The second one ends the block.
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

/// Fused triples: steps by where the third `rs1` comes from, then as a pair's.
macro_rules! triples {
    ($($first:ident $second:ident: $($third:ident)*;)*) => {
        const TRIPLES: &[Fused<3, [[Step; 4]; 3]>] = &[$($((
            [Operation::$first, Operation::$second, Operation::$third],
            [
                threes::<$first, $second, $third, 0>(),
                threes::<$first, $second, $third, 1>(),
                threes::<$first, $second, $third, 2>(),
            ],
        ),)*)*];
    };
}

triples! {
    Addi Addi: Sd Beq Bltu Bne;
    Addi Add: Bltu Bne;
    Addi Sub: Xor;
    Addi Mul: Addi;
    Addi Sd: Add Sd;
    Addi Sw: Bne;
    Add Addi: Bltu Bne;
    Add Add: Add Xor Bgeu;
    Add Xor: Add Xor;
    Add Sltu: Add;
    Add Ld: Ld;
    Xor Xor: Xor Ld Roriw;
    Xor Andn: Xor;
    Xor Ld: Xor;
    And And: Xor;
    Xori And: Xor;
    Addw Addw: Addw;
    Andn Xor: Andn Sd;
    Slli Add: Add;
    Slli Slli: Add;
    Srli Addi: Slli Bne;
    Srli Slli: Or;
    Srliw Xor: Xor;
    Mul Sub: Addi;
    Mul Mulhu: Add Sd;
    Divuw Mul: Sub;
    Ld Addi: Add Jalr;
    Ld Add: Add;
    Ld Xor: Xor;
    Ld Mulhu: Mul;
    Ld Ld: Addi Slli Ld;
    Ld Lw: Add;
    Ld Sd: Addi;
    Lw Addi: Mul;
    Lw Addw: Addw;
    Lw Srli: Addi;
    Lb Slli: Or;
    Lbu Addi: Mul Sb Bne;
    Lbu Lbu: Lbu;
    Sd Addi: Addi Bltu;
    Sd Add: Bne;
    Sd Sd: Addi Sd;
    Sb Addi: Bne;
    Sb Add: Bne;
    Rori Rori: Rori;
    Rori Xor: Rori;
    Roriw Roriw: Add Roriw;
    Roriw Add: Add;
    Sh1add Slli: Add;
}

/// Fused rotations: their steps by whether the value of the first `rs1` is what the step before
/// computed.
macro_rules! rotations {
    ($($first:ident $second:ident $third:ident;)*) => {
        const ROTATIONS: &[Fused<3, [Step; 2]>] = &[$((
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

/// What steps cost, to choose between ways to cut a run into as many: a rotation reads and writes
/// less than its instructions would.
const STEP_COST: u32 = 4;
const ROTATION_COST: u32 = 3;

/// Operations that may be fused stand before this one.
const DECODED: usize = Operation::Undefined as usize;
/// For two operations, one more than the place of their pair; 0 if they have none.
static PAIR: [[u16; DECODED]; DECODED] = {
    let mut table = [[0; DECODED]; DECODED];
    let mut place = 0;
    while place < PAIRS.len() {
        let [first, second] = PAIRS[place].0;
        place += 1;
        table[first as usize][second as usize] = place as u16;
    }
    table
};

/// For two operations, whether a triple or a rotation begins with them.
static BEGIN_TRIPLE: [[bool; DECODED]; DECODED] =
    mark(mark([[false; DECODED]; DECODED], TRIPLES), ROTATIONS);

const fn mark<Steps>(
    mut table: [[bool; DECODED]; DECODED],
    triples: &[Fused<3, Steps>],
) -> [[bool; DECODED]; DECODED] {
    let mut place = 0;
    while place < triples.len() {
        let [first, second, _] = triples[place].0;
        table[first as usize][second as usize] = true;
        place += 1;
    }
    table
}

/// Gives each op its step. A step may do the ops that follow as well; these keep steps of their own,
/// for a jump to one of them or a stop in between.
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
    }
    // From the back, so that each op gets the step with which the way to the end costs least.
    let mut behind = [0u32; 3];
    for place in (0..ops.len()).rev() {
        let [first, second, third] = core::array::from_fn(|offset| ops.get(place + offset));
        let before = place.checked_sub(1).and_then(|before| ops.get(before));
        let acc = before.is_some_and(|before| follows(before.rd, ops[place].rs1));
        let mut best = (behind[0] + STEP_COST, plain(ops[place].operation, acc));
        let mut offer = |cost: u32, step| {
            if cost <= best.0 {
                best = (cost, step);
            }
        };
        if let (Some(first), Some(second)) = (first, second) {
            if let Some(step) = find_pair(first, second, acc) {
                offer(behind[1] + STEP_COST, step);
            }
            if let Some((cost, step)) =
                third.and_then(|third| find_triple([first, second, third], acc))
            {
                offer(behind[2] + cost, step);
            }
        }
        ops[place].step = best.1;
        behind = [best.0, behind[0], behind[1]];
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

fn find_pair(first: &Op, second: &Op, acc: bool) -> Option<Step> {
    let number = *PAIR.get(first.operation as usize)?.get(second.operation as usize)?;
    let (_, steps) = PAIRS.get(usize::from(number).checked_sub(1)?)?;
    let forward = usize::from(follows(first.rd, second.rs1));
    Some(steps[2 * forward + usize::from(acc)])
}

/// Finds a step of three, and what it costs.
fn find_triple([first, second, third]: [&Op; 3], acc: bool) -> Option<(u32, Step)> {
    let row = BEGIN_TRIPLE.get(first.operation as usize)?;
    if row.get(second.operation as usize) != Some(&true) {
        return None;
    }
    let operations = [first, second, third].map(|op| op.operation);
    let acc = usize::from(acc);
    if joins(first, second, third)
        && let Some((_, steps)) = ROTATIONS.iter().find(|(rotation, _)| *rotation == operations)
    {
        return Some((ROTATION_COST, steps[acc]));
    }
    let (_, steps) = TRIPLES.iter().find(|(triple, _)| *triple == operations)?;
    let forward = usize::from(follows(first.rd, second.rs1));
    let from = match third.rs1 {
        rs1 if follows(second.rd, rs1) => 2,
        rs1 if follows(first.rd, rs1) => 1,
        _ => 0,
    };
    Some((STEP_COST, steps[from][2 * forward + acc]))
}

/// Whether the third op joins what the other two compute apart, as in a rotation.
fn joins(first: &Op, second: &Op, third: &Op) -> bool {
    let [one, two] = [first.rd, second.rd];
    let both = [[one, two], [two, one]].contains(&[third.rs1, third.rs2]);
    both && one != two && one != SINK && two != SINK && second.rs1 != one
}

/// Does two instructions. With `ACC`, `acc` is the value of the first `rs1`; with `FORWARD`, the
/// second `rs1` is what the first one writes. A stop in between leaves the second one to be done.
fn two<A: Compute, B: Finish, const ACC: bool, const FORWARD: bool>(
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
    B::finish(b, x, &rest[1..], left, cpu)
}

/// The steps of three instructions that differ in `ACC` and `FORWARD`.
const fn threes<A: Compute, B: Compute, C: Finish, const FROM: u8>() -> [Step; 4] {
    [
        three::<A, B, C, false, false, FROM>,
        three::<A, B, C, true, false, FROM>,
        three::<A, B, C, false, true, FROM>,
        three::<A, B, C, true, true, FROM>,
    ]
}

/// As `two`, with a third one, whose `rs1` is what the first (`FROM` is 1) or the second (2) writes.
fn three<
    A: Compute,
    B: Compute,
    C: Finish,
    const ACC: bool,
    const FORWARD: bool,
    const FROM: u8,
>(
    x: &mut Registers,
    rest: &[Op],
    left: u64,
    acc: u64,
    cpu: &mut Cpu<'_>,
) {
    let [first, second, third, _, ..] = rest else { return pause(rest, left, cpu) };
    let a = if ACC { acc } else { x[usize::from(first.rs1)] };
    let Some(one) = run::<A>(a, first, x, cpu) else {
        return slowly::<A>(x, rest, left, a, cpu);
    };
    let b = if FORWARD { one } else { x[usize::from(second.rs1)] };
    let Some(two) = run::<B>(b, second, x, cpu) else {
        return slowly::<B>(x, &rest[1..], left, b, cpu);
    };
    let c = match FROM {
        1 => one,
        2 => two,
        _ => x[usize::from(third.rs1)],
    };
    C::finish(c, x, &rest[2..], left, cpu)
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
