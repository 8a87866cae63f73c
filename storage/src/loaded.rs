//! Chains that go on from the blocks of a file, as another node of this kind or of another dumped
//! them.
//!
//! Such a chain begins with the oldest block of the file. Its loaded blocks are kept as they came,
//! with the state roots that they came with; the root of the tree after one of them is in its row
//! of `changes`, and nowhere else. See `docs/spec/state.md`, section 5.

use crate::{
    ExecutedBlock, Snapshot, StoreError, Writer,
    codec::{self, BLOCK_PART, ChangeRow, Head, Pruned},
    commit::Batch,
    database::{TransactionKind, Txn, Write},
    forked::Origin,
    store::{self, Shared},
    tables::{SCHEMA, meta},
    writer::Mark,
};
use alloy_consensus::{
    TxEnvelope,
    proofs::{calculate_receipt_root, calculate_transaction_root},
};
use alloy_primitives::{Address, B256, Keccak256};
use alloy_rlp::Encodable;
use genesis::{Genesis, GenesisAccount, Headers};
use revm::database::BundleState;
use std::collections::BTreeMap;

/// The end of a chain out of a file.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The blocks, oldest first, each the child of the one before it; one at least.
    pub blocks: Vec<ExecutedBlock>,
    /// The accounts after the oldest block whose state the file tells.
    pub accounts: BTreeMap<Address, GenesisAccount>,
    /// What each block after that one changes: fewer than there are blocks.
    pub changes: Vec<BundleState>,
}

/// What a chain knows of the blocks that it was begun with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LoadedRow {
    /// Number of the oldest.
    pub(crate) first: u64,
    /// Number of the newest that is still there.
    pub(crate) newest: u64,
    /// Whether transactions and receipts were those that the headers tell.
    pub(crate) is_whole: bool,
}

impl LoadedRow {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut row = [self.first.to_be_bytes(), self.newest.to_be_bytes()].concat();
        row.push(self.is_whole.into());
        codec::checked(meta::LOADED, &row)
    }

    pub(crate) fn decode(row: &[u8]) -> Option<Self> {
        let (first, rest) = codec::read_checked(meta::LOADED, row)?.split_at_checked(8)?;
        let (newest, rest) = rest.split_at_checked(8)?;
        let &[is_whole] = rest else { return None };
        let (first, newest) = (codec::read_number(first)?, codec::read_number(newest)?);
        Some(Self { first, newest, is_whole: is_whole == 1 })
    }

    /// Whether a block came out of the file.
    pub(crate) const fn has(&self, number: u64) -> bool {
        number <= self.newest
    }
}

/// The hash that anvil has for a transaction which its sender did not sign: keccak256 of its bytes,
/// as a block holds them, and of the sender.
pub fn unsigned_hash(transaction: &TxEnvelope, sender: Address) -> B256 {
    let mut bytes = Vec::with_capacity(transaction.length());
    transaction.encode(&mut bytes);
    let mut hasher = Keccak256::new();
    hasher.update(&bytes);
    hasher.update(sender);
    hasher.finalize()
}

/// Gives a transaction of a dump that its sender did not sign, as a signature of zeros says, the
/// hash that anvil has for it.
pub fn dumped_transaction(transaction: TxEnvelope, sender: Address) -> TxEnvelope {
    let signature = *transaction.signature();
    if !signature.r().is_zero() || !signature.s().is_zero() || sender.is_zero() {
        return transaction;
    }
    let hash = unsigned_hash(&transaction, sender);
    TxEnvelope::new_unchecked(transaction.into(), signature, hash)
}

