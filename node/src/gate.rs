//! How many calls run at a time, and for how long.
//!
//! Gas bounds what a call may take, but not what thousands of them take together. So calls pass
//! through here: a few run, the others wait in the order they came. Reads of the chain do not.

use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use revm::DatabaseRef;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;
use vm::Execution;

use crate::brief::{brief, here};
use crate::chain::{Chain, blocking};
use crate::error::{CallError, Failure};

/// Lets calls through, a few at a time.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    max: usize,
    time_max: Duration,
}

/// When the work of a request has to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    seconds: u64,
}

impl Deadline {
    /// Lets nothing run on `execution` beyond it.
    pub(crate) fn watch<DB: DatabaseRef>(&self, execution: &mut Execution<DB>) {
        let this = *self;
        execution.stop_when(move || this.is_over());
    }

    /// Whether the time is over.
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.at
    }

    /// Waits for what somebody works on, and no longer than until then.
    async fn wait<T>(
        self,
        worked: impl Future<Output = Result<Result<T, CallError>, Failure>>,
    ) -> Result<T, CallError> {
        let worked = timeout_at(self.at.into(), worked).await;
        worked.map_err(|_| CallError::TooLong { seconds: self.seconds })??
    }

    /// An error once the time is over, for work that has several parts.
    pub(crate) fn check(&self) -> Result<(), CallError> {
        if self.is_over() { Err(CallError::TooLong { seconds: self.seconds }) } else { Ok(()) }
    }
}

impl Gate {
    /// A gate for `max` calls at a time, each of which may take so long.
    pub(crate) fn new(max: usize, time_max: Duration) -> Self {
        Self { places: Arc::new(Semaphore::new(max)), max, time_max }
    }

    /// Runs `work` once there is a place: right now, if one is free here. Nobody waits longer than a
    /// call may take, and work that heeds its deadline holds its place hardly longer.
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(Deadline) -> Result<T, CallError> + Send + 'static,
    ) -> Soon<Result<T, CallError>> {
        let seconds = self.time_max.as_secs();
        let deadline = Deadline { at: Instant::now() + self.time_max, seconds };
        let work = move |place: OwnedSemaphorePermit| {
            move || {
                let _place = place;
                work(deadline).map_err(|error| match error {
                    CallError::Stopped => CallError::TooLong { seconds },
                    error => error,
                })
            }
        };
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return match here(work(place)) {
                Ok(done) => Soon::Now(ready(done.map_err(CallError::from).flatten())),
                Err(work) => Soon::Later(Box::pin(deadline.wait(blocking(work)))),
            };
        }
        let places = Arc::clone(&self.places);
        let busy = CallError::Busy { running: self.max, seconds };
        Soon::Later(Box::pin(async move {
            let place = timeout_at(deadline.at.into(), places.acquire_owned()).await;
            let place = place.ok().and_then(Result::ok).ok_or(busy)?;
            deadline.wait(brief(work(place))).await
        }))
    }
}

impl Chain {
    /// Runs `work`, which executes a call: every method that does comes through here.
    pub(crate) fn execute<T: Send + 'static>(
        &self,
        work: impl FnOnce(Deadline) -> Result<T, CallError> + Send + 'static,
    ) -> Soon<Result<T, CallError>> {
        self.shared.gate().run(work)
    }
}

/// What is there mostly, and may have to be waited for.
pub(crate) enum Soon<T> {
    Now(Ready<T>),
    Later(Pin<Box<dyn Future<Output = T> + Send>>),
}

impl<T> Future for Soon<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match self.get_mut() {
            Self::Now(ready) => Pin::new(ready).poll(context),
            Self::Later(later) => later.as_mut().poll(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn calls_beyond_the_places_wait_and_give_up() {
        let gate = Gate::new(1, Duration::from_millis(200));
        let (begun, waits) = std::sync::mpsc::channel();
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let long = tokio::spawn({
            let gate = gate.clone();
            async move {
                gate.run(move |deadline| {
                    begun.send(()).unwrap();
                    ends.recv().unwrap();
                    deadline.check()
                })
                .await
            }
        });
        waits.recv().unwrap();
        let busy = gate.run(|_| Ok(1)).await.unwrap_err();
        assert!(matches!(busy, CallError::Busy { running: 1, .. }), "{busy}");
        assert!(busy.to_string().contains("--calls-max"), "{busy}");
        end.send(()).unwrap();
        let late = long.await.unwrap().unwrap_err();
        assert!(matches!(late, CallError::TooLong { .. }), "{late}");
        assert_eq!(gate.run(|_| Ok(2)).await.unwrap(), 2);
    }
}
