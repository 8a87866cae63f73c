//! Read views of the state, at the head or after any older block.

use crate::{
    Mark, StoreError,
    codec::{self, BLOCK_PART, ChangeRow, Head, HistoryKey},
    database::Read,
    forked::Origin,
    merkle::Merkle,
    store::Shared,
};
use alloy_primitives::{Address, B256, Bytes, U256};
use revm::{DatabaseRef, bytecode::Bytecode, state::AccountInfo};
use state::{AccountFields, LocalAccount, Scratch};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::Arc,
};
use tree::{Key, Stem, Value};

/// A read view at one block; short-lived, for it keeps the database's old pages.
pub struct Snapshot {
    pub(crate) tx: Arc<Read>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) head: Head,
    pub(crate) origin: Arc<Origin>,
    /// The block after which the state is seen, or `None` at the head with the edits made since.
    at: Option<u64>,
    /// What the next block's own execution changed, as it was before that: there, the edits made
    /// between the two blocks are seen, too.
    undone: Option<HashMap<Key, Option<Value>>>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("number", &self.number()).finish_non_exhaustive()
    }
}

impl Snapshot {
    pub(crate) fn live(shared: Arc<Shared>) -> Result<Self, StoreError> {
        let (tx, origin) = shared.read()?;
        let head = shared.head(&tx)?;
        Ok(Self { tx, shared, head, origin, at: None, undone: None })
    }

    /// A view of the state after a block, with the edits made before the next one.
    pub(crate) fn at(shared: Arc<Shared>, number: u64) -> Result<Self, StoreError> {
        let mut snapshot = Self::live(shared)?;
        snapshot.check_kept(number)?;
        if number != snapshot.head.number {
            snapshot.at = Some(number);
            if snapshot.is_edited(number)? {
                snapshot.undo(number + 1)?;
            }
        }
        Ok(snapshot)
    }

    /// A view of the state after a block, without the edits made since.
    pub(crate) fn sealed(shared: Arc<Shared>, number: u64) -> Result<Self, StoreError> {
        let mut snapshot = Self::live(shared)?;
        snapshot.check_kept(number)?;
        snapshot.at = Some(number);
        Ok(snapshot)
    }

    pub(crate) fn before(shared: Arc<Shared>, number: u64) -> Result<Self, StoreError> {
        let mut snapshot = Self::live(shared)?;
        snapshot.check_kept(number)?;
        if number == snapshot.first() {
            return Err(snapshot.not_kept(number));
        }
        if snapshot.is_loaded(number)? {
            // Nobody knows the state before the oldest one that the file told.
            snapshot.check_history(number - 1)?;
        }
        snapshot.at = Some(number - 1);
        snapshot.undo(number)?;
        Ok(snapshot)
    }

    /// Whether there are edits between a block and the next one.
    fn is_edited(&self, number: u64) -> Result<bool, StoreError> {
        let first = codec::pair_key(number + 1, 0);
        Ok(self.tx.value(self.shared.tables.changes, &first)?.is_some())
    }

    /// Has the view show the state that a block was executed on.
    fn undo(&mut self, number: u64) -> Result<(), StoreError> {
        let row = self.shared.change_row(&self.tx, number, BLOCK_PART)?;
        self.undone = Some(row.leaves.iter().map(|leaf| (leaf.key, leaf.old)).collect());
        Ok(())
    }

    fn check_kept(&self, number: u64) -> Result<(), StoreError> {
        if !(self.first()..=self.head.number).contains(&number) {
            return Err(self.not_kept(number));
        }
        self.check_history(number)
    }

    /// Demands that the state of a block is kept.
    pub(crate) fn check_history(&self, number: u64) -> Result<(), StoreError> {
        self.shared.check_history(&self.tx, (number, self.head.number))
    }

    /// Returns the oldest block whose state is kept.
    pub fn oldest_state(&self) -> Result<u64, StoreError> {
        Ok(self.shared.pruned(&self.tx)?.kept.max(self.first()))
    }

    pub(crate) fn not_kept(&self, asked: u64) -> StoreError {
        StoreError::BlockNotKept { asked, first: self.first(), head: self.head.number }
    }

