//! Geth's struct log: an entry for each step of the EVM, and for each system call of a guest.

use alloc::{borrow::Cow, collections::BTreeMap, vec::Vec};

use alloy_primitives::{Address, B256, hex};
use alloy_rpc_types_trace::geth::{DefaultFrame, GethDefaultTracingOptions, GethTrace, StructLog};
use genesis::SpecId;
use revm::{
    Inspector,
    bytecode::opcode as op,
    context::ContextTr,
    context_interface::result::ExecutionResult,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, InstructionResult, Interpreter,
        instructions::gas_table_spec,
        interpreter::EthInterpreter,
        interpreter_types::{
            InputsTr, Jumps, LegacyBytecode, LoopControl, MemoryTr, ReturnData, RuntimeFlag,
        },
    },
};

use super::fault;
use vm::watch::OwnSyscall;

/// Bytes of an entry without what it shows of stack, memory, storage and return data.
const ENTRY_SIZE: usize = 256;
/// Bytes that a word of memory or storage takes as text.
const WORD_SIZE: usize = 96;

/// Collects the struct log.
pub(super) struct StructLogger {
    options: GethDefaultTracingOptions,
    limit: usize,
    logs: Vec<StructLog>,
    /// What each contract was seen to have in its storage.
    storage: BTreeMap<Address, BTreeMap<B256, B256>>,
    /// The step that runs.
    step: Option<Step>,
    /// The guest's program counter of the step to come.
    pc: Option<u64>,
    /// Of each frame, the refund counter of the frames above it.
    refunds: Vec<i64>,
    /// The refund counter at the last step.
    refund: i64,
}

struct Step {
    opcode: u8,
    stack: usize,
    gas: u64,
    state_gas: i64,
    slot: Option<(Address, B256)>,
}

impl StructLogger {
    pub(super) fn new(options: GethDefaultTracingOptions) -> Self {
        let limit = options.limit.filter(|limit| *limit > 0);
        Self {
            options,
            limit: limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            logs: Vec::new(),
            storage: BTreeMap::new(),
            step: None,
            pc: None,
            refunds: Vec::new(),
            refund: 0,
        }
    }

    /// Bytes that the entry of the coming step takes.
    pub(super) fn step_size(&self, interpreter: &Interpreter) -> usize {
        if self.logs.len() >= self.limit {
            return 0;
        }
        let mut size = ENTRY_SIZE;
        if self.options.is_stack_enabled() {
            size += 32 * interpreter.stack.len();
        }
        if self.options.is_memory_enabled() {
            size += interpreter.memory.size() / 32 * WORD_SIZE;
        }
        if self.options.is_return_data_enabled() {
            size += interpreter.return_data.buffer().len();
        }
        let opcode = interpreter.bytecode.opcode();
        if self.options.is_storage_enabled() && matches!(opcode, op::SLOAD | op::SSTORE) {
            let slots = self.storage.get(&interpreter.input.target_address());
            size += WORD_SIZE * (1 + slots.map_or(0, BTreeMap::len));
        }
        size
    }

    pub(super) fn syscall(&mut self, pc: u64) {
        self.pc = Some(pc);
    }

    pub(super) fn own_syscall(&mut self, call: &OwnSyscall) {
        if self.logs.len() >= self.limit {
            return;
        }
        self.logs.push(StructLog {
            pc: call.pc,
            op: Cow::Borrowed(call.name),
            gas: call.gas,
            gas_cost: call.gas_cost,
            depth: call.depth as u64 + 1,
            stack: self.options.is_stack_enabled().then(Vec::new),
            ..StructLog::default()
        });
    }

    pub(super) fn into_trace(self, result: &ExecutionResult, fork: SpecId) -> GethTrace {
        let gas = *result.gas();
        let amsterdam = fork.is_enabled_in(SpecId::AMSTERDAM);
        GethTrace::Default(DefaultFrame {
            failed: !result.is_success(),
            gas: gas.tx_gas_used(),
            execution_gas_used: amsterdam.then(|| gas.block_regular_gas_used()),
            state_gas_used: amsterdam.then(|| gas.block_state_gas_used()),
            gas_refund: amsterdam.then(|| gas.final_refunded()),
            return_value: result.output().cloned().unwrap_or_default(),
            struct_logs: self.logs,
        })
    }

    fn enter(&mut self) {
        self.refunds.push(self.refund);
    }

    fn leave(&mut self) {
        self.refund = self.refunds.pop().unwrap_or_default();
    }

    /// The slot that a step reads or writes.
    fn slot(&self, interpreter: &Interpreter, opcode: u8) -> Option<(Address, B256)> {
        if !self.options.is_storage_enabled() || !matches!(opcode, op::SLOAD | op::SSTORE) {
            return None;
        }
        let slot = interpreter.stack.peek(0).ok()?;
        Some((interpreter.input.target_address(), slot.into()))
    }

