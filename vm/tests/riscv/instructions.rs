//! One table line per instruction.

use tandem_vm::riscv::{Machine, Pool, Stop, Trap};

use crate::{
    asm::*,
    guest::{Run, load, run, run_image, units},
};

/// Executes `setup` and one instruction of 4 bytes, or of 2 if `bits` says so, then `ecall`.
fn execute(setup: &[(u32, u64)], bits: u32) -> Run {
    let mut a = Assembler::new();
    for &(register, value) in setup {
        a.li(register, value as i64);
    }
    if bits & 3 == 3 {
        a.push(bits);
    } else {
        a.push_half(bits as u16);
    }
    a.push(ECALL);
    run(&a.finish())
}

/// `a0 = instruction(a1, a2)`.
fn check_registers(name: &str, bits: u32, a: u64, b: u64, expected: u64) {
    let run = execute(&[(A1, a), (A2, b)], bits);
    assert_eq!(run.stop, Stop::Syscall, "{name}");
    let actual = run.register(A0);
    assert_eq!(actual, expected, "{name} {a:#x}, {b:#x}: {actual:#x}, not {expected:#x}");
}

const MIN: u64 = i64::MIN as u64;
const MIN32: u64 = i32::MIN as u64;
const ONES: u64 = u64::MAX;
const BIG: u64 = 0x8765_4321_fedc_ba98;

#[test]
fn register_instructions_compute() {
    let op = |funct3, funct7| r(0x33, funct3, funct7, [A0, A1, A2]);
    let op32 = |funct3, funct7| r(0x3b, funct3, funct7, [A0, A1, A2]);
    let table = [
        ("add", op(0, 0), ONES, 3, 2),
        ("sub", op(0, 32), 2, 3, ONES),
        ("sll", op(1, 0), 1, 65, 2),
        ("slt", op(2, 0), ONES, 0, 1),
        ("slt", op(2, 0), 0, ONES, 0),
        ("sltu", op(3, 0), ONES, 0, 0),
        ("sltu", op(3, 0), 0, ONES, 1),
        ("xor", op(4, 0), 12, 10, 6),
        ("srl", op(5, 0), MIN, 127, 1),
        ("sra", op(5, 32), MIN, 127, ONES),
        ("or", op(6, 0), 12, 10, 14),
        ("and", op(7, 0), 12, 10, 8),
        ("addw", op32(0, 0), 0x7fff_ffff, 1, MIN32),
        ("subw", op32(0, 32), 0, 1 << 32 | 1, ONES),
        ("sllw", op32(1, 0), 1, 31 + 32, MIN32),
        ("srlw", op32(5, 0), BIG, 4, 0x0fed_cba9),
        ("srlw", op32(5, 0), BIG, 32, 0xffff_ffff_fedc_ba98),
        ("sraw", op32(5, 32), BIG, 4, 0xffff_ffff_ffed_cba9),
        ("mul", op(0, 1), BIG, BIG, BIG.wrapping_mul(BIG)),
        ("mulh", op(1, 1), ONES, ONES, 0),
        ("mulh", op(1, 1), MIN, MIN, 1 << 62),
        ("mulh", op(1, 1), MIN, 2, ONES),
        ("mulhsu", op(2, 1), ONES, ONES, ONES),
        ("mulhsu", op(2, 1), 2, ONES, 1),
        ("mulhu", op(3, 1), ONES, ONES, ONES - 1),
        ("div", op(4, 1), -7i64 as u64, 2, -3i64 as u64),
        ("div by zero", op(4, 1), 7, 0, ONES),
        ("div overflow", op(4, 1), MIN, ONES, MIN),
        ("divu", op(5, 1), ONES, 2, ONES / 2),
        ("divu by zero", op(5, 1), 7, 0, ONES),
        ("rem", op(6, 1), -7i64 as u64, 2, ONES),
        ("rem by zero", op(6, 1), 7, 0, 7),
        ("rem overflow", op(6, 1), MIN, ONES, 0),
        ("remu", op(7, 1), ONES, 10, 5),
        ("remu by zero", op(7, 1), 7, 0, 7),
        ("mulw", op32(0, 1), BIG, 3, 0xffff_ffff_fc96_2fc8),
        ("divw", op32(4, 1), 1 << 32 | 9, -2i64 as u64, -4i64 as u64),
        ("divw by zero", op32(4, 1), 7, 1 << 32, ONES),
        ("divw overflow", op32(4, 1), 0x8000_0000, ONES, MIN32),
        ("divuw", op32(5, 1), 0xffff_ffff, 1, ONES),
        ("divuw by zero", op32(5, 1), 7, 1 << 32, ONES),
        ("remw", op32(6, 1), -7i64 as u64, 4, -3i64 as u64),
        ("remw by zero", op32(6, 1), 0x8000_0000, 0, MIN32),
        ("remw overflow", op32(6, 1), 0x8000_0000, ONES, 0),
        ("remuw", op32(7, 1), 0xffff_ffff, 16, 15),
        ("remuw by zero", op32(7, 1), 0xffff_ffff, 0, ONES),
    ];
    for (name, bits, a, b, expected) in table {
        check_registers(name, bits, a, b, expected);
    }
}

