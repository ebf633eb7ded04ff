//! The rules of `store::ownership` themselves, asked about ages in ticks.
//!
//! A tick is a part of the time that a look may be old. Real times lie anywhere between ticks; the rules
//! are asked as if an owner's clock were a nanosecond slow and an observer's a nanosecond fast. What is
//! shown for whole ticks then holds for all times in between: every condition of the rules on ages becomes
//! one with "at least" or "at most", and a run that keeps to such conditions can be moved to whole ticks
//! without changing the order of its events.

use std::time::Duration;

use vcycle::model::{Generation, Timestamp};
use vcycle::store::Farewell;
use vcycle::store::testing::ownership::{
    Lease, Looked, Observation, Reading, Renewal, STALE_LOOKS, Seen, Verdict, counts, judge,
    superseded,
};

use super::state::{Life, Sight};

const JUST: Duration = Duration::from_nanos(1);
/// Later than any age.
const NOW: Duration = Duration::from_secs(1_000_000);

/// The times of a model, in ticks, and how the rules are bent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// A multiple of five, so that an owner's part of it is whole.
    pub(crate) ttl: u8,
    /// How old a look may be.
    pub(crate) stale: u8,
    /// How long a call may wait between the check of its proof and its leaving.
    pub(crate) patience: u8,
}

/// What a verdict means in the model.
pub(crate) enum Judged {
    Take,
    /// Since so many ticks.
    Wait(u8),
}

impl Times {
    fn tick(self) -> Duration {
        STALE_LOOKS / u32::from(self.stale)
    }

    fn ttl(self) -> Duration {
        self.tick() * u32::from(self.ttl)
    }

    /// The longest silence that a rule asks for.
    pub(crate) fn longest(self) -> u8 {
        self.ttl + self.stale
    }

    fn begun(self, age: u8) -> Reading {
        reading(NOW - self.tick() * u32::from(age) + JUST)
    }

    /// The lease of an owner whose last renewal that counts began so long ago. The margin is lost if
    /// `stretched`.
    fn lease(self, age: u8, stretched: bool) -> Lease {
        let ttl = if stretched { self.ttl() * 5 / 4 } else { self.ttl() };
        Lease::first(self.begun(age), ttl)
    }

    pub(crate) fn in_time(self, age: u8, stretched: bool) -> bool {
        self.lease(age, stretched).left(reading(NOW)).is_ok()
    }

    /// The age of the lease after a renewal that was begun so long ago and is done now.
    pub(crate) fn renewed(self, age: u8, begun: u8, stretched: bool) -> Option<u8> {
        let lease = self.lease(age, stretched).renewed(self.begun(begun), reading(NOW)).ok()?;
        let since = NOW.saturating_sub(lease.renewed.monotonic);
        Some(ticks(since, self.tick()))
    }

    /// Judges a look that began now: stops during it are the model's, which keeps `silent` as it was.
    pub(crate) fn judged(self, sight: Sight) -> Judged {
        let seen = |counter| Seen {
            generation: number(sight.number),
            manager: None,
            ttl: None,
            renewal: match sight.life {
                Life::Absent => Renewal::None,
                Life::Counter => Renewal::Counter(counter),
                Life::Released => Renewal::Released(Farewell::default()),
            },
        };
        let since = NOW - self.tick() * u32::from(sight.silent) - JUST;
        let before = sight.same.then(|| Observation { seen: seen(2), since });
        let looked = Looked { asked: NOW, answered: NOW };
        match judge(before.as_ref(), Some(seen(2)), looked, self.ttl()) {
            Verdict::Take(generation) => {
                assert_eq!(generation, number(sight.number).next());
                Judged::Take
            }
            Verdict::Wait(waiting) => Judged::Wait(ticks(NOW - waiting.since, self.tick())),
        }
    }
}

/// Whether what was just made counts, and whether it still stands later.
pub(crate) fn made_counts(made: u8, highest: u8) -> bool {
    counts(number(made), Some(number(highest)))
}

pub(crate) fn stands(ours: u8, highest: u8) -> bool {
    superseded(number(ours), Some(number(highest))).is_ok()
}

fn number(number: u8) -> Generation {
    Generation(u64::from(number) + 100)
}

fn reading(monotonic: Duration) -> Reading {
    Reading { monotonic, wall: Timestamp::from_secs(1_767_200_000) }
}

/// To the nearest: the nanoseconds are not time.
fn ticks(time: Duration, tick: Duration) -> u8 {
    let rounded = (time + tick / 2).as_nanos() / tick.as_nanos();
    u8::try_from(rounded).expect("ages are short")
}
