//! What a chain is before its first block: forks, RISC-V gas schedule and limits, genesis state.
//!
//! Start at [`Genesis`]: it is read from a geth `genesis.json` with RISC-V additions
//! ([`Genesis::from_json`]) or made for a dev chain ([`Genesis::dev`]), and holds the [`ChainSpec`]
//! that the engine, the store and the node share. [`container`] is the form of RISC-V code in an
//! account. The file's format is described in `docs/genesis.md`.
//!
//! The crate does no I/O and needs no standard library.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod account;
pub mod container;
mod dev;
mod error;
mod file;
mod receipt;
mod riscv;
mod schedule;
mod spec;

pub use account::GenesisAccount;
pub use alloy_eips::{eip1559::BaseFeeParams, eip7840::BlobParams};
pub use alloy_genesis::ChainConfig;
pub use container::{Container, ContainerError};
pub use dev::{
    CREATE2_DEPLOYER, CREATE2_DEPLOYER_CODE, DEV_CHAIN_ID, DevOptions, MULTICALL3, fork_by_name,
};
pub use error::{GenesisError, Problem};
pub use file::Genesis;
pub use receipt::{TxReceipt, logs_bloom};
pub use revm::primitives::hardfork::SpecId;
pub use riscv::{RiscvGas, RiscvParams};
pub use spec::{ChainSpec, DAO_EXTRA_DATA, DAO_REFUND, Headers, TreeHash};
