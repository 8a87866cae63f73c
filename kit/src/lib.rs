//! What contract authors write RISC-V contracts for Tandem with.
//!
//! A contract is a struct, which is its storage, and an `impl` block, which is its functions:
//!
//! ```
//! use tandem_kit::prelude::*;
//!
//! event! { Counted(#[indexed] by: Address, count: U256); }
//! error! { TooFar(limit: U256); }
//!
//! #[storage]
//! pub struct Counter {
//!     count: U256,
//!     last: Map<Address, U256>,
//! }
//!
//! #[contract(events(Counted))]
//! impl Counter {
//!     pub fn count(&self) -> U256 {
//!         self.count.get()
//!     }
//!
//!     pub fn add(&mut self, step: U256) -> Result<U256, TooFar> {
//!         let limit = U256::from(100u8);
//!         let count = self.count.get() + step;
//!         if count > limit {
//!             return Err(TooFar { limit });
//!         }
//!         self.count.set(count);
//!         self.last.set(env::caller(), step);
//!         self.emit(Counted { by: env::caller(), count });
//!         Ok(count)
//!     }
//! }
//!
//! entry!(Counter);
//! ```
//!
//! A `view` function cannot write, emit events, create contracts, nor call what may write:
//!
//! ```compile_fail,E0596
//! # use tandem_kit::prelude::*;
//! # #[storage]
//! # pub struct Counter { count: U256 }
//! # #[contract]
//! # impl Counter {
//! pub fn add(&self, step: U256) { self.count.set(step) }
//! # }
//! # fn main() {}
//! ```
//!
//! ```compile_fail,E0308
//! # use tandem_kit::prelude::*;
//! # interface! { Token { write transfer(to: Address, value: U256) -> bool; } }
//! # #[storage]
//! # pub struct Till { token: Address }
//! # #[contract]
//! # impl Till {
//! pub fn pay(&self, to: Address) -> Result<bool, Failure> {
//!     Token::at(self.token.get()).transfer(self, to, U256::ONE)
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! Nor do two functions compile that have one selector, as these have:
//!
//! ```compile_fail,E0080
//! # use tandem_kit::prelude::*;
//! # #[storage]
//! # pub struct Token { supply: U256 }
//! # #[contract]
//! # impl Token {
//! pub fn burn(&mut self, value: U256) { self.supply.set(value) }
//! #[name("collate_propagate_storage")]
//! pub fn collate(&mut self, text: FixedBytes<16>) { self.supply.erase() }
//! # }
//! # fn main() {}
//! ```
//!
//! Built for `riscv64imac-unknown-none-elf` that is a contract's image; built for the machine at
//! hand it is a program that prints the contract's ABI as JSON, and its functions can be tested
//! over the engine with `tandem-kit-test`. `docs/contracts.md` is the guide.

#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(
    not(feature = "heap"),
    allow(dead_code, reason = "what serves dynamic types has no use without the heap")
)]

#[cfg(all(target_os = "none", not(target_arch = "riscv64")))]
compile_error!("contracts are built for riscv64imac-unknown-none-elf");

#[cfg(feature = "heap")]
extern crate alloc;
// What the macros write names the kit by its crate's name, here too.
extern crate self as tandem_kit;

pub mod abi;
#[cfg(feature = "alloy")]
pub mod alloy;
pub mod call;
mod contract;
#[cfg(not(target_os = "none"))]
pub mod describe;
pub mod env;
mod event;
mod exit;
mod i256;
mod keccak;
pub mod storage;
mod sys;
mod u256;
mod word;

#[doc(hidden)]
pub use contract::private as __private;
pub use contract::{Answer, Contract};
pub use event::SolEvent as Event;
pub use exit::{
    PanicCode, Revert, SolError, return_bytes, revert, revert_bytes, revert_empty, revert_panic,
};
pub use i256::I256;
pub use keccak::keccak256_const;
#[cfg(not(target_os = "none"))]
pub use sys::host;
pub use tandem_kit_macros::{Abi, Revert, Stored, contract, storage};
pub use u256::U256;
pub use word::{Address, Word};

/// Whether panics whose message is put together reach the caller as text: the feature `messages`.
pub const PANIC_MESSAGES: bool = cfg!(feature = "messages");

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
    pub use crate::abi::{Abi, FixedBytes, Int, Returns, Simple, Uint};
    #[cfg(feature = "heap")]
    pub use crate::abi::{Bytes, Text};
    #[cfg(feature = "heap")]
    pub use crate::call::{Call, Failure};
    pub use crate::storage::{Erase, Map, State, Transient, Whole};
    pub use crate::{Abi, Stored};
    pub use crate::{
        Address, Contract, I256, Revert, SolError, U256, Word, console, contract, ensure, entry,
        env, error, event, interface, keccak256, keccak256_words, revert, storage,
    };
    #[cfg(feature = "heap")]
    pub use alloc::vec::Vec;
}
