//! Work that is short as a rule, done where it is asked for.
//!
//! Handing a call to another thread costs more than most calls take: two context switches. So a
//! call runs on the thread of its request: if that serves nobody else, or as long as enough threads
//! of the runtime stay free to serve everybody else; beyond that it goes to the blocking pool.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::Handle;

use crate::chain::blocking;
use crate::error::Failure;

/// Threads of the runtime that never run calls.
const FREE_MIN: usize = 2;

static RUNNING: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static DEDICATED: Cell<bool> = const { Cell::new(false) };
}

/// Tells that this thread serves one caller and nobody else: what is asked of it may take long.
pub fn dedicate_thread() {
    DEDICATED.set(true);
}

/// A thread of the runtime that runs a call.
struct Place;

impl Place {
    fn take(places: usize) -> Option<Self> {
        let taken = RUNNING.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |running| {
            (running < places).then_some(running + 1)
        });
        taken.ok().map(|_| Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs `work` here if a place is free, and gives it back if not.
pub(crate) fn here<T, W: FnOnce() -> T>(work: W) -> Result<Result<T, Failure>, W> {
    let place = if DEDICATED.get() {
        None
    } else {
        let threads = Handle::current().metrics().num_workers();
        let Some(place) = Place::take(threads.saturating_sub(FREE_MIN)) else { return Err(work) };
        Some(place)
    };
    let done = catch_unwind(AssertUnwindSafe(work)).map_err(|_| Failure::Worker);
    drop(place);
    Ok(done)
}

/// Runs `work` here if a place is free, and on a thread of its own if not.
pub(crate) async fn brief<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    match here(work) {
        Ok(done) => done,
        Err(work) => blocking(work).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn work_beyond_the_places_goes_elsewhere() {
        let (first, second) = (Place::take(2), Place::take(2));
        assert!(first.is_some() && second.is_some());
        assert!(Place::take(2).is_none());
        assert_eq!(brief(|| 1).await.ok(), Some(1));
        drop((first, second));
        let here = std::thread::current().id();
        assert_eq!(brief(move || std::thread::current().id() == here).await.ok(), Some(true));
        let failed = brief(|| panic!("as a test wants it")).await;
        assert!(matches!(failed, Err::<(), _>(Failure::Worker)));
    }
}
