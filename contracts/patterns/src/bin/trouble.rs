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

#[storage]
pub struct Trouble {
    mark: U256,
}

error! { Refused(number: U256, text: Text); }

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

#[contract(errors(Refused))]
impl Trouble {
    #[constructor]
    #[payable]
    fn new(&mut self) {}

    /// Fails in one of Solidity's ways; answers the number if `how` names none.
    pub fn fail(&mut self, how: u8, number: U256, text: Text) -> U256 {
        self.mark.set(number);
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

    pub fn fill(size: u64) -> Bytes {
        counted(size)
    }

    /// Reverts with so many bytes: a bomb for who copies whatever comes back.
    pub fn bomb(size: u64) {
        revert_bytes(&counted(size).0);
    }

    pub fn mark(&self) -> U256 {
        self.mark.get()
    }

    pub fn set_mark(&mut self, number: U256) {
        self.mark.set(number);
    }

    /// Sends the wei away; the account goes too if it was created in the same transaction
    /// (EIP-6780).
    pub fn end(&mut self, heir: Address) {
        selfdestruct(self, heir);
    }

    #[receive]
    fn accept(&mut self) {}
}

entry!(Trouble);
