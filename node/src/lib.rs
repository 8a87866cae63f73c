//! The node without HTTP: pool, sequencer, block execution, queries.
//!
//! Start with [`Chain`], the facade. A transaction goes from [`Chain::submit`] to the sequencer
//! thread (`sequencer`), which takes it into the [`pool`], executes a block ([`executor`]), applies
//! it to the state, and hands it to the commit thread (`commit`); that one answers once the block
//! is durable. Reads go past all this, to a snapshot of the store.

pub mod accounts;
mod brief;
pub mod building;
pub mod call;
mod chain;
pub mod clock;
mod commit;
pub mod config;
mod dump;
pub mod error;
mod event;
pub mod fee;
pub mod fork;
mod gate;
pub mod import;
pub mod past;
pub mod pool;
pub mod query;
mod recent;
pub mod riscv;
mod sequencer;
mod settings;
pub mod simulate;
pub mod trace;
mod trial;
pub mod witness;

pub use brief::dedicate_thread;
pub use chain::{Chain, TokenValue};
pub use config::NodeConfig;
pub use dump::check_dump;
pub use event::Event;
pub use sequencer::SealedBlocks;
pub use settings::Settings;
