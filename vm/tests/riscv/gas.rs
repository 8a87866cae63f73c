//! What running costs.

use genesis::RiscvGas;
use tandem_vm::riscv::{Image, Machine, Pool, Stop, Units};

use crate::{
    asm::*,
    guest::{GAS, PAGES_MAX, load, run, units},
};

fn start() -> u64 {
    units().left
}

/// Units that code takes until it stops.
fn cost(code: &[u8]) -> u64 {
    let run = run(code);
    assert_eq!(run.stop, Stop::Syscall);
    start() - run.units.left
}

/// The price of one instruction: with it less without it.
fn price(bits: u32) -> u64 {
    let code = |body: &[u32]| {
        let mut a = Assembler::new();
        a.li(A1, DATA as i64).push(sd(A1, A1, 0)).extend(body.iter().copied()).push(ECALL);
        a.finish()
    };
    cost(&code(&[bits])) - cost(&code(&[]))
}

/// Each line of the table in the documentation: class, key, units, instructions.
#[test]
fn prices_are_those_of_the_document() {
    let document = include_str!("../../../docs/spec/riscv-gas.md");
    let gas = RiscvGas::default();
    let examples: [(&str, u32, &[u32]); 10] = [
        ("add", gas.add, &[addi(A0, A0, 1), add(A0, A0, A0), i(0x1b, 0, A0, A0, 1)]),
        ("luiJump", gas.lui_jump, &[lui(A0, 1), auipc(A0, 0), jal(ZERO, 4), 0x0ff0_000f]),
        ("logic", gas.logic, &[xor(A0, A0, A0), i(0x13, 7, A0, A0, 1), i(0x13, 3, A0, A0, 1)]),
        ("shift", gas.shift, &[slli(A0, A0, 1), r(0x3b, 5, 0x20, [A0, A0, A0])]),
        ("mul", gas.mul, &[mul(A0, A0, A0), r(0x33, 3, 1, [A0, A0, A0])]),
        ("div", gas.div, &[r(0x33, 4, 1, [A0, A0, A0]), r(0x3b, 7, 1, [A0, A0, A0])]),
        ("access64", gas.access64, &[ld(A0, A1, 0), sd(A0, A1, 0)]),
        ("accessNarrow", gas.access_narrow, &[lw(A0, A1, 0), lbu(A0, A1, 0), sb(A0, A1, 0)]),
        ("branch", gas.branch, &[b(0, ZERO, ZERO, 4), b(1, ZERO, ZERO, 8)]),
        ("atomic", gas.atomic, &[r(0x2f, 3, 0, [A0, A1, A2]), r(0x2f, 2, 8, [A0, A1, ZERO])]),
    ];
    for (key, units, instructions) in examples {
        check_document(document, key, units.into());
        for &bits in instructions {
            assert_eq!(price(bits), u64::from(units), "{key}: {bits:#x}");
        }
    }
    for (key, units) in [
        ("unitsPerGas", gas.units_per_gas),
        ("syscall", gas.syscall.into()),
        ("copyWord", gas.copy_word.into()),
        ("page", gas.page.into()),
        ("keccakBlock", gas.keccak_block.into()),
        ("callBase", gas.call_base.into()),
    ] {
        check_document(document, key, units);
    }
}

fn check_document(document: &str, key: &str, units: u64) {
    let prefix = format!("| `{key}` | ");
    let line = document.lines().find(|line| line.starts_with(&prefix));
    let line = line.unwrap_or_else(|| panic!("docs/spec/riscv-gas.md has no line for {key}"));
    let cell = line[prefix.len()..].split('|').next().expect("a cell");
    assert_eq!(cell.trim().replace(',', ""), units.to_string(), "{key} in the document");
}

#[test]
fn a_block_is_paid_when_it_is_entered() {
    let gas = RiscvGas::default();
    let mut a = Assembler::new();
    a.push(addi(A0, A0, 1)).push(addi(A0, A0, 1)).push(ECALL);
    a.push(addi(A0, A0, 1)).push(ECALL);
    let image = load(&image(&a.finish()));
    let mut machine = Machine::new(image, &mut Pool::new(), false);
    let mut units = units();
    assert_eq!(machine.run(&mut units), Stop::Syscall);
    let first = u64::from(2 * gas.add + gas.syscall);
    assert_eq!(start() - units.left, first);
    // The second block needs one unit more than there is.
    let second = u64::from(gas.add + gas.syscall);
    units.left = second - 1;
    assert_eq!(machine.run(&mut units), Stop::OutOfGas);
    assert_eq!(machine.registers()[A0 as usize], 2, "nothing of the block ran");
}

