//! Solidity's ABI: the types, how they are read and how they are written.
//!
//! Start with [`Abi`], which every type of an argument has. [`Reader`] takes values from a
//! [`Source`] (calldata, the tail, return data), [`Writer`] puts them into words. Input that is
//! too short, or that is no value of its type, reverts without data, as Solidity's decoder does.

mod kind;
mod name;
mod reader;
mod sized;
mod topic;
pub(crate) mod values;
mod writer;

pub use kind::{Kind, Parameter, Tuple};
#[cfg(feature = "heap")]
pub use name::signature;
pub use name::{Name, is_distinct, selector, topic};
pub use reader::{Calldata, Reader, ReturnData, Source, Tail};
pub use sized::{FixedBytes, Int, Uint};
pub use topic::Topic;
#[cfg(feature = "heap")]
#[doc(hidden)]
pub use topic::hashed;
#[cfg(feature = "heap")]
pub use values::{Bytes, Text};
pub use writer::Writer;
#[cfg(feature = "heap")]
pub use writer::encode;
pub(crate) use writer::with_words;

use crate::Word;

/// A type that has a place in Solidity's ABI.
pub trait Abi: Sized {
    /// Its name in signatures.
    const NAME: Name;
    /// Whether its content stands after the heads, where an offset in its head says.
    const DYNAMIC: bool = false;
    /// How many words its head takes: more than one for a struct or a fixed array whose parts are
    /// not dynamic, which stand where they are.
    const HEAD_WORDS: usize = 1;
    /// The struct that it is, or is an array of.
    const TUPLE: Option<&'static Tuple> = None;

    /// How many words its content takes beside the head: 0 unless it is dynamic.
    #[inline(always)]
    fn tail_words(&self) -> usize {
        0
    }

