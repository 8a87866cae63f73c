//! Chains as files: blocks of this node or of another client in, blocks out.
//!
//! Start with [`Chain::import_file`] and [`Chain::export_file`]. `file` reads and writes RLP,
//! `check` says what a header must be like, and the sequencer executes the blocks
//! (`sequencer/import.rs`). `docs/spec/block.md` says what is checked and what is kept.

mod check;
mod error;
mod file;

use std::path::{Path, PathBuf};

use alloy_consensus::transaction::SignerRecoverable;
use alloy_consensus::{Block, TxEnvelope};
use alloy_primitives::{Address, B256};
use genesis::{ChainSpec, SpecId};

pub(crate) use check::{expected, ommers, same, same_body};
pub use error::{FieldValue, ImportError, OmmerProblem};
pub use file::{BlockReader, BlockWriter};

use crate::accounts::stored_sender;
use crate::chain::{Chain, blocking};

/// Blocks that the sequencer takes at once.
const BATCH_BLOCKS: usize = 128;
/// Bytes of blocks that the sequencer takes at once.
const BATCH_BYTES: usize = 16 << 20;
/// Where the gas limit of blocks on top of another client's chain goes, step by step, if nothing
/// else is set: as other clients have it.
pub(crate) const FOREIGN_GAS_LIMIT: u64 = 60_000_000;
/// Name of the note in the store that holds the number of the newest imported block.
pub(crate) const IMPORTED_NOTE: &str = "imported";

/// A block to import, and who sent its transactions.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The block as it came.
    pub block: Block<TxEnvelope>,
    /// Sender of each transaction.
    pub senders: Vec<Address>,
    /// Bytes of the block's RLP.
    pub size: usize,
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Blocks added to the chain.
    pub added: u64,
    /// Blocks that the chain had.
    pub known: u64,
}

/// Which blocks to export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportRange {
    /// The first; the one after the genesis block if not given.
    pub first: Option<u64>,
    /// The last; the head if not given.
    pub last: Option<u64>,
}

impl Candidate {
    /// Recovers the senders.
    pub fn new(
        block: Block<TxEnvelope>,
        size: usize,
        spec: &ChainSpec,
    ) -> Result<Self, ImportError> {
        let number = block.header.number;
        let fork = spec.fork(number, block.header.timestamp);
        let sender = |(index, transaction): (usize, &TxEnvelope)| {
            let sender = match fork {
                // A dev chain has transactions of impersonated accounts.
                _ if !spec.is_ethereum() => stored_sender(transaction).ok(),
                // The two signatures of a message count as one from Homestead on (EIP-2).
                SpecId::FRONTIER => transaction.recover_signer_unchecked().ok(),
                _ => transaction.recover_signer().ok(),
            };
            sender.ok_or(ImportError::Signature { number, index })
        };
        let transactions = block.body.transactions.iter().enumerate();
        let senders = transactions.map(sender).collect::<Result<_, _>>()?;
        Ok(Self { block, senders, size })
    }
}

impl Chain {
    /// Adds the blocks of a file to the chain, those that it has already left out. When a block is
    /// wrong, those before it stay.
    pub async fn import_file(&self, path: PathBuf) -> Result<Imported, ImportError> {
        let mut reader = blocking(move || BlockReader::open(&path)).await??;
        let mut total = Imported::default();
        loop {
            let spec = self.spec().clone();
            let (next, batch, wrong) = blocking(move || read_batch(reader, &spec)).await?;
            reader = next;
            let is_last = batch.is_empty();
            if !is_last {
                let done = self.import(batch).await?;
                total.added += done.added;
                total.known += done.known;
            }
            match wrong {
                Some(error) => return Err(error),
                None if is_last => return Ok(total),
                None => {}
            }
        }
    }

    /// Adds blocks to the chain, in order, and answers once they are durable.
    pub async fn import(&self, blocks: Vec<Candidate>) -> Result<Imported, ImportError> {
        self.ask(move |sequencer| sequencer.import(blocks)).await
    }

    /// Writes blocks to a file, and says how many.
    pub async fn export_file(&self, path: PathBuf, range: ExportRange) -> Result<u64, ImportError> {
        let chain = self.clone();
        blocking(move || chain.write_blocks(&path, range)).await?
    }

    fn write_blocks(&self, path: &Path, range: ExportRange) -> Result<u64, ImportError> {
        let snapshot = self.shared.store().snapshot()?;
        let (genesis, head) = (snapshot.first(), snapshot.head());
        let first = range.first.unwrap_or(genesis + 1);
        let last = range.last.unwrap_or(head);
        // A chain of nothing but its genesis block has no blocks to write.
        let is_empty = range == ExportRange::default() && head == genesis;
        if !is_empty && (first > last || first < genesis || last > head) {
            return Err(ImportError::Range { first, last, genesis, head });
        }
        let mut writer = BlockWriter::create(path)?;
        for number in first..=last {
            let block = snapshot.block(number)?;
            let block = block.ok_or(crate::error::Failure::Missing { number })?;
            writer.write(&block.body().into_block(block.header.inner().clone()))?;
        }
        writer.finish()?;
        Ok((last + 1).saturating_sub(first))
    }

    /// The hash of the first block of a file's parent, or its own if it is a genesis block: it
    /// says on which genesis the file's chain is.
    pub fn genesis_of_file(path: &Path) -> Result<Option<(u64, B256)>, ImportError> {
        let first = BlockReader::open(path)?.read()?;
        Ok(first.map(|(block, _)| match block.header.number {
            0 => (0, block.header.hash_slow()),
            number => (number - 1, block.header.parent_hash),
        }))
    }
}

/// The next blocks, and the error after them if there is one.
fn read_batch(
    mut reader: BlockReader,
    spec: &ChainSpec,
) -> (BlockReader, Vec<Candidate>, Option<ImportError>) {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while batch.len() < BATCH_BLOCKS && bytes < BATCH_BYTES {
        let candidate = match reader.read() {
            Ok(Some((block, size))) => Candidate::new(block, size, spec),
            Ok(None) => break,
            Err(error) => Err(error),
        };
        match candidate {
            Ok(candidate) => {
                bytes += candidate.size;
                batch.push(candidate);
            }
            Err(error) => return (reader, batch, Some(error)),
        }
    }
    (reader, batch, None)
}
