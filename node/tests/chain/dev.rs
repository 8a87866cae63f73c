//! What dev users may do.

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, Bytes, TxKind, U256};
use node::call::{Call, Overrides};
use node::pool::PoolStatus;
use node::{Event, NodeConfig};

use super::{Devnet, ETHER, STRANGER, manual};

#[tokio::test]
async fn edits_are_seen_at_once_and_kept() {
    let net = Devnet::start(NodeConfig::default());
    net.chain.set_balance(STRANGER, U256::from(ETHER)).await.unwrap();
    net.chain.set_nonce(STRANGER, 9).await.unwrap();
    net.chain.set_code(STRANGER, Bytes::from_static(&[0x60, 0x01]), false).await.unwrap();
    net.chain.set_storage(STRANGER, U256::from(3), U256::from(4)).await.unwrap();
    let check = async || {
        let state = net.chain.state(BlockId::latest()).await.unwrap();
        assert_eq!(state.balance(STRANGER).unwrap(), U256::from(ETHER));
        assert_eq!(state.nonce(STRANGER).unwrap(), 9);
        assert_eq!(state.code(STRANGER).unwrap(), Bytes::from_static(&[0x60, 0x01]));
        assert_eq!(state.storage(STRANGER, U256::from(3)).unwrap(), U256::from(4));
    };
    check().await;
    net.chain.seal(1, None).await.unwrap();
    check().await;
    net.check_root().await;
    let before = net.chain.state(BlockId::number(0)).await.unwrap();
    assert_eq!(before.balance(STRANGER).unwrap(), U256::from(ETHER));
    let error = net.chain.set_balance(STRANGER, U256::MAX).await.unwrap_err().to_string();
    assert!(error.contains("does not fit the 128 bits"), "{error}");
}

#[tokio::test]
async fn an_impersonated_account_sends_without_a_key() {
    let net = Devnet::start(NodeConfig::default());
    net.chain.set_balance(STRANGER, U256::from(ETHER)).await.unwrap();
    let mut transfer = net.transfer(0, 0);
    transfer.from = STRANGER;
    let refused = net.send_to(transfer, TxKind::Call(Address::ZERO), Bytes::new()).await;
    assert!(refused.is_err());
    net.chain.impersonate(STRANGER);
    let sent = net.send_to(transfer, TxKind::Call(Address::ZERO), Bytes::new()).await.unwrap();
    let included = net.chain.transaction(sent).unwrap().unwrap();
    assert_eq!(included.sender, STRANGER);
    assert!(net.chain.stop_impersonating(STRANGER));
    net.check_root().await;
}

#[tokio::test]
async fn a_savepoint_brings_everything_back() {
    let net = Devnet::start(manual());
    net.send(net.transfer(0, 0)).await.unwrap();
    net.chain.seal(1, None).await.unwrap();
    net.chain.set_balance(STRANGER, U256::from(50)).await.unwrap();
    let waiting = net.send(net.transfer(0, 1)).await.unwrap();
    let root = net.chain.head().header.state_root;
    let mark = net.chain.savepoint().await.unwrap();
    net.chain.set_balance(STRANGER, U256::from(60)).await.unwrap();
    net.chain.seal(3, None).await.unwrap();
    net.chain.set_balance(STRANGER, U256::from(70)).await.unwrap();
    net.send(net.transfer(1, 0)).await.unwrap();
    let mut events = net.chain.subscribe();
    assert!(net.chain.revert(mark).await.unwrap());
    assert_eq!((net.head(), net.chain.head().header.state_root), (1, root));
    assert_eq!(net.balance(STRANGER).await, U256::from(50));
    let removed: Vec<u64> = std::iter::from_fn(|| events.try_recv().ok())
        .filter_map(|event| match event {
            Event::Removed(block) => Some(block.number()),
            _ => None,
        })
        .collect();
    assert_eq!(removed, [4, 3, 2]);
    assert!(net.chain.waiting(waiting).is_some());
    assert_eq!(net.chain.pool_status().pending, 1);
    assert!(!net.chain.revert(mark).await.unwrap());
    net.chain.seal(1, None).await.unwrap();
    assert!(net.chain.receipt(waiting).unwrap().is_some());
    net.check_root().await;
}

#[tokio::test]
async fn rollback_and_reset_go_back() {
    let net = Devnet::start(NodeConfig::default());
    net.send(net.transfer(0, 0)).await.unwrap();
    net.chain.seal(4, None).await.unwrap();
    net.chain.rollback(2).await.unwrap();
    assert_eq!(net.head(), 3);
    let error = net.chain.rollback(9).await.unwrap_err().to_string();
    let text = "Rollback depth must not exceed current chain height: current height 3, depth 9";
    assert_eq!(error, text);
    net.chain.reset().await.unwrap();
    assert_eq!((net.head(), net.balance(STRANGER).await), (0, U256::ZERO));
    net.send(net.transfer(0, 0)).await.unwrap();
    net.check_root().await;
}

