//! The facade over the node: everything that `rpc` and the binary use.
//!
//! Start with [`Chain::start`] and [`Chain::submit`]. Lookups are in `query`, calls in `call`,
//! traces in `trace`; [`dev`] has what only dev users may do.

mod beginning;
mod blobs;
mod dev;
mod token;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use alloy_consensus::transaction::Recovered;
use alloy_consensus::{Transaction, TxEnvelope};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Signature};
use arc_swap::ArcSwap;
use executor::impersonated_signature;
use genesis::{ChainSpec, Container, Genesis};
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use revm::DatabaseRef;
use storage::{ExecutedBlock, OpenOptions, PendingWriter, Snapshot, Store, StoreError, Waiting};
use tokio::sync::{Semaphore, broadcast, oneshot};
use vm::Engine;
use vm::riscv::Image;

use self::beginning::Beginning;
use crate::accounts::{Accounts, DevAccount, UnsignedTransaction, dev_accounts, stored_sender};
use crate::clock::TIMESTAMP_MAX;
use crate::config::{ConfigError, NodeConfig, Profile, Sealing};
use crate::error::{Failure, StartError, SubmitError};
use crate::event::Event;
use crate::fork::{Fork, ForkStart, Item, Replayed};
use crate::gate::Gate;
use crate::import::{FOREIGN_GAS_LIMIT, IMPORTED_NOTE};
use crate::pool::{Pool, PoolLimits, PoolTransaction, rules};
use crate::query::Idle;
use crate::recent::Recent;
use crate::sequencer::{Sequencer, Task, restore_withdrawals, wall_clock};
use crate::settings::Settings;
use crate::trace::BadBlocks;
use crate::trial::TRIALS_MAX;

pub use token::TokenValue;

/// Events that a slow subscriber may lag behind before it loses some.
const EVENTS_MAX: usize = 4_096;

/// A running node. Clones are handles to the same one.
#[derive(Clone)]
pub struct Chain {
    pub(crate) shared: Arc<Shared>,
    tasks: Sender<Task>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// What the sequencer, the commit thread and readers share.
pub(crate) struct Shared {
    config: NodeConfig,
    beginning: Beginning,
    mnemonic: String,
    store: Store,
    accounts: Accounts,
    pool: RwLock<Pool>,
    settings: RwLock<Settings>,
    head: ArcSwap<ExecutedBlock>,
    recent: Recent,
    idle: Idle,
    events: broadcast::Sender<Event>,
    /// Number of the newest block that was imported, 0 if none was.
    imported: AtomicU64,
    /// Who may copy the state tree.
    trials: Arc<Semaphore>,
    failed: AtomicBool,
    failure: OnceLock<Failure>,
    gate: Gate,
    /// Places for traces that run at the same time.
    traces: Arc<Semaphore>,
    /// Blocks that were refused.
    bad_blocks: BadBlocks,
}

impl Shared {
    pub(crate) fn config(&self) -> &NodeConfig {
        &self.config
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.beginning.now().engine
    }

    /// The chain that this one was forked from.
    pub(crate) fn fork(&self) -> Option<&Arc<Fork>> {
        self.beginning.now().fork.as_ref()
    }

    /// The chain's rules, if it is forked.
    pub(crate) fn forked_spec(&self) -> Option<&ChainSpec> {
        self.fork().map(|_| self.engine().spec().as_ref())
    }

    pub(crate) fn begin_anew(&self, genesis: Genesis, fork: Option<Arc<Fork>>) {
        self.beginning.replace(genesis, fork);
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn pool(&self) -> RwLockReadGuard<'_, Pool> {
        self.pool.read()
    }

    pub(crate) fn pool_mut(&self) -> RwLockWriteGuard<'_, Pool> {
        self.pool.write()
    }

