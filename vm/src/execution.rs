//! One block's transactions over a state.

use alloc::{boxed::Box, vec::Vec};

use alloy_primitives::{Address, Bytes, U256};
use genesis::SpecId;
use revm::{
    Database, DatabaseCommit, DatabaseRef, Inspector,
    bytecode::Bytecode,
    context::{BlockEnv, ContextTr, Evm, FrameStack, JournalTr, TxEnv},
    context_interface::{
        block::BlobExcessGasAndPrice,
        result::{EVMError, ExecutionResult, InvalidTransaction},
    },
    database::{BundleState, states::bundle_state::BundleRetention},
    database_interface::bal::EvmDatabaseError,
    handler::{Handler, SystemCallTx},
    inspector::{InspectorHandler, NoOpInspector},
    interpreter::interpreter::EthInterpreter,
    primitives::AddressMap,
    state::{Account, EvmState, EvmStorageSlot, TransactionId},
};

use crate::{
    Context, Engine, EngineError, Print, Rules, State, TrapReport, create,
    error::Refusal,
    machines::{Frames, Host, Stack},
    precompiles::Precompiles,
    source::Source,
    stop::{self, Watchdog},
    transition::{RunResult, Transition},
    watch::{Plain, Watch},
};

/// One block's environment over a state; what is committed accumulates in it.
///
/// It is not `Send`: make it, use it and drop it on one thread.
pub struct Execution<DB: DatabaseRef> {
    engine: Engine,
    rules: Rules,
    fork: SpecId,
    /// In a box, for it is large and an execution is handed on.
    stack: Box<Stack<DB>>,
}

/// What a transaction or call did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Success, revert or halt, with gas, logs and output.
    pub result: ExecutionResult,
    /// The accounts touched; empty if they were committed.
    pub state: EvmState,
    /// The last trap of a RISC-V frame, at whatever depth, also if its caller went on.
    pub trap: Option<TrapReport>,
    /// What contracts printed, also in frames that were reverted.
    pub prints: Vec<Print>,
}

/// A change of one account from outside of any transaction: a state override or a dev edit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountEdit {
    /// The account.
    pub address: Address,
    /// Its new balance.
    pub balance: Option<U256>,
    /// Its new nonce.
    pub nonce: Option<u64>,
    /// Its new code: EVM code, a delegation (EIP-7702), a RISC-V container, or none.
    pub code: Option<Bytes>,
    /// Slots and their new values.
    pub storage: Vec<(U256, U256)>,
    /// Slots that `storage` does not name become zero.
    pub clear_storage: bool,
}

impl<DB: DatabaseRef> Execution<DB> {
    /// Starts a block with the environment `block` on the state `db`.
    pub fn new(engine: &Engine, block: BlockEnv, rules: Rules, db: DB) -> Self {
        let spec = engine.spec();
        let (number, time) = (block.number.saturating_to(), block.timestamp.saturating_to());
        let fork = spec.fork(number, time);
        let mut cfg = rules.config(engine.chain_id(), fork);
        create::raise_init_code_limit(&mut cfg, &spec.riscv);
        if let Some(blobs) = spec.blob_params(time) {
            cfg.max_blobs_per_tx = Some(blobs.max_blobs_per_tx);
            cfg.blob_base_fee_update_fraction = u64::try_from(blobs.update_fraction).ok();
        }
        let mut instructions = create::instructions(fork);
        if spec.has_net_metering(number) {
            create::meter_net(&mut cfg, &mut instructions);
        }
        let source = Source { db, engine: engine.clone(), watchdog: Watchdog::default() };
        let state =
            revm::database::State::builder().with_database(source).with_bundle_update().build();
        let mut context = Context::new(state, fork).with_cfg(cfg);
        context.block = block;
        let precompiles = Precompiles::new(fork, engine.signers());
        // Frames are made as they are needed: most runs have one, and each has 36 KiB of its own.
        let frame_stack = FrameStack::new();
        let (ctx, instruction, inspector) = (context, instructions, ());
        let evm = Evm { ctx, inspector, instruction, precompiles, frame_stack };
        let stack = Box::new(Stack::new(evm, engine.clone(), fork));
        Self { engine: engine.clone(), rules, fork, stack }
    }

    /// The fork that this block follows.
    pub const fn fork(&self) -> SpecId {
        self.fork
    }

    /// The engine that runs it.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The block's environment.
    pub const fn block(&self) -> &BlockEnv {
        &self.stack.evm.ctx.block
    }

    /// The state with everything committed so far.
    pub const fn state(&mut self) -> &mut State<DB> {
        &mut self.stack.evm.ctx.journaled_state.database
    }

    /// Ends what runs from now on with [`EngineError::Stopped`] soon after `is_over` says so: within
    /// milliseconds, or when a single long instruction or precompile ends.
    pub fn stop_when(&mut self, is_over: impl Fn() -> bool + 'static) {
        self.state().database.watchdog = Watchdog::new(is_over);
        stop::watch(&mut self.stack.evm.instruction, self.fork);
    }

