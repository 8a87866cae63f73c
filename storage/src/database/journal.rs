//! The journal: what was committed and has yet to be settled in the database's file, a record for
//! each commit.
//!
//! It is two files that are written in turn, each from its start: while the records of one are
//! settled, commits go to the other. Zeros are written ahead and synced, so that a record's sync
//! has no length and no place on the disk to write, and each record begins a page, so that none is
//! written again with the next. Byte by byte it is described in `docs/spec/state.md`, section 7.
//!
//! What a cut leaves is told by the sectors, each of which has its record's number, its place in it
//! and a check: a sector with another number, or zeros, was not written, one whose check fails is
//! damaged. So a record that lacks sectors was never synced and nobody was told of it, unless a
//! later record says that it was; one with a damaged sector is refused.

use crate::{
    BadFile, StoreError,
    mdbx::{LazySync, Result},
    store,
};
use alloy_primitives::Bytes;
use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Instant,
};

/// The two files beside the database's.
pub(crate) const FILES: [&str; 2] = ["journal0.dat", "journal1.dat"];
/// What a disk writes in one piece.
const SECTOR: usize = 512;
/// Number (8) ‖ place (4), before the bytes of a sector, and a check (4) after them.
const DATA: std::ops::Range<usize> = 12..SECTOR - 4;
/// Where a record begins: at a multiple of this; the first one after the file's header.
const PAGE: usize = 4096;
/// Length (8) ‖ number of the newest record that was synced when this one was written (8).
const LEAD: usize = 16;
/// A file grows to a multiple of this, and to twice its length at least.
const STEP: u64 = 1 << 20;
/// Bytes that a buffer keeps room for, between a large record and the next one.
const BUFFER_MAX: usize = 4 << 20;
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// The journal of a database that is open.
#[derive(Debug)]
pub(crate) struct Journal {
    directory: PathBuf,
    /// When records are synced; each one, before its commit returns, if there is no other time.
    lazy: Option<LazySync>,
    /// None if they were not opened.
    files: Option<[Segment; 2]>,
    active: usize,
    /// The newest record that is synced, and the bytes written since.
    synced: u64,
    unsynced: usize,
    synced_at: Instant,
    /// A record's bytes, and the same in sectors.
    buffers: [Vec<u8>; 2],
}

/// A file of the journal.
#[derive(Debug)]
pub(super) struct Segment {
    file: File,
    /// Bytes that it has.
    len: u64,
    /// Where its next record begins.
    end: u64,
}

impl Journal {
    /// The journal of a directory; records are synced at such times, or each one before its commit
    /// returns.
    pub(crate) fn new(directory: &Path, lazy: Option<LazySync>) -> Self {
        Self {
            directory: directory.into(),
            lazy,
            files: None,
            active: 0,
            synced: 0,
            unsynced: 0,
            synced_at: Instant::now(),
            buffers: Default::default(),
        }
    }

    /// Reads the records after one. Of what needs no journal nothing is read but how the files
    /// begin: they hold nothing newer, unless the page that says that they are needed was torn.
    pub(super) fn read(
        &self,
        settled: u64,
        is_needed: bool,
    ) -> std::result::Result<Found, StoreError> {
        let is_settled = |name: &&str| {
            let mut bytes = [0; SECTOR];
            let file = File::open(self.directory.join(name));
            file.and_then(|file| file.read_exact_at(&mut bytes, PAGE as u64)).is_ok()
                && match sector(&bytes, 0) {
                    Sector::Empty => true,
                    Sector::Damaged => false,
                    Sector::Of { number, .. } => number <= settled,
                }
        };
        if !is_needed && FILES.iter().all(is_settled) {
            return Ok(Found::default());
        }
        Records::load(&self.directory)?.after(settled, is_needed)
    }

    /// Demands that there are no records in it.
    pub(super) fn demand_empty(&self) -> std::result::Result<(), StoreError> {
        Records::load(&self.directory)?.demand_none()
    }

    /// Opens both files, and makes those that are not there.
    pub(super) fn prepare(&mut self) -> Result<&mut [Segment; 2]> {
        if self.files.is_none() {
            let mut files = [self.open(0)?, self.open(1)?];
            for segment in &mut files {
                segment.reserve(PAGE as u64)?;
            }
            File::open(&self.directory)?.sync_all()?;
            self.files = Some(files);
        }
        Ok(self.files.as_mut().expect("they were just put there"))
    }

