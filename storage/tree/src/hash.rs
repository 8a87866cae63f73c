//! The tree's hash functions.

use crate::{KEY_LEN_MAX, poseidon};
use alloy_primitives::{B256, keccak256};

/// Bytes that are hashed at a time: a node has at most 133.
const MESSAGE_LEN_MAX: usize = (3 + KEY_LEN_MAX + 64).next_multiple_of(64);

/// A 256-bit hash function over bytes; the tree is generic over it, and over nothing else.
pub trait Hash: Copy + Send + Sync {
    /// Returns the hash of `input`.
    fn hash(self, input: &[u8]) -> B256;

    /// Hashes each message into its place in `out`.
    fn hash_all(self, messages: &[Message], out: &mut [B256]) {
        for (message, out) in messages.iter().zip(out) {
            *out = self.hash(message.as_slice());
        }
    }
}

/// A node's bytes, as they are hashed.
#[derive(Debug, Clone, Copy)]
pub struct Message {
    len: usize,
    /// Zero after the first `len`.
    bytes: [u8; MESSAGE_LEN_MAX],
}

impl Default for Message {
    fn default() -> Self {
        Self::new()
    }
}

impl Message {
    /// Returns a message of no bytes.
    pub const fn new() -> Self {
        Self { len: 0, bytes: [0; MESSAGE_LEN_MAX] }
    }

    /// Makes the message consist of the parts, 192 bytes at most.
    ///
    /// # Panics
    /// If there are more.
    pub fn set(&mut self, parts: &[&[u8]]) {
        let mut end = 0;
        for part in parts {
            self.bytes[end..end + part.len()].copy_from_slice(part);
            end += part.len();
        }
        self.end(end);
    }

    /// Gives the bytes to write a message of `len` bytes to.
    pub(crate) fn write(&mut self, len: usize) -> &mut [u8] {
        self.end(len);
        &mut self.bytes[..len]
    }

    fn end(&mut self, len: usize) {
        if len < self.len {
            self.bytes[len..self.len].fill(0);
        }
        self.len = len;
    }

    /// Returns the message's bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(feature = "std")]
impl lanes::Message for Message {
    fn bytes(&self) -> &[u8; lanes::LEN_MAX] {
        &self.bytes
    }

    fn len(&self) -> usize {
        self.len
    }
}

/// BLAKE3-256, the hash that EIP-8297 starts with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Blake3;

impl Hash for Blake3 {
    fn hash(self, input: &[u8]) -> B256 {
        B256::new(*blake3::hash(input).as_bytes())
    }

    fn hash_all(self, messages: &[Message], out: &mut [B256]) {
        #[cfg(feature = "std")]
        if lanes::hash_all(messages, out) {
            return;
        }
        for (message, out) in messages.iter().zip(out) {
            *out = self.hash(message.as_slice());
        }
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

    fn hash_all(self, messages: &[Message], out: &mut [B256]) {
        match self {
            Self::Blake3 => Blake3.hash_all(messages, out),
            Self::Keccak256 => Keccak256.hash_all(messages, out),
            Self::Poseidon2 => Poseidon2.hash_all(messages, out),
        }
    }
}
