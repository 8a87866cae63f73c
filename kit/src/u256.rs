//! 256-bit unsigned numbers, with Solidity's checked arithmetic.

use core::cmp::Ordering;
use core::fmt;
use core::ops::{
    Add, AddAssign, BitAnd, BitOr, BitXor, Div, DivAssign, Mul, MulAssign, Not, Rem, Shl, Shr, Sub,
    SubAssign,
};

use crate::sys::{self, number};
use crate::{PanicCode, Word, revert_panic};

/// A 256-bit unsigned number: four 64-bit limbs, the least significant first.
///
/// The operators `+ - * / %` revert as Solidity's do: `Panic(0x11)` on overflow, `Panic(0x12)` on
/// division by zero. The `wrapping_` and `checked_` forms do not.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct U256([u64; 4]);

impl U256 {
    /// 0.
    pub const ZERO: Self = Self([0; 4]);
    /// 1.
    pub const ONE: Self = Self([1, 0, 0, 0]);
    /// 2^256 - 1: Solidity's `type(uint256).max`.
    pub const MAX: Self = Self([u64::MAX; 4]);

    /// The number with these limbs, the least significant first.
    pub const fn from_limbs(limbs: [u64; 4]) -> Self {
        Self(limbs)
    }

    /// The limbs, the least significant first.
    pub const fn limbs(&self) -> [u64; 4] {
        self.0
    }

    /// The number that a big-endian word stands for.
    #[inline]
    pub const fn from_be_word(word: &Word) -> Self {
        Self(word.limbs())
    }

    /// The number as a big-endian word.
    #[inline]
    pub const fn to_word(&self) -> Word {
        Word::from_limbs(self.0)
    }

    /// Whether it is 0.
    #[inline(always)]
    pub const fn is_zero(&self) -> bool {
        self.0[0] | self.0[1] | self.0[2] | self.0[3] == 0
    }

    /// The number, if it is below 2^64.
    #[inline(always)]
    pub const fn to_u64(&self) -> Option<u64> {
        if self.0[1] | self.0[2] | self.0[3] == 0 { Some(self.0[0]) } else { None }
    }

    /// The sum modulo 2^256, and whether it wrapped.
    #[inline]
    pub const fn overflowing_add(self, other: Self) -> (Self, bool) {
        let mut sum = [0; 4];
        let mut carry = false;
        let mut i = 0;
        while i < 4 {
            let (part, first) = self.0[i].overflowing_add(other.0[i]);
            let (part, second) = part.overflowing_add(carry as u64);
            sum[i] = part;
            carry = first | second;
            i += 1;
        }
        (Self(sum), carry)
    }

    /// The difference modulo 2^256, and whether it wrapped.
    #[inline]
    pub const fn overflowing_sub(self, other: Self) -> (Self, bool) {
        let mut rest = [0; 4];
        let mut borrow = false;
        let mut i = 0;
        while i < 4 {
            let (part, first) = self.0[i].overflowing_sub(other.0[i]);
            let (part, second) = part.overflowing_sub(borrow as u64);
            rest[i] = part;
            borrow = first | second;
            i += 1;
        }
        (Self(rest), borrow)
    }

    /// The product modulo 2^256, and whether it wrapped.
    pub const fn overflowing_mul(self, other: Self) -> (Self, bool) {
        let mut product = [0u64; 8];
        let mut i = 0;
        while i < 4 {
            let mut carry = 0;
            let mut j = 0;
            while j < 4 {
                let step =
                    self.0[i] as u128 * other.0[j] as u128 + product[i + j] as u128 + carry as u128;
                product[i + j] = step as u64;
                carry = (step >> 64) as u64;
                j += 1;
            }
            product[i + 4] = carry;
            i += 1;
        }
        let [a, b, c, d, e, f, g, h] = product;
        (Self([a, b, c, d]), e | f | g | h != 0)
    }

    /// The quotient, if `divisor` is not 0.
    pub fn checked_div(self, divisor: Self) -> Option<Self> {
        self.divided(divisor, number::DIV, |number, divisor| number / divisor)
    }

