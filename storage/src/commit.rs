//! Persisting: many blocks, edits and pool entries in one database transaction.

use crate::{
    ExecutedBlock, Mark, StateDelta, StoreError, StoredReceipt,
    codec::{
        self, BLOCK_PART, BodyRow, ChangeRow, ChangedLeaf, Head, HistoryKey, LogKey, LogPosition,
        SavepointRow,
    },
    database::Write,
    mdbx::Meaning,
    merkle::Merkle,
    store::{self, Shared},
    tables::{SCHEMA, meta},
    writer::PartChange,
};
use alloy_primitives::{B256, Bytes};
use std::sync::{Arc, atomic::Ordering};

/// One thing to persist; [`crate::Store::commit`] takes many.
#[derive(Debug, Clone)]
pub enum Commit {
    /// A block and its change of the state.
    Block {
        /// The block.
        block: Arc<ExecutedBlock>,
        /// What [`crate::Writer::apply`] returned for it.
        delta: Box<StateDelta>,
    },
    /// A change between two blocks.
    Edit {
        /// What [`crate::Writer::edit`] returned for it.
        delta: Box<StateDelta>,
    },
    /// A transaction that waits.
    PoolInsert {
        /// Its hash.
        hash: B256,
        /// Its place in the order of arrival.
        order: u64,
        /// Its bytes, as the caller wants them back.
        bytes: Bytes,
    },
    /// A transaction that no longer waits. Those of a committed block leave by themselves.
    PoolRemove(B256),
    /// A mark of the chain and of what waits as they are by now, see [`crate::Writer::revert`].
    Savepoint {
        /// Its id; [`crate::Snapshot::next_savepoint`] or later.
        id: u64,
        /// What the caller wants back with it.
        settings: Vec<u8>,
    },
    /// There is no savepoint any more.
    ForgetSavepoints,
    /// The blobs of a transaction that a block has; they leave with that block.
    Blobs {
        /// Its hash.
        hash: B256,
        /// The hashes of its blobs, in their order.
        blob_hashes: Vec<B256>,
        /// Its bytes with the blobs, as the caller wants them back.
        bytes: Bytes,
    },
    /// A value of the caller's own.
    Meta {
        /// Its name.
        key: &'static str,
        /// Its bytes.
        value: Vec<u8>,
    },
}

/// What a transaction writes of blocks and edits, one after the other.
pub(crate) struct Batch<'a> {
    shared: &'a Shared,
    tx: &'a Write,
    head: Head,
    sequence: u64,
    /// Place of the next undo row of the pool; none without a savepoint.
    undo: Option<u64>,
}

impl Shared {
    pub(crate) fn commit(&self, batch: Vec<Commit>) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let sequence = self.write_batch(batch).map_err(|error| self.explain(error))?;
        self.committed.fetch_max(sequence, Ordering::AcqRel);
        self.commits.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    fn write_batch(&self, batch: Vec<Commit>) -> Result<u64, StoreError> {
        let tx = self.database.write()?;
        let head = self.head(&tx)?;
        let newest = newest_merkle(&batch);
        let mut writes = Batch::new(self, &tx, head);
        writes.undo = self.pool_undo_end(&tx)?;
        for commit in batch {
            match commit {
                Commit::Block { block, delta } => {
                    writes.add_delta(&delta)?;
                    writes.add_block(&block, &delta)?;
                }
                Commit::Edit { delta } => {
                    writes.add_delta(&delta)?;
                    writes.head.edits += 1;
                }
                Commit::PoolInsert { hash, order, bytes } => {
                    writes.change_pool(hash, Some(&codec::pool_row(hash, order, &bytes)))?;
                }
                Commit::PoolRemove(hash) => writes.change_pool(hash, None)?,
                Commit::Savepoint { id, settings } => {
                    let mark = Mark { number: writes.head.number, edits: writes.head.edits };
                    let undo = *writes.undo.get_or_insert(0);
                    self.put_savepoint(&tx, id, &SavepointRow { mark, undo, settings })?;
                }
                Commit::ForgetSavepoints => {
                    tx.clear(self.tables.savepoints);
                    tx.clear(self.tables.pool_undo);
                    writes.undo = None;
                }
                Commit::Blobs { hash, blob_hashes, bytes } => {
                    let row = codec::checked(hash.as_slice(), &bytes);
                    tx.put(self.tables.blobs, hash.as_slice(), &row)?;
                    for (blob_hash, place) in blob_hashes.iter().zip(0..) {
                        let row = codec::blob_place_row(hash, place);
                        tx.put(self.tables.blob_places, blob_hash.as_slice(), &row)?;
                    }
                }
                Commit::Meta { key, value } => {
                    let row = codec::checked(key.as_bytes(), &value);
                    tx.put(self.tables.notes, key.as_bytes(), &row)?;
                }
            }
        }
        let sequence = writes.sequence;
        let head = writes.head.number;
        writes.finish()?;
        let more = self.prune(&tx, head)?;
        tx.commit()?;
        self.has_to_prune.store(more, Ordering::Relaxed);
        if let Some((root, merkle)) = newest {
            self.merkles.put_newest(root, merkle);
        }
        Ok(sequence)
    }

