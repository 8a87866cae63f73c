//! Proofs: the nodes on the way from the root to some keys, and their verification.
//!
//! A proof of some keys is the list of the nodes that the ways to them go through, each once, a
//! node before what is below it, and what is on the left before what is on the right. Each node is
//! given as the bytes that are hashed. `docs/spec/proofs.md` has all of it byte by byte.
//!
//! For a tree and a set of keys there is exactly one proof, so whatever is changed in one, is
//! missing or is too much, is an error. Nothing that comes in a proof makes the verifier panic.

use crate::{
    BasicData, Hash, KEY_LEN_MAX, Key, PartialTree, Stem, Value, delegation_target,
    partial::{Branch, Part},
    sub,
};
use alloc::{vec, vec::Vec};
use alloy_primitives::{Address, B256, U256, keccak256};

/// First byte of a leaf.
pub(crate) const LEAF: u8 = 0;
/// First byte of a branch.
pub(crate) const BRANCH: u8 = 1;
/// Bits of the longest key.
pub(crate) const BITS_MAX: u16 = KEY_LEN_MAX as u16 * 8;
/// Most nodes that lie on the way to one key.
pub const PROOF_LEN_MAX: usize = BITS_MAX as usize + 1;

/// Why a proof is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// A node does not hash to what its parent, or the root, says.
    #[error("node {index} hashes to {hash}, expected is {expected}")]
    Hash {
        /// Its place in the proof.
        index: usize,
        /// Its hash.
        hash: B256,
        /// The hash that it ought to have.
        expected: B256,
    },
    /// A node is neither a leaf nor a branch.
    #[error("node {index} is neither a leaf nor a branch")]
    Malformed {
        /// Its place in the proof.
        index: usize,
    },
    /// A leaf lies where its key does not belong.
    #[error("node {index} is a leaf in the wrong place")]
    Misplaced {
        /// Its place in the proof.
        index: usize,
    },
    /// The proof ends before the way does.
    #[error("the proof has {count} nodes, and more are needed")]
    Missing {
        /// Nodes in the proof.
        count: usize,
    },
    /// The proof goes on after its end.
    #[error("the proof has {count} nodes, of which only {used} belong to it")]
    TooMany {
        /// Nodes in the proof.
        count: usize,
        /// Nodes that the way needs.
        used: usize,
    },
    /// The keys asked for do not ascend.
    #[error("the keys to prove do not ascend")]
    Order,
    /// The leaves are proven, but are no account.
    #[error("the proven leaves are no account")]
    Account,
}

/// An account as its leaves prove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvenAccount {
    /// Nonce.
    pub nonce: u64,
    /// Balance in wei.
    pub balance: u128,
    /// Keccak hash of the code, of a delegation that of its 23 bytes.
    pub code_hash: B256,
    /// Size of the code in bytes.
    pub code_size: u32,
}

/// The keys whose leaves make an account's header, in order: a proof of an account is one of them.
pub fn account_keys<H: Hash>(hash: H, address: Address) -> [Key; 3] {
    let stem = Stem::of(hash, address);
    [sub::BASIC_DATA, sub::CODE_HASH, sub::DELEGATION].map(|field| stem.header(field))
}

/// Returns the account that a proof shows at `address`, `None` if it shows that there is none.
pub fn verify_account<H: Hash, N: AsRef<[u8]>>(
    hash: H,
    root: B256,
    address: Address,
    proof: &[N],
) -> Result<Option<ProvenAccount>, ProofError> {
    let leaves = verify(hash, root, &account_keys(hash, address), proof)?;
    let [basic, code_hash, delegation] = leaves[..] else { return Err(ProofError::Account) };
    let code_hash = match (code_hash, delegation) {
        (None, None) if basic.is_none() => return Ok(None),
        (Some(code_hash), None) => code_hash,
        (None, Some(leaf)) if delegation_target(leaf.as_slice()).is_some() => {
            keccak256(&leaf[..23])
        }
        _ => return Err(ProofError::Account),
    };
    // Basic data of 32 zero bytes has no leaf.
    let basic = BasicData::decode(&basic.unwrap_or_default()).map_err(|_| ProofError::Account)?;
    let BasicData { code_size, nonce, balance } = basic;
    Ok(Some(ProvenAccount { nonce, balance, code_hash, code_size }))
}

