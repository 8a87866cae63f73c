//! Ids of subscriptions and filters: hex strings, as Ethereum clients expect.

use jsonrpsee::core::traits::IdProvider;
use jsonrpsee::types::SubscriptionId;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Gives out ids that can't be guessed from one another.
#[derive(Debug)]
pub(crate) struct SubscriptionIds;

impl IdProvider for SubscriptionIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        SubscriptionId::Str(new_id().into())
    }
}

/// A new id: 128 bits, in hex.
pub(crate) fn new_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    // `RandomState` is keyed anew, from the system's randomness, in every process.
    let keys = KEYS.get_or_init(|| (RandomState::new(), RandomState::new()));
    format!("0x{:016x}{:016x}", keys.0.hash_one(count) | 1 << 63, keys.1.hash_one(count))
}

static KEYS: std::sync::OnceLock<(RandomState, RandomState)> = std::sync::OnceLock::new();

#[cfg(test)]
mod tests {
    #[test]
    fn ids_differ_and_are_hex_strings() {
        let (a, b) = (super::new_id(), super::new_id());
        assert_ne!(a, b);
        assert!(a.starts_with("0x") && a.len() == 34, "{a}");
    }
}
