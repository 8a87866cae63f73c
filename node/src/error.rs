//! What can go wrong, by who is to blame: the caller's request, or the node itself.

use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, U256};
use storage::StoreError;
use vm::{EngineError, TrapReport, TxError};

use crate::accounts::AccountError;
use crate::clock::ClockError;
use crate::config::ConfigError;
use crate::pool::PoolError;
use executor::{ExecutorError, PushError, Refusal};

/// The node itself failed, or is not there any more.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// The node was stopped.
    #[error("the node is stopped")]
    Stopped,
    /// The store failed.
    #[error("store: {0}")]
    Store(#[from] std::sync::Arc<StoreError>),
    /// The engine failed.
    #[error("engine: {0}")]
    Engine(std::sync::Arc<EngineError<StoreError>>),
    /// A system contract of the chain does not do what its fork demands.
    #[error("block {number}: {source}")]
    Block {
        /// Number of the block that could not be sealed.
        number: u64,
        /// Why.
        source: std::sync::Arc<ExecutorError<StoreError>>,
    },
    /// State that a transaction needs could not be fetched from the forked chain; it waits.
    #[error("transaction {hash} waits, its state could not be fetched: {source}")]
    Unfetched {
        /// The transaction.
        hash: B256,
        /// Why.
        source: std::sync::Arc<StoreError>,
    },
    /// A block of the chain is not in the store.
    #[error("block {number} is missing in the store")]
    Missing {
        /// Its number.
        number: u64,
    },
    /// The blobs of a transaction can't be read back.
    #[error("the blobs of transaction {hash} in the store cannot be decoded")]
    BlobRow {
        /// Its hash.
        hash: B256,
    },
    /// A thread could not be made.
    #[error("{what}: {source}")]
    System {
        /// What it was for.
        what: &'static str,
        /// The system's answer.
        source: std::sync::Arc<std::io::Error>,
    },
    /// A worker thread of the node ended with a panic.
    #[error("a worker of the node failed")]
    Worker,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(std::sync::Arc::new(error))
    }
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings contradict each other.
    #[error("config: {0}")]
    Config(#[from] ConfigError),
    /// The dev accounts could not be made.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The store could not be opened.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// An image of the genesis state is not one that the engine runs.
    #[error("genesis: alloc.{address}.riscv: {source}")]
    Image {
        /// The account.
        address: Address,
        /// What is wrong with it.
        source: vm::riscv::ImageError,
    },
    /// A transaction of the forked chain can't be run again.
    #[error("forking: transaction {index} of block {number} can't be run again: {problem}")]
    Replay {
        /// Its block.
        number: u64,
        /// Its place.
        index: usize,
        /// Why not.
        problem: String,
    },
    /// The node failed at once.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// The store has no head.
    #[error("the store has no head block")]
    NoHead,
    /// A directory or thread could not be made.
    #[error("{what}: {source}")]
    System {
        /// What it was.
        what: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The withdrawals that waited at the last stop can't be read back.
    #[error("waiting withdrawals in the database cannot be decoded: {source}")]
    Withdrawals {
        /// Why.
        source: alloy_rlp::Error,
    },
}

/// Why a transaction was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The pool refused it.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// It could not run on the state of the next block.
    #[error(transparent)]
    Invalid(#[from] TxError),
    /// The state tree could not hold what it leads to.
    #[error(transparent)]
    Refused(Refusal),
    /// The block could be sealed without it, but not with it.
    #[error("no block can have the transaction: {0}")]
    Spoils(std::sync::Arc<ExecutorError<StoreError>>),
    /// Its signature is no signature.
    #[error("invalid sender")]
    Signature,
    /// It could not be signed.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The node failed.
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl From<Refusal> for SubmitError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(error) => Self::Invalid(error),
            refusal => Self::Refused(refusal),
        }
    }
}

