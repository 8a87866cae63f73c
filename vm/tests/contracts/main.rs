//! The contracts in `contracts/`, each beside its Solidity twin, on the engine.

extern crate tandem_vm as vm;

mod chain;
mod factory;
mod instructions;
mod pingpong;
mod token;
