//! The node and anvil side by side.
//!
//! All peers run at once and are measured in turn, round by round; of the rounds the least time
//! counts, for what else happens on the machine only ever adds to it.

use anyhow::{Context, Result};
use tandem_tests::{Node, npm};

use crate::{
    client::{Sample, Target},
    load::Chain,
    micros,
    peers::{self, ACCOUNTS, Memory, Peer},
};

/// Heights at which everything is measured.
const HEIGHTS: [u64; 2] = [0, 5_000];
const ROUNDS: usize = 5;
const STARTS: usize = 7;
/// Connections over which reads are measured.
const READERS: [usize; 2] = [1, 16];
/// Requests of each read in a round.
const READS: usize = 2_400;
/// Transfers one by one in a round.
const TRANSFERS: u64 = 60;
/// Transfers of each of the connections in a round.
const TRANSFERS_AT_ONCE: u64 = 20;
/// Blocks of an hour, one a second.
const HOUR: u64 = 3_600;
/// Blocks of one `anvil_mine`: anvil takes tens of milliseconds for each.
const MINED: u64 = 10_000;
const MINED_BY_ANVIL: u64 = 100;

/// A peer that runs.
struct Running<'a> {
    peer: &'a Peer,
    node: Node,
    chain: Chain,
}

/// One measurement of all peers.
struct Row {
    what: String,
    height: u64,
    samples: Vec<Sample>,
}

/// Measures everything, then prints the tables.
pub(crate) fn run() -> Result<()> {
    let Some(folder) = npm::folder("bench")? else { return Ok(()) };
    let peers = peers::all(folder)?;
    let mut rows = vec![starts(&peers)?];
    let mut running = start(&peers)?;
    let mut memory = vec![("start", memory(&running)?)];
    for height in HEIGHTS {
        for one in &mut running {
            one.chain.raise_to(height)?;
        }
        rows.extend(measure(&mut running, height)?);
        let when = if height == 0 { "the loads at height 0" } else { "5,000 blocks of transfers" };
        memory.push((when, self::memory(&running)?));
    }
    rows.extend(mining(&peers, &mut running)?);
    memory.push(("mining", self::memory(&running)?));
    memory.extend(hour(&peers)?);
    print("CPU", &peers, &rows, |sample| sample.cpu_us);
    print("wall", &peers, &rows, |sample| Some(sample.wall_us));
    print_memory(&peers, &memory);
    Ok(())
}

fn start(peers: &[Peer]) -> Result<Vec<Running<'_>>> {
    let start = |peer| {
        let node = Peer::start(peer)?;
        let target = Target::local(node.address(), node.id());
        Ok(Running { peer, chain: Chain::prepare(target, ACCOUNTS)?, node })
    };
    peers.iter().map(start).collect()
}

/// The median of several starts.
fn starts(peers: &[Peer]) -> Result<Row> {
    let mut rounds = Vec::new();
    for _ in 0..STARTS {
        rounds.push(peers.iter().map(Peer::start_time).collect::<Result<Vec<_>>>()?);
    }
    let median = |peer: usize| {
        let mut samples: Vec<_> = rounds.iter().map(|round| round[peer]).collect();
        samples.sort_by(|one, other| one.wall_us.total_cmp(&other.wall_us));
        samples[STARTS / 2]
    };
    let samples = (0..peers.len()).map(median).collect();
    Ok(Row { what: "cold start to the first answer".to_owned(), height: 0, samples })
}

/// Everything that is measured at one height.
fn measure(running: &mut [Running<'_>], height: u64) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut row = |what: String, samples| {
        println!("measured at {height}: {what}");
        rows.push(Row { what, height, samples });
    };
    for connections in READERS {
        let count = running.first().context("no peers")?.chain.reads.len();
        for index in 0..count {
            let what = match connections {
                1 => running[0].chain.reads[index].0.to_owned(),
                _ => format!("{}, {connections} connections", running[0].chain.reads[index].0),
            };
            let samples = in_turn(running, |one| {
                let (_, request) = &one.chain.reads[index];
                one.chain.read(request, connections, READS)
            })?;
            row(what, samples);
        }
    }
    let samples = in_turn(running, |one| one.chain.transfer(1, TRANSFERS))?;
    row("transfer + receipt, one by one".to_owned(), samples);
    let all = |one: &mut Running<'_>| one.chain.transfer(one.chain.senders(), TRANSFERS_AT_ONCE);
    let samples = in_turn(running, all)?;
    row("transfer + receipt, 32 connections".to_owned(), samples);
    Ok(rows)
}

