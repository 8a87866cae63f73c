//! What dev users may do: time, sealing, accounts, savepoints.

use std::sync::Arc;
use std::time::Duration;

use alloy_consensus::TxEnvelope;
use alloy_consensus::transaction::Recovered;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, Bytes, U256};
use genesis::{DevOptions, Genesis};
use vm::AccountEdit;

use super::{Chain, blocking};
use crate::config::Sealing;
use crate::error::DevError;
use crate::fork::{self, ForkConfig, ForkError, ForkRules, ForkStart};
use crate::pool::PoolTransaction;
use crate::sequencer::{SealedBlocks, wall_clock};
use crate::settings::Settings;

impl Chain {
    /// Seals `blocks` blocks, each `interval` seconds after the one before if that is given.
    pub async fn seal(&self, blocks: u64, interval: Option<u64>) -> Result<SealedBlocks, DevError> {
        self.ask(move |sequencer| sequencer.seal_blocks(blocks, interval)).await
    }

    /// Seals one block, at `timestamp` if that is given.
    pub async fn seal_at(&self, timestamp: Option<u64>) -> Result<SealedBlocks, DevError> {
        self.ask(move |sequencer| sequencer.seal_at(timestamp)).await
    }

    /// Changes an account; seen at `latest` at once, part of the next block's history.
    pub async fn edit(&self, edit: AccountEdit) -> Result<(), DevError> {
        self.ask(move |sequencer| sequencer.edit(&edit)).await
    }

    /// Sets an account's balance.
    pub async fn set_balance(&self, address: Address, balance: U256) -> Result<(), DevError> {
        self.edit(AccountEdit { address, balance: Some(balance), ..AccountEdit::default() }).await
    }

    /// Adds to an account's balance.
    pub async fn add_balance(&self, address: Address, amount: U256) -> Result<(), DevError> {
        self.ask(move |sequencer| sequencer.add_balance(address, amount)).await
    }

    /// Sets an account's nonce.
    pub async fn set_nonce(&self, address: Address, nonce: u64) -> Result<(), DevError> {
        self.edit(AccountEdit { address, nonce: Some(nonce), ..AccountEdit::default() }).await
    }

    /// Sets an account's code: EVM code or a RISC-V container; with `riscv` also a bare ELF file.
    pub async fn set_code(
        &self,
        address: Address,
        code: Bytes,
        riscv: bool,
    ) -> Result<(), DevError> {
        self.ask(move |sequencer| sequencer.set_code(address, (code, riscv))).await
    }

    /// Sets a storage slot of an account.
    pub async fn set_storage(
        &self,
        address: Address,
        slot: U256,
        value: U256,
    ) -> Result<(), DevError> {
        let storage = vec![(slot, value)];
        self.edit(AccountEdit { address, storage, ..AccountEdit::default() }).await
    }

    /// Lets `address` send without a signature.
    pub fn impersonate(&self, address: Address) {
        self.shared.accounts.impersonate(address);
    }

    /// Takes that back, and says whether it had been so.
    pub fn stop_impersonating(&self, address: Address) -> bool {
        self.shared.accounts.stop_impersonating(address)
    }

    /// Lets every account send without a signature, or no more.
    pub fn impersonate_every(&self, every: bool) {
        self.shared.accounts.impersonate_every(every);
    }

    /// Whether `address` may send without a signature.
    pub fn is_impersonated(&self, address: Address) -> bool {
        self.shared.accounts.is_impersonated(address)
    }

    /// The settings as they are now.
    pub fn settings(&self) -> Settings {
        self.shared.settings().clone()
    }

    /// Whether a transaction is sealed as soon as it arrives.
    pub fn automine(&self) -> bool {
        matches!(self.shared.settings().sealing, Sealing::Auto | Sealing::Mixed(_))
    }

    /// Seals a block per transaction, or no more.
    pub async fn set_automine(&self, automine: bool) -> Result<(), DevError> {
        self.ask(move |sequencer| sequencer.set_automine(automine)).await
    }

    /// The time between two blocks, if blocks are sealed on an interval.
    pub fn interval(&self) -> Option<Duration> {
        match self.shared.settings().sealing {
            Sealing::Interval(interval) | Sealing::Mixed(interval) => Some(interval),
            Sealing::Auto | Sealing::Manual => None,
        }
    }

    /// Seals a block every so often and at no other time, or only when asked.
    pub async fn set_interval(&self, interval: Option<Duration>) -> Result<(), DevError> {
        self.ask(move |sequencer| -> Result<(), DevError> {
            sequencer.set_interval(interval);
            Ok(())
        })
        .await
    }

