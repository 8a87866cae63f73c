//! Why a block or a file is refused.

use std::fmt;
use std::path::PathBuf;

use alloy_primitives::{B256, Bloom, Bytes, U256};
use storage::StoreError;

use crate::error::Failure;
use executor::{ExecutorError, PushError};

/// Why blocks were not imported or exported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A field of a block is not what it must be.
    #[error("block {number}: {field}: expected {expected}, got {actual}")]
    Field {
        /// The block's number.
        number: u64,
        /// The field, as JSON-RPC names it.
        field: &'static str,
        /// What it must be.
        expected: FieldValue,
        /// What it is.
        actual: FieldValue,
    },
    /// An ommer is not one that the block may have.
    #[error("block {number}: ommer {index}: {problem}")]
    Ommer {
        /// The block's number.
        number: u64,
        /// The ommer's place in the block.
        index: usize,
        /// What is wrong with it.
        problem: OmmerProblem,
    },
    /// A signature gives no sender.
    #[error("block {number}: transaction {index}: invalid signature")]
    Signature {
        /// The block's number.
        number: u64,
        /// The transaction's place in the block.
        index: usize,
    },
    /// A transaction cannot be where it is.
    #[error("block {number}: transaction {index}: {source}")]
    Transaction {
        /// The block's number.
        number: u64,
        /// The transaction's place in the block.
        index: usize,
        /// Why.
        source: Box<PushError<StoreError>>,
    },
    /// A system contract failed.
    #[error("block {number}: {source}")]
    Execution {
        /// The block's number.
        number: u64,
        /// Why.
        source: Box<ExecutorError<StoreError>>,
    },
    /// The chain has another block of this number.
    #[error("block {number}: the chain has {ours} there, the file {theirs}")]
    Conflict {
        /// The number.
        number: u64,
        /// Hash of the chain's block.
        ours: B256,
        /// Hash of the file's block.
        theirs: B256,
    },
    /// The state was changed by dev methods after the head.
    #[error("block {number}: the state was edited after block {}, and no block follows that", number - 1)]
    Edited {
        /// Number of the block to import.
        number: u64,
    },
    /// What is in the file is no block.
    #[error("{}: block {index} of the file, at byte {offset}: {source}", path.display())]
    Rlp {
        /// The file.
        path: PathBuf,
        /// The block's place in the file, from 0.
        index: u64,
        /// Where it begins in the file, unpacked.
        offset: u64,
        /// What is wrong.
        source: alloy_rlp::Error,
    },
    /// The file ends within a block.
    #[error(
        "{}: block {index} of the file, at byte {offset}: the file ends after {has} of its {size} bytes",
        path.display()
    )]
    CutOff {
        /// The file.
        path: PathBuf,
        /// The block's place in the file, from 0.
        index: u64,
        /// Where it begins in the file, unpacked.
        offset: u64,
        /// Bytes of the block that are there.
        has: u64,
        /// Bytes that the block should have.
        size: u64,
    },
    /// A block is larger than any block can be.
    #[error(
        "{}: block {index} of the file, at byte {offset}: {size} bytes, a block has at most {max}",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The block's place in the file, from 0.
        index: u64,
        /// Where it begins in the file, unpacked.
        offset: u64,
        /// Bytes of the block.
        size: u64,
        /// Most bytes of a block.
        max: u64,
    },
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// There are no such blocks to export.
    #[error("blocks {first} to {last} asked for: the chain has {genesis} to {head}")]
    Range {
        /// First block asked for.
        first: u64,
        /// Last block asked for.
        last: u64,
        /// The genesis block.
        genesis: u64,
        /// The head.
        head: u64,
    },
    /// The node failed.
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl From<StoreError> for ImportError {
    fn from(error: StoreError) -> Self {
        Self::Failure(error.into())
    }
}

/// Why a header is no ommer of a block.
#[derive(Debug, thiserror::Error)]
pub enum OmmerProblem {
    /// It is an ommer of an earlier block already, or twice of this one.
    #[error("{hash} is an ommer already")]
    Twice {
        /// Its hash.
        hash: B256,
    },
    /// It is on the chain itself.
    #[error("{hash} is an ancestor of the block")]
    Ancestor {
        /// Its hash.
        hash: B256,
    },
    /// Its parent is none of the block's ancestors within reach.
    #[error("its parent {parent} is not among the {depth} ancestors before the block's parent")]
    Dangling {
        /// Its parent's hash.
        parent: B256,
        /// How many ancestors it may be.
        depth: u64,
    },
    /// Its header is wrong.
    #[error("{0}")]
    Header(Box<ImportError>),
}

/// What a field of a block is, or must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    /// Not there.
    None,
    /// There, whatever it is.
    Some,
    /// A number.
    Number(u64),
    /// A number of 256 bits.
    Word(U256),
    /// A hash or another 32 bytes.
    Hash(B256),
    /// Bytes.
    Bytes(Bytes),
    /// A bloom.
    Bloom(Box<Bloom>),
    /// A number above this one.
    Above(u64),
    /// A number up to this one.
    AtMost(u64),
    /// A number between these two, which may be them.
    Between(u64, u64),
}

impl fmt::Display for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Some => f.write_str("one"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Word(word) => write!(f, "{word}"),
            Self::Hash(hash) => write!(f, "{hash}"),
            Self::Bytes(bytes) => write!(f, "{bytes}"),
            Self::Bloom(bloom) => write!(f, "{bloom}"),
            Self::Above(number) => write!(f, "more than {number}"),
            Self::AtMost(number) => write!(f, "at most {number}"),
            Self::Between(low, high) => write!(f, "{low} to {high}"),
        }
    }
}

impl From<Option<u64>> for FieldValue {
    fn from(number: Option<u64>) -> Self {
        number.map_or(Self::None, Self::Number)
    }
}

impl From<Option<B256>> for FieldValue {
    fn from(hash: Option<B256>) -> Self {
        hash.map_or(Self::None, Self::Hash)
    }
}