    fn open(&self, file: usize) -> Result<Segment> {
        let path = self.directory.join(FILES[file]);
        let has = store::file_bytes(&path);
        let mut options = File::options();
        let file = options.create(true).truncate(false).read(true).write(true).open(path)?;
        let mut header = [0; SECTOR];
        if has >= SECTOR as u64 {
            file.read_exact_at(&mut header, 0)?;
        }
        let len = read_header(&header).filter(|len| *len <= has).unwrap_or(0);
        Ok(Segment { file, len, end: PAGE as u64 })
    }

    /// Lets the next record follow the last one that was found.
    pub(super) fn go_on(&mut self, parts: &[Part]) -> Result<()> {
        for part in parts {
            let segment = &mut self.prepare()?[part.file];
            segment.end = part.end;
            // Of a process that was killed: later records say that these are synced.
            segment.sync()?;
            self.active = part.file;
        }
        Ok(())
    }

    /// Writes a record of the bytes that `put` gives, durably as the journal is; when that fails,
    /// none is found there.
    pub(super) fn append(&mut self, number: u64, put: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let [mut bytes, mut buffer] = std::mem::take(&mut self.buffers);
        put(&mut bytes);
        frame(&mut buffer, (number, self.synced), &bytes);
        let (active, is_lazy) = (self.active, self.lazy.is_some());
        let segment = &mut self.prepare()?[active];
        let (start, end) = (segment.end, segment.end + buffer.len() as u64);
        if !is_lazy {
            segment.reserve(end)?;
        }
        let written = segment.file.write_all_at(&buffer, start);
        segment.end = end;
        self.unsynced += buffer.len();
        self.buffers = [bytes, buffer].map(|mut buffer| {
            buffer.clear();
            buffer.shrink_to(BUFFER_MAX);
            buffer
        });
        let done = written.map_err(Into::into).and_then(|()| self.sync_if_due(number));
        if done.is_err() {
            // It may have been written and not synced. If this fails, too, nobody knows.
            let _ = self.prepare()?[active].file.write_all_at(&ZEROS[..SECTOR], start);
        }
        done
    }

    fn sync_if_due(&mut self, number: u64) -> Result<()> {
        match self.lazy {
            Some(LazySync { bytes, period })
                if self.unsynced < bytes && self.synced_at.elapsed() < period =>
            {
                Ok(())
            }
            Some(_) => self.sync(number, &[0, 1]),
            None => self.sync(number, &[self.active]),
        }
    }

    fn sync(&mut self, number: u64, files: &[usize]) -> Result<()> {
        let segments = self.prepare()?;
        files.iter().try_for_each(|file| segments[*file].sync())?;
        (self.synced, self.unsynced, self.synced_at) = (number, 0, Instant::now());
        Ok(())
    }

    /// Writes what comes to the other file, whose records are settled.
    pub(super) fn switch(&mut self) {
        self.active ^= 1;
        if let Some(files) = &mut self.files {
            files[self.active].end = PAGE as u64;
        }
    }

    /// Empties both files, durably.
    pub(super) fn clear(&mut self) -> Result<()> {
        self.files = None;
        for path in FILES.map(|name| self.directory.join(name)) {
            if store::file_bytes(&path) > 0 {
                let file = File::options().write(true).open(path)?;
                file.set_len(0)?;
                file.sync_all()?;
            }
        }
        Ok(())
    }
}

impl Segment {
    /// Makes the file have so many bytes at least, before records are synced one by one.
    fn reserve(&mut self, needs: u64) -> Result<()> {
        if needs <= self.len {
            return Ok(());
        }
        let len = needs.max(2 * self.len).next_multiple_of(STEP);
        for at in (self.len..len).step_by(ZEROS.len()) {
            self.file.write_all_at(&ZEROS, at)?;
        }
        self.tell(len)
    }

    /// Syncs what was written, which may have made the file longer.
    fn sync(&mut self) -> Result<()> {
        if self.end > self.len { self.tell(self.end) } else { Ok(self.file.sync_data()?) }
    }

    /// Syncs the file and has its header tell its length, which it has by then.
    fn tell(&mut self, len: u64) -> Result<()> {
        self.file.sync_data()?;
        let mut header = Vec::new();
        put_sector(&mut header, (0, 0), &[&len.to_be_bytes()]);
        self.file.write_all_at(&header, 0)?;
        self.file.sync_data()?;
        self.len = len;
        Ok(())
    }
}

/// Writes a record in sectors, which fill pages.
fn frame(buffer: &mut Vec<u8>, (number, synced): (u64, u64), bytes: &[u8]) {
    let lead = [(bytes.len() as u64).to_be_bytes(), synced.to_be_bytes()].concat();
    let (first, rest) = bytes.split_at(bytes.len().min(DATA.len() - LEAD));
    put_sector(buffer, (number, 0), &[&lead, first]);
    for (place, data) in (1..).zip(rest.chunks(DATA.len())) {
        put_sector(buffer, (number, place), &[data]);
    }
    buffer.resize(buffer.len().next_multiple_of(PAGE), 0);
}

