//! The strict ELF loader: `docs/spec/riscv-abi.md`, section 2, to the letter.

use alloc::vec::Vec;
use core::ops::Range;

use object::{
    LittleEndian,
    elf::{self, FileHeader64, ProgramHeader64},
    pod,
};
use thiserror::Error;

use super::{HEAP_END, IMAGE_START, PAGE_SIZE, SEGMENTS_MAX};

type Header = FileHeader64<LittleEndian>;
type ProgramHeader = ProgramHeader64<LittleEndian>;

/// ELF flags that a soft-float image may carry: RVC and (ignored) TSO.
const FLAGS_ALLOWED: u32 = elf::EF_RISCV_RVC | elf::EF_RISCV_TSO;

/// Why an ELF file is refused as an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ImageError {
    /// The file ends inside a header.
    #[error("ELF file too short: {what} needs {needed} bytes, file has {actual}")]
    TooShort {
        /// Which header.
        what: &'static str,
        /// Bytes that the file would need.
        needed: u64,
        /// Bytes that it has.
        actual: u64,
    },
    /// A fixed field of the ELF header has another value than this machine takes.
    #[error("ELF {field} is {actual:#x}, needed {expected:#x}")]
    Header {
        /// The field's name.
        field: &'static str,
        /// What the file says.
        actual: u64,
        /// The only value taken.
        expected: u64,
    },
    /// The ELF flags ask for what the machine lacks (floating point, RVE, unknown extensions).
    #[error("ELF flags are {actual:#x}, allowed {allowed:#x} (soft float, RVC, TSO; no F, D, E)")]
    Flags {
        /// What the file says.
        actual: u32,
        /// All flags allowed.
        allowed: u32,
    },
    /// The file is dynamically linked or has thread-local storage.
    #[error("{kind} segment of {size} bytes, allowed 0: link statically, without threads")]
    Dynamic {
        /// The program header's type.
        kind: &'static str,
        /// Its size.
        size: u64,
    },
    /// The file asks for an executable stack.
    #[error("PT_GNU_STACK has flags {flags:#x}: an executable stack is refused")]
    ExecutableStack {
        /// The program header's flags.
        flags: u32,
    },
    /// Too many segments.
    #[error("{actual} load segments, limit {limit}")]
    TooManySegments {
        /// Segments with a size.
        actual: usize,
        /// Most allowed.
        limit: usize,
    },
    /// A segment's bytes lie outside the file.
    #[error("segment at {address:#x}: file bytes {offset:#x} + {size:#x} pass the file's {actual}")]
    OutsideFile {
        /// Where the segment is loaded.
        address: u64,
        /// Its offset in the file.
        offset: u64,
        /// Its bytes in the file.
        size: u64,
        /// Bytes of the file.
        actual: u64,
    },
    /// A segment has more bytes in the file than in memory.
    #[error("segment at {address:#x}: {file_size} bytes in the file, {memory_size} in memory")]
    FileSize {
        /// Where the segment is loaded.
        address: u64,
        /// Bytes in the file.
        file_size: u64,
        /// Bytes in memory.
        memory_size: u64,
    },
    /// All segments together take more bytes from the file than it has.
    #[error("segments take {actual} bytes of the file, limit {limit} (its length)")]
    FileSizeSum {
        /// Sum of the segments' file sizes.
        actual: u64,
        /// Bytes of the file.
        limit: u64,
    },
    /// A segment lies outside the range for images.
    #[error("segment {start:#x} to {end:#x} lies outside of {IMAGE_START:#x} to {HEAP_END:#x}")]
    OutsideMemory {
        /// Its first address.
        start: u64,
        /// The address past its last one (saturated).
        end: u64,
    },
    /// Two segments have a page in common.
    #[error("segments at {first:#x} and {second:#x} share the page {page:#x}")]
    SharedPage {
        /// Start of the lower segment.
        first: u64,
        /// Start of the upper segment.
        second: u64,
        /// Address of the page.
        page: u64,
    },
    /// A segment is writable and executable.
    #[error("segment at {address:#x} is writable and executable")]
    WritableCode {
        /// Where the segment is loaded.
        address: u64,
    },
    /// An executable segment is not readable.
    #[error("segment at {address:#x} is executable but not readable (flags {flags:#x})")]
    UnreadableCode {
        /// Where the segment is loaded.
        address: u64,
        /// Its flags.
        flags: u32,
    },
    /// The entry point is not in an executable segment, or is odd.
    #[error("entry {entry:#x} is not an even address of an executable segment")]
    Entry {
        /// What the file says.
        entry: u64,
    },
}

