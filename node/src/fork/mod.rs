//! Fork mode: the chain goes on from a block of another node's chain.
//!
//! Start with [`Fork`], the forked chain at its block: the store reads through it what was never
//! written here (revm's `DatabaseRef`), and `rpc` asks it for older blocks. [`begin`] finds the
//! block and makes the genesis. `remote` talks to the node, `item` says what is fetched and how it
//! is cached, `flights` sees to it that nothing is fetched twice at a time.

mod begin;
mod error;
mod flights;
mod item;
mod opened;
mod remote;
mod roots;
mod socket;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy_consensus::{Header, Sealed};
use alloy_primitives::{Address, B256, Bytes, U256};
use arc_swap::ArcSwap;
use revm::DatabaseRef;
use revm::bytecode::Bytecode;
use revm::state::AccountInfo;
use serde_json::Value;
use serde_json::value::RawValue;
use storage::{ForkCache, ForkPoint, StoreError};

pub(crate) use begin::begin_now;
pub use begin::{
    ForkBlock, ForkConfig, ForkRules, ForkStart, KEPT_FILE, Replayed, begin, is_kept, kept_genesis,
};
pub use error::{ForkError, Place, Reason, RemoteError};
pub(crate) use item::Item;
pub(crate) use opened::{Opened, Overwritten, UNREAD, overwritten, ring_slots};
pub use remote::{Remote, RemoteConfig};

use flights::Flights;

/// Largest answer that is cached, in bytes.
const ANSWER_KEPT_MAX: usize = 1 << 20;

/// The chain that this one was forked from, at the last common block.
pub struct Fork {
    remote: ArcSwap<Remote>,
    cache: Arc<ForkCache>,
    chain_id: u64,
    block: Sealed<Header>,
    rules: ForkRules,
    place: CachePlace,
    flights: Flights,
}

impl std::fmt::Debug for Fork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fork").field("remote", &self.remote).finish_non_exhaustive()
    }
}

/// Where fetched state is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CachePlace {
    /// In memory, until the node ends.
    #[default]
    Nowhere,
    /// In this directory, below chain id and block.
    Below(PathBuf),
}

impl CachePlace {
    fn open(&self, chain_id: u64, block: &Sealed<Header>) -> Result<Arc<ForkCache>, ForkError> {
        match self {
            Self::Nowhere => ForkCache::temporary().map_err(ForkError::Cache),
            Self::Below(root) => {
                let path = directory(root, chain_id, block);
                ForkCache::open(&path).map_err(|source| ForkError::OpenCache { path, source })
            }
        }
    }
}

/// The hash is part of the name: dev chains have many blocks of the same number.
fn directory(root: &Path, chain_id: u64, block: &Sealed<Header>) -> PathBuf {
    root.join(chain_id.to_string()).join(format!("{}-{:x}", block.number, block.hash()))
}

impl Fork {
    /// The id of the forked chain.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Number of the last common block.
    pub fn number(&self) -> u64 {
        self.block.number
    }

    /// The last common block.
    pub fn block(&self) -> &Sealed<Header> {
        &self.block
    }

    /// The node that is asked.
    pub fn remote(&self) -> Arc<Remote> {
        self.remote.load_full()
    }

    /// Asks another node from now on, which has to have the same chain.
    pub fn set_url(&self, url: String) -> Result<(), ForkError> {
        let config = RemoteConfig { urls: vec![url], ..self.remote().config().clone() };
        self.remote.swap(Arc::new(Remote::new(config)?)).retire();
        Ok(())
    }

    /// Asks the node; if another one takes its place meanwhile, that one answers what this could not.
    fn ask<T>(&self, ask: impl Fn(&Remote) -> Result<T, RemoteError>) -> Result<T, RemoteError> {
        loop {
            let remote = self.remote();
            let answer = ask(&remote);
            if answer.is_ok() || !remote.is_retired() {
                return answer;
            }
        }
    }

    /// How to fork the same chain at another block.
    pub fn config_at(&self, block: ForkBlock) -> ForkConfig {
        ForkConfig {
            remote: self.remote().config().clone(),
            block,
            chain_id: None,
            cache: self.place.clone(),
            datadir: None,
        }
    }

    /// The rules that the chain here was begun with.
    pub(crate) fn rules(&self) -> &ForkRules {
        &self.rules
    }

    /// Where the chains part, for the store.
    pub(crate) fn point(self: &Arc<Self>) -> ForkPoint {
        ForkPoint { block: self.block.clone(), state: Arc::clone(self) as _ }
    }

