//! When blocks are sealed, and what is in them.

use std::sync::Arc;
use std::time::Duration;

use alloy_consensus::TxEip1559;
use alloy_consensus::transaction::Recovered;
use alloy_eips::BlockId;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Bytes, TxKind, U256, hex};
use genesis::{DevOptions, Genesis};
use node::accounts::{Accounts, UnsignedTransaction, dev_accounts};
use node::config::Profile;
use node::pool::PoolStatus;
use node::{Chain, Event, NodeConfig};
use storage::ExecutedBlock;

use super::{Devnet, STRANGER, Transfer, manual};

#[tokio::test]
async fn a_transaction_is_in_a_block_when_its_hash_is_answered() {
    let net = Devnet::start(NodeConfig::default());
    for nonce in 0..5 {
        let hash = net.send(net.transfer(0, nonce)).await.unwrap();
        let receipt = net.chain.receipt(hash).unwrap().expect("the receipt is there at once");
        assert_eq!(receipt.included.header.number, nonce + 1);
        assert_eq!((receipt.gas_used, receipt.first_log), (21_000, 0));
        let base_fee = receipt.included.header.base_fee_per_gas.unwrap();
        assert_eq!(receipt.effective_gas_price, u128::from(base_fee) + 1);
    }
    assert_eq!(net.balance(STRANGER).await, U256::from(5));
    assert_eq!(net.chain.next_nonce(net.account(0)).unwrap(), 5);
    net.check_root().await;
    net.chain.stop().await;
}

#[tokio::test]
async fn headers_follow_from_their_parents() {
    let net = Devnet::start(NodeConfig::default());
    let blocks = net.chain.seal(3, Some(10)).await.unwrap();
    assert_eq!((blocks.first, blocks.count, blocks.head.number()), (1, 3, 3));
    let mut parent = net.chain.block(BlockId::earliest()).await.unwrap().unwrap();
    assert_eq!(parent.header.base_fee_per_gas, Some(1_000_000_000));
    for (number, base_fee) in [(1, 875_000_000), (2, 765_625_000), (3, 669_921_875)] {
        let block = net.chain.block(BlockId::number(number)).await.unwrap().unwrap();
        assert_eq!(block.header.parent_hash, parent.hash());
        assert_eq!(block.header.base_fee_per_gas, Some(base_fee));
        assert_eq!(block.header.excess_blob_gas, Some(0));
        assert!(block.header.requests_hash.is_some());
        assert!(block.header.timestamp > parent.header.timestamp);
        if number > 1 {
            assert_eq!(block.header.timestamp, parent.header.timestamp + 10);
        }
        parent = block;
    }
    net.check_root().await;
}

#[tokio::test]
async fn manual_sealing_waits_and_orders_by_tip() {
    let net = Devnet::start(manual());
    let low = net.send(net.transfer(0, 0)).await.unwrap();
    let mut rich = net.transfer(1, 0);
    rich.tip = 1_000;
    let high = net.send(rich).await.unwrap();
    let gap = net.send(net.transfer(2, 7)).await.unwrap();
    assert_eq!(net.head(), 0);
    let pending = net.chain.block(BlockId::pending()).await.unwrap().unwrap();
    assert_eq!(pending.transactions.len(), 2);
    let state = net.chain.state(BlockId::pending()).await.unwrap();
    assert_eq!(state.balance(STRANGER).unwrap(), U256::from(2));
    assert_eq!(net.chain.next_nonce(net.account(0)).unwrap(), 1);
    net.chain.seal(1, None).await.unwrap();
    let block = net.chain.head();
    let hashes: Vec<_> = block.transactions.iter().map(|tx| *tx.tx_hash()).collect();
    assert_eq!(hashes, [high, low]);
    assert!(net.chain.waiting(gap).is_some());
    assert_eq!(net.chain.receipts(&block)[1].gas_used, 21_000);
    net.check_root().await;
}

#[tokio::test]
async fn a_pending_block_without_transactions_follows_every_change() {
    let net = Devnet::start(manual());
    let header = async || {
        let block = net.chain.block(BlockId::pending()).await.unwrap().unwrap();
        block.header.inner().clone()
    };
    let balance =
        async || net.chain.state(BlockId::pending()).await.unwrap().balance(STRANGER).unwrap();
    net.chain.set_next_timestamp(5_000_000_000).await.unwrap();
    let first = header().await;
    assert_eq!((&header().await, first.number, first.timestamp), (&first, 1, 5_000_000_000));
    assert_eq!(balance().await, U256::ZERO);
    net.chain.set_balance(STRANGER, U256::from(7)).await.unwrap();
    assert_eq!(balance().await, U256::from(7));
    net.chain.set_coinbase(STRANGER).await.unwrap();
    assert_eq!(header().await.beneficiary, STRANGER);
    let withdrawal = Withdrawal { address: STRANGER, amount: 1, ..Withdrawal::default() };
    net.chain.add_withdrawal(withdrawal).await.unwrap();
    assert_eq!(balance().await, U256::from(1_000_000_007));
    net.chain.seal(1, None).await.unwrap();
    let next = header().await;
    assert_eq!((next.number, next.parent_hash), (2, net.chain.head().hash()));
    net.chain.set_balance(STRANGER, U256::from(3)).await.unwrap();
    assert_eq!(balance().await, U256::from(3));
    net.chain.set_head(0).await.unwrap();
    // As it was left on block 0.
    assert_eq!((header().await.number, balance().await), (1, U256::from(7)));
}

