//! The types whose size is a number: `bytesN`, `uintN`, `intN`.

use core::fmt;

use super::values::word_type;
use super::{Name, Simple};
use crate::{I256, U256, Word};

/// `bytesN`: 1 to 32 bytes. (`bytes32` is [`Word`] too.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FixedBytes<const N: usize>(pub [u8; N]);

impl<const N: usize> Default for FixedBytes<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> From<[u8; N]> for FixedBytes<N> {
    fn from(bytes: [u8; N]) -> Self {
        Self(bytes)
    }
}

impl<const N: usize> Simple for FixedBytes<N> {
    const BYTES: usize = {
        assert!(N > 0 && N <= 32, "Solidity has bytes1 to bytes32");
        N
    };
    const LEFT: bool = true;

    #[inline]
    fn to_word(&self) -> Word {
        Word::left_aligned(&self.0)
    }

    #[inline]
    fn from_word(word: Word) -> Option<Self> {
        let (value, rest) = word.bytes().split_first_chunk()?;
        rest.iter().all(|byte| *byte == 0).then_some(Self(*value))
    }
}

word_type! { [const N: usize] FixedBytes<N>, Name::new("bytes").then_number(N) }

const fn checked_bits(bits: usize) -> usize {
    assert!(bits > 0 && bits <= 256 && bits.is_multiple_of(8), "8 to 256 bits, in whole bytes");
    bits
}

/// `uintN` of a size that Rust has no type for: `Uint<112>`, say.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uint<const BITS: usize>(U256);

impl<const BITS: usize> Uint<BITS> {
    const SPARE: u32 = 256 - checked_bits(BITS) as u32;
    /// 0.
    pub const ZERO: Self = Self(U256::ZERO);
    /// The largest value.
    pub const MAX: Self = Self(U256::MAX.shifted_right(Self::SPARE));

    /// The number, if it fits.
    #[inline]
    pub fn new(number: U256) -> Option<Self> {
        (number <= Self::MAX.0).then_some(Self(number))
    }

    /// The number without the bits that do not fit: Solidity's conversion.
    #[inline]
    pub fn truncated(number: U256) -> Self {
        Self(number & Self::MAX.0)
    }

    /// The number.
    #[inline(always)]
    pub const fn get(&self) -> U256 {
        self.0
    }
}

impl<const BITS: usize> From<Uint<BITS>> for U256 {
    fn from(number: Uint<BITS>) -> Self {
        number.0
    }
}

impl<const BITS: usize> Simple for Uint<BITS> {
    const BYTES: usize = checked_bits(BITS) / 8;

    #[inline]
    fn to_word(&self) -> Word {
        self.0.to_word()
    }

    #[inline]
    fn from_word(word: Word) -> Option<Self> {
        Self::new(U256::from_be_word(&word))
    }
}

word_type! { [const BITS: usize] Uint<BITS>, Name::new("uint").then_number(BITS) }

/// `intN` of a size that Rust has no type for: `Int<24>`, say.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Int<const BITS: usize>(I256);

impl<const BITS: usize> Int<BITS> {
    const SPARE: u32 = 256 - checked_bits(BITS) as u32;

    /// The number, if it fits.
    #[inline]
    pub fn new(number: I256) -> Option<Self> {
        let raised = number.to_bits().shifted_left(Self::SPARE);
        (I256::from_bits(raised) >> Self::SPARE == number).then_some(Self(number))
    }

    /// The number.
    #[inline(always)]
    pub const fn get(&self) -> I256 {
        self.0
    }
}

impl<const BITS: usize> From<Int<BITS>> for I256 {
    fn from(number: Int<BITS>) -> Self {
        number.0
    }
}

impl<const BITS: usize> Simple for Int<BITS> {
    const BYTES: usize = checked_bits(BITS) / 8;
    const SIGNED: bool = true;

    #[inline]
    fn to_word(&self) -> Word {
        self.0.to_word()
    }

    #[inline]
    fn from_word(word: Word) -> Option<Self> {
        Self::new(I256::from_be_word(&word))
    }
}

word_type! { [const BITS: usize] Int<BITS>, Name::new("int").then_number(BITS) }

macro_rules! shown_as_number {
    ($($type:ident)*) => {$(
        impl<const BITS: usize> fmt::Debug for $type<BITS> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl<const BITS: usize> fmt::Display for $type<BITS> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}

shown_as_number! { Uint Int }

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Abi;

    #[test]
    fn sized_numbers_hold_what_fits() {
        let max = U256::from(u128::MAX >> 16);
        assert_eq!(Uint::<112>::MAX.get(), max);
        assert_eq!(Uint::<112>::new(max + U256::ONE), None);
        assert_eq!(Uint::<112>::truncated(max + U256::from(8u8)).get(), U256::from(7u8));
        assert_eq!(Uint::<256>::MAX.get(), U256::MAX);
        assert_eq!(Uint::<112>::NAME.as_str(), "uint112");
        let low = Int::<24>::new(I256::from(-8_388_608i64)).unwrap();
        assert_eq!(Int::<24>::from_word(low.to_word()), Some(low));
        assert_eq!(Int::<24>::new(I256::from(-8_388_609i64)), None);
        assert_eq!(Int::<24>::new(I256::from(8_388_608i64)), None);
        assert_eq!(low.to_string(), "-8388608");
    }

    #[test]
    fn fixed_bytes_stand_at_the_beginning() {
        let value = FixedBytes([1, 2, 3, 4]);
        assert_eq!(value.to_word().bytes()[..5], [1, 2, 3, 4, 0]);
        assert_eq!(FixedBytes::<4>::from_word(value.to_word()), Some(value));
        assert_eq!(FixedBytes::<3>::from_word(value.to_word()), None);
        assert_eq!(FixedBytes::<20>::NAME.as_str(), "bytes20");
    }
}
