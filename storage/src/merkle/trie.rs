//! A Merkle Patricia trie in memory whose versions share what they have in common.
//!
//! A clone costs a pointer; a change copies the nodes from the root to it, unless no other version
//! holds them. Hashes are computed when asked for, and kept.

use std::sync::{Arc, OnceLock};

use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_rlp::{EMPTY_STRING_CODE, Header};
use alloy_trie::{
    EMPTY_ROOT_HASH, Nibbles,
    nodes::{ExtensionNodeRef, LeafNodeRef, RlpNode},
};

/// What a leaf holds.
pub(crate) trait Value: Clone {
    /// The bytes that are hashed.
    fn encode(&self) -> Vec<u8>;
}

impl Value for U256 {
    fn encode(&self) -> Vec<u8> {
        alloy_rlp::encode(self)
    }
}

/// A trie over keys of 32 bytes.
#[derive(Clone, Debug)]
pub(crate) struct Trie<V>(Option<Arc<Node<V>>>);

#[derive(Debug)]
struct Node<V> {
    kind: Kind<V>,
    /// How the parent names it: its encoding, or from 32 bytes on the hash of that.
    reference: OnceLock<RlpNode>,
}

#[derive(Clone, Debug)]
enum Kind<V> {
    Leaf { path: Nibbles, value: V },
    Extension { path: Nibbles, child: Arc<Node<V>> },
    Branch { children: Children<V> },
}

/// The sides of a branch; keys have one length, so that none ends there.
type Children<V> = Box<[Option<Arc<Node<V>>>; 16]>;

impl<V: Clone> Clone for Node<V> {
    /// Only to change the copy: the reference is not taken over.
    fn clone(&self) -> Self {
        Self { kind: self.kind.clone(), reference: OnceLock::new() }
    }
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self(None)
    }
}

impl<V: Value> Trie<V> {
    /// The root's hash.
    pub(crate) fn root(&self) -> B256 {
        self.0.as_ref().map_or(EMPTY_ROOT_HASH, |root| {
            root.reference().as_hash().unwrap_or_else(|| keccak256(root.encode()))
        })
    }

    /// The value under `key`.
    pub(crate) fn get(&self, key: B256) -> Option<&V> {
        let mut path = Nibbles::unpack(key);
        let mut node = self.0.as_ref()?;
        loop {
            match &node.kind {
                Kind::Leaf { path: own, value } => return (*own == path).then_some(value),
                Kind::Extension { path: own, child } => {
                    if !path.starts_with(own) {
                        return None;
                    }
                    path = path.slice(own.len()..);
                    node = child;
                }
                Kind::Branch { children } => {
                    node = children[usize::from(path.first()?)].as_ref()?;
                    path = path.slice(1..);
                }
            }
        }
    }

    /// Puts `value` under `key`.
    pub(crate) fn insert(&mut self, key: B256, value: V) {
        let path = Nibbles::unpack(key);
        match &mut self.0 {
            Some(root) => insert(root, path, value),
            None => self.0 = Some(Node::leaf(path, value)),
        }
    }

    /// Takes `key` out.
    pub(crate) fn remove(&mut self, key: B256) {
        if self.get(key).is_none() {
            return;
        }
        self.0 = self.0.as_ref().and_then(|root| root.without(&Nibbles::unpack(key)));
    }

    /// The nodes on the way to `key`, the root first, as `eth_getProof` gives them (EIP-1186):
    /// those that are short enough to stand within their parent are not given apart.
    pub(crate) fn prove(&self, key: B256) -> Vec<Bytes> {
        let mut path = Nibbles::unpack(key);
        let mut proof = Vec::new();
        let mut next = self.0.as_ref();
        while let Some(node) = next {
            if proof.is_empty() || node.reference().is_hash() {
                proof.push(node.encode().into());
            }
            next = match &node.kind {
                Kind::Leaf { .. } => None,
                Kind::Extension { path: own, child } => {
                    let on_the_way = path.starts_with(own);
                    if on_the_way {
                        path = path.slice(own.len()..);
                    }
                    on_the_way.then_some(child)
                }
                Kind::Branch { children } => {
                    let side = path.first().and_then(|side| children[usize::from(side)].as_ref());
                    path = path.slice(1..);
                    side
                }
            };
        }
        proof
    }
}

impl<V: Value> Node<V> {
    fn new(kind: Kind<V>) -> Arc<Self> {
        Arc::new(Self { kind, reference: OnceLock::new() })
    }

    fn leaf(path: Nibbles, value: V) -> Arc<Self> {
        Self::new(Kind::Leaf { path, value })
    }

    fn reference(&self) -> &RlpNode {
        self.reference.get_or_init(|| RlpNode::from_rlp(&self.encode()))
    }

    fn encode(&self) -> Vec<u8> {
        match &self.kind {
            Kind::Leaf { path, value } => {
                alloy_rlp::encode(LeafNodeRef::new(path, &value.encode()))
            }
            Kind::Extension { path, child } => {
                alloy_rlp::encode(ExtensionNodeRef::new(path, child.reference().as_slice()))
            }
            Kind::Branch { children } => encode_branch(children),
        }
    }

    /// The trie below without the key that `path` leads to, which is there.
    fn without(&self, path: &Nibbles) -> Option<Arc<Self>> {
        match &self.kind {
            Kind::Leaf { .. } => None,
            Kind::Extension { path: own, child } => {
                child.without(&path.slice(own.len()..)).map(|child| join(*own, &child))
            }
            Kind::Branch { children } => {
                let side = usize::from(path.first()?);
                let mut children = children.clone();
                children[side] = children[side].as_ref()?.without(&path.slice(1..));
                let mut left = children.iter().enumerate().filter(|(_, child)| child.is_some());
                match (left.next(), left.next()) {
                    // A branch has two sides at least.
                    (Some((side, Some(child))), None) => {
                        Some(join(Nibbles::from_nibbles([side as u8]), child))
                    }
                    _ => Some(Self::new(Kind::Branch { children })),
                }
            }
        }
    }
}

