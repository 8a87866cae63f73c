//! Running a piece of code to its end.

use std::sync::Arc;

use tandem_vm::riscv::{Image, Machine, Pool, Stop, Units};

use crate::asm;

/// Pages of a test's transaction.
pub(crate) const PAGES_MAX: u32 = 1_000;

/// Gas of a test's frame.
pub(crate) const GAS: u64 = 100_000;

/// A machine after it stopped.
pub(crate) struct Run {
    pub(crate) stop: Stop,
    pub(crate) machine: Machine,
    pub(crate) units: Units,
}

impl Run {
    pub(crate) fn register(&self, number: u32) -> u64 {
        self.machine.registers()[number as usize]
    }
}

pub(crate) fn load(file: &[u8]) -> Arc<Image> {
    Arc::new(Image::load(file, &Default::default()).expect("the test's image is valid"))
}

pub(crate) fn units() -> Units {
    let mut units = Units::new(&Default::default(), PAGES_MAX);
    units.refill(GAS);
    units
}

/// Runs an image until it stops.
pub(crate) fn run_image(file: &[u8]) -> Run {
    run_loaded(load(file))
}

/// Runs a loaded image until it stops.
pub(crate) fn run_loaded(image: Arc<Image>) -> Run {
    let mut machine = Machine::new(image, &mut Pool::new(), false);
    let mut units = units();
    let stop = machine.run(&mut units);
    Run { stop, machine, units }
}

/// Runs code at `asm::TEXT`, with a writable segment at `asm::DATA`.
pub(crate) fn run(code: &[u8]) -> Run {
    run_image(&asm::image(code))
}
