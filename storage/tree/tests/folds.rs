//! A tree that is folded, unfolded and made anew out of its folds, against one that never is.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use alloy_primitives::B256;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use tandem_tree::{Below, Blake3, Fold, FoldChanges, Key, Tree, Update};

type Leaves = BTreeMap<Key, B256>;

/// A small generator: a case is one number.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040);
        (self.0 >> 33) % bound
    }

    /// Few choices for the bytes that matter: some folds are dense, some leaves stand alone, and
    /// long prefixes are shared.
    fn key(&mut self) -> Key {
        let mut bytes = match self.below(4) {
            0 => vec![0x00; 34],
            1 => vec![0x01; 34],
            _ => vec![0xff; 66],
        };
        bytes[1] = [0x00, 0x40, 0x55, 0xf0][self.below(4) as usize];
        if bytes.len() == 66 {
            bytes[40] = self.below(3) as u8;
        }
        let end = bytes.len() - 1;
        bytes[end - 1] = if self.below(5) == 0 { self.below(256) as u8 } else { 7 };
        bytes[end] = self.below(256) as u8;
        Key::raw(&bytes).unwrap()
    }

    /// Many sets, or many removals of what is there.
    fn batch(&mut self, leaves: &Leaves) -> BTreeMap<Key, Option<B256>> {
        let mut batch = BTreeMap::new();
        let count = [0, 1, 3, 40, 900][self.below(5) as usize];
        let removes = self.below(3) == 0;
        for _ in 0..count {
            let key = match leaves.keys().nth(self.below(leaves.len() as u64 + 1) as usize) {
                Some(key) if removes || self.below(3) == 0 => *key,
                _ => self.key(),
            };
            let value = (!removes).then(|| B256::repeat_byte(self.below(256) as u8));
            batch.insert(key, value);
        }
        if self.below(12) == 0 {
            // A whole zone goes, and with it the way to it.
            let zone = [0x00, 0x01, 0xff][self.below(3) as usize];
            let all = leaves.keys().filter(|key| key.zone() == zone);
            batch.extend(all.map(|key| (*key, None)));
        }
        batch
    }
}

fn under(fold: &Fold, leaves: &Leaves) -> Vec<(Key, B256)> {
    leaves.iter().filter(|(key, _)| fold.covers(key)).map(|(key, value)| (*key, *value)).collect()
}

/// Changes a tree, making anew what is folded on the way, and the leaves.
fn change(tree: &mut Tree<Blake3>, leaves: &mut Leaves, batch: &BTreeMap<Key, Option<B256>>) {
    for key in batch.keys() {
        if let Some(fold) = tree.find_fold(key).copied() {
            tree.unfold(&fold, &under(&fold, leaves)).unwrap();
            assert_eq!(tree.find_fold(key), None);
        }
    }
    let updates: Vec<_> =
        batch.iter().map(|(key, value)| Update { key: *key, value: *value }).collect();
    tree.apply(&updates);
    for (key, value) in batch {
        match value {
            Some(value) => leaves.insert(*key, *value),
            None => leaves.remove(key),
        };
    }
}

fn whole(leaves: &Leaves) -> Tree<Blake3> {
    let mut tree = Tree::new(Blake3);
    let set = |(key, value): (&Key, &B256)| Update { key: *key, value: Some(*value) };
    tree.apply(&leaves.iter().map(set).collect::<Vec<_>>());
    tree
}

fn save(disk: &mut BTreeMap<Vec<u8>, Fold>, changes: FoldChanges) {
    for (from, to) in changes.removed {
        disk.retain(|key, _| *key < from || to.as_ref().is_some_and(|to| key >= to));
    }
    for fold in changes.added {
        assert_eq!(disk.insert(fold.key.as_slice().to_vec(), fold), None);
    }
}

