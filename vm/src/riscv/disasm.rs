//! Instructions as text, in the mnemonics of the GNU tools.

use alloc::{format, string::String};

use super::{
    Image, Segment,
    decode::decode,
    instruction::{Instruction, Operation, length},
    lower::fetch,
};

/// ABI names of the registers.
const NAMES: [&str; 32] = [
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4",
    "a5", "a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4",
    "t5", "t6",
];

/// The ABI name of a register.
pub fn register_name(register: usize) -> &'static str {
    NAMES[register % NAMES.len()]
}

/// One line of a disassembly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Address of the instruction.
    pub pc: u64,
    /// Its bytes, little endian.
    pub bits: u32,
    /// Bytes that it takes: 2 or 4.
    pub length: u8,
    /// The instruction; `.short` or `.word` for an undefined encoding.
    pub text: String,
}

/// The lines of an image: every executable segment from its start on.
pub fn disassemble(image: &Image) -> impl Iterator<Item = Line> + '_ {
    let segments = image.segments();
    let code = segments.iter().filter(|segment| segment.executable);
    code.flat_map(move |segment| lines(segments, segment))
}

/// The line of one address, if it is even and in an executable segment.
pub fn disassemble_at(image: &Image, pc: u64) -> Option<Line> {
    if !pc.is_multiple_of(2) {
        return None;
    }
    image.fetch(pc).map(|bits| line(pc, bits))
}

/// The lines of the bytes that came from the file; zeros behind them are left out.
fn lines<'a>(segments: &'a [Segment], segment: &'a Segment) -> impl Iterator<Item = Line> + 'a {
    let end = segment.start + segment.data.len() as u64;
    let mut pc = segment.start.next_multiple_of(2);
    core::iter::from_fn(move || {
        if pc >= end {
            return None;
        }
        let line = line(pc, fetch(segments, pc)?);
        pc += u64::from(line.length);
        Some(line)
    })
}

fn line(pc: u64, bits: u32) -> Line {
    let length = length(bits as u16) as u8;
    let text = match decode(bits) {
        Some(instruction) => text(&instruction, pc, bits),
        None if length == 2 => format!(".short {bits:#06x}"),
        None => format!(".word {bits:#010x}"),
    };
    Line { pc, bits, length, text }
}

fn text(instruction: &Instruction, pc: u64, bits: u32) -> String {
    use Operation::*;
    if let Some(text) = alias(instruction, pc) {
        return text;
    }
    let Instruction { operation, rd, rs1, rs2, imm, .. } = *instruction;
    let name = mnemonic(operation);
    let [rd, rs1, rs2] = [rd, rs1, rs2].map(|register| NAMES[usize::from(register & 31)]);
    let target = pc.wrapping_add(imm as u64);
    match operation {
        Ecall | Ebreak | Fence | FenceI => name,
        Lui | Auipc => format!("{name} {rd},{:#x}", imm as u32 >> 12),
        Jal => format!("{name} {rd},{target:#x}"),
        Beq | Bne | Blt | Bge | Bltu | Bgeu => format!("{name} {rs1},{rs2},{target:#x}"),
        Lb | Lh | Lw | Ld | Lbu | Lhu | Lwu | Jalr => format!("{name} {rd},{imm}({rs1})"),
        Sb | Sh | Sw | Sd => format!("{name} {rs2},{imm}({rs1})"),
        Slli | Srli | Srai | Slliw | Srliw | Sraiw | SlliUw | Rori | Roriw | Bclri | Bexti
        | Binvi | Bseti => format!("{name} {rd},{rs1},{imm:#x}"),
        Clz | Ctz | Cpop | Clzw | Ctzw | Cpopw | SextB | SextH | ZextH | OrcB | Rev8 => {
            format!("{name} {rd},{rs1}")
        }
        Addi | Slti | Sltiu | Xori | Ori | Andi | Addiw => format!("{name} {rd},{rs1},{imm}"),
        LrW | LrD => format!("{name}{} {rd},({rs1})", ordering(bits)),
        _ if bits & 0x7f == 0x2f => format!("{name}{} {rd},{rs2},({rs1})", ordering(bits)),
        _ => format!("{name} {rd},{rs1},{rs2}"),
    }
}

/// The shorter name that the GNU tools prefer, if the instruction has one.
fn alias(instruction: &Instruction, pc: u64) -> Option<String> {
    use Operation::*;
    let Instruction { operation, rd, rs1, rs2, imm, .. } = *instruction;
    let [to, a, b] = [rd, rs1, rs2].map(|register| NAMES[usize::from(register & 31)]);
    let target = pc.wrapping_add(imm as u64);
    let text = match (operation, rd, rs1, rs2, imm) {
        (Addi, 0, 0, _, 0) => "nop".into(),
        (Addi, _, 0, _, _) => format!("li {to},{imm}"),
        (Addi, _, _, _, 0) => format!("mv {to},{a}"),
        (Add, _, 0, _, _) => format!("mv {to},{b}"),
        (Addiw, _, _, _, 0) => format!("sext.w {to},{a}"),
        (Xori, _, _, _, -1) => format!("not {to},{a}"),
        (Andi, _, _, _, 255) => format!("zext.b {to},{a}"),
        (Sltiu, _, _, _, 1) => format!("seqz {to},{a}"),
        (AddUw, _, _, 0, _) => format!("zext.w {to},{a}"),
        (Sub, _, 0, _, _) => format!("neg {to},{b}"),
        (Subw, _, 0, _, _) => format!("negw {to},{b}"),
        (Sltu, _, 0, _, _) => format!("snez {to},{b}"),
        (Slt, _, _, 0, _) => format!("sltz {to},{a}"),
        (Slt, _, 0, _, _) => format!("sgtz {to},{b}"),
        (Jal, 0, _, _, _) => format!("j {target:#x}"),
        (Jal, 1, _, _, _) => format!("jal {target:#x}"),
        (Jalr, 0, 1, _, 0) => "ret".into(),
        (Jalr, 0, _, _, 0) => format!("jr {a}"),
        (Jalr, 0, _, _, _) => format!("jr {imm}({a})"),
        (Jalr, 1, _, _, 0) => format!("jalr {a}"),
        (Jalr, 1, _, _, _) => format!("jalr {imm}({a})"),
        (Beq, _, _, 0, _) => format!("beqz {a},{target:#x}"),
        (Bne, _, _, 0, _) => format!("bnez {a},{target:#x}"),
        (Bge, _, 0, _, _) => format!("blez {b},{target:#x}"),
        (Bge, _, _, 0, _) => format!("bgez {a},{target:#x}"),
        (Blt, _, _, 0, _) => format!("bltz {a},{target:#x}"),
        (Blt, _, 0, _, _) => format!("bgtz {b},{target:#x}"),
        _ => return None,
    };
    Some(text)
}

/// The mnemonic: the operation's name in lower case, its width or kind behind a point.
fn mnemonic(operation: Operation) -> String {
    let mut name = String::new();
    for (place, letter) in format!("{operation:?}").char_indices() {
        if place > 0 && letter.is_ascii_uppercase() {
            name.push('.');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// The suffix for the ordering bits of an atomic.
fn ordering(bits: u32) -> &'static str {
    match bits >> 25 & 3 {
        0 => "",
        1 => ".rl",
        2 => ".aq",
        _ => ".aqrl",
    }
}
