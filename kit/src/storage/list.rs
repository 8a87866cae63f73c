//! Arrays: `T[]` and `T[N]`.

use alloc::vec::Vec;
use core::marker::PhantomData;

use super::{At, AtMut, Erase, Stored, Value, Whole};
use crate::abi::Simple;
use crate::sys::{self, number};
use crate::{PanicCode, Word, keccak256_words, revert_panic};

/// How many elements stand in one slot; 0 if one takes whole slots.
const fn per_slot<T: Stored>() -> u64 {
    if T::PACKED { (32 / T::BYTES) as u64 } else { 0 }
}

/// The place of element `index` of those that start at `first`.
#[inline]
fn element<T: Stored>(first: &Word, index: u64) -> T::Place {
    match per_slot::<T>() {
        0 => T::place(first.plus_many(index, T::SLOTS), 0),
        per => T::place(first.plus(index / per), (index % per) as usize * T::BYTES),
    }
}

/// `T[]`: the length stands in the slot, the elements from the slot's hash on. A field of storage
/// that is declared as `Vec<T>` is one.
pub struct List<T> {
    slot: Word,
    of: PhantomData<T>,
}

impl<T> Stored for List<T> {
    type Place = Self;

    #[inline(always)]
    fn place(slot: Word, _offset: usize) -> Self {
        Self { slot, of: PhantomData }
    }
}

impl<T: Stored> Stored for Vec<T> {
    type Place = List<T>;

    #[inline(always)]
    fn place(slot: Word, _offset: usize) -> List<T> {
        List { slot, of: PhantomData }
    }
}

impl<T: Stored> List<T> {
    fn set_len(&mut self, len: u64) {
        sys::store(number::SSTORE, &self.slot, &Word::from_u64(len));
    }

    fn element(&self, index: u64) -> T::Place {
        element::<T>(&keccak256_words(&[self.slot]), index)
    }

    fn checked(&self, index: u64) -> T::Place {
        if index >= self.len() {
            revert_panic(PanicCode::Index);
        }
        self.element(index)
    }

    /// How many elements there are.
    pub fn len(&self) -> u64 {
        // A `uint256` that never gets beyond what an `u64` counts.
        match sys::word_of(number::SLOAD, &self.slot).to_u64() {
            Some(len) => len,
            None => revert_panic(PanicCode::Memory),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The place of an element, to be read; `Panic(0x32)` past the last.
    pub fn at(&self, index: u64) -> At<'_, T::Place> {
        At::new(self.checked(index))
    }

    /// The place of an element; `Panic(0x32)` past the last.
    pub fn at_mut(&mut self, index: u64) -> AtMut<'_, T::Place> {
        AtMut::new(self.checked(index))
    }

    /// Adds an element at the end, as zero, and gives its place: Solidity's `push()`.
    pub fn grow(&mut self) -> AtMut<'_, T::Place> {
        let len = self.len();
        self.set_len(len + 1);
        AtMut::new(self.element(len))
    }
}

impl<T: Stored<Place: Erase>> List<T> {
    /// Takes the last element away, and empties its place: Solidity's `pop()`. `Panic(0x31)` if
    /// there is none.
    pub fn shrink(&mut self) {
        let Some(last) = self.len().checked_sub(1) else { revert_panic(PanicCode::Pop) };
        self.element(last).erase();
        self.set_len(last);
    }
}

impl<T: Stored<Place: Erase>> Erase for List<T> {
    fn erase(&mut self) {
        for index in 0..self.len() {
            self.element(index).erase();
        }
        self.set_len(0);
    }
}

impl<T: Simple + Stored<Place = Value<T>>> List<T> {
    /// An element; `Panic(0x32)` past the last.
    pub fn get(&self, index: u64) -> T {
        self.checked(index).get()
    }

    /// Writes an element; `Panic(0x32)` past the last.
    pub fn set(&mut self, index: u64, value: T) {
        self.checked(index).set(value);
    }

    /// Adds an element at the end.
    pub fn push(&mut self, value: T) {
        self.grow().set(value);
    }

    /// Takes the last element away; `None` if there is none.
    pub fn pop(&mut self) -> Option<T> {
        let last = self.len().checked_sub(1)?;
        let mut place = self.element(last);
        let value = place.get();
        place.erase();
        self.set_len(last);
        Some(value)
    }
}

impl<T: Stored<Place: Whole>> List<T> {
    /// All elements.
    pub fn to_vec(&self) -> Vec<<T::Place as Whole>::Value> {
        let first = keccak256_words(&[self.slot]);
        let len = self.len();
        let mut values = Vec::with_capacity(len as usize);
        for index in 0..len {
            values.push(element::<T>(&first, index).load());
        }
        values
    }
}

impl<T: Stored<Place: Whole + Erase>> Whole for List<T> {
    type Value = Vec<<T::Place as Whole>::Value>;

    fn load(&self) -> Self::Value {
        self.to_vec()
    }

    fn store(&mut self, values: &Self::Value) {
        for index in values.len() as u64..self.len() {
            self.element(index).erase();
        }
        self.set_len(values.len() as u64);
        let first = keccak256_words(&[self.slot]);
        for (index, value) in values.iter().enumerate() {
            element::<T>(&first, index as u64).store(value);
        }
    }
}

/// `T[N]`: the elements from the slot on.
pub struct Array<T, const N: usize> {
    slot: Word,
    of: PhantomData<T>,
}

impl<T: Stored, const N: usize> Stored for [T; N] {
    const SLOTS: u64 = match per_slot::<T>() {
        0 => N as u64 * T::SLOTS,
        per => (N as u64).div_ceil(per),
    };
    type Place = Array<T, N>;

    #[inline(always)]
    fn place(slot: Word, _offset: usize) -> Array<T, N> {
        Array { slot, of: PhantomData }
    }
}

impl<T: Stored, const N: usize> Array<T, N> {
    fn checked(&self, index: u64) -> T::Place {
        if index >= N as u64 {
            revert_panic(PanicCode::Index);
        }
        element::<T>(&self.slot, index)
    }

    /// How many elements there are.
    pub const fn len(&self) -> u64 {
        N as u64
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        N == 0
    }

    /// The place of an element, to be read; `Panic(0x32)` past the last.
    pub fn at(&self, index: u64) -> At<'_, T::Place> {
        At::new(self.checked(index))
    }

    /// The place of an element; `Panic(0x32)` past the last.
    pub fn at_mut(&mut self, index: u64) -> AtMut<'_, T::Place> {
        AtMut::new(self.checked(index))
    }
}

impl<T: Stored<Place: Whole>, const N: usize> Whole for Array<T, N> {
    type Value = [<T::Place as Whole>::Value; N];

    fn load(&self) -> Self::Value {
        core::array::from_fn(|index| self.checked(index as u64).load())
    }

    fn store(&mut self, values: &Self::Value) {
        for (index, value) in values.iter().enumerate() {
            self.checked(index as u64).store(value);
        }
    }
}

impl<T: Stored<Place: Erase>, const N: usize> Erase for Array<T, N> {
    fn erase(&mut self) {
        for index in 0..N as u64 {
            self.checked(index).erase();
        }
    }
}

impl<T: Simple + Stored<Place = Value<T>>, const N: usize> Array<T, N> {
    /// An element; `Panic(0x32)` past the last.
    pub fn get(&self, index: u64) -> T {
        self.checked(index).get()
    }

    /// Writes an element; `Panic(0x32)` past the last.
    pub fn set(&mut self, index: u64, value: T) {
        self.checked(index).set(value);
    }
}
