//! The compressed binary radix tree: an arena of branches and leaves, rehashed along dirty paths.
//!
//! Nodes are numbers into arrays, so a tree is a few allocations and no chain of boxes. A branch
//! keeps the hashes of its sides, so that an update looks at nothing beside its way, and the bit at
//! which the sides part, not its prefix: the bits are those of any key below it. A leaf keeps its
//! key; values live in the leaf table on disk. What is not needed may be folded into its hash
//! ([`Tree::fold`]). Recursion is bounded by the bits of a key, 528.
//!
//! An update that only sets values of leaves that are there is hashed straight away. Any other one
//! changes the tree's shape first and marks the ways to what it has changed; see `plan`.

use crate::{
    Hash, Key,
    branches::{Branches, LEFT, RIGHT, Shape},
    fold::{FOLD_LEAVES_MAX, Folded},
    plan::Guide,
};
use alloc::vec::Vec;
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
    pub(crate) root_hash: B256,
    pub(crate) branches: Branches,
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) folded: Vec<Folded>,
    pub(crate) free_leaves: Vec<u32>,
    pub(crate) free_folded: Vec<u32>,
    /// Which period changes are made in, see [`Tree::next_epoch`].
    pub(crate) epoch: u32,
    /// Leaves that a fold has at most.
    pub(crate) fold_size: u32,
    pub(crate) hash: H,
}

#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    pub(crate) key: Key,
    /// The update whose value is to be hashed, or [`NONE`].
    pub(crate) pending: u32,
}

/// An index into the branches, the leaves or the folded subtrees: the two highest bits tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node(u32);

/// No number of anything.
pub(crate) const NONE: u32 = u32::MAX;
pub(crate) const EMPTY: Node = Node(NONE);
const LEAF_BIT: u32 = 1 << 31;
const FOLDED_BIT: u32 = 1 << 30;
const INDEX_MAX: u32 = FOLDED_BIT - 2;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Empty,
    Leaf(u32),
    Branch(u32),
    Folded(u32),
}

impl Node {
    pub(crate) const fn kind(self) -> Kind {
        match (self.0 & LEAF_BIT, self.0 & FOLDED_BIT) {
            (0, 0) => Kind::Branch(self.0),
            (0, _) => Kind::Folded(self.0 & !FOLDED_BIT),
            (_, 0) => Kind::Leaf(self.0 & !LEAF_BIT),
            _ => Kind::Empty,
        }
    }

    pub(crate) const fn leaf(index: u32) -> Self {
        Self(index | LEAF_BIT)
    }

    pub(crate) const fn folded(index: u32) -> Self {
        Self(index | FOLDED_BIT)
    }
}

/// A node with its hash, unless it has yet to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Side {
    pub(crate) node: Node,
    pub(crate) hash: B256,
}

impl Side {
    const EMPTY: Self = Self { node: EMPTY, hash: B256::ZERO };
}

/// Neighbouring updates, and the number of the first one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run<'a> {
    updates: &'a [Update],
    first: u32,
}

impl<'a> Run<'a> {
    pub(crate) const fn new(updates: &'a [Update]) -> Self {
        Self { updates, first: 0 }
    }

    fn split_at(self, middle: usize) -> (Self, Self) {
        let (before, after) = self.updates.split_at(middle);
        let first = self.first + middle as u32;
        (Self { updates: before, ..self }, Self { updates: after, first })
    }