    /// The remainder, if `divisor` is not 0.
    pub fn checked_rem(self, divisor: Self) -> Option<Self> {
        self.divided(divisor, number::MOD, |number, divisor| number % divisor)
    }

    /// By the machine's own division where that is enough, else by a system call, which costs a
    /// tenth of what a long division does.
    #[inline]
    fn divided(self, divisor: Self, number: u64, short: fn(u64, u64) -> u64) -> Option<Self> {
        if divisor.is_zero() {
            return None;
        }
        Some(match (self.to_u64(), divisor.to_u64()) {
            (Some(number), Some(divisor)) => short(number, divisor).into(),
            _ => arithmetic(number, [self, divisor]),
        })
    }

    /// The sum, which is not cut, modulo `modulus`: Solidity's `addmod`. `Panic(0x12)` if that is 0.
    pub fn add_mod(self, other: Self, modulus: Self) -> Self {
        modular(number::ADDMOD, [self, other, modulus])
    }

    /// The product, which is not cut, modulo `modulus`: Solidity's `mulmod`. `Panic(0x12)` if that
    /// is 0.
    pub fn mul_mod(self, other: Self, modulus: Self) -> Self {
        modular(number::MULMOD, [self, other, modulus])
    }

    /// The power, if it is below 2^256.
    pub fn checked_pow(self, exponent: u32) -> Option<Self> {
        let (mut power, mut square, mut rest) = (Self::ONE, self, exponent);
        loop {
            if rest & 1 == 1 {
                power = power.checked_mul(square)?;
            }
            rest >>= 1;
            if rest == 0 {
                return Some(power);
            }
            square = square.checked_mul(square)?;
        }
    }

    /// The power: Solidity's `**`. `Panic(0x11)` if it does not fit.
    pub fn pow(self, exponent: u32) -> Self {
        match self.checked_pow(exponent) {
            Some(power) => power,
            None => revert_panic(PanicCode::Overflow),
        }
    }

    /// The sum, if it is below 2^256.
    #[inline]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        let (sum, wrapped) = self.overflowing_add(other);
        if wrapped { None } else { Some(sum) }
    }

    /// The difference, if it is not negative.
    #[inline]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        let (rest, wrapped) = self.overflowing_sub(other);
        if wrapped { None } else { Some(rest) }
    }

    /// The product, if it is below 2^256.
    #[inline]
    pub const fn checked_mul(self, other: Self) -> Option<Self> {
        let (product, wrapped) = self.overflowing_mul(other);
        if wrapped { None } else { Some(product) }
    }

    /// The sum modulo 2^256: Solidity's `unchecked`.
    #[inline]
    pub const fn wrapping_add(self, other: Self) -> Self {
        self.overflowing_add(other).0
    }

    /// The difference modulo 2^256: Solidity's `unchecked`.
    #[inline]
    pub const fn wrapping_sub(self, other: Self) -> Self {
        self.overflowing_sub(other).0
    }

    /// The product modulo 2^256: Solidity's `unchecked`.
    #[inline]
    pub const fn wrapping_mul(self, other: Self) -> Self {
        self.overflowing_mul(other).0
    }

    /// How many bits the number needs; 0 needs none.
    pub const fn bits(&self) -> u32 {
        let mut i = 4;
        while i > 0 {
            i -= 1;
            if self.0[i] != 0 {
                return 64 * i as u32 + (64 - self.0[i].leading_zeros());
            }
        }
        0
    }

    /// Bit `n`, counted from the least significant; false from 256 on.
    pub const fn bit(&self, n: u32) -> bool {
        n < 256 && self.0[(n / 64) as usize] >> (n % 64) & 1 == 1
    }

    pub(crate) const fn shifted_left(self, by: u32) -> Self {
        let (limbs, bits) = ((by / 64) as usize, by % 64);
        let mut out = [0; 4];
        let mut i = limbs;
        while i < 4 {
            out[i] = self.0[i - limbs] << bits;
            if bits > 0 && i > limbs {
                out[i] |= self.0[i - limbs - 1] >> (64 - bits);
            }
            i += 1;
        }
        Self(out)
    }

    pub(crate) const fn shifted_right(self, by: u32) -> Self {
        let (limbs, bits) = ((by / 64) as usize, by % 64);
        let mut out = [0; 4];
        let mut i = limbs;
        while i < 4 {
            out[i - limbs] = self.0[i] >> bits;
            if bits > 0 && i < 3 {
                out[i - limbs] |= self.0[i + 1] << (64 - bits);
            }
            i += 1;
        }
        Self(out)
    }
}

