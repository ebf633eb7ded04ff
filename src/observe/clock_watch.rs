//! Whether the wall clock of this host can be believed: a small pure state machine, fed once a cycle.
//!
//! The wall clock may step; the monotonic clock may not, but stands still while a host is suspended; the file
//! server has a clock of its own, unless the state directory is a local disk. When the wall clock moves by more
//! than the tolerance against the monotonic one, nothing follows from the time until the step is confirmed,
//! undone, or has stood for a while; and as long as the file server contradicts the wall clock, nothing follows
//! from it at all (docs/decisions/0008). The worker of a space keeps this for as long as the process lives,
//! since a step may end an ownership.

use std::time::Duration;

use crate::model::{CLOCK_TOLERANCE, ClockTrust, Timestamp};
use crate::store::Witness;

/// How long a step that nobody contradicts must stand: long enough for a person to see the alarm and for NTP to
/// take back its mistake, and shorter than an hour that is paid for.
const STABLE: Duration = Duration::from_secs(600);

/// Clocks that are steered run up to 0.05 % too fast or too slow: allowed is twice as much.
const DRIFT: u32 = 1000;

/// All clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// The host's wall clock.
    pub wall: Timestamp,
    /// The host's monotonic clock.
    pub monotonic: Duration,
    /// The file server's; `None`: it could not be asked.
    pub witness: Option<Witness>,
}

/// What one look has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockLook {
    /// Whether anything may follow from the time of this reading.
    pub trust: ClockTrust,
    /// Whether the wall clock has stepped since the last look: times of before are another clock's.
    pub stepped: Stepped,
}

/// Whether the wall clock has stepped since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stepped {
    /// It has.
    Yes,
    /// It has not, as far as can be told.
    No,
}

/// What is remembered between looks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClockWatch {
    last: Option<Last>,
    step: Option<Step>,
    /// What the file server's clock said against ours when it was first seen to, while it does.
    contradiction: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Last {
    wall: Timestamp,
    monotonic: Duration,
    verdict: Option<Verdict>,
}

/// A step that is neither confirmed nor undone.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    why: String,
    /// Of all steps since the clock was last believed, in milliseconds.
    moved: i64,
    /// When the last of them was seen, on the monotonic clock.
    since: Duration,
    /// What the file server said of the clock of before.
    before: Option<Verdict>,
}

/// What the file server's clock says of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Agrees,
    Contradicts,
}

impl ClockWatch {
    /// Takes a reading into account.
    pub fn look(&mut self, now: &ClockReading) -> ClockLook {
        let verdict = now.witness.map(|witness| verdict(witness, now.wall));
        let moved = self.last.and_then(|last| step_since(last, now));
        match moved {
            Some(moved) => self.stepped(moved, now),
            None => self.waited(verdict, now.monotonic),
        }
        self.hear(verdict, now);
        // One reading without the file server does not unsay what it said.
        let verdict = verdict.or_else(|| self.last.and_then(|last| last.verdict));
        self.last = Some(Last { wall: now.wall, monotonic: now.monotonic, verdict });
        let stepped = if moved.is_some() { Stepped::Yes } else { Stepped::No };
        ClockLook { trust: self.trust(moved.is_some().then_some(now)), stepped }
    }

    fn stepped(&mut self, moved: i64, now: &ClockReading) {
        let Some(last) = self.last else { return };
        let (before, sum) = match &self.step {
            Some(step) => (step.before, step.moved.saturating_add(moved)),
            None => (last.verdict, moved),
        };
        // Back where it was when it was last believed: the mistake was taken back.
        self.step = (millis(sum) > CLOCK_TOLERANCE).then(|| Step {
            why: said(last, now),
            moved: sum,
            since: now.monotonic,
            before,
        });
    }

    fn waited(&mut self, verdict: Option<Verdict>, now: Duration) {
        let Some(step) = &self.step else { return };
        let is_over = match (step.before, verdict) {
            (_, Some(Verdict::Contradicts)) => false,
            // It was our clock that was wrong, and it was mended. Without the first half agreement says
            // nothing: a local disk has our own clock, and makes every step with us.
            (Some(Verdict::Contradicts), Some(Verdict::Agrees)) => true,
            (_, Some(Verdict::Agrees) | None) => now.saturating_sub(step.since) >= STABLE,
        };
        if is_over {
            self.step = None;
        }
    }

