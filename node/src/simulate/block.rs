//! Runs the blocks of a plan one after the other.

use alloy_consensus::proofs::ordered_trie_root_with_encoder;
use alloy_consensus::{Header, Sealable, Sealed};
use alloy_primitives::Address;
use genesis::{ChainSpec, SpecId};
use revm::Database;
use revm::context_interface::result::ExecutionResult;
use std::sync::Arc;
use vm::{AccountEdit, Engine, EngineError, Outcome, Rules};

use super::call::{Made, Place, check, encode, make};
use super::logs::CallLogs;
use super::plan::Plan;
use super::{CallFailure, Limits, PlannedBlock, SimulateError, SimulatedBlock, SimulatedCall};
use crate::building::executed_block;
use crate::call::{Call, halt, override_state, vm_error};
use crate::error::CallError;
use crate::query::StateView;
use crate::trial::Trial;
use executor::{BlockExecution, Executed, next_base_fee, next_excess_blob_gas};

/// What geth adds to an error that its own limit may have led to.
const CAPPED: &str = " (gas limit was capped by the RPC server's global gas cap)";

/// Runs all blocks of `plan` on top of `trial`.
pub(super) fn run(
    engine: &Engine,
    plan: Plan,
    trial: Trial,
    mut limits: Limits,
) -> Result<Vec<SimulatedBlock>, SimulateError> {
    let Trial { mut view, mut parent, mut roots, permit } = trial;
    let mut done = Vec::with_capacity(plan.blocks.len());
    for (planned, header) in plan.blocks {
        limits.deadline.check()?;
        let header = complete(header, &parent, engine.spec(), plan.validation);
        let rules = Rules { code_size_max: limits.code_size_max, ..rules() };
        let mut run = Run {
            place: Place {
                chain_id: engine.chain_id(),
                base_fee: header.base_fee_per_gas,
                validation: plan.validation,
            },
            gas_limit: header.gas_limit,
            withdraws: engine
                .spec()
                .fork(header.number, header.timestamp)
                .is_enabled_in(SpecId::SHANGHAI),
            block: BlockExecution::new(engine, header, rules, &view),
            logs: CallLogs::new(plan.trace_transfers),
            limits: &mut limits,
        };
        run.block.keep_roots(crate::sequencer::roots(roots.merkle()));
        let calls = run.all(&planned)?;
        let Executed { mut header, body, changes } = run.block.finish().map_err(CallError::from)?;
        header.transactions_root =
            ordered_trie_root_with_encoder(&body.transactions, |tx, out| encode(tx, out));
        header.state_root = roots.apply(&changes).map_err(CallError::from)?;
        parent = header.seal_slow();
        view.add_block_hash(parent.number, parent.hash());
        view.add_changes(changes);
        let block = Arc::new(executed_block(parent.clone(), body));
        done.push(SimulatedBlock { block, calls });
    }
    drop(permit);
    Ok(done)
}

/// Only what [`check`] leaves is left to the engine.
fn rules() -> Rules {
    Rules { lower_base_fee: false, ..Rules::call() }
}

/// Fills in what follows from the parent.
fn complete(
    mut header: Header,
    parent: &Sealed<Header>,
    spec: &ChainSpec,
    validation: bool,
) -> Header {
    header.parent_hash = parent.hash();
    if spec.fork(header.number, header.timestamp).is_enabled_in(SpecId::LONDON) {
        // Without validation, calls that offer no gas price are free.
        let base_fee = if validation {
            next_base_fee(spec, parent, header.timestamp).unwrap_or_default()
        } else {
            0
        };
        header.base_fee_per_gas.get_or_insert(base_fee);
    } else {
        header.base_fee_per_gas = None;
    }
    header.excess_blob_gas = next_excess_blob_gas(spec, parent, header.timestamp);
    header
}

/// A block that is being simulated.
struct Run<'a> {
    block: BlockExecution<&'a StateView>,
    place: Place,
    gas_limit: u64,
    /// Whether blocks have withdrawals.
    withdraws: bool,
    logs: CallLogs,
    limits: &'a mut Limits,
}

