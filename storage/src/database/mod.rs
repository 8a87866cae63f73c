//! The database as all above it sees it: MDBX's file, and over it the rows that are committed and
//! not settled in it yet.
//!
//! A commit is one record of the journal, written in one piece, and its rows in memory, where every
//! reader finds them. When there are many, a thread settles them in the file together, in the order
//! of their keys: rows of many blocks that lie on one page cost one page. The file is synced then,
//! and only after that the journal is written over. So the file may be behind, never ahead of
//! the journal, and a start reads the records that the file lacks. Start reading at [`Database`];
//! `docs/adr/0014-journal.md` says why.

mod cursor;
mod journal;
mod layer;
mod txn;

pub(crate) use cursor::Cursor;
pub(crate) use journal::{Journal, Records};
pub(crate) use txn::{Read, Reading, TransactionKind, Txn, Write};

use crate::{
    StoreError, codec,
    mdbx::{self, Env, Error, Meaning, Result, Rows, Table},
};
use journal::{Found, Part};
use layer::Layer;
use parking_lot::{Condvar, Mutex, RwLock};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{self, Sender},
    },
    thread::{self, JoinHandle},
};
use txn::{Turn, Writing};

/// Unsettled rows, as a multiple of those from which on they are settled, for which a commit waits.
const LAG_MAX: usize = 16;
/// Table and key of the number of the newest record that is settled.
const SETTLED: &str = "settled";
/// Follows the number while the file needs no journal.
const CLOSED: u8 = 0;

/// An open database.
#[derive(Debug)]
pub(crate) struct Database(Arc<Core>);

/// What transactions and the thread that settles share.
#[derive(Debug)]
struct Core {
    env: Env,
    tables: Vec<Table>,
    /// Unsettled rows from which on a thread settles them.
    settle_rows: usize,
    settled: Table,
    /// None if nothing outlives the process. Only who may write locks it.
    journal: Option<Mutex<Journal>>,
    newest: RwLock<Newest>,
    /// Whether there is a write transaction.
    is_writing: Mutex<bool>,
    written: Condvar,
    /// The thread that settles, once there was something to settle, and whether it is at it.
    settler: Mutex<Option<Settler>>,
    is_settling: Mutex<bool>,
    idle: Condvar,
    /// Whether the file says that it needs no journal, which ends with the first record.
    is_closed: AtomicBool,
    /// Why nothing can be written any more.
    failure: Mutex<Option<Error>>,
}

/// A thread that settles rows whenever it is told to.
#[derive(Debug)]
struct Settler {
    orders: Sender<()>,
    thread: JoinHandle<()>,
}

/// Rows are being settled.
struct Settling<'a>(&'a Core);

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            *self.0.failure.lock() = Some(io::Error::other("a panic").into());
        }
        *self.0.is_settling.lock() = false;
        self.0.idle.notify_all();
    }
}

/// What a transaction that begins now sees.
#[derive(Debug, Clone)]
struct Newest {
    /// Number of the newest record that is settled in what the layers lie on.
    settled: u64,
    /// The file as of then. Once a write has failed the library begins no transaction any more, and
    /// readers share this one.
    base: Arc<mdbx::Read>,
    /// Number of the newest record.
    record: u64,
    /// New rows, and those that are being settled with the number of their newest record.
    fresh: Arc<Layer>,
    settling: Arc<Layer>,
    settling_to: u64,
}

