//! BLAKE3 of many short messages side by side, a message in each lane of the vector registers.
//!
//! The blake3 crate does this for whole blocks only, and a node's last block is not whole: its
//! length is part of what is compressed. Which registers there are is found out at run time.

use alloy_primitives::B256;
use fearless_simd::{Level, Simd, dispatch, prelude::*};

/// Lanes of the widest registers.
const LANES_MAX: usize = 16;
/// Messages from which on the lanes pay: fewer are hashed one by one.
const COUNT_MIN: usize = 4;
/// Bytes of the longest message.
pub const LEN_MAX: usize = 3 * BLOCK_LEN;
const BLOCK_LEN: usize = 64;
const WORDS: usize = 16;
const IV: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];
/// Flags of the compression: the first and the last block of a chunk, and the last chunk.
const CHUNK_START: u32 = 1;
const CHUNK_END: u32 = 2;
const ROOT: u32 = 8;
/// Which message words the rounds mix in.
const SCHEDULE: [[usize; WORDS]; 7] = schedule();

/// A message: its bytes with zeros after them, and their number.
#[expect(clippy::len_without_is_empty, reason = "no message is empty")]
pub trait Message {
    /// Returns the bytes; those from [`Message::len`] on are zero.
    fn bytes(&self) -> &[u8; LEN_MAX];

    /// Returns how many bytes the message has, 1 at least.
    fn len(&self) -> usize;
}

/// Hashes each message into its place in `out`; `false`, and nothing done, if lanes are of no use.
pub fn hash_all<M: Message>(messages: &[M], out: &mut [B256]) -> bool {
    let level = Level::new();
    if messages.len() < COUNT_MIN || level.is_fallback() {
        return false;
    }
    dispatch!(level, simd => hash_lanes(simd, messages, out));
    true
}

const fn schedule() -> [[usize; WORDS]; 7] {
    const PERMUTATION: [usize; WORDS] = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
    let mut schedule = [[0; WORDS]; 7];
    let mut at = 0;
    while at < 7 * WORDS {
        let (round, word) = (at / WORDS, at % WORDS);
        schedule[round][word] =
            if round == 0 { word } else { schedule[round - 1][PERMUTATION[word]] };
        at += 1;
    }
    schedule
}

#[inline(always)]
fn hash_lanes<S: Simd, M: Message>(simd: S, messages: &[M], out: &mut [B256]) {
    let lanes = S::u32s::LEN;
    for (messages, out) in messages.chunks(lanes).zip(out.chunks_mut(lanes)) {
        let mut state = IV.map(|word| S::u32s::simd_from(simd, word));
        let blocks = messages.iter().map(|message| message.len().div_ceil(BLOCK_LEN)).max();
        for block in 0..blocks.unwrap_or(1) {
            let start = block * BLOCK_LEN;
            let words = load::<S, M>(simd, messages, start);
            let (mut lens, mut flags) = ([0; LANES_MAX], [0; LANES_MAX]);
            for ((message, len), flags) in messages.iter().zip(&mut lens).zip(&mut flags) {
                *len = message.len().saturating_sub(start).min(BLOCK_LEN) as u32;
                *flags = if block == 0 { CHUNK_START } else { 0 };
                if message.len() <= start + BLOCK_LEN {
                    *flags |= CHUNK_END | ROOT;
                }
            }
            let lens = S::u32s::from_slice(simd, &lens[..lanes]);
            let flags = S::u32s::from_slice(simd, &flags[..lanes]);
            let next = compress::<S>(simd, &state, &words, [lens, flags]);
            // Messages that have ended keep their hash.
            let ended = lens.simd_eq(S::u32s::simd_from(simd, 0));
            for (word, next) in state.iter_mut().zip(next) {
                *word = if block == 0 { next } else { ended.select(*word, next) };
            }
        }
        store::<S>(&state, out);
    }
}

/// One block of each message: a register holds the same word of all of them.
#[inline(always)]
fn load<S: Simd, M: Message>(simd: S, messages: &[M], start: usize) -> [S::u32s; WORDS] {
    let lanes = S::u32s::LEN;
    let mut words = [S::u32s::simd_from(simd, 0); WORDS];
    for (part, rows) in words.chunks_exact_mut(lanes).enumerate() {
        let from = start + part * lanes * 4;
        for (row, message) in rows.iter_mut().zip(messages) {
            *row = S::u8s::from_slice(simd, &message.bytes()[from..from + lanes * 4]).bitcast();
        }
        transpose::<S>(rows);
    }
    words
}

#[inline(always)]
fn store<S: Simd>(state: &[S::u32s; 8], out: &mut [B256]) {
    let lanes = S::u32s::LEN;
    let mut words = [state[0]; WORDS];
    words[..8].copy_from_slice(state);
    for (part, rows) in words.chunks_exact_mut(lanes).enumerate().take(8_usize.div_ceil(lanes)) {
        transpose::<S>(rows);
        for (hash, row) in out.iter_mut().zip(rows) {
            let own = hash.0[part * lanes.min(8) * 4..].chunks_exact_mut(4);
            for (bytes, word) in own.zip(row.as_slice().iter().take(8)) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
        }
    }
}

