//! `eth_simulateV1`: blocks of calls on top of a block, with overrides, none of which is kept.
//!
//! Start with [`Chain::simulate`]. `plan` says which blocks there are and what their headers start
//! from, `block` runs one of them, `call` makes a transaction out of a call and checks it in geth's
//! order, `logs` collects what a call logs. The rules are geth's, for clients compare with it.

mod block;
mod call;
mod logs;
mod plan;

pub use call::{encode, unsigned};
pub(crate) use logs::{CallLogs, LastStep};

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_eips::BlockId;
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, B256, Bytes, Log};
use storage::ExecutedBlock;
use vm::TxError;

use crate::call::{AccountOverride, BlockOverrides, Call};
use crate::chain::Chain;
use crate::error::CallError;
use crate::gate::Deadline;

/// Most blocks of a simulation, counted from its base.
pub const BLOCKS_MAX: u64 = 256;
/// Most calls of a simulated block.
pub const BLOCK_CALLS_MAX: usize = 5_000;
/// Most calls of a simulation.
pub const CALLS_MAX: usize = 10_000;
/// Gas of all calls together where the node's settings say nothing.
const GAS_MAX: u64 = 50_000_000;

/// What to simulate.
#[derive(Clone, Debug, Default)]
pub struct Simulation {
    /// The blocks, in order.
    pub blocks: Vec<PlannedBlock>,
    /// Log transfers of ether as if they were an ERC-20 token's (ERC-7528).
    pub trace_transfers: bool,
    /// Check nonces, fees and balances as in a block.
    pub validation: bool,
}

/// A block as the caller wants it.
#[derive(Clone, Debug, Default)]
pub struct PlannedBlock {
    /// Fields of the block.
    pub overrides: BlockOverrides,
    /// Root of the beacon block before it.
    pub beacon_root: Option<B256>,
    /// Its withdrawals.
    pub withdrawals: Withdrawals,
    /// Accounts to change before it.
    pub state: BTreeMap<Address, AccountOverride>,
    /// Its calls.
    pub calls: Vec<Call>,
}

/// A block that was simulated.
#[derive(Clone, Debug)]
pub struct SimulatedBlock {
    /// The block. Its transactions are unsigned: their signatures are zeros.
    pub block: Arc<ExecutedBlock>,
    /// What each call gave.
    pub calls: Vec<SimulatedCall>,
}

/// What a simulated call gave.
#[derive(Clone, Debug, Default)]
pub struct SimulatedCall {
    /// What it returned, if it succeeded.
    pub output: Bytes,
    /// Its logs, transfers of ether among them, with their places in the block.
    pub logs: Vec<(Log, u64)>,
    /// Gas used.
    pub gas_used: u64,
    /// Most gas that it needed at any time, before refunds.
    pub gas_used_max: u64,
    /// Why it failed, if it did.
    pub failure: Option<CallFailure>,
}

/// Why a simulated call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallFailure {
    /// The contract reverted with this data.
    Revert(Bytes),
    /// The call halted.
    Halt(String),
}

/// Why there is no simulation.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SimulateError {
    /// Nothing was to be simulated.
    #[error("empty input")]
    Empty,
    /// More blocks than a simulation may have.
    #[error("too many blocks: at most {BLOCKS_MAX}, gaps included")]
    TooManyBlocks,
    /// More calls in a block than it may have.
    #[error("too many calls in block: {count} > {BLOCK_CALLS_MAX}")]
    TooManyBlockCalls {
        /// How many there are.
        count: usize,
    },
    /// More calls than a simulation may have.
    #[error("too many calls: {count} > {CALLS_MAX}")]
    TooManyCalls {
        /// How many there are, at least.
        count: usize,
    },
    /// A block's number is not larger than that of the one before.
    #[error("block numbers must be in order: {number} <= {previous}")]
    BlockNumber {
        /// Its number.
        number: u64,
        /// Number of the one before.
        previous: u64,
    },
    /// A block's timestamp is not later than that of the one before.
    #[error("block timestamps must be in order: {timestamp} <= {previous}")]
    Timestamp {
        /// Its timestamp.
        timestamp: u64,
        /// Timestamp of the one before.
        previous: u64,
    },
    /// A call asks for more gas than its block has left.
    #[error("block gas limit reached: remaining: {remaining}, required: {required}")]
    BlockGasLimit {
        /// What is left.
        remaining: u64,
        /// What it asks for.
        required: u64,
    },
    /// A call is not valid.
    #[error("err: {error} (supplied gas {gas})")]
    Invalid {
        /// Why.
        error: TxError,
        /// The gas it had.
        gas: u64,
    },
    /// The transaction of a call cannot be made.
    #[error("transaction of a call: {0}")]
    Transaction(&'static str),
    /// Anything that can go wrong with a call.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl Simulation {
    /// Refuses what is too large before anything is done.
    fn check_size(&self) -> Result<(), SimulateError> {
        if self.blocks.is_empty() {
            return Err(SimulateError::Empty);
        }
        if self.blocks.len() as u64 > BLOCKS_MAX {
            return Err(SimulateError::TooManyBlocks);
        }
        let mut total = 0;
        for block in &self.blocks {
            let count = block.calls.len();
            if count > BLOCK_CALLS_MAX {
                return Err(SimulateError::TooManyBlockCalls { count });
            }
            total += count;
            if total > CALLS_MAX {
                return Err(SimulateError::TooManyCalls { count: total });
            }
        }
        Ok(())
    }
}

impl Chain {
    /// Runs blocks of calls on top of the block at `id`, and forgets them.
    pub async fn simulate(
        &self,
        simulation: Simulation,
        id: BlockId,
    ) -> Result<Vec<SimulatedBlock>, SimulateError> {
        simulation.check_size()?;
        let trial = self.trial(id).await.map_err(CallError::from)?;
        let engine = self.engine().clone();
        let (gas, code_size_max) =
            (self.config().call_gas_limit.unwrap_or(GAS_MAX), self.config().code_size_max());
        self.execute(move |deadline| {
            let limits = Limits { gas, code_size_max, deadline };
            let run = || {
                let plan = plan::Plan::new(&simulation, &trial.parent, engine.spec())?;
                block::run(&engine, plan, trial, limits)
            };
            match run() {
                Err(SimulateError::Call(CallError::Stopped)) => Err(CallError::Stopped),
                result => Ok(result),
            }
        })
        .await?
    }
}

/// What bounds a simulation while it runs.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Gas that is left for all calls together.
    gas: u64,
    code_size_max: Option<usize>,
    deadline: Deadline,
}