    /// Returns the number of the newest block.
    pub const fn head(&self) -> u64 {
        self.head.number
    }

    /// Returns the number of the oldest block.
    pub fn first(&self) -> u64 {
        self.origin.first
    }

    /// Returns the block after which the state is seen.
    pub fn number(&self) -> u64 {
        self.at.unwrap_or(self.head.number)
    }

    /// Returns the root of the newest state, edits included.
    pub const fn live_root(&self) -> B256 {
        self.head.root
    }

    /// Returns the root of the binary tree of this state, which the header has too unless the
    /// chain's headers are as other clients make them; below the head, without edits.
    pub fn tree_root(&self) -> Result<B256, StoreError> {
        match self.at {
            None => Ok(self.head.root),
            Some(at) if self.origin.merkle || self.is_loaded(at)? => {
                Ok(self.shared.change_row(&self.tx, at, BLOCK_PART)?.root)
            }
            Some(at) => {
                let header = self.header(at)?.ok_or_else(|| self.not_kept(at))?;
                Ok(header.state_root)
            }
        }
    }

    /// Returns this state as a Merkle trie, on a chain whose headers need one; not of a view with
    /// edits below the head. For the newest state it is at hand, for an older one the state is read.
    pub fn merkle(&self) -> Result<Option<Merkle>, StoreError> {
        if !self.origin.merkle || self.undone.is_some() {
            return Ok(None);
        }
        let root = self.tree_root()?;
        self.shared.merkles.find_or_make(root, || Merkle::of_snapshot(self)).map(Some)
    }

    /// Returns the mark after a block and all edits that were made on top of it.
    pub fn mark_with_edits(&self, number: u64) -> Result<Mark, StoreError> {
        if number >= self.head.number {
            return Ok(Mark { number, edits: self.head.edits });
        }
        let mut rows = self.tx.cursor(self.shared.tables.changes)?;
        rows.seek(&codec::pair_key(number + 1, BLOCK_PART))?;
        let before = rows.previous()?.and_then(|(key, _)| codec::read_pair(&key));
        let edits = before.filter(|place| place.0 == number + 1).map_or(0, |place| place.1 + 1);
        Ok(Mark { number, edits })
    }

    /// Returns how many edits have been made since the newest block.
    pub const fn edits(&self) -> u32 {
        self.head.edits
    }

    /// Returns an account; its code is loaded only for delegations.
    pub fn account(&self, address: Address) -> Result<Option<AccountInfo>, StoreError> {
        let stem = Stem::of(self.shared.hash, address);
        self.origin.account(address, self.account_at(stem)?)
    }

    pub(crate) fn account_at(&self, stem: Stem) -> Result<LocalAccount, StoreError> {
        // It is asked for twice.
        let code_hash = self.leaf(&stem.header(tree::sub::CODE_HASH))?;
        state::local_account(stem, |key| match key.sub() {
            tree::sub::CODE_HASH => Ok(code_hash),
            _ => self.leaf(key),
        })
    }

    /// Returns a storage slot.
    pub fn storage(&self, address: Address, slot: U256) -> Result<U256, StoreError> {
        self.origin.slot(self.shared.hash, (address, slot), |key| self.leaf(key))
    }

    /// Returns the code of an account, empty if there is none.
    pub fn code(&self, address: Address) -> Result<Bytes, StoreError> {
        match self.account(address)? {
            Some(info) => Ok(self.code_of(&info)?.original_bytes()),
            None => Ok(Bytes::new()),
        }
    }

    fn code_of(&self, info: &AccountInfo) -> Result<Bytecode, StoreError> {
        match &info.code {
            Some(code) => Ok(code.clone()),
            None => self.code_by_hash_ref(info.code_hash),
        }
    }

    /// Returns a leaf: the value before the first later block that changed it, or the newest one.
    pub(crate) fn leaf(&self, key: &Key) -> Result<Option<Value>, StoreError> {
        match (self.at, &self.undone) {
            (None, _) => self.shared.leaf(&self.tx, key),
            (Some(at), None) => self.leaf_at(key, at),
            (Some(at), Some(undone)) => match undone.get(key) {
                Some(value) => Ok(*value),
                None => self.leaf_at(key, at + 1),
            },
        }
    }

