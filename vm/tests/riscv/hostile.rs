//! Bytes that mean harm: the short, deterministic slice of what the fuzz targets do.

use proptest::prelude::*;
use tandem_vm::riscv::{Image, Machine, Pool, Stop, Units, disassemble};

use crate::asm::*;

/// Gas of a hostile run: some ten thousand instructions.
const GAS: u64 = 1_000;

/// Runs an image over all its system calls, both ways, and compares.
fn run_both_ways(file: &[u8]) -> Result<(), TestCaseError> {
    let gas = Default::default();
    let Ok(image) = Image::load(file, &gas) else { return Ok(()) };
    let image = std::sync::Arc::new(image);
    prop_assert!(image.heap_size() <= 46 * file.len());
    let text: usize = disassemble(&image).map(|line| line.text.len()).sum();
    prop_assert!(text <= 64 * file.len());
    let mut pool = Pool::new();
    let mut whole = Machine::new(image.clone(), &mut pool, false);
    let mut stepped = Machine::new(image, &mut pool, false);
    let (mut units, mut stepped_units) = (Units::new(&gas, 64), Units::new(&gas, 64));
    units.refill(GAS);
    stepped_units.refill(GAS);
    loop {
        let stop = whole.run(&mut units);
        let other = loop {
            if let Some(stop) = stepped.step(&mut stepped_units) {
                break stop;
            }
        };
        prop_assert_eq!(stop, other);
        prop_assert_eq!(&units, &stepped_units);
        prop_assert_eq!(whole.registers(), stepped.registers());
        prop_assert_eq!(whole.pc(), stepped.pc());
        if stop != Stop::Syscall {
            break;
        }
        let (ptr, len) = (whole.arg(0), whole.arg(1));
        let read = whole.read(ptr, len % 10_000, &mut units);
        prop_assert_eq!(read, stepped.read(ptr, len % 10_000, &mut stepped_units));
    }
    let pages = whole.release(&mut pool);
    prop_assert_eq!(pages, stepped.release(&mut pool));
    prop_assert!(pages <= 64);
    Ok(())
}

/// Mostly defined instructions: random fields under real opcodes, and compressed ones.
fn instruction() -> impl Strategy<Value = Vec<u8>> {
    const OPCODES: [u32; 12] =
        [0x03, 0x0f, 0x13, 0x17, 0x1b, 0x23, 0x2f, 0x33, 0x37, 0x3b, 0x63, 0x6f];
    prop_oneof![
        (any::<u32>(), 0..OPCODES.len())
            .prop_map(|(bits, n)| (bits & !0x7f | OPCODES[n]).to_le_bytes().to_vec()),
        // Arithmetic with the usual function codes.
        (any::<u32>(), 0..3u32).prop_map(|(bits, n)| {
            let opcode = [0x33, 0x3b, 0x1b][n as usize];
            (bits & 0x01ff_ff80 & !(0xfe00_0000) | opcode).to_le_bytes().to_vec()
        }),
        any::<u16>().prop_map(|bits| bits.to_le_bytes().to_vec()),
        // Around the stack pointer, so that accesses hit.
        (any::<u32>(), any::<bool>()).prop_map(|(bits, store)| {
            let opcode = if store { 0x23 } else { 0x03 };
            (bits & 0xfff0_7f80 & !(1 << 14) | 2 << 15 | opcode | 1 << 31).to_le_bytes().to_vec()
        }),
    ]
}