#[test]
fn immediate_instructions_compute() {
    let op = |funct3, imm| i(0x13, funct3, A0, A1, imm);
    let op32 = |funct3, imm| i(0x1b, funct3, A0, A1, imm);
    let table = [
        ("addi", op(0, -1), 0, ONES),
        ("slti", op(2, -1), MIN, 1),
        ("slti", op(2, -1), 0, 0),
        ("sltiu", op(3, -1), 5, 1),
        ("sltiu", op(3, 5), 5, 0),
        ("xori", op(4, -1), 5, ONES - 5),
        ("ori", op(6, -16), 5, ONES - 15 + 5),
        ("andi", op(7, -16), 0x1ff, 0x1f0),
        ("slli", op(1, 63), 3, MIN),
        ("srli", op(5, 63), MIN, 1),
        ("srai", op(5, 0x400 | 63), MIN, ONES),
        ("addiw", op32(0, 1), 0x7fff_ffff, MIN32),
        ("slliw", op32(1, 31), 1, MIN32),
        ("srliw", op32(5, 4), BIG, 0x0fed_cba9),
        ("srliw", op32(5, 0), BIG, 0xffff_ffff_fedc_ba98),
        ("sraiw", op32(5, 0x400 | 4), BIG, 0xffff_ffff_ffed_cba9),
        ("lui", lui(A0, 0x8_0001), 0, 0xffff_ffff_8000_1000),
        ("auipc", auipc(A0, 0xf_fff0), 0, 0),
        ("fence", 0x0ff0_000f, 0, 0),
        ("fence.i", 0x0000_100f, 0, 0),
    ];
    for (name, bits, a, expected) in table {
        // `auipc` stands behind the eight bytes of its setup: here it is exact for zeros.
        check_registers(name, bits, a, 0, expected + if name == "auipc" { 8 } else { 0 });
    }
}

#[test]
fn bit_manipulation_of_registers_computes() {
    let op = |funct3, funct7| r(0x33, funct3, funct7, [A0, A1, A2]);
    let op32 = |funct3, funct7| r(0x3b, funct3, funct7, [A0, A1, A2]);
    let table = [
        ("sh1add", op(2, 0x10), MIN | 3, 5, 11),
        ("sh2add", op(4, 0x10), MIN | 3, 5, 17),
        ("sh3add", op(6, 0x10), MIN | 3, 5, 29),
        ("add.uw", op32(0, 0x04), ONES, 2, 0x1_0000_0001),
        ("sh1add.uw", op32(2, 0x10), ONES, 1, 0x1_ffff_ffff),
        ("sh2add.uw", op32(4, 0x10), ONES, 1, 0x3_ffff_fffd),
        ("sh3add.uw", op32(6, 0x10), ONES, 1, 0x7_ffff_fff9),
        ("andn", op(7, 0x20), 12, 10, 4),
        ("orn", op(6, 0x20), 12, 10, ONES - 2),
        ("xnor", op(4, 0x20), 12, 10, ONES - 6),
        ("max", op(6, 0x05), ONES, 1, 1),
        ("maxu", op(7, 0x05), ONES, 1, ONES),
        ("min", op(4, 0x05), ONES, 1, ONES),
        ("minu", op(5, 0x05), ONES, 1, 1),
        ("rol", op(1, 0x30), MIN | 1, 65, 3),
        ("ror", op(5, 0x30), 3, 65, MIN | 1),
        ("rolw", op32(1, 0x30), 0xffff_ffff_4000_0001, 33, 0xffff_ffff_8000_0002),
        ("rorw", op32(5, 0x30), 0xffff_ffff_0000_0003, 33, 0xffff_ffff_8000_0001),
        ("clmul", op(1, 0x05), 7, 7, 0x15),
        ("clmul", op(1, 0x05), ONES, ONES, 0x5555_5555_5555_5555),
        ("clmulh", op(3, 0x05), ONES, ONES, 0x5555_5555_5555_5555),
        ("clmulh", op(3, 0x05), MIN, 6, 3),
        ("clmulr", op(2, 0x05), MIN, 6, 6),
        ("clmulr", op(2, 0x05), ONES, ONES, 0xaaaa_aaaa_aaaa_aaaa),
        ("bclr", op(1, 0x24), ONES, 127, ONES >> 1),
        ("bext", op(5, 0x24), MIN, 127, 1),
        ("bext", op(5, 0x24), MIN, 62, 0),
        ("binv", op(1, 0x34), 1, 64, 0),
        ("bset", op(1, 0x14), 1, 127, MIN | 1),
    ];
    for (name, bits, a, b, expected) in table {
        check_registers(name, bits, a, b, expected);
    }
}

