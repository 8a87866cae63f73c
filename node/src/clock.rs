//! Which timestamp the next block gets. The wall clock comes in as an argument.

use alloy_rlp::Decodable;
use serde::{Deserialize, Serialize};

/// The latest time that a user can ask for, and the highest number of a first block or a dump:
/// what is left above it is for the blocks after that.
pub const TIMESTAMP_MAX: u64 = u64::MAX >> 1;

/// The rules of time: an offset to the wall clock, an interval, one exact next time.
///
/// Whatever the rules say, a block is later than its parent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    offset: i64,
    exact: Option<u64>,
    interval: Option<u64>,
}

impl Clock {
    /// A clock that shows `timestamp` when the wall clock shows `now`.
    pub fn starting_at(timestamp: u64, now: u64) -> Self {
        Self { offset: difference(timestamp, now), ..Self::default() }
    }

    /// The clock of a chain whose head is of `timestamp`: one that was ahead of the wall clock, or is
    /// to have a time of its own, goes on there.
    pub fn of_chain(own_time: bool, timestamp: u64, now: u64) -> Self {
        let goes_on = own_time || timestamp > now;
        if goes_on { Self::starting_at(timestamp, now) } else { Self::default() }
    }

    /// The timestamp of a block after `parent` that would be sealed at `now`.
    pub fn peek(&self, parent: u64, now: u64) -> u64 {
        let wanted = match (self.exact, self.interval) {
            (Some(exact), _) => exact,
            (None, Some(interval)) => parent.saturating_add(interval),
            (None, None) => now.saturating_add_signed(self.offset),
        };
        wanted.min(TIMESTAMP_MAX).max(parent.saturating_add(1))
    }

    /// Learns that a block was sealed at `now`: an exact time is used up by it.
    pub fn sealed(&mut self, timestamp: u64, now: u64) {
        if self.exact.take().is_some() {
            self.offset = difference(timestamp, now);
        }
    }

    /// Moves the clock, and says by how much it differs from the wall clock in all. Where blocks of
    /// one second have run ahead of it, it goes forward from the head's time.
    pub fn increase(&mut self, seconds: i64, head: u64, now: u64) -> i64 {
        if seconds > 0 {
            self.offset = self.offset.max(difference(head, now));
        }
        self.shift(seconds)
    }

    /// Moves the clock from what it shows, and says by how much it differs from the wall clock.
    pub fn shift(&mut self, seconds: i64) -> i64 {
        self.offset = self.offset.saturating_add(seconds);
        self.offset
    }

    /// Gives the next block exactly this time, which must be later than the head's.
    pub fn set_next(&mut self, timestamp: u64, head: u64) -> Result<(), ClockError> {
        if timestamp <= head {
            return Err(ClockError::NotLater { timestamp, head });
        }
        if timestamp > TIMESTAMP_MAX {
            return Err(ClockError::TooLate { timestamp });
        }
        self.exact = Some(timestamp);
        Ok(())
    }

    /// Puts the next block `seconds` after its parent, or after what the clock shows at `now` if that
    /// is given, unless an exact time or an interval of all blocks says when it is to be.
    pub fn space(&mut self, seconds: u64, parent: u64, now: Option<u64>) -> Result<(), ClockError> {
        if self.exact.is_some() || self.interval.is_some() {
            return Ok(());
        }
        let shown = now.map_or(parent, |now| now.saturating_add_signed(self.offset));
        self.set_next(shown.max(parent).saturating_add(seconds), parent)
    }

    /// Sets the clock, and says by how many seconds that moved it.
    pub fn set(&mut self, timestamp: u64, now: u64) -> i64 {
        let before = now.saturating_add_signed(self.offset);
        self.offset = difference(timestamp, now);
        self.exact = None;
        difference(timestamp, before)
    }

    /// Puts each block `seconds` after its parent.
    pub fn set_interval(&mut self, seconds: u64) {
        self.interval = Some(seconds);
    }

    /// Takes the interval back, and says whether there was one.
    pub fn remove_interval(&mut self) -> bool {
        self.interval.take().is_some()
    }

    /// The interval between blocks, if one is set.
    pub fn interval(&self) -> Option<u64> {
        self.interval
    }

    /// The clock as bytes, and when that was.
    pub(crate) fn encode(&self, now: u64) -> Vec<u8> {
        // No block has the exact time 0.
        let mut numbers = vec![self.offset.cast_unsigned(), now, self.exact.unwrap_or(0)];
        numbers.extend(self.interval);
        alloy_rlp::encode(&numbers)
    }

    /// Reads what [`Clock::encode`] wrote.
    pub(crate) fn decode(bytes: &mut &[u8]) -> Option<(Self, u64)> {
        let numbers: Vec<u64> = Vec::decode(bytes).ok()?;
        let [offset, now, exact, interval @ ..] = &numbers[..] else { return None };
        let exact = Some(*exact).filter(|exact| *exact > 0);
        let interval = interval.first().copied();
        Some((Self { offset: offset.cast_signed(), exact, interval }, *now))
    }

    /// By how many seconds the clock differs from the wall clock.
    pub fn offset(&self) -> i64 {
        self.offset
    }
}

fn difference(a: u64, b: u64) -> i64 {
    i64::try_from(i128::from(a) - i128::from(b)).unwrap_or(if a > b { i64::MAX } else { i64::MIN })
}

