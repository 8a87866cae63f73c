//! `debug_`: traces, and bytes as they are hashed. A file per topic.

mod raw;
mod traces;
mod witness;

use crate::api::Api;
use crate::methods::Table;

/// Adds the methods of this folder.
pub(crate) fn register(table: &mut Table<Api>) {
    traces::register(table);
    raw::register(table);
    witness::register(table);
}