#[tokio::test]
async fn an_interval_seals_empty_blocks_too() {
    let config = NodeConfig { block_time: Some(0.05), ..NodeConfig::default() };
    let net = Devnet::start(config);
    let mut events = net.chain.subscribe();
    let hash = net.send(net.transfer(0, 0)).await.unwrap();
    let mut found = false;
    for _ in 0..3 {
        loop {
            let event = tokio::time::timeout(Duration::from_secs(20), events.recv()).await;
            if let Event::Head(block) = event.expect("a block comes").unwrap() {
                found |= block.transactions.iter().any(|tx| *tx.tx_hash() == hash);
                break;
            }
        }
    }
    assert!(found && net.chain.receipt(hash).unwrap().is_some());
    assert!(net.head() >= 3);
}

#[tokio::test]
async fn filling_a_gap_seals_everything_behind_it() {
    let net = Devnet::start(NodeConfig::default());
    let second = net.send(net.transfer(0, 1)).await.unwrap();
    assert!(net.chain.receipt(second).unwrap().is_none());
    net.send(net.transfer(0, 0)).await.unwrap();
    assert_eq!(net.head(), 2);
    assert!(net.chain.receipt(second).unwrap().is_some());
}

#[tokio::test]
async fn refused_transactions_are_told_why() {
    let net = Devnet::start(NodeConfig::default());
    net.send(net.transfer(0, 0)).await.unwrap();
    let again = net.send(net.transfer(0, 0)).await.unwrap_err();
    assert_eq!(again.to_string(), "nonce too low: next nonce 1, tx nonce 0");
    let mut poor = net.transfer(0, 1);
    poor.cap = 1 << 90;
    let error = net.send(poor).await.unwrap_err().to_string();
    assert!(error.starts_with("insufficient funds for gas * price + value"), "{error}");
    let mut low = net.transfer(0, 1);
    low.cap = 1;
    let error = net.send(low).await.unwrap_err().to_string();
    assert!(error.starts_with("max fee per gas less than block base fee"), "{error}");
}

#[tokio::test]
async fn creations_logs_and_failures_have_receipts() {
    let net = Devnet::start(NodeConfig::default());
    // Logs topic 7 without data, then returns code that reverts.
    let init = hex!("60075f5fa1625f5ffd5f526003601df3");
    let mut create = net.transfer(0, 0);
    create.value = 0;
    let hash = net.send_to(create, TxKind::Create, Bytes::from(init)).await.unwrap();
    let receipt = net.chain.receipt(hash).unwrap().unwrap();
    assert!(receipt.receipt.succeeded());
    let contract = receipt.contract.expect("a creation names its contract");
    assert_eq!(contract, net.account(0).create(0));
    assert_eq!(receipt.receipt.receipt.logs.len(), 1);
    assert_eq!(receipt.included.header.logs_bloom, storage::logs_bloom(true));
    let mut call = net.transfer(0, 1);
    call.value = 0;
    let input = Bytes::from_static(&[1]);
    let hash = net.send_to(call, TxKind::Call(contract), input).await.unwrap();
    let receipt = net.chain.receipt(hash).unwrap().unwrap();
    assert!(!receipt.receipt.succeeded());
    assert_eq!(receipt.included.header.logs_bloom, storage::logs_bloom(false));
    net.check_root().await;
}

