//! What the newer forks brought: blobs, delegations, requests to the consensus layer.

use std::sync::OnceLock;

use alloy_consensus::{TxEip4844, TxEip4844Variant, TxEip4844WithSidecar, TxEip7702};
use alloy_eips::BlockId;
use alloy_eips::eip4844::builder::{SidecarBuilder, SimpleCoder};
use alloy_eips::eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS;
use alloy_eips::eip7594::BlobTransactionSidecarEip7594;
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_eips::eip7702::Authorization;
use alloy_primitives::{Bytes, TxKind, U256, hex};
use node::accounts::UnsignedTransaction;
use node::{Event, NodeConfig};

use super::{Devnet, STRANGER, in_directory};

/// One blob with its proofs, which take a while to compute.
fn sidecar() -> BlobTransactionSidecarEip7594 {
    static SIDECAR: OnceLock<BlobTransactionSidecarEip7594> = OnceLock::new();
    let build = || SidecarBuilder::<SimpleCoder>::from_slice(b"a blob").build_7594().unwrap();
    SIDECAR.get_or_init(build).clone()
}

fn blob_transaction(net: &Devnet, max_fee_per_blob_gas: u128) -> UnsignedTransaction {
    let sidecar = sidecar();
    let tx = TxEip4844 {
        chain_id: net.chain.chain_id(),
        gas_limit: 21_000,
        max_fee_per_gas: 2_000_000_000,
        max_priority_fee_per_gas: 1,
        max_fee_per_blob_gas,
        to: STRANGER,
        blob_versioned_hashes: sidecar.versioned_hashes().collect(),
        ..TxEip4844::default()
    };
    let tx = TxEip4844WithSidecar::from_tx_and_sidecar(tx, sidecar.into());
    UnsignedTransaction::Eip4844(TxEip4844Variant::TxEip4844WithSidecar(tx))
}

#[tokio::test]
async fn blobs_wait_with_their_sidecar_and_are_sealed_without() {
    let directory = tempfile::tempdir().unwrap();
    let config = NodeConfig { no_mining: true, ..in_directory(directory.path()) };
    let net = Devnet::start(config.clone());
    let account = net.account(0);
    let signed = net.chain.sign_transaction(account, blob_transaction(&net, 1_000)).unwrap();
    let size = net.chain.submit(signed).await.map(|hash| net.chain.waiting(hash).unwrap().size);
    assert!(size.unwrap() > 131_072);
    net.chain.stop().await;

    let net = Devnet::start(config);
    let waiting = net.chain.pool_content();
    assert!(waiting[0].0.size > 131_072);
    net.chain.seal(1, None).await.unwrap();
    let head = net.chain.head();
    assert_eq!(head.header.blob_gas_used, Some(131_072));
    let receipt = net.chain.receipt(waiting[0].0.hash).unwrap().unwrap();
    assert_eq!(receipt.blob_gas_price, net.chain.blob_base_fee(&head));
    assert_eq!(receipt.included.transaction, head.transactions[0]);
    net.check_root().await;
}

#[tokio::test]
async fn blobs_that_do_not_prove_themselves_are_refused() {
    let net = Devnet::start(NodeConfig::default());
    let mut unsigned = blob_transaction(&net, 1_000);
    let UnsignedTransaction::Eip4844(TxEip4844Variant::TxEip4844WithSidecar(tx)) = &mut unsigned
    else {
        panic!("it has a sidecar")
    };
    tx.tx.blob_versioned_hashes[0].0[5] ^= 1;
    let signed = net.chain.sign_transaction(net.account(0), unsigned).unwrap();
    let error = net.chain.submit(signed).await.unwrap_err().to_string();
    assert!(error.starts_with("invalid blob sidecar"), "{error}");
    let signed = net.chain.sign_transaction(net.account(0), blob_transaction(&net, 0)).unwrap();
    let error = net.chain.submit(signed).await.unwrap_err().to_string();
    assert!(error.starts_with("max fee per blob gas less than block blob gas fee"), "{error}");
}

