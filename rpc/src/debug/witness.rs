//! What a block's execution needs, for whoever runs it without a store (`docs/spec/witness.md`).

use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::{Reply, RpcError};
use crate::methods::Table;
use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes};
use genesis::ChainSpec;
use node::witness::BlockWitness;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use vm::Signers;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("debug_executionWitness", witness);
    table.task("debug_executionWitnessByBlockHash", witness_by_hash);
}

/// A witness: the first four fields are those that other clients have.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExecutionWitness {
    state: Vec<Bytes>,
    codes: Vec<Bytes>,
    keys: Vec<Bytes>,
    headers: Vec<Bytes>,
    edits: Vec<LeafEdit>,
    dropped_codes: Vec<B256>,
    chain: ChainRules,
}

/// A leaf that a dev edit changed before the block.
#[derive(Clone, Debug, Serialize)]
struct LeafEdit {
    key: Bytes,
    value: Option<B256>,
}

/// The rules that the block follows.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ChainRules {
    config: Value,
    check_block_gas_limit: bool,
    check_sender_code: bool,
    check_balance: bool,
    tx_gas_limit_cap: Option<u64>,
    code_size_max: Option<usize>,
    memory_max: Option<u64>,
    impersonation: bool,
    signers: Vec<SetSigner>,
}

/// A signature whose signer a dev user has set.
#[derive(Clone, Debug, Serialize)]
struct SetSigner {
    signature: Bytes,
    signer: Address,
}

async fn witness(api: Arc<Api>, mut arguments: Arguments) -> Reply<ExecutionWitness> {
    let block = arguments.block()?;
    witness_at(&api, block).await
}

async fn witness_by_hash(api: Arc<Api>, mut arguments: Arguments) -> Reply<ExecutionWitness> {
    let hash = arguments.hash("block hash")?;
    witness_at(&api, BlockId::hash(hash)).await
}

async fn witness_at(api: &Api, block: BlockId) -> Reply<ExecutionWitness> {
    let header = api.chain.header(block).await?.ok_or_else(|| RpcError::no_block(block))?;
    if header.number == api.chain.first() {
        return Err(RpcError::server("the genesis block is not executed: it has no witness"));
    }
    let BlockWitness { witness, chain_id, signers, accounts } = api.chain.witness(block).await?;
    let keys = accounts.iter().flat_map(|(address, slots)| {
        let slots = slots.iter().map(|slot| slot.to_be_bytes::<32>().into());
        std::iter::once(Bytes::copy_from_slice(address.as_slice())).chain(slots)
    });
    let edits = witness.edits.into_iter().map(|(key, value)| LeafEdit { key, value });
    Ok(ExecutionWitness {
        state: vec![witness.state],
        codes: witness.codes,
        keys: keys.collect(),
        headers: witness.headers,
        edits: edits.collect(),
        dropped_codes: witness.dropped,
        chain: chain_rules(api, chain_id, signers),
    })
}

fn chain_rules(api: &Api, chain_id: u64, signers: Signers) -> ChainRules {
    let mut spec = ChainSpec::clone(api.chain.spec());
    spec.config.chain_id = chain_id;
    let signers = signers.into_iter().map(|(signature, signer)| SetSigner {
        signature: Bytes::copy_from_slice(&signature),
        signer,
    });
    let (rules, impersonation) = api.chain.block_rules();
    ChainRules {
        config: spec.to_json(),
        check_block_gas_limit: rules.check_block_gas_limit,
        check_sender_code: rules.check_sender_code,
        check_balance: rules.check_balance,
        tx_gas_limit_cap: rules.tx_gas_limit_cap,
        code_size_max: rules.code_size_max,
        memory_max: rules.memory_max,
        impersonation,
        signers: signers.collect(),
    }
}
