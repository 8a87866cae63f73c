//! The project's own commands: `cargo xtask ci` is the whole gate, the rest are its parts and the
//! measurements. Start in `gate.rs`.
#![expect(clippy::print_stdout, reason = "what a command prints is its result")]

mod bench;
mod contracts;
mod gate;
mod loc;
mod no_std;
mod tidy;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use toolchain::Toolchain;

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
    /// Builds the contracts' images.
    Contracts {
        /// Writes nothing, and fails if they are stale.
        #[arg(long)]
        check: bool,
    },
    /// Ethereum state tests, from where TANDEM_SUITES points.
    StateTests {
        /// Only files whose path contains this.
        only: Option<String>,
    },
    /// Kills the node at random moments under load, and looks at what is left.
    Kill {
        /// How many times for each mode of sealing.
        #[arg(long, default_value_t = 20)]
        rounds: u32,
    },
    /// Kills the node at random moments under a random load of all operations.
    Soak {
        /// How many times.
        #[arg(long, default_value_t = 1000)]
        rounds: u32,
        /// What the randomness begins with.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// The node and anvil side by side.
    Bench {
        #[command(subcommand)]
        what: Option<bench::Bench>,
    },
    /// Builds genesis, vm and the tree without the standard library, for RISC-V.
    NoStd,
}

fn main() -> ExitCode {
    let result = match Options::parse().command {
        Task::Ci => gate::run(),
        Task::Tidy => tidy::run(),
        Task::Loc => loc::run(),
        Task::NoStd => toolchain().and_then(|found| no_std::run(&found)),
        Task::Contracts { check } => toolchain().and_then(|found| contracts::run(&found, check)),
        Task::StateTests { only } => {
            gate::cargo_run(&["test", "--test", "state", "--", only.as_deref().unwrap_or("")], &[])
        }
        Task::Kill { rounds } => {
            let rounds = rounds.to_string();
            gate::cargo_run(&["test", "--test", "kill"], &[("TANDEM_KILL_ROUNDS", &rounds)])
        }
        Task::Soak { rounds, seed } => {
            let (rounds, seed) = (rounds.to_string(), seed.to_string());
            let variables = [("TANDEM_SOAK_ROUNDS", &*rounds), ("TANDEM_KILL_SEED", &*seed)];
            gate::cargo_run(
                &["test", "--test", "kill", "--", "all_operations", "--nocapture"],
                &variables,
            )
        }
        Task::Bench { what } => bench::run(what),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What builds for RISC-V here.
fn toolchain() -> anyhow::Result<Toolchain> {
    Ok(Toolchain::find(Path::new("."))?)
}
