//! Geth's words for a step that failed.

use alloc::{
    borrow::Cow,
    format,
    string::{String, ToString},
};

use revm::{bytecode::opcode::OpCode, interpreter::InstructionResult};

/// Most words on the EVM's stack.
const STACK_MAX: usize = 1_024;

/// The name of an opcode.
pub(super) fn name(opcode: u8) -> Cow<'static, str> {
    match OpCode::new(opcode) {
        Some(known) => Cow::Borrowed(known.as_str()),
        None => Cow::Owned(format!("opcode {opcode:#x} not defined")),
    }
}

/// Why a step failed that was about to run, where a figure belongs to it or where revm tells
/// apart what geth does not.
pub(super) fn text(result: InstructionResult, opcode: u8, stack: usize) -> Option<String> {
    let known = OpCode::new_or_unknown(opcode);
    let (inputs, outputs) = (usize::from(known.inputs()), usize::from(known.outputs()));
    Some(match result {
        InstructionResult::OpcodeNotFound
        | InstructionResult::NotActivated
        | InstructionResult::InvalidFEOpcode => format!("invalid opcode: {}", name(opcode)),
        InstructionResult::StackUnderflow => format!("stack underflow ({stack} <=> {inputs})"),
        // To revm, a DUP of what is not there is one too many.
        InstructionResult::StackOverflow if stack < inputs => {
            format!("stack underflow ({stack} <=> {inputs})")
        }
        InstructionResult::StackOverflow => {
            format!("stack limit reached {stack} ({})", STACK_MAX + inputs - outputs)
        }
        InstructionResult::OutOfGas
        | InstructionResult::MemoryOOG
        | InstructionResult::MemoryLimitOOG => "out of gas".to_string(),
        InstructionResult::InvalidOperandOOG => "gas uint64 overflow".to_string(),
        _ => return None,
    })
}

/// Geth's word for a result that has no figures.
pub(super) fn word(result: InstructionResult) -> String {
    match result {
        InstructionResult::InvalidJump => "invalid jump destination",
        InstructionResult::OutOfOffset => "return data out of bounds",
        InstructionResult::StateChangeDuringStaticCall
        | InstructionResult::CallNotAllowedInsideStatic => "write protection",
        InstructionResult::ReentrancySentryOOG => {
            "out of gas: not enough gas for reentrancy sentry"
        }
        InstructionResult::CreateInitCodeSizeLimit => "max initcode size exceeded",
        other => return format!("{other:?}"),
    }
    .to_string()
}

/// Whether geth finds the fault before it runs the instruction, and says so in the struct log.
pub(super) const fn comes_first(result: InstructionResult) -> bool {
    matches!(
        result,
        InstructionResult::StackUnderflow
            | InstructionResult::StackOverflow
            | InstructionResult::OutOfGas
            | InstructionResult::MemoryOOG
            | InstructionResult::MemoryLimitOOG
            | InstructionResult::InvalidOperandOOG
            | InstructionResult::ReentrancySentryOOG
    )
}
