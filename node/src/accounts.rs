//! The node's own accounts: dev keys, and addresses that may send without a signature.

use std::collections::BTreeSet;

use alloy_consensus::transaction::SignerRecoverable;
use alloy_consensus::{
    EthereumTypedTransaction, SignableTransaction, TxEip4844Variant, TxEnvelope,
};
use alloy_primitives::{Address, B256, Signature, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::coins_bip39::{English, Entropy, Mnemonic};
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner};
use executor::{impersonated_sender, impersonated_signature};
use parking_lot::RwLock;

use crate::config::{NodeConfig, TEST_MNEMONIC};

/// A transaction that is not signed yet.
pub type UnsignedTransaction = EthereumTypedTransaction<TxEip4844Variant>;

/// A dev account with its key.
#[derive(Clone, Debug)]
pub struct DevAccount {
    /// The account's address.
    pub address: Address,
    /// Its private key.
    pub signer: PrivateKeySigner,
}

/// Derives the dev accounts of `config`, and says from which mnemonic.
pub fn dev_accounts(config: &NodeConfig) -> Result<(String, Vec<DevAccount>), AccountError> {
    let phrase = mnemonic(config)?;
    let path = config.derivation_path.trim_end_matches('/');
    // The parent key is stretched once (PBKDF2, 2,048 rounds); the children are cheap.
    let parent = MnemonicBuilder::<English>::default()
        .phrase(phrase.as_str())
        .derivation_path(path)
        .and_then(|builder| builder.build_key())
        .map_err(AccountError::from)?;
    let accounts = (0..config.accounts)
        .map(|index| {
            let signer = parent.child(index)?.signer();
            Ok(DevAccount { address: signer.address(), signer })
        })
        .collect::<Result<Vec<_>, AccountError>>()?;
    Ok((phrase, accounts))
}

fn mnemonic(config: &NodeConfig) -> Result<String, AccountError> {
    if let Some(phrase) = &config.mnemonic {
        return Ok(phrase.clone());
    }
    let (entropy, words) = match (config.mnemonic_seed, config.mnemonic_random) {
        (Some(seed), words) => (keccak256(seed.to_be_bytes()), words.unwrap_or(12)),
        // A new private key is 32 bytes from the system's generator.
        (None, Some(words)) => (PrivateKeySigner::random().to_bytes(), words),
        (None, None) => return Ok(TEST_MNEMONIC.to_owned()),
    };
    // BIP-39: three words for each four bytes of entropy.
    let bytes = match words {
        12 | 15 | 18 | 21 | 24 => words / 3 * 4,
        words => return Err(AccountError::Words { words }),
    };
    let entropy = Entropy::from_slice(&entropy[..bytes])?;
    Ok(Mnemonic::<English>::new_from_entropy(entropy).to_phrase())
}

/// The sender of a transaction that the node itself stored.
pub fn stored_sender(transaction: &TxEnvelope) -> Result<Address, AccountError> {
    match impersonated_sender(transaction.signature()) {
        Some(sender) => Ok(sender),
        None => transaction
            .recover_signer()
            .map_err(|_| AccountError::Signature { hash: *transaction.tx_hash() }),
    }
}

/// Dev accounts and impersonated ones.
#[derive(Debug, Default)]
pub struct Accounts {
    dev: Vec<DevAccount>,
    impersonated: RwLock<Impersonated>,
}

#[derive(Debug, Default)]
struct Impersonated {
    every: bool,
    accounts: BTreeSet<Address>,
    /// Dev accounts that the node is to know no more.
    removed: BTreeSet<Address>,
}

impl Accounts {
    /// Holds `dev` and impersonates everybody if `every`.
    pub fn new(dev: Vec<DevAccount>, every: bool) -> Self {
        let impersonated = RwLock::new(Impersonated { every, ..Impersonated::default() });
        Self { dev, impersonated }
    }

    /// Addresses that a user may send from: dev accounts first, then impersonated ones.
    pub fn addresses(&self) -> Vec<Address> {
        let impersonated = self.impersonated.read();
        let dev = self.dev.iter().map(|account| account.address);
        let mut all: Vec<_> =
            dev.filter(|address| !impersonated.removed.contains(address)).collect();
        let others = impersonated.accounts.iter().filter(|address| !all.contains(address));
        let others: Vec<_> = others.copied().collect();
        all.extend(others);
        all
    }

    /// Adds an account that sends without a signature, or a dev account that was removed; whether
    /// it was not there before.
    pub fn add(&self, address: Address) -> bool {
        let mut impersonated = self.impersonated.write();
        if self.dev.iter().any(|account| account.address == address) {
            return impersonated.removed.remove(&address);
        }
        impersonated.accounts.insert(address)
    }

    /// Removes an account, a dev account too; whether it was there.
    pub fn remove(&self, address: Address) -> bool {
        let mut impersonated = self.impersonated.write();
        let sent = impersonated.accounts.remove(&address);
        let dev = self.dev.iter().any(|account| account.address == address);
        (dev && impersonated.removed.insert(address)) || sent
    }

