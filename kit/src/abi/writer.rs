//! Writing encoded values: into words, so that everything stays aligned.

use super::Abi;
#[cfg(feature = "heap")]
use super::Returns;
use crate::{PanicCode, Word, revert_panic};

/// Puts values into words, one after the other: heads first, contents of dynamic values after.
pub struct Writer<'a> {
    words: &'a mut [Word],
    /// The word that offsets count from.
    frame: usize,
    head: usize,
    tail: usize,
}

impl<'a> Writer<'a> {
    /// Writes `heads` values to `words`, from word `frame` on.
    #[inline(always)]
    pub fn new(words: &'a mut [Word], frame: usize, heads: usize) -> Self {
        Self { words, frame, head: frame, tail: frame + heads }
    }

    /// The next value.
    #[inline(always)]
    pub fn put<T: Abi>(&mut self, value: &T) -> &mut Self {
        value.write(self);
        self
    }

    /// The next head.
    #[doc(hidden)]
    #[inline(always)]
    pub fn word(&mut self, word: Word) {
        match self.words.get_mut(self.head) {
            Some(place) => *place = word,
            None => revert_panic(PanicCode::Index),
        }
        self.head += 1;
    }

    /// The head of a dynamic value of `count` elements, then its content by `write`, which gets
    /// the words that are its own: `heads` of them are for heads.
    pub(crate) fn content(
        &mut self,
        count: usize,
        heads: usize,
        write: impl FnOnce(&mut Writer<'_>),
    ) {
        self.word(Word::from_u64(32 * (self.tail - self.frame) as u64));
        let mut content = Writer::new(self.words, self.tail, 0);
        content.word(Word::from_u64(count as u64));
        let frame = content.head;
        let mut content = Writer::new(self.words, frame, heads);
        write(&mut content);
        self.tail = content.tail;
    }

    /// The head of a dynamic value without a count (a struct, a fixed array), then its content by
    /// `write`, which gets the words that are its own: `heads` of them are for heads.
    pub fn inner(&mut self, heads: usize, write: impl FnOnce(&mut Writer<'_>)) {
        self.word(Word::from_u64(32 * (self.tail - self.frame) as u64));
        let mut content = Writer::new(self.words, self.tail, heads);
        write(&mut content);
        self.tail = content.tail;
    }

    /// Bytes, padded with zeros to whole words, in place of heads.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(32) {
            self.word(Word::left_aligned(chunk));
        }
    }
}

/// Room for `N` words, more if `tail` says so: filled by `fill`, then used by `done`.
#[inline(always)]
pub(crate) fn with_words<const N: usize, R>(
    tail: usize,
    fill: impl FnOnce(&mut [Word]),
    done: impl FnOnce(&[Word]) -> R,
) -> R {
    if tail == 0 {
        let mut words = [Word::ZERO; N];
        fill(&mut words);
        return done(&words);
    }
    #[cfg(feature = "heap")]
    {
        let mut words = crate::sys::zeros::<Word>(N + tail);
        fill(&mut words);
        done(&words)
    }
    #[cfg(not(feature = "heap"))]
    revert_panic(PanicCode::Memory)
}

/// The values as bytes.
#[cfg(feature = "heap")]
pub fn encode<T: Returns>(values: &T) -> alloc::vec::Vec<u8> {
    let mut words = crate::sys::zeros::<Word>(T::HEADS + values.tail_words());
    values.write(&mut Writer::new(&mut words, 0, T::HEADS));
    crate::sys::flatten(&words).to_vec()
}
