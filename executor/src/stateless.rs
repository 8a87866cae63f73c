//! A block run on its witness alone, without any store: the same system calls, transactions,
//! receipts, requests and state root, or the reason why not.
//!
//! Start with [`Stateless::execute`]. What a witness is, and what it does not prove, is written in
//! `docs/spec/witness.md`.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use alloy_consensus::transaction::SignerRecoverable;
use alloy_consensus::{Block, Header, TxEnvelope};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::Decodable;
use revm::DatabaseRef;
use revm::bytecode::Bytecode;
use revm::state::AccountInfo;
use state::{Before, Changes, Holding, StateError};
use tree::{HashFunction, Hidden, Key, PartialTree, Stem, Value};
use vm::{Engine, Rules};

use crate::{BlockExecution, ExecutorError, PushError, impersonated_sender};

/// All that a block's execution needs besides the block and the chain's rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witness {
    /// The part of the parent's state that the block reads and changes, [`PartialTree::encode`].
    pub state: Bytes,
    /// Code that runs or is read.
    pub codes: Vec<Bytes>,
    /// RLP of the headers before the block, as far back as BLOCKHASH looks; the parent is last.
    pub headers: Vec<Bytes>,
    /// Leaves that dev edits changed between the parent and the block, with their new values.
    pub edits: Vec<(Bytes, Option<B256>)>,
    /// Hashes of code that loses its last holder in the block.
    pub dropped: Vec<B256>,
}

/// How blocks of a chain are run without its store.
pub struct Stateless {
    /// What runs transactions; it knows the chain's rules.
    pub engine: Engine,
    /// What is checked of transactions.
    pub rules: Rules,
    /// The hash of the chain's tree.
    pub hash: HashFunction,
    /// Whether transactions may name a sender that did not sign, as on a dev chain.
    pub impersonation: bool,
}

