//! The image that stands for a native contract on the chain: it is valid, and only says which
//! contract runs in its place.

/// Where an image starts in memory, `docs/spec/riscv-abi.md` section 2.
const START: u64 = 0x1_0000;
/// Bytes of an ELF file's header.
const HEADER: usize = 64;
/// Bytes of a program header.
const SEGMENT: usize = 56;
/// `ebreak`: what runs if nobody stands in.
const CODE: [u8; 4] = 0x0010_0073u32.to_le_bytes();
/// Says that an image is a stub; its number follows.
const MARK: &[u8] = b"tandem-kit-test: native contract ";

/// The stub of the contract of this number.
pub(crate) fn stub(number: u32) -> Vec<u8> {
    let code_at = HEADER + SEGMENT;
    let mut image = Vec::new();
    image.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    // Executable, RISC-V, version 1.
    image.extend([2, 0, 243, 0, 1, 0, 0, 0]);
    image.extend((START + code_at as u64).to_le_bytes());
    image.extend((HEADER as u64).to_le_bytes());
    image.extend(0u64.to_le_bytes());
    image.extend(0u32.to_le_bytes());
    for half in [HEADER, SEGMENT, 1, 0, 0, 0] {
        image.extend((half as u16).to_le_bytes());
    }
    // One segment, read and executed, of the whole file.
    let size = (code_at + CODE.len() + MARK.len() + 4) as u64;
    image.extend(1u32.to_le_bytes());
    image.extend(5u32.to_le_bytes());
    for word in [0, START, START, size, size, 0x1000] {
        image.extend(word.to_le_bytes());
    }
    image.extend(CODE);
    image.extend(MARK);
    image.extend(number.to_le_bytes());
    image
}

/// Which contract the stub in a container stands for; `None` if it is no stub.
pub(crate) fn number(container: &[u8]) -> Option<usize> {
    let image = genesis::Container::parse(container).ok()?.image;
    let (rest, number) = image.split_last_chunk()?;
    rest.ends_with(MARK).then_some(u32::from_le_bytes(*number) as usize)
}
