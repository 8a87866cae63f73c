//! A contract's declaration, and the dispatch that is made of it.

use crate::abi::{Calldata, Reader, Returns, Tail, Writer, with_words};
use crate::exit::{revert_empty, selected};
use crate::sys::{self, number};
use crate::{Revert, Word};

/// A contract: what [`#[contract]`](crate::contract) makes of an `impl` block.
pub trait Contract {
    /// The name of its image: that of the program, or of the package.
    const NAME: &'static str;

    /// Runs a frame to its end, as a constructor or as a call.
    fn run(constructor: bool);

    /// Its ABI.
    #[cfg(not(target_os = "none"))]
    fn describe() -> crate::describe::Contract;
}

/// What a contract's function may return: values, or these or an error.
pub trait Answer {
    /// The values.
    type Values;
    /// The error.
    type Error: Revert;

    /// The values; an error ends the frame.
    fn settle(self) -> Self::Values;
}

impl<T: Returns> Answer for T {
    type Values = T;
    type Error = core::convert::Infallible;

    #[inline(always)]
    fn settle(self) -> T {
        self
    }
}

impl<T: Returns, E: Revert> Answer for Result<T, E> {
    type Values = T;
    type Error = E;

    #[inline(always)]
    fn settle(self) -> T {
        match self {
            Ok(values) => values,
            Err(error) => error.revert(),
        }
    }
}

/// What a fallback may answer.
#[doc(hidden)]
pub trait Raw {
    /// The bytes.
    fn raw(&self) -> &[u8];
}

impl Raw for () {
    fn raw(&self) -> &[u8] {
        &[]
    }
}

#[cfg(feature = "heap")]
impl Raw for crate::abi::Bytes {
    fn raw(&self) -> &[u8] {
        &self.0
    }
}

/// A frame at its start: which function is called, with which arguments.
#[doc(hidden)]
pub struct Entry;

impl Entry {
    /// How many bytes the caller sent.
    #[inline(always)]
    pub fn size() -> u64 {
        sys::number(number::CALLDATASIZE)
    }

    /// The called function's selector.
    #[inline(always)]
    pub fn selector() -> u32 {
        sys::word_at(number::CALLDATALOAD, 0).selector()
    }

    /// The arguments after the selector.
    #[inline(always)]
    pub fn arguments() -> Reader<'static, Calldata> {
        Reader::new(&Calldata, 4)
    }

    /// The constructor's arguments.
    #[inline(always)]
    pub fn constructor_arguments() -> Reader<'static, Tail> {
        Reader::new(&Tail, 0)
    }

    /// All that the caller sent.
    #[cfg(feature = "heap")]
    pub fn calldata() -> crate::abi::Bytes {
        crate::abi::Bytes(crate::env::calldata())
    }

    /// Ends a call with a fallback's answer: bytes as they are, or nothing.
    pub fn answer_raw<R: Raw>(answer: R) -> ! {
        sys::exit(number::RETURN, answer.raw())
    }

    /// Reverts if wei came with a call of a function that is not payable.
    #[inline(never)]
    pub fn refuse_value() {
        if !sys::word(number::CALLVALUE).is_zero() {
            revert_empty();
        }
    }

    /// Ends a call with what its function returned.
    #[inline(always)]
    pub fn answer<R: Returns>(values: R) -> ! {
        Self::end(number::RETURN, values)
    }

    /// Ends a constructor with the immutable values that it returned.
    #[inline(always)]
    pub fn deploy<R: Returns>(immutables: R) -> ! {
        Self::end(number::DEPLOY, immutables)
    }

    #[inline(always)]
    fn end<R: Returns>(number: u64, values: R) -> ! {
        if values.tail_words() > 0 {
            end_dynamic(number, &values);
        }
        let fill = |words: &mut [Word]| values.write(&mut Writer::new(words, 0, R::HEADS));
        let done = |words: &[Word]| sys::exit(number, sys::flatten(words));
        // The number of heads is a constant of a type: it cannot size an array here.
        match R::HEADS {
            0 => sys::exit(number, &[]),
            1 => with_words::<1, _>(0, fill, done),
            2 => with_words::<2, _>(0, fill, done),
            3 => with_words::<3, _>(0, fill, done),
            4..=8 => with_words::<8, _>(0, fill, |words| {
                sys::exit(number, sys::flatten(words.get(..R::HEADS).unwrap_or(words)))
            }),
            _ => end_dynamic(number, &values),
        }
    }
}

