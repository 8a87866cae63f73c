//! The types of Solidity's ABI.

use super::{Abi, Name, Reader, Simple, Source, Tuple, Writer};
use crate::{Address, I256, U256, Word, revert_empty};

/// Gives a type of one word all that such types have: its place in the ABI, in storage, as a
/// mapping's key and as a topic. Its [`Simple`] is written beside it.
#[doc(hidden)]
#[macro_export]
macro_rules! __word_type {
    ([$($generics:tt)*] $type:ty, $name:expr) => {
        impl<$($generics)*> $crate::abi::Abi for $type {
            const NAME: $crate::abi::Name = $name;

            #[inline(always)]
            fn write(&self, writer: &mut $crate::abi::Writer<'_>) {
                writer.word($crate::abi::Simple::to_word(self));
            }

            #[inline]
            fn read<S: $crate::abi::Source + ?Sized>(
                reader: &mut $crate::abi::Reader<'_, S>,
            ) -> Self {
                match <Self as $crate::abi::Simple>::from_word(reader.word()) {
                    Some(value) => value,
                    None => $crate::revert_empty(),
                }
            }
        }

        impl<$($generics)*> $crate::storage::Stored for $type {
            const BYTES: usize = <Self as $crate::abi::Simple>::BYTES;
            const PACKED: bool = true;
            type Place = $crate::storage::Value<Self>;

            #[inline(always)]
            fn place(slot: $crate::Word, offset: usize) -> Self::Place {
                $crate::storage::Value::new(slot, offset)
            }
        }

        impl<$($generics)*> $crate::storage::Key for $type {
            #[inline(always)]
            fn slot(&self, map: &$crate::Word) -> $crate::Word {
                $crate::__private::mapped(&$crate::abi::Simple::to_word(self), map)
            }
        }

        impl<$($generics)*> $crate::abi::Topic for $type {
            #[inline(always)]
            fn topic(&self) -> $crate::Word {
                $crate::abi::Simple::to_word(self)
            }
        }
    };
}
pub(crate) use __word_type as word_type;

macro_rules! simple {
    ($($type:ty = $name:literal, $bytes:literal, $to:expr, $from:expr;)*) => {$(
        impl Simple for $type {
            const BYTES: usize = $bytes;

            #[inline(always)]
            fn to_word(&self) -> Word {
                let to: fn(&$type) -> Word = $to;
                to(self)
            }

            #[inline(always)]
            fn from_word(word: Word) -> Option<Self> {
                let from: fn(Word) -> Option<$type> = $from;
                from(word)
            }
        }

        word_type! { [] $type, Name::new($name) }
    )*};
}

simple! {
    U256 = "uint256", 32, |value| value.to_word(), |word| Some(U256::from_be_word(&word));
    Word = "bytes32", 32, |value| *value, Some;
    Address = "address", 20, |value| *value.word(), Address::from_word;
    bool = "bool", 1, |value| Word::from_u64(*value as u64), |word| match word.to_u64() {
        Some(0) => Some(false),
        Some(1) => Some(true),
        _ => None,
    };
    u8 = "uint8", 1, |value| Word::from_u64((*value).into()),
        |word| word.to_u64()?.try_into().ok();
    u16 = "uint16", 2, |value| Word::from_u64((*value).into()),
        |word| word.to_u64()?.try_into().ok();
    u32 = "uint32", 4, |value| Word::from_u64((*value).into()),
        |word| word.to_u64()?.try_into().ok();
    u64 = "uint64", 8, |value| Word::from_u64(*value), |word| word.to_u64();
    u128 = "uint128", 16, |value| U256::from(*value).to_word(), |word| {
        let [a, b, c, d] = word.limbs();
        (c | d == 0).then_some(u128::from(b) << 64 | u128::from(a))
    };
}

macro_rules! signed {
    ($($type:ty = $name:literal, $bytes:literal;)*) => {$(
        impl Simple for $type {
            const BYTES: usize = $bytes;
            const SIGNED: bool = true;

            #[inline]
            fn to_word(&self) -> Word {
                I256::from(*self).to_word()
            }

            #[inline]
            fn from_word(word: Word) -> Option<Self> {
                I256::from_be_word(&word).to_i128()?.try_into().ok()
            }
        }

        word_type! { [] $type, Name::new($name) }
    )*};
}