impl Writer {
    /// Forgets the whole chain and goes on from the blocks of a file in its place, durably, in a
    /// database transaction of its own; everything must be committed. `genesis` has the rules and
    /// stays what the chain is known by. Transactions that wait stay.
    ///
    /// When it fails the store is to be opened anew: the database is as it was, the writer is not.
    pub fn restart_from(&mut self, genesis: &Genesis, loaded: &Loaded) -> Result<(), StoreError> {
        let Loaded { blocks, accounts, changes } = loaded;
        let known = blocks.len().checked_sub(changes.len() + 1);
        let (Some(known), Some(oldest), Some(newest)) = (known, blocks.first(), blocks.last())
        else {
            return Err(StoreError::OutOfOrder { expected: genesis.number, given: 0 });
        };
        let number = blocks[known].number();
        let origin = Origin { first: oldest.number(), ..Origin::new(genesis, None) };
        self.forget(origin)?;
        self.head = Mark { number, edits: 0 };
        let alloc = accounts.clone();
        let delta = self.genesis_delta(&Genesis { alloc, number, ..genesis.clone() })?;
        let shared = self.shared.clone();
        let tx = shared.database.write()?;
        shared.clear(&tx, true)?;
        let about = LoadedRow {
            first: oldest.number(),
            newest: newest.number(),
            is_whole: blocks.iter().all(is_whole),
        };
        let root = delta.root;
        let head = Head { number, hash: blocks[known].hash(), root, edits: 0 };
        let mut writes = Batch::new(&shared, &tx, head);
        writes.add_state(&delta)?;
        let row = ChangeRow { root_before: root, root, leaves: Vec::new() };
        tx.put(shared.tables.changes, &codec::pair_key(number, BLOCK_PART), &row.encode())?;
        for (index, block) in blocks.iter().enumerate() {
            let Some(changes) = index.checked_sub(known + 1).map(|index| &changes[index]) else {
                writes.add_chain_rows(block)?;
                continue;
            };
            let delta = self.apply(block.number(), changes)?;
            writes.add_delta(&delta)?;
            writes.add_loaded(block, &delta)?;
        }
        writes.finish()?;
        shared.put_loaded(&tx, (genesis, about, number))?;
        self.begun(tx)
    }
}

/// Whether a block has the transactions and the receipts that its header tells.
fn is_whole(block: &ExecutedBlock) -> bool {
    calculate_transaction_root(&block.transactions) == block.header.transactions_root
        && has_receipts(&block.receipts, block.header.receipts_root)
}

/// Whether receipts have a root, with blooms of either kind.
pub(crate) fn has_receipts(receipts: &[genesis::TxReceipt], root: B256) -> bool {
    [Headers::Ethereum, Headers::Tandem].into_iter().any(|headers| {
        let receipts: Vec<_> = receipts.iter().map(|receipt| receipt.envelope(headers)).collect();
        calculate_receipt_root(&receipts) == root
    })
}

impl Shared {
    /// Returns what is known of the blocks that came out of a file, if any did.
    pub(crate) fn loaded<K: TransactionKind>(
        &self,
        tx: &Txn<K>,
    ) -> Result<Option<LoadedRow>, StoreError> {
        self.decode(tx, self.tables.meta, meta::LOADED, LoadedRow::decode)
    }

    /// Whether a block came out of a file: its state root is not one of this store's.
    pub(crate) fn is_loaded<K: TransactionKind>(
        &self,
        tx: &Txn<K>,
        number: u64,
    ) -> Result<bool, StoreError> {
        Ok(self.loaded(tx)?.is_some_and(|loaded| loaded.has(number)))
    }

    /// Tells that blocks after `number` are gone.
    pub(crate) fn unload(&self, tx: &Write, number: u64) -> Result<(), StoreError> {
        if let Some(loaded) = self.loaded(tx)?.filter(|loaded| loaded.newest > number) {
            let row = LoadedRow { newest: number, ..loaded };
            tx.put(self.tables.meta, meta::LOADED, &row.encode())?;
        }
        Ok(())
    }

    /// Writes whose chain it is, what it has of a file, and from which block on there are states.
    fn put_loaded(
        &self,
        tx: &Write,
        (genesis, row, known): (&Genesis, LoadedRow, u64),
    ) -> Result<(), StoreError> {
        let meta = self.tables.meta;
        let hash = store::genesis_hash(genesis)?;
        let genesis = [&codec::number_key(genesis.number)[..], hash.as_slice()].concat();
        let genesis = codec::checked(&self.tables.first_rows(tx, row.first)?, &genesis);
        tx.put(meta, meta::SCHEMA, &SCHEMA.to_be_bytes())?;
        tx.put(meta, meta::GENESIS, &genesis)?;
        tx.put(meta, meta::LOADED, &row.encode())?;
        if known > row.first {
            tx.put(meta, meta::PRUNED, &Pruned { kept: known, done: 0 }.encode())?;
        }
        Ok(())
    }
}

impl Snapshot {
    /// Whether a block came out of a file: the state root in its header is not that of the tree.
    pub fn is_loaded(&self, number: u64) -> Result<bool, StoreError> {
        self.shared.is_loaded(&self.tx, number)
    }
}

impl crate::Store {
    /// Returns the number of the chain's first block.
    pub fn first(&self) -> u64 {
        self.0.origin.read().first
    }
}
