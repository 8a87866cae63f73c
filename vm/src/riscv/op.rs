//! What the interpreter loop reads: an instruction with its targets resolved and its block's price.

use super::instruction::Operation;

/// Where writes to `x0` go: a slot that no instruction reads.
pub(super) const SINK: u8 = 32;

/// Ops that the interpreter looks at in each step: fused ones read those that follow.
pub(super) const WINDOW: usize = 3;

/// One step of the interpreter. Sixteen bytes, so that four share a cache line.
///
/// The op that follows in the straight run stands in the next place.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub(super) struct Op {
    pub operation: Operation,
    /// Destination register; `SINK` for `x0`.
    pub rd: u8,
    /// First source register.
    pub rs1: u8,
    /// Second source register.
    pub rs2: u8,
    /// Immediate; for direct jumps and branches the place of the target op.
    pub imm: i32,
    /// Units from here to the end of the straight run, this op included.
    pub cost: u32,
    /// Upper half of a 64-bit constant, or the return address of a call.
    pub aux: u32,
}

const _: () = assert!(size_of::<Op>() == 16);

impl Op {
    /// An op without registers that carries a 64-bit constant.
    pub(super) fn constant(operation: Operation, value: u64) -> Self {
        let (imm, aux) = (value as i32, (value >> 32) as u32);
        Self { operation, rd: SINK, rs1: 0, rs2: 0, imm, cost: 0, aux }
    }

    /// The 64-bit constant that the op carries.
    #[inline(always)]
    pub(super) fn value(&self) -> u64 {
        u64::from(self.aux) << 32 | u64::from(self.imm as u32)
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
