//! Gas estimates: the least gas limit with which a call succeeds, found as geth finds it.

use alloy_eips::BlockId;
use alloy_primitives::{Address, U256};
use revm::Database;
use revm::context::TxEnv;
use revm::context_interface::result::{ExecutionResult, HaltReason};
use vm::{EngineError, Execution, Outcome, TxError};

use super::{Call, Overrides, Session, named, vm_error};
use crate::chain::Chain;
use crate::error::CallError;
use crate::gate::Deadline;
use crate::query::StateView;

/// Gas of a plain transfer.
const TRANSFER_GAS: u64 = 21_000;
/// Gas that a call with value gets on top.
const CALL_STIPEND: u64 = 2_300;
/// The search ends once limits this close together succeed and fail, in thousandths.
const ERROR_PER_MILLE: u64 = 15;

impl Chain {
    /// The least gas limit with which `call` succeeds on the state at `id`.
    pub async fn estimate_gas(
        &self,
        call: Call,
        id: BlockId,
        overrides: Overrides,
    ) -> Result<u64, CallError> {
        let session = self.session(id).await?;
        self.execute(move |deadline| estimate(session, call, (&overrides, deadline))).await
    }
}

fn estimate(
    mut session: Session,
    call: Call,
    (overrides, deadline): (&Overrides, Deadline),
) -> Result<u64, CallError> {
    session.override_block(overrides);
    let usual = if session.block_gas_limited { session.block.gas_limit } else { session.gas_max };
    let wanted = call.gas.filter(|gas| *gas >= TRANSFER_GAS).unwrap_or(usual);
    let mut most = wanted.min(session.gas_max);
    if let Some(cap) = session.tx_gas_max {
        most = most.min(cap);
    }
    let (mut execution, tx) = session.prepare(&call, overrides)?;
    deadline.watch(&mut execution);
    if tx.gas_price > 0 {
        most = most.min(affordable(&mut execution, &tx)?);
    }
    let mut search = Search { execution, tx, deadline };
    if search.is_transfer()? && most >= TRANSFER_GAS && search.succeeds(TRANSFER_GAS)? {
        return Ok(TRANSFER_GAS);
    }
    search.run(most)
}

/// The gas that the sender can pay at the call's price.
fn affordable(execution: &mut Execution<StateView>, tx: &TxEnv) -> Result<u64, CallError> {
    let balance = execution.state().basic(tx.caller).map_err(vm_error)?;
    let balance = balance.map_or(U256::ZERO, |account| account.balance);
    let blobs = U256::from(tx.blob_hashes.len()) * U256::from(131_072u64);
    let blob_cost = blobs * U256::from(tx.max_fee_per_blob_gas);
    let Some(rest) = balance.checked_sub(tx.value).and_then(|rest| rest.checked_sub(blob_cost))
    else {
        let cost = tx.value.saturating_add(blob_cost);
        return Err(TxError::InsufficientFunds { address: tx.caller, balance, cost }.into());
    };
    Ok((rest / U256::from(tx.gas_price)).saturating_to())
}

/// A call that is tried with one gas limit after the other.
struct Search {
    execution: Execution<StateView>,
    tx: TxEnv,
    deadline: Deadline,
}

impl Search {
    fn is_transfer(&mut self) -> Result<bool, CallError> {
        let Some(to) = self.tx.kind.to().copied() else { return Ok(false) };
        if !self.tx.data.is_empty() || !self.tx.authorization_list.is_empty() {
            return Ok(false);
        }
        let callee = self.execution.state().basic(to).map_err(vm_error)?;
        let precompile = to < Address::with_last_byte(0x20) || to.0[..18].iter().all(|b| *b == 0);
        Ok(callee.is_none_or(|account| account.is_empty_code_hash()) && !precompile)
    }

    /// What the call does with `gas`; `None` if that is not even enough to start.
    fn try_with(&mut self, gas: u64) -> Result<Option<Outcome>, CallError> {
        self.deadline.check()?;
        self.tx.gas_limit = gas;
        match self.execution.call(&self.tx) {
            Ok(outcome) => Ok(Some(outcome)),
            Err(EngineError::Invalid(TxError::IntrinsicGas { .. } | TxError::FloorGas { .. })) => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn succeeds(&mut self, gas: u64) -> Result<bool, CallError> {
        Ok(self.try_with(gas)?.is_some_and(|outcome| outcome.result.is_success()))
    }

    fn run(&mut self, most: u64) -> Result<u64, CallError> {
        let allowance = CallError::GasAllowance { allowance: most };
        let Some(first) = self.try_with(most)? else { return Err(allowance) };
        if !first.result.is_success() {
            let out_of_gas = matches!(
                &first.result,
                ExecutionResult::Halt { reason: HaltReason::OutOfGas(_), .. }
            );
            let no_reason = first.trap.is_none();
            return Err(match named(&mut self.execution, &self.tx, first) {
                Err(error) if !(out_of_gas && no_reason) => error,
                _ => allowance,
            });
        }
        let gas = *first.result.gas();
        let (mut enough, mut too_little) = (most, gas.tx_gas_used().saturating_sub(1));
        // Most calls succeed with what they used before refunds, a stipend, and the 64th part
        // that an outer frame keeps.
        let spent = gas.total_gas_spent().max(gas.tx_gas_used());
        let likely = spent.saturating_add(CALL_STIPEND).saturating_mul(64) / 63;
        if likely < enough {
            self.narrow(likely, &mut too_little, &mut enough)?;
        }
        while too_little + 1 < enough {
            if (enough - too_little).saturating_mul(1_000) < enough * ERROR_PER_MILLE {
                break;
            }
            // Most calls need little: do not start in the middle of a large range.
            let middle = too_little + (enough - too_little) / 2;
            let middle = middle.min(too_little.saturating_mul(2)).max(too_little + 1);
            self.narrow(middle, &mut too_little, &mut enough)?;
        }
        Ok(enough)
    }

    fn narrow(
        &mut self,
        gas: u64,
        too_little: &mut u64,
        enough: &mut u64,
    ) -> Result<(), CallError> {
        if self.succeeds(gas)? {
            *enough = gas;
        } else {
            *too_little = (*too_little).max(gas);
        }
        Ok(())
    }
}