/// Returns the value that a proof shows in a storage slot, zero if it shows that there is none.
pub fn verify_slot<H: Hash, N: AsRef<[u8]>>(
    hash: H,
    root: B256,
    (address, slot): (Address, U256),
    proof: &[N],
) -> Result<U256, ProofError> {
    let key = Stem::of(hash, address).slot(hash, address, slot);
    let leaves = verify(hash, root, &[key], proof)?;
    Ok(leaves.first().copied().flatten().unwrap_or_default().into())
}

/// Returns what a proof shows of the leaves at `keys`, which ascend: their values, or their absence.
pub fn verify<H: Hash, N: AsRef<[u8]>>(
    hash: H,
    root: B256,
    keys: &[Key],
    proof: &[N],
) -> Result<Vec<Option<Value>>, ProofError> {
    if !keys.windows(2).all(|pair| pair[0] < pair[1]) {
        return Err(ProofError::Order);
    }
    let mut values = vec![None; keys.len()];
    let mut verifier = Verifier { hash, proof, used: 0 };
    if !root.is_zero() && !keys.is_empty() {
        verifier.check(root, 0, keys, &mut values)?;
    }
    let (count, used) = (proof.len(), verifier.used);
    if used < count { Err(ProofError::TooMany { count, used }) } else { Ok(values) }
}

struct Verifier<'a, H, N> {
    hash: H,
    proof: &'a [N],
    used: usize,
}

/// A node as it is hashed.
pub(crate) enum Node<'a> {
    Leaf { key: Key, value: Value },
    Branch { bits: u16, prefix: &'a [u8], sides: [B256; 2] },
}

impl<H: Hash, N: AsRef<[u8]>> Verifier<'_, H, N> {
    /// Checks the subtree that starts at bit `from`, and whose keys share the bits before it with
    /// `keys`. Each branch takes a bit at least, so the depth is bounded by the length of a key.
    fn check(
        &mut self,
        expected: B256,
        from: u16,
        keys: &[Key],
        values: &mut [Option<Value>],
    ) -> Result<(), ProofError> {
        let index = self.used;
        let missing = ProofError::Missing { count: self.proof.len() };
        let bytes = self.proof.get(index).ok_or(missing)?.as_ref();
        self.used += 1;
        let hash = self.hash.hash(bytes);
        if hash != expected {
            return Err(ProofError::Hash { index, hash, expected });
        }
        let node = Node::parse(bytes).ok_or(ProofError::Malformed { index })?;
        let (bits, prefix, sides) = match node {
            Node::Leaf { key, value } => {
                if keys.first().is_none_or(|first| first.common_bits(&key) < from) {
                    return Err(ProofError::Misplaced { index });
                }
                for (wanted, found) in keys.iter().zip(values) {
                    *found = (*wanted == key).then_some(value);
                }
                return Ok(());
            }
            Node::Branch { bits, prefix, sides } => (bits, prefix, sides),
        };
        let split = from.checked_add(bits).filter(|split| *split < BITS_MAX);
        let split = split.ok_or(ProofError::Malformed { index })?;
        let below = |key: &Key| split < key.bits() && key.has_bits(from, bits, prefix);
        // The keys below this branch are neighbours, for keys ascend.
        let first = keys.iter().position(below).unwrap_or(keys.len());
        let count = keys[first..].iter().take_while(|key| below(key)).count();
        let (keys, values) = (&keys[first..first + count], &mut values[first..first + count]);
        let middle = keys.partition_point(|key| !key.bit(split));
        let (left, right) = values.split_at_mut(middle);
        for (side, keys, values) in
            [(sides[0], &keys[..middle], left), (sides[1], &keys[middle..], right)]
        {
            if !keys.is_empty() {
                self.check(side, split + 1, keys, values)?;
            }
        }
        Ok(())
    }
}

