//! Opening a data directory, and what all handles to it share.

use crate::{
    BadFile, ExecutedBlock, Snapshot, StoreError, Writer,
    code_cache::CodeCache,
    codec::{self, ChangeRow, Head},
    commit::Commit,
    database::{Database, Journal, Read, TransactionKind, Txn, Write},
    folds::TreeLimits,
    forked::{self, ForkPoint, Origin},
    mdbx::{self, Env, LazySync, Meaning, Rows, Size, Sync, Table},
    merkle::{Kept, Merkle},
    past::PastTree,
    tables::{self, SCHEMA, Tables, meta},
    writer::Mark,
};
use alloy_consensus::Sealable;
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{B256, Bytes};
use genesis::Genesis;
use parking_lot::RwLock;
use rustix::io::Errno;
use state::{AccountFields, Scratch};
use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tree::{HashFunction, Key, Value};

/// What a commit survives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process at any moment; a power cut may lose the last seconds.
    #[default]
    Process,
    /// A power cut too.
    Disk,
}

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// The data directory; it is made if it is not there.
    pub path: PathBuf,
    /// What a commit survives.
    pub durability: Durability,
    /// Bytes that the database may grow to.
    pub size_max: u64,
    /// How many blocks before the newest one keep their state; all of them if not set.
    pub prune: Option<u64>,
    /// Makes a directory of its own inside `path` and removes it once it is open: the data is gone
    /// with the process, however it ends.
    pub temporary: bool,
}

/// With [`Durability::Process`]: how much may be lost in a power cut.
pub(crate) const LAZY_SYNC: LazySync =
    LazySync { bytes: 64 << 20, period: Duration::from_secs(10) };
const GROWTH_STEP: u64 = 32 << 20;
/// Bytes that a copy may grow to.
pub(crate) const SIZE_MAX: u64 = 1 << 40;
pub(crate) const DATABASE_FILE: &str = "mdbx.dat";
const LOCK_FILE: &str = "lock";

/// The database of one chain.
#[derive(Debug, Clone)]
pub struct Store(pub(crate) Arc<Shared>);

/// The writer of a store whose tree may have yet to be made.
#[derive(Debug)]
pub struct PendingWriter {
    shared: Arc<Shared>,
    pub(crate) made: Option<Writer>,
}

impl PendingWriter {
    /// Makes the tree and checks its root.
    pub fn load(self) -> Result<Writer, StoreError> {
        self.made.map_or_else(|| Writer::load(self.shared), Ok)
    }
}

/// What a store, its writer and its snapshots share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) database: Database,
    pub(crate) tables: Tables,
    pub(crate) size_max: u64,
    /// How many blocks before the newest one keep their state.
    pub(crate) prune: Option<u64>,
    /// Whether there may be history to let go of.
    pub(crate) has_to_prune: AtomicBool,
    /// There is no change of a block before this one.
    pub(crate) oldest_change: AtomicU64,
    /// What the chain begins with; changes together with what is in the tables.
    pub(crate) origin: RwLock<Arc<Origin>>,
    /// The hash of the state tree.
    pub(crate) hash: HashFunction,
    pub(crate) limits: TreeLimits,
    /// Merkle tries that readers asked for.
    pub(crate) merkles: Kept,
    pub(crate) code_cache: CodeCache,
    /// The tree that proofs are taken from.
    pub(crate) past: PastTree,
    /// How many commits there have been since the store was opened.
    pub(crate) commits: AtomicU64,
    /// Sequence of the newest committed change of the writer.
    pub(crate) committed: AtomicU64,
    /// Held until the last handle is gone.
    pub(crate) lock: File,
}

impl Store {
    /// Opens or makes the store of a chain, and the writer of its state.
    pub fn open(options: &OpenOptions, genesis: &Genesis) -> Result<(Self, Writer), StoreError> {
        Self::open_within(options, genesis, TreeLimits::default())
    }

    /// Does what [`Store::open`] does, or [`Store::open_forked`] with a `point`, but for what takes
    /// time in proportion to a large state: the store can be read before the tree is made.
    pub fn open_ahead(
        options: &OpenOptions,
        genesis: &Genesis,
        point: Option<&ForkPoint>,
    ) -> Result<(Self, PendingWriter), StoreError> {
        open(options, (genesis, point), TreeLimits::default())
    }

