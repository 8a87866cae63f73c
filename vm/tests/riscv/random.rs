//! Random programs for comparisons with other machines.
//!
//! A program works on its registers and on 4 KiB of memory around the border of two pages, then
//! writes both by the system call `WRITE`, with the pointer in `a1` and the length in `a2`, and ends
//! by `ecall` 93. It loops, jumps by address, and jumps into the middle of instructions.

use crate::asm::*;

/// Random instructions of a program.
const INSTRUCTIONS: usize = 600;

/// The base register of memory accesses; nothing else writes it.
const BASE: u32 = 3;
/// The register that counts the rounds of a loop; nothing else writes it.
const COUNTER: u32 = 4;
/// Where the memory begins that loads and stores reach: half a page before a border.
const START: u64 = DATA + 2048;
/// Bytes that loads and stores reach, half of them on each side of the base.
const MEMORY: u64 = 4096;
/// Number of the system call that writes, as Linux has it.
pub(crate) const WRITE: u64 = 64;

/// A small generator of random numbers (splitmix64), so that a failure names its seed.
struct Random {
    state: u64,
    /// The register that was chosen to be written last.
    written: u32,
    /// Whether there may be `ctzw`.
    ctzw: bool,
}

impl Random {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, bound: u32) -> u32 {
        (self.next() % u64::from(bound)) as u32
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u32) as usize]
    }

    /// A register to read: any but the stack pointer, which the hosts set differently; often what
    /// the instruction before may have written.
    fn source(&mut self) -> u32 {
        match self.below(48) {
            2 => 31,
            register @ 0..32 => register,
            _ => self.written,
        }
    }

    /// A register to write: any but the stack pointer, the base and the counter.
    fn destination(&mut self) -> u32 {
        self.written = match self.below(32) {
            2 | BASE | COUNTER => 0,
            register => register,
        };
        self.written
    }

    /// A value that is often an edge of something.
    fn value(&mut self) -> i64 {
        let random = self.next() as i64;
        let edges = [0, -1, 1, i64::MIN, i64::MAX, i32::MIN.into(), 0xffff_ffff, 0x8000_0000];
        match self.below(3) {
            0 => self.pick(&edges),
            1 => random >> 32,
            _ => random,
        }
    }

    fn signed12(&mut self) -> i32 {
        self.below(4096) as i32 - 2048
    }
}

/// Function codes of the register instructions: opcode, funct3, funct7.
fn register_codes() -> Vec<(u32, u32, u32)> {
    let mut codes: Vec<_> = (0..8).flat_map(|f| [(0x33, f, 0), (0x33, f, 1)]).collect();
    codes.extend([(0x33, 0, 32), (0x33, 5, 32), (0x3b, 0, 32), (0x3b, 5, 32)]);
    codes.extend([0, 1, 5].map(|f| (0x3b, f, 0)));
    codes.extend([0, 4, 5, 6, 7].map(|f| (0x3b, f, 1)));
    // Zba, Zbb, Zbc and Zbs.
    codes.extend([2, 4, 6].map(|f| (0x33, f, 0x10)));
    codes.extend([4, 6, 7].map(|f| (0x33, f, 0x20)));
    codes.extend((1..8).map(|f| (0x33, f, 0x05)));
    codes.extend([(0x33, 1, 0x30), (0x33, 5, 0x30), (0x33, 1, 0x14), (0x33, 1, 0x24)]);
    codes.extend([(0x33, 5, 0x24), (0x33, 1, 0x34), (0x3b, 0, 0x04)]);
    codes.extend([2, 4, 6].map(|f| (0x3b, f, 0x10)));
    codes.extend([1, 5].map(|f| (0x3b, f, 0x30)));
    codes
}

/// A random instruction of Zbb or Zbs, or `slli.uw`, with one source register.
fn bits_of_one(random: &mut Random, rd: u32, rs1: u32) -> u32 {
    let shift = random.below(64) as i32;
    match random.below(4) {
        0 => i(0x13, 1, rd, rs1, random.pick(&[0x600, 0x601, 0x602, 0x604, 0x605])),
        1 => i(0x13, 5, rd, rs1, random.pick(&[0x287, 0x6b8, 0x600 | shift, 0x480 | shift])),
        2 => i(0x13, 1, rd, rs1, random.pick(&[0x280, 0x480, 0x680]) | shift),
        _ => random.pick(&[
            i(0x1b, 1, rd, rs1, 0x600),
            i(0x1b, 1, rd, rs1, if random.ctzw { 0x601 } else { 0x602 }),
            i(0x1b, 1, rd, rs1, 0x602),
            i(0x1b, 1, rd, rs1, 0x080 | shift),
            i(0x1b, 5, rd, rs1, 0x600 | shift & 31),
            r(0x3b, 4, 0x04, [rd, rs1, ZERO]),
        ]),
    }
}

