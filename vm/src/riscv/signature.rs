//! Signatures over secp256k1. Where there is a standard library the C library computes, which is some
//! times faster; both give the same answers.

#[cfg(not(feature = "std"))]
pub(super) use portable::{recover, verify};

#[cfg(feature = "std")]
pub(super) use native::{recover, verify};

#[cfg(feature = "std")]
mod native {
    use secp256k1::{
        Message, PublicKey, SECP256K1,
        ecdsa::{RecoverableSignature, RecoveryId, Signature},
    };

    /// The key that signed, x and y, 32 bytes each.
    pub(in super::super) fn recover(
        hash: &[u8; 32],
        signature: &[u8],
        recovery: u64,
    ) -> Option<[u8; 64]> {
        let recovery = RecoveryId::try_from(i32::try_from(recovery).ok()?).ok()?;
        let signature = RecoverableSignature::from_compact(signature, recovery).ok()?;
        let key = SECP256K1.recover_ecdsa(Message::from_digest(*hash), &signature).ok()?;
        key.serialize_uncompressed().last_chunk().copied()
    }

    /// Whether a key, x and y, signed; `None` if the key or the signature is none.
    pub(in super::super) fn verify(hash: &[u8; 32], signature: &[u8], key: &[u8]) -> Option<bool> {
        let mut signature = Signature::from_compact(signature).ok()?;
        signature.normalize_s();
        let key = PublicKey::from_slice(&[&[4], key].concat()).ok()?;
        let message = Message::from_digest(*hash);
        Some(SECP256K1.verify_ecdsa(message, &signature, &key).is_ok())
    }
}

#[cfg(any(test, not(feature = "std")))]
mod portable {
    use k256::ecdsa::{RecoveryId, Signature, VerifyingKey, signature::hazmat::PrehashVerifier};

    /// The key that signed, x and y, 32 bytes each.
    pub(in super::super) fn recover(
        hash: &[u8; 32],
        signature: &[u8],
        recovery: u64,
    ) -> Option<[u8; 64]> {
        let mut signature = Signature::from_slice(signature).ok()?;
        let mut recovery = u8::try_from(recovery).ok()?;
        if let Some(low) = signature.normalize_s() {
            signature = low;
            recovery ^= 1;
        }
        let recovery = RecoveryId::from_byte(recovery)?;
        let key = VerifyingKey::recover_from_prehash(hash, &signature, recovery).ok()?;
        key.to_encoded_point(false).as_bytes().last_chunk().copied()
    }

    /// Whether a key, x and y, signed; `None` if the key or the signature is none.
    pub(in super::super) fn verify(hash: &[u8; 32], signature: &[u8], key: &[u8]) -> Option<bool> {
        let signature = Signature::from_slice(signature).ok()?;
        let signature = signature.normalize_s().unwrap_or(signature);
        let key = VerifyingKey::from_sec1_bytes(&[&[4], key].concat()).ok()?;
        Some(key.verify_prehash(hash, &signature).is_ok())
    }
}

#[cfg(feature = "std")]
#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use alloy_primitives::{hex, keccak256};
    use proptest::prelude::*;

    use super::{native, portable};

    /// The order of the group, and numbers next to it, to zero, and to what fits.
    const EDGES: [[u8; 32]; 6] = [
        [0; 32],
        hex!("0000000000000000000000000000000000000000000000000000000000000001"),
        hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140"),
        hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"),
        hex!("000000000000000000000000000000014551231950b75fc4402da1722fc9baed"),
        [0xff; 32],
    ];

    fn number() -> impl Strategy<Value = [u8; 32]> {
        prop_oneof![any::<[u8; 32]>(), prop::sample::select(EDGES.to_vec())]
    }

    /// Both give the same; answers whether there was a key.
    fn check(hash: &[u8; 32], signature: &[u8], recovery: u64) -> bool {
        let key = native::recover(hash, signature, recovery);
        assert_eq!(key, portable::recover(hash, signature, recovery));
        let keys = [key.unwrap_or([4; 64]), [0xff; 64], [0; 64]];
        for (n, candidate) in keys.iter().enumerate() {
            let valid = |answer: Option<bool>| answer.unwrap_or_default();
            let signed = valid(native::verify(hash, signature, candidate));
            assert_eq!(signed, valid(portable::verify(hash, signature, candidate)));
            assert_eq!(signed, n == 0 && key.is_some(), "who is recovered has signed");
        }
        key.is_some()
    }

    proptest! {
        #[test]
        fn any_numbers_have_the_same_answers(
            hash in number(), r in number(), s in number(), recovery in 0..6u64,
        ) {
            check(&hash, &[r, s].concat(), recovery);
        }
    }

    #[test]
    fn edges_have_the_same_answers() {
        let mut found = 0;
        for hash in EDGES {
            for r in EDGES.into_iter().chain((0..4u8).map(|n| keccak256([n]).0)) {
                for s in EDGES {
                    for recovery in [0, 1, 2, 3, 4, 255, 256, u64::MAX] {
                        let signature: Vec<u8> = [r, s].concat();
                        found += u32::from(check(&hash, &signature, recovery));
                    }
                }
            }
        }
        assert!(found > 20, "{found} keys");
    }
}