#[tokio::test]
async fn time_is_what_the_user_says() {
    let net = Devnet::start(NodeConfig::default());
    let timestamp = || net.chain.head().header.timestamp;
    net.chain.set_next_timestamp(4_000_000_000).await.unwrap();
    net.chain.seal(1, None).await.unwrap();
    assert_eq!(timestamp(), 4_000_000_000);
    let error = net.chain.set_next_timestamp(4_000_000_000).await.unwrap_err().to_string();
    assert!(error.contains("lower than or equal to previous block's timestamp"), "{error}");
    net.chain.increase_time(1_000).await.unwrap();
    net.chain.seal(1, None).await.unwrap();
    assert!((4_000_001_000..4_000_001_100).contains(&timestamp()));
    let before = timestamp();
    net.chain.set_timestamp_interval(7).await.unwrap();
    net.chain.seal(2, None).await.unwrap();
    assert_eq!(timestamp(), before + 14);
    assert!(net.chain.remove_timestamp_interval().await.unwrap());
    net.chain.seal_at(Some(5_000_000_000)).await.unwrap();
    assert_eq!(timestamp(), 5_000_000_000);
}

#[tokio::test]
async fn settings_hold_for_the_next_blocks() {
    let net = Devnet::start(manual());
    let coinbase = Address::repeat_byte(9);
    net.chain.set_coinbase(coinbase).await.unwrap();
    net.chain.set_next_base_fee(5).await.unwrap();
    let history = net.chain.fee_history(1, BlockNumberOrTag::Latest, vec![]).await.unwrap();
    assert_eq!((history.oldest, history.base_fees.last()), (0, Some(&5)));
    net.chain.set_block_gas_limit(1_000_000).await.unwrap();
    net.chain.set_next_prev_randao([3; 32].into()).await.unwrap();
    net.chain.seal(1, None).await.unwrap();
    let header = net.chain.head().header.clone();
    assert_eq!(header.beneficiary, coinbase);
    assert_eq!((header.base_fee_per_gas, header.gas_limit), (Some(5), 1_000_000));
    assert_eq!(header.mix_hash.0, [3; 32]);
    net.chain.seal(1, None).await.unwrap();
    assert_ne!(net.chain.head().header.mix_hash.0, [3; 32]);
    net.chain.set_automine(true).await.unwrap();
    assert!(net.chain.automine());
    net.send(net.transfer(0, 0)).await.unwrap();
    assert_eq!(net.head(), 3);
}

#[tokio::test]
async fn what_waits_is_sealed_together_when_automine_comes_back() {
    let net = Devnet::start(NodeConfig { max_transactions: 3, ..manual() });
    for (from, nonce) in [(0, 0), (0, 1), (1, 0), (2, 0), (3, 7)] {
        net.send(net.transfer(from, nonce)).await.unwrap();
    }
    net.chain.set_automine(true).await.unwrap();
    let counts = async |number: u64| {
        net.chain.block(number.into()).await.unwrap().unwrap().transactions.len()
    };
    assert_eq!((net.head(), counts(1).await, counts(2).await), (2, 3, 1));
    assert_eq!(net.chain.pool_status(), PoolStatus { pending: 0, queued: 1 });
    net.chain.set_automine(true).await.unwrap();
    assert_eq!(net.head(), 2);
}

#[tokio::test]
async fn waiting_transactions_can_be_dropped() {
    let net = Devnet::start(manual());
    let first = net.send(net.transfer(0, 0)).await.unwrap();
    net.send(net.transfer(0, 1)).await.unwrap();
    net.send(net.transfer(1, 0)).await.unwrap();
    assert!(net.chain.drop_transaction(first).await.unwrap().is_some());
    assert!(net.chain.drop_transaction(first).await.unwrap().is_none());
    assert_eq!(net.chain.drop_transactions_of(net.account(1)).await.unwrap(), 1);
    assert_eq!(net.chain.drop_all_transactions().await.unwrap(), 1);
}

#[tokio::test]
async fn a_dump_can_be_loaded_into_another_chain() {
    let net = Devnet::start(NodeConfig::default());
    net.chain.set_storage(STRANGER, U256::from(1), U256::from(2)).await.unwrap();
    net.send(net.transfer(0, 0)).await.unwrap();
    let dump = net.chain.dump_state(false).await.unwrap();
    let other = Devnet::start(NodeConfig::default());
    other.chain.load_state(dump).await.unwrap();
    assert_eq!(other.balance(STRANGER).await, U256::from(1));
    let state = other.chain.state(BlockId::latest()).await.unwrap();
    assert_eq!(state.storage(STRANGER, U256::from(1)).unwrap(), U256::from(2));
    assert_eq!(state.nonce(other.account(0)).unwrap(), 1);
    other.chain.seal(1, None).await.unwrap();
    other.check_root().await;
    let call = Call { to: Some(STRANGER), ..Call::default() };
    let called = other.chain.call(call, BlockId::latest(), Overrides::default()).await;
    assert!(called.unwrap().output.is_empty());
}
