//! What an observer of both machines sees beyond what revm's `Inspector` shows.

use revm::{
    Inspector,
    context::ContextTr,
    handler::FrameResult,
    inspector::{JournalExt, NoOpInspector},
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, FrameInput, Interpreter,
        interpreter::EthInterpreter,
    },
    primitives::{Address, Log, U256},
};

use crate::riscv::{Machine, Spent, Stop};

/// An inspector that may also look inside RISC-V frames.
pub trait Watch<CTX>: Inspector<CTX, EthInterpreter> {
    /// Whether it sees anything at all.
    const ACTIVE: bool = true;

    /// Comes before the step of a system call that is an opcode: `pc` is the guest's.
    fn syscall(&mut self, pc: u64) {
        let _ = pc;
    }

    /// Comes after a system call that is no opcode.
    fn own_syscall(&mut self, call: OwnSyscall) {
        let _ = call;
    }

    /// Comes after every system call that was served: `units` are what it took for copies, pages
    /// and computing. A call of another contract has only begun then.
    fn served(&mut self, number: u64, units: u64) {
        let _ = (number, units);
    }

    /// Comes before the end of a frame whose machine has run.
    fn machine_end(&mut self, end: MachineEnd) {
        let _ = end;
    }

    /// Whether [`Self::instruction`] is to be called.
    fn wants_instructions(&self) -> bool {
        false
    }

    /// Runs a guest in its machine's place, up to its next system call, which it has put into the
    /// machine's registers; `None` leaves it to the machine.
    fn stand_in(&mut self, guest: StandIn<'_>) -> Option<Stop> {
        let _ = guest;
        None
    }

    /// Comes after each instruction of a guest.
    fn instruction(&mut self, done: Instruction<'_>) {
        let _ = done;
    }
}

/// A system call that is no opcode, as it was served.
#[derive(Clone, Debug)]
pub struct OwnSyscall {
    /// Its name.
    pub name: &'static str,
    /// The guest's program counter.
    pub pc: u64,
    /// Gas before it.
    pub gas: u64,
    /// Gas that it took.
    pub gas_cost: u64,
    /// The frame's depth: 0 is the transaction's own.
    pub depth: usize,
}

/// What a frame's machine has paid for.
#[derive(Clone, Copy, Debug)]
pub struct MachineEnd {
    /// Gas for the start of the frame.
    pub start: u64,
    /// Gas for decoding, if it ran as init code.
    pub decoding: u64,
    /// Units besides those of instructions, and the gas for all units.
    pub spent: Spent,
}

/// A guest that somebody else may run: a contract that is built for the machine at hand.
#[derive(Debug)]
pub struct StandIn<'a> {
    /// The frame's number in the transaction.
    pub frame: usize,
    /// The running code: header, image and tail.
    pub container: &'a [u8],
    /// Whether it runs as init code.
    pub constructor: bool,
    /// Its registers and its memory.
    pub machine: &'a mut Machine,
}

/// An instruction that a guest has executed.
#[derive(Debug)]
pub struct Instruction<'a> {
    /// The frame's number in the transaction.
    pub frame: usize,
    /// The machine after it.
    pub machine: &'a Machine,
    /// The guest's program counter.
    pub pc: u64,
    /// The registers before it.
    pub before: [u64; 32],
    /// Units that it took; the first of a straight run takes those of the run.
    pub units: u64,
    /// Units that are left.
    pub units_left: u64,
    /// The account whose frame it is.
    pub address: Address,
    /// The frame's depth: 0 is the transaction's own.
    pub depth: usize,
}

impl<CTX> Watch<CTX> for NoOpInspector {
    const ACTIVE: bool = false;
}

/// Makes any inspector a [`Watch`] that sees of a RISC-V frame what revm would show.
pub(crate) struct Plain<'a, I>(pub(crate) &'a mut I);

impl<CTX, I> Watch<CTX> for Plain<'_, I>
where
    CTX: ContextTr<Journal: JournalExt>,
    I: Inspector<CTX, EthInterpreter>,
{
}

impl<CTX, I: Inspector<CTX, EthInterpreter>> Inspector<CTX, EthInterpreter> for Plain<'_, I> {
    fn initialize_interp(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        self.0.initialize_interp(interpreter, context);
    }

    fn step(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        self.0.step(interpreter, context);
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        self.0.step_end(interpreter, context);
    }

    fn log(&mut self, context: &mut CTX, log: Log) {
        self.0.log(context, log);
    }

    fn log_full(&mut self, interpreter: &mut Interpreter, context: &mut CTX, log: Log) {
        self.0.log_full(interpreter, context, log);
    }

    fn frame_start(&mut self, context: &mut CTX, input: &mut FrameInput) -> Option<FrameResult> {
        self.0.frame_start(context, input)
    }

    fn frame_end(&mut self, context: &mut CTX, input: &FrameInput, result: &mut FrameResult) {
        self.0.frame_end(context, input, result);
    }

    fn call(&mut self, context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.0.call(context, inputs)
    }

    fn call_end(&mut self, context: &mut CTX, inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.0.call_end(context, inputs, outcome);
    }

    fn create(&mut self, context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.0.create(context, inputs)
    }

    fn create_end(
        &mut self,
        context: &mut CTX,
        inputs: &CreateInputs,
        outcome: &mut CreateOutcome,
    ) {
        self.0.create_end(context, inputs, outcome);
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        self.0.selfdestruct(contract, target, value);
    }
}
