//! `debug_`: traces, and bytes as they are hashed. A file per topic.

mod bad;
mod chain;
mod options;
mod raw;
mod state;
mod subscribe;
mod traces;
mod witness;

use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::{Reply, RpcError};
use crate::methods::Table;
use std::sync::Arc;
use storage::ExecutedBlock;

/// Adds the methods of this folder.
pub(crate) fn register(table: &mut Table<Api>) {
    traces::register(table);
    bad::register(table);
    raw::register(table);
    witness::register(table);
    state::register(table);
    chain::register(table);
    subscribe::register(table);
}

/// The block that the next argument names.
async fn required_block(api: &Api, arguments: &mut Arguments) -> Reply<Arc<ExecutedBlock>> {
    let id = arguments.block()?;
    api.chain.block(id).await?.ok_or_else(|| RpcError::no_block(id))
}

/// Runs `work`, which reads much, where it holds nobody up.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Reply<T> + Send + 'static,
) -> Reply<Reply<T>> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| RpcError::internal("a worker of the node failed"))
}

/// Adds the methods that only a dev node has.
pub(crate) fn register_dev(table: &mut Table<Api>) {
    traces::register_files(table);
}
