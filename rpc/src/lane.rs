//! The short way of a POST request: a connection has a thread of its own while it is busy.
//!
//! What a small read costs is mostly the kernel's work to wake threads, so here it wakes one: the
//! thread that waits for the request reads it, runs the method, and writes the answer. A long call
//! holds up nobody but who waits for it. That is for few connections at a time; if there are more,
//! they share threads (`crowd`). Only plain requests are answered either way (`head` says which); a
//! connection that brings anything else, or nothing for a while, goes to axum with what has been
//! read of it, and stays there.

use crate::crowd::Crowd;
use crate::http::Posts;
use crate::wire::{Input, Next, Output, STUCK_MAX};
use parking_lot::{Condvar, Mutex};
use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;

/// Connections that have threads of their own; more than these share theirs.
const ALONE_MAX: usize = 2;
/// How long a connection may be silent before its thread has better things to do.
const SILENT_MAX: Duration = Duration::from_secs(5);
/// How long a thread without a connection waits for one.
const UNUSED_MAX: Duration = Duration::from_secs(10);
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
    crowd: Arc<Crowd>,
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
    pub(crate) fn new(posts: Arc<Posts>, axum: UnboundedSender<Handed>) -> std::io::Result<Self> {
        let (threads, waiting, runtime) = (Mutex::default(), Condvar::new(), Handle::current());
        let crowd = Crowd::new(posts.clone(), axum.clone())?;
        Ok(Self(Arc::new(Shared { posts, runtime, axum, crowd, threads, waiting })))
    }

    /// Takes a connection, which blocks.
    pub(crate) fn take(&self, connection: TcpStream) {
        let mut threads = self.0.threads.lock();
        if threads.closed {
            return;
        }
        if threads.open.len() + threads.waiting.len() >= ALONE_MAX || self.0.crowd.len() > 0 {
            drop(threads);
            return self.0.crowd.take(connection, Input::default());
        }
        threads.waiting.push_back(connection);
        if threads.unused >= threads.waiting.len() {
            self.0.waiting.notify_one();
            return;
        }
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
        self.0.crowd.close().await;
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
                (Ok(Left::ForAxum(read)), Some(connection)) => self.hand_over(connection, read),
                (Ok(Left::ForCrowd(input)), Some(connection)) => {
                    self.crowd.take(connection, input);
                }
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

    /// Answers what one connection asks, as long as it has the thread to itself.
    fn serve(&self, mut connection: &TcpStream) -> Left {
        let ready = connection
            .set_nonblocking(false)
            .and_then(|()| connection.set_read_timeout(Some(SILENT_MAX)))
            .and_then(|()| connection.set_write_timeout(Some(STUCK_MAX)));
        if let Err(error) = ready {
            tracing::debug!(%error, "a connection's settings");
            return Left::Ended;
        }
        let (mut input, mut output) = (Input::default(), Output::default());
        loop {
            let wanted = match input.next(connection, &self.posts.allowed) {
                Next::Request(wanted) => wanted,
                Next::Other | Next::Silence => return Left::ForAxum(input.into_read()),
                Next::End => return Left::Ended,
            };
            // axum has the refusal for who comes when too many are in flight.
            let Ok(permit) = self.posts.in_flight.try_acquire() else {
                return Left::ForAxum(input.into_read());
            };
            let room = output.begin();
            let text = self.wait(self.posts.local.answer(input.body(&wanted), room));
            drop(permit);
            output.finish(text, &wanted);
            if connection.write_all(output.bytes()).is_err() || !wanted.keeps_open {
                return Left::Ended;
            }
            input.drop_request(&wanted);
            if self.crowd.len() > 0 {
                return Left::ForCrowd(input);
            }
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

/// Where a connection goes from its thread.
enum Left {
    /// With what was read of it.
    ForAxum(Vec<u8>),
    ForCrowd(Input),
    Ended,
}
