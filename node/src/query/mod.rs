//! Lookups: blocks, transactions, receipts, logs, state, fees.
//!
//! Start with [`Chain::resolve`], which says what a block id means, and [`Chain::state`], the
//! state to read there. `pending` builds the block that would be sealed now.

mod fees;
mod pending;
pub(crate) mod proof;
mod state;

use std::ops::RangeInclusive;
use std::sync::Arc;

use alloy_consensus::{Header, Sealed, Transaction, TxEnvelope};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bloom};
use storage::{ExecutedBlock, LogEntry, LogFilter, StoreError, TxLocation, TxReceipt};

pub use pending::Pending;
pub(crate) use pending::{Idle, build_pending};
pub use state::StateView;

use crate::chain::{Chain, blocking};
use crate::error::{CallError, QueryError};
use crate::fee;
use crate::pool::{PoolStatus, PoolTransaction};
use crate::recent::logs_of;

/// What a block id means at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The head, with dev edits made since.
    Head,
    /// A block by its number; there may be later ones by the time it is looked at. The state after
    /// the head is that with dev edits made since.
    Number(u64),
    /// The block that would be sealed now.
    Pending,
}

/// A transaction of the chain with what belongs to it.
#[derive(Clone, Debug)]
pub struct IncludedTransaction {
    /// The transaction, without blobs.
    pub transaction: TxEnvelope,
    /// Its sender.
    pub sender: Address,
    /// Header of its block.
    pub header: Sealed<Header>,
    /// Its place in the block.
    pub index: u64,
}

/// A receipt with what follows from its block.
#[derive(Clone, Debug)]
pub struct IncludedReceipt {
    /// The transaction.
    pub included: IncludedTransaction,
    /// Its receipt.
    pub receipt: TxReceipt,
    /// Gas that it used by itself.
    pub gas_used: u64,
    /// Logs of the block before its first one.
    pub first_log: u64,
    /// What it paid per gas.
    pub effective_gas_price: u128,
    /// What it paid per blob gas, if it has blobs.
    pub blob_gas_price: Option<u128>,
    /// The contract that it created.
    pub contract: Option<Address>,
    /// Its bloom.
    pub logs_bloom: Bloom,
}

/// Which logs to look for.
#[derive(Clone, Debug)]
pub struct LogQuery {
    /// Where.
    pub blocks: LogBlocks,
    /// From any of these contracts; from all if empty.
    pub addresses: Vec<Address>,
    /// At each position any of these topics; any at all where empty.
    pub topics: [Vec<B256>; 4],
    /// The least number of topics that a log must have.
    pub topics_min: usize,
}

/// In which blocks to look for logs.
#[derive(Clone, Debug)]
pub enum LogBlocks {
    /// In one.
    Hash(B256),
    /// From one to another.
    Range(BlockNumberOrTag, BlockNumberOrTag),
}

impl Chain {
    /// The newest block.
    pub fn head(&self) -> Arc<ExecutedBlock> {
        self.shared.head()
    }

    /// What `id` means at the moment.
    pub fn resolve(&self, id: BlockId) -> Result<Position, QueryError> {
        let head = self.shared.head().header.number;
        match id {
            BlockId::Number(tag) => match self.resolve_tag(tag, head) {
                Some(number) if number > head => Err(QueryError::BlockNotFound(id)),
                Some(number) if number < self.shared.genesis_number() => {
                    Err(QueryError::BlockNotFound(id))
                }
                Some(_) if tag == BlockNumberOrTag::Latest => Ok(Position::Head),
                Some(number) => Ok(Position::Number(number)),
                None => Ok(Position::Pending),
            },
            BlockId::Hash(hash) => {
                let number = self.shared.store().snapshot()?.number_of(hash.block_hash)?;
                Ok(Position::Number(number.ok_or(QueryError::BlockNotFound(id))?))
            }
        }
    }

    /// The number that `tag` means; `None` for the pending block.
    pub(crate) fn resolve_tag(&self, tag: BlockNumberOrTag, head: u64) -> Option<u64> {
        let behind = |epochs: u64| {
            let distance = self.config().slots_in_an_epoch.saturating_mul(epochs);
            head.saturating_sub(distance).max(self.shared.genesis_number())
        };
        // What was imported is settled: no other block comes in its place.
        let imported = self.shared.imported().min(head);
        match tag {
            BlockNumberOrTag::Latest => Some(head),
            BlockNumberOrTag::Safe => Some(behind(1).max(imported)),
            BlockNumberOrTag::Finalized => Some(behind(2).max(imported)),
            BlockNumberOrTag::Earliest => Some(self.shared.genesis_number()),
            BlockNumberOrTag::Number(number) => Some(number),
            BlockNumberOrTag::Pending => None,
        }
    }

