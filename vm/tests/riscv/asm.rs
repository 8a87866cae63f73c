//! A small assembler and ELF writer, so that tests and benches need no toolchain.

/// Registers by ABI name, as far as they are used.
pub(crate) const ZERO: u32 = 0;
pub(crate) const RA: u32 = 1;
pub(crate) const SP: u32 = 2;
pub(crate) const T0: u32 = 5;
pub(crate) const T1: u32 = 6;
pub(crate) const T2: u32 = 7;
pub(crate) const S0: u32 = 8;
pub(crate) const S1: u32 = 9;
pub(crate) const A0: u32 = 10;
pub(crate) const A1: u32 = 11;
pub(crate) const A2: u32 = 12;
pub(crate) const A3: u32 = 13;
pub(crate) const A4: u32 = 14;
pub(crate) const A5: u32 = 15;
pub(crate) const A6: u32 = 16;
pub(crate) const A7: u32 = 17;
pub(crate) const S2: u32 = 18;

/// Where `Assembler` code is loaded.
pub(crate) const TEXT: u64 = 0x1_0000;
/// Where `image` puts a writable segment.
pub(crate) const DATA: u64 = 0x20_0000;

pub(crate) const ECALL: u32 = 0x73;
pub(crate) const EBREAK: u32 = 0x10_0073;

pub(crate) fn r(opcode: u32, funct3: u32, funct7: u32, [rd, rs1, rs2]: [u32; 3]) -> u32 {
    opcode | rd << 7 | funct3 << 12 | rs1 << 15 | rs2 << 20 | funct7 << 25
}

pub(crate) fn i(opcode: u32, funct3: u32, rd: u32, rs1: u32, imm: i32) -> u32 {
    opcode | rd << 7 | funct3 << 12 | rs1 << 15 | (imm as u32) << 20
}

pub(crate) fn s(funct3: u32, rs2: u32, rs1: u32, imm: i32) -> u32 {
    let imm = imm as u32;
    0x23 | (imm & 31) << 7 | funct3 << 12 | rs1 << 15 | rs2 << 20 | (imm >> 5) << 25
}

pub(crate) fn b(funct3: u32, rs1: u32, rs2: u32, offset: i32) -> u32 {
    let o = offset as u32;
    let low = (o >> 11 & 1) << 7 | (o >> 1 & 15) << 8;
    let high = (o >> 5 & 63) << 25 | (o >> 12 & 1) << 31;
    0x63 | low | funct3 << 12 | rs1 << 15 | rs2 << 20 | high
}

pub(crate) fn jal(rd: u32, offset: i32) -> u32 {
    let o = offset as u32;
    let imm = (o >> 12 & 255) << 12 | (o >> 11 & 1) << 20 | (o >> 1 & 1023) << 21;
    0x6f | rd << 7 | imm | (o >> 20 & 1) << 31
}

pub(crate) fn lui(rd: u32, imm20: u32) -> u32 {
    0x37 | rd << 7 | imm20 << 12
}

pub(crate) fn auipc(rd: u32, imm20: u32) -> u32 {
    0x17 | rd << 7 | imm20 << 12
}

pub(crate) fn jalr(rd: u32, rs1: u32, imm: i32) -> u32 {
    i(0x67, 0, rd, rs1, imm)
}

pub(crate) fn addi(rd: u32, rs1: u32, imm: i32) -> u32 {
    i(0x13, 0, rd, rs1, imm)
}

pub(crate) fn slli(rd: u32, rs1: u32, shift: i32) -> u32 {
    i(0x13, 1, rd, rs1, shift)
}

pub(crate) fn ld(rd: u32, rs1: u32, imm: i32) -> u32 {
    i(0x03, 3, rd, rs1, imm)
}

pub(crate) fn lw(rd: u32, rs1: u32, imm: i32) -> u32 {
    i(0x03, 2, rd, rs1, imm)
}

pub(crate) fn lbu(rd: u32, rs1: u32, imm: i32) -> u32 {
    i(0x03, 4, rd, rs1, imm)
}

pub(crate) fn sd(rs2: u32, rs1: u32, imm: i32) -> u32 {
    s(3, rs2, rs1, imm)
}

pub(crate) fn sw(rs2: u32, rs1: u32, imm: i32) -> u32 {
    s(2, rs2, rs1, imm)
}

pub(crate) fn sb(rs2: u32, rs1: u32, imm: i32) -> u32 {
    s(0, rs2, rs1, imm)
}

pub(crate) fn add(rd: u32, rs1: u32, rs2: u32) -> u32 {
    r(0x33, 0, 0, [rd, rs1, rs2])
}

pub(crate) fn xor(rd: u32, rs1: u32, rs2: u32) -> u32 {
    r(0x33, 4, 0, [rd, rs1, rs2])
}

pub(crate) fn mul(rd: u32, rs1: u32, rs2: u32) -> u32 {
    r(0x33, 0, 1, [rd, rs1, rs2])
}

/// A place in the code that jumps name before or after it is known.
#[derive(Clone, Copy)]
pub(crate) struct Label(usize);

enum Fixup {
    Branch { funct3: u32, rs1: u32, rs2: u32 },
    Jal { rd: u32 },
}

/// Code that grows at its end.
#[derive(Default)]
pub(crate) struct Assembler {
    code: Vec<u8>,
    labels: Vec<Option<usize>>,
    fixups: Vec<(usize, Label, Fixup)>,
}