/// Puts `value` below `slot`, at the end of `path`.
fn insert<V: Value>(slot: &mut Arc<Node<V>>, path: Nibbles, value: V) {
    let node = Arc::make_mut(slot);
    node.reference = OnceLock::new();
    let own = match &mut node.kind {
        Kind::Branch { children } => {
            let (side, rest) = (usize::from(path.get_unchecked(0)), path.slice(1..));
            match &mut children[side] {
                Some(child) => insert(child, rest, value),
                empty => *empty = Some(Node::leaf(rest, value)),
            }
            return;
        }
        Kind::Leaf { path: own, value: old } if *own == path => {
            *old = value;
            return;
        }
        Kind::Extension { path: own, child } if path.starts_with(own) => {
            insert(child, path.slice(own.len()..), value);
            return;
        }
        Kind::Leaf { path: own, .. } | Kind::Extension { path: own, .. } => *own,
    };
    // The ways part within the node's own path.
    let shared = own.common_prefix_length(&path);
    let mut children: Children<V> = Box::default();
    let old_rest = own.slice(shared + 1..);
    let old = match &node.kind {
        Kind::Leaf { value, .. } => Node::leaf(old_rest, value.clone()),
        Kind::Extension { child, .. } if old_rest.is_empty() => Arc::clone(child),
        Kind::Extension { child, .. } => {
            Node::new(Kind::Extension { path: old_rest, child: Arc::clone(child) })
        }
        Kind::Branch { .. } => return,
    };
    children[usize::from(own.get_unchecked(shared))] = Some(old);
    let new = Node::leaf(path.slice(shared + 1..), value);
    children[usize::from(path.get_unchecked(shared))] = Some(new);
    let branch = Kind::Branch { children };
    node.kind = match shared {
        0 => branch,
        _ => Kind::Extension { path: path.slice(..shared), child: Node::new(branch) },
    };
}

/// `child` behind `prefix`, in as few nodes as there can be.
fn join<V: Value>(prefix: Nibbles, child: &Arc<Node<V>>) -> Arc<Node<V>> {
    Node::new(match &child.kind {
        Kind::Leaf { path, value } => Kind::Leaf { path: prefix.join(path), value: value.clone() },
        Kind::Extension { path, child } => {
            Kind::Extension { path: prefix.join(path), child: Arc::clone(child) }
        }
        Kind::Branch { .. } => Kind::Extension { path: prefix, child: Arc::clone(child) },
    })
}

fn encode_branch<V: Value>(children: &Children<V>) -> Vec<u8> {
    let references = children.iter().map(|child| child.as_ref().map(|child| child.reference()));
    let size = |reference: Option<&RlpNode>| reference.map_or(1, |reference| reference.len());
    let payload_length = references.clone().map(size).sum::<usize>() + 1;
    let header = Header { list: true, payload_length };
    let mut out = Vec::with_capacity(header.length() + payload_length);
    header.encode(&mut out);
    for reference in references {
        match reference {
            Some(reference) => out.extend_from_slice(reference),
            None => out.push(EMPTY_STRING_CODE),
        }
    }
    out.push(EMPTY_STRING_CODE);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_trie::{HashBuilder, proof::verify_proof};
    use proptest::{collection::vec, prelude::*};
    use std::collections::BTreeMap;

    /// Few keys, so that they meet, with long shared prefixes, so that extensions split.
    fn key() -> impl Strategy<Value = B256> {
        (0u8..4, 0u8..4, 0u8..8).prop_map(|(first, middle, last)| {
            let mut key = B256::ZERO;
            key[0] = first << 4;
            key[15] = middle;
            key[31] = last;
            key
        })
    }

    fn naive_root(leaves: &BTreeMap<B256, U256>) -> B256 {
        let mut builder = HashBuilder::default();
        for (key, value) in leaves {
            builder.add_leaf(Nibbles::unpack(key), &alloy_rlp::encode(value));
        }
        builder.root()
    }

    proptest! {
        #[test]
        fn any_changes_give_the_root_of_the_leaves_left(
            changes in vec((key(), 0u64..3, any::<bool>()), 1..60)
        ) {
            let (mut trie, mut leaves) = (Trie::default(), BTreeMap::new());
            let mut versions = Vec::new();
            for (key, value, long) in changes {
                let value = if long { U256::MAX - U256::from(value) } else { U256::from(value) };
                if value.is_zero() {
                    leaves.remove(&key);
                    trie.remove(key);
                } else {
                    leaves.insert(key, value);
                    trie.insert(key, value);
                }
                prop_assert_eq!(trie.root(), naive_root(&leaves));
                prop_assert_eq!(trie.get(key), leaves.get(&key));
                versions.push((trie.clone(), trie.root(), leaves.clone(), key));
            }
            for (version, root, leaves, key) in versions {
                // What came later has not changed it, and it proves what it holds and what not.
                prop_assert_eq!(version.root(), root);
                prop_assert_eq!(naive_root(&leaves), root);
                for key in [key, B256::repeat_byte(1)] {
                    let value = leaves.get(&key).map(alloy_rlp::encode);
                    let proof = version.prove(key);
                    verify_proof(root, Nibbles::unpack(key), value, &proof).unwrap();
                }
            }
        }
    }

    #[test]
    fn an_empty_trie_has_the_known_root_and_no_proof() {
        let trie = Trie::<U256>::default();
        assert_eq!(trie.root(), EMPTY_ROOT_HASH);
        assert!(trie.prove(B256::ZERO).is_empty());
    }
}
