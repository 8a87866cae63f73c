//! `ots_`: what the block explorer Otterscan asks.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::convert::{self, Sealing};
use crate::error::{self, Reply, RpcError};
use crate::forked;
use crate::methods::Table;
use alloy_consensus::TxReceipt;
use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types_eth::{Block, BlockTransactions, Transaction, TransactionReceipt};
use alloy_rpc_types_trace::geth::CallFrame;
use alloy_rpc_types_trace::otterscan::{
    BlockDetails, ContractCreator, InternalIssuance, InternalOperation, OtsBlock,
    OtsBlockTransactions, OtsReceipt, OtsTransactionReceipt, TransactionsWithReceipts,
};
use node::error::{CallError, QueryError};
use node::fork::Fork;
use node::trace::{Direction, Page};
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;
use storage::ExecutedBlock;

/// The version of this interface that is served.
const API_LEVEL: u64 = 8;
/// Most transactions of a page.
const PAGE_SIZE_MAX: usize = 1_000;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.quick("ots_getApiLevel", api_level);
    table.task("ots_hasCode", has_code);
    table.aliases(&[("ots_getHeaderByNumber", "eth_getHeaderByNumber")]);
    table.task("ots_getBlockDetails", block_details);
    table.task("ots_getBlockDetailsByHash", block_details_by_hash);
    table.task("ots_getBlockTransactions", block_transactions);
    table.task("ots_getInternalOperations", internal_operations);
    table.task("ots_getTransactionError", transaction_error);
    table.task("ots_traceTransaction", trace_transaction);
    table.task("ots_getTransactionBySenderAndNonce", transaction_by_nonce);
    table.task("ots_getContractCreator", contract_creator);
    table.task("ots_searchTransactionsBefore", search_before);
    table.task("ots_searchTransactionsAfter", search_after);
}

fn api_level(_: &Api, _: Arguments) -> Reply<u64> {
    Ok(API_LEVEL)
}

async fn has_code(api: Arc<Api>, mut arguments: Arguments) -> Reply<bool> {
    let address = arguments.required("address")?;
    let state = api.chain.state(arguments.block()?).await?;
    let account = state.account(address)?;
    Ok(account.is_some_and(|account| !account.is_empty_code_hash()))
}

/// What is not on the chain is null.
fn if_found<T>(found: Result<T, CallError>) -> Reply<Option<T>> {
    match found {
        Err(CallError::Query(QueryError::TransactionNotFound(_))) => Ok(None),
        found => Ok(Some(found?)),
    }
}

async fn find(api: &Api, id: BlockId) -> Reply<Option<(Arc<ExecutedBlock>, Block)>> {
    let Some(block) = api.chain.block(id).await? else { return Ok(None) };
    match convert::block(&block, true) {
        Sealing::Sealed(shown) => Ok(Some((block, *shown))),
        Sealing::Pending(_) => Err(RpcError::server("the pending block is not supported")),
    }
}

