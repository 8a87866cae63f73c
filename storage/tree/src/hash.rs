//! The tree's hash function.

use alloy_primitives::B256;

/// A 256-bit hash function over bytes; the tree is generic over it.
pub trait Hash {
    /// Returns the hash of `input`.
    fn hash(input: &[u8]) -> B256;
}

/// BLAKE3-256, the hash that EIP-8297 starts with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Blake3;

impl Hash for Blake3 {
    fn hash(input: &[u8]) -> B256 {
        B256::new(*blake3::hash(input).as_bytes())
    }
}