impl<'a> Node<'a> {
    /// Reads the bytes of a node, all of them.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        match *bytes.first()? {
            LEAF => {
                let (key, value) = bytes[1..].split_last_chunk::<32>()?;
                Some(Self::Leaf { key: Key::raw(key)?, value: Value::new(*value) })
            }
            BRANCH => {
                let (count, rest) = bytes[1..].split_first_chunk()?;
                let bits = u16::from_be_bytes(*count);
                let (prefix, sides) = rest.split_at_checked(usize::from(bits.div_ceil(8)))?;
                let sides: &[u8; 64] = sides.try_into().ok()?;
                let (left, right) = sides.split_at(32);
                let sides = [B256::from_slice(left), B256::from_slice(right)];
                is_padded(prefix, bits).then_some(Self::Branch { bits, prefix, sides })
            }
            _ => None,
        }
    }
}

/// Whether the bits after the last one of a prefix are zero.
pub(crate) fn is_padded(prefix: &[u8], bits: u16) -> bool {
    let used = bits % 8;
    used == 0 || prefix.last().is_none_or(|last| last << used == 0)
}

/// The bytes that are hashed for a leaf.
fn leaf_node(key: &Key, value: &Value) -> Vec<u8> {
    [&[LEAF][..], key.as_slice(), value.as_slice()].concat()
}

/// The bytes that are hashed for a branch that starts at bit `from`.
pub(crate) fn branch_node(branch: &Branch, from: u16, (left, right): (B256, B256)) -> Vec<u8> {
    let bits = branch.split - from;
    let prefix_end = 3 + usize::from(bits.div_ceil(8));
    let mut node = vec![0; prefix_end + 64];
    node[0] = BRANCH;
    node[1..3].copy_from_slice(&bits.to_be_bytes());
    branch.sample.pack_bits(from, branch.split, &mut node[3..prefix_end]);
    node[prefix_end..prefix_end + 32].copy_from_slice(left.as_slice());
    node[prefix_end + 32..].copy_from_slice(right.as_slice());
    node
}

impl PartialTree {
    /// Returns the proof of the leaves at `keys`, which ascend and are shown, or shown to be
    /// absent: what [`verify`] takes.
    pub fn prove<H: Hash>(&self, hash: H, keys: &[Key]) -> Vec<Vec<u8>> {
        let mut proof = Vec::new();
        if let Some(root) = &self.root {
            prove(root, hash, (0, keys), &mut proof);
        }
        proof
    }
}

/// Adds the nodes on the ways to `keys`, and returns the hash of the subtree.
fn prove<H: Hash>(
    part: &Part,
    hash: H,
    (from, keys): (u16, &[Key]),
    proof: &mut Vec<Vec<u8>>,
) -> B256 {
    if keys.is_empty() {
        return part.hash(hash, from);
    }
    let at = proof.len();
    proof.push(Vec::new());
    let node = match part {
        // The caller's keys are not shown; the verifier will say so.
        Part::Hidden(hash) => {
            proof.pop();
            return *hash;
        }
        Part::Leaf(key, value) => leaf_node(key, value),
        Part::Branch(branch) => {
            let below = branch.split + 1;
            let side = |side: usize| {
                let on_side = keys.iter().filter(move |key| branch.side_of(key) == Some(side));
                on_side.copied().collect::<Vec<_>>()
            };
            let left = prove(&branch.sides[0], hash, (below, &side(0)), proof);
            let right = prove(&branch.sides[1], hash, (below, &side(1)), proof);
            branch_node(branch, from, (left, right))
        }
    };
    let own = hash.hash(&node);
    proof[at] = node;
    own
}
