//! Receipts and logs as alloy writes them, in one pass.
//!
//! alloy's types are flattened into each other, which serde does entry by entry, and serde_json
//! looks through all their digits for characters to escape.

use alloy_consensus::{Eip658Value, ReceiptEnvelope};
use alloy_primitives::{B256, U64, U128};
use alloy_rpc_types_eth::{Log, TransactionReceipt};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// A log. [`Answer::with`](crate::methods::Answer::with) writes it; other serializers have no hex
/// digits for bytes.
#[derive(Debug)]
pub(crate) struct PlainLog(pub(crate) Log);

/// A receipt, for the same writer.
#[derive(Debug)]
pub(crate) struct PlainReceipt(pub(crate) TransactionReceipt);

/// Bytes as hex digits.
struct Digits<'a>(&'a [u8]);

/// Things as what writes them.
struct Each<'a, T, W>(&'a [T], fn(&'a T) -> W);

impl Serialize for Digits<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'a, T, W: Serialize> Serialize for Each<'a, T, W> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(self.1))
    }
}

fn word(word: &B256) -> Digits<'_> {
    Digits(word.as_slice())
}

impl Serialize for PlainLog {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Line(&self.0).serialize(serializer)
    }
}

/// A log of a receipt, or one by itself.
struct Line<'a>(&'a Log);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let log = self.0;
        let mut out = serializer.serialize_struct("Log", 10)?;
        out.serialize_field("address", &Digits(log.inner.address.as_slice()))?;
        out.serialize_field("topics", &Each(log.inner.data.topics(), word))?;
        out.serialize_field("data", &Digits(&log.inner.data.data))?;
        out.serialize_field("blockHash", &log.block_hash.as_ref().map(word))?;
        out.serialize_field("blockNumber", &log.block_number.map(U64::from))?;
        if let Some(timestamp) = log.block_timestamp {
            out.serialize_field("blockTimestamp", &U64::from(timestamp))?;
        }
        out.serialize_field("transactionHash", &log.transaction_hash.as_ref().map(word))?;
        out.serialize_field("transactionIndex", &log.transaction_index.map(U64::from))?;
        out.serialize_field("logIndex", &log.log_index.map(U64::from))?;
        out.serialize_field("removed", &log.removed)?;
        out.end()
    }
}

impl Serialize for PlainReceipt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let TransactionReceipt { inner, .. } = &self.0;
        let with_bloom = match inner {
            ReceiptEnvelope::Legacy(receipt)
            | ReceiptEnvelope::Eip2930(receipt)
            | ReceiptEnvelope::Eip1559(receipt)
            | ReceiptEnvelope::Eip4844(receipt)
            | ReceiptEnvelope::Eip7702(receipt) => receipt,
        };
        let receipt = &with_bloom.receipt;
        let mut out = serializer.serialize_struct("Receipt", 16)?;
        out.serialize_field("type", &U64::from(u8::from(inner.tx_type())))?;
        match &receipt.status {
            Eip658Value::Eip658(done) => out.serialize_field("status", &U64::from(*done))?,
            Eip658Value::PostState(root) => out.serialize_field("root", &word(root))?,
        }
        out.serialize_field("cumulativeGasUsed", &U64::from(receipt.cumulative_gas_used))?;
        out.serialize_field("logs", &Each(&receipt.logs, Line))?;
        out.serialize_field("logsBloom", &Digits(with_bloom.logs_bloom.as_slice()))?;
        let found = &self.0;
        out.serialize_field("transactionHash", &word(&found.transaction_hash))?;
        out.serialize_field("transactionIndex", &found.transaction_index.map(U64::from))?;
        out.serialize_field("blockHash", &found.block_hash.as_ref().map(word))?;
        out.serialize_field("blockNumber", &found.block_number.map(U64::from))?;
        out.serialize_field("gasUsed", &U64::from(found.gas_used))?;
        out.serialize_field("effectiveGasPrice", &U128::from(found.effective_gas_price))?;
        if let Some(gas) = found.blob_gas_used {
            out.serialize_field("blobGasUsed", &U64::from(gas))?;
        }
        if let Some(price) = found.blob_gas_price {
            out.serialize_field("blobGasPrice", &U128::from(price))?;
        }
        out.serialize_field("from", &Digits(found.from.as_slice()))?;
        out.serialize_field("to", &found.to.as_ref().map(|to| Digits(to.as_slice())))?;
        let contract = found.contract_address.as_ref();
        out.serialize_field("contractAddress", &contract.map(|at| Digits(at.as_slice())))?;
        out.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::Answer;
    use alloy_consensus::{Receipt, ReceiptWithBloom};
    use alloy_primitives::{Address, Bloom, LogData};

    fn written(value: impl Serialize) -> String {
        let (answer, written) = Answer::new(Vec::new(), 1 << 20).with(Ok(value));
        written.unwrap();
        String::from_utf8(answer.into_text()).unwrap()
    }

    fn log(n: u8) -> Log {
        let topics = (0..n % 5).map(B256::repeat_byte).collect();
        let data = LogData::new_unchecked(topics, vec![n; 3 * usize::from(n)].into());
        let there = |value: u64| n.is_multiple_of(2).then_some(value);
        Log {
            inner: alloy_primitives::Log { address: Address::repeat_byte(n), data },
            block_hash: there(1).map(|_| B256::repeat_byte(n)),
            block_number: there(u64::MAX),
            block_timestamp: there(0),
            transaction_hash: there(1).map(|_| B256::repeat_byte(!n)),
            transaction_index: there(16),
            log_index: there(255),
            removed: n.is_multiple_of(3),
        }
    }

    fn receipt(n: u8) -> TransactionReceipt {
        let status = match n % 3 {
            2 => Eip658Value::PostState(B256::repeat_byte(n)),
            done => Eip658Value::Eip658(done == 1),
        };
        let logs = (0..n).map(log).collect();
        let receipt = Receipt { status, cumulative_gas_used: u64::from(n) << 30, logs };
        let with_bloom = ReceiptWithBloom { receipt, logs_bloom: Bloom::repeat_byte(n) };
        let inner = match n % 5 {
            0 => ReceiptEnvelope::Legacy(with_bloom),
            1 => ReceiptEnvelope::Eip2930(with_bloom),
            2 => ReceiptEnvelope::Eip1559(with_bloom),
            3 => ReceiptEnvelope::Eip4844(with_bloom),
            _ => ReceiptEnvelope::Eip7702(with_bloom),
        };
        let there = |of: u8| n.is_multiple_of(of);
        TransactionReceipt {
            inner,
            transaction_hash: B256::repeat_byte(n),
            transaction_index: there(2).then_some(7),
            block_hash: there(2).then_some(B256::ZERO),
            block_number: there(2).then_some(0),
            gas_used: 21_000,
            effective_gas_price: u128::MAX >> n,
            blob_gas_used: there(3).then_some(131_072),
            blob_gas_price: there(3).then_some(1 << 70),
            from: Address::repeat_byte(n),
            to: there(4).then_some(Address::ZERO),
            contract_address: there(5).then_some(Address::repeat_byte(0xc0)),
        }
    }

    #[test]
    fn logs_and_receipts_are_written_as_alloy_writes_them() {
        for n in 0..16 {
            let log = log(n);
            assert_eq!(written(PlainLog(log.clone())), serde_json::to_string(&log).unwrap());
            let receipt = receipt(n);
            let want = serde_json::to_string(&receipt).unwrap();
            assert_eq!(written(PlainReceipt(receipt)), want);
        }
    }
}
