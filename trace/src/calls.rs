//! `callTracer`, and `flatCallTracer`, which is the same without nesting.

use alloc::{
    collections::BTreeSet,
    string::{String, ToString},
    vec::Vec,
};

use alloy_primitives::{Address, Log, U256};
use alloy_rpc_types_trace::geth::{CallConfig, CallFrame, FlatCallConfig, GethTrace};
use revm::{
    Inspector,
    context::{ContextTr, JournalTr},
    inspector::JournalExt,
    interpreter::{
        CallInputs, CallOutcome, CallScheme, CreateInputs, CreateOutcome, Interpreter,
        interpreter::EthInterpreter,
    },
};
use revm_inspectors::tracing::{
    DebugInspector, TracingInspector, TracingInspectorConfig, TransactionContext,
};
use serde_json::{Map, Value, json};

use super::reasons::{Reasons, explain};
use vm::{TrapReport, watch::OwnSyscall};

/// How a call trace shows that a contract destroys itself.
pub(super) const SELFDESTRUCT: &str = "SELFDESTRUCT";

/// Collects the calls of a transaction.
pub(super) struct Calls {
    pub(super) inspector: DebugInspector,
    flat: Option<FlatCallConfig>,
    reasons: Reasons,
    /// Frames that a flat trace leaves out: calls of precompiles.
    hidden: BTreeSet<usize>,
}

impl Calls {
    pub(super) fn nested(config: CallConfig) -> Self {
        let recorded = TracingInspectorConfig::from_geth_call_config(&config);
        Self {
            inspector: DebugInspector::CallTracer(TracingInspector::new(recorded), config),
            flat: None,
            reasons: Reasons::default(),
            hidden: BTreeSet::new(),
        }
    }

    pub(super) fn flat(config: FlatCallConfig) -> Self {
        Self { flat: Some(config), ..Self::nested(CallConfig::default()) }
    }

    pub(super) fn own_syscall(&mut self, call: &OwnSyscall) {
        self.reasons.own_syscall(call.name);
    }

    /// Completes the trace that the inspector gave.
    pub(super) fn complete(
        self,
        trace: GethTrace,
        traps: &[(usize, TrapReport)],
        (place, number): (TransactionContext, u64),
    ) -> GethTrace {
        let GethTrace::CallTracer(mut root) = trace else { return trace };
        explain(&mut root, &self.reasons.into_texts(traps));
        let Some(config) = self.flat else { return GethTrace::CallTracer(root) };
        let keep_precompiles = config.include_precompiles.unwrap_or_default();
        if !keep_precompiles {
            hide(&mut root, &self.hidden, &mut 0);
        }
        let parity_errors = config.convert_parity_errors.unwrap_or_default();
        let mut flat = Flat { entries: Vec::new(), parity_errors, place, number };
        flat.add(&root, &mut Vec::new());
        GethTrace::JS(Value::Array(flat.entries))
    }
}

/// Takes the frames with these numbers out.
fn hide(frame: &mut CallFrame, hidden: &BTreeSet<usize>, number: &mut usize) {
    frame.calls.retain_mut(|call| {
        if call.typ == SELFDESTRUCT {
            return true;
        }
        *number += 1;
        let keep = !hidden.contains(number);
        hide(call, hidden, number);
        keep
    });
}

/// A flat trace in the making.
struct Flat {
    entries: Vec<Value>,
    parity_errors: bool,
    place: TransactionContext,
    number: u64,
}

impl Flat {
    fn add(&mut self, frame: &CallFrame, address: &mut Vec<usize>) {
        let (kind, action, result) = parts(frame);
        let mut entry = Map::new();
        entry.insert("type".to_string(), json!(kind));
        entry.insert("action".to_string(), action);
        let error = frame
            .error
            .as_deref()
            .map(|error| if self.parity_errors { parity_error(error) } else { error.to_string() });
        // What a reverted call gives back says why.
        let reverted = frame.error.as_deref() == Some("execution reverted");
        match error {
            Some(error) => {
                entry.insert("error".to_string(), json!(error));
                if reverted {
                    entry.insert("result".to_string(), result);
                }
            }
            None if result.is_null() => {}
            None => {
                entry.insert("result".to_string(), result);
            }
        }
        entry.insert("traceAddress".to_string(), json!(address));
        entry.insert("subtraces".to_string(), json!(frame.calls.len()));
        entry.insert("transactionHash".to_string(), json!(self.place.tx_hash));
        entry.insert(
            "transactionPosition".to_string(),
            json!(self.place.tx_index.unwrap_or_default()),
        );
        entry.insert("blockHash".to_string(), json!(self.place.block_hash));
        entry.insert("blockNumber".to_string(), json!(self.number));
        self.entries.push(Value::Object(entry));
        for (position, call) in frame.calls.iter().enumerate() {
            address.push(position);
            self.add(call, address);
            address.pop();
        }
    }
}

