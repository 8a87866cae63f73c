//! The contracts in `contracts/`, each beside its Solidity twin, on the engine.
#![allow(clippy::print_stdout, reason = "gas and instruction counts are for whoever asks")]

extern crate tandem_vm as vm;

mod chain;
mod factory;
mod instructions;
mod pingpong;
mod token;
