//! The bytes of keys and values. Numbers are big endian, so that rows lie in their order.

use crate::{Mark, StoredReceipt, TxLocation, TxReceipt, dumped_transaction, tables::meta};
use alloy_consensus::{Eip658Value, Header, Receipt, TxEnvelope, TxType};
use alloy_eips::{
    Decodable2718, Encodable2718,
    eip4895::{Withdrawal, Withdrawals},
};
use alloy_primitives::{Address, B256, Bytes, Log, U256};
use alloy_rlp::{Decodable, Encodable};
use tree::{Fold, Hash, HashFunction, KEY_LEN_MAX, Key, Value};

/// The part of a block's changes that its own execution made; edits before it count from 0.
pub(crate) const BLOCK_PART: u32 = u32::MAX;

/// A number on its own.
pub(crate) const fn number_key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

/// Block and index of a transaction, or block and part of a change.
pub(crate) fn pair_key(number: u64, second: u32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&number.to_be_bytes());
    key[8..].copy_from_slice(&second.to_be_bytes());
    key
}

/// Reads what [`pair_key`] wrote.
pub(crate) fn read_pair(bytes: &[u8]) -> Option<(u64, u32)> {
    let (number, second) = bytes.split_first_chunk()?;
    Some((u64::from_be_bytes(*number), u32::from_be_bytes(second.try_into().ok()?)))
}

/// A key of the table `history`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HistoryKey {
    bytes: [u8; KEY_LEN_MAX + 8],
    len: usize,
}

impl HistoryKey {
    pub(crate) fn new(key: &Key, number: u64) -> Self {
        let leaf = key.as_slice();
        let mut bytes = [0; KEY_LEN_MAX + 8];
        bytes[..leaf.len()].copy_from_slice(leaf);
        bytes[leaf.len()..leaf.len() + 8].copy_from_slice(&number.to_be_bytes());
        Self { bytes, len: leaf.len() + 8 }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Reads an old value; no bytes stand for no leaf.
pub(crate) fn read_old_value(bytes: &[u8]) -> Option<Option<Value>> {
    match bytes.len() {
        0 => Some(None),
        32 => Some(Some(B256::from_slice(bytes))),
        _ => None,
    }
}

/// Reads 32 bytes.
pub(crate) fn read_word(bytes: &[u8]) -> Option<B256> {
    bytes.try_into().ok().map(|word: [u8; 32]| B256::new(word))
}

/// Reads 8 bytes.
pub(crate) fn read_number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

/// Bytes of a check.
const CHECK_LEN: usize = 4;

/// Puts a check of key and value behind a value that nothing else in the database tells: the first
/// bytes of BLAKE3.
pub(crate) fn checked(key: &[u8], value: &[u8]) -> Vec<u8> {
    let check = HashFunction::Blake3.hash(&[key, value].concat());
    [value, &check[..CHECK_LEN]].concat()
}

/// Reads the value of a row that [`checked`] made.
pub(crate) fn read_checked<'a>(key: &[u8], row: &'a [u8]) -> Option<&'a [u8]> {
    let value = &row[..row.len().checked_sub(CHECK_LEN)?];
    (checked(key, value) == row).then_some(value)
}

/// A row of `savepoints`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SavepointRow {
    pub(crate) mark: Mark,
    /// Rows of `pool_undo` that there were.
    pub(crate) undo: u64,
    pub(crate) settings: Vec<u8>,
}

impl SavepointRow {
    pub(crate) fn encode(&self, id: u64) -> Vec<u8> {
        let place = pair_key(self.mark.number, self.mark.edits);
        let value = [&place[..], &self.undo.to_be_bytes(), &self.settings].concat();
        checked(&number_key(id), &value)
    }

    pub(crate) fn decode(key: &[u8], row: &[u8]) -> Option<Self> {
        let (place, rest) = read_checked(key, row)?.split_at_checked(12)?;
        let (number, edits) = read_pair(place)?;
        let (undo, settings) = rest.split_at_checked(8)?;
        let mark = Mark { number, edits };
        Some(Self { mark, undo: read_number(undo)?, settings: settings.to_vec() })
    }
}

/// Hash of a waiting transaction and its row in `pool` before a change, if it had one.
pub(crate) fn pool_undo_row(position: u64, hash: B256, before: &[u8]) -> Vec<u8> {
    checked(&number_key(position), &[hash.as_slice(), before].concat())
}

