//! A chain made of a test: its pre-state is the genesis of a temporary store.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use alloy_consensus::{Header, Receipt, Sealable, TxEnvelope};
use alloy_primitives::{Address, B256, Log, U256, keccak256};
use anyhow::{Context, Result, bail};
use genesis::{DevOptions, Genesis, GenesisAccount, fork_by_name};
use revm::{
    DatabaseRef,
    bytecode::Bytecode,
    context::{BlockEnv, TxEnv},
    database::BundleState,
    state::AccountInfo,
};
use storage::{
    Commit, Durability, ExecutedBlock, Mark, OpenOptions, Snapshot, Store, StoreError, TxReceipt,
    Writer,
};
use vm::{Engine, EngineError, Execution, Outcome, Rules};

use super::fixture::{Account, Env, Test};

/// Room for a store: address space, not disk.
const STORE_SIZE_MAX: u64 = 1 << 28;

/// One engine a fork, so that analysed code is shared.
#[derive(Default)]
pub(super) struct Engines(Mutex<BTreeMap<String, Engine>>);

impl Engines {
    fn at(&self, fork: &str) -> Result<Engine> {
        let Ok(mut engines) = self.0.lock() else { bail!("another thread panicked") };
        if let Some(engine) = engines.get(fork) {
            return Ok(engine.clone());
        }
        let engine = Engine::new(Arc::new(genesis_at(fork)?.spec));
        engines.insert(fork.to_owned(), engine.clone());
        Ok(engine)
    }
}

/// An empty chain at a fork.
fn genesis_at(fork: &str) -> Result<Genesis> {
    let name = if fork == "ConstantinopleFix" { "petersburg" } else { fork };
    let spec_id = fork_by_name(name).with_context(|| format!("no fork {fork}"))?;
    let options = DevOptions { chain_id: 1, fork: spec_id, ..DevOptions::default() };
    let mut genesis = Genesis::dev(options);
    genesis.alloc.clear();
    // The suite's Osaka has the blob limits of Prague, as Osaka had before its first parameter fork.
    let config = &mut genesis.spec.config;
    if fork == "Constantinople" {
        config.petersburg_block = Some(u64::MAX);
    }
    (config.bpo1_time, config.bpo2_time) = (None, None);
    Ok(genesis)
}

/// A store with a test's pre-state, and the engine of its fork.
pub(super) struct Chain {
    engine: Engine,
    store: Store,
    writer: Writer,
    start: Mark,
    env: BlockEnv,
    _folder: tempfile::TempDir,
}

impl Chain {
    /// Commits the pre-state.
    pub(super) fn open(test: &Test, fork: &str, engines: &Engines) -> Result<Self> {
        let engine = engines.at(fork)?;
        let env = block_env(&test.env, &engine)?;
        let mut genesis = genesis_at(fork)?;
        genesis.number = env.number.saturating_to::<u64>().saturating_sub(1);
        genesis.alloc = test
            .pre
            .iter()
            .map(|(address, account)| (*address, genesis_account(account)))
            .collect();
        let folder = tempfile::tempdir()?;
        let options = OpenOptions {
            path: folder.path().join("store"),
            durability: Durability::Process,
            size_max: STORE_SIZE_MAX,
            prune: None,
            temporary: true,
        };
        let (store, writer) = Store::open(&options, &genesis)?;
        let start = writer.mark();
        Ok(Self { engine, store, writer, start, env, _folder: folder })
    }

    /// Runs a transaction on the committed pre-state, as a block does.
    pub(super) fn execute(
        &self,
        tx: &TxEnv,
    ) -> Result<(Result<Outcome, EngineError<StoreError>>, BundleState)> {
        let db = NumberedHashes(self.store.snapshot()?);
        let mut execution = Execution::new(&self.engine, self.env.clone(), Rules::block(), db);
        let outcome = execution.transact(tx);
        Ok((outcome, execution.into_changes()))
    }