    /// Moves the clock by `seconds`, forward from the head's time where that is ahead of it, and says
    /// how far it is from the wall clock.
    pub async fn increase_time(&self, seconds: i64) -> Result<i64, DevError> {
        self.ask(move |sequencer| Ok(sequencer.increase_time(seconds))).await
    }

    /// Sets the clock, and says by how many seconds that moved it.
    pub async fn set_time(&self, timestamp: u64) -> Result<i64, DevError> {
        self.ask(move |sequencer| Ok(sequencer.set_time(timestamp))).await
    }

    /// Gives the next block this timestamp.
    pub async fn set_next_timestamp(&self, timestamp: u64) -> Result<(), DevError> {
        self.ask(move |sequencer| sequencer.set_next_timestamp(timestamp)).await
    }

    /// Puts each block `seconds` after its parent.
    pub async fn set_timestamp_interval(&self, seconds: u64) -> Result<(), DevError> {
        self.change_settings(move |settings| settings.clock.set_interval(seconds)).await
    }

    /// Takes that back, and says whether it had been so.
    pub async fn remove_timestamp_interval(&self) -> Result<bool, DevError> {
        self.change_settings(|settings| settings.clock.remove_interval()).await
    }

    /// Sets the gas limit of the blocks to come.
    pub async fn set_block_gas_limit(&self, gas_limit: u64) -> Result<(), DevError> {
        self.change_settings(move |settings| settings.gas_limit = gas_limit).await
    }

    /// Sets who gets the fees of the blocks to come.
    pub async fn set_coinbase(&self, coinbase: Address) -> Result<(), DevError> {
        self.change_settings(move |settings| settings.coinbase = coinbase).await
    }

    /// Sets the base fee of the next block.
    pub async fn set_next_base_fee(&self, base_fee: u64) -> Result<(), DevError> {
        self.change_settings(move |settings| settings.next_base_fee = Some(base_fee)).await
    }

    /// Sets the randomness of the next block.
    pub async fn set_next_prev_randao(&self, randomness: B256) -> Result<(), DevError> {
        self.change_settings(move |settings| settings.next_prev_randao = Some(randomness)).await
    }

    /// Sets the least tip or gas price.
    pub async fn set_min_gas_price(&self, price: u128) -> Result<(), DevError> {
        self.change_settings(move |settings| settings.min_gas_price = price).await
    }

    /// Logs blocks and what contracts print, or no more.
    pub async fn set_logging(&self, logging: bool) -> Result<(), DevError> {
        self.change_settings(move |settings| settings.logging = logging).await
    }

