//! A dev edit as a change of the state.
//!
//! It does not go through the engine: there, an account without balance, nonce and code counts as
//! absent (EIP-161), and storage given to it would be lost before its code arrives.

use alloy_primitives::Bytes;
use alloy_primitives::map::HashMap;
use revm::DatabaseRef;
use revm::bytecode::Bytecode;
use revm::database::states::StorageSlot;
use revm::database::{AccountStatus, BundleAccount, BundleState};
use revm::primitives::KECCAK_EMPTY;
use storage::StoreError;
use vm::AccountEdit;

/// Code that may be of any kind.
pub(crate) fn bytecode(code: &Bytes) -> Bytecode {
    Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code.clone()))
}

/// The change that `edit` makes to the state of `before`.
pub(super) fn changes<DB: DatabaseRef<Error = StoreError>>(
    edit: &AccountEdit,
    before: &DB,
) -> Result<BundleState, StoreError> {
    let original = before.basic_ref(edit.address)?;
    let mut info = original.clone().unwrap_or_default();
    info.balance = edit.balance.unwrap_or(info.balance);
    info.nonce = edit.nonce.unwrap_or(info.nonce);
    let mut changes = BundleState::default();
    if let Some(code) = &edit.code {
        let code = bytecode(code);
        info.code_hash = if code.is_empty() { KECCAK_EMPTY } else { code.hash_slow() };
        info.code = Some(code.clone());
        changes.contracts.insert(info.code_hash, code);
    }
    let mut storage = HashMap::default();
    for (slot, value) in &edit.storage {
        let old = before.storage_ref(edit.address, *slot)?;
        storage.insert(*slot, StorageSlot::new_changed(old, *value));
    }
    let status = match (edit.clear_storage, &original) {
        (true, _) => AccountStatus::DestroyedChanged,
        (false, Some(_)) => AccountStatus::Changed,
        (false, None) => AccountStatus::InMemoryChange,
    };
    let account = BundleAccount::new(original, Some(info), storage, status);
    changes.state.insert(edit.address, account);
    Ok(changes)
}
