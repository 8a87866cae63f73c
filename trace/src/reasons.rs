//! Why frames failed, in more words than revm's result codes have.
//!
//! Frames are numbered in the order in which they were asked for, the transaction's own is 0.

use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    vec::Vec,
};

use alloy_rpc_types_trace::geth::CallFrame;
use revm::{
    bytecode::opcode as op,
    interpreter::{
        InstructionResult, Interpreter,
        interpreter_types::{Jumps, LoopControl},
    },
};

use super::fault;
use vm::TrapReport;

/// Name of the system call with which a constructor ends.
const DEPLOY: &str = "DEPLOY";

/// Notes on the frames that a tracer sees.
#[derive(Default)]
pub(super) struct Reasons {
    /// The frames that are open.
    open: Vec<Open>,
    /// Frames so far.
    count: usize,
    /// The step that runs: opcode and size of its stack.
    step: (u8, usize),
    texts: BTreeMap<usize, String>,
}

struct Open {
    number: usize,
    /// What the frame's last step did wrong.
    fault: Option<String>,
    /// Whether the frame came to its end as it wished.
    returned: bool,
}

impl Reasons {
    /// A frame begins; this is its number.
    pub(super) fn enter(&mut self) -> usize {
        let number = self.count;
        self.count += 1;
        self.open.push(Open { number, fault: None, returned: false });
        number
    }

    pub(super) fn step(&mut self, interpreter: &Interpreter) {
        self.step = (interpreter.bytecode.opcode(), interpreter.stack.len());
    }

    pub(super) fn step_end(&mut self, interpreter: &mut Interpreter) {
        let Some(open) = self.open.last_mut() else { return };
        let result = interpreter.bytecode.instruction_result();
        let Some(result) = result else { return };
        open.returned = self.step.0 == op::RETURN && result.is_ok();
        if !result.is_ok() {
            open.fault = fault::text(result, self.step.0, self.step.1);
        }
    }

    pub(super) fn own_syscall(&mut self, name: &str) {
        if let Some(open) = self.open.last_mut() {
            open.returned = name == DEPLOY;
        }
    }

    /// The newest frame ends.
    pub(super) fn leave(&mut self, result: InstructionResult, creation: bool) {
        let Some(open) = self.open.pop() else { return };
        if result.is_ok() {
            return;
        }
        let unpaid = creation && open.returned && result == InstructionResult::OutOfGas;
        let text = if unpaid {
            Some("contract creation code storage out of gas".to_string())
        } else {
            open.fault
        };
        if let Some(text) = text {
            self.texts.insert(open.number, text);
        }
    }

    /// The reasons by frame; a trap of a guest goes before all else.
    pub(super) fn into_texts(self, traps: &[(usize, TrapReport)]) -> BTreeMap<usize, String> {
        let mut texts = self.texts;
        texts.extend(traps.iter().map(|(number, trap)| (*number, trap.reason.clone())));
        texts
    }
}

/// Puts the reasons in place of the errors that a call trace has.
pub(super) fn explain(root: &mut CallFrame, texts: &BTreeMap<usize, String>) {
    if !texts.is_empty() {
        explain_from(root, texts, &mut 0);
    }
}

fn explain_from(frame: &mut CallFrame, texts: &BTreeMap<usize, String>, number: &mut usize) {
    if let (Some(text), Some(_)) = (texts.get(number), &frame.error) {
        frame.error = Some(text.clone());
    }
    // What a frame destroys is shown as a call, but no frame was asked for.
    for call in frame.calls.iter_mut().filter(|call| call.typ != super::calls::SELFDESTRUCT) {
        *number += 1;
        explain_from(call, texts, number);
    }
}
