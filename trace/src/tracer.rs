//! A geth tracer by its name.

use alloc::{
    boxed::Box,
    string::{String, ToString},
    vec::Vec,
};

use alloy_primitives::{Address, Log, U256};
use alloy_rpc_types_trace::geth::{
    CallConfig, GethDebugBuiltInTracerType as BuiltIn, GethDebugTracerConfig, GethDebugTracerType,
    GethDebugTracingOptions, GethTrace,
};
use revm::{
    DatabaseRef, Inspector,
    context::{ContextTr, TxEnv},
    context_interface::result::ResultAndState,
    database_interface::DBErrorMarker,
    handler::FrameResult,
    inspector::JournalExt,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, FrameInput, Interpreter,
        interpreter::EthInterpreter,
    },
};
use revm_inspectors::tracing::{DebugInspector, DebugInspectorError, TransactionContext};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    RV_TRACER, TraceError,
    calls::Calls,
    erc7562::Erc7562,
    instructions::Instructions,
    legacy::Legacy,
    prestate::{Prestate, PrestateConfig},
    recorder::Recorder,
    struct_log::StructLogger,
};
use vm::{
    Execution,
    watch::{Instruction, OwnSyscall},
};

/// Name of the call tracer that geth had in JavaScript.
const CALL_TRACER_LEGACY: &str = "callTracerLegacy";
/// One of geth's tracers, or ours.
pub(super) enum Tracer {
    Log(Box<StructLogger>),
    Calls(Box<Calls>),
    Prestate(Box<Prestate>),
    Guests(Box<Instructions>),
    Erc7562(Box<Erc7562>),
    Legacy(Box<Legacy>),
    /// One of revm's: `4byteTracer`, `noopTracer`, `stateGasTracer`.
    Other(Box<DebugInspector>),
    /// `muxTracer`: many at once, by their names.
    Mux(Vec<(String, Self)>),
}

impl Tracer {
    /// The tracer that `options` name; the struct log if they name none.
    pub(super) fn new<E: DBErrorMarker>(
        options: &GethDebugTracingOptions,
        units_per_gas: u64,
    ) -> Result<Self, TraceError<E>> {
        let config = &options.tracer_config;
        let Some(tracer) = options.tracer.as_ref().filter(|tracer| !tracer.as_str().is_empty())
        else {
            return Ok(Self::Log(Box::new(StructLogger::new(options.config))));
        };
        Ok(match tracer {
            GethDebugTracerType::BuiltInTracer(BuiltIn::CallTracer) => {
                Self::Calls(Box::new(Calls::nested(read(config)?)))
            }
            GethDebugTracerType::BuiltInTracer(BuiltIn::FlatCallTracer) => {
                Self::Calls(Box::new(Calls::flat(read(config)?)))
            }
            GethDebugTracerType::BuiltInTracer(BuiltIn::PreStateTracer) => {
                let config: PrestateConfig = read(config)?;
                if config.contradicts() {
                    let text = "cannot use diffMode with includeEmpty";
                    return Err(TraceError::Config(text.to_string()));
                }
                Self::Prestate(Box::new(Prestate::new(config)))
            }
            GethDebugTracerType::BuiltInTracer(BuiltIn::Erc7562Tracer) => {
                Self::Erc7562(Box::new(Erc7562::new(read(config)?)))
            }
            GethDebugTracerType::BuiltInTracer(BuiltIn::MuxTracer) => {
                let Value::Object(parts) = &config.0 else {
                    let text = "muxTracer needs an object of tracers and their configurations";
                    return Err(TraceError::Config(text.to_string()));
                };
                let parts = parts.iter().map(|(name, config)| {
                    let options = part(name, config);
                    Ok((name.clone(), Self::new(&options, units_per_gas)?))
                });
                Self::Mux(parts.collect::<Result<_, TraceError<E>>>()?)
            }
            GethDebugTracerType::JsTracer(name) if name == RV_TRACER => {
                Self::Guests(Box::new(Instructions::new(options.config.limit, units_per_gas)))
            }
            GethDebugTracerType::JsTracer(name) if name == CALL_TRACER_LEGACY => {
                Self::Legacy(Box::new(Legacy::new()))
            }
            GethDebugTracerType::JsTracer(script)
                if script.trim_start().starts_with(['{', '(']) =>
            {
                return Err(TraceError::JavaScript);
            }
            GethDebugTracerType::JsTracer(name) => {
                return Err(TraceError::Unknown { name: name.clone() });
            }
            GethDebugTracerType::BuiltInTracer(_) => {
                let inspector = DebugInspector::new(options.clone());
                Self::Other(Box::new(inspector.map_err(TraceError::Tracer)?))
            }
        })
    }

