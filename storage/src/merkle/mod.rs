//! The Merkle Patricia trie of the state, beside the tree: for chains whose headers are as other
//! clients make them.
//!
//! It is kept in memory, made of the state at the start and changed with it. [`Merkle`] is one
//! version; a version is cheap to keep and to change, so that a state that might come can be asked
//! for its root.

mod trie;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::{KECCAK_EMPTY, TrieAccount};
use genesis::Genesis;
use parking_lot::Mutex;
use revm::{
    database::{BundleState, states::TransitionState},
    state::AccountInfo,
};

use std::collections::BTreeMap;
use tree::ProvenAccount;

use crate::{AccountProof, SlotProof, Snapshot, Store, StoreError, export::AccountLeaves};
use trie::{Trie, Value};

/// A state as a Merkle Patricia trie.
#[derive(Clone, Debug, Default)]
pub struct Merkle(Trie<Account>);

/// An account and what is in its storage.
#[derive(Clone, Debug)]
struct Account {
    nonce: u64,
    balance: U256,
    code_hash: B256,
    storage: Trie<U256>,
}

impl Value for Account {
    fn encode(&self) -> Vec<u8> {
        let Self { nonce, balance, code_hash, ref storage } = *self;
        alloy_rlp::encode(TrieAccount::new(nonce, balance, storage.root(), code_hash))
    }
}

/// What proves an account and some of its slots (EIP-1186).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MerkleProof {
    /// The nodes from the root to the account.
    pub account: Vec<Bytes>,
    /// Root of the account's storage.
    pub storage_root: B256,
    /// For each slot asked for, the nodes from the storage's root to it.
    pub slots: Vec<Vec<Bytes>>,
}

/// An account's change: none is left, or these fields and slots are set.
struct Change<'a, S> {
    info: Option<&'a AccountInfo>,
    /// Slots that are not set are gone.
    wiped: bool,
    slots: S,
}

impl Merkle {
    /// The trie of a genesis state.
    pub(crate) fn of_genesis(genesis: &Genesis) -> Self {
        let mut merkle = Self::default();
        for (address, account) in &genesis.alloc {
            let mut info = AccountInfo::from_balance(account.balance).with_nonce(account.nonce);
            info.code_hash = keccak256(&account.code);
            let slots =
                account.storage.iter().map(|(slot, value)| ((*slot).into(), (*value).into()));
            merkle.change(*address, Change { info: Some(&info), wiped: true, slots });
        }
        merkle
    }

    /// The trie of a state of these accounts.
    pub(crate) fn of_accounts(accounts: BTreeMap<Address, AccountLeaves>) -> Self {
        let mut merkle = Self::default();
        for (address, AccountLeaves { info, slots }) in accounts {
            let slots = slots.into_iter();
            merkle.change(address, Change { info: Some(&info), wiped: true, slots });
        }
        merkle
    }

    /// The trie of the state that `snapshot` sees; reads all of it.
    pub(crate) fn of_snapshot(snapshot: &Snapshot) -> Result<Self, StoreError> {
        let mut merkle = Self::default();
        for (address, info) in snapshot.accounts()? {
            let slots = snapshot.storage_of(address)?.into_iter();
            merkle.change(address, Change { info: Some(&info), wiped: true, slots });
        }
        Ok(merkle)
    }

    /// Takes the changes of a block or an edit over.
    pub fn apply(&mut self, changes: &BundleState) {
        for (address, account) in &changes.state {
            let slots = account.storage.iter().map(|(slot, value)| (*slot, value.present_value));
            let (info, wiped) = (account.info.as_ref(), account.status.was_destroyed());
            self.change(*address, Change { info, wiped, slots });
        }
    }

    /// Takes the changes of a transaction over.
    fn apply_transitions(&mut self, changes: &TransitionState) {
        for (address, account) in &changes.transitions {
            let slots = account.storage.iter().map(|(slot, value)| (*slot, value.present_value));
            let (info, wiped) = (account.info.as_ref(), account.storage_was_destroyed);
            self.change(*address, Change { info, wiped, slots });
        }
    }

