//! A whole state as files, in the canonical form of EIP-8347 (draft of 2026-07-23): the leaves in
//! order of their keys, the addresses and slots that they are of, and the header that vouches for
//! them. `docs/spec/export.md` describes the files.

use crate::{DataDir, Fault, Merkle, StoreError, codec, store};
use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::{Decodable, Encodable, Header as RlpHeader};
use genesis::{Genesis, GenesisAccount};
use revm::state::AccountInfo;
use state::{LocalAccount, StateTree, is_empty_code};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};
use tree::{BasicData, HashFunction, Key, Stem, Update, Value, sub};

/// The leaves.
const SNAPSHOT_FILE: &str = "snapshot.pbt";
/// The addresses and slots.
const PREIMAGES_FILE: &str = "preimages.rlp";
/// The header of the block that the state is that of.
const HEADER_FILE: &str = "header.rlp";

/// An account and its storage, as leaves say.
#[derive(Debug, Clone)]
pub(crate) struct AccountLeaves {
    pub(crate) info: AccountInfo,
    pub(crate) slots: BTreeMap<U256, U256>,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exported {
    /// The block whose state it is.
    pub number: u64,
    /// The block's hash.
    pub hash: B256,
    /// Root of the binary tree.
    pub root: B256,
    /// Leaves.
    pub leaves: u64,
    /// Accounts.
    pub accounts: u64,
}

/// A state that was read, and holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The header of the block whose state it is.
    pub header: Header,
    /// Root of the binary tree.
    pub root: B256,
    /// The accounts.
    pub accounts: BTreeMap<Address, GenesisAccount>,
}

/// Why a state is not written, or what was read is none.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file is not what it must be.
    #[error("{}, byte {at}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Where in it.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// The newest block came out of a dump.
    #[error("block {number} came out of a dump: the state root in its header is not of this state")]
    Loaded {
        /// Its number.
        number: u64,
    },
    /// The state of the head has no header yet.
    #[error("{edits} changes were made since block {number}: mine a block, then export")]
    Edits {
        /// The newest block.
        number: u64,
        /// Changes since.
        edits: u32,
    },
    /// A forked chain has but a part of its state.
    #[error("a forked chain holds what was written on it, not the whole state: it has no export")]
    Forked,
    /// Leaves and preimages do not belong together.
    #[error("{what}: {subject}")]
    Mismatch {
        /// What is wrong.
        what: &'static str,
        /// With what.
        subject: String,
    },
    /// The state is not the one that the header vouches for.
    #[error("the {what} is {claimed}, but the leaves give {rebuilt}")]
    Root {
        /// Which root.
        what: &'static str,
        /// What is claimed.
        claimed: B256,
        /// What the leaves give.
        rebuilt: B256,
    },
    /// The database is damaged.
    #[error(transparent)]
    Damaged(#[from] Box<Fault>),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Fault> for ExportError {
    fn from(fault: Fault) -> Self {
        Self::Damaged(Box::new(fault))
    }
}

impl DataDir {
    /// Reads all accounts of the newest state, without the code of contracts.
    pub(crate) fn accounts(&self) -> Result<BTreeMap<Address, AccountLeaves>, StoreError> {
        let (mut header, mut slots) =
            (BTreeMap::new(), BTreeMap::<Stem, BTreeMap<U256, U256>>::new());
        let table = self.tables.leaves;
        let mut rows = self.tx.cursor(table)?;
        let mut row = rows.first()?;
        while let Some((bytes, value)) = row {
            let leaf = Key::parse(&bytes).zip(codec::read_word(&value));
            let (key, value) = leaf.ok_or_else(|| store::bad_row(table, &bytes))?;
            if let Some(stem) = key.stem() {
                match self.slot_of(&key)? {
                    Some(slot) => {
                        slots.entry(stem).or_default().insert(slot, value.into());
                    }
                    None => {
                        header.insert(key, value);
                    }
                }
            }
            row = rows.next()?;
        }
        let mut accounts = BTreeMap::new();
        let mut stems: Vec<_> = header.keys().filter_map(Key::stem).collect();
        stems.dedup();
        for stem in stems {
            let leaf = |key: &Key| Ok::<_, StoreError>(header.get(key).copied());
            let LocalAccount::There(info) = state::local_account(stem, leaf)? else { continue };
            let row = self.tx.value(self.tables.addresses, stem.0.as_slice())?;
            let address = row.as_deref().and_then(|row| Address::try_from(row).ok());
            let address =
                address.ok_or_else(|| store::bad_row(self.tables.addresses, stem.0.as_slice()))?;
            let slots = slots.remove(&stem).unwrap_or_default();
            accounts.insert(address, AccountLeaves { info, slots });
        }
        Ok(accounts)
    }

