//! Calls, estimates, access lists, fees, logs.

use std::collections::BTreeMap;

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex};
use node::NodeConfig;
use node::call::{AccountOverride, BlockOverrides, Call, Overrides};
use node::error::CallError;
use node::query::{LogBlocks, LogQuery};

use super::{Devnet, STRANGER};

/// Runs `code` at an address of its own with overrides only.
async fn run(net: &Devnet, code: &[u8], block: BlockOverrides) -> Result<Bytes, CallError> {
    let account =
        AccountOverride { code: Some(Bytes::copy_from_slice(code)), ..AccountOverride::default() };
    let overrides = Overrides { state: BTreeMap::from([(STRANGER, account)]), block };
    let call = Call { to: Some(STRANGER), ..Call::default() };
    net.chain.call(call, BlockId::latest(), overrides).await.map(|outcome| outcome.output)
}

#[tokio::test]
async fn calls_see_the_block_and_its_overrides() {
    let net = Devnet::start(NodeConfig::default());
    net.chain.seal(2, None).await.unwrap();
    let number = hex!("435f5260205ff3");
    let plain = run(&net, &number, BlockOverrides::default()).await.unwrap();
    assert_eq!(U256::from_be_slice(&plain), U256::from(2));
    let block = BlockOverrides { number: Some(U256::from(99)), ..BlockOverrides::default() };
    assert_eq!(U256::from_be_slice(&run(&net, &number, block).await.unwrap()), U256::from(99));
    let base_fee = hex!("485f5260205ff3");
    let free = run(&net, &base_fee, BlockOverrides::default()).await.unwrap();
    assert_eq!(U256::from_be_slice(&free), U256::ZERO);
    let hash = hex!("6001405f5260205ff3");
    let other = B256::repeat_byte(5);
    let block_hash = BTreeMap::from([(1, other)]);
    let block = BlockOverrides { block_hash, ..BlockOverrides::default() };
    assert_eq!(run(&net, &hash, block).await.unwrap(), Bytes::from(other.0));
}

#[tokio::test]
async fn calls_have_more_gas_than_a_block_where_transactions_may() {
    // Reverts with less than 40 million gas.
    let greedy = Bytes::from(hex!("6302625a005a10600b57005b5f5ffd").to_vec());
    let needs = 40_000_000..41_000_000;
    for (disable_block_gas_limit, call_gas_limit, enough) in
        [(false, None, false), (true, None, true), (true, Some(39_000_000), false)]
    {
        let config =
            NodeConfig { disable_block_gas_limit, call_gas_limit, ..NodeConfig::default() };
        let net = Devnet::start(config);
        net.chain.set_code(STRANGER, greedy.clone(), false).await.unwrap();
        let call = Call { to: Some(STRANGER), ..Call::default() };
        let estimate = net.chain.estimate_gas(call, BlockId::latest(), Overrides::default()).await;
        assert_eq!(estimate.is_ok_and(|gas| needs.contains(&gas)), enough);
        let gas = run(&net, &hex!("5a5f5260205ff3"), BlockOverrides::default()).await.unwrap();
        let left = U256::from_be_slice(&gas).to::<u64>();
        let most = call_gas_limit.unwrap_or(if enough { 1_000_000_000 } else { 50_000_000 });
        assert!((most - 22_000..most).contains(&left), "{left}");
    }
}

#[tokio::test]
async fn failures_say_what_happened() {
    let net = Devnet::start(NodeConfig::default());
    let revert = run(&net, &hex!("60aa5f5260205ffd"), BlockOverrides::default()).await;
    let Err(error @ CallError::Revert { .. }) = revert else { panic!("it reverts") };
    assert_eq!(error.to_string(), "execution reverted");
    let invalid = run(&net, &hex!("fe"), BlockOverrides::default()).await.unwrap_err();
    assert!(invalid.to_string().starts_with("invalid opcode"), "{invalid}");
    let rich = Call {
        from: Some(STRANGER),
        to: Some(Address::ZERO),
        value: U256::from(1),
        ..Call::default()
    };
    let poor = net.chain.call(rich, BlockId::latest(), Overrides::default()).await.unwrap_err();
    assert!(poor.to_string().starts_with("insufficient funds"), "{poor}");
    let unknown = net.chain.call(Call::default(), BlockId::number(7), Overrides::default()).await;
    assert!(unknown.unwrap_err().to_string().starts_with("block not found"));
}

