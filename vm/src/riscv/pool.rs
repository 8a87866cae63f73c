//! What ended frames leave for the next ones, so that starting a frame asks no allocator.

use alloc::{boxed::Box, vec::Vec};

use super::{memory::Memory, op::SINK};

/// Most pages that one pooled space keeps room for: 1 MiB.
const SPACE_PAGES_MAX: usize = 256;
/// Most pages that all pooled spaces keep room for: 16 MiB.
const POOL_PAGES_MAX: usize = 4096;
/// Most pooled spaces; each has page tables of 16 KiB.
const SPACES_MAX: usize = 128;

/// Registers by number. There are 256 slots so that a `u8` needs no bounds check; those past
/// `SINK` are never used.
pub(super) type Registers = [u64; 256];

/// Registers and memory of one frame.
#[derive(Debug)]
pub(super) struct Space {
    pub(super) registers: Box<Registers>,
    pub(super) memory: Memory,
}

/// Spaces of ended frames, cleared. What it keeps is bounded: 19 MiB.
#[derive(Debug, Default)]
pub struct Pool {
    spaces: Vec<Space>,
    /// Pages that the spaces keep room for.
    pages: usize,
}

impl Pool {
    /// An empty pool.
    pub const fn new() -> Self {
        Self { spaces: Vec::new(), pages: 0 }
    }

    /// A space with zeros in all registers and no page touched.
    pub(super) fn take(&mut self) -> Space {
        let Some(space) = self.spaces.pop() else {
            return Space { registers: Box::new([0; 256]), memory: Memory::new() };
        };
        self.pages -= space.memory.capacity();
        space
    }

    /// Clears a space and keeps it, if there is room.
    pub(super) fn put(&mut self, mut space: Space) {
        if self.spaces.len() == SPACES_MAX {
            return;
        }
        space.registers[..=usize::from(SINK)].fill(0);
        space.memory.clear(SPACE_PAGES_MAX.min(POOL_PAGES_MAX.saturating_sub(self.pages)));
        self.pages += space.memory.capacity();
        self.spaces.push(space);
    }
}
