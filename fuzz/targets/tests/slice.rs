//! Every target over its seeds and over inputs made of them by chance: a slice of what `cargo fuzz`
//! does for as long as one likes.
//!
//! `TANDEM_FUZZ_ROUNDS` says how many inputs each target gets, `TANDEM_FUZZ_SEED` where the chance
//! begins. `TANDEM_FUZZ_CORPUS=DIR` writes the seeds to `DIR/TARGET`, where `cargo fuzz` looks.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{env, fs, panic, path::PathBuf};

use tandem_fuzz_targets::{TARGETS, Target};

/// Inputs of each target unless told otherwise.
const ROUNDS: u64 = 300;

/// A small generator of random numbers (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// A seed with a few bytes changed, cut, doubled or put in from another seed.
fn mutate(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = seeds[random.below(seeds.len())].clone();
    for _ in 0..1 + random.below(6) {
        let at = random.below(input.len());
        match random.below(7) {
            _ if input.is_empty() => input.push(random.next() as u8),
            0 => input[at] ^= 1 << random.below(8),
            1 => input[at] = random.next() as u8,
            2 => input[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            3 => input.truncate(at),
            4 => input.insert(at, random.next() as u8),
            5 => drop(input.remove(at)),
            _ => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len());
                let length = random.below(other.len() - from).min(64);
                input.splice(at..at, other[from..from + length].iter().copied());
            }
        }
    }
    input
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn check(target: &Target) {
    let seeds = (target.seeds)();
    let mut random = Random(number("TANDEM_FUZZ_SEED", 0));
    let mutated = (0..number("TANDEM_FUZZ_ROUNDS", ROUNDS)).map(|_| mutate(&seeds, &mut random));
    for input in seeds.iter().cloned().chain(mutated) {
        let outcome = panic::catch_unwind(|| (target.check)(&input));
        assert!(outcome.is_ok(), "{} fails for {:02x?}", target.name, input);
    }
}

#[test]
fn targets_do_as_they_should() {
    for target in TARGETS {
        check(target);
    }
}

#[test]
fn seeds_can_be_written() {
    let folder = env::var_os("TANDEM_FUZZ_CORPUS").map(PathBuf::from);
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{}", target.name);
        let Some(folder) = &folder else { continue };
        let folder = folder.join(target.name);
        fs::create_dir_all(&folder).unwrap();
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{number}")), seed).unwrap();
        }
    }
}
