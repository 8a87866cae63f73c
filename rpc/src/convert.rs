//! From the node's types to the wire. The shapes are alloy's, the JSON is geth's.

use alloy_consensus::transaction::Recovered;
use alloy_consensus::{Receipt, ReceiptEnvelope, ReceiptWithBloom, TxEnvelope, TxType};
use alloy_eips::eip2718::Encodable2718;
use alloy_network_primitives::BlockTransactions;
use alloy_primitives::{B256, Bytes, U256};
use alloy_rlp::Encodable;
use alloy_rpc_types_eth::{
    Block, FeeHistory, Header, Log, Transaction, TransactionInfo, TransactionReceipt,
};
use node::fee;
use node::pool::PoolTransaction;
use node::query::{IncludedReceipt, IncludedTransaction};
use serde::Serialize;
use serde_json::Value;
use storage::{ExecutedBlock, LogEntry};

/// A block or header, sealed or pending.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Sealing<T> {
    /// One that is on the chain.
    Sealed(Box<T>),
    /// The next one: what is not known yet is null, as geth has it.
    Pending(Value),
}

impl<T: Serialize> Sealing<T> {
    /// Nulls what a pending block has not got.
    fn of(value: T, pending: bool) -> Self {
        if !pending {
            return Self::Sealed(Box::new(value));
        }
        let mut value = serde_json::to_value(value).unwrap_or_default();
        if let Value::Object(fields) = &mut value {
            for field in ["hash", "nonce", "miner"] {
                fields.insert(field.to_owned(), Value::Null);
            }
        }
        Self::Pending(value)
    }
}

/// A block, with whole transactions or with their hashes.
pub(crate) fn block(block: &ExecutedBlock, full: bool) -> Sealing<Block> {
    let pending = is_pending(block);
    let transactions = if full {
        let all = block.transactions.iter().zip(&block.senders).enumerate();
        BlockTransactions::Full(
            all.map(|(index, (transaction, sender))| {
                let transaction = Recovered::new_unchecked(transaction.clone(), *sender);
                Transaction::from_transaction(transaction, position(block, index as u64, pending))
            })
            .collect(),
        )
    } else {
        BlockTransactions::Hashes(block.transactions.iter().map(|tx| *tx.tx_hash()).collect())
    };
    let block = Block {
        header: sealed_header(block),
        uncles: block.ommers.iter().map(alloy_consensus::Header::hash_slow).collect(),
        transactions,
        withdrawals: block.withdrawals.clone(),
    };
    Sealing::of(block, pending)
}

/// The header of a block, with the block's size.
pub(crate) fn header(block: &ExecutedBlock) -> Sealing<Header> {
    Sealing::of(sealed_header(block), is_pending(block))
}

/// The header of a block that is on the chain.
pub(crate) fn sealed_header(block: &ExecutedBlock) -> Header {
    let size = U256::from(block_size(block));
    Header::from_consensus(block.header.clone(), None, Some(size))
}

/// An ommer has a header and nothing else.
pub(crate) fn ommer(header: &alloy_consensus::Header) -> Block {
    Block::uncle_from_header(header.clone())
}

fn is_pending(block: &ExecutedBlock) -> bool {
    block.hash().is_zero()
}

/// Bytes of the block's RLP.
fn block_size(block: &ExecutedBlock) -> usize {
    let list = |payload: usize| {
        alloy_rlp::Header { list: true, payload_length: payload }.length_with_payload()
    };
    let transactions = block.transactions.iter().map(Encodable2718::network_len).sum();
    let ommers = block.ommers.iter().map(Encodable::length).sum();
    let withdrawals = block.withdrawals.as_ref().map_or(0, Encodable::length);
    list(block.header.inner().length() + list(transactions) + list(ommers) + withdrawals)
}

fn position(block: &ExecutedBlock, index: u64, pending: bool) -> TransactionInfo {
    let base_fee = block.header.base_fee_per_gas;
    if pending {
        return TransactionInfo { base_fee, ..TransactionInfo::default() };
    }
    TransactionInfo {
        index: Some(index),
        block_hash: Some(block.hash()),
        block_number: Some(block.number()),
        block_timestamp: Some(block.header.timestamp),
        base_fee,
        ..TransactionInfo::default()
    }
}

/// A transaction of a block.
pub(crate) fn transaction_of(block: &ExecutedBlock, index: usize) -> Option<Transaction> {
    let transaction = block.transactions.get(index)?.clone();
    let recovered = Recovered::new_unchecked(transaction, *block.senders.get(index)?);
    let position = position(block, index as u64, is_pending(block));
    Some(Transaction::from_transaction(recovered, position))
}

/// A transaction of the chain.
pub(crate) fn included(found: IncludedTransaction) -> Transaction {
    let IncludedTransaction { transaction, sender, header, index } = found;
    let info = TransactionInfo {
        index: Some(index),
        block_hash: Some(header.seal()),
        block_number: Some(header.number),
        block_timestamp: Some(header.timestamp),
        base_fee: header.base_fee_per_gas,
        ..TransactionInfo::default()
    };
    Transaction::from_transaction(Recovered::new_unchecked(transaction, sender), info)
}