    /// Writes the first block of a chain into the empty tables of `tx`.
    pub(crate) fn commit_genesis(
        &self,
        block: &ExecutedBlock,
        delta: &StateDelta,
        tx: &Write,
    ) -> Result<(), StoreError> {
        let head = Head { number: block.number(), hash: block.hash(), root: delta.root, edits: 0 };
        let mut writes = Batch::new(self, tx, head);
        writes.add_state(delta)?;
        if delta.merkle.is_some() {
            // The header has another root: the row tells that of the tree.
            let row = ChangeRow { root_before: B256::ZERO, root: delta.root, leaves: Vec::new() };
            let key = codec::pair_key(head.number, BLOCK_PART);
            tx.put(self.tables.changes, &key, &row.encode())?;
        }
        writes.add_chain_rows(block)?;
        let genesis = [&codec::number_key(head.number)[..], head.hash.as_slice()].concat();
        let genesis = codec::checked(&self.tables.first_rows(tx, head.number)?, &genesis);
        tx.put(self.tables.meta, meta::SCHEMA, &SCHEMA.to_be_bytes())?;
        tx.put(self.tables.meta, meta::GENESIS, &genesis)?;
        writes.finish()
    }

    /// Puts the setting that was reached into the error.
    pub(crate) fn explain(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Database(error) if error.meaning() == Meaning::Full => {
                StoreError::Full { size_max: self.size_max }
            }
            error => store::explain(error, &self.lock, || self.database.used_bytes()),
        }
    }
}

impl<'a> Batch<'a> {
    pub(crate) const fn new(shared: &'a Shared, tx: &'a Write, head: Head) -> Self {
        Self { shared, tx, head, sequence: 0, undo: None }
    }

    /// Gives a waiting transaction another row, or none, so that a savepoint can take it back.
    fn change_pool(&mut self, hash: B256, row: Option<&[u8]>) -> Result<(), StoreError> {
        let (tables, key) = (&self.shared.tables, hash.as_slice());
        if let Some(position) = self.undo {
            let before = self.tx.value(tables.pool, key)?;
            if before.as_deref() != row {
                let undo = codec::pool_undo_row(position, hash, &before.unwrap_or_default());
                self.tx.put(tables.pool_undo, &codec::number_key(position), &undo)?;
                self.undo = Some(position + 1);
            }
        }
        match row {
            Some(row) => self.tx.put(tables.pool, key, row)?,
            None => drop(self.tx.remove(tables.pool, key)?),
        }
        Ok(())
    }

    /// Adds a change of the state that follows the one before.
    pub(crate) fn add_delta(&mut self, delta: &StateDelta) -> Result<(), StoreError> {
        let expected = self.head.number + 1;
        if delta.number != expected {
            return Err(StoreError::OutOfOrder { expected, given: delta.number });
        }
        check_root(self.head.root, delta.root_before)?;
        let number = delta.number;
        for PartChange { key, old, .. } in delta.leaves.iter().filter(|change| change.first) {
            let row = HistoryKey::new(key, number);
            let old = old.as_ref().map_or(&[][..], |old| old.as_slice());
            self.tx.put(self.shared.tables.history, row.as_slice(), old)?;
        }
        let leaves = delta.leaves.iter().map(|change| ChangedLeaf {
            key: change.key,
            old: change.old,
            first: change.first,
        });
        let row = ChangeRow {
            root_before: delta.root_before,
            root: delta.root,
            leaves: leaves.collect(),
        };
        let key = codec::pair_key(number, delta.part);
        self.tx.put(self.shared.tables.changes, &key, &row.encode())?;
        self.head.root = delta.root;
        self.add_state(delta)
    }

    pub(crate) fn add_state(&mut self, delta: &StateDelta) -> Result<(), StoreError> {
        let tables = &self.shared.tables;
        for PartChange { key, new, .. } in &delta.leaves {
            match new {
                Some(value) => self.tx.put(tables.leaves, key.as_slice(), value.as_slice())?,
                None => self.tx.remove_at(tables.leaves, key.as_slice()),
            }
        }
        for (code_hash, count) in &delta.holders {
            let row = count.to_be_bytes();
            match count {
                0 => self.tx.remove_at(tables.code_holders, code_hash.as_slice()),
                _ => self.tx.put(tables.code_holders, code_hash.as_slice(), &row)?,
            }
        }
        for (stem, address) in &delta.addresses {
            self.tx.put_new(tables.addresses, stem.0.as_slice(), address.as_slice())?;
        }
        for (hash, (address, group)) in &delta.slot_groups {
            let row = codec::slot_group_row(*address, *group);
            self.tx.put_new(tables.slot_groups, hash.as_slice(), &row)?;
        }
        for (code_hash, code) in &delta.code {
            self.tx.put_new(tables.code, code_hash.as_slice(), code)?;
        }
        if let Some(folds) = &delta.folds {
            self.shared.put_folds(self.tx, folds, codec::pair_key(delta.number, delta.part))?;
        }
        self.sequence = delta.sequence;
        Ok(())
    }