impl Database {
    /// Opens the database over its file. Records that the file lacks are read from the journal; to
    /// a file that is new, or a copy, none may belong.
    pub(crate) fn open(
        env: Env,
        journal: Option<Journal>,
        (tables, is_new): (Vec<Table>, bool),
        settle_rows: usize,
    ) -> std::result::Result<Self, StoreError> {
        let tx = env.write()?;
        let settled = tx.make_table(SETTLED, Rows::Unique)?;
        let known = tx.value(settled, SETTLED.as_bytes())?;
        if let (None, Some(journal)) = (&known, &journal) {
            journal.demand_empty()?;
        }
        let row = known.filter(|_| !is_new).map(|row| read_settled(&row)).transpose()?;
        let (to, is_closed) = row.unwrap_or((0, true));
        let mut found = Found::default();
        let journal = match journal {
            Some(mut journal) if row.is_some() => {
                found = journal.read(to, !is_closed)?;
                journal.go_on(&found.parts)?;
                Some(journal)
            }
            Some(mut journal) => {
                journal.clear()?;
                tx.put(settled, SETTLED.as_bytes(), &settled_row(0, true))?;
                Some(journal)
            }
            None => None,
        };
        tx.commit()?;
        if journal.is_some() && row.is_none() {
            // A power cut must not find records and no row: they would be another one's.
            env.sync()?;
        }
        let mut newest = Newest {
            settled: to,
            base: Arc::new(env.read()?),
            record: to,
            fresh: Arc::default(),
            settling: Arc::default(),
            settling_to: 0,
        };
        newest.read(&found.parts, &tables)?;
        let (is_writing, written, settler, is_settling, idle) = Default::default();
        let (newest, is_closed) = (RwLock::new(newest), AtomicBool::new(is_closed));
        let journal = journal.map(Mutex::new);
        let core = Arc::new(Core {
            env,
            tables,
            settle_rows,
            settled,
            journal,
            newest,
            is_writing,
            written,
            settler,
            is_settling,
            idle,
            is_closed,
            failure: Mutex::default(),
        });
        core.recover(&found)?;
        Ok(Self(core))
    }

    /// Begins a read transaction over the newest commit.
    pub(crate) fn read(&self) -> Result<Read> {
        let (base, layers) = self.0.begin(true)?;
        Ok(Txn { base, layers, kind: Reading })
    }

    /// Begins a read transaction that is kept: it leaves the one that is shared to others.
    pub(crate) fn read_apart(&self) -> Result<Read> {
        let (base, layers) = self.0.begin(false)?;
        Ok(Txn { base, layers, kind: Reading })
    }

    /// Begins the write transaction, after waiting for the one that may be open.
    pub(crate) fn write(&self) -> Result<Write> {
        let turn = Turn::take(&self.0);
        self.0.failed()?;
        let (base, layers) = self.0.begin(true)?;
        Ok(Txn { base, layers, kind: Writing::new(turn) })
    }

    /// Settles everything in the file and waits until that is on the disk.
    pub(crate) fn settle(&self) -> Result<()> {
        let _turn = Turn::take(&self.0);
        self.0.settle_all(false)
    }

    /// Bytes of the file up to its last page in use.
    pub(crate) fn used_bytes(&self) -> Result<u64> {
        self.0.env.used_bytes()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // If this fails the file needs its journal, in which nothing is missing.
        let is_closed = self.0.journal.is_none() || self.0.is_closed.load(Relaxed);
        if let Err(error) = if is_closed { Ok(()) } else { self.0.settle_all(true) } {
            tracing::warn!("the database needs its journal: {error}");
        }
        self.0.wait();
        if let Some(Settler { orders, thread }) = self.0.settler.lock().take() {
            drop(orders);
            // If it panicked, that was told.
            let _ = thread.join();
        }
    }
}

impl Newest {
    /// Puts what was found in the journal over the file: what a start does not find in one file of
    /// it is yet to be settled.
    fn read(&mut self, parts: &[Part], tables: &[Table]) -> std::result::Result<(), StoreError> {
        for part in parts {
            let mut layer = Layer::default();
            for (number, record) in (part.first..).zip(&part.records) {
                let bad_row = || StoreError::BadRow {
                    table: "journal",
                    key: codec::number_key(number).into(),
                };
                layer.add(record, tables).ok_or_else(bad_row)?;
            }
            self.settling = std::mem::replace(&mut self.fresh, Arc::new(layer));
            (self.settling_to, self.record) =
                (self.record, part.first + part.records.len() as u64 - 1);
        }
        Ok(())
    }
}

impl Core {
    fn failed(&self) -> Result<()> {
        self.failure.lock().map_or(Ok(()), Err)
    }