#[tokio::test]
async fn a_testnet_keeps_what_the_base_fee_is_still_too_high_for() {
    let config = NodeConfig { profile: Profile::Testnet, ..NodeConfig::default() };
    let (_, accounts) = dev_accounts(&config).unwrap();
    let balance = NodeConfig::default().balance_wei();
    let genesis = Genesis::dev(DevOptions {
        accounts: accounts.iter().map(|account| (account.address, balance)).collect(),
        ..DevOptions::default()
    });
    let chain = Chain::start(config, genesis).unwrap();
    assert!(chain.accounts().is_empty());
    let signers = Accounts::new(accounts, false);
    let submit = async |account: usize, cap: u128| {
        let sender = signers.dev()[account].address;
        let unsigned = UnsignedTransaction::Eip1559(TxEip1559 {
            chain_id: chain.chain_id(),
            gas_limit: 21_000,
            max_fee_per_gas: cap,
            to: TxKind::Call(STRANGER),
            ..TxEip1559::default()
        });
        let signed = signers.sign_transaction(sender, unsigned).unwrap();
        chain.submit(Recovered::new_unchecked(signed, sender)).await.unwrap()
    };
    let low = submit(0, 800_000_000).await;
    assert!(chain.waiting(low).is_some());
    submit(1, 2_000_000_000).await;
    assert!(chain.receipt(low).unwrap().is_some());
    assert_eq!(chain.head().number(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_senders_at_once_each_get_their_receipts() {
    let net = std::sync::Arc::new(Devnet::start(NodeConfig::default()));
    let senders: Vec<_> = (0..8)
        .map(|account| {
            let net = std::sync::Arc::clone(&net);
            tokio::spawn(async move {
                for nonce in 0..10 {
                    let hash = net.send(net.transfer(account, nonce)).await.unwrap();
                    let receipt = net.chain.receipt(hash).unwrap();
                    assert!(receipt.expect("it is there at once").receipt.succeeded());
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    assert_eq!((net.head(), net.balance(STRANGER).await), (80, U256::from(80)));
    assert_eq!(net.chain.pool_status(), PoolStatus::default());
    net.check_root().await;
}

/// Logs its call data as a deposit event.
const DEPOSITS: [u8; 40] =
    hex!("365f5f377f649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5365fa1");

/// A log of the deposit contract that is no deposit makes a whole block invalid.
#[tokio::test]
async fn a_transaction_that_no_block_can_have_is_left_out() {
    let net = Devnet::start(manual());
    let contract = net.chain.spec().deposit_contract().unwrap();
    net.chain.set_code(contract, Bytes::from(DEPOSITS.to_vec()), false).await.unwrap();
    let spoil = async |from, nonce| {
        let spoil = Transfer { value: 0, tip: 5, ..net.transfer(from, nonce) };
        net.send_to(spoil, TxKind::Call(contract), Bytes::from(vec![7; 3])).await
    };
    let first = net.send(Transfer { tip: 9, ..net.transfer(0, 0) }).await.unwrap();
    let (gone, other) = (spoil(1, 0).await.unwrap(), spoil(3, 0).await.unwrap());
    let behind = net.send(net.transfer(1, 1)).await.unwrap();
    let last = net.send(net.transfer(2, 0)).await.unwrap();
    let hashes_of = |block: Arc<ExecutedBlock>| -> Vec<_> {
        block.transactions.iter().map(|transaction| *transaction.tx_hash()).collect()
    };
    let hashes = || hashes_of(net.chain.head());
    let pending = net.chain.block(BlockId::pending()).await.unwrap().unwrap();
    assert_eq!(hashes_of(pending), [first, last]);
    assert_eq!(net.chain.pool_status(), PoolStatus { pending: 5, queued: 0 });
    net.chain.seal(1, None).await.unwrap();
    assert_eq!(hashes(), [first, last]);
    assert_eq!(net.chain.pool_status(), PoolStatus { pending: 0, queued: 1 });
    assert!(net.chain.transaction(gone).unwrap().is_none());
    assert!(net.chain.transaction(other).unwrap().is_none());
    net.chain.set_automine(true).await.unwrap();
    let error = spoil(3, 0).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no block can have the transaction: deposit log of 3 bytes is malformed"
    );
    // What waited behind the first one comes as soon as it can.
    net.send(net.transfer(1, 0)).await.unwrap();
    assert_eq!((net.head(), hashes()), (3, vec![behind]));
    net.check_root().await;
}

#[tokio::test]
async fn withdrawals_that_no_balance_can_hold_are_left_out() {
    let net = Devnet::start(manual());
    let most = U256::from(u128::MAX);
    let room = U256::from(3_000_000_000_u64);
    net.chain.set_balance(STRANGER, most - room).await.unwrap();
    // In gwei: 1 and 2 fit, not 4, nor 1 more.
    for (index, amount) in [4, 2, 4, 1, 1].into_iter().enumerate() {
        let index = index as u64;
        let withdrawal = Withdrawal { index, amount, address: STRANGER, validator_index: 0 };
        net.chain.add_withdrawal(withdrawal).await.unwrap();
    }
    let pending = net.chain.block(BlockId::pending()).await.unwrap().unwrap();
    net.chain.seal(1, None).await.unwrap();
    for block in [pending, net.chain.head()] {
        let paid = block.withdrawals.clone().unwrap();
        assert_eq!(paid.iter().map(|paid| paid.index).collect::<Vec<_>>(), [1, 3]);
    }
    assert_eq!(net.balance(STRANGER).await, most);
    assert!(net.chain.settings().withdrawals.is_empty());
    net.chain.seal(1, None).await.unwrap();
    assert_eq!(net.head(), 2);
    net.check_root().await;
}
