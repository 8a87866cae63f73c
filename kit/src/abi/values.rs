//! The types of Solidity's ABI.

use super::{Abi, Name, Reader, Simple, Source, Writer};
use crate::{Address, U256, Word, revert_empty};

macro_rules! simple {
    ($($type:ty = $name:literal, $to:expr, $from:expr;)*) => {$(
        impl Simple for $type {
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

        impl Abi for $type {
            const NAME: Name = Name::new($name);

            #[inline(always)]
            fn write(&self, writer: &mut Writer<'_>) {
                writer.word(self.to_word());
            }

            #[inline]
            fn read<S: Source + ?Sized>(reader: &mut Reader<'_, S>) -> Self {
                match Self::from_word(reader.word()) {
                    Some(value) => value,
                    None => revert_empty(),
                }
            }
        }
    )*};
}

simple! {
    U256 = "uint256", |value| value.to_word(), |word| Some(U256::from_be_word(&word));
    Word = "bytes32", |value| *value, Some;
    Address = "address", |value| *value.word(), Address::from_word;
    bool = "bool", |value| Word::from_u64(*value as u64), |word| match word.to_u64() {
        Some(0) => Some(false),
        Some(1) => Some(true),
        _ => None,
    };
    u8 = "uint8", |value| Word::from_u64((*value).into()), |word| word.to_u64()?.try_into().ok();
    u16 = "uint16", |value| Word::from_u64((*value).into()), |word| word.to_u64()?.try_into().ok();
    u32 = "uint32", |value| Word::from_u64((*value).into()), |word| word.to_u64()?.try_into().ok();
    u64 = "uint64", |value| Word::from_u64(*value), |word| word.to_u64();
    u128 = "uint128", |value| U256::from(*value).to_word(), |word| {
        let [a, b, c, d] = word.limbs();
        (c | d == 0).then_some(u128::from(b) << 64 | u128::from(a))
    };
    [u8; 4] = "bytes4", |value| {
        Word::left_aligned(value)
    }, |word| {
        let [a, b, c, d] = word.limbs();
        (d << 32 | c | b | a == 0).then_some(((d >> 32) as u32).to_be_bytes())
    };
}

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

    fn tail_words(&self) -> usize {
        1 + self.iter().map(|value| 1 + value.tail_words()).sum::<usize>()
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.content(self.len(), self.len(), |content| {
            for value in self {
                value.write(content);
            }
        });
    }

    fn read<S: Source + ?Sized>(reader: &mut Reader<'_, S>) -> Self {
        let (mut content, count) = reader.content();
        if content.left() / 32 < count {
            revert_empty();
        }
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            values.push(T::read(&mut content));
        }
        values
    }
}
