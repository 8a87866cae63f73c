//! Parts of a whole tree for proofs and witnesses, and their compact bytes.
//!
//! The bytes are those of `docs/spec/witness.md`: node by node, a branch before its sides, with the
//! hash of what is not shown in its place.

use crate::{
    Hash, Key, PartialTree, Tree, Value,
    partial::{Branch, Part},
    proof::{BITS_MAX, BRANCH, LEAF, is_padded},
    tree::{Kind, Side},
};
use alloc::{boxed::Box, vec::Vec};
use alloy_primitives::B256;

/// First byte of a hash that stands for a subtree.
const HIDDEN: u8 = 2;

/// A key that a part of a tree has to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The key.
    pub key: Key,
    /// Whether its leaf may be removed: then the part shows what moves up in its place, too.
    pub removed: bool,
}

/// Bytes that are no part of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("byte {at} of the witness's tree is not what a tree has there")]
pub struct DecodeError {
    /// Where.
    pub at: usize,
}

impl<H: Hash> Tree<H> {
    /// Returns the part of the tree that shows the leaves at `wanted`, or that they are not there,
    /// and everything that changing them moves; `load` reads a leaf's value.
    ///
    /// # Panics
    /// If the keys do not ascend strictly.
    pub fn reveal<E>(
        &self,
        wanted: &[Wanted],
        load: &mut impl FnMut(&Key) -> Result<Value, E>,
    ) -> Result<PartialTree, E> {
        assert!(
            wanted.windows(2).all(|pair| pair[0].key < pair[1].key),
            "the keys to show are sorted, each once"
        );
        let root = match self.root.kind() {
            Kind::Empty => None,
            _ => Some(self.show(Side { node: self.root, hash: self.root_hash }, wanted, load)?.0),
        };
        Ok(PartialTree { root })
    }

    /// Shows a subtree, and says whether all its leaves may be removed.
    fn show<E>(
        &self,
        side: Side,
        wanted: &[Wanted],
        load: &mut impl FnMut(&Key) -> Result<Value, E>,
    ) -> Result<(Part, bool), E> {
        if wanted.is_empty() {
            return Ok((Part::Hidden(side.hash), false));
        }
        let Kind::Branch(index) = side.node.kind() else {
            let part = self.show_one(side, load)?;
            let gone = matches!(&part, Part::Leaf(key, _)
                if wanted.iter().any(|wanted| wanted.removed && wanted.key == *key));
            return Ok((part, gone));
        };
        let Some(sample) = self.any_key(side.node) else {
            return Ok((Part::Hidden(side.hash), false));
        };
        let split = self.branches[index].split;
        let below =
            |wanted: &Wanted| split < wanted.key.bits() && sample.common_bits(&wanted.key) >= split;
        let first = wanted.iter().position(below).unwrap_or(wanted.len());
        let count = wanted[first..].iter().take_while(|wanted| below(wanted)).count();
        let wanted = &wanted[first..first + count];
        let middle = wanted.partition_point(|wanted| !wanted.key.bit(split));
        let [left_side, right_side] = self.branches.both(index);
        let (mut left, left_gone) = self.show(left_side, &wanted[..middle], load)?;
        let (mut right, right_gone) = self.show(right_side, &wanted[middle..], load)?;
        // What takes the branch's place has to be shown, for its hash may change with its prefix.
        if left_gone && middle == wanted.len() {
            right = self.show_one(right_side, load)?;
        }
        if right_gone && middle == 0 {
            left = self.show_one(left_side, load)?;
        }
        let branch = Branch { sample, split, sides: [left, right] };
        Ok((Part::Branch(Box::new(branch)), left_gone && right_gone))
    }

