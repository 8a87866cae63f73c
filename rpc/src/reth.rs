//! `reth_`: what blocks changed, and news of the chain in reth's form.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::connection::Notifier;
use crate::convert::{self, Sealing};
use crate::error::{Reply, RpcError};
use crate::eth::next_event;
use crate::methods::Table;
use alloy_consensus::TxType;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, Log, U256};
use alloy_rpc_types_eth::{Block, TransactionReceipt};
use node::{Chain, Event};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use storage::{ExecutedBlock, TxReceipt};
use tokio::sync::broadcast::Receiver;

/// Most blocks in one outcome, as in reth.
const BLOCKS_MAX: u64 = 128;
/// Most blocks that wait to be finalized in a subscription; the oldest go first.
const BUFFERED_MAX: usize = 4_096;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("reth_getBalanceChangesInBlock", balance_changes);
    table.task("reth_getBlockExecutionOutcome", execution_outcome);
    for (name, end, kind) in [
        ("reth_subscribeChainNotifications", "reth_unsubscribeChainNotifications", Kind::Chain),
        ("reth_subscribePersistedBlock", "reth_unsubscribePersistedBlock", Kind::Persisted),
        (
            "reth_subscribeFinalizedChainNotifications",
            "reth_unsubscribeFinalizedChainNotifications",
            Kind::Finalized,
        ),
    ] {
        table.subscription([name, name, end], move |api, _, notifier| async move {
            let events = api.chain.subscribe();
            Ok(follow(kind, (api, events), notifier))
        });
    }
}

async fn balance_changes(
    api: Arc<Api>,
    mut arguments: Arguments,
) -> Reply<BTreeMap<Address, U256>> {
    let id = arguments.block()?;
    let header = api.chain.header(id).await?.ok_or_else(|| RpcError::no_block(id))?;
    Ok(api.chain.balance_changes(header.number).await?)
}

/// What one or more blocks did.
#[derive(Clone, Debug, Default, Serialize)]
struct Outcome {
    bundle: Bundle,
    /// Receipts of each block.
    receipts: Vec<Vec<Receipt>>,
    first_block: u64,
    /// Requests to the consensus layer of each block.
    requests: Vec<Vec<Bytes>>,
}

/// Changed accounts and new code.
#[derive(Clone, Debug, Default, Serialize)]
struct Bundle {
    state: BTreeMap<Address, ChangedAccount>,
    contracts: BTreeMap<B256, Bytes>,
}