async fn block_details(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<BlockDetails>> {
    let number = arguments.block_number("block number")?;
    details(&api, BlockId::Number(number)).await
}

async fn block_details_by_hash(
    api: Arc<Api>,
    mut arguments: Arguments,
) -> Reply<Option<BlockDetails>> {
    let hash = arguments.hash("block hash")?;
    details(&api, BlockId::hash(hash)).await
}

async fn details(api: &Api, id: BlockId) -> Reply<Option<BlockDetails>> {
    let Some((block, shown)) = find(api, id).await? else { return Ok(None) };
    let receipts = api.chain.receipts(&block);
    let fees = receipts
        .iter()
        .map(|receipt| U256::from(receipt.effective_gas_price) * U256::from(receipt.gas_used))
        .sum();
    let mut rewards = api.chain.rewards(&block).into_iter().map(|(_, wei)| wei);
    let block_reward = rewards.next().unwrap_or_default();
    let uncle_reward = rewards.sum();
    let issuance =
        InternalIssuance { block_reward, uncle_reward, issuance: block_reward + uncle_reward };
    Ok(Some(BlockDetails::new(shown, issuance, fees)))
}

async fn block_transactions(
    api: Arc<Api>,
    mut arguments: Arguments,
) -> Reply<Option<OtsBlockTransactions>> {
    let number = arguments.block_number("block number")?;
    let page = arguments.number("page number")?;
    let size = page_size(&mut arguments)?;
    let Some((block, mut shown)) = find(&api, BlockId::Number(number)).await? else {
        return Ok(None);
    };
    let transaction_count = shown.transactions.len();
    // Pages are counted from the block's end.
    let skipped = usize::try_from(page).unwrap_or(usize::MAX).saturating_mul(size);
    let end = transaction_count.saturating_sub(skipped);
    let places = end.saturating_sub(size)..end;
    if let BlockTransactions::Full(all) = &mut shown.transactions {
        *all = all.drain(places.clone()).collect();
    }
    let receipts = api.chain.receipts(&block).into_iter().map(convert::receipt);
    let receipts = receipts.skip(places.start).take(places.len());
    let time = block.header.timestamp;
    Ok(Some(OtsBlockTransactions {
        fullblock: OtsBlock { block: shown, transaction_count },
        receipts: receipts.map(|receipt| ots_receipt(receipt, time, false)).collect(),
    }))
}

fn page_size(arguments: &mut Arguments) -> Reply<usize> {
    let size = usize::try_from(arguments.number("page size")?).unwrap_or(usize::MAX);
    if size > PAGE_SIZE_MAX {
        let text = format!("max allowed page size: {PAGE_SIZE_MAX}, asked for {size}");
        return Err(RpcError::invalid_params(text));
    }
    Ok(size.max(1))
}

/// A receipt as Otterscan wants it; lists of a block leave the logs out.
fn ots_receipt(
    receipt: TransactionReceipt,
    timestamp: u64,
    with_logs: bool,
) -> OtsTransactionReceipt {
    let receipt = receipt.map_inner(|inner| OtsReceipt {
        status: inner.status(),
        cumulative_gas_used: inner.cumulative_gas_used(),
        logs: with_logs.then(|| inner.logs().to_vec()),
        logs_bloom: with_logs.then(|| inner.bloom()),
        r#type: inner.tx_type().into(),
    });
    OtsTransactionReceipt { receipt, timestamp: Some(timestamp) }
}

async fn internal_operations(
    api: Arc<Api>,
    mut arguments: Arguments,
) -> Reply<Option<Vec<InternalOperation>>> {
    let hash = arguments.hash("transaction hash")?;
    if_found(api.chain.internal_operations(hash).await)
}

async fn transaction_error(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<Bytes>> {
    let hash = arguments.hash("transaction hash")?;
    if_found(api.chain.revert_data(hash).await)
}

/// A call of a transaction.
#[derive(Clone, Debug, Serialize)]
struct Entry {
    r#type: String,
    depth: usize,
    from: Address,
    to: Option<Address>,
    value: Option<U256>,
    input: Bytes,
    output: Bytes,
}

async fn trace_transaction(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<Vec<Entry>>> {
    let hash = arguments.hash("transaction hash")?;
    let Some(root) = if_found(api.chain.call_tree(hash).await)? else { return Ok(None) };
    let mut entries = Vec::new();
    flatten(root, 0, &mut entries);
    Ok(Some(entries))
}

fn flatten(frame: CallFrame, depth: usize, entries: &mut Vec<Entry>) {
    // A call that gives nothing away shows no value.
    let value = frame.value.filter(|_| !matches!(&*frame.typ, "DELEGATECALL" | "STATICCALL"));
    entries.push(Entry {
        r#type: frame.typ,
        depth,
        from: frame.from,
        to: frame.to,
        value,
        input: frame.input,
        output: frame.output.unwrap_or_default(),
    });
    for call in frame.calls {
        flatten(call, depth + 1, entries);
    }
}

async fn transaction_by_nonce(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<B256>> {
    let sender = arguments.required("sender")?;
    let nonce = arguments.number("nonce")?;
    Ok(api.chain.transaction_by_nonce(sender, nonce).await?)
}

async fn contract_creator(
    api: Arc<Api>,
    mut arguments: Arguments,
) -> Reply<Option<ContractCreator>> {
    let address = arguments.required("address")?;
    let found = api.chain.contract_creator(address).await?;
    if found.is_none()
        && let Some(fork) = api.chain.fork()
        && let state = api.chain.state(BlockId::number(fork.number())).await?
        && state.account(address)?.is_some_and(|account| !account.is_empty_code_hash())
    {
        return forked::read(fork, "ots_getContractCreator", &json!([address]));
    }
    Ok(found.map(|found| ContractCreator { hash: found.hash, creator: found.creator }))
}

type Searched = TransactionsWithReceipts<Transaction>;

async fn search_before(api: Arc<Api>, mut arguments: Arguments) -> Reply<Searched> {
    let address = arguments.required("address")?;
    let block = arguments.number("block number")?;
    let size = page_size(&mut arguments)?;
    let mut found = search(&api, address, Direction::Before, Page { block, size }).await?;
    if let Some(fork) = api.chain.fork().filter(|_| found.last_page) {
        let after = fork.number() + 1;
        let block = if block == 0 { after } else { block.min(after) };
        let left = size.saturating_sub(found.txs.len());
        let rest = json!([address, block, left.max(1)]);
        match their_search(fork, "ots_searchTransactionsBefore", &rest)? {
            Some(theirs) if left == 0 => found.last_page = theirs.txs.is_empty(),
            Some(theirs) => found = joined(found, theirs),
            None => {}
        }
    }
    Ok(found)
}

async fn search_after(api: Arc<Api>, mut arguments: Arguments) -> Reply<Searched> {
    let address = arguments.required("address")?;
    let block = arguments.number("block number")?;
    let size = page_size(&mut arguments)?;
    let page = Page { block, size };
    if let Some(fork) = api.chain.fork().filter(|fork| block < fork.number())
        && let params = json!([address, block, size])
        && let Some(mut found) = their_search(fork, "ots_searchTransactionsAfter", &params)?
    {
        let is_common = |number: Option<u64>| number.is_some_and(|number| number <= fork.number());
        let whole = found.txs.len();
        found.txs.retain(|transaction| is_common(transaction.block_number));
        found.receipts.retain(|receipt| is_common(receipt.receipt.block_number));
        if !found.first_page && found.txs.len() == whole {
            return Ok(found);
        }
        let left = size.saturating_sub(found.txs.len());
        let page = Page { block: fork.number(), size: left.max(1) };
        let ours = search(&api, address, Direction::After, page).await?;
        if left == 0 {
            return Ok(Searched { first_page: ours.txs.is_empty(), ..found });
        }
        return Ok(joined(ours, found));
    }
    search(&api, address, Direction::After, page).await
}

/// One page of two, the newer one first.
fn joined(newer: Searched, older: Searched) -> Searched {
    Searched {
        txs: [newer.txs, older.txs].concat(),
        receipts: [newer.receipts, older.receipts].concat(),
        first_page: newer.first_page,
        last_page: older.last_page,
    }
}

/// A page of the other node's; nothing if it has no such method.
fn their_search(fork: &Fork, method: &str, params: &Value) -> Reply<Option<Searched>> {
    match forked::read(fork, method, params) {
        Err(error) if error.code() == error::UNKNOWN_METHOD => Ok(None),
        found => found.map(Some),
    }
}

async fn search(api: &Api, address: Address, direction: Direction, page: Page) -> Reply<Searched> {
    let found = api.chain.search_transactions(address, direction, page).await?;
    let (mut txs, mut receipts) = (Vec::new(), Vec::new());
    for hash in found.hashes {
        let Some(receipt) = api.chain.receipt(hash)? else { continue };
        let time = receipt.included.header.timestamp;
        txs.push(convert::included(receipt.included.clone()));
        receipts.push(ots_receipt(convert::receipt(receipt), time, true));
    }
    let (first_page, last_page) = (found.first_page, found.last_page);
    Ok(TransactionsWithReceipts { txs, receipts, first_page, last_page })
}
