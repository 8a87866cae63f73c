//! A chain in a data directory goes on after a restart.

use alloy_primitives::U256;
use node::NodeConfig;

use super::{Devnet, ETHER, STRANGER, in_directory};

#[tokio::test]
async fn a_restart_goes_on_with_chain_edits_and_waiting_transactions() {
    let directory = tempfile::tempdir().unwrap();
    let config = NodeConfig { no_mining: true, ..in_directory(directory.path()) };
    let net = Devnet::start(config.clone());
    let sealed = net.send(net.transfer(0, 0)).await.unwrap();
    net.chain.seal(2, None).await.unwrap();
    net.chain.set_balance(STRANGER, U256::from(ETHER)).await.unwrap();
    net.chain.impersonate(STRANGER);
    let mut unsigned = net.transfer(0, 0);
    unsigned.from = STRANGER;
    let waiting = [
        net.send(net.transfer(0, 1)).await.unwrap(),
        net.send(net.transfer(1, 5)).await.unwrap(),
        net.send(unsigned).await.unwrap(),
    ];
    let dropped = net.send(net.transfer(2, 0)).await.unwrap();
    net.chain.drop_transaction(dropped).await.unwrap();
    let head = net.chain.head();
    net.chain.stop().await;

    let net = Devnet::start(config);
    assert_eq!(*net.chain.head(), *head);
    assert!(net.chain.receipt(sealed).unwrap().is_some());
    assert_eq!(net.balance(STRANGER).await, U256::from(ETHER));
    let content: Vec<_> = net.chain.pool_content().iter().map(|(tx, _)| tx.hash).collect();
    assert_eq!(content, waiting);
    net.chain.seal(1, None).await.unwrap();
    assert_eq!(net.chain.head().transactions.len(), 2);
    assert_eq!(net.head(), head.number() + 1);
    net.check_root().await;
}

#[tokio::test]
async fn another_genesis_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let net = Devnet::start(in_directory(directory.path()));
    net.chain.stop().await;
    let other = genesis::Genesis::dev(genesis::DevOptions { chain_id: 5, ..Default::default() });
    assert!(node::Chain::start(in_directory(directory.path()), other).is_err());
}