    /// Writes the value.
    fn write(&self, writer: &mut Writer<'_>);

    /// Reads a value.
    fn read<S: Source + ?Sized>(reader: &mut Reader<'_, S>) -> Self;
}

/// A type that fits in one word: a value type of Solidity.
///
/// Such a type can be a mapping's key and a storage value.
pub trait Simple: Abi {
    /// How many bytes it takes in storage.
    const BYTES: usize = 32;
    /// Whether it stands at the beginning of a word, as `bytesN` does.
    const LEFT: bool = false;
    /// Whether its sign fills the word before it.
    const SIGNED: bool = false;

    /// The value as a word.
    fn to_word(&self) -> Word;

    /// The value that the word stands for, if it is one of this type.
    fn from_word(word: Word) -> Option<Self>;
}

/// What a function returns: nothing, a value, or several.
pub trait Returns: Sized {
    /// How many words the heads take.
    const HEADS: usize;
    /// The types, one after the other.
    const TYPES: &'static [Kind];

    /// How many words the contents of dynamic values take.
    fn tail_words(&self) -> usize;

    /// Writes the values.
    fn write(&self, writer: &mut Writer<'_>);

    /// Reads the values.
    fn read<S: Source + ?Sized>(reader: &mut Reader<'_, S>) -> Self;
}

impl<T: Abi> Returns for T {
    const HEADS: usize = T::HEAD_WORDS;
    const TYPES: &'static [Kind] = &[Kind::of::<T>()];

    #[inline(always)]
    fn tail_words(&self) -> usize {
        Abi::tail_words(self)
    }

    #[inline(always)]
    fn write(&self, writer: &mut Writer<'_>) {
        Abi::write(self, writer);
    }

    #[inline(always)]
    fn read<S: Source + ?Sized>(reader: &mut Reader<'_, S>) -> Self {
        Abi::read(reader)
    }
}

macro_rules! returns_tuple {
    ($(($($part:ident)*);)*) => {$(
        #[allow(non_snake_case, unused_variables, reason = "parts are named after their types")]
        #[allow(clippy::unused_unit, reason = "the empty tuple is one of them")]
        impl<$($part: Abi),*> Returns for ($($part,)*) {
            const HEADS: usize = 0 $(+ $part::HEAD_WORDS)*;
            const TYPES: &'static [Kind] = &[$(Kind::of::<$part>()),*];

            #[inline(always)]
            fn tail_words(&self) -> usize {
                let ($($part,)*) = self;
                0 $(+ $part.tail_words())*
            }

            #[inline(always)]
            fn write(&self, writer: &mut Writer<'_>) {
                let ($($part,)*) = self;
                $($part.write(writer);)*
            }

            #[inline(always)]
            fn read<Src: Source + ?Sized>(reader: &mut Reader<'_, Src>) -> Self {
                ($($part::read(reader),)*)
            }
        }
    )*};
}

returns_tuple! {
    ();
    (A B);
    (A B C);
    (A B C D);
    (A B C D E);
    (A B C D E F);
    (A B C D E F G);
    (A B C D E F G H);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Address, U256};

    fn round_trip<T: Returns + PartialEq + core::fmt::Debug>(value: T, words: &[u64]) {
        let written = encode(&value);
        let as_words: Vec<Word> = words.iter().map(|number| Word::from_u64(*number)).collect();
        assert_eq!(written, crate::sys::flatten(&as_words), "{value:?}");
        assert_eq!(T::read(&mut Reader::new(&written[..], 0)), value);
    }

    #[test]
    fn values_are_written_as_solidity_does() {
        round_trip((), &[]);
        round_trip(true, &[1]);
        round_trip(U256::from(7u8), &[7]);
        round_trip((Address::from_u64(5), 200u8), &[5, 200]);
        round_trip(vec![1u64, 2, 3], &[32, 3, 1, 2, 3]);
        round_trip((vec![8u64], 9u64, vec![true, false]), &[96, 9, 160, 1, 8, 2, 1, 0]);
        round_trip(vec![vec![1u64], vec![]], &[32, 2, 64, 128, 1, 1, 0]);
    }

    #[test]
    fn bytes_are_padded_on_the_right() {
        let written = encode(&(Bytes::from(&b"abc"[..]), Text::from("")));
        assert_eq!(written.len(), 5 * 32);
        assert_eq!((written[31], written[63], written[95]), (64, 128, 3));
        assert_eq!(&written[96..100], b"abc\0");
        let read = <(Bytes, Text)>::read(&mut Reader::new(&written[..], 0));
        assert_eq!(read, (Bytes::from(&b"abc"[..]), Text::from("")));
    }

    #[test]
    fn names_and_selectors() {
        const SELECTOR: u32 = selector("transferFrom", &[Address::NAME, Address::NAME, U256::NAME]);
        assert_eq!(SELECTOR, 0x23b8_72dd);
        let name = <Vec<Vec<Address>>>::NAME;
        assert_eq!(name.as_str(), "address[][]");
        assert_eq!(signature("f", &[Text::NAME, bool::NAME]), "f(string,bool)");
    }

    fn refused<T: Returns>(bytes: &[u8]) {
        let ended = crate::host::run(|| {
            T::read(&mut Reader::new(bytes, 0));
        });
        assert_eq!(ended, crate::host::Ended::Reverted(Vec::new()));
    }

    #[test]
    fn what_is_no_value_of_the_type_reverts_without_data() {
        refused::<U256>(&[0; 31]);
        refused::<bool>(&Word::from_u64(2).bytes()[..]);
        refused::<u8>(&Word::from_u64(256).bytes()[..]);
        refused::<Address>(&[1; 32]);
        // An offset past the end, a length past the end, and both at their largest.
        refused::<Bytes>(&Word::from_u64(64).bytes()[..]);
        refused::<Bytes>(
            &[&Word::from_u64(32).bytes()[..], &Word::from_u64(1).bytes()[..]].concat(),
        );
        refused::<Bytes>(&[&Word::from_u64(32).bytes()[..], &[0xff; 32]].concat());
        refused::<Bytes>(&[0xff; 64]);
        refused::<Vec<U256>>(
            &[&Word::from_u64(32).bytes()[..], &Word::from_u64(1 << 60).bytes()[..]].concat(),
        );
    }
}
