//! Blocks against their hashes, bodies and receipts against the headers' roots, and the indices
//! against both.

use super::{Fault, Rules, Verified, ensure_row, row_fault};
use crate::{
    DataDir, StoredReceipt,
    codec::{self, BodyRow},
    commit,
    loaded::has_receipts,
    store,
};
use alloy_consensus::{
    Header, Transaction, TxEnvelope,
    proofs::{
        calculate_ommers_root, calculate_receipt_root, calculate_transaction_root,
        calculate_withdrawals_root,
    },
};
use alloy_eips::eip7685::Requests;
use alloy_primitives::{Address, B256, keccak256};

impl DataDir {
    pub(super) fn verify_chain(
        &self,
        rules: &Rules<'_>,
        verified: &mut Verified,
    ) -> Result<(), Fault> {
        let tables = &self.tables;
        let (first, genesis_hash) = (self.first(), self.genesis.1);
        if !rules.forked {
            let given = store::genesis_hash(rules.genesis)?;
            if given != genesis_hash {
                return Err(Fault::Genesis { stored: genesis_hash, given });
            }
        }
        let mut rows = self.tx.cursor(tables.headers)?;
        let mut row = rows.first()?;
        let mut parent = None;
        let mut blobs = 0;
        for number in first..=self.head.number {
            let key = codec::number_key(number);
            let at = (tables.headers, &key[..]);
            let value = row.filter(|(stored, _)| **stored == key).map(|(_, value)| value);
            let value = value.ok_or_else(|| row_fault(at.0, at.1, "the block is missing"))?;
            let (hash, header) =
                codec::read_header(&value).ok_or_else(|| row_fault(at.0, at.1, "no header"))?;
            let is_other = rules.forked && number == first;
            ensure_row(codec::header_row(hash, &header) == *value, at, "no canonical header")?;
            ensure_row(is_other || keccak256(&value[32..]) == hash, at, "not the block's hash")?;
            ensure_row(header.number == number, at, "a header with another number")?;
            let follows = parent.is_none_or(|parent| header.parent_hash == parent);
            ensure_row(follows, at, "not the child of the block before it")?;
            let is_first = number == first && self.loaded.is_none();
            ensure_row(!is_first || hash == genesis_hash, at, "not the first block's hash")?;
            let indexed = self.tx.value(tables.numbers, hash.as_slice())?;
            let at = (tables.numbers, hash.as_slice());
            ensure_row(indexed.as_deref() == Some(&key), at, "not the number of the block")?;
            blobs += self.verify_block(rules, (&header, is_other), verified)?;
            parent = Some(hash);
            row = rows.next()?;
        }
        let head = codec::number_key(self.head.number);
        ensure_row(parent == Some(self.head.hash), (tables.headers, &head), "not the head's hash")?;
        verified.blocks = self.head.number - first + 1;
        self.ensure_rows(tables.headers, verified.blocks)?;
        self.ensure_rows(tables.numbers, verified.blocks)?;
        self.ensure_rows(tables.bodies, verified.blocks)?;
        self.ensure_rows(tables.transactions, verified.transactions)?;
        self.ensure_rows(tables.receipts, verified.transactions)?;
        self.ensure_rows(tables.locations, verified.transactions - verified.repeated)?;
        self.ensure_rows(tables.logs, verified.log_entries)?;
        self.ensure_rows(tables.blobs, blobs)?;
        self.verify_blob_places()
    }

