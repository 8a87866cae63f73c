//! Witnesses: a sealed block run again, with an account of all that it reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alloy_consensus::{Header, Transaction};
use alloy_eips::BlockId;
use alloy_primitives::{Address, Bytes, U256};
use executor::{BlockExecution, Witness};
use state::Changes;
use storage::StoreError;
use trace::Budget;
use vm::{Rules, Signers};

use crate::chain::{Chain, Shared};
use crate::config::Profile;
use crate::error::{CallError, Failure, QueryError};
use crate::query::proof::part_error;
use crate::settings::block_rules;

/// All that a block's execution needs, and what it read.
#[derive(Clone, Debug)]
pub struct BlockWitness {
    /// What [`executor::Stateless`] takes.
    pub witness: Witness,
    /// The chain's id, of which a dev user may have set another since.
    pub chain_id: u64,
    /// Signatures whose signer a dev user has set.
    pub signers: Signers,
    /// Accounts and slots that the block read.
    pub accounts: BTreeMap<Address, BTreeSet<U256>>,
}

impl Chain {
    /// The witness of a sealed block.
    pub async fn witness(&self, id: BlockId) -> Result<BlockWitness, CallError> {
        let header = self.header(id).await?.ok_or(QueryError::BlockNotFound(id))?;
        if header.hash().is_zero() {
            return Err(QueryError::Unsealed.into());
        }
        let shared = Arc::clone(&self.shared);
        self.traced(None, move |budget| make(&shared, header.number, budget)).await
    }

    /// What is checked of transactions in this chain's blocks, and whether they may name a sender
    /// that did not sign.
    pub fn block_rules(&self) -> (Rules, bool) {
        (block_rules(self.config()), self.profile() == Profile::Dev)
    }
}

fn make(shared: &Shared, number: u64, budget: &Budget) -> Result<BlockWitness, CallError> {
    let store = shared.store();
    let snapshot = store.snapshot().map_err(QueryError::from)?;
    let parent = snapshot.is_loaded(number.saturating_sub(1)).map_err(QueryError::from)?;
    if parent || shared.engine().spec().is_ethereum() {
        return Err(QueryError::OtherRoot.into());
    }
    let recorder = store.recorder(number).map_err(part_error)?;
    let block = snapshot.block(number);
    let block = block.map_err(QueryError::from)?.ok_or(Failure::Missing { number })?;
    let header: &Header = &block.header;
    let header = Header { blob_gas_used: header.blob_gas_used.map(|_| 0), ..header.clone() };
    // What the shared engine keeps would not be asked for.
    let engine = shared.engine().without_caches();
    if let Some(chain_id) = block.transactions.iter().find_map(|tx| tx.chain_id()) {
        engine.set_chain_id(chain_id);
    }
    let rules = block_rules(shared.config());
    let mut execution = BlockExecution::begin(&engine, header, rules, &recorder)?;
    budget.watch(execution.execution());
    execution.set_rest(block.ommers.clone(), block.withdrawals.clone());
    for (transaction, sender) in block.transactions.iter().zip(&block.senders) {
        execution.push(transaction.clone(), *sender)?;
    }
    let executed = execution.finish()?;
    let root = block.header.state_root;
    if (Header { state_root: root, ..executed.header }).hash_slow() != block.hash() {
        return Err(QueryError::Replay { number }.into());
    }
    Changes::of_bundle(&executed.changes, &recorder).map_err(QueryError::from)?;
    let recorded = recorder.finish(store).map_err(part_error)?;
    let oldest = recorded.oldest.unwrap_or(number).min(number - 1);
    let headers = (oldest..number).map(|ancestor| {
        let header = snapshot.header(ancestor)?;
        let header = header.ok_or(StoreError::BlockNotKept {
            asked: ancestor,
            first: snapshot.first(),
            head: snapshot.head(),
        })?;
        Ok(Bytes::from(alloy_rlp::encode(header.inner())))
    });
    let headers = headers.collect::<Result<_, StoreError>>().map_err(part_error)?;
    let edits = recorded.edits.iter();
    let witness = Witness {
        state: recorded.part.tree.encode().into(),
        codes: recorded.codes,
        headers,
        edits: edits.map(|(key, value)| (Bytes::copy_from_slice(key.as_slice()), *value)).collect(),
        dropped: recorded.dropped,
    };
    let signers = engine.signers().map(|signers| (*signers).clone()).unwrap_or_default();
    let chain_id = engine.chain_id();
    Ok(BlockWitness { witness, chain_id, signers, accounts: recorded.accounts })
}
