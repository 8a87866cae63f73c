//! From the bytes of an executable segment to ops: linear in their number, for any bytes.
//!
//! The main stream holds the instructions met by going through the segment from its start. Any
//! even address may be jumped to, so the halfwords inside of those instructions are decoded as
//! well: each such side stream runs until it meets a halfword that already has an op, and goes on
//! there by a `Goto`. So there are at most two ops per halfword.

use alloc::{vec, vec::Vec};

use genesis::RiscvGas;

use super::{
    decode::decode,
    elf::Segment,
    gas::price,
    instruction::{Instruction, Operation, length},
    op::{Op, SINK, WINDOW},
};

/// Marks a halfword that has no op yet.
const NONE: u32 = u32::MAX;

/// The op of every halfword of one executable segment.
#[derive(Debug)]
pub(super) struct Code {
    /// Address of the first halfword.
    pub(super) base: u64,
    /// The place of the op that starts at each halfword.
    pub(super) index: Vec<u32>,
}

/// The ops of all executable segments, and the address of the instruction that each stands for.
#[derive(Debug, Default)]
pub(super) struct Ops {
    pub(super) ops: Vec<Op>,
    pub(super) pcs: Vec<u32>,
}

impl Ops {
    fn push(&mut self, op: Op, pc: u64) -> u32 {
        // Addresses of segments are below 2^24, and places below twice the bytes of the image.
        self.ops.push(op);
        self.pcs.push(pc as u32);
        self.ops.len() as u32 - 1
    }

    /// Decodes a segment. Jumps stay relative until `resolve_jumps`.
    pub(super) fn lower(
        &mut self,
        segments: &[Segment],
        segment: &Segment,
        gas: &RiscvGas,
    ) -> Code {
        let base = segment.start.next_multiple_of(2);
        let bytes = (segment.start + segment.data.len() as u64).saturating_sub(base);
        let halfwords = bytes.div_ceil(2) as usize;
        let mut code = Code { base, index: vec![NONE; halfwords] };
        for start in 0..halfwords {
            if code.index[start] == NONE {
                let mut halfword = start;
                let first = self.ops.len();
                while code.index.get(halfword) == Some(&NONE) {
                    let pc = code.base + 2 * halfword as u64;
                    let (op, length) = lower_one(segments, segment, pc);
                    code.index[halfword] = self.push(op, pc);
                    halfword += length / 2;
                }
                self.end_stream(&code, first, halfword, gas);
            }
        }
        code
    }

    /// Ends the stream whose ops start at `first` at a halfword that has an op, or past the last
    /// one, and prices it.
    fn end_stream(&mut self, code: &Code, first: usize, halfword: usize, gas: &RiscvGas) {
        let pc = code.base + 2 * halfword as u64;
        let last = self.ops.len();
        let (end, mut cost) = match code.index.get(halfword) {
            Some(&place) => {
                let cost = self.ops[place as usize].cost;
                (Op { cost, ..Op::constant(Operation::Goto, place.into()) }, cost)
            }
            None => (Op::constant(Operation::Leave, pc), 0),
        };
        self.push(end, pc);
        for op in self.ops[first..last].iter_mut().rev() {
            let own = price(gas, op.operation);
            // Prices are a genesis setting: an absurd one saturates instead of becoming cheap.
            cost = if op.operation.ends_block() { own } else { own.saturating_add(cost) };
            op.cost = cost;
        }
    }

    /// Adds an op for an entry that was not decoded.
    pub(super) fn push_entry(&mut self, entry: u64) -> u32 {
        self.push(Op::constant(Operation::Leave, entry), entry)
    }

    /// Makes every real op have a whole window before it, which the interpreter looks at.
    pub(super) fn pad(&mut self) {
        let end = self.ops.len() + WINDOW - 1;
        self.ops.resize(end, Op::constant(Operation::Undefined, 0));
    }

    /// Turns the offsets of direct jumps and branches into the places of their targets.
    pub(super) fn resolve_jumps(&mut self, codes: &[Code]) {
        use Operation::*;
        for place in 0..self.ops.len() {
            let op = self.ops[place];
            if !matches!(op.operation, Jal | Jump | Beq | Bne | Blt | Bge | Bltu | Bgeu) {
                continue;
            }
            let pc = u64::from(self.pcs[place]);
            let target = pc.wrapping_add(op.immediate());
            let to =
                find(codes, target).unwrap_or_else(|| self.push(Op::constant(Leave, target), pc));
            self.ops[place].imm = to as i32;
        }
    }
}

/// The place of the op at an address, if it was decoded: of code from `base` on.
#[inline(always)]
pub(super) fn place(base: u64, index: &[u32], address: u64) -> Option<u32> {
    // An odd address rotates to a place that no index reaches.
    let halfword = address.wrapping_sub(base).rotate_right(1);
    index.get(halfword as usize).copied()
}

/// The place of the op at an address, if it was decoded in one of the segments.
pub(super) fn find<'a>(codes: impl IntoIterator<Item = &'a Code>, address: u64) -> Option<u32> {
    codes.into_iter().find_map(|code| place(code.base, &code.index, address))
}

/// The bytes of the instruction at `pc`, if all of them are in executable segments.
pub(super) fn fetch(segments: &[Segment], pc: u64) -> Option<u32> {
    let byte = |offset: u64| {
        let address = pc.checked_add(offset)?;
        let inside = |s: &&Segment| s.executable && (s.start..s.end()).contains(&address);
        segments.iter().find(inside)?.byte(address)
    };
    assemble(byte)
}

/// An instruction from a function that gives the byte at an offset from its start.
fn assemble(byte: impl Fn(u64) -> Option<u8>) -> Option<u32> {
    let low = u16::from_le_bytes([byte(0)?, byte(1)?]);
    if length(low) == 2 {
        return Some(low.into());
    }
    let high = u16::from_le_bytes([byte(2)?, byte(3)?]);
    Some(u32::from(high) << 16 | u32::from(low))
}

/// The op at `pc` in a segment, and the bytes that it stands for.
fn lower_one(segments: &[Segment], segment: &Segment, pc: u64) -> (Op, usize) {
    // An instruction may reach into the next segment, if that follows at once.
    let bits = assemble(|offset| segment.byte(pc + offset)).or_else(|| fetch(segments, pc));
    let Some(bits) = bits else {
        return (Op::constant(Operation::Undefined, 0), 2);
    };
    let length = length(bits as u16);
    match decode(bits) {
        Some(instruction) => (lower_instruction(instruction, pc), length),
        None => (Op::constant(Operation::Undefined, bits.into()), length),
    }
}

fn lower_instruction(instruction: Instruction, pc: u64) -> Op {
    use Operation::*;
    let Instruction { operation, rs1, rs2, imm, .. } = instruction;
    let rd = if instruction.rd == 0 { SINK } else { instruction.rd };
    let constant = |value| Op { rd, ..Op::constant(operation, value) };
    let plain = Op { rd, rs1, rs2, imm, ..Op::constant(operation, 0) };
    match operation {
        Lui => constant(imm as u64),
        Auipc => constant(pc.wrapping_add(imm as u64)),
        Jal if rd == SINK => Op { operation: Jump, ..plain },
        Jalr if rd == SINK => Op { operation: JumpRegister, ..plain },
        // Addresses of segments are below 2^24.
        Jal | Jalr => Op { high: pc as u32 + u32::from(instruction.length), ..plain },
        _ => plain,
    }
}