/// Why a lookup has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueryError {
    /// There is no such block.
    #[error("block not found: {0}")]
    BlockNotFound(BlockId),
    /// There is no such transaction.
    #[error("transaction not found: {0}")]
    TransactionNotFound(B256),
    /// The state at that block can't be read any more.
    #[error("state of block {number} is not available")]
    StateNotAvailable {
        /// Number of the block.
        number: u64,
    },
    /// The pending block was asked for something that only sealed ones have.
    #[error("the pending block has no state root: ask for a sealed block")]
    Unsealed,
    /// The state root says nothing of what the chain has from another one.
    #[error("a forked chain has no proofs: its state root covers what was written here, no more")]
    Unprovable,
    /// A dev user has changed rules that the block was sealed under.
    #[error("block {number} comes out otherwise today: the node's rules have been changed since")]
    Replay {
        /// Number of the block.
        number: u64,
    },
    /// Headers have the root of another tree.
    #[error("another client made the header, which has no proofs of the binary tree")]
    OtherRoot,
    /// Too much was changed since a block for one request.
    #[error(
        "proof of block {number}: one request may go by {limit} changed leaves and got to block \
         {reached}; ask again to go on from there"
    )]
    FarBlock {
        /// The block asked for.
        number: u64,
        /// The block that was reached.
        reached: u64,
        /// Most changes to go by.
        limit: usize,
    },
    /// A range of blocks ends before it starts.
    #[error("invalid block range params: from {from} to {to}")]
    Range {
        /// First block.
        from: u64,
        /// Last block.
        to: u64,
    },
    /// More logs match than one answer may hold.
    #[error("query returned more than {max} results, see --logs-max")]
    TooManyLogs {
        /// Most logs in an answer.
        max: usize,
    },
    /// The range has more blocks than a query may look through.
    #[error("exceed maximum block range: {max}, the range has {blocks}, see --log-range-max")]
    WideRange {
        /// How many blocks the range has.
        blocks: u64,
        /// Most blocks of a query.
        max: u64,
    },
    /// A block after the head was asked for.
    #[error("request beyond head block: requested {number}, head {head}")]
    AfterHead {
        /// The block asked for.
        number: u64,
        /// The head.
        head: u64,
    },
    /// More percentiles than one request may have.
    #[error(
        "invalid reward percentile: over the query limit {}: {count} percentiles",
        crate::fee::PERCENTILES_MAX
    )]
    TooManyPercentiles {
        /// How many were asked for.
        count: usize,
    },
    /// Percentiles do not ascend.
    #[error("invalid reward percentile: #{}:{before} >= #{index}:{value}", index.saturating_sub(1))]
    PercentileOrder {
        /// Place of the one that is wrong.
        index: usize,
        /// The one before.
        before: f64,
        /// The one that is wrong.
        value: f64,
    },
    /// A percentile is out of range.
    #[error("invalid reward percentile: {value}")]
    Percentile {
        /// The one that is wrong.
        value: f64,
    },
    /// The node failed.
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl From<StoreError> for QueryError {
    fn from(error: StoreError) -> Self {
        Self::Failure(error.into())
    }
}

