//! Random programs against ckb-vm: the same file gives the same registers and memory.

mod peers;

use peers::{output_of_ckb, output_of_tandem};
use tandem_bench::random_program;

const PROGRAMS: u64 = 300;

#[test]
fn random_programs_agree_with_ckb() {
    for number in 0..PROGRAMS {
        let file = random_program(number);
        let (here, there) = (output_of_tandem(&file), output_of_ckb(&file));
        let differs = here.iter().zip(&there).position(|(a, b)| a != b);
        assert_eq!((here.len(), differs), (there.len(), None), "program {number}");
    }
}