/// One of the instructions that compilers emit most, so that three in a row are often those that the
/// interpreter does in one step.
fn common(random: &mut Random) -> u32 {
    let (rs1, rs2) = (random.source(), random.source());
    let (rd, shift) = (random.destination(), random.below(64) as i32);
    let place = random.signed12().min(2040);
    match random.below(20) {
        0 => addi(rd, rs1, random.signed12()),
        1 => r(0x33, 0, random.pick(&[0, 0x20]), [rd, rs1, rs2]),
        2..5 => r(0x33, random.pick(&[3, 4, 6, 7]), 0, [rd, rs1, rs2]),
        5 => r(0x33, random.pick(&[0, 3]), 1, [rd, rs1, rs2]),
        6 => i(0x13, random.pick(&[1, 5]), rd, rs1, shift),
        7 => i(0x1b, random.pick(&[1, 5]), rd, rs1, shift & 31),
        8 => r(0x3b, 0, 0, [rd, rs1, rs2]),
        9 => r(0x33, 7, 0x20, [rd, rs1, rs2]),
        10 => i(0x13, 5, rd, rs1, 0x600 | shift),
        11 => i(0x1b, 5, rd, rs1, 0x600 | shift & 31),
        12 | 13 => i(0x03, 3, rd, BASE, place),
        14 => i(0x03, random.pick(&[2, 4]), rd, BASE, place),
        15 | 16 => s(3, rs2, BASE, place),
        17 => s(random.pick(&[0, 2]), rs2, BASE, place),
        18 => i(0x13, random.pick(&[4, 7]), rd, rs1, random.signed12()),
        _ => i(0x1b, 0, rd, rs1, random.signed12()),
    }
}

/// One random instruction of four bytes that goes on behind itself.
fn plain(random: &mut Random) -> u32 {
    if random.below(2) == 0 {
        return common(random);
    }
    let (rs1, rs2, rd) = (random.source(), random.source(), random.destination());
    match random.below(11) {
        10 => bits_of_one(random, rd, rs1),
        0..4 => {
            let (opcode, funct3, funct7) = random.pick(&register_codes());
            r(opcode, funct3, funct7, [rd, rs1, rs2])
        }
        4 | 5 => i(0x13, random.pick(&[0, 2, 3, 4, 6, 7]), rd, rs1, random.signed12()),
        6 => {
            let shift = random.below(64) as i32 | random.pick(&[0, 0x400]);
            let funct3 = if shift < 0x400 { random.pick(&[1, 5]) } else { 5 };
            let wide = random.below(2) == 0;
            i(
                if wide { 0x13 } else { 0x1b },
                funct3,
                rd,
                rs1,
                if wide { shift } else { shift & !32 },
            )
        }
        7 => random.pick(&[lui(rd, 0x8_1234), auipc(rd, 0xf_0001), i(0x1b, 0, rd, rs1, -77)]),
        8 => i(0x03, random.below(7), rd, BASE, random.signed12().min(2040)),
        _ => s(random.below(4), rs2, BASE, random.signed12().min(2040)),
    }
}

/// A random compressed instruction that goes on behind itself.
fn compressed(random: &mut Random) -> u16 {
    let bits = random.next() as u16;
    let rd = random.destination() as u16;
    let full = |code: u16, imm: u16| code | rd << 7 | (imm & 31) << 2 | (imm >> 5 & 1) << 12;
    match random.below(9) {
        0 => full(0x0001, bits),
        1 if rd != 0 => full(0x2001, bits),
        2 => full(0x4001, bits),
        3 if rd != 0 => full(0x6001, bits | 1),
        4 => full(0x0002, bits),
        5 => full(0x8002, random.source().max(1) as u16) & !0x1000,
        6 => full(0x9002, random.source().max(1) as u16) | 0x1000,
        7 => 0x8001 | bits & 0x13fc | random.pick(&[0x000, 0x400, 0x800]),
        _ => 0x8c01 | bits & 0x039c | random.pick(&[0, 0x20, 0x40, 0x60, 0x1000, 0x1020]),
    }
}

