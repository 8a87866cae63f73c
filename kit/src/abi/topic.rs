//! Values as topics of logs.

#[cfg(feature = "heap")]
use super::{Bytes, Simple, Text};
use crate::Word;
#[cfg(feature = "heap")]
use crate::sys;

/// A type that can be an indexed argument of an event.
pub trait Topic {
    /// The topic: the value, or the hash of what does not fit in a word.
    fn topic(&self) -> Word;
}

#[cfg(feature = "heap")]
impl Topic for Text {
    fn topic(&self) -> Word {
        sys::keccak256(&self.0)
    }
}

#[cfg(feature = "heap")]
impl Topic for Bytes {
    fn topic(&self) -> Word {
        sys::keccak256(&self.0)
    }
}

/// The elements' words, one after the other and without a length, are hashed.
#[cfg(feature = "heap")]
impl<T: Simple> Topic for alloc::vec::Vec<T> {
    fn topic(&self) -> Word {
        self.as_slice().topic()
    }
}

#[cfg(feature = "heap")]
impl<T: Simple, const N: usize> Topic for [T; N] {
    fn topic(&self) -> Word {
        self.as_slice().topic()
    }
}

#[cfg(feature = "heap")]
impl<T: Simple> Topic for [T] {
    fn topic(&self) -> Word {
        let mut words = sys::zeros::<Word>(self.len());
        for (word, value) in words.iter_mut().zip(self) {
            *word = value.to_word();
        }
        sys::keccak256(sys::flatten(&words))
    }
}
