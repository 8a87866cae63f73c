//! Subtrees that are not in memory: of each the hashes of its two sides are kept, and it is made
//! anew out of its leaves when something below it changes.
//!
//! The same folds, kept on disk, are what a tree starts from: [`Tree::take_folds`] gives those that
//! have changed, [`Tree::of_folds`] makes the tree.

use crate::{
    Hash, Key, Tree, Update, Value,
    branches::SAVED,
    tree::{EMPTY, Kind, Leaf, NONE, Node, Run, Side, place},
};
use alloc::{vec, vec::Vec};
use alloy_primitives::B256;

/// Leaves that a fold has at most, unless it is said otherwise.
pub const FOLD_LEAVES_MAX: u32 = 256;

/// What is kept of a subtree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fold {
    /// A key that starts like all those below.
    pub key: Key,
    /// How many bits they share: the bit at which the two sides part. Of a single leaf, all.
    pub bits: u16,
    /// Leaves below.
    pub count: u32,
    /// The hashes of the two sides; of a single leaf its own, and zero.
    pub hashes: [B256; 2],
}

/// A fold in a tree.
#[derive(Debug, Clone)]
pub(crate) struct Folded {
    pub(crate) fold: Fold,
    pub(crate) epoch: u32,
    is_saved: bool,
}

/// What the leaves of a fold make is not what was folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the leaves that start like {key:?} do not have the hash that is recorded for them")]
pub struct WrongLeaves {
    /// A key that starts like them.
    pub key: Key,
}

/// What is to be written so that the folds on disk are those of a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoldChanges {
    /// Ranges of keys whose folds go, from the first key on and up to the second one, or all.
    pub removed: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Folds that come, in order.
    pub added: Vec<Fold>,
}

