//! Receipts.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::convert;
use crate::error::Reply;
use crate::methods::Table;
use crate::plain::PlainReceipt;
use std::sync::Arc;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.quick("eth_getTransactionReceipt", by_hash);
    table.task("eth_getBlockReceipts", of_block);
}

fn by_hash(api: &Api, mut arguments: Arguments) -> Reply<Option<PlainReceipt>> {
    let hash = arguments.hash("transaction hash")?;
    Ok(api.chain.receipt(hash)?.map(convert::receipt).map(PlainReceipt))
}

async fn of_block(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<Vec<PlainReceipt>>> {
    let block = api.chain.block(arguments.block()?).await?;
    let receipts = block.map(|block| api.chain.receipts(&block));
    let plain = |receipt| PlainReceipt(convert::receipt(receipt));
    Ok(receipts.map(|receipts| receipts.into_iter().map(plain).collect()))
}
