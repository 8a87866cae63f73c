//! Everything that a careful caller has to expect of a contract that it does not know: it fails in
//! each way there is, answers and reverts with any number of bytes, and ends itself.
//!
//! `Trouble.sol` is its twin: the same ABI over the same storage layout.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::vec;

use tandem_kit::call::selfdestruct;
use tandem_kit::prelude::*;
use tandem_kit::{PanicCode, revert_bytes, revert_empty, revert_panic};

storage! {
    mod state {
        mark: Value<U256>,
    }
}

error! { Refused(number: U256, text: Text); }

/// Fails in one of Solidity's ways; answers the number if `how` names none.
fn fail(how: u8, number: U256, text: Text) -> U256 {
    state::mark().store(number);
    match how {
        0 => revert(text.as_str().unwrap_or("no UTF-8")),
        1 => U256::MAX + number,
        2 => number / U256::ZERO,
        3 => revert_panic(PanicCode::Index),
        4 => Refused { number, text }.revert(),
        5 => revert_empty(),
        6 => halt(),
        7 => spin(),
        _ => number,
    }
}

/// Ends the frame with all its gas and without a reason.
fn halt() -> U256 {
    #[cfg(target_arch = "riscv64")]
    // SAFETY: a breakpoint traps, and nothing after it runs.
    unsafe {
        core::arch::asm!("ebreak", options(noreturn))
    }
    #[cfg(not(target_arch = "riscv64"))]
    revert_empty()
}

/// Runs until the gas is gone.
fn spin() -> U256 {
    let mut number = U256::ONE;
    loop {
        number = core::hint::black_box(number.wrapping_add(U256::ONE));
    }
}

/// Words that count up.
fn counted(size: u64) -> Bytes {
    let mut bytes = vec![0; size as usize];
    for (n, chunk) in bytes.chunks_mut(32).enumerate() {
        for (place, byte) in chunk.iter_mut().zip(Word::from_u64(n as u64).bytes()) {
            *place = *byte;
        }
    }
    Bytes(bytes)
}

fn fill(size: u64) -> Bytes {
    counted(size)
}

/// Reverts with so many bytes: a bomb for who copies whatever comes back.
fn bomb(size: u64) {
    revert_bytes(&counted(size).0);
}

fn mark() -> U256 {
    state::mark().load()
}

fn set_mark(number: U256) {
    state::mark().store(number);
}

/// Sends the wei away; the account goes too if it was created in the same transaction (EIP-6780).
fn end(heir: Address) {
    selfdestruct(heir);
}

fn accept() {}

contract! {
    #[payable] constructor() => accept;
    functions {
        write fail(how: u8, number: U256, text: Text) -> U256 => fail;
        pure fill(size: u64) -> Bytes => fill;
        pure bomb(size: u64) => bomb;
        view mark() -> U256 => mark;
        write setMark(number: U256) => set_mark;
        write end(heir: Address) => end;
    }
    receive => accept;
    errors { Refused }
}