/// Why a call has no outcome.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// The contract reverted.
    #[error("execution reverted")]
    Revert {
        /// What it gave as its reason.
        output: Bytes,
        /// Gas used.
        gas_used: u64,
    },
    /// The call halted: all its gas is gone.
    #[error("{}", halt_text(reason, trap.as_ref()))]
    Halt {
        /// Why, in geth's words.
        reason: String,
        /// Why a RISC-V frame trapped, if that was it.
        trap: Option<TrapReport>,
        /// Gas used.
        gas_used: u64,
    },
    /// The call is not valid on that state.
    #[error(transparent)]
    Invalid(#[from] TxError),
    /// No gas limit up to the allowance is enough.
    #[error("gas required exceeds allowance ({allowance})")]
    GasAllowance {
        /// The most gas that the call could have had.
        allowance: u64,
    },
    /// Both a gas price and fee caps were given.
    #[error("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified")]
    MixedFees,
    /// An override gives both a whole storage and single slots.
    #[error("account {address} has both 'state' and 'stateDiff'")]
    MixedStorage {
        /// The account.
        address: Address,
    },
    /// An override moves what is no precompile.
    #[error("account {address} is not a precompile")]
    NoPrecompile {
        /// The account.
        address: Address,
    },
    /// An override changes an account to which another one moves a precompile.
    #[error("account {address} has already been overridden by a precompile")]
    PrecompileThere {
        /// The account.
        address: Address,
    },
    /// An override moves a precompile to an account that is overridden, too.
    #[error("account {address} is already overridden")]
    Overridden {
        /// The account.
        address: Address,
    },
    /// A hash is given for an account or slot that the state does not have.
    #[error("unknown preimage: no account or slot of the state has the hash {hash}")]
    UnknownPreimage {
        /// The hash.
        hash: B256,
    },
    /// The call is meant for another chain.
    #[error("chainId does not match node's (have={have}, want={want})")]
    OtherChain {
        /// The chain that it names.
        have: u64,
        /// The node's.
        want: u64,
    },
    /// The call was ended before its end; what ended it says why.
    #[error("execution aborted")]
    Stopped,
    /// The call took too long.
    #[error("execution aborted (timeout = {seconds}s), see --call-time-max")]
    TooLong {
        /// Most seconds that it may take.
        seconds: u64,
    },
    /// Other calls took so long that this one did not begin.
    #[error(
        "execution aborted: {running} other calls have run for {seconds}s, see --calls-max and \
         --call-time-max"
    )]
    Busy {
        /// How many calls run at a time.
        running: usize,
        /// Most seconds that a call waits and runs.
        seconds: u64,
    },
    /// A tracer was asked for that does not exist or was set up wrongly.
    #[error("{0}")]
    Tracer(std::sync::Arc<trace::TraceError<StoreError>>),
    /// A trace has hit a limit.
    #[error(transparent)]
    Limit(#[from] crate::trace::LimitError),
    /// The block to trace hangs in the air.
    #[error("parent {parent:#x} not found")]
    NoParent {
        /// Hash of the block before it.
        parent: B256,
    },
    /// The block can't be finished, as when a system contract that was overridden fails.
    #[error(transparent)]
    Executor(std::sync::Arc<ExecutorError<StoreError>>),
    /// No such block was refused.
    #[error("bad block {hash:#x} not found")]
    NoBadBlock {
        /// Its hash.
        hash: B256,
    },
    /// The block to trace has a transaction that nobody has signed.
    #[error("invalid sender of transaction {index}")]
    Sender {
        /// Its place in the block.
        index: usize,
    },
    /// A place in a block is behind its end.
    #[error("transaction index {index} out of range for block {hash:#x}")]
    TransactionIndex {
        /// The place.
        index: u64,
        /// The block.
        hash: B256,
    },
    /// The block or its state is not there.
    #[error(transparent)]
    Query(#[from] QueryError),
}

fn halt_text(reason: &str, trap: Option<&TrapReport>) -> String {
    match trap {
        // What the machine itself says has the program counter already.
        Some(trap) if trap.reason.contains(" at pc ") => format!("{reason}: {}", trap.reason),
        Some(trap) => format!("{reason}: {} at pc {:#x}", trap.reason, trap.pc),
        None => reason.to_owned(),
    }
}

impl From<Failure> for CallError {
    fn from(failure: Failure) -> Self {
        Self::Query(failure.into())
    }
}

impl From<StoreError> for CallError {
    fn from(error: StoreError) -> Self {
        Self::Query(error.into())
    }
}

impl From<EngineError<StoreError>> for CallError {
    fn from(error: EngineError<StoreError>) -> Self {
        match error {
            EngineError::Invalid(error) => Self::Invalid(error),
            EngineError::Database(error) => error.into(),
            EngineError::Stopped => Self::Stopped,
            other => Failure::Engine(std::sync::Arc::new(other)).into(),
        }
    }
}

impl From<ExecutorError<StoreError>> for CallError {
    fn from(error: ExecutorError<StoreError>) -> Self {
        match error {
            ExecutorError::Engine(error) => error.into(),
            other => Self::Executor(std::sync::Arc::new(other)),
        }
    }
}

impl From<PushError<StoreError>> for CallError {
    fn from(error: PushError<StoreError>) -> Self {
        match error {
            PushError::Refused(Refusal::Invalid(error)) => Self::Invalid(error),
            PushError::Engine(error) => error.into(),
            // Only a replay sees these, and what was sealed had room and could be kept.
            PushError::Full | PushError::Refused(_) => Failure::Worker.into(),
        }
    }
}

/// Why a dev request was refused.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// The time cannot be set so.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The state tree has 16 bytes for a balance (EIP-8297).
    #[error("balance {balance} of {address} does not fit the 128 bits that a balance has")]
    Balance {
        /// The account.
        address: Address,
        /// What it should get.
        balance: U256,
    },
    /// The code is neither EVM code nor a RISC-V container or image.
    #[error("code of {address}: {source}")]
    Code {
        /// The account.
        address: Address,
        /// What is wrong with it.
        source: genesis::ContainerError,
    },
    /// More blocks than one request may seal.
    #[error(
        "{blocks} blocks asked for, at most {max} can be sealed at once, see --seal-blocks-max"
    )]
    TooManyBlocks {
        /// Blocks asked for.
        blocks: u64,
        /// Most blocks.
        max: u64,
    },
    /// The chain is not that long.
    #[error(
        "{what} depth must not exceed current chain height: current height {head}{}, depth {depth}",
        if *first > 0 { format!(", first block {first}") } else { String::new() }
    )]
    Depth {
        /// What goes back: a reorg or a rollback.
        what: &'static str,
        /// Blocks to go back.
        depth: u64,
        /// Number of the head.
        head: u64,
        /// Number of the first block, on a fork the last common one.
        first: u64,
    },
    /// The head cannot be set to a block that does not exist.
    #[error("not allowed to rewind to a future block: block {number}, head {head}")]
    Future {
        /// The block asked for.
        number: u64,
        /// Number of the head.
        head: u64,
    },
    /// The fork has no withdrawals.
    #[error("withdrawals come with Shanghai: block {number} will not have any")]
    NoWithdrawals {
        /// The next block.
        number: u64,
    },
    /// As many withdrawals wait as may.
    #[error("{waiting} withdrawals wait already, and no more may")]
    TooManyWithdrawals {
        /// How many wait.
        waiting: usize,
    },
    /// No slot was found that a token answers from.
    #[error("Unable to set ERC20 {what}, no slot found")]
    NoTokenSlot {
        /// What was to be set.
        what: &'static str,
    },
    /// A transaction that must be in the block cannot be.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The chain cannot be forked.
    #[error(transparent)]
    Fork(Box<crate::fork::ForkError>),
    /// There is nothing to set a URL of.
    #[error("the chain is not forked")]
    NotForked,
    /// A dumped state cannot be read.
    #[error("state dump: {0}")]
    Dump(String),
    /// The node failed.
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl From<crate::fork::ForkError> for DevError {
    fn from(error: crate::fork::ForkError) -> Self {
        Self::Fork(Box::new(error))
    }
}

impl From<StoreError> for DevError {
    fn from(error: StoreError) -> Self {
        Self::Failure(error.into())
    }
}

impl From<EngineError<StoreError>> for DevError {
    fn from(error: EngineError<StoreError>) -> Self {
        match error {
            EngineError::Invalid(error) => Self::Submit(Refusal::Invalid(error).into()),
            EngineError::Database(error) => error.into(),
            other => Self::Failure(Failure::Engine(std::sync::Arc::new(other))),
        }
    }
}