/// Reads what [`pool_undo_row`] wrote.
pub(crate) fn read_pool_undo<'a>(key: &[u8], row: &'a [u8]) -> Option<(B256, Option<&'a [u8]>)> {
    let (hash, before) = read_checked(key, row)?.split_at_checked(32)?;
    Some((read_word(hash)?, (!before.is_empty()).then_some(before)))
}

/// The newest block and the state at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) number: u64,
    pub(crate) hash: B256,
    /// Root of the leaves, edits included.
    pub(crate) root: B256,
    /// Edits made since the block.
    pub(crate) edits: u32,
}

impl Head {
    pub(crate) fn encode(&self) -> [u8; 76] {
        let mut row = [0; 76];
        row[..8].copy_from_slice(&self.number.to_be_bytes());
        row[8..40].copy_from_slice(self.hash.as_slice());
        row[40..72].copy_from_slice(self.root.as_slice());
        row[72..].copy_from_slice(&self.edits.to_be_bytes());
        row
    }

    pub(crate) fn decode(row: &[u8]) -> Option<Self> {
        let row: &[u8; 76] = row.try_into().ok()?;
        Some(Self {
            number: read_number(&row[..8])?,
            hash: B256::from_slice(&row[8..40]),
            root: B256::from_slice(&row[40..72]),
            edits: u32::from_be_bytes(row[72..].try_into().ok()?),
        })
    }
}

/// How much of the history was let go of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pruned {
    /// The oldest block whose state is kept; changes of older blocks are gone, or are to go.
    pub(crate) kept: u64,
    /// How many leaves of the oldest change row have lost their rows in `history`.
    pub(crate) done: u32,
}

impl Pruned {
    pub(crate) fn encode(&self) -> Vec<u8> {
        checked(meta::PRUNED, &pair_key(self.kept, self.done))
    }

    pub(crate) fn decode(row: &[u8]) -> Option<Self> {
        read_pair(read_checked(meta::PRUNED, row)?).map(|(kept, done)| Self { kept, done })
    }
}

/// A leaf in a change row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChangedLeaf {
    pub(crate) key: Key,
    /// Value before the change.
    pub(crate) old: Option<Value>,
    /// Whether this part is the first of its block that changes the leaf: it has the history row.
    pub(crate) first: bool,
}

/// One part of a block's changes, enough to undo it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChangeRow {
    pub(crate) root_before: B256,
    pub(crate) root: B256,
    pub(crate) leaves: Vec<ChangedLeaf>,
}

const OLD_FLAG: u8 = 1;
const FIRST_FLAG: u8 = 2;

impl ChangeRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(64 + self.leaves.len() * (KEY_LEN_MAX + 33));
        row.extend_from_slice(self.root_before.as_slice());
        row.extend_from_slice(self.root.as_slice());
        for leaf in &self.leaves {
            row.extend_from_slice(leaf.key.as_slice());
            let first = if leaf.first { FIRST_FLAG } else { 0 };
            match leaf.old {
                Some(old) => {
                    row.push(first | OLD_FLAG);
                    row.extend_from_slice(old.as_slice());
                }
                None => row.push(first),
            }
        }
        row
    }

    pub(crate) fn decode(row: &[u8]) -> Option<Self> {
        let (root_before, rest) = row.split_at_checked(32)?;
        let (root, mut rest) = rest.split_at_checked(32)?;
        let mut leaves = Vec::new();
        while !rest.is_empty() {
            let key = Key::parse(rest)?;
            let (flags, after) = rest[key.as_slice().len()..].split_first()?;
            rest = after;
            let mut old = None;
            if flags & OLD_FLAG != 0 {
                let (value, after) = rest.split_at_checked(32)?;
                (old, rest) = (read_word(value), after);
            }
            leaves.push(ChangedLeaf { key, old, first: flags & FIRST_FLAG != 0 });
        }
        Some(Self { root_before: read_word(root_before)?, root: read_word(root)?, leaves })
    }
}

