//! The branches of a tree, in arrays by what is looked at together: following a way takes shapes,
//! four on a cache line, and hashing takes one line of hashes for each branch.

use crate::tree::{NONE, Node, Side, place};
use alloc::vec::Vec;
use alloy_primitives::B256;
use core::{
    array,
    ops::{Index, IndexMut},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// What is below the left side is to be hashed anew.
pub(crate) const LEFT: u8 = 1;
/// What is below the right side is to be hashed anew.
pub(crate) const RIGHT: u8 = 2;
/// The subtree is on disk as it was when it was changed last, see `Tree::take_folds`.
pub(crate) const SAVED: u8 = 4;

/// Branches by their numbers.
#[derive(Debug, Clone)]
pub(crate) struct Branches {
    shapes: Vec<Shape>,
    hashes: Vec<Hashes>,
    /// Leaves below.
    pub(crate) counts: Vec<u32>,
    pub(crate) free: Vec<u32>,
}

/// A branch without its hashes.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) sides: [Node; 2],
    /// When something below was changed last.
    pub(crate) epoch: u32,
    /// The bit at which the two sides part, counted from the start of the key.
    pub(crate) split: u16,
    pub(crate) marks: u8,
}

/// The hashes of a branch's two sides. Two threads may set those of one branch, a side each.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Hashes([AtomicU64; 8]);

/// Where a hash goes: a side of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(u32);

impl Place {
    /// The root's.
    pub(crate) const ROOT: Self = Self(NONE);

    pub(crate) const fn new(branch: u32, side: u32) -> Self {
        Self(branch << 1 | side)
    }

    /// The branch and the side, unless it is the root's.
    pub(crate) fn branch(self) -> Option<(u32, usize)> {
        (self != Self::ROOT).then_some((self.0 >> 1, (self.0 & 1) as usize))
    }
}

impl Clone for Hashes {
    fn clone(&self) -> Self {
        Self(array::from_fn(|word| AtomicU64::new(self.0[word].load(Relaxed))))
    }
}

impl Branches {
    pub(crate) const fn new() -> Self {
        Self { shapes: Vec::new(), hashes: Vec::new(), counts: Vec::new(), free: Vec::new() }
    }

    /// Takes a branch in and returns its number.
    pub(crate) fn add(&mut self, shape: Shape, hashes: &[B256; 2], count: u32) -> u32 {
        let index = place(&mut self.shapes, &mut self.free, shape);
        if index as usize == self.hashes.len() {
            self.hashes.push(Hashes::default());
            self.counts.push(count);
        }
        self.counts[index as usize] = count;
        self.set_hashes(index, hashes);
        index
    }

    pub(crate) fn hashes(&self, index: u32) -> [B256; 2] {
        let words = &self.hashes[index as usize].0;
        let side = |side: usize| {
            let bytes: [_; 4] =
                array::from_fn(|word| words[4 * side + word].load(Relaxed).to_ne_bytes());
            B256::from_slice(bytes.as_flattened())
        };
        [side(0), side(1)]
    }

    pub(crate) fn both(&self, index: u32) -> [Side; 2] {
        let ([left, right], [left_hash, right_hash]) = (self[index].sides, self.hashes(index));
        [Side { node: left, hash: left_hash }, Side { node: right, hash: right_hash }]
    }

    /// Sets one side's hash.
    pub(crate) fn set_hash(&self, index: u32, side: usize, hash: &B256) {
        let (words, _) = hash.0.as_chunks();
        for (own, word) in self.hashes[index as usize].0[4 * side..].iter().zip(words) {
            own.store(u64::from_ne_bytes(*word), Relaxed);
        }
    }

    pub(crate) fn set_hashes(&self, index: u32, [left, right]: &[B256; 2]) {
        self.set_hash(index, 0, left);
        self.set_hash(index, 1, right);
    }

    /// Reads a little of what a branch takes, so that it is on its way.
    pub(crate) fn touch(&self, index: u32) -> u64 {
        self.hashes[index as usize].0[0].load(Relaxed) ^ u64::from(self[index].split)
    }
}

impl Index<u32> for Branches {
    type Output = Shape;

    fn index(&self, index: u32) -> &Shape {
        &self.shapes[index as usize]
    }
}

impl IndexMut<u32> for Branches {
    fn index_mut(&mut self, index: u32) -> &mut Shape {
        &mut self.shapes[index as usize]
    }
}
