//! Blobs of transactions, waiting or sealed: they travel beside the chain.

use std::sync::Arc;

use alloy_consensus::{Transaction, TxEnvelope};
use alloy_eips::eip2718::Decodable2718;
use alloy_eips::eip4844::Blob;
use alloy_eips::eip7594::{BlobTransactionSidecarEip7594, BlobTransactionSidecarVariant};
use alloy_primitives::{B256, Bytes};

use super::Chain;
use crate::error::{CallError, Failure, QueryError};
use crate::pool::PoolTransaction;

impl Chain {
    /// The blobs of the transaction with this hash; `None` if it has none or is not known.
    pub fn blobs(&self, tx_hash: B256) -> Result<Option<Vec<Bytes>>, QueryError> {
        if let Some(waiting) = self.waiting(tx_hash) {
            return Ok(blobs_of(&waiting.transaction));
        }
        let Some(bytes) = self.shared.store().snapshot()?.blobs(tx_hash)? else { return Ok(None) };
        let transaction = TxEnvelope::decode_2718(&mut bytes.as_ref());
        let transaction = transaction.map_err(|_| Failure::BlobRow { hash: tx_hash })?;
        Ok(blobs_of(&transaction))
    }

    /// The blob with this versioned hash.
    pub fn blob(&self, blob_hash: B256) -> Result<Option<Bytes>, QueryError> {
        let at = |waiting: &Arc<PoolTransaction>| {
            let hashes = waiting.transaction.blob_versioned_hashes().unwrap_or_default();
            hashes.iter().position(|hash| *hash == blob_hash)
        };
        for (waiting, _) in self.pool_content() {
            if let Some(place) = at(&waiting) {
                let blobs = blobs_of(&waiting.transaction).unwrap_or_default();
                return Ok(blobs.get(place).cloned());
            }
        }
        let place = self.shared.store().snapshot()?.blob_place(blob_hash)?;
        let Some((tx_hash, place)) = place else { return Ok(None) };
        let blobs = self.blobs(tx_hash)?.unwrap_or_default();
        Ok(blobs.get(usize::from(place)).cloned())
    }

    /// The commitments and proofs of `blobs`, `None` if one of them is no blob. They take as long as a
    /// call does, so they wait for a place as a call does.
    pub async fn blob_sidecar(
        &self,
        blobs: Vec<Blob>,
    ) -> Result<Option<BlobTransactionSidecarEip7594>, CallError> {
        self.execute(|_| Ok(BlobTransactionSidecarEip7594::try_from_blobs(blobs).ok())).await
    }
}

fn blobs_of(transaction: &TxEnvelope) -> Option<Vec<Bytes>> {
    let TxEnvelope::Eip4844(signed) = transaction else { return None };
    let blobs = match signed.tx().sidecar()? {
        BlobTransactionSidecarVariant::Eip4844(sidecar) => &sidecar.blobs,
        BlobTransactionSidecarVariant::Eip7594(sidecar) => &sidecar.blobs,
    };
    // A blob is too large to be moved about on the stack.
    Some(blobs.iter().map(|blob| Bytes::copy_from_slice(blob.as_slice())).collect())
}