/// A time that a block cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClockError {
    /// A block must be later than its parent.
    #[error("timestamp {timestamp} is lower than or equal to previous block's timestamp {head}")]
    NotLater {
        /// What was given.
        timestamp: u64,
        /// Timestamp of the head.
        head: u64,
    },
    /// There would be no time left for later blocks.
    #[error("timestamp {timestamp} is too late, at most {} can be set", TIMESTAMP_MAX)]
    TooLate {
        /// What was given.
        timestamp: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Clock {
        fn take(&mut self, parent: u64, now: u64) -> u64 {
            let timestamp = self.peek(parent, now);
            self.sealed(timestamp, now);
            timestamp
        }
    }

    #[test]
    fn blocks_are_later_than_their_parents() {
        let mut clock = Clock::default();
        assert_eq!(clock.take(100, 100), 101);
        assert_eq!(clock.take(101, 100), 102);
        assert_eq!(clock.take(102, 200), 200);
    }

    #[test]
    fn an_exact_time_counts_once_and_moves_the_clock() {
        let mut clock = Clock::default();
        assert_eq!(clock.set_next(1_000, 100), Ok(()));
        assert_eq!(clock.peek(100, 100), 1_000);
        assert_eq!(clock.take(100, 100), 1_000);
        assert_eq!(clock.take(1_000, 105), 1_005);
        assert_eq!(
            clock.set_next(1_005, 1_005),
            Err(ClockError::NotLater { timestamp: 1_005, head: 1_005 })
        );
    }

    #[test]
    fn blocks_are_spaced_unless_something_else_says_when_they_are() {
        let mut clock = Clock::default();
        assert_eq!(clock.space(5, 100, Some(200)), Ok(()));
        assert_eq!(clock.take(100, 200), 205);
        assert_eq!(clock.space(5, 205, None), Ok(()));
        assert_eq!(clock.take(205, 200), 210);
        // Not a second more, if the parent is of this very second.
        let mut same = Clock::default();
        assert_eq!(same.space(5, 200, Some(200)), Ok(()));
        assert_eq!(same.peek(200, 200), 205);
        // An exact time is that of the first one, and the others follow it.
        assert_eq!(clock.set_next(1_000, 210), Ok(()));
        assert_eq!(clock.space(5, 210, Some(200)), Ok(()));
        assert_eq!(clock.take(210, 200), 1_000);
        assert_eq!(clock.space(5, 1_000, None), Ok(()));
        assert_eq!(clock.take(1_000, 200), 1_005);
        clock.set_interval(7);
        assert_eq!(clock.space(5, 1_005, Some(200)), Ok(()));
        assert_eq!(clock.take(1_005, 200), 1_012);
    }

    #[test]
    fn a_clock_is_what_it_was_after_it_was_bytes() {
        let times = [0, 1, u64::MAX];
        for (exact, interval) in times.iter().flat_map(|a| times.map(|b| (*a, b))) {
            for offset in [i64::MIN, -1, 0, 1, i64::MAX] {
                let (exact, interval) = (Some(exact).filter(|at| *at > 0), Some(interval));
                for interval in [interval, None] {
                    let clock = Clock { offset, exact, interval };
                    let bytes = clock.encode(77);
                    let mut rest = bytes.as_slice();
                    assert_eq!(Clock::decode(&mut rest), Some((clock, 77)));
                    assert!(rest.is_empty());
                }
            }
        }
        assert_eq!(Clock::decode(&mut &[0xc0][..]), None);
    }

    #[test]
    fn blocks_ascend_at_the_end_of_time() {
        let mut clock = Clock::default();
        let late = ClockError::TooLate { timestamp: TIMESTAMP_MAX + 1 };
        assert_eq!(clock.set_next(TIMESTAMP_MAX + 1, 100), Err(late));
        assert_eq!(clock.set_next(TIMESTAMP_MAX, 100), Ok(()));
        assert_eq!(clock.take(100, 100), TIMESTAMP_MAX);
        assert_eq!(clock.take(TIMESTAMP_MAX, 101), TIMESTAMP_MAX + 1);
        clock.shift(i64::MAX);
        assert_eq!(clock.take(TIMESTAMP_MAX + 1, 102), TIMESTAMP_MAX + 2);
        clock.set_interval(u64::MAX);
        assert_eq!(clock.take(100, 100), TIMESTAMP_MAX);
        assert_eq!(clock.take(TIMESTAMP_MAX + 2, 102), TIMESTAMP_MAX + 3);
    }

    #[test]
    fn a_clock_behind_the_head_goes_forward_from_there() {
        let mut clock = Clock::default();
        let head = (0..20).fold(100, |parent, _| clock.take(parent, 100));
        assert_eq!(head, 120);
        assert_eq!(clock.increase(0, head, 100), 0);
        assert_eq!(clock.increase(600, head, 101), 619);
        assert_eq!(clock.take(head, 101), 720);
        // One that is ahead moves from what it shows.
        assert_eq!(clock.increase(5, 720, 111), 624);
        assert_eq!(clock.increase(-30, 720, 111), 594);
    }

    #[test]
    fn offset_interval_and_set() {
        let mut clock = Clock::starting_at(50, 100);
        assert_eq!(clock.peek(10, 110), 60);
        assert_eq!(clock.increase(40, 10, 110), -10);
        assert_eq!(clock.take(10, 110), 100);
        clock.set_interval(7);
        assert_eq!(clock.take(100, 110), 107);
        assert!(clock.remove_interval());
        assert!(!clock.remove_interval());
        assert_eq!(clock.set(500, 110), 400);
        assert_eq!(clock.peek(107, 112), 502);
    }
}
