//! Blocks that the node was given and refused.

use super::options;
use super::traces::{TransactionTrace, named};
use crate::api::Api;
use crate::arguments::Arguments;
use crate::convert::{self, Sealing};
use crate::error::Reply;
use crate::methods::Table;
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_eth::Block;
use serde::Serialize;
use std::sync::Arc;

/// Adds the methods of this file.
pub(super) fn register(table: &mut Table<Api>) {
    table.quick("debug_getBadBlocks", bad_blocks);
    table.task("debug_traceBadBlock", trace_bad_block);
}

/// A block that was refused.
#[derive(Clone, Debug, Serialize)]
struct BadBlock {
    hash: B256,
    block: Sealing<Block>,
    rlp: Bytes,
}

fn bad_blocks(api: &Api, _: Arguments) -> Reply<Vec<BadBlock>> {
    let blocks = api.chain.bad_blocks().into_iter().map(|block| BadBlock {
        hash: block.hash(),
        block: convert::block(&block, true),
        rlp: super::raw::encoded(&block),
    });
    Ok(blocks.collect())
}

async fn trace_bad_block(api: Arc<Api>, mut arguments: Arguments) -> Reply<Vec<TransactionTrace>> {
    let hash = arguments.hash("block hash")?;
    let options = options::take(&mut arguments)?;
    Ok(named(api.chain.trace_bad_block(hash, options).await?))
}
