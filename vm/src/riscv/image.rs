//! A loaded program: its segments, and its instructions ready to run.

use alloc::vec::Vec;

use genesis::RiscvGas;

use super::{
    HEAP_END, ImageError, PAGE_SIZE, STACK_END, STACK_START, Segment, elf, fuse,
    lower::{self, Code, Ops, fetch},
    op::Op,
};

/// A validated, decoded RISC-V program. Loading it is linear in the file's length.
///
/// It takes at most about 44 bytes of memory per byte of code, 1 per byte of data, and 6 KiB: see
/// [`Image::heap_size`].
#[derive(Debug)]
pub struct Image {
    entry: u64,
    entry_place: u32,
    segments: Vec<Segment>,
    /// The code that the entry is in: most indirect jumps stay there.
    main: Code,
    /// The other executable segments.
    code: Vec<Code>,
    ops: Ops,
    gas: RiscvGas,
}

/// What a page of the address space is.
pub(super) enum PageKind<'a> {
    /// Zeros: heap or stack.
    Zeros,
    /// A page of this segment.
    Segment(&'a Segment),
}

impl Image {
    /// Loads an ELF file, with the prices that its blocks are to have.
    pub fn load(file: &[u8], gas: &RiscvGas) -> Result<Self, ImageError> {
        let image = Self::load_bare(file, gas)?;
        match image.segments.iter().find(|segment| segment.writable && segment.executable) {
            Some(segment) => Err(ImageError::WritableCode { address: segment.start }),
            None => Ok(image),
        }
    }

    /// As [`Self::load`], of a file that is no contract: its code may be writable. What is stored
    /// there is loaded again, but what runs is the file's.
    pub fn load_bare(file: &[u8], gas: &RiscvGas) -> Result<Self, ImageError> {
        let elf = elf::parse(file)?;
        let mut ops = Ops::default();
        let mut code: Vec<Code> = Vec::new();
        for segment in elf.segments.iter().filter(|segment| segment.executable) {
            code.push(ops.lower(&elf.segments, segment, gas));
        }
        let holds_entry = |code: &Code| {
            let offset = elf.entry.wrapping_sub(code.base);
            offset < 2 * code.index.len() as u64
        };
        ops.resolve_jumps(&code);
        // The entry may lie in the zeros past a segment's file bytes, where nothing is decoded.
        let entry_place =
            lower::find(&code, elf.entry).unwrap_or_else(|| ops.push_entry(elf.entry));
        // The loader found the entry in an executable segment, so there is one.
        let main = code.swap_remove(code.iter().position(holds_entry).unwrap_or_default());
        ops.pad();
        fuse::fuse(&mut ops.ops);
        ops.ops.shrink_to_fit();
        ops.pcs.shrink_to_fit();
        let (entry, segments) = (elf.entry, elf.segments);
        Ok(Self { entry, entry_place, segments, main, code, ops, gas: gas.clone() })
    }

    /// Address of the first instruction.
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// The segments in order of address.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The prices that the image was loaded with.
    pub fn gas(&self) -> &RiscvGas {
        &self.gas
    }

    /// Bytes of memory that the image holds, for a bounded cache.
    pub fn heap_size(&self) -> usize {
        let data: usize = self.segments.iter().map(|segment| segment.data.capacity()).sum();
        let others: usize = self.code.iter().map(|code| code.index.capacity()).sum();
        let index = self.main.index.capacity() + others;
        let ops = self.ops.ops.capacity() * size_of::<Op>();
        data + ops + (index + self.ops.pcs.capacity()) * size_of::<u32>()
    }

    pub(super) fn entry_place(&self) -> usize {
        self.entry_place as usize
    }

    pub(super) fn ops(&self) -> &[Op] {
        &self.ops.ops
    }

    /// The code that the entry is in.
    pub(super) fn main(&self) -> &Code {
        &self.main
    }

    /// The place of the op at an address, if it was decoded.
    pub(super) fn find(&self, address: u64) -> Option<usize> {
        let codes = core::iter::once(&self.main).chain(&self.code);
        lower::find(codes, address).map(|place| place as usize)
    }

    /// The address of the instruction that an op stands for.
    pub(super) fn pc(&self, place: usize) -> u64 {
        self.ops.pcs.get(place).copied().unwrap_or_default().into()
    }

    /// The bytes of the instruction at `pc`, if all of them are in executable segments.
    pub fn fetch(&self, pc: u64) -> Option<u32> {
        fetch(&self.segments, pc)
    }

    /// What the page with this number holds, if it is mapped.
    pub(super) fn page_kind(&self, page: u64) -> Option<PageKind<'_>> {
        if let Some(segment) = self.segments.iter().find(|s| s.pages().contains(&page)) {
            return Some(PageKind::Segment(segment));
        }
        let size = PAGE_SIZE as u64;
        let heap_start = self.segments.last().map_or(HEAP_END / size, |s| s.pages().end);
        let heap = heap_start..HEAP_END / size;
        let stack = STACK_START / size..STACK_END / size;
        (heap.contains(&page) || stack.contains(&page)).then_some(PageKind::Zeros)
    }
}
