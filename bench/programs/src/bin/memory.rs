//! Memory: copies, fills, sums and a matrix, all larger than a page.
#![no_std]
#![no_main]

extern crate alloc;

use core::hint::black_box;
use programs::Random;

programs::program!(run);

const WORDS: usize = 16_384;

fn run() {
    let mut random = Random(3);
    let mut from = alloc::vec![0u64; WORDS];
    let mut to = alloc::vec![0u64; WORDS];
    from.fill_with(|| random.number());
    let mut sum = 0u64;
    for round in 0..12 {
        to.copy_from_slice(black_box(&from));
        to[round * 100..].fill(round as u64);
        sum = black_box(&to).iter().fold(sum, |sum, word| sum.wrapping_add(*word));
        sum =
            from.iter().zip(&to).fold(sum, |sum, (a, b)| sum.wrapping_mul(31).wrapping_add(a ^ b));
        from.reverse();
    }
    programs::write_number(sum);
    programs::write_number(matrix());
}

fn matrix() -> u64 {
    const N: usize = 48;
    let mut random = Random(5);
    let [a, b]: [[[u32; N]; N]; 2] = core::array::from_fn(|_| {
        core::array::from_fn(|_| core::array::from_fn(|_| random.number() as u32))
    });
    let mut sum = 0u64;
    for row in 0..N {
        for column in 0..N {
            let mut cell = 0u32;
            for k in 0..N {
                cell = cell.wrapping_add(black_box(&a)[row][k].wrapping_mul(b[k][column]));
            }
            sum = sum.wrapping_mul(3).wrapping_add(cell.into());
        }
    }
    sum
}
