//! BLAKE3 of many short messages side by side, a message in each lane of the vector registers.
//!
//! The blake3 crate does this for whole blocks only, and a node's last block is not whole: its
//! length is part of what is compressed. Which registers there are is found out at run time.

use alloy_primitives::B256;
use fearless_simd::{Level, Simd, dispatch, prelude::*};

/// Lanes of the widest registers.
const LANES_MAX: usize = 16;
/// Messages from which on the lanes pay: fewer are hashed one by one.
const COUNT_MIN: usize = 3;
/// Bytes of the longest message.
pub const LEN_MAX: usize = 3 * BLOCK_LEN;
const BLOCK_LEN: usize = 64;
const WORDS: usize = 16;
/// Bytes of a last block up to which words are put in their lanes one by one.
const SHORT_LEN: usize = 8;
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
    let splat = |word: u32| S::u32s::simd_from(simd, word);
    for (messages, out) in messages.chunks(lanes).zip(out.chunks_mut(lanes)) {
        let mut state = IV.map(splat);
        let mut lens = [0; LANES_MAX];
        for (len, message) in lens.iter_mut().zip(messages) {
            *len = message.len() as u32;
        }
        let len_max = lens.iter().copied().max().unwrap_or_default() as usize;
        let lens = S::u32s::from_slice(simd, &lens[..lanes]);
        for start in (0..len_max.max(1)).step_by(BLOCK_LEN) {
            let words = match len_max - start {
                0..=SHORT_LEN => load_short::<S, M>(simd, messages, start),
                _ => load::<S, M>(simd, messages, start),
            };
            // What is left of each message, and of that in this block.
            let rest = lens.max(splat(start as u32)) - splat(start as u32);
            let is_last = rest.simd_le(splat(BLOCK_LEN as u32));
            let first = if start == 0 { CHUNK_START } else { 0 };
            let flags = is_last.select(splat(first | CHUNK_END | ROOT), splat(first));
            let next =
                compress::<S>(simd, &state, &words, [rest.min(splat(BLOCK_LEN as u32)), flags]);
            // Messages that have ended keep their hash.
            let ended = rest.simd_eq(splat(0));
            for (word, next) in state.iter_mut().zip(next) {
                *word = if start == 0 { next } else { ended.select(*word, next) };
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

/// The same of blocks that have a few bytes at most, as a branch's second one.
#[inline(always)]
fn load_short<S: Simd, M: Message>(simd: S, messages: &[M], start: usize) -> [S::u32s; WORDS] {
    let mut columns = [[0; LANES_MAX]; SHORT_LEN / 4];
    for (lane, message) in messages.iter().enumerate().take(LANES_MAX) {
        let (words, _) = message.bytes()[start..start + SHORT_LEN].as_chunks();
        for (column, word) in columns.iter_mut().zip(words) {
            column[lane] = u32::from_le_bytes(*word);
        }
    }
    let mut words = [S::u32s::simd_from(simd, 0); WORDS];
    for (word, column) in words.iter_mut().zip(&columns) {
        *word = S::u32s::from_slice(simd, &column[..S::u32s::LEN]);
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
    // Rounds by constants, so that each word's place is known when this is compiled.
    round::<S, 0>(&mut v, words);
    round::<S, 1>(&mut v, words);
    round::<S, 2>(&mut v, words);
    round::<S, 3>(&mut v, words);
    round::<S, 4>(&mut v, words);
    round::<S, 5>(&mut v, words);
    round::<S, 6>(&mut v, words);
    let mut next = *state;
    for (at, word) in next.iter_mut().enumerate() {
        *word = v[at] ^ v[at + 8];
    }
    next
}

#[inline(always)]
fn round<S: Simd, const ROUND: usize>(v: &mut [S::u32s; WORDS], words: &[S::u32s; WORDS]) {
    let word = |at: usize| words[SCHEDULE[ROUND][at]];
    mix::<S>(v, [0, 4, 8, 12], [word(0), word(1)]);
    mix::<S>(v, [1, 5, 9, 13], [word(2), word(3)]);
    mix::<S>(v, [2, 6, 10, 14], [word(4), word(5)]);
    mix::<S>(v, [3, 7, 11, 15], [word(6), word(7)]);
    mix::<S>(v, [0, 5, 10, 15], [word(8), word(9)]);
    mix::<S>(v, [1, 6, 11, 12], [word(10), word(11)]);
    mix::<S>(v, [2, 7, 8, 13], [word(12), word(13)]);
    mix::<S>(v, [3, 4, 9, 14], [word(14), word(15)]);
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
