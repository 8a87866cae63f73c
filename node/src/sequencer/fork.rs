//! Beginning anew, on another fork or on none, and running a part of the forked chain again.

use std::sync::Arc;

use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::Address;
use genesis::Genesis;

use super::seal::{Selected, SkipSender, execute};
use super::{Sequencer, wall_clock};
use crate::accounts::stored_sender;
use crate::clock::Clock;
use crate::dump::{Dump, DumpedChain, held_accounts};
use crate::error::{DevError, Failure, StartError};
use crate::event::Event;
use crate::fork::{Fork, Replayed};
use crate::pool::PoolTransaction;
use alloy_consensus::TxEnvelope;
use storage::StoreError;
use vm::AccountEdit;

impl Sequencer {
    /// Forgets the chain and begins another one, with an empty pool.
    pub(crate) fn restart(
        &mut self,
        genesis: Genesis,
        fork: Option<Arc<Fork>>,
    ) -> Result<(), DevError> {
        self.begin(|sequencer| {
            sequencer.shared.pool_mut().take_all();
            let point = fork.as_ref().map(Fork::point);
            sequencer.writer.restart(&genesis, point.as_ref())?;
            sequencer.shared.begin_anew(genesis, fork);
            Ok(())
        })?;
        let (head, config) = (Arc::clone(&self.head), self.shared.config().clone());
        let forked_at = self.shared.fork().map(|fork| fork.number());
        self.shared.change_settings(|settings| {
            settings.gas_limit = config.gas_limit.unwrap_or(head.header.gas_limit);
            settings.coinbase = config.coinbase;
            settings.clock = Clock::default();
            if let Some(forked_at) = forked_at {
                settings.go_on_from(&config, (forked_at, &head.header), wall_clock());
            }
        });
        Ok(())
    }

    /// Goes on from a dump: its accounts over those of the chain, its blocks in their place. What
    /// waits stays as far as it can still run.
    pub(crate) fn load(&mut self, dump: Dump) -> Result<(), DevError> {
        if self.shared.fork().is_some() || dump.chain.is_none() {
            return self.load_accounts(dump);
        }
        self.settle()?;
        let mut accounts = held_accounts(&self.shared.store().snapshot()?)?;
        let Some(chain) = dump.put_over(&mut accounts) else { return Ok(()) };
        let genesis = self.shared.genesis().clone();
        let loaded = chain.into_loaded(&genesis, accounts)?;
        self.begin(|sequencer| sequencer.writer.restart_from(&genesis, &loaded))?;
        let (head, config) = (Arc::clone(&self.head), self.shared.config().clone());
        self.shared.change_settings(|settings| {
            settings.gas_limit = config.gas_limit.unwrap_or(head.header.gas_limit);
            settings.coinbase = head.header.beneficiary;
            settings.clock.set(head.header.timestamp, wall_clock());
        });
        let waiting = self.shared.pool().all();
        let senders: Vec<_> = waiting.iter().map(|(waits, _)| waits.sender).collect();
        Ok(self.renew_senders(&senders)?)
    }

    /// Puts the accounts of a dump over those of the chain, and takes its time.
    fn load_accounts(&mut self, dump: Dump) -> Result<(), DevError> {
        let timestamp = dump.chain.as_ref().map(DumpedChain::timestamp);
        for (address, account) in dump.accounts {
            let nonce = self.account(address)?.nonce.max(account.nonce);
            let storage = account.storage.into_iter();
            self.edit(&AccountEdit {
                address,
                balance: Some(account.balance),
                nonce: Some(nonce),
                code: Some(account.code),
                storage: storage.map(|(slot, value)| (slot.into(), value.into())).collect(),
                clear_storage: false,
            })?;
        }
        if let Some(timestamp) = timestamp {
            self.set_time(timestamp);
        }
        Ok(())
    }

    /// Puts the chain that `restart` begins in the place of this one.
    fn begin(
        &mut self,
        restart: impl FnOnce(&mut Self) -> Result<(), StoreError>,
    ) -> Result<(), DevError> {
        self.settle()?;
        let removed = self.blocks_down_to(self.shared.genesis_number())?;
        if let Err(error) = restart(self) {
            // The writer is neither the old chain's nor the new one's.
            let failure = Failure::from(error);
            self.shared.fail(&failure);
            return Err(failure.into());
        }
        let snapshot = self.shared.store().snapshot()?;
        let number = snapshot.head();
        let head = Arc::new(snapshot.block(number)?.ok_or(Failure::Missing { number })?);
        drop(snapshot);
        self.forget_imported(0);
        self.drop_withdrawals();
        self.head = Arc::clone(&head);
        self.shared.set_head(Arc::clone(&head));
        self.job.events.extend(removed.into_iter().map(Event::Removed));
        self.job.events.push(Event::Restarted(Arc::clone(&head)));
        self.shared.change_settings(|settings| {
            (settings.next_base_fee, settings.next_prev_randao) = (None, None);
        });
        Ok(())
    }

    /// Runs transactions of the forked chain in a block like their own.
    pub(crate) fn replay(&mut self, replay: Replayed) -> Result<(), StartError> {
        let started = std::time::Instant::now();
        let Replayed { header: like, transactions } = replay;
        let number = like.number;
        let bad = |index, problem: String| StartError::Replay { number, index, problem };
        let decode = |(index, bytes): (usize, &alloy_primitives::Bytes)| {
            let transaction = TxEnvelope::decode_2718(&mut bytes.as_ref())
                .map_err(|error| bad(index, error.to_string()))?;
            let sender =
                stored_sender(&transaction).map_err(|error| bad(index, error.to_string()))?;
            Ok(Arc::new(PoolTransaction::new(transaction, sender)))
        };
        let decoded = transactions.iter().enumerate().map(decode);
        let wanted = decoded.collect::<Result<Vec<_>, StartError>>()?;
        let next = self.shared.change_settings(|settings| {
            let mut next = settings.next_block(self.head.header.timestamp, wall_clock());
            (next.timestamp, next.coinbase) = (like.timestamp, like.beneficiary);
            (next.gas_limit, next.base_fee) = (like.gas_limit, like.base_fee_per_gas);
            next.prev_randao = Some(like.mix_hash);
            next
        });
        let mut header = next.header(self.shared.engine().spec(), &self.head.header);
        header.excess_blob_gas = header.excess_blob_gas.and(like.excess_blob_gas);
        header.parent_beacon_block_root =
            header.parent_beacon_block_root.and(like.parent_beacon_block_root);
        let in_order = InOrder(wanted.clone().into_iter());
        let Selected { executed, refused, unfetched, .. } =
            execute(&self.shared, &self.writer, header, in_order)?;
        let place = |hash| wanted.iter().position(|tx| tx.hash == hash).unwrap_or_default();
        if let Some((transaction, refusal)) = refused.first() {
            return Err(bad(place(transaction.hash), refusal.to_string()));
        }
        if let Some((transaction, error)) = unfetched.first() {
            return Err(bad(place(transaction.hash), error.to_string()));
        }
        let block = self.append(executed, started)?;
        if block.transactions.len() < wanted.len() {
            return Err(bad(block.transactions.len(), "the block has no room for it".to_owned()));
        }
        self.shared.change_settings(|settings| {
            settings.clock = Clock::starting_at(like.timestamp, wall_clock());
        });
        Ok(())
    }
}

/// Transactions in the order that they have.
struct InOrder(std::vec::IntoIter<Arc<PoolTransaction>>);

impl Iterator for InOrder {
    type Item = Arc<PoolTransaction>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl SkipSender for InOrder {
    fn skip_sender(&mut self, _: Address) {}
}