/// What a system call of arithmetic makes of numbers.
#[inline(never)]
fn arithmetic<const N: usize>(number: u64, of: [U256; N]) -> U256 {
    let words = of.map(|number| number.to_word());
    U256::from_be_word(&sys::arithmetic(number, words.each_ref()))
}

fn modular(number: u64, of: [U256; 3]) -> U256 {
    if of[2].is_zero() {
        revert_panic(PanicCode::DivisionByZero);
    }
    arithmetic(number, of)
}

impl Ord for U256 {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        let [a, b, c, d] = self.0;
        let [e, f, g, h] = other.0;
        [d, c, b, a].cmp(&[h, g, f, e])
    }
}

impl PartialOrd for U256 {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }

    // A subtraction is shorter than a walk over limbs.
    #[inline]
    fn lt(&self, other: &Self) -> bool {
        self.overflowing_sub(*other).1
    }

    #[inline]
    fn ge(&self, other: &Self) -> bool {
        !self.overflowing_sub(*other).1
    }

    #[inline]
    fn gt(&self, other: &Self) -> bool {
        other.overflowing_sub(*self).1
    }

    #[inline]
    fn le(&self, other: &Self) -> bool {
        !other.overflowing_sub(*self).1
    }
}

macro_rules! from_small {
    ($($small:ty),*) => {$(
        impl From<$small> for U256 {
            #[inline(always)]
            fn from(number: $small) -> Self {
                Self([number.into(), 0, 0, 0])
            }
        }
    )*};
}

from_small!(bool, u8, u16, u32, u64);

impl From<u128> for U256 {
    #[inline(always)]
    fn from(number: u128) -> Self {
        Self([number as u64, (number >> 64) as u64, 0, 0])
    }
}

macro_rules! checked_operator {
    ($($operator:ident $method:ident $checked:ident $code:ident,)*) => {$(
        impl $operator for U256 {
            type Output = Self;

            #[inline]
            fn $method(self, other: Self) -> Self {
                match self.$checked(other) {
                    Some(result) => result,
                    None => revert_panic(PanicCode::$code),
                }
            }
        }
    )*};
}

checked_operator! {
    Add add checked_add Overflow,
    Sub sub checked_sub Overflow,
    Mul mul checked_mul Overflow,
    Div div checked_div DivisionByZero,
    Rem rem checked_rem DivisionByZero,
}

