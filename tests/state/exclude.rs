//! Which tests do not apply, and why.

use alloy_primitives::U256;

use super::fixture::Test;

const BALANCE: &str =
    "an account starts with 2^128 wei or more: EIP-8297 has 16 bytes for a balance";
/// The same reason, where the transaction makes the balance.
pub(super) const GROWN: &str =
    "an account comes to 2^128 wei or more: EIP-8297 has 16 bytes for a balance";

const STORAGE_ONLY: &str = "creates a contract where an account has storage but neither code nor \
    nonce (EIP-7610): no chain has had such accounts since EIP-161, and revm does not look for them";
/// The tests that need them.
const STORAGE_ONLY_TESTS: [&str; 5] = [
    "InitCollisionParis",
    "RevertInCreateInInitCreate2Paris",
    "RevertInCreateInInit_Paris",
    "create2collisionStorageParis",
    "dynamicAccountOverwriteEmpty_Paris",
];

/// Why a test does not apply, if it does not.
pub(super) fn reason(name: &str, test: &Test) -> Option<&'static str> {
    let limit = U256::from(1) << 128;
    if test.pre.values().any(|account| account.balance >= limit) {
        return Some(BALANCE);
    }
    STORAGE_ONLY_TESTS.contains(&name).then_some(STORAGE_ONLY)
}
