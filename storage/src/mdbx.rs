//! The database library behind typed handles: the only file that names it. [`crate::database`] is
//! what everything else reads and writes.
//!
//! The C library aborts the process on keys and values of a size that a table cannot have, so
//! every key is checked here before it crosses over.

use rustix::io::Errno;
use signet_libmdbx::{
    Database, DatabaseFlags, Environment, EnvironmentFlags, Geometry, MdbxError, Mode, ReadError,
    RoSync, Rw, SyncMode, TransactionKind, WriteFlags, tx,
};
use std::{borrow::Cow, ops::RangeInclusive, path::Path, time::Duration};

/// Bytes of a page; a row of up to about half of this shares a page with others.
pub(crate) const PAGE_SIZE: u64 = 4096;
/// Longest key, and longest value of a table with duplicates, that fit a page.
const KEY_LEN_MAX: usize = 1024;
const READERS_MAX: u64 = 1024;
const TABLES_MAX: usize = 32;

/// A failure that the database library reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct Error(Cause);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Cause {
    #[error("{0}")]
    Library(MdbxError),
    #[error("{}", std::io::Error::from_raw_os_error(*.0))]
    System(i32),
    #[error("a key of {0} bytes cannot be stored")]
    KeyLength(usize),
}

/// What an [`Error`] means to someone who opens a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    Full,
    NotMdbx,
    OtherFormat,
    Damaged,
    Unsynced,
    /// A write has failed before: nothing new can be begun.
    Failed,
    Locked,
    Other,
}

impl Error {
    /// The operating system's number of the error, if it is one of its own.
    pub(crate) const fn system(&self) -> Option<i32> {
        match self.0 {
            Cause::System(number) => Some(number),
            _ => None,
        }
    }

    pub(crate) const fn meaning(&self) -> Meaning {
        match self.0 {
            Cause::Library(MdbxError::MapFull) => Meaning::Full,
            Cause::Library(MdbxError::Invalid) => Meaning::NotMdbx,
            Cause::Library(MdbxError::VersionMismatch | MdbxError::Incompatible) => {
                Meaning::OtherFormat
            }
            Cause::Library(MdbxError::Corrupted | MdbxError::PageNotFound | MdbxError::Problem) => {
                Meaning::Damaged
            }
            Cause::Library(MdbxError::WannaRecovery) => Meaning::Unsynced,
            Cause::Library(MdbxError::Panic) => Meaning::Failed,
            Cause::Library(MdbxError::Busy) => Meaning::Locked,
            _ => Meaning::Other,
        }
    }
}

impl From<MdbxError> for Error {
    fn from(error: MdbxError) -> Self {
        Self(match error {
            MdbxError::Other(code) if code > 0 => Cause::System(code),
            MdbxError::Access => Cause::System(Errno::ACCESS.raw_os_error()),
            other => Cause::Library(other),
        })
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self(Cause::System(error.raw_os_error().unwrap_or(Errno::IO.raw_os_error())))
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Mdbx(error) => error.into(),
            // Only bytes are read here; rows are decoded one level up.
            ReadError::Decoding(_) => Self(Cause::Library(MdbxError::DecodeError)),
        }
    }
}

/// What the library answers.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// When the library asks the operating system to write through to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sync {
    /// Before a commit returns.
    EveryCommit,
    /// After so many bytes or seconds; what was synced last stays intact until then.
    Lazy(LazySync),
    /// When [`Env::sync`] asks for it; what was synced last stays intact until then.
    OnDemand,
    /// Never: the file is gone with the process.
    Never,
}

/// Thresholds of a lazy sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LazySync {
    pub(crate) bytes: usize,
    pub(crate) period: Duration,
}

/// Limits of the database file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) max: u64,
    pub(crate) growth_step: u64,
}

/// How a table keeps its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// One value for each key.
    Unique,
    /// Many sorted values of one size for each key, and keys of one size too.
    FixedDuplicates {
        /// Bytes of a key.
        key_len: usize,
    },
}

/// An open table, valid as long as its environment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    name: &'static str,
    handle: Database,
    rows: Rows,
    place: usize,
}

impl Table {
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) const fn rows(&self) -> Rows {
        self.rows
    }

    /// Where it stands among all tables.
    pub(crate) const fn place(&self) -> usize {
        self.place
    }

    /// Puts it at a place among all tables.
    pub(crate) const fn at(self, place: usize) -> Self {
        Self { place, ..self }
    }
}

/// An open database.
#[derive(Debug, Clone)]
pub(crate) struct Env(Environment);

