//! What the node's forks are, and which data it serves.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::{Reply, RpcError};
use crate::methods::Table;
use alloy_eips::eip2124::ForkHash;
use alloy_eips::{eip2935, eip4788, eip7002, eip7251};
use alloy_primitives::{Address, B256, Bytes, U64};
use genesis::{ChainSpec, SpecId};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.task("eth_config", config);
    table.quick("eth_capabilities", capabilities);
}

/// The answer to `eth_config` (EIP-7910).
#[derive(Clone, Debug, Serialize)]
struct Configs {
    current: Option<ForkConfig>,
    next: Option<ForkConfig>,
    last: Option<ForkConfig>,
}

/// What holds from one fork on.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ForkConfig {
    activation_time: u64,
    blob_schedule: Option<BlobSchedule>,
    chain_id: U64,
    fork_id: Bytes,
    precompiles: BTreeMap<&'static str, Address>,
    system_contracts: BTreeMap<&'static str, Address>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BlobSchedule {
    target: u64,
    max: u64,
    base_fee_update_fraction: u128,
}

/// Precompiles under EIP-7910's names, and the fork from which on they are there.
const PRECOMPILES: [(&str, u16, SpecId); 18] = [
    ("ECREC", 0x01, SpecId::FRONTIER),
    ("SHA256", 0x02, SpecId::FRONTIER),
    ("RIPEMD160", 0x03, SpecId::FRONTIER),
    ("ID", 0x04, SpecId::FRONTIER),
    ("MODEXP", 0x05, SpecId::BYZANTIUM),
    ("BN254_ADD", 0x06, SpecId::BYZANTIUM),
    ("BN254_MUL", 0x07, SpecId::BYZANTIUM),
    ("BN254_PAIRING", 0x08, SpecId::BYZANTIUM),
    ("BLAKE2F", 0x09, SpecId::ISTANBUL),
    ("KZG_POINT_EVALUATION", 0x0a, SpecId::CANCUN),
    ("BLS12_G1ADD", 0x0b, SpecId::PRAGUE),
    ("BLS12_G1MSM", 0x0c, SpecId::PRAGUE),
    ("BLS12_G2ADD", 0x0d, SpecId::PRAGUE),
    ("BLS12_G2MSM", 0x0e, SpecId::PRAGUE),
    ("BLS12_PAIRING_CHECK", 0x0f, SpecId::PRAGUE),
    ("BLS12_MAP_FP_TO_G1", 0x10, SpecId::PRAGUE),
    ("BLS12_MAP_FP2_TO_G2", 0x11, SpecId::PRAGUE),
    ("P256VERIFY", 0x100, SpecId::OSAKA),
];

/// System contracts under EIP-7910's names; the deposit contract is the chain's own.
const SYSTEM_CONTRACTS: [(&str, Address, SpecId); 4] = [
    ("BEACON_ROOTS_ADDRESS", eip4788::BEACON_ROOTS_ADDRESS, SpecId::CANCUN),
    ("HISTORY_STORAGE_ADDRESS", eip2935::HISTORY_STORAGE_ADDRESS, SpecId::PRAGUE),
    (
        "WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS",
        eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
        SpecId::PRAGUE,
    ),
    (
        "CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS",
        eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
        SpecId::PRAGUE,
    ),
];

async fn config(api: Arc<Api>, _: Arguments) -> Reply<Configs> {
    let genesis = api.chain.genesis();
    let first = genesis.number.into();
    let block = api.chain.header(first).await?.ok_or_else(|| RpcError::no_block(first))?;
    let mut spec = ChainSpec::clone(api.chain.spec());
    spec.config.chain_id = api.chain.chain_id();
    let now = api.chain.head().header.timestamp;
    Ok(configs(&spec, (block.hash(), genesis.timestamp), now))
}

/// The forks by time around `now`, on a chain with this first block.
fn configs(spec: &ChainSpec, genesis: (B256, u64), now: u64) -> Configs {
    let times = spec.fork_times();
    let at = |time: Option<&u64>| time.map(|time| fork_config(spec, genesis, *time));
    let next = times.iter().find(|time| **time > now);
    Configs {
        current: at(times.iter().rev().find(|time| **time <= now)),
        next: at(next),
        last: at(times.last().filter(|_| next.is_some())),
    }
}

fn fork_config(spec: &ChainSpec, (genesis, genesis_time): (B256, u64), time: u64) -> ForkConfig {
    let fork = spec.fork(u64::MAX, time);
    let there = |from: SpecId| fork.is_enabled_in(from);
    let precompiles = PRECOMPILES.iter().filter(|(.., from)| there(*from));
    let contracts = SYSTEM_CONTRACTS.iter().filter(|(.., from)| there(*from));
    let mut contracts: BTreeMap<_, _> =
        contracts.map(|(name, address, _)| (*name, *address)).collect();
    if there(SpecId::PRAGUE) {
        let deposits = spec.deposit_contract().unwrap_or_default();
        contracts.insert("DEPOSIT_CONTRACT_ADDRESS", deposits);
    }
    ForkConfig {
        activation_time: if genesis_time >= time { 0 } else { time },
        blob_schedule: spec.blob_params(time).map(|blobs| BlobSchedule {
            target: blobs.target_blob_count,
            max: blobs.max_blob_count,
            base_fee_update_fraction: blobs.update_fraction,
        }),
        chain_id: U64::from(spec.chain_id()),
        fork_id: fork_id(spec, (genesis, genesis_time), time).0.into(),
        precompiles: precompiles
            .map(|(name, number, _)| (*name, Address::left_padding_from(&number.to_be_bytes())))
            .collect(),
        system_contracts: contracts,
    }
}

