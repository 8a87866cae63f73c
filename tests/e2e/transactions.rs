//! Every type of transaction, and the refusals of those that are wrong.

use alloy::{
    consensus::{SidecarBuilder, SimpleCoder, TxType},
    eips::{
        Encodable2718,
        eip2930::{AccessList, AccessListItem},
        eip7594::BlobTransactionSidecarEip7594,
        eip7702::Authorization,
    },
    network::{TransactionBuilder, TransactionBuilder4844, TransactionBuilder7702},
    primitives::{Address, B256, TxKind, U256},
    providers::Provider,
    rpc::types::TransactionRequest,
    signers::SignerSync,
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tandem_tests::{
    Node,
    sign::{self, Request},
};

use crate::support::{address, connect, succeed};

fn transfer() -> Result<TransactionRequest> {
    let to = Address::repeat_byte(0x77);
    Ok(TransactionRequest::default().with_from(address(0)?).with_to(to).with_value(U256::from(3)))
}

#[tokio::test]
async fn every_type_is_sealed_and_read_back() -> Result<()> {
    let node = Node::start(&[])?;
    let provider = connect(&node)?;
    let item = AccessListItem { address: address(1)?, storage_keys: vec![B256::ZERO] };
    let price = 3_000_000_000;
    let authorization = Authorization {
        chain_id: U256::from(sign::CHAIN_ID),
        address: Address::repeat_byte(0x11),
        nonce: 0,
    };
    let authority = sign::account(3)?;
    let signature = authority.sign_hash_sync(&authorization.signature_hash())?;
    let blobs = SidecarBuilder::<SimpleCoder>::from_slice(b"a blob")
        .build::<BlobTransactionSidecarEip7594>()?;
    let mut with_blobs = transfer()?.with_max_fee_per_blob_gas(1_000_000_000);
    with_blobs.set_blob_sidecar(blobs.into());
    let cases = [
        (TxType::Legacy, transfer()?.with_gas_price(price)),
        (
            TxType::Eip2930,
            transfer()?.with_gas_price(price).with_access_list(AccessList(vec![item])),
        ),
        (TxType::Eip1559, transfer()?),
        (TxType::Eip4844, with_blobs),
        (
            TxType::Eip7702,
            transfer()?.with_authorization_list(vec![authorization.into_signed(signature)]),
        ),
    ];
    for (kind, request) in cases {
        let receipt = succeed(&provider, request).await.with_context(|| format!("{kind:?}"))?;
        ensure!(receipt.transaction_type() == kind, "{receipt:?}");
        ensure!(receipt.blob_gas_used.is_some() == (kind == TxType::Eip4844), "{receipt:?}");
        let hash = receipt.transaction_hash;
        let tx = provider.get_transaction_by_hash(hash).await?.context("no transaction")?;
        ensure!(tx.inner.tx_type() == kind && tx.block_hash == receipt.block_hash, "{tx:?}");
        let raw: Value = node.client()?.call("eth_getRawTransactionByHash", json!([hash]))?;
        let expected = alloy::primitives::hex::encode_prefixed(tx.inner.encoded_2718());
        ensure!(kind == TxType::Eip4844 || raw == expected, "{raw}");
    }
    let balance = provider.get_balance(Address::repeat_byte(0x77)).await?;
    ensure!(balance == U256::from(15), "five transfers of 3: {balance}");
    let code = provider.get_code_at(authority.address()).await?;
    ensure!(code[..3] == [0xef, 0x01, 0x00] && code.len() == 23, "delegated: {code}");
    Ok(())
}

/// Sends a raw transaction that has to be refused with these words.
fn check_refused(node: &Node, request: Request, words: &str) -> Result<()> {
    let raw = request.raw(&sign::account(0)?)?;
    let error = node.client()?.refused("eth_sendRawTransaction", json!([raw]))?;
    ensure!(error.code == -32000, "{words}: code {}", error.code);
    ensure!(error.message.starts_with(words), "{words}: {}", error.message);
    Ok(())
}

#[test]
fn refusals_have_geths_words() -> Result<()> {
    let node = Node::start(&[])?;
    let to = Address::repeat_byte(1);
    let mut client = node.client()?;
    let first = Request::transfer(0, to, U256::from(1)).raw(&sign::account(0)?)?;
    client.call("eth_sendRawTransaction", json!([first]))?;
    check_refused(&node, Request::transfer(0, to, U256::from(2)), "nonce too low")?;
    check_refused(
        &node,
        Request::transfer(1, to, U256::MAX >> 100),
        "insufficient funds for gas * price + value",
    )?;
    let few = Request { gas_limit: 20_999, ..Request::transfer(1, to, U256::ZERO) };
    check_refused(&node, few, "intrinsic gas too low")?;
    let much = Request { gas_limit: 1 << 50, ..Request::transfer(1, to, U256::ZERO) };
    check_refused(&node, much, "exceeds block gas limit")?;
    let garbage = client.refused("eth_sendRawTransaction", json!(["0x02c0"]))?;
    ensure!(garbage.code == -32602 || garbage.code == -32000, "{garbage}");
    Ok(())
}

#[test]
fn a_revert_is_an_error_with_its_data() -> Result<()> {
    let node = Node::start(&[])?;
    // PUSH32 "no" as Error(string) would be long: it reverts with four bytes, 0xdeadbeef.
    let code = "0x63deadbeef6000526004601cfd";
    let call = json!([{"to": null, "data": code}, "latest"]);
    let error = node.client()?.refused("eth_call", call.clone())?;
    ensure!(error.code == 3 && error.data == "0xdeadbeef", "{error}");
    ensure!(error.message.starts_with("execution reverted"), "{error}");
    let error = node.client()?.refused("eth_estimateGas", call)?;
    ensure!(error.code == 3 && error.data == "0xdeadbeef", "{error}");
    Ok(())
}

#[test]
fn transactions_with_a_gap_wait_for_it_to_close() -> Result<()> {
    let node = Node::start(&[])?;
    let mut client = node.client()?;
    let signer = sign::account(0)?;
    let to = Address::repeat_byte(2);
    let later = Request::transfer(1, to, U256::from(1)).raw(&signer)?;
    let later = client.call("eth_sendRawTransaction", json!([later]))?;
    ensure!(client.call("eth_getTransactionReceipt", json!([later]))?.is_null(), "it waits");
    let status = client.call("txpool_status", json!([]))?;
    ensure!(status == json!({"pending": "0x0", "queued": "0x1"}), "{status}");
    let now = Request { to: TxKind::Call(to), ..Request::transfer(0, to, U256::from(1)) };
    client.call("eth_sendRawTransaction", json!([now.raw(&signer)?]))?;
    let receipt = client.call("eth_getTransactionReceipt", json!([later]))?;
    ensure!(receipt["status"] == "0x1", "{receipt}");
    Ok(())
}
