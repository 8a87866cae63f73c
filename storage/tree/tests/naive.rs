//! The tree against a twin that has no arena, no prefixes in nodes and no partial updates.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and print")]

use alloy_primitives::B256;
use proptest::prelude::*;
use std::collections::BTreeMap;
use tandem_tree::{Below, Blake3, Hash, Key, Tree, Update};

type Bits = Vec<bool>;

fn bits(key: &[u8]) -> Bits {
    key.iter().flat_map(|byte| (0..8).map(move |i| byte & (0x80 >> i) != 0)).collect()
}

fn naive_root(entries: &[(Bits, Vec<u8>, B256)], from: usize) -> B256 {
    match entries {
        [] => B256::ZERO,
        [(_, key, value)] => Blake3.hash(&[&[0][..], key, value.as_slice()].concat()),
        _ => {
            let at = |bit: usize, entry: &(Bits, Vec<u8>, B256)| entry.0[bit];
            let mut split = from;
            while entries.iter().all(|entry| at(split, entry) == at(split, &entries[0])) {
                split += 1;
            }
            let prefix = &entries[0].0[from..split];
            let mut packed = vec![0u8; prefix.len().div_ceil(8)];
            for (i, bit) in prefix.iter().enumerate() {
                packed[i / 8] |= u8::from(*bit) << (7 - i % 8);
            }
            let (left, right): (Vec<_>, Vec<_>) =
                entries.iter().cloned().partition(|entry| !at(split, entry));
            let count = (prefix.len() as u16).to_be_bytes();
            let sides = [naive_root(&left, split + 1), naive_root(&right, split + 1)];
            let parts = [&[1][..], &count, &packed, sides[0].as_slice(), sides[1].as_slice()];
            Blake3.hash(&parts.concat())
        }
    }
}

fn twin_root(twin: &BTreeMap<Key, B256>) -> B256 {
    let entries: Vec<_> = twin
        .iter()
        .map(|(key, value)| (bits(key.as_slice()), key.as_slice().to_vec(), *value))
        .collect();
    naive_root(&entries, 0)
}

/// Keys that share long and short prefixes: few choices for each byte that matters.
fn key() -> impl Strategy<Value = Key> {
    (0..3u8, 0..4u8, 0..4u8, 0..6u8).prop_map(|(zone, stem, group, last)| {
        let mut bytes = match zone {
            0 => vec![0x00; 34],
            1 => vec![0x01; 34],
            _ => vec![0xff; 66],
        };
        bytes[1] = stem << 5;
        bytes[20] = group;
        let end = bytes.len() - 1;
        bytes[end] = last * 51;
        if bytes.len() == 66 {
            bytes[40] = group ^ stem;
        }
        Key::raw(&bytes).unwrap()
    })
}

fn batch() -> impl Strategy<Value = BTreeMap<Key, Option<B256>>> {
    let value = prop_oneof![
        2 => Just(None),
        3 => any::<u8>().prop_map(|byte| Some(B256::repeat_byte(byte))),
    ];
    prop::collection::btree_map(key(), value, 0..24)
}

/// The keys below a prefix of a tree that nothing is folded in.
fn keys_below<H: Hash>(tree: &Tree<H>, prefix: &[u8]) -> Vec<Key> {
    let leaf = |below| match below {
        Below::Leaf(key) => *key,
        Below::Fold(fold) => panic!("{fold:?}"),
    };
    tree.below(prefix).map(leaf).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_order_and_batching_gives_the_root_of_the_set(
        batches in prop::collection::vec(batch(), 1..12),
    ) {
        let mut tree = Tree::new(Blake3);
        let mut twin = BTreeMap::new();
        for batch in batches {
            let updates: Vec<_> =
                batch.iter().map(|(key, value)| Update { key: *key, value: *value }).collect();
            for (key, value) in batch {
                match value {
                    Some(value) => { twin.insert(key, value); }
                    None => { twin.remove(&key); }
                }
            }
            prop_assert_eq!(tree.apply(&updates), twin_root(&twin));
            prop_assert_eq!(tree.leaf_count(), twin.len());
            for zone in [0x00, 0x01, 0xff] {
                let below: Vec<_> = keys_below(&tree, &[zone]);
                let expected: Vec<_> =
                    twin.keys().filter(|key| key.zone() == zone).copied().collect();
                prop_assert_eq!(below, expected);
            }
        }
    }
}

/// So many updates that subtrees are hashed by themselves, by two threads where there are some: of
/// values alone, and with leaves that come and go among them.
#[test]
fn many_updates_at_a_time_give_the_root_of_the_set() {
    let key = |index: u32| {
        let hash = Blake3.hash(&index.to_be_bytes());
        let mut bytes = [0xff; 66];
        // Half of them are slots of one account.
        bytes[1..33].copy_from_slice(hash.as_slice());
        if index.is_multiple_of(2) {
            bytes[1..33].fill(0x33);
            bytes[33..65].copy_from_slice(hash.as_slice());
        }
        Key::raw(&bytes).unwrap()
    };
    let value =
        |index: u32, round: u8| Some(Blake3.hash(&[&index.to_be_bytes()[..], &[round]].concat()));
    let (mut tree, mut twin) = (Tree::new(Blake3), BTreeMap::new());
    for round in 0..6u8 {
        let (first, step) = [(0, 1), (0, 2), (1, 3), (0, 1), (500, 1), (3, 4)][usize::from(round)];
        let changed = (first..4_000 + first).step_by(step);
        let gone = |index: u32| round > 2 && (index + u32::from(round)).is_multiple_of(7);
        let batch: BTreeMap<_, _> = changed
            .map(|index| (key(index), value(index, round).filter(|_| !gone(index))))
            .collect();
        let updates: Vec<_> =
            batch.iter().map(|(key, value)| Update { key: *key, value: *value }).collect();
        for (key, value) in batch {
            match value {
                Some(value) => twin.insert(key, value),
                None => twin.remove(&key),
            };
        }
        assert_eq!(tree.apply(&updates), twin_root(&twin), "round {round}");
        assert_eq!(tree.leaf_count(), twin.len());
    }
}

#[test]
fn removing_every_leaf_leaves_the_empty_tree() {
    let keys: Vec<_> = (0..=255u8).map(|i| Key::raw(&[i, i ^ 0x55]).unwrap()).collect();
    let set: Vec<_> =
        keys.iter().map(|key| Update { key: *key, value: Some(B256::ZERO) }).collect();
    let mut tree = Tree::new(Blake3);
    let full = tree.apply(&set);
    let clear: Vec<_> = keys.iter().map(|key| Update { key: *key, value: None }).collect();
    assert_eq!(tree.apply(&clear[..128]), tree.root());
    assert_eq!(tree.apply(&clear), B256::ZERO);
    assert_eq!(tree.leaf_count(), 0);
    assert_eq!(tree.apply(&set), full);
}
