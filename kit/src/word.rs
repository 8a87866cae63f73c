//! Words and addresses: what crosses between a contract and the node.

use core::fmt;

use crate::U256;
use crate::sys::{bytes_of, bytes_of_mut};

/// 32 bytes, big endian when they are a number: a storage slot, a topic, a `bytes32`.
// Four times eight bytes as they lie in memory: compilers handle these, not 32 single ones, well.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Word([u64; 4]);

const _: () = assert!(size_of::<Word>() == 32);

impl Word {
    /// 32 zero bytes.
    pub const ZERO: Self = Self([0; 4]);

    /// The word with these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        let mut parts = [[0; 8]; 4];
        let mut i = 0;
        while i < 32 {
            parts[i / 8][i % 8] = bytes[i];
            i += 1;
        }
        let [a, b, c, d] = parts;
        let part = u64::from_ne_bytes;
        Self([part(a), part(b), part(c), part(d)])
    }

    /// The word that begins with these bytes, of which the first 32 count, and has zeros after.
    pub fn left_aligned(bytes: &[u8]) -> Self {
        let mut word = Self::ZERO;
        for (place, byte) in word.bytes_mut().iter_mut().zip(bytes) {
            *place = *byte;
        }
        word
    }

    /// The bytes.
    #[inline(always)]
    pub fn bytes(&self) -> &[u8; 32] {
        bytes_of(self)
    }

    /// The bytes, to be changed.
    #[inline(always)]
    pub fn bytes_mut(&mut self) -> &mut [u8; 32] {
        bytes_of_mut(self)
    }

    /// The word that is `number`.
    #[inline(always)]
    pub const fn from_u64(number: u64) -> Self {
        Self([0, 0, 0, number.to_be()])
    }

    /// The word of the number with these limbs, the least significant first.
    #[inline(always)]
    pub(crate) const fn from_limbs(limbs: [u64; 4]) -> Self {
        Self(turned(limbs))
    }

    /// The limbs of the number that the word is, the least significant first.
    #[inline(always)]
    pub(crate) const fn limbs(&self) -> [u64; 4] {
        turned(self.0)
    }

    /// Whether all bytes are zero.
    #[inline(always)]
    pub const fn is_zero(&self) -> bool {
        let [a, b, c, d] = self.0;
        a | b | c | d == 0
    }

    /// The number, if it is below 2^64.
    #[inline]
    pub const fn to_u64(&self) -> Option<u64> {
        let [a, b, c, d] = self.0;
        if a | b | c == 0 { Some(u64::from_be(d)) } else { None }
    }

    /// The first four bytes: a function's selector in the first word of calldata.
    #[inline(always)]
    pub const fn selector(&self) -> u32 {
        (u64::from_be(self.0[0]) >> 32) as u32
    }

    /// The last `bytes` bytes, with zeros before them.
    #[inline(always)]
    pub(crate) const fn low(self, bytes: usize) -> Self {
        Self::ZERO.with_low(&self, bytes)
    }

    /// This word with the last `bytes` bytes of `low`.
    #[inline(always)]
    pub(crate) const fn with_low(self, low: &Self, bytes: usize) -> Self {
        let mut out = self.0;
        let mut i = 0;
        while i < 4 {
            let end = 8 * (4 - i);
            // What is taken of this part: bytes at its end.
            let spare = (bytes + 8).saturating_sub(end);
            let taken = if spare > 8 { 8 } else { spare };
            let mask = match taken {
                0 => 0,
                8 => u64::MAX,
                _ => (u64::MAX >> (64 - 8 * taken as u32)).to_be(),
            };
            out[i] = self.0[i] & !mask | low.0[i] & mask;
            i += 1;
        }
        Self(out)
    }

    /// This number plus `more`, modulo 2^256.
    #[inline(always)]
    pub(crate) fn plus(self, more: u64) -> Self {
        if more == 0 {
            return self;
        }
        let [a, b, c, d] = self.0;
        match u64::from_be(d).checked_add(more) {
            Some(sum) => Self([a, b, c, sum.to_be()]),
            None => self.plus_many(more, 1),
        }
    }

    /// This number plus `count` times `step`, modulo 2^256.
    #[inline(never)]
    pub(crate) fn plus_many(self, count: u64, step: u64) -> Self {
        let more = U256::from(u128::from(count) * u128::from(step));
        U256::from_be_word(&self).wrapping_add(more).to_word()
    }

    /// Whether the first twelve bytes are zero, as in an address.
    #[inline(always)]
    const fn is_address(&self) -> bool {
        // The second part begins, in memory, with the last four of the twelve.
        self.0[0] == 0 && u64::from_le(self.0[1]) as u32 == 0
    }
}

