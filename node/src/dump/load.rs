//! A dump on its way in: the newest blocks of its chain that hang together, and their states.

use std::collections::{BTreeMap, HashMap};

use alloy_consensus::Sealed;
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::map::HashMap as FastMap;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use genesis::{Genesis, GenesisAccount};
use revm::database::states::StorageSlot;
use revm::database::{AccountStatus, BundleAccount, BundleState};
use revm::state::AccountInfo;
use serde::Deserialize;
use storage::{ExecutedBlock, Loaded};

use super::blocks::{BlockRow, TransactionRow};
use super::states::StateRow;
use super::{AccountDump, number, parse};
use crate::clock::TIMESTAMP_MAX;
use crate::error::DevError;
use crate::sequencer::bytecode;
use executor::BALANCE_MAX;

/// The accounts of a state.
pub(crate) type Accounts = BTreeMap<Address, GenesisAccount>;

/// What is read of a dump.
#[derive(Deserialize)]
struct ReadDump {
    #[serde(default)]
    block: Option<ReadBlock>,
    accounts: BTreeMap<Address, AccountDump>,
    #[serde(default)]
    best_block_number: Option<U256>,
    #[serde(default)]
    blocks: Vec<BlockRow>,
    #[serde(default)]
    transactions: Vec<TransactionRow>,
    #[serde(default)]
    historical_states: Option<Vec<(B256, StateRow)>>,
}

/// The environment of its newest block.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ReadBlock {
    number: U256,
    #[serde(alias = "coinbase")]
    beneficiary: Address,
    timestamp: U256,
    gas_limit: U256,
    basefee: U256,
    prevrandao: Option<B256>,
}

/// A dump.
#[derive(Debug)]
pub(crate) struct Dump {
    /// The accounts at its newest block.
    pub(crate) accounts: Accounts,
    /// Its chain, unless it is of accounts alone.
    pub(crate) chain: Option<DumpedChain>,
}

/// The chain of a dump.
#[derive(Debug)]
pub(crate) struct DumpedChain {
    /// Its blocks, oldest first: the newest one, and as many before it as are there as a whole.
    /// None, if the dump has none.
    blocks: Vec<ExecutedBlock>,
    /// The states after those before the newest, as many as there are without a gap.
    states: Vec<Accounts>,
    /// Number of the newest block.
    best: u64,
    /// Its environment: all there is of a block that is not among them.
    env: ReadBlock,
}

impl Dump {
    /// Reads a dump, packed or not.
    pub(crate) fn read(dump: &[u8]) -> Result<Self, DevError> {
        let dump: ReadDump = parse(dump)?;
        let accounts = dump.accounts.into_iter().map(|(address, account)| {
            let nonce = number(&account.nonce);
            let nonce = nonce.ok_or_else(|| DevError::Dump("nonce is no number".to_owned()))?;
            let AccountDump { balance, code, storage, .. } = account;
            Ok((address, GenesisAccount { balance, nonce, code, storage }))
        });
        let accounts = accounts.collect::<Result<Accounts, DevError>>()?;
        check_balances(&accounts)?;
        let Some(env) = dump.block else { return Ok(Self { accounts, chain: None }) };
        let best: u64 = dump.best_block_number.unwrap_or(env.number).saturating_to();
        let timestamp: u64 = env.timestamp.saturating_to();
        if best.max(timestamp) > TIMESTAMP_MAX {
            let text = format!("block number {best} or time {timestamp} is above {TIMESTAMP_MAX}");
            return Err(DevError::Dump(text));
        }
        let blocks = chain(best, dump.blocks, dump.transactions)?;
        let mut codes = HashMap::new();
        codes.extend(accounts.values().map(|held| (keccak256(&held.code), held.code.clone())));
        let states = dump.historical_states.unwrap_or_default();
        let states = states_of(&blocks, states, &mut codes)?;
        Ok(Self { accounts, chain: Some(DumpedChain { blocks, states, best, env }) })
    }

    /// Puts its accounts over others, as anvil does: slots that it does not name stay, and of two
    /// nonces the higher one.
    pub(crate) fn put_over(self, accounts: &mut Accounts) -> Option<DumpedChain> {
        for (address, account) in self.accounts {
            let mine = accounts.entry(address).or_default();
            (mine.balance, mine.code) = (account.balance, account.code);
            mine.nonce = mine.nonce.max(account.nonce);
            mine.storage.extend(account.storage);
            mine.storage.retain(|_, value| !value.is_zero());
        }
        accounts.retain(|_, account| *account != GenesisAccount::default());
        self.chain
    }
}

impl DumpedChain {
    /// Time of the newest block in seconds.
    pub(crate) fn timestamp(&self) -> u64 {
        self.env.timestamp.saturating_to()
    }

    /// What a chain with the rules of `genesis` goes on from, with `accounts` at the head.
    pub(crate) fn into_loaded(
        self,
        genesis: &Genesis,
        accounts: Accounts,
    ) -> Result<Loaded, DevError> {
        let Self { mut blocks, mut states, best, env } = self;
        if blocks.is_empty() {
            blocks.push(storage::genesis_block(&Genesis {
                number: best,
                parent_hash: B256::ZERO,
                timestamp: env.timestamp.saturating_to(),
                coinbase: env.beneficiary,
                gas_limit: env.gas_limit.saturating_to(),
                base_fee_per_gas: Some(env.basefee.saturating_to()),
                mix_hash: env.prevrandao.unwrap_or_default(),
                alloc: accounts.clone(),
                ..genesis.clone()
            })?);
        }
        states.push(accounts);
        let changes = states.windows(2).map(|pair| changes(&pair[0], &pair[1])).collect();
        Ok(Loaded { blocks, accounts: states.swap_remove(0), changes })
    }
}