#[cfg(feature = "heap")]
#[inline(never)]
fn end_dynamic<R: Returns>(number: u64, values: &R) -> ! {
    let mut words = sys::zeros::<Word>(R::HEADS + values.tail_words());
    values.write(&mut Writer::new(&mut words, 0, R::HEADS));
    sys::exit(number, sys::flatten(&words))
}

#[cfg(not(feature = "heap"))]
fn end_dynamic<R: Returns>(_number: u64, _values: &R) -> ! {
    crate::revert_panic(crate::PanicCode::Memory)
}

/// What the macros need of the kit, and nobody else does.
#[doc(hidden)]
pub mod private {
    pub use super::{Answer, Entry};
    use super::{selected, sys};
    #[cfg(feature = "heap")]
    pub use crate::abi::hashed;
    use crate::abi::with_words;
    pub use crate::abi::{Abi, Kind, Name, Parameter, Reader, Simple, Source, Tuple, Writer};
    pub use crate::abi::{is_distinct, selector};
    #[cfg(not(target_os = "none"))]
    pub use crate::describe;
    pub use crate::event::SolEvent;
    pub use crate::storage::{Erase, Stored, field, layout};
    pub use crate::{Contract, Revert, Word, revert_empty};
    #[cfg(feature = "heap")]
    pub use alloc::vec::Vec;

    /// Writes text to the node's log; plain text is not put together first.
    #[cfg(feature = "heap")]
    #[inline(always)]
    pub fn print(text: core::fmt::Arguments<'_>) {
        match text.as_str() {
            Some(plain) => crate::env::print(plain),
            None => crate::env::print(&alloc::fmt::format(text)),
        }
    }

    /// The slot of `key` in a mapping.
    #[inline(always)]
    pub fn mapped(key: &Word, map: &Word) -> Word {
        crate::storage::mapped(key, map)
    }

    /// The slot that is `more` slots after `slot`.
    #[inline(always)]
    pub fn slot_after(slot: Word, more: u64) -> Word {
        slot.plus(more)
    }

    /// Calldata or revert data: a selector and `N - 1` values after it.
    #[inline(always)]
    pub fn with_selector<const N: usize, R>(
        selector: u32,
        tail: usize,
        fill: impl FnOnce(&mut Writer<'_>),
        done: impl FnOnce(&[u8]) -> R,
    ) -> R {
        with_words::<N, R>(
            tail,
            |words| {
                if let Some(first) = words.first_mut() {
                    *first = Word::from_u64(selector.into());
                }
                fill(&mut Writer::new(words, 1, N - 1));
            },
            |words| done(selected(words)),
        )
    }

    /// A log with these topics and `N` values as its data.
    #[inline(always)]
    pub fn log<const TOPICS: usize, const N: usize>(
        topics: &[Word; TOPICS],
        tail: usize,
        fill: impl FnOnce(&mut Writer<'_>),
    ) {
        with_words::<N, ()>(
            tail,
            |words| fill(&mut Writer::new(words, 0, N)),
            |words| sys::log(topics, sys::flatten(words)),
        );
    }
}

/// Makes a crate the contract `$contract`: once, at the top level of its `main.rs`.
///
/// Built for RISC-V the crate is the contract's image; built for the machine at hand it is a
/// program that prints the contract's ABI as JSON.
#[macro_export]
macro_rules! entry {
    ($contract:ty) => {
        #[cfg(target_os = "none")]
        #[unsafe(no_mangle)]
        extern "Rust" fn tandem_contract(constructor: bool) {
            <$contract as $crate::Contract>::run(constructor);
        }

        #[cfg(not(target_os = "none"))]
        #[allow(dead_code, reason = "a contract built for the machine at hand prints its ABI")]
        fn main() {
            <$contract as $crate::Contract>::describe().print();
        }
    };
}

/// The declared type, or the empty tuple.
#[doc(hidden)]
#[macro_export]
macro_rules! __returned {
    () => {
        ()
    };
    ($type:ty) => {
        $type
    };
}
