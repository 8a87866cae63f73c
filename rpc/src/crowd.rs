//! Connections that share threads, when there are several.
//!
//! A thread of its own for each of many busy connections costs a switch between threads for each
//! request, as much as all else that a small read takes. Here one thread asks the kernel which
//! connections have something, answers those in turn, and asks again: under load it never sleeps.
//!
//! - What waits for others (a commit, a place among the calls) goes on here too, once they wake it.
//! - What runs long holds up its thread. A watcher looks every two milliseconds while there is
//!   work: if no request has been begun since it last looked and nobody asks the kernel, another
//!   thread goes on with the rest.
//! - If answering what is there takes longer than handing some of it on, more threads help.

use crate::head::Wanted;
use crate::http::Posts;
use crate::lane::Handed;
use crate::wire::{Input, Next, Output, STUCK_MAX};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io::{ErrorKind, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll as Polled, Wake, Waker};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;

/// Threads of a crowd; when all of them are held up, its connections go to axum.
const THREADS_MAX: usize = 64;
/// Events that one look takes.
const EVENTS_MAX: usize = 256;
/// How often the watcher looks while there is work.
const TICK: Duration = Duration::from_millis(2);
/// Looks without work after which the watcher sleeps.
const QUIET_TICKS: u32 = 25;
/// Work that is worth waking another thread for: two threads take turns at much that they share.
const SHARE: Duration = Duration::from_micros(500);
/// How long a thread without work waits for some.
const UNUSED_MAX: Duration = Duration::from_secs(10);
/// Wakes the thread that asks the kernel.
const WAKE: Token = Token(usize::MAX);

/// Connections, and the threads that serve them.
#[derive(Debug)]
pub(crate) struct Crowd {
    posts: Arc<Posts>,
    runtime: Handle,
    axum: UnboundedSender<Handed>,
    registry: Registry,
    waker: mio::Waker,
    state: Mutex<State>,
    /// There is work for a thread that has none.
    work: Condvar,
    /// The watcher has something to watch.
    watch: Condvar,
    /// How many connections there are, and how many requests were begun: for who has no time to
    /// look.
    len: AtomicUsize,
    begun: AtomicU64,
}

#[derive(Debug)]
struct State {
    seats: HashMap<usize, Seat>,
    next: usize,
    /// Connections that have something.
    ready: VecDeque<usize>,
    /// What the kernel is asked with; nothing while a thread asks.
    asking: Option<(Poll, Events)>,
    /// The thread that asks has been woken, and has not looked yet.
    woken: bool,
    threads: usize,
    unused: usize,
    /// A guess at what a request takes.
    pace: Duration,
    watcher_sleeps: bool,
    closed: bool,
}

/// A place in the crowd.
#[derive(Debug)]
struct Seat {
    stream: Arc<TcpStream>,
    /// Nothing while it is served.
    work: Option<Work>,
    /// Something came while it was served or waited.
    again: bool,
    /// What it waits for was there while it was served.
    woken: bool,
}

/// What a thread takes up.
enum Work {
    /// What a connection asks.
    Ask(Box<Caller>),
    /// A request that waited for others.
    Wait(Running, Wanted),
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Self::Ask(_)) { "Ask" } else { "Wait" })
    }
}

/// A request's method on its way, and then its connection; that is for axum if it is an error.
type Running = Pin<Box<dyn Future<Output = Result<Box<Caller>, Box<Caller>>> + Send>>;

/// Tells a crowd that a request can go on.
struct Call {
    crowd: Arc<Crowd>,
    id: usize,
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        let mut state = self.crowd.state.lock();
        let Some(seat) = state.seats.get_mut(&self.id) else { return };
        match seat.work {
            Some(Work::Wait(..)) => self.crowd.push(&mut state, self.id),
            _ => seat.woken = true,
        }
    }
}

/// A connection with its buffers.
#[derive(Debug)]
struct Caller {
    stream: Arc<TcpStream>,
    input: Input,
    output: Output,
    /// It has said all that it will say.
    ending: bool,
}

/// What became of a connection that was served.
enum Served {
    /// It waits for more, or for others.
    Stays(Work),
    /// It is for axum.
    Leaves(Box<Caller>),
    Ends,
}

