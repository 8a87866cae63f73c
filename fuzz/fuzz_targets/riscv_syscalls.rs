//! Any system calls with any arguments, in a call or a constructor: the frame ends within its gas, and
//! an observer sees the same outcome.
#![no_main]

use std::sync::Arc;

use alloy_primitives::{Address, Bytes, TxKind, U256};
use genesis::{Container, DevOptions, Genesis, SpecId};
use libfuzzer_sys::fuzz_target;
use revm::{
    bytecode::Bytecode,
    context::{BlockEnv, TxEnv},
    database::{CacheDB, EmptyDB},
    inspector::NoOpInspector,
    state::AccountInfo,
};
use tandem_fuzz::{DATA, calls_of};
use vm::{Engine, Execution, Rules};

const GAS: u64 = 300_000;
const GUEST: Address = Address::repeat_byte(0xaa);
const SENDER: Address = Address::repeat_byte(0x11);

fuzz_target!(|input: &[u8]| {
    let Some((&[kind], input)) = input.split_first_chunk() else { return };
    // Each call: a choice of number, and seven choices of argument.
    let calls: Vec<(u64, [u64; 7])> = input
        .chunks_exact(16)
        .take(16)
        .map(|bytes| {
            let number = number(u16::from_le_bytes([bytes[0], bytes[1]]));
            (number, core::array::from_fn(|n| argument(bytes[2 * n + 2], bytes[(2 * n + 3) % 16])))
        })
        .collect();
    let image = calls_of(&calls);
    let code: Bytes =
        Container { image: &image, tail: b"tail" }.encode().expect("it is small").into();
    let genesis = Genesis::dev(DevOptions { fork: SpecId::OSAKA, ..DevOptions::default() });
    let engine = Engine::new(Arc::new(genesis.spec));
    let mut db = CacheDB::<EmptyDB>::default();
    let rich = AccountInfo { balance: U256::from(1u64 << 60), ..AccountInfo::default() };
    db.insert_account_info(SENDER, rich);
    db.insert_account_info(GUEST, AccountInfo::from_bytecode(Bytecode::new_raw(code.clone())));
    let call = TxEnv { caller: SENDER, gas_limit: GAS, gas_price: 0, ..TxEnv::default() };
    let tx = if kind % 2 == 0 {
        TxEnv { kind: TxKind::Call(GUEST), data: input.to_vec().into(), ..call }
    } else {
        TxEnv { kind: TxKind::Create, data: code, gas_limit: 10 * GAS, ..call }
    };
    let block = BlockEnv { gas_limit: 30_000_000, number: U256::from(1), ..BlockEnv::default() };
    let mut execution = Execution::new(&engine, block.clone(), Rules::call(), &db);
    let plain = execution.call(&tx).expect("the state can be read");
    let mut watched = Execution::new(&engine, block, Rules::call(), &db);
    let seen = watched.inspect(&tx, &mut NoOpInspector).expect("the state can be read");
    assert_eq!(plain.result, seen.result);
    assert!(plain.result.tx_gas_used() <= tx.gas_limit);
});

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
        0..3 => DATA + 8 * value % 1_024,
        3 | 4 => value,
        5 => value << 12,
        6 => [0xffff, 0xf0_0000, 0xff_fff8, 1 << 63, u64::MAX, 0x100_0000][value as usize % 6],
        _ => 0xff_0000 + value,
    }
}
