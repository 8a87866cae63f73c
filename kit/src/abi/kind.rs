//! What the description of a contract says about a type.

use super::{Abi, Name};

/// A type: its name in signatures and, if it is made of one, the struct.
#[derive(Clone, Copy)]
pub struct Kind {
    /// The name in signatures.
    pub name: Name,
    /// The struct that it is, or is an array of.
    pub tuple: Option<&'static Tuple>,
}

/// A struct.
pub struct Tuple {
    /// Its name.
    pub name: &'static str,
    /// Its fields.
    pub fields: &'static [Parameter],
}

/// A field or an argument.
#[derive(Clone, Copy)]
pub struct Parameter {
    /// Its name; may be empty.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
}

impl Kind {
    /// What `T` is.
    pub const fn of<T: Abi>() -> Self {
        Self { name: T::NAME, tuple: T::TUPLE }
    }
}

impl Parameter {
    /// An argument of type `T`.
    pub const fn of<T: Abi>(name: &'static str) -> Self {
        Self { name, kind: Kind::of::<T>() }
    }
}
