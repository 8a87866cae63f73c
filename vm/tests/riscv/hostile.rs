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
