//! The `tandem` binary: settings, the node's start and end, and the little commands beside it.
//!
//! `cli.rs` and `settings.rs` say what can be set, `layers.rs` puts the sources together,
//! `chain_genesis.rs` finds the genesis, `db.rs` looks after the data directory, `run.rs` runs the node, `chain_file.rs` imports and exports
//! blocks.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use clap::error::ErrorKind;
use cli::Command;
use node::import::ExportRange;

mod banner;
mod chain_file;
mod chain_genesis;
mod cli;
mod db;
mod fork;
mod healthcheck;
mod ipc;
mod layers;
mod log;
mod pool;
mod proof;
mod run;
mod rv;
mod settings;
mod state_file;

/// A request allocates a few times; this takes half of what the system's allocator does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit code of a command line that can't be understood.
const USAGE: u8 = 2;

/// What ends the program with an error line.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Layers(#[from] layers::LayerError),
    #[error(transparent)]
    Settings(#[from] settings::SettingsError),
    #[error(transparent)]
    Health(#[from] healthcheck::HealthError),
    #[error(transparent)]
    Proof(#[from] proof::ProofFailure),
    #[error(transparent)]
    Db(#[from] db::DbError),
    #[error(transparent)]
    File(#[from] chain_file::FileError),
    #[error(transparent)]
    Run(#[from] run::RunError),
    #[error(transparent)]
    Rv(#[from] rv::RvError),
    #[error("settings: {0}")]
    Toml(#[from] toml::ser::Error),
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let done = match project::find(&arguments) {
        Some(Ok(command)) => command.run().map_err(Failure::from),
        Some(Err(error)) => return misunderstood(&error),
        None => match cli::parse(arguments) {
            Ok(given) => execute(given),
            Err(error) => return misunderstood(&error),
        },
    };
    match done {
        Ok(code) => code,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Prints what clap says: help that was asked for, or what is wrong with the command line.
fn misunderstood(error: &clap::Error) -> ExitCode {
    // Nobody is left to tell when the terminal is gone.
    let _ = error.print();
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if asked { ExitCode::SUCCESS } else { ExitCode::from(USAGE) }
}

fn execute(mut given: cli::Given) -> Result<ExitCode, Failure> {
    let command = given.cli.command.take();
    if let Some(Command::Completions { shell }) = command {
        clap_complete::generate(shell, &mut cli::completed(), "tandem", &mut io::stdout());
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(Command::Rv { command }) = &command {
        return Ok(rv::execute(command)?);
    }
    if let Some(Command::Proof { action }) = command {
        io::stdout().write_all(proof::run(&action)?.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let settings = layers::merge(&given, layers::environment())?;
    match command {
        Some(Command::Config) => {
            io::stdout().write_all(toml::to_string(&settings)?.as_bytes())?;
        }
        Some(Command::Healthcheck { timeout }) => {
            let address = settings.server()?.address;
            healthcheck::ask(address, Duration::from_secs(timeout.max(1)))?;
        }
        Some(Command::Db { command }) => db::run(&settings, &command)?,
        Some(Command::Import { files }) => chain_file::import(&settings, &files)?,
        Some(Command::Export { file, first, last }) => {
            chain_file::export(&settings, &file, ExportRange { first, last })?;
        }
        _ => run::run(&settings)?,
    }
    Ok(ExitCode::SUCCESS)
}