    fn add_block(&mut self, block: &ExecutedBlock, delta: &StateDelta) -> Result<(), StoreError> {
        check_root(block.header.state_root, delta.state_root())?;
        self.add_loaded(block, delta)
    }

    /// Adds a block that has another state root than its state has here.
    pub(crate) fn add_loaded(
        &mut self,
        block: &ExecutedBlock,
        delta: &StateDelta,
    ) -> Result<(), StoreError> {
        if block.number() != delta.number || delta.part != BLOCK_PART {
            let (expected, given) = (delta.number, block.number());
            return Err(StoreError::OutOfOrder { expected, given });
        }
        self.add_chain_rows(block)?;
        self.head = Head { number: block.number(), hash: block.hash(), root: delta.root, edits: 0 };
        Ok(())
    }

    pub(crate) fn add_chain_rows(&mut self, block: &ExecutedBlock) -> Result<(), StoreError> {
        let (tables, tx) = (&self.shared.tables, self.tx);
        let (number, hash) = (block.number(), block.hash());
        let key = codec::number_key(number);
        tx.put(tables.headers, &key, &codec::header_row(hash, &block.header))?;
        tx.put(tables.numbers, hash.as_slice(), &key)?;
        let body = BodyRow {
            tx_count: block.transactions.len() as u32,
            ommers: block.ommers.clone(),
            withdrawals: block.withdrawals.clone(),
            requests: block.requests.clone(),
        };
        tx.put(tables.bodies, &key, &body.encode())?;
        let (mut first_log, mut gas_before) = (0, 0);
        let transactions = block.transactions.iter().zip(&block.senders).zip(&block.receipts);
        for (index, ((transaction, sender), receipt)) in transactions.enumerate() {
            let place = codec::pair_key(number, index as u32);
            let tx_hash = transaction.tx_hash();
            tx.put(tables.transactions, &place, &codec::transaction_row(*sender, transaction))?;
            // A nonce that was set back lets the same transaction in again: its first place stays.
            tx.put_new(tables.locations, tx_hash.as_slice(), &place)?;
            self.change_pool(*tx_hash, None)?;
            let cumulative = receipt.receipt.cumulative_gas_used;
            let gas_used = cumulative.saturating_sub(gas_before);
            let stored = StoredReceipt { receipt: receipt.clone(), gas_used, first_log };
            tx.put(tables.receipts, &place, &codec::receipt_row(&stored))?;
            for (key, position) in log_rows(&stored, number, index as u32) {
                tx.put(tables.logs, key.as_slice(), &position.encode())?;
            }
            first_log += receipt.receipt.logs.len() as u64;
            gas_before = cumulative;
        }
        Ok(())
    }

    /// Writes the head that all of it leads to.
    pub(crate) fn finish(self) -> Result<(), StoreError> {
        Ok(self.tx.put(self.shared.tables.meta, meta::HEAD, &self.head.encode())?)
    }
}

/// Returns the index rows of a receipt's logs.
pub(crate) fn log_rows(
    stored: &StoredReceipt,
    number: u64,
    tx_index: u32,
) -> impl Iterator<Item = (LogKey, LogPosition)> {
    let logs = (stored.first_log as u32..).zip(&stored.receipt.receipt.logs);
    logs.flat_map(move |(log_index, log)| {
        let topics = log.topics().iter().enumerate();
        let topic_keys = topics.map(|(position, topic)| LogKey::topic(position, *topic));
        let position = LogPosition { number, tx_index, log_index };
        std::iter::once(LogKey::address(log.address))
            .chain(topic_keys)
            .map(move |key| (key, position))
    })
}

/// Returns the Merkle trie of the newest state in `batch`, under the root of its tree.
fn newest_merkle(batch: &[Commit]) -> Option<(B256, Merkle)> {
    batch.iter().rev().find_map(|commit| match commit {
        Commit::Block { delta, .. } | Commit::Edit { delta } => {
            Some((delta.root, delta.merkle.clone()?))
        }
        _ => None,
    })
}

pub(crate) fn check_root(recorded: B256, rebuilt: B256) -> Result<(), StoreError> {
    if recorded == rebuilt { Ok(()) } else { Err(StoreError::RootMismatch { recorded, rebuilt }) }
}
