//! Reading encoded values.

use super::Abi;
use crate::sys::{self, number};
use crate::{Word, revert_empty};

/// Where encoded values stand.
pub trait Source {
    /// How many bytes there are.
    fn size(&self) -> usize;

    /// The 32 bytes at `at`, which lie inside.
    fn word(&self, at: usize) -> Word;

    /// Fills `to` with the bytes at `at`, which lie inside.
    fn copy(&self, at: usize, to: &mut [u8]);
}

/// What the caller sent.
#[derive(Clone, Copy)]
pub struct Calldata;

impl Source for Calldata {
    #[inline(always)]
    fn size(&self) -> usize {
        sys::number(number::CALLDATASIZE) as usize
    }

    #[inline(always)]
    fn word(&self, at: usize) -> Word {
        sys::word_at(number::CALLDATALOAD, at as u64)
    }

    #[inline(always)]
    fn copy(&self, at: usize, to: &mut [u8]) {
        sys::copy(number::CALLDATACOPY, to, at as u64);
    }
}

/// The constructor's arguments, later the contract's immutable values.
#[derive(Clone, Copy)]
pub struct Tail;

impl Source for Tail {
    #[inline(always)]
    fn size(&self) -> usize {
        sys::number(number::TAIL_SIZE) as usize
    }

    #[inline(always)]
    fn word(&self, at: usize) -> Word {
        let mut word = Word::ZERO;
        sys::copy(number::TAIL_COPY, word.bytes_mut(), at as u64);
        word
    }

    #[inline(always)]
    fn copy(&self, at: usize, to: &mut [u8]) {
        sys::copy(number::TAIL_COPY, to, at as u64);
    }
}

/// What the last call returned.
#[derive(Clone, Copy)]
pub struct ReturnData;

impl Source for ReturnData {
    #[inline(always)]
    fn size(&self) -> usize {
        sys::number(number::RETURNDATASIZE) as usize
    }

    #[inline(always)]
    fn word(&self, at: usize) -> Word {
        let mut word = Word::ZERO;
        sys::copy(number::RETURNDATACOPY, word.bytes_mut(), at as u64);
        word
    }

    #[inline(always)]
    fn copy(&self, at: usize, to: &mut [u8]) {
        sys::copy(number::RETURNDATACOPY, to, at as u64);
    }
}

impl Source for [u8] {
    #[inline(always)]
    fn size(&self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn word(&self, at: usize) -> Word {
        let mut word = Word::ZERO;
        self.copy(at, word.bytes_mut());
        word
    }

    #[inline(always)]
    fn copy(&self, at: usize, to: &mut [u8]) {
        match self.get(at..at + to.len()) {
            Some(bytes) => to.copy_from_slice(bytes),
            None => revert_empty(),
        }
    }
}

/// Takes values from a source, one after the other.
pub struct Reader<'a, S: ?Sized> {
    source: &'a S,
    size: usize,
    /// What offsets count from.
    frame: usize,
    at: usize,
}

impl<'a, S: Source + ?Sized> Reader<'a, S> {
    /// Reads from byte `at` of `source`; offsets count from there.
    #[inline(always)]
    pub fn new(source: &'a S, at: usize) -> Self {
        Self { source, size: source.size(), frame: at, at }
    }

    /// The next value.
    #[inline(always)]
    pub fn take<T: Abi>(&mut self) -> T {
        T::read(self)
    }

    /// The next word.
    #[inline(never)]
    pub fn word(&mut self) -> Word {
        let at = self.at;
        self.at += 32;
        if self.size < self.at {
            revert_empty();
        }
        self.source.word(at)
    }

    /// A length or an offset. Both are far below 2^32 in whatever can be paid for.
    #[inline]
    fn count(&mut self) -> usize {
        match self.word().to_u64() {
            Some(count) if count <= u32::MAX.into() => count as usize,
            _ => revert_empty(),
        }
    }

    /// A reader of the content of a dynamic value, and how many elements are in it.
    #[inline]
    pub(crate) fn content(&mut self) -> (Self, usize) {
        let at = self.frame + self.count();
        let mut content = Self { source: self.source, size: self.size, frame: at, at };
        let count = content.count();
        content.frame = content.at;
        (content, count)
    }

    /// A reader of the content of a dynamic value that has no count: a struct, a fixed array.
    #[inline]
    pub fn inner(&mut self) -> Self {
        let at = self.frame + self.count();
        Self { source: self.source, size: self.size, frame: at, at }
    }

    /// How many bytes are left.
    #[inline(always)]
    pub(crate) fn left(&self) -> usize {
        self.size.saturating_sub(self.at)
    }

    /// Fills `to` with the next bytes.
    #[inline]
    pub(crate) fn copy(&mut self, to: &mut [u8]) {
        if self.left() < to.len() {
            revert_empty();
        }
        self.source.copy(self.at, to);
        self.at += to.len();
    }
}