    /// Commits a block with one transaction.
    pub(super) fn commit(
        &mut self,
        tx: &TxEnvelope,
        sender: Address,
        outcome: &Outcome,
        changes: &BundleState,
    ) -> Result<(), StoreError> {
        let number = self.env.number.saturating_to();
        let delta = self.writer.apply(number, changes)?;
        let header = Header { number, state_root: delta.root(), ..Header::default() };
        let receipt = Receipt {
            status: outcome.result.is_success().into(),
            cumulative_gas_used: outcome.result.tx_gas_used(),
            logs: outcome.result.logs().to_vec(),
        };
        let block = ExecutedBlock {
            header: header.seal_slow(),
            transactions: vec![tx.clone()],
            senders: vec![sender],
            receipts: vec![TxReceipt { tx_type: tx.tx_type(), receipt }],
            ommers: Vec::new(),
            withdrawals: None,
            requests: Vec::new(),
        };
        self.store.commit(vec![Commit::Block { block: Arc::new(block), delta }])
    }

    /// Reads the whole newest state back, and rebuilds its root out of it.
    pub(super) fn state(&self) -> Result<BTreeMap<Address, Account>> {
        let snapshot = self.store.snapshot()?;
        let mut state = BTreeMap::new();
        for (address, info) in snapshot.accounts()? {
            let account = Account {
                balance: info.balance,
                nonce: U256::from(info.nonce),
                code: snapshot.code(address)?,
                storage: snapshot.storage_of(address)?,
            };
            state.insert(address, account);
        }
        let rebuilt = snapshot.rebuild_root()?;
        if rebuilt != self.writer.root() {
            bail!("the root is {}, rebuilt from the accounts {rebuilt}", self.writer.root());
        }
        Ok(state)
    }

    /// Reads the logs of the committed block back.
    pub(super) fn logs(&self) -> Result<Vec<Log>> {
        let snapshot = self.store.snapshot()?;
        let block = snapshot.block(snapshot.head())?.context("no block at the head")?;
        Ok(block.receipts.into_iter().flat_map(|receipt| receipt.receipt.logs).collect())
    }

    /// Goes back to the pre-state.
    pub(super) fn rewind(&mut self) -> Result<()> {
        self.writer.unwind(self.start)?;
        Ok(())
    }
}

fn genesis_account(account: &Account) -> GenesisAccount {
    let word = |value: &U256| B256::from(*value);
    let storage = account.storage.iter().filter(|(_, value)| !value.is_zero());
    GenesisAccount {
        balance: account.balance,
        nonce: account.nonce.saturating_to(),
        code: account.code.clone(),
        storage: storage.map(|(slot, value)| (word(slot), word(value))).collect(),
    }
}

fn block_env(env: &Env, engine: &Engine) -> Result<BlockEnv> {
    let small = |value: Option<U256>| value.unwrap_or_default().saturating_to::<u64>();
    let mut block = BlockEnv {
        number: env.current_number,
        beneficiary: env.current_coinbase,
        timestamp: env.current_timestamp,
        gas_limit: env.current_gas_limit.saturating_to(),
        basefee: small(env.current_base_fee),
        difficulty: env.current_difficulty,
        prevrandao: env.current_random.map(B256::from),
        ..BlockEnv::default()
    };
    let time = env.current_timestamp.saturating_to();
    block.blob_excess_gas_and_price = None;
    if let Some(blobs) = engine.spec().blob_params(time) {
        let fraction = u64::try_from(blobs.update_fraction).context("blob fee fraction")?;
        block.set_blob_excess_gas_and_price(small(env.current_excess_blob_gas), fraction);
    }
    Ok(block)
}

/// The state of a snapshot with the block hashes that state tests assume: of the number's decimals.
struct NumberedHashes(Snapshot);

impl DatabaseRef for NumberedHashes {
    type Error = StoreError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StoreError> {
        self.0.basic_ref(address)
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, StoreError> {
        self.0.code_by_hash_ref(code_hash)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StoreError> {
        self.0.storage_ref(address, slot)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StoreError> {
        Ok(keccak256(number.to_string()))
    }
}
