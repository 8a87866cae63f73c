//! What waits, and the blobs of what is in blocks, against the hashes that they go by.

use super::{Fault, Verified, ensure_row, row_fault};
use crate::{DataDir, codec};
use alloy_consensus::TxEnvelope;
use alloy_eips::Decodable2718;

impl DataDir {
    pub(super) fn verify_waiting(&self, verified: &mut Verified) -> Result<(), Fault> {
        let mut orders = std::collections::BTreeSet::new();
        let table = self.tables.pool;
        let mut rows = self.tx.cursor(table)?;
        let mut row = rows.first()?;
        while let Some((key, value)) = row {
            let entry = codec::read_pool_row(&value);
            let (order, bytes) = entry.ok_or_else(|| row_fault(table, &key, "no transaction"))?;
            ensure_row(hashes_to(bytes, &key), (table, &key), "not the transaction of this hash")?;
            ensure_row(orders.insert(order), (table, &key), "two transactions came as the same")?;
            verified.waiting += 1;
            row = rows.next()?;
        }
        let table = self.tables.blobs;
        let mut rows = self.tx.cursor(table)?;
        let mut row = rows.first()?;
        while let Some((key, value)) = row {
            ensure_row(hashes_to(&value, &key), (table, &key), "not the transaction of this hash")?;
            row = rows.next()?;
        }
        Ok(())
    }
}

fn hashes_to(mut bytes: &[u8], hash: &[u8]) -> bool {
    TxEnvelope::decode_2718(&mut bytes)
        .is_ok_and(|transaction| transaction.tx_hash().as_slice() == hash && bytes.is_empty())
}