    pub(crate) fn settings(&self) -> RwLockReadGuard<'_, Settings> {
        self.settings.read()
    }

    pub(crate) fn change_settings<T>(&self, change: impl FnOnce(&mut Settings) -> T) -> T {
        change(&mut self.settings.write())
    }

    pub(crate) fn traces(&self) -> &Arc<Semaphore> {
        &self.traces
    }

    pub(crate) fn bad_blocks(&self) -> &BadBlocks {
        &self.bad_blocks
    }

    pub(crate) fn genesis(&self) -> &Genesis {
        &self.beginning.now().genesis
    }

    /// Number of the first block: the genesis block, unless the chain goes on from a dump.
    pub(crate) fn genesis_number(&self) -> u64 {
        self.store.first()
    }

    pub(crate) fn head(&self) -> Arc<ExecutedBlock> {
        self.head.load_full()
    }

    pub(crate) fn set_head(&self, head: Arc<ExecutedBlock>) {
        self.recent.put(&head);
        self.head.store(head);
    }

    /// The newest durable blocks.
    pub(crate) fn recent(&self) -> &Recent {
        &self.recent
    }

    pub(crate) fn idle(&self) -> &Idle {
        &self.idle
    }

    pub(crate) fn imported(&self) -> u64 {
        self.imported.load(Ordering::Acquire)
    }

    pub(crate) fn set_imported(&self, number: u64) {
        self.imported.store(number, Ordering::Release);
    }

    pub(crate) fn trials(&self) -> &Arc<Semaphore> {
        &self.trials
    }

    /// Whether a subscriber is half as many events behind as it may be.
    pub(crate) fn has_laggards(&self) -> bool {
        self.events.len() >= EVENTS_MAX / 2
    }

    pub(crate) fn publish(&self, event: Event) {
        // Without subscribers there is nobody to miss it.
        let _ = self.events.send(event);
    }

    /// Why the node takes no more work, if it does not.
    pub(crate) fn failure(&self) -> Option<Failure> {
        if self.failed.load(Ordering::Acquire) { self.failure.get().cloned() } else { None }
    }

    pub(crate) fn fail(&self, failure: &Failure) {
        if self.failure.set(failure.clone()).is_ok() {
            tracing::error!(%failure, "the node takes no more work");
        }
        self.failed.store(true, Ordering::Release);
    }
}

impl Chain {
    /// Opens the data directory, or begins a chain from `genesis`, and starts the node's threads.
    /// The tree of a large state is made by them, see [`Chain::ready`].
    pub fn start(config: NodeConfig, genesis: Genesis) -> Result<Self, StartError> {
        Self::start_on(config, genesis, None)
    }

    /// The same for a chain that goes on from another one.
    pub fn start_forked(config: NodeConfig, start: ForkStart) -> Result<Self, StartError> {
        let ForkStart { fork, genesis, replay } = start;
        let chain = Self::start_on(config, genesis, Some(fork))?;
        if let Some(replay) = replay.filter(|_| chain.is_at_fork()) {
            chain.replay(replay)?;
        }
        Ok(chain)
    }