fn put_sector(buffer: &mut Vec<u8>, (number, place): (u64, u32), data: &[&[u8]]) {
    let start = buffer.len();
    buffer.extend_from_slice(&number.to_be_bytes());
    buffer.extend_from_slice(&place.to_be_bytes());
    data.iter().for_each(|data| buffer.extend_from_slice(data));
    buffer.resize(start + DATA.end, 0);
    let check = crc32fast::hash(&buffer[start..]);
    buffer.extend_from_slice(&check.to_be_bytes());
}

/// A sector as it is found.
enum Sector<'a> {
    /// Zeros, or the end of the file.
    Empty,
    Damaged,
    /// Of a record, with its place there.
    Of {
        number: u64,
        place: u32,
        data: &'a [u8],
    },
}

fn sector(file: &[u8], at: usize) -> Sector<'_> {
    let bytes = match file.get(at..at + SECTOR) {
        Some(bytes) if bytes.iter().any(|byte| *byte != 0) => bytes,
        None if at < file.len() => return Sector::Damaged,
        _ => return Sector::Empty,
    };
    let (bytes, check) = bytes.split_at(DATA.end);
    if crc32fast::hash(bytes).to_be_bytes() != check {
        return Sector::Damaged;
    }
    let place = read_u64(&bytes[4..]) as u32;
    Sector::Of { number: read_u64(bytes), place, data: &bytes[DATA.start..] }
}

/// Reads the number that bytes start with; there are enough of them.
fn read_u64(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// Reads the length that a file says it has; none if it says nothing, or is damaged.
fn read_header(file: &[u8]) -> Option<u64> {
    match sector(file, 0) {
        Sector::Of { number: 0, place: 0, data } => Some(read_u64(data)),
        _ => None,
    }
}

/// The bytes of both files.
#[derive(Debug)]
pub(crate) struct Records {
    directory: PathBuf,
    files: [Vec<u8>; 2],
}

/// What one file has of the records that were asked for.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) file: usize,
    pub(super) records: Vec<Bytes>,
    /// Number of the first one.
    pub(super) first: u64,
    /// Where the next record belongs.
    end: u64,
}

/// The records after one.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// By file, the older ones first.
    pub(super) parts: Vec<Part>,
    /// The highest number of a record of which there is something, and nobody was told of it.
    pub(super) rest: Option<u64>,
}

impl Records {
    /// Reads the journal of a directory, which another process may be writing.
    pub(crate) fn load(directory: &Path) -> std::result::Result<Self, StoreError> {
        let mut files = [Vec::new(), Vec::new()];
        for (file, name) in files.iter_mut().zip(FILES) {
            let path = directory.join(name);
            match fs::read(&path) {
                Ok(bytes) => *file = bytes,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(StoreError::Io { path, source }),
            }
        }
        Ok(Self { directory: directory.into(), files })
    }

    /// Demands that there are none, beside a file that does not say which of them it has.
    pub(super) fn demand_none(&self) -> std::result::Result<(), StoreError> {
        let holds = |file: &Vec<u8>| !matches!(sector(file, PAGE), Sector::Empty);
        let Some(file) = self.files.iter().position(holds) else { return Ok(()) };
        let (path, journal) = (self.directory.join(store::DATABASE_FILE), FILES[file]);
        Err(StoreError::NotADatabase { path, reason: BadFile::NotOfJournal { journal } })
    }

    /// Returns the records after one; `is_needed` if the journal has to be there.
    pub(super) fn after(
        &self,
        settled: u64,
        is_needed: bool,
    ) -> std::result::Result<Found, StoreError> {
        let mut parts = Vec::new();
        for (index, file) in self.files.iter().enumerate() {
            let has = file.len() as u64;
            match (sector(file, 0), read_header(file)) {
                (Sector::Empty, _) => continue,
                (_, Some(needs)) if has >= needs => {}
                (_, Some(needs)) => return Err(self.bad(index, BadFile::Truncated { has, needs })),
                _ => return Err(self.bad(index, BadFile::Sector { at: 0 })),
            }
            parts.extend(self.part(index, settled)?);
        }
        parts.sort_by_key(|part| part.first);
        let mut next = settled + 1;
        parts.retain(|part| {
            let follows = part.first == next;
            next += if follows { part.records.len() as u64 } else { 0 };
            follows
        });
        let mut rest = None;
        for (index, file) in self.files.iter().enumerate() {
            for at in (PAGE..file.len()).step_by(SECTOR) {
                let Sector::Of { number, place, data } = sector(file, at) else { continue };
                if place == 0 && number > next && read_u64(&data[8..]) >= next {
                    return Err(self.bad(index, BadFile::LostRecord { number: next }));
                }
                rest = rest.max(Some(number).filter(|number| *number >= next));
            }
        }
        let missing = self.files.iter().position(|file| read_header(file).is_none());
        match missing {
            Some(missing) if is_needed || !parts.is_empty() => {
                Err(self.bad(missing, BadFile::NoJournal))
            }
            _ => Ok(Found { parts, rest }),
        }
    }

