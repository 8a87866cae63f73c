//! What the 32 bytes of a leaf mean: basic data, delegations, chunks of code.

use crate::Value;
use alloc::vec::Vec;
use alloy_primitives::{Address, B256, U256};

const CHUNK_CODE_LEN: usize = 31;
const PUSH1: u8 = 0x60;
const PUSH32: u8 = 0x7f;
const DELEGATION_PREFIX: [u8; 3] = [0xef, 0x01, 0x00];

/// The leaf that holds an account's code size, nonce and balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BasicData {
    /// Size of the account's code in bytes, 23 for a delegation.
    pub code_size: u32,
    /// Nonce.
    pub nonce: u64,
    /// Balance in wei.
    pub balance: u128,
}

/// A leaf that is not a basic data leaf of a known version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("basic data of version {version}, reserved bytes {reserved:?}; only version 0 is known")]
pub struct BasicDataError {
    version: u8,
    reserved: [u8; 3],
}

impl BasicData {
    /// Returns the leaf's 32 bytes.
    pub fn encode(&self) -> Value {
        let mut leaf = [0; 32];
        leaf[4..8].copy_from_slice(&self.code_size.to_be_bytes());
        leaf[8..16].copy_from_slice(&self.nonce.to_be_bytes());
        leaf[16..].copy_from_slice(&self.balance.to_be_bytes());
        leaf.into()
    }

    /// Reads a leaf.
    pub fn decode(leaf: &Value) -> Result<Self, BasicDataError> {
        let [version, a, b, c, rest @ ..] = leaf.0;
        if [version, a, b, c] != [0; 4] {
            return Err(BasicDataError { version, reserved: [a, b, c] });
        }
        let number = U256::from_be_slice(&rest);
        let limbs = number.as_limbs();
        Ok(Self {
            code_size: limbs[3] as u32,
            nonce: limbs[2],
            balance: (u128::from(limbs[1]) << 64) | u128::from(limbs[0]),
        })
    }
}

/// Returns the leaf of an account that delegates to `target`.
pub fn delegation(target: Address) -> Value {
    let mut leaf = B256::ZERO;
    leaf[..3].copy_from_slice(&DELEGATION_PREFIX);
    leaf[3..23].copy_from_slice(target.as_slice());
    leaf
}

/// Returns the target if `code` is an EIP-7702 delegation, or a leaf that holds one.
pub fn delegation_target(code: &[u8]) -> Option<Address> {
    let target = code.strip_prefix(&DELEGATION_PREFIX)?;
    match target.len() {
        20 => Some(Address::from_slice(target)),
        29 if target[20..] == [0; 9] => Some(Address::from_slice(&target[..20])),
        _ => None,
    }
}

/// How code is cut into chunks of 32 bytes: byte 0 differs, 31 bytes of code follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunking {
    /// Byte 0 counts the leading bytes that are data of an earlier PUSH.
    Evm,
    /// Byte 0 is zero: code that has no PUSH, such as RISC-V images.
    Plain,
}

/// Cuts `code` into chunks. Chunks of 32 zero bytes have no leaf; the caller leaves them out.
pub fn chunks(code: &[u8], chunking: Chunking) -> Vec<Value> {
    // The next opcode. It is never before the chunk at hand: what lies between is PUSH data.
    let mut at = 0;
    code.chunks(CHUNK_CODE_LEN)
        .enumerate()
        .map(|(index, slice)| {
            let start = index * CHUNK_CODE_LEN;
            let mut chunk = B256::ZERO;
            chunk[1..=slice.len()].copy_from_slice(slice);
            if chunking == Chunking::Evm {
                chunk[0] = (at - start).min(CHUNK_CODE_LEN) as u8;
                while at < start + slice.len() {
                    at += match code[at] {
                        op @ PUSH1..=PUSH32 => 2 + usize::from(op - PUSH1),
                        _ => 1,
                    };
                }
            }
            chunk
        })
        .collect()
}
