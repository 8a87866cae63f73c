//! Storage, laid out as Solidity does.
//!
//! Start with [`Stored`]: what a field of a [`#[storage]`](crate::storage) struct may be declared
//! as, and which accessor stands in its place. `layout.rs` gives the fields their slots. Nothing is
//! cached: each `get` and `set` is a system call, so that a call to another contract in between
//! needs no thought.

mod layout;
#[cfg(feature = "heap")]
mod list;
mod map;
#[cfg(feature = "heap")]
mod octets;
mod value;

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

pub use layout::{Field, Layout, field, layout};
#[cfg(feature = "heap")]
pub use list::{Array, List};
pub(crate) use map::mapped;
pub use map::{Key, Map};
#[cfg(feature = "heap")]
pub use octets::{Octets, OctetsPlace};
pub use value::{Lasting, Medium, Temporary, Transient, Value};

use crate::Word;
use crate::abi::Simple;
use crate::event::SolEvent;

/// A type that a field of storage, a mapping's value or an array's element can be declared as.
pub trait Stored {
    /// How many bytes of a slot it takes, if it is packed.
    const BYTES: usize = 32;
    /// Whether it shares its slot with its neighbours, as Solidity's value types do.
    const PACKED: bool = false;
    /// How many slots it takes, if it is not packed.
    const SLOTS: u64 = 1;
    /// Whether it stands in transient storage, which has slots of its own.
    const TRANSIENT: bool = false;
    /// What reads and writes it.
    type Place;

    /// The accessor of what starts at `slot`, `offset` bytes before the slot's end.
    #[doc(hidden)]
    fn place(slot: Word, offset: usize) -> Self::Place;
}

/// A place that can be emptied: Solidity's `delete`.
pub trait Erase {
    /// Makes everything zero, but for mappings, which do not know their keys.
    fn erase(&mut self);
}

/// A place that is read and written as a whole: a value, a string, an array or a struct in memory
/// (`#[derive(Stored)]`).
pub trait Whole {
    /// What stands there.
    type Value;

    /// The value.
    fn load(&self) -> Self::Value;

    /// Writes the value.
    fn store(&mut self, value: &Self::Value);
}

/// A struct of storage: what [`#[storage]`](crate::storage) makes of a declaration.
pub trait State: Stored {
    /// Emits an event: Solidity's `emit`.
    #[inline(always)]
    fn emit<E: SolEvent>(&mut self, event: E) {
        event.log();
    }

    /// The value in a slot that no layout gives it, one of ERC-1967 say, to be read.
    #[inline(always)]
    fn at_slot<T: Simple>(&self, slot: Word) -> At<'_, Value<T>> {
        At::new(Value::new(slot, 0))
    }

    /// The value in a slot that no layout gives it, to be read and written.
    #[inline(always)]
    fn at_slot_mut<T: Simple>(&mut self, slot: Word) -> AtMut<'_, Value<T>> {
        AtMut::new(Value::new(slot, 0))
    }
}

/// A place inside of another one, to be read.
pub struct At<'a, P> {
    place: P,
    of: PhantomData<&'a ()>,
}

impl<P> At<'_, P> {
    #[inline(always)]
    pub(crate) fn new(place: P) -> Self {
        Self { place, of: PhantomData }
    }
}

impl<P> Deref for At<'_, P> {
    type Target = P;

    #[inline(always)]
    fn deref(&self) -> &P {
        &self.place
    }
}

/// A place inside of another one, to be read and written.
pub struct AtMut<'a, P> {
    place: P,
    of: PhantomData<&'a mut ()>,
}

impl<P> AtMut<'_, P> {
    #[inline(always)]
    pub(crate) fn new(place: P) -> Self {
        Self { place, of: PhantomData }
    }
}

impl<P> Deref for AtMut<'_, P> {
    type Target = P;

    #[inline(always)]
    fn deref(&self) -> &P {
        &self.place
    }
}

impl<P> DerefMut for AtMut<'_, P> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut P {
        &mut self.place
    }
}
