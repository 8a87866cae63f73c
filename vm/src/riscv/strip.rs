//! The strip: how a machine runs one of revm's instructions.
//!
//! The interpreter of a RISC-V frame stands on a program in which byte i is opcode i. To run an
//! instruction, the arguments go on its stack and its program counter on the opcode.

use alloy_primitives::U256;
use revm::{
    DatabaseRef,
    context::{ContextTr, JournalEntry, JournalTr},
    inspector::JournalExt,
    interpreter::{
        InstructionResult, Interpreter,
        interpreter::num_words,
        interpreter_types::{Jumps, LoopControl, StackTr},
    },
};

use super::syscall::{Guest, Halt};
use crate::{
    create::Instructions,
    riscv::{OutOfGas, Units},
    source::Context,
    watch::Watch,
};

impl<DB: DatabaseRef, W: Watch<Context<DB>>> Guest<'_, DB, W> {
    /// Makes the frame's gas available as units.
    pub(super) fn open(&mut self) {
        self.live.units.pages_left = self.host.pages_left;
        self.live.units.refill(self.interpreter.gas.remaining());
    }

    /// Takes what the guest used out of the frame's gas.
    pub(super) fn settle(&mut self) {
        self.host.pages_left = self.live.units.pages_left;
        let used = self.live.units.settle();
        let paid = self.interpreter.gas.record_regular_cost(used);
        debug_assert!(paid, "a machine never uses more than its frame has");
    }

    /// Runs revm's instruction.
    pub(super) fn opcode(&mut self, opcode: u8, args: &[U256]) -> Result<(), Halt> {
        self.step(opcode, args, |strip| {
            strip.interpreter.step(
                strip.instructions.instruction_table(),
                strip.instructions.gas_table(),
                strip.context,
            )
        })
    }

    /// Does `act` as the opcode, in view of the observer, between settled gas.
    pub(super) fn step(
        &mut self,
        opcode: u8,
        args: &[U256],
        act: impl FnOnce(&mut Strip<'_, DB>) -> Result<(), InstructionResult>,
    ) -> Result<(), Halt> {
        self.settle();
        self.interpreter.stack.clear();
        for arg in args.iter().rev() {
            let _ = self.interpreter.stack.push(*arg);
        }
        self.interpreter.bytecode.absolute_jump(opcode.into());
        if W::ACTIVE {
            self.watch.syscall(self.live.machine.stopped_at());
            self.watch.step(self.interpreter, self.context);
            if self.interpreter.bytecode.is_end() {
                return Err(Halt::Done);
            }
        }
        let (journal, logs) = self.marks();
        let result = act(&mut Strip {
            interpreter: self.interpreter,
            context: self.context,
            instructions: self.instructions,
            units: &mut self.live.units,
        });
        if let Err(result) = result
            && self.interpreter.bytecode.action().is_none()
        {
            self.interpreter.halt(result);
        }
        if W::ACTIVE {
            self.watch_after(journal, logs);
        }
        if self.interpreter.bytecode.is_end() {
            return Err(Halt::Done);
        }
        self.open();
        Ok(())
    }

    fn marks(&self) -> (usize, usize) {
        let journal = self.context.journal();
        (journal.journal().len(), journal.logs().len())
    }

    /// What revm's own loop tells an inspector after an instruction.
    fn watch_after(&mut self, journal: usize, logs: usize) {
        if self.context.journal().logs().len() != logs {
            let new = self.context.journal().logs()[logs..].to_vec();
            for log in new {
                self.watch.log_full(self.interpreter, self.context, log);
            }
        }
        self.watch.step_end(self.interpreter, self.context);
        let result = self.interpreter.bytecode.instruction_result();
        if result != Some(InstructionResult::SelfDestruct) {
            return;
        }
        let entries = self.context.journal().journal().get(journal..);
        match entries.and_then(|entries| entries.last()) {
            Some(&JournalEntry::AccountDestroyed { address, target, had_balance, .. }) => {
                self.watch.selfdestruct(address, target, had_balance);
            }
            Some(&JournalEntry::BalanceTransfer { from, to, balance, .. }) => {
                self.watch.selfdestruct(from, to, balance);
            }
            _ => {}
        }
    }

    /// Puts bytes where the instruction looks for them. The guest has paid for the copy.
    pub(super) fn set_memory(&mut self, bytes: &[u8]) {
        self.stretch_memory(bytes.len());
        self.interpreter.memory.set(0, bytes);
    }

    /// Gives the frame an EVM memory for `size` bytes that counts as paid for.
    pub(super) fn stretch_memory(&mut self, size: usize) {
        let words = num_words(size);
        self.interpreter.memory.resize(words * 32);
        self.interpreter.gas.memory_mut().words_num = words;
    }
}

/// What an instruction on the strip works with.
pub(super) struct Strip<'a, DB: DatabaseRef> {
    pub(super) interpreter: &'a mut Interpreter,
    pub(super) context: &'a mut Context<DB>,
    instructions: &'a Instructions<DB>,
    units: &'a mut Units,
}

impl<DB: DatabaseRef> Strip<'_, DB> {
    pub(super) fn static_gas(&self, opcode: u8) -> u64 {
        self.instructions.gas_table()[usize::from(opcode)].into()
    }

    pub(super) fn pay(&mut self, cost: u64) -> Result<(), InstructionResult> {
        let paid = self.interpreter.gas.record_regular_cost(cost);
        if paid { Ok(()) } else { Err(InstructionResult::OutOfGas) }
    }

    pub(super) fn pay_units(&mut self, price: u64) -> Result<(), InstructionResult> {
        self.units.refill(self.interpreter.gas.remaining());
        let paid = self.units.charge_call(price);
        let used = self.units.settle();
        paid.map_err(|OutOfGas| InstructionResult::OutOfGas)?;
        self.pay(used)
    }
}
