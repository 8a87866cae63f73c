//! One running frame: the machine that the engine drives.

use alloc::{boxed::Box, sync::Arc, vec, vec::Vec};
use core::ops::Range;

use super::{
    Access, Image, MemoryFault, OutOfGas, PAGE_SIZE, Pool, STACK_END, Trap, Units,
    cpu::{Cursor, Exit, execute},
    gas::copy_price,
    image::PageKind,
    memory::Memory,
    pool::{Registers, Space},
};

/// Number of the stack pointer.
const SP: usize = 2;
/// Number of the first argument register.
const A0: usize = 10;
/// Number of the register that holds a system call's number.
const A7: usize = 17;

/// Why a machine stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The guest asks for a system call. Its price as an instruction is paid; the next `run`
    /// goes on behind it.
    Syscall,
    /// The gas does not suffice for the next block, or for the next page.
    OutOfGas,
    /// The guest did what it must not do. It can't go on.
    Trap(Trap),
}

/// How far the interpreter loop came.
enum Progress {
    /// It wants to go on.
    Again,
    /// It did the one instruction asked for.
    Stepped,
    /// It is for the engine to act.
    Stopped(Stop),
}

/// A running RISC-V program: registers, memory, and where it is.
///
/// All state is in here, so a machine that stopped for a system call may be kept for as long as
/// the call takes, and goes on where it was.
#[derive(Debug)]
pub struct Machine {
    image: Arc<Image>,
    registers: Box<Registers>,
    memory: Memory,
    /// Place of the next op.
    place: usize,
    /// Place of the op that stopped the machine last.
    stopped: usize,
    reservation: Option<u64>,
    /// Whether the block at `place` has yet to be paid.
    unpaid: bool,
}

impl Machine {
    /// A machine at the image's entry, with the memory of an earlier one if the pool has any.
    pub fn new(image: Arc<Image>, pool: &mut Pool, constructor: bool) -> Self {
        let Space { mut registers, memory } = pool.take();
        registers[SP] = STACK_END;
        registers[A0] = constructor.into();
        let place = image.entry_place();
        Self { image, registers, memory, place, stopped: place, reservation: None, unpaid: true }
    }

    /// Ends the machine and leaves its memory to the pool. Answers how many pages it had touched.
    pub fn release(self, pool: &mut Pool) -> u32 {
        let pages = self.memory.len();
        pool.put(Space { registers: self.registers, memory: self.memory });
        pages
    }

    /// Runs until a system call, the end of the gas, or a trap.
    pub fn run(&mut self, units: &mut Units) -> Stop {
        loop {
            if let Progress::Stopped(stop) = self.resume::<false>(units, u64::MAX) {
                return stop;
            }
        }
    }

    /// Runs as [`Self::run`] does, for about `slice` units; `None` if it then wants to go on.
    pub fn run_slice(&mut self, units: &mut Units, slice: u64) -> Option<Stop> {
        // A slice that does not pay for the next block would never end.
        let block = self.image.ops().get(self.place).map_or(0, |op| op.cost.into());
        match self.resume::<false>(units, slice.max(block)) {
            Progress::Stopped(stop) => Some(stop),
            Progress::Again | Progress::Stepped => None,
        }
    }

    /// Runs one instruction. A run of steps takes the same gas as `run` does.
    pub fn step(&mut self, units: &mut Units) -> Option<Stop> {
        loop {
            match self.resume::<true>(units, u64::MAX) {
                Progress::Again => {}
                Progress::Stepped => return None,
                Progress::Stopped(stop) => return Some(stop),
            }
        }
    }

    /// Runs until something needs attention, and gives it; or until `slice` units are used.
    fn resume<const STEP: bool>(&mut self, units: &mut Units, slice: u64) -> Progress {
        let granted = units.left.min(slice);
        let mut cursor = Cursor {
            place: self.place,
            left: granted,
            reservation: self.reservation,
            unpaid: self.unpaid,
        };
        let view = self.memory.view();
        let exit = execute::<STEP>(&self.image, &mut self.registers, view, &mut cursor);
        let withheld = units.left - granted;
        units.left = withheld + cursor.left;
        self.place = cursor.place;
        self.stopped = cursor.place;
        self.reservation = cursor.reservation;
        self.unpaid = cursor.unpaid;
        if withheld > 0 && matches!(exit, Exit::OutOfGas) {
            self.unpaid = true;
            return Progress::Again;
        }
        self.answer(exit, units)
    }

