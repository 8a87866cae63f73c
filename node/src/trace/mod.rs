//! Traces: transactions of the chain, or calls, run again under a tracer.
//!
//! A block is replayed (`replay`) on the state that it was sealed on, dev edits included, with the
//! same system calls before its first transaction. `geth` has the traces of `debug_`, `parity`
//! those of `trace_` with the search of `filter`, `bad` keeps blocks that were refused, `otterscan` what the block explorer of that name
//! asks, `series` calls that build on one another,
//! `report` where gas went. `limits` bounds them all.

mod bad;
mod filter;
mod geth;
mod limits;
mod otterscan;
mod parity;
mod replay;
mod report;
mod series;

pub(crate) use bad::BadBlocks;
pub use filter::TraceQuery;
pub use geth::unexecuted;
pub use limits::LimitError;
pub(crate) use limits::places;
pub use otterscan::{Creator, Direction, Found, Page};
pub use parity::TraceTypes;
pub(crate) use replay::Replay;
pub use series::{At, StepCall};
pub use trace::GasReport;

use std::sync::Arc;

use storage::StoreError;
use trace::TraceError;

use crate::error::CallError;

impl From<TraceError<StoreError>> for CallError {
    fn from(error: TraceError<StoreError>) -> Self {
        match error {
            TraceError::Engine(error) => error.into(),
            other => Self::Tracer(Arc::new(other)),
        }
    }
}
