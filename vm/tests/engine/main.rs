//! The engine over both machines, through its public face.

extern crate tandem_vm as vm;

mod calls;
mod creation;
mod edits;
mod faults;
mod program;
mod refusals;
mod storms;
mod syscalls;
mod traces;
mod world;
