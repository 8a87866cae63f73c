//! The node and anvil side by side on this machine: `cargo xtask bench`.
//!
//! Every transaction is signed before the clock starts, and the client is a socket and nothing
//! else. CPU time is the peer's own, from `/proc/PID/stat`. What it printed once is in
//! docs/benchmarks.md.
#![expect(clippy::print_stdout, reason = "the table is the result")]

mod measure;
mod peers;

use anyhow::{Context, Result, ensure};
use tandem_tests::npm;

use measure::{Load, Sample};
use peers::Peer;

/// Heights at which everything is measured.
const HEIGHTS: [u64; 2] = [0, 5_000];
const STARTS: usize = 7;

/// What is measured, in the order in which it is printed.
const LOADS: [(&str, Load); 4] = [
    ("transfer + receipt, one by one", Load::OneByOne),
    ("transfers + receipts, 32 connections", Load::Pipelined),
    ("eth_call", Load::Call),
    ("eth_getBalance", Load::Balance),
];

fn main() -> Result<()> {
    // `cargo test --all-targets` comes here too, but only wants to see that it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let Some(folder) = npm::folder("bench")? else { return Ok(()) };
    let peers = peers::all(folder)?;
    let (anvil, ours) = peers.split_last().context("no peers")?;
    let anvil_starts = start_times(anvil)?;
    let anvil_table = measure(anvil)?;
    for peer in ours {
        let table = measure(peer)?;
        let starts = start_times(peer)?;
        println!("\n### {} against {}\n", peer.name, anvil.name);
        println!("| | height | {} | {} | ratio |", peer.name, anvil.name);
        println!("|---|---|---|---|---|");
        row("cold start to the first answer", 0, &starts, &anvil_starts);
        for (row_of, row_of_anvil) in table.iter().zip(&anvil_table) {
            row(row_of.what, row_of.height, &row_of.sample, &row_of_anvil.sample);
        }
    }
    Ok(())
}

/// One measurement.
struct Row {
    what: &'static str,
    height: u64,
    sample: Sample,
}

fn row(what: &str, height: u64, ours: &Sample, theirs: &Sample) {
    println!(
        "| {what}, wall | {height} | {} | {} | {:.1} |",
        micros(ours.wall_us),
        micros(theirs.wall_us),
        theirs.wall_us / ours.wall_us
    );
    println!(
        "| {what}, CPU | {height} | {} | {} | {:.1} |",
        micros(ours.cpu_us),
        micros(theirs.cpu_us),
        theirs.cpu_us / ours.cpu_us
    );
}

fn micros(value: f64) -> String {
    if value < 1000.0 { format!("{value:.0} µs") } else { format!("{:.2} ms", value / 1000.0) }
}

/// The median of several starts.
fn start_times(peer: &Peer) -> Result<Sample> {
    let mut samples = (0..STARTS).map(|_| peer.start_time()).collect::<Result<Vec<_>>>()?;
    samples.sort_by(|one, other| one.wall_us.total_cmp(&other.wall_us));
    samples.into_iter().nth(STARTS / 2).context("no starts")
}

fn measure(peer: &Peer) -> Result<Vec<Row>> {
    let node = peer.start()?;
    let mut bench = measure::Bench::prepare(&node)?;
    let mut rows = Vec::new();
    for height in HEIGHTS {
        bench.raise_to(height)?;
        for (what, load) in LOADS {
            let sample = bench.run(load)?;
            ensure!(sample.cpu_us >= 0.0, "the clock of {} goes backwards", peer.name);
            println!("{}: {what} at {height}: {}", peer.name, micros(sample.wall_us));
            rows.push(Row { what, height, sample });
        }
    }
    Ok(rows)
}