    fn show_slot(&mut self, (address, slot): (Address, B256), value: B256) {
        let slots = self.storage.entry(address).or_default();
        slots.insert(slot, value);
        if let Some(log) = self.logs.last_mut() {
            log.storage = Some(slots.clone());
        }
    }
}

/// The EVM's memory in words, as text.
fn memory(interpreter: &Interpreter) -> Option<Vec<alloc::string::String>> {
    let size = interpreter.memory.size();
    if size == 0 {
        return None;
    }
    let bytes = interpreter.memory.slice(0..size);
    Some(bytes.chunks(32).map(hex::encode_prefixed).collect())
}

impl<CTX: ContextTr> Inspector<CTX, EthInterpreter> for StructLogger {
    fn step(&mut self, interpreter: &mut Interpreter, _: &mut CTX) {
        self.refund = self.refunds.last().copied().unwrap_or_default() + interpreter.gas.refunded();
        let guest_pc = self.pc.take();
        // Where there is no code geth runs nothing, revm its stop.
        let nothing = guest_pc.is_none() && interpreter.bytecode.bytecode_len() == 0;
        if nothing || self.logs.len() >= self.limit {
            self.step = None;
            return;
        }
        let opcode = interpreter.bytecode.opcode();
        let options = &self.options;
        let amsterdam = interpreter.runtime_flag.spec_id().is_enabled_in(SpecId::AMSTERDAM);
        let returned = interpreter.return_data.buffer();
        let log = StructLog {
            pc: guest_pc.unwrap_or(interpreter.bytecode.pc() as u64),
            op: fault::name(opcode),
            gas: interpreter.gas.remaining(),
            depth: self.refunds.len() as u64,
            stack: options.is_stack_enabled().then(|| interpreter.stack.data().clone()),
            memory: options.is_memory_enabled().then(|| memory(interpreter)).flatten(),
            return_data: (options.is_return_data_enabled() && !returned.is_empty())
                .then(|| returned.clone()),
            refund_counter: u64::try_from(self.refund).ok().filter(|refund| *refund > 0),
            state_gas_reservoir: amsterdam.then(|| interpreter.gas.reservoir()),
            ..StructLog::default()
        };
        self.logs.push(log);
        let slot = self.slot(interpreter, opcode);
        if let (op::SSTORE, Some(slot), Ok(value)) = (opcode, slot, interpreter.stack.peek(1)) {
            self.show_slot(slot, value.into());
        }
        self.step = Some(Step {
            opcode,
            stack: interpreter.stack.len(),
            gas: interpreter.gas.remaining(),
            state_gas: interpreter.gas.state_gas_spent(),
            slot: slot.filter(|_| opcode == op::SLOAD),
        });
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, _: &mut CTX) {
        let Some(step) = self.step.take() else { return };
        let result = interpreter.bytecode.instruction_result();
        let result = result.filter(|result| !result.is_ok());
        if let Some(log) = self.logs.last_mut() {
            let fixed = |opcode: u8| {
                let prices = gas_table_spec(interpreter.runtime_flag.spec_id());
                u64::from(prices[usize::from(opcode)])
            };
            log.gas_cost = match result {
                // What can't pay its fixed part has only that.
                Some(InstructionResult::OutOfGas) if step.gas < fixed(step.opcode) => {
                    fixed(step.opcode)
                }
                // All of its price depends on the slot, and comes after the stack.
                Some(InstructionResult::StackUnderflow) if step.opcode == op::SLOAD => 0,
                _ => step.gas.saturating_sub(interpreter.gas.remaining()),
            };
            let state_gas = interpreter.gas.state_gas_spent().saturating_sub(step.state_gas);
            if log.state_gas_reservoir.is_some() && state_gas != 0 {
                log.state_gas_cost = Some(state_gas);
            }
            log.error = result
                .filter(|result| fault::comes_first(*result))
                .and_then(|result| fault::text(result, step.opcode, step.stack));
        }
        if let (Some(slot), None, Ok(value)) = (step.slot, result, interpreter.stack.peek(0)) {
            self.show_slot(slot, value.into());
        }
    }

    fn call(&mut self, _: &mut CTX, _: &mut CallInputs) -> Option<CallOutcome> {
        self.enter();
        None
    }

    fn call_end(&mut self, _: &mut CTX, _: &CallInputs, _: &mut CallOutcome) {
        self.leave();
    }

    fn create(&mut self, _: &mut CTX, _: &mut CreateInputs) -> Option<CreateOutcome> {
        self.enter();
        None
    }

    fn create_end(&mut self, _: &mut CTX, _: &CreateInputs, _: &mut CreateOutcome) {
        self.leave();
    }
}
