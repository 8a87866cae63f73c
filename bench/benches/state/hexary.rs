//! A Merkle-Patricia trie kept with alloy-trie alone: its branch nodes in a map, as nodes keep
//! them, and a hash builder that gets the hashes of what has not changed.

use alloy_primitives::B256;
use alloy_trie::{BranchNodeCompact, HashBuilder, Nibbles, TrieMask};
use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

type Entry = ([u8; 32], [u8; 32]);

/// The trie and its leaves.
pub(crate) struct Hexary {
    leaves: Vec<Entry>,
    nodes: HashMap<Nibbles, BranchNodeCompact>,
}

impl Hexary {
    /// Makes it of sorted entries.
    pub(crate) fn new(entries: &[Entry]) -> Self {
        let mut trie = Self { leaves: entries.to_vec(), nodes: HashMap::new() };
        trie.rebuild(&[]);
        trie
    }

    /// Sets values of keys that are there, and returns the new root.
    pub(crate) fn apply(&mut self, changed: &[Entry]) -> B256 {
        for (key, value) in changed {
            let at = self.leaves.binary_search_by_key(key, |(key, _)| *key).unwrap();
            self.leaves[at].1 = *value;
        }
        let keys: Vec<_> = changed.iter().map(|(key, _)| Nibbles::unpack(key)).collect();
        self.rebuild(&keys)
    }

    fn rebuild(&mut self, changed: &[Nibbles]) -> B256 {
        let mut builder = HashBuilder::default().with_updates(true).with_all_branch_nodes(true);
        let all = 0..self.leaves.len();
        self.walk(Nibbles::default(), all, changed, &mut builder);
        let root = builder.root();
        let (_, nodes) = builder.split();
        self.nodes.extend(nodes.into_iter().collect::<BTreeMap<_, _>>());
        root
    }

    /// Feeds what lies below `path`: hashes where nothing has changed, leaves elsewhere.
    fn walk(
        &self,
        path: Nibbles,
        leaves: Range<usize>,
        changed: &[Nibbles],
        builder: &mut HashBuilder,
    ) {
        let Some(node) = self.nodes.get(&path) else {
            for (key, value) in &self.leaves[leaves] {
                builder.add_leaf(Nibbles::unpack(key), &alloy_rlp::encode(&value[..]));
            }
            return;
        };
        let (mut start, mut changed) = (leaves.start, changed);
        for nibble in (0..16).filter(|nibble| node.state_mask.is_bit_set(*nibble)) {
            let mut child = path;
            child.push(nibble);
            let below = |key: &Nibbles| key.get(path.len()).is_some_and(|own| own <= nibble);
            let end = start
                + self.leaves[start..leaves.end]
                    .partition_point(|(key, _)| below(&Nibbles::unpack(key)));
            let (own, rest) = changed.split_at(changed.partition_point(below));
            if own.is_empty() && node.hash_mask.is_bit_set(nibble) {
                let hash = node.hashes[hash_index(node.hash_mask, nibble)];
                builder.add_branch(child, hash, node.tree_mask.is_bit_set(nibble));
            } else {
                self.walk(child, start..end, own, builder);
            }
            (start, changed) = (end, rest);
        }
    }
}

fn hash_index(mask: TrieMask, nibble: u8) -> usize {
    (0..nibble).filter(|nibble| mask.is_bit_set(*nibble)).count()
}
