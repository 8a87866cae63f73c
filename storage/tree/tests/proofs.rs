//! Proofs and parts of trees against the leaves that they are about: what is there is proven, what
//! is not is proven absent, every spoilt proof is refused, and a part that is changed has the root
//! of the whole tree with the same changes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use alloy_primitives::{Address, B256, U256, keccak256};
use proptest::prelude::*;
use std::{collections::BTreeMap, convert::Infallible};
use tandem_tree::{
    BasicData, Below, Blake3, Hash, HashFunction, Keccak256, Key, PartialTree, ProofError, Stem,
    Tree, Update, Wanted, account_keys, delegation, sub, verify, verify_account, verify_slot,
};

type Leaves = BTreeMap<Key, B256>;

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

fn leaves() -> impl Strategy<Value = Leaves> {
    prop::collection::btree_map(key(), any::<u8>().prop_map(B256::repeat_byte), 0..60)
}

fn batch() -> impl Strategy<Value = BTreeMap<Key, Option<B256>>> {
    let value = prop_oneof![
        1 => Just(None),
        1 => any::<u8>().prop_map(|byte| Some(B256::repeat_byte(byte))),
    ];
    prop::collection::btree_map(key(), value, 0..30)
}

fn tree_of<H: Hash>(hash: H, leaves: &Leaves) -> Tree<H> {
    let mut tree = Tree::new(hash);
    tree.apply(
        &leaves.iter().map(|(k, v)| Update { key: *k, value: Some(*v) }).collect::<Vec<_>>(),
    );
    tree
}

fn reveal<H: Hash>(tree: &Tree<H>, leaves: &Leaves, wanted: &[Wanted]) -> PartialTree {
    tree.reveal(wanted, &mut |key| Ok::<_, Infallible>(leaves[key])).unwrap()
}

fn prove<H: Hash>(hash: H, tree: &Tree<H>, leaves: &Leaves, keys: &[Key]) -> Vec<Vec<u8>> {
    let wanted: Vec<_> = keys.iter().map(|key| Wanted { key: *key, removed: false }).collect();
    let part = reveal(tree, leaves, &wanted);
    assert_eq!(part.root(hash), tree.root());
    part.prove(hash, keys)
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
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_there_and_what_is_not_is_proven(
        leaves in leaves(),
        keys in prop::collection::btree_set(key(), 1..12),
    ) {
        let keys: Vec<_> = keys.into_iter().collect();
        let tree = tree_of(Keccak256, &leaves);
        let expected: Vec<_> = keys.iter().map(|key| leaves.get(key).copied()).collect();
        let proof = prove(Keccak256, &tree, &leaves, &keys);
        prop_assert_eq!(verify(Keccak256, tree.root(), &keys, &proof), Ok(expected.clone()));
        for (key, value) in keys.iter().zip(&expected) {
            let proof = prove(Keccak256, &tree, &leaves, &[*key]);
            prop_assert_eq!(verify(Keccak256, tree.root(), &[*key], &proof), Ok(vec![*value]));
        }
    }

    #[test]
    fn every_flipped_bit_is_refused(
        leaves in leaves(),
        keys in prop::collection::btree_set(key(), 1..3),
    ) {
        let keys: Vec<_> = keys.into_iter().collect();
        let tree = tree_of(Blake3, &leaves);
        let proof = prove(Blake3, &tree, &leaves, &keys);
        for (index, node) in proof.iter().enumerate() {
            for bit in 0..node.len() * 8 {
                let mut spoilt = proof.clone();
                spoilt[index][bit / 8] ^= 0x80 >> (bit % 8);
                let refused = verify(Blake3, tree.root(), &keys, &spoilt);
                prop_assert!(matches!(refused, Err(ProofError::Hash { .. })), "{refused:?}");
            }
        }
    }

    #[test]
    fn nodes_too_many_too_few_and_in_another_order_are_refused(
        leaves in leaves(),
        key in key(),
        place in any::<prop::sample::Index>(),
    ) {
        let tree = tree_of(Blake3, &leaves);
        let proof = prove(Blake3, &tree, &leaves, &[key]);
        let refused = |proof: &[Vec<u8>]| verify(Blake3, tree.root(), &[key], proof).is_err();
        let mut more = proof.clone();
        more.insert(place.index(proof.len() + 1), vec![0; 67]);
        prop_assert!(refused(&more));
        if !proof.is_empty() {
            let at = place.index(proof.len());
            let mut less = proof.clone();
            less.remove(at);
            prop_assert!(refused(&less));
            let mut cut = proof.clone();
            cut[at].pop();
            prop_assert!(refused(&cut));
            let mut turned = proof.clone();
            turned.reverse();
            prop_assert_eq!(refused(&turned), proof.len() > 1);
        }
    }

    #[test]
    fn a_part_changes_as_the_whole_tree_does(
        leaves in leaves(),
        first in batch(),
        second in batch(),
    ) {
        let mut tree = tree_of(Blake3, &leaves);
        let mut wanted: BTreeMap<Key, bool> = BTreeMap::new();
        for (key, value) in first.iter().chain(&second) {
            *wanted.entry(*key).or_default() |= value.is_none();
        }
        let wanted: Vec<_> =
            wanted.into_iter().map(|(key, removed)| Wanted { key, removed }).collect();
        let shown = reveal(&tree, &leaves, &wanted);
        let mut part = PartialTree::decode(&shown.encode()).unwrap();
        prop_assert_eq!(part.encode(), shown.encode());
        prop_assert_eq!(part.root(Blake3), tree.root());
        let mut after = leaves.clone();
        for batch in [first, second] {
            for key in batch.keys() {
                prop_assert_eq!(part.find(key), Ok(after.get(key).copied()));
            }
            let updates: Vec<_> =
                batch.iter().map(|(key, value)| Update { key: *key, value: *value }).collect();
            for Update { key, value } in &updates {
                part.update(key, *value).unwrap();
                match value {
                    Some(value) => after.insert(*key, *value),
                    None => after.remove(key),
                };
            }
            prop_assert_eq!(part.root(Blake3), tree.apply(&updates));
        }
    }

    #[test]
    fn a_part_that_shows_all_has_all_keys(leaves in leaves(), prefix in key()) {
        let tree = tree_of(Blake3, &leaves);
        let wanted: Vec<_> =
            leaves.keys().map(|key| Wanted { key: *key, removed: false }).collect();
        let part = reveal(&tree, &leaves, &wanted);
        for length in [1, 2, 21] {
            let prefix = &prefix.as_slice()[..length];
            let expected: Vec<_> = keys_below(&tree, prefix);
            prop_assert_eq!(part.keys_from(prefix), Ok(expected));
        }
    }

    #[test]
    fn what_is_not_shown_is_an_error_and_never_a_wrong_answer(
        leaves in leaves(),
        shown in key(),
        asked in key(),
        value in prop::option::of(Just(B256::repeat_byte(7))),
    ) {
        let mut tree = tree_of(Blake3, &leaves);
        let mut part = reveal(&tree, &leaves, &[Wanted { key: shown, removed: false }]);
        if let Ok(found) = part.find(&asked) {
            prop_assert_eq!(found, leaves.get(&asked).copied());
        }
        if part.update(&asked, value).is_ok() {
            prop_assert_eq!(part.root(Blake3), tree.apply(&[Update { key: asked, value }]));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), key in key()) {
        let nodes: Vec<_> = bytes.chunks(67).map(<[u8]>::to_vec).collect();
        prop_assert!(verify(Blake3, B256::repeat_byte(1), &[key], &nodes).is_err());
        // With the hash of the first node as the root, parsing goes further.
        if let Some(first) = nodes.first() {
            let _ = verify(Blake3, Blake3.hash(first), &[key], &nodes);
        }
        if let Ok(mut part) = PartialTree::decode(&bytes) {
            prop_assert_eq!(part.encode(), bytes);
            let _ = (part.find(&key), part.update(&key, Some(B256::ZERO)), part.update(&key, None));
        }
    }
}

