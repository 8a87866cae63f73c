//! `tandem db`: what may be done to the data of a chain without running it. Only `restore` and
//! `import` write to the data directory, and only to an empty one; the others may look at that of a
//! running node.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use alloy_primitives::B256;
use clap::Subcommand;
use genesis::{Genesis, GenesisError};
use node::{
    accounts::stored_sender,
    fork::{self, ForkError},
};
use serde_json::json;
use storage::{DataDir, ExportError, Fault, Rules, Stats, StoreError};

use crate::{
    chain_genesis::{self, KEPT_FILE, SourceError},
    settings::Settings,
};

/// What to do with the data of a chain.
#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Says how large the database is, table by table; a node may be running on it
    Stats {
        /// Prints JSON
        #[arg(long)]
        json: bool,
    },
    /// Checks the whole database: pages, blocks, receipts, state, history, indices
    #[command(after_help = VERIFY_HELP)]
    Verify,
    /// Writes a compact copy of the database to a new directory; a node may be running on it
    Snapshot {
        /// The new directory; it is a data directory itself
        directory: PathBuf,
    },
    /// Checks a snapshot and copies it to the empty data directory
    Restore {
        /// The directory that `snapshot` wrote
        directory: PathBuf,
    },
    /// Writes the newest state to a directory, in the form of EIP-8347
    Export {
        /// The new directory
        directory: PathBuf,
    },
    /// Begins a chain in the empty data directory with a state that `export` wrote
    #[command(after_help = IMPORT_HELP)]
    Import {
        /// The directory with the state
        directory: PathBuf,
    },
}

const VERIFY_HELP: &str = "\
Walks every page of the file, recomputes every hash and root from what is kept, and undoes the
history block by block, each state against the root of its block. Prints what was checked and ends
with 0, or names what is wrong and ends with 1.";

const IMPORT_HELP: &str = "\
The rules are those of the chain that was exported, or of --genesis. The state is checked against
the root in its header before anything is written.";

/// Why nothing was done, or what is wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DbError {
    /// Nothing says which data is meant.
    #[error("db needs a --datadir")]
    NoDatadir,
    /// A directory has no genesis.
    #[error("{} has no {KEPT_FILE}: it is no data directory of a node", path.display())]
    NoGenesis {
        /// The directory.
        path: PathBuf,
    },
    /// A directory is to be empty.
    #[error("{} is not empty: name one that is, or that is not there", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// A file can't be used.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A genesis file with an error in it.
    #[error("{}: {source}", path.display())]
    Genesis {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: GenesisError,
    },
    /// A snapshot of another chain than the one asked for.
    #[error("the snapshot begins with block {stored}, but {} gives {given}", path.display())]
    OtherGenesis {
        /// The genesis file given.
        path: PathBuf,
        /// Hash of the snapshot's first block.
        stored: B256,
        /// Hash that the file gives.
        given: B256,
    },
    /// The kept genesis of a fork is broken.
    #[error(transparent)]
    Fork(#[from] ForkError),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A state can't be exported or imported.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The genesis can't be kept.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The database is damaged.
    #[error("the database is damaged:\n{}", lines(.0))]
    Damaged(Vec<Fault>),
    /// The result can't be printed.
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("  {fault}")).collect::<Vec<_>>().join("\n")
}

/// Does it, and prints what came of it.
pub(crate) fn run(settings: &Settings, command: &DbCommand) -> Result<(), DbError> {
    let datadir = settings.datadir.as_deref().ok_or(DbError::NoDatadir)?;
    let text = match command {
        DbCommand::Stats { json } => {
            stats(settings, &DataDir::open_unchecked(datadir)?.stats()?, *json)
        }
        DbCommand::Verify => verify(datadir)?,
        DbCommand::Snapshot { directory } => snapshot(datadir, directory)?,
        DbCommand::Restore { directory } => restore(settings, datadir, directory)?,
        DbCommand::Export { directory } => export(datadir, directory)?,
        DbCommand::Import { directory } => import(settings, datadir, directory)?,
    };
    Ok(io::stdout().write_all(text.as_bytes())?)
}

