//! Block access lists (EIP-7928): what each transaction of a block read and changed.
//!
//! They are found by running the block again. Before Amsterdam a block has none.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::{Reply, RpcError};
use crate::methods::Table;
use alloy_eips::BlockId;
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::Bytes;
use std::sync::Arc;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("eth_getBlockAccessList", by_id);
    table.task("eth_getBlockAccessListByBlockHash", by_hash);
    table.task("eth_getBlockAccessListByBlockNumber", by_number);
    table.task("eth_getBlockAccessListRaw", raw);
    table.task("debug_getRawBlockAccessList", debug_raw);
}

async fn find(api: &Api, id: BlockId) -> Reply<Option<BlockAccessList>> {
    let Some(block) = api.chain.block(id).await? else { return Ok(None) };
    if block.header.block_access_list_hash.is_none() {
        return Ok(None);
    }
    if block.number() == api.chain.first() {
        return Ok(Some(BlockAccessList::new()));
    }
    Ok(api.chain.run_again(block).await?.1)
}

async fn by_id(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<BlockAccessList>> {
    find(&api, arguments.block()?).await
}

async fn by_hash(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<BlockAccessList>> {
    find(&api, BlockId::hash(arguments.hash("block hash")?)).await
}

async fn by_number(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<BlockAccessList>> {
    find(&api, BlockId::Number(arguments.block_number("block number")?)).await
}

async fn raw(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<Bytes>> {
    let list = find(&api, arguments.block()?).await?;
    Ok(list.map(|list| alloy_rlp::encode(list).into()))
}

async fn debug_raw(api: Arc<Api>, mut arguments: Arguments) -> Reply<Bytes> {
    let id = arguments.block()?;
    let none = || RpcError::server(format!("block {id} has no access list, or is not there"));
    Ok(alloy_rlp::encode(find(&api, id).await?.ok_or_else(none)?).into())
}
