//! Approval by a signature: EIP-2612 over EIP-712.

use tandem_kit::call::{S_MAX, ecrecover};
use tandem_kit::prelude::*;
use tandem_kit::{keccak256_const, typed_data_hash};

error! {
    ERC2612ExpiredSignature(deadline: U256);
    ERC2612InvalidSigner(signer: Address, owner: Address);
    ECDSAInvalidSignature();
    ECDSAInvalidSignatureS(s: Word);
}

const DOMAIN: Word = Word::new(keccak256_const(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
));
const PERMIT: Word = Word::new(keccak256_const(
    b"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)",
));
const VERSION: Word = Word::new(keccak256_const(b"1"));

/// EIP-712's hash of what the signatures are for: this contract on this chain.
pub fn domain_separator() -> Word {
    let name_hash = env::immutables();
    let chain_id = Word::from_u64(env::chain_id());
    keccak256_words(&[DOMAIN, name_hash, VERSION, chain_id, *env::this().word()])
}

/// What an owner signs.
pub struct Permit {
    pub owner: Address,
    pub spender: Address,
    pub value: U256,
    pub nonce: U256,
    pub deadline: U256,
}

/// A signature of secp256k1.
pub struct Signature {
    pub v: u8,
    pub r: Word,
    pub s: Word,
}

/// Reverts unless the owner has signed the permit.
pub fn check(permit: &Permit, Signature { v, r, s }: &Signature) {
    let content = keccak256_words(&[
        PERMIT,
        *permit.owner.word(),
        *permit.spender.word(),
        permit.value.to_word(),
        permit.nonce.to_word(),
        permit.deadline.to_word(),
    ]);
    let hash = typed_data_hash(domain_separator(), content);
    ensure!(U256::from_be_word(s) <= S_MAX, ECDSAInvalidSignatureS { s: *s });
    match ecrecover(hash, *v, *r, *s) {
        Some(signer) if signer == permit.owner => {}
        Some(signer) => ERC2612InvalidSigner { signer, owner: permit.owner }.revert(),
        None => ECDSAInvalidSignature {}.revert(),
    }
}
