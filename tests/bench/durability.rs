//! What an acknowledged transaction waits for, in each durability, and how commits group under load.

use anyhow::Result;

use crate::{client::Target, load::Chain, micros, peers};

const CONNECTIONS: [usize; 3] = [1, 32, 256];
/// Transfers for each number of connections, shared among them.
const TRANSFERS: usize = 4096;
const TRANSFERS_MAX: usize = 400;

/// Prints the table.
pub(crate) fn run() -> Result<()> {
    println!("| durability | connections | transfers/s | half wait less than | 99 in 100 |");
    println!("|---|---|---|---|---|");
    for peer in peers::ours(256)? {
        for connections in CONNECTIONS {
            // A new chain each time: all have the same height then.
            let node = peer.start()?;
            let target = Target::local(node.address(), node.id());
            let mut chain = Chain::prepare(target, u32::try_from(connections)?)?;
            let each = (TRANSFERS / connections).min(TRANSFERS_MAX);
            let (mut waits, took_us) = chain.acknowledge(connections, u64::try_from(each)?)?;
            waits.sort_by(f64::total_cmp);
            let at = |part: f64| waits[((waits.len() - 1) as f64 * part) as usize];
            let rate = waits.len() as f64 / took_us * 1e6;
            let (half, most) = (micros(at(0.5)), micros(at(0.99)));
            println!("| {} | {connections} | {rate:.0} | {half} | {most} |", peer.name);
        }
    }
    Ok(())
}
