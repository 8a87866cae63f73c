//! State and chain in MDBX: the EIP-8297 tree's leaves, blocks, receipts, logs, waiting
//! transactions; read views at any block.
//!
//! Start with [`Store::open`]. The thread that executes owns the [`Writer`], applies a block's
//! changes to it and gets the state root and a [`StateDelta`]; the thread that commits hands
//! blocks and deltas to [`Store::commit`]; everybody else reads a [`Snapshot`]. `docs/spec/state.md`
//! describes every table byte by byte.

mod block;
mod chain;
mod code_cache;
mod codec;
mod commit;
mod error;
mod fork_cache;
mod forked;
mod logs;
mod mdbx;
mod merkle;
mod past;
mod scratch;
mod snapshot;
mod store;
mod tables;
mod unwind;
mod witness;
mod writer;

pub use block::{ExecutedBlock, StoredReceipt, TxLocation};
pub use commit::Commit;
pub use error::{BadFile, StoreError};
pub use fork_cache::ForkCache;
pub use forked::{ForkPoint, ForkedState};
pub use genesis::{TxReceipt, logs_bloom};
pub use logs::{LogEntry, LogFilter};
pub use mdbx::Error as DatabaseError;
pub use merkle::{Merkle, MerkleProof};
pub use past::{AccountProof, SlotProof, StatePart};
pub use scratch::{Frozen, Scratch, Start};
pub use snapshot::Snapshot;
pub use store::{Durability, OpenOptions, Store, genesis_hash};
pub use witness::{Recorded, Recorder};
pub use writer::{Mark, StateDelta, Writer};