fn stats(settings: &Settings, stats: &Stats, json: bool) -> String {
    let durability = format!("{:?}", settings.node().durability()).to_lowercase();
    if json {
        let tables = stats.tables.iter().map(|table| {
            let bytes = table.pages * stats.page_size;
            let (rows, pages, depth) = (table.rows, table.pages, table.depth);
            json!({"name": table.name, "rows": rows, "pages": pages, "bytes": bytes, "depth": depth})
        });
        let block = |(number, hash): (u64, B256)| json!({"number": number, "hash": hash});
        let all = json!({
            "schema": stats.schema,
            "genesis": block(stats.genesis),
            "head": block(stats.head),
            "oldestState": stats.oldest_state,
            "edits": stats.edits,
            "root": stats.root,
            "durability": durability,
            "pageSize": stats.page_size,
            "fileBytes": stats.file_bytes,
            "usedBytes": stats.used_bytes,
            "freePages": stats.free_pages,
            "tables": tables.collect::<Vec<_>>(),
        });
        return format!("{all:#}\n");
    }
    let mut text =
        format!("{:<14}{:>12}{:>10}{:>16}{:>7}\n", "table", "rows", "pages", "bytes", "depth");
    for table in &stats.tables {
        let bytes = table.pages * stats.page_size;
        let (rows, pages, depth) = (table.rows, table.pages, table.depth);
        text += &format!("{:<14}{rows:>12}{pages:>10}{bytes:>16}{depth:>7}\n", table.name);
    }
    let ((first, genesis), (head, hash)) = (stats.genesis, stats.head);
    text += &format!("genesis: block {first}, {genesis}\nhead: block {head}, {hash}\n");
    text += &format!("states kept: blocks {} to {head}\n", stats.oldest_state);
    text += &format!("edits since the head: {}\ntree root: {}\n", stats.edits, stats.root);
    text += &format!("schema: {}\ndurability: {durability}\n", stats.schema);
    let (file, used, free) = (stats.file_bytes, stats.used_bytes, stats.free_pages);
    text + &format!("file: {file} bytes, {used} of them used, {free} pages free\n")
}

/// The genesis that a data directory keeps, and whether its chain is forked.
fn kept_genesis(datadir: &Path) -> Result<(Genesis, bool), DbError> {
    if fork::is_kept(datadir) {
        return Ok((fork::kept_genesis(datadir)?, true));
    }
    let path = datadir.join(KEPT_FILE);
    if !path.exists() {
        return Err(DbError::NoGenesis { path: datadir.into() });
    }
    Ok((read_genesis(&path)?, false))
}

fn read_genesis(path: &Path) -> Result<Genesis, DbError> {
    let text =
        fs::read_to_string(path).map_err(|source| DbError::File { path: path.into(), source })?;
    Genesis::from_json(&text).map_err(|source| DbError::Genesis { path: path.into(), source })
}

fn verify(datadir: &Path) -> Result<String, DbError> {
    let data = DataDir::open(datadir)?;
    let (genesis, forked) = kept_genesis(datadir)?;
    let rules = Rules { genesis: &genesis, forked, sender: |tx| stored_sender(tx).ok() };
    let found = data.verify(&rules).map_err(DbError::Damaged)?;
    let (oldest, head) = found.states;
    let torn = match found.pages.torn {
        0 => String::new(),
        count => format!(
            "of the three pages that name a commit {count} are torn: this is the newest whole one\n"
        ),
    };
    Ok(format!(
        "pages: {} used, {} free\nblocks: {}, with {} transactions and {} entries of the log index\n\
         state: {} leaves, {} codes\nhistory: blocks {oldest} to {head}, {} old values, {} roots \
         computed\nwaiting: {}\nsavepoints: {}\n{torn}sound\n",
        found.pages.used,
        found.pages.free,
        found.blocks,
        found.transactions,
        found.log_entries,
        found.leaves,
        found.codes,
        found.old_values,
        found.roots,
        found.waiting,
        found.savepoints,
    ))
}

fn snapshot(datadir: &Path, to: &Path) -> Result<String, DbError> {
    let data = DataDir::open(datadir)?;
    let (_, forked) = kept_genesis(datadir)?;
    demand_empty(to)?;
    data.copy(to)?;
    let kept = if forked { fork::KEPT_FILE } else { KEPT_FILE };
    copy_file(&datadir.join(kept), &to.join(kept))?;
    let (number, hash) = data.head();
    Ok(format!("block {number}, {hash}: copied to {}\n", to.display()))
}