    /// The trace of a transaction that has run.
    pub(super) fn into_trace<DB: DatabaseRef>(
        self,
        execution: &mut Execution<DB>,
        tx: &TxEnv,
        (ran, place): (&ResultAndState, TransactionContext),
    ) -> Result<GethTrace, TraceError<DB::Error>> {
        let (block, fork) = (execution.block().clone(), execution.fork());
        Ok(match self {
            Self::Log(log) => log.into_trace(&ran.result, fork),
            Self::Guests(guests) => {
                let trap = execution.traps().last().map(|(_, trap)| trap.reason.clone());
                guests.into_trace(&ran.result, trap)
            }
            Self::Prestate(prestate) => {
                let seen = (&*execution.state(), &ran.state);
                let trace = prestate.into_trace((tx, &block), seen, fork);
                GethTrace::JS(
                    trace
                        .map_err(|error| TraceError::State(DebugInspectorError::Database(error)))?,
                )
            }
            Self::Calls(mut calls) => {
                let trace = calls
                    .inspector
                    .get_result(Some(place), tx, &block, ran, execution.state())
                    .map_err(TraceError::State)?;
                let number = block.number.saturating_to();
                calls.complete(trace, execution.traps(), (place, number))
            }
            Self::Legacy(legacy) => GethTrace::JS(legacy.into_trace(tx, &ran.result)),
            Self::Erc7562(mut tracer) => {
                let calls =
                    core::mem::replace(&mut tracer.calls, Calls::nested(CallConfig::default()));
                let traced =
                    Self::Calls(Box::new(calls)).into_trace(execution, tx, (ran, place))?;
                let GethTrace::CallTracer(root) = traced else { return Ok(traced) };
                let shown = tracer.into_json(root, (&*execution.state(), &ran.state));
                GethTrace::JS(
                    shown
                        .map_err(|error| TraceError::State(DebugInspectorError::Database(error)))?,
                )
            }
            Self::Other(mut inspector) => inspector
                .get_result(Some(place), tx, &block, ran, execution.state())
                .map_err(TraceError::State)?,
            Self::Mux(parts) => {
                let mut traces = Map::new();
                for (name, part) in parts {
                    let trace = part.into_trace(execution, tx, (ran, place))?;
                    let trace = serde_json::to_value(trace);
                    traces.insert(name, trace.map_err(|e| TraceError::Config(e.to_string()))?);
                }
                GethTrace::JS(Value::Object(traces))
            }
        })
    }
}

/// Reads a tracer's configuration, which may be left out.
fn read<T, E>(config: &GethDebugTracerConfig) -> Result<T, TraceError<E>>
where
    T: DeserializeOwned + Default,
    E: DBErrorMarker,
{
    if config.is_null() {
        return Ok(T::default());
    }
    let read = serde_json::from_value(config.0.clone());
    read.map_err(|error| TraceError::Config(error.to_string()))
}

/// The options of one of `muxTracer`'s tracers.
fn part(name: &str, config: &Value) -> GethDebugTracingOptions {
    let tracer = serde_json::from_value(Value::String(name.to_string()));
    GethDebugTracingOptions {
        tracer: tracer.ok(),
        tracer_config: config.clone().into(),
        ..GethDebugTracingOptions::default()
    }
}

impl Tracer {
    /// Shows `act` each tracer that there is.
    fn each<CTX: ContextTr<Journal: JournalExt>>(
        &mut self,
        act: &mut dyn FnMut(&mut dyn Inspector<CTX, EthInterpreter>),
    ) {
        match self {
            Self::Log(one) => act(&mut **one),
            Self::Calls(one) => act(&mut **one),
            Self::Prestate(one) => act(&mut **one),
            Self::Guests(one) => act(&mut **one),
            Self::Erc7562(one) => act(&mut **one),
            Self::Legacy(one) => act(&mut **one),
            Self::Other(one) => act(&mut **one),
            Self::Mux(parts) => {
                for (_, part) in parts {
                    part.each(act);
                }
            }
        }
    }