/// One loadable segment of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First address.
    pub start: u64,
    /// Bytes in memory; those past `data` are zeros.
    pub size: u64,
    /// Whether stores are allowed.
    pub writable: bool,
    /// Whether instructions are fetched from it.
    pub executable: bool,
    /// Bytes from the file.
    pub data: Vec<u8>,
}

impl Segment {
    /// The address past the last one.
    pub fn end(&self) -> u64 {
        self.start + self.size
    }

    /// The byte at an address, if the segment has it.
    pub(super) fn byte(&self, address: u64) -> Option<u8> {
        let offset = address.checked_sub(self.start)?;
        let in_file = self.data.get(offset as usize).copied();
        in_file.or((offset < self.size).then_some(0))
    }

    /// Numbers of the pages that the segment lies in.
    pub(super) fn pages(&self) -> Range<u64> {
        let size = PAGE_SIZE as u64;
        self.start / size..self.end().div_ceil(size)
    }
}

/// What a valid file says: its entry and its segments in order of address.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Elf {
    pub(super) entry: u64,
    pub(super) segments: Vec<Segment>,
}

/// Reads and checks an ELF file.
pub(super) fn parse(file: &[u8]) -> Result<Elf, ImageError> {
    let header = read_header(file)?;
    let programs = read_programs(file, header)?;
    let mut segments = Vec::new();
    let mut file_size_sum = 0u64;
    for program in programs {
        let endian = LittleEndian;
        match program.p_type.get(endian) {
            elf::PT_LOAD if program.p_memsz.get(endian) | program.p_filesz.get(endian) != 0 => {
                check_load(program, file)?;
                // Every size was just found to be inside the file, so the sum cannot wrap.
                file_size_sum += program.p_filesz.get(endian);
                segments.push(program);
            }
            kind => check_other(kind, program)?,
        }
    }
    if segments.len() > SEGMENTS_MAX {
        let (actual, limit) = (segments.len(), SEGMENTS_MAX);
        return Err(ImageError::TooManySegments { actual, limit });
    }
    let limit = file.len() as u64;
    if file_size_sum > limit {
        return Err(ImageError::FileSizeSum { actual: file_size_sum, limit });
    }
    let mut segments: Vec<Segment> =
        segments.into_iter().map(|program| copy_segment(program, file)).collect();
    segments.sort_by_key(|segment| segment.start);
    check_pages(&segments)?;
    let entry = header.e_entry.get(LittleEndian);
    let inside = |s: &Segment| s.executable && (s.start..s.end()).contains(&entry);
    if entry % 2 != 0 || !segments.iter().any(inside) {
        return Err(ImageError::Entry { entry });
    }
    Ok(Elf { entry, segments })
}

fn read_header(file: &[u8]) -> Result<&Header, ImageError> {
    let actual = file.len() as u64;
    let (header, _) = pod::from_bytes::<Header>(file).map_err(|()| ImageError::TooShort {
        what: "file header",
        needed: size_of::<Header>() as u64,
        actual,
    })?;
    let endian = LittleEndian;
    let ident = &header.e_ident;
    let fields = [
        (
            "magic",
            u64::from(u32::from_be_bytes(ident.magic)),
            u64::from(u32::from_be_bytes(elf::ELFMAG)),
        ),
        ("class", ident.class.into(), elf::ELFCLASS64.into()),
        ("data encoding", ident.data.into(), elf::ELFDATA2LSB.into()),
        ("identification version", ident.version.into(), elf::EV_CURRENT.into()),
        ("type", header.e_type.get(endian).into(), elf::ET_EXEC.into()),
        ("machine", header.e_machine.get(endian).into(), elf::EM_RISCV.into()),
        ("version", header.e_version.get(endian).into(), elf::EV_CURRENT.into()),
    ];
    for (field, actual, expected) in fields {
        if actual != expected {
            return Err(ImageError::Header { field, actual, expected });
        }
    }
    let flags = header.e_flags.get(endian);
    if flags & !FLAGS_ALLOWED != 0 {
        return Err(ImageError::Flags { actual: flags, allowed: FLAGS_ALLOWED });
    }
    Ok(header)
}