#[tokio::test]
async fn estimates_are_enough_and_not_much_more() {
    let net = Devnet::start(NodeConfig::default());
    let estimate =
        |call: Call| net.chain.estimate_gas(call, BlockId::latest(), Overrides::default());
    let transfer = Call {
        from: Some(net.account(0)),
        to: Some(STRANGER),
        value: U256::from(1),
        ..Call::default()
    };
    assert_eq!(estimate(transfer.clone()).await.unwrap(), 21_000);
    // Writes 1 into slot 0.
    net.chain.set_code(STRANGER, Bytes::from_static(&hex!("60015f55")), false).await.unwrap();
    let gas = estimate(transfer.clone()).await.unwrap();
    assert!((43_105..44_000).contains(&gas), "{gas}");
    let little = Call { gas: Some(30_000), ..transfer.clone() };
    let error = estimate(little).await.unwrap_err().to_string();
    assert_eq!(error, "gas required exceeds allowance (30000)");
    let code = Bytes::from_static(&hex!("5f5ffd"));
    net.chain.set_code(STRANGER, code, false).await.unwrap();
    assert!(matches!(estimate(transfer).await, Err(CallError::Revert { .. })));
}

#[tokio::test]
async fn access_lists_hold_what_is_read() {
    let net = Devnet::start(NodeConfig::default());
    // Reads slot 7 and the balance of 0x..09ff.
    let code = Bytes::from_static(&hex!("600754506109ff315000"));
    net.chain.set_code(STRANGER, code, false).await.unwrap();
    let call = Call { to: Some(STRANGER), ..Call::default() };
    let list =
        net.chain.create_access_list(call, BlockId::latest(), Overrides::default()).await.unwrap();
    assert_eq!(list.error, None);
    let accounts: Vec<_> = list.access_list.iter().map(|item| item.address).collect();
    assert!(accounts.contains(&STRANGER) && accounts.len() == 2, "{accounts:?}");
}

#[tokio::test]
async fn fees_and_tags() {
    let net = Devnet::start(NodeConfig { slots_in_an_epoch: 2, ..NodeConfig::default() });
    net.chain.seal(5, None).await.unwrap();
    net.send(net.transfer(0, 0)).await.unwrap();
    let history = net.chain.fee_history(3, BlockNumberOrTag::Latest, vec![50.0]).await.unwrap();
    assert_eq!((history.oldest, history.base_fees.len(), history.rewards.len()), (4, 4, 3));
    assert_eq!(history.rewards[2], [1]);
    assert_eq!(history.base_fees[3], u128::from(net.chain.next_base_fee().unwrap()));
    let number = async |id: BlockId| net.chain.block(id).await.unwrap().unwrap().number();
    assert_eq!(number(BlockId::safe()).await, 4);
    assert_eq!(number(BlockId::finalized()).await, 2);
    assert_eq!(number(BlockId::pending()).await, 7);
    assert!(net.chain.gas_price() > net.chain.suggested_tip());
    let error = net.chain.fee_history(1, BlockNumberOrTag::Number(9), vec![]).await.unwrap_err();
    assert!(error.to_string().starts_with("request beyond head block"));
}

#[tokio::test]
async fn logs_are_found_by_address_topic_and_range() {
    let net = Devnet::start(NodeConfig::default());
    // Logs its call data's first word as a topic.
    let code = Bytes::from_static(&hex!("5f355f5fa100"));
    net.chain.set_code(STRANGER, code, false).await.unwrap();
    for nonce in 0..3u8 {
        let mut call = net.transfer(0, nonce.into());
        call.value = 0;
        let input = B256::with_last_byte(nonce).to_vec().into();
        net.send_to(call, TxKind::Call(STRANGER), input).await.unwrap();
    }
    let find = async |topic: Option<B256>, from: u64| {
        let query = LogQuery {
            blocks: LogBlocks::Range(BlockNumberOrTag::Number(from), BlockNumberOrTag::Latest),
            addresses: vec![STRANGER],
            topics: [topic.into_iter().collect(), vec![], vec![], vec![]],
            topics_min: usize::from(topic.is_some()),
        };
        net.chain.logs(query).await.unwrap().iter().map(|log| log.number).collect::<Vec<_>>()
    };
    assert_eq!(find(None, 0).await, [1, 2, 3]);
    assert_eq!(find(None, 2).await, [2, 3]);
    assert_eq!(find(Some(B256::with_last_byte(1)), 0).await, [2]);
    assert_eq!(find(Some(B256::with_last_byte(9)), 0).await, [0u64; 0]);
}