#[test]
fn accounts_and_slots_are_proven_with_every_hash() {
    for hash in HashFunction::ALL {
        let address = Address::repeat_byte(0x11);
        let stem = Stem::of(hash, address);
        let basic = BasicData { code_size: 3, nonce: 7, balance: 10u128.pow(30) };
        let (near, far) = (U256::from(5), U256::from(1) << 200);
        let mut leaves = Leaves::from([
            (stem.header(sub::BASIC_DATA), basic.encode()),
            (stem.header(sub::CODE_HASH), B256::repeat_byte(9)),
            (stem.slot(hash, address, near), B256::with_last_byte(1)),
            (stem.slot(hash, address, far), B256::with_last_byte(2)),
        ]);
        let delegated = Address::repeat_byte(0x22);
        let other = Stem::of(hash, delegated);
        leaves.insert(other.header(sub::DELEGATION), delegation(address));
        let tree = tree_of(hash, &leaves);
        let account = |address| {
            let proof = prove(hash, &tree, &leaves, &account_keys(hash, address));
            verify_account(hash, tree.root(), address, &proof).unwrap()
        };
        let found = account(address).unwrap();
        assert_eq!((found.nonce, found.balance, found.code_size), (7, 10u128.pow(30), 3));
        assert_eq!(found.code_hash, B256::repeat_byte(9));
        let found = account(delegated).unwrap();
        let code = [&[0xef, 1, 0][..], address.as_slice()].concat();
        assert_eq!((found.nonce, found.code_hash), (0, keccak256(code)));
        assert_eq!(account(Address::repeat_byte(0x33)), None);
        for (slot, value) in [(near, 1), (far, 2), (U256::from(6), 0), (U256::MAX, 0)] {
            let key = stem.slot(hash, address, slot);
            let proof = prove(hash, &tree, &leaves, &[key]);
            let proven = verify_slot(hash, tree.root(), (address, slot), &proof);
            assert_eq!(proven, Ok(U256::from(value)), "{hash:?}, slot {slot}");
        }
    }
}

#[test]
fn the_empty_tree_proves_that_nothing_is_there() {
    let none: [Vec<u8>; 0] = [];
    let address = Address::repeat_byte(1);
    assert_eq!(verify_account(Blake3, B256::ZERO, address, &none), Ok(None));
    let refused = verify_account(Blake3, B256::repeat_byte(1), address, &none);
    assert_eq!(refused, Err(ProofError::Missing { count: 0 }));
    let refused = verify_account(Blake3, B256::ZERO, address, &[vec![0; 67]]);
    assert_eq!(refused, Err(ProofError::TooMany { count: 1, used: 0 }));
}
