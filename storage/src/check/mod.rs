//! Whether a database is sound: everything in it that can be computed from something else is.
//!
//! [`DataDir::open`] walks the file's pages, [`DataDir::verify`] then the blocks, the state with its
//! history, and what waits. Each part stops at the first thing wrong with it.

mod chain;
mod own;
pub(crate) mod pages;
mod state;
#[cfg(test)]
mod tests;
mod waiting;

use crate::{BadFile, DataDir, StoreError, mdbx, mdbx::Table};
use alloy_consensus::TxEnvelope;
use alloy_primitives::{Address, B256};
use genesis::{ChainSpec, Genesis};
use pages::{PageCount, PageFault};
use std::{fs::File, path::Path};

/// What a database is checked against.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The chain's genesis; of a forked chain its rules alone count.
    pub genesis: &'a Genesis,
    /// Whether the chain goes on from another one.
    pub forked: bool,
    /// Who a transaction of the chain is from, if that can be told.
    pub sender: fn(&TxEnvelope) -> Option<Address>,
}

impl Rules<'_> {
    const fn spec(&self) -> &ChainSpec {
        &self.genesis.spec
    }
}

/// What was looked at, and found sound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Pages of the file.
    pub pages: PageCount,
    /// The oldest block whose state is kept, and the newest block.
    pub states: (u64, u64),
    /// Blocks.
    pub blocks: u64,
    /// Transactions, each with its receipt.
    pub transactions: u64,
    /// Those of them that stand in an older block, too: a nonce was set back between the two.
    pub repeated: u64,
    /// Entries of the log index.
    pub log_entries: u64,
    /// Leaves of the newest state.
    pub leaves: u64,
    /// Older values of leaves.
    pub old_values: u64,
    /// State roots that were computed.
    pub roots: u64,
    /// Codes.
    pub codes: u64,
    /// Transactions that wait.
    pub waiting: u64,
    /// Savepoints.
    pub savepoints: u64,
}

/// Something that is not as it must be.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A row of a table.
    #[error("table {table}, key 0x{}: {what}", alloy_primitives::hex::encode(key))]
    Row {
        /// The table.
        table: &'static str,
        /// The row's key.
        key: Vec<u8>,
        /// What is wrong.
        what: &'static str,
    },
    /// A table has rows that nothing accounts for.
    #[error("table {table} has {rows} rows, {expected} belong there")]
    Rows {
        /// The table.
        table: &'static str,
        /// How many there are.
        rows: u64,
        /// How many there should be.
        expected: u64,
    },
    /// The state of a block has another root than it should.
    #[error("{what} {number}: the root is recorded as {recorded}, the leaves give {rebuilt}")]
    Root {
        /// What the state is that of.
        what: &'static str,
        /// The block.
        number: u64,
        /// The root as it is recorded.
        recorded: B256,
        /// The root as it comes out of the leaves.
        rebuilt: B256,
    },
    /// The database begins with another block than its genesis.
    #[error("the chain begins with block {stored}, its genesis gives {given}")]
    Genesis {
        /// Hash of the first block.
        stored: B256,
        /// Hash that the genesis gives.
        given: B256,
    },
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<mdbx::Error> for Fault {
    fn from(error: mdbx::Error) -> Self {
        Self::Store(error.into())
    }
}

fn row_fault(table: Table, key: &[u8], what: &'static str) -> Fault {
    Fault::Row { table: table.name(), key: key.to_vec(), what }
}

fn ensure_row(holds: bool, (table, key): (Table, &[u8]), what: &'static str) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(row_fault(table, key, what)) }
}

fn ensure_root(
    what: &'static str,
    number: u64,
    (recorded, rebuilt): (B256, B256),
) -> Result<(), Fault> {
    match recorded == rebuilt {
        true => Ok(()),
        false => Err(Fault::Root { what, number, recorded, rebuilt }),
    }
}

impl DataDir {
    /// Checks everything; gives what was checked, or all that was found wrong.
    pub fn verify(&self, rules: &Rules<'_>) -> Result<Verified, Vec<Fault>> {
        let mut verified = Verified { pages: self.pages, ..Verified::default() };
        let parts = [
            self.verify_chain(rules, &mut verified),
            self.verify_state(rules, &mut verified),
            self.verify_waiting(&mut verified),
            self.verify_own(rules),
        ];
        let faults: Vec<_> = parts.into_iter().filter_map(Result::err).collect();
        if faults.is_empty() { Ok(verified) } else { Err(faults) }
    }

    fn ensure_rows(&self, table: Table, expected: u64) -> Result<(), Fault> {
        let rows = self.tx.size(table)?.rows;
        if rows == expected {
            return Ok(());
        }
        Err(Fault::Rows { table: table.name(), rows, expected })
    }
}

/// Walks over the pages of a database file as of a commit.
pub(crate) fn walk_pages(path: &Path, commit: u64) -> Result<PageCount, StoreError> {
    let bad = |reason| StoreError::NotADatabase { path: path.into(), reason };
    let io = |source| StoreError::Io { path: path.into(), source };
    let file = File::open(path).map_err(io)?;
    match pages::walk(&file, commit) {
        Ok(count) => Ok(count),
        Err(PageFault::Page { page, what }) => Err(bad(BadFile::Page { page, what })),
        Err(PageFault::Io(source)) => Err(io(source)),
    }
}