/// From limbs to the parts of a word in memory, and back: the order of limbs is turned around, and
/// that of the bytes in each. With Zbb, which contracts are built with, that is an instruction a limb.
#[inline(always)]
const fn turned([a, b, c, d]: [u64; 4]) -> [u64; 4] {
    [d.to_be(), c.to_be(), b.to_be(), a.to_be()]
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(self.bytes(), f)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(self.bytes(), f)
    }
}

/// An account's address: the last 20 bytes of a word whose first 12 are zero.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Address(Word);

impl Address {
    /// The zero address.
    pub const ZERO: Self = Self(Word::ZERO);

    /// The address with these 20 bytes.
    pub const fn new(bytes: [u8; 20]) -> Self {
        let mut word = [0; 32];
        let mut i = 0;
        while i < 20 {
            word[12 + i] = bytes[i];
            i += 1;
        }
        Self(Word::new(word))
    }

    /// The address with this number: precompiles have small ones.
    pub const fn from_u64(number: u64) -> Self {
        Self(Word::from_u64(number))
    }

    /// The address in the last 20 bytes of `word`, if the others are zero.
    #[inline(always)]
    pub fn from_word(word: Word) -> Option<Self> {
        word.is_address().then_some(Self(word))
    }

    /// The address in the last 20 bytes of a word that the node wrote.
    #[inline(always)]
    pub(crate) const fn trusted(word: Word) -> Self {
        Self(word)
    }

    /// The address as a word.
    #[inline(always)]
    pub const fn word(&self) -> &Word {
        &self.0
    }

    /// The 20 bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes()[12..]
    }

    /// Whether it is the zero address.
    #[inline(always)]
    pub const fn is_zero(&self) -> bool {
        self.0.is_zero()
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(self.bytes(), f)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(self.bytes(), f)
    }
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("0x")?;
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_and_its_limbs_agree() {
        let word = Word::from_limbs([u64::MAX - 1, 0, 0x0203, 1]);
        assert_eq!(word.limbs(), [u64::MAX - 1, 0, 0x0203, 1]);
        assert_eq!(
            (word.bytes()[7], word.bytes()[14], word.bytes()[15], word.bytes()[31]),
            (1, 2, 3, 0xfe)
        );
        assert_eq!(word.to_u64(), None);
        assert_eq!(Word::from_u64(77).to_u64(), Some(77));
        assert!(Word::ZERO.is_zero() && !word.is_zero());
        assert!(word == word && word != Word::ZERO);
    }

    #[test]
    fn the_end_of_a_word_is_taken_by_bytes() {
        let word = Word::new(core::array::from_fn(|n| n as u8 + 1));
        for bytes in 0..=32 {
            let mut expected = [0xff; 32];
            expected[32 - bytes..].copy_from_slice(&word.bytes()[32 - bytes..]);
            assert_eq!(
                Word::new([0xff; 32]).with_low(&word, bytes),
                Word::new(expected),
                "{bytes}"
            );
        }
    }

    #[test]
    fn slots_are_counted_on() {
        let last = Word::from_limbs([u64::MAX, 7, 0, 0]);
        assert_eq!(last.plus(0), last);
        assert_eq!(last.plus(2).limbs(), [1, 8, 0, 0]);
        assert_eq!(Word::from_u64(5).plus(6), Word::from_u64(11));
        assert_eq!(Word::from_u64(5).plus_many(u64::MAX, 2).limbs(), [3, 2, 0, 0]);
        assert_eq!(Word::new([0xff; 32]).plus(1), Word::ZERO);
    }

    #[test]
    fn an_address_has_twelve_zero_bytes_before_it() {
        let address = Address::new([0xab; 20]);
        assert_eq!(Address::from_word(*address.word()), Some(address));
        let mut dirty = *address.word();
        dirty.bytes_mut()[11] = 1;
        assert_eq!(Address::from_word(dirty), None);
        dirty.bytes_mut()[11] = 0;
        dirty.bytes_mut()[0] = 1;
        assert_eq!(Address::from_word(dirty), None);
        assert_eq!(address.to_string(), format!("0x{}", "ab".repeat(20)));
    }
}
