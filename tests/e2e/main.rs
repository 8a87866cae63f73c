//! End-to-end tests: each starts the real binary and drives it as its users do, over HTTP and
//! WebSocket, with alloy's provider, with what npm has, and with plain JSON-RPC.

mod cast;
mod chain;
mod chain_files;
mod db;
mod deadlines;
mod dev_methods;
mod devnet;
mod dumps;
mod fork;
mod fork_past;
mod hostile;
mod live;
mod machines;
mod parity;
mod pool;
mod project;
mod proofs;
mod python;
mod scripts;
mod support;
mod tokens;
mod tools;
mod traces;
mod transactions;
mod twins;
