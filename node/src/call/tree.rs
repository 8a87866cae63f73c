//! Calls and logs drawn as a tree of lines, for `--print-traces`.

use std::sync::Arc;

use revm::DatabaseRef;
use revm::context::TxEnv;
use revm_inspectors::tracing::{
    TraceWriter, TraceWriterConfig, TracingInspector, TracingInspectorConfig,
};
use storage::{ExecutedBlock, StoreError};
use vm::{EngineError, Execution, Outcome};

use crate::chain::{Chain, blocking};
use crate::error::CallError;
use crate::trace::Replay;
use executor::tx_env;
use trace::Budget;

/// Runs a transaction, commits nothing, and draws its calls.
pub(crate) fn call_tree<DB: DatabaseRef<Error = StoreError>>(
    execution: &mut Execution<DB>,
    tx: &TxEnv,
) -> Result<(Outcome, String), EngineError<StoreError>> {
    let config = TracingInspectorConfig::none().set_record_logs(true);
    let mut inspector = TracingInspector::new(config);
    let outcome = execution.inspect(tx, &mut inspector)?;
    let plain = TraceWriterConfig::new().color_choice(colorchoice::ColorChoice::Never);
    let mut writer = TraceWriter::with_config(Vec::new(), plain);
    let drawn = writer.write_arena(inspector.traces());
    drawn.map_err(|error| EngineError::Internal(format!("call tree: {error}")))?;
    Ok((outcome, String::from_utf8_lossy(&writer.into_writer()).into_owned()))
}

impl Chain {
    /// Logs the calls of each transaction of `block`.
    pub async fn print_traces(&self, block: Arc<ExecutedBlock>) -> Result<(), CallError> {
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            let mut replay = Replay::begin(&shared, &block, &Budget::unlimited())?;
            for (transaction, sender) in block.transactions.iter().zip(&block.senders) {
                let tx = tx_env(transaction, *sender);
                let execution = replay.execution.execution();
                let (outcome, tree) = call_tree(execution, &tx)?;
                execution.commit(outcome);
                let hash = transaction.tx_hash();
                tracing::info!(target: "calls", number = block.number(), %hash, "\n{tree}");
            }
            Ok(())
        })
        .await?
    }
}
