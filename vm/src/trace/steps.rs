//! What revm's inspectors can't know of RISC-V frames: the guest's program counter, system calls
//! that are no opcodes, and the reasons of traps.

use alloc::{borrow::Cow, collections::BTreeMap, string::String, vec::Vec};

use alloy_primitives::{Address, Log, U256};
use alloy_rpc_types_trace::geth::{
    CallFrame, DefaultFrame, GethDefaultTracingOptions, GethTrace, StructLog,
};
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
use revm_inspectors::tracing::DebugInspector;

use crate::{
    TrapReport,
    watch::{OwnSyscall, Watch},
};

/// One of revm's tracers, with notes on RISC-V frames for [`Steps::complete`].
pub(super) struct Steps {
    pub(super) inspector: DebugInspector,
    with_stack: bool,
    /// Steps seen so far.
    count: usize,
    /// The guest's program counter of the step to come.
    pc: Option<u64>,
    /// Program counters of steps that are system calls.
    pcs: Vec<(usize, u64)>,
    /// System calls that are no step, each with the number of steps before it.
    own: Vec<(usize, OwnSyscall)>,
}

impl Steps {
    pub(super) fn new(inspector: DebugInspector, config: &GethDefaultTracingOptions) -> Self {
        let with_stack = config.is_stack_enabled();
        Self { inspector, with_stack, count: 0, pc: None, pcs: Vec::new(), own: Vec::new() }
    }

    /// Adds the notes to the trace that the inspector made.
    pub(super) fn complete(self, mut trace: GethTrace, traps: &[(usize, TrapReport)]) -> GethTrace {
        match &mut trace {
            GethTrace::Default(frame) => self.complete_steps(frame),
            GethTrace::CallTracer(root) => explain(root, traps),
            _ => {}
        }
        trace
    }

    fn complete_steps(self, frame: &mut DefaultFrame) {
        for (step, pc) in &self.pcs {
            if let Some(log) = frame.struct_logs.get_mut(*step) {
                log.pc = *pc;
            }
        }
        if self.own.is_empty() {
            return;
        }
        let mut own = self.own.iter().peekable();
        let mut logs = Vec::with_capacity(frame.struct_logs.len() + self.own.len());
        for (step, log) in core::mem::take(&mut frame.struct_logs).into_iter().enumerate() {
            while let Some((_, call)) = own.next_if(|(before, _)| *before <= step) {
                logs.push(self.entry(call));
            }
            logs.push(log);
        }
        // A trace that was cut short at `limit` has no place for what came later.
        let whole = logs.len() >= self.count;
        logs.extend(own.filter(|_| whole).map(|(_, call)| self.entry(call)));
        frame.struct_logs = logs;
    }

    fn entry(&self, call: &OwnSyscall) -> StructLog {
        StructLog {
            pc: call.pc,
            op: Cow::Borrowed(call.name),
            gas: call.gas,
            gas_cost: call.gas_cost,
            depth: call.depth as u64 + 1,
            stack: self.with_stack.then(Vec::new),
            ..StructLog::default()
        }
    }
}

/// Puts the reasons of traps in place of the EVM's nearest error.
fn explain(root: &mut CallFrame, traps: &[(usize, TrapReport)]) {
    let reasons: BTreeMap<usize, &String> =
        traps.iter().map(|(number, trap)| (*number, &trap.reason)).collect();
    if !reasons.is_empty() {
        explain_from(root, &reasons, &mut 0);
    }
}

/// Frames are numbered in the order in which they were asked for.
fn explain_from(frame: &mut CallFrame, reasons: &BTreeMap<usize, &String>, number: &mut usize) {
    if let (Some(reason), Some(_)) = (reasons.get(number), &frame.error) {
        frame.error = Some((*reason).clone());
    }
    for call in &mut frame.calls {
        *number += 1;
        explain_from(call, reasons, number);
    }
}

impl<CTX: ContextTr<Journal: JournalExt>> Watch<CTX> for Steps {
    fn syscall(&mut self, pc: u64) {
        self.pc = Some(pc);
    }

    fn own_syscall(&mut self, call: OwnSyscall) {
        self.own.push((self.count, call));
    }
}

impl<CTX: ContextTr<Journal: JournalExt>> Inspector<CTX, EthInterpreter> for Steps {
    fn initialize_interp(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        self.inspector.initialize_interp(interpreter, context);
    }

    fn step(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        if let Some(pc) = self.pc.take() {
            self.pcs.push((self.count, pc));
        }
        self.count += 1;
        self.inspector.step(interpreter, context);
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        self.inspector.step_end(interpreter, context);
    }

    fn log(&mut self, context: &mut CTX, log: Log) {
        self.inspector.log(context, log);
    }

    fn log_full(&mut self, interpreter: &mut Interpreter, context: &mut CTX, log: Log) {
        self.inspector.log_full(interpreter, context, log);
    }

    fn frame_start(&mut self, context: &mut CTX, input: &mut FrameInput) -> Option<FrameResult> {
        self.inspector.frame_start(context, input)
    }

    fn frame_end(&mut self, context: &mut CTX, input: &FrameInput, result: &mut FrameResult) {
        self.inspector.frame_end(context, input, result);
    }

    fn call(&mut self, context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.inspector.call(context, inputs)
    }

    fn call_end(&mut self, context: &mut CTX, inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.inspector.call_end(context, inputs, outcome);
    }

    fn create(&mut self, context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.inspector.create(context, inputs)
    }

    fn create_end(
        &mut self,
        context: &mut CTX,
        inputs: &CreateInputs,
        outcome: &mut CreateOutcome,
    ) {
        self.inspector.create_end(context, inputs, outcome);
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        Inspector::<CTX>::selfdestruct(&mut self.inspector, contract, target, value);
    }
}
