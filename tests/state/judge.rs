//! One transaction of a state test, and whether it led to what the test says.

use std::collections::BTreeMap;

use alloy_consensus::{TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::Decodable2718;
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_trie::{TrieAccount, root};
use anyhow::Result;
use storage::StoreError;
use vm::{EngineError, TxError};

use super::{
    Verdict,
    chain::Chain,
    exclude,
    fixture::{Account, Post, Test},
};

/// Reasons for refusing bytes that already their decoder does not take: a value of more than 256
/// bits, blobs without a recipient, a gas price of more than 128 bits.
const UNDECODABLE: [&str; 3] =
    ["RLP_INVALID_VALUE", "TYPE_3_TX_CONTRACT_CREATION", "GASLIMIT_PRICE_PRODUCT_OVERFLOW"];

/// Runs a transaction, compares, and puts the chain back.
pub(super) fn run(chain: &mut Chain, test: &Test, post: &Post) -> Result<Verdict> {
    let (tx, sender) = match decode(&post.txbytes) {
        Ok(decoded) => decoded,
        Err(why) => return refused(chain, post, &UNDECODABLE, &why),
    };
    let (outcome, changes) = chain.execute(&executor::tx_env(&tx, sender))?;
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(EngineError::Invalid(error)) => {
            return refused(chain, post, names(&error), &error.to_string());
        }
        Err(error) => return Ok(Verdict::Failed(error.to_string())),
    };
    if let Some(expected) = &post.expect_exception {
        return Ok(Verdict::Failed(format!("{expected} expected, but the transaction ran")));
    }
    match chain.commit(&tx, sender, &outcome, &changes) {
        Ok(()) => {}
        Err(StoreError::BalanceTooLarge { .. }) => return Ok(Verdict::Excluded(exclude::GROWN)),
        Err(error) => return Err(error.into()),
    }
    let verdict = compare(chain, test, post)?;
    chain.rewind()?;
    Ok(verdict)
}

fn decode(bytes: &[u8]) -> Result<(TxEnvelope, Address), String> {
    let mut rest = bytes;
    let tx = TxEnvelope::decode_2718(&mut rest).map_err(|error| error.to_string())?;
    if !rest.is_empty() {
        return Err(format!("{} bytes too many", rest.len()));
    }
    let sender = tx.recover_signer().map_err(|error| error.to_string())?;
    Ok((tx, sender))
}

/// A refused transaction is right if the test expects one of these reasons and nothing changed.
fn refused(chain: &Chain, post: &Post, names: &[&str], why: &str) -> Result<Verdict> {
    let Some(expected) = &post.expect_exception else {
        return Ok(Verdict::Failed(format!("refused: {why}")));
    };
    let reasons = expected.split('|').map(|name| name.rsplit('.').next().unwrap_or(name));
    if !reasons.into_iter().any(|reason| names.contains(&reason)) {
        return Ok(Verdict::Failed(format!("{expected} expected, but refused: {why}")));
    }
    Ok(verdict_of(differences(&chain.state()?, post)))
}

fn compare(chain: &Chain, _test: &Test, post: &Post) -> Result<Verdict> {
    let mut found = differences(&chain.state()?, post);
    let mut logs = Vec::new();
    alloy_rlp::encode_list(&chain.logs()?, &mut logs);
    let logs = keccak256(logs);
    if logs != post.logs {
        found.push(format!("hash of the logs is {logs}, expected {}", post.logs));
    }
    Ok(verdict_of(found))
}

fn verdict_of(differences: Vec<String>) -> Verdict {
    if differences.is_empty() {
        return Verdict::Passed;
    }
    Verdict::Failed(differences.join("; "))
}

/// Where the state is not what the test says: account by account if it has them, then the root.
fn differences(state: &BTreeMap<Address, Account>, post: &Post) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(expected) = &post.state {
        for (address, account) in expected {
            if state.get(address) != Some(account) {
                found.push(format!("{address} is {:?}, expected {account:?}", state.get(address)));
            }
        }
        for address in state.keys().filter(|address| !expected.contains_key(*address)) {
            found.push(format!("{address} is there"));
        }
    }
    let root = mpt_root(state);
    if root != post.hash {
        found.push(format!("the Merkle Patricia root is {root}, expected {}", post.hash));
    }
    found
}

/// The root that Ethereum's own tree has over this state.
fn mpt_root(state: &BTreeMap<Address, Account>) -> B256 {
    root::state_root_unhashed(state.iter().map(|(address, account)| {
        let slots = account.storage.iter().map(|(slot, value)| (B256::from(*slot), *value));
        let account = TrieAccount {
            nonce: account.nonce.saturating_to(),
            balance: account.balance,
            storage_root: root::storage_root_unhashed(
                slots.filter(|(_, value)| *value != U256::ZERO),
            ),
            code_hash: keccak256(&account.code),
        };
        (*address, account)
    }))
}

/// What the suites call a reason for refusing a transaction.
const fn names(error: &TxError) -> &'static [&'static str] {
    match error {
        TxError::NonceTooLow { .. } => &["NONCE_MISMATCH_TOO_LOW"],
        TxError::NonceTooHigh { .. } => &["NONCE_MISMATCH_TOO_HIGH"],
        TxError::NonceMax { .. } => &["NONCE_IS_MAX"],
        TxError::SenderHasCode { .. } => &["SENDER_NOT_EOA"],
        TxError::InsufficientFunds { .. } => &["INSUFFICIENT_ACCOUNT_FUNDS"],
        TxError::CostOverflow { .. } => {
            &["GASLIMIT_PRICE_PRODUCT_OVERFLOW", "INSUFFICIENT_ACCOUNT_FUNDS"]
        }
        TxError::IntrinsicGas { .. } => &["INTRINSIC_GAS_TOO_LOW"],
        TxError::FloorGas { .. } => {
            &["INTRINSIC_GAS_BELOW_FLOOR_GAS_COST", "INTRINSIC_GAS_TOO_LOW"]
        }
        TxError::BlockGasLimit { .. } => &["GAS_ALLOWANCE_EXCEEDED"],
        TxError::GasLimitTooHigh { .. } => &["GAS_LIMIT_EXCEEDS_MAXIMUM"],
        TxError::FeeTooLow { .. } => &["INSUFFICIENT_MAX_FEE_PER_GAS"],
        TxError::TipAboveFee { .. } => &["PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS"],
        TxError::BlobFeeTooLow { .. } => &["INSUFFICIENT_MAX_FEE_PER_BLOB_GAS"],
        TxError::InitCodeSize { .. } => &["INITCODE_SIZE_EXCEEDED"],
        TxError::TypeNotSupported { .. } => &["TYPE_3_TX_PRE_FORK"],
        TxError::BlobsMissing => &["TYPE_3_TX_ZERO_BLOBS"],
        TxError::BlobsTooMany { .. } => {
            &["TYPE_3_TX_BLOB_COUNT_EXCEEDED", "TYPE_3_TX_MAX_BLOB_GAS_ALLOWANCE_EXCEEDED"]
        }
        TxError::BlobVersion => &["TYPE_3_TX_INVALID_BLOB_VERSIONED_HASH"],
        TxError::BlobCreate => &["TYPE_3_TX_CONTRACT_CREATION"],
        TxError::AuthorizationsMissing => &["TYPE_4_EMPTY_AUTHORIZATION_LIST"],
        TxError::AuthorizationsCreate => &["TYPE_4_TX_CONTRACT_CREATION"],
        _ => &[],
    }
}