    /// Calls a system contract as the protocol does at a block's edges, and commits.
    pub fn system_call(
        &mut self,
        to: Address,
        data: Bytes,
    ) -> Result<ExecutionResult, EngineError<DB::Error>> {
        let tx = TxEnv::new_system_tx(to, data);
        let result =
            self.run(&tx, |frames| Transition::<DB, NoOpInspector>::new().run_system_call(frames));
        let (result, state) = self.finish(result, &tx)?;
        self.state().commit(state);
        Ok(result)
    }

    /// Runs a transaction and commits its changes; [`Outcome::state`] is left empty.
    pub fn transact(&mut self, tx: &TxEnv) -> Result<Outcome, EngineError<DB::Error>> {
        let outcome = self.call(tx)?;
        Ok(self.commit(outcome))
    }

    /// Runs a transaction and commits nothing.
    pub fn call(&mut self, tx: &TxEnv) -> Result<Outcome, EngineError<DB::Error>> {
        let result = self.run(tx, |frames| Transition::<DB, NoOpInspector>::new().run(frames));
        self.outcome(result, tx)
    }

    /// Runs a transaction under the eyes of a revm inspector and commits nothing.
    ///
    /// In RISC-V frames it sees every system call as the opcode of the same number.
    pub fn inspect<I>(
        &mut self,
        tx: &TxEnv,
        inspector: &mut I,
    ) -> Result<Outcome, EngineError<DB::Error>>
    where
        I: Inspector<Context<DB>, EthInterpreter>,
    {
        self.watch(tx, &mut Plain(inspector))
    }

    /// Runs a transaction under the eyes of `watch` and commits nothing.
    pub fn watch<W: Watch<Context<DB>>>(
        &mut self,
        tx: &TxEnv,
        watch: &mut W,
    ) -> Result<Outcome, EngineError<DB::Error>> {
        let result = self.run_watched(tx, watch, |frames| Transition::new().inspect_run(frames));
        self.outcome(result, tx)
    }

    /// Commits what a call or inspection left in [`Outcome::state`], and empties it.
    pub fn commit(&mut self, mut outcome: Outcome) -> Outcome {
        self.state().commit(core::mem::take(&mut outcome.state));
        outcome
    }

    /// Changes an account from outside of any transaction, and commits.
    pub fn change(&mut self, edit: &AccountEdit) -> Result<(), EngineError<DB::Error>> {
        let current = self.state().basic(edit.address).map_err(read_error)?;
        let mut account = match current {
            Some(info) => Account::from(info),
            None => Account::new_not_existing(TransactionId::ZERO),
        };
        if edit.clear_storage {
            // Two steps, so that the change set says that all older slots are gone.
            self.commit_one(edit.address, account.clone().with_selfdestruct_mark());
            account = account.with_created_mark();
        }
        if let Some(balance) = edit.balance {
            account.info.balance = balance;
        }
        if let Some(nonce) = edit.nonce {
            account.info.nonce = nonce;
        }
        if let Some(code) = &edit.code {
            let code = Bytecode::new_raw_checked(code.clone())
                .unwrap_or_else(|_| Bytecode::new_legacy(code.clone()));
            account.info.set_code(code);
        }
        for (slot, value) in &edit.storage {
            let present = self.state().storage(edit.address, *slot).map_err(read_error)?;
            account
                .storage
                .insert(*slot, EvmStorageSlot::new_changed(present, *value, TransactionId::ZERO));
        }
        self.commit_one(edit.address, account);
        Ok(())
    }

    /// Adds to balances from outside of any transaction (withdrawals, block rewards), and commits.
    pub fn add_balances(
        &mut self,
        amounts: impl IntoIterator<Item = (Address, U256)>,
    ) -> Result<(), EngineError<DB::Error>> {
        for (address, amount) in amounts {
            let info = self.state().basic(address).map_err(read_error)?;
            let balance = info.unwrap_or_default().balance.saturating_add(amount);
            let edit = AccountEdit { address, balance: Some(balance), ..AccountEdit::default() };
            self.change(&edit)?;
        }
        Ok(())
    }

    /// Moves the whole balance of an account from outside of any transaction (the DAO fork), and
    /// commits.
    pub fn move_balance(
        &mut self,
        from: Address,
        to: Address,
    ) -> Result<(), EngineError<DB::Error>> {
        let info = self.state().basic(from).map_err(read_error)?;
        self.add_balances([(to, info.unwrap_or_default().balance)])?;
        let balance = Some(U256::ZERO);
        self.change(&AccountEdit { address: from, balance, ..AccountEdit::default() })
    }

    /// Makes the precompile that answers at `from` answer at `to`; false if there is none.
    pub fn move_precompile(&mut self, from: Address, to: Address) -> bool {
        self.stack.evm.precompiles.shift(from, to)
    }

    /// Whether a precompile answers at `address`.
    pub fn is_precompile(&self, address: Address) -> bool {
        self.stack.evm.precompiles.contains(address)
    }