    fn hear(&mut self, verdict: Option<Verdict>, now: &ClockReading) {
        match (verdict, now.witness) {
            (Some(Verdict::Contradicts), Some(witness)) => {
                self.contradiction.get_or_insert_with(|| {
                    format!(
                        "this host's clock showed {} when the file server's clock showed {}",
                        now.wall, witness.modified
                    )
                });
            }
            (Some(Verdict::Agrees), _) => self.contradiction = None,
            (Some(Verdict::Contradicts) | None, _) => {
                if self.last.is_none() {
                    let unknown =
                        "the file server did not tell the time, and there was no earlier look";
                    self.contradiction = Some(unknown.to_owned());
                }
            }
        }
    }

    fn trust(&self, stepped: Option<&ClockReading>) -> ClockTrust {
        let step = self.step.as_ref().map(|step| step.why.as_str());
        let words: Vec<&str> = step.into_iter().chain(self.contradiction.as_deref()).collect();
        match stepped {
            _ if !words.is_empty() => ClockTrust::Doubted { why: words.join("; ") },
            // What was learned in this cycle was learned with two times.
            Some(now) => {
                ClockTrust::Doubted { why: format!("this host's clock was set to {}", now.wall) }
            }
            None => ClockTrust::Trusted,
        }
    }
}

/// By how much the wall clock has moved against the monotonic one, if it is too much.
fn step_since(last: Last, now: &ClockReading) -> Option<i64> {
    let passed = now.monotonic.saturating_sub(last.monotonic);
    let expected = last.wall + passed;
    let moved = now.wall.as_millis().saturating_sub(expected.as_millis());
    (millis(moved) > CLOCK_TOLERANCE + passed / DRIFT).then_some(moved)
}

fn millis(moved: i64) -> Duration {
    Duration::from_millis(moved.unsigned_abs())
}

/// The file server's time is now between that of the renewal and as much later as that may be ago.
fn verdict(witness: Witness, wall: Timestamp) -> Verdict {
    let Witness { modified, age_at_most } = witness;
    let earliest = modified - CLOCK_TOLERANCE;
    let latest = modified + age_at_most + CLOCK_TOLERANCE;
    if (earliest..=latest).contains(&wall) { Verdict::Agrees } else { Verdict::Contradicts }
}

