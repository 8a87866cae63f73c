//! The engine over both machines, through its public face.

#![expect(clippy::unwrap_used, reason = "a test that can not go on fails")]

extern crate tandem_vm as vm;

mod c;
mod calls;
mod creation;
mod crypto;
mod edits;
mod faults;
mod program;
mod refusals;
mod reports;
mod spec;
mod stops;
mod storms;
mod syscalls;
mod traces;
mod world;
