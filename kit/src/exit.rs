//! How a call that fails ends: with a reason that Solidity, wallets and libraries understand.

use crate::abi::Parameter;
use crate::sys::{self, number};
use crate::{U256, Word};

/// Solidity's codes of `Panic(uint256)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PanicCode {
    /// An assertion failed, or a Rust panic has no plain text.
    Assert = 0x01,
    /// A result does not fit its type.
    Overflow = 0x11,
    /// A division by zero.
    DivisionByZero = 0x12,
    /// A string in storage is not laid out as one.
    Storage = 0x22,
    /// `pop` of an array without elements.
    Pop = 0x31,
    /// An index past the end.
    Index = 0x32,
    /// More memory than there is.
    Memory = 0x41,
}

/// What a function's `Err` may be: it ends the frame.
pub trait Revert: Sized {
    /// Ends the frame: its state is undone, and the caller gets this as revert data.
    fn revert(self) -> !;

    /// Adds the errors that it can be to a contract's description.
    #[cfg(not(target_os = "none"))]
    fn describe(contract: crate::describe::Contract) -> crate::describe::Contract {
        contract
    }
}

/// `Error(string)`.
impl Revert for &str {
    fn revert(self) -> ! {
        revert(self)
    }
}

/// No error.
impl Revert for core::convert::Infallible {
    fn revert(self) -> ! {
        match self {}
    }
}

/// An error with a selector: declared by [`error!`](crate::error).
pub trait SolError: Revert {
    /// Its name.
    const NAME: &'static str;
    /// Its arguments.
    const ARGUMENTS: &'static [Parameter];
    /// The first four bytes of its revert data.
    const SELECTOR: u32;
}

/// Ends the frame well, with these bytes as what it returns: for a fallback that passes on what
/// another contract answered. A constructor that ends so has the bytes as its account's code.
#[inline(always)]
pub fn return_bytes(data: &[u8]) -> ! {
    sys::exit(number::RETURN, data)
}

/// Ends the frame with these bytes as revert data.
#[inline(always)]
pub fn revert_bytes(data: &[u8]) -> ! {
    sys::exit(number::REVERT, data)
}

/// Ends the frame without revert data.
#[cold]
#[inline(never)]
pub fn revert_empty() -> ! {
    sys::exit(number::REVERT, &[])
}

/// Ends the frame with a selector and words after it: words of which the first ends with it.
#[inline(always)]
pub(crate) fn revert_words(words: &[Word]) -> ! {
    revert_bytes(selected(words))
}

/// Calldata or revert data in words of which the first holds the selector, in its last four bytes.
#[inline(always)]
pub(crate) fn selected(words: &[Word]) -> &[u8] {
    sys::flatten(words).get(28..).unwrap_or_default()
}

/// The most text that an `Error(string)` of the kit carries; what is past it is cut off.
const TEXT_SIZE_MAX: usize = 256;

/// Ends the frame with `Error(string)`: Solidity's `revert("text")`.
#[cold]
#[inline(never)]
pub fn revert(text: &str) -> ! {
    // Selector, offset and length before the text. No heap: it may be what has run out.
    let mut words = [Word::ZERO; 3 + TEXT_SIZE_MAX / 32];
    let text = text.as_bytes().get(..TEXT_SIZE_MAX).unwrap_or(text.as_bytes());
    let [selector, offset, length, content @ ..] = &mut words;
    *selector = Word::from_u64(0x08c3_79a0);
    *offset = Word::from_u64(32);
    *length = Word::from_u64(text.len() as u64);
    for (place, byte) in content.iter_mut().flat_map(|word| word.bytes_mut()).zip(text) {
        *place = *byte;
    }
    let used = 3 + text.len().div_ceil(32);
    revert_words(words.get(..used).unwrap_or(&words))
}

/// Ends the frame with `Panic(uint256)`.
#[cold]
#[inline(never)]
pub fn revert_panic(code: PanicCode) -> ! {
    revert_words(&[Word::from_u64(0x4e48_7b71), U256::from(code as u8).to_word()])
}

/// Reverts with an error, or a text, unless the condition holds: Solidity's `require`.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $text:literal) => {
        if !$condition {
            $crate::revert($text);
        }
    };
    ($condition:expr, $error:expr) => {
        if !$condition {
            $crate::Revert::revert($error);
        }
    };
}

/// Declares errors: each becomes a struct that can `revert()`.
///
/// ```
/// # use tandem_kit::prelude::*;
/// error! {
///     InsufficientBalance(account: Address, balance: U256, needed: U256);
///     Closed();
/// }
/// ```
#[macro_export]
macro_rules! error {
    ($($(#[$doc:meta])* $name:ident ( $($argument:ident : $type:ty),* $(,)? );)*) => {$(
        $(#[$doc])*
        #[allow(missing_docs, reason = "the declaration says what there is to say")]
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $(pub $argument: $type),*
        }

        impl $crate::SolError for $name {
            const NAME: &'static str = stringify!($name);
            const ARGUMENTS: &'static [$crate::abi::Parameter] =
                &[$($crate::abi::Parameter::of::<$type>(stringify!($argument))),*];
            const SELECTOR: u32 = $crate::abi::selector(
                Self::NAME, &[$(<$type as $crate::abi::Abi>::NAME),*]);
        }

        impl $crate::Revert for $name {
            #[cold]
            #[inline(never)]
            fn revert(self) -> ! {
                let tail = 0 $(+ $crate::abi::Abi::tail_words(&self.$argument))*;
                $crate::__private::with_selector::<
                    { 1 $(+ <$type as $crate::abi::Abi>::HEAD_WORDS)* }, _,
                >(
                    <Self as $crate::SolError>::SELECTOR,
                    tail,
                    |_writer| { $(_writer.put(&self.$argument);)* },
                    |data| $crate::revert_bytes(data),
                )
            }

            #[cfg(not(target_os = "none"))]
            fn describe(contract: $crate::describe::Contract) -> $crate::describe::Contract {
                contract.error::<Self>()
            }
        }
    )*};
}
