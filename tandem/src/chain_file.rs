//! `tandem import` and `tandem export`: the chain of a data directory from and to files of blocks.

use std::{
    io,
    path::{Path, PathBuf},
    time::Instant,
};

use node::{
    Chain,
    error::StartError,
    import::{ExportRange, ImportError},
};

use crate::{
    chain_genesis::{self, SourceError},
    log,
    run::runtime,
    settings::Settings,
};

/// Why a chain was not imported or exported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// There is no genesis to begin with.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The chain can't be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A block or a file is wrong.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Nothing says with which block the chain begins.
    #[error("import needs --genesis, or a --datadir with a chain in it")]
    NoGenesis,
    /// There is no chain to export.
    #[error("export needs a --datadir with a chain in it")]
    NoChain,
    /// No file has a block, and there is no chain either.
    #[error("{}: the file has no blocks, so that the chain cannot be begun", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Threads can't be had.
    #[error("system: {0}")]
    System(#[from] io::Error),
}

/// Adds the blocks of `files`, one file after the other.
pub(crate) fn import(settings: &Settings, files: &[PathBuf]) -> Result<(), FileError> {
    let _log = log::start(settings)?;
    if settings.genesis.is_none() && !chain_genesis::has_chain(settings) {
        return Err(FileError::NoGenesis);
    }
    let Some(first) = files.first() else { return Ok(()) };
    let on = files.iter().find_map(|file| Chain::genesis_of_file(file).transpose());
    let (genesis, mut node) = match on.transpose()? {
        Some(on) => chain_genesis::resolve_for_file(settings, on)?,
        None if chain_genesis::has_chain(settings) => chain_genesis::resolve(settings, 0)?,
        None => return Err(FileError::Empty { path: first.clone() }),
    };
    // Transactions that wait are left waiting.
    (node.no_mining, node.block_time, node.mixed_mining) = (true, None, false);
    runtime(settings.threads)?.block_on(async {
        let chain = Chain::start(node, genesis)?;
        chain.ready().await?;
        let result = import_all(&chain, files).await;
        if settings.datadir.is_none() {
            tracing::warn!("without --datadir the blocks were checked and are gone");
        }
        chain.stop().await;
        Ok(result?)
    })
}

async fn import_all(chain: &Chain, files: &[PathBuf]) -> Result<(), ImportError> {
    // A line per block would be most of the work.
    let _ = chain.set_logging(false).await;
    let mut result = Ok(());
    for file in files {
        let started = Instant::now();
        let done = match chain.import_file(file.clone()).await {
            Ok(done) => done,
            // A file that is wrong does not keep the others out, as with geth.
            Err(error) if files.len() > 1 && !matches!(error, ImportError::Failure(_)) => {
                tracing::error!(%error, "not imported: {}", file.display());
                result = Err(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        let (head, path) = (chain.head(), file.display());
        tracing::info!(
            added = done.added,
            known = done.known,
            head = head.number(),
            hash = %head.hash(),
            took = ?started.elapsed(),
            "imported {path}"
        );
    }
    result
}

/// Writes the chain to `file`.
pub(crate) fn export(
    settings: &Settings,
    file: &Path,
    range: ExportRange,
) -> Result<(), FileError> {
    let _log = log::start(settings)?;
    if !chain_genesis::has_chain(settings) {
        return Err(FileError::NoChain);
    }
    let (genesis, mut node) = chain_genesis::resolve(settings, 0)?;
    (node.no_mining, node.block_time, node.mixed_mining) = (true, None, false);
    runtime(settings.threads)?.block_on(async {
        let chain = Chain::start(node, genesis)?;
        chain.ready().await?;
        let result = chain.export_file(file.to_owned(), range).await;
        chain.stop().await;
        let blocks = result?;
        tracing::info!(blocks, "exported {}", file.display());
        Ok(())
    })
}
