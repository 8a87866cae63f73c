//! The state as geth dumps it, in the order of keccak hashes, and states between transactions.
//!
//! This chain's tree has no order by keccak hash and no storage roots: addresses and slots are
//! hashed when they are asked for, and every storage root is zero.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::convert::Account;
use crate::error::{Reply, RpcError};
use crate::eth::state::{account_in, account_info_in};
use crate::methods::Table;
use crate::request::Quantity;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, hex, keccak256};
use alloy_rpc_types_eth::AccountInfo;
use node::query::StateView;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use storage::{ExecutedBlock, Snapshot};

/// Most accounts in one answer, as in geth.
const ACCOUNTS_MAX: usize = 256;

/// Adds the methods of this file.
pub(super) fn register(table: &mut Table<Api>) {
    table.task("debug_accountAt", account_at);
    table.task("debug_accountInfoAt", account_info_at);
    table.task("debug_accountRange", account_range);
    table.task("debug_dumpBlock", dump_block);
    table.task("debug_storageRangeAt", storage_range_at);
    table.task("debug_codeByHash", code_by_hash);
    table.task("debug_preimage", preimage);
    table.task("debug_getModifiedAccountsByNumber", modified_by_number);
    table.task("debug_getModifiedAccountsByHash", modified_by_hash);
}

/// The block and the state after the transaction at an index, the first two arguments.
async fn after_transaction(api: &Api, arguments: &mut Arguments) -> Reply<StateView> {
    let block = super::required_block(api, arguments).await?;
    let index = usize::try_from(arguments.number("transaction index")?).unwrap_or(usize::MAX);
    let count = block.transactions.len();
    if index >= count {
        return Err(RpcError::invalid_params(format!(
            "tx_index {index} out of bounds for block with {count} transactions"
        )));
    }
    Ok(api.chain.state_within(block, index + 1).await?)
}

