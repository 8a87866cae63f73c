//! Ends of a process at any moment, and power cuts at any sync point.
//!
//! A child process (this test binary again, see `child`) commits a chain whose every state follows
//! from the block number, and prints what it has been told is committed. The parent kills it, or
//! replays the file writes of the child up to a sync, opens what is left and compares.
//!
//! A power cut is simulated with `strace`: the writes and syncs of the child are recorded, and a
//! file is made of all the writes that a sync has covered, and of nothing else. That is the
//! strictest disk allowed: whatever was not synced is gone. The database's file and the
//! journal's are each a file of their own to the disk: a sync of one says nothing of the others.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and print")]

mod workload;

use alloy_primitives::{Address, Bytes, U256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};
use tandem_storage::{Commit, Durability, Mark, Store, TreeLimits, Writer};
use workload::{Change, Fields};

const CHILD_DIRECTORY: &str = "TANDEM_STORE_CHILD";
const CHILD_DURABILITY: &str = "TANDEM_STORE_CHILD_DURABILITY";
const CHILD_BLOCKS: &str = "TANDEM_STORE_CHILD_BLOCKS";
const ACCOUNTS: u64 = 7;
/// The database's file and the journal's.
const FILES: [&str; 3] = ["mdbx.dat", "journal0.dat", "journal1.dat"];
/// Rows that are settled together: those of a few blocks.
const SETTLE_ROWS: usize = 150;

/// The accounts that block `number` touches, and what they become.
fn changes(number: u64) -> Vec<Change> {
    let touched = [number % ACCOUNTS, (number / 3) % ACCOUNTS, ACCOUNTS + number];
    let unique: BTreeMap<_, _> = touched.into_iter().map(|index| (index, number)).collect();
    let changes = unique.into_iter().map(|(index, number)| Change {
        address: workload::address(index),
        fields: (number % 11 != 0 || index >= ACCOUNTS).then(|| Fields {
            nonce: number,
            balance: u128::from(number) << 64,
            code: Bytes::from(vec![number as u8 % 3; (number % 4) as usize * 40]),
        }),
        wiped: false,
        slots: if number % 11 != 0 || index >= ACCOUNTS {
            vec![(U256::from(number % 5), U256::from(number)), (U256::from(number), U256::from(1))]
        } else {
            Vec::new()
        },
    });
    changes.collect()
}

/// Nonces after block `head` of the accounts that are used again and again.
fn expected(head: u64) -> BTreeMap<Address, u64> {
    let mut nonces = BTreeMap::new();
    for number in 1..=head {
        for change in changes(number) {
            match &change.fields {
                Some(fields) => nonces.insert(change.address, fields.nonce),
                None => nonces.remove(&change.address),
            };
        }
    }
    nonces
}

/// Commits blocks in groups of one to three and prints the head after each commit, with waiting
/// transactions and an unwinding now and then.
fn write_chain(store: &Store, writer: &mut Writer, blocks: u64) {
    let mut out = std::io::stdout();
    let start = store.snapshot().unwrap().head();
    let mut number = start;
    while number < start + blocks {
        let mut batch = Vec::new();
        for _ in 0..=number % 3 {
            number += 1;
            let delta = writer.apply(number, &workload::bundle(&changes(number))).unwrap();
            let block = workload::block(number, Default::default(), delta.root(), vec![vec![]]);
            batch.push(Commit::Block { block: Arc::new(block), delta });
        }
        let waits = workload::transaction(number, 500);
        let bytes = Bytes::from(number.to_be_bytes().to_vec());
        batch.push(Commit::PoolInsert { hash: *waits.tx_hash(), order: number, bytes });
        store.commit(batch).unwrap();
        writeln!(out, "committed {number}").unwrap();
        if number.is_multiple_of(17) {
            writeln!(out, "unwinding to {}", number - 2).unwrap();
            writer.unwind(Mark { number: number - 2, edits: 0 }).unwrap();
            number -= 2;
            writeln!(out, "committed {number}").unwrap();
        }
    }
}

