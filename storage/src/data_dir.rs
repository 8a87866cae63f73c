//! A data directory that is looked at and not changed, beside a running node or without one: how
//! large it is, whether it is sound ([`DataDir::verify`]), a copy of it, its state as files.

use crate::{
    BadFile, StoreError,
    check::{self, pages::PageCount},
    codec::{Head, Pruned},
    database::{Read, Records},
    loaded::LoadedRow,
    mdbx::{Env, Meaning, PAGE_SIZE, Rows, Sync, Table},
    store::{self, DATABASE_FILE},
    tables::{self, SCHEMA, Tables, meta},
};
use alloy_primitives::{B256, Keccak256};
use std::{
    fs::{self, File},
    io::ErrorKind::{NotADirectory, NotFound},
    path::{Path, PathBuf},
};

/// Rows that are copied in one transaction.
const COPY_BATCH: usize = 1 << 16;
/// Bytes of values that are copied in one transaction.
const COPY_BYTES: usize = 64 << 20;

/// Bytes that a database has at least: three pages that name a commit.
const HEADER_BYTES: u64 = 3 * PAGE_SIZE;
/// How often a journal is read that is being written.
const READS_MAX: usize = 10;

/// One commit of a database, read only. It keeps the pages of that commit while it is open: a node
/// that goes on writing meanwhile needs more of them.
#[derive(Debug)]
pub struct DataDir {
    pub(crate) tables: Tables,
    pub(crate) tx: Read,
    pub(crate) env: Env,
    pub(crate) path: PathBuf,
    pub(crate) head: Head,
    /// Number and hash of the genesis block: the first one, if none came out of a file.
    pub(crate) genesis: (u64, B256),
    /// Which blocks came out of a file.
    pub(crate) loaded: Option<LoadedRow>,
    /// How much of the history is gone.
    pub(crate) pruned: Pruned,
    /// What a walk over the pages has counted, if there was one.
    pub(crate) pages: PageCount,
}

/// How large a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Version of the tables' layout.
    pub schema: u32,
    /// Number and hash of the first block.
    pub genesis: (u64, B256),
    /// Number and hash of the newest block.
    pub head: (u64, B256),
    /// Number of the oldest block whose state is kept.
    pub oldest_state: u64,
    /// Changes of the state since the newest block.
    pub edits: u32,
    /// Root of the binary tree of the newest state.
    pub root: B256,
    /// Bytes of a page.
    pub page_size: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes of it that are or were in use.
    pub used_bytes: u64,
    /// Pages of these that a later commit may use.
    pub free_pages: u64,
    /// The tables.
    pub tables: Vec<TableStats>,
}

/// How large a table is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableStats {
    /// Its name.
    pub name: &'static str,
    /// Rows, each value of a key with many counting for one.
    pub rows: u64,
    /// Pages.
    pub pages: u64,
    /// Pages on the way from the root to a row.
    pub depth: u32,
}

