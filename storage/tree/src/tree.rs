//! The compressed binary radix tree: an arena of branches and leaves, rehashed along dirty paths.
//!
//! Nodes are numbers into two vectors, so a tree is a few allocations and no chain of boxes. A
//! branch knows the bit at which its two sides part, not its prefix: the bits are those of any key
//! below it. A leaf keeps its key and its hash; values live in the leaf table on disk. Recursion
//! is bounded by the bits of a key, 528.

use crate::{Hash, Key};
use alloc::{vec, vec::Vec};
use alloy_primitives::B256;
use core::mem;

/// The 32 bytes that a leaf holds.
pub type Value = B256;

/// One change of a tree: a leaf's new value, or `None` to remove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update {
    /// The leaf's key.
    pub key: Key,
    /// The value to set; a state's write of 32 zero bytes is `None`.
    pub value: Option<Value>,
}

/// A tree in memory, with the hash of every node.
#[derive(Debug, Clone)]
pub struct Tree<H> {
    pub(crate) root: Node,
    pub(crate) branches: Vec<Branch>,
    pub(crate) leaves: Vec<Leaf>,
    free_branches: Vec<u32>,
    free_leaves: Vec<u32>,
    hash: H,
}

#[derive(Debug, Clone)]
pub(crate) struct Branch {
    hash: B256,
    pub(crate) left: Node,
    pub(crate) right: Node,
    /// The bit at which the two sides part, counted from the start of the key.
    pub(crate) split: u16,
}

#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    hash: B256,
    pub(crate) key: Key,
}

/// An index into the branches, or, with the highest bit set, into the leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node(u32);

const EMPTY: Node = Node(u32::MAX);
const LEAF_BIT: u32 = 1 << 31;

pub(crate) enum Kind {
    Empty,
    Leaf(u32),
    Branch(u32),
}

impl Node {
    pub(crate) const fn kind(self) -> Kind {
        if self.0 == EMPTY.0 {
            Kind::Empty
        } else if self.0 & LEAF_BIT != 0 {
            Kind::Leaf(self.0 & !LEAF_BIT)
        } else {
            Kind::Branch(self.0)
        }
    }
}

impl<H: Hash + Default> Default for Tree<H> {
    fn default() -> Self {
        Self::new(H::default())
    }
}

impl<H: Hash> Tree<H> {
    /// Returns an empty tree.
    pub const fn new(hash: H) -> Self {
        Self {
            root: EMPTY,
            branches: Vec::new(),
            leaves: Vec::new(),
            free_branches: Vec::new(),
            free_leaves: Vec::new(),
            hash,
        }
    }

    /// Returns the root, 32 zero bytes if there are no leaves.
    pub fn root(&self) -> B256 {
        self.hash_of(self.root)
    }

    /// Returns how many leaves there are.
    pub fn leaf_count(&self) -> usize {
        self.leaves.len() - self.free_leaves.len()
    }

    /// Makes the changes and returns the new root.
    ///
    /// # Panics
    /// If the keys do not ascend strictly.
    pub fn apply(&mut self, updates: &[Update]) -> B256 {
        assert!(
            updates.windows(2).all(|pair| pair[0].key < pair[1].key),
            "updates are sorted by key, each key once"
        );
        if let Some(first) = updates.first() {
            let sample = self.sample(self.root, &first.key);
            self.root = self.update(self.root, 0, updates, sample);
        }
        self.root()
    }

