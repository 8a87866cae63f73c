//! `callTracerLegacy`: the call tracer that geth had in JavaScript, with its ways.
//!
//! It knows of calls only by the steps that make them: a call of an account without code has no
//! gas, and the output of a call is what the caller made room for.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use alloy_primitives::{Address, Bytes, TxKind, U256};
use revm::{
    Inspector,
    bytecode::opcode as op,
    context::{ContextTr, JournalTr, TxEnv},
    context_interface::result::ExecutionResult,
    inspector::JournalExt,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, Interpreter,
        interpreter::EthInterpreter,
        interpreter_types::{InputsTr, Jumps, LoopControl, MemoryTr},
    },
};
use serde_json::{Map, Value, json};

use super::{fault, reasons::Reasons};

/// Collects calls by the steps that make them.
#[derive(Default)]
pub(super) struct Legacy {
    /// The transaction's own call, and those open inside.
    open: Vec<Call>,
    /// Whether the last step was a call.
    descended: bool,
    depth: usize,
    step: Option<Step>,
    reasons: Reasons,
}

/// A call in the making.
#[derive(Default)]
struct Call {
    kind: &'static str,
    from: Address,
    to: Option<Address>,
    input: Bytes,
    value: Option<U256>,
    gas_in: u64,
    gas_cost: u64,
    gas: Option<u64>,
    gas_used: Option<u64>,
    /// Where the caller wants the output.
    room: (usize, usize),
    output: Option<Bytes>,
    error: Option<String>,
    calls: Vec<Value>,
}

/// The step that runs, as it was before.
struct Step {
    opcode: u8,
    gas: u64,
    stack: Vec<U256>,
    contract: Address,
    balance: U256,
    /// The bytes that a call gives its callee.
    input: Bytes,
    /// The bytes where the newest call's output is to be.
    output: Bytes,
}

impl Call {
    fn into_json(self) -> Value {
        let mut shown = Map::new();
        let mut show = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                shown.insert(name.to_string(), value);
            }
        };
        show("type", Some(json!(self.kind)));
        show("from", Some(json!(self.from)));
        show("to", self.to.map(|to| json!(to)));
        show("value", self.value.map(|value| json!(value)));
        show("gas", self.gas.map(|gas| json!(U256::from(gas))));
        show("gasUsed", self.gas_used.map(|gas| json!(U256::from(gas))));
        show("input", Some(json!(self.input)));
        show("output", self.output.map(|output| json!(output)));
        show("error", self.error.map(|error| json!(error)));
        show("calls", (!self.calls.is_empty()).then_some(Value::Array(self.calls)));
        Value::Object(shown)
    }
}

impl Legacy {
    pub(super) fn new() -> Self {
        Self { open: alloc::vec![Call::default()], ..Self::default() }
    }

    pub(super) fn into_trace(mut self, tx: &TxEnv, result: &ExecutionResult) -> Value {
        let root = if self.open.is_empty() { Call::default() } else { self.open.remove(0) };
        let ended = match result {
            ExecutionResult::Success { .. } => None,
            ExecutionResult::Revert { .. } => Some("execution reverted".to_string()),
            ExecutionResult::Halt { .. } => {
                let text = self.reasons.into_texts(&[]).remove(&0);
                Some(text.unwrap_or_else(|| "out of gas".to_string()))
            }
        };
        let error = root.error.or(ended);
        let output = result.output().cloned().unwrap_or_default();
        let shown = match error.as_deref() {
            None => true,
            Some(error) => error == "execution reverted" && !output.is_empty(),
        };
        Call {
            kind: if tx.kind.is_create() { "CREATE" } else { "CALL" },
            from: tx.caller,
            to: Some(match tx.kind {
                TxKind::Call(to) => to,
                TxKind::Create => tx.caller.create(tx.nonce),
            }),
            value: Some(tx.value),
            gas: Some(tx.gas_limit),
            gas_used: Some(result.tx_gas_used()),
            input: tx.data.clone(),
            output: shown.then_some(output),
            error,
            calls: root.calls,
            ..Call::default()
        }
        .into_json()
    }

    /// A step has failed, and its call with it.
    fn fail(&mut self, error: String) {
        let Some(mut call) = self.open.pop() else { return };
        if call.error.is_some() {
            self.open.push(call);
            return;
        }
        call.error = Some(error);
        if call.gas.is_some() {
            call.gas_used = call.gas;
        }
        match self.open.last_mut() {
            Some(parent) => parent.calls.push(call.into_json()),
            None => self.open.push(call),
        }
    }

