//! What a block costs on a long chain, what is on the disk for it, log queries, and the start of a
//! large state: `cargo bench -p tandem-bench --bench chain`.
//!
//! Words after `--` choose among `heights`, `slots`, `logs` and `large`. `TANDEM_BENCH_LEAVES` sets
//! the size of the large state, ten million leaves if it is not set, `TANDEM_BENCH_DIR` the
//! directory in which the databases are made; with `TANDEM_BENCH_KEEP` they stay there, and
//! `tandem --datadir` starts on the large one.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench may panic and print"
)]

mod chain;

use alloy_primitives::{B256, Log, LogData};
use chain::Chain;
use std::{
    env, fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use storage::{DataDir, LogFilter};

/// A bench and its name.
type Bench = (&'static str, fn(&Path));
const BENCHES: [Bench; 4] =
    [("heights", heights), ("slots", slots), ("logs", logs), ("large", large)];
/// Blocks on the long chain.
const HEIGHT: u64 = 50_000;
/// Blocks whose time is taken, at each height.
const SAMPLES: u64 = 400;
const LOGS_A_BLOCK: u64 = 20;
const LARGE: u64 = 10_000_000;
/// Blocks that change slots all over the large state.
const SCATTERED: u64 = 40;
/// Blocks after which it is told how far the large state is.
const PROGRESS: u64 = 100;
/// Set in the process that opens the large state.
const OPEN: &str = "TANDEM_BENCH_OPEN";

fn main() {
    if let Some(path) = env::var_os(OPEN) {
        return open_large(Path::new(&path));
    }
    // Cargo's tests of all targets only ask whether it starts.
    if env::args().any(|argument| argument == "--test") {
        return;
    }
    let place = env::var_os("TANDEM_BENCH_DIR").unwrap_or_else(|| ".".into());
    let directory = tempfile::tempdir_in(Path::new(&place)).unwrap();
    let wanted: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    for (name, run) in BENCHES {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            run(&directory.path().join(name));
        }
    }
    if env::var_os("TANDEM_BENCH_KEEP").is_some() {
        println!("kept in {}", directory.keep().display());
    }
}

/// Blocks of one transfer, low and high.
fn heights(path: &Path) {
    let mut chain = Chain::new(path);
    chain.transfers(10 - 1, 1);
    let low = chain.timed_transfers(SAMPLES);
    let before = used_bytes(&mut chain);
    chain.transfers(HEIGHT - chain.number() - 1, 50);
    let bytes = used_bytes(&mut chain) - before;
    let blocks = HEIGHT - 1 - 10 - SAMPLES + 1;
    let high = chain.timed_transfers(SAMPLES);
    println!(
        "block of one transfer, to the root and committed: {low:.1?} from height 10, {high:.1?} \
         from height {HEIGHT}, ratio {:.2}; {} bytes on disk a block",
        high.as_secs_f64() / low.as_secs_f64(),
        bytes / blocks,
    );
    // Of the accounts the last blocks changed some, whose rows are not in the file yet.
    for (what, index) in [("of every block", 1), ("of a block long ago", 2_000), ("none", 5_000)] {
        println!("an account read, {what}: {:.0?}", chain.timed_account(index));
    }
}

/// Changes of slots that are there.
fn slots(path: &Path) {
    const SLOTS: u64 = 100_000;
    const CHANGED: u64 = 1_000;
    const BLOCKS: u64 = 200;
    let mut chain = Chain::new(path);
    chain.fill(SLOTS, |_| ());
    let before = used_bytes(&mut chain);
    for block in 0..BLOCKS {
        let changed: Vec<_> =
            (0..CHANGED).map(|at| (block * CHANGED + at) * 7919 % SLOTS).collect();
        chain.change(&changed, block + 1);
    }
    let bytes = used_bytes(&mut chain) - before;
    println!("{} bytes on disk a changed slot", bytes / (BLOCKS * CHANGED));
}

fn logs(path: &Path) {
    let (rare, common) = (B256::repeat_byte(1), B256::repeat_byte(2));
    let mut chain = Chain::new(path);
    for number in 1..=HEIGHT {
        let log = |index| {
            let topic = if number % (HEIGHT / 3) == 7 && index == 5 { rare } else { common };
            let data = LogData::new_unchecked(vec![topic], Default::default());
            Log { address: chain::CONTRACT, data }
        };
        chain.logs((0..LOGS_A_BLOCK).map(log).collect());
    }
    chain.commit();
    let store = chain.store();
    let filter = |topic, from, to| LogFilter {
        from,
        to,
        topics: [vec![topic], vec![], vec![], vec![]],
        ..Default::default()
    };
    let query = |filter: &LogFilter| {
        let mut times = Vec::new();
        let mut count = 0;
        for _ in 0..101 {
            let start = Instant::now();
            count = store.snapshot().unwrap().logs(filter, &|| false).unwrap().len();
            times.push(start.elapsed());
        }
        (count, median(times))
    };
    let (count, time) = query(&filter(rare, 0, HEIGHT));
    println!(
        "{count} logs of a rare topic over {HEIGHT} blocks with {} logs: {time:.1?}",
        HEIGHT * LOGS_A_BLOCK
    );
    for blocks in [10, 100, 500] {
        let (count, time) = query(&filter(common, HEIGHT / 2, HEIGHT / 2 + blocks - 1));
        let each = time / u32::try_from(count).unwrap();
        println!("{count} logs of a common topic: {time:.1?}, {each:.2?} each");
    }
}

/// Makes a large state, and opens it in a process of its own.
fn large(path: &Path) {
    let leaves = env::var("TANDEM_BENCH_LEAVES").map_or(LARGE, |text| text.parse().unwrap());
    let (mut chain, mut most, start) = (Chain::new(path), 0, Instant::now());
    chain.fill(leaves, |number| {
        most = own_memory_mib().max(most);
        if number.is_multiple_of(PROGRESS) {
            eprintln!("  block {number} after {:.1?}, {most} MiB at most", start.elapsed());
        }
    });
    let number = chain.number();
    drop(chain);
    fs::write(path.join("genesis.json"), chain::genesis().to_json()).unwrap();
    println!(
        "a state of {leaves} slots, after {number} blocks and {:.0?}; its process had {most} MiB of \
         its own at most:",
        start.elapsed()
    );
    let own = env::current_exe().unwrap();
    let status = Command::new(own).env(OPEN, path).status().unwrap();
    assert!(status.success());
}

fn open_large(path: &Path) {
    let start = Instant::now();
    let mut chain = Chain::open(path);
    let opened = start.elapsed();
    chain.read();
    let read = start.elapsed();
    chain.transfers(1, 1);
    let sealed = start.elapsed();
    println!(
        "  open after {opened:.1?}, first read after {read:.1?}, first block sealed and committed \
         after {sealed:.1?}, memory of its own {} MiB",
        own_memory_mib()
    );
    for count in [1, 1_000, 10_000] {
        let changed: Vec<_> = (0..count).map(|at| at * 7919).collect();
        let start = Instant::now();
        chain.change(&changed, 1);
        println!(
            "  a block that changes {count} slots far apart, none of them in memory: {:.1?}, then {} \
             MiB",
            start.elapsed(),
            own_memory_mib()
        );
    }
    let (mut times, mut most) = (Vec::new(), 0);
    for round in 0..SCATTERED {
        let changed: Vec<_> =
            (0..10_000).map(|at| (round * 10_000 + at) * 104_729 % LARGE).collect();
        let start = Instant::now();
        chain.change(&changed, round + 2);
        times.push(start.elapsed());
        most = own_memory_mib().max(most);
    }
    println!(
        "  {SCATTERED} more that change 10,000 each, all over the state: {:.1?} (median), {most} MiB \
         at most",
        median(times)
    );
}

/// Memory that is not the database's file mapped.
fn own_memory_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or(0) / 1024
}

/// Bytes of the pages in use.
fn used_bytes(chain: &mut Chain) -> u64 {
    chain.commit();
    chain.closed(|path| {
        let stats = DataDir::open_unchecked(path).unwrap().stats().unwrap();
        stats.used_bytes - stats.free_pages * stats.page_size
    })
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