/// The least time of each peer in several rounds.
fn in_turn(
    running: &mut [Running<'_>],
    mut measure: impl FnMut(&mut Running<'_>) -> Result<Sample>,
) -> Result<Vec<Sample>> {
    let mut least: Vec<Option<Sample>> = vec![None; running.len()];
    for _ in 0..ROUNDS {
        for (one, least) in running.iter_mut().zip(&mut least) {
            let sample = measure(one).with_context(|| one.peer.name)?;
            *least = Some(least.map_or(sample, |least| least.least(sample)));
        }
    }
    least.into_iter().collect::<Option<_>>().context("no rounds")
}

/// What new chains take at an hour's beginning and at its end, with a transfer in each block.
fn hour(peers: &[Peer]) -> Result<[(&'static str, Vec<Memory>); 2]> {
    let mut running = start(peers)?;
    let before = memory(&running)?;
    for one in &mut running {
        one.chain.raise_to(HOUR)?;
    }
    Ok([("another start", before), ("an hour of it: 3,600 blocks of transfers", memory(&running)?)])
}

/// Runs of empty blocks, on new chains and on those that are long already.
fn mining(peers: &[Peer], running: &mut [Running<'_>]) -> Result<Vec<Row>> {
    let mine =
        |one: &Running<'_>| one.chain.mine(if one.peer.ours { MINED } else { MINED_BY_ANVIL });
    let new = start(peers)?.iter().map(mine).collect::<Result<_>>()?;
    // Ours are at 10,000 blocks and more before they are measured.
    for one in running.iter().filter(|one| one.peer.ours) {
        mine(one)?;
    }
    let long = running.iter().map(mine).collect::<Result<_>>()?;
    let height = running.last().context("no peers")?.chain.height()? - MINED;
    let what = "anvil_mine, a block of many".to_owned();
    Ok(vec![
        Row { what: what.clone(), height: 0, samples: new },
        Row { what, height, samples: long },
    ])
}

fn memory(running: &[Running<'_>]) -> Result<Vec<Memory>> {
    running.iter().map(|one| Memory::of(one.node.id())).collect()
}

/// One table: anvil's time, then that of each of ours with anvil's divided by it.
fn print(clock: &str, peers: &[Peer], rows: &[Row], time: impl Fn(&Sample) -> Option<f64>) {
    print!("\n### {clock} time of one operation\n\n| | height |");
    for peer in peers {
        print!(" {} |{}", peer.name, if peer.ours { " ratio |" } else { "" });
    }
    println!("\n|---|---|{}", "---|".repeat(2 * peers.len() - 1));
    for row in rows {
        print!("| {} | {} |", row.what, row.height);
        let times: Vec<_> =
            row.samples.iter().map(|sample| time(sample).unwrap_or(f64::NAN)).collect();
        let anvil = times.first().copied().unwrap_or(f64::NAN);
        for (peer, time) in peers.iter().zip(times) {
            print!(" {} |", micros(time));
            if peer.ours {
                print!(" {:.1} |", anvil / time);
            }
        }
        println!();
    }
}

fn print_memory(peers: &[Peer], memory: &[(&str, Vec<Memory>)]) {
    print!("\n### Memory, in MiB: allocated / resident with mapped files\n\n| after |");
    peers.iter().for_each(|peer| print!(" {} |", peer.name));
    println!("\n|---|{}", "---|".repeat(peers.len()));
    for (when, of_peers) in memory {
        print!("| {when} |");
        for Memory { own, resident } in of_peers {
            print!(" {} / {} |", own >> 20, resident >> 20);
        }
        println!();
    }
}
