//! Finding the block to fork at, and making the genesis of a chain on top of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy_consensus::{Header, Sealed};
use alloy_hardforks::EthereumHardfork;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use arc_swap::ArcSwap;
use genesis::{
    CREATE2_DEPLOYER, DevOptions, Genesis, GenesisAccount, RiscvParams, SpecId, fork_by_name,
};
use revm::DatabaseRef;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use storage::StoreError;

use super::error::{ForkError, Place, Reason, RemoteError};
use super::flights::Flights;
use super::item::{Item, Quantity, answer_key};
use super::remote::{Remote, RemoteConfig};
use super::{CachePlace, Fork};

/// The data directory's own description of its fork.
pub const KEPT_FILE: &str = "fork.json";
/// Blocks that a node behind a load balancer may lag behind the newest one.
const LAG_MAX: u64 = 5;
/// Slots that the contracts of EIP-7002 and EIP-7251 read in every block.
const QUEUE_SLOTS: u64 = 4;

/// At which block to fork.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForkBlock {
    /// At the newest one.
    #[default]
    Newest,
    /// At the one of this number.
    Number(u64),
    /// So many before the newest one.
    Back(u64),
    /// After this transaction: at the block before its own, whose transactions up to it follow.
    Transaction(B256),
}

/// What is forked, and how it is fetched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForkConfig {
    /// The node to ask.
    pub remote: RemoteConfig,
    /// The block.
    pub block: ForkBlock,
    /// The id of the forked chain, so that the node is not asked for it.
    pub chain_id: Option<u64>,
    /// Where fetched state is kept.
    pub cache: CachePlace,
    /// The data directory of the chain, which stays with its fork.
    pub datadir: Option<PathBuf>,
}

/// What a chain on top of another one begins with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForkRules {
    /// Its id, if not the forked chain's.
    pub chain_id: Option<u64>,
    /// Its hardfork, if not what the forked chain has at that block.
    pub hardfork: Option<SpecId>,
    /// Its gas limit, if not that block's.
    pub gas_limit: Option<u64>,
    /// Accounts that get these balances.
    pub accounts: Vec<(Address, U256)>,
    /// Whether the CREATE2 deployer is put where there is none.
    pub create2_deployer: bool,
    /// Limits and prices of RISC-V code.
    pub riscv: RiscvParams,
}

/// A fork that is ready to go on.
#[derive(Debug)]
pub struct ForkStart {
    /// The forked chain.
    pub fork: Arc<Fork>,
    /// Rules, and accounts to put over the forked state.
    pub genesis: Genesis,
    /// Transactions that come first, in their block.
    pub replay: Option<Replayed>,
}

/// The part of a block of the forked chain that is run again here.
#[derive(Debug)]
pub struct Replayed {
    /// Header of the block.
    pub header: Header,
    /// Its transactions up to the one wanted, as bytes of EIP-2718.
    pub transactions: Vec<Bytes>,
}

/// What a data directory remembers of its fork.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    chain_id: u64,
    hash: B256,
    header: Header,
    genesis: Value,
}

/// Finds the block to fork at and makes the genesis; with a data directory that has a fork already,
/// goes on with that one, if need be without the node. Blocks its thread.
pub fn begin(config: ForkConfig, rules: ForkRules) -> Result<ForkStart, ForkError> {
    let remote = Remote::new(config.remote.clone())?;
    if let Some(path) = config.datadir.as_deref()
        && path.join(KEPT_FILE).exists()
    {
        return resume(&config, rules, (remote, path));
    }
    let chain_id = match config.chain_id {
        Some(chain_id) => chain_id,
        None => remote.ask::<U64>("eth_chainId", json!([]))?.to(),
    };
    let Found { block, answer, replay } = find_block(&remote, config.block)?;
    let fork = Fork::new(remote, config.cache, (chain_id, block, rules))?;
    fork.remember_block(&answer)?;
    let genesis = fork.make_genesis()?;
    if let Some(path) = &config.datadir {
        keep(path, &fork, &genesis)?;
    }
    Ok(ForkStart { fork: Arc::new(fork), genesis, replay })
}