macro_rules! assigning_operator {
    ($($operator:ident $method:ident $plain:tt,)*) => {$(
        impl $operator for U256 {
            #[inline]
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
    DivAssign div_assign /,
}

macro_rules! bit_operator {
    ($($operator:ident $method:ident $plain:tt,)*) => {$(
        impl $operator for U256 {
            type Output = Self;

            #[inline]
            fn $method(self, other: Self) -> Self {
                let [a, b, c, d] = self.0;
                let [e, f, g, h] = other.0;
                Self([a $plain e, b $plain f, c $plain g, d $plain h])
            }
        }
    )*};
}

bit_operator! {
    BitAnd bitand &,
    BitOr bitor |,
    BitXor bitxor ^,
}

impl Not for U256 {
    type Output = Self;

    #[inline]
    fn not(self) -> Self {
        Self(self.0.map(|limb| !limb))
    }
}

impl Shl<u32> for U256 {
    type Output = Self;

    fn shl(self, by: u32) -> Self {
        self.shifted_left(by)
    }
}

impl Shr<u32> for U256 {
    type Output = Self;

    fn shr(self, by: u32) -> Self {
        self.shifted_right(by)
    }
}

impl fmt::Display for U256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 78 digits hold 2^256 - 1.
        let mut digits = [b'0'; 78];
        let mut at = digits.len();
        let mut rest = *self;
        while at == digits.len() || !rest.is_zero() {
            let ten = Self::from(10u8);
            at -= 1;
            digits[at] += (rest % ten).0[0] as u8;
            rest /= ten;
        }
        f.pad_integral(true, "", core::str::from_utf8(&digits[at..]).unwrap_or_default())
    }
}

impl fmt::Debug for U256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(number: u128) -> U256 {
        number.into()
    }

    const HIGH: U256 = U256::from_limbs([0, 0, 0, 1 << 63]);

    #[test]
    fn sums_and_differences_carry() {
        let carried = U256::from_limbs([0, 0, 1, 0]);
        assert_eq!(n(u128::MAX) + U256::ONE, carried);
        assert_eq!(carried - U256::ONE, n(u128::MAX));
        assert_eq!(U256::MAX.checked_add(U256::ONE), None);
        assert_eq!(U256::MAX.wrapping_add(U256::ONE), U256::ZERO);
        assert_eq!(U256::ZERO.checked_sub(U256::ONE), None);
        assert_eq!(U256::ZERO.wrapping_sub(U256::ONE), U256::MAX);
    }

    #[test]
    fn products_know_when_they_wrap() {
        assert_eq!(n(u64::MAX.into()) * n(u64::MAX.into()), n(u128::from(u64::MAX).pow(2)));
        assert_eq!(HIGH.checked_mul(n(2)), None);
        assert_eq!(U256::MAX.wrapping_mul(U256::MAX), U256::ONE);
        // (2^128 - 1)^2 = 2^256 - 1 - 2 (2^128 - 1)
        assert_eq!(n(u128::MAX) * n(u128::MAX), U256::MAX - (n(u128::MAX) << 1));
    }

    #[test]
    fn division_undoes_multiplication() {
        for (a, b) in [(n(7), n(3)), (n(1 << 100), n(12345)), (n(u128::MAX), n(u128::MAX - 1))] {
            let (quotient, rest) = (a / b, a % b);
            assert_eq!(quotient * b + rest, a);
            assert!(rest < b);
        }
        assert_eq!(U256::MAX / HIGH, U256::ONE);
        assert_eq!(U256::MAX % HIGH, HIGH - U256::ONE);
        assert_eq!(U256::MAX / U256::MAX, U256::ONE);
        assert_eq!(U256::MAX.checked_div(U256::ZERO), None);
        assert_eq!(U256::MAX.checked_rem(U256::ZERO), None);
    }

    #[test]
    fn order_goes_by_the_highest_limb() {
        assert!(HIGH > n(u128::MAX) && n(1) < n(2) && n(2) >= n(2) && n(2) <= n(2));
        assert_eq!(HIGH.cmp(&n(1)), Ordering::Greater);
    }

    #[test]
    fn shifts_cross_limbs() {
        assert_eq!(U256::ONE << 255, HIGH);
        assert_eq!(HIGH >> 255, U256::ONE);
        assert_eq!(n(3) << 63, n(3 << 63));
        assert_eq!(U256::MAX << 256, U256::ZERO);
        assert_eq!(U256::MAX >> 256, U256::ZERO);
        assert_eq!((U256::MAX >> 128) & n(0xff), n(0xff));
    }

    #[test]
    fn decimal_text() {
        assert_eq!(U256::ZERO.to_string(), "0");
        assert_eq!(n(1_234_567).to_string(), "1234567");
        assert_eq!(
            U256::MAX.to_string(),
            "115792089237316195423570985008687907853269984665640564039457584007913129639935"
        );
    }

    #[test]
    fn words_are_big_endian() {
        let number = U256::from_limbs([1, 2, 3, 4]);
        let word = number.to_word();
        assert_eq!((word.bytes()[7], word.bytes()[31]), (4, 1));
        assert_eq!(U256::from_be_word(&word), number);
    }
}