    /// The block at `id`; of the pending one hash and state root are not known.
    pub async fn block(&self, id: BlockId) -> Result<Option<Arc<ExecutedBlock>>, QueryError> {
        let position = match self.resolve(id) {
            Ok(position) => position,
            Err(QueryError::BlockNotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        match position {
            Position::Head => Ok(Some(self.shared.head())),
            Position::Number(number) => match self.shared.recent().find(number) {
                Some(found) => Ok(Some(found.block)),
                None => Ok(self.shared.store().snapshot()?.block(number)?.map(Arc::new)),
            },
            Position::Pending => Ok(Some(Box::pin(self.pending()).await?.block)),
        }
    }

    /// The header at `id`.
    pub async fn header(&self, id: BlockId) -> Result<Option<Sealed<Header>>, QueryError> {
        match self.resolve(id) {
            Ok(Position::Number(number)) => Ok(self.shared.store().snapshot()?.header(number)?),
            Ok(_) => Ok(self.block(id).await?.map(|block| block.header.clone())),
            Err(QueryError::BlockNotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The transaction with this hash, if a block has it.
    pub fn transaction(&self, hash: B256) -> Result<Option<IncludedTransaction>, QueryError> {
        let snapshot = self.shared.store().snapshot()?;
        let Some(location) = snapshot.location(hash)? else { return Ok(None) };
        let found = snapshot.transaction(location)?.zip(snapshot.header(location.number)?);
        Ok(found.map(|((transaction, sender), header)| {
            let index = u64::from(location.index);
            let transaction = with_hash(transaction, hash);
            IncludedTransaction { transaction, sender, header, index }
        }))
    }

    /// The receipt of the transaction with this hash.
    pub fn receipt(&self, hash: B256) -> Result<Option<IncludedReceipt>, QueryError> {
        let snapshot = self.shared.store().snapshot()?;
        let Some(location) = snapshot.location(hash)? else { return Ok(None) };
        if let Some(found) = self.recent_receipt(hash, location) {
            return Ok(Some(found));
        }
        let Some(receipt) = snapshot.receipt(location)? else { return Ok(None) };
        let Some(header) = snapshot.header(location.number)? else { return Ok(None) };
        let Some((transaction, sender)) = snapshot.transaction(location)? else { return Ok(None) };
        let (transaction, index) = (with_hash(transaction, hash), u64::from(location.index));
        let included = IncludedTransaction { transaction, sender, header, index };
        let gas = (receipt.gas_used, receipt.first_log);
        Ok(Some(self.complete_receipt(included, receipt.receipt, gas)))
    }

    /// The same of a transaction in one of the newest blocks, which are in memory.
    fn recent_receipt(&self, hash: B256, location: TxLocation) -> Option<IncludedReceipt> {
        let block = self.shared.recent().find(location.number)?.block;
        let index = location.index as usize;
        // Another block may have come in the place of the one that was looked up.
        block.transactions.get(index).filter(|transaction| *transaction.tx_hash() == hash)?;
        let before = block.receipts.get(..index)?;
        let gas_before = before.last().map_or(0, |last| last.receipt.cumulative_gas_used);
        let first_log = before.iter().map(|receipt| receipt.receipt.logs.len() as u64).sum();
        self.receipt_in(&block, index, (gas_before, first_log))
    }

    /// All receipts of a block.
    pub fn receipts(&self, block: &ExecutedBlock) -> Vec<IncludedReceipt> {
        let (mut gas_before, mut first_log) = (0, 0);
        let all = (0..block.receipts.len()).filter_map(|index| {
            let found = self.receipt_in(block, index, (gas_before, first_log))?;
            gas_before += found.gas_used;
            first_log += found.receipt.receipt.logs.len() as u64;
            Some(found)
        });
        all.collect()
    }

    /// One receipt of a block, before which its transactions used so much gas and had so many logs.
    fn receipt_in(
        &self,
        block: &ExecutedBlock,
        index: usize,
        (gas_before, first_log): (u64, u64),
    ) -> Option<IncludedReceipt> {
        let receipt = block.receipts.get(index)?.clone();
        let included = IncludedTransaction {
            transaction: block.transactions.get(index)?.clone(),
            sender: *block.senders.get(index)?,
            header: block.header.clone(),
            index: index as u64,
        };
        let gas_used = receipt.receipt.cumulative_gas_used - gas_before;
        Some(self.complete_receipt(included, receipt, (gas_used, first_log)))
    }

    fn complete_receipt(
        &self,
        included: IncludedTransaction,
        receipt: TxReceipt,
        (gas_used, first_log): (u64, u64),
    ) -> IncludedReceipt {
        let IncludedTransaction { transaction, sender, header, .. } = &included;
        let base_fee = header.base_fee_per_gas;
        IncludedReceipt {
            gas_used,
            first_log,
            effective_gas_price: transaction.effective_gas_price(base_fee),
            blob_gas_price: transaction
                .is_eip4844()
                .then(|| fee::blob_base_fee(self.spec(), header))
                .flatten(),
            logs_bloom: receipt.bloom(self.spec().headers),
            contract: transaction.is_create().then(|| sender.create(transaction.nonce())),
            receipt,
            included,
        }
    }

    /// The waiting transaction with this hash, or one whose block is not committed yet. Ask before
    /// [`Chain::transaction`]: in the other order its commit may fall between the two.
    pub fn waiting(&self, hash: B256) -> Option<Arc<PoolTransaction>> {
        self.shared.pool().find_unsettled(&hash).cloned()
    }

    /// The waiting transaction of `sender` with this nonce.
    pub fn waiting_of(&self, sender: Address, nonce: u64) -> Option<Arc<PoolTransaction>> {
        self.shared.pool().find_by_nonce(sender, nonce).cloned()
    }

    /// The transaction of `sender` with this nonce, if a block has it.
    ///
    /// The block is the first after which the sender's nonce is larger; where dev edits or
    /// authorizations moved the nonce instead, there is none.
    pub async fn transaction_of(
        &self,
        sender: Address,
        nonce: u64,
    ) -> Result<Option<IncludedTransaction>, QueryError> {
        let store = self.shared.store().clone();
        blocking(move || {
            let nonce_after = |number| -> Result<u64, StoreError> {
                let account = store.snapshot_at(number)?.account(sender)?;
                Ok(account.map_or(0, |account| account.nonce))
            };
            let snapshot = store.snapshot()?;
            let (mut first, mut last) = (snapshot.first(), snapshot.head());
            if nonce_after(last)? <= nonce {
                return Ok(None);
            }
            while first < last {
                let middle = first + (last - first) / 2;
                if nonce_after(middle)? > nonce {
                    last = middle;
                } else {
                    first = middle + 1;
                }
            }
            let Some(block) = snapshot.block(first)? else { return Ok(None) };
            let mut all = block.transactions.into_iter().zip(block.senders).zip(0..);
            let found = all
                .find(|((transaction, from), _)| *from == sender && transaction.nonce() == nonce);
            Ok(found.map(|((transaction, sender), index)| IncludedTransaction {
                transaction,
                sender,
                header: block.header,
                index,
            }))
        })
        .await?
    }

    /// Everything that waits, in order of arrival; the flag says whether it could run.
    pub fn pool_content(&self) -> Vec<(Arc<PoolTransaction>, bool)> {
        self.shared.pool().all()
    }

    /// How many transactions wait.
    pub fn pool_status(&self) -> PoolStatus {
        self.shared.pool().status()
    }

    /// The nonce that the next transaction of `address` needs, after those that wait.
    pub fn next_nonce(&self, address: Address) -> Result<u64, QueryError> {
        if let Some(nonce) = self.shared.pool().next_unsettled_nonce(address) {
            return Ok(nonce);
        }
        let account = self.shared.store().snapshot()?.account(address)?;
        Ok(account.map_or(0, |account| account.nonce))
    }

    /// The logs that match, in the order of the chain.
    pub async fn logs(&self, query: LogQuery) -> Result<Vec<LogEntry>, CallError> {
        let blocks = match query.blocks {
            LogBlocks::Hash(hash) => {
                let snapshot = self.shared.store().snapshot().map_err(QueryError::from)?;
                let number = snapshot.number_of(hash).map_err(QueryError::from)?;
                let number = number.ok_or(QueryError::BlockNotFound(BlockId::from(hash)))?;
                number..=number
            }
            LogBlocks::Range(from, to) => self.log_range(from, to)?,
        };
        let filter = LogFilter {
            from: *blocks.start(),
            to: *blocks.end(),
            addresses: query.addresses,
            topics: query.topics,
            topics_min: query.topics_min,
            limit: self.config().logs_max(),
        };
        let recent = self.shared.recent().range(blocks);
        let chain = self.clone();
        self.execute(move |deadline| {
            if let Some(found) = recent.and_then(|recent| logs_of(&recent, &filter)) {
                return Ok(found);
            }
            let snapshot = chain.shared.store().snapshot().map_err(QueryError::from)?;
            snapshot.logs(&filter, &|| deadline.is_over()).map_err(|error| match error {
                StoreError::TooManyLogs { limit, .. } => {
                    QueryError::TooManyLogs { max: limit }.into()
                }
                StoreError::Stopped => CallError::Stopped,
                error => QueryError::from(error).into(),
            })
        })
        .await
    }

    fn log_range(
        &self,
        from: BlockNumberOrTag,
        to: BlockNumberOrTag,
    ) -> Result<RangeInclusive<u64>, QueryError> {
        let head = self.shared.head().header.number;
        // No log is in a block that was not sealed.
        let number = |tag| self.resolve_tag(tag, head).unwrap_or(head);
        let (from, to) = (number(from), number(to));
        if from > to {
            return Err(QueryError::Range { from, to });
        }
        let (from, to) = (from.max(self.shared.genesis_number()), to.min(head));
        let blocks = to.saturating_sub(from).saturating_add(1);
        match self.config().log_range_max() {
            Some(max) if blocks > max => Err(QueryError::WideRange { blocks, max }),
            _ => Ok(from..=to),
        }
    }
}

/// A transaction that knows its hash: else it is encoded and hashed when somebody asks for it.
fn with_hash(transaction: TxEnvelope, hash: B256) -> TxEnvelope {
    let signature = *transaction.signature();
    TxEnvelope::new_unchecked(transaction.into(), signature, hash)
}