    /// Does what [`Store::open`] does, with other limits for the tree in memory.
    pub fn open_within(
        options: &OpenOptions,
        genesis: &Genesis,
        limits: TreeLimits,
    ) -> Result<(Self, Writer), StoreError> {
        let (store, writer) = open(options, (genesis, None), limits)?;
        Ok((store, writer.load()?))
    }

    /// Opens or makes the store of a chain that goes on from another one, and the writer of its
    /// state. `genesis` has the rules, and accounts to put over the forked state.
    pub fn open_forked(
        options: &OpenOptions,
        genesis: &Genesis,
        point: &ForkPoint,
    ) -> Result<(Self, Writer), StoreError> {
        let (store, writer) = Self::open_ahead(options, genesis, Some(point))?;
        Ok((store, writer.load()?))
    }

    /// Returns a view of the newest committed state, edits included.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Snapshot::live(self.0.clone())
    }

    /// Returns a view of the state after a block, with the edits made before the next one.
    pub fn snapshot_at(&self, number: u64) -> Result<Snapshot, StoreError> {
        Snapshot::at(self.0.clone(), number)
    }

    /// Returns a view of the state after a block, without the edits made since.
    pub fn snapshot_sealed(&self, number: u64) -> Result<Snapshot, StoreError> {
        Snapshot::sealed(self.0.clone(), number)
    }

    /// Returns a view of the state that a block was executed on: its parent's, with the edits made
    /// in between.
    pub fn snapshot_before(&self, number: u64) -> Result<Snapshot, StoreError> {
        Snapshot::before(self.0.clone(), number)
    }

    /// Persists all of `batch`, in order, in one database transaction.
    ///
    /// When it fails, nothing of the batch is persisted; the writer is ahead of the database then,
    /// and the store is to be opened anew.
    pub fn commit(&self, batch: Vec<Commit>) -> Result<(), StoreError> {
        self.0.commit(batch)
    }

    /// Writes everything committed through to the disk, and settles it in the database's file.
    pub fn sync(&self) -> Result<(), StoreError> {
        Ok(self.0.database.settle()?)
    }

    /// Returns the hash of the genesis block.
    pub fn genesis_hash(&self) -> Result<B256, StoreError> {
        let (tx, origin) = self.0.read()?;
        let hash = self.0.block_hash(&tx, origin.first)?;
        hash.ok_or_else(|| self.0.bad_row(self.0.tables.headers, &codec::number_key(origin.first)))
    }
}

pub(crate) fn open(
    options: &OpenOptions,
    chain: (&Genesis, Option<&ForkPoint>),
    limits: TreeLimits,
) -> Result<(Store, PendingWriter), StoreError> {
    if !options.temporary {
        return open_directory(options, &options.path, chain, limits);
    }
    let io = |source| StoreError::Io { path: options.path.clone(), source };
    fs::create_dir_all(&options.path).map_err(io)?;
    let directory =
        tempfile::Builder::new().prefix("tandem-").tempdir_in(&options.path).map_err(io)?;
    let opened = open_directory(options, directory.path(), chain, limits)?;
    // The files live on, without a name, until the process lets go of them.
    directory.close().map_err(io)?;
    Ok(opened)
}

