//! Blocks and transactions of a dump, in anvil's form.

use alloy_consensus::{Header, ReceiptEnvelope, Transaction, TxEnvelope};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, B256, Bytes, Log};
use genesis::Headers;
use serde::Serialize;
use serde_json::{Value, json};
use storage::{ExecutedBlock, TxReceipt};

use executor::impersonated_sender;

/// A block.
#[derive(Serialize)]
pub(super) struct BlockRow {
    header: Header,
    transactions: Vec<Included>,
    ommers: Vec<Header>,
    withdrawals: Option<Withdrawals>,
}

/// A transaction of a block, and who sent it if that is not what its signature says.
#[derive(Serialize)]
struct Included {
    transaction: TxEnvelope,
    impersonated_sender: Option<Address>,
}

impl From<ExecutedBlock> for BlockRow {
    fn from(block: ExecutedBlock) -> Self {
        let transactions = block.transactions.into_iter().map(|transaction| Included {
            impersonated_sender: impersonated_sender(transaction.signature()),
            transaction,
        });
        Self {
            header: block.header.into_inner(),
            transactions: transactions.collect(),
            ommers: block.ommers,
            withdrawals: block.withdrawals,
        }
    }
}

/// What came of a transaction.
#[derive(Serialize)]
pub(super) struct TransactionRow {
    info: Info,
    receipt: ReceiptEnvelope,
    block_hash: B256,
    block_number: u64,
}

#[derive(Serialize)]
struct Info {
    transaction_hash: B256,
    transaction_index: u64,
    from: Address,
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
        Self {
            transaction_hash: *transaction.tx_hash(),
            transaction_index: index,
            from,
            to,
            contract_address: contract,
            traces: [root],
            exit,
            out: None,
            nonce,
            gas_used,
        }
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
