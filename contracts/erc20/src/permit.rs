//! Approval by a signature: EIP-2612 over EIP-712.

use tandem_kit::call::ecrecover;
use tandem_kit::prelude::*;
use tandem_kit::{keccak256_const, typed_data_hash};

use crate::{allow, state};

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

/// Half of secp256k1's order: the larger of a signature's two forms is refused.
const S_MAX: U256 = U256::from_limbs([
    0xdfe9_2f46_681b_20a0,
    0x5d57_6e73_57a4_501d,
    0xffff_ffff_ffff_ffff,
    0x7fff_ffff_ffff_ffff,
]);

/// EIP-712's hash of what the signatures are for: this contract on this chain.
pub fn domain_separator() -> Word {
    let name_hash = env::immutables();
    let chain_id = Word::from_u64(env::chain_id());
    keccak256_words(&[DOMAIN, name_hash, VERSION, chain_id, *env::this().word()])
}

/// The nonce that the owner's next permit has to have.
pub fn nonces(owner: Address) -> U256 {
    state::nonces().at(owner).load()
}

/// Sets the allowance that the owner has signed.
#[expect(clippy::too_many_arguments, reason = "EIP-2612 has that many")]
pub fn permit(
    owner: Address,
    spender: Address,
    value: U256,
    deadline: U256,
    v: u8,
    r: Word,
    s: Word,
) {
    ensure!(U256::from(env::timestamp()) <= deadline, ERC2612ExpiredSignature { deadline });
    let place = state::nonces().at(owner);
    let nonce = place.load();
    place.store(nonce.wrapping_add(U256::ONE));
    let content = keccak256_words(&[
        PERMIT,
        *owner.word(),
        *spender.word(),
        value.to_word(),
        nonce.to_word(),
        deadline.to_word(),
    ]);
    let hash = typed_data_hash(domain_separator(), content);
    ensure!(U256::from_be_word(&s) <= S_MAX, ECDSAInvalidSignatureS { s });
    match ecrecover(hash, v, r, s) {
        Some(signer) if signer == owner => allow(owner, spender, value),
        Some(signer) => ERC2612InvalidSigner { signer, owner }.revert(),
        None => ECDSAInvalidSignature {}.revert(),
    }
}