fn open_directory(
    options: &OpenOptions,
    path: &Path,
    (genesis, point): (&Genesis, Option<&ForkPoint>),
    limits: TreeLimits,
) -> Result<(Store, PendingWriter), StoreError> {
    fs::create_dir_all(path).map_err(|source| StoreError::Io { path: path.into(), source })?;
    let lock = lock(path)?;
    let (env, journal) = open_files(options, path)?;
    let (tables, is_new) = open_tables(&env, path)?;
    let database = {
        let tables = (tables.all().collect(), is_new);
        Database::open(env, journal, tables, limits.settle_rows)?
    };
    let stored = match is_new {
        true => None,
        false => Some(stored_genesis(&database, tables.meta)?),
    };
    let origin = Origin::new(genesis, point);
    let shared = Shared {
        database,
        tables,
        size_max: options.size_max,
        prune: options.prune,
        // Of an earlier run some may be left to do, whatever is set now.
        has_to_prune: AtomicBool::new(true),
        oldest_change: AtomicU64::new(0),
        origin: RwLock::new(Arc::new(origin)),
        hash: state::tree_hash(genesis.spec.tree_hash),
        limits,
        merkles: Kept::default(),
        code_cache: CodeCache::default(),
        past: PastTree::default(),
        commits: AtomicU64::new(0),
        committed: AtomicU64::new(0),
        lock,
    };
    let Some((number, stored)) = stored else {
        let shared = Arc::new(shared);
        let origin = shared.origin.read().clone();
        let mark = Mark { number: origin.first, edits: 0 };
        let mut writer = Writer::new(shared.clone(), origin, mark);
        writer.restart(genesis, point).map_err(|error| shared.explain(error))?;
        let store = Store(shared.clone());
        if !options.temporary {
            // Whatever the durability: a power cut finds a chain, if only its first block.
            store.sync()?;
            sync_names(path)?;
        }
        return Ok((store, PendingWriter { shared, made: Some(writer) }));
    };
    let given = first_block(genesis, point)?.hash();
    if given != stored {
        return Err(StoreError::GenesisMismatch { path: path.into(), stored, given });
    }
    let forked = point.map(|point| point.state.clone());
    let merkle = shared.origin.read().merkle;
    let loaded = shared.loaded(&shared.database.read()?)?;
    let first = loaded.map_or(number, |loaded| loaded.first);
    *shared.origin.write() = Arc::new(Origin { first, forked, merkle });
    let shared = Arc::new(shared);
    // A small state is read and checked as a whole, before anybody reads it.
    let is_large = shared.has_folds()?;
    let made = if is_large { None } else { Some(Writer::load(shared.clone())?) };
    Ok((Store(shared.clone()), PendingWriter { shared, made }))
}

/// Writes the names of new files through to the disk: without them the files could not be found.
pub(crate) fn sync_names(path: &Path) -> Result<(), StoreError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    for directory in [path, parent.unwrap_or(Path::new("."))] {
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|source| StoreError::Io { path: directory.into(), source })?;
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let file_path = path.join(LOCK_FILE);
    let io = |source| StoreError::Io { path: file_path.clone(), source };
    let file =
        File::options().create(true).truncate(false).write(true).open(&file_path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: path.into() }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// The least free bytes of a file system that is not full: one commit may need as many.
const FREE_MIN: u64 = 1 << 20;

/// Returns the free bytes of the file system that `file` is on, if a lack of them is what an error
/// means. Of a write for which there was room in part the library says nothing but that it failed.
fn free_bytes(file: &File, error: mdbx::Error) -> Option<u64> {
    let number = error.system().map(Errno::from_raw_os_error)?;
    let system = rustix::fs::fstatvfs(file).ok()?;
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    let is_full = match number {
        Errno::NOSPC | Errno::DQUOT => true,
        Errno::IO => free < FREE_MIN,
        _ => false,
    };
    is_full.then_some(free)
}

/// Tells an error for lack of room, on the file system that `file` is on, from others.
pub(crate) fn explain(
    error: StoreError,
    file: &File,
    used: impl FnOnce() -> mdbx::Result<u64>,
) -> StoreError {
    let StoreError::Database(cause) = error else { return error };
    match free_bytes(file, cause) {
        Some(free) => StoreError::NoSpace { free, used: used().unwrap_or_default() },
        None => cause.into(),
    }
}

/// The limits of a database file that may grow to `max` bytes.
pub(crate) const fn file_size(max: u64) -> Size {
    Size { max, growth_step: GROWTH_STEP }
}

type Files = (Env, Option<Journal>);

fn open_files(options: &OpenOptions, path: &Path) -> Result<Files, StoreError> {
    let file = path.join(DATABASE_FILE);
    let has = file_bytes(&file);
    let sync = if options.temporary { Sync::Never } else { Sync::OnDemand };
    let size = file_size(options.size_max);
    let env = Env::open(path, sync, size).map_err(|error| bad_file(&file, error))?;
    check_length(&file, has, env.used_bytes()?)?;
    let lazy = match options.durability {
        _ if options.temporary => return Ok((env, None)),
        Durability::Process => Some(LAZY_SYNC),
        Durability::Disk => None,
    };
    Ok((env, Some(Journal::new(path, lazy))))
}

