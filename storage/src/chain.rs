//! Reading blocks, transactions, receipts and the pool journal.

use crate::{
    ExecutedBlock, Snapshot, StoreError, StoredReceipt, TxLocation,
    codec::{self, BodyRow},
    mdbx::Table,
};
use alloy_consensus::{Header, Sealed, TxEnvelope};
use alloy_primitives::{Address, B256, Bytes};

/// A transaction that waits, as [`crate::Commit::PoolInsert`] gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its hash.
    pub hash: B256,
    /// Its place in the order of arrival.
    pub order: u64,
    /// Its bytes.
    pub bytes: Bytes,
}

impl Snapshot {
    /// Returns the header of a block.
    pub fn header(&self, number: u64) -> Result<Option<Sealed<Header>>, StoreError> {
        let row = self.row(self.shared.tables.headers, &codec::number_key(number), |row| {
            codec::read_header(row)
        })?;
        Ok(row.map(|(hash, header)| Sealed::new_unchecked(header, hash)))
    }

    /// Returns a block's hash.
    pub fn hash(&self, number: u64) -> Result<Option<B256>, StoreError> {
        self.shared.block_hash(&self.tx, number)
    }

    /// Returns the number of the block with this hash.
    pub fn number_of(&self, hash: B256) -> Result<Option<u64>, StoreError> {
        self.row(self.shared.tables.numbers, hash.as_slice(), codec::read_number)
    }

    /// Returns a block with its transactions and receipts.
    pub fn block(&self, number: u64) -> Result<Option<ExecutedBlock>, StoreError> {
        let Some(header) = self.header(number)? else { return Ok(None) };
        let tables = &self.shared.tables;
        let key = codec::number_key(number);
        let body = self.row(tables.bodies, &key, BodyRow::decode)?;
        let body = body.ok_or_else(|| self.shared.bad_row(tables.bodies, &key))?;
        let transactions =
            self.rows_of(tables.transactions, number, body.tx_count, codec::read_transaction)?;
        let (transactions, senders) = transactions.into_iter().unzip();
        let receipts = self.receipts(number)?;
        Ok(Some(ExecutedBlock {
            header,
            transactions,
            senders,
            receipts: receipts.into_iter().map(|stored| stored.receipt).collect(),
            ommers: body.ommers,
            withdrawals: body.withdrawals,
            requests: body.requests,
        }))
    }

    /// Returns the receipts of a block; none if there is no such block.
    pub fn receipts(&self, number: u64) -> Result<Vec<StoredReceipt>, StoreError> {
        let count = self.tx_count(number)?.unwrap_or(0);
        self.rows_of(self.shared.tables.receipts, number, count, codec::read_receipt)
    }

    /// Returns how many transactions a block has.
    pub fn tx_count(&self, number: u64) -> Result<Option<u32>, StoreError> {
        self.row(self.shared.tables.bodies, &codec::number_key(number), |row| {
            row.first_chunk().map(|count| u32::from_be_bytes(*count))
        })
    }

    /// Returns where a transaction is.
    pub fn location(&self, tx_hash: B256) -> Result<Option<TxLocation>, StoreError> {
        self.row(self.shared.tables.locations, tx_hash.as_slice(), codec::read_location)
    }

    /// Returns a transaction and its sender.
    pub fn transaction(&self, at: TxLocation) -> Result<Option<(TxEnvelope, Address)>, StoreError> {
        let key = codec::pair_key(at.number, at.index);
        self.row(self.shared.tables.transactions, &key, codec::read_transaction)
    }

    /// Returns a receipt.
    pub fn receipt(&self, at: TxLocation) -> Result<Option<StoredReceipt>, StoreError> {
        let key = codec::pair_key(at.number, at.index);
        self.row(self.shared.tables.receipts, &key, codec::read_receipt)
    }

    /// Returns the waiting transactions of the journal in the order in which they came.
    pub fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        let table = self.shared.tables.pool;
        let mut rows = self.tx.cursor(table)?;
        let mut waiting = Vec::new();
        let mut row = rows.first()?;
        while let Some((key, value)) = row {
            let hash = codec::read_word(&key);
            let entry = hash.zip(codec::read_pool_row(&key, &value));
            let (hash, (order, bytes)) = entry.ok_or_else(|| self.shared.bad_row(table, &key))?;
            waiting.push(Waiting { hash, order, bytes: Bytes::copy_from_slice(bytes) });
            row = rows.next()?;
        }
        waiting.sort_unstable_by_key(|waits| waits.order);
        Ok(waiting)
    }

    /// Returns the bytes, with blobs, of a transaction in a block.
    pub fn blobs(&self, tx_hash: B256) -> Result<Option<Bytes>, StoreError> {
        let key = tx_hash.as_slice();
        let bytes = |row: &[u8]| codec::read_checked(key, row).map(Bytes::copy_from_slice);
        self.row(self.shared.tables.blobs, key, bytes)
    }

    /// Returns the newest transaction with a blob of this hash, and the blob's place in it.
    pub fn blob_place(&self, blob_hash: B256) -> Result<Option<(B256, u16)>, StoreError> {
        self.row(self.shared.tables.blob_places, blob_hash.as_slice(), codec::read_blob_place)
    }

    /// Returns what [`crate::Commit::Meta`] kept.
    pub fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let value = |row: &[u8]| codec::read_checked(key.as_bytes(), row).map(<[u8]>::to_vec);
        self.row(self.shared.tables.notes, key.as_bytes(), value)
    }

    fn row<T>(
        &self,
        table: Table,
        key: &[u8],
        decode: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        self.shared.decode(&self.tx, table, key, decode)
    }

    /// Reads the rows of a block's transactions; one that is missing is an error.
    fn rows_of<T>(
        &self,
        table: Table,
        number: u64,
        count: u32,
        decode: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut rows = self.tx.cursor(table)?;
        let mut all = Vec::with_capacity(count as usize);
        let mut row = if count > 0 { rows.seek(&codec::pair_key(number, 0))? } else { None };
        for index in 0..count {
            let key = codec::pair_key(number, index);
            let decoded = row.filter(|(at, _)| **at == key).and_then(|(_, row)| decode(&row));
            all.push(decoded.ok_or_else(|| self.shared.bad_row(table, &key))?);
            row = rows.next()?;
        }
        Ok(all)
    }
}
