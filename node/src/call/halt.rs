//! Why executions halt, in geth's words.

use revm::bytecode::opcode::{self, OpCode};
use revm::context_interface::result::{ExecutionResult, HaltReason, OutOfGasError};
use vm::Outcome;

use crate::simulate::LastStep;

/// geth's phrase for a halt.
pub(crate) fn phrase(reason: &HaltReason) -> String {
    let phrase = match reason {
        HaltReason::OutOfGas(_) => "out of gas",
        HaltReason::OpcodeNotFound | HaltReason::InvalidFEOpcode => "invalid opcode",
        HaltReason::InvalidJump => "invalid jump destination",
        HaltReason::StackUnderflow => "stack underflow",
        HaltReason::StackOverflow => "stack limit reached 1024 (1023)",
        HaltReason::OutOfOffset => "return data out of bounds",
        HaltReason::CreateCollision => "contract address collision",
        HaltReason::NonceOverflow => "nonce uint64 overflow",
        HaltReason::CreateContractSizeLimit => "max code size exceeded",
        HaltReason::CreateContractStartingWithEF => "invalid code: must not begin with 0xef",
        HaltReason::CreateInitCodeSizeLimit => "max initcode size exceeded",
        HaltReason::StateChangeDuringStaticCall | HaltReason::CallNotAllowedInsideStatic => {
            "write protection"
        }
        HaltReason::OutOfFunds => "insufficient balance for transfer",
        HaltReason::CallTooDeep => "max call depth exceeded",
        HaltReason::PrecompileErrorWithContext(text) => text,
        other => return format!("execution halted: {other:?}"),
    };
    phrase.to_owned()
}

/// The reason of a halt that geth's words name the instruction of, unless a RISC-V frame trapped.
pub(super) fn unnamed(ran: &Outcome) -> Option<HaltReason> {
    match &ran.result {
        ExecutionResult::Halt { reason, .. } if ran.trap.is_none() => match reason {
            HaltReason::InvalidFEOpcode
            | HaltReason::OpcodeNotFound
            | HaltReason::NotActivated
            | HaltReason::StackUnderflow
            | HaltReason::StackOverflow => Some(reason.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// Why a call halted, in geth's words, which name the instruction.
pub(crate) fn text(reason: &HaltReason, last: LastStep, creation: bool) -> String {
    let LastStep { opcode, stack } = last;
    match reason {
        HaltReason::InvalidFEOpcode => "invalid opcode: INVALID".to_owned(),
        HaltReason::OpcodeNotFound | HaltReason::NotActivated => match OpCode::new(opcode) {
            Some(known) => format!("invalid opcode: {known}"),
            None => format!("invalid opcode: opcode {opcode:#x} not defined"),
        },
        HaltReason::StackUnderflow | HaltReason::StackOverflow => {
            let info = OpCode::new(opcode).map(|opcode| opcode.info());
            let required = info.map_or(0, |info| info.inputs());
            // To revm, a DUP of what is not there is one too many.
            if *reason == HaltReason::StackUnderflow || stack < usize::from(required) {
                return format!("stack underflow ({stack} <=> {required})");
            }
            let grows = info.map_or(0, |info| info.io_diff());
            format!("stack limit reached {stack} ({})", 1024 - i32::from(grows))
        }
        HaltReason::OutOfGas(OutOfGasError::InvalidOperand) => "gas uint64 overflow".to_owned(),
        HaltReason::OutOfGas(OutOfGasError::Basic) if creation && opcode == opcode::RETURN => {
            "contract creation code storage out of gas".to_owned()
        }
        other => phrase(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halts_name_the_instruction() {
        let text = |reason, opcode, stack| super::text(&reason, LastStep { opcode, stack }, true);
        assert_eq!(text(HaltReason::InvalidFEOpcode, 0xfe, 0), "invalid opcode: INVALID");
        let undefined = text(HaltReason::OpcodeNotFound, 0x0c, 0);
        assert_eq!(undefined, "invalid opcode: opcode 0xc not defined");
        assert_eq!(text(HaltReason::StackUnderflow, 0x01, 1), "stack underflow (1 <=> 2)");
        assert_eq!(text(HaltReason::StackOverflow, 0x81, 1), "stack underflow (1 <=> 2)");
        let overflow = text(HaltReason::StackOverflow, 0x5f, 1024);
        assert_eq!(overflow, "stack limit reached 1024 (1023)");
        let deposit = text(HaltReason::OutOfGas(OutOfGasError::Basic), 0xf3, 2);
        assert_eq!(deposit, "contract creation code storage out of gas");
        assert_eq!(text(HaltReason::OutOfGas(OutOfGasError::Basic), 0x01, 2), "out of gas");
    }
}
