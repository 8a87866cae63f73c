//! `net_`, `web3_` and `rpc_`: who is there.

use crate::api::Api;
use crate::arguments::Arguments;
use crate::error::{Reply, RpcError};
use crate::methods::Table;
use alloy_primitives::{B256, Bytes, U64, U256, keccak256};
use node::config::Profile;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Adds the methods of this file.
pub(crate) fn register(table: &mut Table<Api>) {
    table.quick("net_version", version);
    table.quick("net_listening", listening);
    table.quick("net_peerCount", peer_count);
    table.quick("web3_clientVersion", client_version);
    table.quick("web3_sha3", sha3);
    table.quick("rpc_modules", modules);
    table.task("admin_nodeInfo", node_info);
    table.aliases(&[("eth_networkId", "net_version")]);
}

fn version(api: &Api, _: Arguments) -> Reply<String> {
    Ok(api.chain.chain_id().to_string())
}

fn listening(_: &Api, _: Arguments) -> Reply<bool> {
    Ok(true)
}

fn peer_count(_: &Api, _: Arguments) -> Reply<U64> {
    Ok(U64::ZERO)
}

/// Hardhat's network helpers and others refuse a node whose name does not begin with that of a dev
/// node which they know, though they ask it for nothing that this one does not have. So a dev chain
/// says first what it is compatible with, as browsers do.
fn client_version(api: &Api, _: Arguments) -> Reply<String> {
    Ok(match api.chain.profile() {
        Profile::Dev => format!("anvil-compatible {}", client_name()),
        Profile::Testnet => client_name(),
    })
}

/// Name, version and platform of this node.
pub(crate) fn client_name() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("tandem/v{version}/{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

fn sha3(_: &Api, mut arguments: Arguments) -> Reply<B256> {
    Ok(keccak256(arguments.required::<Bytes>("data")?))
}

/// geth's description of a node in a network. This one is in none: it has no key, no address and no
/// ports there.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeInfo {
    id: String,
    name: String,
    enode: String,
    ip: String,
    ports: Ports,
    listen_addr: String,
    protocols: Protocols,
}

#[derive(Clone, Debug, Default, Serialize)]
struct Ports {
    discovery: u16,
    listener: u16,
}

#[derive(Clone, Debug, Default, Serialize)]
struct Protocols {
    eth: EthProtocol,
}

#[derive(Clone, Debug, Default, Serialize)]
struct EthProtocol {
    network: u64,
    difficulty: U256,
    genesis: B256,
    config: Value,
    head: B256,
}

async fn node_info(api: Arc<Api>, _: Arguments) -> Reply<NodeInfo> {
    let first = api.chain.first().into();
    let genesis = api.chain.header(first).await?.ok_or_else(|| RpcError::no_block(first))?;
    let head = api.chain.head();
    let eth = EthProtocol {
        network: api.chain.chain_id(),
        difficulty: head.header.difficulty,
        genesis: genesis.hash(),
        config: serde_json::to_value(&api.chain.spec().config).map_err(RpcError::internal)?,
        head: head.hash(),
    };
    Ok(NodeInfo { name: client_name(), protocols: Protocols { eth }, ..NodeInfo::default() })
}

fn modules(api: &Api, _: Arguments) -> Reply<BTreeMap<&'static str, &'static str>> {
    let mut modules = vec!["admin", "debug", "erigon", "eth", "net", "ots", "reth", "rpc", "rv"];
    modules.extend(["trace", "txpool", "web3"]);
    if api.chain.profile() == Profile::Dev {
        modules.extend(["anvil", "dev", "evm", "hardhat", "personal", "tenderly", "testing"]);
    }
    Ok(modules.into_iter().map(|module| (module, "1.0")).collect())
}
