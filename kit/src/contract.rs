//! A contract's declaration, and the dispatch that is made of it.

use crate::abi::{Calldata, Reader, Returns, Tail, Writer, with_words};
use crate::exit::{revert_empty, selected};
use crate::sys::{self, number};
use crate::{SolError, Word};

/// What a contract's function gives: the values that it declares, or these or an error.
pub trait Outcome<T> {
    /// The values; an error ends the frame.
    fn settle(self) -> T;
}

impl<T: Returns> Outcome<T> for T {
    #[inline(always)]
    fn settle(self) -> T {
        self
    }
}

impl<T: Returns, E: SolError> Outcome<T> for Result<T, E> {
    #[inline(always)]
    fn settle(self) -> T {
        match self {
            Ok(values) => values,
            Err(error) => error.revert(),
        }
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
            _ => with_words::<6, _>(0, fill, |words| {
                sys::exit(number, sys::flatten(words.get(..R::HEADS).unwrap_or(words)))
            }),
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
    pub use super::Entry;
    use super::{Word, Writer, selected, sys};
    use crate::abi::with_words;
    pub use crate::event::SolEvent;
    #[cfg(feature = "heap")]
    pub use alloc::format;

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

/// Declares a contract: once in its crate, at the top level.
///
/// ```
/// # use tandem_kit::prelude::*;
/// # fn construct(_owner: Address) {}
/// # fn name() -> Text { Text::from("Example") }
/// # fn set(_value: U256) -> Result<(), Refused> { Err(Refused {}) }
/// # fn deposit() {}
/// # event! { Set(value: U256); }
/// # error! { Refused(); }
/// contract! {
///     constructor(owner: Address) => construct;
///     functions {
///         view name() -> Text => name;
///         write set(value: U256) => set;
///         payable deposit() => deposit;
///     }
///     receive => deposit;
///     events { Set }
///     errors { Refused }
/// }
/// ```
///
/// - A line of `functions` declares a function as Solidity names it, then the Rust function that
///   it is. `pure`, `view`, `write` or `payable` says what it may do; all but `payable` refuse wei.
/// - The Rust function returns the declared values, or a `Result` of them and an error.
/// - What the constructor returns are the contract's immutable values
///   ([`env::immutables`](crate::env::immutables)). It refuses wei, unless `payable` stands before
///   `constructor`.
/// - `receive` gets calls without data, `fallback` those that no function answers; both may take
///   wei. Without them such calls revert.
/// - `events` and `errors` are for the ABI.
///
/// Two functions with one selector fail the build.
#[macro_export]
macro_rules! contract {
    (
        $($(#[$constructor_mark:ident])? constructor ( $($constructor_argument:ident : $constructor_type:ty),* $(,)? )
            $(-> $immutables:ty)? => $constructor:path;)?
        functions {$(
            $kind:ident $name:ident ( $($argument:ident : $type:ty),* $(,)? )
            $(-> $returned:ty)? => $function:path;
        )*}
        $(receive => $receive:path;)?
        $(fallback => $fallback:path;)?
        $(events { $($event:path),* $(,)? })?
        $(errors { $($error:path),* $(,)? })?
    ) => {
        const _: () = $crate::abi::assert_distinct(&[
            $($crate::abi::selector(
                stringify!($name), &[$(<$type as $crate::abi::Abi>::NAME),*])),*
        ]);

        #[cfg_attr(target_os = "none", unsafe(no_mangle))]
        #[allow(missing_docs, reason = "called by the kit")]
        pub fn tandem_contract(constructor: bool) {
            use $crate::__private::Entry;
            if constructor {
                $(
                    $crate::__refuse_value!($($constructor_mark)?);
                    let mut _reader = Entry::constructor_arguments();
                    $(let $constructor_argument = _reader.take::<$constructor_type>();)*
                    let immutables: $crate::__returned!($($immutables)?) =
                        $crate::Outcome::settle($constructor($($constructor_argument),*));
                    Entry::deploy(immutables);
                )?
                #[allow(unreachable_code, reason = "reached in a contract without constructor")]
                {
                    Entry::refuse_value();
                    Entry::deploy(());
                }
            }
            let _size = Entry::size();
            $(if _size == 0 {
                $receive();
                Entry::answer(());
            })?
            if _size >= 4 {
                let selector = Entry::selector();
                $(
                    if selector == const { $crate::abi::selector(
                        stringify!($name), &[$(<$type as $crate::abi::Abi>::NAME),*]) }
                    {
                        $crate::__refuse_value!($kind);
                        let mut _reader = Entry::arguments();
                        $(let $argument = _reader.take::<$type>();)*
                        let returned: $crate::__returned!($($returned)?) =
                            $crate::Outcome::settle($function($($argument),*));
                        Entry::answer(returned);
                    }
                )*
            }
            $(
                $fallback();
                Entry::answer(());
            )?
            #[allow(unreachable_code, reason = "reached in a contract without fallback")]
            $crate::revert_empty();
        }

        /// The contract's ABI.
        #[cfg(not(target_os = "none"))]
        pub fn tandem_abi() -> $crate::describe::Contract {
            use $crate::describe::*;
            Contract::new()
                $(.constructor(
                    &[$((stringify!($constructor_argument),
                        <$constructor_type as $crate::abi::Abi>::NAME)),*],
                    $crate::__is_payable!($($constructor_mark)?)))?
                $(.function(
                    stringify!($kind),
                    stringify!($name),
                    &[$((stringify!($argument), <$type as $crate::abi::Abi>::NAME)),*],
                    <$crate::__returned!($($returned)?) as $crate::abi::Returns>::TYPES))*
                $(.receive(stringify!($receive)))?
                $(.fallback(stringify!($fallback)))?
                $($(.event::<$event>())*)?
                $($(.error::<$error>())*)?
        }

        /// Prints the contract's ABI as JSON.
        #[cfg(not(target_os = "none"))]
        #[allow(dead_code, reason = "a contract built for the machine at hand prints its ABI")]
        fn main() {
            tandem_abi().print();
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

/// Whether a function of this kind is called with STATICCALL.
#[doc(hidden)]
#[macro_export]
macro_rules! __is_view {
    (pure) => {
        true
    };
    (view) => {
        true
    };
    (write) => {
        false
    };
    (payable) => {
        false
    };
}

/// Whether a function of this kind takes wei.
#[doc(hidden)]
#[macro_export]
macro_rules! __is_payable {
    (payable) => {
        true
    };
    ($($other:ident)?) => {
        false
    };
}

/// Refuses wei, unless the function is payable.
#[doc(hidden)]
#[macro_export]
macro_rules! __refuse_value {
    (payable) => {};
    ($(pure)? $(view)? $(write)?) => {
        $crate::__private::Entry::refuse_value()
    };
}
