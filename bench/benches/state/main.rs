//! The state tree beside NOMT and alloy-trie: `cargo bench -p tandem-bench --bench state`.
//!
//! A million leaves, then 1, 100, 1,000 and 10,000 of them changed at a time: the time to the new
//! root, and the time until it is on the disk. All peers in turn, in one run; the median counts. Of
//! what is durable the mean is shown, too: a peer may leave work to later commits.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench may panic and print")]

mod hexary;
mod store;

use alloy_primitives::B256;
use hexary::Hexary;
use nomt::{KeyReadWrite, Nomt, Options, SessionParams, hasher::Blake3Hasher};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use store::Chain;
use tandem_bench::rates;
use tree::{Blake3, Hash, Message, Tree, Update};

const LEAVES: u64 = 1_000_000;
const COUNTS: [u64; 4] = [1, 100, 1_000, 10_000];
const TARGET_ROOT: f64 = 20.0;
const TARGET_COMMIT: f64 = 3.0;

fn main() {
    // Cargo's tests of all targets only ask whether it starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let place = std::env::var_os("TANDEM_BENCH_DIR").unwrap_or_else(|| ".".into());
    let directory = tempfile::tempdir_in(Path::new(&place)).unwrap();
    let mut peers = Peers::new(directory.path());
    let (ours, limit) = (rates::of_the_tree(), rates::limit());
    println!(
        "BLAKE3 of nodes, millions a second on one core: {:.1} one by one, {:.1} in the tree, \
         {:.1} the limit, of which that is {:.0} %",
        rates::one_by_one() / 1e6,
        ours / 1e6,
        limit / 1e6,
        ours / limit * 100.0,
    );
    println!(
        "| updates | tree | without hashing | NOMT | ratio | alloy-trie | ratio | store | NOMT | \
         ratio | store, mean | NOMT, mean | ratio |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for count in COUNTS {
        peers.compare(count);
    }
    println!(
        "ratios: the peer's time by ours; aims {TARGET_ROOT} for the root, {TARGET_COMMIT} with the commit"
    );
}

/// No hash: what is left of the time to the root is finding the nodes and putting hashes in.
#[derive(Debug, Clone, Copy)]
struct Nothing;

impl Hash for Nothing {
    fn hash(self, _: &[u8]) -> B256 {
        B256::ZERO
    }

    fn hash_all(self, _: &[Message], _: &mut [B256]) {}
}

/// The same million entries in every peer.
struct Peers {
    tree: Tree<Blake3>,
    without_hash: Tree<Nothing>,
    nomt: Nomt<Blake3Hasher>,
    hexary: Hexary,
    chain: Chain,
    round: u64,
}

/// What one round of updates took each of them.
#[derive(Default)]
struct Times {
    tree: Vec<Duration>,
    without_hash: Vec<Duration>,
    nomt: Vec<Duration>,
    hexary: Vec<Duration>,
    store: Vec<Duration>,
    nomt_durable: Vec<Duration>,
}

impl Peers {
    fn new(directory: &Path) -> Self {
        let entries = entries(0..LEAVES, 0);
        let mut tree = Tree::new(Blake3);
        tree.apply(&updates(&entries));
        let mut without_hash = Tree::new(Nothing);
        without_hash.apply(&updates(&entries));
        let mut options = Options::new();
        options.path(directory.join("nomt"));
        options.commit_concurrency(2);
        options.prepopulate_page_cache(true);
        let nomt = Nomt::open(options).unwrap();
        for chunk in entries.chunks(100_000) {
            let session = nomt.begin_session(SessionParams::default());
            session.finish(writes(chunk)).unwrap().commit(&nomt).unwrap();
        }
        let hexary = Hexary::new(&entries);
        let chain = Chain::new(&directory.join("store"), LEAVES);
        Self { tree, without_hash, nomt, hexary, chain, round: 0 }
    }

    fn compare(&mut self, count: u64) {
        let rounds = (20_000 / count).clamp(30, 400);
        let mut times = Times::default();
        for _ in 0..rounds {
            self.run(count, &mut times);
        }
        let means = [&times.store, &times.nomt_durable].map(|times| mean(times));
        let [tree, without_hash, nomt, hexary, store, durable] = [
            times.tree,
            times.without_hash,
            times.nomt,
            times.hexary,
            times.store,
            times.nomt_durable,
        ]
        .map(median);
        let ratio = |peer: Duration, ours: Duration| peer.as_secs_f64() / ours.as_secs_f64();
        println!(
            "| {count} | {tree:.2?} | {without_hash:.2?} | {nomt:.2?} | {:.1} | {hexary:.2?} | {:.1} \
             | {store:.2?} | {durable:.2?} | {:.1} | {:.2?} | {:.2?} | {:.1} |",
            ratio(nomt, tree),
            ratio(hexary, tree),
            ratio(durable, store),
            means[0],
            means[1],
            ratio(means[1], means[0]),
        );
    }

    fn run(&mut self, count: u64, times: &mut Times) {
        self.round += 1;
        let indexes = (0..count).map(|index| (self.round * count + index) * 7919 % LEAVES);
        let entries = entries(indexes.clone(), self.round);
        let updates = updates(&entries);
        let (_, spent) = timed(|| self.tree.apply(&updates));
        times.tree.push(spent);
        let (_, spent) = timed(|| self.without_hash.apply(&updates));
        times.without_hash.push(spent);
        let writes = writes(&entries);
        let (finished, root_time) =
            timed(|| self.nomt.begin_session(SessionParams::default()).finish(writes).unwrap());
        times.nomt.push(root_time);
        let ((), commit_time) = timed(|| finished.commit(&self.nomt).unwrap());
        times.nomt_durable.push(root_time + commit_time);
        let (_, spent) = timed(|| self.hexary.apply(&entries));
        times.hexary.push(spent);
        let slots: Vec<_> = indexes.collect();
        times.store.push(self.chain.change(&slots, self.round));
    }
}

/// Sorted keys with a value that depends on the round.
fn entries(indexes: impl Iterator<Item = u64>, round: u64) -> Vec<([u8; 32], [u8; 32])> {
    let mut entries: Vec<_> = indexes
        .map(|index| {
            let key = *blake3::hash(&index.to_be_bytes()).as_bytes();
            (key, *blake3::hash(&(index + (round << 32)).to_le_bytes()).as_bytes())
        })
        .collect();
    entries.sort_unstable();
    entries
}

fn updates(entries: &[([u8; 32], [u8; 32])]) -> Vec<Update> {
    let update = |(key, value): &([u8; 32], [u8; 32])| Update {
        key: tree::Stem((*key).into()).header(0),
        value: Some((*value).into()),
    };
    entries.iter().map(update).collect()
}

fn writes(entries: &[([u8; 32], [u8; 32])]) -> Vec<([u8; 32], KeyReadWrite)> {
    let write =
        |(key, value): &([u8; 32], [u8; 32])| (*key, KeyReadWrite::Write(Some(value.to_vec())));
    entries.iter().map(write).collect()
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = run();
    (result, start.elapsed())
}

fn mean(times: &[Duration]) -> Duration {
    times.iter().sum::<Duration>() / times.len() as u32
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