/// Why a block could not be run on its witness, or came out otherwise.
#[derive(Debug, thiserror::Error)]
pub enum StatelessError {
    /// A header of the witness does not decode.
    #[error("header {index} of the witness: {source}")]
    Header {
        /// Its place.
        index: usize,
        /// What is wrong.
        source: alloy_rlp::Error,
    },
    /// The headers of the witness do not lead to the block.
    #[error("header {index} of the witness is not the parent of what comes next")]
    Link {
        /// Its place; the number of headers if there is none.
        index: usize,
    },
    /// The tree of the witness does not decode.
    #[error(transparent)]
    Tree(#[from] tree::DecodeError),
    /// The tree of the witness is not the parent's.
    #[error("the witness's state has root {found}, the parent {expected}")]
    ParentRoot {
        /// The parent's state root.
        expected: B256,
        /// The root of the witness's tree.
        found: B256,
    },
    /// An edit is of no leaf that there can be.
    #[error("edit {index} of the witness has a key of {size} bytes that no leaf has")]
    Edit {
        /// Its place.
        index: usize,
        /// Size of its key.
        size: usize,
    },
    /// The state could not be read or changed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Nobody can have signed a transaction.
    #[error("transaction {index} has no valid signature")]
    Signature {
        /// Its place in the block.
        index: usize,
    },
    /// A transaction does not run.
    #[error("transaction {index}: {reason}")]
    Transaction {
        /// Its place in the block.
        index: usize,
        /// Why.
        reason: String,
    },
    /// The block's own steps failed.
    #[error("block: {0}")]
    Block(#[from] ExecutorError<ReadError>),
    /// Something came out otherwise than the header says.
    #[error("{field} of the header is {header}, execution gives {executed}")]
    Outcome {
        /// The field of the header.
        field: &'static str,
        /// What it says.
        header: String,
        /// What execution gives.
        executed: String,
    },
}

/// Why a witness could not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The way to a leaf is not in it.
    #[error(transparent)]
    Hidden(#[from] Hidden),
    /// Its leaves make no account, or the block's changes no leaves.
    #[error(transparent)]
    State(#[from] StateError),
    /// It has not the header of an ancestor.
    #[error("the witness has no header of block {number}")]
    Ancestor {
        /// The ancestor's number.
        number: u64,
    },
}

impl revm::database_interface::DBErrorMarker for ReadError {}

impl Stateless {
    /// Runs a block on its witness and returns the state root, which is that of the block's header,
    /// as everything else in it is.
    pub fn execute(
        &self,
        block: &Block<TxEnvelope>,
        witness: &Witness,
    ) -> Result<B256, StatelessError> {
        let mut state = WitnessState::open(self.hash, &block.header, witness)?;
        let given = &block.header;
        let header = Header { blob_gas_used: given.blob_gas_used.map(|_| 0), ..given.clone() };
        let mut execution =
            BlockExecution::begin(&self.engine, header, self.rules.clone(), &state)?;
        execution.set_rest(block.body.ommers.clone(), block.body.withdrawals.clone());
        for (index, transaction) in block.body.transactions.iter().enumerate() {
            let sender = self.sender(transaction).ok_or(StatelessError::Signature { index })?;
            let pushed = execution.push(transaction.clone(), sender);
            pushed.map_err(|error: PushError<ReadError>| {
                let reason = error.to_string();
                StatelessError::Transaction { index, reason }
            })?;
        }
        let executed = execution.finish()?;
        let changes = Changes::of_bundle(&executed.changes, &state)?;
        for update in changes.updates() {
            state.tree.update(&update.key, update.value).map_err(ReadError::from)?;
        }
        let state_root = state.tree.root(self.hash);
        compare(given, &Header { state_root, ..executed.header })?;
        Ok(state_root)
    }

    /// Who sends a transaction, if anybody does.
    fn sender(&self, transaction: &TxEnvelope) -> Option<Address> {
        match impersonated_sender(transaction.signature()) {
            Some(sender) if self.impersonation => Some(sender),
            _ => transaction.recover_signer().ok(),
        }
    }
}

/// Compares what the header says with what came out, the telling fields first.
fn compare(header: &Header, executed: &Header) -> Result<(), StatelessError> {
    fn check<T: PartialEq + fmt::Debug>(
        field: &'static str,
        header: &T,
        executed: &T,
    ) -> Result<(), StatelessError> {
        if header == executed {
            return Ok(());
        }
        let (header, executed) = (alloc::format!("{header:?}"), alloc::format!("{executed:?}"));
        Err(StatelessError::Outcome { field, header, executed })
    }
    check("transactionsRoot", &header.transactions_root, &executed.transactions_root)?;
    check("withdrawalsRoot", &header.withdrawals_root, &executed.withdrawals_root)?;
    check("gasUsed", &header.gas_used, &executed.gas_used)?;
    check("receiptsRoot", &header.receipts_root, &executed.receipts_root)?;
    check("logsBloom", &header.logs_bloom, &executed.logs_bloom)?;
    check("requestsHash", &header.requests_hash, &executed.requests_hash)?;
    check("blobGasUsed", &header.blob_gas_used, &executed.blob_gas_used)?;
    check("blockAccessListHash", &header.block_access_list_hash, &executed.block_access_list_hash)?;
    check("stateRoot", &header.state_root, &executed.state_root)?;
    check("hash", &header.hash_slow(), &executed.hash_slow())
}

/// The state that a witness shows.
struct WitnessState {
    hash: HashFunction,
    tree: PartialTree,
    codes: BTreeMap<B256, Bytes>,
    ancestors: BTreeMap<u64, B256>,
    dropped: BTreeSet<B256>,
}

impl WitnessState {
    /// Checks that the witness is of the block's parent, and makes the edits.
    fn open(
        hash: HashFunction,
        header: &Header,
        witness: &Witness,
    ) -> Result<Self, StatelessError> {
        let mut tree = PartialTree::decode(&witness.state)?;
        let (parent, ancestors) = ancestors(header, &witness.headers)?;
        let (expected, found) = (parent.state_root, tree.root(hash));
        if expected != found {
            return Err(StatelessError::ParentRoot { expected, found });
        }
        for (index, (key, value)) in witness.edits.iter().enumerate() {
            let whole = |parsed: &Key| parsed.as_slice().len() == key.len();
            let parsed = Key::parse(key).filter(whole);
            let parsed = parsed.ok_or(StatelessError::Edit { index, size: key.len() })?;
            tree.update(&parsed, *value).map_err(ReadError::from)?;
        }
        let codes = witness.codes.iter().map(|code| (keccak256(code), code.clone())).collect();
        let dropped = witness.dropped.iter().copied().collect();
        Ok(Self { hash, tree, codes, ancestors, dropped })
    }
}

/// Reads the headers before a block, which are linked by their hashes; returns the parent and the
/// hashes by number.
fn ancestors(
    header: &Header,
    encoded: &[Bytes],
) -> Result<(Header, BTreeMap<u64, B256>), StatelessError> {
    let mut hashes = BTreeMap::new();
    let mut next = (header.number, header.parent_hash);
    let mut parent = None;
    for (index, bytes) in encoded.iter().enumerate().rev() {
        let mut rest = bytes.as_ref();
        let decoded = Header::decode(&mut rest);
        let decoded = decoded.map_err(|source| StatelessError::Header { index, source })?;
        let hash = keccak256(bytes);
        if !rest.is_empty() || hash != next.1 || decoded.number.checked_add(1) != Some(next.0) {
            return Err(StatelessError::Link { index });
        }
        next = (decoded.number, decoded.parent_hash);
        hashes.insert(decoded.number, hash);
        parent.get_or_insert(decoded);
    }
    let parent = parent.ok_or(StatelessError::Link { index: encoded.len() })?;
    Ok((parent, hashes))
}

impl DatabaseRef for &WitnessState {
    type Error = ReadError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, ReadError> {
        state::account(Stem::of(self.hash, address), |key| Ok(self.tree.find(key)?))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, ReadError> {
        let code = self.codes.get(&code_hash).ok_or(StateError::MissingCode { code_hash })?;
        Ok(state::bytecode(code.clone()))
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, ReadError> {
        let value = self.tree.find(&state::slot_key(self.hash, address, slot))?;
        Ok(value.unwrap_or_default().into())
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, ReadError> {
        self.ancestors.get(&number).copied().ok_or(ReadError::Ancestor { number })
    }
}

impl Before for WitnessState {
    type Error = ReadError;

    fn hash(&self) -> HashFunction {
        self.hash
    }

    fn leaf(&self, key: &Key) -> Result<Option<Value>, ReadError> {
        Ok(self.tree.find(key)?)
    }

    fn keys_from(&self, prefix: &[u8]) -> Result<Vec<Key>, ReadError> {
        Ok(self.tree.keys_from(prefix)?)
    }

    fn code(&self, code_hash: B256) -> Result<Option<Bytes>, ReadError> {
        Ok(self.codes.get(&code_hash).cloned())
    }

    fn holder_count(&self, holding: &Holding<'_>) -> Result<u64, ReadError> {
        holding.count_by_leaves(self, self.dropped.contains(&holding.code_hash))
    }
}
