//! Geth's tracers over both machines, and one of our own.
//!
//! revm's inspectors do the work: they see every system call of a RISC-V frame as an opcode.
//! `steps` adds what they can't know, the guest's program counter and why it trapped;
//! `instructions` is `rvTracer`, which shows guests instruction by instruction.

mod instructions;
mod steps;

use alloy_rpc_types_trace::geth::{GethDebugTracerType, GethDebugTracingOptions, GethTrace};
use revm::{
    DatabaseRef,
    context::{TxEnv, transaction::AccessList},
    context_interface::result::ResultAndState,
    database_interface::{DBErrorMarker, bal::EvmDatabaseError},
};
use revm_inspectors::{
    access_list::AccessListInspector,
    tracing::{DebugInspector, DebugInspectorError},
};

pub use alloy_rpc_types_trace::geth;
pub use revm_inspectors::tracing::TransactionContext;

use crate::{EngineError, Execution, Outcome};
use instructions::Instructions;
use steps::Steps;

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
    /// The state could not be read for the trace.
    #[error("trace: {0}")]
    State(DebugInspectorError<EvmDatabaseError<E>>),
}

impl<DB: DatabaseRef> Execution<DB> {
    /// Runs a transaction under the tracer that `options` name, and commits nothing.
    ///
    /// [`Execution::commit`] makes the outcome part of the state, for a trace of a whole block.
    pub fn trace(
        &mut self,
        tx: &TxEnv,
        options: &GethDebugTracingOptions,
        place: TransactionContext,
    ) -> Result<(Outcome, GethTrace), TraceError<DB::Error>> {
        if let Some(GethDebugTracerType::JsTracer(name)) = &options.tracer
            && name == RV_TRACER
        {
            let units_per_gas = self.engine().spec().riscv.gas.units_per_gas;
            let mut tracer = Instructions::new(options.config.limit, units_per_gas);
            let outcome = self.watch(tx, &mut tracer)?;
            let trace = tracer.into_trace(&outcome);
            return Ok((outcome, trace));
        }
        let inspector = DebugInspector::new(options.clone()).map_err(TraceError::Tracer)?;
        let mut tracer = Steps::new(inspector, &options.config);
        let Outcome { result, state, trap, prints } = self.watch(tx, &mut tracer)?;
        let ran = ResultAndState::new(result, state);
        let block = self.block().clone();
        let trace = tracer
            .inspector
            .get_result(Some(place), tx, &block, &ran, self.state())
            .map_err(TraceError::State)?;
        let trace = tracer.complete(trace, self.traps());
        let ResultAndState { result, state } = ran;
        Ok((Outcome { result, state, trap, prints }, trace))
    }

    /// Runs a transaction and lists the accounts and slots it used, for `eth_createAccessList`.
    pub fn access_list(
        &mut self,
        tx: &TxEnv,
    ) -> Result<(Outcome, AccessList), EngineError<DB::Error>> {
        let mut inspector = AccessListInspector::new(tx.access_list.clone());
        let outcome = self.inspect(tx, &mut inspector)?;
        Ok((outcome, inspector.into_access_list()))
    }
}