/// Bytes of a file; 0 if there is none.
pub(crate) fn file_bytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Refuses a file that is shorter than it says itself; `has` is what it was before it was opened.
pub(crate) fn check_length(path: &Path, has: u64, needs: u64) -> Result<(), StoreError> {
    if has == 0 || has >= needs {
        return Ok(());
    }
    Err(StoreError::NotADatabase { path: path.into(), reason: BadFile::Truncated { has, needs } })
}

/// Says why a file of a data directory cannot be opened.
pub(crate) fn bad_file(path: &Path, error: mdbx::Error) -> StoreError {
    let reason = match error.meaning() {
        Meaning::NotMdbx => BadFile::NotMdbx,
        Meaning::OtherFormat => BadFile::OtherFormat,
        Meaning::Damaged => BadFile::Damaged,
        Meaning::Unsynced => BadFile::Unsynced,
        Meaning::Locked => {
            return StoreError::Locked { path: path.parent().unwrap_or(path).into() };
        }
        Meaning::Full | Meaning::Failed | Meaning::Other => return error.into(),
    };
    StoreError::NotADatabase { path: path.into(), reason }
}

/// Finishes the last commits of a node that was killed, as its next start would: nobody reads them
/// before they are synced.
pub(crate) fn finish(path: &Path) -> Result<(), StoreError> {
    let _lock = lock(path)?;
    Ok(Env::open(path, Sync::EveryCommit, file_size(SIZE_MAX))?.sync()?)
}

/// Opens the tables and checks whose they are; returns whether they are empty.
fn open_tables(env: &Env, path: &Path) -> Result<(Tables, bool), StoreError> {
    let tx = env.write()?;
    let known = tx.open_table(tables::META, Rows::Unique)?;
    if known.is_none() && !tx.is_empty()? {
        let path = path.join(DATABASE_FILE);
        return Err(StoreError::NotADatabase { path, reason: BadFile::NoTables });
    }
    let stored = match known {
        Some(table) => tx.value(table, meta::SCHEMA)?.map(|row| row.into_owned()),
        None => None,
    };
    let Some(schema) = stored else {
        let tables = Tables::make(&tx)?;
        tx.commit()?;
        return Ok((tables, true));
    };
    let stored = schema.try_into().map_or(0, u32::from_be_bytes);
    if stored != SCHEMA {
        return Err(StoreError::Schema { path: path.into(), stored, supported: SCHEMA });
    }
    let tables = Tables::make(&tx)?;
    tx.commit()?;
    Ok((tables, false))
}

/// Returns the genesis block's number and hash.
fn stored_genesis(database: &Database, meta: Table) -> Result<(u64, B256), StoreError> {
    let tx = database.read()?;
    let row = tx.value(meta, meta::GENESIS)?;
    row.as_deref().and_then(read_genesis).ok_or_else(|| bad_row(meta, meta::GENESIS))
}

/// Reads number and hash of the genesis block.
pub(crate) fn read_genesis(row: &[u8]) -> Option<(u64, B256)> {
    let (number, rest) = row.split_at_checked(8)?;
    Some((codec::read_number(number)?, codec::read_word(rest.get(..32)?)?))
}

/// Returns the block that a chain of this genesis begins with.
pub fn genesis_block(genesis: &Genesis) -> Result<ExecutedBlock, StoreError> {
    first_block(genesis, None)
}

/// Returns the hash of the block that a chain of this genesis begins with.
pub fn genesis_hash(genesis: &Genesis) -> Result<B256, StoreError> {
    Ok(first_block(genesis, None)?.hash())
}

/// Returns the root of the genesis state, as its header has it.
fn genesis_root(genesis: &Genesis) -> Result<B256, StoreError> {
    if genesis.spec.is_ethereum() {
        return Ok(Merkle::of_genesis(genesis).root());
    }
    let mut leaves = Scratch::new(state::tree_hash(genesis.spec.tree_hash));
    for (address, account) in &genesis.alloc {
        let fields =
            AccountFields { nonce: account.nonce, balance: account.balance, code: &account.code };
        leaves.add_account(*address, &fields)?;
        for (slot, value) in &account.storage {
            leaves.add_slot(*address, (*slot).into(), (*value).into());
        }
    }
    Ok(leaves.root())
}

