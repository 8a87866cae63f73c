//! Ending a run before its gas ends.
//!
//! Gas bounds what a run does, but a caller may give more of it than there is time for. So a run may
//! be given a question, "is it over?", which it asks every so often. The EVM passes here with every
//! JUMPDEST, for no loop goes without one, with every SLOAD and KECCAK256, and with every frame; a
//! RISC-V machine with every system call, and in between it runs in slices. Where nobody asks, the
//! instructions are revm's own.

use alloc::boxed::Box;

use revm::{
    DatabaseRef,
    bytecode::opcode,
    context::ContextTr,
    context_interface::ContextError,
    handler::evm::ContextDbError,
    interpreter::{
        Instruction, InstructionContext, InstructionExecResult, InstructionResult,
        instructions::{gas_table_spec, host, system},
        interpreter::EthInterpreter,
    },
};

use crate::{create::Instructions, source::Context};
use genesis::SpecId;

/// What is counted between two questions.
const TICKS: u32 = 256;
/// Ticks of a JUMPDEST, and of an instruction that is looked at one by one.
pub(crate) const JUMP: u32 = 1;
/// Ticks of what may take long: a read of storage, which may have to come from another node, a hash
/// of much memory, a guest's system call.
pub(crate) const LONG: u32 = 32;
/// Ticks of a frame: it may be a precompile's.
pub(crate) const FRAME: u32 = 64;
/// Ticks of a slice of a RISC-V machine.
pub(crate) const SLICE: u32 = TICKS + 1;
/// The length of a slice, in additions: some milliseconds.
pub(crate) const SLICE_ADDITIONS: u64 = 1 << 20;

/// Asks whether a run is over.
#[derive(Default)]
pub(crate) struct Watchdog {
    is_over: Option<Box<dyn Fn() -> bool>>,
    left: u32,
    stopped: bool,
}

impl Watchdog {
    pub(crate) fn new(is_over: impl Fn() -> bool + 'static) -> Self {
        Self { is_over: Some(Box::new(is_over)), ..Self::default() }
    }

    /// Whether there is anybody to ask.
    pub(crate) const fn is_set(&self) -> bool {
        self.is_over.is_some()
    }

    /// Whether it has stopped a run.
    pub(crate) const fn has_stopped(&self) -> bool {
        self.stopped
    }

    /// Counts, and asks when it is time to.
    fn tick(&mut self, ticks: u32) -> bool {
        if let Some(left) = self.left.checked_sub(ticks) {
            self.left = left;
            return false;
        }
        self.ask()
    }

    #[cold]
    fn ask(&mut self) -> bool {
        let over = self.is_over.as_ref().is_some_and(|is_over| is_over());
        self.stopped |= over;
        self.left = if over { 0 } else { TICKS };
        over
    }
}

/// Counts, and ends the transaction if it is over.
#[inline]
pub(crate) fn pass<DB: DatabaseRef>(
    context: &mut Context<DB>,
    ticks: u32,
) -> InstructionExecResult {
    if !context.journaled_state.database.database.watchdog.tick(ticks) {
        return Ok(());
    }
    *context.error() = Err(error::<DB>());
    Err(InstructionResult::FatalExternalError)
}

/// The same where no frame runs.
pub(crate) fn pass_frame<DB: DatabaseRef>(
    context: &mut Context<DB>,
) -> Result<(), ContextDbError<Context<DB>>> {
    let over = context.journaled_state.database.database.watchdog.tick(FRAME);
    if over { Err(error::<DB>()) } else { Ok(()) }
}

/// What revm makes of it is an error of the transaction, whatever the depth.
fn error<DB: DatabaseRef>() -> ContextDbError<Context<DB>> {
    ContextError::Custom("stopped".into())
}

/// Puts the question in the EVM's way.
pub(crate) fn watch<DB: DatabaseRef>(instructions: &mut Instructions<DB>, fork: SpecId) {
    let gas = gas_table_spec(fork);
    let price = |op: u8| gas[usize::from(op)];
    let mut insert = |op, instruction| instructions.insert_instruction(op, instruction, price(op));
    insert(opcode::JUMPDEST, Instruction::new(jumpdest::<DB>));
    insert(opcode::SLOAD, Instruction::new(sload::<DB>));
    insert(opcode::KECCAK256, Instruction::new(keccak256::<DB>));
}

fn jumpdest<DB: DatabaseRef>(
    context: InstructionContext<'_, Context<DB>, EthInterpreter>,
) -> InstructionExecResult {
    pass(context.host, JUMP)
}

fn sload<DB: DatabaseRef>(
    context: InstructionContext<'_, Context<DB>, EthInterpreter>,
) -> InstructionExecResult {
    pass(context.host, LONG)?;
    host::sload(context)
}

fn keccak256<DB: DatabaseRef>(
    context: InstructionContext<'_, Context<DB>, EthInterpreter>,
) -> InstructionExecResult {
    pass(context.host, LONG)?;
    system::keccak256(context)
}