impl Run<'_> {
    /// Runs everything that comes before the block's end.
    fn all(&mut self, planned: &PlannedBlock) -> Result<Vec<SimulatedCall>, SimulateError> {
        let execution = self.block.execution();
        self.limits.deadline.watch(execution);
        if let Some(fee) = planned.overrides.blob_base_fee {
            execution.set_blob_base_fee(fee.saturating_to());
        }
        override_state(execution, &planned.state)?;
        if self.withdraws {
            self.block.set_rest(Vec::new(), Some(planned.withdrawals.clone()));
        }
        self.block.open().map_err(CallError::from)?;
        planned.calls.iter().map(|call| self.one(call)).collect()
    }

    fn one(&mut self, call: &Call) -> Result<SimulatedCall, SimulateError> {
        self.limits.deadline.check()?;
        let sender = call.from.unwrap_or_default();
        let account = self.block.execution().state().basic(sender).map_err(vm_error)?;
        let account = account.unwrap_or_default();
        let remaining = self.gas_limit.saturating_sub(self.block.gas_used());
        let required = call.gas.unwrap_or(remaining);
        if remaining < required {
            return Err(SimulateError::BlockGasLimit { remaining, required });
        }
        let gas = required.min(self.limits.gas);
        let nonce = call.nonce.unwrap_or(account.nonce);
        let made = make(call, (gas, nonce), self.place)?;
        let invalid = |error| SimulateError::Invalid { error, gas };
        check(&made.env, &account, self.place).map_err(invalid)?;
        let Made { transaction, sender, mut env } = made;
        if !self.place.validation && env.max_fee_per_blob_gas == 0 {
            // Who offers nothing for blobs pays what they cost.
            let blobs = self.block.execution().block().blob_excess_gas_and_price;
            env.max_fee_per_blob_gas = blobs.map_or(0, |blobs| blobs.blob_gasprice);
        }
        let wraps = !self.place.validation && account.nonce == u64::MAX;
        if !self.place.validation {
            env.nonce = account.nonce;
        }
        if wraps {
            env.nonce = self.set_nonce(sender, u64::MAX - 1)?;
        }
        let outcome = match self.block.inspect((transaction, sender), &env, &mut self.logs) {
            Ok(outcome) => outcome,
            Err(EngineError::Invalid(error)) => return Err(invalid(error)),
            Err(error) => return Err(CallError::from(error).into()),
        };
        if wraps {
            // geth's nonces go round where they are not checked.
            self.set_nonce(sender, 0)?;
        }
        self.limits.gas = self.limits.gas.saturating_sub(outcome.result.tx_gas_used());
        Ok(self.outcome(outcome, gas < required, env.kind.is_create()))
    }

    fn set_nonce(&mut self, address: Address, nonce: u64) -> Result<u64, SimulateError> {
        let edit = AccountEdit { address, nonce: Some(nonce), ..AccountEdit::default() };
        self.block.execution().change(&edit).map_err(CallError::from)?;
        Ok(nonce)
    }

    fn outcome(&mut self, outcome: Outcome, capped: bool, creation: bool) -> SimulatedCall {
        let gas = *outcome.result.gas();
        let mut call = SimulatedCall {
            logs: self.logs.take(),
            gas_used: gas.tx_gas_used(),
            gas_used_max: gas.total_gas_spent().max(gas.floor_gas()),
            ..SimulatedCall::default()
        };
        match outcome.result {
            ExecutionResult::Success { output, .. } => call.output = output.into_data(),
            ExecutionResult::Revert { output, .. } => {
                call.failure = Some(CallFailure::Revert(output));
            }
            ExecutionResult::Halt { reason, .. } => {
                let reason = halt::text(&reason, self.logs.last(), creation);
                let gas_used = call.gas_used;
                let halt = CallError::Halt { reason, trap: outcome.trap, gas_used };
                let text = if capped { format!("{halt}{CAPPED}") } else { halt.to_string() };
                call.failure = Some(CallFailure::Halt(text));
            }
        }
        call
    }
}
