//! Storage, laid out as Solidity does.
//!
//! Declared with [`storage!`](crate::storage): each entry takes the next slot, from 0. Every value
//! has a slot of its own: unlike Solidity, small values that follow each other are not packed into
//! one. (A Solidity contract that shares the layout, a proxy say, keeps small variables apart.)

use core::marker::PhantomData;

use crate::abi::Simple;
use crate::sys::{self, number};
use crate::{Word, keccak256_words, revert_empty};

/// What an entry of storage, or a mapping's value, can be.
pub trait Place {
    /// The place that starts at `slot`.
    fn at_slot(slot: Word) -> Self;
}

/// A value in a slot.
pub struct Value<T> {
    slot: Word,
    of: PhantomData<T>,
}

impl<T> Place for Value<T> {
    #[inline(always)]
    fn at_slot(slot: Word) -> Self {
        Self { slot, of: PhantomData }
    }
}

impl<T: Simple> Value<T> {
    /// The value. A slot that has not been written reads as zero.
    #[inline]
    pub fn load(&self) -> T {
        checked(sys::word_of(number::SLOAD, &self.slot))
    }

    /// Writes the value.
    #[inline]
    pub fn store(&self, value: T) {
        sys::store(number::SSTORE, &self.slot, &value.to_word());
    }

    /// Reads the value, and writes what `change` makes of it.
    #[inline]
    pub fn update(&self, change: impl FnOnce(T) -> T) {
        self.store(change(self.load()));
    }
}

/// Storage that lasts until the transaction's end: EIP-1153.
pub struct Transient<T> {
    slot: Word,
    of: PhantomData<T>,
}

impl<T> Place for Transient<T> {
    #[inline(always)]
    fn at_slot(slot: Word) -> Self {
        Self { slot, of: PhantomData }
    }
}

impl<T: Simple> Transient<T> {
    /// The value; zero unless this transaction has written it.
    #[inline]
    pub fn load(&self) -> T {
        checked(sys::word_of(number::TLOAD, &self.slot))
    }

    /// Writes the value.
    #[inline]
    pub fn store(&self, value: T) {
        sys::store(number::TSTORE, &self.slot, &value.to_word());
    }
}

#[inline(always)]
fn checked<T: Simple>(word: Word) -> T {
    match T::from_word(word) {
        Some(value) => value,
        None => revert_empty(),
    }
}

/// `mapping(K => V)`.
pub struct Map<K, V> {
    slot: Word,
    of: PhantomData<(K, V)>,
}

impl<K, V> Place for Map<K, V> {
    #[inline(always)]
    fn at_slot(slot: Word) -> Self {
        Self { slot, of: PhantomData }
    }
}

impl<K: Simple, V: Place> Map<K, V> {
    /// The place of `key`'s value.
    #[inline(always)]
    pub fn at(&self, key: K) -> V {
        V::at_slot(mapped(&key.to_word(), &self.slot))
    }
}

#[inline(never)]
fn mapped(key: &Word, slot: &Word) -> Word {
    keccak256_words(&[*key, *slot])
}

#[cfg(feature = "heap")]
pub use long::{List, TextSlot};

#[cfg(feature = "heap")]
mod long {
    use alloc::vec::Vec;

    use super::*;
    use crate::abi::Text;
    use crate::{PanicCode, U256, revert_panic};

    /// `string`: up to 31 bytes stand in the slot itself, longer ones from the slot's hash on.
    pub struct TextSlot {
        slot: Word,
    }

    impl Place for TextSlot {
        fn at_slot(slot: Word) -> Self {
            Self { slot }
        }
    }

    impl TextSlot {
        /// The text.
        pub fn load(&self) -> Text {
            let head = sys::word_of(number::SLOAD, &self.slot);
            let len = size(&head);
            let mut bytes: Vec<u8> = sys::zeros(len);
            let first = U256::from_be_word(&keccak256_words(&[self.slot]));
            for (n, chunk) in bytes.chunks_mut(32).enumerate() {
                let slot = first.wrapping_add(U256::from(n as u64)).to_word();
                let word = if len < 32 { head } else { sys::word_of(number::SLOAD, &slot) };
                for (place, byte) in chunk.iter_mut().zip(word.bytes()) {
                    *place = *byte;
                }
            }
            Text(bytes)
        }

