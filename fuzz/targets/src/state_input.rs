//! Containers, genesis files, transactions, proofs, and blocks on witnesses.

use std::{convert::Infallible, sync::Arc};

use alloy_consensus::{
    Block, BlockBody, Header, SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702,
    TxEnvelope, TxLegacy, transaction::SignerRecoverable,
};
use alloy_eips::{Decodable2718, Encodable2718};
use alloy_primitives::{Address, B256, Signature, TxKind, U256, keccak256};
use executor::{Stateless, Witness, impersonated_signature};
use genesis::{Container, DevOptions, Genesis, SpecId};
use tree::{Blake3, Hash, HashFunction, Key, PartialTree, Stem, Tree, Update, Wanted, verify};
use vm::{Engine, Rules};

/// Any bytes as a container: refused, or its parts make the same bytes again.
pub(crate) fn container(bytes: &[u8]) {
    if let Ok(container) = Container::parse(bytes) {
        assert_eq!(container.encode().as_deref(), Ok(bytes));
    }
}

pub(crate) fn container_seeds() -> Vec<Vec<u8>> {
    let of = |image, tail| Container { image, tail }.encode().expect("it is small");
    vec![of(b"image", b""), of(b"image", b"tail"), of(b"", b"tail")]
}

/// Any text as a genesis file: refused with the place and the reason, or written back as read.
pub(crate) fn genesis(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Genesis::from_json(text) {
        Ok(genesis) => {
            let again = Genesis::from_json(&genesis.to_json()).expect("what was written is read");
            assert_eq!(again.to_json(), genesis.to_json());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

pub(crate) fn genesis_seeds() -> Vec<Vec<u8>> {
    let forks = [SpecId::FRONTIER, SpecId::LONDON, SpecId::OSAKA, SpecId::AMSTERDAM];
    let dev = |fork| Genesis::dev(DevOptions { fork, ..DevOptions::default() });
    forks.map(|fork| dev(fork).to_json().into_bytes()).to_vec()
}

/// Any bytes as a raw transaction: refused, or encoded as they came.
pub(crate) fn transaction(bytes: &[u8]) {
    let mut rest = bytes;
    let Ok(tx) = TxEnvelope::decode_2718(&mut rest) else { return };
    assert_eq!(tx.encoded_2718(), bytes[..bytes.len() - rest.len()]);
    // Whether the signature is anybody's is another question; asking it must not panic.
    drop(tx.recover_signer());
}

pub(crate) fn transaction_seeds() -> Vec<Vec<u8>> {
    transactions().iter().map(Encodable2718::encoded_2718).collect()
}

/// One transaction of each type.
pub(crate) fn transactions() -> [TxEnvelope; 5] {
    let signature = Signature::test_signature();
    [
        TxLegacy { gas_limit: 21_000, ..Default::default() }.into_signed(signature).into(),
        TxEip2930::default().into_signed(signature).into(),
        TxEip1559 { input: vec![7; 70].into(), ..Default::default() }.into_signed(signature).into(),
        TxEip4844 { blob_versioned_hashes: vec![B256::ZERO], ..Default::default() }
            .into_signed(signature)
            .into(),
        TxEip7702::default().into_signed(signature).into(),
    ]
}

/// Any bytes as a proof and as a part of a tree: refused, or read as what they say.
pub(crate) fn proof(bytes: &[u8]) {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let (zone, length) = if first & 1 == 0 { (0x00, 34) } else { (0xff, 66) };
    let mut key = [zone; 66];
    for (to, from) in key[1..length].iter_mut().zip(rest) {
        *to = *from;
    }
    let Some(key) = Key::parse(&key) else { return };
    // Nodes of sizes that the bytes choose, under the hash of the first one.
    let mut nodes = Vec::new();
    let mut left = rest;
    while let Some((&size, after)) = left.split_first() {
        let (node, after) = after.split_at(usize::from(size).min(after.len()));
        nodes.push(node);
        left = after;
    }
    if let Some(node) = nodes.first() {
        let _ = verify(Blake3, Blake3.hash(node), &[key], &nodes);
    }
    let Ok(mut part) = PartialTree::decode(rest) else { return };
    assert_eq!(part.encode(), rest);
    let root = part.root(Blake3);
    let proof = part.prove(Blake3, &[key]);
    if let Ok(found) = part.find(&key) {
        // What a part shows, its own proof shows, whatever else is wrong with it.
        assert_eq!(verify(Blake3, root, &[key], &proof), Ok(vec![found]));
    }
    let _ = part.update(&key, Some(Default::default()));
    let _ = part.update(&key, None);
}

/// Parts of a tree of some accounts, behind a byte that chooses a zone.
pub(crate) fn proof_seeds() -> Vec<Vec<u8>> {
    let mut keys: Vec<Key> = (0..12u8)
        .flat_map(|n| {
            let stem = Stem::of(Blake3, Address::repeat_byte(n));
            let slot = stem.slot(Blake3, Address::repeat_byte(n), U256::from(n) << (8 * n));
            [stem.header(0), stem.header(1), slot]
        })
        .collect();
    keys.sort();
    let leaf = |key: &Key| Update { key: *key, value: Some(B256::repeat_byte(key.sub())) };
    let mut tree = Tree::new(Blake3);
    tree.apply(&keys.iter().map(leaf).collect::<Vec<_>>());
    let part = |keys: &[Key]| {
        let wanted: Vec<_> = keys.iter().map(|key| Wanted { key: *key, removed: true }).collect();
        let value = &mut |key: &Key| Ok::<_, Infallible>(B256::repeat_byte(key.sub()));
        let part = tree.reveal(&wanted, value).expect("it is whole");
        [vec![0], part.encode()].concat()
    };
    vec![part(&keys[..1]), part(&keys[3..9]), part(&keys)]
}

/// Any bytes as the state of a block's witness: the block runs on it or is refused.
pub(crate) fn witness(bytes: &[u8]) {
    let Some((&choice, state)) = bytes.split_first() else { return };
    let Ok(part) = PartialTree::decode(state) else { return };
    let genesis = Genesis::dev(DevOptions { fork: SpecId::OSAKA, ..DevOptions::default() });
    let stateless = Stateless {
        engine: Engine::new(Arc::new(genesis.spec.clone())),
        rules: Rules::call(),
        hash: HashFunction::Blake3,
        impersonation: true,
    };
    let parent = genesis.header(part.root(Blake3));
    let header = alloy_rlp::encode(&parent);
    let head = Header {
        parent_hash: keccak256(&header),
        number: 1,
        timestamp: parent.timestamp + 1,
        ..parent
    };
    let [from, to] = [choice % 12, choice / 12].map(Address::repeat_byte);
    let transfer = TxLegacy {
        gas_limit: 100_000,
        to: TxKind::Call(to),
        value: U256::from(choice),
        input: state.iter().copied().take(64).collect::<Vec<u8>>().into(),
        ..Default::default()
    };
    let transactions = vec![transfer.into_signed(impersonated_signature(from)).into()];
    let block = Block::new(head, BlockBody { transactions, ..Default::default() });
    let (state, headers) = (state.to_vec().into(), vec![header.into()]);
    let witness = Witness { state, headers, ..Witness::default() };
    // No header fits what comes out, for nobody has computed it before.
    let refused = stateless.execute(&block, &witness).expect_err("the header holds no results");
    assert!(!refused.to_string().is_empty());
}
