//! Tracers over both machines: geth's, Parity's, and one of our own.
//!
//! revm's inspectors see every system call of a RISC-V frame as an opcode. What they can't know is
//! added here: the guest's program counter, why it trapped, system calls that are no opcodes.
//! [`geth_trace`] runs geth's tracers: `struct_log`, `calls`, `legacy`, `prestate` and `erc7562`
//! are written after geth's, the others are revm's. `parity` has the traces of `trace_*`;
//! `instructions` is `rvTracer`, which shows guests instruction by instruction,
//! `gas_report` says where gas went. A [`Budget`] bounds
//! them all.

extern crate alloc;

mod budget;
mod calls;
mod erc7562;
mod fault;
mod gas_report;
mod instructions;
mod legacy;
mod parity;
mod prestate;
mod reasons;
mod recorder;
mod struct_log;
mod tracer;

pub use parity::parity_trace;

use alloc::string::String;

use alloy_rpc_types_trace::geth::{GethDebugTracingOptions, GethTrace};
use revm::{
    DatabaseRef,
    context::{TxEnv, transaction::AccessList},
    context_interface::result::ResultAndState,
    database_interface::{DBErrorMarker, bal::EvmDatabaseError},
};
use revm_inspectors::{
    access_list::AccessListInspector, opcode::OpcodeGasInspector,
    otterscan::InternalOperationsInspector, tracing::DebugInspectorError,
};

pub use alloy_rpc_types_trace::{geth, opcode, otterscan, parity as parity_types};
pub use budget::{Budget, Exceeded};
pub use gas_report::{
    ClassReport, Count, GasReport, MachineReport, Parts, ProvingCost, SyscallReport,
};
pub use revm_inspectors::tracing::TransactionContext;

use gas_report::Collector;
use recorder::{Bounded, Recorder};
use tracer::Tracer;
use vm::{EngineError, Execution, Outcome};

/// Name of the tracer that shows guests instruction by instruction.
pub const RV_TRACER: &str = "rvTracer";

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError<E: DBErrorMarker> {
    /// The transaction did not run.
    #[error(transparent)]
    Engine(#[from] EngineError<E>),
    /// The tracer is not known, or not with this configuration.
    #[error("tracer: {0}")]
    Tracer(DebugInspectorError),
    /// The tracer is a script.
    #[error(
        "tracers in JavaScript are not supported: use a built-in one, such as callTracer, \
         prestateTracer, flatCallTracer, 4byteTracer or muxTracer"
    )]
    JavaScript,
    /// No tracer has this name.
    #[error("tracer not found: {name:?} is not one of the built-in tracers")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The tracer's configuration does not make sense.
    #[error("tracer: {0}")]
    Config(String),
    /// The state could not be read for the trace.
    #[error("trace: {0}")]
    State(DebugInspectorError<EvmDatabaseError<E>>),
    /// The trace has hit a limit of its budget.
    #[error("the trace has exceeded its limit of {0:?}")]
    Exceeded(Exceeded),
}

/// Runs a transaction under the tracer of geth that `options` name, and commits nothing.
///
/// [`Execution::commit`] makes the outcome part of the state, for a trace of a whole block.
pub fn geth_trace<DB: DatabaseRef>(
    execution: &mut Execution<DB>,
    tx: &TxEnv,
    (options, place): (&GethDebugTracingOptions, TransactionContext),
    budget: &mut Budget,
) -> Result<(Outcome, GethTrace), TraceError<DB::Error>> {
    let units_per_gas = execution.engine().spec().riscv.gas.units_per_gas;
    let tracer = Tracer::new(options, units_per_gas)?;
    let (outcome, tracer) = bounded(execution, tx, tracer, budget)?;
    let Outcome { result, state, trap, prints } = outcome;
    let ran = ResultAndState::new(result, state);
    let trace = tracer.into_trace(execution, tx, (&ran, place))?;
    let ResultAndState { result, state } = ran;
    Ok((Outcome { result, state, trap, prints }, trace))
}

/// Runs a transaction under a tracer for as long as the budget lasts.
fn bounded<DB: DatabaseRef, T: Recorder<vm::Context<DB>>>(
    execution: &mut Execution<DB>,
    tx: &TxEnv,
    tracer: T,
    budget: &mut Budget,
) -> Result<(Outcome, T), TraceError<DB::Error>> {
    budget.look();
    budget.watch(execution);
    let mut bounded = Bounded { tracer, budget };
    let outcome = execution.watch(tx, &mut bounded);
    let Bounded { tracer, budget } = bounded;
    if matches!(outcome, Err(EngineError::Stopped)) {
        budget.look();
    }
    match budget.exceeded() {
        Some(exceeded) => Err(TraceError::Exceeded(exceeded)),
        None => Ok((outcome?, tracer)),
    }
}

/// Runs a transaction and lists the accounts and slots it used, for `eth_createAccessList`.
pub fn access_list<DB: DatabaseRef>(
    execution: &mut Execution<DB>,
    tx: &TxEnv,
) -> Result<(Outcome, AccessList), EngineError<DB::Error>> {
    let mut inspector = AccessListInspector::new(tx.access_list.clone());
    let outcome = execution.inspect(tx, &mut inspector)?;
    Ok((outcome, inspector.into_access_list()))
}

/// Runs a transaction and counts its opcodes with the gas that each kind took.
pub fn opcode_gas<DB: DatabaseRef>(
    execution: &mut Execution<DB>,
    tx: &TxEnv,
    budget: &mut Budget,
) -> Result<(Outcome, OpcodeGasInspector), TraceError<DB::Error>> {
    bounded(execution, tx, OpcodeGasInspector::new(), budget)
}

/// Runs a transaction and says where its gas went.
pub fn gas_report<DB: DatabaseRef>(
    execution: &mut Execution<DB>,
    tx: &TxEnv,
    budget: &mut Budget,
) -> Result<(Outcome, GasReport), TraceError<DB::Error>> {
    let collector = Collector::new(&execution.engine().spec().riscv.gas);
    let (outcome, collector) = bounded(execution, tx, collector, budget)?;
    let report = collector.finish(&outcome.result);
    Ok((outcome, report))
}

/// Runs a transaction and lists the transfers, creations and destructions inside it.
pub fn internal_operations<DB: DatabaseRef>(
    execution: &mut Execution<DB>,
    tx: &TxEnv,
    budget: &mut Budget,
) -> Result<(Outcome, InternalOperationsInspector), TraceError<DB::Error>> {
    bounded(execution, tx, InternalOperationsInspector::default(), budget)
}