/// EIP-2124's fork id of a node that is past all forks by block and past `time`.
fn fork_id(spec: &ChainSpec, (genesis, genesis_time): (B256, u64), time: u64) -> ForkHash {
    let mut hash = ForkHash::from(genesis);
    for block in spec.fork_blocks().into_iter().filter(|block| *block > 0) {
        hash += block;
    }
    for fork in spec.fork_times().into_iter().filter(|fork| *fork > genesis_time && *fork <= time) {
        hash += fork;
    }
    hash
}

/// The answer to `eth_capabilities`.
#[derive(Clone, Debug, Serialize)]
struct Capabilities {
    head: CapabilityHead,
    state: Capability,
    tx: Capability,
    logs: Capability,
    receipts: Capability,
    blocks: Capability,
    stateproofs: Capability,
}

#[derive(Clone, Debug, Serialize)]
struct CapabilityHead {
    number: U64,
    hash: B256,
}

/// Data that the node has from a block on.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Capability {
    disabled: bool,
    oldest_block: U64,
}

fn capabilities(api: &Api, _: Arguments) -> Reply<Capabilities> {
    let head = api.chain.head();
    let oldest_block = U64::from(api.chain.first());
    let all = Capability { disabled: false, oldest_block };
    let oldest_block = U64::from(api.chain.oldest_state()?);
    let state = Capability { disabled: false, oldest_block };
    Ok(Capabilities {
        head: CapabilityHead { number: U64::from(head.number()), hash: head.hash() },
        state,
        tx: all,
        logs: all,
        receipts: all,
        blocks: all,
        stateproofs: state,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{address, b256};

    /// Mainnet's forks and the fork ids of EIP-2124's and geth's own tests.
    #[test]
    fn fork_ids_are_mainnets() {
        let config = serde_json::json!({
            "chainId": 1, "homesteadBlock": 1_150_000, "daoForkBlock": 1_920_000,
            "daoForkSupport": true, "eip150Block": 2_463_000, "eip155Block": 2_675_000,
            "eip158Block": 2_675_000, "byzantiumBlock": 4_370_000,
            "constantinopleBlock": 7_280_000, "petersburgBlock": 7_280_000,
            "istanbulBlock": 9_069_000, "muirGlacierBlock": 9_200_000, "berlinBlock": 12_244_000,
            "londonBlock": 12_965_000, "arrowGlacierBlock": 13_773_000,
            "grayGlacierBlock": 15_050_000, "shanghaiTime": 1_681_338_455u64,
            "cancunTime": 1_710_338_135u64, "pragueTime": 1_746_612_311u64,
        });
        let config = serde_json::from_value(config).unwrap();
        let mut spec = genesis::Genesis::dev(genesis::DevOptions::default()).spec;
        spec.config = config;
        let hash = b256!("0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3");
        for (time, want) in [
            (0, "f0afd0e3"),
            (1_681_338_455, "dce96c2d"),
            (1_710_338_135, "9f3d2254"),
            (1_746_612_311, "c376cf8b"),
        ] {
            let id = fork_id(&spec, (hash, 0), time);
            assert_eq!(alloy_primitives::hex::encode(id.0), want, "{time}");
        }
        let times = |configs: &Configs| {
            [&configs.current, &configs.next, &configs.last]
                .map(|config| config.as_ref().map(|config| config.activation_time))
        };
        let around = |now| times(&configs(&spec, (hash, 0), now));
        let (shanghai, cancun, prague) =
            (Some(1_681_338_455), Some(1_710_338_135), Some(1_746_612_311));
        assert_eq!(around(1), [None, shanghai, prague]);
        assert_eq!(around(1_700_000_000), [shanghai, cancun, prague]);
        assert_eq!(around(1_720_000_000), [cancun, prague, prague]);
        assert_eq!(around(1_800_000_000), [prague, None, None]);
        let current = configs(&spec, (hash, 0), 1_720_000_000).current.unwrap();
        assert_eq!(current.precompiles.len(), 10);
        let roots = address!("0x000F3df6D732807Ef1319fB7B8bB8522d0Beac02");
        assert_eq!(current.system_contracts, BTreeMap::from([("BEACON_ROOTS_ADDRESS", roots)]));
        assert_eq!(current.blob_schedule.unwrap().max, 6);
    }
}