    /// Checks a block's rows, and says how many blob transactions have their blobs here.
    fn verify_block(
        &self,
        rules: &Rules<'_>,
        (header, is_other): (&Header, bool),
        verified: &mut Verified,
    ) -> Result<u64, Fault> {
        let key = codec::number_key(header.number);
        let at = (self.tables.bodies, &key[..]);
        let row = self.tx.value(at.0, at.1)?;
        let row = row.ok_or_else(|| row_fault(at.0, at.1, "the body is missing"))?;
        let body = BodyRow::decode(&row).ok_or_else(|| row_fault(at.0, at.1, "no body"))?;
        ensure_row(body.encode() == *row, at, "no canonical body")?;
        let (mut transactions, mut receipts) = (Vec::new(), Vec::new());
        let (mut gas_before, mut first_log, mut blobs) = (0, 0, 0);
        for index in 0..body.tx_count {
            let place = codec::pair_key(header.number, index);
            let (transaction, is_first) = self.verify_transaction(rules, &place)?;
            verified.repeated += u64::from(!is_first);
            let stored = self.verify_receipt(&place)?;
            let at = (self.tables.receipts, &place[..]);
            let receipt = &stored.receipt;
            let cumulative = receipt.receipt.cumulative_gas_used;
            ensure_row(receipt.tx_type == transaction.tx_type(), at, "not its transaction's type")?;
            let gas_used = cumulative.checked_sub(gas_before);
            ensure_row(gas_used == Some(stored.gas_used), at, "not the gas of its transaction")?;
            ensure_row(stored.first_log == first_log, at, "not the place of its first log")?;
            self.verify_logs(&stored, (header.number, index), verified)?;
            (gas_before, first_log) = (cumulative, first_log + receipt.receipt.logs.len() as u64);
            let tx_hash = transaction.tx_hash().as_slice();
            blobs += u64::from(self.tx.value(self.tables.blobs, tx_hash)?.is_some());
            transactions.push(transaction);
            receipts.push(stored.receipt);
        }
        verified.transactions += u64::from(body.tx_count);
        let at = (self.tables.receipts, &key[..]);
        let has_root = |receipts| ensure_row(receipts, at, "the block has another receipts root");
        match self.loaded.filter(|loaded| loaded.has(header.number)) {
            // Of the block that it was forked at, a chain has the header alone.
            _ if is_other => {}
            Some(loaded) if loaded.is_whole => {
                let root = calculate_transaction_root(&transactions);
                let at = (self.tables.bodies, &key[..]);
                let what = "the block has another transactions root";
                ensure_row(root == header.transactions_root, at, what)?;
                has_root(has_receipts(&receipts, header.receipts_root))?;
            }
            Some(_) => {}
            None => {
                verify_body(header, &body, &transactions)
                    .map_err(|what| row_fault(self.tables.bodies, &key, what))?;
                let headers = rules.spec().headers;
                let all: Vec<_> =
                    receipts.iter().map(|receipt| receipt.envelope(headers)).collect();
                has_root(calculate_receipt_root(&all) == header.receipts_root)?;
            }
        }
        Ok(blobs)
    }

    /// The transaction at a place, and whether this is its first one.
    fn verify_transaction(
        &self,
        rules: &Rules<'_>,
        place: &[u8],
    ) -> Result<(TxEnvelope, bool), Fault> {
        let at = (self.tables.transactions, place);
        let row = self.tx.value(at.0, at.1)?;
        let row = row.ok_or_else(|| row_fault(at.0, at.1, "the transaction is missing"))?;
        let decoded = codec::read_transaction(&row);
        let (transaction, sender) =
            decoded.ok_or_else(|| row_fault(at.0, at.1, "no transaction"))?;
        let canonical = codec::transaction_row(sender, &transaction) == *row;
        ensure_row(canonical, at, "no canonical transaction")?;
        // In a block out of a file, a transaction that nobody signed may be from anybody.
        let signature = transaction.signature();
        let is_unsigned = signature.r().is_zero() && signature.s().is_zero();
        let is_sender =
            is_unsigned && self.loaded.is_some() || (rules.sender)(&transaction) == Some(sender);
        ensure_row(is_sender, at, "not from the sender that it is kept with")?;
        let hash = transaction.tx_hash();
        let indexed = self.tx.value(self.tables.locations, hash.as_slice())?;
        let at = (self.tables.locations, hash.as_slice());
        // A nonce that was set back lets the same transaction in again: its first place is kept.
        let is_place = match indexed.as_deref() {
            Some(first) if first < place => {
                self.tx.value(self.tables.transactions, first)?.as_deref() == Some(&*row)
            }
            found => found == Some(place),
        };
        ensure_row(is_place, at, "not the place of the transaction")?;
        Ok((transaction, indexed.as_deref() == Some(place)))
    }