    /// Returns the keys that start with `prefix`, in order.
    pub fn keys_from(&self, prefix: &[u8]) -> Leaves<'_, H> {
        let none = Leaves { tree: self, stack: Vec::new() };
        let Some(wanted) = Key::raw(prefix) else { return none };
        let mut node = self.root;
        while let Kind::Branch(index) = node.kind() {
            let branch = &self.branches[index as usize];
            if branch.split >= wanted.bits() {
                break;
            }
            node = if wanted.bit(branch.split) { branch.right } else { branch.left };
        }
        match self.any_key(node) {
            Some(key) if key.as_slice().starts_with(prefix) => {
                Leaves { tree: self, stack: vec![node] }
            }
            _ => none,
        }
    }

    /// Changes the subtree at `node`, which starts at bit `from`; `sample` is the leaf that the
    /// first update's bits lead to.
    fn update(&mut self, node: Node, from: u16, updates: &[Update], sample: u32) -> Node {
        if updates.is_empty() {
            return node;
        }
        match node.kind() {
            Kind::Empty => self.insert_all(from, updates),
            Kind::Leaf(index) => self.update_leaf(index, from, updates),
            Kind::Branch(index) => {
                let split = self.branches[index as usize].split;
                let key = &self.leaves[sample as usize].key;
                let first = key.common_bits(&updates[0].key);
                let last = key.common_bits(&updates[updates.len() - 1].key);
                // Sorted keys: whoever leaves the subtree's prefix first is at one of the ends.
                let shared = first.min(last);
                if shared < split {
                    return self.part(node, from, updates, (shared, sample));
                }
                self.update_sides(index, from, updates, sample)
            }
        }
    }

    fn update_sides(&mut self, index: u32, from: u16, updates: &[Update], sample: u32) -> Node {
        let Branch { mut left, mut right, split, .. } = self.branches[index as usize];
        let (to_left, to_right) = partition(updates, split);
        // The sample lies on the first update's side; the other side needs one of its own.
        let right_sample = match to_right.first() {
            Some(first) if !to_left.is_empty() => self.sample(right, &first.key),
            _ => sample,
        };
        left = self.update(left, split + 1, to_left, sample);
        right = self.update(right, split + 1, to_right, right_sample);
        if left == EMPTY || right == EMPTY {
            self.free_branches.push(index);
            let remaining = if left == EMPTY { right } else { left };
            self.rehash(remaining, from);
            return remaining;
        }
        let branch = &mut self.branches[index as usize];
        (branch.left, branch.right) = (left, right);
        // The updates share the branch's prefix, so any of their keys has its bits.
        self.hash_branch(index, from, &updates[0].key);
        Node(index)
    }

    /// Some update leaves the subtree's prefix at bit `shared`: a branch may have to go there.
    fn part(
        &mut self,
        node: Node,
        from: u16,
        updates: &[Update],
        (shared, sample): (u16, u32),
    ) -> Node {
        let key = self.leaves[sample as usize].key;
        let (zeros, ones) = partition(updates, shared);
        let (inside, outside) = if key.bit(shared) { (ones, zeros) } else { (zeros, ones) };
        let other = self.insert_all(shared + 1, outside);
        let inside_sample = inside.first().map_or(sample, |first| self.sample(node, &first.key));
        if other == EMPTY {
            return self.update(node, from, inside, inside_sample);
        }
        let same = self.update(node, shared + 1, inside, inside_sample);
        if same == EMPTY {
            self.rehash(other, from);
            return other;
        }
        if same == node {
            // It may have kept its hash, but it starts further down than before.
            self.rehash(same, shared + 1);
        }
        let (left, right) = if key.bit(shared) { (other, same) } else { (same, other) };
        self.new_branch(from, shared, (left, right), &key)
    }

    fn update_leaf(&mut self, index: u32, from: u16, updates: &[Update]) -> Node {
        let key = self.leaves[index as usize].key;
        let own = updates.binary_search_by(|update| update.key.cmp(&key));
        let stays = match own.map(|at| updates[at].value) {
            Ok(Some(value)) => {
                self.leaves[index as usize].hash = hash_leaf(self.hash, &key, &value);
                true
            }
            Ok(None) => {
                self.free_leaves.push(index);
                false
            }
            Err(_) => true,
        };
        let (before, after) = match own {
            Ok(at) => (&updates[..at], &updates[at + 1..]),
            Err(at) => updates.split_at(at),
        };
        let mut leaves = self.new_leaves(before);
        if stays {
            leaves.push(index);
        }
        leaves.extend(self.new_leaves(after));
        self.build(from, &leaves)
    }

    fn insert_all(&mut self, from: u16, updates: &[Update]) -> Node {
        let leaves = self.new_leaves(updates);
        self.build(from, &leaves)
    }

    fn new_leaves(&mut self, updates: &[Update]) -> Vec<u32> {
        let mut indexes = Vec::new();
        for update in updates {
            let Some(value) = update.value else { continue };
            let leaf = Leaf { hash: hash_leaf(self.hash, &update.key, &value), key: update.key };
            indexes.push(place(&mut self.leaves, &mut self.free_leaves, leaf));
        }
        indexes
    }

    /// Makes a subtree of sorted leaves.
    fn build(&mut self, from: u16, leaves: &[u32]) -> Node {
        let (first, last) = match leaves {
            [] => return EMPTY,
            [only] => return Node(only | LEAF_BIT),
            [first, .., last] => (*first, *last),
        };
        let key = self.leaves[first as usize].key;
        let last_key = &self.leaves[last as usize].key;
        let split = key.common_bits(last_key);
        assert!(split < key.bits().min(last_key.bits()), "no key is a prefix of another");
        let middle = leaves.partition_point(|leaf| !self.leaves[*leaf as usize].key.bit(split));
        let left = self.build(split + 1, &leaves[..middle]);
        let right = self.build(split + 1, &leaves[middle..]);
        self.new_branch(from, split, (left, right), &key)
    }

    fn new_branch(
        &mut self,
        from: u16,
        split: u16,
        (left, right): (Node, Node),
        key: &Key,
    ) -> Node {
        let branch = Branch { hash: B256::ZERO, left, right, split };
        let index = place(&mut self.branches, &mut self.free_branches, branch);
        self.hash_branch(index, from, key);
        Node(index)
    }

    /// Renews the hash of a subtree that now starts at bit `from`. A leaf's does not depend on it.
    fn rehash(&mut self, node: Node, from: u16) {
        if let (Kind::Branch(index), Some(key)) = (node.kind(), self.any_key(node)) {
            self.hash_branch(index, from, &key);
        }
    }

    fn hash_branch(&mut self, index: u32, from: u16, key: &Key) {
        let branch = &self.branches[index as usize];
        let mut input = [0; 1 + 2 + crate::KEY_LEN_MAX + 64];
        let bits = branch.split - from;
        let prefix_end = 3 + usize::from(bits.div_ceil(8));
        input[0] = 1;
        input[1..3].copy_from_slice(&bits.to_be_bytes());
        key.pack_bits(from, branch.split, &mut input[3..prefix_end]);
        input[prefix_end..prefix_end + 32].copy_from_slice(self.hash_of(branch.left).as_slice());
        input[prefix_end + 32..prefix_end + 64]
            .copy_from_slice(self.hash_of(branch.right).as_slice());
        self.branches[index as usize].hash = self.hash.hash(&input[..prefix_end + 64]);
    }

    pub(crate) fn hash_of(&self, node: Node) -> B256 {
        match node.kind() {
            Kind::Empty => B256::ZERO,
            Kind::Leaf(index) => self.leaves[index as usize].hash,
            Kind::Branch(index) => self.branches[index as usize].hash,
        }
    }

    /// Returns the leaf below `node` that the bits of `key` lead to, 0 if the tree is empty.
    fn sample(&self, mut node: Node, key: &Key) -> u32 {
        loop {
            match node.kind() {
                Kind::Empty => return 0,
                Kind::Leaf(index) => return index,
                Kind::Branch(index) => {
                    let branch = &self.branches[index as usize];
                    // A key that ends before the split lies elsewhere: any leaf tells so.
                    let right = branch.split < key.bits() && key.bit(branch.split);
                    node = if right { branch.right } else { branch.left };
                }
            }
        }
    }

    pub(crate) fn any_key(&self, mut node: Node) -> Option<Key> {
        loop {
            match node.kind() {
                Kind::Empty => return None,
                Kind::Leaf(index) => return Some(self.leaves[index as usize].key),
                Kind::Branch(index) => node = self.branches[index as usize].left,
            }
        }
    }
}