    fn partition(self, bit: u16) -> (Self, Self) {
        self.split_at(self.updates.partition_point(|update| !update.key.bit(bit)))
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
            root_hash: B256::ZERO,
            branches: Branches::new(),
            leaves: Vec::new(),
            folded: Vec::new(),
            free_leaves: Vec::new(),
            free_folded: Vec::new(),
            epoch: 0,
            fold_size: FOLD_LEAVES_MAX,
            hash,
        }
    }

    /// Returns the root, 32 zero bytes if there are no leaves.
    pub const fn root(&self) -> B256 {
        self.root_hash
    }

    /// Returns how many leaves there are, folded ones too.
    pub fn leaf_count(&self) -> usize {
        self.count(self.root) as usize
    }

    /// Makes the changes and returns the new root.
    ///
    /// # Panics
    /// If the keys do not ascend strictly, or one lies in a subtree that is folded
    /// ([`Tree::find_fold`]).
    pub fn apply(&mut self, updates: &[Update]) -> B256 {
        assert!(
            updates.windows(2).all(|pair| pair[0].key < pair[1].key),
            "updates are sorted by key, each key once"
        );
        if updates.is_empty() {
            return self.root();
        }
        let mut others = self.rehash(Guide::Keys, updates);
        if !others.is_empty() {
            others.sort_unstable();
            let others = others.iter().map(|index| updates[*index as usize]);
            let all: Vec<_> = updates.iter().copied().chain(others).collect();
            let run = Run { updates: &all[updates.len()..], first: updates.len() as u32 };
            let sample = self.sample(self.root, &run.updates[0].key);
            let root = Side { node: self.root, hash: self.root_hash };
            let root = self.update(root, run, sample);
            (self.root, self.root_hash) = (root.node, root.hash);
            self.rehash(Guide::Marks, &all);
        }
        self.root()
    }

    /// Changes the subtree at a node; `sample` is what the first update's bits lead to.
    fn update(&mut self, side: Side, run: Run<'_>, sample: Node) -> Side {
        let (Some(first), Some(last)) = (run.updates.first(), run.updates.last()) else {
            return side;
        };
        let split = match side.node.kind() {
            Kind::Empty => return self.insert(run),
            Kind::Leaf(index) => return self.update_leaf(side, index, run),
            Kind::Branch(index) => self.branches[index].split,
            Kind::Folded(index) => self.folded[index as usize].fold.bits,
        };
        let Some(key) = self.key_of(sample) else { return side };
        // Sorted keys: whoever leaves the subtree's prefix first is at one of the ends.
        let shared = key.common_bits(&first.key).min(key.common_bits(&last.key));
        match side.node.kind() {
            _ if shared < split => self.part(side, run, (shared, sample)),
            Kind::Branch(index) => self.update_sides(side, index, run, sample),
            _ => unreachable!("what is changed has been unfolded"),
        }
    }

    fn update_sides(&mut self, side: Side, index: u32, run: Run<'_>, sample: Node) -> Side {
        let (split, [left, right]) = (self.branches[index].split, self.branches.both(index));
        let (to_left, to_right) = run.partition(split);
        // The sample lies on the first update's side; the other side needs one of its own.
        let right_sample = match to_right.updates.first() {
            Some(first) if !to_left.updates.is_empty() => self.sample(right.node, &first.key),
            _ => sample,
        };
        let left = self.update(left, to_left, sample);
        let right = self.update(right, to_right, right_sample);
        if left.node == EMPTY || right.node == EMPTY {
            // What remains has another prefix than before: the mark on the way here says so.
            self.branches.free.push(index);
            return if left.node == EMPTY { right } else { left };
        }
        let count = self.count(left.node) + self.count(right.node);
        self.branches.set_hashes(index, &[left.hash, right.hash]);
        self.branches.counts[index as usize] = count;
        let branch = &mut self.branches[index];
        branch.sides = [left.node, right.node];
        branch.marks |= if to_left.updates.is_empty() { 0 } else { LEFT };
        branch.marks |= if to_right.updates.is_empty() { 0 } else { RIGHT };
        side
    }

    /// Some update leaves the subtree's prefix at bit `shared`: a branch may have to go there.
    fn part(&mut self, side: Side, run: Run<'_>, (shared, sample): (u16, Node)) -> Side {
        let (zeros, ones) = run.partition(shared);
        let is_right = self.key_of(sample).is_some_and(|key| key.bit(shared));
        let (inside, outside) = if is_right { (ones, zeros) } else { (zeros, ones) };
        let other = self.insert(outside);
        let inside_sample = match inside.updates.first() {
            Some(first) => self.sample(side.node, &first.key),
            None => sample,
        };
        let same = self.update(side, inside, inside_sample);
        match (same.node, other.node) {
            (_, EMPTY) => same,
            (EMPTY, _) => other,
            _ if is_right => self.new_branch(shared, [other, same]),
            _ => self.new_branch(shared, [same, other]),
        }
    }

    fn update_leaf(&mut self, side: Side, index: u32, run: Run<'_>) -> Side {
        let leaf = &mut self.leaves[index as usize];
        let own = run.updates.binary_search_by(|update| update.key.cmp(&leaf.key));
        let mut kept = Some(side);
        match own.map(|at| (at, run.updates[at].value)) {
            Ok((at, Some(_))) => leaf.pending = run.first + at as u32,
            Ok((_, None)) => {
                self.free_leaves.push(index);
                kept = None;
            }
            Err(_) => {}
        }
        let (before, after) = run.split_at(own.unwrap_or_else(|at| at));
        let (_, after) = after.split_at(usize::from(own.is_ok()));
        let mut sides = self.new_leaves(before);
        sides.extend(kept);
        sides.extend(self.new_leaves(after));
        self.build(&sides)
    }

    pub(crate) fn insert(&mut self, run: Run<'_>) -> Side {
        let leaves = self.new_leaves(run);
        self.build(&leaves)
    }

    fn new_leaves(&mut self, run: Run<'_>) -> Vec<Side> {
        let mut sides = Vec::new();
        for (update, pending) in run.updates.iter().zip(run.first..) {
            if update.value.is_some() {
                let leaf = Leaf { key: update.key, pending };
                let index = place(&mut self.leaves, &mut self.free_leaves, leaf);
                sides.push(Side { node: Node::leaf(index), hash: B256::ZERO });
            }
        }
        sides
    }

    /// Makes a subtree of sorted leaves and folded subtrees.
    pub(crate) fn build(&mut self, sides: &[Side]) -> Side {
        let (first, last) = match sides {
            [] => return Side::EMPTY,
            [only] => return *only,
            [first, .., last] => (self.key_of(first.node), self.key_of(last.node)),
        };
        let (Some(first), Some(last)) = (first, last) else { return Side::EMPTY };
        let split = first.common_bits(last);
        assert!(split < first.bits().min(last.bits()), "no key is a prefix of another");
        let on_left = |side: &Side| self.key_of(side.node).is_some_and(|key| !key.bit(split));
        let (left, right) = sides.split_at(sides.partition_point(on_left));
        let sides = [self.build(left), self.build(right)];
        self.new_branch(split, sides)
    }

    fn new_branch(&mut self, split: u16, [left, right]: [Side; 2]) -> Side {
        let (sides, marks) = ([left.node, right.node], LEFT | RIGHT);
        let shape = Shape { sides, epoch: self.epoch, split, marks };
        let count = self.count(left.node) + self.count(right.node);
        let index = self.branches.add(shape, &[left.hash, right.hash], count);
        Side { node: Node(index), hash: B256::ZERO }
    }

    pub(crate) fn count(&self, node: Node) -> u32 {
        match node.kind() {
            Kind::Empty => 0,
            Kind::Leaf(_) => 1,
            Kind::Branch(index) => self.branches.counts[index as usize],
            Kind::Folded(index) => self.folded[index as usize].fold.count,
        }
    }

    /// Returns the leaf or folded subtree below `node` that the bits of `key` lead to.
    pub(crate) fn sample(&self, mut node: Node, key: &Key) -> Node {
        while let Kind::Branch(index) = node.kind() {
            let branch = &self.branches[index];
            // A key that ends before the split lies elsewhere: any leaf tells so.
            let right = branch.split < key.bits() && key.bit(branch.split);
            node = branch.sides[usize::from(right)];
        }
        node
    }

    /// A leaf's key, or a key that starts like those of a folded subtree.
    pub(crate) fn key_of(&self, node: Node) -> Option<&Key> {
        match node.kind() {
            Kind::Leaf(index) => Some(&self.leaves[index as usize].key),
            Kind::Folded(index) => Some(&self.folded[index as usize].fold.key),
            Kind::Empty | Kind::Branch(_) => None,
        }
    }

    /// A key that starts like all those below a node.
    pub(crate) fn any_key(&self, mut node: Node) -> Option<Key> {
        while let Kind::Branch(index) = node.kind() {
            node = self.branches[index].sides[0];
        }
        self.key_of(node).copied()
    }
}

pub(crate) fn place<T>(all: &mut Vec<T>, free: &mut Vec<u32>, item: T) -> u32 {
    if let Some(index) = free.pop() {
        let _ = mem::replace(&mut all[index as usize], item);
        return index;
    }
    let index = u32::try_from(all.len()).ok().filter(|index| *index <= INDEX_MAX);
    all.push(item);
    index.expect("a tree in memory has fewer than 2^30 - 1 leaves")
}

pub(crate) fn hash_leaf<H: Hash>(hash: H, key: &Key, value: &Value) -> B256 {
    let mut input = [0; 1 + crate::KEY_LEN_MAX + 32];
    let key_end = 1 + key.as_slice().len();
    input[1..key_end].copy_from_slice(key.as_slice());
    input[key_end..key_end + 32].copy_from_slice(value.as_slice());
    hash.hash(&input[..key_end + 32])
}