fn check_balances(accounts: &Accounts) -> Result<(), DevError> {
    let above = accounts.iter().find(|(_, account)| account.balance > BALANCE_MAX);
    let error = |(address, account): (&Address, &GenesisAccount)| DevError::Balance {
        address: *address,
        balance: account.balance,
    };
    above.map(error).map_or(Ok(()), Err)
}

/// The block `best` and those before it, as far as they are whole, oldest first.
fn chain(
    best: u64,
    rows: Vec<BlockRow>,
    transactions: Vec<TransactionRow>,
) -> Result<Vec<ExecutedBlock>, DevError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut places = HashMap::new();
    places.extend(transactions.into_iter().map(|row| (row.place(), row)));
    // The chain may have been another one before: of two blocks of a number the later one counts.
    let newest = rows.iter().rev().find(|row| row.header.number == best);
    let newest = newest.map(|row| row.header.hash_slow());
    let mut wanted =
        newest.ok_or_else(|| DevError::Dump(format!("block {best} is not among its blocks")))?;
    let mut by_hash: HashMap<_, _> =
        rows.into_iter().map(|row| (row.header.hash_slow(), row)).collect();
    let mut blocks = Vec::new();
    while let Some(mut row) = by_hash.remove(&wanted) {
        let is_next = blocks.last().is_none_or(|child: &ExecutedBlock| {
            child.number().checked_sub(1) == Some(row.header.number)
        });
        let is_whole = row.is_whole(wanted, &places);
        if !is_next || !is_whole && !blocks.is_empty() {
            break;
        }
        if !is_whole {
            // Dumps of old say nothing of what came of transactions.
            row.transactions.clear();
        }
        let parent = row.header.parent_hash;
        blocks.push(row.into_block(wanted, &mut places)?);
        if !is_whole {
            break;
        }
        wanted = parent;
    }
    blocks.reverse();
    Ok(blocks)
}

/// The states after the blocks before the newest one, oldest first, as far as there is no gap.
fn states_of(
    blocks: &[ExecutedBlock],
    states: Vec<(B256, StateRow)>,
    codes: &mut HashMap<B256, Bytes>,
) -> Result<Vec<Accounts>, DevError> {
    let mut states: HashMap<_, _> = states.into_iter().collect();
    let mut found = Vec::new();
    for block in blocks.iter().rev().skip(1) {
        let Some(state) = states.remove(&block.hash()) else { break };
        let state = state.read(codes)?;
        check_balances(&state)?;
        found.push(state);
    }
    found.reverse();
    Ok(found)
}

/// What makes one state out of another.
fn changes(before: &Accounts, after: &Accounts) -> BundleState {
    let mut changes = BundleState::default();
    let gone = before.keys().filter(|address| !after.contains_key(*address));
    for address in after.keys().chain(gone) {
        let (old, new) = (before.get(address), after.get(address));
        if old == new {
            continue;
        }
        let mut storage = FastMap::default();
        let none = BTreeMap::new();
        let old_slots = old.map_or(&none, |account| &account.storage);
        let new_slots = new.map_or(&none, |account| &account.storage);
        for slot in old_slots.keys().chain(new_slots.keys()) {
            let value = |slots: &BTreeMap<B256, B256>| {
                U256::from_be_bytes(slots.get(slot).copied().unwrap_or_default().0)
            };
            let (was, is) = (value(old_slots), value(new_slots));
            if was != is {
                let slot = U256::from_be_bytes(slot.0);
                storage.insert(slot, StorageSlot::new_changed(was, is));
            }
        }
        let status = match (old, new) {
            (None, _) => AccountStatus::InMemoryChange,
            (Some(_), Some(_)) => AccountStatus::Changed,
            (Some(_), None) => AccountStatus::Destroyed,
        };
        let info = |account: &GenesisAccount| {
            let code = bytecode(&account.code);
            let hash = code.hash_slow();
            AccountInfo::new(account.balance, account.nonce, hash, code)
        };
        let (old, new) = (old.map(info), new.map(info));
        let code = new.as_ref().and_then(|info| Some((info.code_hash, info.code.clone()?)));
        changes.contracts.extend(code.filter(|(_, code)| !code.is_empty()));
        changes.state.insert(*address, BundleAccount::new(old, new, storage, status));
    }
    changes
}

impl BlockRow {
    /// Whether what came of each of its transactions is told.
    fn is_whole(&self, hash: B256, rows: &HashMap<(B256, u64), TransactionRow>) -> bool {
        (0..self.transactions.len() as u64).all(|index| rows.contains_key(&(hash, index)))
    }

    fn into_block(
        self,
        hash: B256,
        rows: &mut HashMap<(B256, u64), TransactionRow>,
    ) -> Result<ExecutedBlock, DevError> {
        let number = self.header.number;
        let (mut transactions, mut senders, mut receipts) = (Vec::new(), Vec::new(), Vec::new());
        for (included, index) in self.transactions.into_iter().zip(0..) {
            let bad = |what: String| DevError::Dump(format!("block {number}: transaction {what}"));
            let row = rows.remove(&(hash, index));
            let row = row.ok_or_else(|| bad(format!("{index} is not among its transactions")))?;
            let (sender, receipt) = row.into_outcome();
            transactions
                .push(included.read(sender).map_err(|error| bad(format!("{index}: {error}")))?);
            senders.push(sender);
            receipts.push(receipt);
        }
        let there = self.header.withdrawals_root.map(|_| Withdrawals::default());
        let (withdrawals, ommers) = (self.withdrawals.or(there), self.ommers);
        let header = Sealed::new_unchecked(self.header, hash);
        let requests = Vec::new();
        Ok(ExecutedBlock { header, transactions, senders, receipts, ommers, withdrawals, requests })
    }
}