    /// Reads the records of a file, unless they are settled: all of them are or none.
    fn part(&self, file: usize, settled: u64) -> std::result::Result<Option<Part>, StoreError> {
        let bytes = &self.files[file];
        let (mut records, mut first, mut at) = (Vec::new(), None, PAGE);
        loop {
            let number = match sector(bytes, at) {
                Sector::Damaged => return Err(self.bad(file, BadFile::Sector { at: at as u64 })),
                Sector::Of { number, place: 0, .. } => number,
                _ => break,
            };
            let first = *first.get_or_insert(number);
            if first <= settled || number != first + records.len() as u64 {
                break;
            }
            let Some((record, end)) = self.record(file, at, number)? else { break };
            records.push(record);
            at = end;
        }
        let first = first.filter(|_| !records.is_empty());
        Ok(first.map(|first| Part { file, records, first, end: at as u64 }))
    }

    /// Reads a record, if it is whole, and says where the next one begins.
    fn record(
        &self,
        file: usize,
        start: usize,
        number: u64,
    ) -> std::result::Result<Option<(Bytes, usize)>, StoreError> {
        let (bytes, mut record, mut len) = (&self.files[file], Vec::new(), LEAD);
        let mut at = start;
        while record.len() < len {
            let place = ((at - start) / SECTOR) as u32;
            match sector(bytes, at) {
                Sector::Of { number: found, place: at_place, data }
                    if (found, at_place) == (number, place) =>
                {
                    record.extend_from_slice(data);
                    len = LEAD.saturating_add(read_u64(&record) as usize);
                }
                Sector::Damaged => return Err(self.bad(file, BadFile::Sector { at: at as u64 })),
                _ => return Ok(None),
            }
            at += SECTOR;
        }
        record.truncate(len);
        Ok(Some((Bytes::from(record).slice(LEAD..), at.next_multiple_of(PAGE))))
    }

    fn bad(&self, file: usize, reason: BadFile) -> StoreError {
        StoreError::NotADatabase { path: self.directory.join(FILES[file]), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{database::layer::Layer, mdbx::Table};
    use proptest::prelude::*;

    /// Number, place, the first bytes of the data, and whether the check fails.
    type Drawn = (u64, u32, [u64; 3], bool);

    fn file() -> impl Strategy<Value = Vec<u8>> {
        let word = || prop_oneof![0..4u64, 400..2_000u64, any::<u64>()];
        let drawn = (0..5u64, 0..3u32, [word(), word(), word()], any::<u8>().prop_map(|n| n < 8));
        let sectors = (prop::collection::vec(drawn, 0..20), prop_oneof![0..9_000u64, any::<u64>()]);
        sectors.prop_map(|(sectors, len): (Vec<Drawn>, u64)| {
            let mut file = Vec::new();
            put_sector(&mut file, (0, 0), &[&len.to_be_bytes()]);
            file.resize(PAGE, 0);
            for (number, place, words, is_damaged) in sectors {
                let words = words.map(u64::to_be_bytes);
                put_sector(&mut file, (number, place), &words.each_ref().map(|word| &word[..]));
                if let (true, Some(last)) = (is_damaged, file.last_mut()) {
                    *last ^= 1;
                }
            }
            file
        })
    }

    proptest! {
        #[test]
        fn sectors_that_say_anything_are_read_or_refused(
            files in [file(), file()],
            settled in 0..4u64,
            is_needed in any::<bool>(),
        ) {
            let bytes: usize = files.iter().map(Vec::len).sum();
            let records = Records { directory: PathBuf::new(), files };
            let Ok(found) = records.after(settled, is_needed) else { return Ok(()) };
            let mut next = settled + 1;
            for part in found.parts {
                prop_assert_eq!(part.first, next);
                next += part.records.len() as u64;
                for record in part.records {
                    prop_assert!(record.len() < bytes);
                    let no_tables: [Table; 0] = [];
                    prop_assert_eq!(Layer::default().add(&record, &no_tables).is_some(), record.is_empty());
                }
            }
        }
    }
}