/// Shared bits, number of leaves, and the two hashes of a subtree.
pub(crate) fn fold_row(fold: &Fold) -> Vec<u8> {
    let mut row = [0; 70];
    row[..2].copy_from_slice(&fold.bits.to_be_bytes());
    row[2..6].copy_from_slice(&fold.count.to_be_bytes());
    row[6..38].copy_from_slice(fold.hashes[0].as_slice());
    row[38..].copy_from_slice(fold.hashes[1].as_slice());
    checked(fold.key.as_slice(), &row)
}

/// Reads what [`fold_row`] wrote.
pub(crate) fn read_fold(key: &[u8], row: &[u8]) -> Option<Fold> {
    let row: &[u8; 70] = read_checked(key, row)?.try_into().ok()?;
    Some(Fold {
        key: Key::parse(key).filter(|parsed| parsed.as_slice() == key)?,
        bits: u16::from_be_bytes([row[0], row[1]]),
        count: u32::from_be_bytes(*row[2..].first_chunk()?),
        hashes: [B256::from_slice(&row[6..38]), B256::from_slice(&row[38..])],
    })
}

/// Address and number of a slot group: the number is the slot without its last byte.
pub(crate) fn slot_group_row(address: Address, group: U256) -> [u8; 52] {
    let mut row = [0; 52];
    row[..20].copy_from_slice(address.as_slice());
    row[20..].copy_from_slice(&group.to_be_bytes::<32>());
    row
}

/// Reads what [`slot_group_row`] wrote.
pub(crate) fn read_slot_group(row: &[u8]) -> Option<(Address, U256)> {
    let (address, group) = row.split_at_checked(20)?;
    Some((Address::from_slice(address), U256::from_be_bytes(read_word(group)?.0)))
}

/// Hash and header.
pub(crate) fn header_row(hash: B256, header: &Header) -> Vec<u8> {
    let mut row = Vec::with_capacity(32 + header.length());
    row.extend_from_slice(hash.as_slice());
    header.encode(&mut row);
    row
}

/// Reads what [`header_row`] wrote.
pub(crate) fn read_header(row: &[u8]) -> Option<(B256, Header)> {
    let (hash, mut header) = row.split_at_checked(32)?;
    Some((read_word(hash)?, Header::decode(&mut header).ok()?))
}

/// What a block has besides header, transactions and receipts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BodyRow {
    pub(crate) tx_count: u32,
    pub(crate) ommers: Vec<Header>,
    pub(crate) withdrawals: Option<Withdrawals>,
    pub(crate) requests: Vec<Bytes>,
}

impl BodyRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut row = self.tx_count.to_be_bytes().to_vec();
        self.ommers.encode(&mut row);
        match &self.withdrawals {
            Some(withdrawals) => {
                row.push(1);
                withdrawals.0.encode(&mut row);
            }
            None => row.push(0),
        }
        self.requests.encode(&mut row);
        row
    }

    pub(crate) fn decode(row: &[u8]) -> Option<Self> {
        let (tx_count, mut rest) = row.split_first_chunk()?;
        let ommers = Vec::decode(&mut rest).ok()?;
        let (has_withdrawals, after) = rest.split_first()?;
        rest = after;
        let withdrawals = match has_withdrawals {
            0 => None,
            _ => Some(Withdrawals(Vec::<Withdrawal>::decode(&mut rest).ok()?)),
        };
        let requests = Vec::decode(&mut rest).ok()?;
        Some(Self { tx_count: u32::from_be_bytes(*tx_count), ommers, withdrawals, requests })
    }
}

/// Sender and transaction.
pub(crate) fn transaction_row(sender: Address, transaction: &TxEnvelope) -> Vec<u8> {
    let mut row = Vec::with_capacity(20 + transaction.encode_2718_len());
    row.extend_from_slice(sender.as_slice());
    transaction.encode_2718(&mut row);
    row
}

/// Reads what [`transaction_row`] wrote.
pub(crate) fn read_transaction(row: &[u8]) -> Option<(TxEnvelope, Address)> {
    let (sender, mut bytes) = row.split_at_checked(20)?;
    let sender = Address::from_slice(sender);
    Some((dumped_transaction(TxEnvelope::decode_2718(&mut bytes).ok()?, sender), sender))
}

