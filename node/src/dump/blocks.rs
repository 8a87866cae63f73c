//! Blocks and transactions of a dump, in anvil's form.

use alloy_consensus::{Header, Receipt, ReceiptEnvelope, Transaction, TxEnvelope, TxReceipt as _};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, B256, Bytes, Log};
use genesis::Headers;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use storage::{ExecutedBlock, TxReceipt};

use executor::{impersonated_sender, without_sidecar};

/// A block.
#[derive(Serialize, Deserialize)]
pub(super) struct BlockRow {
    pub(super) header: Header,
    pub(super) transactions: Vec<Included>,
    #[serde(default)]
    pub(super) ommers: Vec<Header>,
    #[serde(default)]
    pub(super) withdrawals: Option<Withdrawals>,
}

/// A transaction of a block, and who sent it if that is not what its signature says. Old dumps
/// have the transaction by itself.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Included(Value);

impl Included {
    fn new((transaction, sender): (TxEnvelope, Address)) -> Self {
        let is_impersonated = impersonated_sender(transaction.signature()).is_some();
        Self(json!({
            "impersonated_sender": is_impersonated.then_some(sender),
            "transaction": transaction,
        }))
    }

    /// The transaction as a block holds it, under the hash that the dumping node has for it.
    pub(super) fn read(mut self, sender: Address) -> Result<TxEnvelope, serde_json::Error> {
        let wrapped = self.0.get_mut("transaction").map(Value::take);
        let transaction = serde_json::from_value(wrapped.unwrap_or(self.0))?;
        Ok(storage::dumped_transaction(without_sidecar(transaction), sender))
    }
}

impl From<ExecutedBlock> for BlockRow {
    fn from(block: ExecutedBlock) -> Self {
        let transactions = block.transactions.into_iter().zip(block.senders).map(Included::new);
        Self {
            header: block.header.into_inner(),
            transactions: transactions.collect(),
            ommers: block.ommers,
            withdrawals: block.withdrawals,
        }
    }
}

/// What came of a transaction.
#[derive(Serialize, Deserialize)]
pub(super) struct TransactionRow {
    info: Info,
    receipt: ReceiptEnvelope,
    block_hash: B256,
    block_number: u64,
}

#[derive(Serialize, Deserialize)]
struct Info {
    transaction_index: u64,
    from: Address,
    /// What nobody reads: it follows from the rest.
    #[serde(flatten, skip_deserializing)]
    more: Option<More>,
}

#[derive(Serialize)]
struct More {
    transaction_hash: B256,
    to: Option<Address>,
    contract_address: Option<Address>,
    /// anvil keeps the trace; of a sealed transaction only its outermost call is known.
    traces: [Value; 1],
    exit: &'static str,
    out: Option<Bytes>,
    nonce: u64,
    gas_used: u64,
}

impl TransactionRow {
    /// Its block's hash and its place there.
    pub(super) const fn place(&self) -> (B256, u64) {
        (self.block_hash, self.info.transaction_index)
    }

    /// Who sent it, and its receipt.
    pub(super) fn into_outcome(self) -> (Address, TxReceipt) {
        let (tx_type, status) = (self.receipt.tx_type(), self.receipt.status_or_post_state());
        let cumulative_gas_used = self.receipt.cumulative_gas_used();
        let logs = self.receipt.logs().to_vec();
        let receipt = Receipt { status, cumulative_gas_used, logs };
        (self.info.from, TxReceipt { tx_type, receipt })
    }

    /// The transactions of a block.
    pub(super) fn all_of(block: &ExecutedBlock, headers: Headers) -> Vec<Self> {
        let (hash, number) = (block.hash(), block.number());
        let mut gas_before = 0;
        let all = block.transactions.iter().zip(&block.senders).zip(&block.receipts).zip(0..);
        all.map(|(((transaction, sender), receipt), index)| {
            let gas_used = receipt.receipt.cumulative_gas_used - gas_before;
            gas_before = receipt.receipt.cumulative_gas_used;
            Self {
                info: Info::new(transaction, (*sender, index), (receipt, gas_used)),
                receipt: receipt.envelope(headers),
                block_hash: hash,
                block_number: number,
            }
        })
        .collect()
    }
}

impl Info {
    fn new(
        transaction: &TxEnvelope,
        (from, index): (Address, u64),
        (receipt, gas_used): (&TxReceipt, u64),
    ) -> Self {
        let (nonce, to) = (transaction.nonce(), transaction.to());
        let contract = to.is_none().then(|| from.create(nonce));
        let exit = if receipt.succeeded() { "Stop" } else { "Revert" };
        let call = json!({
            "depth": 0,
            "success": receipt.succeeded(),
            "caller": from,
            "address": to.or(contract),
            "maybe_precompile": null,
            "selfdestruct_address": null,
            "selfdestruct_refund_target": null,
            "selfdestruct_transferred_value": null,
            "kind": if to.is_some() { "CALL" } else { "CREATE" },
            "value": transaction.value(),
            "data": transaction.input(),
            "output": "0x",
            "gas_used": gas_used,
            "gas_limit": transaction.gas_limit(),
            "gas_refund_counter": 0,
            "status": exit,
            "steps": [],
            "decoded": null,
        });
        let logs = &receipt.receipt.logs;
        let root = json!({
            "parent": null,
            "children": [],
            "idx": 0,
            "trace": call,
            "logs": logs.iter().enumerate().map(log).collect::<Vec<_>>(),
            "ordering": (0..logs.len()).map(|index| json!({"Log": index})).collect::<Vec<_>>(),
        });
        // anvil looks for it by the hash that it works out itself.
        let is_impersonated = impersonated_sender(transaction.signature()).is_some();
        let transaction_hash = if is_impersonated {
            storage::unsigned_hash(transaction, from)
        } else {
            *transaction.tx_hash()
        };
        let more = More {
            transaction_hash,
            to,
            contract_address: contract,
            traces: [root],
            exit,
            out: None,
            nonce,
            gas_used,
        };
        Self { transaction_index: index, from, more: Some(more) }
    }
}

fn log((index, log): (usize, &Log)) -> Value {
    let raw = json!({"topics": log.topics(), "data": log.data.data});
    json!({
        "address": log.address,
        "raw_log": raw,
        "decoded": null,
        "position": 0,
        "index": index,
    })
}
