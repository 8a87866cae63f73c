//! One transaction from validation to result: revm's phases over [`Frames`], with init code limits
//! that differ between the two machines.

use core::marker::PhantomData;

use genesis::{SpecId, container::is_container};
use revm::{
    DatabaseRef,
    context::{Cfg, ContextTr},
    context_interface::{
        Transaction,
        result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction},
    },
    database_interface::bal::EvmDatabaseError,
    handler::{EvmTr, Handler, validation},
    inspector::InspectorHandler,
    interpreter::interpreter::EthInterpreter,
};

use crate::{machines::Frames, source::Context, watch::Watch};

/// revm's error over the caller's database.
pub(crate) type RunError<DB> = EVMError<EvmDatabaseError<<DB as DatabaseRef>::Error>>;

/// What a run of revm's phases gives.
pub(crate) type RunResult<DB> = Result<ExecutionResult, RunError<DB>>;

/// revm's transaction phases with the checks that RISC-V code changes.
pub(crate) struct Transition<'a, DB, W>(PhantomData<(&'a DB, W)>);

impl<DB, W> Transition<'_, DB, W> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'a, DB: DatabaseRef + 'a, W: Watch<Context<DB>> + 'a> Handler for Transition<'a, DB, W> {
    type Evm = Frames<'a, DB, W>;
    type Error = RunError<DB>;
    type HaltReason = HaltReason;

    fn validate_env(&self, evm: &mut Self::Evm) -> Result<(), Self::Error> {
        validation::validate_env::<_, Self::Error>(evm.ctx())?;
        let context = evm.ctx_ref();
        let (tx, cfg) = (context.tx(), context.cfg());
        if cfg.is_balance_check_disabled() {
            // revm relies on its balance check to refuse a cost of more than 256 bits.
            tx.max_balance_spending()?;
        }
        // The configuration's one limit is the larger one, see `create`: hold EVM code to its own.
        let code = tx.input();
        if tx.kind().is_create()
            && cfg.spec().is_enabled_in(SpecId::SHANGHAI)
            && !is_container(code)
            && code.len() > crate::create::evm_init_code_size_max(cfg)
        {
            return Err(InvalidTransaction::CreateInitCodeSizeLimit.into());
        }
        Ok(())
    }
}

impl<'a, DB: DatabaseRef + 'a, W: Watch<Context<DB>> + 'a> InspectorHandler
    for Transition<'a, DB, W>
{
    type IT = EthInterpreter;
}
