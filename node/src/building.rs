//! Blocks that a caller describes in full, as a consensus client would: built, or also put on the
//! chain (`testing_buildBlockV1`, `testing_commitBlockV1`).

use std::sync::Arc;

use alloy_consensus::{Header, Sealable, Sealed, Transaction, TxEnvelope};
use alloy_eips::BlockId;
use alloy_eips::eip1559::calculate_block_gas_limit;
use alloy_eips::eip4895::Withdrawals;
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::{Address, B256, Bytes, U256};
use executor::{
    BlockExecution, Body, Executed, ExecutorError, NextBlock, PushError, Refusal, Roots,
};
use genesis::SpecId;
use revm::DatabaseRef;
use storage::{ExecutedBlock, StoreError};

use crate::chain::{Chain, Shared};
use crate::error::{CallError, Failure, QueryError};
use crate::fee::BaseFees;
use crate::sequencer::roots;
use crate::settings::block_rules;

/// Gas limit that blocks move to where the node's settings say nothing, as in geth.
const GAS_LIMIT_TARGET: u64 = 60_000_000;
/// Most bytes of extra data in a header.
const EXTRA_DATA_MAX: usize = 32;

/// A block as the caller wants it.
#[derive(Clone, Debug, Default)]
pub struct WantedBlock {
    /// Its timestamp, later than the parent's.
    pub timestamp: u64,
    /// Its randomness.
    pub prev_randao: B256,
    /// Who gets the fees.
    pub fee_recipient: Address,
    /// Its withdrawals.
    pub withdrawals: Withdrawals,
    /// Root of the beacon block before it.
    pub beacon_root: Option<B256>,
    /// Its slot; the parent's and one if not given.
    pub slot_number: Option<u64>,
    /// The gas limit to move to.
    pub gas_limit_target: Option<u64>,
    /// Its transactions with their senders; those of the pool if not given.
    pub transactions: Option<Vec<(TxEnvelope, Address)>>,
    /// Extra data of the header.
    pub extra_data: Bytes,
}

/// A block that was built, but is not on the chain.
#[derive(Clone, Debug)]
pub struct BuiltBlock {
    /// The block.
    pub block: Arc<ExecutedBlock>,
    /// What its transactions read and changed (EIP-7928), from Amsterdam on.
    pub accesses: Option<BlockAccessList>,
    /// The tips that it pays, in wei.
    pub value: U256,
}

/// Why a block could not be built.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BuildError {
    /// Blocks are built on the head only.
    #[error("parentHash is not current head")]
    NotHead,
    /// The block is not later than its parent.
    #[error("invalid timestamp, parent {parent} given {given}")]
    Timestamp {
        /// The parent's.
        parent: u64,
        /// The block's.
        given: u64,
    },
    /// The extra data is too long.
    #[error("extra-data too long: {size} > {EXTRA_DATA_MAX}")]
    ExtraData {
        /// Its size in bytes.
        size: usize,
    },
    /// A transaction does not fit the block.
    #[error("gas limit reached: transaction {index} does not fit the block")]
    Full {
        /// Its place.
        index: usize,
    },
    /// A transaction cannot run.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The state is not there, or the node failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl From<Failure> for BuildError {
    fn from(failure: Failure) -> Self {
        Self::Call(failure.into())
    }
}

impl From<QueryError> for BuildError {
    fn from(error: QueryError) -> Self {
        Self::Call(error.into())
    }
}

impl From<ExecutorError<StoreError>> for BuildError {
    fn from(error: ExecutorError<StoreError>) -> Self {
        Self::Call(error.into())
    }
}

impl Chain {
    /// Builds a block on the head, which is to have the hash `parent`, and forgets it.
    pub async fn build_block(
        &self,
        parent: B256,
        wanted: WantedBlock,
    ) -> Result<BuiltBlock, BuildError> {
        let trial = self.trial(BlockId::latest()).await?;
        if trial.parent.hash() != parent {
            return Err(BuildError::NotHead);
        }
        let shared = Arc::clone(&self.shared);
        let built = crate::chain::blocking(move || {
            let mut trial = trial;
            let Built { executed, accesses, value } =
                run(&shared, &wanted, &trial.parent, (&trial.view, roots(trial.roots.merkle())))?;
            let Executed { mut header, body, changes } = executed;
            header.state_root = trial.roots.apply(&changes).map_err(QueryError::from)?;
            let block = Arc::new(executed_block(header.seal_slow(), body));
            Ok(BuiltBlock { block, accesses, value })
        });
        built.await?
    }