    /// A step has run: what it calls, or what has come back to it.
    fn follow<CTX: ContextTr<Journal: JournalExt>>(
        &mut self,
        step: Step,
        cost: u64,
        context: &CTX,
    ) {
        let arg = |n: usize| step.stack.iter().rev().nth(n).copied().unwrap_or_default();
        let address = |n: usize| Address::from_word(arg(n).into());
        let call = Call {
            from: step.contract,
            input: step.input.clone(),
            gas_in: step.gas,
            gas_cost: cost,
            ..Call::default()
        };
        match step.opcode {
            op::CREATE | op::CREATE2 => {
                let kind = if step.opcode == op::CREATE { "CREATE" } else { "CREATE2" };
                self.open.push(Call { kind, value: Some(arg(0)), ..call });
                self.descended = true;
                return;
            }
            op::SELFDESTRUCT => {
                let (kind, to) = ("SELFDESTRUCT", Some(address(0)));
                let call = Call { kind, to, value: Some(step.balance), ..call };
                if let Some(parent) = self.open.last_mut() {
                    parent.calls.push(call.into_json());
                }
                return;
            }
            op::CALL | op::CALLCODE | op::DELEGATECALL | op::STATICCALL => {
                let to = address(1);
                if context.journal_ref().precompile_addresses().contains(&to) {
                    return;
                }
                let (kind, value) = match step.opcode {
                    op::CALL => ("CALL", Some(arg(2))),
                    op::CALLCODE => ("CALLCODE", Some(arg(2))),
                    op::DELEGATECALL => ("DELEGATECALL", None),
                    _ => ("STATICCALL", None),
                };
                let first = if value.is_some() { 5 } else { 4 };
                let room = (arg(first).saturating_to(), arg(first + 1).saturating_to());
                self.open.push(Call { kind, to: Some(to), value, room, ..call });
                self.descended = true;
                return;
            }
            _ => {}
        }
        if core::mem::take(&mut self.descended)
            && self.depth >= self.open.len()
            && let Some(call) = self.open.last_mut()
        {
            call.gas = Some(step.gas);
        }
        if step.opcode == op::REVERT {
            if let Some(call) = self.open.last_mut() {
                call.error = Some("execution reverted".to_string());
            }
            return;
        }
        if self.depth + 1 == self.open.len() {
            self.close(&step, context);
        }
    }

    /// The newest call has come back.
    fn close<CTX: ContextTr<Journal: JournalExt>>(&mut self, step: &Step, context: &CTX) {
        let Some(mut call) = self.open.pop() else { return };
        let result = step.stack.last().copied().unwrap_or_default();
        let spent = |gas: u64| (call.gas_in + gas).checked_sub(call.gas_cost + step.gas);
        if matches!(call.kind, "CREATE" | "CREATE2") {
            call.gas_used = spent(0);
            if !result.is_zero() {
                let address = Address::from_word(result.into());
                let account = context.journal_ref().evm_state().get(&address);
                let code = account.and_then(|account| account.info.code.as_ref());
                call.to = Some(address);
                call.output = Some(code.map(|code| code.original_bytes()).unwrap_or_default());
            }
        } else {
            call.gas_used = call.gas.and_then(spent);
            if !result.is_zero() {
                call.output = Some(step.output.clone());
            }
        }
        if result.is_zero() && call.error.is_none() {
            call.error = Some("internal failure".to_string());
        }
        if let Some(parent) = self.open.last_mut() {
            parent.calls.push(call.into_json());
        }
    }
}

/// Bytes of the EVM's memory; zeros where it does not reach.
fn slice(interpreter: &Interpreter, offset: usize, len: usize) -> Bytes {
    let size = interpreter.memory.size();
    let end = offset.saturating_add(len).min(size);
    let mut bytes =
        if offset < end { interpreter.memory.slice(offset..end).to_vec() } else { Vec::new() };
    // A step that can pay for it has expanded the memory by as much; one that can't is not shown.
    bytes.resize(len.min(size.max(1 << 20)), 0);
    bytes.into()
}

impl<CTX: ContextTr<Journal: JournalExt>> Inspector<CTX, EthInterpreter> for Legacy {
    fn step(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        self.reasons.step(interpreter);
        let opcode = interpreter.bytecode.opcode();
        let arg = |n: usize| -> usize {
            interpreter.stack.peek(n).map_or(0, |value| value.saturating_to())
        };
        let input = match opcode {
            op::CREATE | op::CREATE2 => slice(interpreter, arg(1), arg(2)),
            op::CALL | op::CALLCODE => slice(interpreter, arg(3), arg(4)),
            op::DELEGATECALL | op::STATICCALL => slice(interpreter, arg(2), arg(3)),
            _ => Bytes::new(),
        };
        let back = self.open.last().filter(|_| self.depth + 1 == self.open.len());
        let output =
            back.map_or_else(Bytes::new, |call| slice(interpreter, call.room.0, call.room.1));
        let contract = interpreter.input.target_address();
        let account = context.journal_ref().evm_state().get(&contract);
        self.step = Some(Step {
            opcode,
            gas: interpreter.gas.remaining(),
            stack: interpreter.stack.data().clone(),
            contract,
            balance: account.map(|account| account.info.balance).unwrap_or_default(),
            input,
            output,
        });
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        self.reasons.step_end(interpreter);
        let Some(step) = self.step.take() else { return };
        let result = interpreter.bytecode.instruction_result();
        let cost = step.gas.saturating_sub(interpreter.gas.remaining());
        match result.filter(|result| !result.is_ok() && !result.is_revert()) {
            Some(result) => {
                let text = fault::text(result, step.opcode, step.stack.len());
                self.fail(text.unwrap_or_else(|| fault::word(result)));
            }
            None => self.follow(step, cost, context),
        }
    }

    fn call(&mut self, _: &mut CTX, _: &mut CallInputs) -> Option<CallOutcome> {
        self.depth += 1;
        self.reasons.enter();
        None
    }

    fn call_end(&mut self, _: &mut CTX, _: &CallInputs, outcome: &mut CallOutcome) {
        self.depth -= 1;
        self.reasons.leave(outcome.result.result, false);
    }

    fn create(&mut self, _: &mut CTX, _: &mut CreateInputs) -> Option<CreateOutcome> {
        self.depth += 1;
        self.reasons.enter();
        None
    }

    fn create_end(&mut self, _: &mut CTX, _: &CreateInputs, outcome: &mut CreateOutcome) {
        self.depth -= 1;
        self.reasons.leave(outcome.result.result, true);
    }
}
