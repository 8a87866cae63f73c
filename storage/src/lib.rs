//! State and chain in MDBX: the EIP-8297 tree's leaves, blocks, receipts, logs, waiting
//! transactions; read views at any block.
//!
//! Start with [`Store::open`]; [`DataDir::open`] looks at a database and changes nothing. The thread that executes owns the [`Writer`], applies a block's
//! changes to it and gets the state root and a [`StateDelta`]; the thread that commits hands
//! blocks and deltas to [`Store::commit`]; everybody else reads a [`Snapshot`]. `docs/spec/state.md`
//! describes every table byte by byte.

#[cfg(test)]
extern crate self as tandem_storage;

mod block;
mod chain;
mod check;
mod code_cache;
mod codec;
mod commit;
mod data_dir;
mod database;
mod error;
mod export;
mod folds;
mod fork_cache;
mod forked;
mod loaded;
mod logs;
mod mdbx;
mod merkle;
mod past;
mod prune;
mod savepoints;
mod scratch;
mod snapshot;
mod store;
mod tables;
mod unwind;
mod witness;
mod writer;

pub use block::{ExecutedBlock, StoredReceipt, TxLocation};
pub use chain::Waiting;
pub use check::{Fault, Rules, Verified, pages::PageCount};
pub use commit::Commit;
pub use data_dir::{DataDir, Stats, TableStats};
pub use error::{BadFile, StoreError};
pub use export::{ExportError, Exported, Imported, import};
pub use folds::TreeLimits;
pub use fork_cache::ForkCache;
pub use forked::{ForkPoint, ForkedState};
pub use genesis::{TxReceipt, logs_bloom};
pub use loaded::{Loaded, dumped_transaction, unsigned_hash};
pub use logs::{LogEntry, LogFilter};
pub use mdbx::Error as DatabaseError;
pub use merkle::{Merkle, MerkleProof};
pub use past::{AccountProof, SlotProof, StatePart};
pub use savepoints::{Reverted, Savepoint};
pub use scratch::{Frozen, Scratch, Start};
pub use snapshot::Snapshot;
pub use store::{Durability, OpenOptions, PendingWriter, Store, genesis_block, genesis_hash};
pub use witness::{Recorded, Recorder};
pub use writer::{Mark, StateDelta, Writer};
