//! How many hashes of nodes a core does.

use alloy_primitives::B256;
use blake3::{IncrementCounter, platform::Platform};
use std::time::Instant;
use tree::{Blake3, Hash, Message};

/// Hashes of one measurement.
const COUNT: usize = 4_096;
const ROUNDS: usize = 200;

/// What a core can do: BLAKE3's own code over as many inputs of two whole blocks side by side as
/// its registers take, a second. A node is one to three blocks, most are two.
pub fn limit() -> f64 {
    const KEY: [u32; 8] = [0; 8];
    let inputs: Vec<[u8; 128]> = (0..COUNT).map(|index| [index as u8; 128]).collect();
    let inputs: Vec<_> = inputs.iter().collect();
    let mut out = vec![0; COUNT * 32];
    let platform = Platform::detect();
    best(|| platform.hash_many(&inputs, &KEY, 0, IncrementCounter::No, 0, 1, 10, &mut out))
}

/// BLAKE3 of one node after the other, a second.
pub fn one_by_one() -> f64 {
    let inputs: Vec<[u8; 67]> = (0..COUNT).map(|index| [index as u8; 67]).collect();
    best(|| {
        for input in &inputs {
            std::hint::black_box(blake3::hash(input));
        }
    })
}

/// BLAKE3 of nodes as the tree hashes them, side by side, a second.
pub fn of_the_tree() -> f64 {
    let mut messages = vec![Message::new(); COUNT];
    for (index, message) in messages.iter_mut().enumerate() {
        message.set(&[&[index as u8; 67]]);
    }
    let mut out = vec![B256::ZERO; COUNT];
    best(|| Blake3.hash_all(&messages, &mut out))
}

fn best(mut run: impl FnMut()) -> f64 {
    let times = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    });
    COUNT as f64 / times.fold(f64::MAX, f64::min)
}