/// Instructions that the interpreter fuses, over so few registers that most depend on the one
/// before.
fn dense() -> impl Strategy<Value = u32> {
    let register = || 10..14u32;
    (0..26u32, register(), register(), register(), 0..64i32).prop_map(|(n, rd, rs1, rs2, imm)| {
        match n {
            0..8 => {
                let (opcode, funct3, funct7) = [
                    (0x33, 0, 0),
                    (0x33, 0, 32),
                    (0x33, 4, 0),
                    (0x33, 6, 0),
                    (0x33, 7, 0),
                    (0x33, 3, 0),
                    (0x33, 7, 32),
                    (0x3b, 0, 0),
                ][n as usize];
                r(opcode, funct3, funct7, [rd, rs1, rs2])
            }
            8 => r(0x33, [0, 3][rs2 as usize % 2], 1, [rd, rs1, rs2]),
            9 | 10 => addi(rd, rs1, imm - 32),
            11 => i(0x13, 7, rd, rs1, imm),
            12 => i(0x13, 1, rd, rs1, imm),
            13 => i(0x13, 5, rd, rs1, imm),
            14 => i(0x1b, 1, rd, rs1, imm & 31),
            15 => i(0x1b, 5, rd, rs1, imm & 31),
            16 => i(0x13, 5, rd, rs1, 0x600 | imm),
            17 => i(0x1b, 5, rd, rs1, 0x600 | imm & 31),
            18 => lui(rd, imm as u32),
            19 => ld(rd, SP, -8 * imm - 8),
            20 => lw(rd, SP, -8 * imm - 8),
            21 => i(0x03, 4, rd, SP, -8 * imm - 7),
            22 => sd(rs2, SP, -8 * imm - 8),
            23 => s(0, rs2, SP, -8 * imm - 5),
            24 => s(2, rs2, SP, -8 * imm - 5),
            _ => b([0, 1, 4, 5, 6, 7][imm as usize % 6], rs1, rs2, 8),
        }
    })
}

/// A rotation as compilers write it without Zbb, often over the same registers.
fn rotation() -> impl Strategy<Value = [u32; 3]> {
    let register = || 10..13u32;
    (register(), register(), register(), 1..32i32, 0..4u32).prop_map(
        |(rd, temporary, rs, by, n)| {
            let opcode = [0x13, 0x1b][n as usize / 2];
            let (first, second) = [(1, 5), (5, 1)][n as usize % 2];
            [
                i(opcode, first, temporary, rs, by),
                i(opcode, second, rd, rs, 32 - by),
                r(0x33, [6, 4][n as usize % 2], 0, [rd, temporary, rd]),
            ]
        },
    )
}

/// What the interpreter does in one step of four instructions or more, or with one look at a page.
const SEQUENCES: [&str; 40] = [
    "srliw slliw or xor xor",
    "srliw slliw or srliw slliw or",
    "srliw slliw or srliw slliw or srliw xor xor",
    "lw srliw slliw or srliw slliw or srliw xor xor",
    "srliw slli or add xor",
    "srliw slli or ld add add",
    "srliw slli or srliw slli or",
    "srli slli or srli slli or",
    "sd srli slli or",
    "xori and and xor",
    "xor and xor",
    "xor and xor lui addiw",
    "xor and and xor",
    "xor and and xor addw addw addw",
    "lui addiw lw addw",
    "lw addw addw addw addw",
    "andn xor andn xor",
    "andn xor sd andn xor",
    "xor ld xor xor",
    "xor xor xor xor",
    "rori rori rori rori",
    "roriw roriw roriw roriw",
    "add add add add",
    "add add add add xor xor xor xor",
    "add add add add xor xor xor xor roriw roriw roriw roriw",
    "ld ld ld ld",
    "ld ld addi",
    "sd sd sd sd",
    "addi sd sd",
    "sd ld",
    "ld sd",
    "ld sd addi addi bltu",
    "sd addi addi bltu",
    "ld lw add add addi bltu",
    "lw lw addw addw addw sw lw",
    "sw sw",
    "lbu lbu",
    "lbu lbu lb slli or",
    "slli slli or lbu",
    "lbu addi sb addi addi bne",
];