        /// Writes the text, and clears what is left of a longer one.
        pub fn store(&self, text: &Text) {
            let bytes = &text.0[..];
            let old = size(&sys::word_of(number::SLOAD, &self.slot));
            let mut head = Word::from_u64(2 * bytes.len() as u64 + 1);
            if bytes.len() < 32 {
                head = Word::left_aligned(bytes);
                head.bytes_mut()[31] = 2 * bytes.len() as u8;
            }
            sys::store(number::SSTORE, &self.slot, &head);
            let first = U256::from_be_word(&keccak256_words(&[self.slot]));
            let slots = |len: usize| if len < 32 { 0 } else { len.div_ceil(32) };
            for n in 0..slots(bytes.len()).max(slots(old)) {
                // Past the end of the new text, what is left of an old one is cleared.
                let rest = bytes.get(32 * n..).filter(|_| bytes.len() >= 32);
                let word = Word::left_aligned(rest.unwrap_or_default());
                let slot = first.wrapping_add(U256::from(n as u64)).to_word();
                sys::store(number::SSTORE, &slot, &word);
            }
        }
    }

    /// The length in bytes of the text whose slot holds `head`.
    fn size(head: &Word) -> usize {
        match head.to_u64() {
            Some(long) if long & 1 == 1 => (long >> 1) as usize,
            _ if head.bytes()[31] & 1 == 1 => revert_panic(PanicCode::Storage),
            _ => usize::from(head.bytes()[31] >> 1),
        }
    }

    /// `T[]`: the length stands in the slot, the elements from the slot's hash on, one a slot.
    pub struct List<T> {
        slot: Word,
        of: PhantomData<T>,
    }

    impl<T> Place for List<T> {
        fn at_slot(slot: Word) -> Self {
            Self { slot, of: PhantomData }
        }
    }

    impl<T: Simple> List<T> {
        fn length(&self) -> Value<u64> {
            Value::at_slot(self.slot)
        }

        fn element(&self, index: u64) -> Value<T> {
            let first = U256::from_be_word(&keccak256_words(&[self.slot]));
            Value::at_slot(first.wrapping_add(U256::from(index)).to_word())
        }

        /// How many elements there are.
        pub fn len(&self) -> u64 {
            self.length().load()
        }

        /// Whether there are none.
        pub fn is_empty(&self) -> bool {
            self.len() == 0
        }

        /// The place of an element; `Panic(0x32)` past the last.
        pub fn at(&self, index: u64) -> Value<T> {
            if index >= self.len() {
                revert_panic(PanicCode::Index);
            }
            self.element(index)
        }

        /// Adds an element at the end.
        pub fn push(&self, value: T) {
            let len = self.len();
            self.element(len).store(value);
            self.length().store(len + 1);
        }

        /// Takes the last element away.
        pub fn pop(&self) -> Option<T> {
            let last = self.len().checked_sub(1)?;
            let place = self.element(last);
            let value = place.load();
            sys::store(number::SSTORE, &place.slot, &Word::ZERO);
            self.length().store(last);
            Some(value)
        }
    }
}

/// Declares a contract's storage: a module with a function for each entry.
///
/// ```
/// # use tandem_kit::prelude::*;
/// storage! {
///     mod state {
///         balances: Map<Address, Value<U256>>,               // slot 0
///         allowances: Map<Address, Map<Address, Value<U256>>>, // slot 1
///         owner: Value<Address>,                              // slot 2
///     }
/// }
/// # fn main() {}
/// ```
///
/// The entry `owner` is then read with `state::owner().load()`.
#[macro_export]
macro_rules! storage {
    ($(#[$doc:meta])* $visibility:vis mod $module:ident {
        $($(#[$entry_doc:meta])* $entry:ident : $place:ty),* $(,)?
    }) => {
        $(#[$doc])*
        $visibility mod $module {
            #[allow(unused_imports, reason = "which of them are used is up to the declaration")]
            use super::*;
            #[allow(non_camel_case_types, reason = "the entries' names, in order")]
            enum Slot { $($entry),* }
            $(
                $(#[$entry_doc])*
                #[allow(missing_docs, dead_code, reason = "a layout may name what is not read")]
                #[inline(always)]
                pub fn $entry() -> $place {
                    $crate::storage::Place::at_slot($crate::Word::from_u64(Slot::$entry as u64))
                }
            )*
        }
    };
}
