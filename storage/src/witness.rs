//! What a block's execution reads and changes, and the part of the state that shows it.

use crate::{
    Snapshot, Store, StoreError,
    codec::{self, BLOCK_PART},
    past::StatePart,
};
use alloy_primitives::{Address, B256, Bytes, U256};
use parking_lot::Mutex;
use revm::{DatabaseRef, bytecode::Bytecode, state::AccountInfo};
use state::{Before, Holding};
use std::collections::{BTreeMap, BTreeSet};
use tree::{HashFunction, Key, Stem, Value, Wanted};

/// The state that a block was executed on, keeping account of what is read.
///
/// Run the block on it, turn its changes into leaves with it, and [`Recorder::finish`].
#[derive(Debug)]
pub struct Recorder {
    snapshot: Snapshot,
    number: u64,
    /// Leaves that the block changed.
    changed: BTreeSet<Key>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    keys: BTreeSet<Key>,
    accounts: BTreeMap<Address, BTreeSet<U256>>,
    codes: BTreeMap<B256, Bytes>,
    dropped: BTreeSet<B256>,
    oldest: Option<u64>,
}

/// What a block read, with the part of its parent's state that shows it.
#[derive(Debug)]
pub struct Recorded {
    /// The part of the state after the parent, without edits made since.
    pub part: StatePart,
    /// Leaves that edits changed between the parent and the block, with their new values.
    pub edits: Vec<(Key, Option<Value>)>,
    /// Accounts and slots that were read.
    pub accounts: BTreeMap<Address, BTreeSet<U256>>,
    /// Code that was read.
    pub codes: Vec<Bytes>,
    /// Hashes of code that loses its last holder.
    pub dropped: Vec<B256>,
    /// The oldest ancestor whose hash was read, if any was.
    pub oldest: Option<u64>,
}

impl Store {
    /// Returns the state that a block was executed on, to run it again.
    pub fn recorder(&self, number: u64) -> Result<Recorder, StoreError> {
        let snapshot = Snapshot::before(self.0.clone(), number)?;
        if snapshot.origin.forked.is_some() {
            return Err(StoreError::Unprovable);
        }
        let row = self.0.change_row(&snapshot.tx, number, BLOCK_PART)?;
        let changed = row.leaves.iter().map(|leaf| leaf.key).collect();
        Ok(Recorder { snapshot, number, changed, seen: Mutex::default() })
    }
}

impl Recorder {
    /// Returns what was read, and the part of the parent's state that shows it and all that the
    /// block's changes move.
    pub fn finish(self, store: &Store) -> Result<Recorded, StoreError> {
        let edits = self.edits()?;
        let Self { snapshot, number, changed, seen } = self;
        let Seen { keys, accounts, codes, dropped, oldest } = seen.into_inner();
        let mut wanted: BTreeMap<Key, bool> = keys.into_iter().map(|key| (key, false)).collect();
        for (key, value) in &edits {
            *wanted.entry(*key).or_default() |= value.is_none();
        }
        for key in changed {
            *wanted.entry(key).or_default() |= snapshot.leaf_at(&key, number)?.is_none();
        }
        let wanted: Vec<_> =
            wanted.into_iter().map(|(key, removed)| Wanted { key, removed }).collect();
        drop(snapshot);
        let part = store.state_part(number - 1, &wanted)?;
        let codes = codes.into_values().collect();
        let dropped = dropped.into_iter().collect();
        Ok(Recorded { part, edits, accounts, codes, dropped, oldest })
    }

    /// The leaves that edits between the parent and the block changed.
    fn edits(&self) -> Result<Vec<(Key, Option<Value>)>, StoreError> {
        let Snapshot { shared, tx, .. } = &self.snapshot;
        let mut keys = BTreeSet::new();
        let mut part = 0;
        while tx.value(shared.tables.changes, &codec::pair_key(self.number, part))?.is_some() {
            let row = shared.change_row(tx, self.number, part)?;
            keys.extend(row.leaves.iter().map(|leaf| leaf.key));
            part += 1;
        }
        let mut edits = Vec::new();
        for key in keys {
            let value = self.snapshot.leaf(&key)?;
            if value != self.snapshot.leaf_at(&key, self.number - 1)? {
                edits.push((key, value));
            }
        }
        Ok(edits)
    }

    fn saw_code(&self, code_hash: B256, code: &Bytes) {
        self.seen.lock().codes.entry(code_hash).or_insert_with(|| code.clone());
    }
}

impl DatabaseRef for &Recorder {
    type Error = StoreError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StoreError> {
        self.seen.lock().accounts.entry(address).or_default();
        state::account(Stem::of(Before::hash(*self), address), |key| Before::leaf(*self, key))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, StoreError> {
        let code = self.snapshot.code_by_hash_ref(code_hash)?;
        self.saw_code(code_hash, &code.original_bytes());
        Ok(code)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StoreError> {
        self.seen.lock().accounts.entry(address).or_default().insert(slot);
        let value = Before::leaf(*self, &state::slot_key(Before::hash(*self), address, slot))?;
        Ok(value.unwrap_or_default().into())
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StoreError> {
        let oldest = &mut self.seen.lock().oldest;
        *oldest = Some(oldest.map_or(number, |oldest| oldest.min(number)));
        self.snapshot.block_hash_ref(number)
    }
}

impl Before for Recorder {
    type Error = StoreError;

    fn hash(&self) -> HashFunction {
        self.snapshot.shared.hash
    }

    fn leaf(&self, key: &Key) -> Result<Option<Value>, StoreError> {
        self.seen.lock().keys.insert(*key);
        self.snapshot.leaf(key)
    }

    fn keys_from(&self, prefix: &[u8]) -> Result<Vec<Key>, StoreError> {
        let mut keys = Vec::new();
        for key in self.snapshot.keys_from(prefix)? {
            if self.snapshot.leaf(&key)?.is_some() {
                keys.push(key);
            }
        }
        // A key there is none of shows where the way to the prefix ends if nothing lies below it.
        let mut end = [0; tree::KEY_LEN_MAX];
        end[..prefix.len()].copy_from_slice(prefix);
        let mut seen = self.seen.lock();
        seen.keys.extend(Key::raw(&end));
        seen.keys.extend(&keys);
        Ok(keys)
    }

    fn code(&self, code_hash: B256) -> Result<Option<Bytes>, StoreError> {
        let Snapshot { shared, tx, .. } = &self.snapshot;
        let code = shared.code(tx, code_hash)?;
        if let Some(code) = &code {
            self.saw_code(code_hash, code);
        }
        Ok(code)
    }

    fn holder_count(&self, holding: &Holding<'_>) -> Result<u64, StoreError> {
        let loses_last = holding.change < 0 && self.loses_chunks(holding.code_hash)?;
        if loses_last {
            self.seen.lock().dropped.insert(holding.code_hash);
        }
        holding.count_by_leaves(self, loses_last)
    }
}

impl Recorder {
    /// Whether the block removed the chunks of a code.
    fn loses_chunks(&self, code_hash: B256) -> Result<bool, StoreError> {
        let Snapshot { shared, tx, .. } = &self.snapshot;
        let code = shared.code(tx, code_hash)?.ok_or(StoreError::MissingCode { code_hash })?;
        match state::code_leaves(shared.hash, code_hash, &code).next() {
            Some((key, _)) if self.changed.contains(&key) => {
                Ok(self.snapshot.leaf_at(&key, self.number)?.is_none())
            }
            _ => Ok(false),
        }
    }
}
