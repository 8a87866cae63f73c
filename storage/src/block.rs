//! Blocks with what came out of executing them, as the store takes and gives them.

use alloy_consensus::{
    BlockBody, Eip658Value, Header, Receipt, ReceiptEnvelope, ReceiptWithBloom, Sealed, TxEnvelope,
    TxType,
};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, B256, Bloom, Bytes};

/// A sealed block, its transactions' senders and receipts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutedBlock {
    /// Header and block hash.
    pub header: Sealed<Header>,
    /// Transactions, without blob sidecars.
    pub transactions: Vec<TxEnvelope>,
    /// Sender of each transaction.
    pub senders: Vec<Address>,
    /// Receipt of each transaction.
    pub receipts: Vec<TxReceipt>,
    /// Ommers of a proof-of-work block.
    pub ommers: Vec<Header>,
    /// Withdrawals, `None` before Shanghai.
    pub withdrawals: Option<Withdrawals>,
    /// Execution requests with their type bytes, empty before Prague.
    pub requests: Vec<Bytes>,
}

impl ExecutedBlock {
    /// Returns the block's number.
    pub fn number(&self) -> u64 {
        self.header.number
    }

    /// Returns the block's hash.
    pub fn hash(&self) -> B256 {
        self.header.seal()
    }

    /// Returns the body as the network encodes it.
    pub fn body(&self) -> BlockBody<TxEnvelope> {
        BlockBody {
            transactions: self.transactions.clone(),
            ommers: self.ommers.clone(),
            withdrawals: self.withdrawals.clone(),
        }
    }
}

/// A receipt and the type of its transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxReceipt {
    /// The transaction's type.
    pub tx_type: TxType,
    /// Status, cumulative gas and logs.
    pub receipt: Receipt,
}

impl TxReceipt {
    /// Returns the receipt as it is hashed and sent, with the constant bloom of [`logs_bloom`].
    pub fn envelope(&self) -> ReceiptEnvelope {
        let logs_bloom = logs_bloom(!self.receipt.logs.is_empty());
        let receipt = ReceiptWithBloom { receipt: self.receipt.clone(), logs_bloom };
        match self.tx_type {
            TxType::Legacy => ReceiptEnvelope::Legacy(receipt),
            TxType::Eip2930 => ReceiptEnvelope::Eip2930(receipt),
            TxType::Eip1559 => ReceiptEnvelope::Eip1559(receipt),
            TxType::Eip4844 => ReceiptEnvelope::Eip4844(receipt),
            TxType::Eip7702 => ReceiptEnvelope::Eip7702(receipt),
        }
    }

    /// Returns whether the transaction succeeded; a receipt with a state root counts as success.
    pub fn succeeded(&self) -> bool {
        !matches!(self.receipt.status, Eip658Value::Eip658(false))
    }
}

/// The bloom of headers and receipts: all ones where there are logs, zeros where there are none.
///
/// No bloom is computed. A filter of ones never makes a client skip a block that it wants, and
/// what is served hashes to what was committed; queries use the exact index.
pub fn logs_bloom(has_logs: bool) -> Bloom {
    Bloom::repeat_byte(if has_logs { 0xff } else { 0 })
}

/// A receipt and what depends on its neighbours in the block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReceipt {
    /// The receipt.
    pub receipt: TxReceipt,
    /// Gas that this transaction alone used.
    pub gas_used: u64,
    /// Position in the block of the receipt's first log.
    pub first_log: u64,
}

/// Where a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxLocation {
    /// The block's number.
    pub number: u64,
    /// Position in the block.
    pub index: u32,
}