    fn start_on(
        config: NodeConfig,
        genesis: Genesis,
        fork: Option<Arc<Fork>>,
    ) -> Result<Self, StartError> {
        config.validate()?;
        let sealing = config.sealing()?;
        let (mnemonic, dev) = match config.profile {
            Profile::Dev => dev_accounts(&config)?,
            Profile::Testnet => (String::new(), Vec::new()),
        };
        for (key, value) in [
            ("number", genesis.number),
            ("timestamp", genesis.timestamp),
            ("excessBlobGas", genesis.excess_blob_gas.unwrap_or_default()),
            ("blobGasUsed", genesis.blob_gas_used.unwrap_or_default()),
        ] {
            if value > TIMESTAMP_MAX {
                return Err(ConfigError::FirstBlock { key, value }.into());
            }
        }
        check_images(&genesis)?;
        let (store, writer) = open(&config, &genesis, fork.as_ref())?;
        let snapshot = store.snapshot()?;
        let head = Arc::new(snapshot.block(snapshot.head())?.ok_or(StartError::NoHead)?);
        let recent = Recent::default();
        recent.put(&head);
        let pool = restore_pool(&snapshot, &config)?;
        let imported = imported(&snapshot)?;
        // Another client's chain goes on when it is told to, and not because a transaction came.
        let is_foreign = genesis.spec.is_ethereum() && imported > 0;
        let sealing =
            if is_foreign && sealing == Sealing::Auto { Sealing::Manual } else { sealing };
        let mut settings = Settings::new(&config, sealing, &head.header, wall_clock());
        if is_foreign {
            settings.gas_limit = config.gas_limit.unwrap_or(FOREIGN_GAS_LIMIT);
        }
        if let Some(fork) = &fork {
            settings.go_on_from(&config, (fork.number(), &head.header), wall_clock());
        }
        settings.withdrawals = restore_withdrawals(&store)?.into();
        let shared = Arc::new(Shared {
            accounts: Accounts::new(dev, config.auto_impersonate),
            pool: RwLock::new(pool),
            settings: RwLock::new(settings),
            head: ArcSwap::new(head),
            recent,
            idle: Idle::default(),
            imported: AtomicU64::new(imported),
            events: broadcast::channel(EVENTS_MAX).0,
            trials: Arc::new(Semaphore::new(TRIALS_MAX)),
            failed: AtomicBool::new(false),
            failure: OnceLock::new(),
            gate: Gate::new(config.calls_max(), Duration::from_secs(config.call_time_max)),
            traces: crate::trace::places(&config),
            bad_blocks: BadBlocks::default(),
            config,
            beginning: Beginning::new(genesis, fork),
            mnemonic,
            store,
        });
        let (tasks, receiver) = std::sync::mpsc::channel();
        let worker = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("sequencer".to_owned())
            .spawn(move || Sequencer::start(worker, writer, &receiver))
            .map_err(|source| StartError::System { what: "sequencer thread", source })?;
        Ok(Self { shared, tasks, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    /// Waits until the sequencer has the state tree, whose root is checked; until then the chain can
    /// be read, and all else waits.
    pub async fn ready(&self) -> Result<(), StartError> {
        let (sender, receiver) = oneshot::channel();
        self.give(Box::new(move |_| {
            // Who does not wait any more needs no answer.
            let _ = sender.send(());
        }))?;
        Ok(receiver.await.map_err(|_| self.gone())?)
    }

    /// Gives the sequencer a task.
    fn give(&self, task: Task) -> Result<(), Failure> {
        self.tasks.send(task).map_err(|_| self.gone())
    }

    /// Why the sequencer does not answer.
    fn gone(&self) -> Failure {
        self.failure().unwrap_or(Failure::Stopped)
    }

    /// Whether nothing has happened since the last block that this chain and the forked one share.
    fn is_at_fork(&self) -> bool {
        self.fork().is_some_and(|fork| fork.number() == self.shared.head().number())
    }

    /// Runs transactions of the forked chain again, and waits for it.
    fn replay(&self, replay: Replayed) -> Result<(), StartError> {
        let (sender, receiver) = std::sync::mpsc::channel();
        let task = Box::new(move |sequencer: &mut Sequencer| {
            let replayed = sequencer.replay(replay);
            sequencer.hand_over(Some(Box::new(move |durable| {
                // The receiver waits below.
                let _ = sender.send(replayed.and(durable.map_err(StartError::from)));
            })));
        });
        self.give(task)?;
        receiver.recv().map_err(|_| self.gone())?
    }

    /// Finishes what was begun, closes the database, and ends the node's threads.
    pub async fn stop(self) {
        let _ = self
            .ask(|sequencer| -> Result<(), Failure> {
                sequencer.stop();
                Ok(())
            })
            .await;
        let Some(thread) = self.thread.lock().take() else { return };
        let store = self.shared.store.clone();
        let ended = blocking(move || {
            // The sequencer takes the commit thread with it, which empties its queue first.
            (thread.join().is_ok(), store.sync())
        });
        match ended.await {
            Ok((true, Ok(()))) => tracing::debug!("the node has stopped"),
            Ok((true, Err(error))) => tracing::error!("the last sync failed: {error}"),
            Ok((false, _)) | Err(_) => tracing::error!("the sequencer thread panicked"),
        }
    }

    /// Runs `task` on the sequencer, and answers once what it changed is durable.
    pub(crate) async fn ask<T, E>(
        &self,
        task: impl FnOnce(&mut Sequencer) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Failure> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let task = Box::new(move |sequencer: &mut Sequencer| {
            let result = task(sequencer);
            sequencer.hand_over(Some(Box::new(move |durable| {
                // Who does not wait any more needs no answer.
                let _ = sender.send(durable.map_err(E::from).and(result));
            })));
        });
        self.give(task)?;
        receiver.await.map_err(|_| self.gone())?
    }

    /// Takes a transaction whose sender was recovered; when sealing automatically, answers once
    /// its block is durable.
    pub async fn submit(&self, transaction: Recovered<TxEnvelope>) -> Result<B256, SubmitError> {
        let (transaction, sender) = transaction.into_parts();
        if transaction.is_eip4844() {
            let checked = transaction.clone();
            blocking(move || rules::check_sidecar(&checked)).await??;
        }
        self.prefetch(&transaction, sender);
        let transaction = PoolTransaction::new(transaction, sender);
        self.ask(move |sequencer| sequencer.submit(transaction)).await
    }

    /// Fetches what a transaction is known to read, here on the request's thread. What fails is
    /// fetched again when it is needed.
    fn prefetch(&self, transaction: &TxEnvelope, sender: Address) {
        let Some(fork) = self.fork() else { return };
        let Ok(snapshot) = self.shared.store().snapshot() else { return };
        let list = transaction.access_list().map(|list| list.0.as_slice()).unwrap_or_default();
        let accounts = [Some(sender), transaction.to()].into_iter().flatten();
        let accounts = accounts.chain(list.iter().map(|entry| entry.address));
        let slots = list.iter().flat_map(|entry| {
            entry.storage_keys.iter().map(|slot| Item::Slot(entry.address, (*slot).into()))
        });
        let items: Vec<_> = accounts.map(Item::Account).chain(slots).collect();
        let unwritten = items.into_iter().filter(|item| match item {
            Item::Account(address) => snapshot.reads_forked_account(*address).unwrap_or(false),
            Item::Slot(address, slot) => {
                snapshot.reads_forked_slot(*address, *slot).unwrap_or(false)
            }
            Item::Hash(_) => false,
        });
        if let Err(error) = fork.fetch(&unwritten.collect::<Vec<_>>()) {
            tracing::debug!("not fetched ahead: {error}");
        }
    }

    /// Signs a transaction of an unlocked account, or passes it as an impersonated one's.
    pub fn sign_transaction(
        &self,
        from: Address,
        transaction: UnsignedTransaction,
    ) -> Result<Recovered<TxEnvelope>, SubmitError> {
        let signed = self.shared.accounts.sign_transaction(from, transaction)?;
        Ok(Recovered::new_unchecked(signed, from))
    }

    /// Passes a transaction without a signature, as if `from` were impersonated.
    pub fn pass_transaction(
        &self,
        from: Address,
        transaction: UnsignedTransaction,
    ) -> Result<Recovered<TxEnvelope>, SubmitError> {
        let unsigned = transaction.into_envelope(impersonated_signature(from));
        Ok(Recovered::new_unchecked(unsigned, from))
    }

    /// Whether the node has the key of `address`.
    pub fn has_key(&self, address: Address) -> bool {
        self.shared.accounts.find_signer(address).is_some()
    }

    /// Signs a hash with the key of an unlocked account.
    pub fn sign_hash(&self, from: Address, hash: B256) -> Result<Signature, SubmitError> {
        Ok(self.shared.accounts.sign_hash(from, hash)?)
    }

    /// Addresses that a user may send from without a key.
    pub fn accounts(&self) -> Vec<Address> {
        self.shared.accounts.addresses()
    }

    /// The dev accounts with their keys.
    pub fn dev_accounts(&self) -> &[DevAccount] {
        self.shared.accounts.dev()
    }

    /// The mnemonic of the dev accounts; empty without any.
    pub fn mnemonic(&self) -> &str {
        &self.shared.mnemonic
    }

    /// Tells of new heads, removed blocks and waiting transactions from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// The settings that the node was started with.
    pub fn config(&self) -> &NodeConfig {
        &self.shared.config
    }

    /// What kind of chain the node runs.
    pub fn profile(&self) -> Profile {
        self.shared.config.profile
    }

    /// What the chain began with.
    pub fn genesis(&self) -> &Genesis {
        self.shared.genesis()
    }

    /// Number of the first block: the genesis block, unless the chain goes on from a dump.
    pub fn first(&self) -> u64 {
        self.shared.genesis_number()
    }

    /// The rules of the chain.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        self.shared.engine().spec()
    }

    /// The id of the chain.
    pub fn chain_id(&self) -> u64 {
        self.engine().chain_id()
    }

    /// The engine that runs contracts.
    pub fn engine(&self) -> &Engine {
        self.shared.engine()
    }

    /// The chain that this one was forked from.
    pub fn fork(&self) -> Option<&Arc<Fork>> {
        self.shared.fork()
    }

    /// Why the node takes no more work, if it does not.
    pub fn failure(&self) -> Option<Failure> {
        self.shared.failure()
    }
}

/// Number of the newest block that was imported, 0 if none was.
fn imported(snapshot: &Snapshot) -> Result<u64, StartError> {
    let note = snapshot.meta(IMPORTED_NOTE)?;
    let number = note.and_then(|note| note.try_into().ok()).map_or(0, u64::from_be_bytes);
    Ok(number)
}

/// Loads each RISC-V image of the genesis state, as deploying it would have.
fn check_images(genesis: &Genesis) -> Result<(), StartError> {
    for (address, account) in &genesis.alloc {
        if let Ok(container) = Container::parse(&account.code) {
            Image::load(container.image, &genesis.spec.riscv.gas)
                .map_err(|source| StartError::Image { address: *address, source })?;
        }
    }
    Ok(())
}

fn open(
    config: &NodeConfig,
    genesis: &Genesis,
    fork: Option<&Arc<Fork>>,
) -> Result<(Store, PendingWriter), StartError> {
    let point = fork.map(|fork| fork.point());
    let open = |options: &OpenOptions| Store::open_ahead(options, genesis, point.as_ref());
    let options = |path, temporary| OpenOptions {
        path,
        durability: config.durability().into(),
        size_max: config.database_size_max,
        prune: config.prune,
        temporary,
    };
    if let Some(path) = &config.datadir {
        return Ok(open(&options(path.clone(), false))?);
    }
    // The store unlinks its files once they are open, and the directory goes right after: nothing
    // is left even if the process is killed.
    let directory = tempfile::tempdir()
        .map_err(|source| StartError::System { what: "temporary data directory", source })?;
    Ok(open(&options(directory.path().to_owned(), true))?)
}

/// The pool as it was when the node stopped.
fn restore_pool(snapshot: &Snapshot, config: &NodeConfig) -> Result<Pool, StartError> {
    let mut pool = Pool::new(PoolLimits {
        transactions: config.pool_transactions_max,
        sender: config.pool_sender_max,
        bytes: config.pool_bytes_max,
    });
    for waits in snapshot.waiting()? {
        insert_again(&mut pool, &waits, snapshot)?;
    }
    Ok(pool)
}

/// Puts a transaction of the journal into the pool, if it can still run.
pub(crate) fn insert_again(
    pool: &mut Pool,
    waits: &Waiting,
    state: &impl DatabaseRef<Error = StoreError>,
) -> Result<(), StoreError> {
    let transaction = TxEnvelope::decode_2718(&mut waits.bytes.as_ref()).ok();
    let with_sender = transaction.and_then(|tx| stored_sender(&tx).ok().map(|from| (tx, from)));
    let bad_row = || StoreError::BadRow { table: "pool", key: waits.hash.to_vec() };
    let (transaction, sender) = with_sender.ok_or_else(bad_row)?;
    let nonce = state.basic_ref(sender)?.map_or(0, |account| account.nonce);
    let mut transaction = PoolTransaction::new(transaction, sender);
    transaction.arrival = waits.order;
    if transaction.transaction.nonce() >= nonce
        && let Err(error) = pool.insert_again(transaction, nonce)
    {
        tracing::warn!(hash = %waits.hash, "a waiting transaction could not be restored: {error}");
    }
    Ok(())
}

/// Marks the node as failed if the thread that holds it panics: then nobody waits in vain.
pub(crate) struct Sentinel(pub(crate) Arc<Shared>);

impl Drop for Sentinel {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(&Failure::Worker);
        }
    }
}

/// Runs `work`, which may take long, where it holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Failure::Worker)
}