    /// The dev accounts with their keys.
    pub fn dev(&self) -> &[DevAccount] {
        &self.dev
    }

    /// The key of `address`, if the node has it.
    pub fn find_signer(&self, address: Address) -> Option<&PrivateKeySigner> {
        if self.impersonated.read().removed.contains(&address) {
            return None;
        }
        self.dev.iter().find(|account| account.address == address).map(|account| &account.signer)
    }

    /// Whether `address` may send without a signature.
    pub fn is_impersonated(&self, address: Address) -> bool {
        let impersonated = self.impersonated.read();
        impersonated.every || impersonated.accounts.contains(&address)
    }

    /// Lets `address` send without a signature.
    pub fn impersonate(&self, address: Address) {
        self.impersonated.write().accounts.insert(address);
    }

    /// Takes that back, and says whether it had been so.
    pub fn stop_impersonating(&self, address: Address) -> bool {
        self.impersonated.write().accounts.remove(&address)
    }

    /// Lets every account send without a signature, or no more.
    pub fn impersonate_every(&self, every: bool) {
        self.impersonated.write().every = every;
    }

    /// Signs `transaction` for `from`, with its key or as an impersonated account.
    pub fn sign_transaction(
        &self,
        from: Address,
        transaction: UnsignedTransaction,
    ) -> Result<TxEnvelope, AccountError> {
        let signature = match self.find_signer(from) {
            Some(signer) => signer.sign_hash_sync(&transaction.signature_hash())?,
            None if self.is_impersonated(from) => impersonated_signature(from),
            None => return Err(AccountError::Unknown { address: from }),
        };
        Ok(transaction.into_envelope(signature))
    }

    /// Signs `hash` with the key of `from`.
    pub fn sign_hash(&self, from: Address, hash: B256) -> Result<Signature, AccountError> {
        let signer = self.find_signer(from).ok_or(AccountError::Unknown { address: from })?;
        Ok(signer.sign_hash_sync(&hash)?)
    }
}

/// Why an account could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The mnemonic or the derivation path is not one.
    #[error("dev accounts: {0}")]
    Derivation(#[from] alloy_signer_local::LocalSignerError),
    /// A mnemonic could not be drawn.
    #[error("mnemonic: {0}")]
    Mnemonic(#[from] alloy_signer_local::coins_bip39::MnemonicError),
    /// A mnemonic has not that many words.
    #[error("mnemonic_random: {words} words, but a mnemonic has 12, 15, 18, 21 or 24")]
    Words {
        /// What was asked for.
        words: usize,
    },
    /// The key could not sign.
    #[error("signing failed: {0}")]
    Signer(#[from] alloy_signer::Error),
    /// The node has no key of this account, and it is not impersonated.
    #[error("no key for account {address}: unknown account")]
    Unknown {
        /// The account.
        address: Address,
    },
    /// A stored transaction has no valid signature.
    #[error("stored transaction {hash} has no valid signature")]
    Signature {
        /// Its hash.
        hash: B256,
    },
}

#[cfg(test)]
mod tests {
    use alloy_consensus::TxEip1559;
    use alloy_primitives::address;

    use super::*;

    #[test]
    fn test_mnemonic_gives_the_usual_accounts() {
        let (_, accounts) = dev_accounts(&NodeConfig::default()).unwrap();
        assert_eq!(accounts.len(), 10);
        assert_eq!(accounts[0].address, address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
        assert_eq!(accounts[9].address, address!("a0Ee7A142d267C1f36714E4a8F75612F20a79720"));
    }

    #[test]
    fn a_seed_gives_the_same_accounts_again() {
        let config = NodeConfig { mnemonic_seed: Some(7), accounts: 1, ..NodeConfig::default() };
        let (first, a) = dev_accounts(&config).unwrap();
        let (second, b) = dev_accounts(&config).unwrap();
        assert_eq!((first, a[0].address), (second, b[0].address));
    }

    #[test]
    fn impersonated_hashes_differ_by_sender_and_keep_it() {
        let accounts = Accounts::new(Vec::new(), true);
        let sign = |sender| {
            let unsigned = UnsignedTransaction::Eip1559(TxEip1559::default());
            accounts.sign_transaction(sender, unsigned).unwrap()
        };
        let (a, b) = (Address::with_last_byte(1), Address::repeat_byte(0xff));
        assert_ne!(sign(a).tx_hash(), sign(b).tx_hash());
        assert_eq!(stored_sender(&sign(a)).unwrap(), a);
        assert_eq!(stored_sender(&sign(b)).unwrap(), b);
        assert!(sign(a).recover_signer().is_err());
    }

    #[test]
    fn signing_needs_a_key_or_impersonation() {
        let accounts = Accounts::default();
        let sender = Address::with_last_byte(1);
        let unsigned = || UnsignedTransaction::Eip1559(TxEip1559::default());
        assert!(accounts.sign_transaction(sender, unsigned()).is_err());
        accounts.impersonate(sender);
        assert!(accounts.sign_transaction(sender, unsigned()).is_ok());
        assert!(accounts.stop_impersonating(sender));
        assert!(accounts.sign_transaction(sender, unsigned()).is_err());
    }
}