/// The child process; does nothing when it is run as an ordinary test.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(CHILD_DIRECTORY) else { return };
    let disk = std::env::var(CHILD_DURABILITY).is_ok_and(|value| value == "disk");
    let durability = if disk { Durability::Disk } else { Durability::Process };
    let blocks = std::env::var(CHILD_BLOCKS).unwrap().parse().unwrap();
    let options = workload::options(Path::new(&directory), durability);
    let limits = TreeLimits { settle_rows: SETTLE_ROWS, ..TreeLimits::default() };
    let (store, mut writer) =
        Store::open_within(&options, &workload::genesis(1337), limits).unwrap();
    write_chain(&store, &mut writer, blocks);
}

fn child_command(program: &Path, directory: &Path, durability: Durability, blocks: u64) -> Command {
    let mut command = Command::new(program);
    command
        .env(CHILD_DIRECTORY, directory)
        .env(CHILD_DURABILITY, if durability == Durability::Disk { "disk" } else { "process" })
        .env(CHILD_BLOCKS, blocks.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

const CHILD_ARGUMENTS: [&str; 3] = ["--exact", "child", "--nocapture"];

/// Reads what the child acknowledged: the last head and whether an unwinding was under way.
fn acknowledged(child: &mut Child) -> (u64, Option<u64>) {
    let (mut head, mut unwinding) = (0, None);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(number) = line.split("unwinding to ").nth(1) {
            unwinding = Some(number.parse().unwrap());
        } else if let Some(number) = line.split("committed ").nth(1) {
            head = number.parse().unwrap();
            unwinding = None;
        }
    }
    (head, unwinding)
}

/// Opens what is left and checks that it is a state of the chain; returns its head.
fn check(directory: &Path) -> u64 {
    let (store, writer) = workload::open(directory);
    let view = store.snapshot().unwrap();
    let head = view.head();
    let nonces: BTreeMap<_, _> = view
        .accounts()
        .unwrap()
        .into_iter()
        .map(|(address, info)| (address, info.nonce))
        .filter(|(address, _)| *address != Address::with_last_byte(0xaa))
        .filter(|(address, _)| *address != Address::with_last_byte(0xbb))
        .collect();
    assert_eq!(nonces, expected(head), "accounts at head {head}");
    let root = view.header(head).unwrap().unwrap().state_root;
    assert_eq!((root, root), (writer.root(), view.rebuild_root().unwrap()), "root at {head}");
    for number in 1..=head {
        let block = view.block(number).unwrap().unwrap();
        let place = view.location(*block.transactions[0].tx_hash()).unwrap().unwrap();
        assert_eq!(place.number, number);
    }
    head
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let rounds = 20;
    for durability in [Durability::Process, Durability::Disk] {
        let directory = tempfile::tempdir().unwrap();
        let program = std::env::current_exe().unwrap();
        let mut heads = Vec::new();
        for round in 0..rounds {
            let mut command = child_command(&program, directory.path(), durability, 100_000);
            let mut child = command.args(CHILD_ARGUMENTS).spawn().unwrap();
            // Anywhere from the opening of the database to some dozens of commits.
            std::thread::sleep(Duration::from_millis(20 + round * 37 % 300));
            child.kill().unwrap();
            let (acknowledged, unwinding) = acknowledged(&mut child);
            child.wait().unwrap();
            let head = check(directory.path());
            heads.push(head);
            let least = unwinding.unwrap_or(acknowledged);
            assert!(
                head >= least,
                "round {round}: {acknowledged} was acknowledged, head is {head}"
            );
        }
    }
}

/// A system call of the traced child that changes one of its files.
enum Traced {
    Write {
        file: usize,
        offset: u64,
        bytes: Vec<u8>,
        /// Whether the file was opened with O_DSYNC: the write is on disk when the call returns.
        through: bool,
    },
    Resize {
        file: usize,
        length: u64,
    },
    Sync(usize),
    /// Something the child printed.
    Acknowledged(u64),
    Unwinding(u64),
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_with_disk() {
    cut_power(Durability::Disk);
}

#[test]
fn a_power_cut_with_process_leaves_an_older_state_and_no_damage() {
    cut_power(Durability::Process);
}

fn cut_power(durability: Durability) {
    let required = std::env::var("TANDEM_REQUIRE_STRACE").is_ok_and(|value| value == "1");
    if Command::new("strace").args(["-o", "/dev/null", "true"]).status().is_err() {
        assert!(!required, "strace is not there and TANDEM_REQUIRE_STRACE=1");
        println!("left out: the power cut, strace is not there");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let chain = directory.path().join("chain");
    let log = directory.path().join("trace");
    let mut command = child_command(Path::new("strace"), &chain, durability, 40);
    let calls = "trace=openat,close,pwrite64,pwritev,fdatasync,fsync,ftruncate,write,msync,\
                 sync_file_range";
    let child = command
        .args(["-f", "-y", "-xx", "-s", "16777216", "-e", calls, "-o"])
        .arg(&log)
        .arg(std::env::current_exe().unwrap())
        .args(CHILD_ARGUMENTS)
        .output()
        .unwrap();
    assert!(child.status.success(), "the traced child failed");
    let trace = read_trace(&fs::read_to_string(&log).unwrap());
    cut_everywhere(&trace, directory.path(), durability);
}

/// Cuts the power after each acknowledgement and before each sync. Of the writes that no sync has
/// covered none reach the disk, or some do.
fn cut_everywhere(trace: &[Traced], directory: &Path, durability: Durability) {
    let disk = durability == Durability::Disk;
    let (mut synced, mut written): (Images, Images) = Default::default();
    let mut unsynced: [Vec<(u64, &[u8])>; 3] = Default::default();
    let (mut least, mut cuts) = (0, 0);
    for (index, call) in trace.iter().enumerate() {
        match call {
            Traced::Write { file, offset, bytes, through } => {
                written[*file].write_at(*offset, bytes);
                if *through {
                    synced[*file].write_at(*offset, bytes);
                } else {
                    unsynced[*file].push((*offset, bytes));
                }
            }
            Traced::Resize { file, length } => written[*file].resize(*length),
            Traced::Sync(file) => {
                synced[*file].clone_from(&written[*file]);
                unsynced[*file].clear();
            }
            Traced::Acknowledged(number) | Traced::Unwinding(number) => least = *number,
        }
        let before_sync = matches!(trace.get(index + 1), Some(Traced::Sync(_)) | None);
        if least == 0 || !(before_sync || matches!(call, Traced::Acknowledged(_))) {
            continue;
        }
        let expected = if disk { least } else { 0 };
        check_cut(directory, &synced, expected);
        let mut torn = synced.clone();
        for (torn, unsynced) in torn.iter_mut().zip(&unsynced) {
            for (offset, bytes) in unsynced.iter().skip(index % 2).step_by(2) {
                torn.write_at(*offset, bytes);
            }
        }
        torn[0].forget_boot();
        check_cut(directory, &torn, expected);
        cuts += 1;
    }
    assert!(least >= 40, "{least} blocks were acknowledged");
    assert!(cuts >= 20, "{cuts} cuts");
}

type Images = [Image; 3];

/// A file; what is after its bytes is a hole.
#[derive(Clone, Default)]
struct Image {
    bytes: Vec<u8>,
    length: u64,
}

impl Image {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) {
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        self.bytes.resize(self.bytes.len().max(end), 0);
        self.bytes[start..end].copy_from_slice(bytes);
        self.length = self.length.max(end as u64);
    }

    /// Makes the file one of before a reboot: MDBX trusts a meta page that was never synced only
    /// within the boot that wrote it. The boot's identifier is at byte 192 of the three meta
    /// pages, after a page header of 20 bytes.
    fn forget_boot(&mut self) {
        for page in 0..3 {
            let start = page * 4096 + 20;
            if let Some(meta) = self.bytes.get_mut(start..start + 224) {
                meta[192..208].copy_from_slice(&[0x5a; 16]);
            }
        }
    }

    fn resize(&mut self, length: u64) {
        self.bytes.truncate(length as usize);
        self.length = length;
    }
}

fn check_cut(directory: &Path, images: &Images, least: u64) {
    let cut = directory.join("cut");
    fs::create_dir(&cut).unwrap();
    for (image, name) in images.iter().zip(FILES) {
        let path = cut.join(name);
        fs::write(&path, &image.bytes).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_len(image.length).unwrap();
    }
    let head = check(&cut);
    assert!(head >= least, "{least} was acknowledged, head is {head}");
    fs::remove_dir_all(&cut).unwrap();
}

/// Reads the trace: `PID call(3</path>, "\x..", 4096, 0) = 4096`.
fn read_trace(text: &str) -> Vec<Traced> {
    let (mut calls, mut through) = (Vec::new(), BTreeSet::new());
    // A call that another thread interrupts is printed in two halves.
    let mut unfinished: BTreeMap<&str, String> = BTreeMap::new();
    for line in text.lines() {
        let Some((process, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        let whole = if let Some(start) = rest.strip_suffix(" <unfinished ...>") {
            unfinished.insert(process, start.to_owned());
            continue;
        } else if let Some((_, end)) = rest.split_once(" resumed>") {
            unfinished.remove(process).unwrap_or_default() + end
        } else {
            rest.to_owned()
        };
        calls.extend(read_call(&whole, &mut through));
    }
    calls
}

/// Reads a call; `through` holds the descriptors of the database that write through.
fn read_call(call: &str, through: &mut BTreeSet<String>) -> Vec<Traced> {
    let Some((name, arguments)) = call.split_once('(') else { return Vec::new() };
    let Some((arguments, result)) = arguments.rsplit_once(" = ") else { return Vec::new() };
    let result = result.split(' ').next().unwrap_or_default();
    let arguments = arguments.trim_end().trim_end_matches(')');
    if name == "write" {
        return read_output(arguments);
    }
    let descriptor = |text: &str| text.split('<').next().unwrap_or_default().trim().to_owned();
    if name == "openat" && arguments.contains("O_DSYNC") {
        through.insert(descriptor(result));
    }
    let target = arguments.split_once('>').map_or("", |(target, _)| target);
    let is = |name: &str| {
        let digits: String = name.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
        target.ends_with(&digits) || target.ends_with(name)
    };
    let Some(file) = FILES.iter().position(|name| is(name)) else { return Vec::new() };
    assert!(!result.starts_with('-'), "a call on {} failed: {name}", FILES[file]);
    match name {
        "pwrite64" | "pwritev" => {
            let offset = arguments.rsplit(", ").next().unwrap().parse().unwrap();
            let bytes = quoted(arguments).concat();
            assert_eq!(bytes.len().to_string(), result);
            let through = through.contains(&descriptor(arguments));
            vec![Traced::Write { file, offset, bytes, through }]
        }
        "ftruncate" => {
            let length = arguments.rsplit(", ").next().unwrap().parse().unwrap();
            vec![Traced::Resize { file, length }]
        }
        "fdatasync" | "fsync" => vec![Traced::Sync(file)],
        "msync" | "sync_file_range" => panic!("{name} on the database: not understood"),
        _ => Vec::new(),
    }
}

/// What the child prints, as acknowledgements.
fn read_output(arguments: &str) -> Vec<Traced> {
    let printed = quoted(arguments).concat();
    let text = String::from_utf8_lossy(&printed);
    text.lines()
        .filter_map(|line| {
            let number = |after: &str| line.split(after).nth(1)?.trim().parse().ok();
            number("committed ")
                .map(Traced::Acknowledged)
                .or_else(|| number("unwinding to ").map(Traced::Unwinding))
        })
        .collect()
}

/// The strings of a call, all of them written as `\x` and two digits a byte.
fn quoted(arguments: &str) -> Vec<Vec<u8>> {
    let strings = arguments.split('"').skip(1).step_by(2);
    strings
        .map(|string| {
            let digits = string.split("\\x").skip(1);
            digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
        })
        .collect()
}