#[test]
fn a_run_into_a_shared_tail_is_paid_once() {
    let gas = RiscvGas::default();
    // The branch goes into the middle of a run; the run itself is not split there.
    let body = [addi(A0, A0, 1), addi(A0, A0, 1), addi(A0, A0, 1), ECALL];
    let mut a = Assembler::new();
    a.extend(body);
    assert_eq!(cost(&a.finish()), u64::from(3 * gas.add + gas.syscall));
    let mut a = Assembler::new();
    a.push(b(0, ZERO, ZERO, 12)).extend(body);
    assert_eq!(cost(&a.finish()), u64::from(gas.branch + gas.add + gas.syscall));
}

#[test]
fn endless_loops_run_out_of_gas() {
    let loops: [&[u32]; 4] = [
        &[jal(ZERO, 0)],
        &[b(0, ZERO, ZERO, 0)],
        &[auipc(A0, 0), jalr(ZERO, A0, 0)],
        &[addi(A0, A0, 1), jal(ZERO, -4)],
    ];
    for body in loops {
        let mut a = Assembler::new();
        a.extend(body.iter().copied());
        let run = run(&a.finish());
        assert_eq!(run.stop, Stop::OutOfGas, "{body:x?}");
        let block = 4_000;
        assert!(run.units.left < block, "{} units left", run.units.left);
    }
}

/// Even a schedule in which everything is free ends every loop.
#[test]
fn free_instructions_do_not_make_loops_free() {
    let json_free = RiscvGas {
        add: 0,
        lui_jump: 0,
        branch: 0,
        syscall: 0,
        units_per_gas: 1,
        ..Default::default()
    };
    for body in [[addi(A0, A0, 1), jal(ZERO, -4)], [addi(A0, A0, 1), b(0, ZERO, ZERO, -4)]] {
        let mut a = Assembler::new();
        a.extend(body);
        let image = Image::load(&image(&a.finish()), &json_free).expect("valid");
        let mut machine = Machine::new(image.into(), &mut Pool::new(), false);
        let mut units = Units::new(&json_free, PAGES_MAX);
        units.refill(GAS);
        assert_eq!(machine.run(&mut units), Stop::OutOfGas);
    }
}

#[test]
fn pages_and_copies_are_charged() {
    let gas = RiscvGas::default();
    let mut machine = Machine::new(load(&image(&ECALL.to_le_bytes())), &mut Pool::new(), false);
    let mut check = |ptr: u64, len: u64, write: bool, words: u64, pages: u64| {
        let mut units = units();
        let fault = match write {
            true => machine.write(ptr, &vec![7; len as usize], &mut units).err(),
            false => machine.read(ptr, len, &mut units).err(),
        };
        assert_eq!(fault, None);
        let expected = words * u64::from(gas.copy_word) + pages * u64::from(gas.page);
        assert_eq!(start() - units.left, expected, "{len} bytes at {ptr:#x}");
        assert_eq!(u64::from(PAGES_MAX - units.pages_left), pages);
    };
    check(DATA, 1, false, 1, 1);
    check(DATA, 8, true, 1, 0);
    check(DATA, 9, true, 2, 0);
    check(DATA + 4095, 2, true, 1, 1);
    check(DATA + 0x4000, 8192, false, 1024, 2);
}

#[test]
fn an_instruction_pays_for_the_page_it_touches_first() {
    let gas = RiscvGas::default();
    let code = |body: &[u32]| {
        let mut a = Assembler::new();
        a.li(A1, DATA as i64 + 4092).extend(body.iter().copied()).push(ECALL);
        cost(&a.finish())
    };
    let once = u64::from(gas.access64) + 2 * u64::from(gas.page);
    assert_eq!(code(&[ld(A0, A1, 0)]) - code(&[]), once);
    let twice = once + u64::from(gas.access64);
    assert_eq!(code(&[ld(A0, A1, 0), sd(A0, A1, 0)]) - code(&[]), twice);
    // Out of gas for the page: the machine stops, the page is not there.
    let mut a = Assembler::new();
    a.push(sd(A0, SP, -8)).push(ECALL);
    let image = load(&image(&a.finish()));
    let mut machine = Machine::new(image, &mut Pool::new(), false);
    let mut units = Units::new(&gas, PAGES_MAX);
    units.refill(30);
    assert_eq!(machine.run(&mut units), Stop::OutOfGas);
    assert_eq!(machine.pages(), 0);
}

