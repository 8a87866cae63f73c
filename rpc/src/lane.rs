//! The short way of a POST request: a connection has a thread of its own while it is busy.
//!
//! What a small read costs is mostly the kernel's work to wake threads, so here it wakes one: the
//! thread that waits for the request reads it, runs the method, and writes the answer. A long call
//! holds up nobody but who waits for it. Only plain requests are answered here (`head` says which);
//! a connection that brings anything else, or nothing for a while, goes to axum with what has been
//! read of it, and stays there.

use crate::head::{Allowed, Head, Wanted};
use crate::http::Posts;
use parking_lot::{Condvar, Mutex};
use std::collections::{HashMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;

/// Busy connections that have threads; any more share those of the runtime.
const THREADS_MAX: usize = 256;
/// How long a connection may be silent before its thread has better things to do.
const SILENT_MAX: Duration = Duration::from_secs(5);
/// How long a client may take no byte of its answer.
const STUCK_MAX: Duration = Duration::from_secs(30);
/// How long a thread without a connection waits for one.
const UNUSED_MAX: Duration = Duration::from_secs(10);
/// Bytes to begin reading with: what most requests have room in.
const INPUT_BYTES: usize = 4 << 10;
/// Buffers that have grown beyond this are not kept.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// A connection on its way to axum, and what has been read of it.
pub(crate) type Handed = (TcpStream, Vec<u8>);

/// Gives connections threads.
#[derive(Clone, Debug)]
pub(crate) struct Lane(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    posts: Arc<Posts>,
    runtime: Handle,
    axum: UnboundedSender<Handed>,
    threads: Mutex<Threads>,
    /// There is a connection for a thread that has none.
    waiting: Condvar,
}

#[derive(Debug, Default)]
struct Threads {
    count: usize,
    unused: usize,
    waiting: VecDeque<TcpStream>,
    /// Connections that threads serve, to be closed at the end.
    open: HashMap<u64, Arc<TcpStream>>,
    next: u64,
    closed: bool,
}

impl Lane {
    /// A lane whose connections end up with `axum`. Needs a tokio runtime.
    pub(crate) fn new(posts: Arc<Posts>, axum: UnboundedSender<Handed>) -> Self {
        let (threads, waiting) = (Mutex::default(), Condvar::new());
        Self(Arc::new(Shared { posts, runtime: Handle::current(), axum, threads, waiting }))
    }

    /// Takes a connection, which blocks.
    pub(crate) fn take(&self, connection: TcpStream) {
        let mut threads = self.0.threads.lock();
        if threads.closed {
            return;
        }
        if threads.unused > threads.waiting.len() {
            threads.waiting.push_back(connection);
            self.0.waiting.notify_one();
            return;
        }
        if threads.count < THREADS_MAX {
            threads.waiting.push_back(connection);
            threads.count += 1;
            drop(threads);
            let shared = Arc::clone(&self.0);
            let thread = std::thread::Builder::new().name("connection".to_owned());
            let Err(error) = thread.spawn(move || shared.run()) else { return };
            tracing::debug!(%error, "no thread for a connection");
            let mut threads = self.0.threads.lock();
            threads.count -= 1;
            if let Some(connection) = threads.waiting.pop_back() {
                self.0.hand_over(connection, Vec::new());
            }
            return;
        }
        drop(threads);
        self.0.hand_over(connection, Vec::new());
    }

    /// Lets requests in flight end, closes the connections, and waits until no thread serves any.
    pub(crate) async fn close(&self) {
        {
            let mut threads = self.0.threads.lock();
            threads.closed = true;
            threads.waiting.clear();
            for connection in threads.open.values() {
                // An error says that it is closed already.
                let _ = connection.shutdown(Shutdown::Read);
            }
            self.0.waiting.notify_all();
        }
        while !self.0.threads.lock().open.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Shared {
    /// Serves connections until there are none for a while.
    fn run(&self) {
        let _runtime = self.runtime.enter();
        node::dedicate_thread();
        while let Some((id, connection)) = self.next() {
            let served = catch_unwind(AssertUnwindSafe(|| self.serve(&connection)));
            self.threads.lock().open.remove(&id);
            match (served, Arc::into_inner(connection)) {
                (Ok(Some(read)), Some(connection)) => self.hand_over(connection, read),
                (Ok(_), _) => {}
                (Err(_), _) => tracing::error!("a method panicked"),
            }
        }
    }

    fn next(&self) -> Option<(u64, Arc<TcpStream>)> {
        let mut threads = self.threads.lock();
        threads.unused += 1;
        let mut timed_out = false;
        while threads.waiting.is_empty() && !threads.closed && !timed_out {
            timed_out = self.waiting.wait_for(&mut threads, UNUSED_MAX).timed_out();
        }
        threads.unused -= 1;
        let Some(connection) = threads.waiting.pop_front().map(Arc::new) else {
            threads.count -= 1;
            return None;
        };
        threads.next += 1;
        let id = threads.next;
        threads.open.insert(id, Arc::clone(&connection));
        Some((id, connection))
    }

    fn hand_over(&self, connection: TcpStream, read: Vec<u8>) {
        // Nobody takes it any more at the end.
        let _ = self.axum.send((connection, read));
    }

    /// Answers what one connection asks; what has been read is for axum, if that is to go on.
    fn serve(&self, mut connection: &TcpStream) -> Option<Vec<u8>> {
        let ready = connection
            .set_nonblocking(false)
            .and_then(|()| connection.set_read_timeout(Some(SILENT_MAX)))
            .and_then(|()| connection.set_write_timeout(Some(STUCK_MAX)));
        if let Err(error) = ready {
            tracing::debug!(%error, "a connection's settings");
            return None;
        }
        let (mut input, mut output) = (Input::default(), Output::default());
        loop {
            let wanted = match input.next(connection, &self.posts.allowed) {
                Next::Request(wanted) => wanted,
                Next::Other => return Some(input.into_read()),
                Next::End => return None,
            };
            // axum has the refusal for who comes when too many are in flight.
            let Ok(permit) = self.posts.in_flight.try_acquire() else {
                return Some(input.into_read());
            };
            output.begin();
            let answered = self.posts.local.answer(input.body(&wanted), output.take());
            output.text = self.wait(answered);
            drop(permit);
            if connection.write_all(output.finish(&wanted)).is_err() || !wanted.keeps_open {
                return None;
            }
            input.drop_request(&wanted);
        }
    }

    /// Runs a future to its end; most are there at once.
    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => self.runtime.block_on(future),
        }
    }
}

/// What a connection brings.
enum Next {
    Request(Wanted),
    /// Something for axum, or silence.
    Other,
    End,
}

/// What was read of a connection and not answered yet.
#[derive(Debug)]
struct Input {
    bytes: Vec<u8>,
    filled: usize,
}

impl Default for Input {
    fn default() -> Self {
        Self { bytes: vec![0; INPUT_BYTES], filled: 0 }
    }
}

impl Input {
    /// Reads until a request is complete.
    fn next(&mut self, mut connection: &TcpStream, allowed: &Allowed) -> Next {
        let mut wanted = None;
        loop {
            if wanted.is_none() {
                match Head::parse(&self.bytes[..self.filled], allowed) {
                    Head::Plain(head) => wanted = Some(head),
                    Head::Partial => {}
                    Head::Other => return Next::Other,
                }
            }
            match wanted {
                Some(wanted) if wanted.end() <= self.filled => return Next::Request(wanted),
                _ if self.filled < self.bytes.len() => {}
                // Room follows what came, not what was announced.
                Some(wanted) => self.bytes.resize(wanted.end().min(2 * self.filled), 0),
                None => self.bytes.resize(2 * self.filled, 0),
            }
            match connection.read(&mut self.bytes[self.filled..]) {
                Ok(0) => return Next::End,
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return Next::Other;
                }
                Err(_) => return Next::End,
            }
        }
    }

    fn body(&self, wanted: &Wanted) -> &[u8] {
        &self.bytes[wanted.body_start..wanted.end()]
    }

    /// Drops a request that is answered; the next one may be there already.
    fn drop_request(&mut self, wanted: &Wanted) {
        self.bytes.copy_within(wanted.end()..self.filled, 0);
        self.filled -= wanted.end();
        if self.bytes.len() > KEPT_BYTES_MAX && self.filled <= INPUT_BYTES {
            self.bytes.truncate(INPUT_BYTES);
            self.bytes.shrink_to_fit();
        }
    }

    fn into_read(mut self) -> Vec<u8> {
        self.bytes.truncate(self.filled);
        self.bytes
    }
}