    /// The slot that a leaf holds, if it is one of a slot.
    fn slot_of(&self, key: &Key) -> Result<Option<U256>, StoreError> {
        let Some(group) = key.slot_group() else {
            let slot = (key.sub() >= sub::FIRST_SLOT).then(|| key.sub() - sub::FIRST_SLOT);
            return Ok(slot.map(U256::from));
        };
        let table = self.tables.slot_groups;
        let row = self.tx.value(table, group.as_slice())?;
        let row = row.as_deref().and_then(codec::read_slot_group);
        let (_, number) = row.ok_or_else(|| store::bad_row(table, group.as_slice()))?;
        Ok(Some((number << 8) | U256::from(key.sub())))
    }

    /// Writes the state of the newest block to files in the directory `to`.
    pub fn export(&self, to: &Path, forked: bool) -> Result<Exported, ExportError> {
        let (number, edits) = (self.head.number, self.head.edits);
        if forked {
            return Err(ExportError::Forked);
        }
        if edits > 0 {
            return Err(ExportError::Edits { number, edits });
        }
        if self.is_loaded(number) {
            return Err(ExportError::Loaded { number });
        }
        fs::create_dir_all(to).map_err(|source| ExportError::File { path: to.into(), source })?;
        let leaves = self.tx.size(self.tables.leaves).map_err(StoreError::from)?.rows;
        write_file(to.join(SNAPSHOT_FILE), |out| self.write_leaves(out, leaves))?;
        let accounts = self.accounts()?;
        write_file(to.join(PREIMAGES_FILE), |out| {
            for (address, account) in &accounts {
                out(&preimage_record(*address, account.slots.keys()))?;
            }
            Ok(())
        })?;
        let key = codec::number_key(number);
        let row = self.tx.value(self.tables.headers, &key).map_err(StoreError::from)?;
        let header = row.as_deref().and_then(|row| row.get(32..));
        let header = header.ok_or_else(|| store::bad_row(self.tables.headers, &key))?;
        write_file(to.join(HEADER_FILE), |out| out(header))?;
        store::sync_names(to)?;
        let (hash, root) = (self.head.hash, self.head.root);
        Ok(Exported { number, hash, root, leaves, accounts: accounts.len() as u64 })
    }

    fn write_leaves(&self, out: &mut Sink<'_>, count: u64) -> Result<(), ExportError> {
        out(self.head.root.as_slice())?;
        out(&count.to_be_bytes())?;
        let mut rows = self.tx.cursor(self.tables.leaves).map_err(StoreError::from)?;
        let mut row = rows.first().map_err(StoreError::from)?;
        while let Some((key, value)) = row {
            let leaf = codec::read_word(&value);
            out(&leaf_record(&key, leaf.ok_or_else(|| store::bad_row(self.tables.leaves, &key))?))?;
            row = rows.next().map_err(StoreError::from)?;
        }
        Ok(())
    }
}

type Sink<'a> = dyn FnMut(&[u8]) -> Result<(), ExportError> + 'a;

/// Writes a file through to the disk.
fn write_file(
    path: PathBuf,
    write: impl FnOnce(&mut Sink<'_>) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let failed = |source| ExportError::File { path: path.clone(), source };
    let mut file = BufWriter::new(File::create(&path).map_err(failed)?);
    write(&mut |bytes| file.write_all(bytes).map_err(failed))?;
    file.flush().and_then(|()| file.get_ref().sync_all()).map_err(failed)
}

fn leaf_record(key: &[u8], value: Value) -> Vec<u8> {
    let value = U256::from_be_bytes(value.0);
    let mut record = Vec::with_capacity(key.len() + 36);
    RlpHeader { list: true, payload_length: key.length() + value.length() }.encode(&mut record);
    key.encode(&mut record);
    value.encode(&mut record);
    record
}

fn preimage_record<'a>(address: Address, slots: impl Iterator<Item = &'a U256>) -> Vec<u8> {
    let mut list = Vec::new();
    slots.for_each(|slot| slot.encode(&mut list));
    let slots = RlpHeader { list: true, payload_length: list.len() };
    let payload_length = address.length() + slots.length() + list.len();
    let mut record = Vec::with_capacity(payload_length + 4);
    RlpHeader { list: true, payload_length }.encode(&mut record);
    address.encode(&mut record);
    slots.encode(&mut record);
    record.extend_from_slice(&list);
    record
}

