//! Every fork seals blocks, and its headers have the fields that it brought.

use alloy_consensus::TxLegacy;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{TxKind, U256};
use genesis::{DevOptions, Genesis, SpecId, fork_by_name};
use node::accounts::{UnsignedTransaction, dev_accounts};
use node::{Chain, NodeConfig};

use super::{Devnet, STRANGER, manual};

const FORKS: [&str; 14] = [
    "frontier",
    "homestead",
    "tangerine",
    "spuriousdragon",
    "byzantium",
    "petersburg",
    "istanbul",
    "berlin",
    "london",
    "paris",
    "shanghai",
    "cancun",
    "prague",
    "amsterdam",
];

fn start(fork: SpecId) -> Devnet {
    let config = NodeConfig::default();
    let (_, accounts) = dev_accounts(&config).unwrap();
    let genesis = Genesis::dev(DevOptions {
        fork,
        accounts: accounts.iter().map(|a| (a.address, config.balance_wei())).collect(),
        ..DevOptions::default()
    });
    Devnet { chain: Chain::start(config, genesis).unwrap() }
}

async fn check(name: &str) {
    let fork = fork_by_name(name).unwrap();
    let net = start(fork);
    for nonce in 0..2 {
        let unsigned = UnsignedTransaction::Legacy(TxLegacy {
            nonce,
            gas_price: 2_000_000_000,
            gas_limit: 500_000,
            to: TxKind::Call(STRANGER),
            value: U256::from(1),
            ..TxLegacy::default()
        });
        let signed = net.chain.sign_transaction(net.account(0), unsigned).unwrap();
        let hash = net.chain.submit(signed).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(net.chain.receipt(hash).unwrap().unwrap().receipt.succeeded(), "{name}");
    }
    assert_eq!(net.balance(STRANGER).await, U256::from(2), "{name}");
    let header = net.chain.head().header.clone();
    let from = |start: SpecId| fork.is_enabled_in(start);
    assert_eq!(header.base_fee_per_gas.is_some(), from(SpecId::LONDON), "{name}");
    assert_eq!(header.withdrawals_root.is_some(), from(SpecId::SHANGHAI), "{name}");
    assert_eq!(header.blob_gas_used.is_some(), from(SpecId::CANCUN), "{name}");
    assert_eq!(header.parent_beacon_block_root.is_some(), from(SpecId::CANCUN), "{name}");
    assert_eq!(header.requests_hash.is_some(), from(SpecId::PRAGUE), "{name}");
    assert_eq!(header.block_access_list_hash.is_some(), from(SpecId::AMSTERDAM), "{name}");
    assert!(net.chain.block(BlockId::pending()).await.unwrap().is_some(), "{name}");
    net.check_root().await;
}

#[tokio::test]
async fn every_fork_seals_blocks() {
    for fork in FORKS {
        check(fork).await;
    }
}

#[tokio::test]
async fn a_chain_may_start_at_another_number() {
    let config = NodeConfig::default();
    let genesis = Genesis::dev(DevOptions { number: 54, ..DevOptions::default() });
    let chain = Chain::start(config, genesis).unwrap();
    chain.seal(2, None).await.unwrap();
    let number = async |id: BlockId| chain.block(id).await.unwrap().map(|block| block.number());
    assert_eq!(number(BlockId::latest()).await, Some(56));
    assert_eq!(number(BlockId::earliest()).await, Some(54));
    assert_eq!(number(BlockId::finalized()).await, Some(54));
    assert_eq!(number(BlockId::number(53)).await, None);
    let below = chain.fee_history(2, BlockNumberOrTag::Number(27), vec![]).await.unwrap_err();
    assert_eq!(below.to_string(), "block not found: 0x1b");
    let history = chain.fee_history(9, BlockNumberOrTag::Latest, vec![]).await.unwrap();
    assert_eq!((history.oldest, history.base_fees.len()), (54, 4));
    let error = chain.rollback(3).await.unwrap_err().to_string();
    let text = "Rollback depth must not exceed current chain height: ";
    assert_eq!(error, format!("{text}current height 56, first block 54, depth 3"));
}

#[tokio::test]
async fn blob_gas_of_the_first_block_leaves_room_for_later_ones() {
    let dev = || Genesis::dev(DevOptions::default());
    let half = 1 << 63;
    let beyond = [
        ("excessBlobGas", Genesis { excess_blob_gas: Some(half), ..dev() }),
        ("blobGasUsed", Genesis { blob_gas_used: Some(half), ..dev() }),
    ];
    for (key, genesis) in beyond {
        let error = Chain::start(NodeConfig::default(), genesis).err().unwrap().to_string();
        let most = half - 1;
        assert_eq!(error, format!("config: {key}: {half} is too large, at most {most} can be"));
    }
    let (excess, used) = (Some(half - 1), Some(half - 1));
    let genesis = Genesis { excess_blob_gas: excess, blob_gas_used: used, ..dev() };
    let net = Devnet { chain: Chain::start(manual(), genesis).unwrap() };
    net.chain.seal(1, None).await.unwrap();
    assert!(net.chain.head().header.excess_blob_gas > excess);
}
