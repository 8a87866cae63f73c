//! What the interpreter loop reads: an instruction with its targets resolved and its block's price.

use super::instruction::Operation;

/// Where writes to `x0` go: a slot that no instruction reads.
pub(super) const SINK: u8 = 32;

/// Most steps that the interpreter does in one chain.
pub(super) const WINDOW: usize = 256;

/// One instruction for the interpreter. Sixteen bytes, so that four share a cache line.
///
/// The op that follows in the straight run stands in the next place.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub(super) struct Op {
    /// Number of the step that does it, or it and those that follow: see `steps.rs`.
    pub step: u16,
    pub operation: Operation,
    /// Destination register; `SINK` for `x0`.
    pub rd: u8,
    /// First source register.
    pub rs1: u8,
    /// Second source register; bits 16 to 23 of a jump's return address.
    pub rs2: u8,
    /// Bits from 32 on of a constant; the low bits of a jump's return address.
    pub high: i16,
    /// Immediate; for direct jumps and branches the place of the target op.
    pub imm: i32,
    /// Units from here to the end of the straight run, this op included.
    pub cost: u32,
}

const _: () = assert!(size_of::<Op>() == 16);

impl Op {
    /// An op without registers that carries a constant of 48 bits, sign-extended.
    pub(super) fn constant(operation: Operation, value: u64) -> Self {
        let (imm, high) = (value as i32, (value >> 32) as i16);
        Self { step: 0, operation, rd: SINK, rs1: 0, rs2: 0, imm, cost: 0, high }
    }

    /// The constant that the op carries.
    #[inline(always)]
    pub(super) fn value(&self) -> u64 {
        (i64::from(self.high) << 32) as u64 | u64::from(self.imm as u32)
    }

    /// Makes it keep a return address, which is less than 2^24.
    pub(super) fn with_link(self, address: u64) -> Self {
        Self { high: address as i16, rs2: (address >> 16) as u8, ..self }
    }

    /// The return address that a jump keeps.
    #[inline(always)]
    pub(super) fn link(&self) -> u64 {
        u64::from(self.rs2) << 16 | u64::from(self.high as u16)
    }

    /// The immediate as the machine adds it.
    #[inline(always)]
    pub(super) fn immediate(&self) -> u64 {
        i64::from(self.imm) as u64
    }

    /// The place of the op that a direct jump or branch goes to.
    #[inline(always)]
    pub(super) fn target(&self) -> usize {
        self.imm as u32 as usize
    }
}
