//! Sorting: the library's sorts over numbers and strings, and binary searches.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{string::String, vec::Vec};
use programs::Random;

programs::program!(run);

fn run() {
    let mut random = Random(11);
    let numbers: Vec<u64> = (0..8_000).map(|_| random.number()).collect();
    let mut stable = numbers.clone();
    stable.sort();
    let mut unstable = numbers.clone();
    unstable.sort_unstable_by(|a, b| b.cmp(a));
    assert!(stable.iter().eq(unstable.iter().rev()));
    let found = numbers.iter().filter(|number| stable.binary_search(number).is_ok()).count();
    programs::write_number(found as u64);
    let mut names: Vec<String> =
        numbers.iter().take(1_500).map(|number| alloc::format!("{:x}", number % 99_991)).collect();
    names.sort_by_key(|name| (name.len(), name.clone()));
    for name in names.iter().step_by(150) {
        programs::write(name.as_bytes());
    }
}
