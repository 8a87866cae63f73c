//! What the tests share: a wallet's provider for a node, and deployments of both kinds.

#![allow(
    clippy::too_many_arguments,
    reason = "the functions of a contract have as many as it says"
)]

use std::time::Duration;

use alloy::{
    network::{EthereumWallet, TransactionBuilder},
    primitives::Address,
    providers::{DynProvider, Provider, ProviderBuilder},
    rpc::types::{TransactionReceipt, TransactionRequest},
    sol,
};
use anyhow::{Context, Result, ensure};
use tandem_tests::{Node, contracts::Machine, sign};

sol! {
    #[sol(rpc, all_derives = true)]
    contract Token {
        event Transfer(address indexed from, address indexed to, uint256 value);
        event Approval(address indexed owner, address indexed spender, uint256 value);
        error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed);
        error ERC20InvalidReceiver(address receiver);
        error ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed);
        error OwnableUnauthorizedAccount(address account);
        error ERC2612ExpiredSignature(uint256 deadline);
        error ERC2612InvalidSigner(address signer, address owner);
        function name() returns (string);
        function symbol() returns (string);
        function decimals() returns (uint8);
        function owner() returns (address);
        function totalSupply() returns (uint256);
        function balanceOf(address account) returns (uint256);
        function allowance(address owner, address spender) returns (uint256);
        function transfer(address to, uint256 value) returns (bool);
        function approve(address spender, uint256 value) returns (bool);
        function transferFrom(address from, address to, uint256 value) returns (bool);
        function mint(address to, uint256 value);
        function burn(uint256 value);
        function DOMAIN_SEPARATOR() returns (bytes32);
        function nonces(address owner) returns (uint256);
        function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s);
    }

    #[sol(rpc, all_derives = true)]
    contract PingPong {
        event Hit(address indexed by, uint256 indexed depth, uint256 hits, uint256 value);
        event Caught(address indexed peer, bytes reason);
        error Bottom(address player, uint256 hits);
        function hits() returns (uint256);
        function sum() returns (uint256);
        function lastCaller() returns (address);
        function play(address peer, uint256 depth) payable returns (uint256);
        function fail(address peer, uint256 depth) returns (uint256);
        function survive(address peer, uint256 depth) returns (bytes);
        function score(address peer) returns (uint256, uint256);
        function call(address target, bytes data) payable returns (bytes);
        function staticCall(address target, bytes data) returns (bytes);
        function delegateCall(address target, bytes data) payable returns (bytes);
    }

    #[sol(rpc, all_derives = true)]
    contract Factory {
        event Created(address indexed child, address indexed by, bytes32 code_hash);
        error CreationFailed();
        function count() returns (uint256);
        function children(uint256 index) returns (address);
        function create(bytes code) payable returns (address);
        function create2(bytes code, bytes32 salt) payable returns (address);
        function createLike(address template, bytes arguments) payable returns (address);
    }
}

/// Accounts in the wallet.
const ACCOUNTS: u32 = 5;

/// The address of a dev account.
pub(crate) fn address(index: u32) -> Result<Address> {
    Ok(sign::account(index)?.address())
}

/// A provider over HTTP whose wallet holds the first dev accounts; the first one sends.
pub(crate) fn connect(node: &Node) -> Result<DynProvider> {
    let mut wallet = EthereumWallet::from(sign::account(0)?);
    for index in 1..ACCOUNTS {
        wallet.register_signer(sign::account(index)?);
    }
    let provider = ProviderBuilder::new().wallet(wallet).connect_http(node.url().parse()?);
    provider.client().set_poll_interval(Duration::from_millis(20));
    Ok(provider.erased())
}

/// Sends a transaction and returns its receipt, which has to say success.
pub(crate) async fn succeed(
    provider: &DynProvider,
    request: TransactionRequest,
) -> Result<TransactionReceipt> {
    let receipt = provider.send_transaction(request).await?.get_receipt().await?;
    ensure!(receipt.status(), "{} failed", receipt.transaction_hash);
    Ok(receipt)
}

/// Deploys a contract of the repository by an ordinary creation transaction.
pub(crate) async fn deploy(
    provider: &DynProvider,
    machine: Machine,
    contract: &str,
    arguments: &[u8],
) -> Result<Address> {
    let code = machine.init_code(contract, arguments)?;
    let request = TransactionRequest::default().with_deploy_code(code).with_from(address(0)?);
    let receipt = succeed(provider, request).await?;
    receipt.contract_address.context("a creation without an address")
}
