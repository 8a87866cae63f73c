//! The end-to-end tests' harness: the real binary as a process of its own, a plain JSON-RPC client
//! over one socket, npm's tools, the contracts' images.
//!
//! Start at [`Node`]. The tests themselves are in `tests/e2e`.
#![expect(clippy::print_stderr, reason = "what is left out is told to whoever runs the tests")]

pub mod contracts;
pub mod genesis_file;
pub mod node;
pub mod npm;
pub mod proxy;
pub mod python;
pub mod rpc;
pub mod sign;
pub mod stateless;
pub mod suites;
pub mod tls;

pub use genesis_file::GenesisFile;
pub use node::Node;
pub use proxy::Proxy;
pub use rpc::Client;

use std::path::PathBuf;

/// The root of the workspace.
pub fn root() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.pop();
    path
}

/// Whether nothing may be left out, as in CI.
pub fn strict() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}
