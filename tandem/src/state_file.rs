//! The chain's state in a file: loaded at the start, dumped at intervals and at the end.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use node::{Chain, error::DevError};

use crate::settings::Settings;

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
    interval: Duration,
}

impl StateFile {
    pub(crate) fn new(settings: &Settings) -> Self {
        let existing = || settings.state.clone().map(in_directory).filter(|path| path.exists());
        let seconds = settings.state_interval.unwrap_or(INTERVAL_SECONDS).max(1);
        Self {
            load: settings.load_state.clone().map(in_directory).or_else(existing),
            dump: settings.dump_state.clone().or_else(|| settings.state.clone()).map(in_directory),
            interval: Duration::from_secs(seconds),
        }
    }

    /// How long until the next dump, if there are any.
    pub(crate) fn until_next_dump(&self) -> Option<Duration> {
        self.dump.is_some().then_some(self.interval)
    }

    /// Puts the file's state into the chain.
    pub(crate) async fn load(&self, chain: &Chain) -> Result<(), StateError> {
        let Some(path) = &self.load else { return Ok(()) };
        let bytes =
            fs::read(path).map_err(|source| StateError::File { path: path.clone(), source })?;
        chain
            .load_state(bytes)
            .await
            .map_err(|source| StateError::State { path: path.clone(), source: source.into() })
    }

    /// Writes the chain's state into the file, in one step.
    pub(crate) async fn dump(&self, chain: &Chain) -> Result<(), StateError> {
        let Some(path) = &self.dump else { return Ok(()) };
        let bytes = chain
            .dump_state()
            .await
            .map_err(|source| StateError::State { path: path.clone(), source: source.into() })?;
        write(path, &bytes).map_err(|source| StateError::File { path: path.clone(), source })
    }
}

fn in_directory(path: PathBuf) -> PathBuf {
    if path.is_dir() { path.join(FILE_NAME) } else { path }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let partial = path.with_extension("partial");
    fs::write(&partial, bytes)?;
    fs::rename(&partial, path)
}
