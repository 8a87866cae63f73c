//! What a power cut leaves of the files that a process wrote, from a record of its system calls.
//!
//! The disk is the strictest that POSIX allows: a file has the bytes that a sync of it has covered
//! and no others, and a name that a sync of its folder has covered. Of the writes after the last
//! sync any part may have arrived as well.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context, Result, bail, ensure};
use rand::{Rng, rngs::StdRng};
use serde_json::Value;

/// What a disk writes in one piece.
const SECTOR: usize = 512;
/// The database file, and where the three pages of it start that say which commit is the newest.
const DATABASE: &str = "mdbx.dat";
const META_PAGES: [usize; 3] = [0, 4096, 8192];
/// Where, in such a page, the identifier of the machine's boot lies.
const BOOT_ID: std::ops::Range<usize> = 20 + 192..20 + 208;

/// A system call of the node that matters here. Files go by their names in the data directory.
#[derive(Debug)]
pub(crate) enum Event {
    /// A name that is new, or whose file has lost its bytes.
    Create(String),
    /// Bytes at an offset, or at the end; with the flag they are on disk when the call returns.
    Write {
        file: String,
        offset: Option<usize>,
        bytes: Vec<u8>,
        through: bool,
    },
    Resize {
        file: String,
        length: usize,
    },
    Sync(String),
    /// The folder itself.
    SyncNames,
    Rename {
        from: String,
        to: String,
    },
    Remove(String),
    /// A JSON-RPC answer, from the moment at which it began to be sent.
    Told(Value),
}

/// A file: what a reader sees, what is certainly on disk, and the writes in between.
#[derive(Clone, Default)]
struct File {
    seen: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
}

impl File {
    fn of(bytes: Vec<u8>) -> Self {
        Self { synced: bytes.clone(), seen: bytes, unsynced: Vec::new() }
    }

    fn write(&mut self, offset: usize, bytes: &[u8], through: bool) {
        write_at(&mut self.seen, offset, bytes);
        if through {
            write_at(&mut self.synced, offset, bytes);
        } else {
            self.unsynced.push((offset, bytes.to_vec()));
        }
    }

    fn sync(&mut self) {
        self.synced.clone_from(&self.seen);
        self.unsynced.clear();
    }
}

fn write_at(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    file.resize(file.len().max(end), 0);
    file[offset..end].copy_from_slice(bytes);
}

/// A data directory as the recorded calls make it.
#[derive(Default)]
pub(crate) struct Disk {
    files: BTreeMap<String, File>,
    /// What the names certainly on disk stand for, now under another name or under none.
    names: BTreeMap<String, File>,
    synced_names: BTreeSet<String>,
}

