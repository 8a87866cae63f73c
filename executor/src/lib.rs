//! Block execution: a header and transactions in, receipts and state changes out.
//!
//! Start with [`BlockExecution`]. It serves the sequencer, pending blocks and replays alike, and
//! does nothing but compute: no clock, no store, no lock, and no standard library.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod header;
mod proof_of_work;
mod requests;
mod stateless;
mod transaction;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use alloy_consensus::{Eip658Value, Header, Receipt, Transaction, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip4895::Withdrawals;
use alloy_eips::eip7928::BlockAccessList;
use alloy_eips::{eip2935, eip4788, eip7928};
use alloy_primitives::{Address, B256, Bytes, U256};
use genesis::{DAO_REFUND, SpecId, TxReceipt};
use revm::DatabaseRef;
use revm::Inspector;
use revm::context::{BlockEnv, TxEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::context_interface::result::ExecutionResult;
use revm::database::BundleState;
use revm::database::states::{TransitionState, bundle_state::BundleRetention};
use revm::database_interface::bal::BalState;
use revm::interpreter::interpreter::EthInterpreter;
use revm::state::bal::BlockAccessIndex;
use vm::{Context, Engine, EngineError, Execution, Outcome, Print, Rules, TrapReport, TxError};

pub use header::{NextBlock, gas_limits, next_base_fee, next_excess_blob_gas};
pub use proof_of_work::{OMMER_DEPTH_MAX, rewards};
pub use stateless::{ReadError, Stateless, StatelessError, Witness};
pub use transaction::{impersonated_sender, impersonated_signature, tx_env, without_sidecar};

/// Most bytes of a block's RLP encoding (EIP-7934).
const BLOCK_SIZE_MAX: usize = 10_485_760 - 2_097_152;
/// The largest balance that the state tree holds (EIP-8297).
pub const BALANCE_MAX: U256 = U256::from_limbs([u64::MAX, u64::MAX, 0, 0]);
/// Room for the header and the list prefixes within them.
const BLOCK_SIZE_RESERVE: usize = 2_048;

/// A block being executed, transaction by transaction.
pub struct BlockExecution<DB: DatabaseRef> {
    execution: Execution<DB>,
    engine: Engine,
    header: Header,
    fork: SpecId,
    blob_gas_max: u64,
    unlimited: bool,
    size: usize,
    regular_gas: u64,
    state_gas: u64,
    ommers: Vec<Header>,
    /// The state's root so far, where receipts hold it.
    roots: Option<Roots>,
    body: Body,
}

/// What keeps up the state root of a block: it is given the changes of one transaction after the
/// other, and says the root after them.
pub struct Roots(pub Box<dyn FnMut(&TransitionState) -> B256>);

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Roots").finish()
    }
}

/// What a block's transactions are and gave.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// The transactions, without blobs.
    pub transactions: Vec<TxEnvelope>,
    /// Their senders.
    pub senders: Vec<Address>,
    /// Their receipts.
    pub receipts: Vec<TxReceipt>,
    /// Withdrawals, from Shanghai on.
    pub withdrawals: Option<Withdrawals>,
    /// Requests to the consensus layer, from Prague on.
    pub requests: Vec<Bytes>,
}

/// What a transaction did besides its receipt.
#[derive(Debug)]
pub struct Pushed {
    /// What its contracts printed.
    pub prints: Vec<Print>,
    /// Why a RISC-V frame of it trapped, if one did.
    pub trap: Option<TrapReport>,
    /// Gas used.
    pub gas_used: u64,
    /// Whether it succeeded.
    pub success: bool,
}

/// An executed block whose state root is not known yet.
#[derive(Debug)]
pub struct Executed {
    /// The header, complete but for the state root.
    pub header: Header,
    /// Transactions and receipts.
    pub body: Body,
    /// What changed in the state.
    pub changes: BundleState,
}

/// Why a transaction is not in the block.
#[derive(Debug, thiserror::Error)]
pub enum PushError<E> {
    /// The block has no room for it.
    #[error("the block has no room for the transaction")]
    Full,
    /// It cannot run on this state.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The engine failed.
    #[error(transparent)]
    Engine(EngineError<E>),
}