fn keys(tree: &Tree<Blake3>, prefix: &[u8], leaves: &Leaves) -> BTreeSet<Key> {
    let mut keys = BTreeSet::new();
    for below in tree.below(prefix) {
        match below {
            Below::Leaf(key) => drop(keys.insert(*key)),
            Below::Fold(fold) => keys.extend(under(fold, leaves).iter().map(|(key, _)| *key)),
        }
    }
    keys.retain(|key| key.as_slice().starts_with(prefix));
    keys
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn folded_and_unfolded_agree(seed in any::<u64>()) {
        let mut random = Random(seed);
        let (mut tree, mut leaves) = (Tree::new(Blake3), Leaves::new());
        let (mut disk, mut saved) = (BTreeMap::new(), None);
        for _ in 0..30 {
            let batch = random.batch(&leaves);
            change(&mut tree, &mut leaves, &batch);
            prop_assert_eq!(tree.root(), whole(&leaves).root());
            prop_assert_eq!(tree.leaf_count(), leaves.len());
            match random.below(4) {
                0 => {
                    let epoch = tree.next_epoch();
                    tree.fold(epoch - random.below(2).min(u64::from(epoch)) as u32);
                }
                1 => {
                    save(&mut disk, tree.take_folds(saved));
                    saved = Some(tree.next_epoch());
                    let folds: Vec<_> = disk.values().copied().collect();
                    let again = Tree::of_folds(Blake3, folds).unwrap();
                    prop_assert_eq!(again.root(), tree.root());
                    prop_assert_eq!(again.leaf_count(), leaves.len());
                    if random.below(3) == 0 {
                        (tree, saved) = (again, Some(0));
                    }
                }
                _ => {}
            }
            for prefix in [&[0x00][..], &[0xff, 0x40], &[0xff; 33], &[0x01, 0x55]] {
                let expected = leaves.keys().filter(|key| key.as_slice().starts_with(prefix));
                let expected: BTreeSet<_> = expected.copied().collect();
                prop_assert_eq!(keys(&tree, prefix, &leaves), expected);
            }
        }
    }
}

#[test]
fn wrong_leaves_are_refused() {
    let mut random = Random(1);
    let leaves: Leaves =
        (0..2_000).map(|index| (random.key(), B256::repeat_byte(index as u8))).collect();
    let mut folded = whole(&leaves);
    let root = folded.root();
    folded.fold(0);
    assert_eq!(folded.root(), root);
    let key = *leaves.keys().nth(700).unwrap();
    let fold = *folded.find_fold(&key).unwrap();
    let right = under(&fold, &leaves);
    assert!(folded.clone().unfold(&fold, &right).is_ok());
    assert!(folded.clone().unfold(&fold, &right[1..]).is_err());
    assert!(folded.clone().unfold(&fold, &[]).is_err());
    let mut other = right.clone();
    other[0].1 = B256::ZERO;
    assert!(folded.clone().unfold(&fold, &other).is_err());
    let outside = under(folded.find_fold(leaves.keys().next().unwrap()).unwrap(), &leaves);
    assert!(folded.clone().unfold(&fold, &outside).is_err());
}

#[test]
fn folds_that_make_no_tree_are_refused() {
    let mut random = Random(2);
    let leaves: Leaves = (0..2_000).map(|_| (random.key(), B256::repeat_byte(1))).collect();
    let folds = whole(&leaves).take_folds(None).added;
    assert!(folds.len() > 4);
    let of = |folds: Vec<Fold>| Tree::of_folds(Blake3, folds);
    assert_eq!(of(folds.clone()).unwrap().root(), whole(&leaves).root());
    assert_eq!(of(vec![]).unwrap().root(), B256::ZERO);
    let swapped = folds.iter().rev().copied().collect();
    assert!(of(swapped).is_none());
    let twice = folds.iter().chain(folds.last()).copied().collect();
    assert!(of(twice).is_none());
    let mut wide = folds.clone();
    wide[1].bits = 0;
    assert!(of(wide).is_none());
    let mut long = folds;
    long[0].bits = 600;
    assert!(of(long).is_none());
}
