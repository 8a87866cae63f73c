//! SHA-256 of 64 KiB, chained.
#![no_std]
#![no_main]

extern crate alloc;

use sha2::{Digest, Sha256};

programs::program!(run);

fn run() {
    let mut data = [7u8; 4096];
    for _ in 0..64 {
        let digest = Sha256::digest(data);
        data[..32].copy_from_slice(&digest);
    }
    programs::write(&data[..32]);
}
