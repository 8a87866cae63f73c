//! Values of one slot or less.

use core::marker::PhantomData;

use super::{Erase, Stored, Whole};
use crate::abi::Simple;
use crate::sys::{self, number};
use crate::{Word, revert_empty};

/// Which of the two storages.
pub trait Medium {
    /// The system call that reads it.
    const LOAD: u64;
    /// The system call that writes it.
    const STORE: u64;
}

/// Storage that lasts.
pub struct Lasting;

impl Medium for Lasting {
    const LOAD: u64 = number::SLOAD;
    const STORE: u64 = number::SSTORE;
}

/// Storage that lasts until the transaction's end.
pub struct Temporary;

impl Medium for Temporary {
    const LOAD: u64 = number::TLOAD;
    const STORE: u64 = number::TSTORE;
}

/// A field that is declared as `Transient<T>` lasts until the transaction's end: EIP-1153.
pub struct Transient<T>(PhantomData<T>);

impl<T: Simple> Stored for Transient<T> {
    const BYTES: usize = T::BYTES;
    const PACKED: bool = true;
    const TRANSIENT: bool = true;
    type Place = Value<T, Temporary>;

    #[inline(always)]
    fn place(slot: Word, offset: usize) -> Self::Place {
        Value::new(slot, offset)
    }
}

/// A value in a slot, or in a part of one.
pub struct Value<T, M = Lasting> {
    slot: Word,
    /// Bytes of the slot behind the value.
    offset: usize,
    of: PhantomData<(T, M)>,
}

impl<T, M> Value<T, M> {
    /// The value in `slot`, `offset` bytes before its end.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(slot: Word, offset: usize) -> Self {
        Self { slot, offset, of: PhantomData }
    }

    /// The slot.
    pub fn slot(&self) -> Word {
        self.slot
    }
}

impl<T: Simple, M: Medium> Value<T, M> {
    /// The value. What has not been written is zero.
    #[inline]
    pub fn get(&self) -> T {
        let word = unpacked::<T>(sys::word_of(M::LOAD, &self.slot), self.offset);
        match T::from_word(word) {
            Some(value) => value,
            None => revert_empty(),
        }
    }

    /// Writes the value.
    #[inline]
    pub fn set(&mut self, value: T) {
        self.write(value.to_word());
    }

    #[inline]
    fn write(&mut self, mut word: Word) {
        if T::BYTES < 32 {
            word = packed::<T>(sys::word_of(M::LOAD, &self.slot), word, self.offset);
        }
        sys::store(M::STORE, &self.slot, &word);
    }

    /// Reads the value, and writes what `change` makes of it.
    #[inline]
    pub fn update(&mut self, change: impl FnOnce(T) -> T) {
        self.set(change(self.get()));
    }
}

impl<T: Simple, M: Medium> Erase for Value<T, M> {
    #[inline]
    fn erase(&mut self) {
        self.write(Word::ZERO);
    }
}

impl<T: Simple, M: Medium> Whole for Value<T, M> {
    type Value = T;

    fn load(&self) -> T {
        self.get()
    }

    fn store(&mut self, value: &T) {
        self.write(value.to_word());
    }
}

/// The value's own word, out of the slot that it stands in.
#[inline(always)]
fn unpacked<T: Simple>(slot: Word, offset: usize) -> Word {
    if T::BYTES == 32 {
        return slot;
    }
    let simple = offset == 0 && !T::LEFT;
    let mut word = if simple { slot.low(T::BYTES) } else { moved_out::<T>(&slot, offset) };
    if T::SIGNED && word.bytes()[32 - T::BYTES] >= 0x80 {
        for byte in &mut word.bytes_mut()[..32 - T::BYTES] {
            *byte = 0xff;
        }
    }
    word
}

/// The slot with the value in it.
#[inline(always)]
fn packed<T: Simple>(slot: Word, value: Word, offset: usize) -> Word {
    if offset == 0 && !T::LEFT {
        slot.with_low(&value, T::BYTES)
    } else {
        moved_in::<T>(slot, &value, offset)
    }
}

/// Where the value's first byte stands in its own word.
const fn own_start<T: Simple>() -> usize {
    if T::LEFT { 0 } else { 32 - T::BYTES }
}

fn moved_out<T: Simple>(slot: &Word, offset: usize) -> Word {
    copied(slot, Word::ZERO, T::BYTES, (32 - T::BYTES - offset, own_start::<T>()))
}

fn moved_in<T: Simple>(slot: Word, value: &Word, offset: usize) -> Word {
    copied(value, slot, T::BYTES, (own_start::<T>(), 32 - T::BYTES - offset))
}

/// `to`, with `len` bytes of `from`.
#[inline(never)]
fn copied(from: &Word, mut to: Word, len: usize, (start, at): (usize, usize)) -> Word {
    let source = from.bytes().iter().skip(start);
    for (place, byte) in to.bytes_mut().iter_mut().skip(at).zip(source).take(len) {
        *place = *byte;
    }
    to
}