/// Gas used, position of the first log, type, status, cumulative gas, logs.
pub(crate) fn receipt_row(stored: &StoredReceipt) -> Vec<u8> {
    let mut row = Vec::with_capacity(64);
    row.extend_from_slice(&stored.gas_used.to_be_bytes());
    row.extend_from_slice(&(stored.first_log as u32).to_be_bytes());
    row.push(stored.receipt.tx_type as u8);
    let receipt = &stored.receipt.receipt;
    receipt.status.encode(&mut row);
    receipt.cumulative_gas_used.encode(&mut row);
    receipt.logs.encode(&mut row);
    row
}

/// Reads what [`receipt_row`] wrote.
pub(crate) fn read_receipt(row: &[u8]) -> Option<StoredReceipt> {
    let (numbers, mut rest) = row.split_at_checked(12)?;
    let (gas_used, first_log) = read_pair(numbers)?;
    let (tx_type, after) = rest.split_first()?;
    rest = after;
    let status = Eip658Value::decode(&mut rest).ok()?;
    let cumulative_gas_used = u64::decode(&mut rest).ok()?;
    let logs = Vec::<Log>::decode(&mut rest).ok()?;
    Some(StoredReceipt {
        receipt: TxReceipt {
            tx_type: TxType::try_from(*tx_type).ok()?,
            receipt: Receipt { status, cumulative_gas_used, logs },
        },
        gas_used,
        first_log: u64::from(first_log),
    })
}

/// Reads a transaction's place.
pub(crate) fn read_location(row: &[u8]) -> Option<TxLocation> {
    read_pair(row).map(|(number, index)| TxLocation { number, index })
}

/// Row of `blob_places`.
pub(crate) fn blob_place_row(tx_hash: B256, place: u16) -> [u8; 34] {
    let mut row = [0; 34];
    row[..32].copy_from_slice(tx_hash.as_slice());
    row[32..].copy_from_slice(&place.to_be_bytes());
    row
}

/// Transaction and place of a row of `blob_places`.
pub(crate) fn read_blob_place(row: &[u8]) -> Option<(B256, u16)> {
    let (tx_hash, place) = row.split_at_checked(32)?;
    Some((read_word(tx_hash)?, u16::from_be_bytes(place.try_into().ok()?)))
}

/// Order and bytes of a waiting transaction.
pub(crate) fn pool_row(hash: B256, order: u64, bytes: &[u8]) -> Vec<u8> {
    checked(hash.as_slice(), &[&order.to_be_bytes(), bytes].concat())
}

/// Reads what [`pool_row`] wrote.
pub(crate) fn read_pool_row<'a>(hash: &[u8], row: &'a [u8]) -> Option<(u64, &'a [u8])> {
    let (order, bytes) = read_checked(hash, row)?.split_first_chunk()?;
    Some((u64::from_be_bytes(*order), bytes))
}

/// A log's place: ordered as blocks, transactions and logs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogPosition {
    pub(crate) number: u64,
    pub(crate) tx_index: u32,
    pub(crate) log_index: u32,
}

impl LogPosition {
    pub(crate) fn encode(&self) -> [u8; 16] {
        let mut row = [0; 16];
        row[..12].copy_from_slice(&pair_key(self.number, self.tx_index));
        row[12..].copy_from_slice(&self.log_index.to_be_bytes());
        row
    }

    pub(crate) fn decode(row: &[u8]) -> Option<Self> {
        let (pair, log_index) = row.split_at_checked(12)?;
        let (number, tx_index) = read_pair(pair)?;
        let log_index = u32::from_be_bytes(log_index.try_into().ok()?);
        Some(Self { number, tx_index, log_index })
    }
}

/// A key of the log index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogKey {
    bytes: [u8; Self::LEN],
}

impl LogKey {
    /// Bytes of it.
    pub(crate) const LEN: usize = 33;

    /// Logs that `address` emitted; the address fills the last 20 bytes.
    pub(crate) fn address(address: Address) -> Self {
        Self::new(0, address.into_word())
    }

    /// Logs with `topic` at `position`, 0 to 3.
    pub(crate) fn topic(position: usize, topic: B256) -> Self {
        Self::new(1 + position as u8, topic)
    }

    fn new(kind: u8, word: B256) -> Self {
        let mut bytes = [kind; Self::LEN];
        bytes[1..].copy_from_slice(word.as_slice());
        Self { bytes }
    }

    pub(crate) const fn as_slice(&self) -> &[u8] {
        &self.bytes
    }
}
