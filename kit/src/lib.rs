//! What contract authors write RISC-V contracts for Tandem with.
//!
//! A contract is a list of functions, declared as Solidity declares them, over plain Rust ones:
//!
//! ```
//! # mod counter {
//! use tandem_kit::prelude::*;
//!
//! storage! {
//!     mod state {
//!         count: Value<U256>,
//!     }
//! }
//!
//! event! { Counted(#[indexed] by: Address, count: U256); }
//! error! { TooFar(limit: U256); }
//!
//! fn add(step: U256) -> U256 {
//!     let count = state::count().load() + step;
//!     ensure!(count < U256::from(100u8), TooFar { limit: U256::from(100u8) });
//!     state::count().store(count);
//!     Counted { by: env::caller(), count }.emit();
//!     count
//! }
//!
//! fn count() -> U256 {
//!     state::count().load()
//! }
//!
//! contract! {
//!     functions {
//!         write add(step: U256) -> U256 => add;
//!         view count() -> U256 => count;
//!     }
//!     events { Counted }
//!     errors { TooFar }
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! Built for `riscv64imac-unknown-none-elf` that is a contract's image; built for the machine at
//! hand it is a program that prints the contract's ABI as JSON, and its functions can be tested
//! over the small world in memory of the `host` module. `docs/contracts.md` is the guide.

#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(
    not(feature = "heap"),
    allow(dead_code, reason = "what serves dynamic types has no use without the heap")
)]

#[cfg(all(target_os = "none", not(target_arch = "riscv64")))]
compile_error!("contracts are built for riscv64imac-unknown-none-elf");

#[cfg(feature = "heap")]
extern crate alloc;

pub mod abi;
pub mod call;
mod contract;
#[cfg(not(target_os = "none"))]
pub mod describe;
pub mod env;
mod event;
mod exit;
mod keccak;
pub mod storage;
mod sys;
mod u256;
mod word;

pub use contract::Outcome;
#[doc(hidden)]
pub use contract::private as __private;
pub use exit::{
    PanicCode, SolError, return_bytes, revert, revert_bytes, revert_empty, revert_panic,
};
pub use keccak::keccak256_const;
#[cfg(not(target_os = "none"))]
pub use sys::host;
pub use u256::U256;
pub use word::{Address, Word};

/// The Keccak-256 hash of `data`.
#[inline(always)]
pub fn keccak256(data: &[u8]) -> Word {
    sys::keccak256(data)
}

/// The Keccak-256 hash of `words`, one after the other: Solidity's `keccak256(abi.encode(...))`
/// of values that take a word each.
#[inline(always)]
pub fn keccak256_words(words: &[Word]) -> Word {
    sys::keccak256(sys::flatten(words))
}

/// What is signed as EIP-712's typed data: a domain's separator and a struct's hash, hashed.
pub fn typed_data_hash(domain: Word, content: Word) -> Word {
    let words = [Word::from_u64(0x1901), domain, content];
    sys::keccak256(sys::flatten(&words).get(30..).unwrap_or_default())
}

/// What nearly every contract uses.
pub mod prelude {
    pub use crate::abi::{Abi, Returns, Simple};
    #[cfg(feature = "heap")]
    pub use crate::abi::{Bytes, Text};
    #[cfg(feature = "heap")]
    pub use crate::storage::TextSlot;
    pub use crate::storage::{Map, Value};
    pub use crate::{
        Address, SolError, U256, Word, contract, ensure, env, error, event, interface, keccak256,
        keccak256_words, print, revert, storage,
    };
}
