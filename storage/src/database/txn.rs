//! Transactions: what is in the file, under the rows that are committed and those being written.

use super::{
    Core, Cursor,
    layer::{Layer, split},
};
use crate::mdbx::{self, Result, Rows, Table, TableSize};
use alloy_primitives::{Bytes, bytes::BytesMut};
use std::{
    borrow::Cow,
    cell::{Ref, RefCell},
    collections::BTreeSet,
    sync::Arc,
};

/// Bytes of memory that rows share.
const CHUNK: usize = 2048;

/// A transaction; reads see the newest commit at its start and its own writes.
#[derive(Debug)]
pub(crate) struct Txn<K> {
    pub(super) base: Arc<mdbx::Read>,
    /// The newest one first.
    pub(super) layers: [Arc<Layer>; 2],
    pub(super) kind: K,
}

/// A read transaction that threads may share.
pub(crate) type Read = Txn<Reading>;
/// The write transaction.
pub(crate) type Write = Txn<Writing>;

/// What a transaction may do.
pub(crate) trait TransactionKind {
    /// Rows that it has written.
    fn staged(&self) -> Option<Ref<'_, Layer>>;
}

/// Only reads.
#[derive(Debug)]
pub(crate) struct Reading;

/// Reads and writes.
#[derive(Debug)]
pub(crate) struct Writing {
    staged: RefCell<Layer>,
    /// Where the bytes of rows go next.
    chunk: RefCell<BytesMut>,
    turn: Turn,
}

impl Writing {
    pub(super) fn new(turn: Turn) -> Self {
        Self { staged: RefCell::default(), chunk: RefCell::default(), turn }
    }

    /// Puts bytes together, many rows' in one piece of memory.
    fn keep(&self, bytes: [&[u8]; 2]) -> Bytes {
        let (mut chunk, len) = (self.chunk.borrow_mut(), bytes[0].len() + bytes[1].len());
        if chunk.capacity() < len {
            *chunk = BytesMut::with_capacity(len.max(CHUNK));
        }
        bytes.iter().for_each(|bytes| chunk.extend_from_slice(bytes));
        chunk.split().freeze().into()
    }
}

/// The right to write, which one transaction has at a time.
#[derive(Debug)]
pub(super) struct Turn(Arc<Core>);

impl Turn {
    pub(super) fn take(core: &Arc<Core>) -> Self {
        let mut is_writing = core.is_writing.lock();
        core.written.wait_while(&mut is_writing, |is_writing| *is_writing);
        *is_writing = true;
        Self(core.clone())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.is_writing.lock() = false;
        self.0.written.notify_one();
    }
}

impl TransactionKind for Reading {
    fn staged(&self) -> Option<Ref<'_, Layer>> {
        None
    }
}

impl TransactionKind for Writing {
    fn staged(&self) -> Option<Ref<'_, Layer>> {
        Some(self.staged.borrow())
    }
}

impl<K: TransactionKind> Txn<K> {
    /// Returns the value of a key.
    pub(crate) fn value(&self, table: Table, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        let mut is_cleared = false;
        if let Some(staged) = self.kind.staged()
            && let Some(layer) = staged.table(table)
        {
            if let Some(value) = layer.rows.get(key) {
                return Ok(value.as_ref().map(|value| Cow::Owned(value.to_vec())));
            }
            is_cleared = layer.cleared;
        }
        for layer in self.layers.iter().filter_map(|layer| layer.table(table)) {
            if is_cleared {
                break;
            }
            if let Some(value) = layer.rows.get(key) {
                return Ok(value.as_ref().map(|value| Cow::Borrowed(&value[..])));
            }
            is_cleared = layer.cleared;
        }
        if is_cleared { Ok(None) } else { self.base.value(table, key) }
    }

    /// Opens a cursor.
    pub(crate) fn cursor(&self, table: Table) -> Result<Cursor<'_, K>> {
        Ok(Cursor::new(self, table, self.base.cursor(table)?))
    }
}

impl Read {
    /// Returns how large a table is; its pages are those in the file.
    pub(crate) fn size(&self, table: Table) -> Result<TableSize> {
        let mut size = self.base.size(table)?;
        let mut seen = BTreeSet::new();
        for layer in self.layers.iter().filter_map(|layer| layer.table(table)) {
            if layer.cleared {
                size.rows = 0;
                let mut rows = self.cursor(table)?;
                while rows.next()?.is_some() {
                    size.rows += 1;
                }
                return Ok(size);
            }
            seen.extend(layer.rows.keys());
        }
        let (mut before, mut cursor) = (self.base.cursor(table)?, self.cursor(table)?);
        for key in seen {
            let (own, rest) = split(table, key);
            let was_there = match table.rows() {
                Rows::Unique => self.base.value(table, own)?.is_some(),
                _ => before.seek_value(own, rest)?.is_some_and(|value| *value == *rest),
            };
            let is_there = cursor.is_at(key)?;
            size.rows = size.rows + u64::from(is_there) - u64::from(was_there);
        }
        Ok(size)
    }
}

impl Write {
    /// Sets the value of a key, or adds one where keys have many.
    pub(crate) fn put(&self, table: Table, key: &[u8], value: &[u8]) -> Result<()> {
        mdbx::check_key(key)?;
        let (key, value) = match table.rows() {
            Rows::Unique => (self.kind.keep([key, &[]]), self.kind.keep([value, &[]])),
            Rows::FixedDuplicates { .. } => (self.kind.keep([key, value]), Bytes::new()),
        };
        self.kind.staged.borrow_mut().put(table, key, Some(value));
        Ok(())
    }

    /// Sets the value of a key that has none; returns whether it had none.
    pub(crate) fn put_new(&self, table: Table, key: &[u8], value: &[u8]) -> Result<bool> {
        let is_new = self.value(table, key)?.is_none();
        if is_new {
            self.put(table, key, value)?;
        }
        Ok(is_new)
    }

    /// Removes a key with its value; returns whether it was there.
    pub(crate) fn remove(&self, table: Table, key: &[u8]) -> Result<bool> {
        let is_there = self.value(table, key)?.is_some();
        if is_there {
            self.remove_at(table, key);
        }
        Ok(is_there)
    }

    /// Removes one of a key's values.
    pub(crate) fn remove_value(&self, table: Table, key: &[u8], value: &[u8]) {
        self.remove_at(table, &[key, value].concat());
    }

    /// Removes the row of a key; where keys have many values, of a key and a value.
    pub(crate) fn remove_at(&self, table: Table, key: &[u8]) {
        self.kind.staged.borrow_mut().put(table, self.kind.keep([key, &[]]), None);
    }

    /// Removes all rows of a table.
    pub(crate) fn clear(&self, table: Table) {
        self.kind.staged.borrow_mut().clear(table);
    }

    /// Makes the writes durable, as the database is, and visible.
    pub(crate) fn commit(self) -> Result<()> {
        let Writing { staged, turn, .. } = self.kind;
        let staged = staged.into_inner();
        if staged.count == 0 { Ok(()) } else { turn.0.commit(staged) }
    }
}
