//! Values as topics of logs.

#[cfg(feature = "heap")]
use super::{Bytes, Text};
use crate::Word;
#[cfg(feature = "heap")]
use crate::sys;
#[cfg(feature = "heap")]
use alloc::vec::Vec;

/// A type that can be an indexed argument of an event.
pub trait Topic {
    /// The topic: the value, or the hash of what does not fit in a word.
    fn topic(&self) -> Word;

    /// Appends what is hashed of this value inside of an indexed array or struct (Solidity's ABI,
    /// "Encoding of Indexed Event Parameters"): its word, text and bytes with zeros up to whole
    /// words, elements and fields one after the other; no lengths, no offsets.
    #[cfg(feature = "heap")]
    #[inline]
    fn append_to(&self, words: &mut Vec<Word>) {
        words.push(self.topic());
    }
}

/// The hash of all that `value` appends.
#[cfg(feature = "heap")]
#[doc(hidden)]
pub fn hashed<T: Topic + ?Sized>(value: &T) -> Word {
    let mut words = Vec::new();
    value.append_to(&mut words);
    sys::keccak256(sys::flatten(&words))
}

#[cfg(feature = "heap")]
macro_rules! octets {
    ($($type:ty)*) => {$(
        impl Topic for $type {
            fn topic(&self) -> Word {
                sys::keccak256(&self.0)
            }

            fn append_to(&self, words: &mut Vec<Word>) {
                words.extend(self.0.chunks(32).map(Word::left_aligned));
            }
        }
    )*};
}

#[cfg(feature = "heap")]
octets! { Text Bytes }

#[cfg(feature = "heap")]
macro_rules! elements {
    ($([$($generics:tt)*] $type:ty;)*) => {$(
        impl<$($generics)*> Topic for $type {
            fn topic(&self) -> Word {
                hashed(self)
            }

            fn append_to(&self, words: &mut Vec<Word>) {
                for element in self {
                    element.append_to(words);
                }
            }
        }
    )*};
}

#[cfg(feature = "heap")]
elements! {
    [T: Topic] Vec<T>;
    [T: Topic, const N: usize] [T; N];
}

/// A struct's topic, made of its fields; without the heap structs are no topics.
#[cfg(feature = "heap")]
#[doc(hidden)]
#[macro_export]
macro_rules! __struct_topic {
    ($name:ty: $($field:ident)*) => {
        impl $crate::abi::Topic for $name {
            fn topic(&self) -> $crate::Word {
                $crate::__private::hashed(self)
            }

            fn append_to(&self, words: &mut $crate::__private::Vec<$crate::Word>) {
                $($crate::abi::Topic::append_to(&self.$field, words);)*
            }
        }
    };
}

#[cfg(not(feature = "heap"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __struct_topic {
    ($name:ty: $($field:ident)*) => {};
}