/// The same for somebody who waits for it: a node that can't be reached is not tried again.
pub(crate) fn begin_now(config: ForkConfig, rules: ForkRules) -> Result<ForkStart, ForkError> {
    let once = Remote::new(RemoteConfig { retries: 0, ..config.remote.clone() })?;
    match once.call("eth_chainId", json!([])) {
        Err(error) if matches!(*error.reason, Reason::Transport(_)) => Err(error.into()),
        _ => begin(config, rules),
    }
}

/// Whether a data directory has a chain that was forked.
pub fn is_kept(datadir: &Path) -> bool {
    datadir.join(KEPT_FILE).exists()
}

/// The rules of the chain that was forked in a data directory.
pub fn kept_genesis(datadir: &Path) -> Result<Genesis, ForkError> {
    Ok(read_kept(datadir)?.1)
}

fn read_kept(datadir: &Path) -> Result<(Kept, Genesis), ForkError> {
    let file = datadir.join(KEPT_FILE);
    let text = std::fs::read_to_string(&file)
        .map_err(|source| ForkError::File { path: file.clone(), source })?;
    let bad = |problem: String| ForkError::Kept { path: file.clone(), problem };
    let kept: Kept = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    let genesis =
        Genesis::from_json(&kept.genesis.to_string()).map_err(|error| bad(error.to_string()))?;
    Ok((kept, genesis))
}

/// Goes on with the fork of a data directory.
fn resume(
    config: &ForkConfig,
    rules: ForkRules,
    (remote, path): (Remote, &Path),
) -> Result<ForkStart, ForkError> {
    let (kept, genesis) = read_kept(path)?;
    let block = Sealed::new_unchecked(kept.header, kept.hash);
    let number = block.number;
    let kept_place = Place { chain_id: kept.chain_id, number, hash: Some(kept.hash) };
    let other = |chain_id, number, hash| ForkError::OtherFork {
        path: path.to_owned(),
        kept: Box::new(kept_place.clone()),
        given: Box::new(Place { chain_id, number, hash }),
    };
    if let ForkBlock::Number(wanted) = config.block
        && wanted != number
    {
        return Err(other(config.chain_id.unwrap_or(kept.chain_id), wanted, None));
    }
    if !remote.config().urls.is_empty() {
        match identify(&remote, number) {
            Ok((chain, hash)) if chain != kept.chain_id || hash.is_some_and(|h| h != kept.hash) => {
                return Err(other(chain, number, hash));
            }
            Ok(_) => {}
            // What is cached is enough to go on.
            Err(error) => tracing::warn!("the forked chain does not answer: {error}"),
        }
    }
    let fork = Fork::new(remote, config.cache.clone(), (kept.chain_id, block, rules))?;
    Ok(ForkStart { fork: Arc::new(fork), genesis, replay: None })
}

/// The node's chain id, and the hash of its block `number`; asks once only.
fn identify(remote: &Remote, number: u64) -> Result<(u64, Option<B256>), RemoteError> {
    let config = RemoteConfig { retries: 0, ..remote.config().clone() };
    let Ok(once) = Remote::new(config) else { return Ok((0, None)) };
    let chain_id: U64 = once.ask("eth_chainId", json!([]))?;
    Ok((chain_id.to(), block_at(&once, number)?.map(|(block, _)| block.hash())))
}

fn keep(path: &Path, fork: &Fork, genesis: &Genesis) -> Result<(), ForkError> {
    let file = path.join(KEPT_FILE);
    let kept = Kept {
        chain_id: fork.chain_id,
        hash: fork.block.hash(),
        header: fork.block.inner().clone(),
        genesis: serde_json::from_str(&genesis.to_json()).unwrap_or_default(),
    };
    let written = || -> std::io::Result<()> {
        std::fs::create_dir_all(path)?;
        let partial = file.with_extension("json.partial");
        std::fs::write(&partial, serde_json::to_vec_pretty(&kept)?)?;
        std::fs::File::open(&partial)?.sync_all()?;
        std::fs::rename(&partial, &file)
    };
    written().map_err(|source| ForkError::File { path: file.clone(), source })
}

