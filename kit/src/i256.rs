//! 256-bit signed numbers, with Solidity's checked arithmetic.

use core::cmp::Ordering;
use core::fmt;
use core::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Rem, Shr, Sub, SubAssign};

use crate::{PanicCode, U256, Word, revert_panic};

/// A 256-bit signed number in two's complement.
///
/// The operators `+ - * / %` and the negation revert as Solidity's do: `Panic(0x11)` if the result
/// does not fit, `Panic(0x12)` on division by zero. Division goes towards zero.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct I256(U256);

const SIGN: U256 = U256::from_limbs([0, 0, 0, 1 << 63]);

impl I256 {
    /// 0.
    pub const ZERO: Self = Self(U256::ZERO);
    /// 1.
    pub const ONE: Self = Self(U256::ONE);
    /// -2^255.
    pub const MIN: Self = Self(SIGN);
    /// 2^255 - 1.
    pub const MAX: Self = Self(U256::from_limbs([u64::MAX, u64::MAX, u64::MAX, u64::MAX >> 1]));

    /// The number with these bits.
    #[inline(always)]
    pub const fn from_bits(bits: U256) -> Self {
        Self(bits)
    }

    /// The bits: the number modulo 2^256.
    #[inline(always)]
    pub const fn to_bits(&self) -> U256 {
        self.0
    }

    /// The number that a big-endian word stands for.
    #[inline]
    pub const fn from_be_word(word: &Word) -> Self {
        Self(U256::from_be_word(word))
    }

    /// The number as a big-endian word.
    #[inline]
    pub const fn to_word(&self) -> Word {
        self.0.to_word()
    }

    /// Whether it is below 0.
    #[inline]
    pub const fn is_negative(&self) -> bool {
        self.0.bit(255)
    }

    /// Whether it is 0.
    #[inline]
    pub const fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    /// The number without its sign.
    #[inline]
    pub const fn unsigned_abs(&self) -> U256 {
        if self.is_negative() { U256::ZERO.wrapping_sub(self.0) } else { self.0 }
    }

    /// The number, if it fits.
    pub const fn to_i128(&self) -> Option<i128> {
        let [a, b, c, d] = self.0.limbs();
        let low = (b as i128) << 64 | a as i128;
        let fill = if low < 0 { u64::MAX } else { 0 };
        if c == fill && d == fill { Some(low) } else { None }
    }

    /// The number with this size and sign, if it fits.
    const fn signed(size: U256, negative: bool) -> Option<Self> {
        let value = Self(if negative { U256::ZERO.wrapping_sub(size) } else { size });
        if size.is_zero() || value.is_negative() == negative { Some(value) } else { None }
    }

    /// The sum, if it fits.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        let sum = Self(self.0.wrapping_add(other.0));
        let same = self.is_negative() == other.is_negative();
        if same && sum.is_negative() != self.is_negative() { None } else { Some(sum) }
    }

    /// The difference, if it fits.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        let rest = Self(self.0.wrapping_sub(other.0));
        let same = self.is_negative() == other.is_negative();
        if !same && rest.is_negative() != self.is_negative() { None } else { Some(rest) }
    }

    /// The product, if it fits.
    pub const fn checked_mul(self, other: Self) -> Option<Self> {
        match self.unsigned_abs().checked_mul(other.unsigned_abs()) {
            Some(size) => Self::signed(size, self.is_negative() != other.is_negative()),
            None => None,
        }
    }

    /// The quotient, if it fits and `other` is not 0.
    pub fn checked_div(self, other: Self) -> Option<Self> {
        let size = self.unsigned_abs().checked_div(other.unsigned_abs())?;
        Self::signed(size, self.is_negative() != other.is_negative())
    }

    /// The remainder, which has the sign of this number, if `other` is not 0.
    pub fn checked_rem(self, other: Self) -> Option<Self> {
        let size = self.unsigned_abs().checked_rem(other.unsigned_abs())?;
        Self::signed(size, self.is_negative())
    }

    /// The negative, if it fits.
    pub const fn checked_neg(self) -> Option<Self> {
        Self::ZERO.checked_sub(self)
    }
}

macro_rules! from_small {
    ($($small:ty),*) => {$(
        impl From<$small> for I256 {
            #[inline]
            fn from(number: $small) -> Self {
                let wide = i128::from(number);
                let fill = if wide < 0 { u64::MAX } else { 0 };
                Self(U256::from_limbs([wide as u64, (wide >> 64) as u64, fill, fill]))
            }
        }
    )*};
}