#[test]
fn bit_manipulation_of_one_register_computes() {
    let op = |funct3, upper| i(0x13, funct3, A0, A1, upper);
    let op32 = |funct3, upper| i(0x1b, funct3, A0, A1, upper);
    let table = [
        ("clz", op(1, 0x600), 0, 64),
        ("clz", op(1, 0x600), 1 << 40, 23),
        ("ctz", op(1, 0x601), 0, 64),
        ("ctz", op(1, 0x601), 1 << 40, 40),
        ("cpop", op(1, 0x602), BIG, 33),
        ("clzw", op32(1, 0x600), 1 << 32, 32),
        ("clzw", op32(1, 0x600), ONES >> 33, 1),
        ("ctzw", op32(1, 0x601), 1 << 32, 32),
        ("ctzw", op32(1, 0x601), MIN32, 31),
        ("cpopw", op32(1, 0x602), ONES, 32),
        ("sext.b", op(1, 0x604), 0x17f80, 0xffff_ffff_ffff_ff80),
        ("sext.h", op(1, 0x605), 0x18000, 0xffff_ffff_ffff_8000),
        ("zext.h", r(0x3b, 4, 0x04, [A0, A1, ZERO]), BIG, 0xba98),
        ("orc.b", op(5, 0x287), 0x0100_8000_0000_0010, 0xff00_ff00_0000_00ff),
        ("rev8", op(5, 0x6b8), BIG, 0x98ba_dcfe_2143_6587),
        ("rori", op(5, 0x600 | 63), MIN | 1, 3),
        ("roriw", op32(5, 0x600 | 31), 0x8000_0001, 3),
        ("slli.uw", op32(1, 0x080 | 36), ONES, 0xffff_fff0_0000_0000),
        ("bclri", op(1, 0x480 | 63), ONES, ONES >> 1),
        ("bexti", op(5, 0x480 | 63), MIN, 1),
        ("binvi", op(1, 0x680 | 63), 0, MIN),
        ("bseti", op(1, 0x280 | 63), 0, MIN),
    ];
    for (name, bits, a, expected) in table {
        check_registers(name, bits, a, 0, expected);
    }
}

#[test]
fn x0_stays_zero() {
    for bits in [addi(ZERO, A1, 1), lui(ZERO, 5), mul(ZERO, A1, A1), ld(ZERO, SP, -8)] {
        let run = execute(&[(A1, 7)], bits);
        assert_eq!((run.stop, run.register(ZERO)), (Stop::Syscall, 0));
        let run = execute(&[(A1, 7), (A0, 3)], r(0x33, 0, 0, [A0, ZERO, ZERO]));
        assert_eq!(run.register(A0), 0);
    }
}

