//! A tracer with a budget around it.

use alloy_primitives::{Address, Log, U256};
use revm::{
    Inspector,
    context::ContextTr,
    handler::FrameResult,
    inspector::JournalExt,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, FrameInput, Interpreter,
        interpreter::EthInterpreter,
    },
};
use revm_inspectors::{opcode::OpcodeGasInspector, otterscan::InternalOperationsInspector};

use super::{Budget, budget::FRAME_SIZE};
use vm::watch::{Instruction, MachineEnd, OwnSyscall, Watch};

/// What a [`Budget`] can be put around.
pub(super) trait Recorder<CTX>: Inspector<CTX, EthInterpreter> {
    /// Bytes that it will record of the coming step.
    fn step_size(&self, interpreter: &Interpreter) -> usize {
        let _ = interpreter;
        0
    }

    /// Whether it has refused to record because that would have been too much.
    fn is_full(&self) -> bool {
        false
    }

    /// As [`Watch::syscall`].
    fn syscall(&mut self, pc: u64) {
        let _ = pc;
    }

    /// As [`Watch::own_syscall`].
    fn own_syscall(&mut self, call: &OwnSyscall) {
        let _ = call;
    }

    /// As [`Watch::wants_instructions`].
    fn wants_instructions(&self) -> bool {
        false
    }

    /// As [`Watch::served`].
    fn served(&mut self, number: u64, units: u64) {
        let _ = (number, units);
    }

    /// As [`Watch::machine_end`].
    fn machine_end(&mut self, end: MachineEnd) {
        let _ = end;
    }

    /// Bytes that it records of an instruction.
    fn instruction_size(&self) -> usize {
        FRAME_SIZE / 4
    }

    /// As [`Watch::instruction`].
    fn instruction(&mut self, done: &Instruction<'_>) {
        let _ = done;
    }
}

impl<CTX: ContextTr> Recorder<CTX> for OpcodeGasInspector {}

impl<CTX: ContextTr> Recorder<CTX> for InternalOperationsInspector {}

/// A tracer, and what it may still cost.
pub(super) struct Bounded<'a, T> {
    pub(super) tracer: T,
    pub(super) budget: &'a mut Budget,
}

impl<CTX, T> Watch<CTX> for Bounded<'_, T>
where
    CTX: ContextTr<Journal: JournalExt>,
    T: Recorder<CTX>,
{
    fn syscall(&mut self, pc: u64) {
        self.tracer.syscall(pc);
    }

    fn own_syscall(&mut self, call: OwnSyscall) {
        self.budget.take(FRAME_SIZE / 4);
        self.tracer.own_syscall(&call);
    }

    fn wants_instructions(&self) -> bool {
        self.budget.exceeded().is_none() && self.tracer.wants_instructions()
    }

    fn served(&mut self, number: u64, units: u64) {
        self.tracer.served(number, units);
    }

    fn machine_end(&mut self, end: MachineEnd) {
        self.tracer.machine_end(end);
    }

    fn instruction(&mut self, done: Instruction<'_>) {
        self.budget.count(self.tracer.instruction_size());
        self.tracer.instruction(&done);
    }
}

impl<CTX, T> Inspector<CTX, EthInterpreter> for Bounded<'_, T>
where
    CTX: ContextTr<Journal: JournalExt>,
    T: Recorder<CTX>,
{
    fn initialize_interp(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        self.tracer.initialize_interp(interpreter, context);
    }

    fn step(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        let size = self.tracer.step_size(interpreter);
        self.budget.step(interpreter, context, size);
        if self.budget.exceeded().is_none() {
            self.tracer.step(interpreter, context);
        }
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        if self.budget.exceeded().is_none() {
            self.tracer.step_end(interpreter, context);
        }
    }

    fn log(&mut self, context: &mut CTX, log: Log) {
        self.budget.take(log.data.data.len());
        self.tracer.log(context, log);
    }

    fn log_full(&mut self, interpreter: &mut Interpreter, context: &mut CTX, log: Log) {
        self.budget.take(log.data.data.len());
        self.tracer.log_full(interpreter, context, log);
    }

    fn frame_start(&mut self, context: &mut CTX, input: &mut FrameInput) -> Option<FrameResult> {
        self.tracer.frame_start(context, input)
    }

    fn frame_end(&mut self, context: &mut CTX, input: &FrameInput, result: &mut FrameResult) {
        self.tracer.frame_end(context, input, result);
    }

    fn call(&mut self, context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.budget.take(FRAME_SIZE + inputs.input.len());
        self.tracer.call(context, inputs)
    }

    fn call_end(&mut self, context: &mut CTX, inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.budget.take(outcome.result.output.len());
        self.tracer.call_end(context, inputs, outcome);
        if self.tracer.is_full() {
            self.budget.fill();
        }
    }

    fn create(&mut self, context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.budget.take(FRAME_SIZE + inputs.init_code().len());
        self.tracer.create(context, inputs)
    }

    fn create_end(
        &mut self,
        context: &mut CTX,
        inputs: &CreateInputs,
        outcome: &mut CreateOutcome,
    ) {
        self.budget.take(outcome.result.output.len());
        self.tracer.create_end(context, inputs, outcome);
        if self.tracer.is_full() {
            self.budget.fill();
        }
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        Inspector::<CTX, EthInterpreter>::selfdestruct(&mut self.tracer, contract, target, value);
    }
}
