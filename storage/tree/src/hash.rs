//! The tree's hash functions.

use crate::poseidon;
use alloy_primitives::{B256, keccak256};

/// A 256-bit hash function over bytes; the tree is generic over it, and over nothing else.
pub trait Hash: Copy {
    /// Returns the hash of `input`.
    fn hash(self, input: &[u8]) -> B256;
}

/// BLAKE3-256, the hash that EIP-8297 starts with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Blake3;

impl Hash for Blake3 {
    fn hash(self, input: &[u8]) -> B256 {
        B256::new(*blake3::hash(input).as_bytes())
    }
}

/// Keccak-256, as Ethereum uses it elsewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keccak256;

impl Hash for Keccak256 {
    fn hash(self, input: &[u8]) -> B256 {
        keccak256(input)
    }
}

/// Poseidon2 over the KoalaBear field, with this project's encoding of bytes. Experimental.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Poseidon2;

impl Hash for Poseidon2 {
    fn hash(self, input: &[u8]) -> B256 {
        poseidon::hash(input)
    }
}

/// The hash of a chain's tree, as its genesis chooses it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HashFunction {
    /// [`Blake3`].
    #[default]
    Blake3,
    /// [`Keccak256`].
    Keccak256,
    /// [`Poseidon2`].
    Poseidon2,
}

impl HashFunction {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Blake3, Self::Keccak256, Self::Poseidon2];
}

impl Hash for HashFunction {
    fn hash(self, input: &[u8]) -> B256 {
        match self {
            Self::Blake3 => Blake3.hash(input),
            Self::Keccak256 => Keccak256.hash(input),
            Self::Poseidon2 => Poseidon2.hash(input),
        }
    }
}
