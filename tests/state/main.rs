//! Ethereum state tests through the real store and the combined engine.
//!
//! The pre-state is the genesis of a store; the transaction is decoded from its bytes and runs in
//! block 1 on a snapshot of it; the block is committed; what is compared comes back out of the
//! store. `fixture` is the suites' JSON, `chain` makes a chain of a test, `judge` compares.

#![expect(clippy::print_stdout, reason = "the report is the result")]

mod chain;
mod exclude;
mod fixture;
mod judge;

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use anyhow::{Context, Result, bail};

use tandem_tests::suites;

use chain::{Chain, Engines};
use fixture::{File, Post, Test};

/// The archives, below the suites' folder.
const ARCHIVES: [&str; 2] = ["state-tests/eest-osaka.tar.gz", "state-tests/ethereum-tests.tar.gz"];
/// Failures that are printed in full.
const SHOWN_MAX: usize = 40;

/// What came of one expected post-state.
enum Verdict {
    Passed,
    Excluded(&'static str),
    Failed(String),
}

/// What came of all of them.
#[derive(Default)]
struct Report {
    passed: usize,
    excluded: Vec<(&'static str, String)>,
    failed: Vec<String>,
}

/// Runs all state tests whose file's path contains the first argument.
fn main() -> Result<()> {
    let only = env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let Some(suites) = suites::folder("state tests")? else { return Ok(()) };
    let start = Instant::now();
    let mut report = Report::default();
    for archive in ARCHIVES {
        let folder = suites::unpack(&suites.join(archive))?;
        let mut files = suites::json_files(folder.path())?;
        files.retain(|path| path.to_string_lossy().contains(&only));
        let before = report.passed;
        run_files(&files, folder.path(), &mut report)?;
        println!("{archive}: {} files, {} passed", files.len(), report.passed - before);
    }
    report.print();
    println!("state tests: {:.1} s", start.elapsed().as_secs_f64());
    if report.failed.is_empty() { Ok(()) } else { bail!("{} failed", report.failed.len()) }
}

/// Shares the files out among as many threads as there are cores.
fn run_files(files: &[PathBuf], root: &Path, report: &mut Report) -> Result<()> {
    let next = AtomicUsize::new(0);
    let engines = Engines::default();
    let shared = Mutex::new(report);
    let cores = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        let work = || -> Result<()> {
            while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                let found = run_file(path, root, &engines)
                    .with_context(|| format!("{}", path.display()))?;
                let Ok(mut report) = shared.lock() else { bail!("another thread panicked") };
                report.add(found);
            }
            Ok(())
        };
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(_) => bail!("a state test panicked"),
        })
    })
}

fn run_file(path: &Path, root: &Path, engines: &Engines) -> Result<Report> {
    let file: File = serde_json::from_slice(&fs::read(path)?)?;
    let short = path.strip_prefix(root).unwrap_or(path).display();
    let mut report = Report::default();
    for (name, test) in &file {
        for (fork, posts) in &test.post {
            let verdicts = run_fork((name, test), fork, posts, engines)
                .with_context(|| format!("{name} {fork}"))?;
            for (post, verdict) in posts.iter().zip(verdicts) {
                let fixture::Indexes { data, gas, value } = post.indexes;
                let label = format!("{short} {name} {fork} d{data} g{gas} v{value}");
                report.note(label, verdict);
            }
        }
    }
    Ok(report)
}

/// One store for all transactions of a test at a fork: each is unwound before the next.
fn run_fork(
    (name, test): (&str, &Test),
    fork: &str,
    posts: &[Post],
    engines: &Engines,
) -> Result<Vec<Verdict>> {
    if let Some(reason) = exclude::reason(name, test) {
        return Ok(posts.iter().map(|_| Verdict::Excluded(reason)).collect());
    }
    let mut chain = Chain::open(test, fork, engines)?;
    posts.iter().map(|post| judge::run(&mut chain, test, post)).collect()
}

impl Report {
    fn note(&mut self, label: String, verdict: Verdict) {
        match verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::Excluded(reason) => self.excluded.push((reason, label)),
            Verdict::Failed(why) => self.failed.push(format!("{label}: {why}")),
        }
    }

    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.excluded.extend(other.excluded);
        self.failed.extend(other.failed);
    }

    fn print(&mut self) {
        self.excluded.sort();
        self.failed.sort();
        for (reason, label) in &self.excluded {
            println!("excluded: {label}: {reason}");
        }
        for failure in self.failed.iter().take(SHOWN_MAX) {
            println!("failed: {failure}");
        }
        // The same form as cargo's own, so that the gate adds them up.
        let word = if self.failed.is_empty() { "ok" } else { "FAILED" };
        println!(
            "test result: {word}. {} passed; {} failed; {} excluded",
            self.passed,
            self.failed.len(),
            self.excluded.len()
        );
    }
}
