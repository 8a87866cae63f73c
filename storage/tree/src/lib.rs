//! The partitioned binary tree of EIP-8297 (draft of 2026-08-22): leaves in, root out.
//!
//! Start with [`Tree`], the compressed radix tree over raw keys; [`Key`] says where in it an
//! account's fields, slots and code lie, and `embed` what the 32 bytes there mean. The crate does
//! no I/O and is `no_std`: one day a block is re-executed by the node's own RISC-V engine.
//!
//! The draft's hash is not final, so everything is generic over [`Hash`], and over nothing else.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod branches;
mod embed;
mod fold;
mod hash;
mod key;
mod partial;
mod plan;
mod poseidon;
mod proof;
mod reveal;
mod tree;

pub use embed::{BasicData, BasicDataError, Chunking, chunks, delegation, delegation_target};
pub use fold::{Below, FOLD_LEAVES_MAX, Fold, FoldChanges, Leaves, WrongLeaves};
pub use hash::{Blake3, Hash, HashFunction, Keccak256, Message, Poseidon2};
pub use key::{CODE_ZONE, HEADER_ZONE, KEY_LEN_MAX, Key, STORAGE_ZONE, Stem, sub};
pub use partial::{Hidden, PartialTree};
pub use proof::{
    PROOF_LEN_MAX, ProofError, ProvenAccount, account_keys, verify, verify_account, verify_slot,
};
pub use reveal::{DecodeError, Wanted};
pub use tree::{Tree, Update, Value};
