//! Big numbers: factorials, powers modulo a prime of 256 bits, the digits of e.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;

programs::program!(run);

fn run() {
    let mut factorial = alloc::vec![1u64];
    for n in 2..=300 {
        multiply(&mut factorial, n);
    }
    let bytes: Vec<u8> = factorial.iter().flat_map(|limb| limb.to_be_bytes()).collect();
    programs::write(&bytes);
    programs::write(&power([3, 5, 7, 11], [u64::MAX - 1, 2, 3, 4]).map(u64::to_be_bytes).concat());
    programs::write(&digits_of_e(300));
}

fn multiply(limbs: &mut Vec<u64>, by: u64) {
    let mut carry = 0;
    for limb in limbs.iter_mut() {
        let product = u128::from(*limb) * u128::from(by) + u128::from(carry);
        *limb = product as u64;
        carry = (product >> 64) as u64;
    }
    if carry != 0 {
        limbs.push(carry);
    }
}

/// A power modulo 2^256 - 189, lowest limb first.
fn power(base: [u64; 4], exponent: [u64; 4]) -> [u64; 4] {
    let mut result = [1, 0, 0, 0];
    for bit in (0..256).rev() {
        result = product(result, result);
        if exponent[bit / 64] >> (bit % 64) & 1 == 1 {
            result = product(result, base);
        }
    }
    result
}

fn product(a: [u64; 4], b: [u64; 4]) -> [u64; 4] {
    let mut wide = [0u64; 8];
    for (i, a) in a.into_iter().enumerate() {
        let mut carry = 0u64;
        for (j, b) in b.into_iter().enumerate() {
            let sum = u128::from(a) * u128::from(b) + u128::from(wide[i + j]) + u128::from(carry);
            wide[i + j] = sum as u64;
            carry = (sum >> 64) as u64;
        }
        wide[i + 4] = carry;
    }
    let mut low: [u64; 4] = core::array::from_fn(|n| wide[n]);
    let mut high: [u64; 4] = core::array::from_fn(|n| wide[n + 4]);
    while high != [0; 4] {
        let mut carry = 0u64;
        for (low, high) in low.iter_mut().zip(&mut high) {
            let sum = u128::from(*high) * 189 + u128::from(*low) + u128::from(carry);
            *low = sum as u64;
            carry = (sum >> 64) as u64;
        }
        high = [carry, 0, 0, 0];
    }
    low
}

fn digits_of_e(count: usize) -> Vec<u8> {
    let mut remainders = alloc::vec![1u32; count + 10];
    let mut digits = Vec::new();
    for _ in 0..count {
        let mut carry = 0;
        for (n, remainder) in remainders.iter_mut().enumerate().rev() {
            let value = *remainder * 10 + carry;
            let divisor = n as u32 + 2;
            *remainder = value % divisor;
            carry = value / divisor;
        }
        digits.push(b'0' + carry as u8);
    }
    digits
}
