//! Read views.
use crate::{ExecutedBlock, LogEntry, LogFilter, StoreError, StoredReceipt, TxLocation};
use alloy_consensus::{Header, Sealed, TxEnvelope};
use alloy_primitives::{Address, B256, Bytes, U256};
use revm::{DatabaseRef, bytecode::Bytecode, state::AccountInfo};
use std::collections::BTreeMap;

/// A read view at one block; short-lived, for it keeps the database's old pages.
#[derive(Debug)]
pub struct Snapshot {}
impl Snapshot {
    /// Returns the number of the newest block.
    pub fn head(&self) -> u64 { unimplemented!() }
    /// Returns the number of the oldest block.
    pub fn first(&self) -> u64 { unimplemented!() }
    /// Returns the block after which the state is seen.
    pub fn number(&self) -> u64 { unimplemented!() }
    /// Returns the header of a block.
    pub fn header(&self, _number: u64) -> Result<Option<Sealed<Header>>, StoreError> { unimplemented!() }
    /// Returns a block's hash.
    pub fn hash(&self, _number: u64) -> Result<Option<B256>, StoreError> { unimplemented!() }
    /// Returns the number of the block with this hash.
    pub fn number_of(&self, _hash: B256) -> Result<Option<u64>, StoreError> { unimplemented!() }
    /// Returns a block with transactions and receipts.
    pub fn block(&self, _number: u64) -> Result<Option<ExecutedBlock>, StoreError> { unimplemented!() }
    /// Returns where a transaction is.
    pub fn location(&self, _tx_hash: B256) -> Result<Option<TxLocation>, StoreError> { unimplemented!() }
    /// Returns a transaction and its sender.
    pub fn transaction(&self, _at: TxLocation) -> Result<Option<(TxEnvelope, Address)>, StoreError> { unimplemented!() }
    /// Returns a receipt.
    pub fn receipt(&self, _at: TxLocation) -> Result<Option<StoredReceipt>, StoreError> { unimplemented!() }
    /// Returns the logs that match, in order.
    pub fn logs(&self, _filter: &LogFilter) -> Result<Vec<LogEntry>, StoreError> { unimplemented!() }
    /// Returns the waiting transactions of the journal in the order in which they came.
    pub fn waiting(&self) -> Result<Vec<(B256, Bytes)>, StoreError> { unimplemented!() }
    /// Returns what [`crate::Commit::Meta`] kept.
    pub fn meta(&self, _key: &str) -> Result<Option<Vec<u8>>, StoreError> { unimplemented!() }
    /// Returns an account; its code is loaded only for delegations.
    pub fn account(&self, _address: Address) -> Result<Option<AccountInfo>, StoreError> { unimplemented!() }
    /// Returns a storage slot.
    pub fn storage(&self, _address: Address, _slot: U256) -> Result<U256, StoreError> { unimplemented!() }
    /// Returns the code of an account, empty if there is none.
    pub fn code(&self, _address: Address) -> Result<Bytes, StoreError> { unimplemented!() }
    /// Returns all accounts.
    pub fn accounts(&self) -> Result<BTreeMap<Address, AccountInfo>, StoreError> { unimplemented!() }
    /// Returns all slots of an account.
    pub fn storage_of(&self, _address: Address) -> Result<BTreeMap<U256, U256>, StoreError> { unimplemented!() }
    /// Rebuilds the state root out of accounts, slots and code.
    pub fn rebuild_root(&self) -> Result<B256, StoreError> { unimplemented!() }
}
impl DatabaseRef for Snapshot {
    type Error = StoreError;
    fn basic_ref(&self, _address: Address) -> Result<Option<AccountInfo>, StoreError> { unimplemented!() }
    fn code_by_hash_ref(&self, _code_hash: B256) -> Result<Bytecode, StoreError> { unimplemented!() }
    fn storage_ref(&self, _address: Address, _slot: U256) -> Result<U256, StoreError> { unimplemented!() }
    fn block_hash_ref(&self, _number: u64) -> Result<B256, StoreError> { unimplemented!() }
}
