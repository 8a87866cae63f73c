//! Parity's traces: calls, the virtual machine's steps, changes of the state.

use alloc::{collections::BTreeMap, vec::Vec};

use alloy_primitives::{Address, Bytes, Log, U256, map::HashSet};
use alloy_rpc_types_trace::parity::{Action, TraceResults, TraceType, VmTrace};
use revm::{
    DatabaseRef, Inspector,
    context::{ContextTr, TxEnv},
    inspector::JournalExt,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, InstructionResult, Interpreter,
        interpreter::EthInterpreter,
    },
};
use revm_inspectors::tracing::{
    DebugInspectorError, TraceLimitBehavior, TraceLimits, TracingInspector, TracingInspectorConfig,
    types::{CallTraceNode, CallTraceStep, TraceMemberOrder},
};

use super::{Budget, TraceError, bounded, recorder::Recorder};
use vm::{Execution, Outcome, TrapReport};

/// Bytes of a step of the virtual machine's trace.
const STEP_SIZE: usize = 512;

/// Collects what Parity's traces are made of.
struct Parity {
    inspector: TracingInspector,
    /// The open frames' places in what the inspector records.
    open: Vec<usize>,
    /// The guest's program counter of the step to come.
    pc: Option<u64>,
    /// Program counters of guests' steps, by frame and step.
    pcs: BTreeMap<(usize, usize), u64>,
}

/// Runs a transaction and gives Parity's traces of these types; commits nothing.
pub fn parity_trace<DB: DatabaseRef>(
    execution: &mut Execution<DB>,
    tx: &TxEnv,
    types: &HashSet<TraceType>,
    budget: &mut Budget,
) -> Result<(Outcome, TraceResults), TraceError<DB::Error>> {
    let config = TracingInspectorConfig::from_parity_config(types);
    let limits = TraceLimits::default()
        .set_max_recorded_bytes(Some(budget.size_left()))
        .set_behavior(TraceLimitBehavior::Halt);
    let parity = Parity {
        inspector: TracingInspector::new(config).with_limits(limits),
        open: Vec::new(),
        pc: None,
        pcs: BTreeMap::new(),
    };
    let (outcome, parity) = bounded(execution, tx, parity, budget)?;
    // Only guests need to be looked up again.
    let guests = !(parity.pcs.is_empty() && execution.traps().is_empty());
    let nodes = if guests { parity.inspector.traces().nodes().to_vec() } else { Vec::new() };
    let builder = parity.inspector.into_parity_builder();
    let (result, state) = (&outcome.result, &outcome.state);
    let mut traces = builder
        .into_trace_results_with_state_parts(result, state, types, &*execution.state())
        .map_err(|error| TraceError::State(DebugInspectorError::Database(error)))?;
    explain(&mut traces, &nodes, execution.traps());
    if let Some(vm_trace) = traces.vm_trace.as_mut().filter(|_| guests) {
        place(vm_trace, &nodes, &parity.pcs);
    }
    Ok((outcome, traces))
}

/// Puts the reasons of traps in place of the EVM's nearest error.
fn explain(traces: &mut TraceResults, nodes: &[CallTraceNode], traps: &[(usize, TrapReport)]) {
    if traps.is_empty() {
        return;
    }
    let mut addresses: Vec<Vec<usize>> = alloc::vec![Vec::new(); nodes.len()];
    for (number, node) in nodes.iter().enumerate() {
        for (position, child) in node.children.iter().enumerate() {
            let mut address = addresses[number].clone();
            address.push(position);
            addresses[*child] = address;
        }
    }
    let reasons: BTreeMap<&[usize], &str> = traps
        .iter()
        .filter(|(number, _)| nodes.get(*number).is_some_and(|node| !node.is_precompile()))
        .map(|(number, trap)| (addresses[*number].as_slice(), trap.reason.as_str()))
        .collect();
    for trace in &mut traces.trace {
        let reason = reasons.get(trace.trace_address.as_slice());
        if let (Some(reason), Some(error)) = (reason, &mut trace.error)
            && !matches!(trace.action, Action::Selfdestruct(_))
        {
            *error = (*reason).into();
        }
    }
}

