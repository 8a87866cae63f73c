//! A block that a caller describes in full becomes the head.

use std::time::Instant;

use alloy_primitives::B256;

use super::Sequencer;
use super::seal::roots;
use crate::building::{BuildError, WantedBlock, run};

impl Sequencer {
    /// Executes the block that is wanted and makes it the head.
    pub(crate) fn commit_wanted(&mut self, wanted: &WantedBlock) -> Result<B256, BuildError> {
        self.check_alive()?;
        let started = Instant::now();
        let built = run(
            &self.shared,
            wanted,
            &self.head.header,
            (&self.writer, roots(self.writer.merkle())),
        )?;
        Ok(self.append(built.executed, started)?.hash())
    }
}