/// Loads from eight known bytes at the start and across a page border.
#[test]
fn loads_extend() {
    let load = |funct3| i(0x03, funct3, A0, A1, 0);
    let table = [
        ("lb", 0, 0xffff_ffff_ffff_ff98),
        ("lh", 1, 0xffff_ffff_ffff_ba98),
        ("lw", 2, 0xffff_ffff_fedc_ba98),
        ("ld", 3, BIG),
        ("lbu", 4, 0x98),
        ("lhu", 5, 0xba98),
        ("lwu", 6, 0xfedc_ba98),
    ];
    for (name, funct3, expected) in table {
        for address in [DATA, DATA + 1, DATA + 4095, DATA + 4089] {
            let mut a = Assembler::new();
            a.li(A1, address as i64).li(A2, BIG as i64);
            a.push(sd(A2, A1, 0)).push(load(funct3)).push(ECALL);
            let run = run(&a.finish());
            assert_eq!(run.stop, Stop::Syscall, "{name} at {address:#x}");
            assert_eq!(run.register(A0), expected, "{name} at {address:#x}");
        }
    }
}

#[test]
fn stores_write_their_width() {
    for (name, funct3, width) in [("sb", 0, 1), ("sh", 1, 2), ("sw", 2, 4), ("sd", 3, 8)] {
        for address in [DATA + 16, DATA + 17, DATA + 8191] {
            let mut a = Assembler::new();
            a.li(A1, address as i64).li(A2, BIG as i64);
            a.push(s(funct3, A2, A1, 0)).push(ECALL);
            let mut run = run(&a.finish());
            assert_eq!(run.stop, Stop::Syscall, "{name}");
            let bytes = run.machine.read(address - 1, 10, &mut run.units).expect("mapped");
            let mut expected = [0; 10];
            expected[1..=width].copy_from_slice(&BIG.to_le_bytes()[..width]);
            assert_eq!(bytes, expected, "{name} at {address:#x}");
        }
    }
}

#[test]
fn branches_compare() {
    let table = [
        ("beq", 0, 5, 5, true),
        ("beq", 0, 5, 6, false),
        ("bne", 1, 5, 6, true),
        ("bne", 1, 5, 5, false),
        ("blt", 4, ONES, 0, true),
        ("blt", 4, 0, 0, false),
        ("bge", 5, 0, ONES, true),
        ("bge", 5, ONES, 0, false),
        ("bltu", 6, 0, ONES, true),
        ("bltu", 6, ONES, 0, false),
        ("bgeu", 7, ONES, 0, true),
        ("bgeu", 7, 0, ONES, false),
    ];
    for (name, funct3, left, right, taken) in table {
        let mut a = Assembler::new();
        let target = a.label();
        a.li(A1, left as i64).li(A2, right as i64).li(A0, 1).branch(funct3, A1, A2, target);
        a.li(A0, 0).bind(target).push(ECALL);
        assert_eq!(run(&a.finish()).register(A0), u64::from(taken), "{name} {left} {right}");
    }
}

#[test]
fn jumps_link_and_clear_the_lowest_bit() {
    let mut a = Assembler::new();
    let (over, back) = (a.label(), a.label());
    a.jal(A0, over).push(EBREAK).bind(back).push(ECALL);
    a.bind(over).push(auipc(A1, 0)).push(jalr(A2, A1, -3)).push(EBREAK);
    let run = run(&a.finish());
    assert_eq!(run.stop, Stop::Syscall);
    // The target is odd, TEXT + 9: bit 0 is cleared as the ISA says.
    assert_eq!(run.machine.stopped_at(), TEXT + 8);
    assert_eq!((run.register(A0), run.register(A2)), (TEXT + 4, TEXT + 20));
}

#[test]
fn jalr_may_link_to_its_own_base() {
    let mut a = Assembler::new();
    a.push(auipc(A0, 0)).push(jalr(A0, A0, 12)).push(EBREAK).push(ECALL);
    let run = run(&a.finish());
    assert_eq!((run.stop, run.register(A0)), (Stop::Syscall, TEXT + 8));
}