impl Disk {
    /// A folder as it is, all of it on disk.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let mut disk = Self::default();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).context("a strange name")?;
            // Locks are of no use after a boot.
            if path.is_file() && !name.ends_with(".lck") {
                disk.files.insert(name.to_owned(), File::of(fs::read(&path)?));
                disk.synced_names.insert(name.to_owned());
            }
        }
        Ok(disk)
    }

    /// Whether the event puts something on disk for good.
    pub(crate) const fn persists(event: &Event) -> bool {
        matches!(event, Event::Sync(_) | Event::SyncNames | Event::Write { through: true, .. })
    }

    /// Does what the call did.
    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Create(name) => {
                let file = self.files.entry(name.clone()).or_default();
                file.seen.clear();
            }
            Event::Write { file, offset, bytes, through } => {
                let file = self.files.entry(file.clone()).or_default();
                file.write(offset.unwrap_or(file.seen.len()), bytes, *through);
            }
            Event::Resize { file, length } => {
                self.files.entry(file.clone()).or_default().seen.resize(*length, 0);
            }
            Event::Sync(name) => {
                if let Some(file) = self.files.get_mut(name) {
                    file.sync();
                }
            }
            Event::SyncNames => {
                self.synced_names = self.files.keys().cloned().collect();
                self.names.clear();
            }
            Event::Rename { from, to } => {
                self.unname(to);
                if let Some(file) = self.files.remove(from) {
                    if self.synced_names.contains(from) {
                        self.names.insert(from.clone(), file.clone());
                    }
                    self.files.insert(to.clone(), file);
                }
            }
            Event::Remove(name) => self.unname(name),
            Event::Told(_) => {}
        }
    }

    fn unname(&mut self, name: &str) {
        if let Some(old) = self.files.remove(name)
            && self.synced_names.contains(name)
        {
            self.names.entry(name.to_owned()).or_insert(old);
        }
    }

    /// Writes into `folder` what a cut at this moment leaves: no write that was not synced, or,
    /// with `torn`, some of them, whole or in part.
    pub(crate) fn cut(&self, folder: &Path, mut torn: Option<&mut StdRng>) -> Result<()> {
        fs::create_dir(folder)?;
        for name in &self.synced_names {
            let Some(file) = self.names.get(name).or_else(|| self.files.get(name)) else {
                continue;
            };
            let mut bytes = file.synced.clone();
            if let Some(random) = &mut torn {
                // A file that grew may have its new length before its new bytes.
                bytes.resize(bytes.len().max(file.seen.len()), 0);
                for (offset, written) in &file.unsynced {
                    tear(&mut bytes, *offset, written, random);
                }
            }
            if name == DATABASE {
                forget_boot(&mut bytes);
            }
            fs::write(folder.join(name), bytes)?;
        }
        Ok(())
    }
}

/// Nothing of a write has arrived, or all of it, or some sectors.
fn tear(file: &mut Vec<u8>, offset: usize, bytes: &[u8], random: &mut StdRng) {
    let chance = [0.0, 0.5, 1.0][random.random_range(0..3)];
    for (index, sector) in bytes.chunks(SECTOR).enumerate() {
        if random.random_bool(chance) {
            write_at(file, offset + index * SECTOR, sector);
        }
    }
}

/// Makes the database one of before a reboot: the library trusts a commit that was never synced
/// only within the boot that wrote it.
fn forget_boot(file: &mut [u8]) {
    for page in META_PAGES {
        if let Some(id) = file.get_mut(page + BOOT_ID.start..page + BOOT_ID.end) {
            id.fill(0x5a);
        }
    }
}

/// The calls that `strace` has to record.
pub(crate) const CALLS: &str = "trace=openat,close,write,writev,pwrite64,pwritev,pwritev2,fsync,\
    fdatasync,msync,sync_file_range,ftruncate,fallocate,rename,renameat,renameat2,unlink,unlinkat,\
    sendto,sendmsg";

/// Reads what `strace -f -y -xx` wrote: `PID call(3</path>, "\x..", 4096, 0) = 4096`.
pub(crate) fn read_trace(text: &str, folder: &Path) -> Result<Vec<Event>> {
    let mut reader = Reader { folder, through: BTreeSet::new(), events: Vec::new() };
    // A call that another thread interrupts is printed in two halves.
    let mut halves: BTreeMap<&str, &str> = BTreeMap::new();
    let cut_off = killed_in(text);
    for (index, line) in text.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        let call = if let Some(start) = rest.strip_suffix(" <unfinished ...>") {
            // What a call sends may be at its reader's before the call returns.
            if !reader.tell(start)? {
                halves.insert(thread, start);
            }
            continue;
        } else if let Some((_, end)) = rest.split_once(" resumed>") {
            let Some(start) = halves.remove(thread) else { continue };
            format!("{start}{end}")
        } else {
            if reader.tell(rest)? {
                continue;
            }
            rest.to_owned()
        };
        let read = reader.call(&call);
        if !cut_off.contains(&index) {
            read?;
        }
    }
    Ok(reader.events)
}

/// The lines of the calls that threads were killed in: what is given as their results may be
/// another call's. Whatever they wrote, nobody heard of it.
fn killed_in(text: &str) -> BTreeSet<usize> {
    let mut newest: BTreeMap<&str, usize> = BTreeMap::new();
    let mut lines = BTreeSet::new();
    for (index, line) in text.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        if rest.trim_start().starts_with("+++ killed") {
            lines.extend(newest.get(thread));
        }
        newest.insert(thread, index);
    }
    lines
}

