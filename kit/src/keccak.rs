//! Keccak-256 at compile time: selectors, topics and storage slots are constants.

/// The offsets of the rotations, in the order in which pi visits the lanes from lane 1.
const ROTATIONS: [u32; 24] =
    [1, 3, 6, 10, 15, 21, 28, 36, 45, 55, 2, 14, 27, 41, 56, 8, 25, 43, 62, 18, 39, 61, 20, 44];
const LANES: [usize; 24] =
    [10, 7, 11, 17, 18, 3, 5, 16, 8, 21, 24, 4, 15, 23, 19, 13, 12, 2, 20, 14, 22, 9, 6, 1];
const ROUNDS: usize = 24;
const RATE: usize = 136;

/// A hash under way.
pub(crate) struct Keccak {
    lanes: [u64; 25],
    at: usize,
}

impl Keccak {
    /// A hash of nothing yet.
    pub(crate) const fn new() -> Self {
        Self { lanes: [0; 25], at: 0 }
    }

    /// Takes in `bytes`.
    pub(crate) const fn update(mut self, bytes: &[u8]) -> Self {
        let mut i = 0;
        while i < bytes.len() {
            self = self.byte(bytes[i]);
            self.at += 1;
            if self.at == RATE {
                self.lanes = permute(self.lanes);
                self.at = 0;
            }
            i += 1;
        }
        self
    }

    /// The hash of all that was taken in.
    pub(crate) const fn finish(mut self) -> [u8; 32] {
        self = self.byte(0x01);
        self.at = RATE - 1;
        self = self.byte(0x80);
        let lanes = permute(self.lanes);
        let mut out = [0; 32];
        let mut i = 0;
        while i < 32 {
            out[i] = (lanes[i / 8] >> (8 * (i % 8))) as u8;
            i += 1;
        }
        out
    }

    const fn byte(mut self, byte: u8) -> Self {
        self.lanes[self.at / 8] ^= (byte as u64) << (8 * (self.at % 8));
        self
    }
}

/// The Keccak-256 hash of `bytes`, for constants: at run time use [`crate::keccak256`].
pub const fn keccak256_const(bytes: &[u8]) -> [u8; 32] {
    Keccak::new().update(bytes).finish()
}

const fn permute(mut a: [u64; 25]) -> [u64; 25] {
    let mut lfsr = 1u8;
    let mut round = 0;
    while round < ROUNDS {
        a = mix_columns(a);
        a = rotate_and_move(a);
        a = mix_rows(a);
        // iota: the constant's bits come from a shift register, at positions 2^j - 1.
        let mut j = 0;
        while j < 7 {
            if lfsr & 1 == 1 {
                a[0] ^= 1 << ((1u32 << j) - 1);
            }
            lfsr = (lfsr << 1) ^ if lfsr & 0x80 != 0 { 0x71 } else { 0 };
            j += 1;
        }
        round += 1;
    }
    a
}

/// theta
const fn mix_columns(mut a: [u64; 25]) -> [u64; 25] {
    let mut column = [0; 5];
    let mut x = 0;
    while x < 5 {
        column[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
        x += 1;
    }
    let mut i = 0;
    while i < 25 {
        a[i] ^= column[(i + 4) % 5] ^ column[(i + 1) % 5].rotate_left(1);
        i += 1;
    }
    a
}

/// rho and pi
const fn rotate_and_move(mut a: [u64; 25]) -> [u64; 25] {
    let mut moved = a[1];
    let mut i = 0;
    while i < 24 {
        let next = a[LANES[i]];
        a[LANES[i]] = moved.rotate_left(ROTATIONS[i]);
        moved = next;
        i += 1;
    }
    a
}

/// chi
const fn mix_rows(a: [u64; 25]) -> [u64; 25] {
    let mut out = a;
    let mut i = 0;
    while i < 25 {
        let row = i - i % 5;
        out[i] = a[i] ^ (!a[row + (i + 1) % 5] & a[row + (i + 2) % 5]);
        i += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &[u8], hash: &str) {
        let hex: String = keccak256_const(input).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, hash);
    }

    #[test]
    fn known_hashes() {
        check(b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
        check(b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45");
        check(
            b"Transfer(address,address,uint256)",
            "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef",
        );
        // One block short of a byte, one block, and more than one.
        check(&[0; 135], "29e3704feeca7fb9ba229f0fa04d9b36449cf3ad6e1d85d9cfff3a10df9abc3e");
        check(&[0; 136], "3a5912a7c5faa06ee4fe906253e339467a9ce87d533c65be3c15cb231cdb25f9");
        check(&[0; 300], "347b017cb0632f78c0c51dfedd8e31b8d2c31e5bf282c1e8c370e45ef8b0f7f0");
    }

    #[test]
    fn parts_hash_as_their_whole() {
        let parts = Keccak::new().update(b"trans").update(b"fer(address,").update(b"uint256)");
        let whole = keccak256_const(b"transfer(address,uint256)");
        assert_eq!(parts.finish(), whole);
        assert_eq!(whole[..4], [0xa9, 0x05, 0x9c, 0xbb]);
    }
}