    async fn change_settings<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Settings) -> T + Send + 'static,
    ) -> Result<T, DevError> {
        self.ask(move |sequencer| Ok(sequencer.change_settings(change))).await
    }

    /// Takes a transaction out of the pool.
    pub async fn drop_transaction(
        &self,
        hash: B256,
    ) -> Result<Option<Arc<PoolTransaction>>, DevError> {
        self.ask(move |sequencer| Ok(sequencer.drop_by_hash(hash))).await
    }

    /// Takes all transactions of `sender` out of the pool, and says how many there were.
    pub async fn drop_transactions_of(&self, sender: Address) -> Result<usize, DevError> {
        self.ask(move |sequencer| Ok(sequencer.drop_of(sender))).await
    }

    /// Empties the pool, and says how many transactions there were.
    pub async fn drop_all_transactions(&self) -> Result<usize, DevError> {
        self.ask(|sequencer| Ok(sequencer.drop_all())).await
    }

    /// Marks the chain as it is (`evm_snapshot`), and says under which id.
    pub async fn savepoint(&self) -> Result<u64, DevError> {
        self.ask(|sequencer| Ok(sequencer.savepoint())).await
    }

    /// The savepoints that are there: the id of each, and the number of the head at it.
    pub fn savepoints(&self) -> Result<Vec<(u64, u64)>, DevError> {
        let savepoints = self.shared.store().snapshot()?.savepoints()?;
        Ok(savepoints.into_iter().map(|(id, mark)| (id, mark.number)).collect())
    }

    /// Makes the chain what it was at a savepoint (`evm_revert`); `false` if there is none.
    pub async fn revert(&self, id: u64) -> Result<bool, DevError> {
        self.ask(move |sequencer| Ok(sequencer.revert(id)?)).await
    }

    /// Takes the newest `depth` blocks off the chain.
    pub async fn rollback(&self, depth: u64) -> Result<(), DevError> {
        self.ask(move |sequencer| sequencer.rollback(sequencer.below("Rollback", depth)?)).await
    }

    /// Takes all blocks after `number` off the chain.
    pub async fn set_head(&self, number: u64) -> Result<(), DevError> {
        self.ask(move |sequencer| sequencer.set_head(number)).await
    }

    /// Whether `what` could go `depth` blocks back.
    pub fn check_depth(&self, what: &'static str, depth: u64) -> Result<(), DevError> {
        let (head, first) = (self.head().number(), self.first());
        if depth > head - first {
            return Err(DevError::Depth { what, depth, head, first });
        }
        Ok(())
    }

    /// Puts as many new blocks in the place of the newest `depth` ones. Each transaction goes into
    /// the block of its number, counted from 0; one that cannot run there is left out.
    pub async fn reorg(
        &self,
        depth: u64,
        transactions: Vec<(Recovered<TxEnvelope>, u64)>,
    ) -> Result<(), DevError> {
        let transactions = transactions.into_iter().map(|(transaction, block)| {
            let (transaction, sender) = transaction.into_parts();
            (Arc::new(PoolTransaction::new(transaction, sender)), block)
        });
        let transactions = transactions.collect();
        self.ask(move |sequencer| sequencer.reorg(depth, transactions)).await
    }

    /// Has the next block pay a withdrawal; with automatic sealing that block comes at once.
    pub async fn add_withdrawal(&self, withdrawal: Withdrawal) -> Result<(), DevError> {
        self.ask(move |sequencer| sequencer.add_withdrawal(withdrawal)).await
    }

    /// Gives the chain another id, for what runs from now on and until the node ends.
    pub async fn set_chain_id(&self, chain_id: u64) -> Result<(), DevError> {
        self.ask(move |sequencer| {
            sequencer.set_chain_id(chain_id);
            Ok(())
        })
        .await
    }

    /// Makes ecrecover answer `signer` for a signature of r ‖ s ‖ v, whatever was signed.
    pub fn set_signer(&self, signature: [u8; 65], signer: Address) {
        self.shared.engine().set_signer(signature, signer);
    }

    /// Lists `address` among the node's accounts and lets it send without a signature; whether it
    /// was not there before.
    pub fn add_account(&self, address: Address) -> bool {
        self.shared.accounts.add(address)
    }

    /// Takes `address`, a dev account too, from the node's accounts; whether it was there.
    pub fn remove_account(&self, address: Address) -> bool {
        self.shared.accounts.remove(address)
    }

    /// When the newest block was sealed, by the wall clock; `None` if that was before the start.
    pub fn sealed_at(&self) -> Option<u64> {
        self.shared.settings().sealed_at
    }

    /// Forks anew, at another block or from another node, and forgets the chain.
    pub async fn fork_anew(&self, config: ForkConfig) -> Result<(), DevError> {
        if self.config().datadir.is_some() {
            return Err(ForkError::Fixed.into());
        }
        let rules = match self.fork() {
            Some(fork) => fork.rules().clone(),
            None => self.fork_rules(),
        };
        let start = blocking(move || fork::begin_now(config, rules)).await??;
        let ForkStart { fork, mut genesis, .. } = start;
        // The store keeps its tree's hash.
        genesis.spec.tree_hash = self.spec().tree_hash;
        self.ask(move |sequencer| sequencer.restart(genesis, Some(fork))).await
    }

    /// What a fork of a chain that was none begins with.
    fn fork_rules(&self) -> ForkRules {
        let balance = self.config().balance_wei();
        ForkRules {
            accounts: self.dev_accounts().iter().map(|dev| (dev.address, balance)).collect(),
            create2_deployer: true,
            gas_limit: self.config().gas_limit,
            riscv: self.spec().riscv.clone(),
            ..ForkRules::default()
        }
    }

    /// Asks another node for the forked chain from now on.
    pub fn set_fork_url(&self, url: String) -> Result<(), DevError> {
        let fork = self.fork().ok_or(DevError::NotForked)?;
        Ok(fork.set_url(url)?)
    }

    /// Goes back to the genesis block, with an empty pool; a fork in memory becomes a fresh dev
    /// chain.
    pub async fn reset(&self) -> Result<(), DevError> {
        if self.fork().is_none() || self.config().datadir.is_some() {
            return self.ask(|sequencer| sequencer.reset()).await;
        }
        let genesis = self.fresh_genesis();
        self.ask(move |sequencer| sequencer.restart(genesis, None)).await
    }

    fn fresh_genesis(&self) -> Genesis {
        let rules = self.fork_rules();
        let default = DevOptions::default();
        let mut genesis = Genesis::dev(DevOptions {
            accounts: rules.accounts,
            gas_limit: rules.gas_limit.unwrap_or(default.gas_limit),
            base_fee_wei: self.config().base_fee.unwrap_or(default.base_fee_wei),
            timestamp: wall_clock(),
            riscv: rules.riscv,
            ..default
        });
        genesis.spec.tree_hash = self.spec().tree_hash;
        genesis
    }
}