#[derive(Clone, Debug, Serialize)]
struct ChangedAccount {
    info: Option<Info>,
    original_info: Option<Info>,
    storage: BTreeMap<U256, ChangedSlot>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Info {
    balance: U256,
    nonce: u64,
    code_hash: B256,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct ChangedSlot {
    previous_or_original_value: U256,
    present_value: U256,
}

#[derive(Clone, Debug, Serialize)]
struct Receipt {
    tx_type: TxType,
    success: bool,
    cumulative_gas_used: u64,
    logs: Vec<Log>,
}

async fn execution_outcome(api: Arc<Api>, mut arguments: Arguments) -> Reply<Option<Outcome>> {
    let id = arguments.block()?;
    let count = arguments.optional_number("count")?.unwrap_or(1);
    if !(1..=BLOCKS_MAX).contains(&count) {
        return Err(RpcError::invalid_params(format!(
            "block count must be between 1 and {BLOCKS_MAX}, got {count}"
        )));
    }
    let Some(first) = api.chain.header(id).await?.map(|header| header.number) else {
        return Ok(None);
    };
    if first == api.chain.first() {
        return Ok(Some(Outcome::default()));
    }
    let mut outcome = Outcome { first_block: first, ..Outcome::default() };
    for number in first..first.saturating_add(count) {
        let id = BlockId::Number(BlockNumberOrTag::Number(number));
        let Some(block) = api.chain.block(id).await? else { break };
        let (executed, _) = api.chain.run_again(block).await?;
        outcome.receipts.push(executed.body.receipts.into_iter().map(receipt).collect());
        outcome.requests.push(executed.body.requests);
        outcome.bundle.add(executed.changes);
    }
    Ok(Some(outcome))
}

fn receipt(receipt: TxReceipt) -> Receipt {
    Receipt {
        tx_type: receipt.tx_type,
        success: receipt.succeeded(),
        cumulative_gas_used: receipt.receipt.cumulative_gas_used,
        logs: receipt.receipt.logs,
    }
}

impl Bundle {
    /// Adds what a later block changed.
    fn add(&mut self, changes: revm::database::BundleState) {
        let info = |info: revm::state::AccountInfo| Info {
            balance: info.balance,
            nonce: info.nonce,
            code_hash: info.code_hash,
        };
        for (address, account) in changes.state {
            let original_info = account.original_info.map(info);
            let changed = self.state.entry(address).or_insert(ChangedAccount {
                info: None,
                original_info,
                storage: BTreeMap::new(),
            });
            changed.info = account.info.map(info);
            for (slot, value) in account.storage {
                let before = value.previous_or_original_value;
                let slot = changed.storage.entry(slot).or_insert(ChangedSlot {
                    previous_or_original_value: before,
                    present_value: before,
                });
                slot.present_value = value.present_value;
            }
        }
        let codes = changes.contracts.into_iter();
        self.contracts.extend(codes.map(|(hash, code)| (hash, code.original_bytes())));
    }
}

/// What a subscriber is told.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Every new block, and every block that is taken off the chain.
    Chain,
    /// Number and hash of every block that is on disk: this node tells of no other.
    Persisted,
    /// New blocks once they are finalized.
    Finalized,
}

async fn follow(kind: Kind, (api, mut events): (Arc<Api>, Receiver<Event>), notifier: Notifier) {
    let mut buffered: Vec<Arc<ExecutedBlock>> = Vec::new();
    while let Some(event) = next_event(&mut events).await {
        let told = match (kind, event) {
            (Kind::Chain, Event::Head(block)) => {
                notifier.notify(&json!({"Commit": {"new": segment(&api.chain, &[&block])}})).await
            }
            (Kind::Chain, Event::Removed(block)) => {
                let (old, new) = (segment(&api.chain, &[&block]), segment(&api.chain, &[]));
                notifier.notify(&json!({"Reorg": {"old": old, "new": new}})).await
            }
            (Kind::Persisted, Event::Head(block)) => {
                let persisted = json!({"number": block.number(), "hash": block.hash()});
                notifier.notify(&persisted).await
            }
            (Kind::Finalized, Event::Head(block)) => {
                if buffered.len() == BUFFERED_MAX {
                    buffered.remove(0);
                }
                buffered.push(block);
                notify_finalized(&notifier, &api.chain, &mut buffered).await
            }
            (Kind::Finalized, Event::Removed(_) | Event::Restarted(_)) => {
                buffered.clear();
                true
            }
            (_, Event::Pending(_) | Event::Restarted(_)) | (Kind::Persisted, Event::Removed(_)) => {
                true
            }
        };
        if !told {
            return;
        }
    }
}

/// Tells of the blocks that the newest one has made final.
async fn notify_finalized(
    notifier: &Notifier,
    chain: &Chain,
    buffered: &mut Vec<Arc<ExecutedBlock>>,
) -> bool {
    let finalized = match chain.header(BlockId::finalized()).await {
        Ok(Some(header)) => header.number,
        _ => return true,
    };
    let count = buffered.partition_point(|block| block.number() <= finalized);
    if count == 0 {
        return true;
    }
    let commit = |block: &ExecutedBlock| json!({"Commit": {"new": segment(chain, &[block])}});
    let commits: Vec<Value> = buffered.drain(..count).map(|block| commit(&block)).collect();
    notifier.notify(&commits).await
}

/// A run of blocks.
#[derive(Clone, Debug, Serialize)]
struct Segment {
    blocks: BTreeMap<u64, Sealing<Block>>,
    receipts: Vec<Vec<TransactionReceipt>>,
}

fn segment(chain: &Chain, blocks: &[&ExecutedBlock]) -> Segment {
    let receipts =
        |block: &ExecutedBlock| chain.receipts(block).into_iter().map(convert::receipt).collect();
    Segment {
        blocks: blocks.iter().map(|block| (block.number(), convert::block(block, true))).collect(),
        receipts: blocks.iter().map(|block| receipts(block)).collect(),
    }
}
