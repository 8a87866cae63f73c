//! One suite for the ERC-20 in Solidity and the one for RISC-V: a wallet can't tell them apart.

use alloy::{
    primitives::{Address, B256, U256, keccak256},
    providers::{DynProvider, Provider},
    rpc::types::Filter,
    signers::SignerSync,
    sol,
    sol_types::{SolError, SolEvent, SolStruct, SolValue, eip712_domain},
};
use anyhow::{Context, Result, ensure};
use tandem_tests::{
    Node,
    contracts::{self, MACHINES, Machine},
    sign,
};

use crate::support::{Token, address, connect, deploy};

sol! {
    struct Permit {
        address owner;
        address spender;
        uint256 value;
        uint256 nonce;
        uint256 deadline;
    }
}

const SUPPLY: u64 = 1_000_000;
type Instance = Token::TokenInstance<DynProvider>;

fn arguments() -> Result<Vec<u8>> {
    let values = ("Tandem Token", "TDM", U256::from(SUPPLY), address(0)?);
    Ok(values.abi_encode_params())
}

fn units(value: u64) -> U256 {
    U256::from(value)
}

/// What a refused call says, as the error `E` of the contract.
fn refusal<E: SolError, T>(answer: Result<T, alloy::contract::Error>) -> Result<E> {
    let error = answer.err().context("it was not refused")?;
    error.as_decoded_error::<E>().with_context(|| format!("{error}"))
}

async fn describes_itself(token: &Instance) -> Result<()> {
    ensure!(token.name().call().await? == "Tandem Token", "name");
    ensure!(token.symbol().call().await? == "TDM", "symbol");
    ensure!(token.decimals().call().await? == 18, "decimals");
    ensure!(token.owner().call().await? == address(0)?, "owner");
    ensure!(token.totalSupply().call().await? == units(SUPPLY), "supply");
    ensure!(token.balanceOf(address(0)?).call().await? == units(SUPPLY), "balance");
    Ok(())
}

async fn moves(token: &Instance) -> Result<()> {
    let friend = address(1)?;
    let receipt = token.transfer(friend, units(100)).send().await?.get_receipt().await?;
    ensure!(receipt.status(), "transfer");
    let log = receipt.logs().first().context("no log")?;
    let event = log.log_decode::<Token::Transfer>()?.inner.data;
    ensure!((event.from, event.to, event.value) == (address(0)?, friend, units(100)), "event");
    ensure!(token.balanceOf(friend).call().await? == units(100), "balance");
    let error = token.transfer(friend, units(1)).from(address(2)?).call().await;
    let refused = refusal::<Token::ERC20InsufficientBalance, _>(error)?;
    ensure!(refused.needed == units(1) && refused.sender == address(2)?, "{refused:?}");
    let error = token.transfer(Address::ZERO, units(1)).call().await;
    refusal::<Token::ERC20InvalidReceiver, _>(error)?;
    Ok(())
}

async fn lends(token: &Instance) -> Result<()> {
    let (owner, spender, to) = (address(0)?, address(2)?, address(3)?);
    token.approve(spender, units(50)).send().await?.get_receipt().await?;
    ensure!(token.allowance(owner, spender).call().await? == units(50), "allowance");
    let pulled = token.transferFrom(owner, to, units(20)).from(spender).send().await?;
    ensure!(pulled.get_receipt().await?.status(), "transferFrom");
    ensure!(token.allowance(owner, spender).call().await? == units(30), "allowance left");
    let more = token.transferFrom(owner, to, units(31)).from(spender).call().await;
    let refused = refusal::<Token::ERC20InsufficientAllowance, _>(more)?;
    ensure!(refused.allowance == units(30) && refused.needed == units(31), "{refused:?}");
    token.approve(spender, U256::MAX).send().await?.get_receipt().await?;
    token.transferFrom(owner, to, units(1)).from(spender).send().await?.get_receipt().await?;
    ensure!(token.allowance(owner, spender).call().await? == U256::MAX, "endless allowance");
    Ok(())
}

async fn mints_and_burns(token: &Instance) -> Result<()> {
    let before = token.totalSupply().call().await?;
    token.mint(address(3)?, units(7)).send().await?.get_receipt().await?;
    ensure!(token.totalSupply().call().await? == before + units(7), "minted");
    token.burn(units(5)).send().await?.get_receipt().await?;
    ensure!(token.totalSupply().call().await? == before + units(2), "burnt");
    let error = token.mint(address(1)?, units(1)).from(address(1)?).call().await;
    let refused = refusal::<Token::OwnableUnauthorizedAccount, _>(error)?;
    ensure!(refused.account == address(1)?, "{refused:?}");
    Ok(())
}

