//! Starts the benches of `tests/bench`.

use anyhow::Result;
use clap::Subcommand;

use crate::gate;

/// What is measured instead of the node and anvil side by side.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// Gas and time of each contract in `contracts/` and of its Solidity twin.
    Contracts,
    /// What transactions wait for in each durability, over 1, 32 and 256 connections.
    Durability,
    /// Loads any node with the common reads, and with transfers of the dev accounts if it funds
    /// them. The transfers change its chain.
    Rpc {
        /// Where it listens, `http://HOST:PORT`.
        #[arg(long)]
        url: String,
        /// Its process, to show the CPU time that it takes.
        #[arg(long)]
        pid: Option<u32>,
        /// Connections at once.
        #[arg(long, default_value_t = 4)]
        connections: usize,
        /// Requests of each kind.
        #[arg(long, default_value_t = 20_000)]
        requests: usize,
    },
}

/// Runs the bench.
pub(crate) fn run(what: Option<Bench>) -> Result<()> {
    let mut arguments: Vec<_> =
        ["test", "--bench", "peers", "--", "--bench"].map(str::to_owned).into();
    match what {
        None => arguments.push("compare".to_owned()),
        Some(Bench::Durability) => arguments.push("durability".to_owned()),
        Some(Bench::Contracts) => arguments.push("contracts".to_owned()),
        Some(Bench::Rpc { url, pid, connections, requests }) => {
            arguments.extend([
                "rpc".to_owned(),
                url,
                connections.to_string(),
                requests.to_string(),
            ]);
            arguments.extend(pid.map(|pid| pid.to_string()));
        }
    }
    gate::cargo_run(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), &[])
}