    /// The newest commit of the file and what lies over it.
    fn begin(&self, shares: bool) -> Result<(Arc<mdbx::Read>, [Arc<Layer>; 2])> {
        loop {
            let newest = self.newest.read().clone();
            let layers = [newest.fresh, newest.settling];
            // To begin one costs more than most reads take: who reads alone takes the one that is
            // kept. Others begin their own, for one transaction serves one thread at a time.
            if shares && Arc::strong_count(&newest.base) == 2 {
                return Ok((newest.base, layers));
            }
            let base = match self.env.read() {
                Err(error) if error.meaning() == Meaning::Failed => {
                    return Ok((newest.base, layers));
                }
                base => base?,
            };
            // Between the two something may have been settled.
            if base.commit_number()? == newest.base.commit_number()?
                || self.settled_in(&base)? == newest.settled
            {
                return Ok((Arc::new(base), layers));
            }
            // Of what was settled last a view may not have been had, and then none follows.
            if self.failed().is_err() {
                return Ok((newest.base, layers));
            }
            thread::yield_now();
        }
    }

    /// Makes a record of staged rows, durable as the journal is, and then visible.
    fn commit(self: &Arc<Self>, staged: Layer) -> Result<()> {
        let Newest { record, mut fresh, .. } = self.newest.read().clone();
        let record = record + 1;
        if let Err(error) = self.append(record, &staged) {
            // What of it is on the disk nobody knows.
            *self.failure.lock() = Some(error);
            return Err(error);
        }
        Arc::make_mut(&mut fresh).put_all(staged);
        let count = fresh.count;
        let mut newest = self.newest.write();
        newest.record = record;
        let before = std::mem::replace(&mut newest.fresh, fresh);
        drop(newest);
        drop(before);
        let is_busy = *self.is_settling.lock();
        if count >= self.settle_rows * if is_busy { LAG_MAX } else { 1 } {
            self.wait();
            if self.freeze(false) {
                self.start_settling();
            }
        }
        Ok(())
    }

    fn append(&self, record: u64, rows: &Layer) -> Result<()> {
        let Some(journal) = &self.journal else { return Ok(()) };
        let mut journal = journal.lock();
        if self.is_closed.load(Relaxed) {
            journal.prepare()?;
            // Of the row itself: rows may be being settled.
            let tx = self.env.write()?;
            let row = tx.value(self.settled, SETTLED.as_bytes())?.map_or(0, |row| settled(&row));
            tx.put(self.settled, SETTLED.as_bytes(), &settled_row(row, false))?;
            tx.commit()?;
            // A power cut must not find a record beside a file that needs none.
            self.env.sync()?;
            self.is_closed.store(false, Relaxed);
        }
        journal.append(record, |bytes| rows.encode(&self.tables, bytes))
    }

    /// Goes on where a start found the journal.
    fn recover(self: &Arc<Self>, found: &Found) -> std::result::Result<(), StoreError> {
        if found.parts.len() > 1 {
            self.start_settling();
        }
        if let Some(rest) = found.rest {
            // What is left of records that nobody was told of must not be taken for later ones.
            self.wait();
            self.newest.write().record = rest;
            self.settle_all(true)?;
        }
        Ok(())
    }

    /// Settles everything; `closes` to say that the file needs no journal then.
    fn settle_all(&self, closes: bool) -> Result<()> {
        self.wait();
        self.failed()?;
        if self.freeze(closes) {
            self.settle(closes);
        }
        self.failed()
    }

    fn start_settling(self: &Arc<Self>) {
        *self.is_settling.lock() = true;
        let mut settler = self.settler.lock();
        if settler.is_none() {
            let (orders, ordered) = mpsc::channel();
            let core = self.clone();
            let run = move || {
                while ordered.recv().is_ok() {
                    let _settling = Settling(&core);
                    core.settle(false);
                }
            };
            let thread = thread::Builder::new().name("settle".to_owned()).spawn(run);
            *settler = thread.ok().map(|thread| Settler { orders, thread });
        }
        if settler.as_ref().is_none_or(|settler| settler.orders.send(()).is_err()) {
            let _settling = Settling(self);
            self.settle(false);
        }
    }