fn restore(settings: &Settings, datadir: &Path, from: &Path) -> Result<String, DbError> {
    demand_empty(datadir)?;
    verify(from)?;
    let data = DataDir::open(from)?;
    let (_, forked) = kept_genesis(from)?;
    if let Some(path) = &settings.genesis {
        let (given, (_, stored)) = (storage::genesis_hash(&read_genesis(path)?)?, data.genesis());
        if given != stored {
            return Err(DbError::OtherGenesis { path: path.clone(), stored, given });
        }
    }
    fs::create_dir_all(datadir).map_err(|source| DbError::File { path: datadir.into(), source })?;
    // The genesis comes last: a node refuses a database without it.
    data.copy(datadir)?;
    let kept = if forked { fork::KEPT_FILE } else { KEPT_FILE };
    copy_file(&from.join(kept), &datadir.join(kept))?;
    let (number, hash) = data.head();
    Ok(format!("block {number}, {hash}: restored to {}\n", datadir.display()))
}

fn export(datadir: &Path, to: &Path) -> Result<String, DbError> {
    let data = DataDir::open(datadir)?;
    let (mut genesis, forked) = kept_genesis(datadir)?;
    demand_empty(to)?;
    let done = data.export(to, forked)?;
    genesis.alloc.clear();
    let path = to.join(KEPT_FILE);
    write_file(&path, genesis.to_json().as_bytes())
        .map_err(|source| DbError::File { path, source })?;
    Ok(format!(
        "block {}, {}: {} leaves of {} accounts, tree root {}, written to {}\n",
        done.number,
        done.hash,
        done.leaves,
        done.accounts,
        done.root,
        to.display()
    ))
}

fn import(settings: &Settings, datadir: &Path, from: &Path) -> Result<String, DbError> {
    demand_empty(datadir)?;
    let rules = settings.genesis.clone().unwrap_or_else(|| from.join(KEPT_FILE));
    let mut genesis = read_genesis(&rules)?;
    let state = storage::import(from, &genesis)?;
    let header = &state.header;
    genesis.number = header.number;
    genesis.parent_hash = header.parent_hash;
    genesis.timestamp = header.timestamp;
    genesis.nonce = header.nonce.into();
    genesis.extra_data = header.extra_data.clone();
    genesis.gas_limit = header.gas_limit;
    genesis.difficulty = header.difficulty;
    genesis.mix_hash = header.mix_hash;
    genesis.coinbase = header.beneficiary;
    genesis.base_fee_per_gas = header.base_fee_per_gas;
    genesis.excess_blob_gas = header.excess_blob_gas;
    genesis.blob_gas_used = header.blob_gas_used;
    genesis.alloc = state.accounts;
    let options = storage::OpenOptions {
        path: datadir.into(),
        durability: storage::Durability::Disk,
        size_max: settings.node().database_size_max,
        prune: None,
        temporary: false,
    };
    let (store, writer) = storage::Store::open(&options, &genesis)?;
    let (root, rebuilt) = (state.root, writer.root());
    if root != rebuilt {
        return Err(StoreError::RootMismatch { recorded: root, rebuilt }.into());
    }
    let hash = store.genesis_hash()?;
    chain_genesis::keep(datadir, &datadir.join(KEPT_FILE), &genesis)?;
    let (number, accounts) = (genesis.number, genesis.alloc.len());
    Ok(format!(
        "block {number}, {hash}: a chain begins in {} with {accounts} accounts, tree root {root}\n",
        datadir.display()
    ))
}

/// Demands that a directory has nothing in it, or is not there.
fn demand_empty(path: &Path) -> Result<(), DbError> {
    let mut entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(DbError::File { path: path.into(), source }),
    };
    if entries.next().is_some() { Err(DbError::NotEmpty { path: path.into() }) } else { Ok(()) }
}

/// Copies a file in one step: it is there in full, and on disk, or not at all.
fn copy_file(from: &Path, to: &Path) -> Result<(), DbError> {
    let partial = partial(to);
    let copied = || -> io::Result<()> {
        fs::copy(from, &partial)?;
        put_in_place(&partial, to)
    };
    copied().map_err(|source| DbError::File { path: to.into(), source })
}

/// Writes a file in one step: it is there in full, and on disk, or not at all.
pub(crate) fn write_file(to: &Path, bytes: &[u8]) -> io::Result<()> {
    let partial = partial(to);
    fs::write(&partial, bytes)?;
    put_in_place(&partial, to)
}

/// The name of a file until it is whole.
pub(crate) fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

fn put_in_place(partial: &Path, to: &Path) -> io::Result<()> {
    fs::File::open(partial)?.sync_all()?;
    fs::rename(partial, to)?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
