//! Why the forked chain could not be asked, or had no answer.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use storage::StoreError;

use super::remote::retryable;

/// A request to the forked chain that failed for good.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{method} at {url} failed after {attempts} {}: {reason}", attempts_word(*attempts))]
pub struct RemoteError {
    /// The method asked for.
    pub method: String,
    /// Scheme, host and port.
    pub url: String,
    /// How often it was asked.
    pub attempts: u32,
    /// What came of the last attempt.
    pub reason: Box<Reason>,
}

const fn attempts_word(attempts: u32) -> &'static str {
    if attempts == 1 { "attempt" } else { "attempts" }
}

/// What came of one attempt.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Reason {
    /// There is nobody to ask.
    #[error("no fork_url was given, and the cache does not have it")]
    NoUrl,
    /// It took too long.
    #[error("timed out after {millis} ms")]
    Timeout {
        /// How long an attempt may take.
        millis: u128,
    },
    /// There was no connection, or it broke.
    #[error("{0}")]
    Transport(String),
    /// The answer is too large.
    #[error("the answer has more than {limit} bytes")]
    Size {
        /// Most bytes.
        limit: u64,
    },
    /// HTTP says no.
    #[error("HTTP status {status}: {text}")]
    Status {
        /// The status.
        status: u16,
        /// How the body begins.
        text: String,
        /// When to come back.
        retry_after: Option<Duration>,
    },
    /// The answer is no JSON-RPC.
    #[error("no JSON-RPC answer: {error}: {text:?}")]
    Garbage {
        /// What is wrong with it.
        error: String,
        /// How it begins.
        text: String,
    },
    /// The node takes no batches.
    #[error("{0}")]
    NoBatch(Box<Reason>),
    /// An answer of a batch is not there.
    #[error("the batch has no answer to it")]
    Missing,
    /// The node answers with an error.
    #[error("{message} (code {code})")]
    Error {
        /// JSON-RPC's code.
        code: i64,
        /// What it says.
        message: String,
        /// What else it says.
        data: Option<Value>,
    },
    /// The result is not what the method gives.
    #[error("the result is not what the method gives: {error}: {got}")]
    Result {
        /// What is wrong with it.
        error: String,
        /// How it begins.
        got: String,
    },
    /// The thread that asked is gone.
    #[error("the request was given up")]
    GivenUp,
}

impl Reason {
    /// Whether the same request may do better later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Transport(_) | Self::Garbage { .. } | Self::Missing => {
                true
            }
            Self::Status { status, .. } => retryable(*status),
            Self::Error { .. } => self.is_rate_limit() || self.is_unsettled(),
            Self::NoUrl
            | Self::NoBatch(_)
            | Self::Size { .. }
            | Self::Result { .. }
            | Self::GivenUp => false,
        }
    }

    /// Whether the provider says that it is asked too much, in the words of the large ones.
    pub(super) fn is_rate_limit(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status == 429,
            Self::Error { code, message, .. } => {
                const WORDS: [&str; 7] = [
                    "rate limit",
                    "rate exceeded",
                    "too many requests",
                    "credits limited",
                    "request limit",
                    "compute units",
                    "maximum number of concurrent requests",
                ];
                let message = message.to_ascii_lowercase();
                [429, -32005, -32055].contains(code)
                    || WORDS.iter().any(|words| message.contains(words))
            }
            _ => false,
        }
    }

    /// Whether a node behind a load balancer has not seen the block yet.
    fn is_unsettled(&self) -> bool {
        matches!(self, Self::Error { message, .. } if message == "header not found")
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Error { data: Some(data), .. } => {
                let rate = data.pointer("/rate/backoff_seconds").or(data.get("backoff_seconds"));
                rate.and_then(Value::as_f64).and_then(|s| Duration::try_from_secs_f64(s).ok())
            }
            _ => None,
        }
    }
}

impl From<RemoteError> for StoreError {
    fn from(error: RemoteError) -> Self {
        Self::Forked(Box::new(error))
    }
}

/// A block of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The chain's id.
    pub chain_id: u64,
    /// The block's number.
    pub number: u64,
    /// The block's hash, if it is known.
    pub hash: Option<alloy_primitives::B256>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "chain {} at block {}", self.chain_id, self.number)?;
        self.hash.map_or(Ok(()), |hash| write!(f, " ({hash})"))
    }
}

/// Why a chain can't be forked.
#[derive(Debug, thiserror::Error)]
pub enum ForkError {
    /// An address that can't be asked.
    #[error("fork_url {shown}: {problem}")]
    Url {
        /// The address without its secrets.
        shown: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file of trusted certificates that can't be used.
    #[error("SSL_CERT_FILE {}: {problem}", path.display())]
    Roots {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A header that can't be sent.
    #[error("fork_header {name:?}: not `Name: value`")]
    Header {
        /// Its name, or what stands for it.
        name: String,
    },
    /// The node was asked in vain.
    #[error("forking: {0}")]
    Remote(#[from] RemoteError),
    /// The block is not there.
    #[error("forking: {url} has no block {number}, its newest is {newest}")]
    NoBlock {
        /// Who was asked.
        url: String,
        /// The block wanted.
        number: u64,
        /// The newest block.
        newest: u64,
    },
    /// The transaction is not there, or in no block yet.
    #[error("forking: {url} has no block with transaction {hash}")]
    NoTransaction {
        /// Who was asked.
        url: String,
        /// The transaction wanted.
        hash: alloy_primitives::B256,
    },
    /// More blocks back than there are.
    #[error("fork_block_number: {back} blocks back from block {newest}")]
    BeforeFirst {
        /// How far back.
        back: u64,
        /// The newest block.
        newest: u64,
    },
    /// Another chain or block than the one that the data directory was forked from.
    #[error(
        "{} holds a fork of {kept}, not of {given}: use another data directory", path.display()
    )]
    OtherFork {
        /// The data directory.
        path: PathBuf,
        /// Where its fork point is.
        kept: Box<Place>,
        /// Where the one asked for is.
        given: Box<Place>,
    },
    /// A file of the fork can't be used.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: std::io::Error,
    },
    /// The file that describes the fork does not.
    #[error("{}: it does not describe a fork: {problem}", path.display())]
    Kept {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The cache in a directory can't be opened.
    #[error(
        "the cache of fetched state in {}: {source}; remove the directory, or leave it alone with \
         --no-storage-caching",
        path.display()
    )]
    OpenCache {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        source: StoreError,
    },
    /// The cache can't be used.
    #[error("the cache of fetched state: {0}")]
    Cache(StoreError),
    /// The chain is kept in a directory, which stays with its fork.
    #[error("a chain in a data directory can't be forked anew: start a node on another directory")]
    Fixed,
}