impl Assembler {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn push(&mut self, word: u32) -> &mut Self {
        self.code.extend(word.to_le_bytes());
        self
    }

    pub(crate) fn push_half(&mut self, half: u16) -> &mut Self {
        self.code.extend(half.to_le_bytes());
        self
    }

    pub(crate) fn extend(&mut self, words: impl IntoIterator<Item = u32>) -> &mut Self {
        for word in words {
            self.push(word);
        }
        self
    }

    pub(crate) fn len(&self) -> usize {
        self.code.len()
    }

    pub(crate) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    pub(crate) fn bind(&mut self, label: Label) -> &mut Self {
        self.labels[label.0] = Some(self.code.len());
        self
    }

    /// A new label right here.
    pub(crate) fn here(&mut self) -> Label {
        let label = self.label();
        self.bind(label);
        label
    }

    pub(crate) fn branch(&mut self, funct3: u32, rs1: u32, rs2: u32, to: Label) -> &mut Self {
        self.fixups.push((self.code.len(), to, Fixup::Branch { funct3, rs1, rs2 }));
        self.push(0)
    }

    pub(crate) fn bne(&mut self, rs1: u32, rs2: u32, to: Label) -> &mut Self {
        self.branch(1, rs1, rs2, to)
    }

    pub(crate) fn bltu(&mut self, rs1: u32, rs2: u32, to: Label) -> &mut Self {
        self.branch(6, rs1, rs2, to)
    }

    pub(crate) fn jal(&mut self, rd: u32, to: Label) -> &mut Self {
        self.fixups.push((self.code.len(), to, Fixup::Jal { rd }));
        self.push(0)
    }

    /// Any 64-bit constant: the shortest of `addi`, `lui` + `addiw`, or those shifted and added to.
    pub(crate) fn li(&mut self, rd: u32, value: i64) -> &mut Self {
        let low = (value << 52 >> 52) as i32;
        if value == i64::from(low) {
            return self.push(addi(rd, ZERO, low));
        }
        if i64::from(value as i32) == value {
            let high = (value.wrapping_sub(low.into()) >> 12) as u32 & 0xf_ffff;
            self.push(lui(rd, high));
            return self.push(i(0x1b, 0, rd, rd, low));
        }
        self.li(rd, value.wrapping_sub(low.into()) >> 12);
        self.push(slli(rd, rd, 12));
        self.push(addi(rd, rd, low))
    }

    /// `ecall` with number 93: the end, as the test hosts and `qemu` take it.
    pub(crate) fn exit(&mut self) -> &mut Self {
        self.li(A7, 93).push(ECALL)
    }

    /// The code with all jumps to labels filled in.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        for (at, label, fixup) in self.fixups {
            let to = self.labels[label.0].expect("every label is bound");
            let offset = to as i32 - at as i32;
            let word = match fixup {
                Fixup::Branch { funct3, rs1, rs2 } => {
                    assert!((-4096..4096).contains(&offset), "branch of {offset} bytes");
                    b(funct3, rs1, rs2, offset)
                }
                Fixup::Jal { rd } => jal(rd, offset),
            };
            self.code[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        self.code
    }
}

/// A program header and its bytes.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) kind: u32,
    pub(crate) flags: u32,
    pub(crate) address: u64,
    pub(crate) memory_size: u64,
    pub(crate) data: Vec<u8>,
}

impl Load {
    pub(crate) fn text(address: u64, data: &[u8]) -> Self {
        let memory_size = data.len() as u64;
        Self { kind: 1, flags: 5, address, memory_size, data: data.to_vec() }
    }

    pub(crate) fn data(address: u64, memory_size: u64, data: &[u8]) -> Self {
        Self { kind: 1, flags: 6, address, memory_size, data: data.to_vec() }
    }

    pub(crate) fn constants(address: u64, data: &[u8]) -> Self {
        Self { flags: 4, ..Self::text(address, data) }
    }
}

/// A static RISC-V ELF file of these segments; file offsets agree with addresses modulo a page.
pub(crate) fn elf(entry: u64, loads: &[Load]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(*b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    file.extend(2u16.to_le_bytes());
    file.extend(243u16.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    file.extend(entry.to_le_bytes());
    file.extend(64u64.to_le_bytes());
    file.extend(0u64.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    for half in [64u16, 56, loads.len() as u16, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    let mut offset = (64 + 56 * loads.len()) as u64;
    let mut body = Vec::new();
    for load in loads {
        let gap = load.address.wrapping_sub(offset) % 4096;
        body.resize(body.len() + gap as usize, 0);
        offset += gap;
        file.extend(load.kind.to_le_bytes());
        file.extend(load.flags.to_le_bytes());
        let size = load.data.len() as u64;
        for word in [offset, load.address, load.address, size, load.memory_size, 4096] {
            file.extend(word.to_le_bytes());
        }
        body.extend(&load.data);
        offset += size;
    }
    file.extend(body);
    file
}

/// An image of code at `TEXT` and 1 MiB of writable zeros at `DATA`.
pub(crate) fn image(code: &[u8]) -> Vec<u8> {
    elf(TEXT, &[Load::text(TEXT, code), Load::data(DATA, 1 << 20, &[])])
}
