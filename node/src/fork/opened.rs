//! What the system calls at the opening of a block overwrite is not fetched.
//!
//! The contracts of EIP-4788 and EIP-2935 are rings: each block writes slots that it has not read.
//! The engine still looks at their old values, to tell whether they change, and would fetch three
//! slots for every block, of which nobody else ever hears; without the node, no block could be
//! sealed. So these slots are given a value that nobody writes.

use alloy_consensus::Header;
use alloy_eips::{eip2935, eip4788};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use genesis::{ChainSpec, SpecId};
use revm::DatabaseRef;
use revm::bytecode::Bytecode;
use revm::state::AccountInfo;

/// Slots of each ring.
const RING: u64 = 8_191;

/// A state as a block's opening finds it.
pub(crate) struct Opened<DB> {
    db: DB,
    overwritten: Overwritten,
}

/// Slots that are written before anybody reads them.
pub(crate) type Overwritten = Vec<(Address, U256)>;

impl<DB: DatabaseRef> Opened<DB> {
    /// The state `db` for the block `header`; of a chain that is not forked, as it is.
    pub(crate) fn new(
        db: DB,
        header: &Header,
        forked: Option<&ChainSpec>,
    ) -> Result<Self, DB::Error> {
        let overwritten = match forked {
            Some(spec) => overwritten(&db, header, spec)?,
            None => Vec::new(),
        };
        Ok(Self { db, overwritten })
    }
}

/// The slots that the opening of the block `header` writes, where the usual contracts are.
pub(crate) fn overwritten<DB: DatabaseRef>(
    db: &DB,
    header: &Header,
    spec: &ChainSpec,
) -> Result<Overwritten, DB::Error> {
    let is_usual = |address, code: &Bytes| -> Result<bool, DB::Error> {
        let account = db.basic_ref(address)?;
        Ok(account.is_some_and(|account| account.code_hash == keccak256(code)))
    };
    let [time, root, hash] = ring_slots(header);
    let mut slots = Vec::new();
    if header.parent_beacon_block_root.is_some() && is_usual(time.0, &eip4788::BEACON_ROOTS_CODE)? {
        slots.extend([time, root]);
    }
    let prague = spec.fork(header.number, header.timestamp).is_enabled_in(SpecId::PRAGUE);
    if prague && header.number > 0 && is_usual(hash.0, &eip2935::HISTORY_STORAGE_CODE)? {
        slots.push(hash);
    }
    Ok(slots)
}

/// The slots that the usual contracts give the block's timestamp, the root of the beacon block
/// before it, and the hash of its parent.
pub(crate) fn ring_slots(header: &Header) -> [(Address, U256); 3] {
    let (roots, hashes) = (eip4788::BEACON_ROOTS_ADDRESS, eip2935::HISTORY_STORAGE_ADDRESS);
    let time = U256::from(header.timestamp % RING);
    let number = U256::from(header.number.saturating_sub(1) % RING);
    [(roots, time), (roots, time + U256::from(RING)), (hashes, number)]
}

/// A value that no opening writes: the engine takes the slot for changed.
pub(crate) const UNREAD: U256 = U256::MAX;

impl<DB: DatabaseRef> DatabaseRef for Opened<DB> {
    type Error = DB::Error;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, DB::Error> {
        self.db.basic_ref(address)
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, DB::Error> {
        self.db.code_by_hash_ref(code_hash)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, DB::Error> {
        if self.overwritten.contains(&(address, slot)) {
            return Ok(UNREAD);
        }
        self.db.storage_ref(address, slot)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, DB::Error> {
        self.db.block_hash_ref(number)
    }
}
