//! What calls cost in time: calls of warm contracts of both machines, and of pure system calls the
//! time that a block full of them takes.
//!
//! `cargo bench -p tandem-bench --bench calls` prints both. The second part takes its inputs from
//! the vectors of precompiles in `TANDEM_SUITES` and is left out without them.

#![expect(clippy::print_stdout, reason = "the figures are the product")]

mod frames;
mod pure;

fn main() {
    frames::run();
    pure::run();
}