/// Reads the files that [`DataDir::export`] wrote, or another client did, and checks them: the
/// leaves give the root that is claimed, and the header of a chain with the rules of `genesis`
/// vouches for them.
pub fn import(from: &Path, genesis: &Genesis) -> Result<Imported, ExportError> {
    let hash = state::tree_hash(genesis.spec.tree_hash);
    let header = read_header(from.join(HEADER_FILE))?;
    let (claimed, mut leaves) = read_leaves(from.join(SNAPSHOT_FILE))?;
    let updates: Vec<_> =
        leaves.iter().map(|(key, value)| Update { key: *key, value: Some(*value) }).collect();
    let rebuilt = StateTree::new(hash).apply(&updates);
    drop(updates);
    if claimed != rebuilt {
        return Err(ExportError::Root { what: "root of the snapshot", claimed, rebuilt });
    }
    let mut codes = BTreeMap::new();
    let mut accounts = BTreeMap::new();
    for (address, slots) in read_preimages(from.join(PREIMAGES_FILE))? {
        let account = take_account(hash, (address, &slots), (&mut leaves, &mut codes))?;
        accounts.insert(address, account);
    }
    for (code_hash, code) in &codes {
        for (key, _) in state::code_leaves(hash, *code_hash, code) {
            leaves.remove(&key);
        }
    }
    if let Some(key) = leaves.keys().next() {
        let subject = format!("{} leaves, the first at {key:?}", leaves.len());
        return Err(ExportError::Mismatch { what: "leaves of no account", subject });
    }
    let rebuilt = if genesis.spec.is_ethereum() {
        let genesis = Genesis { alloc: accounts.clone(), ..genesis.clone() };
        Merkle::of_genesis(&genesis).root()
    } else {
        rebuilt
    };
    if header.state_root != rebuilt {
        let claimed = header.state_root;
        return Err(ExportError::Root { what: "state root of the header", claimed, rebuilt });
    }
    Ok(Imported { header, root: claimed, accounts })
}

/// Takes the leaves of an account out of `leaves`.
fn take_account(
    hash: HashFunction,
    (address, slots): (Address, &[U256]),
    (leaves, codes): (&mut BTreeMap<Key, Value>, &mut BTreeMap<B256, Bytes>),
) -> Result<GenesisAccount, ExportError> {
    let mismatch = |what| ExportError::Mismatch { what, subject: address.to_string() };
    let stem = Stem::of(hash, address);
    let leaf = |key: &Key| Ok::<_, StoreError>(leaves.get(key).copied());
    let info = state::account(stem, leaf)?.ok_or_else(|| mismatch("an address without leaves"))?;
    let basic = leaves.remove(&stem.header(sub::BASIC_DATA)).unwrap_or_default();
    let size = BasicData::decode(&basic).map_err(|_| mismatch("no account"))?.code_size;
    leaves.remove(&stem.header(sub::CODE_HASH));
    leaves.remove(&stem.header(sub::DELEGATION));
    let code = match &info.code {
        Some(delegation) => delegation.original_bytes(),
        None if is_empty_code(info.code_hash) => Bytes::new(),
        None => match codes.entry(info.code_hash) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(place) => {
                let code = join_chunks(hash, (info.code_hash, size), leaves);
                let code =
                    code.ok_or_else(|| mismatch("the code's chunks do not give its hash"))?;
                place.insert(code).clone()
            }
        },
    };
    if code.len() != size as usize {
        return Err(mismatch("the code has another size"));
    }
    let mut storage = BTreeMap::new();
    for slot in slots {
        let value = leaves.remove(&state::slot_key(hash, address, *slot));
        let value = value.ok_or_else(|| mismatch("a slot without a leaf"))?;
        storage.insert(B256::from(*slot), value);
    }
    Ok(GenesisAccount { balance: info.balance, nonce: info.nonce, code, storage })
}

/// Puts code together from its chunks; nothing if it is another code.
fn join_chunks(
    hash: HashFunction,
    (code_hash, size): (B256, u32),
    leaves: &BTreeMap<Key, Value>,
) -> Option<Bytes> {
    let mut code = Vec::with_capacity(size as usize + 31);
    for index in 0..size.div_ceil(31) {
        // A chunk of zeros has no leaf.
        let chunk = leaves.get(&Key::chunk(hash, code_hash, index)).copied().unwrap_or_default();
        code.extend_from_slice(&chunk[1..]);
    }
    code.truncate(size as usize);
    let chunks_hold = state::code_leaves(hash, code_hash, &code)
        .all(|(key, chunk)| leaves.get(&key) == Some(&chunk));
    (keccak256(&code) == code_hash && chunks_hold).then(|| code.into())
}

