//! Unit tests of contracts over the engine.
//!
//! A contract that is built for the machine at hand runs as native code, on a thread of its own for
//! each frame, so that panics have their place in the source and a debugger works. Its system calls
//! are served by the engine, as those of an image are: storage, static context, gas of what they
//! do, other contracts of both kinds. What the contract computes costs no gas; for that, and for
//! the image itself, set `CONTRACT_IMAGES` to the folder that `tandem build` writes to
//! (`CONTRACT_IMAGES=target/tandem cargo test`): the same tests then deploy the images.
//!
//! ```
//! # mod counter {
//! use tandem_kit::prelude::*;
//!
//! #[storage]
//! pub struct Counter { count: U256 }
//!
//! #[contract]
//! impl Counter {
//!     pub fn count(&self) -> U256 { self.count.get() }
//!     pub fn add(&mut self, step: U256) { self.count.update(|count| count + step); }
//! }
//! # }
//! # use counter::Counter;
//! use tandem_kit::U256;
//! use tandem_kit_test::Chain;
//!
//! let mut chain = Chain::new();
//! let counter = chain.deploy::<Counter>(&());
//! chain.send(counter, "add(uint256)", &U256::from(5u8)).succeeded();
//! assert_eq!(chain.ask::<U256>(counter, "count()", &()), U256::from(5u8));
//! ```

mod chain;
mod done;
mod native;
mod stub;
mod words;

pub use chain::{By, Chain};
pub use done::{Done, Emitted};
