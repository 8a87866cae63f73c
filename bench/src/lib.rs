//! Guest programs that the RISC-V benches and differential tests run, assembled here.

#[path = "../../vm/tests/riscv/asm.rs"]
#[allow(missing_docs, dead_code)]
mod asm;
pub mod guests;