impl Env {
    pub(crate) fn open(path: &Path, sync: Sync, size: Size) -> Result<Self> {
        let sync_mode = match sync {
            Sync::EveryCommit => SyncMode::Durable,
            Sync::Lazy(_) | Sync::OnDemand => SyncMode::SafeNoSync,
            Sync::Never => SyncMode::UtterlyNoSync,
        };
        let mut builder = Environment::builder();
        builder
            .set_flags(EnvironmentFlags {
                mode: Mode::ReadWrite { sync_mode },
                no_rdahead: true,
                // What the last writes freed is in the system's memory, and its lists ascend: the
                // library's list of pages being written stays sorted.
                liforeclaim: true,
                ..Default::default()
            })
            .set_max_dbs(TABLES_MAX)
            .set_max_readers(READERS_MAX)
            .set_geometry(Geometry::<RangeInclusive<usize>> {
                size: Some(0..=clamp_size(size.max)),
                growth_step: Some(clamp_size(size.growth_step) as isize),
                shrink_threshold: Some(0),
                page_size: Some(signet_libmdbx::sys::PageSize::Set(PAGE_SIZE as usize)),
            });
        if let Sync::Lazy(lazy) = sync {
            builder.set_sync_bytes(lazy.bytes).set_sync_period(lazy.period);
        }
        Ok(Self(builder.open(path)?))
    }

    /// Opens a database that is there, to be read only; a running node may have it open.
    pub(crate) fn open_read_only(path: &Path) -> Result<Self> {
        let mut builder = Environment::builder();
        builder
            .set_flags(EnvironmentFlags {
                mode: Mode::ReadOnly,
                no_rdahead: true,
                ..Default::default()
            })
            .set_max_dbs(TABLES_MAX)
            .set_max_readers(READERS_MAX);
        Ok(Self(builder.open(path)?))
    }

    /// Begins a read transaction over the newest commit.
    pub(crate) fn read(&self) -> Result<Read> {
        Ok(Txn(self.0.begin_ro_sync()?))
    }

    /// Begins the write transaction, after waiting for the one that may be open.
    pub(crate) fn write(&self) -> Result<Write> {
        Ok(Txn(self.0.begin_rw_unsync()?))
    }

    /// Writes through to the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        self.0.sync(true)?;
        Ok(())
    }

    /// Pages that a later commit may use.
    pub(crate) fn free_pages(&self) -> Result<u64> {
        Ok(self.0.freelist()? as u64)
    }

    /// Bytes of the file up to its last page in use.
    pub(crate) fn used_bytes(&self) -> Result<u64> {
        Ok((self.0.info()?.last_pgno() as u64 + 1) * PAGE_SIZE)
    }
}

fn clamp_size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX).min(isize::MAX as usize)
}

/// How large a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TableSize {
    pub(crate) rows: u64,
    pub(crate) pages: u64,
    pub(crate) depth: u32,
}

/// A transaction; reads see the newest commit at its start and its own writes.
#[derive(Debug)]
pub(crate) struct Txn<K: TransactionKind>(tx::Tx<K>);

/// A read transaction that threads may share.
pub(crate) type Read = Txn<RoSync>;
/// The write transaction.
pub(crate) type Write = Txn<Rw>;

/// A row as the library lends it: bytes of the mapped file, or a copy of a page being written.
pub(crate) type Row<'tx> = (Cow<'tx, [u8]>, Cow<'tx, [u8]>);

