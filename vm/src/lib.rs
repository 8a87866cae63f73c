//! The combined engine: EVM and RISC-V contracts on one frame stack, one state, one gas account.
//!
//! Start at [`Engine`], which knows the chain, and [`Execution`], which runs the transactions of
//! one block over a state. `machines` puts RISC-V machines beside revm's frames, `riscv` is the
//! machine itself, `create` decides what may become code, [`watch`] is what tracers see.
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod cache;
mod create;
mod engine;
mod error;
mod execution;
mod machines;
mod precompiles;
pub mod riscv;
mod rules;
mod source;
mod stop;
mod transition;
pub mod watch;

pub use engine::{Engine, Signers};
pub use error::{EngineError, TxError};
pub use execution::{AccountEdit, Execution, Outcome};
pub use machines::{CONSOLE, Print, PrintKind, TrapReport};
pub use rules::Rules;
pub use source::{Context, State};