    fn answer(&mut self, exit: Exit, units: &mut Units) -> Progress {
        let pc = self.stopped_at();
        let trap = match exit {
            Exit::Step => return Progress::Stepped,
            Exit::Syscall => {
                self.place += 1;
                self.unpaid = true;
                return Progress::Stopped(Stop::Syscall);
            }
            Exit::OutOfGas => return Progress::Stopped(Stop::OutOfGas),
            Exit::Touch { address, len, store } => {
                let access = if store { Access::Store } else { Access::Load };
                match self.touch(address, len, access, units) {
                    Ok(()) => return Progress::Again,
                    Err(MemoryFault::OutOfGas(OutOfGas)) => {
                        return Progress::Stopped(Stop::OutOfGas);
                    }
                    Err(MemoryFault::Trap(trap)) => trap,
                }
            }
            // Zeros behind a segment's file bytes are code too, of undefined encodings.
            Exit::Leave { target } => match self.image.fetch(target) {
                Some(bits) => Trap::Undefined { pc: target, bits },
                None => Trap::Jump { pc, target },
            },
            Exit::Undefined => match self.image.fetch(pc) {
                Some(bits) => Trap::Undefined { pc, bits },
                // Half of an instruction, at the end of its segment.
                None => Trap::Jump { pc, target: pc + 2 },
            },
            Exit::Breakpoint => Trap::Breakpoint { pc },
        };
        Progress::Stopped(Stop::Trap(trap))
    }

    /// Argument `n` of a system call: a0 to a6.
    pub fn arg(&self, n: usize) -> u64 {
        debug_assert!(n < 7, "a system call has seven arguments");
        self.registers[A0 + n % 7]
    }

    /// Puts a system call into the registers: its number to a7, its arguments to a0 to a6.
    pub fn set_syscall(&mut self, number: u64, args: [u64; 7]) {
        self.registers[A7] = number;
        self.registers[A0..A0 + 7].copy_from_slice(&args);
    }

    /// The number of the system call: a7.
    pub fn number(&self) -> u64 {
        self.registers[A7]
    }

    /// Gives a system call's result to the guest: a0.
    pub fn set_result(&mut self, result: u64) {
        self.registers[A0] = result;
    }

    /// The address of the next instruction: behind the `ecall` after `Stop::Syscall`.
    pub fn pc(&self) -> u64 {
        self.image.pc(self.place)
    }

    /// The address of the instruction that stopped the machine last: an `ecall`, or a trap.
    pub fn stopped_at(&self) -> u64 {
        self.image.pc(self.stopped)
    }

    /// The registers by number.
    pub fn registers(&self) -> &[u64; 32] {
        let (registers, _) = self.registers.split_first_chunk().expect("256 slots hold 32");
        registers
    }

    /// What the machine runs.
    pub fn image(&self) -> &Arc<Image> {
        &self.image
    }

    /// Pages that the machine has touched.
    pub fn pages(&self) -> u32 {
        self.memory.len()
    }

    /// Copies `len` bytes out of guest memory, and charges for the copy and for new pages.
    ///
    /// A range of length 0 is never looked at.
    pub fn read(&mut self, ptr: u64, len: u64, units: &mut Units) -> Result<Vec<u8>, MemoryFault> {
        self.prepare(ptr, len, Access::Load, units)?;
        // Bounded by the address space, for the range was just found to be mapped.
        let mut bytes = vec![0; len as usize];
        self.copy_out(ptr, &mut bytes);
        Ok(bytes)
    }

    /// Reads a word: 32 bytes.
    pub fn read_word(&mut self, ptr: u64, units: &mut Units) -> Result<[u8; 32], MemoryFault> {
        self.prepare(ptr, 32, Access::Load, units)?;
        let mut word = [0; 32];
        self.copy_out(ptr, &mut word);
        Ok(word)
    }

