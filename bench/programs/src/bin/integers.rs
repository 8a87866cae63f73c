//! Integer loops: a sieve of primes, the Collatz conjecture, greatest common divisors.
#![no_std]
#![no_main]

extern crate alloc;

programs::program!(run);

fn run() {
    programs::write_number(primes(60_000));
    programs::write_number(collatz(12_000));
    programs::write_number(divisors(700));
}

fn primes(limit: usize) -> u64 {
    let mut composite = alloc::vec![false; limit];
    let mut count = 0;
    for number in 2..limit {
        if !composite[number] {
            count += 1;
            for multiple in (number * number..limit).step_by(number) {
                composite[multiple] = true;
            }
        }
    }
    count
}

fn collatz(limit: u64) -> u64 {
    let length = |mut number: u64| {
        let mut steps = 0u64;
        while number != 1 {
            number = if number % 2 == 0 { number / 2 } else { 3 * number + 1 };
            steps += 1;
        }
        steps
    };
    (1..limit).map(length).max().unwrap_or_default()
}

fn divisors(limit: u64) -> u64 {
    let gcd = |mut a: u64, mut b: u64| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    (1..limit).map(|a| (1..a).filter(|b| gcd(a, *b) == 1).count() as u64).sum()
}
