//! `string` and `bytes`: up to 31 bytes stand in the slot, longer ones from its hash on.

use alloc::vec::Vec;
use core::marker::PhantomData;

use super::{Erase, Stored, Whole};
use crate::abi::{Bytes, Text};
use crate::sys::{self, number};
use crate::{PanicCode, Word, keccak256_words, revert_panic};

/// A type of any number of bytes.
pub trait Octets {
    /// The value with these bytes.
    fn from_octets(bytes: Vec<u8>) -> Self;
    /// The bytes.
    fn octets(&self) -> &[u8];
}

macro_rules! octets {
    ($($type:ident)*) => {$(
        impl Octets for $type {
            fn from_octets(bytes: Vec<u8>) -> Self {
                Self(bytes)
            }

            fn octets(&self) -> &[u8] {
                &self.0
            }
        }

        impl Stored for $type {
            type Place = OctetsPlace<Self>;

            #[inline(always)]
            fn place(slot: Word, _offset: usize) -> OctetsPlace<Self> {
                OctetsPlace { slot, of: PhantomData }
            }
        }
    )*};
}

octets! { Text Bytes }

/// Reads and writes a `string` or `bytes`.
pub struct OctetsPlace<T> {
    slot: Word,
    of: PhantomData<T>,
}

impl<T: Octets> OctetsPlace<T> {
    /// How many bytes there are.
    pub fn len(&self) -> usize {
        size(&self.head())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value.
    pub fn get(&self) -> T {
        T::from_octets(read(&self.slot))
    }

    /// Writes the value, and clears what is left of a longer one.
    pub fn set(&mut self, value: &T) {
        write(&self.slot, value.octets());
    }

    fn head(&self) -> Word {
        sys::word_of(number::SLOAD, &self.slot)
    }
}

impl<T: Octets> Whole for OctetsPlace<T> {
    type Value = T;

    fn load(&self) -> T {
        self.get()
    }

    fn store(&mut self, value: &T) {
        self.set(value);
    }
}

impl<T> Erase for OctetsPlace<T> {
    fn erase(&mut self) {
        write(&self.slot, &[]);
    }
}

fn read(slot: &Word) -> Vec<u8> {
    let head = sys::word_of(number::SLOAD, slot);
    let len = size(&head);
    let mut bytes: Vec<u8> = sys::zeros(len);
    let first = keccak256_words(&[*slot]);
    for (n, chunk) in bytes.chunks_mut(32).enumerate() {
        let word = if len < 32 { head } else { sys::word_of(number::SLOAD, &first.plus(n as u64)) };
        for (place, byte) in chunk.iter_mut().zip(word.bytes()) {
            *place = *byte;
        }
    }
    bytes
}

fn write(slot: &Word, bytes: &[u8]) {
    let old = size(&sys::word_of(number::SLOAD, slot));
    let mut head = Word::from_u64(2 * bytes.len() as u64 + 1);
    if bytes.len() < 32 {
        head = Word::left_aligned(bytes);
        head.bytes_mut()[31] = 2 * bytes.len() as u8;
    }
    sys::store(number::SSTORE, slot, &head);
    let first = keccak256_words(&[*slot]);
    let slots = |len: usize| if len < 32 { 0 } else { len.div_ceil(32) };
    for n in 0..slots(bytes.len()).max(slots(old)) {
        // Past the end of the new text, what is left of an old one is cleared.
        let rest = bytes.get(32 * n..).filter(|_| bytes.len() >= 32);
        let word = Word::left_aligned(rest.unwrap_or_default());
        sys::store(number::SSTORE, &first.plus(n as u64), &word);
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
