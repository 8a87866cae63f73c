//! Calls that leave no trace on the chain: `eth_call`, gas estimates, access lists.
//!
//! Start with [`Chain::call`]. [`Session`] is a call's block and state with its overrides.

mod access_list;
mod estimate;
pub(crate) mod halt;
mod many;
mod request;
mod tree;

use std::collections::{BTreeMap, BTreeSet};

use alloy_consensus::Header;
use alloy_eips::BlockId;
use alloy_primitives::{Address, U256};
use revm::context::{BlockEnv, TxEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::context_interface::either::Either;
use revm::context_interface::result::ExecutionResult;
use revm::{Database, DatabaseRef};
use storage::StoreError;
use vm::{AccountEdit, Engine, Execution, Outcome, Rules};

pub use many::{Bundle, BundleOutcome};
pub use request::{
    AccessListOutcome, AccountOverride, BlockOverrides, Call, CallOutcome, Overrides,
};

use crate::chain::Chain;
use crate::config::NodeConfig;
use crate::error::{CallError, Failure};
use crate::query::{Position, StateView};
use crate::simulate::CallLogs;
use executor::block_env;

/// The least gas limit of a call if none is set: enough for most, not for a busy hour.
const CALL_GAS_LIMIT: u64 = 50_000_000;
/// The same where a transaction may have more gas than a block.
const UNLIMITED_CALL_GAS: u64 = 1_000_000_000;

/// What calls at one block run on.
pub(crate) struct Session {
    engine: Engine,
    state: StateView,
    block: BlockEnv,
    gas_max: u64,
    /// Whether a transaction has at most the gas of its block.
    block_gas_limited: bool,
    code_size_max: Option<usize>,
    memory_max: Option<u64>,
    /// Most gas of a transaction in a block (EIP-7825), where it is enforced.
    tx_gas_max: Option<u64>,
}

impl Chain {
    /// Runs `call` on the state at `id` and forgets what it changed.
    pub async fn call(
        &self,
        call: Call,
        id: BlockId,
        overrides: Overrides,
    ) -> Result<CallOutcome, CallError> {
        let session = self.session(id).await?;
        let print = self.config().print_traces;
        self.execute(move |deadline| {
            let (mut execution, tx) = session.prepare(&call, &overrides)?;
            deadline.watch(&mut execution);
            if print {
                let (ran, tree) = tree::call_tree(&mut execution, &tx)?;
                tracing::info!(target: "calls", "call\n{tree}");
                return outcome(ran);
            }
            let ran = execution.call(&tx)?;
            named(&mut execution, &tx, ran)
        })
        .await
    }

    /// State and block at `id`.
    pub(crate) async fn session(&self, id: BlockId) -> Result<Session, CallError> {
        let (state, header) = self.base(id).await?;
        Ok(Session::new(self.engine(), self.config(), state, &header))
    }

    /// State and header at `id`.
    pub(crate) async fn base(&self, id: BlockId) -> Result<(StateView, Header), CallError> {
        match self.resolve(id)? {
            Position::Pending => {
                let (state, block) = Box::pin(self.pending_state()).await?;
                Ok((state, block.header.inner().clone()))
            }
            position => {
                let state = self.state_at(position)?;
                let header = self.header_of(&state)?;
                Ok((state, header))
            }
        }
    }

    /// The header of the block that `state` follows.
    fn header_of(&self, state: &StateView) -> Result<Header, CallError> {
        let (head, number) = (self.head(), state.snapshot().number());
        if head.number() == number {
            return Ok(head.header.inner().clone());
        }
        let header = state.snapshot().header(number)?.ok_or(Failure::Missing { number })?;
        Ok(header.into_inner())
    }
}

impl Session {
    /// What calls see on `state` in a block like `header`.
    pub(crate) fn new(
        engine: &Engine,
        config: &NodeConfig,
        state: StateView,
        header: &Header,
    ) -> Self {
        let enforced = config.tx_gas_limit_enforced()
            && engine
                .spec()
                .fork(header.number, header.timestamp)
                .is_enabled_in(genesis::SpecId::OSAKA);
        let unlimited = config.disable_block_gas_limit;
        let usual = if unlimited { UNLIMITED_CALL_GAS } else { CALL_GAS_LIMIT };
        Self {
            engine: engine.clone(),
            state,
            block: block_env(engine, header),
            gas_max: config.call_gas_limit.unwrap_or(usual.max(header.gas_limit)),
            block_gas_limited: !unlimited,
            code_size_max: config.code_size_max(),
            memory_max: config.memory_limit,
            tx_gas_max: enforced.then_some(alloy_eips::eip7825::MAX_TX_GAS_LIMIT_OSAKA),
        }
    }

    /// Makes the execution of `call` with its overrides, and its transaction.
    pub(crate) fn prepare(
        mut self,
        call: &Call,
        overrides: &Overrides,
    ) -> Result<(Execution<StateView>, TxEnv), CallError> {
        self.override_block(overrides);
        let tx = self.tx_env(call)?;
        // geth: a call without a price sees no base fee, one with a price must reach it.
        let rules = Rules {
            check_base_fee: tx.gas_price > 0,
            code_size_max: self.code_size_max,
            memory_max: self.memory_max,
            ..Rules::call()
        };
        if let Some(blobs) = self.block.blob_excess_gas_and_price.as_mut()
            && !tx.blob_hashes.is_empty()
            && tx.max_fee_per_blob_gas == 0
        {
            // Nor does one that offers nothing for its blobs pay for them.
            blobs.blob_gasprice = 0;
        }
        let mut execution = Execution::new(&self.engine, self.block, rules, self.state);
        override_state(&mut execution, &overrides.state)?;
        // Nobody checks a call's nonce, so it is always the right one; revm takes none above.
        let account = execution.state().basic(tx.caller).map_err(vm_error)?;
        let nonce = account.map_or(0, |account| account.nonce.min(u64::MAX - 1));
        Ok((execution, TxEnv { nonce, ..tx }))
    }

    fn override_block(&mut self, overrides: &Overrides) {
        let (block, changed) = (&mut self.block, &overrides.block);
        let set = |field: &mut U256, value: Option<U256>| {
            if let Some(value) = value {
                *field = value;
            }
        };
        set(&mut block.number, changed.number);
        set(&mut block.difficulty, changed.difficulty);
        set(&mut block.timestamp, changed.time.map(U256::from));
        block.gas_limit = changed.gas_limit.unwrap_or(block.gas_limit);
        block.beneficiary = changed.coinbase.unwrap_or(block.beneficiary);
        block.prevrandao = changed.random.or(block.prevrandao);
        block.basefee = changed.base_fee.map_or(block.basefee, |fee| fee.saturating_to());
        if let Some(fee) = changed.blob_base_fee {
            let excess_blob_gas =
                block.blob_excess_gas_and_price.map_or(0, |blobs| blobs.excess_blob_gas);
            let blob_gasprice = fee.saturating_to();
            block.blob_excess_gas_and_price =
                Some(BlobExcessGasAndPrice { excess_blob_gas, blob_gasprice });
        }
        self.state.set_block_hashes(changed.block_hash.clone());
    }

    fn tx_env(&self, call: &Call) -> Result<TxEnv, CallError> {
        let capped = call.max_fee_per_gas.is_some() || call.max_priority_fee_per_gas.is_some();
        if capped && call.gas_price.is_some() {
            return Err(CallError::MixedFees);
        }
        let chain_id = self.engine.chain_id();
        if let Some(have) = call.chain_id.filter(|id| *id != chain_id) {
            return Err(CallError::OtherChain { have, want: chain_id });
        }
        let authorizations = !call.authorization_list.is_empty();
        let blobs = !call.blob_versioned_hashes.is_empty();
        let tx_type = match (authorizations, blobs, capped, call.access_list.is_some()) {
            (true, ..) => 4,
            (false, true, ..) => 3,
            (false, false, true, _) => 2,
            (false, false, false, true) => 1,
            (false, false, false, false) => 0,
        };
        let dynamic = tx_type >= 2;
        Ok(TxEnv {
            tx_type,
            caller: call.from.unwrap_or(Address::ZERO),
            gas_limit: call.gas.unwrap_or(self.gas_max).min(self.gas_max),
            gas_price: call.max_fee_per_gas.or(call.gas_price).unwrap_or_default(),
            kind: call.kind(),
            value: call.value,
            data: call.input.clone(),
            chain_id: Some(chain_id),
            access_list: call.access_list.clone().unwrap_or_default(),
            gas_priority_fee: dynamic.then(|| call.max_priority_fee_per_gas.unwrap_or_default()),
            blob_hashes: call.blob_versioned_hashes.clone(),
            max_fee_per_blob_gas: call.max_fee_per_blob_gas.unwrap_or_default(),
            authorization_list: call.authorization_list.iter().cloned().map(Either::Left).collect(),
            ..TxEnv::default()
        })
    }
}

/// Changes the accounts that the caller wants changed, as geth does and in its order.
pub(crate) fn override_state<DB: DatabaseRef<Error = StoreError>>(
    execution: &mut Execution<DB>,
    accounts: &BTreeMap<Address, AccountOverride>,
) -> Result<(), CallError> {
    let mut moved_to = BTreeSet::new();
    for (address, account) in accounts {
        let address = *address;
        if moved_to.contains(&address) {
            return Err(CallError::PrecompileThere { address });
        }
        if let Some(to) = account.move_precompile_to {
            if !execution.is_precompile(address) {
                return Err(CallError::NoPrecompile { address });
            }
            if accounts.contains_key(&to) {
                return Err(CallError::Overridden { address: to });
            }
            execution.move_precompile(address, to);
            moved_to.insert(to);
        } else if execution.is_precompile(address) {
            execution.remove_precompile(address);
        }
        let storage = match (&account.state, &account.state_diff) {
            (Some(_), Some(_)) => return Err(CallError::MixedStorage { address }),
            (slots, diff) => slots.as_ref().or(diff.as_ref()),
        };
        let slots = storage.into_iter().flatten();
        execution.change(&AccountEdit {
            address,
            balance: account.balance,
            nonce: account.nonce,
            code: account.code.clone(),
            storage: slots.map(|(slot, value)| ((*slot).into(), (*value).into())).collect(),
            clear_storage: account.state.is_some(),
        })?;
    }
    Ok(())
}

/// [`outcome`], with the instruction that a call halted at: only a look at each step tells which it
/// was.
fn named(
    execution: &mut Execution<StateView>,
    tx: &TxEnv,
    ran: Outcome,
) -> Result<CallOutcome, CallError> {
    let Some(reason) = halt::unnamed(&ran) else { return outcome(ran) };
    let mut logs = CallLogs::default();
    let gas_used = execution.inspect(tx, &mut logs)?.result.tx_gas_used();
    let reason = halt::text(&reason, logs.last(), tx.kind.is_create());
    Err(CallError::Halt { reason, trap: None, gas_used })
}

/// What a call gave, or why it gave nothing.
pub(crate) fn outcome(outcome: Outcome) -> Result<CallOutcome, CallError> {
    let gas_used = outcome.result.tx_gas_used();
    match outcome.result {
        ExecutionResult::Success { logs, output, .. } => {
            let created = output.address().copied();
            Ok(CallOutcome { output: output.into_data(), gas_used, logs, created })
        }
        ExecutionResult::Revert { output, .. } => Err(CallError::Revert { output, gas_used }),
        ExecutionResult::Halt { reason, .. } => {
            let reason = halt::phrase(&reason);
            Err(CallError::Halt { reason, trap: outcome.trap, gas_used })
        }
    }
}

pub(crate) fn vm_error(
    error: revm::database_interface::bal::EvmDatabaseError<StoreError>,
) -> CallError {
    use revm::database_interface::bal::EvmDatabaseError;
    match error {
        EvmDatabaseError::Database(error) => error.into(),
        EvmDatabaseError::Bal(error) => {
            vm::EngineError::<StoreError>::Internal(error.to_string()).into()
        }
    }
}
