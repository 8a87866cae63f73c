//! The project's own commands: `cargo xtask ci` is the whole gate, the rest are its parts and the
//! measurements. Start in `gate.rs`.
#![expect(clippy::print_stdout, reason = "what a command prints is its result")]

mod gate;
mod loc;
mod no_std;
mod suites;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Options {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// The whole gate: format, lints, tests, suites, tidy, line budgets.
    Ci,
    /// What a reader stumbles over: docs that name missing files, files that are too long, ...
    Tidy,
    /// Code lines by crate against the budgets in xtask/budgets.toml.
    Loc,
    /// Builds genesis, vm and the tree without the standard library, for RISC-V.
    NoStd,
}

fn main() -> ExitCode {
    let result = match Options::parse().command {
        Task::Ci => gate::run(),
        Task::Tidy => tidy::run(),
        Task::Loc => loc::run(),
        Task::NoStd => no_std::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