#[test]
fn atomics_read_modify_write() {
    let old: u64 = 0x8000_0001_8000_0002;
    let low = 0xffff_ffff_8000_0002;
    let table: [(&str, u32, u64, u64, u64); 9] = [
        ("amoswap", 0x01, 7, 7, 7),
        ("amoadd", 0x00, 7, old + 7, 0x8000_0009),
        ("amoxor", 0x04, 3, old ^ 3, 0x8000_0001),
        ("amoand", 0x0c, 2, 2, 2),
        ("amoor", 0x08, 1, old | 1, 0x8000_0003),
        ("amomin", 0x10, 5, old, 0x8000_0002),
        ("amomax", 0x14, 5, 5, 5),
        ("amominu", 0x18, 5, 5, 5),
        ("amomaxu", 0x1c, 5, old, 0x8000_0002),
    ];
    for (name, funct5, operand, double, word) in table {
        for (funct3, result, memory) in
            [(3, old, double), (2, low, old & 0xffff_ffff_0000_0000 | word)]
        {
            for address in [DATA, DATA + 4093] {
                let mut a = Assembler::new();
                a.li(A1, address as i64).li(A2, operand as i64).li(A3, old as i64);
                a.push(sd(A3, A1, 0)).push(r(0x2f, funct3, funct5 << 2 | 3, [A0, A1, A2]));
                a.push(ld(A4, A1, 0)).push(ECALL);
                let run = run(&a.finish());
                assert_eq!(run.stop, Stop::Syscall, "{name}.{funct3}");
                assert_eq!(run.register(A0), result, "{name}.{funct3}: old value");
                assert_eq!(run.register(A4), memory, "{name}.{funct3}: memory");
            }
        }
    }
}

/// `lr` to one address, `sc` to another or the same one, maybe with an `sc` between.
#[test]
fn store_conditional_needs_the_last_reservation() {
    let lr = |funct3, base| r(0x2f, funct3, 0x02 << 2, [A3, base, ZERO]);
    let sc = |funct3, base, rd| r(0x2f, funct3, 0x03 << 2, [rd, base, A2]);
    // A1 holds DATA, A4 holds DATA + 8; the last instruction is the `sc` in question.
    let table: [(&str, &[u32], u64); 8] = [
        ("same address", &[lr(3, A1), sc(3, A1, A0)], 0),
        ("same address, words", &[lr(2, A1), sc(2, A1, A0)], 0),
        ("address counts, not width", &[lr(2, A1), sc(3, A1, A0)], 0),
        ("other address", &[lr(3, A4), sc(3, A1, A0)], 1),
        ("the last lr counts", &[lr(3, A1), lr(3, A4), sc(3, A1, A0)], 1),
        ("an sc between", &[lr(3, A1), sc(3, A4, A5), sc(3, A1, A0)], 1),
        ("a store between", &[lr(3, A1), sd(A2, A1, 0), sc(3, A1, A0)], 0),
        ("no lr", &[sc(3, A1, A0)], 1),
    ];
    for (name, body, result) in table {
        let mut a = Assembler::new();
        a.li(A1, DATA as i64).li(A4, DATA as i64 + 8).li(A2, 0x55).li(A0, 9);
        a.extend(body.iter().copied()).push(ld(A6, A1, 0)).push(ECALL);
        let run = run(&a.finish());
        assert_eq!((run.stop, run.register(A0)), (Stop::Syscall, result), "{name}");
        let stored = result == 0 || name == "a store between";
        assert_eq!(run.register(A6), if stored { 0x55 } else { 0 }, "{name}");
    }
}

#[test]
fn compressed_instructions_do_what_they_expand_to() {
    let top = 0x100_0000;
    let table: [(&str, u16, u32, u64); 22] = [
        ("c.addi4spn a0, 16", 0x0808, A0, top + 16),
        ("c.addi a1, -1", 0x15fd, A1, 99),
        ("c.addiw a1, 1", 0x2585, A1, 101),
        ("c.li a0, -1", 0x557d, A0, ONES),
        ("c.lui a0, 0xfffe1", 0x7505, A0, 0xffff_ffff_fffe_1000),
        ("c.addi16sp -32", 0x7121 & 0xff83 | 0x1000, SP, 0),
        ("c.srli a1, 2", 0x8189, A1, 25),
        ("c.srai a1, 2", 0x8589, A1, 25),
        ("c.andi a1, -4", 0x99f1, A1, 100),
        ("c.sub a1, a2", 0x8d91, A1, 93),
        ("c.xor a1, a2", 0x8db1, A1, 99),
        ("c.or a1, a2", 0x8dd1, A1, 103),
        ("c.and a1, a2", 0x8df1, A1, 4),
        ("c.subw a1, a2", 0x9d91, A1, 93),
        ("c.addw a1, a2", 0x9db1, A1, 107),
        ("c.slli a1, 1", 0x0586, A1, 200),
        ("c.mv a0, a1", 0x852e, A0, 100),
        ("c.add a1, a2", 0x95b2, A1, 107),
        ("c.nop", 0x0001, A1, 100),
        ("c.nop hint", 0x0005, A1, 100),
        ("c.li x0 hint", 0x4005, A1, 100),
        ("c.slli 0 hint", 0x0582 & 0xff83, A1, 100),
    ];
    for (name, half, register, expected) in table {
        let run = execute(&[(A1, 100), (A2, 7)], half.into());
        assert_eq!(run.stop, Stop::Syscall, "{name}");
        // The stack adjustment is checked by its own arithmetic below.
        if register != SP {
            assert_eq!(run.register(register), expected, "{name}");
        }
    }
}