    /// Returns a leaf as it is after block `at`.
    pub(crate) fn leaf_at(&self, key: &Key, at: u64) -> Result<Option<Value>, StoreError> {
        let table = self.shared.tables.history;
        let from = HistoryKey::new(key, at + 1);
        if let Some((row_key, old)) = self.tx.cursor(table)?.seek(from.as_slice())?
            && row_key.starts_with(key.as_slice())
        {
            let old = codec::read_old_value(&old);
            return old.ok_or_else(|| self.shared.bad_row(table, &row_key));
        }
        self.shared.leaf(&self.tx, key)
    }

    /// Returns all accounts; reads the whole state. Of a forked chain those that it has written,
    /// removed ones being empty.
    pub fn accounts(&self) -> Result<BTreeMap<Address, AccountInfo>, StoreError> {
        let table = self.shared.tables.addresses;
        let mut accounts = BTreeMap::new();
        if self.origin.forked.is_some() {
            for address in self.written_addresses()? {
                accounts.insert(address, self.account(address)?.unwrap_or_default());
            }
            return Ok(accounts);
        }
        for stem in self.stems()? {
            let LocalAccount::There(info) = self.account_at(stem)? else { continue };
            let address = self.tx.value(table, stem.0.as_slice())?;
            let address = address.filter(|row| row.len() == 20);
            let address = address.ok_or_else(|| self.shared.bad_row(table, stem.0.as_slice()))?;
            accounts.insert(Address::from_slice(&address), info);
        }
        Ok(accounts)
    }

    /// Every address that was ever written, unless it was undone.
    pub(crate) fn written_addresses(&self) -> Result<BTreeSet<Address>, StoreError> {
        let table = self.shared.tables.addresses;
        let mut rows = self.tx.cursor(table)?;
        let mut addresses = BTreeSet::new();
        let mut row = rows.first()?;
        while let Some((stem, address)) = row {
            let address = Address::try_from(&*address);
            addresses.insert(address.map_err(|_| self.shared.bad_row(table, &stem))?);
            row = rows.next()?;
        }
        Ok(addresses)
    }

    /// Every group of slots that was ever written.
    pub(crate) fn written_slot_groups(&self) -> Result<Vec<(Address, U256)>, StoreError> {
        let table = self.shared.tables.slot_groups;
        let mut rows = self.tx.cursor(table)?;
        let mut groups = Vec::new();
        let mut row = rows.first()?;
        while let Some((hash, value)) = row {
            let group = codec::read_slot_group(&value);
            groups.push(group.ok_or_else(|| self.shared.bad_row(table, &hash))?);
            row = rows.next()?;
        }
        Ok(groups)
    }

    /// Every account there is, or was.
    fn stems(&self) -> Result<BTreeSet<Stem>, StoreError> {
        let keys = self.keys_from(&[tree::HEADER_ZONE])?;
        Ok(keys.iter().filter_map(Key::stem).collect())
    }

    /// Returns all slots of an account that are not zero. Of a forked chain those that it has
    /// written, zero or not.
    pub fn storage_of(&self, address: Address) -> Result<BTreeMap<U256, U256>, StoreError> {
        let stem = Stem::of(self.shared.hash, address);
        let mut keys = self.keys_from(&stem.header_prefix())?;
        keys.retain(|key| key.sub() >= tree::sub::FIRST_SLOT);
        keys.extend(self.keys_from(&stem.storage_prefix())?);
        let keeps_zeros = self.origin.forked.is_some();
        let mut slots = BTreeMap::new();
        for key in keys {
            if let Some(value) = self.leaf(&key)?.filter(|value| keeps_zeros || !value.is_zero()) {
                slots.insert(self.slot_of(&key)?, value.into());
            }
        }
        Ok(slots)
    }

    fn slot_of(&self, key: &Key) -> Result<U256, StoreError> {
        let Some(group) = key.slot_group() else {
            return Ok(U256::from(key.sub() - tree::sub::FIRST_SLOT));
        };
        let table = self.shared.tables.slot_groups;
        let row = self.shared.decode(&self.tx, table, group.as_slice(), codec::read_slot_group)?;
        let (_, group_number) = row.ok_or_else(|| self.shared.bad_row(table, group.as_slice()))?;
        Ok((group_number << 8) | U256::from(key.sub()))
    }

