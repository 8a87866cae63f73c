//! Blocks with what came out of executing them, as the store takes and gives them.

use alloy_consensus::{BlockBody, Header, Sealed, TxEnvelope};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, B256, Bytes};
use genesis::TxReceipt;

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
    /// A block of which nothing but the header is there.
    pub fn bare(header: Sealed<Header>) -> Self {
        Self {
            header,
            transactions: Vec::new(),
            senders: Vec::new(),
            receipts: Vec::new(),
            ommers: Vec::new(),
            withdrawals: None,
            requests: Vec::new(),
        }
    }

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