    fn size_of_step(&self, interpreter: &Interpreter) -> usize {
        match self {
            Self::Log(log) => log.step_size(interpreter),
            Self::Erc7562(_) => Erc7562::step_size(interpreter),
            Self::Mux(parts) => parts.iter().map(|(_, part)| part.size_of_step(interpreter)).sum(),
            _ => 0,
        }
    }
}

impl<CTX: ContextTr<Journal: JournalExt>> Recorder<CTX> for Tracer {
    fn step_size(&self, interpreter: &Interpreter) -> usize {
        self.size_of_step(interpreter)
    }

    fn syscall(&mut self, pc: u64) {
        match self {
            Self::Log(log) => log.syscall(pc),
            Self::Erc7562(tracer) => tracer.syscall(),
            Self::Mux(parts) => {
                parts.iter_mut().for_each(|(_, part)| Recorder::<CTX>::syscall(part, pc));
            }
            _ => {}
        }
    }

    fn own_syscall(&mut self, call: &OwnSyscall) {
        match self {
            Self::Log(log) => log.own_syscall(call),
            Self::Calls(calls) => calls.own_syscall(call),
            Self::Erc7562(tracer) => tracer.calls.own_syscall(call),
            Self::Mux(parts) => {
                parts.iter_mut().for_each(|(_, part)| Recorder::<CTX>::own_syscall(part, call));
            }
            _ => {}
        }
    }

    fn wants_instructions(&self) -> bool {
        match self {
            Self::Guests(guests) => guests.wants_instructions(),
            Self::Mux(parts) => {
                parts.iter().any(|(_, part)| Recorder::<CTX>::wants_instructions(part))
            }
            _ => false,
        }
    }

    fn instruction(&mut self, done: &Instruction<'_>) {
        match self {
            Self::Guests(guests) => guests.instruction(done),
            Self::Mux(parts) => {
                parts.iter_mut().for_each(|(_, part)| Recorder::<CTX>::instruction(part, done));
            }
            _ => {}
        }
    }
}

impl<CTX: ContextTr<Journal: JournalExt>> Inspector<CTX, EthInterpreter> for Tracer {
    fn initialize_interp(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        self.each(&mut |one| one.initialize_interp(interpreter, context));
    }

    fn step(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        self.each(&mut |one| one.step(interpreter, context));
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        self.each(&mut |one| one.step_end(interpreter, context));
    }

    fn log(&mut self, context: &mut CTX, log: Log) {
        self.each(&mut |one| one.log(context, log.clone()));
    }

    fn log_full(&mut self, interpreter: &mut Interpreter, context: &mut CTX, log: Log) {
        self.each(&mut |one| one.log_full(interpreter, context, log.clone()));
    }

    fn frame_start(&mut self, context: &mut CTX, input: &mut FrameInput) -> Option<FrameResult> {
        let mut answer = None;
        self.each(&mut |one| {
            let given = one.frame_start(context, input);
            answer = answer.take().or(given);
        });
        answer
    }

    fn frame_end(&mut self, context: &mut CTX, input: &FrameInput, result: &mut FrameResult) {
        self.each(&mut |one| one.frame_end(context, input, result));
    }

    fn call(&mut self, context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        let mut answer = None;
        self.each(&mut |one| {
            let given = one.call(context, inputs);
            answer = answer.take().or(given);
        });
        answer
    }

    fn call_end(&mut self, context: &mut CTX, inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.each(&mut |one| one.call_end(context, inputs, outcome));
    }

    fn create(&mut self, context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        let mut answer = None;
        self.each(&mut |one| {
            let given = one.create(context, inputs);
            answer = answer.take().or(given);
        });
        answer
    }

    fn create_end(
        &mut self,
        context: &mut CTX,
        inputs: &CreateInputs,
        outcome: &mut CreateOutcome,
    ) {
        self.each(&mut |one| one.create_end(context, inputs, outcome));
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        self.each::<CTX>(&mut |one| one.selfdestruct(contract, target, value));
    }
}