fn read_header(path: PathBuf) -> Result<Header, ExportError> {
    let mut file = Content::read(path)?;
    let header = file.decode::<Header>("no header")?;
    file.finish()?;
    Ok(header)
}

fn read_leaves(path: PathBuf) -> Result<(B256, BTreeMap<Key, Value>), ExportError> {
    let mut file = Content::read(path)?;
    let root = B256::from_slice(file.take(32)?);
    let count = file.take(8)?.try_into().map_or(0, u64::from_be_bytes);
    let mut leaves = BTreeMap::new();
    let mut last = None;
    for _ in 0..count {
        let (key, value) = file.list(|record| {
            let bytes = RlpHeader::decode_bytes(record, false).map_err(|_| "no key of a leaf")?;
            let key = Key::parse(bytes).filter(|key| key.as_slice() == bytes);
            let value = U256::decode(record).ok().filter(|value| !value.is_zero());
            let key = key.ok_or("a key that is none of the state's")?;
            Ok((key, value.ok_or("no value of a leaf, or zero")?))
        })?;
        if last.is_some_and(|last| last >= key) {
            return Err(file.fault("the leaf before it comes after it in order"));
        }
        last = Some(key);
        leaves.insert(key, value.into());
    }
    file.finish()?;
    Ok((root, leaves))
}

fn read_preimages(path: PathBuf) -> Result<BTreeMap<Address, Vec<U256>>, ExportError> {
    let mut file = Content::read(path)?;
    let mut accounts: BTreeMap<Address, Vec<U256>> = BTreeMap::new();
    while !file.rest().is_empty() {
        let (address, slots) = file.list(|record| {
            let address = Address::decode(record).map_err(|_| "no address")?;
            let slots = Vec::<U256>::decode(record).map_err(|_| "no list of slots")?;
            let ascend = slots.is_sorted_by(|a, b| a < b);
            if ascend { Ok((address, slots)) } else { Err("the slots are not in order") }
        })?;
        if accounts.last_key_value().is_some_and(|(last, _)| *last >= address) {
            return Err(file.fault("the address before it comes after it in order"));
        }
        accounts.insert(address, slots);
    }
    Ok(accounts)
}

/// A file in memory, and how far it was read.
struct Content {
    path: PathBuf,
    bytes: Vec<u8>,
    at: usize,
}

impl Content {
    fn read(path: PathBuf) -> Result<Self, ExportError> {
        match fs::read(&path) {
            Ok(bytes) => Ok(Self { path, bytes, at: 0 }),
            Err(source) => Err(ExportError::File { path, source }),
        }
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    fn fault(&self, what: &'static str) -> ExportError {
        ExportError::Content { path: self.path.clone(), at: self.at, what }
    }

    fn take(&mut self, len: usize) -> Result<&[u8], ExportError> {
        if self.rest().len() < len {
            return Err(self.fault("the file is cut off"));
        }
        self.at += len;
        Ok(&self.bytes[self.at - len..self.at])
    }

    fn decode<T: Decodable>(&mut self, what: &'static str) -> Result<T, ExportError> {
        let mut rest = self.rest();
        let value = T::decode(&mut rest).map_err(|_| self.fault(what))?;
        self.at = self.bytes.len() - rest.len();
        Ok(value)
    }

    /// Reads the next list with `read`, which has to use all of it up.
    fn list<T>(
        &mut self,
        read: impl FnOnce(&mut &[u8]) -> Result<T, &'static str>,
    ) -> Result<T, ExportError> {
        let mut rest = self.rest();
        let Ok(mut payload) = RlpHeader::decode_bytes(&mut rest, true) else {
            return Err(self.fault("no list, or one that is cut off"));
        };
        let value = read(&mut payload).map_err(|what| self.fault(what))?;
        if !payload.is_empty() {
            return Err(self.fault("a list with too many elements"));
        }
        self.at = self.bytes.len() - rest.len();
        Ok(value)
    }

    fn finish(self) -> Result<(), ExportError> {
        if self.rest().is_empty() {
            Ok(())
        } else {
            Err(self.fault("the file goes on after its end"))
        }
    }
}
