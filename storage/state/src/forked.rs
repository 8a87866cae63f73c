//! What differs on a chain that goes on from another chain's state (`docs/spec/state.md`).
//!
//! A leaf that is not there says that nothing was written, and what is gone has a leaf that says
//! so.

use crate::{StateError, account, is_empty_code};
use alloy_primitives::B256;
use revm::{
    database::{AccountStatus, BundleAccount},
    state::AccountInfo,
};
use tree::{Key, Stem, Value, sub};

/// The header field that is there once no slot of the account is read in the forked state.
pub const OWN_STORAGE: u8 = 3;
/// What the field holds.
pub const OWN_STORAGE_VALUE: Value = B256::with_last_byte(1);
/// A code hash that no account has: the account is gone, whatever the forked state says.
pub const GONE: Value = B256::ZERO;

/// What leaves say of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalAccount {
    /// It is there.
    There(AccountInfo),
    /// It was removed from a forked chain.
    Gone,
    /// It has no leaves: it does not exist, or is as the forked state has it.
    Unwritten,
}

/// Reads what the leaves of an account say.
pub fn local_account<E: From<StateError>>(
    stem: Stem,
    leaf: impl Fn(&Key) -> Result<Option<Value>, E>,
) -> Result<LocalAccount, E> {
    if leaf(&stem.header(sub::CODE_HASH))? == Some(GONE) {
        return Ok(LocalAccount::Gone);
    }
    Ok(account(stem, leaf)?.map_or(LocalAccount::Unwritten, LocalAccount::There))
}

/// Whether a contract was created where none was: none of its slots is older than this.
pub(crate) fn is_created(account: &BundleAccount) -> bool {
    let has_code = |info: &AccountInfo| !is_empty_code(info.code_hash);
    let had_code = account.original_info.as_ref().is_some_and(has_code);
    let delegates = |info: &AccountInfo| info.code.as_ref().is_some_and(|code| code.is_eip7702());
    account.status == AccountStatus::InMemoryChange
        && !had_code
        && account.info.as_ref().is_some_and(|info| has_code(info) && !delegates(info))
}

/// Whether nonce, balance and code are what they were.
pub(crate) fn is_same(account: &BundleAccount) -> bool {
    let fields = |info: &AccountInfo| (info.nonce, info.balance, info.code_hash);
    account.original_info.as_ref().map(fields) == account.info.as_ref().map(fields)
}
