//! Random programs against ckb-vm: the same file gives the same registers and memory.
//!
//! `TANDEM_PROGRAMS` says how many, `TANDEM_PROGRAMS_FROM` which is the first.

mod peers;

use peers::{output_of_ckb, output_of_tandem};
use tandem_bench::random_program;

/// How many unless told otherwise.
const PROGRAMS: u64 = 300;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn random_programs_agree_with_ckb() {
    let first = number("TANDEM_PROGRAMS_FROM", 0);
    for number in first..first + number("TANDEM_PROGRAMS", PROGRAMS) {
        let file = random_program(number);
        let (here, there) = (output_of_tandem(&file), output_of_ckb(&file));
        let differs = here.iter().zip(&there).position(|(a, b)| a != b);
        assert_eq!((here.len(), differs), (there.len(), None), "program {number}");
    }
}