impl Crowd {
    /// A crowd without connections; those that are for `axum` go there. Needs a tokio
    /// runtime.
    pub(crate) fn new(
        posts: Arc<Posts>,
        axum: UnboundedSender<Handed>,
    ) -> std::io::Result<Arc<Self>> {
        let poll = Poll::new()?;
        let (registry, waker) =
            (poll.registry().try_clone()?, mio::Waker::new(poll.registry(), WAKE)?);
        let state = State {
            seats: HashMap::new(),
            next: 0,
            ready: VecDeque::new(),
            asking: Some((poll, Events::with_capacity(EVENTS_MAX))),
            woken: false,
            threads: 0,
            unused: 0,
            pace: Duration::ZERO,
            watcher_sleeps: true,
            closed: false,
        };
        let (work, watch) = (Condvar::new(), Condvar::new());
        let (runtime, state) = (Handle::current(), Mutex::new(state));
        let (len, begun) = Default::default();
        Ok(Arc::new(Self { posts, runtime, axum, registry, waker, state, work, watch, len, begun }))
    }

    /// How many connections there are.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Takes a connection, and what has been read of it.
    pub(crate) fn take(self: &Arc<Self>, stream: TcpStream, input: Input) {
        let ready = stream
            .set_nonblocking(true)
            .and_then(|()| stream.set_write_timeout(Some(STUCK_MAX)))
            .and_then(|()| self.start());
        if let Err(error) = ready {
            tracing::debug!(%error, "a connection that can't be shared");
            return self.hand_over(stream, input);
        }
        let stream = Arc::new(stream);
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        let id = state.next;
        state.next += 1;
        let fd = stream.as_raw_fd();
        let is_ready = !input.is_empty();
        let (output, ending) = (Output::default(), false);
        let caller = Caller { stream: stream.clone(), input, output, ending };
        let work = Some(Work::Ask(Box::new(caller)));
        state.seats.insert(id, Seat { stream, work, again: false, woken: false });
        self.len.fetch_add(1, Ordering::Relaxed);
        // An event may come at once: the seat has to be there.
        let added = self.registry.register(&mut SourceFd(&fd), Token(id), Interest::READABLE);
        if let Err(error) = added {
            tracing::debug!(%error, "a connection that can't be shared");
            self.remove(&mut state, id);
        } else if is_ready {
            self.push(&mut state, id);
        }
    }

    /// Has a thread that serves, and the one that watches.
    fn start(self: &Arc<Self>) -> std::io::Result<()> {
        let mut state = self.state.lock();
        if state.threads > 0 {
            return Ok(());
        }
        let (serves, watches) = (Arc::clone(self), Arc::clone(self));
        let name = |name: &str| std::thread::Builder::new().name(name.to_owned());
        name("connections").spawn(move || serves.run())?;
        state.threads = 1;
        if let Err(error) = name("watcher").spawn(move || watches.watch()) {
            // What runs long holds up the others, but everybody is answered.
            tracing::debug!(%error, "no thread to watch connections");
        }
        Ok(())
    }

    /// Lets requests in flight end, closes the connections, and waits until all are gone.
    pub(crate) async fn close(&self) {
        {
            let mut state = self.state.lock();
            state.closed = true;
            for seat in state.seats.values() {
                // An error says that it is closed already.
                let _ = seat.stream.shutdown(Shutdown::Read);
            }
            self.work.notify_all();
            self.watch.notify_all();
        }
        while self.len() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.work.notify_all();
        self.watch.notify_all();
        // An error says that nobody can be waiting there.
        let _ = self.waker.wake();
    }

    /// A thread's work: answers what is ready, or asks the kernel what is.
    fn run(self: &Arc<Self>) {
        let _runtime = self.runtime.enter();
        node::dedicate_thread();
        let mut state = self.state.lock();
        let (mut batch, mut since) = (0_u32, Instant::now());
        loop {
            if let Some(id) = state.ready.pop_front() {
                let Some(seat) = state.seats.get_mut(&id) else { continue };
                let Some(work) = seat.work.take() else {
                    seat.again = true;
                    continue;
                };
                self.begun.fetch_add(1, Ordering::Relaxed);
                batch += 1;
                let served = MutexGuard::unlocked(&mut state, || self.serve(id, work));
                self.settle(&mut state, id, served);
            } else if state.closed && state.seats.is_empty() {
                break;
            } else if let Some(mut asking) = state.asking.take() {
                if let Some(each) = since.elapsed().checked_div(batch) {
                    // Up slowly: what else runs on the machine makes work seem longer than it is.
                    let (pace, parts) = (state.pace, if each < state.pace { 2 } else { 8 });
                    state.pace = ((parts - 1) * pace + each.min(TICK)) / parts;
                }
                MutexGuard::unlocked(&mut state, || {
                    if let Err(error) = asking.0.poll(&mut asking.1, None) {
                        // A signal; anything else would come again, and must not spin.
                        tracing::debug!(%error, "asking for requests");
                        std::thread::sleep(TICK);
                    }
                });
                (batch, since) = (0, Instant::now());
                self.note(&mut state, asking);
            } else {
                state.unused += 1;
                let timed_out = self.work.wait_for(&mut state, UNUSED_MAX).timed_out();
                state.unused -= 1;
                if timed_out && state.asking.is_none() {
                    break;
                }
                (batch, since) = (0, Instant::now());
            }
        }
        state.threads -= 1;
    }