/// What is settled over many pieces is what was used, rounded up once.
#[test]
fn units_carry_the_rest_of_a_gas() {
    let gas = RiscvGas::default();
    let mut units = Units::new(&gas, PAGES_MAX);
    let (mut left, mut used) = (1_000_u64, 0);
    for piece in [1, 19_999, 20_000, 1, 1, 59_999, 0, 12_345, 7] {
        units.refill(left);
        units.charge(piece).expect("enough");
        used += piece;
        left -= units.settle();
        assert_eq!(1_000 - left, u64::div_ceil(used, gas.units_per_gas), "after {used}");
    }
    units.refill(left);
    let all = units.left;
    assert_eq!(all, 1_000 * gas.units_per_gas - used);
    assert!(units.charge(all + 1).is_err());
    units.charge(all).expect("all of it");
    assert_eq!(units.settle(), left);
    // Gas beyond what units can count is not lost.
    let mut units = Units::new(&gas, PAGES_MAX);
    units.refill(u64::MAX);
    units.charge(gas.units_per_gas).expect("enough");
    assert_eq!(units.settle(), 1);
}

/// Step by step, a program does and costs the same as in one run.
#[test]
fn steps_add_up_to_a_run() {
    let mut a = Assembler::new();
    a.li(A1, DATA as i64).li(T0, 10).push(jal(ZERO, 6)).push(0x4501_0537);
    let top = a.here();
    a.push(sd(T0, A1, 0)).push(ld(A0, A1, 0)).push(addi(A1, A1, 600));
    a.push(addi(T0, T0, -1)).bne(T0, ZERO, top).push(ECALL);
    let image = load(&image(&a.finish()));
    let mut whole = Machine::new(image.clone(), &mut Pool::new(), false);
    let mut whole_units = units();
    assert_eq!(whole.run(&mut whole_units), Stop::Syscall);
    let mut stepped = Machine::new(image, &mut Pool::new(), false);
    let mut stepped_units = units();
    let mut steps = 1;
    while stepped.step(&mut stepped_units).is_none() {
        steps += 1;
    }
    assert_eq!(steps, 2 + 1 + 1 + 1 + 10 * 5 + 1);
    assert_eq!(stepped_units, whole_units);
    assert_eq!(stepped.registers(), whole.registers());
    assert_eq!(stepped.pc(), whole.pc());
}

/// In slices, however short, a program does what it does in one piece, for the same gas.
#[test]
fn slices_change_nothing() {
    for seed in 0..20 {
        let image = load(&crate::random::program(seed, true));
        for slice in [1, 700, 5_000, 1 << 40] {
            let (mut whole, mut sliced) = (
                Machine::new(image.clone(), &mut Pool::new(), false),
                Machine::new(image.clone(), &mut Pool::new(), false),
            );
            let (mut left, mut left_sliced) = (units(), units());
            let stop = whole.run(&mut left);
            let mut slices = 0;
            let stop_sliced = loop {
                slices += 1;
                if let Some(stop) = sliced.run_slice(&mut left_sliced, slice) {
                    break stop;
                }
            };
            assert_eq!((stop, left), (stop_sliced, left_sliced), "seed {seed}, slice {slice}");
            assert_eq!(whole.registers(), sliced.registers(), "seed {seed}, slice {slice}");
            assert_eq!(whole.pc(), sliced.pc());
            assert!(slice > 700 || slices > 10, "{slices} slices of {slice} units");
        }
    }
    // The last unit is given out as well: it ends where it would have ended.
    let mut a = Assembler::new();
    a.push(addi(A0, A0, 1)).push(jal(ZERO, -4));
    let image = load(&crate::asm::image(&a.finish()));
    let mut machine = Machine::new(image, &mut Pool::new(), false);
    let mut units = units();
    let stop = loop {
        if let Some(stop) = machine.run_slice(&mut units, 10_000) {
            break stop;
        }
    };
    let round = u64::from(RiscvGas::default().add + RiscvGas::default().lui_jump);
    assert_eq!(stop, Stop::OutOfGas);
    assert!(units.left < round, "{} units left", units.left);
}
