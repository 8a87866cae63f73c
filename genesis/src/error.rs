//! Why a genesis file is refused.

use alloc::string::String;

use revm::primitives::hardfork::SpecId;

use crate::ContainerError;

/// A genesis file that can't be used: the path of the field and what is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// The file is not JSON, or a field has the wrong form.
    #[error("{path}: {source}")]
    Json {
        /// Path of the field, such as `alloc.0xab...cd.balance`.
        path: String,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// A field has the right form but can't be used.
    #[error("{path}: {problem}")]
    Field {
        /// Path of the field.
        path: String,
        /// What is wrong.
        problem: Problem,
    },
}

/// What is wrong with a well-formed field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// `code` starts with 0xef, which is neither EVM code nor a RISC-V container.
    #[error("code starts with 0xef but is no RISC-V container: {0}")]
    Code(ContainerError),
    /// `riscv` in a chain that starts before London.
    #[error("RISC-V code needs London or a later fork, but the chain starts at {fork}")]
    BeforeLondon {
        /// Fork of the genesis block.
        fork: SpecId,
    },
    /// An account with both `code` and `riscv`.
    #[error("an account has `code` or `riscv`, not both")]
    CodeAndRiscv,
    /// `riscvTail` without `riscv`.
    #[error("`riscvTail` needs `riscv`")]
    TailWithoutImage,
    /// An image over `imageSizeMax`.
    #[error("RISC-V image of {size} bytes is larger than config.riscv.imageSizeMax = {max}")]
    ImageSize {
        /// Bytes of the image.
        size: usize,
        /// The chain's limit.
        max: u32,
    },
    /// EIP-8297 keeps balances in 16 bytes.
    #[error("{balance} is 2^128 or more: the state tree cannot hold it")]
    Balance {
        /// The balance in wei.
        balance: alloy_primitives::U256,
    },
    /// Two spellings of one address.
    #[error("the account is given twice")]
    Twice,
    /// An activation key for a fork that does not exist here.
    #[error("no fork of this name is known")]
    UnknownFork,
    /// A fork that is known by name only.
    #[error("this fork is not supported, Amsterdam is the newest that is")]
    UnsupportedFork,
    /// A fork without the one before it.
    #[error("is set, but {earlier} is not")]
    ForkMissing {
        /// The key that is missing.
        earlier: &'static str,
    },
    /// A fork that comes before the one it builds on.
    #[error("{at} comes before {earlier} = {earlier_at}")]
    ForkOrder {
        /// Activation of this fork.
        at: u64,
        /// The key of the fork that has to come first.
        earlier: &'static str,
        /// Its activation.
        earlier_at: u64,
    },
    /// Forks by time, but nothing says at which block the merge is.
    #[error(
        "is needed: the chain has forks by time, and terminalTotalDifficulty = {difficulty} does \
         not say at which block the merge is"
    )]
    MergeBlock {
        /// The terminal total difficulty given.
        difficulty: alloy_primitives::U256,
    },
    /// A number that must not be zero.
    #[error("must be at least 1")]
    Zero,
    /// A blob target above the maximum.
    #[error("target {target} is above max {max}")]
    BlobTarget {
        /// Blobs aimed at.
        target: u64,
        /// Blobs allowed.
        max: u64,
    },
    /// Init code limit under the image limit.
    #[error("{init_code_size_max} is below imageSizeMax = {image_size_max}")]
    InitCodeBelowImage {
        /// Limit of init code.
        init_code_size_max: u32,
        /// Limit of images.
        image_size_max: u32,
    },
}

impl Problem {
    pub(crate) const fn at(self, path: String) -> GenesisError {
        GenesisError::Field { path, problem: self }
    }
}
