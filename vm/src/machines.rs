//! RISC-V machines beside revm's frames.

use alloc::vec::Vec;

use alloy_primitives::{Address, Bytes, address};
use revm::{
    DatabaseRef,
    context::{Evm, FrameStack},
    handler::{
        EthFrame, EvmTr, FrameInitOrResult, FrameResult, ItemOrResult,
        evm::{ContextDbError, FrameInitResult},
    },
    inspector::{
        InspectorEvmTr,
        handler::{frame_end, inspect_instructions},
    },
    interpreter::{FrameInput, interpreter::EthInterpreter, interpreter_action::FrameInit},
};

use crate::{create::Instructions, precompiles::Precompiles, source::Context, watch::Watch};

/// Where Solidity's `console.log` calls go.
pub const CONSOLE: Address = address!("000000000000000000636F6e736F6c652e6c6f67");

/// Text or console call data that a contract gave out; not part of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Print {
    /// The contract that printed.
    pub address: Address,
    /// How to read `data`.
    pub kind: PrintKind,
    /// The text's bytes, or the console call's data.
    pub data: Bytes,
}

/// What a [`Print`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrintKind {
    /// UTF-8 of a RISC-V contract's PRINT.
    Text,
    /// Call data for [`CONSOLE`].
    Console,
}

/// Why a RISC-V frame was halted by its machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrapReport {
    /// What the contract did.
    pub reason: alloc::string::String,
    /// The guest's program counter; 0 if it never started.
    pub pc: u64,
    /// The account whose frame it was.
    pub address: Address,
    /// The frame's depth: 0 is the transaction's own.
    pub depth: usize,
}

/// revm's EVM with our parts.
type Evm_<DB> = Evm<Context<DB>, (), Instructions<DB>, Precompiles, EthFrame<EthInterpreter>>;

/// The frames of one execution, kept from transaction to transaction.
pub(crate) struct Stack<DB: DatabaseRef> {
    pub(crate) evm: Evm_<DB>,
    pub(crate) notes: Notes,
}

/// What a transaction leaves behind beside its result.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) prints: Vec<Print>,
    pub(crate) trap: Option<TrapReport>,
}

/// The frames under the eyes of an observer: what revm's loop drives.
pub(crate) struct Frames<'a, DB: DatabaseRef, W> {
    pub(crate) stack: &'a mut Stack<DB>,
    pub(crate) watch: &'a mut W,
}

type Frame = EthFrame<EthInterpreter>;

impl<DB: DatabaseRef, W> EvmTr for Frames<'_, DB, W> {
    type Context = Context<DB>;
    type Instructions = Instructions<DB>;
    type Precompiles = Precompiles;
    type Frame = Frame;

    fn all(&self) -> (&Context<DB>, &Instructions<DB>, &Precompiles, &FrameStack<Frame>) {
        self.stack.evm.all()
    }

    fn all_mut(
        &mut self,
    ) -> (&mut Context<DB>, &mut Instructions<DB>, &mut Precompiles, &mut FrameStack<Frame>) {
        self.stack.evm.all_mut()
    }

    fn frame_init(
        &mut self,
        input: FrameInit,
    ) -> Result<FrameInitResult<'_, Frame>, ContextDbError<Context<DB>>> {
        if let FrameInput::Call(call) = &input.frame_input
            && call.target_address == CONSOLE
        {
            let data = call.input.bytes(&self.stack.evm.ctx);
            let print = Print { address: call.caller, kind: PrintKind::Console, data };
            self.stack.notes.prints.push(print);
        }
        self.stack.evm.frame_init(input)
    }

    fn frame_run(&mut self) -> Result<FrameInitOrResult<Frame>, ContextDbError<Context<DB>>> {
        self.stack.evm.frame_run()
    }

    fn frame_return_result(
        &mut self,
        result: FrameResult,
    ) -> Result<Option<FrameResult>, ContextDbError<Context<DB>>> {
        self.stack.evm.frame_return_result(result)
    }
}

impl<DB: DatabaseRef, W: Watch<Context<DB>>> InspectorEvmTr for Frames<'_, DB, W> {
    type Inspector = W;

    fn all_inspector(
        &self,
    ) -> (&Context<DB>, &Instructions<DB>, &Precompiles, &FrameStack<Frame>, &W) {
        let (context, instructions, precompiles, frames) = self.stack.evm.all();
        (context, instructions, precompiles, frames, self.watch)
    }

    fn all_mut_inspector(
        &mut self,
    ) -> (&mut Context<DB>, &mut Instructions<DB>, &mut Precompiles, &mut FrameStack<Frame>, &mut W)
    {
        let (context, instructions, precompiles, frames) = self.stack.evm.all_mut();
        (context, instructions, precompiles, frames, self.watch)
    }

    fn inspect_frame_run(
        &mut self,
    ) -> Result<FrameInitOrResult<Frame>, ContextDbError<Context<DB>>> {
        let (context, instructions, _, frames) = self.stack.evm.all_mut();
        let frame = frames.get();
        let action = inspect_instructions(
            context,
            &mut frame.interpreter,
            &mut *self.watch,
            instructions.instruction_table(),
            instructions.gas_table(),
        );
        let mut next =
            frame.process_next_action::<_, ContextDbError<Context<DB>>>(context, action)?;
        if let ItemOrResult::Result(result) = &mut next {
            frame_end(context, &mut *self.watch, &frame.input, result);
            frame.set_finished(true);
        }
        Ok(next)
    }
}
