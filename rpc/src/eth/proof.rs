//! Proofs: the outer shape is EIP-1186's, the nodes are the binary tree's (`docs/spec/proofs.md`).

use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::{Reply, RpcError};
use crate::methods::Table;
use crate::request::Slot;
use alloy_eips::BlockId;
use alloy_primitives::{Address, Bytes, KECCAK256_EMPTY, U256};
use alloy_rpc_types_eth::{EIP1186AccountProofResponse, EIP1186StorageProof};
use alloy_serde::JsonStorageKey;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;
use std::sync::Arc;
use storage::AccountProof;

/// Accounts and slots that one request may ask for, together.
const TARGETS_MAX: usize = 1_024;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("eth_getProof", proof);
    table.task("eth_getMultiProof", multi_proof);
}

/// A slot, and the form in which it was given: the answer repeats it.
#[derive(Clone, Copy, Debug)]
struct Key {
    slot: U256,
    given: JsonStorageKey,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let is_hash = value.as_str().is_some_and(|text| text.len() == 2 + 64);
        let Slot(slot) = Slot::deserialize(value).map_err(D::Error::custom)?;
        let given = match is_hash {
            true => JsonStorageKey::Hash(slot.into()),
            false => JsonStorageKey::Number(slot),
        };
        Ok(Self { slot, given })
    }
}

async fn proof(api: Arc<Api>, mut arguments: Arguments) -> Reply<EIP1186AccountProofResponse> {
    let address: Address = arguments.required("address")?;
    let keys: Vec<Key> = arguments.optional("storage keys")?.unwrap_or_default();
    let block = arguments.block()?;
    let mut proofs = prove(&api, vec![(address, keys)], block).await?;
    proofs.pop().ok_or_else(|| RpcError::internal("no proof"))
}

async fn multi_proof(
    api: Arc<Api>,
    mut arguments: Arguments,
) -> Reply<Vec<EIP1186AccountProofResponse>> {
    let targets: Vec<(Address, Vec<Key>)> = arguments.required("targets")?;
    let block = arguments.block()?;
    prove(&api, targets, block).await
}

async fn prove(
    api: &Api,
    targets: Vec<(Address, Vec<Key>)>,
    block: BlockId,
) -> Reply<Vec<EIP1186AccountProofResponse>> {
    let count: usize = targets.iter().map(|(_, keys)| 1 + keys.len()).sum();
    if count > TARGETS_MAX {
        return Err(RpcError::invalid_params(format!(
            "{count} accounts and slots, at most {TARGETS_MAX} in one request"
        )));
    }
    let slots = targets.iter().map(|(address, keys)| {
        let slots = keys.iter().map(|key| key.slot).collect();
        (*address, slots)
    });
    let proofs = api.chain.prove(slots.collect(), block).await?;
    let answers = proofs.into_iter().zip(targets);
    Ok(answers.map(|(proof, (_, keys))| answer(proof, &keys)).collect())
}

fn answer(proof: AccountProof, keys: &[Key]) -> EIP1186AccountProofResponse {
    let slots = proof.slots.into_iter().zip(keys);
    let account = proof.account;
    EIP1186AccountProofResponse {
        address: proof.address,
        balance: account.map_or(U256::ZERO, |account| U256::from(account.balance)),
        code_hash: account.map_or(KECCAK256_EMPTY, |account| account.code_hash),
        nonce: account.map_or(0, |account| account.nonce),
        // The root that the proofs of slots start from: an account has none of its own.
        storage_hash: proof.root,
        account_proof: nodes(proof.proof),
        storage_proof: slots
            .map(|(slot, key)| EIP1186StorageProof::new(key.given, slot.value, nodes(slot.proof)))
            .collect(),
    }
}

fn nodes(proof: Vec<Vec<u8>>) -> Vec<Bytes> {
    proof.into_iter().map(Bytes::from).collect()
}