/// The keys below a node, in order.
#[derive(Debug)]
pub struct Leaves<'a, H> {
    tree: &'a Tree<H>,
    stack: Vec<Node>,
}

impl<H> Iterator for Leaves<'_, H> {
    type Item = Key;

    fn next(&mut self) -> Option<Key> {
        loop {
            match self.stack.pop()?.kind() {
                Kind::Empty => {}
                Kind::Leaf(index) => return Some(self.tree.leaves[index as usize].key),
                Kind::Branch(index) => {
                    let branch = &self.tree.branches[index as usize];
                    self.stack.extend([branch.right, branch.left]);
                }
            }
        }
    }
}

fn place<T>(all: &mut Vec<T>, free: &mut Vec<u32>, item: T) -> u32 {
    if let Some(index) = free.pop() {
        let _ = mem::replace(&mut all[index as usize], item);
        return index;
    }
    let index = u32::try_from(all.len()).ok().filter(|index| *index < LEAF_BIT - 1);
    all.push(item);
    index.expect("a tree in memory has fewer than 2^31 - 1 leaves")
}

fn partition(updates: &[Update], bit: u16) -> (&[Update], &[Update]) {
    let middle = updates.partition_point(|update| !update.key.bit(bit));
    updates.split_at(middle)
}

pub(crate) fn hash_leaf<H: Hash>(hash: H, key: &Key, value: &Value) -> B256 {
    let mut input = [0; 1 + crate::KEY_LEN_MAX + 32];
    let key_end = 1 + key.as_slice().len();
    input[1..key_end].copy_from_slice(key.as_slice());
    input[key_end..key_end + 32].copy_from_slice(value.as_slice());
    hash.hash(&input[..key_end + 32])
}
