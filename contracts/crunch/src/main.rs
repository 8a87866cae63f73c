//! Work that the EVM has no instruction and no precompile for: a hash function, a signature scheme,
//! numbers of any size, sorting. Here they are crates from the shelf and plain Rust.
//!
//! `Crunch.sol` beside this file is its twin: the same ABI.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::vec;
use core::mem;

use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use tandem_kit::prelude::*;

#[storage]
pub struct Crunch {}

#[contract]
impl Crunch {
    pub fn blake3(data: Bytes) -> Word {
        Word::new(*blake3::hash(&data.0).as_bytes())
    }

    /// Whether a Merkle tree of BLAKE3 hashes has the leaf: the bits of `index` say on which side.
    #[name("verifyBlake3")]
    pub fn verify_blake3(root: Word, leaf: Word, index: u64, proof: Vec<Word>) -> bool {
        let mut hash = leaf;
        for (level, other) in proof.iter().enumerate() {
            let is_right = index.checked_shr(level as u32).unwrap_or(0) & 1 == 1;
            let [left, right] = if is_right { [other, &hash] } else { [&hash, other] };
            let mut hasher = blake3::Hasher::new();
            hasher.update(left.bytes()).update(right.bytes());
            hash = Word::new(*hasher.finalize().as_bytes());
        }
        hash == root
    }

    /// Whether `r` and `s` are the signature of `message` by `key` (RFC 8032).
    #[name("verifyEd25519")]
    pub fn verify_ed25519(key: Word, r: Word, s: Word, message: Bytes) -> bool {
        let signature = Signature::from_components(*r.bytes(), *s.bytes());
        VerifyingKey::from_bytes(key.bytes())
            .is_ok_and(|key| key.verify(&message.0, &signature).is_ok())
    }

    /// The hash of the Fibonacci number `n`, all of it: big-endian, in whole words of 32 bytes.
    pub fn fibonacci(n: u64) -> Word {
        // 0.6943 bits a step, in limbs of 64 bits, the lowest first.
        let words = n as usize * 6943 / 2_560_000 + 1;
        let (mut a, mut b) = (vec![0; 4 * words], vec![0; 4 * words]);
        b[0] = 1;
        for _ in 0..n {
            add_to(&mut a, &b);
            mem::swap(&mut a, &mut b);
        }
        let used = a.chunks_exact(4).rposition(|word| word != [0; 4]).unwrap_or(0) + 1;
        let limbs = a[..4 * used].iter().rev();
        keccak256(&limbs.flat_map(|limb| limb.to_be_bytes()).collect::<Vec<u8>>())
    }

    /// Sorts `count` numbers that follow from the seed; the smallest, the middle and the largest.
    pub fn sort_random(mut seed: u64, count: u64) -> (u64, u64, u64) {
        let mut numbers = vec![0; count as usize];
        for number in &mut numbers {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            *number = seed;
        }
        numbers.sort_unstable();
        (numbers[0], numbers[numbers.len() / 2], numbers[numbers.len() - 1])
    }

    pub fn sorted(mut numbers: Vec<u64>) -> Vec<u64> {
        numbers.sort_unstable();
        numbers
    }
}

/// Adds `b` to `a`, limb by limb.
fn add_to(a: &mut [u64], b: &[u64]) {
    let mut carry = false;
    for (x, y) in a.iter_mut().zip(b) {
        let (sum, first) = x.overflowing_add(*y);
        let (sum, second) = sum.overflowing_add(carry.into());
        (*x, carry) = (sum, first | second);
    }
}

entry!(Crunch);
