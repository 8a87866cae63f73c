//! Where an execution reads state from: the caller's database behind the engine's code cache.

use alloy_primitives::{Address, B256, U256};
use revm::{
    Database, DatabaseRef,
    bytecode::Bytecode,
    context::{BlockEnv, CfgEnv, TxEnv},
    state::AccountInfo,
};

use crate::{engine::Engine, stop::Watchdog};

/// The state of one execution: a cache of what was read, and the changes made.
pub type State<DB> = revm::database::State<Source<DB>>;

/// revm's context over [`State`], as inspectors see it.
pub type Context<DB> = revm::Context<BlockEnv, TxEnv, CfgEnv, State<DB>>;

/// The caller's database with analysed code from the engine's cache.
pub struct Source<DB> {
    pub(crate) db: DB,
    pub(crate) engine: Engine,
    /// Ends runs that take too long: here, where instructions find it.
    pub(crate) watchdog: Watchdog,
}

impl<DB: DatabaseRef> Database for Source<DB> {
    type Error = DB::Error;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, DB::Error> {
        self.db.basic_ref(address)
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, DB::Error> {
        self.engine.bytecode(code_hash, || self.db.code_by_hash_ref(code_hash))
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, DB::Error> {
        self.db.storage_ref(address, index)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, DB::Error> {
        self.db.block_hash_ref(number)
    }
}

impl<DB: DatabaseRef> DatabaseRef for Source<DB> {
    type Error = DB::Error;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, DB::Error> {
        self.db.basic_ref(address)
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, DB::Error> {
        self.engine.bytecode(code_hash, || self.db.code_by_hash_ref(code_hash))
    }

    fn storage_ref(&self, address: Address, index: U256) -> Result<U256, DB::Error> {
        self.db.storage_ref(address, index)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, DB::Error> {
        self.db.block_hash_ref(number)
    }
}