    /// Waits for the thread that settles.
    fn wait(&self) {
        self.idle.wait_while(&mut self.is_settling.lock(), |is_settling| *is_settling);
    }

    /// Takes the fresh rows to settle them, if there are any or `closes`; returns whether it did.
    fn freeze(&self, closes: bool) -> bool {
        let mut newest = self.newest.write();
        if self.failure.lock().is_some() || (newest.fresh.count == 0 && !closes) {
            return false;
        }
        newest.settling = std::mem::take(&mut newest.fresh);
        newest.settling_to = newest.record;
        drop(newest);
        if let Some(journal) = &self.journal {
            journal.lock().switch();
        }
        true
    }

    fn settle(&self, closes: bool) {
        let Newest { settling, settled, settling_to, .. } = self.newest.read().clone();
        let settled = self.settle_rows(&settling, (settling_to.max(settled), closes));
        if let Err(error) = settled {
            *self.failure.lock() = Some(error);
        }
    }

    fn settle_rows(&self, layer: &Layer, (to, closes): (u64, bool)) -> Result<()> {
        let tx = self.env.write()?;
        for table in &self.tables {
            if let Some(rows) = layer.table(*table) {
                rows.settle(&tx, *table)?;
            }
        }
        tx.put(self.settled, SETTLED.as_bytes(), &settled_row(to, closes))?;
        tx.commit()?;
        let base = Arc::new(self.env.read()?);
        let mut newest = self.newest.write();
        (newest.settled, newest.base, newest.settling) = (to, base, Arc::default());
        drop(newest);
        if self.journal.is_some() {
            self.env.sync()?;
        }
        self.is_closed.store(closes, Relaxed);
        Ok(())
    }

    /// The newest record that is settled in a commit of the file.
    fn settled_in(&self, tx: &mdbx::Read) -> Result<u64> {
        Ok(tx.value(self.settled, SETTLED.as_bytes())?.map_or(0, |row| settled(&row)))
    }
}

impl Read {
    /// Reads a commit of a file that another process may be writing, with the records that it
    /// lacks; they were read before.
    pub(crate) fn over(
        base: mdbx::Read,
        records: &Records,
        tables: &[Table],
    ) -> std::result::Result<Self, StoreError> {
        let base = Arc::new(base);
        let (fresh, settling) = (Arc::default(), Arc::default());
        let mut newest = Newest { settled: 0, base, record: 0, fresh, settling, settling_to: 0 };
        let row = match newest.base.open_table(SETTLED, Rows::Unique)? {
            Some(table) => newest.base.value(table, SETTLED.as_bytes())?,
            None => None,
        };
        let settled = row.map(|row| read_settled(&row)).transpose()?;
        match settled {
            Some((to, is_closed)) => {
                newest.read(&records.after(to, !is_closed)?.parts, tables)?;
            }
            None => records.demand_none()?,
        }
        Ok(Self { base: newest.base, layers: [newest.fresh, newest.settling], kind: Reading })
    }
}

fn settled_row(number: u64, is_closed: bool) -> Vec<u8> {
    let mut row = number.to_be_bytes().to_vec();
    row.extend(is_closed.then_some(CLOSED));
    row
}

/// The newest record that is settled, by a row that was read before.
fn settled(row: &[u8]) -> u64 {
    read_settled(row).map_or(0, |(settled, _)| settled)
}

/// The newest record that is settled, and whether the file was closed after it.
fn read_settled(row: &[u8]) -> std::result::Result<(u64, bool), StoreError> {
    let number = row.get(..8).and_then(codec::read_number);
    let bad_row = || StoreError::BadRow { table: SETTLED, key: SETTLED.into() };
    match (number, row.get(8..)) {
        (Some(number), Some([])) => Ok((number, false)),
        (Some(number), Some([CLOSED])) => Ok((number, true)),
        _ => Err(bad_row()),
    }
}

#[cfg(test)]
mod tests;