/// Why a transaction cannot run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not valid on this state.
    #[error(transparent)]
    Invalid(#[from] TxError),
    /// It would leave an account with more than the state tree can hold (EIP-8297).
    #[error("balance {balance} of {address} does not fit the 128 bits that a balance has")]
    Balance {
        /// The account.
        address: Address,
        /// What it would have.
        balance: U256,
    },
}

/// Why a block could not be executed.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError<E> {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError<E>),
    /// A system contract failed, which makes the block invalid.
    #[error("system call to {address} failed")]
    SystemCall {
        /// The contract.
        address: Address,
    },
    /// A log of the deposit contract is not a deposit.
    #[error("deposit log of {size} bytes is malformed")]
    Deposit {
        /// Size of the log's data.
        size: usize,
    },
}

/// The state tree has 16 bytes for a balance.
fn check_balances(outcome: &Outcome) -> Result<(), Refusal> {
    let too_large = outcome.state.iter().find(|(_, account)| account.info.balance > BALANCE_MAX);
    match too_large {
        Some((address, account)) => {
            Err(Refusal::Balance { address: *address, balance: account.info.balance })
        }
        None => Ok(()),
    }
}

/// The environment of the block with this header.
pub fn block_env(engine: &Engine, header: &Header) -> BlockEnv {
    let fork = engine.spec().fork(header.number, header.timestamp);
    let blobs = engine.spec().blob_params(header.timestamp);
    let merged = fork.is_enabled_in(SpecId::MERGE);
    let excess = header.excess_blob_gas.or(blobs.is_some().then_some(0));
    BlockEnv {
        number: U256::from(header.number),
        beneficiary: header.beneficiary,
        timestamp: U256::from(header.timestamp),
        gas_limit: header.gas_limit,
        basefee: header.base_fee_per_gas.unwrap_or_default(),
        difficulty: header.difficulty,
        prevrandao: merged.then_some(header.mix_hash),
        blob_excess_gas_and_price: excess.zip(blobs).map(|(excess_blob_gas, blobs)| {
            let blob_gasprice = blobs.calc_blob_fee(excess_blob_gas);
            BlobExcessGasAndPrice { excess_blob_gas, blob_gasprice }
        }),
        slot_num: header.slot_number.unwrap_or_default(),
    }
}

