//! The RISC-V machine: RV64IMAC, Zba, Zbb, Zbc, Zbs, as `docs/spec/riscv-abi.md` fixes it.
//!
//! It knows nothing of revm, accounts or blocks. Start at [`Image::load`], which turns an ELF file
//! into pre-decoded instructions with the gas of every straight run, and at [`Machine::run`], which
//! executes them until the guest makes a system call, runs out of gas, or traps.
//!
//! | file | holds |
//! |---|---|
//! | `elf.rs` | the strict loader: bytes to segments |
//! | `instruction.rs` `decode.rs` `compressed.rs` `bitmanip.rs` | instructions and their encodings |
//! | `image.rs` `lower.rs` `op.rs` `fuse.rs` | segments to the ops of the interpreter, with block costs |
//! | `cpu.rs` `steps.rs` | the interpreter, and what each instruction does in it |
//! | `machine.rs` `memory.rs` `pool.rs` | one running frame, its memory, and what frames reuse |
//! | `gas.rs` | the price of an instruction; gas to units and back |
//! | `trap.rs` | why a frame failed |
//! | `disasm.rs` | text for people |
//! | `syscall.rs` `strip.rs` | system calls, and how they run revm's instructions |
//! | `crypto.rs` `signature.rs` | system calls that only compute |

mod bitmanip;
mod compressed;
mod cpu;
pub mod crypto;
mod decode;
mod disasm;
mod elf;
mod fuse;
mod gas;
mod image;
mod instruction;
mod lower;
mod machine;
mod memory;
mod op;
mod pool;
mod signature;
mod steps;
mod strip;
pub mod syscall;
mod trap;

pub use disasm::{Line, disassemble, disassemble_at, register_name};
pub use elf::{ImageError, Segment};
pub use gas::{Class, OutOfGas, Spent, Units};
pub use image::Image;
pub use machine::{Machine, Stop};
pub use pool::Pool;
pub use trap::{Access, MemoryFault, Trap};

/// Bytes of a page of guest memory.
pub const PAGE_SIZE: usize = 4096;
/// First address that a segment of an image may use.
pub const IMAGE_START: u64 = 0x0001_0000;
/// First address past the image's segments and the heap.
pub const HEAP_END: u64 = 0x00F0_0000;
/// Lowest address of the stack.
pub const STACK_START: u64 = 0x00FC_0000;
/// First address past the stack, and the stack pointer of a new machine.
pub const STACK_END: u64 = 0x0100_0000;
/// Most segments that an image may have.
pub const SEGMENTS_MAX: usize = 16;

/// Pages of the whole address space.
const PAGES: usize = STACK_END as usize / PAGE_SIZE;