    /// Notes which connections have something, and has others help if that is much.
    fn note(self: &Arc<Self>, state: &mut State, asking: (Poll, Events)) {
        for event in &asking.1 {
            let Token(id) = event.token();
            let Some(seat) = state.seats.get_mut(&id) else { continue };
            match &mut seat.work {
                Some(Work::Ask(caller)) => {
                    caller.ending |= event.is_read_closed();
                    state.ready.push_back(id);
                }
                Some(Work::Wait(..)) | None => seat.again = true,
            }
        }
        (state.asking, state.woken) = (Some(asking), false);
        if state.watcher_sleeps && !state.ready.is_empty() {
            state.watcher_sleeps = false;
            self.watch.notify_one();
        }
        let ready = u32::try_from(state.ready.len()).unwrap_or(u32::MAX);
        if ready > 1 && state.pace.saturating_mul(ready) > 2 * SHARE {
            self.help(state);
        }
    }

    /// Has one more thread work; says whether there is one.
    fn help(self: &Arc<Self>, state: &mut State) -> bool {
        if state.unused > 0 {
            // If nobody waits any more, one was woken already and comes once it has a core.
            self.work.notify_one();
            return true;
        }
        if state.threads >= THREADS_MAX {
            return false;
        }
        state.threads += 1;
        let crowd = Arc::clone(self);
        let thread = std::thread::Builder::new().name("connections".to_owned());
        let Err(error) = thread.spawn(move || crowd.run()) else { return true };
        tracing::debug!(%error, "no thread for connections");
        state.threads -= 1;
        false
    }

    /// Looks whether all threads are held up, until the end.
    fn watch(self: &Arc<Self>) {
        let (mut begun, mut quiet) = (0, 0);
        loop {
            std::thread::sleep(TICK);
            let now = self.begun.load(Ordering::Relaxed);
            if std::mem::replace(&mut begun, now) != now {
                quiet = 0;
                continue;
            }
            // Only now is there a reason to get in the way of who serves.
            let mut state = self.state.lock();
            if state.closed && state.seats.is_empty() {
                break;
            }
            let nobody_asks = state.asking.is_some();
            quiet = if nobody_asks { 0 } else { quiet + 1 };
            if nobody_asks && !self.help(&mut state) {
                self.disperse(&mut state);
            }
            if quiet >= QUIET_TICKS {
                state.watcher_sleeps = true;
                self.watch.wait(&mut state);
                quiet = 0;
            }
        }
    }

    /// Sends every connection to axum that is not being served.
    fn disperse(&self, state: &mut State) {
        let here = state.seats.iter_mut().filter_map(|(id, seat)| {
            let asks = seat.work.take_if(|work| matches!(work, Work::Ask(_)))?;
            Some((*id, asks))
        });
        for (id, work) in here.collect::<Vec<_>>() {
            if let Work::Ask(caller) = work {
                self.settle(state, id, Served::Leaves(caller));
            }
        }
    }

    fn hand_over(&self, stream: TcpStream, input: Input) {
        // Nobody takes it any more at the end.
        let _ = self.axum.send((stream, input.into_read()));
    }

    /// Puts a connection back where it goes on.
    fn settle(&self, state: &mut State, id: usize, served: Served) {
        match served {
            Served::Stays(work) => {
                let Some(seat) = state.seats.get_mut(&id) else { return };
                let goes_on = match &work {
                    Work::Ask(_) => &mut seat.again,
                    Work::Wait(..) => &mut seat.woken,
                };
                let goes_on = std::mem::take(goes_on);
                seat.work = Some(work);
                if goes_on {
                    state.ready.push_back(id);
                }
            }
            Served::Leaves(caller) => {
                self.remove(state, id);
                let Caller { stream, input, .. } = *caller;
                if let Some(stream) = Arc::into_inner(stream) {
                    self.hand_over(stream, input);
                }
            }
            Served::Ends => self.remove(state, id),
        }
    }

