//! Poseidon2 over the KoalaBear field as a hash of bytes: experimental.
//!
//! EIP-8297 names Poseidon2 as a candidate and says nothing of bytes. The encoding here is the
//! project's own, with test vectors, in `docs/spec/state.md`; field, permutation and its constants
//! are Plonky3's.

use alloy_primitives::B256;
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_koala_bear::{KoalaBear, default_koalabear_poseidon2_24};
use p3_symmetric::Permutation;

/// Elements of the permutation's state.
const WIDTH: usize = 24;
/// Elements that input is added to; the other eight are the capacity, of 248 bits.
const RATE: usize = 16;
/// Bytes in an element: the most that are below the field's order whatever they are.
const PACKED: usize = 3;

/// Returns the hash: eight elements of less than 31 bits, each as 4 bytes, big endian.
pub(crate) fn hash(input: &[u8]) -> B256 {
    let permutation = default_koalabear_poseidon2_24();
    let mut state = [KoalaBear::ZERO; WIDTH];
    // The length parts inputs that differ in zeros at their end.
    state[RATE] = KoalaBear::new(input.len() as u32);
    let mut blocks = input.chunks(RATE * PACKED);
    let mut next = Some(blocks.next().unwrap_or_default());
    while let Some(block) = next {
        for (element, bytes) in state.iter_mut().zip(block.chunks(PACKED)) {
            let mut number = [0; 4];
            number[1..=bytes.len()].copy_from_slice(bytes);
            *element += KoalaBear::new(u32::from_be_bytes(number));
        }
        permutation.permute_mut(&mut state);
        next = blocks.next();
    }
    let mut hash = B256::ZERO;
    for (bytes, element) in hash.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&element.as_canonical_u32().to_be_bytes());
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use alloy_primitives::b256;

    /// The vectors of `docs/spec/state.md`.
    #[test]
    fn bytes_have_the_hashes_of_the_document() {
        let check = |input: &[u8], expected| assert_eq!(hash(input), expected, "{input:x?}");
        let long: Vec<_> = (0..67).collect();
        check(&[], b256!("725d01d678c0bc6b35e2b8ba412f2d100cc231713d62b9247ef6638a14cc03f2"));
        check(&[0], b256!("69852632240fdc6930d7c6b14ebcfee528c30897277bc44b55a3ef6c1b59ffc7"));
        check(b"abc", b256!("2677cb084765090505aa9b6b535d8a2f7c84d6d5732a57342f14663f0391dc10"));
        check(&[1; 48], b256!("3c49655428ee42257ce745b86b9760ed7cf64db65b9017961c1a9b052848898a"));
        check(&[1; 49], b256!("7ae2e7311f5bc6054a3c99e878561f0d791e37ef5e71c0e44c83d91251b5732e"));
        check(&long, b256!("2f69d3e26e662554350f96673770d5434279f3fc536a359a3f0b5c83652b312e"));
    }

    #[test]
    fn inputs_of_many_lengths_have_many_hashes() {
        let hashes: alloc::collections::BTreeSet<_> =
            (0..200).map(|n| hash(&[0; 200][..n])).collect();
        assert_eq!(hashes.len(), 200);
    }
}
