//! Fusion: frequent sequences of instructions that the interpreter does in one step.
//!
//! The choice is what compilers emit in loops, address arithmetic, prologues and hashes. Prices are
//! not concerned: a block costs what its instructions cost.

use core::marker::PhantomData;

use super::{
    PAGE_SIZE,
    cpu::{Cpu, Step, pause},
    instruction::Operation,
    op::{Op, SINK},
    pool::Registers,
    steps::*,
};

/// A fused sequence of `N` operations, and its steps.
type Listed<const N: usize, Steps> = ([Operation; N], Steps);

/// The steps of a sequence without (`A`) and with (`B`) forwarding.
const fn steps<A: Finish, B: Finish>() -> [Step; 4] {
    [one::<A, false>, one::<A, true>, one::<B, false>, one::<B, true>]
}

/// Fused pairs. A step's place has bit 0 set if the value of the first `rs1` is what the step before
/// computed, bit 1 if that of the second is what the first does.
macro_rules! pairs {
    ($($first:ident: $($second:ident)*;)*) => {
        const PAIRS: &[Listed<2, [Step; 4]>] = &[$($((
            [Operation::$first, Operation::$second],
            steps::<Then<$first, $second, false>, Then<$first, $second, true>>(),
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
    Srai: Add And; Lui: Addi Add And Addiw; Auipc: Addi Ld; Addiw: Add And Slli Addw Sw;
    Addw: Xor Addiw Addw Slliw Srliw Lw Sw;
    Slliw: Xor Or Addw Srliw;
    Srliw: Xor Or Andi Slli Slliw;
    Sltu: Addi Add Sub Or Xori Sltu Ld Sd;
    Mul: Addi Add Sub Sltu Mul Mulhu Sd;
    Mulhu: Add Mul; Divuw: Mul;
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
    AddUw: Add Lbu; Maxu: Sub; Minu: Maxu;
    Sh1add: Addi Slli; Sh2add: Lw Sh1add; Sh3add: Addi Ld Sd;
    // The second one ends the block.
    Addi: Beq Bge Bgeu Blt Bltu Bne Jal Jalr Jump JumpRegister;
    Add: Beq Bgeu Bltu Bne Jalr Jump JumpRegister;
    Sub: Beq Bltu Bne; Xor: Beq Bne; And: Beq Bne; Or: Beq Bne; Xori: JumpRegister; Andi: Beq Bne;
    Slli: Beq Bge Blt Bne; Srli: Beq Bgeu Bne; Lui: Jalr; Auipc: Jalr JumpRegister;
    Addiw: Beq Bge Blt Bne; Sltu: Beq Bne; Ld: Beq Bgeu Bltu Bne Jalr Jump JumpRegister;
    Lw: Beq Bge Bgeu Blt Bltu Bne; Lbu: Beq Bgeu Bltu Bne;
    Sd: Beq Bltu Bne Jal Jump; Sw: Bne Jump; Sb: Bltu Bne Jump;
}

const fn threes<A: Begin, B: Begin, C: Finish, const FROM: u8>() -> [Step; 4] {
    steps::<Three<A, B, C, false, FROM>, Three<A, B, C, true, FROM>>()
}

/// Fused triples: steps by where the third `rs1` comes from, then as a pair's.
macro_rules! triples {
    ($($first:ident $second:ident: $($third:ident)*;)*) => {
        const TRIPLES: &[Listed<3, [[Step; 4]; 3]>] = &[$($((
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
    Addi Addi: Sd Beq Bltu Bne; Addi Add: Bltu Bne; Addi Sub: Xor; Addi Mul: Addi; Addi Sd: Add Sd;
    Addi Sw: Bne;
    Add Addi: Bltu Bne; Add Add: Add Xor Bgeu; Add Xor: Add Xor; Add Sltu: Add; Add Ld: Ld;
    Xor Xor: Xor Ld Roriw; Xor Andn: Xor; Xor Ld: Xor;
    And And: Xor;
    Xori And: Xor;
    Addw Addw: Addw;
    Andn Xor: Andn Sd;
    Slli Add: Add; Slli Slli: Add;
    Srli Addi: Slli Bne; Srli Slli: Or;
    Srliw Xor: Xor;
    Mul Sub: Addi; Mul Mulhu: Add Sd;
    Divuw Mul: Sub;
    Ld Addi: Add JumpRegister; Ld Add: Add; Ld Xor: Xor; Ld Mulhu: Mul; Ld Ld: Addi Slli Ld;
    Ld Lw: Add; Ld Sd: Addi;
    Lw Addi: Mul; Lw Addw: Addw; Lw Srli: Addi;
    Lb Slli: Or;
    Lbu Addi: Mul Sb Bne; Lbu Lbu: Lbu;
    Sd Addi: Addi Bltu; Sd Add: Bne; Sd Sd: Addi Sd;
    Sb Addi: Bne; Sb Add: Bne;
    Rori Rori: Rori; Rori Xor: Rori;
    Roriw Roriw: Add Roriw; Roriw Add: Add;
    Sh1add Slli: Add;
}

/// A longer sequence of what fuses, and its steps by whether the value of the first `rs1` is what the
/// step before computed.
struct Longer {
    begin: [Operation; 2],
    len: usize,
    cost: u32,
    fits: fn(&[Op]) -> bool,
    steps: [Step; 2],
}

const fn longer<S: Fused + Finish>() -> Longer {
    assert!(S::OPS <= LEN_MAX);
    let (begin, cost) = (S::BEGIN, STEP_COST - S::SAVES);
    Longer { begin, len: S::OPS, cost, fits: S::fits, steps: [one::<S, false>, one::<S, true>] }
}

/// What fuses, one after the other: instructions, rotations in brackets, two accesses beside each
/// other in parentheses. After `>` the first `rs1` is what was computed just before.
macro_rules! sequence {
    ($part:tt) => { part!($part) };
    ($part:tt > $($rest:tt)+) => { Then<part!($part), sequence!($($rest)+), true> };
    ($part:tt $($rest:tt)+) => { Then<part!($part), sequence!($($rest)+), false> };
}
macro_rules! part {
    ([$first:ident $second:ident $third:ident]) => { Rotate<$first, $second, $third> };
    (($first:ident $second:ident)) => { Beside<$first, $second> };
    ($instruction:ident) => { $instruction };
}
macro_rules! sequences {
    ($({ $($sequence:tt)+ })*) => {
        const LONGER: &[Longer] = &[$(longer::<sequence!($($sequence)+)>(),)*];
    };
}

sequences! {
    { [Srliw Slliw Or] } { [Slliw Srliw Or] } { [Srliw Slli Or] } { [Slli Srliw Or] }
    { [Srli Slli Or] } { [Slli Srli Or] } { [Srliw Slliw Xor] } { [Slliw Srliw Xor] }
    { [Srli Slli Xor] } { [Slli Srli Xor] } { [Slli Srli Add] } { [Slliw Srliw Addw] }
    { [Srliw Slliw Or] Xor > Xor } { [Srliw Slliw Or] [Srliw Slliw Or] }
    { [Srliw Slliw Or] [Srliw Slliw Or] Srliw Xor > Xor }
    { Lw [Srliw Slliw Or] [Srliw Slliw Or] Srliw Xor > Xor }
    { [Srliw Slli Or] Add > Xor } { [Srliw Slli Or] Ld > Add > Add }
    { [Srliw Slli Or] [Srliw Slli Or] }
    { [Srli Slli Or] [Srli Slli Or] } { Srli Slli Or Srli Slli Or } { Sd Srli Slli Or }
    { Xor > And Xor } { Xor > And Xor Lui > Addiw } { Xor > And And > Xor }
    { Xor > And And > Xor Addw Addw Addw } { Lui > Addiw Lw Addw } { Lw Addw Addw Addw > Addw }
    { Andn > Xor Andn > Xor } { Andn > Xor Sd Andn > Xor } { Xor Ld > Xor Xor }
    { Xori And And Xor } { Xor Xor Xor Xor } { Rori Rori Rori Rori } { Roriw Roriw Roriw Roriw }
    { Add Add Add Add } { Add Add Add Add Xor Xor Xor Xor }
    { Add Add Add Add Xor Xor Xor Xor Roriw Roriw Roriw Roriw }
    { (Ld Ld) } { (Ld Ld) (Ld Ld) } { (Ld Ld) Addi } { (Ld Ld) Addi JumpRegister }
    { (Sd Sd) } { (Sd Sd) (Sd Sd) } { Addi > (Sd Sd) } { Addi > (Sd Sd) Addi Jal }
    { (Sd Ld) } { (Sd Ld) Addi Jal } { (Ld Sd) } { Ld Sd Addi Addi Bltu } { Sd Addi Addi Bltu }
    { (Ld Lw) Add Add Addi > Bltu } { (Lw Lw) } { (Lw Lw) Addw Addw > Addw }
    { (Lw Lw) Addw Addw > Addw (Sw Lw) } { (Sw Sw) } { (Sw Lw) }
    { (Lbu Lbu) } { (Lbu Lbu) Lb Slli > Or } { Slli Slli Or Lbu } { Lbu Addi Sb Addi Addi Bne }
}

/// Most instructions of a sequence.
const LEN_MAX: usize = 12;

/// What a step costs, to choose between ways to cut a run.
const STEP_COST: u32 = 4;

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

/// For two operations, whether a triple or something longer begins with them.
static BEGIN: [[bool; DECODED]; DECODED] = {
    let mut table = [[false; DECODED]; DECODED];
    let mut place = TRIPLES.len() + LONGER.len();
    while place > 0 {
        place -= 1;
        let (first, second) = match place.checked_sub(LONGER.len()) {
            Some(place) => (TRIPLES[place].0[0], TRIPLES[place].0[1]),
            None => (LONGER[place].begin[0], LONGER[place].begin[1]),
        };
        table[first as usize][second as usize] = true;
    }
    table
};

/// Gives each op its step. A step may do the ops that follow as well; these keep steps of their own,
/// for a jump to one of them or a stop in between.
///
/// Only the last operation of a sequence may transfer control, so what stands next to an op is what
/// runs next.
pub(super) fn fuse(ops: &mut [Op]) {
    for place in 1..ops.len() {
        let (before, op) = (ops[place - 1], &mut ops[place]);
        // What was just computed is at hand for the first operand only.
        if commutes(op.operation) && follows(before.rd, op.rs2) {
            core::mem::swap(&mut op.rs1, &mut op.rs2);
        }
        if (Operation::Lb as u8..=Operation::Sd as u8).contains(&(op.operation as u8)) {
            op.high = op.imm.wrapping_sub(before.imm) as u32;
        }
    }
    // From the back, so that each op gets the step with which the way to the end costs least.
    let mut behind = [0u32; LEN_MAX];
    for place in (0..ops.len()).rev() {
        let before = place.checked_sub(1).and_then(|before| ops.get(before));
        let acc = before.is_some_and(|before| follows(before.rd, ops[place].rs1));
        let mut best = (behind[0] + STEP_COST, plain(ops[place].operation, acc));
        find(&ops[place..], acc, |len, cost, step| {
            let cost = behind[len - 1] + cost;
            if cost <= best.0 {
                best = (cost, step);
            }
        });
        ops[place].step = best.1;
        behind.rotate_right(1);
        behind[0] = best.0;
    }
}

/// Offers the fused steps that the ops may begin with: how many they do, and at which cost.
fn find(ops: &[Op], acc: bool, mut offer: impl FnMut(usize, u32, Step)) {
    let [first, second, ..] = ops else { return };
    if let Some(step) = find_pair(first, second, acc) {
        offer(2, STEP_COST, step);
    }
    let row = BEGIN.get(first.operation as usize);
    if row.and_then(|row| row.get(second.operation as usize)) != Some(&true) {
        return;
    }
    if let Some(step) = ops.get(2).and_then(|third| find_triple([first, second, third], acc)) {
        offer(3, STEP_COST, step);
    }
    let begin = [first.operation, second.operation];
    for longer in LONGER.iter().filter(|longer| longer.begin == begin) {
        if ops.get(..longer.len).is_some_and(longer.fits) {
            offer(longer.len, longer.cost, longer.steps[usize::from(acc)]);
        }
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

fn find_triple([first, second, third]: [&Op; 3], acc: bool) -> Option<Step> {
    let operations = [first, second, third].map(|op| op.operation);
    let (_, steps) = TRIPLES.iter().find(|(triple, _)| *triple == operations)?;
    let forward = usize::from(follows(first.rd, second.rs1));
    let from = match third.rs1 {
        rs1 if follows(second.rd, rs1) => 2,
        rs1 if follows(first.rd, rs1) => 1,
        _ => 0,
    };
    Some(steps[from][2 * forward + usize::from(acc)])
}

/// What may be fused, and where.
trait Fused {
    /// Its first two operations.
    const BEGIN: [Operation; 2];
    /// How much less it costs than a step.
    const SAVES: u32;

    /// Whether ops, as many as it does, are these.
    fn fits(ops: &[Op]) -> bool;
}

impl<I: Named> Fused for I {
    const BEGIN: [Operation; 2] = [I::OPERATION, I::OPERATION];
    const SAVES: u32 = 0;

    fn fits(ops: &[Op]) -> bool {
        matches!(ops, [op] if op.operation == I::OPERATION)
    }
}

/// One after the other. With `FORWARD`, the second's first `rs1` is what the first one writes last.
struct Then<A, B, const FORWARD: bool>(PhantomData<(A, B)>);

impl<A: Fused + Begin, B: Fused, const FORWARD: bool> Fused for Then<A, B, FORWARD> {
    const BEGIN: [Operation; 2] =
        [A::BEGIN[0], if A::OPS == 1 { B::BEGIN[0] } else { A::BEGIN[1] }];
    const SAVES: u32 = A::SAVES + B::SAVES;

    fn fits(ops: &[Op]) -> bool {
        let Some((a, b)) = ops.split_at_checked(A::OPS) else { return false };
        let forward = matches!((a, b), ([.., a], [b, ..]) if follows(a.rd, b.rs1));
        A::fits(a) && B::fits(b) && (forward || !FORWARD)
    }
}

impl<A: Begin, B: Finish, const FORWARD: bool> Finish for Then<A, B, FORWARD> {
    const OPS: usize = A::OPS + B::OPS;

    #[inline(always)]
    fn finish<'a>(a: u64, x: &mut Registers, rest: &'a [Op], left: u64, cpu: &mut Cpu<'a>) {
        let Some(behind @ [second, ..]) = rest.get(A::OPS..) else { return pause(rest, left, cpu) };
        let Some(value) = A::begin(a, x, rest, left, cpu) else { return };
        let b = if FORWARD { value } else { x[usize::from(second.rs1)] };
        B::finish(b, x, behind, left, cpu)
    }
}

/// Two loads or stores of the same base, most often in one page, which is looked for once.
struct Beside<A, B>(PhantomData<(A, B)>);

impl<A: Access, B: Access> Fused for Beside<A, B> {
    const BEGIN: [Operation; 2] = [A::OPERATION, B::OPERATION];
    const SAVES: u32 = 1;

    fn fits(ops: &[Op]) -> bool {
        let [first, second] = ops else { return false };
        let same = first.rs1 == second.rs1 && !follows(first.rd, second.rs1);
        same && Self::BEGIN == [first.operation, second.operation]
    }
}

impl<A: Access, B: Access> Begin for Beside<A, B> {
    const OPS: usize = 2;

    #[inline(always)]
    fn begin<'a>(
        a: u64,
        x: &mut Registers,
        rest: &'a [Op],
        left: u64,
        cpu: &mut Cpu<'a>,
    ) -> Option<u64> {
        let [first, second, ..] = rest else { return None };
        let address = a.wrapping_add(first.immediate());
        let offset = address as usize % PAGE_SIZE;
        let page = cpu.view.page(address, !(A::WRITES && B::WRITES));
        let Some((page, value)) =
            page.and_then(|page| A::at(page, offset, first, x).map(|v| (page, v)))
        else {
            slowly::<A>(x, rest, left, a, cpu);
            return None;
        };
        if A::WRITES {
            x[usize::from(first.rd)] = value;
        }
        let value = B::at(page, offset.wrapping_add(second.high as i32 as usize), second, x);
        match value {
            Some(value) if B::WRITES => x[usize::from(second.rd)] = value,
            Some(_) => {}
            None => slowly::<B>(x, &rest[1..], left, a, cpu),
        }
        value
    }
}

/// A rotation: two instructions of which neither reads what the other writes, and one that joins
/// them.
struct Rotate<A, B, C>(PhantomData<(A, B, C)>);

impl<A: Compute, B: Compute, C: Join> Fused for Rotate<A, B, C> {
    const BEGIN: [Operation; 2] = [A::OPERATION, B::OPERATION];
    const SAVES: u32 = 1;

    fn fits(ops: &[Op]) -> bool {
        let [first, second, third] = ops else { return false };
        let [one, two] = [first.rd, second.rd];
        let both = [[one, two], [two, one]].contains(&[third.rs1, third.rs2]);
        let apart = both && one != two && one != SINK && two != SINK && second.rs1 != one;
        apart
            && [A::OPERATION, B::OPERATION, C::OPERATION]
                == [first, second, third].map(|op| op.operation)
    }
}

impl<A: Compute, B: Compute, C: Join> Begin for Rotate<A, B, C> {
    const OPS: usize = 3;

    #[inline(always)]
    fn begin<'a>(
        a: u64,
        x: &mut Registers,
        rest: &'a [Op],
        left: u64,
        cpu: &mut Cpu<'a>,
    ) -> Option<u64> {
        let [first, second, third, ..] = rest else { return None };
        let b = x[usize::from(second.rs1)];
        let both = (A::compute(a, first, x, cpu), B::compute(b, second, x, cpu));
        let (Some(one), Some(two)) = both else {
            pause(rest, left, cpu);
            return None;
        };
        x[usize::from(first.rd)] = one;
        x[usize::from(second.rd)] = two;
        let value = C::join(one, two);
        x[usize::from(third.rd)] = value;
        Some(value)
    }
}

/// Three instructions. With `FORWARD`, the second `rs1` is what the first one writes; the third is
/// what the first (`FROM` is 1) or the second (2) does.
struct Three<A, B, C, const FORWARD: bool, const FROM: u8>(PhantomData<(A, B, C)>);

impl<A: Begin, B: Begin, C: Finish, const FORWARD: bool, const FROM: u8> Finish
    for Three<A, B, C, FORWARD, FROM>
{
    const OPS: usize = 3;

    #[inline(always)]
    fn finish<'a>(a: u64, x: &mut Registers, rest: &'a [Op], left: u64, cpu: &mut Cpu<'a>) {
        let [_, second, third, ..] = rest else { return pause(rest, left, cpu) };
        let Some(one) = A::begin(a, x, rest, left, cpu) else { return };
        let b = if FORWARD { one } else { x[usize::from(second.rs1)] };
        let Some(two) = B::begin(b, x, &rest[1..], left, cpu) else { return };
        let c = match FROM {
            1 => one,
            2 => two,
            _ => x[usize::from(third.rs1)],
        };
        C::finish(c, x, &rest[2..], left, cpu)
    }
}