impl<DB: DatabaseRef> BlockExecution<DB>
where
    DB::Error: core::error::Error + Send + Sync + 'static,
{
    /// Opens the block `header` on the state `db`, and makes the system calls that come first.
    pub fn begin(
        engine: &Engine,
        header: Header,
        rules: Rules,
        db: DB,
    ) -> Result<Self, ExecutorError<DB::Error>> {
        let mut block = Self::new(engine, header, rules, db);
        block.open()?;
        Ok(block)
    }

    /// Makes the block `header` on the state `db`; [`Self::open`] is to come next.
    pub fn new(engine: &Engine, header: Header, rules: Rules, db: DB) -> Self {
        let spec = engine.spec();
        let fork = spec.fork(header.number, header.timestamp);
        let blobs = spec.blob_params(header.timestamp);
        let unlimited = !rules.check_block_gas_limit;
        let execution = Execution::new(engine, block_env(engine, &header), rules, db);
        let withdrawals = fork.is_enabled_in(SpecId::SHANGHAI).then(Withdrawals::default);
        Self {
            execution,
            engine: engine.clone(),
            header,
            fork,
            blob_gas_max: blobs.map_or(0, |blobs| blobs.max_blob_gas_per_block()),
            unlimited,
            size: BLOCK_SIZE_RESERVE,
            regular_gas: 0,
            state_gas: 0,
            ommers: Vec::new(),
            roots: None,
            body: Body { withdrawals, ..Body::default() },
        }
    }

    /// Gives the block what it has besides transactions.
    pub fn set_rest(&mut self, ommers: Vec<Header>, withdrawals: Option<Withdrawals>) {
        self.ommers = ommers;
        self.body.withdrawals = withdrawals;
    }

    /// Has receipts hold the state root after their transaction, if they do so in this block:
    /// before Byzantium, where headers are as other clients make them.
    pub fn keep_roots(&mut self, roots: Option<Roots>) {
        self.roots = roots.filter(|_| !self.fork.is_enabled_in(SpecId::BYZANTIUM));
    }

    /// Makes the system calls that come first.
    pub fn open(&mut self) -> Result<(), ExecutorError<DB::Error>> {
        if self.fork.is_enabled_in(SpecId::AMSTERDAM) {
            // EIP-7928: index 0 is what comes before the first transaction.
            self.execution.state().bal_state = BalState::new().with_bal_builder();
        }
        // The DAO fork's irregular change of the state, in its block.
        for address in self.engine.spec().dao_accounts(self.header.number) {
            self.execution.move_balance(address, DAO_REFUND)?;
        }
        if let Some(root) = self.header.parent_beacon_block_root {
            self.system_call(eip4788::BEACON_ROOTS_ADDRESS, root)?;
        }
        if self.fork.is_enabled_in(SpecId::PRAGUE) {
            self.system_call(eip2935::HISTORY_STORAGE_ADDRESS, self.header.parent_hash)?;
        }
        Ok(())
    }

    fn system_call(&mut self, to: Address, word: B256) -> Result<(), ExecutorError<DB::Error>> {
        // Both EIPs: without code at the address, or if the call fails, nothing happens.
        self.execution.system_call(to, Bytes::copy_from_slice(word.as_slice()))?;
        Ok(())
    }

    /// Runs the next transaction of the block.
    pub fn push(
        &mut self,
        transaction: TxEnvelope,
        sender: Address,
    ) -> Result<Pushed, PushError<DB::Error>> {
        let transaction = without_sidecar(transaction);
        let size = transaction.encode_2718_len() + 8;
        self.check_room(&transaction, size)?;
        self.execution.state().bal_state.bal_index = self.access_index();
        let outcome = match self.execution.call(&tx_env(&transaction, sender)) {
            Ok(outcome) => outcome,
            Err(EngineError::Invalid(error)) => return Err(Refusal::Invalid(error).into()),
            Err(error) => return Err(PushError::Engine(error)),
        };
        check_balances(&outcome)?;
        let gas_used = outcome.result.tx_gas_used();
        let success = outcome.result.is_success();
        let outcome = self.include(transaction, sender, outcome);
        Ok(Pushed { prints: outcome.prints, trap: outcome.trap, gas_used, success })
    }

    /// Runs a transaction as `tx` under the eyes of a revm inspector, whether or not the block has
    /// room for it.
    pub fn inspect<I>(
        &mut self,
        (transaction, sender): (TxEnvelope, Address),
        tx: &TxEnv,
        inspector: &mut I,
    ) -> Result<Outcome, EngineError<DB::Error>>
    where
        I: Inspector<Context<DB>, EthInterpreter>,
    {
        self.execution.state().bal_state.bal_index = self.access_index();
        let outcome = self.execution.inspect(tx, inspector)?;
        Ok(self.include(transaction, sender, outcome))
    }

    /// Commits what a transaction did, and writes its receipt, which takes the logs.
    fn include(&mut self, transaction: TxEnvelope, sender: Address, outcome: Outcome) -> Outcome {
        let mut outcome = self.execution.commit(outcome);
        let gas = *outcome.result.gas();
        self.regular_gas += gas.block_regular_gas_used();
        self.state_gas += gas.block_state_gas_used();
        self.size += transaction.encode_2718_len() + 8;
        let used = self.body.receipts.last().map_or(0, |last| last.receipt.cumulative_gas_used);
        let blob_gas = transaction.blob_gas_used().unwrap_or_default();
        if let Some(total) = &mut self.header.blob_gas_used {
            *total += blob_gas;
        }
        let success = outcome.result.is_success();
        let logs = match &mut outcome.result {
            ExecutionResult::Success { logs, .. } => core::mem::take(logs),
            ExecutionResult::Revert { .. } | ExecutionResult::Halt { .. } => Vec::new(),
        };
        let cumulative_gas_used = used + gas.tx_gas_used();
        let status = self.receipt_status(success);
        let receipt = Receipt { status, cumulative_gas_used, logs };
        self.body.receipts.push(TxReceipt { tx_type: transaction.tx_type(), receipt });
        self.body.transactions.push(transaction);
        self.body.senders.push(sender);
        outcome
    }

    /// The state root after the transaction just committed, or whether it succeeded (EIP-658).
    fn receipt_status(&mut self, success: bool) -> Eip658Value {
        let Some(Roots(root_after)) = &mut self.roots else { return success.into() };
        let state = self.execution.state();
        let root =
            root_after(state.transition_state.as_ref().unwrap_or(&TransitionState::default()));
        state.merge_transitions(BundleRetention::PlainState);
        Eip658Value::PostState(root)
    }

    fn check_room(
        &self,
        transaction: &TxEnvelope,
        size: usize,
    ) -> Result<(), PushError<DB::Error>> {
        let gas_left = self.header.gas_limit.saturating_sub(self.gas_used());
        let blob_gas = transaction.blob_gas_used().unwrap_or_default();
        let blob_gas_left =
            self.blob_gas_max.saturating_sub(self.header.blob_gas_used.unwrap_or_default());
        let oversized = self.fork.is_enabled_in(SpecId::OSAKA) && self.size + size > BLOCK_SIZE_MAX;
        let full = (!self.unlimited && transaction.gas_limit() > gas_left)
            || blob_gas > blob_gas_left
            || oversized;
        // A transaction that would not even fit an empty block is invalid, and revm says why.
        if full && !self.body.transactions.is_empty() { Err(PushError::Full) } else { Ok(()) }
    }

    /// Where what happens next stands in the block access list (EIP-7928).
    fn access_index(&self) -> BlockAccessIndex {
        BlockAccessIndex::new(self.body.transactions.len() as u64 + 1)
    }

    /// Gas that the block's transactions used so far, as the header counts it.
    pub fn gas_used(&self) -> u64 {
        if self.fork.is_enabled_in(SpecId::AMSTERDAM) {
            self.regular_gas.max(self.state_gas)
        } else {
            self.body.receipts.last().map_or(0, |last| last.receipt.cumulative_gas_used)
        }
    }

    /// The execution, to trace or inspect on the state reached so far.
    pub fn execution(&mut self) -> &mut Execution<DB> {
        &mut self.execution
    }

    /// Pays withdrawals (EIP-4895) and the rewards of proof of work.
    fn pay(&mut self) -> Result<(), ExecutorError<DB::Error>> {
        let withdrawals = self.body.withdrawals.iter().flat_map(|withdrawals| withdrawals.iter());
        let mut amounts: Vec<_> = withdrawals
            .filter(|withdrawal| withdrawal.amount > 0)
            .map(|withdrawal| (withdrawal.address, withdrawal.amount_wei()))
            .collect();
        if self.engine.spec().is_ethereum() && !self.fork.is_enabled_in(SpecId::MERGE) {
            amounts.extend(proof_of_work::rewards(self.fork, &self.header, &self.ommers));
        }
        Ok(self.execution.add_balances(amounts)?)
    }

    /// Leaves the block as it is: what it has changed so far, and the state below.
    pub fn into_parts(self) -> (BundleState, DB) {
        self.execution.into_parts()
    }

    /// Pays what is to be paid, makes the system calls that come last, and completes the header but
    /// for the state root.
    pub fn finish(self) -> Result<Executed, ExecutorError<DB::Error>> {
        Ok(self.finish_with_accesses()?.0)
    }

    /// [`Self::finish`], with the block access list (EIP-7928) from Amsterdam on.
    pub fn finish_with_accesses(
        mut self,
    ) -> Result<(Executed, Option<BlockAccessList>), ExecutorError<DB::Error>> {
        self.execution.state().bal_state.bal_index = self.access_index();
        self.pay()?;
        if self.fork.is_enabled_in(SpecId::PRAGUE) {
            let deposits = self.engine.spec().deposit_contract();
            let requests = requests::collect(&mut self.execution, deposits, &self.body.receipts)?;
            self.header.requests_hash = Some(requests.requests_hash());
            self.body.requests = requests.take();
        }
        let accesses = self.execution.state().take_built_alloy_bal();
        if let Some(accesses) = &accesses {
            let hash = eip7928::compute_block_access_list_hash(accesses);
            self.header.block_access_list_hash = Some(hash);
        }
        self.header.gas_used = self.gas_used();
        header::complete(&mut self.header, &self.body, self.engine.spec().headers);
        let Self { header, body, execution, .. } = self;
        let executed = Executed { header, body, changes: execution.into_changes() };
        Ok((executed, accesses))
    }
}