async fn takes_permits(token: &Instance) -> Result<()> {
    let owner = sign::account(1)?;
    let (spender, value, deadline) = (address(2)?, units(9), units(1 << 40));
    let nonce = token.nonces(owner.address()).call().await?;
    let domain = eip712_domain! {
        name: "Tandem Token",
        version: "1",
        chain_id: sign::CHAIN_ID,
        verifying_contract: *token.address(),
    };
    ensure!(token.DOMAIN_SEPARATOR().call().await? == domain.separator(), "domain");
    let permit = Permit { owner: owner.address(), spender, value, nonce, deadline };
    let signature = owner.sign_hash_sync(&permit.eip712_signing_hash(&domain))?;
    let (v, r, s) = (27 + u8::from(signature.v()), signature.r().into(), signature.s().into());
    let call = token.permit(owner.address(), spender, value, deadline, v, r, s);
    ensure!(call.send().await?.get_receipt().await?.status(), "permit");
    ensure!(token.allowance(owner.address(), spender).call().await? == value, "allowance");
    ensure!(token.nonces(owner.address()).call().await? == nonce + units(1), "nonce");
    let again = token.permit(owner.address(), spender, value, deadline, v, r, s).call().await;
    refusal::<Token::ERC2612InvalidSigner, _>(again)?;
    let late = token.permit(owner.address(), spender, value, units(1), v, r, s).call().await;
    refusal::<Token::ERC2612ExpiredSignature, _>(late)?;
    Ok(())
}

async fn keeps_solidity_layout(provider: &DynProvider, token: &Instance) -> Result<()> {
    let key = |slot: u64| keccak256((address(1).unwrap_or_default(), units(slot)).abi_encode());
    let balance = provider.get_storage_at(*token.address(), key(0).into()).await?;
    ensure!(balance == token.balanceOf(address(1)?).call().await?, "balances are at slot 0");
    let supply = provider.get_storage_at(*token.address(), units(2)).await?;
    ensure!(supply == token.totalSupply().call().await?, "the supply is at slot 2");
    Ok(())
}

async fn logs_are_found(provider: &DynProvider, token: &Instance) -> Result<()> {
    let filter = Filter::new()
        .address(*token.address())
        .event_signature(Token::Transfer::SIGNATURE_HASH)
        .topic2(B256::left_padding_from(address(1)?.as_slice()))
        .from_block(0);
    let logs = provider.get_logs(&filter).await?;
    ensure!(logs.len() == 1, "{} transfers to the friend", logs.len());
    let value = logs[0].log_decode::<Token::Transfer>()?.inner.value;
    ensure!(value == units(100), "{value}");
    Ok(())
}

async fn suite(provider: &DynProvider, token: Address) -> Result<()> {
    let token = Token::new(token, provider.clone());
    describes_itself(&token).await?;
    moves(&token).await?;
    lends(&token).await?;
    mints_and_burns(&token).await?;
    takes_permits(&token).await?;
    keeps_solidity_layout(provider, &token).await?;
    logs_are_found(provider, &token).await
}

#[tokio::test]
async fn both_tokens_pass_the_same_suite() -> Result<()> {
    let node = Node::start(&[])?;
    let provider = connect(&node)?;
    for machine in MACHINES {
        let token = deploy(&provider, machine, "Token", &arguments()?).await?;
        suite(&provider, token).await.with_context(|| format!("{machine:?}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn a_token_from_rv_deploy_passes_the_suite() -> Result<()> {
    let node = Node::start(&[])?;
    let provider = connect(&node)?;
    let image = alloy::primitives::Bytes::from(contracts::image("Token")?);
    let arguments = alloy::primitives::Bytes::from(arguments()?);
    let request = serde_json::json!([{
        "image": image, "args": arguments, "from": address(0)?,
    }]);
    let answer: serde_json::Value = provider.raw_request("rv_deploy".into(), request).await?;
    let token: Address = serde_json::from_value(answer["address"].clone())?;
    let hash: B256 = serde_json::from_value(answer["transactionHash"].clone())?;
    let receipt = provider.get_transaction_receipt(hash).await?.context("no receipt")?;
    ensure!(receipt.contract_address == Some(token), "{receipt:?}");
    suite(&provider, token).await?;
    let code = provider.get_code_at(token).await?;
    let empty_tail = contracts::container(&contracts::image("Token")?)?;
    ensure!(code.starts_with(&empty_tail), "the account holds the image in a container");
    ensure!(Machine::Riscv.init_code("Token", &[])? == empty_tail, "init code is a container");
    Ok(())
}
