//! The commands of contract authors: a new project, its build, its deployment, and calls.
//!
//! Each command is a file: `new.rs`, `build.rs`, `deploy.rs`, `call.rs`. The crate `toolchain`
//! finds what builds for RISC-V, `abi.rs` finds ABIs and turns text into values and back, `node.rs` speaks to
//! a node, `sender.rs` sends transactions. A command gives a [`Report`]: text for people, or JSON.

mod abi;
mod build;
mod call;
mod deploy;
mod error;
mod new;
mod node;
mod report;
mod sender;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use error::Failure;
use report::Report;

/// The command line of a contract author. It is none of the node's: not one of its flags means
/// anything here.
#[derive(Debug, Parser)]
#[command(name = "tandem", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Prints the result as one JSON object
    #[arg(long, global = true)]
    json: bool,
}

/// What contract authors do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a contract project, with a test
    New(new::New),
    /// Builds the contract in this folder: image, ABI and Solidity interface, into target/tandem
    Build(build::Build),
    /// Deploys a contract that was built, or any image
    Deploy(deploy::Deploy),
    /// Calls a function and prints its answer; nothing is sent
    Call(call::Call),
    /// Sends a transaction that calls a function
    Send(call::Send),
}

/// The commands' names.
pub const NAMES: [&str; 5] = ["new", "build", "deploy", "call", "send"];

/// The commands with what they do, without their arguments: for the program's own help.
pub fn commands() -> impl Iterator<Item = clap::Command> {
    let cli = Cli::command();
    NAMES.into_iter().map(move |name| {
        let about = cli.find_subcommand(name).and_then(clap::Command::get_about);
        clap::Command::new(name).about(about.cloned().unwrap_or_default())
    })
}

/// Reads a command line; `None` if its first word is none of these commands.
pub fn find(arguments: &[OsString]) -> Option<Result<Cli, clap::Error>> {
    let first = arguments.get(1)?.to_str()?;
    NAMES.contains(&first).then(|| Cli::try_parse_from(arguments))
}

impl Cli {
    /// Does it, and prints the result or the failure.
    pub fn run(&self) -> io::Result<ExitCode> {
        let (text, code) = match self.command.run() {
            Ok(report) if self.json => (report.to_json(), ExitCode::SUCCESS),
            Ok(report) => (report.to_text(), ExitCode::SUCCESS),
            Err(failure) => {
                let text = if self.json {
                    failure.to_json()
                } else {
                    writeln!(io::stderr(), "error: {failure}")?;
                    String::new()
                };
                (text, ExitCode::from(failure.exit_code()))
            }
        };
        io::stdout().write_all(text.as_bytes())?;
        Ok(code)
    }
}

impl Command {
    fn run(&self) -> Result<Report, Failure> {
        match self {
            Self::New(new) => new.run(),
            Self::Build(build) => build.run(),
            Self::Deploy(deploy) => deploy.run(),
            Self::Call(call) => call.run(),
            Self::Send(send) => send.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert!(find(&words("tandem --port 0")).is_none());
        assert!(find(&words("tandem rv run x")).is_none());
        assert!(find(&words("tandem build --json")).unwrap().unwrap().json);
        let send = "tandem send 0x0000000000000000000000000000000000000001 f(int8) -5 --gas 7";
        let Command::Send(send) = find(&words(send)).unwrap().unwrap().command else { panic!() };
        assert!(format!("{send:?}").contains(r#"arguments: ["-5"]"#), "{send:?}");
        assert!(format!("{send:?}").contains("gas: Some(7)"), "{send:?}");
        assert!(find(&words("tandem deploy")).unwrap().is_err());
        let cli = Cli::command();
        assert!(cli.get_subcommands().map(clap::Command::get_name).eq(NAMES));
    }
}
