//! Accounts of the genesis state, and their form in `alloc`.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use core::fmt;

use alloy_primitives::{Address, B256, Bytes, U256};
use revm::primitives::hardfork::SpecId;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

use crate::{
    RiscvParams,
    container::{Container, is_container},
    error::{GenesisError, Problem},
};

/// An account of the genesis state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GenesisAccount {
    /// Balance in wei.
    pub balance: U256,
    /// Nonce.
    pub nonce: u64,
    /// EVM code, or a RISC-V container.
    pub code: Bytes,
    /// Storage; slots that hold zero are absent.
    pub storage: BTreeMap<B256, B256>,
}

/// An entry of `alloc` as it stands in the file.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct AccountEntry {
    balance: U256,
    #[serde(with = "alloy_serde::quantity", skip_serializing_if = "is_zero")]
    nonce: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    riscv: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    riscv_tail: Option<Bytes>,
    #[serde(
        deserialize_with = "alloy_serde::storage::deserialize_storage_map",
        skip_serializing_if = "Option::is_none"
    )]
    storage: Option<BTreeMap<B256, B256>>,
    // Of use to geth's own tools only.
    #[serde(skip_serializing, rename = "secretKey")]
    _secret_key: Option<IgnoredAny>,
}

/// `alloc` as it stands in the file: an address may be there twice, in two spellings.
pub(crate) struct Entries(pub(crate) Vec<(Address, AccountEntry)>);

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(address, entry)| (address, entry)))
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;
        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("accounts by address")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::with_capacity(map.size_hint().unwrap_or_default());
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(EntriesVisitor)
    }
}

impl Entries {
    /// The accounts, each checked against the rules that hold at the genesis block.
    pub(crate) fn into_accounts(
        self,
        fork: SpecId,
        riscv: &RiscvParams,
    ) -> Result<BTreeMap<Address, GenesisAccount>, GenesisError> {
        let mut accounts = BTreeMap::new();
        for (address, entry) in self.0 {
            let account = entry.into_account(address, fork, riscv)?;
            if accounts.insert(address, account).is_some() {
                return Err(Problem::Twice.at(format!("alloc.{address:?}")));
            }
        }
        Ok(accounts)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero(nonce: &u64) -> bool {
    *nonce == 0
}

/// EIP-7702: code of an account that delegates.
const DELEGATION_PREFIX: [u8; 3] = [0xEF, 0x01, 0x00];
const DELEGATION_SIZE: usize = 23;

impl AccountEntry {
    fn into_account(
        self,
        address: Address,
        fork: SpecId,
        riscv: &RiscvParams,
    ) -> Result<GenesisAccount, GenesisError> {
        let path = |field: &str| -> String { format!("alloc.{address:?}.{field}") };
        let code = match (self.code, self.riscv) {
            (Some(_), Some(_)) => return Err(Problem::CodeAndRiscv.at(path("riscv"))),
            (None, None) if self.riscv_tail.is_some() => {
                return Err(Problem::TailWithoutImage.at(path("riscvTail")));
            }
            (Some(_), None) if self.riscv_tail.is_some() => {
                return Err(Problem::TailWithoutImage.at(path("riscvTail")));
            }
            (None, None) => Bytes::new(),
            (Some(code), None) => {
                check_code(&code, fork, riscv).map_err(|problem| problem.at(path("code")))?;
                code
            }
            (None, Some(image)) => {
                let tail = self.riscv_tail.unwrap_or_default();
                let container = Container { image: &image, tail: &tail };
                check_image(&container, fork, riscv)
                    .and_then(|()| container.encode().map_err(Problem::Code))
                    .map_err(|problem| problem.at(path("riscv")))?
                    .into()
            }
        };
        let balance = self.balance;
        if balance >> 128 != U256::ZERO {
            return Err(Problem::Balance { balance }.at(path("balance")));
        }
        let mut storage = self.storage.unwrap_or_default();
        storage.retain(|_, value| !value.is_zero());
        Ok(GenesisAccount { balance, nonce: self.nonce, code, storage })
    }
}

impl From<&GenesisAccount> for AccountEntry {
    fn from(account: &GenesisAccount) -> Self {
        let mut entry = Self {
            balance: account.balance,
            nonce: account.nonce,
            storage: (!account.storage.is_empty()).then(|| account.storage.clone()),
            ..Self::default()
        };
        if let Ok(container) = Container::parse(&account.code) {
            entry.riscv = Some(account.code.slice_ref(container.image));
            entry.riscv_tail =
                (!container.tail.is_empty()).then(|| account.code.slice_ref(container.tail));
        } else if !account.code.is_empty() {
            entry.code = Some(account.code.clone());
        }
        entry
    }
}

/// Before London, code that starts with 0xef is ordinary EVM code that halts there.
fn check_code(code: &[u8], fork: SpecId, riscv: &RiscvParams) -> Result<(), Problem> {
    let delegation = code.starts_with(&DELEGATION_PREFIX) && code.len() == DELEGATION_SIZE;
    if is_container(code) {
        let container = Container::parse(code).map_err(Problem::Code)?;
        return check_image(&container, fork, riscv);
    }
    if code.first() == Some(&0xEF) && fork.is_enabled_in(SpecId::LONDON) && !delegation {
        return Container::parse(code).map(|_| ()).map_err(Problem::Code);
    }
    Ok(())
}

fn check_image(
    container: &Container<'_>,
    fork: SpecId,
    riscv: &RiscvParams,
) -> Result<(), Problem> {
    if !fork.is_enabled_in(SpecId::LONDON) {
        return Err(Problem::BeforeLondon { fork });
    }
    let (size, max) = (container.image.len(), riscv.image_size_max);
    if u32::try_from(size).is_ok_and(|size| size <= max) {
        Ok(())
    } else {
        Err(Problem::ImageSize { size, max })
    }
}