async fn account_at(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<Account>> {
    let state = after_transaction(&api, &mut arguments).await?;
    account_in(&state, arguments.required("address")?)
}

async fn account_info_at(api: Arc<Api>, mut arguments: Arguments) -> Reply<AccountInfo> {
    let state = after_transaction(&api, &mut arguments).await?;
    account_info_in(&state, arguments.required("address")?)
}

/// geth's dump of a state.
#[derive(Clone, Debug, Serialize)]
struct Dump {
    /// The state root, without a prefix.
    root: String,
    accounts: BTreeMap<String, DumpedAccount>,
    /// Hash of the first account that is not in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<B256>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DumpedAccount {
    balance: String,
    nonce: u64,
    root: B256,
    code_hash: B256,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Bytes>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    storage: BTreeMap<B256, String>,
    address: Address,
    /// Hash of the address.
    key: B256,
}

/// What a dump holds.
#[derive(Clone, Copy, Debug)]
struct DumpOptions {
    start: B256,
    max: usize,
    code: bool,
    storage: bool,
}

async fn account_range(api: Arc<Api>, mut arguments: Arguments) -> Reply<Dump> {
    let block = arguments.block()?;
    let start: Option<Bytes> = arguments.optional("start")?;
    let max = arguments.optional::<i64>("max results")?.and_then(|max| usize::try_from(max).ok());
    let no_code = arguments.optional("no code")?.unwrap_or(false);
    let no_storage = arguments.optional("no storage")?.unwrap_or(false);
    let options = DumpOptions {
        start: start.map(|start| word(&start)).unwrap_or_default(),
        max: max.filter(|max| (1..=ACCOUNTS_MAX).contains(max)).unwrap_or(ACCOUNTS_MAX),
        code: !no_code,
        storage: !no_storage,
    };
    dump(&api, block, options).await
}

async fn dump_block(api: Arc<Api>, mut arguments: Arguments) -> Reply<Dump> {
    let block = arguments.block()?;
    let options = DumpOptions { start: B256::ZERO, max: ACCOUNTS_MAX, code: true, storage: true };
    dump(&api, block, options).await
}

/// Bytes at the right end of a word, as geth reads them.
fn word(bytes: &[u8]) -> B256 {
    B256::left_padding_from(&bytes[bytes.len().saturating_sub(32)..])
}

async fn dump(api: &Api, id: BlockId, options: DumpOptions) -> Reply<Dump> {
    // The pending state is not one that is stored: its accounts are those of the head.
    let id = if id.is_pending() { BlockId::latest() } else { id };
    let header = api.chain.header(id).await?.ok_or_else(|| RpcError::no_block(id))?;
    let snapshot = api.chain.state(id).await?.into_snapshot();
    let root = hex::encode(header.state_root);
    super::off_thread(move || collect(&snapshot, root, options)).await?
}

fn collect(snapshot: &Snapshot, root: String, options: DumpOptions) -> Reply<Dump> {
    let accounts = snapshot.accounts()?.into_iter();
    let mut by_hash: BTreeMap<B256, _> =
        accounts.map(|(address, info)| (keccak256(address), (address, info))).collect();
    let mut rest = by_hash.split_off(&options.start).into_iter();
    let mut accounts = BTreeMap::new();
    for (key, (address, info)) in rest.by_ref().take(options.max) {
        let mut account = DumpedAccount {
            balance: info.balance.to_string(),
            nonce: info.nonce,
            root: B256::ZERO,
            code_hash: info.code_hash,
            code: None,
            storage: BTreeMap::new(),
            address,
            key,
        };
        if options.code {
            account.code = Some(snapshot.code(address)?).filter(|code| !code.is_empty());
        }
        if options.storage {
            let slots = snapshot.storage_of(address)?.into_iter();
            account.storage = slots
                .map(|(slot, value)| (slot.into(), hex::encode(value.to_be_bytes_trimmed_vec())))
                .collect();
        }
        accounts.insert(address.to_checksum(None), account);
    }
    Ok(Dump { root, accounts, next: rest.next().map(|(key, _)| key) })
}

/// Part of an account's storage, in the order of the slots' hashes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StorageRange {
    storage: BTreeMap<B256, StorageEntry>,
    /// Hash of the first slot that is not in it.
    next_key: Option<B256>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct StorageEntry {
    key: B256,
    value: B256,
}

/// The storage before the transaction at an index, as geth has it.
async fn storage_range_at(api: Arc<Api>, mut arguments: Arguments) -> Reply<StorageRange> {
    let block = super::required_block(&api, &mut arguments).await?;
    let index = usize::try_from(arguments.number("transaction index")?).unwrap_or(usize::MAX);
    let address: Address = arguments.required("address")?;
    let start = word(&arguments.required::<Bytes>("start")?);
    let max = usize::try_from(arguments.number("max results")?).unwrap_or(usize::MAX);
    let count = block.transactions.len();
    if index > count || (index == count && count > 0) {
        let text = format!("transaction index {index} out of range for block {:#x}", block.hash());
        return Err(RpcError::server(text));
    }
    let state = api.chain.state_within(block, index).await?;
    super::off_thread(move || {
        let mut slots = BTreeMap::new();
        for (slot, value) in state.storage_of(address)? {
            let key = B256::from(slot);
            slots.insert(keccak256(key), StorageEntry { key, value: value.into() });
        }
        let mut rest = slots.split_off(&start).into_iter();
        let storage = rest.by_ref().take(max).collect();
        Ok(StorageRange { storage, next_key: rest.next().map(|(key, _)| key) })
    })
    .await?
}

async fn code_by_hash(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<Bytes>> {
    let hash = arguments.hash("code hash")?;
    let state = api.chain.state(arguments.block()?).await?;
    Ok(state.find_code(hash)?)
}

async fn preimage(api: Arc<Api>, mut arguments: Arguments) -> Reply<Bytes> {
    let found = api.chain.preimage(arguments.hash("hash")?).await?;
    found.map(Bytes::from).ok_or_else(|| RpcError::server("unknown preimage"))
}

async fn modified_by_number(api: Arc<Api>, mut arguments: Arguments) -> Reply<Vec<Address>> {
    let Quantity(start) = arguments.required("start block")?;
    let end = arguments.optional_number("end block")?;
    let find = async |number: u64, what: &str| {
        let id = BlockId::Number(BlockNumberOrTag::Number(number));
        let none = || RpcError::server(format!("{what} block {number} not found"));
        api.chain.block(id).await?.ok_or_else(none)
    };
    let start = find(start, "start").await?;
    let end = match end {
        Some(end) => Some(find(end, "end").await?),
        None => None,
    };
    modified(&api, &start, end.as_deref()).await
}

async fn modified_by_hash(api: Arc<Api>, mut arguments: Arguments) -> Reply<Vec<Address>> {
    let start = arguments.hash("start block")?;
    let end = arguments.optional::<crate::request::Hash>("end block")?.map(|hash| hash.0);
    let find = async |hash: B256, what: &str| {
        let none = || RpcError::server(format!("{what} block {hash:x} not found"));
        api.chain.block(BlockId::hash(hash)).await?.ok_or_else(none)
    };
    let start = find(start, "start").await?;
    let end = match end {
        Some(end) => Some(find(end, "end").await?),
        None => None,
    };
    modified(&api, &start, end.as_deref()).await
}

/// Accounts that differ between two blocks, or that one block changed.
async fn modified(
    api: &Api,
    start: &ExecutedBlock,
    end: Option<&ExecutedBlock>,
) -> Reply<Vec<Address>> {
    let (from, to) = match end {
        Some(end) => (start.number(), end.number()),
        None if start.number() == api.chain.first() => {
            return Err(RpcError::server(format!("block {:x} has no parent", start.number())));
        }
        None => (start.number() - 1, start.number()),
    };
    if from >= to {
        let text = format!("start block height ({from}) must be less than end block height ({to})");
        return Err(RpcError::server(text));
    }
    let mut changed = api.chain.changed_accounts(from, to).await?;
    changed.sort_by_cached_key(|address| keccak256(address));
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;

    #[test]
    fn starts_are_read_from_the_right() {
        assert_eq!(word(&[]), B256::ZERO);
        assert_eq!(word(&[1, 2]), B256::from(U256::from(0x102)));
        assert_eq!(word(&[7; 40]), B256::repeat_byte(7));
    }
}
