//! What the benches and comparisons with other engines share: programs assembled here, and rates of
//! hashing.

#[path = "../../vm/tests/riscv/asm.rs"]
#[expect(dead_code, reason = "the tests of the machine use more of it")]
mod asm;
pub mod guests;
pub mod programs;
#[path = "../../vm/tests/riscv/random.rs"]
mod random;
pub mod rates;

/// A random program, the same for the same number. It writes its registers and memory by `ecall`
/// number 64 (pointer in `a1`, length in `a2`) and ends by `ecall` number 93.
pub fn random_program(number: u64) -> Vec<u8> {
    random::program(number, true)
}