    /// Keys that start with `prefix` and have a leaf now, or had one after the block looked at.
    pub(crate) fn keys_from(&self, prefix: &[u8]) -> Result<BTreeSet<Key>, StoreError> {
        let tables = &self.shared.tables;
        let mut keys = BTreeSet::new();
        let past = self.at.map(|_| tables.history);
        for table in std::iter::once(tables.leaves).chain(past) {
            let mut rows = self.tx.cursor(table)?;
            let mut row = rows.seek(prefix)?;
            while let Some((key, _)) = row.filter(|(key, _)| key.starts_with(prefix)) {
                let parsed = Key::parse(&key);
                keys.insert(parsed.ok_or_else(|| self.shared.bad_row(table, &key))?);
                row = rows.next()?;
            }
        }
        Ok(keys)
    }

    /// Returns the accounts that differ from what they were after block `from`.
    pub fn changed_accounts(&self, from: u64) -> Result<BTreeSet<Address>, StoreError> {
        let to = self.number();
        self.check_history(from)?;
        let table = self.shared.tables.changes;
        let mut old = BTreeMap::new();
        let mut rows = self.tx.cursor(table)?;
        let mut row = rows.seek(&codec::pair_key(from + 1, 0))?;
        while let Some((key, value)) = row {
            let bad_row = || self.shared.bad_row(table, &key);
            let (number, _) = codec::read_pair(&key).ok_or_else(bad_row)?;
            if number > to {
                break;
            }
            for leaf in ChangeRow::decode(&value).ok_or_else(bad_row)?.leaves {
                old.entry(leaf.key).or_insert(leaf.old);
            }
            row = rows.next()?;
        }
        let mut changed = BTreeSet::new();
        for (key, value) in old {
            if self.leaf(&key)? != value
                && let Some(address) = self.address_of(&key)?
            {
                changed.insert(address);
            }
        }
        Ok(changed)
    }

    /// The account that a leaf belongs to; none for code, which accounts share.
    fn address_of(&self, key: &Key) -> Result<Option<Address>, StoreError> {
        let Some(stem) = key.stem() else { return Ok(None) };
        let row = self.tx.value(self.shared.tables.addresses, stem.0.as_slice())?;
        Ok(row.filter(|row| row.len() == 20).map(|row| Address::from_slice(&row)))
    }

    /// Rebuilds the state root out of accounts, slots and code, without looking at the tree.
    pub fn rebuild_root(&self) -> Result<B256, StoreError> {
        if self.origin.forked.is_some() {
            return self.forked_root();
        }
        let mut leaves = Scratch::new(self.shared.hash);
        for (address, info) in self.accounts()? {
            let code = self.code_of(&info)?;
            let fields = AccountFields {
                nonce: info.nonce,
                balance: info.balance,
                code: code.original_byte_slice(),
            };
            leaves.add_account(address, &fields)?;
            for (slot, value) in self.storage_of(address)? {
                leaves.add_slot(address, slot, value);
            }
        }
        Ok(leaves.root())
    }
}

impl DatabaseRef for Snapshot {
    type Error = StoreError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StoreError> {
        self.account(address)
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, StoreError> {
        if let Some(code) = self.shared.code_cache.find(code_hash) {
            return Ok(code);
        }
        let code = match (self.shared.code(&self.tx, code_hash)?, &self.origin.forked) {
            (Some(code), _) => state::bytecode(code),
            (None, Some(forked)) => forked.code_by_hash_ref(code_hash)?,
            (None, None) => return Err(StoreError::MissingCode { code_hash }),
        };
        self.shared.code_cache.insert(code_hash, code.clone());
        Ok(code)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StoreError> {
        self.storage(address, slot)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StoreError> {
        match (self.shared.block_hash(&self.tx, number)?, &self.origin.forked) {
            (Some(hash), _) => Ok(hash),
            (None, Some(forked)) if number < self.first() => forked.block_hash_ref(number),
            (None, _) => Ok(B256::ZERO),
        }
    }
}