/// The block to fork at.
struct Found {
    block: Sealed<Header>,
    /// What the node said of it.
    answer: Box<RawValue>,
    replay: Option<Replayed>,
}

fn find_block(remote: &Remote, wanted: ForkBlock) -> Result<Found, ForkError> {
    if let ForkBlock::Transaction(hash) = wanted {
        return before_transaction(remote, hash);
    }
    let newest: u64 = remote.ask::<U64>("eth_blockNumber", json!([]))?.to();
    let (number, lag) = match wanted {
        ForkBlock::Number(number) => (number, 0),
        ForkBlock::Back(back) => {
            let number = newest.checked_sub(back);
            (number.ok_or(ForkError::BeforeFirst { back, newest })?, 0)
        }
        ForkBlock::Newest | ForkBlock::Transaction(_) => (newest, LAG_MAX.min(newest)),
    };
    for number in (number - lag..=number).rev() {
        if let Some((block, answer)) = block_at(remote, number)? {
            return Ok(Found { block, answer, replay: None });
        }
    }
    Err(ForkError::NoBlock { url: remote.shown(), number, newest })
}

/// A block's header, and what the node said of the block.
type Told = (Sealed<Header>, Box<RawValue>);

fn block_params(number: u64) -> Value {
    json!([U64::from(number).to_string_hex(), false])
}