/// Turns rows into columns, as many rows as a register has lanes: zips the halves, again and again.
#[inline(always)]
fn transpose<S: Simd>(rows: &mut [S::u32s]) {
    let mut zipped = [rows[0]; LANES_MAX];
    for _ in 0..rows.len().ilog2() {
        let (low, high) = rows.split_at(rows.len() / 2);
        for ((low, high), pair) in low.iter().zip(high).zip(zipped.chunks_exact_mut(2)) {
            (pair[0], pair[1]) = low.interleave(*high);
        }
        rows.copy_from_slice(&zipped[..rows.len()]);
    }
}

/// The compression function of BLAKE3 with a counter of zero.
#[inline(always)]
fn compress<S: Simd>(
    simd: S,
    state: &[S::u32s; 8],
    words: &[S::u32s; WORDS],
    [lens, flags]: [S::u32s; 2],
) -> [S::u32s; 8] {
    let mut v = [S::u32s::simd_from(simd, 0); WORDS];
    v[..8].copy_from_slice(state);
    for (word, iv) in v[8..12].iter_mut().zip(IV) {
        *word = S::u32s::simd_from(simd, iv);
    }
    (v[14], v[15]) = (lens, flags);
    for round in &SCHEDULE {
        mix::<S>(&mut v, [0, 4, 8, 12], [words[round[0]], words[round[1]]]);
        mix::<S>(&mut v, [1, 5, 9, 13], [words[round[2]], words[round[3]]]);
        mix::<S>(&mut v, [2, 6, 10, 14], [words[round[4]], words[round[5]]]);
        mix::<S>(&mut v, [3, 7, 11, 15], [words[round[6]], words[round[7]]]);
        mix::<S>(&mut v, [0, 5, 10, 15], [words[round[8]], words[round[9]]]);
        mix::<S>(&mut v, [1, 6, 11, 12], [words[round[10]], words[round[11]]]);
        mix::<S>(&mut v, [2, 7, 8, 13], [words[round[12]], words[round[13]]]);
        mix::<S>(&mut v, [3, 4, 9, 14], [words[round[14]], words[round[15]]]);
    }
    let mut next = *state;
    for (at, word) in next.iter_mut().enumerate() {
        *word = v[at] ^ v[at + 8];
    }
    next
}

#[inline(always)]
fn mix<S: Simd>(v: &mut [S::u32s; WORDS], [a, b, c, d]: [usize; 4], [x, y]: [S::u32s; 2]) {
    v[a] = v[a] + v[b] + x;
    v[d] = rotate::<S>(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = rotate::<S>(v[b] ^ v[c], 12);
    v[a] = v[a] + v[b] + y;
    v[d] = rotate::<S>(v[d] ^ v[a], 8);
    v[c] += v[d];
    v[b] = rotate::<S>(v[b] ^ v[c], 7);
}

#[inline(always)]
fn rotate<S: Simd>(word: S::u32s, bits: u32) -> S::u32s {
    (word >> bits) | (word << (32 - bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every length next to every other one, at each width that this machine has.
    #[test]
    fn lanes_hash_what_blake3_does() {
        let messages: Vec<_> = (0..300).map(|index| message(1 + index * 7 % 192, index)).collect();
        #[allow(unused_mut, reason = "other machines have one level")]
        let mut levels = vec![Level::new()];
        #[cfg(target_arch = "x86_64")]
        {
            let best = Level::new();
            levels.extend(best.as_avx2().map(|simd| simd.level()));
            levels.extend(best.as_sse4_2().map(|simd| simd.level()));
            levels.extend(best.as_sse2().map(|simd| simd.level()));
        }
        for level in levels {
            for count in (1..40).chain([messages.len()]) {
                let mut out = vec![B256::ZERO; count];
                dispatch!(level, simd => hash_lanes(simd, &messages[..count], &mut out));
                for (message, hash) in messages.iter().zip(&out) {
                    let expected = *blake3::hash(&message.0[..message.1]).as_bytes();
                    assert_eq!(hash.0, expected, "{level:?}, {} bytes", message.len());
                }
            }
        }
    }

    struct Bytes([u8; LEN_MAX], usize);

    impl Message for Bytes {
        fn bytes(&self) -> &[u8; LEN_MAX] {
            &self.0
        }

        fn len(&self) -> usize {
            self.1
        }
    }

    fn message(len: usize, seed: usize) -> Bytes {
        let mut bytes = [0; LEN_MAX];
        for (at, byte) in bytes[..len].iter_mut().enumerate() {
            *byte = (at * 31 + seed * 17) as u8;
        }
        Bytes(bytes, len)
    }
}