    fn remove(&self, state: &mut State, id: usize) {
        if let Some(seat) = state.seats.remove(&id) {
            // An error says that the kernel has forgotten it.
            let _ = self.registry.deregister(&mut SourceFd(&seat.stream.as_raw_fd()));
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Answers what a connection asks, as long as that needs no waiting.
    fn serve(self: &Arc<Self>, id: usize, work: Work) -> Served {
        catch_unwind(AssertUnwindSafe(|| self.answer(id, work))).unwrap_or_else(|_| {
            tracing::error!("a method panicked");
            Served::Ends
        })
    }

    fn answer(self: &Arc<Self>, id: usize, work: Work) -> Served {
        let (mut running, mut wanted) = match work {
            Work::Wait(running, wanted) => (running, wanted),
            Work::Ask(mut caller) => {
                caller.input.expect_more();
                match self.begin(caller) {
                    Ok(begun) => begun,
                    Err(served) => return served,
                }
            }
        };
        loop {
            let mut polled = running.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            if polled.is_pending() {
                // Most are there at once: only the others need somebody to wake them.
                let waker = Waker::from(Arc::new(Call { crowd: Arc::clone(self), id }));
                polled = running.as_mut().poll(&mut Context::from_waker(&waker));
            }
            let mut caller = match polled {
                Polled::Pending => return Served::Stays(Work::Wait(running, wanted)),
                Polled::Ready(Err(caller)) => return Served::Leaves(caller),
                Polled::Ready(Ok(caller)) => caller,
            };
            let sent = caller.send().and_then(|sent| caller.send_rest(sent));
            if sent.is_err() || !wanted.keeps_open {
                return Served::Ends;
            }
            caller.input.drop_request(&wanted);
            (running, wanted) = match self.begin(caller) {
                Ok(begun) => begun,
                Err(served) => return served,
            };
        }
    }

    /// Begins the next request of a connection, if it is there.
    fn begin(&self, mut caller: Box<Caller>) -> Result<(Running, Wanted), Served> {
        if caller.input.is_drained() && !caller.ending {
            // The kernel tells when there is more.
            return Err(Served::Stays(Work::Ask(caller)));
        }
        match caller.input.next(&caller.stream, &self.posts.allowed) {
            Next::Request(wanted) => {
                Ok((Box::pin(run(self.posts.clone(), caller, wanted)), wanted))
            }
            Next::Silence => Err(Served::Stays(Work::Ask(caller))),
            Next::Other => Err(Served::Leaves(caller)),
            Next::End => Err(Served::Ends),
        }
    }

    /// Puts a connection among those that have something.
    fn push(&self, state: &mut State, id: usize) {
        state.ready.push_back(id);
        if state.asking.is_none() && !std::mem::replace(&mut state.woken, true) {
            // An error says that it has enough to do.
            let _ = self.waker.wake();
        }
    }
}

/// Runs a request's method. If too many are in flight the connection is for axum, which has the
/// refusal.
async fn run(
    posts: Arc<Posts>,
    mut caller: Box<Caller>,
    wanted: Wanted,
) -> Result<Box<Caller>, Box<Caller>> {
    let Ok(permit) = posts.in_flight.try_acquire() else { return Err(caller) };
    let room = caller.output.begin();
    let text = posts.local.answer(caller.input.body(&wanted), room).await;
    drop(permit);
    caller.output.finish(text, &wanted);
    Ok(caller)
}

impl Caller {
    /// Sends as much of the answer as goes at once, and says how much that was.
    fn send(&mut self) -> std::io::Result<usize> {
        match (&*self.stream).write(self.output.bytes()) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            sent => sent,
        }
    }

    /// Sends what is left of the answer, and waits until the client has taken it.
    fn send_rest(&mut self, sent: usize) -> std::io::Result<()> {
        let rest = &self.output.bytes()[sent..];
        if rest.is_empty() {
            return Ok(());
        }
        self.stream.set_nonblocking(false)?;
        (&*self.stream).write_all(rest)?;
        self.stream.set_nonblocking(true)
    }
}
