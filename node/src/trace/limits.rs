//! What traces may cost, each and together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use trace::{Budget, Exceeded, TraceError};

use crate::chain::{Chain, blocking};
use crate::config::NodeConfig;
use crate::error::{CallError, Failure};

/// How much longer than its time a trace is waited for: the tracer itself should say so first.
const GRACE: Duration = Duration::from_millis(500);

/// A limit that a trace has hit. Each says which setting raises it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// It took too long.
    #[error("execution timeout: the trace took more than {millis} ms{}", hint(*setting))]
    Time {
        /// Most time, in milliseconds.
        millis: u128,
        /// Whether the limit is the node's setting, not the caller's.
        setting: bool,
    },
    /// It recorded too much.
    #[error(
        "the trace recorded more than {bytes} bytes (see --trace-size-max): \
         ask for less of it, or raise the limit"
    )]
    Size {
        /// Most bytes that one request may record.
        bytes: usize,
    },
    /// Too many others run.
    #[error("no place for another trace within {seconds} s: {max} run at once (see --traces-max)")]
    Places {
        /// How many may run at once.
        max: usize,
        /// Seconds waited.
        seconds: u64,
    },
    /// It would have to run too many blocks again.
    #[error(
        "more than {max} blocks with transactions to run again (see --trace-blocks-max): \
         stopped before block {number}, ask for a smaller range"
    )]
    Blocks {
        /// Most blocks.
        max: u64,
        /// The block that was one too many.
        number: u64,
    },
}

fn hint(setting: bool) -> &'static str {
    if setting { ", see --trace-time-max" } else { "" }
}

/// Places for traces that run at the same time.
pub(crate) fn places(config: &NodeConfig) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(config.traces_max()))
}

impl Chain {
    /// Runs `work` once there is a place for it, with what a trace may cost. `timeout` is the
    /// caller's own limit, which counts if it is below the node's.
    ///
    /// Work that heeds its budget ends soon after its time. Nobody waits for other work, but that
    /// holds its place.
    pub(crate) async fn traced<T: Send + 'static>(
        &self,
        timeout: Option<Duration>,
        work: impl FnOnce(&mut Budget) -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, CallError> {
        let config = self.config();
        let time_max = Duration::from_secs(config.trace_time_max);
        let time = timeout.unwrap_or(time_max).min(time_max);
        let late = LimitError::Time { millis: time.as_millis(), setting: time == time_max };
        let large = LimitError::Size { bytes: config.trace_size_max };
        let place = Arc::clone(self.shared.traces()).acquire_owned();
        let full = LimitError::Places { max: config.traces_max(), seconds: config.trace_time_max };
        let place = tokio::time::timeout(time_max, place).await;
        let place = place.map_err(|_| full)?.map_err(|_| Failure::Stopped)?;
        let mut budget = Budget::new(Instant::now().checked_add(time), config.trace_size_max);
        let running = blocking(move || {
            let done = work(&mut budget);
            drop(place);
            done
        });
        let Ok(done) = tokio::time::timeout(time + GRACE, running).await else {
            return Err(late.into());
        };
        done?.map_err(|error| match error {
            CallError::Tracer(tracer) => match &*tracer {
                TraceError::Exceeded(Exceeded::Time) => late.into(),
                TraceError::Exceeded(Exceeded::Size) => large.into(),
                _ => CallError::Tracer(tracer),
            },
            CallError::Stopped => late.into(),
            other => other,
        })
    }
}

/// Stops work between two transactions once its budget is used up.
pub(super) fn check(budget: &mut Budget) -> Result<(), CallError> {
    budget.look();
    match budget.exceeded() {
        Some(exceeded) => Err(TraceError::Exceeded(exceeded).into()),
        None => Ok(()),
    }
}
