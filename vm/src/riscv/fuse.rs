//! Fusion: frequent pairs of instructions that the interpreter does in one step.

use super::{instruction::Operation, op::Op};

/// Replaces the operation of an op that starts a known pair; everything else stays, so a jump to
/// the second op of the pair, or a stop between the two, finds it unchanged.
pub(super) fn fuse(_ops: &mut [Op]) {}

/// What the first op of a fused pair does on its own.
pub(super) fn plain(operation: Operation) -> Operation {
    operation
}
