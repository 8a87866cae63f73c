//! What a trace may cost: time, and memory for what it records.

use std::time::Instant;

use alloc::string::ToString;
use revm::{
    DatabaseRef,
    context_interface::{ContextError, ContextTr},
    interpreter::{Interpreter, interpreter_types::LoopControl},
};
use vm::Execution;

/// Steps between two looks at the clock.
const STEPS_PER_LOOK: u32 = 1_024;
/// Bytes that a frame takes besides its input and output.
pub(super) const FRAME_SIZE: usize = 1_024;

/// What a trace may still cost. One budget may serve many traces, one after another.
#[derive(Clone, Debug)]
pub struct Budget {
    deadline: Option<Instant>,
    size_left: usize,
    steps: u32,
    exceeded: Option<Exceeded>,
}

/// Which limit a trace has hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// It took too long.
    Time,
    /// It recorded too much.
    Size,
}

impl Budget {
    /// A budget that ends at `deadline`, or with `size_max` recorded bytes.
    pub const fn new(deadline: Option<Instant>, size_max: usize) -> Self {
        Self { deadline, size_left: size_max, steps: 0, exceeded: None }
    }

    /// A budget without limits.
    pub const fn unlimited() -> Self {
        Self::new(None, usize::MAX)
    }

    /// The limit that was hit, if one was.
    pub const fn exceeded(&self) -> Option<Exceeded> {
        self.exceeded
    }

    /// The time at which the trace has to be done.
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Bytes that may still be recorded.
    pub const fn size_left(&self) -> usize {
        self.size_left
    }

    /// Takes room for `bytes` that are to be recorded.
    pub fn take(&mut self, bytes: usize) {
        match self.size_left.checked_sub(bytes) {
            Some(left) => self.size_left = left,
            None => self.exceeded = self.exceeded.or(Some(Exceeded::Size)),
        }
    }

    /// Says that a recorder had no room any more.
    pub(super) fn fill(&mut self) {
        self.exceeded = self.exceeded.or(Some(Exceeded::Size));
    }

    /// Lets nothing run on `execution` beyond the time.
    pub fn watch<DB: DatabaseRef>(&self, execution: &mut Execution<DB>) {
        if let Some(deadline) = self.deadline {
            execution.stop_when(move || Instant::now() >= deadline);
        }
    }

    /// Looks at the clock.
    pub fn look(&mut self) {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            self.exceeded = self.exceeded.or(Some(Exceeded::Time));
        }
    }

    /// Counts a step, for which `bytes` are recorded.
    pub(super) fn count(&mut self, bytes: usize) {
        self.take(bytes);
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(STEPS_PER_LOOK) {
            self.look();
        }
    }

    /// Counts a step, for which `bytes` are recorded, and ends the run if that was too much.
    pub(super) fn step<CTX: ContextTr>(
        &mut self,
        interpreter: &mut Interpreter,
        context: &mut CTX,
        bytes: usize,
    ) {
        self.count(bytes);
        if self.exceeded.is_some() {
            if context.error().is_ok() {
                *context.error() = Err(ContextError::Custom("trace limit exceeded".to_string()));
            }
            interpreter.bytecode.reset_action();
            interpreter.halt_fatal();
        }
    }
}