/// An instruction by name. Loads and stores are around `rs1`, which must hold an address.
fn named(name: &str, [rd, rs1, rs2]: [u32; 3], imm: i32) -> u32 {
    match name {
        "add" => r(0x33, 0, 0, [rd, rs1, rs2]),
        "addw" => r(0x3b, 0, 0, [rd, rs1, rs2]),
        "and" => r(0x33, 7, 0, [rd, rs1, rs2]),
        "andn" => r(0x33, 7, 0x20, [rd, rs1, rs2]),
        "or" => r(0x33, 6, 0, [rd, rs1, rs2]),
        "xor" => r(0x33, 4, 0, [rd, rs1, rs2]),
        "addi" => addi(rd, rs1, imm),
        "addiw" => i(0x1b, 0, rd, rs1, imm),
        "xori" => i(0x13, 4, rd, rs1, imm),
        "slli" => i(0x13, 1, rd, rs1, imm & 63),
        "srli" => i(0x13, 5, rd, rs1, imm & 63),
        "slliw" => i(0x1b, 1, rd, rs1, imm & 31),
        "srliw" => i(0x1b, 5, rd, rs1, imm & 31),
        "rori" => i(0x13, 5, rd, rs1, 0x600 | imm & 63),
        "roriw" => i(0x1b, 5, rd, rs1, 0x600 | imm & 31),
        "lui" => lui(rd, imm as u32 & 0xfffff),
        "lb" => i(0x03, 0, rd, rs1, imm),
        "lbu" => i(0x03, 4, rd, rs1, imm),
        "lw" => lw(rd, rs1, imm),
        "ld" => ld(rd, rs1, imm),
        "sb" => s(0, rs2, rs1, imm),
        "sw" => s(2, rs2, rs1, imm),
        "sd" => sd(rs2, rs1, imm),
        "bltu" => b(6, rs1, rs2, 8),
        "bne" => b(1, rs1, rs2, 8),
        _ => panic!("no instruction {name}"),
    }
}

/// One of the sequences over few registers: with rotations that are some, values handed on, and
/// accesses around the border of two pages or the start of the stack.
fn sequence() -> impl Strategy<Value = Vec<u32>> {
    let operands = (10..14u32, 10..14u32, 10..14u32, -70..70i32, any::<[bool; 2]>());
    (0..SEQUENCES.len(), prop::collection::vec(operands, 16), any::<bool>()).prop_map(
        |(number, operands, on_stack)| {
            let names: Vec<&str> = SEQUENCES[number].split(' ').collect();
            let mut fields: Vec<_> = operands.iter().map(|o| [o.0, o.1, o.2]).collect();
            for n in 1..names.len() {
                let [handed, rotates] = operands[n].4;
                if handed {
                    fields[n][1] = fields[n - 1][0];
                }
                if rotates && n >= 2 && names[n] == "or" && names[n - 2].starts_with("sr") {
                    let [one, two] = [fields[n - 2][0], fields[n - 1][0]];
                    fields[n] = [fields[n][0], two, one];
                }
            }
            let word = |(n, name): (usize, &&str)| {
                let access = ["lb", "lbu", "lw", "ld", "sb", "sw", "sd"].contains(name);
                let [rd, rs1, rs2] = fields[n];
                let base = if on_stack { SP } else { 14 };
                let imm = operands[n].3 - if access && on_stack { 80 } else { 0 };
                // Now and then the base itself is overwritten.
                let rd = if imm == 7 { base } else { rd };
                named(name, [rd, if access { base } else { rs1 }, rs2], imm)
            };
            names.iter().enumerate().map(word).collect()
        },
    )
}

/// A function that calls itself twice as long as the count in `s2` lasts, by either call, and
/// returns behind the call or one instruction further.
fn recursion(count: i64, far: [bool; 2], skips: bool, body: &[u32]) -> Vec<u8> {
    let mut a = Assembler::new();
    let (function, recurse) = (a.label(), a.label());
    a.li(S2, count).li(14, DATA as i64 + 4096).jal(RA, function);
    a.push(addi(0, 0, 0)).push(addi(0, 0, 0)).exit();
    let start = a.len() as i32;
    a.bind(function).push(addi(S2, S2, -1)).branch(5, S2, ZERO, recurse);
    a.push(jalr(ZERO, RA, 0)).bind(recurse).push(addi(SP, SP, -16)).push(sd(RA, SP, 0));
    for far in far {
        if far {
            let here = a.len() as i32;
            a.push(auipc(RA, 0)).push(jalr(RA, RA, start - here));
        } else {
            a.jal(RA, function);
        }
        a.push(addi(A0, A0, 3));
        for &word in body {
            a.push(word);
        }
        a.push(addi(0, 0, 0)).push(addi(0, 0, 0));
    }
    a.push(ld(RA, SP, 0)).push(addi(SP, SP, 16)).push(jalr(ZERO, RA, if skips { 4 } else { 0 }));
    a.finish()
}

