//! Words and addresses: what crosses between a contract and the node.

use core::fmt;

/// 32 bytes, big endian when they are a number: a storage slot, a topic, a `bytes32`.
#[expect(clippy::derived_hash_with_manual_eq, reason = "both go by the same bytes")]
#[derive(Clone, Copy, Default, Hash)]
#[repr(C, align(8))]
pub struct Word(pub [u8; 32]);

const _: () = assert!(size_of::<Word>() == 32);

impl Word {
    /// 32 zero bytes.
    pub const ZERO: Self = Self([0; 32]);

    /// The word that is `number`.
    #[inline(always)]
    pub const fn from_u64(number: u64) -> Self {
        Self::from_parts([0, 0, 0, number])
    }

    /// The four 64-bit numbers that make up the word, the most significant first.
    #[inline(always)]
    pub(crate) const fn from_parts(parts: [u64; 4]) -> Self {
        let mut bytes = [0; 32];
        let mut i = 0;
        while i < 4 {
            let part = if parts[i] == 0 { [0; 8] } else { parts[i].to_be_bytes() };
            let mut j = 0;
            while j < 8 {
                bytes[8 * i + j] = part[j];
                j += 1;
            }
            i += 1;
        }
        Self(bytes)
    }

    /// Eight bytes as they lie in memory: for comparisons, where the order of bytes is no matter.
    #[inline(always)]
    const fn part(&self, n: usize) -> u64 {
        let b = &self.0;
        let i = 8 * n;
        let bytes = [b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7]];
        u64::from_ne_bytes(bytes)
    }

    /// The four 64-bit numbers that make up the word, the most significant first.
    #[inline(always)]
    pub(crate) const fn parts(&self) -> [u64; 4] {
        let [a, b, c, d] = [self.part(0), self.part(1), self.part(2), self.part(3)];
        [u64::from_be(a), u64::from_be(b), u64::from_be(c), u64::from_be(d)]
    }

    /// Whether all bytes are zero.
    #[inline(always)]
    pub const fn is_zero(&self) -> bool {
        self.part(0) | self.part(1) | self.part(2) | self.part(3) == 0
    }

    /// The number, if it is below 2^64.
    #[inline(always)]
    pub const fn to_u64(&self) -> Option<u64> {
        if self.part(0) | self.part(1) | self.part(2) == 0 {
            Some(u64::from_be(self.part(3)))
        } else {
            None
        }
    }

    /// The first four bytes: a function's selector in the first word of calldata.
    #[inline(always)]
    pub const fn selector(&self) -> u32 {
        u32::from_be_bytes([self.0[0], self.0[1], self.0[2], self.0[3]])
    }
}

impl PartialEq for Word {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        let differ = |n| self.part(n) ^ other.part(n);
        differ(0) | differ(1) | differ(2) | differ(3) == 0
    }
}

impl Eq for Word {}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
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
        Self(Word(word))
    }

    /// The address with this number: precompiles have small ones.
    pub const fn from_u64(number: u64) -> Self {
        Self(Word::from_u64(number))
    }

    /// The address in the last 20 bytes of `word`, if the others are zero.
    #[inline(always)]
    pub fn from_word(word: Word) -> Option<Self> {
        let [a, b, ..] = word.parts();
        (a == 0 && b >> 32 == 0).then_some(Self(word))
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
        &self.0.0[12..]
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
    fn a_word_and_its_parts_agree() {
        let word = Word::from_parts([1, 0x0203, 0, u64::MAX - 1]);
        assert_eq!(word.parts(), [1, 0x0203, 0, u64::MAX - 1]);
        assert_eq!((word.0[7], word.0[14], word.0[15], word.0[31]), (1, 2, 3, 0xfe));
        assert_eq!(word.to_u64(), None);
        assert_eq!(Word::from_u64(77).to_u64(), Some(77));
        assert!(Word::ZERO.is_zero() && !word.is_zero());
        assert!(word == word && word != Word::ZERO);
    }

    #[test]
    fn an_address_has_twelve_zero_bytes_before_it() {
        let address = Address::new([0xab; 20]);
        assert_eq!(Address::from_word(*address.word()), Some(address));
        let mut dirty = *address.word();
        dirty.0[11] = 1;
        assert_eq!(Address::from_word(dirty), None);
        dirty.0[11] = 0;
        dirty.0[0] = 1;
        assert_eq!(Address::from_word(dirty), None);
        assert_eq!(address.to_string(), format!("0x{}", "ab".repeat(20)));
    }
}