impl<K: TransactionKind> Txn<K> {
    /// Opens a table that is there.
    pub(crate) fn open_table(&self, name: &'static str, rows: Rows) -> Result<Option<Table>> {
        match self.0.open_db(Some(name)) {
            Ok(handle) => Ok(Some(Table { name, handle, rows, place: 0 })),
            Err(MdbxError::NotFound) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the value of a key.
    pub(crate) fn value(&self, table: Table, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>> {
        check_key(key)?;
        Ok(self.0.get(table.handle.dbi(), key)?)
    }

    /// Opens a cursor.
    pub(crate) fn cursor(&self, table: Table) -> Result<Cursor<'_, K>> {
        Ok(Cursor(self.0.cursor(table.handle)?))
    }

    /// Returns the number of the commit that is seen.
    pub(crate) fn commit_number(&self) -> Result<u64> {
        Ok(self.0.id()?)
    }

    /// Returns how large a table is.
    pub(crate) fn size(&self, table: Table) -> Result<TableSize> {
        let stat = self.0.db_stat(&table.handle)?;
        let pages = stat.branch_pages() + stat.leaf_pages() + stat.overflow_pages();
        Ok(TableSize { rows: stat.entries() as u64, pages: pages as u64, depth: stat.depth() })
    }

    /// Returns whether the database has no table and nothing else.
    pub(crate) fn is_empty(&self) -> Result<bool> {
        let unnamed = self.0.open_db(None)?;
        Ok(self.0.db_stat(&unnamed)?.entries() == 0)
    }
}

impl Write {
    /// Opens a table, making it if it is not there.
    pub(crate) fn make_table(&self, name: &'static str, rows: Rows) -> Result<Table> {
        let flags = match rows {
            Rows::Unique => DatabaseFlags::empty(),
            Rows::FixedDuplicates { .. } => DatabaseFlags::DUP_SORT | DatabaseFlags::DUP_FIXED,
        };
        Ok(Table { name, handle: self.0.create_db(Some(name), flags)?, rows, place: 0 })
    }

    /// Sets the value of a key.
    pub(crate) fn put(&self, table: Table, key: &[u8], value: &[u8]) -> Result<()> {
        check_key(key)?;
        Ok(self.0.put(table.handle, key, value, WriteFlags::UPSERT)?)
    }

    /// Removes a key with all its values; returns whether it was there.
    pub(crate) fn remove(&self, table: Table, key: &[u8]) -> Result<bool> {
        check_key(key)?;
        Ok(self.0.del(table.handle, key, None)?)
    }

    /// Removes one of a key's values; returns whether it was there.
    pub(crate) fn remove_value(&self, table: Table, key: &[u8], value: &[u8]) -> Result<bool> {
        check_key(key)?;
        check_key(value)?;
        Ok(self.0.del(table.handle, key, Some(value))?)
    }

    /// Removes all rows of a table.
    pub(crate) fn clear(&self, table: Table) -> Result<()> {
        Ok(self.0.clear_db(table.handle)?)
    }

    /// Makes the writes visible and, as the environment says, durable.
    pub(crate) fn commit(self) -> Result<()> {
        Ok(self.0.commit()?)
    }
}

/// A position in a table.
#[derive(Debug)]
pub(crate) struct Cursor<'tx, K: TransactionKind>(signet_libmdbx::Cursor<'tx, K>);

/// A position of a read transaction.
pub(crate) type ReadCursor<'tx> = Cursor<'tx, RoSync>;

impl<'tx, K: TransactionKind> Cursor<'tx, K> {
    /// Goes to the first row whose key is `key` or after it.
    pub(crate) fn seek(&mut self, key: &[u8]) -> Result<Option<Row<'tx>>> {
        check_key(key)?;
        Ok(self.0.set_range(key)?)
    }

    /// Goes to the first row. The library hands cursors out again where they were left: only the
    /// first one of a transaction starts at the start.
    pub(crate) fn first(&mut self) -> Result<Option<Row<'tx>>> {
        Ok(self.0.first()?)
    }

    /// Goes to the next row.
    pub(crate) fn next(&mut self) -> Result<Option<Row<'tx>>> {
        Ok(self.0.next()?)
    }

    /// Goes to the row before.
    pub(crate) fn previous(&mut self) -> Result<Option<Row<'tx>>> {
        Ok(self.0.prev()?)
    }

    /// Goes to the last row.
    pub(crate) fn last(&mut self) -> Result<Option<Row<'tx>>> {
        Ok(self.0.last()?)
    }

    /// Goes to the first of the key's values that is `value` or after it.
    pub(crate) fn seek_value(
        &mut self,
        key: &[u8],
        value: &[u8],
    ) -> Result<Option<Cow<'tx, [u8]>>> {
        check_key(key)?;
        check_key(value)?;
        Ok(self.0.get_both_range(key, value)?)
    }
}

impl Cursor<'_, Rw> {
    /// Sets the value of a key, or adds one where keys have many.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        check_key(key)?;
        Ok(self.0.put(key, value, WriteFlags::UPSERT)?)
    }

    /// Adds a row after all others of the table, or a value after all others of the last key.
    pub(crate) fn append(&mut self, rows: Rows, key: &[u8], value: &[u8]) -> Result<()> {
        check_key(key)?;
        let flags = match rows {
            Rows::Unique => WriteFlags::APPEND,
            Rows::FixedDuplicates { .. } => WriteFlags::APPEND_DUP,
        };
        Ok(self.0.put(key, value, flags)?)
    }
}

/// Demands that a key has a length that the library takes.
pub(crate) const fn check_key(key: &[u8]) -> Result<()> {
    if key.is_empty() || key.len() > KEY_LEN_MAX {
        return Err(Error(Cause::KeyLength(key.len())));
    }
    Ok(())
}