#[test]
fn compressed_memory_and_stack() {
    let mut a = Assembler::new();
    a.li(A1, DATA as i64).li(A2, -2);
    // c.addi16sp sp, -64; c.sdsp a2, 8(sp); c.swsp a1, 4(sp); c.ldsp a0, 8(sp); c.lwsp a3, 4(sp)
    for half in [0x7139, 0xe432, 0xc22e, 0x6522, 0x4692] {
        a.push_half(half);
    }
    // c.sd a2, 8(a1); c.sw a2, 4(a1); c.ld a4, 8(a1); c.lw a5, 4(a1)
    for half in [0xe590, 0xc1d0, 0x6598, 0x41dc] {
        a.push_half(half);
    }
    a.push(ECALL);
    let run = run(&a.finish());
    assert_eq!(run.stop, Stop::Syscall);
    let values = [SP, A0, A3, A4, A5].map(|register| run.register(register));
    assert_eq!(values, [0x100_0000 - 64, ONES - 1, DATA, ONES - 1, ONES - 1]);
}

#[test]
fn compressed_jumps() {
    // c.j +4 over an ebreak; c.beqz a0 +4 (a0 is 0); c.bnez a1 +4; then c.jalr to an ecall.
    let mut a = Assembler::new();
    a.li(A1, 1).push(auipc(A2, 0)).push(addi(A2, A2, 24));
    for half in [0xa011, 0x9002, 0xc111, 0x9002, 0xe191, 0x9002] {
        a.push_half(half);
    }
    // c.jalr a2 at TEXT + 24; the target is TEXT + 28.
    a.push_half(0x9602).push_half(0x9002).push(ECALL);
    let run = run(&a.finish());
    assert_eq!((run.stop, run.machine.stopped_at()), (Stop::Syscall, TEXT + 28));
    assert_eq!(run.register(RA), TEXT + 26);
}

#[test]
fn undefined_encodings_trap_where_they_stand() {
    let table: [(&str, u32); 31] = [
        ("zeros", 0),
        ("c.addi4spn 0", 0x0008),
        ("c.fld", 0x2000),
        ("c.fsd", 0xa000),
        ("Zcb", 0x8000),
        ("c.addiw x0", 0x2001),
        ("c.lui 0", 0x6501),
        ("c.addi16sp 0", 0x6101),
        ("c.subw reserved", 0x9c41),
        ("c.fldsp", 0x2502),
        ("c.lwsp x0", 0x4002),
        ("c.ldsp x0", 0x6002),
        ("c.jr x0", 0x8002),
        ("c.fsdsp", 0xa002),
        ("csrrw", 0x3400_1073),
        ("wfi", 0x1050_0073),
        ("mret", 0x3020_0073),
        ("flw", 0x0000_2007),
        ("fadd", 0x0000_0053),
        ("load 7", i(0x03, 7, A0, SP, 0)),
        ("store 4", s(4, A0, SP, 0)),
        ("branch 2", b(2, A0, A0, 8)),
        ("jalr 1", i(0x67, 1, A0, A0, 0)),
        ("lr with rs2", r(0x2f, 3, 0x02 << 2, [A0, A1, A2])),
        ("slliw 32", i(0x1b, 1, A0, A0, 32)),
        ("roriw 32", i(0x1b, 5, A0, A0, 0x620)),
        ("zext.h with rs2", r(0x3b, 4, 0x04, [A0, A1, A2])),
        ("rev8 of RV32", i(0x13, 5, A0, A0, 0x698)),
        ("clzw with 3", i(0x1b, 1, A0, A0, 0x603)),
        ("sh4add", r(0x33, 1, 0x10, [A0, A1, A2])),
        ("48 bits", 0x0000_001f),
    ];
    for (name, bits) in table {
        let run = execute(&[], bits);
        match run.stop {
            Stop::Trap(Trap::Undefined { pc, bits: seen }) => {
                assert_eq!(pc, TEXT, "{name}");
                let mask = if bits & 3 == 3 { u32::MAX } else { 0xffff };
                assert_eq!(seen & mask, bits, "{name}");
            }
            stop => panic!("{name}: {stop:?}"),
        }
    }
}

