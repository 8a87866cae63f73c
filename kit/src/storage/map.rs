//! Mappings.

use core::marker::PhantomData;

use super::{At, AtMut, Erase, Stored, Value};
use crate::abi::Simple;
#[cfg(feature = "heap")]
use crate::abi::{Bytes, Text};
use crate::{Word, keccak256_words};

/// A type that can be a mapping's key.
pub trait Key {
    /// The slot of the key's value in the mapping that has the slot `map`.
    fn slot(&self, map: &Word) -> Word;
}

/// The slot of a key of one word.
#[inline(never)]
pub(crate) fn mapped(key: &Word, map: &Word) -> Word {
    keccak256_words(&[*key, *map])
}

#[cfg(feature = "heap")]
fn mapped_bytes(key: &[u8], map: &Word) -> Word {
    let mut bytes: alloc::vec::Vec<u8> = crate::sys::zeros(key.len() + 32);
    if let Some((start, end)) = bytes.split_at_mut_checked(key.len()) {
        start.copy_from_slice(key);
        end.copy_from_slice(map.bytes());
    }
    crate::keccak256(&bytes)
}

#[cfg(feature = "heap")]
impl Key for Text {
    fn slot(&self, map: &Word) -> Word {
        mapped_bytes(&self.0, map)
    }
}

#[cfg(feature = "heap")]
impl Key for Bytes {
    fn slot(&self, map: &Word) -> Word {
        mapped_bytes(&self.0, map)
    }
}

/// `mapping(K => V)`.
pub struct Map<K, V> {
    slot: Word,
    of: PhantomData<(K, V)>,
}

impl<K, V> Stored for Map<K, V> {
    type Place = Self;

    #[inline(always)]
    fn place(slot: Word, _offset: usize) -> Self {
        Self { slot, of: PhantomData }
    }
}

impl<K, V> Erase for Map<K, V> {
    fn erase(&mut self) {}
}

impl<K: Key, V: Stored> Map<K, V> {
    #[inline(always)]
    fn place_of(&self, key: &K) -> V::Place {
        V::place(key.slot(&self.slot), 0)
    }

    /// The place of `key`'s value, to be read.
    #[inline(always)]
    pub fn at(&self, key: K) -> At<'_, V::Place> {
        At::new(self.place_of(&key))
    }

    /// The place of `key`'s value.
    #[inline(always)]
    pub fn at_mut(&mut self, key: K) -> AtMut<'_, V::Place> {
        AtMut::new(self.place_of(&key))
    }
}

impl<K: Key, V: Simple + Stored<Place = Value<V>>> Map<K, V> {
    /// `key`'s value.
    #[inline(always)]
    pub fn get(&self, key: K) -> V {
        self.place_of(&key).get()
    }

    /// Writes `key`'s value.
    #[inline(always)]
    pub fn set(&mut self, key: K, value: V) {
        self.place_of(&key).set(value);
    }

    /// Reads `key`'s value, and writes what `change` makes of it.
    #[inline(always)]
    pub fn update(&mut self, key: K, change: impl FnOnce(V) -> V) {
        self.place_of(&key).update(change);
    }
}
