//! What the interpreter loop reads: an instruction with its targets resolved and its block's price.

use super::{cpu::Step, instruction::Operation, steps::plain};

/// Where writes to `x0` go: a slot that no instruction reads.
pub(super) const SINK: u8 = 32;

/// Most steps that the interpreter does in one chain.
pub(super) const WINDOW: usize = 256;

/// One instruction for the interpreter, in 24 bytes.
///
/// The op that follows in the straight run stands in the next place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Op {
    /// Does it, or it and those that follow: see `steps.rs`.
    pub step: Step,
    pub operation: Operation,
    /// Destination register; `SINK` for `x0`.
    pub rd: u8,
    /// First source register.
    pub rs1: u8,
    /// Second source register.
    pub rs2: u8,
    /// Bits from 32 on of a constant; a jump's return address; of a load or a store how far its
    /// immediate is from that of the op before.
    pub high: u32,
    /// Immediate; for direct jumps and branches the place of the target op.
    pub imm: i32,
    /// Units from here to the end of the straight run, this op included.
    pub cost: u32,
}

const _: () = assert!(size_of::<Op>() == 16 + size_of::<Step>());

impl Op {
    /// An op without registers that carries a constant.
    pub(super) fn constant(operation: Operation, value: u64) -> Self {
        let (imm, high) = (value as i32, (value >> 32) as u32);
        let step = plain(operation, false);
        Self { step, operation, rd: SINK, rs1: 0, rs2: 0, imm, cost: 0, high }
    }

    /// The constant that the op carries.
    #[inline(always)]
    pub(super) fn value(&self) -> u64 {
        u64::from(self.high) << 32 | u64::from(self.imm as u32)
    }

    /// The return address that a jump keeps.
    #[inline(always)]
    pub(super) fn link(&self) -> u64 {
        self.high.into()
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