#[test]
fn ebreak_traps() {
    for bits in [EBREAK, 0x9002] {
        assert_eq!(execute(&[], bits).stop, Stop::Trap(Trap::Breakpoint { pc: TEXT }));
    }
}

#[test]
fn jumps_out_of_the_code_trap() {
    let table = [
        ("jal below", jal(RA, -8), TEXT - 8),
        ("jal past the end", jal(RA, 0x1000), TEXT + 0x1000),
        ("branch below", b(0, A0, A0, -4), TEXT - 4),
        ("jalr to zero", jalr(RA, ZERO, 0), 0),
        ("jalr to data", jalr(RA, SP, -16), 0x100_0000 - 16),
    ];
    for (name, bits, target) in table {
        let run = execute(&[], bits);
        assert_eq!(run.stop, Stop::Trap(Trap::Jump { pc: TEXT, target }), "{name}");
    }
}

#[test]
fn running_off_the_end_traps() {
    let code = addi(A0, A0, 1).to_le_bytes();
    let end = TEXT + 4;
    assert_eq!(run(&code).stop, Stop::Trap(Trap::Jump { pc: end, target: end }));
    // Half an instruction at the end.
    let cut = [code.as_slice(), &code[..2]].concat();
    assert_eq!(run(&cut).stop, Stop::Trap(Trap::Jump { pc: end, target: end + 2 }));
}

#[test]
fn a_jump_into_an_instruction_decodes_from_there() {
    // The upper half of this `lui a0, 0x4501` is `c.li a0, 0`; the jump goes there.
    let mut a = Assembler::new();
    a.li(A0, 7).push(jal(ZERO, 6)).push(0x4501_0537).push(ECALL);
    let run = run(&a.finish());
    assert_eq!((run.stop, run.register(A0)), (Stop::Syscall, 0));
}

/// Code goes on in the next executable segment if that follows at once, even inside of an
/// instruction.
#[test]
fn adjacent_segments_are_one_run() {
    for shift in [0, 2] {
        let mut a = Assembler::new();
        a.li(A0, 1);
        // Fill the page but for `shift` bytes; then an `addi` and an `ecall`.
        while a.len() < 4096 - shift {
            a.push_half(0x0001);
        }
        a.push(addi(A0, A0, 41)).push(ECALL);
        let code = a.finish();
        let (first, second) = code.split_at(4096);
        let loads = [Load::text(TEXT, first), Load::text(TEXT + 4096, second)];
        let run = run_image(&elf(TEXT, &loads));
        assert_eq!((run.stop, run.register(A0)), (Stop::Syscall, 42), "{shift} bytes");
        // Step by step, the border is no instruction of its own.
        let mut machine = Machine::new(load(&elf(TEXT, &loads)), &mut Pool::new(), false);
        let mut stepped_units = units();
        let mut steps = 1;
        while machine.step(&mut stepped_units).is_none() {
            steps += 1;
        }
        assert_eq!(steps, 1 + (4096 - 4 - shift) / 2 + 2);
        assert_eq!(stepped_units, run.units);
        // A gap of a page between them is one.
        let apart = [Load::text(TEXT, first), Load::text(TEXT + 8192, second)];
        assert!(matches!(run_image(&elf(TEXT, &apart)).stop, Stop::Trap(Trap::Jump { .. })));
    }
}