/// A long run of code costs the host's stack nothing, and neither do many jumps.
#[test]
fn long_runs_and_loops_end() {
    let mut a = Assembler::new();
    a.li(10, 0).li(11, 100_000);
    for _ in 0..60_000 {
        a.push(addi(10, 10, 1));
    }
    let top = a.here();
    a.push(addi(11, 11, -1)).bne(11, 0, top).exit();
    let run = crate::guest::run(&a.finish());
    assert_eq!((run.stop, run.register(10), run.register(11)), (Stop::Syscall, 60_000, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn fused_steps_do_what_single_ones_do(
        values in prop::array::uniform4(any::<i64>()),
        body in prop::collection::vec(
            prop_oneof![dense().prop_map(|word| vec![word]), rotation().prop_map(Vec::from)],
            1..150,
        ),
    ) {
        let mut a = Assembler::new();
        for (register, value) in (10..14).zip(values) {
            a.li(register, value);
        }
        for word in body.concat() {
            a.push(word);
        }
        // A branch at the end may go one further.
        a.push(addi(0, 0, 0)).push(addi(0, 0, 0)).exit();
        run_both_ways(&crate::asm::image(&a.finish()))?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn long_steps_do_what_single_ones_do(
        values in prop::array::uniform4(any::<i64>()),
        body in prop::collection::vec(sequence(), 1..30),
        border in -80..80i64,
    ) {
        let mut a = Assembler::new();
        for (register, value) in (10..14).zip(values) {
            a.li(register, value);
        }
        a.li(14, DATA as i64 + 4096 + border);
        for word in body.concat() {
            a.push(word);
        }
        a.push(addi(0, 0, 0)).push(addi(0, 0, 0)).exit();
        run_both_ways(&crate::asm::image(&a.finish()))?;
    }

    #[test]
    fn remembered_calls_change_nothing(
        count in 0..60i64,
        far in any::<[bool; 2]>(),
        skips in any::<bool>(),
        body in prop::collection::vec(sequence(), 0..6),
    ) {
        let code = recursion(count, far, skips, &body.concat());
        run_both_ways(&crate::asm::image(&code))?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn random_code_never_panics(body in prop::collection::vec(instruction(), 1..200)) {
        let mut a = Assembler::new();
        for (register, value) in [(10, 0x20_0000), (11, 64), (12, -1), (13, 0x1_0010)] {
            a.li(register, value);
        }
        let code = [a.finish(), body.concat()].concat();
        run_both_ways(&crate::asm::image(&code))?;
    }

    #[test]
    fn random_bytes_as_code_never_panic(code in prop::collection::vec(any::<u8>(), 1..600)) {
        run_both_ways(&elf(TEXT, &[Load::text(TEXT, &code)]))?;
    }

    #[test]
    fn damaged_files_never_panic(
        changes in prop::collection::vec((0..400usize, any::<u8>()), 1..8),
        length in 0..5000usize,
    ) {
        let mut file = crate::asm::image(&[0x13, 0, 0, 0, 0x73, 0, 0, 0]);
        for (at, value) in changes {
            if let Some(byte) = file.get_mut(at) {
                *byte = value;
            }
        }
        file.truncate(length);
        run_both_ways(&file)?;
    }

    #[test]
    fn random_files_never_panic(file in prop::collection::vec(any::<u8>(), 0..400)) {
        run_both_ways(&file)?;
    }
}