#[tokio::test]
async fn an_account_delegates_and_sends_afterwards() {
    let net = Devnet::start(NodeConfig::default());
    // Stores 5 in slot 0.
    net.chain.set_code(STRANGER, Bytes::from_static(&hex!("60055f55")), false).await.unwrap();
    let authority = net.account(1);
    let authorization =
        Authorization { chain_id: U256::from(net.chain.chain_id()), address: STRANGER, nonce: 0 };
    let signature = net.chain.sign_hash(authority, authorization.signature_hash()).unwrap();
    let unsigned = UnsignedTransaction::Eip7702(TxEip7702 {
        chain_id: net.chain.chain_id(),
        gas_limit: 200_000,
        max_fee_per_gas: 2_000_000_000,
        max_priority_fee_per_gas: 1,
        to: authority,
        authorization_list: vec![authorization.into_signed(signature)],
        ..TxEip7702::default()
    });
    let signed = net.chain.sign_transaction(net.account(0), unsigned).unwrap();
    net.chain.submit(signed).await.unwrap();
    let state = net.chain.state(BlockId::latest()).await.unwrap();
    let delegation = [&hex!("ef0100")[..], STRANGER.as_slice()].concat();
    assert_eq!(state.code(authority).unwrap(), delegation);
    assert_eq!(state.storage(authority, U256::ZERO).unwrap(), U256::from(5));
    assert_eq!(net.chain.next_nonce(authority).unwrap(), 1);
    net.send(net.transfer(1, 1)).await.unwrap();
    net.check_root().await;
}

#[tokio::test]
async fn deposits_and_withdrawal_requests_are_in_the_requests_hash() {
    let net = Devnet::start(NodeConfig::default());
    net.chain.seal(1, None).await.unwrap();
    assert_eq!(net.chain.head().header.requests_hash, Some(EMPTY_REQUESTS_HASH));
    let mut withdraw = net.transfer(0, 0);
    withdraw.value = 1;
    let to = TxKind::Call(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS);
    net.send_to(withdraw, to, Bytes::from(vec![7; 56])).await.unwrap();
    let head = net.chain.head();
    assert!(head.receipts[0].succeeded());
    let [request] = &head.requests[..] else { panic!("one kind of request") };
    assert_eq!((request[0], request.len()), (1, 77));
    assert_ne!(head.header.requests_hash, Some(EMPTY_REQUESTS_HASH));

    let contract = net.chain.spec().deposit_contract().unwrap();
    // Logs its call data as a deposit event.
    let code =
        hex!("365f5f377f649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5365fa1");
    net.chain.set_code(contract, Bytes::from(code), false).await.unwrap();
    let mut data = Vec::new();
    let fields: [(u64, usize, u8); 5] =
        [(160, 48, 1), (256, 32, 2), (320, 8, 3), (384, 96, 4), (512, 8, 5)];
    fields.iter().for_each(|(at, ..)| data.extend(U256::from(*at).to_be_bytes::<32>()));
    for (_, size, byte) in fields {
        data.extend(U256::from(size).to_be_bytes::<32>());
        data.extend(vec![byte; size]);
        data.resize(data.len().next_multiple_of(32), 0);
    }
    let mut deposit = net.transfer(0, 1);
    deposit.value = 0;
    net.send_to(deposit, TxKind::Call(contract), data.into()).await.unwrap();
    let head = net.chain.head();
    let want = fields.iter().flat_map(|(_, size, byte)| vec![*byte; *size]);
    assert_eq!(head.requests[0], [0].into_iter().chain(want).collect::<Vec<u8>>());
}

#[tokio::test]
async fn subscribers_hear_of_waiting_transactions_and_heads() {
    let net = Devnet::start(NodeConfig::default());
    let mut events = net.chain.subscribe();
    let hash = net.send(net.transfer(0, 0)).await.unwrap();
    assert!(matches!(events.recv().await, Ok(Event::Pending(tx)) if tx.hash == hash));
    assert!(matches!(events.recv().await, Ok(Event::Head(block)) if block.number() == 1));
}