    /// What says the state root after each of a block's transactions: it takes their changes over.
    pub fn into_roots(mut self) -> impl FnMut(&TransitionState) -> B256 {
        move |changes| {
            self.apply_transitions(changes);
            self.root()
        }
    }

    /// The state root.
    pub fn root(&self) -> B256 {
        self.0.root()
    }

    /// The proof of an account, there or not, and of some of its slots.
    pub fn prove(&self, address: Address, slots: &[U256]) -> MerkleProof {
        let key = keccak256(address);
        let storage = self.0.get(key).map(|account| account.storage.clone()).unwrap_or_default();
        let prove = |slot: &U256| storage.prove(keccak256(slot.to_be_bytes::<32>()));
        MerkleProof {
            account: self.0.prove(key),
            storage_root: storage.root(),
            slots: slots.iter().map(prove).collect(),
        }
    }

    fn change(&mut self, address: Address, change: Change<'_, impl Iterator<Item = (U256, U256)>>) {
        let key = keccak256(address);
        let Some(info) = change.info else { return self.0.remove(key) };
        let kept = self.0.get(key).filter(|_| !change.wiped);
        let mut storage = kept.map(|account| account.storage.clone()).unwrap_or_default();
        for (slot, value) in change.slots {
            let key = keccak256(slot.to_be_bytes::<32>());
            if value.is_zero() {
                storage.remove(key);
            } else {
                storage.insert(key, value);
            }
        }
        let AccountInfo { nonce, balance, code_hash, .. } = *info;
        let code_hash = if code_hash.is_zero() { KECCAK_EMPTY } else { code_hash };
        self.0.insert(key, Account { nonce, balance, code_hash, storage });
    }
}

impl Store {
    /// Returns accounts and slots as they are after a block, with the trie's nodes.
    pub(crate) fn prove_in_trie(
        &self,
        number: u64,
        targets: &[(Address, Vec<U256>)],
    ) -> Result<Vec<AccountProof>, StoreError> {
        let snapshot = Snapshot::sealed(self.0.clone(), number)?;
        let merkle = snapshot.merkle()?.ok_or(StoreError::Unprovable)?;
        let nodes = |proof: Vec<Bytes>| proof.into_iter().map(Vec::from).collect();
        let prove = |(address, slots): &(Address, Vec<U256>)| {
            let MerkleProof { account: proof, storage_root: root, slots: slot_proofs } =
                merkle.prove(*address, slots);
            let account = match snapshot.account(*address)? {
                Some(info) => Some(ProvenAccount {
                    nonce: info.nonce,
                    balance: info.balance.saturating_to(),
                    code_hash: info.code_hash,
                    code_size: snapshot.code(*address)?.len() as u32,
                }),
                None => None,
            };
            let slots = slots.iter().zip(slot_proofs).map(|(slot, proof)| {
                let value = snapshot.storage(*address, *slot)?;
                Ok(SlotProof { slot: *slot, value, proof: nodes(proof) })
            });
            let slots = slots.collect::<Result<_, StoreError>>()?;
            Ok(AccountProof { root, address: *address, account, proof: nodes(proof), slots })
        };
        targets.iter().map(prove).collect()
    }
}

/// Tries that readers asked for, by the root of the same state's binary tree: that of the newest
/// state, and the last one of another.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<[Option<(B256, Merkle)>; 2]>);

impl Kept {
    /// Keeps the trie of the newest state.
    pub(crate) fn put_newest(&self, root: B256, merkle: Merkle) {
        self.0.lock()[0] = Some((root, merkle));
    }

    /// The trie of the state whose tree has this root, made by `make` if it is not kept.
    pub(crate) fn find_or_make(
        &self,
        root: B256,
        make: impl FnOnce() -> Result<Merkle, StoreError>,
    ) -> Result<Merkle, StoreError> {
        let kept = self.0.lock().iter().flatten().find(|(of, _)| *of == root).cloned();
        if let Some((_, merkle)) = kept {
            return Ok(merkle);
        }
        let merkle = make()?;
        self.0.lock()[1] = Some((root, merkle.clone()));
        Ok(merkle)
    }
}
