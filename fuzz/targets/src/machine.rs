//! The RISC-V machine: files, code, and system calls.

use std::sync::Arc;

use alloy_primitives::{Address, Bytes, TxKind, U256};
use genesis::{Container, DevOptions, Genesis, SpecId};
use revm::{
    bytecode::Bytecode,
    context::{BlockEnv, TxEnv},
    database::{CacheDB, EmptyDB},
    inspector::NoOpInspector,
    state::AccountInfo,
};
use vm::{
    Engine, Execution, Rules,
    riscv::{Image, Machine, Pool, Stop, Units, disassemble, disassemble_at},
};

use crate::{asm, random};

/// Programs among the seeds.
const PROGRAMS: u64 = 8;
/// Pages of a frame.
const PAGES_MAX: u32 = 64;
/// Gas of a frame that runs any code.
const GAS: u64 = 500;
/// System calls that are answered then.
const SYSCALLS_MAX: u32 = 100;
/// Gas of a frame that makes system calls.
const SYSCALLS_GAS: u64 = 300_000;
/// Bytes of the input that choose one system call.
const CALL_SIZE: usize = 16;
const GUEST: Address = Address::repeat_byte(0xaa);
const SENDER: Address = Address::repeat_byte(0x11);

/// Any bytes as an ELF file: refused with a reason, or loaded within bounds.
pub(crate) fn elf(file: &[u8]) {
    match Image::load(file, &Default::default()) {
        Ok(image) => assert!(image.heap_size() <= 46 * file.len()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

pub(crate) fn elf_seeds() -> Vec<Vec<u8>> {
    (0..PROGRAMS).map(|number| random::program(number, true)).collect()
}

/// Any bytes as code: decoding and disassembly agree on what is undefined, and cover all of it.
pub(crate) fn code(code: &[u8]) {
    let Ok(image) = Image::load(&asm::image(code), &Default::default()) else { return };
    let mut next = image.entry();
    for line in disassemble(&image) {
        assert_eq!(line.pc, next);
        assert_eq!(disassemble_at(&image, line.pc).as_ref(), Some(&line));
        next += u64::from(line.length);
    }
    assert!(next + 4 > image.entry() + code.len() as u64);
}

pub(crate) fn code_seeds() -> Vec<Vec<u8>> {
    let code = |file: &Vec<u8>| {
        let image = Image::load(file, &Default::default()).expect("the assembler's files load");
        image.segments()[0].data.clone()
    };
    elf_seeds().iter().map(code).collect()
}

/// Any bytes as a program: run at once and step by step, it does and costs the same.
pub(crate) fn run(code: &[u8]) {
    let gas = Default::default();
    let Ok(image) = Image::load(&asm::image(code), &gas) else { return };
    let image = Arc::new(image);
    let mut pool = Pool::new();
    let mut whole = Machine::new(image.clone(), &mut pool, false);
    let mut stepped = Machine::new(image, &mut pool, false);
    let mut units = Units::new(&gas, PAGES_MAX);
    units.refill(GAS);
    let mut stepped_units = units.clone();
    for _ in 0..SYSCALLS_MAX {
        let stop = whole.run(&mut units);
        let other = loop {
            if let Some(stop) = stepped.step(&mut stepped_units) {
                break stop;
            }
        };
        assert_eq!(stop, other);
        assert_eq!(units, stepped_units);
        assert_eq!(whole.registers(), stepped.registers());
        if stop != Stop::Syscall {
            break;
        }
        let (ptr, len) = (whole.arg(0), whole.arg(1) % 20_000);
        let bytes = whole.read(ptr, len, &mut units);
        assert_eq!(bytes, stepped.read(ptr, len, &mut stepped_units));
        let noise = vec![0x5a; (whole.arg(3) % 5_000) as usize];
        let written = whole.write(whole.arg(2), &noise, &mut units);
        assert_eq!(written, stepped.write(stepped.arg(2), &noise, &mut stepped_units));
    }
    assert!(whole.release(&mut pool) <= PAGES_MAX);
}

/// Any system calls with any arguments, in a call or a constructor: the frame ends within its gas,
/// and an observer sees the same outcome.
pub(crate) fn syscalls(input: &[u8]) {
    let Some((&[kind], input)) = input.split_first_chunk() else { return };
    let image = image_of_calls(input);
    let code: Bytes =
        Container { image: &image, tail: b"tail" }.encode().expect("it is small").into();
    let genesis = Genesis::dev(DevOptions { fork: SpecId::OSAKA, ..DevOptions::default() });
    let engine = Engine::new(Arc::new(genesis.spec));
    let mut db = CacheDB::<EmptyDB>::default();
    let rich = AccountInfo { balance: U256::from(1u64 << 60), ..AccountInfo::default() };
    db.insert_account_info(SENDER, rich);
    db.insert_account_info(GUEST, AccountInfo::from_bytecode(Bytecode::new_raw(code.clone())));
    let (chain_id, gas_limit) = (Some(engine.chain_id()), SYSCALLS_GAS);
    let call = TxEnv { chain_id, caller: SENDER, gas_limit, gas_price: 0, ..TxEnv::default() };
    let tx = if kind % 2 == 0 {
        TxEnv { kind: TxKind::Call(GUEST), data: input.to_vec().into(), ..call }
    } else {
        TxEnv { kind: TxKind::Create, data: code, gas_limit: 10 * gas_limit, ..call }
    };
    let block = BlockEnv { gas_limit: 30_000_000, number: U256::from(1), ..BlockEnv::default() };
    let mut execution = Execution::new(&engine, block.clone(), Rules::call(), &db);
    let plain = execution.call(&tx).expect("the state can be read");
    let mut watched = Execution::new(&engine, block, Rules::call(), &db);
    let seen = watched.inspect(&tx, &mut NoOpInspector).expect("the state can be read");
    assert_eq!(plain.result, seen.result);
    assert!(plain.result.tx_gas_used() <= tx.gas_limit);
}

/// An image that makes the system calls that the input chooses, one after the other, and stops.
fn image_of_calls(input: &[u8]) -> Vec<u8> {
    let mut program = asm::Assembler::new();
    // Each call: a choice of number, and seven choices of argument.
    for bytes in input.chunks_exact(CALL_SIZE).take(16) {
        for (register, n) in (asm::A0..).zip(0..7) {
            let value = argument(bytes[2 * n + 2], bytes[(2 * n + 3) % CALL_SIZE]);
            program.li(register, value as i64);
        }
        let number = number(u16::from_le_bytes([bytes[0], bytes[1]]));
        program.li(asm::A7, number as i64).push(asm::ECALL);
    }
    program.li(asm::A7, 0).push(asm::ECALL);
    asm::image(&program.finish())
}

/// One input for each choice of number, all with small ranges of data.
pub(crate) fn syscall_seeds() -> Vec<Vec<u8>> {
    let seed = |choice: u16| {
        let mut seed = vec![(choice % 2) as u8];
        seed.extend(choice.to_le_bytes());
        seed.extend([0, 1, 3, 64, 1, 8, 3, 32, 0, 9, 3, 96, 2, 4]);
        seed
    };
    (0..8u16).flat_map(|kind| (0..24).map(move |within| within << 3 | kind)).map(seed).collect()
}

/// Mostly numbers that mean something.
fn number(choice: u16) -> u64 {
    let within = u64::from(choice >> 3);
    match choice % 8 {
        0 => within % 0x0c,
        1 | 2 => 0x20 + within % 0x40,
        3 => 0xa0 + within % 6,
        4 => 0xf0 + within % 16,
        5 => 0x1000 + within % 0x14,
        6 => 0x1100 + within % 0x14,
        _ => [0x1200, 0x1_0000, u64::MAX, 0x54][within as usize % 4],
    }
}

/// Mostly pointers to data, and lengths.
fn argument(choice: u8, value: u8) -> u64 {
    let value = u64::from(value);
    match choice % 8 {
        0..3 => asm::DATA + 8 * value % 1_024,
        3 | 4 => value,
        5 => value << 12,
        6 => [0xffff, 0xf0_0000, 0xff_fff8, 1 << 63, u64::MAX, 0x100_0000][value as usize % 6],
        _ => 0xff_0000 + value,
    }
}