impl DataDir {
    /// Opens the database of a data directory, and walks over all its pages: the library would
    /// trust them whatever they are.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, check::walk_pages)
    }

    /// Opens the database of a data directory that is sound.
    pub fn open_unchecked(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, |_, _| Ok(PageCount::default()))
    }

    fn open_with(
        path: &Path,
        walk: impl Fn(&Path, u64) -> Result<PageCount, StoreError>,
    ) -> Result<Self, StoreError> {
        let file = path.join(DATABASE_FILE);
        let has = match fs::metadata(&file) {
            Ok(metadata) => metadata.len(),
            Err(error) if matches!(error.kind(), NotFound | NotADirectory) => {
                return Err(StoreError::NoDatabase { path: path.into() });
            }
            Err(source) => return Err(StoreError::Io { path: file, source }),
        };
        let bad = |reason| StoreError::NotADatabase { path: file.clone(), reason };
        if has < HEADER_BYTES {
            return Err(bad(BadFile::Truncated { has, needs: HEADER_BYTES }));
        }
        let env = match Env::open_read_only(path) {
            Err(error) if error.meaning() == Meaning::Unsynced => {
                store::finish(path)?;
                Env::open_read_only(path)
            }
            env => env,
        };
        let env = env.map_err(|error| store::bad_file(&file, error))?;
        store::check_length(&file, has, env.used_bytes()?)?;
        let open = || -> Result<_, StoreError> {
            // The journal first: what it lacks by then is settled in what is read after it.
            let records = Records::load(path)?;
            let base = env.read()?;
            let pages = walk(&file, base.commit_number()?)?;
            if base.open_table(tables::META, Rows::Unique)?.is_none() {
                return Err(bad(BadFile::NoTables));
            }
            let tables = Tables::list(|name, rows| {
                base.open_table(name, rows)?.ok_or_else(|| bad(BadFile::NoTable { name }))
            })?;
            let tx = Read::over(base, &records, &tables.all().collect::<Vec<_>>())?;
            Ok((tables, tx, pages))
        };
        let mut opened = open();
        for _ in 1..READS_MAX {
            match &opened {
                // Parts of it may have been read before a node wrote them, and parts after.
                Err(StoreError::NotADatabase { path, .. }) if *path != file => opened = open(),
                _ => break,
            }
        }
        let (tables, tx, pages) = opened?;
        let row = |key: &[u8]| -> Result<Vec<u8>, StoreError> {
            let row = tx.value(tables.meta, key)?;
            Ok(row.ok_or_else(|| store::bad_row(tables.meta, key))?.into_owned())
        };
        let stored = row(meta::SCHEMA)?.try_into().map_or(0, u32::from_be_bytes);
        if stored != SCHEMA {
            return Err(StoreError::Schema { path: path.into(), stored, supported: SCHEMA });
        }
        let genesis = store::read_genesis(&row(meta::GENESIS)?);
        let genesis = genesis.ok_or_else(|| store::bad_row(tables.meta, meta::GENESIS))?;
        let head = Head::decode(&row(meta::HEAD)?);
        let head = head.ok_or_else(|| store::bad_row(tables.meta, meta::HEAD))?;
        let pruned = tx.value(tables.meta, meta::PRUNED)?.map(|row| Pruned::decode(&row));
        let pruned = pruned.unwrap_or(Some(Pruned::default()));
        let pruned = pruned.ok_or_else(|| store::bad_row(tables.meta, meta::PRUNED))?;
        let loaded = tx.value(tables.meta, meta::LOADED)?.map(|row| LoadedRow::decode(&row));
        let bad_row = || store::bad_row(tables.meta, meta::LOADED);
        let loaded = loaded.map(|row| row.ok_or_else(bad_row)).transpose()?;
        Ok(Self { tables, tx, env, path: path.into(), head, genesis, loaded, pruned, pages })
    }

    /// Returns the number and the hash of the first block.
    pub const fn genesis(&self) -> (u64, B256) {
        self.genesis
    }

    /// Returns the number of the oldest block.
    pub(crate) fn first(&self) -> u64 {
        self.loaded.map_or(self.genesis.0, |loaded| loaded.first)
    }

    /// Whether a block came out of a file.
    pub(crate) fn is_loaded(&self, number: u64) -> bool {
        self.loaded.is_some_and(|loaded| loaded.has(number))
    }

    /// Returns the number and the hash of the newest block.
    pub const fn head(&self) -> (u64, B256) {
        (self.head.number, self.head.hash)
    }

    /// Returns how large the database is.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let file = self.path.join(DATABASE_FILE);
        let metadata =
            fs::metadata(&file).map_err(|source| StoreError::Io { path: file, source })?;
        let tables = self.tables.all().map(|table| {
            let size = self.tx.size(table)?;
            Ok(TableStats {
                name: table.name(),
                rows: size.rows,
                pages: size.pages,
                depth: size.depth,
            })
        });
        Ok(Stats {
            schema: SCHEMA,
            genesis: self.genesis,
            head: self.head(),
            oldest_state: self.pruned.kept.max(self.first()),
            edits: self.head.edits,
            root: self.head.root,
            page_size: PAGE_SIZE,
            file_bytes: metadata.len(),
            used_bytes: self.env.used_bytes()?,
            free_pages: self.env.free_pages()?,
            tables: tables.collect::<Result<_, StoreError>>()?,
        })
    }

    /// Returns a hash of all rows of all tables: two databases that hold the same have the same.
    pub fn digest(&self) -> Result<B256, StoreError> {
        let mut hasher = Keccak256::new();
        for table in self.tables.all() {
            hasher.update(table.name());
            let mut rows = self.tx.cursor(table)?;
            let mut row = rows.first()?;
            while let Some((key, value)) = row {
                hasher.update((key.len() as u64).to_be_bytes());
                hasher.update((value.len() as u64).to_be_bytes());
                hasher.update(&key);
                hasher.update(&value);
                row = rows.next()?;
            }
        }
        Ok(hasher.finalize())
    }

    /// Writes the database, rows close together, to a new one in the directory `to`, through to the
    /// disk. What is there when it fails is no database of a node.
    pub fn copy(&self, to: &Path) -> Result<(), StoreError> {
        let io = |source| StoreError::Io { path: to.into(), source };
        fs::create_dir_all(to).map_err(io)?;
        let env = Env::open(to, Sync::Never, store::file_size(store::SIZE_MAX))?;
        let directory = File::open(to).map_err(io)?;
        let copied = self.copy_tables(&env);
        copied.map_err(|error| store::explain(error, &directory, || env.used_bytes()))?;
        store::sync_names(to)
    }

    fn copy_tables(&self, env: &Env) -> Result<(), StoreError> {
        // The names of the tables come last: until then it is the database of nobody.
        for table in self.tables.all().filter(|table| table.name() != tables::META) {
            self.copy_table(table, env)?;
        }
        self.copy_table(self.tables.meta, env)?;
        Ok(env.sync()?)
    }

    fn copy_table(&self, table: Table, to: &Env) -> Result<(), StoreError> {
        let rows = table.rows();
        let mut from = self.tx.cursor(table)?;
        let mut row = from.first()?;
        loop {
            let tx = to.write()?;
            let copy = tx.make_table(table.name(), rows)?;
            let mut cursor = tx.cursor(copy)?;
            let (mut count, mut bytes) = (0, 0);
            while let Some((key, value)) = row.take_if(|_| count < COPY_BATCH && bytes < COPY_BYTES)
            {
                cursor.append(rows, &key, &value)?;
                (count, bytes) = (count + 1, bytes + key.len() + value.len());
                row = from.next()?;
            }
            drop(cursor);
            tx.commit()?;
            if row.is_none() {
                return Ok(());
            }
        }
    }
}
