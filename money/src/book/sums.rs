//! What is settled and reserved in each window of a cap.

use std::time::Duration;

use vcycle_api::Timestamp;

use super::shards::{Sharded, Shards};
use super::windows::{HOUR, Span};
use crate::{Amount, Cap};

/// In one window of a cap. Kept wide, since a sum that saturated would be too small after the next subtraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    pub(super) settled: i128,
    pub(super) reserved: i128,
}

impl Sum {
    /// What was spent for good.
    pub fn settled(self) -> Amount {
        Amount::fit(self.settled)
    }

    /// What is kept free.
    pub fn reserved(self) -> Amount {
        Amount::fit(self.reserved)
    }

    /// Both.
    pub fn both(self) -> Amount {
        Amount::fit(self.settled + self.reserved)
    }

    /// Whether an amount more would be more than a limit.
    pub(super) fn exceeds(self, limit: Amount, more: i128) -> bool {
        self.settled + self.reserved + more > i128::from(limit.nanos())
    }
}

impl std::ops::AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        self.settled += other.settled;
        self.reserved += other.reserved;
    }
}

impl Sharded for Timestamp {
    fn shard(&self) -> i64 {
        self.as_millis().div_euclid(256 * HOUR)
    }
}

/// The sums of one cap by the beginning of its windows. A window with nothing in it is not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sums(Shards<Timestamp, Sum>);

impl Sums {
    pub(super) fn of(&self, window: Span) -> Sum {
        self.0.get(&window.from).copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, window: Span, more: Sum) {
        let mut sum = self.of(window);
        sum += more;
        if sum == Sum::default() {
            self.0.remove(&window.from);
        } else {
            self.0.insert(window.from, sum);
        }
    }

    /// The windows that are not over at a time, with something in them.
    pub(super) fn since(
        &self,
        cap: &Cap,
        now: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, Sum)> + use<'_> {
        // A grant is one window that may have begun long ago.
        let first = cap.window.span_at(now).map_or(now, |window| window.from);
        let last = Timestamp::from_millis(i64::MAX);
        self.0.range(first..=last).map(|(from, sum)| (*from, *sum))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Timestamp, Sum)> + use<'_> {
        self.0.iter().map(|(from, sum)| (*from, *sum))
    }
}

/// Adds to each window of a cap what falls into it.
pub(super) fn post(sums: &mut Sums, cap: &Cap, over: Span, part: impl Fn(Span) -> Sum) {
    for window in cap.window.spans(over) {
        sums.add(window, part(window));
    }
}

/// A whole hour.
pub(super) const AN_HOUR: Duration = Duration::from_secs(3600);
