//! Every table in one list. Keys and values are described byte by byte in `docs/spec/state.md`.

use crate::{
    codec::LogKey,
    database::{self, TransactionKind},
    mdbx::{Result, Rows, Table, Write},
};
use std::{borrow::Cow, cell::Cell};

/// Version of the tables' layout; a directory of another version is refused.
pub(crate) const SCHEMA: u32 = 3;

/// The open tables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tables {
    /// Tree key → value: the state at the head, edits included.
    pub(crate) leaves: Table,
    /// Tree key ‖ block → the leaf's value before that block; empty if there was no leaf.
    pub(crate) history: Table,
    /// Block ‖ part → roots, and the leaves that the part changed with their old values.
    pub(crate) changes: Table,
    /// Stem → address.
    pub(crate) addresses: Table,
    /// Slot group hash → address ‖ group number.
    pub(crate) slot_groups: Table,
    /// Code hash → code. Rows stay when the last holder goes: older blocks need them.
    pub(crate) code: Table,
    /// Code hash → how many accounts hold it at the head.
    pub(crate) code_holders: Table,
    /// Block → hash ‖ header.
    pub(crate) headers: Table,
    /// Block → number of transactions ‖ ommers ‖ withdrawals ‖ requests.
    pub(crate) bodies: Table,
    /// Block ‖ index → sender ‖ transaction.
    pub(crate) transactions: Table,
    /// Block ‖ index → gas used ‖ position of the first log ‖ type ‖ receipt.
    pub(crate) receipts: Table,
    /// Block hash → block.
    pub(crate) numbers: Table,
    /// Transaction hash → block ‖ index.
    pub(crate) locations: Table,
    /// Kind ‖ address or topic → block ‖ transaction ‖ log, many.
    pub(crate) logs: Table,
    /// Transaction hash → order ‖ transaction: those that wait.
    pub(crate) pool: Table,
    /// Id → where the chain stood, what the pool's undo rows were, and the caller's settings.
    pub(crate) savepoints: Table,
    /// Position → transaction hash ‖ its row in `pool` before a change, since the oldest savepoint.
    pub(crate) pool_undo: Table,
    /// Transaction hash → transaction with its blobs: those in blocks.
    pub(crate) blobs: Table,
    /// Hash of a blob → transaction hash ‖ the blob's place in it.
    pub(crate) blob_places: Table,
    /// First key → a subtree of a few hundred leaves, of a large state.
    pub(crate) folds: Table,
    /// Name → the store's own values.
    pub(crate) meta: Table,
    /// Name → values of the node.
    pub(crate) notes: Table,
}

impl Tables {
    /// Opens all tables, making those that are not there.
    pub(crate) fn make(tx: &Write) -> Result<Self> {
        Self::list(|name, rows| tx.make_table(name, rows))
    }

    /// Opens all tables with `open`.
    pub(crate) fn list<E>(
        open: impl Fn(&'static str, Rows) -> std::result::Result<Table, E>,
    ) -> std::result::Result<Self, E> {
        let place = Cell::new(0);
        let open = |name, rows| {
            let table = open(name, rows)?.at(place.get());
            place.set(place.get() + 1);
            Ok(table)
        };
        let unique = |name| open(name, Rows::Unique);
        Ok(Self {
            leaves: unique("leaves")?,
            history: unique("history")?,
            changes: unique("changes")?,
            addresses: unique("addresses")?,
            slot_groups: unique("slot_groups")?,
            code: unique("code")?,
            code_holders: unique("code_holders")?,
            headers: unique("headers")?,
            bodies: unique("bodies")?,
            transactions: unique("transactions")?,
            receipts: unique("receipts")?,
            numbers: unique("numbers")?,
            locations: unique("locations")?,
            logs: open("logs", Rows::FixedDuplicates { key_len: LogKey::LEN })?,
            pool: unique("pool")?,
            savepoints: unique("savepoints")?,
            pool_undo: unique("pool_undo")?,
            blobs: unique("blobs")?,
            blob_places: unique("blob_places")?,
            folds: unique("folds")?,
            meta: unique(META)?,
            notes: unique("notes")?,
        })
    }

    /// Header and body of the first block: the genesis row has a check of them, since nothing else
    /// tells what a block of another chain was.
    pub(crate) fn first_rows<K: TransactionKind>(
        &self,
        tx: &database::Txn<K>,
        number: u64,
    ) -> Result<Vec<u8>> {
        let key = number.to_be_bytes();
        let rows = [tx.value(self.headers, &key)?, tx.value(self.bodies, &key)?];
        Ok(rows.into_iter().flatten().flat_map(Cow::into_owned).collect())
    }

    /// Every table.
    pub(crate) fn all(&self) -> impl Iterator<Item = Table> + use<> {
        let Self { leaves, history, changes, addresses, slot_groups, code, code_holders, .. } =
            *self;
        let Self { headers, bodies, transactions, receipts, numbers, locations, logs, .. } = *self;
        let state = [leaves, history, changes, addresses, slot_groups, code, code_holders];
        let chain = [headers, bodies, transactions, receipts, numbers, locations, logs];
        let pool = [self.pool, self.savepoints, self.pool_undo, self.blobs, self.blob_places];
        let own = [self.folds, self.meta, self.notes];
        state.into_iter().chain(chain).chain(pool).chain(own)
    }
}

/// Name of the table that tells whether a database is one of this node's.
pub(crate) const META: &str = "meta";

/// Keys of the table `meta`.
pub(crate) mod meta {
    /// All of them.
    pub(crate) const ALL: [&[u8]; 7] = [SCHEMA, GENESIS, HEAD, FOLDS, PRUNED, SAVEPOINTS, LOADED];
    /// Version of the layout, 4 bytes.
    pub(crate) const SCHEMA: &[u8] = b"schema";
    /// Number and hash of the genesis block, 40 bytes, and a check of its header and body.
    pub(crate) const GENESIS: &[u8] = b"genesis";
    /// The head, see [`crate::codec::Head`].
    pub(crate) const HEAD: &[u8] = b"head";
    /// Block and part of the newest change that the folds hold, 12 bytes and a check; without it they
    /// hold nothing.
    pub(crate) const FOLDS: &[u8] = b"folds";
    /// How much history is gone, see [`crate::codec::Pruned`]; nothing if none is.
    pub(crate) const PRUNED: &[u8] = b"pruned";
    /// Id of the next savepoint, 8 bytes; nothing if there never was one.
    pub(crate) const SAVEPOINTS: &[u8] = b"savepoints";
    /// Which blocks came out of a file, see [`crate::loaded::LoadedRow`]; nothing if none did.
    pub(crate) const LOADED: &[u8] = b"loaded";
}
