//! Any bytes as a proof and as a part of a tree: refused, or read as what they say, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tree::{Blake3, Hash, Key, PartialTree, verify};

fuzz_target!(|bytes: &[u8]| {
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
});
