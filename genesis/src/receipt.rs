//! Receipts as this chain hashes them, and the constant that stands for their bloom.

use alloy_consensus::{Eip658Value, Receipt, ReceiptEnvelope, ReceiptWithBloom, TxType};
use alloy_primitives::Bloom;

use crate::Headers;

/// A receipt and the type of its transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxReceipt {
    /// The transaction's type.
    pub tx_type: TxType,
    /// Status, cumulative gas and logs.
    pub receipt: Receipt,
}

impl TxReceipt {
    /// Returns the receipt's bloom: that of its logs where headers are as other clients make them,
    /// and the constant of [`logs_bloom`] where not.
    pub fn bloom(&self, headers: Headers) -> Bloom {
        match headers {
            Headers::Ethereum => alloy_primitives::logs_bloom(&self.receipt.logs),
            Headers::Tandem => logs_bloom(!self.receipt.logs.is_empty()),
        }
    }

    /// Returns the receipt as it is hashed and sent.
    pub fn envelope(&self, headers: Headers) -> ReceiptEnvelope {
        let logs_bloom = self.bloom(headers);
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

/// The bloom of Tandem's own headers and receipts: all ones where there are logs, zeros where
/// there are none.
///
/// No bloom is computed. A filter of ones never makes a client skip a block that it wants, and
/// what is served hashes to what was committed; queries use the exact index.
pub fn logs_bloom(has_logs: bool) -> Bloom {
    Bloom::repeat_byte(if has_logs { 0xff } else { 0 })
}
