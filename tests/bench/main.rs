//! The node and anvil side by side on this machine, `cargo xtask bench`, and any node under the
//! same load, `cargo xtask bench rpc`; contracts of both machines, `cargo xtask bench contracts`.
//!
//! Every transaction is signed before the clock starts, and the client is a socket and nothing
//! else. CPU time is the peer's own, from `/proc`. What it printed once is in docs/benchmarks.md.
#![expect(clippy::print_stdout, reason = "the table is the result")]

mod client;
mod compare;
mod contracts;
mod durability;
mod load;
mod peers;
mod single;

use anyhow::{Context, Result};

use client::Target;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--bench").skip(1);
    match arguments.next().as_deref() {
        Some("compare") => compare::run(),
        Some("contracts") => contracts::run(),
        Some("durability") => durability::run(),
        // The arguments are those of `cargo xtask bench rpc`, in this order.
        Some("rpc") => {
            let mut next = || arguments.next().context("an argument is missing");
            let (url, connections, requests) = (next()?, next()?.parse()?, next()?.parse()?);
            let process = arguments.next().map(|process| process.parse()).transpose()?;
            let target = Target::parse(&url, process)?;
            single::run(single::Options { target, connections, requests })
        }
        // `cargo test --all-targets` comes here too, but only wants to see that it builds.
        _ => Ok(()),
    }
}

fn micros(value: f64) -> String {
    match value {
        small if small < 100.0 => format!("{small:.1} µs"),
        some if some < 1000.0 => format!("{some:.0} µs"),
        many => format!("{:.2} ms", many / 1000.0),
    }
}
