//! Why a frame fails by its own fault.

use core::fmt;

use thiserror::Error;

use super::OutOfGas;

/// What a memory access wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read.
    Load,
    /// To write.
    Store,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Load => "load from",
            Self::Store => "store to",
        })
    }
}

/// Why the machine stopped for good: the contract's fault, which costs its frame all gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Trap {
    /// An undefined encoding was reached.
    #[error("undefined instruction {bits:#010x} at pc {pc:#x}")]
    Undefined {
        /// Where it stands.
        pc: u64,
        /// The four bytes there (two, if no more belong to the segment).
        bits: u32,
    },
    /// Control went to an address that is not in an executable segment.
    #[error("jump to {target:#x}, outside the executable segments, at pc {pc:#x}")]
    Jump {
        /// The instruction that jumped, or the end of the segment that was run over.
        pc: u64,
        /// Where it went.
        target: u64,
    },
    /// `ebreak` was reached: panics of many language runtimes end here.
    #[error("ebreak at pc {pc:#x}")]
    Breakpoint {
        /// Where it stands.
        pc: u64,
    },
    /// An access to memory that is not mapped.
    #[error("{access} unmapped memory {address:#x} ({len} bytes) at pc {pc:#x}")]
    Unmapped {
        /// The instruction.
        pc: u64,
        /// The first address accessed.
        address: u64,
        /// Bytes accessed.
        len: u64,
        /// Load or store.
        access: Access,
    },
    /// A store to a segment that is not writable.
    #[error("store to read-only memory {address:#x} ({len} bytes) at pc {pc:#x}")]
    ReadOnly {
        /// The instruction.
        pc: u64,
        /// The first address accessed.
        address: u64,
        /// Bytes accessed.
        len: u64,
    },
    /// The live frames of the transaction would touch more pages than allowed.
    #[error("page of {address:#x} touched at pc {pc:#x}: all {limit} pages are in use")]
    PagesExhausted {
        /// The instruction.
        pc: u64,
        /// An address in the page.
        address: u64,
        /// Most pages of all live frames.
        limit: u32,
    },
    /// A system call with a number that the ABI does not list.
    #[error("unknown system call {number:#x} at pc {pc:#x}")]
    UnknownSyscall {
        /// The `ecall`.
        pc: u64,
        /// What `a7` held.
        number: u64,
    },
    /// DEPLOY outside of a constructor.
    #[error("DEPLOY outside of a constructor at pc {pc:#x}")]
    NotAConstructor {
        /// The `ecall`.
        pc: u64,
    },
}

impl Trap {
    /// The instruction that trapped.
    pub fn pc(&self) -> u64 {
        match *self {
            Self::Undefined { pc, .. }
            | Self::Jump { pc, .. }
            | Self::Breakpoint { pc }
            | Self::Unmapped { pc, .. }
            | Self::ReadOnly { pc, .. }
            | Self::PagesExhausted { pc, .. }
            | Self::UnknownSyscall { pc, .. }
            | Self::NotAConstructor { pc } => pc,
        }
    }
}

/// Why guest memory could not be accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MemoryFault {
    /// The copy, or the pages that it touches first, cost more than is left.
    #[error(transparent)]
    OutOfGas(#[from] OutOfGas),
    /// The range is not mapped, not writable, or passes the page cap.
    #[error(transparent)]
    Trap(#[from] Trap),
}
