//! Words seen as the bytes that they are.
#![allow(unsafe_code, reason = "a slice of words is viewed as a slice of bytes, without a copy")]

use crate::Word;

/// The bytes of `words`, one after the other.
#[inline(always)]
pub(crate) fn flatten(words: &[Word]) -> &[u8] {
    // SAFETY: `Word` is `repr(C)` over four `u64` and its size is 32 (checked in `word.rs`), so
    // the range is initialised bytes without padding; `u8` has no alignment; the borrow is kept.
    unsafe { core::slice::from_raw_parts(words.as_ptr().cast(), size_of_val(words)) }
}

/// The bytes of a word.
#[inline(always)]
pub(crate) fn bytes_of(word: &Word) -> &[u8; 32] {
    // SAFETY: as above.
    unsafe { &*core::ptr::from_ref(word).cast() }
}

/// The bytes of a word, to be changed.
#[inline(always)]
pub(crate) fn bytes_of_mut(word: &mut Word) -> &mut [u8; 32] {
    // SAFETY: as above; and all bytes are allowed in a word.
    unsafe { &mut *core::ptr::from_mut(word).cast() }
}
