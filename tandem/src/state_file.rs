//! The chain's state in a file: loaded at the start, dumped at intervals and at the end.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use node::{Chain, error::DevError};

use crate::{
    db::{partial, write_file},
    settings::Settings,
};

/// Seconds between two dumps, where nothing else is set: anvil's.
const INTERVAL_SECONDS: u64 = 60;

/// Name of the file in a directory.
const FILE_NAME: &str = "state.json";

/// Why the state can't be loaded or dumped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    /// The file can't be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The node does not take or give the state.
    #[error("{}: {source}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<DevError>,
    },
}

/// Where the state comes from and goes to.
#[derive(Debug)]
pub(crate) struct StateFile {
    load: Option<PathBuf>,
    dump: Option<PathBuf>,
    /// Whether older states go out as well.
    historical: bool,
    interval: Duration,
}

impl StateFile {
    pub(crate) fn new(settings: &Settings) -> Self {
        let existing = || settings.state.clone().map(in_directory).filter(|path| path.exists());
        let seconds = settings.state_interval.unwrap_or(INTERVAL_SECONDS).max(1);
        Self {
            load: settings.load_state.clone().map(in_directory).or_else(existing),
            dump: settings.dump_state.clone().or_else(|| settings.state.clone()).map(in_directory),
            historical: settings.preserve_historical_states,
            interval: Duration::from_secs(seconds),
        }
    }

    /// How long until the next dump, if there are any.
    pub(crate) fn until_next_dump(&self) -> Option<Duration> {
        self.dump.is_some().then_some(self.interval)
    }

    /// Puts the file's state into the chain, unless the chain has gone on from its beginning, and
    /// makes sure that there is a place for the next one.
    pub(crate) async fn load(&self, chain: &Chain) -> Result<(), StateError> {
        if let Some(path) = &self.dump {
            let partial = partial(path);
            let written = fs::write(&partial, "").and_then(|()| fs::remove_file(&partial));
            written.map_err(|source| StateError::File { path: path.clone(), source })?;
        }
        let Some(path) = &self.load else { return Ok(()) };
        if !chain.is_untouched().map_err(|source| wrong(path, source.into()))? {
            tracing::info!(
                "the chain of the data directory goes on: {} is not loaded",
                path.display()
            );
            return Ok(());
        }
        chain.load_state(read(path)?).await.map_err(|source| wrong(path, source))
    }

    /// Writes the chain's state into the file, in one step.
    pub(crate) async fn dump(&self, chain: &Chain) -> Result<(), StateError> {
        let Some(path) = &self.dump else { return Ok(()) };
        let bytes =
            chain.dump_state(self.historical).await.map_err(|source| wrong(path, source))?;
        write_file(path, &bytes).map_err(|source| StateError::File { path: path.clone(), source })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, StateError> {
    fs::read(path).map_err(|source| StateError::File { path: path.to_owned(), source })
}

fn wrong(path: &Path, source: DevError) -> StateError {
    StateError::State { path: path.to_owned(), source: source.into() }
}

fn in_directory(path: PathBuf) -> PathBuf {
    if path.is_dir() { path.join(FILE_NAME) } else { path }
}