from_small!(i8, i16, i32, i64, i128, u8, u16, u32, u64);

impl TryFrom<U256> for I256 {
    type Error = ();

    fn try_from(number: U256) -> Result<Self, ()> {
        Self::signed(number, false).ok_or(())
    }
}

impl TryFrom<I256> for U256 {
    type Error = ();

    fn try_from(number: I256) -> Result<Self, ()> {
        if number.is_negative() { Err(()) } else { Ok(number.0) }
    }
}

macro_rules! checked_operator {
    ($($operator:ident $method:ident $checked:ident,)*) => {$(
        impl $operator for I256 {
            type Output = Self;

            fn $method(self, other: Self) -> Self {
                match self.$checked(other) {
                    Some(result) => result,
                    None => revert_panic(PanicCode::Overflow),
                }
            }
        }
    )*};
}

checked_operator! {
    Add add checked_add,
    Sub sub checked_sub,
    Mul mul checked_mul,
}

macro_rules! dividing_operator {
    ($($operator:ident $method:ident $checked:ident,)*) => {$(
        impl $operator for I256 {
            type Output = Self;

            fn $method(self, other: Self) -> Self {
                match self.$checked(other) {
                    Some(result) => result,
                    None if other.is_zero() => revert_panic(PanicCode::DivisionByZero),
                    None => revert_panic(PanicCode::Overflow),
                }
            }
        }
    )*};
}

dividing_operator! {
    Div div checked_div,
    Rem rem checked_rem,
}

macro_rules! assigning_operator {
    ($($operator:ident $method:ident $plain:tt,)*) => {$(
        impl $operator for I256 {
            fn $method(&mut self, other: Self) {
                *self = *self $plain other;
            }
        }
    )*};
}

assigning_operator! {
    AddAssign add_assign +,
    SubAssign sub_assign -,
    MulAssign mul_assign *,
}

impl Neg for I256 {
    type Output = Self;

    fn neg(self) -> Self {
        Self::ZERO - self
    }
}

/// Keeps the sign.
impl Shr<u32> for I256 {
    type Output = Self;

    fn shr(self, by: u32) -> Self {
        let shifted = self.0 >> by;
        if self.is_negative() && by > 0 {
            return Self(shifted | (U256::MAX << (256 - by.min(256))));
        }
        Self(shifted)
    }
}

impl Ord for I256 {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0 ^ SIGN).cmp(&(other.0 ^ SIGN))
    }
}

impl PartialOrd for I256 {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for I256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_negative() {
            f.write_str("-")?;
        }
        fmt::Display::fmt(&self.unsigned_abs(), f)
    }
}

impl fmt::Debug for I256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(number: i128) -> I256 {
        number.into()
    }

    #[test]
    fn arithmetic_is_that_of_small_numbers() {
        let numbers = [0, 1, -1, 7, -7, 1 << 70, -(1 << 70), i64::MIN.into(), u64::MAX.into()];
        for (a, b) in numbers.into_iter().flat_map(|a| numbers.map(|b| (a, b))) {
            assert_eq!((n(a) + n(b), n(a) - n(b)), (n(a + b), n(a - b)), "{a} {b}");
            assert_eq!(n(a).cmp(&n(b)), a.cmp(&b), "{a} {b}");
            assert_eq!(n(a).to_string(), a.to_string());
            if let Some(product) = a.checked_mul(b) {
                assert_eq!(n(a) * n(b), n(product), "{a} {b}");
            }
            if b != 0 {
                assert_eq!((n(a) / n(b), n(a) % n(b)), (n(a / b), n(a % b)), "{a} {b}");
            }
            assert_eq!(n(a) >> 3, n(a >> 3));
            assert_eq!(n(a).to_i128(), Some(a));
        }
    }

    #[test]
    fn the_ends_are_checked() {
        assert_eq!(I256::MAX.checked_add(I256::ONE), None);
        assert_eq!(I256::MIN.checked_sub(I256::ONE), None);
        assert_eq!(I256::MIN.checked_neg(), None);
        assert_eq!(I256::MIN.checked_div(n(-1)), None);
        assert_eq!(I256::MIN.checked_mul(n(-1)), None);
        assert_eq!(I256::MIN.checked_mul(I256::ONE), Some(I256::MIN));
        assert_eq!(I256::ONE.checked_rem(I256::ZERO), None);
        assert_eq!(I256::MAX.to_i128(), None);
        assert!(I256::try_from(SIGN).is_err() && U256::try_from(n(-1)).is_err());
        assert_eq!(I256::MIN >> 255, n(-1));
    }
}
