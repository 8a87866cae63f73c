//! Opening and committing.
use crate::{ExecutedBlock, Snapshot, StateDelta, StoreError, Writer};
use alloy_primitives::{B256, Bytes};
use genesis::Genesis;
use std::{path::PathBuf, sync::Arc};

/// What a commit survives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process at any moment; a power cut may lose the last seconds.
    #[default]
    Process,
    /// A power cut too.
    Disk,
}

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// The data directory; it is made if it is not there.
    pub path: PathBuf,
    /// What a commit survives.
    pub durability: Durability,
    /// Bytes that the database may grow to.
    pub size_max: u64,
    /// Removes the directory once it is open: the data is gone with the process.
    pub temporary: bool,
}

/// The database of one chain.
#[derive(Debug, Clone)]
pub struct Store {}

/// One thing to persist; [`Store::commit`] takes many.
#[derive(Debug, Clone)]
pub enum Commit {
    /// A block and its change of the state.
    Block {
        /// The block.
        block: Arc<ExecutedBlock>,
        /// What [`Writer::apply`] returned for it.
        delta: StateDelta,
    },
    /// A change between two blocks.
    Edit {
        /// What [`Writer::edit`] returned for it.
        delta: StateDelta,
    },
    /// A transaction that waits.
    PoolInsert {
        /// Its hash.
        hash: B256,
        /// Its bytes, as the caller wants them back.
        bytes: Bytes,
    },
    /// A transaction that no longer waits. Those of a committed block leave by themselves.
    PoolRemove(B256),
    /// A value of the caller's own.
    Meta {
        /// Its name.
        key: &'static str,
        /// Its bytes.
        value: Vec<u8>,
    },
}

impl Store {
    /// Opens or makes the store of a chain, and the writer of its state.
    pub fn open(_options: &OpenOptions, _genesis: &Genesis) -> Result<(Self, Writer), StoreError> { unimplemented!() }
    /// Returns a view of the newest committed state, edits included.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> { unimplemented!() }
    /// Returns a view of the state after a block; after the head's: with edits.
    pub fn snapshot_at(&self, _number: u64) -> Result<Snapshot, StoreError> { unimplemented!() }
    /// Returns a view of the state that a block was executed on: its parent's, with the edits made in between.
    pub fn snapshot_before(&self, _number: u64) -> Result<Snapshot, StoreError> { unimplemented!() }
    /// Persists all of `batch` in one database transaction.
    pub fn commit(&self, _batch: Vec<Commit>) -> Result<(), StoreError> { unimplemented!() }
}
