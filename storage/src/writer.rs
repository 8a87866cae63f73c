//! The state at the head, as the sequencer changes it: the tree and what is not committed yet.
use crate::{StoreError};
use alloy_primitives::{Address, B256, U256};
use revm::{DatabaseRef, bytecode::Bytecode, database::BundleState, state::AccountInfo};

/// A change of the state by one block or edit, with everything that its commit writes.
#[derive(Debug, Clone)]
pub struct StateDelta {
    root: B256,
}
impl StateDelta {
    /// Returns the state root after the change.
    pub const fn root(&self) -> B256 { self.root }
}
/// A state to go back to: after block `number` and the first `edits` edits made on top of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The block.
    pub number: u64,
    /// How many edits of the next block are kept.
    pub edits: u32,
}
/// The head state; owned by the thread that executes blocks.
#[derive(Debug)]
pub struct Writer {}
impl Writer {
    /// Applies the changes of block `number`, the one after the head.
    pub fn apply(&mut self, _number: u64, _changes: &BundleState) -> Result<StateDelta, StoreError> { unimplemented!() }
    /// Applies a change between two blocks; it belongs to the history of the next one.
    pub fn edit(&mut self, _changes: &BundleState) -> Result<StateDelta, StoreError> { unimplemented!() }
    /// Tells the hash of a block that was applied, for BLOCKHASH.
    pub fn sealed(&mut self, _number: u64, _hash: B256) { unimplemented!() }
    /// Returns the root of the state, edits included.
    pub fn root(&self) -> B256 { unimplemented!() }
    /// Returns where the head is now, to come back to with [`Writer::unwind`].
    pub fn mark(&self) -> Mark { unimplemented!() }
    /// Goes back to an earlier state and removes the blocks after it, in a database transaction of its own.
    pub fn unwind(&mut self, _to: Mark) -> Result<(), StoreError> { unimplemented!() }
}
impl DatabaseRef for Writer {
    type Error = StoreError;
    fn basic_ref(&self, _address: Address) -> Result<Option<AccountInfo>, StoreError> { unimplemented!() }
    fn code_by_hash_ref(&self, _code_hash: B256) -> Result<Bytecode, StoreError> { unimplemented!() }
    fn storage_ref(&self, _address: Address, _slot: U256) -> Result<U256, StoreError> { unimplemented!() }
    fn block_hash_ref(&self, _number: u64) -> Result<B256, StoreError> { unimplemented!() }
}
