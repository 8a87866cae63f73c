//! keccak-256 of 64 KiB and more, chained.
#![no_std]
#![no_main]

extern crate alloc;

use sha3::{Digest, Keccak256};

programs::program!(run);

fn run() {
    let mut data = [7u8; 4096];
    for _ in 0..24 {
        let digest = Keccak256::digest(data);
        data[..32].copy_from_slice(&digest);
    }
    programs::write(&data[..32]);
}