struct Reader<'a> {
    folder: &'a Path,
    /// Descriptors that write through.
    through: BTreeSet<String>,
    events: Vec<Event>,
}

impl Reader<'_> {
    /// Takes a call that sends to a socket; whether it was one.
    fn tell(&mut self, call: &str) -> Result<bool> {
        let Some((name, arguments)) = call.split_once('(') else { return Ok(false) };
        let sends = ["write", "writev", "sendto", "sendmsg"].contains(&name);
        if !sends || !decode(target(arguments)).starts_with(b"socket:") {
            return Ok(false);
        }
        let sent = strings(arguments)?.concat();
        let start = sent.windows(11).position(|bytes| bytes == b"{\"jsonrpc\":");
        if let Some(start) = start {
            let answer = serde_json::from_slice(&sent[start..]);
            self.events.push(Event::Told(answer.context("an answer in several pieces")?));
        }
        Ok(true)
    }

    fn call(&mut self, call: &str) -> Result<()> {
        let Some((name, arguments)) = call.split_once('(') else { return Ok(()) };
        let Some((arguments, result)) = arguments.rsplit_once(" = ") else { return Ok(()) };
        if result.starts_with('-') || result.starts_with('?') {
            return Ok(());
        }
        let arguments = arguments.trim_end().trim_end_matches(')');
        match name {
            "openat" => self.open(arguments, result)?,
            "rename" | "renameat" | "renameat2" => {
                let mut names = strings(arguments)?.into_iter().map(|name| self.inside(&name));
                if let (Some(Some(from)), Some(Some(to))) = (names.next(), names.next()) {
                    self.events.push(Event::Rename { from, to });
                }
            }
            "unlink" | "unlinkat" => {
                let name = strings(arguments)?.into_iter().next().unwrap_or_default();
                self.events.extend(self.inside(&name).map(Event::Remove));
            }
            _ => {
                let path = decode(target(arguments));
                if path == self.folder.as_os_str().as_encoded_bytes() {
                    self.events.push(Event::SyncNames);
                } else if let Some(file) = self.inside(&path) {
                    self.change(name, file, arguments, result)?;
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, arguments: &str, result: &str) -> Result<()> {
        let descriptor = result.split('<').next().unwrap_or_default().to_owned();
        if arguments.contains("O_DSYNC") || arguments.contains("O_SYNC") {
            self.through.insert(descriptor);
        } else {
            self.through.remove(&descriptor);
        }
        let name = strings(arguments)?.into_iter().next().unwrap_or_default();
        if arguments.contains("O_TRUNC")
            && let Some(name) = self.inside(&name)
        {
            self.events.push(Event::Create(name));
        }
        Ok(())
    }

    fn change(&mut self, name: &str, file: String, arguments: &str, result: &str) -> Result<()> {
        let last = || arguments.rsplit(", ").next().unwrap_or_default();
        match name {
            "write" | "writev" | "pwrite64" | "pwritev" => {
                let bytes = strings(arguments)?.concat();
                ensure!(bytes.len().to_string() == result, "{name}: {result} of {}", bytes.len());
                let offset = name.starts_with('p').then(|| last().parse()).transpose()?;
                let descriptor = arguments.split('<').next().unwrap_or_default();
                let through = self.through.contains(descriptor);
                self.events.push(Event::Write { file, offset, bytes, through });
            }
            "fsync" | "fdatasync" => {
                ensure!(result == "0", "{name}: {result}");
                self.events.push(Event::Sync(file));
            }
            "ftruncate" => self.events.push(Event::Resize { file, length: last().parse()? }),
            "close" => {}
            other => bail!("{other} on {file}: not understood"),
        }
        Ok(())
    }

    /// The name of a file of the data directory.
    fn inside(&self, path: &[u8]) -> Option<String> {
        let path = std::str::from_utf8(path).ok()?;
        let name = Path::new(path).strip_prefix(self.folder).ok()?.to_str()?;
        (!name.is_empty() && !name.ends_with(".lck")).then(|| name.to_owned())
    }
}

/// What the first descriptor of a call stands for.
fn target(arguments: &str) -> &str {
    let target = arguments.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    target.map_or("", |(target, _)| target)
}

/// Bytes written as `\x` and two digits each, or as they are.
fn decode(text: &str) -> Vec<u8> {
    let digits = |pair: &str| u8::from_str_radix(pair.get(..2)?, 16).ok();
    match text.split("\\x").skip(1).map(digits).collect::<Option<Vec<_>>>() {
        Some(bytes) if !bytes.is_empty() => bytes,
        _ => text.as_bytes().to_vec(),
    }
}

/// The strings of a call, none of which may be cut short.
fn strings(arguments: &str) -> Result<Vec<Vec<u8>>> {
    ensure!(!arguments.contains("\"..."), "a string was cut short");
    Ok(arguments.split('"').skip(1).step_by(2).map(decode).collect())
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn hex(text: &str) -> String {
        text.bytes().map(|byte| format!("\\x{byte:02x}")).collect()
    }

    #[test]
    fn only_what_was_synced_is_left() {
        let lines = [
            r#"1 openat(AT_FDCWD, "/d/a", O_WRONLY|O_CREAT|O_TRUNC, 0644) = 3</d/a>"#.to_owned(),
            r#"1 openat(AT_FDCWD, "/d/a", O_RDWR|O_DSYNC) = 4</d/a>"#.to_owned(),
            format!(r#"1 write(3</d/a>, "{}", 2) = 2"#, hex("ab")),
            "1 fsync(3</d/a>) = 0".to_owned(),
            "1 fsync(9</d>) = 0".to_owned(),
            format!(r#"1 pwrite64(3</d/a>, "{}", 2, 1) = 2"#, hex("XY")),
            format!(r#"1 pwrite64(4</d/a>, "{}", 1, 4 <unfinished ...>"#, hex("z")),
            format!(
                r#"2 sendto(5<socket:[7]>, "{}", 20, 0 <unfinished ...>"#,
                hex("{\"jsonrpc\":1}")
            ),
            "1 <... pwrite64 resumed>) = 1".to_owned(),
            "2 <... sendto resumed>, NULL, 0) = 20".to_owned(),
            r#"1 rename("/d/a", "/d/b") = 0"#.to_owned(),
            format!(r#"3 pwrite64(4</d/a>, "{}", 1, 6 <unfinished ...>"#, hex("q")),
            "3 <... pwrite64 resumed>) = 149".to_owned(),
            "3 +++ killed by SIGKILL +++".to_owned(),
        ];
        let wrong = read_trace(&lines[..lines.len() - 1].join("\n"), Path::new("/d")).unwrap_err();
        assert_eq!(wrong.to_string(), "pwrite64: 149 of 1");
        let events = read_trace(&lines.join("\n"), Path::new("/d")).unwrap();
        assert!(matches!(events[5], Event::Told(_)), "{events:?}");
        assert!(matches!(events[6], Event::Write { through: true, .. }), "{events:?}");
        let (folder, mut disk) = (tempfile::tempdir().unwrap(), Disk::default());
        events.iter().for_each(|event| disk.apply(event));
        disk.cut(&folder.path().join("cut"), None).unwrap();
        assert_eq!(fs::read(folder.path().join("cut/a")).unwrap(), b"ab\0\0z");
        assert!(!folder.path().join("cut/b").exists());
        disk.apply(&Event::SyncNames);
        let torn: BTreeSet<_> = (0..40)
            .map(|seed| {
                let folder = folder.path().join(seed.to_string());
                disk.cut(&folder, Some(&mut StdRng::seed_from_u64(seed))).unwrap();
                assert!(!folder.join("a").exists());
                fs::read(folder.join("b")).unwrap()
            })
            .collect();
        assert_eq!(torn, BTreeSet::from([b"ab\0\0z".to_vec(), b"aXY\0z".to_vec()]));
    }
}
