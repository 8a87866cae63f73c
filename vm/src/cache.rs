//! A bounded map from code hash to what was derived from the code.

use alloy_primitives::{B256, map::B256Map};

/// A cache that forgets what was not asked for during one generation.
///
/// A generation ends when its entries, new ones and those asked for again, weigh more than half of
/// what is allowed.
pub(crate) struct Cache<V>(Shared<Generations<V>>);

/// Values with their weights.
struct Generations<V> {
    young: B256Map<(V, usize)>,
    old: B256Map<(V, usize)>,
    young_weight: usize,
    generation_weight_max: usize,
}

impl<V: Clone> Cache<V> {
    /// An empty cache that holds values of `weight_max` together.
    pub(crate) fn new(weight_max: usize) -> Self {
        Self(Shared::new(Generations {
            young: B256Map::default(),
            old: B256Map::default(),
            young_weight: 0,
            generation_weight_max: weight_max / 2,
        }))
    }

    /// The value kept under `hash`.
    pub(crate) fn find(&self, hash: &B256) -> Option<V> {
        self.0.with(|generations| generations.find(hash))
    }

    /// Keeps `value`, which weighs `weight`.
    pub(crate) fn insert(&self, hash: B256, value: V, weight: usize) {
        self.0.with(|generations| generations.insert(hash, value, weight));
    }
}

impl<V: Clone> Generations<V> {
    fn find(&mut self, hash: &B256) -> Option<V> {
        if let Some((value, _)) = self.young.get(hash) {
            return Some(value.clone());
        }
        let (value, weight) = self.old.remove(hash)?;
        self.insert(*hash, value.clone(), weight);
        Some(value)
    }

    fn insert(&mut self, hash: B256, value: V, weight: usize) {
        self.young_weight += weight;
        if self.young_weight > self.generation_weight_max {
            self.old = core::mem::take(&mut self.young);
            self.young_weight = weight;
        }
        self.young.insert(hash, (value, weight));
    }
}

/// A value that clones of its owner share.
#[cfg(feature = "std")]
pub(crate) struct Shared<T>(std::sync::Mutex<T>);

#[cfg(feature = "std")]
impl<T> Shared<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    pub(crate) fn with<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        // A panic elsewhere leaves a map that is still a valid cache.
        change(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// A value that clones of its owner share.
#[cfg(not(feature = "std"))]
pub(crate) struct Shared<T>(core::cell::RefCell<T>);

#[cfg(not(feature = "std"))]
impl<T> Shared<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(core::cell::RefCell::new(value))
    }

    pub(crate) fn with<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        change(&mut self.0.borrow_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(byte: u8) -> B256 {
        B256::repeat_byte(byte)
    }

    #[test]
    fn what_is_asked_for_survives_a_generation() {
        let cache = Cache::new(20);
        cache.insert(hash(1), 1, 5);
        cache.insert(hash(2), 2, 5);
        cache.insert(hash(3), 3, 5);
        assert_eq!(cache.find(&hash(1)), Some(1));
        cache.insert(hash(4), 4, 6);
        assert_eq!(cache.find(&hash(1)), Some(1));
        assert_eq!(cache.find(&hash(2)), None);
    }

    /// However often everything is asked for, what is kept weighs no more than was allowed.
    #[test]
    fn what_is_kept_is_bounded() {
        let cache = Cache::new(100);
        for round in 0..50u8 {
            cache.insert(hash(round), round, 10);
            for known in 0..=round {
                if let Some(value) = cache.find(&hash(known)) {
                    assert_eq!(value, known);
                }
            }
            let kept: usize = cache.0.with(|generations| {
                let entries = generations.young.values().chain(generations.old.values());
                entries.map(|(_, weight)| weight).sum()
            });
            assert!((10..=100).contains(&kept), "{kept} in round {round}");
            assert_eq!(cache.find(&hash(round)), Some(round), "the newest is there");
        }
    }
}