    /// Builds a block on the head and makes it the head; answers its hash.
    pub async fn commit_block(&self, wanted: WantedBlock) -> Result<B256, BuildError> {
        self.ask(move |sequencer| sequencer.commit_wanted(&wanted)).await
    }
}

/// A block of this chain's own, under the header that it got.
pub(crate) fn executed_block(header: Sealed<Header>, body: Body) -> ExecutedBlock {
    let Body { transactions, senders, receipts, withdrawals, requests } = body;
    let ommers = Vec::new();
    ExecutedBlock { header, transactions, senders, receipts, ommers, withdrawals, requests }
}

/// A block that was executed as wanted.
pub(crate) struct Built {
    pub(crate) executed: Executed,
    pub(crate) accesses: Option<BlockAccessList>,
    pub(crate) value: U256,
}

/// Executes the block that is wanted after `parent` on the state `db`; `roots` says the roots that
/// receipts hold before Byzantium.
pub(crate) fn run<DB: DatabaseRef<Error = StoreError>>(
    shared: &Shared,
    wanted: &WantedBlock,
    parent: &Sealed<Header>,
    (db, roots): (DB, Option<Roots>),
) -> Result<Built, BuildError> {
    let header = header(shared, wanted, parent)?;
    let fees = BaseFees::of(shared.engine().spec(), &header);
    let fork = shared.engine().spec().fork(header.number, header.timestamp);
    let withdraws = fork.is_enabled_in(SpecId::SHANGHAI);
    let rules = block_rules(shared.config());
    let mut block = BlockExecution::begin(shared.engine(), header, rules, db)?;
    block.keep_roots(roots);
    if withdraws {
        block.set_rest(Vec::new(), Some(wanted.withdrawals.clone()));
    }
    let mut value = U256::ZERO;
    let mut pay = |transaction: &TxEnvelope, gas_used: u64| {
        let tip = transaction.effective_tip_per_gas(fees.gas).unwrap_or_default();
        value += U256::from(tip) * U256::from(gas_used);
    };
    if let Some(transactions) = &wanted.transactions {
        for (index, (transaction, sender)) in transactions.iter().enumerate() {
            match block.push(transaction.clone(), *sender) {
                Ok(pushed) => pay(transaction, pushed.gas_used),
                Err(PushError::Full) => return Err(BuildError::Full { index }),
                Err(PushError::Refused(refusal)) => return Err(refusal.into()),
                Err(PushError::Engine(error)) => return Err(CallError::from(error).into()),
            }
        }
    } else {
        let mut best = shared.pool().best(fees, shared.config().order);
        while let Some(waiting) = best.next() {
            match block.push(waiting.transaction.clone(), waiting.sender) {
                Ok(pushed) => pay(&waiting.transaction, pushed.gas_used),
                Err(PushError::Full | PushError::Refused(_)) => best.skip_sender(waiting.sender),
                Err(PushError::Engine(error)) => return Err(CallError::from(error).into()),
            }
        }
    }
    let (executed, accesses) = block.finish_with_accesses()?;
    Ok(Built { executed, accesses, value })
}

fn header(
    shared: &Shared,
    wanted: &WantedBlock,
    parent: &Sealed<Header>,
) -> Result<Header, BuildError> {
    if wanted.timestamp <= parent.timestamp {
        let (parent, given) = (parent.timestamp, wanted.timestamp);
        return Err(BuildError::Timestamp { parent, given });
    }
    let size = wanted.extra_data.len();
    if size > EXTRA_DATA_MAX {
        return Err(BuildError::ExtraData { size });
    }
    let target = wanted.gas_limit_target.or(shared.config().gas_limit).unwrap_or(GAS_LIMIT_TARGET);
    let next = NextBlock {
        timestamp: wanted.timestamp,
        gas_limit: calculate_block_gas_limit(parent.gas_limit, target),
        coinbase: wanted.fee_recipient,
        base_fee: None,
        prev_randao: Some(wanted.prev_randao),
    };
    let mut header = next.header(shared.engine().spec(), parent);
    header.extra_data = wanted.extra_data.clone();
    if let Some(root) = &mut header.parent_beacon_block_root {
        *root = wanted.beacon_root.unwrap_or_default();
    }
    if let Some(slot) = &mut header.slot_number {
        *slot = wanted.slot_number.unwrap_or(*slot);
    }
    Ok(header)
}
