//! What can go wrong in the store: our fault, or the machine's.

use crate::mdbx;
use alloy_primitives::{Address, B256, U256};
use state::StateError;
use std::path::PathBuf;

/// A failure of the store. None of them leaves a half-written block behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has the data directory open.
    #[error("data directory {} is in use by another process", path.display())]
    Locked {
        /// The data directory.
        path: PathBuf,
    },
    /// The directory holds something that is not a database of this node, or a damaged one.
    #[error("{} is no usable database: {reason}", path.display())]
    NotADatabase {
        /// The database file.
        path: PathBuf,
        /// What the database library or the first look at the file says.
        reason: BadFile,
    },
    /// The data directory was made by a version with other tables.
    #[error(
        "{} has tables of schema {stored}, this version reads schema {supported}", path.display()
    )]
    Schema {
        /// The data directory.
        path: PathBuf,
        /// Schema of the directory.
        stored: u32,
        /// The one schema that this version reads and writes.
        supported: u32,
    },
    /// The data directory belongs to another chain.
    #[error("{} holds the chain of genesis {stored}, not of {given}", path.display())]
    GenesisMismatch {
        /// The data directory.
        path: PathBuf,
        /// Hash of the genesis block in the directory.
        stored: B256,
        /// Hash of the genesis block that was asked for.
        given: B256,
    },
    /// The tree made of the stored leaves has another root than the one recorded with them.
    #[error("state root of the stored leaves is {rebuilt}, recorded is {recorded}")]
    RootMismatch {
        /// The root recorded at the last commit, or in a header.
        recorded: B256,
        /// The root of the leaves.
        rebuilt: B256,
    },
    /// The database has reached its largest allowed size.
    #[error("the database is full: it may grow to {size_max} bytes, see the size setting")]
    Full {
        /// The setting.
        size_max: u64,
    },
    /// The file system has no room for what was to be written.
    #[error(
        "No space left on device: {free} bytes are free where the data directory is, the database \
         takes {used}"
    )]
    NoSpace {
        /// Free bytes of the file system.
        free: u64,
        /// Bytes of the database.
        used: u64,
    },
    /// The database library or the operating system failed.
    #[error("database: {0}")]
    Database(#[from] mdbx::Error),
    /// A file or directory could not be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// There is no database to look at.
    #[error("{} holds no database of a node", path.display())]
    NoDatabase {
        /// The directory.
        path: PathBuf,
    },
    /// A row does not decode, or one that must be there is not.
    #[error("damaged row in table {table}, key 0x{}", alloy_primitives::hex::encode(key))]
    BadRow {
        /// The table.
        table: &'static str,
        /// The row's key.
        key: Vec<u8>,
    },
    /// EIP-8297 keeps balances in 16 bytes.
    #[error("balance {balance} of {address} is 2^128 or more: the state tree cannot hold it")]
    BalanceTooLarge {
        /// The account.
        address: Address,
        /// Its balance in wei.
        balance: U256,
    },
    /// A state change names a code hash, but nobody has the code.
    #[error("code {code_hash} is not known")]
    MissingCode {
        /// Keccak hash of the code.
        code_hash: B256,
    },
    /// A block was asked for that is not there.
    #[error("block {asked} is not kept: blocks {first} to {head} are")]
    BlockNotKept {
        /// Number that was asked for.
        asked: u64,
        /// Oldest block.
        first: u64,
        /// Newest block.
        head: u64,
    },
    /// The history that the state of a block is read from was let go of.
    #[error(
        "state of block {asked} is not available, it was pruned or never loaded: there are \
         those of blocks {oldest} to {head}"
    )]
    HistoryPruned {
        /// Number that was asked for.
        asked: u64,
        /// Oldest block whose state is kept.
        oldest: u64,
        /// Newest block.
        head: u64,
    },
    /// State that is not here could not be had from the chain that this one was forked from.
    #[error("forked state: {0}")]
    Forked(Box<dyn std::error::Error + Send + Sync>),
    /// Blocks are applied and committed one after the other.
    #[error("block {given} does not follow: {expected} is next")]
    OutOfOrder {
        /// The next number.
        expected: u64,
        /// The number given.
        given: u64,
    },
    /// State can be unwound only when all of it is committed.
    #[error("{pending} state changes are not committed yet")]
    Uncommitted {
        /// How many changes have been applied and not committed.
        pending: u64,
    },
    /// There is no such state to unwind to.
    #[error(
        "cannot go back to block {asked} and edit {edits}: head is block {head}, edit {head_edits}"
    )]
    BadMark {
        /// Block of the mark.
        asked: u64,
        /// Edits of the mark.
        edits: u32,
        /// Newest block.
        head: u64,
        /// Edits made since.
        head_edits: u32,
    },
    /// Too much was changed between the block and where the tree for proofs is.
    #[error(
        "the tree got to block {reached} on its way to block {asked}: one request may go by \
         {limit} changed leaves, ask again to go on from there"
    )]
    FarBlock {
        /// Number that was asked for.
        asked: u64,
        /// The block that was reached.
        reached: u64,
        /// Changes that one request may go by.
        limit: usize,
    },
    /// The state root says nothing of what the chain has from another one.
    #[error("a forked chain has no proofs: its state root covers what was written here, no more")]
    Unprovable,
    /// A proof that was just made is not one: the store is damaged.
    #[error("proof: {0}")]
    Proof(#[from] tree::ProofError),
    /// What was read of the state is not what its root says: the store is damaged.
    #[error("state: {0}")]
    Leaves(#[from] tree::WrongLeaves),
    /// A log query has more results than allowed.
    #[error("query returned more than {limit} results by block {reached}")]
    TooManyLogs {
        /// The most results allowed.
        limit: usize,
        /// The block in which the limit was passed; a narrower query ends before it.
        reached: u64,
    },
    /// There was no more time for a log query.
    #[error("the query was stopped before its end")]
    Stopped,
}

/// Why a file is not a database that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadFile {
    /// The file does not start as databases do.
    #[error("the file is not an MDBX database")]
    NotMdbx,
    /// The file was written by another version of the database library.
    #[error("the file is an MDBX database of another format version")]
    OtherFormat,
    /// The file is shorter than its own header says.
    #[error("the file has {has} bytes, its header needs {needs}: it was cut off")]
    Truncated {
        /// Size of the file in bytes.
        has: u64,
        /// Size of the used part in bytes.
        needs: u64,
    },
    /// The database library finds the file damaged.
    #[error("the file is damaged")]
    Damaged,
    /// The machine was started anew since the newest commits, which were never synced.
    #[error(
        "the machine was started anew since the last commits, which were not synced to disk: start \
         the node on it once, which goes back to the last sync"
    )]
    Unsynced,
    /// A page is not what it must be.
    #[error("page {page} is damaged: {what}")]
    Page {
        /// Its number, from 0.
        page: u32,
        /// What is wrong.
        what: &'static str,
    },
    /// A sector of the journal is not what was written.
    #[error("the sector at byte {at} is damaged")]
    Sector {
        /// Where it begins.
        at: u64,
    },
    /// A record of the journal is gone.
    #[error("record {number}, which was synced, is not there")]
    LostRecord {
        /// Its number.
        number: u64,
    },
    /// The file does not know the journal beside it.
    #[error(
        "it does not say which commits of {journal} it has, for it was not there, or is damaged, or \
         a copy: put the right one here, or go on without them by removing {journal}"
    )]
    NotOfJournal {
        /// The journal's file.
        journal: &'static str,
    },
    /// The database was not closed, and its journal is gone.
    #[error("it is not there, and the database was not closed: it has commits that lack there")]
    NoJournal,
    /// A table is missing that another version did not have.
    #[error("it has no table {name}: start the node on it once, which makes what is missing")]
    NoTable {
        /// The table.
        name: &'static str,
    },
    /// A database of something else: the tables are missing.
    #[error("it holds none of the tables of this node")]
    NoTables,
}

impl From<StateError> for StoreError {
    fn from(error: StateError) -> Self {
        match error {
            StateError::BadLeaf { key } => {
                Self::BadRow { table: "leaves", key: key.as_slice().to_vec() }
            }
            StateError::BalanceTooLarge { address, balance } => {
                Self::BalanceTooLarge { address, balance }
            }
            StateError::MissingCode { code_hash } => Self::MissingCode { code_hash },
        }
    }
}

impl revm::database_interface::DBErrorMarker for StoreError {}
