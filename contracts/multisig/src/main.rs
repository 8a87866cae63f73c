//! A wallet of several owners: whatever enough of them have signed (EIP-712), anybody may have it
//! do. Owners change the same way: the wallet calls itself. It signs for itself, too (ERC-1271).
//!
//! `Multisig.sol` beside this file is its twin: the same ABI over the same storage layout.
#![cfg_attr(target_os = "none", no_std, no_main)]

use tandem_kit::call::recover;
use tandem_kit::prelude::*;
use tandem_kit::{keccak256_const, typed_data_hash};

#[storage]
pub struct Multisig {
    owners: Vec<Address>,
    is_owner: Map<Address, bool>,
    threshold: U256,
    nonce: U256,
}

event! {
    Executed(#[indexed] hash: Word, #[indexed] to: Address, value: U256, nonce: U256);
    OwnersChanged(owners: Vec<Address>, threshold: U256);
}

error! {
    OnlySelf(caller: Address);
    BadOwners();
    BadThreshold(threshold: U256, owners: U256);
    TooFewSignatures(given: U256, needed: U256);
    BadSignature(index: U256);
    CallFailed(reason: Bytes);
}

const DOMAIN: Word =
    Word::new(keccak256_const(b"EIP712Domain(uint256 chainId,address verifyingContract)"));
const TRANSACTION: Word =
    Word::new(keccak256_const(b"Transaction(address to,uint256 value,bytes data,uint256 nonce)"));

/// What ERC-1271 has for a good signature, and what is answered to others.
const VALID: FixedBytes<4> = FixedBytes([0x16, 0x26, 0xba, 0x7e]);
const INVALID: FixedBytes<4> = FixedBytes([0xff; 4]);

/// What is wrong with some signatures.
enum Flaw {
    /// The one at this place is not an owner's, or not in order.
    Bad(u64),
    TooFew,
}

#[contract(
    events(Executed, OwnersChanged),
    errors(OnlySelf, BadOwners, BadThreshold, TooFewSignatures, BadSignature, CallFailed)
)]
impl Multisig {
    #[constructor]
    #[payable]
    fn new(&mut self, owners: Vec<Address>, threshold: U256) {
        self.change(owners, threshold);
    }

    #[receive]
    fn accept(&mut self) {}

    pub fn owners(&self) -> Vec<Address> {
        self.owners.to_vec()
    }

    pub fn is_owner(&self, account: Address) -> bool {
        self.is_owner.get(account)
    }

    pub fn threshold(&self) -> U256 {
        self.threshold.get()
    }

    pub fn nonce(&self) -> U256 {
        self.nonce.get()
    }

    /// What owners sign: a transaction of this wallet, on this chain, with this nonce.
    pub fn transaction_hash(&self, to: Address, value: U256, data: Bytes, nonce: U256) -> Word {
        transaction_hash(to, value, &data, nonce)
    }

    /// Calls `to`, if enough owners have signed it: in the order of their addresses, each once.
    pub fn execute(
        &mut self,
        to: Address,
        value: U256,
        data: Bytes,
        signatures: Vec<Bytes>,
    ) -> Bytes {
        let nonce = self.nonce.get();
        let hash = transaction_hash(to, value, &data, nonce);
        match self.check(hash, signatures.iter().map(|signature| &signature.0[..])) {
            Ok(()) => {}
            Err(Flaw::Bad(index)) => BadSignature { index: U256::from(index) }.revert(),
            Err(Flaw::TooFew) => {
                let given = U256::from(signatures.len() as u64);
                TooFewSignatures { given, needed: self.threshold.get() }.revert()
            }
        }
        // Before the call: what it calls may call again.
        self.nonce.set(nonce + U256::ONE);
        self.emit(Executed { hash, to, value, nonce });
        match Call::to(to).value(value).send(self, &data.0) {
            Ok(answer) => Bytes(answer),
            Err(failure) => CallFailed { reason: Bytes(failure.data) }.revert(),
        }
    }

    /// ERC-1271: 65 bytes for each signature, one after the other.
    pub fn is_valid_signature(&self, hash: Word, signature: Bytes) -> FixedBytes<4> {
        let parts = signature.0.chunks_exact(65);
        let is_whole = parts.remainder().is_empty();
        if is_whole && self.check(hash, parts).is_ok() { VALID } else { INVALID }
    }

    pub fn set_owners(&mut self, owners: Vec<Address>, threshold: U256) {
        let caller = env::caller();
        ensure!(caller == env::this(), OnlySelf { caller });
        while let Some(owner) = self.owners.pop() {
            self.is_owner.set(owner, false);
        }
        self.change(owners, threshold);
    }

    fn change(&mut self, owners: Vec<Address>, threshold: U256) {
        let count = U256::from(owners.len() as u64);
        let is_possible = !threshold.is_zero() && threshold <= count;
        ensure!(is_possible, BadThreshold { threshold, owners: count });
        for owner in &owners {
            ensure!(!owner.is_zero() && !self.is_owner.get(*owner), BadOwners {});
            self.is_owner.set(*owner, true);
            self.owners.push(*owner);
        }
        self.threshold.set(threshold);
        self.emit(OwnersChanged { owners, threshold });
    }

    /// Whether all signatures are good, and enough.
    fn check<'a>(
        &self,
        hash: Word,
        signatures: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), Flaw> {
        let mut last = Address::ZERO;
        let mut count = 0;
        for signature in signatures {
            let signer = recover(hash, signature).unwrap_or_default();
            if signer.bytes() <= last.bytes() || !self.is_owner.get(signer) {
                return Err(Flaw::Bad(count));
            }
            last = signer;
            count += 1;
        }
        if U256::from(count) < self.threshold.get() { Err(Flaw::TooFew) } else { Ok(()) }
    }
}

fn transaction_hash(to: Address, value: U256, data: &Bytes, nonce: U256) -> Word {
    let data = keccak256(&data.0);
    let content =
        keccak256_words(&[TRANSACTION, *to.word(), value.to_word(), data, nonce.to_word()]);
    let domain = keccak256_words(&[DOMAIN, Word::from_u64(env::chain_id()), *env::this().word()]);
    typed_data_hash(domain, content)
}

entry!(Multisig);
