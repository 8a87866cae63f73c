//! Older states of a dump, as anvil keeps them if it is asked to: a state for the hash of a block.

use std::collections::{BTreeMap, HashMap};

use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};
use genesis::GenesisAccount;
use revm::primitives::KECCAK_EMPTY;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use storage::{Snapshot, StoreError};

use super::load::Accounts;
use crate::error::DevError;
use crate::sequencer::bytecode;

/// The state after a block.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct StateRow {
    accounts: BTreeMap<Address, InfoRow>,
    #[serde(default)]
    storage: BTreeMap<Address, BTreeMap<U256, U256>>,
    #[serde(default)]
    block_hashes: BTreeMap<U256, B256>,
}

/// An account without its storage.
#[derive(Serialize, Deserialize)]
struct InfoRow {
    balance: U256,
    nonce: u64,
    code_hash: B256,
    /// Code in revm's form.
    #[serde(default)]
    code: Value,
}

impl StateRow {
    /// The state that a snapshot shows.
    pub(super) fn of(snapshot: &Snapshot) -> Result<Self, StoreError> {
        let mut state = Self::default();
        for (address, account) in snapshot.accounts()? {
            let code = written(&snapshot.code(address)?);
            let (balance, nonce) = (account.balance, account.nonce);
            let code_hash = account.code_hash;
            state.accounts.insert(address, InfoRow { balance, nonce, code_hash, code });
            let storage = snapshot.storage_of(address)?;
            state.storage.insert(address, storage);
        }
        Ok(state)
    }

    /// Its accounts; `codes` are those that are known, by their hashes, and get more.
    pub(super) fn read(mut self, codes: &mut HashMap<B256, Bytes>) -> Result<Accounts, DevError> {
        let mut accounts = Accounts::new();
        for (address, InfoRow { balance, nonce, code_hash, code }) in self.accounts {
            let code = match codes.get(&code_hash) {
                Some(code) => code.clone(),
                None if code_hash == KECCAK_EMPTY || code_hash.is_zero() => Bytes::new(),
                None => {
                    let code = read_code(&code).filter(|code| keccak256(code) == code_hash);
                    let text = || format!("no code {code_hash} of {address} in an older state");
                    let code = code.ok_or_else(|| DevError::Dump(text()))?;
                    codes.insert(code_hash, code.clone());
                    code
                }
            };
            let storage = self.storage.remove(&address).unwrap_or_default().into_iter();
            let storage = storage.filter(|(_, value)| !value.is_zero());
            let storage = storage.map(|(slot, value)| (slot.into(), value.into())).collect();
            accounts.insert(address, GenesisAccount { balance, nonce, code, storage });
        }
        Ok(accounts)
    }
}

/// Code as revm writes it.
fn written(code: &Bytes) -> Value {
    let code = bytecode(code);
    if let Some(target) = code.eip7702_address() {
        return json!({"Eip7702": {
            "delegated_address": target, "version": 0, "raw": code.original_bytes(),
        }});
    }
    let table = code.legacy_jump_table();
    let (data, bits) = table.map_or((&[][..], 0), |table| (table.as_slice(), table.len()));
    json!({"LegacyAnalyzed": {
        "bytecode": code.bytes(),
        "original_len": code.original_bytes().len(),
        "jump_table": {
            "order": "bitvec::order::Lsb0",
            "head": {"width": 8, "index": 0},
            "bits": bits,
            "data": data,
        },
    }})
}

/// Code in any of the forms that revm has had for it.
fn read_code(code: &Value) -> Option<Bytes> {
    let bytes = |text: &Value| hex::decode(text.as_str()?).ok();
    if let Some(target) = code.get("Eip7702").and_then(|code| code.get("delegated_address")) {
        return Some([vec![0xef, 1, 0], bytes(target)?].concat().into());
    }
    let Some(analyzed) = code.get("LegacyAnalyzed") else {
        return Some(bytes(code.get("LegacyRaw")?)?.into());
    };
    let mut raw = bytes(analyzed.get("bytecode")?)?;
    raw.truncate(analyzed.get("original_len")?.as_u64()?.try_into().ok()?);
    Some(raw.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_comes_back_in_every_form() {
        let delegation = [vec![0xef, 1, 0], vec![7; 20]].concat();
        let container = b"\xef\x52\x56\x01 and more".to_vec();
        for code in [vec![], vec![0x60], vec![0x5b, 0], delegation, container] {
            let code = Bytes::from(code);
            assert_eq!(read_code(&written(&code)), Some(code));
        }
        assert_eq!(read_code(&json!({"LegacyRaw": "0x6001"})), Some(vec![0x60, 1].into()));
        assert_eq!(read_code(&json!({"LegacyAnalyzed": {"bytecode": "0x60"}})), None);
        assert_eq!(read_code(&Value::Null), None);
    }
}