    /// Shows a node and nothing below it.
    fn show_one<E>(
        &self,
        side: Side,
        load: &mut impl FnMut(&Key) -> Result<Value, E>,
    ) -> Result<Part, E> {
        let Some(sample) = self.any_key(side.node) else { return Ok(Part::Hidden(side.hash)) };
        let (split, hashes) = match side.node.kind() {
            Kind::Branch(index) => (self.branches[index].split, self.branches.hashes(index)),
            Kind::Folded(index) => {
                let fold = &self.folded[index as usize].fold;
                (fold.bits, fold.hashes)
            }
            Kind::Leaf(_) | Kind::Empty => return Ok(Part::Leaf(sample, load(&sample)?)),
        };
        let branch = Branch { sample, split, sides: hashes.map(Part::Hidden) };
        Ok(Part::Branch(Box::new(branch)))
    }
}

impl PartialTree {
    /// Returns the compact bytes; an empty tree has none.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Some(root) = &self.root {
            encode(root, 0, &mut bytes);
        }
        bytes
    }

    /// Reads what [`PartialTree::encode`] gives. Whatever the bytes are, it does not panic, and
    /// takes memory in proportion to their number.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let mut reader = Reader { bytes, at: 0 };
        let none = Key::raw(&[0]).ok_or(DecodeError { at: 0 })?;
        let root = reader.part(&none, 0)?;
        if reader.at < bytes.len() {
            return Err(DecodeError { at: reader.at });
        }
        Ok(Self { root: Some(root) })
    }
}

fn encode(part: &Part, from: u16, bytes: &mut Vec<u8>) {
    match part {
        Part::Hidden(hash) => {
            bytes.push(HIDDEN);
            bytes.extend_from_slice(hash.as_slice());
        }
        Part::Leaf(key, value) => {
            bytes.extend_from_slice(&[LEAF, key.as_slice().len() as u8]);
            bytes.extend_from_slice(key.as_slice());
            bytes.extend_from_slice(value.as_slice());
        }
        Part::Branch(branch) => {
            let bits = branch.split - from;
            bytes.push(BRANCH);
            bytes.extend_from_slice(&bits.to_be_bytes());
            let start = bytes.len();
            bytes.resize(start + usize::from(bits.div_ceil(8)), 0);
            branch.sample.pack_bits(from, branch.split, &mut bytes[start..]);
            for side in &branch.sides {
                encode(side, branch.split + 1, bytes);
            }
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.get(..count).ok_or(DecodeError { at: self.at })?;
        self.at += count;
        Ok(taken)
    }

    /// Reads a subtree that starts at bit `from`; the bits before it are those of `path`. Each
    /// branch takes a bit at least, so the depth is bounded by the length of a key.
    fn part(&mut self, path: &Key, from: u16) -> Result<Part, DecodeError> {
        let error = DecodeError { at: self.at };
        match self.take(1)? {
            [LEAF] => {
                let len = usize::from(self.take(1)?[0]);
                let key = Key::raw(self.take(len)?).ok_or(error)?;
                let in_place = from <= key.bits() && key.common_bits(path) >= from;
                let value = B256::from_slice(self.take(32)?);
                if in_place { Ok(Part::Leaf(key, value)) } else { Err(error) }
            }
            [BRANCH] => {
                let bits = self.take(2)?;
                let bits = u16::from_be_bytes([bits[0], bits[1]]);
                let split = from.checked_add(bits).filter(|split| *split < BITS_MAX);
                let split = split.ok_or(error)?;
                let prefix = self.take(usize::from(bits.div_ceil(8)))?;
                if !is_padded(prefix, bits) {
                    return Err(error);
                }
                let sample = path.with_bits(from, bits, prefix);
                let left = self.part(&sample, split + 1)?;
                let right_path = sample.with_bits(split, 1, &[0x80]);
                let right = self.part(&right_path, split + 1)?;
                Ok(Part::Branch(Box::new(Branch { sample, split, sides: [left, right] })))
            }
            [HIDDEN] => Ok(Part::Hidden(B256::from_slice(self.take(32)?))),
            _ => Err(error),
        }
    }
}
