//! JSON-RPC over HTTP and WebSocket on one port.
//!
//! Start with [`serve`]: `server` has the transport, `api` the table of all methods. A method is
//! one function in the file of its topic: it reads its arguments (`arguments`, `request`), makes
//! one call to `node::Chain`, and converts the answer (`convert`). `error` has every code and text.

mod api;
mod arguments;
mod beacon;
mod connection;
mod convert;
mod crowd;
mod debug;
mod dev;
mod error;
mod eth;
mod filters;
mod forked;
mod head;
mod hosts;
mod http;
mod ipc;
mod lane;
mod local;
mod log_filter;
mod methods;
mod net;
mod ots;
mod plain;
mod request;
mod reth;
mod revert;
mod rv;
mod server;
mod socket;
mod testing;
mod trace;
mod txpool;
mod wire;

pub use api::{ServeError, serve};
pub use hosts::Hosts;
pub use ipc::serve_stream;
pub use local::Limits;
pub use methods::{MethodTable, NameTaken};
pub use server::{Origins, Server, ServerConfig};
