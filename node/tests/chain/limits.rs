//! What happens at the limits: full blocks, balances that do not fit, a full database.

use alloy_primitives::{Bytes, TxKind, U256};
use node::NodeConfig;

use super::{Devnet, STRANGER, in_directory, manual};

#[tokio::test]
async fn a_full_block_leaves_the_rest_waiting() {
    let config = NodeConfig { gas_limit: Some(50_000), ..manual() };
    let net = Devnet::start(config);
    for account in 0..3 {
        net.send(net.transfer(account, 0)).await.unwrap();
    }
    net.chain.seal(1, None).await.unwrap();
    assert_eq!(net.chain.head().transactions.len(), 2);
    assert_eq!(net.chain.pool_status().pending, 1);
    net.chain.seal(1, None).await.unwrap();
    assert_eq!(net.chain.head().transactions.len(), 1);
}

#[tokio::test]
async fn a_transfer_to_a_balance_that_does_not_fit_is_refused() {
    let net = Devnet::start(NodeConfig::default());
    net.chain.set_balance(STRANGER, U256::from(u128::MAX)).await.unwrap();
    let error = net.send(net.transfer(0, 0)).await.unwrap_err().to_string();
    assert!(error.contains("does not fit the 128 bits that a balance has"), "{error}");
    assert_eq!((net.head(), net.chain.pool_status().pending), (0, 0));
}

#[tokio::test]
async fn a_full_database_is_an_error_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let config = NodeConfig { database_size_max: 2 << 20, ..in_directory(directory.path()) };
    let net = Devnet::start(config.clone());
    let mut nonce = 0;
    let failure = loop {
        let data = Bytes::from(vec![1; 40_000]);
        let mut transfer = net.transfer(0, nonce);
        transfer.value = 0;
        match net.send_to(transfer, TxKind::Call(STRANGER), data).await {
            Ok(_) => nonce += 1,
            Err(error) => break error.to_string(),
        }
        assert!(nonce < 10_000, "the database never fills");
    };
    assert!(failure.starts_with("store: "), "{failure}");
    assert!(net.chain.failure().is_some());
    assert!(net.chain.seal(1, None).await.is_err());
    assert_eq!(net.head(), nonce);
    net.chain.stop().await;
    let config = NodeConfig { database_size_max: 64 << 20, ..config };
    let net = Devnet::start(config);
    assert_eq!(net.head(), nonce);
    net.send(net.transfer(0, nonce)).await.unwrap();
    net.check_root().await;
}