    /// Lets no precompile answer at `address` any more.
    pub fn remove_precompile(&mut self, address: Address) {
        self.stack.evm.precompiles.remove(address);
    }

    /// Sets the blob base fee, whatever the block's excess blob gas.
    pub fn set_blob_base_fee(&mut self, wei: u128) {
        let blobs = &mut self.stack.evm.ctx.block.blob_excess_gas_and_price;
        let excess_blob_gas = blobs.map_or(0, |blobs| blobs.excess_blob_gas);
        *blobs = Some(BlobExcessGasAndPrice { excess_blob_gas, blob_gasprice: wei });
    }

    /// Everything committed, as one change of the state.
    pub fn into_changes(self) -> BundleState {
        self.into_parts().0
    }

    /// Everything committed, as one change of the state, and the state below.
    pub fn into_parts(mut self) -> (BundleState, DB) {
        let changes = self.take_changes();
        (changes, self.stack.evm.ctx.journaled_state.database.database.db)
    }

    /// Takes what was committed since this was last asked, as one change of the state.
    pub fn take_changes(&mut self) -> BundleState {
        let state = self.state();
        state.merge_transitions(BundleRetention::PlainState);
        state.take_bundle()
    }

    fn commit_one(&mut self, address: Address, account: Account) {
        let account = account.with_touched_mark();
        self.state().commit(AddressMap::from_iter([(address, account)]));
    }

    fn run(
        &mut self,
        tx: &TxEnv,
        run: impl FnOnce(&mut Frames<'_, DB, NoOpInspector>) -> RunResult<DB>,
    ) -> RunResult<DB> {
        self.run_watched(tx, &mut NoOpInspector, run)
    }

    fn run_watched<W>(
        &mut self,
        tx: &TxEnv,
        watch: &mut W,
        run: impl FnOnce(&mut Frames<'_, DB, W>) -> RunResult<DB>,
    ) -> RunResult<DB> {
        self.stack.reset();
        self.stack.evm.ctx.tx = tx.clone();
        let base_fee = self.stack.evm.ctx.block.basefee;
        if self.rules.lower_base_fee && tx.gas_price == 0 {
            self.stack.evm.ctx.block.basefee = 0;
        }
        let result = run(&mut Frames { stack: &mut self.stack, watch });
        self.stack.evm.ctx.block.basefee = base_fee;
        result
    }

    /// The traps of the last run, each with its frame's number in the order of beginning.
    pub fn traps(&self) -> &[(usize, TrapReport)] {
        &self.stack.host.traps
    }

    fn outcome(
        &mut self,
        result: RunResult<DB>,
        tx: &TxEnv,
    ) -> Result<Outcome, EngineError<DB::Error>> {
        let (result, state) = self.finish(result, tx)?;
        let Host { prints, traps, .. } = &mut self.stack.host;
        let prints = core::mem::take(prints);
        let trap = traps.last().map(|(_, trap)| trap.clone());
        Ok(Outcome { result, state, trap, prints })
    }

    fn explain(&mut self, reason: InvalidTransaction, tx: &TxEnv) -> EngineError<DB::Error> {
        let sender_code_size = match self.sender_code_size(tx.caller) {
            Ok(size) => size,
            Err(error) => return read_error(error),
        };
        let Context { block, cfg, .. } = &self.stack.evm.ctx;
        EngineError::Invalid(Refusal { tx, block, cfg, sender_code_size }.explain(reason))
    }

    fn sender_code_size(&mut self, sender: Address) -> Result<usize, StateError<DB>> {
        let Some(info) = self.state().basic(sender)? else { return Ok(0) };
        // A delegation comes with its account: nobody finds it by its hash.
        Ok(info.code.map_or_else(|| self.state().code_by_hash(info.code_hash), Ok)?.len())
    }

    /// Takes the touched state out of the journal, whatever the result.
    fn finish(
        &mut self,
        result: RunResult<DB>,
        tx: &TxEnv,
    ) -> Result<(ExecutionResult, EvmState), EngineError<DB::Error>> {
        let state = self.stack.evm.ctx.journal_mut().finalize();
        match result {
            Ok(result) => Ok((result, state)),
            Err(EVMError::Transaction(invalid)) => Err(self.explain(invalid, tx)),
            Err(EVMError::Header(invalid)) => Err(EngineError::Header(invalid)),
            Err(EVMError::Database(error)) => Err(read_error(error)),
            Err(_) if self.state().database.watchdog.has_stopped() => Err(EngineError::Stopped),
            Err(error) => Err(EngineError::Internal(alloc::format!("{error}"))),
        }
    }
}

type StateError<DB> = EvmDatabaseError<<DB as DatabaseRef>::Error>;

fn read_error<E: revm::database_interface::DBErrorMarker>(
    error: EvmDatabaseError<E>,
) -> EngineError<E> {
    match error {
        EvmDatabaseError::Database(error) => EngineError::Database(error),
        EvmDatabaseError::Bal(error) => EngineError::Internal(alloc::format!("{error}")),
    }
}