/// Returns the first block of a chain.
pub(crate) fn first_block(
    genesis: &Genesis,
    point: Option<&ForkPoint>,
) -> Result<ExecutedBlock, StoreError> {
    if let Some(point) = point {
        return Ok(forked::first_block(point));
    }
    let header = genesis.header(genesis_root(genesis)?);
    let withdrawals = header.withdrawals_root.map(|_| Withdrawals::default());
    Ok(ExecutedBlock { withdrawals, ..ExecutedBlock::bare(header.seal_slow()) })
}

impl Shared {
    /// A read transaction over the newest commit, with the origin of the chain that it sees.
    pub(crate) fn read(&self) -> Result<(Arc<Read>, Arc<Origin>), StoreError> {
        let origin = self.origin.read();
        Ok((Arc::new(self.database.read()?), origin.clone()))
    }

    /// Empties all tables, for another chain; transactions that wait may stay. Ids of savepoints
    /// go on.
    pub(crate) fn clear(&self, tx: &Write, keeps_pool: bool) -> Result<(), StoreError> {
        let next_savepoint = self.next_savepoint(tx)?;
        let stays = |table: &Table| keeps_pool && table.name() == self.tables.pool.name();
        self.tables.all().filter(|table| !stays(table)).for_each(|table| tx.clear(table));
        self.oldest_change.store(0, Ordering::Relaxed);
        self.put_next_savepoint(tx, next_savepoint)
    }

    pub(crate) fn head<K: TransactionKind>(&self, tx: &Txn<K>) -> Result<Head, StoreError> {
        self.decode(tx, self.tables.meta, meta::HEAD, Head::decode)?
            .ok_or_else(|| self.bad_row(self.tables.meta, meta::HEAD))
    }

    /// Reads a row; one that does not decode is an error.
    pub(crate) fn decode<T, K: TransactionKind>(
        &self,
        tx: &Txn<K>,
        table: Table,
        key: &[u8],
        decode: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        match tx.value(table, key)? {
            Some(row) => decode(&row).map(Some).ok_or_else(|| self.bad_row(table, key)),
            None => Ok(None),
        }
    }

    /// Makes the error of a row that is damaged, or missing.
    pub(crate) fn bad_row(&self, table: Table, key: &[u8]) -> StoreError {
        bad_row(table, key)
    }

    pub(crate) fn leaf<K: TransactionKind>(
        &self,
        tx: &Txn<K>,
        key: &Key,
    ) -> Result<Option<Value>, StoreError> {
        self.decode(tx, self.tables.leaves, key.as_slice(), codec::read_word)
    }

    pub(crate) fn code(&self, tx: &Read, code_hash: B256) -> Result<Option<Bytes>, StoreError> {
        let row = tx.value(self.tables.code, code_hash.as_slice())?;
        Ok(row.map(|code| Bytes::from(code.into_owned())))
    }

    pub(crate) fn holder_count<K: TransactionKind>(
        &self,
        tx: &Txn<K>,
        code_hash: B256,
    ) -> Result<u64, StoreError> {
        let key = code_hash.as_slice();
        let count = self.decode(tx, self.tables.code_holders, key, codec::read_number)?;
        Ok(count.unwrap_or(0))
    }

    pub(crate) fn block_hash<K: TransactionKind>(
        &self,
        tx: &Txn<K>,
        number: u64,
    ) -> Result<Option<B256>, StoreError> {
        let key = codec::number_key(number);
        self.decode(tx, self.tables.headers, &key, |row| codec::read_word(row.get(..32)?))
    }

    pub(crate) fn change_row<K: TransactionKind>(
        &self,
        tx: &Txn<K>,
        number: u64,
        part: u32,
    ) -> Result<ChangeRow, StoreError> {
        let key = codec::pair_key(number, part);
        self.decode(tx, self.tables.changes, &key, ChangeRow::decode)?
            .ok_or_else(|| self.bad_row(self.tables.changes, &key))
    }
}

pub(crate) fn bad_row(table: Table, key: &[u8]) -> StoreError {
    StoreError::BadRow { table: table.name(), key: key.to_vec() }
}
