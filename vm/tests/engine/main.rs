//! The engine over both machines, through its public face.

extern crate tandem_vm as vm;

mod calls;
mod creation;
mod faults;
mod program;
mod syscalls;
mod world;
