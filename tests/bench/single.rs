//! One node under load: `cargo xtask bench rpc --url URL`.

use anyhow::{Result, ensure};

use crate::{client::Target, load::Chain, micros};

/// Dev accounts that may have ether.
const ACCOUNTS: u32 = 10;
/// Transfers of each connection.
const TRANSFERS: u64 = 50;

/// What to load, and how much.
pub(crate) struct Options {
    pub(crate) target: Target,
    /// Connections at once.
    pub(crate) connections: usize,
    /// Requests of each read.
    pub(crate) requests: usize,
}

/// Runs every read, and transfers where the dev accounts have ether.
pub(crate) fn run(options: Options) -> Result<()> {
    let Options { target, connections, requests } = options;
    ensure!(connections > 0 && requests > 0, "no connections or no requests: nothing to measure");
    let has_process = target.process.is_some();
    let mut chain = Chain::prepare(target, ACCOUNTS)?;
    println!("{requests} requests of each kind over {connections} connections at once\n");
    println!("| method | wall | requests a second | CPU |");
    println!("|---|---|---|---|");
    let show = |what: &str, sample: crate::client::Sample| {
        let cpu = sample.cpu_us.map_or_else(|| "-".to_owned(), micros);
        let rate = 1e6 / sample.wall_us;
        println!("| {what} | {} | {rate:.0} | {cpu} |", micros(sample.wall_us));
    };
    for (method, request) in &chain.reads {
        chain.read(request, connections, requests / 10 + 1)?;
        show(method, chain.read(request, connections, requests)?);
    }
    if chain.senders() == 0 {
        println!("\nleft out: transfers and logs (no dev account has ether on this chain)");
        return Ok(());
    }
    let many = chain.senders();
    show("transfer + receipt, one connection", chain.transfer(1, TRANSFERS)?);
    show(&format!("transfer + receipt, {many} connections"), chain.transfer(many, TRANSFERS)?);
    if !has_process {
        println!("\nCPU time is shown with --pid, for a process of this machine");
    }
    Ok(())
}
