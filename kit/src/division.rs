//! Long division of 256-bit numbers: Knuth's algorithm D over digits of 32 bits, for which the
//! machine has instructions. A bit at a time would cost thirty times as many.

/// A number's digits, the least significant first.
type Digits = [u32; 8];

const BASE: u64 = 1 << 32;

/// Quotient and remainder of numbers in limbs of 64 bits, the least significant first. The divisor
/// is not 0.
pub(crate) const fn divide(number: [u64; 4], divisor: [u64; 4]) -> ([u64; 4], [u64; 4]) {
    let (number, divisor) = (digits(number), digits(divisor));
    let (len, n) = (used(&number), used(&divisor));
    if n <= 1 {
        let (quotient, rest) = divide_by_digit(&number, divisor[0] as u64);
        return (limbs(&quotient), [rest, 0, 0, 0]);
    }
    // Shifted so that the divisor's highest bit is set: then a digit of the quotient that is guessed
    // from the highest digits alone is at most two too large.
    let shift = divisor[n - 1].leading_zeros();
    let (divisor, _) = shifted_left(&divisor, shift);
    let (low, high) = shifted_left(&number, shift);
    let mut rest = [0; 9];
    let mut i = 0;
    while i < 8 {
        rest[i] = low[i];
        i += 1;
    }
    rest[8] = high;
    let mut quotient = [0; 8];
    let mut place = (len + 1).saturating_sub(n);
    while place > 0 {
        place -= 1;
        let guess = guess(&rest, &divisor, n, place);
        quotient[place] = subtract(&mut rest, &divisor, n, place, guess);
    }
    (limbs(&quotient), limbs(&shifted_right(&rest, shift)))
}

/// A digit of the quotient, or one more than it.
const fn guess(rest: &[u32; 9], divisor: &Digits, n: usize, place: usize) -> u64 {
    let top = (rest[place + n] as u64) << 32 | rest[place + n - 1] as u64;
    let first = divisor[n - 1] as u64;
    let (mut guess, mut left) = (top / first, top % first);
    while left < BASE
        && (guess >= BASE
            || guess * divisor[n - 2] as u64 > (left << 32 | rest[place + n - 2] as u64))
    {
        guess -= 1;
        left += first;
    }
    guess
}

/// Takes `guess` times the divisor off, at its place, and puts it back once if that was too much.
/// Answers the digit.
const fn subtract(
    rest: &mut [u32; 9],
    divisor: &Digits,
    n: usize,
    place: usize,
    guess: u64,
) -> u32 {
    let mut borrow = 0;
    let mut i = 0;
    while i < n {
        let taken = guess * divisor[i] as u64 + borrow;
        let (digit, less) = rest[place + i].overflowing_sub(taken as u32);
        rest[place + i] = digit;
        borrow = (taken >> 32) + less as u64;
        i += 1;
    }
    let (digit, less) = rest[place + n].overflowing_sub(borrow as u32);
    rest[place + n] = digit;
    if !less {
        return guess as u32;
    }
    let mut carry = 0;
    let mut i = 0;
    while i < n {
        let sum = rest[place + i] as u64 + divisor[i] as u64 + carry;
        rest[place + i] = sum as u32;
        carry = sum >> 32;
        i += 1;
    }
    rest[place + n] = rest[place + n].wrapping_add(carry as u32);
    guess as u32 - 1
}

const fn divide_by_digit(number: &Digits, divisor: u64) -> (Digits, u64) {
    let mut quotient = [0; 8];
    let mut rest = 0;
    let mut i = 8;
    while i > 0 {
        i -= 1;
        let part = rest << 32 | number[i] as u64;
        quotient[i] = (part / divisor) as u32;
        rest = part % divisor;
    }
    (quotient, rest)
}

/// The digits moved by less than a digit, and what is moved out at the top.
const fn shifted_left(number: &Digits, by: u32) -> (Digits, u32) {
    let mut shifted = [0; 8];
    let mut carry = 0;
    let mut i = 0;
    while i < 8 {
        let part = (number[i] as u64) << by | carry;
        shifted[i] = part as u32;
        carry = part >> 32;
        i += 1;
    }
    (shifted, carry as u32)
}

/// The digits moved back. The highest one of nine is moved out: a remainder has no more than eight.
const fn shifted_right(number: &[u32; 9], by: u32) -> Digits {
    let mut shifted = [0; 8];
    let mut i = 0;
    while i < 8 {
        let part = (number[i + 1] as u64) << 32 | number[i] as u64;
        shifted[i] = (part >> by) as u32;
        i += 1;
    }
    shifted
}

/// How many digits there are up to the highest that is not 0.
const fn used(number: &Digits) -> usize {
    let mut len = 8;
    while len > 0 && number[len - 1] == 0 {
        len -= 1;
    }
    len
}

const fn digits(limbs: [u64; 4]) -> Digits {
    let mut digits = [0; 8];
    let mut i = 0;
    while i < 4 {
        digits[2 * i] = limbs[i] as u32;
        digits[2 * i + 1] = (limbs[i] >> 32) as u32;
        i += 1;
    }
    digits
}

const fn limbs(digits: &Digits) -> [u64; 4] {
    let mut limbs = [0; 4];
    let mut i = 0;
    while i < 4 {
        limbs[i] = (digits[2 * i + 1] as u64) << 32 | digits[2 * i] as u64;
        i += 1;
    }
    limbs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::U256;

    /// A bit at a time.
    fn naive(number: U256, divisor: U256) -> (U256, U256) {
        let (mut quotient, mut rest) = (U256::ZERO, U256::ZERO);
        for bit in (0..256).rev() {
            let carried = rest.bit(255);
            rest = rest << 1 | U256::from(number.bit(bit));
            if carried || rest >= divisor {
                rest = rest.wrapping_sub(divisor);
                quotient = quotient | U256::ONE << bit;
            }
        }
        (quotient, rest)
    }

    fn check(number: [u64; 4], divisor: [u64; 4]) {
        let (number, divisor) = (U256::from_limbs(number), U256::from_limbs(divisor));
        let expected = naive(number, divisor);
        let (quotient, rest) = divide(number.limbs(), divisor.limbs());
        let is = (U256::from_limbs(quotient), U256::from_limbs(rest));
        assert_eq!(is, expected, "{number} by {divisor}");
    }

    /// Limbs at their ends, where guesses are wrong and carries run through, and between.
    const LIMBS: [u64; 7] =
        [0, 1, 0x8000_0000, 0xffff_ffff, 1 << 63, u64::MAX - 0xffff_ffff, u64::MAX];

    #[test]
    fn edges_divide_as_a_bit_at_a_time() {
        let all = |n: usize| [0, 1, 2, 3].map(|i| LIMBS[n / 7usize.pow(i) % 7]);
        for n in 0..2401 {
            // Every number, each by some dozen divisors.
            for d in (1 + n % 199..2401).step_by(199) {
                check(all(n), all(d));
            }
        }
    }

    #[test]
    fn random_numbers_divide_as_a_bit_at_a_time() {
        let mut seed = 88_172_645_463_325_252u64;
        let mut next = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        for round in 0..20_000u32 {
            let number = [next(), next(), next(), next()];
            let mut divisor = [next(), next(), next(), next()];
            for limb in divisor.iter_mut().skip(1 + round as usize % 4) {
                *limb = 0;
            }
            divisor[0] >>= round % 64;
            divisor[0] |= 1;
            check(number, divisor);
        }
    }
}
