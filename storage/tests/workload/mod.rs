//! Chains for the tests: blocks with transactions and logs, state changes, all from numbers.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use alloy_consensus::{
    Eip658Value, Header, Receipt, Sealable, SignableTransaction, TxEnvelope, TxLegacy, TxType,
    proofs::{calculate_receipt_root, calculate_transaction_root},
};
use alloy_primitives::{Address, B256, Bytes, Log, Signature, TxKind, U256, keccak256};
use genesis::{Genesis, Headers};
use revm::{
    bytecode::Bytecode,
    database::states::StorageSlot,
    database::{AccountStatus, BundleAccount, BundleState, StorageWithOriginalValues},
    state::AccountInfo,
};
use std::path::Path;
use tandem_storage::{
    Durability, ExecutedBlock, OpenOptions, Store, TreeLimits, TxReceipt, Writer,
};

/// What an account becomes.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub address: Address,
    /// `None` removes the account.
    pub fields: Option<Fields>,
    /// Whether the storage goes first.
    pub wiped: bool,
    pub slots: Vec<(U256, U256)>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    pub nonce: u64,
    pub balance: u128,
    pub code: Bytes,
}

pub fn address(index: u64) -> Address {
    Address::from_word(keccak256(index.to_be_bytes()))
}

pub fn word(index: u64) -> B256 {
    keccak256((index ^ 0x5555).to_be_bytes())
}

pub fn bundle(changes: &[Change]) -> BundleState {
    let mut bundle = BundleState::default();
    for change in changes {
        let info = change.fields.as_ref().map(|fields| {
            let code = Bytecode::new_raw_checked(fields.code.clone())
                .unwrap_or_else(|_| Bytecode::new_legacy(fields.code.clone()));
            let code_hash = keccak256(&fields.code);
            bundle.contracts.insert(code_hash, code);
            AccountInfo {
                nonce: fields.nonce,
                balance: U256::from(fields.balance),
                code_hash,
                code: None,
                ..Default::default()
            }
        });
        let storage: StorageWithOriginalValues = change
            .slots
            .iter()
            .map(|(slot, value)| (*slot, StorageSlot::new_changed(U256::ZERO, *value)))
            .collect();
        let status = match (&info, change.wiped) {
            (None, _) => AccountStatus::Destroyed,
            (Some(_), true) => AccountStatus::DestroyedChanged,
            (Some(_), false) => AccountStatus::Changed,
        };
        bundle.state.insert(change.address, BundleAccount::new(None, info, storage, status));
    }
    bundle
}

pub fn transaction(number: u64, index: u64) -> TxEnvelope {
    let legacy = TxLegacy {
        chain_id: Some(1337),
        nonce: number * 1000 + index,
        gas_price: 7,
        gas_limit: 21_000,
        to: TxKind::Call(address(index)),
        value: U256::from(number),
        input: Bytes::new(),
    };
    let signature = Signature::new(U256::from(number + 1), U256::from(index + 1), false);
    legacy.into_signed(signature).into()
}

/// Who a transaction of these chains is from.
pub fn sender(transaction: &TxEnvelope) -> Option<Address> {
    use alloy_consensus::Transaction;
    Some(address(100 + transaction.nonce() % 1000))
}

/// A block with one transaction for each list of logs.
pub fn block(number: u64, parent: B256, state_root: B256, logs: Vec<Vec<Log>>) -> ExecutedBlock {
    let transactions: Vec<_> =
        (0..logs.len() as u64).map(|index| transaction(number, index)).collect();
    let receipts = (1u64..).zip(logs).map(|(count, logs)| TxReceipt {
        tx_type: TxType::Legacy,
        receipt: Receipt {
            status: Eip658Value::Eip658(count % 3 != 0),
            cumulative_gas_used: count * 21_000,
            logs,
        },
    });
    let receipts: Vec<_> = receipts.collect();
    let envelopes: Vec<_> =
        receipts.iter().map(|receipt: &TxReceipt| receipt.envelope(Headers::Tandem)).collect();
    let header = Header {
        number,
        parent_hash: parent,
        state_root,
        transactions_root: calculate_transaction_root(&transactions),
        receipts_root: calculate_receipt_root(&envelopes),
        timestamp: 1_000_000 + number * 12,
        ..Default::default()
    };
    ExecutedBlock {
        header: header.seal_slow(),
        senders: (0..transactions.len() as u64).map(|index| address(100 + index)).collect(),
        transactions,
        receipts,
        ommers: Vec::new(),
        withdrawals: None,
        requests: Vec::new(),
    }
}

pub fn genesis(chain_id: u64) -> Genesis {
    let json = format!(
        r#"{{"config": {{"chainId": {chain_id}, "homesteadBlock": 0}}, "gasLimit": "0x1c9c380",
            "difficulty": "0x1", "alloc": {{
                "0x00000000000000000000000000000000000000aa": {{"balance": "0x64", "nonce": "0x3"}},
                "0x00000000000000000000000000000000000000bb": {{"balance": "0x0",
                    "code": "0x60016002550000", "storage": {{"0x05": "0x07", "0x1000": "0x09"}}}}
            }}}}"#
    );
    Genesis::from_json(&json).expect("the test's genesis is sound")
}

pub fn options(path: &Path, durability: Durability) -> OpenOptions {
    OpenOptions { path: path.into(), durability, size_max: 1 << 30, prune: None, temporary: false }
}

pub fn open(path: &Path) -> (Store, Writer) {
    open_within(path, TreeLimits::default())
}

pub fn open_within(path: &Path, limits: TreeLimits) -> (Store, Writer) {
    let options = options(path, Durability::Process);
    Store::open_within(&options, &genesis(1337), limits).expect("the store opens")
}