/// What lies below a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Below<'a> {
    /// A leaf.
    Leaf(&'a Key),
    /// Leaves that are folded; not all of them need start with the prefix.
    Fold(&'a Fold),
}

impl Fold {
    /// Returns whether a key starts like those of the fold.
    pub fn covers(&self, key: &Key) -> bool {
        self.key.common_bits(key) >= self.bits
    }

    /// Returns what all keys of the fold are equal to or come after.
    pub fn start(&self) -> Vec<u8> {
        start(&self.key, self.bits)
    }
}

fn start(key: &Key, bits: u16) -> Vec<u8> {
    let mut bytes = vec![0; usize::from(bits.div_ceil(8)).max(1)];
    key.pack_bits(0, bits, &mut bytes);
    bytes
}

/// What comes after all keys that share some bits with `key`; `None` if nothing does.
fn end(key: &Key, bits: u16) -> Option<Vec<u8>> {
    let last = (0..bits).rev().find(|bit| !key.bit(*bit))?;
    let mut bytes = start(key, last);
    bytes.resize(usize::from(last / 8) + 1, 0);
    bytes[usize::from(last / 8)] |= 0x80 >> (last % 8);
    Some(bytes)
}

impl<H: Hash> Tree<H> {
    /// Makes folds of another size; it is not to be changed later.
    #[must_use]
    pub const fn with_folds_of(mut self, leaves_max: u32) -> Self {
        self.fold_size = leaves_max;
        self
    }

    /// Returns how many leaves are in memory.
    pub fn unfolded_count(&self) -> usize {
        self.leaves.len() - self.free_leaves.len()
    }

    /// Begins another period of changes and returns the one that ends.
    pub const fn next_epoch(&mut self) -> u32 {
        self.epoch += 1;
        self.epoch - 1
    }

    /// Returns the fold that a change at `key` needs the leaves of.
    pub fn find_fold(&self, key: &Key) -> Option<&Fold> {
        if self.folded.len() == self.free_folded.len() {
            return None;
        }
        match self.sample(self.root, key).kind() {
            Kind::Folded(index) => {
                Some(&self.folded[index as usize].fold).filter(|fold| fold.covers(key))
            }
            _ => None,
        }
    }

    /// Puts the leaves below a fold in its place. When they are the wrong ones the tree is not to
    /// be used any more.
    ///
    /// # Panics
    /// If the keys do not ascend strictly.
    pub fn unfold(&mut self, fold: &Fold, leaves: &[(Key, Value)]) -> Result<(), WrongLeaves> {
        let wrong = WrongLeaves { key: fold.key };
        let ascend = leaves.windows(2).all(|pair| pair[0].0 < pair[1].0);
        assert!(ascend, "leaves are sorted by key, each key once");
        let update = |(key, value): &(Key, Value)| Update { key: *key, value: Some(*value) };
        let updates: Vec<_> = leaves.iter().map(update).collect();
        let (mut parent, mut node) = (None, self.root);
        while let Kind::Branch(index) = node.kind() {
            let branch = &self.branches[index];
            let side = usize::from(fold.key.bit(branch.split));
            (parent, node) = (Some((index, side)), branch.sides[side]);
        }
        let Kind::Folded(index) = node.kind() else { return Err(wrong) };
        let Folded { fold, epoch, is_saved } = self.folded[index as usize].clone();
        if !leaves.iter().all(|(key, _)| fold.covers(key)) {
            return Err(wrong);
        }
        let now = core::mem::replace(&mut self.epoch, epoch);
        let made = self.insert(Run::new(&updates)).node;
        self.rehash_below(made, &updates);
        self.epoch = now;
        let Kind::Branch(top) = made.kind() else { return Err(wrong) };
        if self.branches.hashes(top) != fold.hashes || self.branches[top].split != fold.bits {
            return Err(wrong);
        }
        self.branches[top].marks |= if is_saved { SAVED } else { 0 };
        self.free_folded.push(index);
        match parent {
            Some((parent, side)) => self.branches[parent].sides[side] = made,
            None => self.root = made,
        }
        Ok(())
    }

    /// Folds everything that was not changed after the period `until`.
    pub fn fold(&mut self, until: u32) {
        self.root = self.fold_below(self.root, until);
    }

    fn fold_below(&mut self, node: Node, until: u32) -> Node {
        let Kind::Branch(index) = node.kind() else { return node };
        let branch = self.branches[index].clone();
        if self.branches.counts[index as usize] > self.fold_size {
            let sides = branch.sides.map(|side| self.fold_below(side, until));
            self.branches[index].sides = sides;
            return node;
        }
        match self.fold_of(node, B256::ZERO) {
            Some(fold) if branch.epoch <= until => {
                self.release(node);
                let is_saved = branch.marks & SAVED != 0;
                let folded = Folded { fold, epoch: branch.epoch, is_saved };
                Node::folded(place(&mut self.folded, &mut self.free_folded, folded))
            }
            _ => node,
        }
    }

    fn release(&mut self, node: Node) {
        match node.kind() {
            Kind::Empty => {}
            Kind::Leaf(index) => self.free_leaves.push(index),
            Kind::Folded(index) => self.free_folded.push(index),
            Kind::Branch(index) => {
                self.branches.free.push(index);
                for side in self.branches[index].sides {
                    self.release(side);
                }
            }
        }
    }

    fn fold_of(&self, node: Node, hash: B256) -> Option<Fold> {
        let key = self.any_key(node)?;
        Some(match node.kind() {
            Kind::Empty => return None,
            Kind::Leaf(_) => Fold { key, bits: key.bits(), count: 1, hashes: [hash, B256::ZERO] },
            Kind::Folded(index) => self.folded[index as usize].fold,
            Kind::Branch(index) => {
                let (count, hashes) =
                    (self.branches.counts[index as usize], self.branches.hashes(index));
                Fold { key, bits: self.branches[index].split, count, hashes }
            }
        })
    }

    /// Returns what of the folds on disk has to change since the period `since` ended, all of it
    /// if there are none, and takes them for written.
    pub fn take_folds(&mut self, since: Option<u32>) -> FoldChanges {
        let mut changes = FoldChanges::default();
        let since = since.map_or(0, |since| since + 1);
        if since == 0 || self.root == EMPTY {
            changes.removed.push((vec![0], None));
        }
        self.save(Side { node: self.root, hash: self.root_hash }, 0, since, &mut changes);
        changes
    }

    /// Saves what was changed from the period `since` on below a node that starts at bit `from`.
    fn save(&mut self, side: Side, from: u16, since: u32, changes: &mut FoldChanges) {
        let node = side.node;
        let is_due = match node.kind() {
            Kind::Empty => return,
            Kind::Leaf(_) => true,
            Kind::Folded(index) => {
                let folded = &mut self.folded[index as usize];
                let was_saved = core::mem::replace(&mut folded.is_saved, true);
                folded.epoch >= since || !was_saved
            }
            Kind::Branch(index) => {
                let branch = &self.branches[index];
                let (is_new, was_saved) = (branch.epoch >= since, branch.marks & SAVED != 0);
                if self.branches.counts[index as usize] > self.fold_size {
                    if is_new {
                        self.save_sides(index, from, since, changes);
                    }
                    return;
                }
                if !was_saved {
                    self.forget_saved(node);
                    self.branches[index].marks |= SAVED;
                }
                is_new || !was_saved
            }
        };
        if let Some(fold) = self.fold_of(node, side.hash).filter(|_| is_due) {
            if since > 0 {
                changes.removed.push((start(&fold.key, from), end(&fold.key, from)));
            }
            changes.added.push(fold);
        }
    }

    fn save_sides(&mut self, index: u32, from: u16, since: u32, changes: &mut FoldChanges) {
        let branch = &mut self.branches[index];
        branch.marks &= !SAVED;
        let (split, sides) = (branch.split, self.branches.both(index));
        let key = self.any_key(sides[0].node).filter(|_| since > 0 && from < split);
        if let Some(key) = &key {
            // Nothing lies before or after what shares the branch's prefix any more.
            changes.removed.push((start(key, from), Some(start(key, split))));
        }
        for side in sides {
            self.save(side, split + 1, since, changes);
        }
        if let Some((after, last)) = key.and_then(|key| Some((end(&key, split)?, end(&key, from))))
        {
            changes.removed.push((after, last));
        }
    }

    /// What is part of a larger fold is not on disk by itself.
    fn forget_saved(&mut self, node: Node) {
        match node.kind() {
            Kind::Empty | Kind::Leaf(_) => {}
            Kind::Folded(index) => self.folded[index as usize].is_saved = false,
            Kind::Branch(index) => {
                let branch = &mut self.branches[index];
                branch.marks &= !SAVED;
                for side in branch.sides {
                    self.forget_saved(side);
                }
            }
        }
    }

    /// Makes the tree whose folds these are, in order; `None` if there is no such tree.
    pub fn of_folds(hash: H, folds: impl IntoIterator<Item = Fold>) -> Option<Self> {
        let mut tree = Self::new(hash);
        let mut sides = Vec::new();
        let mut last: Option<Fold> = None;
        for fold in folds {
            let is_leaf = fold.bits == fold.key.bits();
            if fold.bits > fold.key.bits() || is_leaf != (fold.count == 1) || fold.count == 0 {
                return None;
            }
            if let Some(last) = last
                && (last.key >= fold.key || last.covers(&fold.key) || fold.covers(&last.key))
            {
                return None;
            }
            last = Some(fold);
            sides.push(if is_leaf {
                let leaf = Leaf { key: fold.key, pending: NONE };
                let index = place(&mut tree.leaves, &mut tree.free_leaves, leaf);
                Side { node: Node::leaf(index), hash: fold.hashes[0] }
            } else {
                let folded = Folded { fold, epoch: 0, is_saved: true };
                let index = place(&mut tree.folded, &mut tree.free_folded, folded);
                Side { node: Node::folded(index), hash: B256::ZERO }
            });
        }
        let root = tree.build(&sides);
        (tree.root, tree.root_hash) = (root.node, root.hash);
        tree.rehash(crate::plan::Guide::Marks, &[]);
        tree.next_epoch();
        Some(tree)
    }

    /// Returns what lies below `prefix`, in order.
    pub fn below(&self, prefix: &[u8]) -> Leaves<'_, H> {
        let none = Leaves { tree: self, stack: Vec::new() };
        let Some(wanted) = Key::raw(prefix) else { return none };
        let mut node = self.root;
        while let Kind::Branch(index) = node.kind() {
            let branch = &self.branches[index];
            if branch.split >= wanted.bits() {
                break;
            }
            node = branch.sides[usize::from(wanted.bit(branch.split))];
        }
        let found = match (node.kind(), self.any_key(node)) {
            (Kind::Folded(index), Some(key)) => {
                let bits = self.folded[index as usize].fold.bits;
                key.common_bits(&wanted) >= bits.min(wanted.bits())
            }
            (_, key) => key.is_some_and(|key| key.as_slice().starts_with(prefix)),
        };
        if found { Leaves { tree: self, stack: vec![node] } } else { none }
    }
}

/// What lies below a node, in order.
#[derive(Debug)]
pub struct Leaves<'a, H> {
    tree: &'a Tree<H>,
    stack: Vec<Node>,
}

impl<'a, H> Iterator for Leaves<'a, H> {
    type Item = Below<'a>;

    fn next(&mut self) -> Option<Below<'a>> {
        loop {
            match self.stack.pop()?.kind() {
                Kind::Empty => {}
                Kind::Leaf(index) => {
                    return Some(Below::Leaf(&self.tree.leaves[index as usize].key));
                }
                Kind::Folded(index) => {
                    return Some(Below::Fold(&self.tree.folded[index as usize].fold));
                }
                Kind::Branch(index) => {
                    let [left, right] = self.tree.branches[index].sides;
                    self.stack.extend([right, left]);
                }
            }
        }
    }
}
