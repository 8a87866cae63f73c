//! What is fetched of the forked chain: how it is asked for, and its row in the cache.
//!
//! | first byte | key | value |
//! |---|---|---|
//! | `a` | address | nonce (8 bytes), balance (32), code hash (32) |
//! | `c` | code hash | code |
//! | `s` | address, slot (32) | 32 bytes |
//! | `h` | block (8) | block hash |
//! | `q` | keccak256 of method, a zero byte and parameters | the answer's JSON |

use alloy_primitives::{Address, B256, Bytes, U64, U256, keccak256};
use revm::primitives::KECCAK_EMPTY;
use revm::state::AccountInfo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use storage::StoreError;

use super::error::RemoteError;
use super::remote::{Call, Remote};

/// Rows of the cache.
pub(super) type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// A part of the forked state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// Nonce, balance and code.
    Account(Address),
    /// A storage slot.
    Slot(Address, U256),
    /// The hash of a block.
    Hash(u64),
}

/// The key of code.
pub(super) fn code_key(code_hash: B256) -> Vec<u8> {
    [&b"c"[..], code_hash.as_slice()].concat()
}

/// The key of an answer.
pub(super) fn answer_key(method: &str, params: &str) -> Vec<u8> {
    let hash = keccak256([method.as_bytes(), &[0], params.as_bytes()].concat());
    [&b"q"[..], hash.as_slice()].concat()
}

impl Item {
    pub(super) fn key(&self) -> Vec<u8> {
        match self {
            Self::Account(address) => [&b"a"[..], address.as_slice()].concat(),
            Self::Slot(address, slot) => {
                [&b"s"[..], address.as_slice(), &slot.to_be_bytes::<32>()].concat()
            }
            Self::Hash(number) => [&b"h"[..], &number.to_be_bytes()].concat(),
        }
    }

    /// The calls that give it, at block `at`.
    pub(super) fn calls(&self, at: u64) -> Vec<Call<'static>> {
        let at = Value::from(U64::from(at).to_string_hex());
        match self {
            Self::Account(address) => vec![
                ("eth_getBalance", json!([address, at])),
                ("eth_getTransactionCount", json!([address, at])),
                ("eth_getCode", json!([address, at])),
            ],
            Self::Slot(address, slot) => {
                vec![("eth_getStorageAt", json!([address, format!("{slot:#066x}"), at]))]
            }
            Self::Hash(number) => {
                let number = U64::from(*number).to_string_hex();
                vec![("eth_getBlockByNumber", json!([number, false]))]
            }
        }
    }

    /// The rows that the answers to its calls make.
    pub(super) fn rows(
        &self,
        remote: &Remote,
        answers: &mut impl Iterator<Item = Box<RawValue>>,
    ) -> Result<Rows, RemoteError> {
        match self {
            Self::Account(_) => {
                let balance: U256 = take(remote, "eth_getBalance", answers)?;
                let nonce: U64 = take(remote, "eth_getTransactionCount", answers)?;
                let code: Bytes = take(remote, "eth_getCode", answers)?;
                let code_hash = if code.is_empty() { KECCAK_EMPTY } else { keccak256(&code) };
                let nonce = nonce.to::<u64>().to_be_bytes();
                let row = [&nonce[..], &balance.to_be_bytes::<32>(), code_hash.as_slice()].concat();
                let mut rows = vec![(self.key(), row)];
                if !code.is_empty() {
                    rows.push((code_key(code_hash), code.to_vec()));
                }
                Ok(rows)
            }
            Self::Slot(..) => {
                let value: U256 = take(remote, "eth_getStorageAt", answers)?;
                Ok(vec![(self.key(), value.to_be_bytes::<32>().to_vec())])
            }
            Self::Hash(_) => {
                let block: BlockHash = take(remote, "eth_getBlockByNumber", answers)?;
                Ok(vec![(self.key(), block.hash.to_vec())])
            }
        }
    }
}

#[derive(Deserialize)]
struct BlockHash {
    hash: B256,
}

/// Hexadecimal without leading zeros, as quantities are written.
pub(crate) trait Quantity {
    /// The text.
    fn to_string_hex(&self) -> String;
}

impl Quantity for U64 {
    fn to_string_hex(&self) -> String {
        format!("{self:#x}")
    }
}

fn take<T: DeserializeOwned>(
    remote: &Remote,
    method: &str,
    answers: &mut impl Iterator<Item = Box<RawValue>>,
) -> Result<T, RemoteError> {
    let raw = answers.next().unwrap_or_else(|| RawValue::NULL.to_owned());
    serde_json::from_str(raw.get()).map_err(|source| remote.misread(method, &source, &raw))
}

/// Reads an account's row; one without anything does not exist.
pub(super) fn read_account(row: &[u8]) -> Result<Option<AccountInfo>, StoreError> {
    let row: &[u8; 72] = row.try_into().map_err(|_| bad_row(b"a"))?;
    let (nonce, rest) = row.split_at(8);
    let nonce = u64::from_be_bytes(nonce.try_into().unwrap_or_default());
    let balance = U256::from_be_slice(&rest[..32]);
    let code_hash = B256::from_slice(&rest[32..]);
    if nonce == 0 && balance.is_zero() && code_hash == KECCAK_EMPTY {
        return Ok(None);
    }
    Ok(Some(AccountInfo { nonce, balance, code_hash, code: None, ..AccountInfo::default() }))
}

/// Reads a row of 32 bytes.
pub(super) fn read_word(row: &[u8]) -> Result<B256, StoreError> {
    B256::try_from(row).map_err(|_| bad_row(b"s"))
}

/// The error of a row that is damaged.
pub(super) fn bad_row(key: &[u8]) -> StoreError {
    StoreError::BadRow { table: "fetched", key: key.to_vec() }
}