/// An answer with room for its head in front, so that both go out in one write.
#[derive(Debug, Default)]
struct Output {
    text: Vec<u8>,
    /// The date of the second at hand.
    date: (u64, String),
}

/// Longest head of an answer.
const HEAD_BYTES: usize = 160;

impl Output {
    fn begin(&mut self) {
        if self.text.capacity() > KEPT_BYTES_MAX {
            self.text = Vec::new();
        }
        self.text.clear();
        self.text.resize(HEAD_BYTES, 0);
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text)
    }

    fn finish(&mut self, wanted: &Wanted) -> &[u8] {
        let now = SystemTime::now();
        let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if self.date.0 != second {
            self.date = (second, httpdate::fmt_http_date(now));
        }
        let length = self.text.len() - HEAD_BYTES;
        let close = if wanted.keeps_open { "" } else { "connection: close\r\n" };
        let mut head = [0; HEAD_BYTES];
        let mut rest = &mut head[..];
        let written = write!(
            rest,
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{close}content-length: {length}\r\n\
             date: {}\r\n\r\n",
            self.date.1
        );
        debug_assert!(written.is_ok(), "the longest head has {HEAD_BYTES} bytes");
        let unused = rest.len();
        let head = &head[..HEAD_BYTES - unused];
        self.text[unused..HEAD_BYTES].copy_from_slice(head);
        &self.text[unused..]
    }
}
