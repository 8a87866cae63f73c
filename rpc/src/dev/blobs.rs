//! Blobs, as anvil gives them.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::Reply;
use crate::methods::Table;
use alloy_primitives::Bytes;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.quick("anvil_getBlobByHash", blob_by_hash);
    table.quick("anvil_getBlobsByTransactionHash", blobs_by_transaction_hash);
}

fn blob_by_hash(api: &Api, mut arguments: Arguments) -> Reply<Option<Bytes>> {
    Ok(api.chain.blob(arguments.hash("versioned hash")?)?)
}

fn blobs_by_transaction_hash(api: &Api, mut arguments: Arguments) -> Reply<Option<Vec<Bytes>>> {
    Ok(api.chain.blobs(arguments.hash("transaction hash")?)?)
}