/// An atomic at a random aligned place, its address in x31; `lr` and `sc` come in pairs, for a
/// store between them is where qemu and the ABI differ.
fn atomic(a: &mut Assembler, random: &mut Random) {
    let place = |random: &mut Random| (random.below(500) as i32 - 250) * 8;
    let funct3 = 2 + random.below(2);
    let (rd, operand) = (random.destination(), random.source());
    a.push(addi(31, BASE, place(random)));
    let funct5 = random.pick(&[0, 1, 4, 8, 12, 16, 20, 24, 28, 2, 3]);
    if funct5 != 2 {
        a.push(r(0x2f, funct3, funct5 << 2, [rd, 31, operand]));
        return;
    }
    let same = random.below(2) == 0;
    a.push(r(0x2f, funct3, 2 << 2, [30, 31, ZERO]));
    if !same {
        a.push(addi(31, BASE, place(random)));
    }
    a.push(r(0x2f, funct3, 3 << 2, [rd, 31, operand]));
}

/// A jump to the upper half of an instruction, which is one of its own, or past it: always, or only
/// sometimes, or by address.
fn jump_into(a: &mut Assembler, random: &mut Random) {
    let (left, right, rd) = (random.source(), random.source(), random.destination());
    let offset = random.pick(&[0, 2, 4]);
    match random.below(3) {
        0 => a.push(jal(rd, 4 + offset)),
        1 => a.push(b(random.pick(&[0, 1, 4, 5, 6, 7]), left, right, 4 + offset)),
        _ => a.push(auipc(30, 0)).push(jalr(rd, 30, 8 + offset)),
    };
    let (halves, rd) = (compressed(random), random.destination());
    a.push(u32::from(halves) << 16 | lui(rd, random.below(16)));
}

/// A few instructions, done a few times over.
fn repeat(a: &mut Assembler, random: &mut Random) {
    a.li(COUNTER, (1 + random.below(12)).into());
    let top = a.here();
    for _ in 0..1 + random.below(8) {
        match random.below(8) {
            0 => jump_into(a, random),
            1 => atomic(a, random),
            2 | 3 => {
                a.push_half(compressed(random));
            }
            _ => {
                a.push(plain(random));
            }
        }
    }
    a.push(addi(COUNTER, COUNTER, -1)).bne(COUNTER, ZERO, top);
}

/// The program with this number. `ctzw` says whether it may have that instruction: emulators up to
/// qemu 7.2 count all 64 bits for it.
pub(crate) fn program(seed: u64, ctzw: bool) -> Vec<u8> {
    let mut random = Random { state: seed, written: 0, ctzw };
    let mut a = Assembler::new();
    let middle = START + MEMORY / 2;
    a.li(BASE, middle as i64);
    for register in (1..32).filter(|register| ![SP, BASE, COUNTER].contains(register)) {
        a.li(register, random.value());
    }
    a.li(COUNTER, 0);
    for _ in 0..INSTRUCTIONS {
        match random.below(16) {
            12 | 13 => jump_into(&mut a, &mut random),
            14 | 15 => repeat(&mut a, &mut random),
            0..6 => {
                a.push(plain(&mut random));
            }
            6..9 => {
                a.push_half(compressed(&mut random));
            }
            9 => atomic(&mut a, &mut random),
            10 => {
                let funct3 = random.pick(&[0, 1, 4, 5, 6, 7]);
                let (left, right) = (random.source(), random.source());
                a.push(b(funct3, left, right, 8)).push(plain(&mut random));
            }
            _ => {
                let rd = random.destination();
                a.push(jal(rd, 8)).push(plain(&mut random));
            }
        }
    }
    // The registers go behind the memory; the stack pointer is left out.
    a.li(BASE, (START + MEMORY) as i64);
    for register in (0..32).filter(|&register| register != SP) {
        a.push(sd(register, BASE, 8 * register as i32));
    }
    a.li(A0, 1).li(A1, START as i64).li(A2, MEMORY as i64 + 256).li(A7, WRITE as i64).push(ECALL);
    a.li(A0, 0).exit();
    image(&a.finish())
}