/// Gives the steps of guests their program counters.
fn place(root: &mut VmTrace, nodes: &[CallTraceNode], pcs: &BTreeMap<(usize, usize), u64>) {
    let mut open = alloc::vec![(root, 0)];
    while let Some((trace, number)) = open.pop() {
        let Some(node) = nodes.get(number) else { continue };
        let code = node.trace.bytecode.as_ref();
        let mut instructions = trace.ops.iter_mut();
        let mut members = node.ordering.iter().peekable();
        while let Some(member) = members.next() {
            let TraceMemberOrder::Step(index) = *member else { continue };
            let Some(step) = node.trace.steps.get(index) else { continue };
            if !is_shown(step, code) {
                continue;
            }
            let Some(instruction) = instructions.next() else { break };
            if let Some(pc) = pcs.get(&(number, index)) {
                instruction.pc = usize::try_from(*pc).unwrap_or(usize::MAX);
            }
            let next = members.next_if(|next| matches!(next, TraceMemberOrder::Call(_)));
            if let (Some(TraceMemberOrder::Call(child)), Some(sub)) = (next, &mut instruction.sub)
                && let Some(child) = node.children.get(*child)
            {
                open.push((sub, *child));
            }
        }
    }
}

/// Whether a step is in the trace: those that were refused before they began are not.
fn is_shown(step: &CallTraceStep, code: Option<&Bytes>) -> bool {
    use InstructionResult as Refused;
    let refused = matches!(
        step.status,
        Some(
            Refused::OpcodeNotFound
                | Refused::InvalidFEOpcode
                | Refused::NotActivated
                | Refused::InvalidImmediateEncoding
                | Refused::StackUnderflow
                | Refused::StackOverflow
        )
    );
    !refused && code.is_none_or(|code| step.pc < code.len())
}

impl<CTX: ContextTr<Journal: JournalExt>> Recorder<CTX> for Parity {
    fn step_size(&self, _: &Interpreter) -> usize {
        if self.inspector.config().record_steps { STEP_SIZE } else { 0 }
    }

    fn is_full(&self) -> bool {
        self.inspector.limit_exceeded()
    }

    fn syscall(&mut self, pc: u64) {
        self.pc = Some(pc);
    }
}

impl Parity {
    /// The newest frame is the last one that the inspector has made room for.
    fn enter(&mut self) {
        self.open.push(self.inspector.traces().nodes().len() - 1);
    }
}

impl<CTX: ContextTr<Journal: JournalExt>> Inspector<CTX, EthInterpreter> for Parity {
    fn initialize_interp(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        self.inspector.initialize_interp(interpreter, context);
    }

    fn step(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        self.inspector.step(interpreter, context);
        if let (Some(pc), Some(number)) = (self.pc.take(), self.open.last())
            && let Some(node) = self.inspector.traces().nodes().get(*number)
            && let Some(index) = node.trace.steps.len().checked_sub(1)
        {
            self.pcs.insert((*number, index), pc);
        }
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        self.inspector.step_end(interpreter, context);
    }

    fn log(&mut self, context: &mut CTX, log: Log) {
        self.inspector.log(context, log);
    }

    fn call(&mut self, context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        let answer = self.inspector.call(context, inputs);
        self.enter();
        answer
    }

    fn call_end(&mut self, context: &mut CTX, inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.open.pop();
        self.inspector.call_end(context, inputs, outcome);
    }

    fn create(&mut self, context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        let answer = self.inspector.create(context, inputs);
        self.enter();
        answer
    }

    fn create_end(
        &mut self,
        context: &mut CTX,
        inputs: &CreateInputs,
        outcome: &mut CreateOutcome,
    ) {
        self.open.pop();
        self.inspector.create_end(context, inputs, outcome);
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        Inspector::<CTX>::selfdestruct(&mut self.inspector, contract, target, value);
    }
}
