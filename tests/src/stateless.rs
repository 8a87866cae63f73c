//! Every block of a chain, run again on its witness alone.

use std::sync::Arc;

use alloy_consensus::{Block, TxEnvelope};
use alloy_primitives::{Address, B256, Bytes};
use alloy_rlp::Decodable;
use anyhow::{Context, Result, bail, ensure};
use executor::{Stateless, Witness};
use genesis::ChainSpec;
use serde::Deserialize;
use serde_json::{Value, json};
use vm::{Engine, Rules};

use crate::{Client, rpc::quantity};

/// Blocks of one chain that are run again: of a longer chain the newest ones.
const BLOCKS_MAX: u64 = 40;
/// What a node says of chains whose state root is not that of all their state.
const NO_WITNESS: &str = "has no proofs";

/// An answer of `debug_executionWitness`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    state: Vec<Bytes>,
    codes: Vec<Bytes>,
    keys: Vec<Bytes>,
    headers: Vec<Bytes>,
    edits: Vec<Edit>,
    dropped_codes: Vec<B256>,
    chain: Chain,
}

#[derive(Debug, Deserialize)]
struct Edit {
    key: Bytes,
    value: Option<B256>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chain {
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

#[derive(Debug, Deserialize)]
struct SetSigner {
    signature: Bytes,
    signer: Address,
}

/// Runs the blocks of a node's chain on their witnesses, and says how many there were.
pub fn check(client: &mut Client) -> Result<u64> {
    // A forked chain has no witnesses, and may have lost the node that it asks.
    let info = client.try_call("anvil_nodeInfo", json!([]))?.unwrap_or_default();
    if !info["forkConfig"]["forkUrl"].is_null() {
        return Ok(0);
    }
    let head = quantity(&client.call("eth_blockNumber", json!([]))?)?;
    let earliest = client.call("eth_getBlockByNumber", json!(["earliest", false]))?;
    let genesis = quantity(&earliest["number"])?;
    let first = (genesis + 1).max((head + 1).saturating_sub(BLOCKS_MAX));
    for number in first..=head {
        let place = json!([format!("{number:#x}")]);
        let answer = match client.try_call("debug_executionWitness", place.clone())? {
            Ok(answer) => answer,
            Err(error) if error.message.contains(NO_WITNESS) => return Ok(0),
            Err(error) => bail!("witness of block {number}: {error}"),
        };
        let block: Bytes = serde_json::from_value(client.call("debug_getRawBlock", place)?)?;
        run(&block, answer).with_context(|| format!("block {number} on its witness"))?;
    }
    Ok(head + 1 - first)
}

/// Runs one block.
fn run(block: &Bytes, answer: Value) -> Result<()> {
    let block = Block::<TxEnvelope>::decode(&mut block.as_ref())?;
    let answer: Answer = serde_json::from_value(answer)?;
    let [state] = &answer.state[..] else { bail!("{} states", answer.state.len()) };
    ensure!(!answer.keys.is_empty(), "a block reads something");
    let Chain { config, check_block_gas_limit, check_sender_code, .. } = answer.chain;
    let spec = ChainSpec::from_json(config)?;
    let stateless = Stateless {
        hash: state::tree_hash(spec.tree_hash),
        engine: Engine::new(Arc::new(spec)),
        rules: Rules {
            check_block_gas_limit,
            check_sender_code,
            tx_gas_limit_cap: answer.chain.tx_gas_limit_cap,
            code_size_max: answer.chain.code_size_max,
            check_balance: answer.chain.check_balance,
            memory_max: answer.chain.memory_max,
            ..Rules::block()
        },
        impersonation: answer.chain.impersonation,
    };
    for SetSigner { signature, signer } in answer.chain.signers {
        stateless.engine.set_signer(signature.as_ref().try_into()?, signer);
    }
    let edits = answer.edits.into_iter().map(|Edit { key, value }| (key, value));
    let witness = Witness {
        state: state.clone(),
        codes: answer.codes,
        headers: answer.headers,
        edits: edits.collect(),
        dropped: answer.dropped_codes,
    };
    let root = stateless.execute(&block, &witness)?;
    ensure!(root == block.header.state_root, "{root}");
    Ok(())
}