/// Type, action and result of a flat entry.
fn parts(frame: &CallFrame) -> (&'static str, Value, Value) {
    let output = frame.output.clone().unwrap_or_default();
    let kind = frame.typ.to_lowercase();
    match frame.typ.as_str() {
        "CREATE" | "CREATE2" => (
            "create",
            json!({
                "from": frame.from, "gas": frame.gas, "value": frame.value.unwrap_or_default(),
                "init": frame.input, "creationMethod": kind,
            }),
            match frame.to {
                Some(to) => {
                    json!({ "address": to, "gasUsed": frame.gas_used, "code": output })
                }
                None => json!({ "gasUsed": frame.gas_used, "code": output }),
            },
        ),
        SELFDESTRUCT => (
            "suicide",
            json!({
                "address": frame.from, "refundAddress": frame.to,
                "balance": frame.value.unwrap_or_default(),
            }),
            Value::Null,
        ),
        _ => (
            "call",
            json!({
                "from": frame.from, "to": frame.to, "gas": frame.gas,
                "value": frame.value.unwrap_or_default(), "input": frame.input, "callType": kind,
            }),
            json!({ "gasUsed": frame.gas_used, "output": output }),
        ),
    }
}

/// Parity's word for geth's error; geth converts these and no others.
fn parity_error(error: &str) -> String {
    match error {
        "contract creation code storage out of gas"
        | "out of gas"
        | "gas uint64 overflow"
        | "max code size exceeded" => "Out of gas",
        "invalid jump destination" => "Bad jump destination",
        "execution reverted" => "Reverted",
        "return data out of bounds" => "Out of bounds",
        "stack limit reached 1024 (1023)" => "Out of stack",
        "precompiled failed" | "invalid input length" => "Built-in failed",
        error if error.starts_with("out of gas:") => "Out of gas",
        error if error.starts_with("invalid opcode:") => "Bad instruction",
        error if error.starts_with("stack underflow") => "Stack underflow",
        error => error,
    }
    .to_string()
}

impl<CTX: ContextTr<Journal: JournalExt>> Inspector<CTX, EthInterpreter> for Calls {
    fn initialize_interp(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        self.inspector.initialize_interp(interpreter, context);
    }

    fn step(&mut self, interpreter: &mut Interpreter, _: &mut CTX) {
        self.reasons.step(interpreter);
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, _: &mut CTX) {
        self.reasons.step_end(interpreter);
    }

    fn log(&mut self, context: &mut CTX, log: Log) {
        self.inspector.log(context, log);
    }

    fn call(&mut self, context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        let number = self.reasons.enter();
        if matches!(inputs.scheme, CallScheme::Call | CallScheme::StaticCall)
            && context.journal_ref().precompile_addresses().contains(&inputs.bytecode_address)
        {
            self.hidden.insert(number);
        }
        self.inspector.call(context, inputs)
    }

    fn call_end(&mut self, context: &mut CTX, inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.reasons.leave(outcome.result.result, false);
        self.inspector.call_end(context, inputs, outcome);
    }

    fn create(&mut self, context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.reasons.enter();
        self.inspector.create(context, inputs)
    }

    fn create_end(
        &mut self,
        context: &mut CTX,
        inputs: &CreateInputs,
        outcome: &mut CreateOutcome,
    ) {
        self.reasons.leave(outcome.result.result, true);
        self.inspector.create_end(context, inputs, outcome);
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        Inspector::<CTX>::selfdestruct(&mut self.inspector, contract, target, value);
    }
}