fn block_at(remote: &Remote, number: u64) -> Result<Option<Told>, RemoteError> {
    let method = "eth_getBlockByNumber";
    let answer = remote.call(method, block_params(number))?;
    let block: Option<alloy_rpc_types_eth::Header> = serde_json::from_str(answer.get())
        .map_err(|source| remote.misread(method, &source, &answer))?;
    Ok(block.map(|block| (Sealed::new_unchecked(block.inner, block.hash), answer)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Position {
    block_number: Option<U64>,
    transaction_index: Option<U64>,
}

/// The block before that of a transaction, and what has to run of the latter.
fn before_transaction(remote: &Remote, hash: B256) -> Result<Found, ForkError> {
    let missing = || ForkError::NoTransaction { url: remote.shown(), hash };
    let place: Option<Position> = remote.ask("eth_getTransactionByHash", json!([hash]))?;
    let place = place.and_then(|place| place.block_number.zip(place.transaction_index));
    let (number, index) = place.ok_or_else(missing)?;
    let number: u64 = number.to();
    let (header, _) = block_at(remote, number)?.ok_or_else(missing)?;
    let parent = number.checked_sub(1).ok_or_else(missing)?;
    let (block, answer) = block_at(remote, parent)?.ok_or_else(missing)?;
    let tag = U64::from(number).to_string_hex();
    let method = "eth_getRawTransactionByBlockNumberAndIndex";
    let calls = (0..=index.to::<u64>())
        .map(|index| (method, json!([tag, U64::from(index).to_string_hex()])));
    let answers = remote.call_all(&calls.collect::<Vec<_>>())?;
    let transactions = answers.iter().map(|raw| {
        serde_json::from_str(raw.get()).map_err(|error| remote.misread(method, &error, raw))
    });
    let transactions = transactions.collect::<Result<_, _>>()?;
    let replay = Some(Replayed { header: header.into_inner(), transactions });
    Ok(Found { block, answer, replay })
}

impl Fork {
    fn new(
        remote: Remote,
        place: CachePlace,
        (chain_id, block, rules): (u64, Sealed<Header>, ForkRules),
    ) -> Result<Self, ForkError> {
        let cache = place.open(chain_id, &block)?;
        let (remote, flights) = (ArcSwap::from_pointee(remote), Flights::default());
        Ok(Self { remote, cache, chain_id, block, rules, place, flights })
    }

    /// Keeps the answer about the last common block: it need not be fetched again.
    fn remember_block(&self, answer: &RawValue) -> Result<(), ForkError> {
        let params = block_params(self.number()).to_string();
        let key = answer_key("eth_getBlockByNumber", &params);
        self.cache.keep(&[(key, answer.get().as_bytes().to_vec())]).map_err(ForkError::Cache)
    }

    /// The rules at the fork point, and what is put over the forked state.
    fn make_genesis(&self) -> Result<Genesis, ForkError> {
        let (rules, block) = (&self.rules, &self.block);
        let fork = rules.hardfork.unwrap_or_else(|| self.find_hardfork());
        let mut genesis = Genesis::dev(DevOptions {
            chain_id: rules.chain_id.unwrap_or(self.chain_id),
            fork,
            number: block.number,
            timestamp: block.timestamp,
            gas_limit: rules.gas_limit.unwrap_or(block.gas_limit).max(1),
            base_fee_wei: block.base_fee_per_gas.unwrap_or_default(),
            accounts: rules.accounts.clone(),
            create2_deployer: rules.create2_deployer,
            riscv: rules.riscv.clone(),
        });
        genesis.parent_hash = block.parent_hash;
        self.prefetch(&genesis).map_err(unpack)?;
        let funded = |address: &Address| rules.accounts.iter().any(|(known, _)| known == address);
        let mut alloc = std::mem::take(&mut genesis.alloc);
        for (address, account) in &mut alloc {
            self.adapt(*address, account, funded(address)).map_err(unpack)?;
        }
        // A contract of the forked chain stays as it is.
        alloc.retain(|address, account| funded(address) || !account.code.is_empty());
        genesis.alloc = alloc;
        Ok(genesis)
    }

    /// Fetches what every chain needs at once: the accounts put over the fork, and what the
    /// protocol itself reads in each block.
    fn prefetch(&self, genesis: &Genesis) -> Result<(), StoreError> {
        let mut items: Vec<_> = genesis.alloc.keys().copied().map(Item::Account).collect();
        items.push(Item::Account(self.block.beneficiary));
        items.push(Item::Account(CREATE2_DEPLOYER));
        let queues = [
            alloy_eips::eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
            alloy_eips::eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
        ];
        for queue in queues.into_iter().filter(|queue| genesis.alloc.contains_key(queue)) {
            items.extend((0..QUEUE_SLOTS).map(|slot| Item::Slot(queue, U256::from(slot))));
        }
        self.fetch(&items)
    }

    /// Puts an account of a dev genesis over what the forked chain has at its address.
    fn adapt(
        &self,
        address: Address,
        account: &mut GenesisAccount,
        funded: bool,
    ) -> Result<(), StoreError> {
        let there = self.basic_ref(address)?.unwrap_or_default();
        let code =
            if there.is_empty_code_hash() { Bytes::new() } else { self.code(there.code_hash)? };
        account.nonce = account.nonce.max(there.nonce);
        if !funded {
            account.balance = there.balance;
            // With code there the account is left out.
            account.code = if code.is_empty() { account.code.clone() } else { Bytes::new() };
        } else if !code.is_empty() {
            account.code = code;
        }
        Ok(())
    }

    /// The fork that holds after the last common block: by chain and time of known networks; a dev
    /// node says it itself; the newest one elsewhere.
    fn find_hardfork(&self) -> SpecId {
        let chain = self.chain_id.into();
        if let Some(known) = EthereumHardfork::from_chain_and_timestamp(chain, self.block.timestamp)
        {
            return match known {
                EthereumHardfork::Dao => SpecId::HOMESTEAD,
                known => fork_by_name(&known.to_string()).unwrap_or(SpecId::OSAKA),
            };
        }
        let remote = self.remote();
        if !remote.is_local() {
            return SpecId::OSAKA;
        }
        let info: Result<Value, _> = remote.ask("anvil_nodeInfo", json!([]));
        let name = info.ok().and_then(|info| info["hardFork"].as_str().map(str::to_owned));
        name.and_then(|name| fork_by_name(&name)).unwrap_or(SpecId::OSAKA)
    }
}

/// A failure of the node as such, not as the store's.
fn unpack(error: StoreError) -> ForkError {
    match error {
        StoreError::Forked(source) => match source.downcast::<RemoteError>() {
            Ok(remote) => ForkError::Remote(*remote),
            Err(other) => ForkError::Cache(StoreError::Forked(other)),
        },
        other => ForkError::Cache(other),
    }
}