fn read_programs<'a>(file: &'a [u8], header: &Header) -> Result<&'a [ProgramHeader], ImageError> {
    let endian = LittleEndian;
    let count = header.e_phnum.get(endian);
    let entry_size = size_of::<ProgramHeader>();
    let actual = u64::from(header.e_phentsize.get(endian));
    if count != 0 && actual != entry_size as u64 {
        let (field, expected) = ("program header size", entry_size as u64);
        return Err(ImageError::Header { field, actual, expected });
    }
    let offset = header.e_phoff.get(endian);
    let too_short = ImageError::TooShort {
        what: "program header table",
        needed: offset.saturating_add(u64::from(count) * entry_size as u64),
        actual: file.len() as u64,
    };
    let table = usize::try_from(offset).ok().and_then(|offset| file.get(offset..));
    let table = table.ok_or(too_short)?;
    let (programs, _) =
        pod::slice_from_bytes::<ProgramHeader>(table, count.into()).map_err(|()| too_short)?;
    Ok(programs)
}

fn check_load(program: &ProgramHeader, file: &[u8]) -> Result<(), ImageError> {
    let endian = LittleEndian;
    let address = program.p_vaddr.get(endian);
    let (offset, file_size) = (program.p_offset.get(endian), program.p_filesz.get(endian));
    let memory_size = program.p_memsz.get(endian);
    if offset.checked_add(file_size).is_none_or(|end| end > file.len() as u64) {
        let actual = file.len() as u64;
        return Err(ImageError::OutsideFile { address, offset, size: file_size, actual });
    }
    if file_size > memory_size {
        return Err(ImageError::FileSize { address, file_size, memory_size });
    }
    let end = address.saturating_add(memory_size);
    if address < IMAGE_START || end > HEAP_END {
        return Err(ImageError::OutsideMemory { start: address, end });
    }
    let flags = program.p_flags.get(endian);
    if flags & elf::PF_X != 0 && flags & elf::PF_R == 0 {
        return Err(ImageError::UnreadableCode { address, flags });
    }
    Ok(())
}

/// Refuses what a static image has no use for; all other headers are ignored.
fn check_other(kind: u32, program: &ProgramHeader) -> Result<(), ImageError> {
    let endian = LittleEndian;
    let flags = program.p_flags.get(endian);
    let kind = match kind {
        elf::PT_DYNAMIC => "PT_DYNAMIC",
        elf::PT_INTERP => "PT_INTERP",
        elf::PT_TLS => "PT_TLS",
        elf::PT_GNU_STACK if flags & elf::PF_X != 0 => {
            return Err(ImageError::ExecutableStack { flags });
        }
        _ => return Ok(()),
    };
    match program.p_memsz.get(endian).max(program.p_filesz.get(endian)) {
        0 => Ok(()),
        size => Err(ImageError::Dynamic { kind, size }),
    }
}

/// The segment of a header that `check_load` has passed.
fn copy_segment(program: &ProgramHeader, file: &[u8]) -> Segment {
    let endian = LittleEndian;
    let start = program.p_offset.get(endian) as usize;
    let end = start + program.p_filesz.get(endian) as usize;
    let flags = program.p_flags.get(endian);
    Segment {
        start: program.p_vaddr.get(endian),
        size: program.p_memsz.get(endian),
        writable: flags & elf::PF_W != 0,
        executable: flags & elf::PF_X != 0,
        data: file[start..end].to_vec(),
    }
}

fn check_pages(segments: &[Segment]) -> Result<(), ImageError> {
    for pair in segments.windows(2) {
        let [lower, upper] = pair else { continue };
        if upper.pages().start < lower.pages().end {
            let page = upper.pages().start * PAGE_SIZE as u64;
            let (first, second) = (lower.start, upper.start);
            return Err(ImageError::SharedPage { first, second, page });
        }
    }
    Ok(())
}
