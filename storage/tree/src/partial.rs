//! A part of a tree: some leaves, and of everything else the hashes.
//!
//! It is what proofs and witnesses are made of. What it shows can be read and changed, and its
//! root is that of the whole tree; what it does not show is an error, never a wrong answer.

use crate::{Hash, Key, Value, tree::hash_leaf};
use alloc::{boxed::Box, vec::Vec};
use alloy_primitives::B256;
use core::mem;

/// A tree of which only a part is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartialTree {
    pub(crate) root: Option<Part>,
}

/// A node and what is known below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// A subtree of which nothing but the hash is known.
    Hidden(B256),
    Leaf(Key, Value),
    Branch(Box<Branch>),
}

/// A node with two sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Branch {
    /// Any key below: its bits before `split` are those of all keys below, the others mean nothing.
    pub(crate) sample: Key,
    /// The bit at which the two sides part, counted from the start of the key.
    pub(crate) split: u16,
    pub(crate) sides: [Part; 2],
}

/// What was asked for lies in a part of the tree that is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the way to {key:?} leads into a part of the tree that is not shown")]
pub struct Hidden {
    /// The key that was looked for.
    pub key: Key,
}

/// What is left of a subtree after a removal.
enum Left {
    Same,
    Nothing,
}

impl PartialTree {
    /// Returns the root of the whole tree.
    pub fn root<H: Hash>(&self, hash: H) -> B256 {
        self.root.as_ref().map_or(B256::ZERO, |root| root.hash(hash, 0))
    }

    /// Returns a leaf's value, `None` if there is no such leaf.
    pub fn find(&self, key: &Key) -> Result<Option<Value>, Hidden> {
        let Some(mut part) = self.root.as_ref() else { return Ok(None) };
        loop {
            match part {
                Part::Hidden(_) => return Err(Hidden { key: *key }),
                Part::Leaf(own, value) => return Ok((own == key).then_some(*value)),
                Part::Branch(branch) => match branch.side_of(key) {
                    Some(side) => part = &branch.sides[side],
                    None => return Ok(None),
                },
            }
        }
    }

    /// Returns the keys that start with `prefix`, in order; all of them have to be shown.
    pub fn keys_from(&self, prefix: &[u8]) -> Result<Vec<Key>, Hidden> {
        let mut keys = Vec::new();
        let (Some(wanted), Some(mut part)) = (Key::raw(prefix), self.root.as_ref()) else {
            return Ok(keys);
        };
        while let Part::Branch(branch) = part
            && branch.split < wanted.bits()
        {
            match branch.side_of(&wanted) {
                Some(side) => part = &branch.sides[side],
                None => return Ok(keys),
            }
        }
        part.collect_keys(&wanted, &mut keys)?;
        keys.retain(|key| key.as_slice().starts_with(prefix));
        Ok(keys)
    }

    /// Sets a leaf, or removes it.
    pub fn update(&mut self, key: &Key, value: Option<Value>) -> Result<(), Hidden> {
        match (&mut self.root, value) {
            (None, None) => {}
            (None, Some(value)) => self.root = Some(Part::Leaf(*key, value)),
            (Some(root), Some(value)) => root.set(key, value)?,
            (Some(root), None) => {
                if let Left::Nothing = root.remove(key)? {
                    self.root = None;
                }
            }
        }
        Ok(())
    }
}

impl Branch {
    /// The side that `key` lies on, `None` if it leaves the tree above this branch's split.
    pub(crate) fn side_of(&self, key: &Key) -> Option<usize> {
        let below = self.split < key.bits() && self.sample.common_bits(key) >= self.split;
        below.then(|| usize::from(key.bit(self.split)))
    }
}

impl Part {
    /// The hash of the subtree, which starts at bit `from`.
    pub(crate) fn hash<H: Hash>(&self, hash: H, from: u16) -> B256 {
        match self {
            Self::Hidden(hash) => *hash,
            Self::Leaf(key, value) => hash_leaf(hash, key, value),
            Self::Branch(branch) => {
                let below = branch.split + 1;
                let [left, right] = [&branch.sides[0], &branch.sides[1]];
                let sides = (left.hash(hash, below), right.hash(hash, below));
                hash.hash(&crate::proof::branch_node(branch, from, sides))
            }
        }
    }

    fn collect_keys(&self, wanted: &Key, keys: &mut Vec<Key>) -> Result<(), Hidden> {
        match self {
            Self::Hidden(_) => Err(Hidden { key: *wanted }),
            Self::Leaf(key, _) => {
                keys.push(*key);
                Ok(())
            }
            Self::Branch(branch) => {
                branch.sides.iter().try_for_each(|side| side.collect_keys(wanted, keys))
            }
        }
    }

    fn set(&mut self, key: &Key, value: Value) -> Result<(), Hidden> {
        let split = match self {
            Self::Hidden(_) => return Err(Hidden { key: *key }),
            Self::Leaf(own, old) if own == key => {
                *old = value;
                return Ok(());
            }
            // A prefix of another key is no key of this tree.
            Self::Leaf(own, _) if own.common_bits(key) == own.bits() => {
                return Err(Hidden { key: *key });
            }
            Self::Leaf(own, _) => own.common_bits(key),
            Self::Branch(branch) => match branch.side_of(key) {
                Some(side) => return branch.sides[side].set(key, value),
                None => branch.sample.common_bits(key).min(branch.split),
            },
        };
        if split >= key.bits() {
            return Err(Hidden { key: *key });
        }
        let other = mem::replace(self, Self::Hidden(B256::ZERO));
        let own = Self::Leaf(*key, value);
        let sides = if key.bit(split) { [other, own] } else { [own, other] };
        *self = Self::Branch(Box::new(Branch { sample: *key, split, sides }));
        Ok(())
    }

    fn remove(&mut self, key: &Key) -> Result<Left, Hidden> {
        let branch = match self {
            Self::Hidden(_) => return Err(Hidden { key: *key }),
            Self::Leaf(own, _) if own == key => return Ok(Left::Nothing),
            Self::Leaf(..) => return Ok(Left::Same),
            Self::Branch(branch) => branch,
        };
        let Some(side) = branch.side_of(key) else { return Ok(Left::Same) };
        if let Left::Nothing = branch.sides[side].remove(key)? {
            // The other side takes the branch's place; a branch there gets a longer prefix.
            let other = &mut branch.sides[1 - side];
            if let Self::Hidden(_) = other {
                return Err(Hidden { key: *key });
            }
            *self = mem::replace(other, Self::Hidden(B256::ZERO));
        }
        Ok(Left::Same)
    }
}
