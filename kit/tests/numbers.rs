//! 256-bit numbers beside ruint's: every operator, with Solidity's checks, at the ends of limbs and
//! at random.

use ruint::aliases::U256 as Naive;
use tandem_kit::host::{self, Ended};
use tandem_kit::{I256, PanicCode, U256, Word, abi};

/// Limbs at their ends, where carries run through, and between.
const LIMBS: [u64; 8] =
    [0, 1, 2, 0x8000_0000, 0xffff_ffff, 1 << 63, u64::MAX - 0xffff_ffff, u64::MAX];

/// Numbers without an end: from the limbs' ends at first, then at random and of any length.
fn numbers() -> impl Iterator<Item = U256> {
    let mut seed = 88_172_645_463_325_252u64;
    (0u32..).map(move |round| {
        let mut next = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        let mut limbs = [next(), next(), next(), next()];
        if round % 2 == 0 {
            limbs = limbs.map(|limb| LIMBS[limb as usize % LIMBS.len()]);
        }
        for limb in limbs.iter_mut().skip(1 + round as usize / 2 % 4) {
            *limb = 0;
        }
        U256::from_limbs(limbs)
    })
}

fn naive(number: U256) -> Naive {
    Naive::from_limbs(number.limbs())
}

fn same(is: Option<U256>, expected: Option<Naive>, what: &str, of: [U256; 3]) {
    assert_eq!(is.map(naive), expected, "{what} of {of:?}");
}

/// That `compute` gives the number, or ends with the panic.
fn checked(compute: impl FnOnce() -> U256, expected: Option<Naive>, code: PanicCode) {
    let mut is = None;
    let ended = host::run(|| is = Some(compute()));
    assert_eq!(is.map(naive), expected);
    if expected.is_none() {
        let panic = [&[0x4e, 0x48, 0x7b, 0x71], &abi::encode(&(code as u8))[..]].concat();
        assert_eq!(ended, Ended::Reverted(panic));
    }
}

#[test]
fn numbers_are_computed_as_by_ruint() {
    let mut all = numbers();
    for _ in 0..20_000 {
        let of = [all.next(), all.next(), all.next()].map(Option::unwrap);
        let [a, b, c] = of;
        let [x, y, z] = of.map(naive);
        same(a.checked_add(b), x.checked_add(y), "sum", of);
        same(a.checked_sub(b), x.checked_sub(y), "difference", of);
        same(a.checked_mul(b), x.checked_mul(y), "product", of);
        same(Some(a.wrapping_mul(b)), Some(x.wrapping_mul(y)), "product, cut", of);
        same(a.checked_div(b), x.checked_div(y), "quotient", of);
        same(a.checked_rem(b), x.checked_rem(y), "remainder", of);
        let exponent = c.limbs()[0] as u32 % 300;
        same(a.checked_pow(exponent), x.checked_pow(Naive::from(exponent)), "power", of);
        if !c.is_zero() {
            same(Some(a.add_mod(b, c)), Some(x.add_mod(y, z)), "addmod", of);
            same(Some(a.mul_mod(b, c)), Some(x.mul_mod(y, z)), "mulmod", of);
        }
        same(Some(a << exponent), Some(x << exponent as usize), "shift to the left", of);
        same(Some(a >> exponent), Some(x >> exponent as usize), "shift to the right", of);
        same(Some(!(a & b | c) ^ b), Some(!(x & y | z) ^ y), "bits", of);
        assert_eq!((a.cmp(&b), a < b, a <= b), (x.cmp(&y), x < y, x <= y), "{of:?}");
        assert_eq!((a.bits() as usize, a.to_string()), (x.bit_len(), x.to_string()));
        assert_eq!(a.to_word(), Word::new(x.to_be_bytes()));
    }
}

#[test]
fn operators_end_with_solidity_panics() {
    let mut all = numbers();
    for _ in 0..500 {
        let [a, b] = [all.next(), all.next()].map(Option::unwrap);
        let (x, y) = (naive(a), naive(b));
        checked(|| a + b, x.checked_add(y), PanicCode::Overflow);
        checked(|| a - b, x.checked_sub(y), PanicCode::Overflow);
        checked(|| a * b, x.checked_mul(y), PanicCode::Overflow);
        checked(|| a / b, x.checked_div(y), PanicCode::DivisionByZero);
        checked(|| a % b, x.checked_rem(y), PanicCode::DivisionByZero);
        checked(|| a.pow(77), x.checked_pow(Naive::from(77)), PanicCode::Overflow);
        checked(|| a.mul_mod(b, U256::ZERO), None, PanicCode::DivisionByZero);
        checked(|| a.add_mod(b, U256::ZERO), None, PanicCode::DivisionByZero);
    }
}

/// A signed number's size and sign.
fn split(number: I256) -> (Naive, bool) {
    (naive(number.unsigned_abs()), number.is_negative())
}

#[test]
fn signed_numbers_divide_towards_zero() {
    let mut all = numbers();
    for _ in 0..5_000 {
        let [a, b] = [all.next(), all.next()].map(|bits| I256::from_bits(bits.unwrap()));
        let ((x, minus_x), (y, minus_y)) = (split(a), split(b));
        let Some(size) = x.checked_div(y) else {
            assert_eq!((a.checked_div(b), a.checked_rem(b)), (None, None));
            continue;
        };
        match a.checked_div(b) {
            Some(quotient) => {
                let negative = minus_x != minus_y && !size.is_zero();
                assert_eq!(split(quotient), (size, negative), "{a} / {b}");
                assert_eq!(quotient * b + a % b, a);
            }
            None => assert_eq!((a, b), (I256::MIN, -I256::ONE)),
        }
        let rest = x % y;
        let expected = (rest, minus_x && !rest.is_zero());
        assert_eq!(a.checked_rem(b).map(split), Some(expected), "{a} % {b}");
    }
}