    /// Answers a request about the common part of the chain. What it says never changes, so answers
    /// are cached, but for those that say that there is nothing.
    pub fn forward(&self, method: &str, params: &Value) -> Result<Box<RawValue>, StoreError> {
        let key = item::answer_key(method, &params.to_string());
        loop {
            if let Some(row) = self.cache.find(&key)? {
                let text = String::from_utf8(row).map_err(|_| item::bad_row(&key))?;
                return RawValue::from_string(text).map_err(|_| item::bad_row(&key));
            }
            let mut claim = self.flights.claim(vec![key.clone()]);
            if claim.own.is_empty() {
                remote::unhurried(|| claim.wait())?;
                if self.cache.find(&key)?.is_some() {
                    continue;
                }
                // It was nothing, or too much to be kept.
                return Ok(self.ask(|remote| remote.call(method, params.clone()))?);
            }
            let answer = self.ask(|remote| remote.call(method, params.clone()));
            if let Ok(answer) = &answer {
                let text = answer.get();
                if text != "null" && text.len() <= ANSWER_KEPT_MAX {
                    self.cache.keep(&[(key, text.as_bytes().to_vec())])?;
                }
            }
            claim.land(&answer.as_ref().map(|_| ()).map_err(Clone::clone));
            return Ok(answer?);
        }
    }

    /// Fetches what of `items` is not cached, in as few requests as possible.
    pub(crate) fn fetch(&self, items: &[Item]) -> Result<(), StoreError> {
        let missing = self.missing(items)?;
        if missing.is_empty() {
            return Ok(());
        }
        let mut claim = self.flights.claim(missing.iter().map(Item::key).collect());
        let own = missing.into_iter().filter(|item| claim.own.contains(&item.key()));
        // Some may have come in between the first look and the claim.
        let own = self.missing(&own.collect::<Vec<_>>())?;
        let fetched = if own.is_empty() { Ok(Vec::new()) } else { self.ask_for(&own) };
        if let Ok(rows) = &fetched {
            self.cache.keep(rows)?;
        }
        claim.land(&fetched.as_ref().map(|_| ()).map_err(Clone::clone));
        fetched?;
        Ok(remote::unhurried(|| claim.wait())?)
    }

    fn missing(&self, items: &[Item]) -> Result<Vec<Item>, StoreError> {
        let mut missing = Vec::new();
        for item in items {
            if !missing.contains(item) && self.cache.find(&item.key())?.is_none() {
                missing.push(*item);
            }
        }
        Ok(missing)
    }

    fn ask_for(&self, items: &[Item]) -> Result<item::Rows, RemoteError> {
        let calls: Vec<_> = items.iter().flat_map(|item| item.calls(self.number())).collect();
        self.ask(|remote| {
            let mut answers = remote.call_all(&calls)?.into_iter();
            let mut rows = Vec::new();
            for item in items {
                rows.extend(item.rows(remote, &mut answers)?);
            }
            Ok(rows)
        })
    }

    fn row(&self, item: Item) -> Result<Vec<u8>, StoreError> {
        let key = item.key();
        if let Some(row) = self.cache.find(&key)? {
            return Ok(row);
        }
        self.fetch(&[item])?;
        self.cache.find(&key)?.ok_or_else(|| item::bad_row(&key))
    }

    /// The code of a hash that some account of the forked state was fetched with.
    fn code(&self, code_hash: B256) -> Result<Bytes, StoreError> {
        let row = self.cache.find(&item::code_key(code_hash))?;
        row.map(Bytes::from).ok_or(StoreError::MissingCode { code_hash })
    }
}

impl DatabaseRef for Fork {
    type Error = StoreError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StoreError> {
        let info = item::read_account(&self.row(Item::Account(address))?)?;
        let Some(mut info) = info else { return Ok(None) };
        if !info.is_empty_code_hash() {
            // As in the store: the code comes along for delegations only.
            let code = self.code_by_hash_ref(info.code_hash)?;
            info.code = Some(code).filter(Bytecode::is_eip7702);
        }
        Ok(Some(info))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, StoreError> {
        let code = self.code(code_hash)?;
        Ok(Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code)))
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StoreError> {
        let row = self.row(Item::Slot(address, slot))?;
        Ok(item::read_word(&row)?.into())
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StoreError> {
        item::read_word(&self.row(Item::Hash(number))?)
    }
}
