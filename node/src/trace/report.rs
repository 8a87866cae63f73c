//! Where the gas of a transaction or call went: `rv_gasReport`.

use std::sync::Arc;

use alloy_eips::BlockId;
use alloy_primitives::B256;
use trace::GasReport;

use super::replay::run_one;
use super::series::StepCall;
use crate::call::{Call, Overrides};
use crate::chain::Chain;
use crate::error::CallError;

impl Chain {
    /// The report of a transaction that is in a block.
    pub async fn gas_report(&self, hash: B256) -> Result<GasReport, CallError> {
        let shared = Arc::clone(&self.shared);
        self.traced(None, move |budget| {
            let reported = run_one(&shared, hash, budget, |execution, tx, _, budget| {
                trace::gas_report(execution, tx, budget)
            });
            Ok(reported?.1)
        })
        .await
    }

    /// The report of a call at a block, which is forgotten.
    pub async fn gas_report_of_call(
        &self,
        call: Call,
        overrides: Overrides,
        block: BlockId,
    ) -> Result<GasReport, CallError> {
        let calls = vec![StepCall { call, overrides, kind: () }];
        let mut reports = self
            .series(calls, block.into(), None, |execution, tx, (), budget| {
                trace::gas_report(execution, tx, budget)
            })
            .await?;
        // One call, one report.
        Ok(reports.pop().unwrap_or_default())
    }
}