    /// Copies bytes into guest memory, and charges for the copy and for new pages.
    ///
    /// Nothing is written unless everything can be.
    pub fn write(&mut self, ptr: u64, bytes: &[u8], units: &mut Units) -> Result<(), MemoryFault> {
        self.prepare(ptr, bytes.len() as u64, Access::Store, units)?;
        let mut rest = bytes;
        for (page, range) in chunks(ptr, bytes.len() as u64) {
            let (chunk, behind) = rest.split_at(range.len());
            if let Some(slot) = self.memory.page_mut(page) {
                slot[range].copy_from_slice(chunk);
            }
            rest = behind;
        }
        Ok(())
    }

    /// Whether a range may be accessed. Charges nothing and touches nothing.
    pub fn check(&self, ptr: u64, len: u64, access: Access) -> Result<(), Trap> {
        if len == 0 {
            return Ok(());
        }
        let pc = self.stopped_at();
        let unmapped = Trap::Unmapped { pc, address: ptr, len, access };
        if ptr.checked_add(len).is_none_or(|end| end > STACK_END) {
            return Err(unmapped);
        }
        for (page, _) in chunks(ptr, len) {
            match self.image.page_kind(page) {
                None => return Err(unmapped),
                Some(PageKind::Segment(s)) if access == Access::Store && !s.writable => {
                    return Err(Trap::ReadOnly { pc, address: ptr, len });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn prepare(
        &mut self,
        ptr: u64,
        len: u64,
        access: Access,
        units: &mut Units,
    ) -> Result<(), MemoryFault> {
        self.check(ptr, len, access)?;
        let price = copy_price(self.image.gas(), len);
        units.charge(price)?;
        units.spent.copies += price;
        self.map(ptr, len, units)
    }

    /// Makes the pages of an instruction's access be there.
    fn touch(
        &mut self,
        address: u64,
        len: u64,
        access: Access,
        units: &mut Units,
    ) -> Result<(), MemoryFault> {
        self.check(address, len, access)?;
        self.map(address, len, units)
    }

    /// Adds the pages of a checked range that are new, and charges for them.
    fn map(&mut self, address: u64, len: u64, units: &mut Units) -> Result<(), MemoryFault> {
        let pc = self.stopped_at();
        for (page, _) in chunks(address, len) {
            if self.memory.is_touched(page) {
                continue;
            }
            let price = self.image.gas().page.into();
            units.charge(price)?;
            units.spent.pages += price;
            let limit = units.pages_max;
            let exhausted = Trap::PagesExhausted { pc, address: page * PAGE_SIZE as u64, limit };
            units.pages_left = units.pages_left.checked_sub(1).ok_or(exhausted)?;
            match self.image.page_kind(page) {
                Some(PageKind::Segment(segment)) => {
                    let slot = self.memory.add(page, segment.writable);
                    let (from, to) = overlap(page, segment.start, segment.data.len());
                    slot[to..to + from.len()].copy_from_slice(&segment.data[from]);
                }
                _ => {
                    self.memory.add(page, true);
                }
            }
        }
        Ok(())
    }

    fn copy_out(&self, ptr: u64, out: &mut [u8]) {
        let mut rest = out;
        for (page, range) in chunks(ptr, rest.len() as u64) {
            let (chunk, behind) = rest.split_at_mut(range.len());
            if let Some(slot) = self.memory.page(page) {
                chunk.copy_from_slice(&slot[range]);
            }
            rest = behind;
        }
    }
}

/// The parts of a range by page: the page's number, and the bytes inside it.
///
/// The range must not wrap around the address space; an empty one has no parts.
fn chunks(start: u64, len: u64) -> impl Iterator<Item = (u64, Range<usize>)> {
    let size = PAGE_SIZE as u64;
    let end = start + len;
    let pages = if len == 0 { 0..0 } else { start / size..end.div_ceil(size) };
    pages.map(move |page| {
        let base = page * size;
        let from = start.max(base) - base;
        let to = end.min(base + size) - base;
        (page, from as usize..to as usize)
    })
}

/// Which bytes of a segment's data lie in a page, and at which offset of the page they start.
fn overlap(page: u64, segment_start: u64, len: usize) -> (Range<usize>, usize) {
    let base = page * PAGE_SIZE as u64;
    let from = (base.saturating_sub(segment_start) as usize).min(len);
    let to = ((base + PAGE_SIZE as u64).saturating_sub(segment_start) as usize).min(len);
    (from..to, segment_start.saturating_sub(base) as usize)
}
