//! An EVM contract calls another contract over and over: one that stops, and one that gives back
//! the word it was given, on either machine.

use std::{sync::Arc, time::Duration};

use alloy_primitives::{Address, Bytes, TxKind, U256, hex};
use cpu_time::ThreadTime;
use genesis::{Container, DevOptions, Genesis};
use revm::{
    bytecode::Bytecode,
    context::{BlockEnv, TxEnv},
    database::{CacheDB, EmptyDB},
    state::AccountInfo,
};
use tandem_bench::guests;
use vm::{Engine, Execution, Rules};

/// Calls within one transaction.
const CALLS: u64 = 2_000;
/// Transactions, in turn with each callee; the fastest counts.
const RUNS: u32 = 60;
const CALLER: Address = Address::repeat_byte(0xca);

/// Calls the address in its call data's first word with one word of input and output, as many times
/// as the second word says.
const LOOP: &[u8] = &hex!("6020355b60205f60205f5f5f355af15060019003806003575000");

pub(crate) fn run() {
    let container =
        |image: Vec<u8>| Container { image: &image, tail: b"" }.encode().expect("it is small");
    let pairs: [(&str, Vec<u8>, Vec<u8>); 2] = [
        ("stops", hex!("00").to_vec(), container(guests::stop())),
        ("gives its word back", hex!("5f355f5260205ff3").to_vec(), container(guests::echo())),
    ];
    println!("| callee | EVM | RISC-V | more |");
    println!("|---|---|---|---|");
    for (name, evm, riscv) in pairs {
        let [evm, riscv] = compare([evm, riscv]);
        let more = riscv.saturating_sub(evm);
        println!("| {name} | {evm:?} | {riscv:?} | {more:?} |");
    }
}

/// The time of one call of each code, with what the loop around it takes.
fn compare(codes: [Vec<u8>; 2]) -> [Duration; 2] {
    let engine = Engine::new(Arc::new(Genesis::dev(DevOptions::default()).spec));
    let mut db = CacheDB::<EmptyDB>::default();
    let mut add = |address, code: Vec<u8>| {
        let code = Bytecode::new_raw(Bytes::from(code));
        db.insert_account_info(address, AccountInfo::from_bytecode(code));
    };
    let callees = [Address::repeat_byte(1), Address::repeat_byte(2)];
    add(CALLER, LOOP.to_vec());
    for (address, code) in callees.into_iter().zip(codes) {
        add(address, code);
    }
    let block = BlockEnv { gas_limit: u64::MAX, ..BlockEnv::default() };
    let mut execution = Execution::new(&engine, block, Rules::call(), &db);
    let mut best = [Duration::MAX; 2];
    for _ in 0..RUNS {
        for (address, best) in callees.iter().zip(&mut best) {
            let data = [address.into_word().0, U256::from(CALLS).to_be_bytes()].concat();
            let tx = TxEnv {
                kind: TxKind::Call(CALLER),
                data: data.into(),
                gas_limit: 16_000_000,
                gas_price: 0,
                chain_id: Some(engine.chain_id()),
                ..TxEnv::default()
            };
            let start = ThreadTime::now();
            let outcome = execution.call(&tx).expect("the state can be read");
            let time = start.elapsed();
            assert!(outcome.result.is_success(), "{:?}", outcome.result);
            *best = (*best).min(time / CALLS as u32);
        }
    }
    best
}