/// A transaction that waits.
pub(crate) fn waiting(waiting: &PoolTransaction) -> Transaction {
    let transaction = without_blobs(waiting.transaction.clone());
    let recovered = Recovered::new_unchecked(transaction, waiting.sender);
    Transaction::from_transaction(recovered, TransactionInfo::default())
}

/// Blobs travel beside a transaction, they are not part of it.
pub(crate) fn without_blobs(transaction: TxEnvelope) -> TxEnvelope {
    match transaction {
        TxEnvelope::Eip4844(signed) => {
            TxEnvelope::Eip4844(signed.map(alloy_consensus::TxEip4844Variant::drop_sidecar))
        }
        other => other,
    }
}

/// A receipt.
pub(crate) fn receipt(found: IncludedReceipt) -> TransactionReceipt {
    let IncludedTransaction { transaction, sender, header, index } = found.included;
    let hash = *transaction.tx_hash();
    let Receipt { status, cumulative_gas_used, logs } = found.receipt.receipt;
    let logs = logs.into_iter().zip(found.first_log..).map(|(log, log_index)| Log {
        inner: log,
        block_hash: Some(header.seal()),
        block_number: Some(header.number),
        block_timestamp: Some(header.timestamp),
        transaction_hash: Some(hash),
        transaction_index: Some(index),
        log_index: Some(log_index),
        removed: false,
    });
    let receipt = Receipt { status, cumulative_gas_used, logs: logs.collect() };
    let inner =
        envelope(found.receipt.tx_type, ReceiptWithBloom { receipt, logs_bloom: found.logs_bloom });
    TransactionReceipt {
        inner,
        transaction_hash: hash,
        transaction_index: Some(index),
        block_hash: Some(header.seal()),
        block_number: Some(header.number),
        gas_used: found.gas_used,
        effective_gas_price: found.effective_gas_price,
        blob_gas_used: alloy_consensus::Transaction::blob_gas_used(&transaction),
        blob_gas_price: found.blob_gas_price,
        from: sender,
        to: alloy_consensus::Transaction::to(&transaction),
        contract_address: found.contract,
    }
}

fn envelope(tx_type: TxType, receipt: ReceiptWithBloom<Receipt<Log>>) -> ReceiptEnvelope<Log> {
    match tx_type {
        TxType::Legacy => ReceiptEnvelope::Legacy(receipt),
        TxType::Eip2930 => ReceiptEnvelope::Eip2930(receipt),
        TxType::Eip1559 => ReceiptEnvelope::Eip1559(receipt),
        TxType::Eip4844 => ReceiptEnvelope::Eip4844(receipt),
        TxType::Eip7702 => ReceiptEnvelope::Eip7702(receipt),
    }
}

/// A log that the index found.
pub(crate) fn log(entry: LogEntry) -> Log {
    Log {
        inner: entry.log,
        block_hash: Some(entry.block_hash),
        block_number: Some(entry.number),
        block_timestamp: Some(entry.timestamp),
        transaction_hash: Some(entry.tx_hash),
        transaction_index: Some(entry.tx_index.into()),
        log_index: Some(entry.log_index.into()),
        removed: false,
    }
}

/// All logs of a block.
pub(crate) fn logs_of(block: &ExecutedBlock, removed: bool) -> Vec<Log> {
    let mut logs = Vec::new();
    let receipts = block.transactions.iter().zip(&block.receipts).zip(0..);
    for ((transaction, receipt), index) in receipts {
        for log in &receipt.receipt.logs {
            logs.push(Log {
                inner: log.clone(),
                block_hash: Some(block.hash()),
                block_number: Some(block.number()),
                block_timestamp: Some(block.header.timestamp),
                transaction_hash: Some(*transaction.tx_hash()),
                transaction_index: Some(index),
                log_index: Some(logs.len() as u64),
                removed,
            });
        }
    }
    logs
}

/// Fees of past blocks.
pub(crate) fn fee_history(history: fee::FeeHistory) -> FeeHistory {
    FeeHistory {
        base_fee_per_gas: history.base_fees,
        gas_used_ratio: history.gas_used_ratios,
        base_fee_per_blob_gas: history.blob_base_fees,
        blob_gas_used_ratio: history.blob_gas_used_ratios,
        oldest_block: history.oldest,
        reward: (!history.rewards.is_empty()).then_some(history.rewards),
    }
}

/// The bytes of a transaction as it is sent, without blobs.
pub(crate) fn raw(transaction: &TxEnvelope) -> Bytes {
    transaction.encoded_2718().into()
}

/// An account as `eth_getAccount` has it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    /// Hash of its code.
    pub(crate) code_hash: B256,
    /// Always zero: the tree of EIP-8297 has no root per account.
    pub(crate) storage_root: B256,
    /// Its balance.
    pub(crate) balance: U256,
    /// Its nonce.
    #[serde(with = "alloy_serde::quantity")]
    pub(crate) nonce: u64,
}

#[cfg(test)]
mod tests;
