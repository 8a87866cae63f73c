//! Proofs of accounts and slots against the state root of a sealed block.

use std::sync::Arc;

use alloy_eips::BlockId;
use alloy_primitives::{Address, U256};
use storage::{AccountProof, StoreError};

use super::Position;
use crate::chain::Chain;
use crate::error::{CallError, QueryError};

impl Chain {
    /// Accounts and slots as they are after the block at `id`, with proofs against its state root.
    ///
    /// Dev edits made since the block are not in it: no header has them yet.
    pub async fn prove(
        &self,
        targets: Vec<(Address, Vec<U256>)>,
        id: BlockId,
    ) -> Result<Vec<AccountProof>, CallError> {
        let number = match self.resolve(id)? {
            Position::Number(number) => number,
            Position::Head => self.head().header.number,
            Position::Pending => return Err(QueryError::Unsealed.into()),
        };
        let shared = Arc::clone(&self.shared);
        if shared
            .store()
            .snapshot()
            .and_then(|now| now.is_loaded(number))
            .map_err(QueryError::from)?
        {
            return Err(QueryError::OtherRoot.into());
        }
        self.execute(move |_| Ok(shared.store().prove(number, &targets).map_err(part_error)?)).await
    }
}

/// What the store says of a part of an older state.
pub(crate) fn part_error(error: StoreError) -> QueryError {
    match error {
        StoreError::BlockNotKept { asked, .. } => QueryError::StateNotAvailable { number: asked },
        StoreError::FarBlock { asked, reached, limit } => {
            QueryError::FarBlock { number: asked, reached, limit }
        }
        StoreError::Unprovable => QueryError::Unprovable,
        other => other.into(),
    }
}
