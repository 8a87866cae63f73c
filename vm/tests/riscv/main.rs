//! The RISC-V machine through its public API.

extern crate tandem_vm as vm;

#[allow(dead_code)]
mod asm;
mod differential;
mod disassembly;
mod elf;
mod gas;
mod guest;
mod hostile;
mod instructions;
mod memory;
mod random;
