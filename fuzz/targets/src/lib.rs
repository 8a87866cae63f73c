//! What the fuzz targets check, and inputs to begin with.
//!
//! [`TARGETS`] has them all. `cargo fuzz` runs each for as long as one likes (`fuzz/`), the test of
//! this crate each a few hundred times in the gate.

#[path = "../../../vm/tests/riscv/asm.rs"]
#[expect(dead_code, reason = "the tests of the machine use more of it")]
mod asm;
mod machine;
#[cfg(feature = "node")]
mod node_input;
#[path = "../../../vm/tests/riscv/random.rs"]
mod random;
mod state_input;

/// A parser, or something else that meets foreign bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, also that of the target of `cargo fuzz`.
    pub name: &'static str,
    /// Hands it the bytes and panics if it does something else than it should.
    pub check: fn(&[u8]),
    /// Inputs that lead far into it.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "riscv_elf", check: machine::elf, seeds: machine::elf_seeds },
    Target { name: "riscv_code", check: machine::code, seeds: machine::code_seeds },
    Target { name: "riscv_machine", check: machine::run, seeds: machine::code_seeds },
    Target { name: "riscv_syscalls", check: machine::syscalls, seeds: machine::syscall_seeds },
    Target {
        name: "container",
        check: state_input::container,
        seeds: state_input::container_seeds,
    },
    Target { name: "genesis_file", check: state_input::genesis, seeds: state_input::genesis_seeds },
    Target { name: "proof", check: state_input::proof, seeds: state_input::proof_seeds },
    Target { name: "witness", check: state_input::witness, seeds: state_input::proof_seeds },
    Target {
        name: "transaction",
        check: state_input::transaction,
        seeds: state_input::transaction_seeds,
    },
    #[cfg(feature = "node")]
    Target { name: "blocks_file", check: node_input::blocks, seeds: node_input::blocks_seeds },
    #[cfg(feature = "node")]
    Target { name: "state_dump", check: node_input::dump, seeds: node_input::dump_seeds },
    #[cfg(feature = "node")]
    Target { name: "rpc_request", check: node_input::request, seeds: node_input::request_seeds },
];

/// Runs the target of this name.
///
/// # Panics
///
/// If there is no such target, or if it does something else than it should.
pub fn check(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("the target is in the list").check)(bytes);
}