signed! {
    i8 = "int8", 1;
    i16 = "int16", 2;
    i32 = "int32", 4;
    i64 = "int64", 8;
    i128 = "int128", 16;
}

impl Simple for I256 {
    const SIGNED: bool = true;

    #[inline(always)]
    fn to_word(&self) -> Word {
        I256::to_word(self)
    }

    #[inline(always)]
    fn from_word(word: Word) -> Option<Self> {
        Some(Self::from_be_word(&word))
    }
}

word_type! { [] I256, Name::new("int256") }

#[cfg(feature = "heap")]
use alloc::vec::Vec;

/// `bytes`: any number of bytes.
#[cfg(feature = "heap")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

/// `string`: text that nobody has checked to be UTF-8, as in Solidity.
#[cfg(feature = "heap")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(pub Vec<u8>);

#[cfg(feature = "heap")]
impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

#[cfg(feature = "heap")]
impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

#[cfg(feature = "heap")]
impl Text {
    /// The text, if it is UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        core::str::from_utf8(&self.0).ok()
    }
}

macro_rules! byte_string {
    ($($type:ty = $name:literal;)*) => {$(
        #[cfg(feature = "heap")]
        impl Abi for $type {
            const NAME: Name = Name::new($name);
            const DYNAMIC: bool = true;

            fn tail_words(&self) -> usize {
                1 + self.0.len().div_ceil(32)
            }

            fn write(&self, writer: &mut Writer<'_>) {
                let heads = self.0.len().div_ceil(32);
                writer.content(self.0.len(), heads, |content| content.bytes(&self.0));
            }

            fn read<S: Source + ?Sized>(reader: &mut Reader<'_, S>) -> Self {
                Self(read_bytes(reader))
            }
        }
    )*};
}

byte_string! {
    Bytes = "bytes";
    Text = "string";
}

#[cfg(feature = "heap")]
fn read_bytes<S: Source + ?Sized>(reader: &mut Reader<'_, S>) -> Vec<u8> {
    let (mut content, len) = reader.content();
    // Before memory is taken: the sender has paid for what is there, not for what he claims.
    if content.left() < len {
        revert_empty();
    }
    let mut bytes = crate::sys::zeros(len);
    content.copy(&mut bytes);
    bytes
}

#[cfg(feature = "heap")]
impl<T: Abi> Abi for Vec<T> {
    const NAME: Name = T::NAME.then("[]");
    const DYNAMIC: bool = true;
    const TUPLE: Option<&'static Tuple> = T::TUPLE;

    fn tail_words(&self) -> usize {
        1 + self.iter().map(|value| T::HEAD_WORDS + value.tail_words()).sum::<usize>()
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.content(self.len(), self.len() * T::HEAD_WORDS, |content| {
            for value in self {
                value.write(content);
            }
        });
    }

    fn read<S: Source + ?Sized>(reader: &mut Reader<'_, S>) -> Self {
        const { assert!(T::HEAD_WORDS > 0, "an element takes a word at least") };
        let (mut content, count) = reader.content();
        if content.left() / (32 * T::HEAD_WORDS) < count {
            revert_empty();
        }
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            values.push(T::read(&mut content));
        }
        values
    }
}

/// `T[N]`.
impl<T: Abi, const N: usize> Abi for [T; N] {
    const NAME: Name = T::NAME.then("[").then_number(N).then("]");
    const DYNAMIC: bool = T::DYNAMIC;
    const HEAD_WORDS: usize = if T::DYNAMIC { 1 } else { N * T::HEAD_WORDS };
    const TUPLE: Option<&'static Tuple> = T::TUPLE;

    #[inline]
    fn tail_words(&self) -> usize {
        if T::DYNAMIC { self.iter().map(|value| 1 + value.tail_words()).sum() } else { 0 }
    }

    #[inline]
    fn write(&self, writer: &mut Writer<'_>) {
        let all = |writer: &mut Writer<'_>| {
            for value in self {
                value.write(writer);
            }
        };
        if T::DYNAMIC { writer.inner(N, all) } else { all(writer) }
    }

    #[inline]
    fn read<S: Source + ?Sized>(reader: &mut Reader<'_, S>) -> Self {
        const { assert!(N > 0, "Solidity has no arrays without elements") };
        if T::DYNAMIC {
            let mut content = reader.inner();
            core::array::from_fn(|_| T::read(&mut content))
        } else {
            core::array::from_fn(|_| T::read(reader))
        }
    }
}