    fn verify_receipt(&self, place: &[u8]) -> Result<StoredReceipt, Fault> {
        let at = (self.tables.receipts, place);
        let row = self.tx.value(at.0, at.1)?;
        let row = row.ok_or_else(|| row_fault(at.0, at.1, "the receipt is missing"))?;
        let stored =
            codec::read_receipt(&row).ok_or_else(|| row_fault(at.0, at.1, "no receipt"))?;
        ensure_row(codec::receipt_row(&stored) == *row, at, "no canonical receipt")?;
        Ok(stored)
    }

    fn verify_logs(
        &self,
        stored: &StoredReceipt,
        (number, index): (u64, u32),
        verified: &mut Verified,
    ) -> Result<(), Fault> {
        let mut rows = self.tx.cursor(self.tables.logs)?;
        for (key, position) in commit::log_rows(stored, number, index) {
            let position = position.encode();
            let found = rows.seek_value(key.as_slice(), &position)?;
            let at = (self.tables.logs, key.as_slice());
            ensure_row(found.as_deref() == Some(&position), at, "a log is missing")?;
            verified.log_entries += 1;
        }
        Ok(())
    }

    /// Checks that each place of a blob leads to a transaction that has it there.
    fn verify_blob_places(&self) -> Result<(), Fault> {
        let mut rows = self.tx.cursor(self.tables.blob_places)?;
        let mut row = rows.first()?;
        while let Some((key, value)) = row {
            let at = (self.tables.blob_places, &*key);
            let place = codec::read_blob_place(&value);
            let (tx_hash, place) = place.ok_or_else(|| row_fault(at.0, at.1, "no place"))?;
            let transaction = self.find_transaction(tx_hash)?;
            let hashes = transaction.as_ref().and_then(|(tx, _)| tx.blob_versioned_hashes());
            let blob_hash = hashes.and_then(|hashes| hashes.get(usize::from(place)));
            let holds = blob_hash.is_some_and(|hash| *hash == *key);
            ensure_row(holds, at, "no transaction has the blob there")?;
            let kept = self.tx.value(self.tables.blobs, tx_hash.as_slice())?.is_some();
            ensure_row(kept, at, "the blob is missing")?;
            row = rows.next()?;
        }
        Ok(())
    }

    fn find_transaction(&self, tx_hash: B256) -> Result<Option<(TxEnvelope, Address)>, Fault> {
        let Some(place) = self.tx.value(self.tables.locations, tx_hash.as_slice())? else {
            return Ok(None);
        };
        let row = self.tx.value(self.tables.transactions, &place)?;
        Ok(row.and_then(|row| codec::read_transaction(&row)))
    }
}

fn verify_body(
    header: &Header,
    body: &BodyRow,
    transactions: &[TxEnvelope],
) -> Result<(), &'static str> {
    let ensure = |holds: bool, what| if holds { Ok(()) } else { Err(what) };
    let root = calculate_transaction_root(transactions);
    ensure(root == header.transactions_root, "the block has another transactions root")?;
    let root = calculate_ommers_root(&body.ommers);
    ensure(root == header.ommers_hash, "the block has another hash of ommers")?;
    let root = body.withdrawals.as_ref().map(|all| calculate_withdrawals_root(all));
    ensure(root == header.withdrawals_root, "the block has another withdrawals root")?;
    let requests = Requests::new(body.requests.clone());
    let hash = header.requests_hash.map(|_| requests.requests_hash());
    let none = header.requests_hash.is_none() && !body.requests.is_empty();
    ensure(hash == header.requests_hash && !none, "the block has another hash of requests")
}
