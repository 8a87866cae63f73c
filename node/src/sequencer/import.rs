//! Blocks that others sealed: executed under their fork's rules, compared, and appended.

use std::sync::Arc;
use std::time::Instant;

use alloy_consensus::{Block, Header, Sealable, TxEnvelope};
use alloy_primitives::Address;
use revm::DatabaseRef;
use storage::{Commit, ExecutedBlock};
use vm::Rules;

use super::Sequencer;
use super::seal::roots;
use crate::error::Failure;
use crate::import::{
    self, Candidate, FOREIGN_GAS_LIMIT, FieldValue, IMPORTED_NOTE, ImportError, Imported,
};
use crate::settings::block_rules;
use executor::{BlockExecution, Executed, OMMER_DEPTH_MAX};

/// Most bytes of a block from Osaka on (EIP-7934).
const OSAKA_SIZE_MAX: usize = 10_485_760 - 2_097_152;

impl Sequencer {
    /// Appends blocks one after the other, those that the chain has left out. When one is wrong,
    /// those before it stay.
    pub(crate) fn import(&mut self, blocks: Vec<Candidate>) -> Result<Imported, ImportError> {
        self.check_alive()?;
        let mut imported = Imported::default();
        let result = blocks.into_iter().try_for_each(|candidate| {
            if self.is_known(&candidate.block.header)? {
                imported.known += 1;
                return Ok(());
            }
            let Candidate { block, senders, .. } = &candidate;
            let suspect = (block.clone(), senders.clone());
            if let Err(error) = self.import_one(candidate) {
                self.note_bad(suspect, &error);
                return Err(error);
            }
            imported.added += 1;
            Ok(())
        });
        if imported.added > 0 {
            let number = self.head.header.number;
            self.note_imported(number);
            if self.shared.engine().spec().is_ethereum() {
                let gas_limit = self.shared.config().gas_limit.unwrap_or(FOREIGN_GAS_LIMIT);
                self.shared.change_settings(|settings| settings.gas_limit = gas_limit);
            }
        }
        result.map(|()| imported)
    }

    /// Keeps a block that follows the head and breaks the rules.
    fn note_bad(&self, (block, senders): (Block<TxEnvelope>, Vec<Address>), error: &ImportError) {
        let is_bad = matches!(
            error,
            ImportError::Field { .. }
                | ImportError::Ommer { .. }
                | ImportError::Transaction { .. }
                | ImportError::Execution { .. }
        );
        if !is_bad || block.header.parent_hash != self.head.hash() {
            return;
        }
        let Block { header, body } = block;
        self.shared.bad_blocks().note(Arc::new(ExecutedBlock {
            header: header.seal_slow(),
            transactions: body.transactions,
            senders,
            receipts: Vec::new(),
            ommers: body.ommers,
            withdrawals: body.withdrawals,
            requests: Vec::new(),
        }));
    }

    fn note_imported(&mut self, number: u64) {
        self.shared.set_imported(number);
        let value = number.to_be_bytes().to_vec();
        self.job.changes.push(Commit::Meta { key: IMPORTED_NOTE, value });
    }

    /// What comes after block `number` from now on is not imported.
    pub(super) fn forget_imported(&mut self, number: u64) {
        if self.shared.imported() > number {
            self.note_imported(number);
        }
    }

    fn is_known(&self, header: &Header) -> Result<bool, ImportError> {
        let number = header.number;
        if number > self.head.header.number || number < self.shared.genesis_number() {
            return Ok(false);
        }
        let (ours, theirs) = (self.writer.block_hash_ref(number)?, header.hash_slow());
        if ours == theirs { Ok(true) } else { Err(ImportError::Conflict { number, ours, theirs }) }
    }

