//! Any bytes as a raw transaction: refused, or encoded as they came.
#![no_main]

use alloy_consensus::{TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::{Decodable2718, Encodable2718};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    let Ok(tx) = TxEnvelope::decode_2718(&mut rest) else { return };
    assert_eq!(tx.encoded_2718(), bytes[..bytes.len() - rest.len()]);
    // Whether the signature is anybody's is another question; asking it must not panic.
    drop(tx.recover_signer());
});