fn said(last: Last, now: &ClockReading) -> String {
    let passed = now.monotonic.saturating_sub(last.monotonic).as_secs();
    format!(
        "this host's clock went from {} to {} while {passed} s passed on its monotonic clock",
        last.wall, now.wall
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;

    fn at(wall: i64, monotonic: u64, server: Option<i64>) -> ClockReading {
        let server = server.map(Timestamp::from_secs);
        ClockReading {
            wall: Timestamp::from_secs(wall),
            monotonic: Duration::from_secs(monotonic),
            witness: server
                .map(|modified| Witness { modified, age_at_most: Duration::from_secs(5) }),
        }
    }

    /// Whether each reading in turn is believed: wall, monotonic, file server.
    fn believed(readings: &[(i64, u64, Option<i64>)]) -> Vec<bool> {
        let mut watch = ClockWatch::default();
        let look = |(wall, monotonic, server): &(i64, u64, Option<i64>)| {
            watch.look(&at(*wall, *monotonic, *server)).trust.is_trusted()
        };
        readings.iter().map(look).collect()
    }

    #[test]
    fn clocks_that_run_together_are_believed() {
        let readings: Vec<_> =
            (0..100).map(|n| (1000 + 60 * n, 60 * n as u64, Some(998 + 60 * n))).collect();
        assert!(believed(&readings).iter().all(|believed| *believed));
    }

    #[test]
    fn drift_over_a_long_time_is_no_step() {
        // A month, while another manager had the space, and a third of a permille too fast.
        let month = 30 * 24 * 3600;
        assert_eq!(
            believed(&[(0, 0, Some(0)), (month + 800, 2_592_000, Some(month + 800))]),
            [true; 2]
        );
    }

    #[test]
    fn a_step_that_only_a_local_disk_confirms_must_stand_for_ten_minutes() {
        let stepped = 500_000;
        let after = |secs: i64| (stepped + secs, 60 + secs as u64, Some(stepped + secs));
        assert_eq!(
            believed(&[(0, 0, Some(0)), after(0), after(60), after(599), after(600), after(660)]),
            [true, false, false, false, true, true]
        );
    }

    #[test]
    fn a_second_step_begins_the_wait_anew() {
        let readings = [
            (0, 0, Some(0)),
            (50_000, 60, Some(50_000)),
            (90_000, 600, Some(90_000)),
            (90_100, 700, Some(90_100)),
            (90_600, 1200, Some(90_600)),
        ];
        assert_eq!(believed(&readings), [true, false, false, false, true]);
    }

    #[test]
    fn a_step_that_is_taken_back_is_forgotten_at_the_next_look() {
        let readings = [
            (1000, 0, Some(1000)),
            (90_060, 60, Some(90_060)),
            (90_120, 120, Some(90_120)),
            (1180, 180, Some(1180)),
            (1240, 240, Some(1240)),
        ];
        assert_eq!(believed(&readings), [true, false, false, false, true]);
    }

    #[test]
    fn a_clock_set_back_is_a_step_too() {
        assert_eq!(believed(&[(90_000, 0, None), (1000, 60, None)]), [false; 2]);
        assert_eq!(believed(&[(90_000, 0, Some(90_000)), (1000, 60, Some(1000))]), [true, false]);
    }

    #[test]
    fn what_the_file_server_contradicts_is_never_believed_however_long_it_stands() {
        let mut readings = vec![(0, 0, Some(0))];
        readings.extend((1..200).map(|n| (900_000 + 60 * n, 60 * n as u64, Some(60 * n))));
        let believed = believed(&readings);
        assert!(believed[0] && believed[1..].iter().all(|believed| !believed));
    }

    #[test]
    fn a_clock_that_is_set_to_the_file_servers_is_believed_at_the_next_look() {
        let readings = [
            (0, 0, Some(90_000)),
            (60, 60, Some(90_060)),
            (90_120, 120, Some(90_120)),
            (90_180, 180, Some(90_180)),
        ];
        assert_eq!(believed(&readings), [false, false, false, true]);
    }

    #[test]
    fn a_first_look_needs_the_file_server_and_later_ones_do_not() {
        assert_eq!(believed(&[(0, 0, None), (60, 60, None)]), [false; 2]);
        assert_eq!(
            believed(&[(0, 0, None), (60, 60, Some(60)), (120, 120, None)]),
            [false, true, true]
        );
    }

    #[test]
    fn a_renewal_that_is_some_seconds_old_does_not_contradict() {
        let witness = |secs| Witness {
            modified: Timestamp::from_secs(1000),
            age_at_most: Duration::from_secs(secs),
        };
        assert_eq!(verdict(witness(0), Timestamp::from_secs(1060)), Verdict::Agrees);
        assert_eq!(verdict(witness(0), Timestamp::from_secs(1061)), Verdict::Contradicts);
        assert_eq!(verdict(witness(12), Timestamp::from_secs(1072)), Verdict::Agrees);
        assert_eq!(verdict(witness(12), Timestamp::from_secs(939)), Verdict::Contradicts);
    }

    #[test]
    fn both_clocks_are_named_and_the_words_do_not_change_while_it_stands() {
        let mut watch = ClockWatch::default();
        watch.look(&at(0, 0, Some(0)));
        let first = watch.look(&at(HOUR as i64, 60, Some(60)));
        let ClockTrust::Doubted { why } = &first.trust else { panic!("believed") };
        for shown in
            ["1970-01-01T00:00:00", "1970-01-01T01:00:00", "60 s passed", "1970-01-01T00:01:00"]
        {
            assert!(why.contains(shown), "{why}");
        }
        assert_eq!(first.stepped, Stepped::Yes);
        let second = watch.look(&at(HOUR as i64 + 60, 120, Some(120)));
        assert_eq!((second.trust, second.stepped), (first.trust, Stepped::No));
    }
}