    fn import_one(&mut self, candidate: Candidate) -> Result<(), ImportError> {
        let started = Instant::now();
        let header = candidate.block.header.clone();
        let number = header.number;
        if self.writer.mark().edits > 0 {
            return Err(ImportError::Edited { number });
        }
        let spec = Arc::clone(self.shared.engine().spec());
        let expected = import::expected(&spec, &self.head.header, &header)?;
        import::same_body(&candidate.block, spec.fork(number, header.timestamp))?;
        self.check_size(&candidate)?;
        self.check_ommers(&candidate)?;
        let ommers = candidate.block.body.ommers.clone();
        let Executed { header: mut executed, body, changes } = self.execute(candidate, expected)?;
        executed.state_root = header.state_root;
        import::same(number, &executed, &header)?;
        let merkle = self.writer.merkle().cloned();
        let delta = self.writer.apply(number, &changes)?;
        if delta.state_root() != header.state_root {
            self.writer.take_back(&delta, merkle);
            let (field, expected) = ("stateRoot", FieldValue::Hash(delta.state_root()));
            let actual = FieldValue::Hash(header.state_root);
            return Err(ImportError::Field { number, field, expected, actual });
        }
        let block = ExecutedBlock {
            header: header.seal_slow(),
            transactions: body.transactions,
            senders: body.senders,
            receipts: body.receipts,
            ommers,
            withdrawals: body.withdrawals,
            requests: body.requests,
        };
        self.adopt(Arc::new(block), delta, (&changes, started));
        Ok(())
    }

    fn check_size(&self, candidate: &Candidate) -> Result<(), ImportError> {
        let header = &candidate.block.header;
        let (number, spec) = (header.number, self.shared.engine().spec());
        let osaka = spec.fork(number, header.timestamp).is_enabled_in(genesis::SpecId::OSAKA);
        if !osaka || candidate.size <= OSAKA_SIZE_MAX {
            return Ok(());
        }
        let expected = FieldValue::AtMost(OSAKA_SIZE_MAX as u64);
        let actual = FieldValue::Number(candidate.size as u64);
        Err(ImportError::Field { number, field: "size", expected, actual })
    }

    fn check_ommers(&mut self, candidate: &Candidate) -> Result<(), ImportError> {
        if candidate.block.body.ommers.is_empty() {
            return Ok(());
        }
        // The blocks before are read back: all of them must have arrived.
        self.hand_over(None);
        self.committer.wait()?;
        let snapshot = self.shared.store().snapshot()?;
        let number = candidate.block.header.number;
        let oldest = number.saturating_sub(OMMER_DEPTH_MAX).max(self.shared.genesis_number());
        let ancestors = (oldest..number).rev().map(|number| {
            snapshot.block(number)?.ok_or_else(|| Failure::Missing { number }.into())
        });
        let ancestors = ancestors.collect::<Result<Vec<_>, ImportError>>()?;
        import::ommers(self.shared.engine().spec(), &candidate.block, &ancestors)
    }

    /// Executes a block.
    fn execute(&self, candidate: Candidate, mut header: Header) -> Result<Executed, ImportError> {
        let number = header.number;
        let failed = |source| ImportError::Execution { number, source: Box::new(source) };
        let rules = match self.shared.engine().spec().headers {
            genesis::Headers::Ethereum => Rules::block(),
            genesis::Headers::Tandem => block_rules(self.shared.config()),
        };
        header.blob_gas_used = header.blob_gas_used.map(|_| 0);
        let body = candidate.block.body;
        let mut block = BlockExecution::begin(self.shared.engine(), header, rules, &self.writer)
            .map_err(failed)?;
        block.set_rest(body.ommers, body.withdrawals);
        block.keep_roots(roots(self.writer.merkle()));
        let transactions = body.transactions.into_iter().zip(candidate.senders);
        for (index, (transaction, sender)) in transactions.enumerate() {
            block.push(transaction, sender).map_err(|source| ImportError::Transaction {
                number,
                index,
                source: Box::new(source),
            })?;
        }
        block.finish().map_err(failed)
    }
}
