//! How many calls run at a time, and for how long.
//!
//! Gas bounds what a call may take, but not what thousands of them take together. So calls pass
//! through here: a few run, the others wait in the order they came. Reads of the chain do not.

use std::sync::Arc;
use std::time::Duration;

use revm::DatabaseRef;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use vm::Execution;

use crate::brief::brief;
use crate::chain::Chain;
use crate::error::CallError;

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
    at: std::time::Instant,
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
        std::time::Instant::now() >= self.at
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

    /// Runs `work` once there is a place. Nobody waits longer than a call may take, and work that
    /// heeds its deadline holds its place hardly longer.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(Deadline) -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, CallError> {
        let (until, seconds) = (Instant::now() + self.time_max, self.time_max.as_secs());
        let busy = || CallError::Busy { running: self.max, seconds };
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                let place = timeout_at(until, Arc::clone(&self.places).acquire_owned()).await;
                place.ok().and_then(Result::ok).ok_or_else(busy)?
            }
        };
        let deadline = Deadline { at: until.into_std(), seconds };
        let worked = brief(move || {
            let _place = place;
            work(deadline).map_err(|error| match error {
                CallError::Stopped => CallError::TooLong { seconds },
                error => error,
            })
        });
        timeout_at(until, worked).await.map_err(|_| CallError::TooLong { seconds })??
    }
}

impl Chain {
    /// Runs `work`, which executes a call: every method that does comes through here.
    pub(crate) async fn execute<T: Send + 'static>(
        &self,
        work: impl FnOnce(Deadline) -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, CallError> {
        self.shared.gate().run(work).await
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
