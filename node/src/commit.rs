//! The commit thread: it makes durable what the sequencer did, and only then tells anybody.
//!
//! While one database transaction commits, the sequencer goes on with the next blocks; all that
//! has gathered by then goes into the next transaction together.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use storage::{Commit, ExecutedBlock};

use crate::chain::{Sentinel, Shared};
use crate::error::Failure;
use crate::event::Event;

/// Jobs that may wait for the commit thread before the sequencer waits for it.
const JOBS_MAX: usize = 1_024;
/// Changes after which a database transaction takes no further job.
const BATCH_MAX: usize = 4_096;
/// Milliseconds that subscribers have to keep up with a job that is paced: those who read nothing
/// for as long lose their subscriptions.
const PATIENCE_MS: u32 = 10_000;

/// Called once it is known whether a job is durable.
pub(crate) type Answer = Box<dyn FnOnce(Result<(), Failure>) + Send>;

/// What becomes durable together.
#[derive(Default)]
pub(crate) struct Job {
    /// The changes.
    pub(crate) changes: Vec<Commit>,
    /// The head once they are durable, if it moves.
    pub(crate) head: Option<Arc<ExecutedBlock>>,
    /// Whom to tell what.
    pub(crate) events: Vec<Event>,
    /// Whether they are told no faster than subscribers read, for there may be more of them than
    /// anybody may fall behind by.
    pub(crate) is_paced: bool,
    /// Who waits for it.
    pub(crate) answers: Vec<Answer>,
}

/// The sequencer's end of the commit thread.
pub(crate) struct Committer {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

impl Committer {
    /// Starts the thread.
    pub(crate) fn start(shared: Arc<Shared>) -> Result<Self, Failure> {
        let (sender, receiver) = sync_channel(JOBS_MAX);
        let worker = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("commit".to_owned())
            .spawn(move || {
                let _sentinel = Sentinel(Arc::clone(&worker));
                run(&worker, &receiver);
            })
            .map_err(|source| Failure::System { what: "commit thread", source: source.into() })?;
        Ok(Self { jobs: Some(sender), thread: Some(thread), shared })
    }

    /// Hands over a job; its answers are called in any case.
    pub(crate) fn send(&self, job: Job) {
        let unsent = match &self.jobs {
            Some(jobs) => jobs.send(job).err().map(|error| error.0),
            None => Some(job),
        };
        if let Some(job) = unsent {
            let failure = self.shared.failure().unwrap_or(Failure::Stopped);
            job.answers.into_iter().for_each(|answer| answer(Err(failure.clone())));
        }
    }

    /// Waits until everything handed over so far is durable.
    pub(crate) fn wait(&self) -> Result<(), Failure> {
        let (sender, receiver) = std::sync::mpsc::channel();
        let answer: Answer = Box::new(move |result| drop(sender.send(result)));
        self.send(Job { answers: vec![answer], ..Job::default() });
        receiver.recv().map_err(|_| Failure::Stopped)?
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.jobs = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the commit thread panicked");
        }
    }
}

fn run(shared: &Shared, jobs: &Receiver<Job>) {
    while let Some(mut job) = next_job(shared, jobs) {
        while job.changes.len() < BATCH_MAX
            && let Ok(next) = jobs.try_recv()
        {
            job.changes.extend(next.changes);
            job.head = next.head.or(job.head);
            job.events.extend(next.events);
            job.is_paced |= next.is_paced;
            job.answers.extend(next.answers);
        }
        finish(shared, job);
    }
}

/// Waits for a job, and lets go of old history meanwhile.
fn next_job(shared: &Shared, jobs: &Receiver<Job>) -> Option<Job> {
    while shared.failure().is_none() && shared.store().has_to_prune() {
        match jobs.try_recv() {
            Ok(job) => return Some(job),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => {
                if let Err(error) = shared.store().prune() {
                    shared.fail(&error.into());
                }
            }
        }
    }
    jobs.recv().ok()
}

fn finish(shared: &Shared, job: Job) {
    let result = match shared.failure() {
        // Nothing may follow a commit that failed: it would leave a gap.
        Some(failure) => Err(failure),
        None if job.changes.is_empty() => Ok(()),
        None => shared.store().commit(job.changes).map_err(Failure::from),
    };
    match &result {
        Ok(()) => {
            if let Some(head) = job.head {
                heads(&job.events).for_each(|block| shared.recent().put(block));
                shared.set_head(head);
            }
            settle(shared, &job.events);
            let mut patience = if job.is_paced { PATIENCE_MS } else { 0 };
            for event in job.events {
                while patience > 0 && shared.has_laggards() {
                    std::thread::sleep(Duration::from_millis(1));
                    patience -= 1;
                }
                shared.publish(event);
            }
        }
        Err(failure) => shared.fail(failure),
    }
    job.answers.into_iter().for_each(|answer| answer(result.clone()));
}

/// The pool need not show the transactions of these blocks any longer: the store does.
fn settle(shared: &Shared, events: &[Event]) {
    for block in heads(events) {
        let hashes = block.transactions.iter().map(|transaction| *transaction.tx_hash());
        shared.pool_mut().settle(hashes);
    }
}

fn heads(events: &[Event]) -> impl Iterator<Item = &Arc<ExecutedBlock>> {
    events.iter().filter_map(|event| match event {
        Event::Head(block) => Some(block),
        Event::Removed(_) | Event::Restarted(_) | Event::Pending(_) => None,
    })
}
