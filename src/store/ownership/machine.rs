//! Who owns a space: pure. What I know, and what I see now, to what I may do.
//!
//! Two rules make it safe without comparing clocks of hosts. An observer takes a space only when its
//! owner's (generation, counter) has not changed for the TTL *on the observer's clock*, counted from the end
//! of the look that first found it so to the beginning of the one that still does: an answer that was long on its
//! way, or an observer that was stopped with it in its hands, tells nothing of the time since. An owner acts
//! only until the TTL less a margin *on its own clock*, counted from the start of its last renewal, and a
//! renewal counts only if it was done before that. So the owner has stopped before any observer begins, and
//! what has stopped never starts again.

use std::time::Duration;

use super::{Farewell, Fenced, ManagerName};
use crate::model::{Generation, Timestamp};

/// How old a negative look-up or a listing may be on NFS: the longest that a directory's attributes
/// are cached (`acdirmax`).
pub const STALE_LOOKS: Duration = Duration::from_secs(60);

/// What the log shows of the highest generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its number.
    pub generation: Generation,
    /// `None`: its file cannot be read.
    pub manager: Option<ManagerName>,
    /// For how long its renewals last. `None`: it does not say.
    pub ttl: Option<Duration>,
    /// What it says of its life.
    pub renewal: Renewal,
}

/// What the log shows of its owner's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// No renewal is seen: it has not been written yet, or our look-up is old.
    None,
    /// The owner is (was) alive.
    Counter(u64),
    /// The same, in the words of a newer version: that they change is a sign of life.
    Unreadable(Vec<u8>),
    /// Given back.
    Released(Farewell),
}

/// What is seen, and since when, on our monotonic clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// What.
    pub seen: Seen,
    /// When the first look that showed it was over.
    pub since: Duration,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Try to make this generation.
    Take(Generation),
    /// Somebody is, or may be, alive: look again later.
    Wait(Observation),
}

/// The longest that a dead owner is waited for, whatever its file says.
const LONGEST_TTL: Duration = Duration::from_secs(24 * 3600);

/// When a look was begun and when it was over, on our monotonic clock. What it shows was so at some
/// time between the two; we may have been stopped for long anywhere in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looked {
    /// Before the first question.
    pub asked: Duration,
    /// After the last answer.
    pub answered: Duration,
}

/// Judges what a look has shown, knowing what was seen before. A silence is known to have begun when
/// it was first seen (when that look was over), and to have lasted until this look began. `ttl` is ours, for an
/// owner that does not tell its own.
pub fn judge(
    before: Option<&Observation>,
    seen: Option<Seen>,
    looked: Looked,
    ttl: Duration,
) -> Verdict {
    let Some(seen) = seen else { return Verdict::Take(Generation(1)) };
    if let Renewal::Released(_) = seen.renewal {
        return Verdict::Take(seen.generation.next());
    }
    let since = match before {
        Some(before) if before.seen == seen => before.since,
        Some(_) | None => looked.answered,
    };
    // The owner stops by its own TTL, not by ours.
    let ttl = seen.ttl.unwrap_or(ttl).min(LONGEST_TTL.max(ttl));
    let patience = match seen.renewal {
        // Its owner renews before it acts; perhaps only our look-up does not show it yet.
        Renewal::None => ttl.saturating_add(STALE_LOOKS),
        Renewal::Counter(_) | Renewal::Unreadable(_) | Renewal::Released(_) => ttl,
    };
    if looked.asked.saturating_sub(since) > patience {
        return Verdict::Take(seen.generation.next());
    }
    Verdict::Wait(Observation { seen, since })
}

/// A reading of both clocks of this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Never steps; may stand still while the host is suspended.
    pub monotonic: Duration,
    /// May step.
    pub wall: Timestamp,
}

/// An owner's right to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// When the last renewal that counts was begun.
    pub renewed: Reading,
    /// How long the owner may be silent.
    pub ttl: Duration,
    /// Of the last renewal that was tried.
    pub counter: u64,
}

impl Lease {
    /// The lease of a new generation: counted from before it was made.
    pub fn first(begun: Reading, ttl: Duration) -> Self {
        Self { renewed: begun, ttl, counter: 1 }
    }

    /// The part of the TTL that is kept back: for clocks that run at different speeds, and for the
    /// way from the check to the call.
    fn usable(&self) -> Duration {
        self.ttl - self.ttl / 5
    }

    /// How long the owner may still act.
    ///
    /// The wall clock is looked at too, since the monotonic one stands still while a host is
    /// suspended. It may step; a step forward costs a new generation, never a second owner.
    ///
    /// # Errors
    /// By how much it is too late.
    pub fn left(&self, now: Reading) -> Result<Duration, Duration> {
        let monotonic = now.monotonic.saturating_sub(self.renewed.monotonic);
        let elapsed = monotonic.max(now.wall.since(self.renewed.wall));
        if elapsed < self.usable() {
            Ok(self.usable() - elapsed)
        } else {
            Err(elapsed - self.usable())
        }
    }

    /// A renewal that was begun at `begun` has been done at `done`: the new lease.
    ///
    /// # Errors
    /// By how much it came too late to count.
    pub fn renewed(&self, begun: Reading, done: Reading) -> Result<Self, Duration> {
        self.left(done)?;
        // Two renewals at once may end in any order; the later beginning counts.
        let later = begun.monotonic >= self.renewed.monotonic;
        Ok(Self { renewed: if later { begun } else { self.renewed }, ..*self })
    }
}

/// Whether a generation that we have just made counts: the look that led to it may have been so old
/// that its number is long past and free again.
pub fn counts(made: Generation, highest: Option<Generation>) -> bool {
    highest.is_none_or(|highest| highest <= made)
}

/// What a look into the log means for the owner of `generation`. The log must show its own number
/// as the highest: a lower one, or none, means that the log is not the one we wrote into.
///
/// # Errors
/// Why the generation does not stand.
pub fn superseded(generation: Generation, highest: Option<Generation>) -> Result<(), Fenced> {
    match highest {
        Some(highest) if highest == generation => Ok(()),
        Some(by) if by > generation => Err(Fenced::Superseded { generation, by }),
        Some(_) | None => Err(Fenced::Forgotten { generation }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(15);

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn seen(generation: u64, renewal: Renewal) -> Seen {
        let manager = Some(ManagerName::parse("m").unwrap());
        Seen { generation: Generation(generation), manager, ttl: None, renewal }
    }

    /// A look that takes no time.
    fn at_once(at: u64) -> Looked {
        Looked { asked: secs(at), answered: secs(at) }
    }

    /// What an observer that looks at these times does at the last.
    fn watch(looks: &[(u64, Option<Seen>)]) -> Verdict {
        let mut known = None;
        let mut last = None;
        for (at, seen) in looks {
            let verdict = judge(known.as_ref(), seen.clone(), at_once(*at), TTL);
            known = match &verdict {
                Verdict::Wait(observation) => Some(observation.clone()),
                Verdict::Take(_) => None,
            };
            last = Some(verdict);
        }
        last.unwrap()
    }

    fn takes(verdict: &Verdict) -> Option<u64> {
        match verdict {
            Verdict::Take(generation) => Some(generation.0),
            Verdict::Wait(_) => None,
        }
    }

    #[test]
    fn an_empty_log_and_a_released_space_are_taken_at_once() {
        assert_eq!(takes(&watch(&[(5, None)])), Some(1));
        assert_eq!(
            takes(&watch(&[(5, Some(seen(7, Renewal::Released(Farewell::default()))))])),
            Some(8)
        );
    }

    #[test]
    fn trap_7_14_a_first_look_never_steals_however_old_the_file_is() {
        assert_eq!(takes(&watch(&[(1_000_000, Some(seen(7, Renewal::Counter(3))))])), None);
        assert_eq!(takes(&watch(&[(1_000_000, Some(seen(7, Renewal::None)))])), None);
    }

    #[test]
    fn silence_is_counted_on_our_clock_from_our_first_look() {
        let alive = |counter| Some(seen(7, Renewal::Counter(counter)));
        assert_eq!(takes(&watch(&[(100, alive(3)), (115, alive(3))])), None);
        assert_eq!(takes(&watch(&[(100, alive(3)), (116, alive(3))])), Some(8));
        // Any sign of life, also one that looks older, begins the count anew.
        assert_eq!(takes(&watch(&[(100, alive(3)), (114, alive(4)), (128, alive(4))])), None);
        assert_eq!(takes(&watch(&[(100, alive(3)), (114, alive(2)), (128, alive(2))])), None);
        // So does a new owner.
        let newer = || Some(seen(8, Renewal::Counter(3)));
        assert_eq!(takes(&watch(&[(100, alive(3)), (114, newer()), (128, newer())])), None);
    }

    #[test]
    fn a_silence_is_not_proved_by_the_time_that_a_look_took() {
        let alive = || Some(seen(7, Renewal::Counter(3)));
        let Verdict::Wait(first) =
            judge(None, alive(), Looked { asked: secs(90), answered: secs(100) }, TTL)
        else {
            panic!("a first look never steals")
        };
        assert_eq!(first.since, secs(100), "it may be what was so only at the end of the look");
        // Asked after 10 s, and stopped for a minute before the answer was judged: it is that of then.
        let stopped = Looked { asked: secs(110), answered: secs(170) };
        let verdict = judge(Some(&first), alive(), stopped, TTL);
        assert_eq!(verdict, Verdict::Wait(first.clone()));
        let next = Looked { asked: secs(171), answered: secs(171) };
        assert_eq!(takes(&judge(Some(&first), alive(), next, TTL)), Some(8));
    }

    #[test]
    fn an_owner_whose_renewal_is_not_seen_gets_the_time_that_a_cache_may_lie() {
        let new = || Some(seen(7, Renewal::None));
        assert_eq!(takes(&watch(&[(100, new()), (175, new())])), None);
        assert_eq!(takes(&watch(&[(100, new()), (176, new())])), Some(8));
    }

    #[test]
    fn an_owner_is_judged_by_the_ttl_that_it_wrote_and_not_by_ours() {
        for (written, kept, lost) in [(60, 160, 161), (5, 105, 106)] {
            let alive = || Some(Seen { ttl: Some(secs(written)), ..seen(7, Renewal::Counter(3)) });
            assert_eq!(takes(&watch(&[(100, alive()), (kept, alive())])), None, "{written}");
            assert_eq!(takes(&watch(&[(100, alive()), (lost, alive())])), Some(8), "{written}");
        }
        let nonsense = || {
            let ttl = Some(Duration::from_millis(u64::MAX));
            Some(Seen { ttl, ..seen(7, Renewal::Counter(3)) })
        };
        assert_eq!(takes(&watch(&[(100, nonsense()), (200_000, nonsense())])), Some(8));
    }

    fn reading(monotonic: u64, wall: i64) -> Reading {
        Reading { monotonic: secs(monotonic), wall: Timestamp::from_secs(wall) }
    }

    fn lease() -> Lease {
        Lease { renewed: reading(100, 5000), ttl: TTL, counter: 1 }
    }

    #[test]
    fn an_owner_stops_well_before_anybody_may_begin() {
        assert_eq!(lease().left(reading(100, 5000)), Ok(secs(12)));
        assert_eq!(lease().left(reading(111, 5011)), Ok(secs(1)));
        assert_eq!(lease().left(reading(112, 5012)), Err(secs(0)));
        assert_eq!(lease().left(reading(130, 5030)), Err(secs(18)));
    }

    #[test]
    fn a_suspended_host_is_late_though_its_monotonic_clock_stood_still() {
        assert_eq!(lease().left(reading(101, 9000)), Err(secs(3988)));
        assert_eq!(lease().left(reading(101, 10)), Ok(secs(11)), "a step back changes nothing");
    }

    #[test]
    fn a_renewal_counts_from_its_beginning_and_only_when_done_in_time() {
        let renewed = lease().renewed(reading(105, 5005), reading(111, 5011)).unwrap();
        assert_eq!(renewed.left(reading(111, 5011)), Ok(secs(6)));
        assert_eq!(lease().renewed(reading(105, 5005), reading(112, 5012)), Err(secs(0)));
        let earlier = lease().renewed(reading(90, 4990), reading(101, 5001)).unwrap();
        assert_eq!(earlier.renewed, lease().renewed, "never shortened by one that came late");
    }

    #[test]
    fn an_owner_must_find_its_own_number_at_the_top() {
        let mine = Generation(7);
        assert_eq!(superseded(mine, Some(mine)), Ok(()));
        let by = Generation(9);
        let newer = superseded(mine, Some(by));
        assert_eq!(newer, Err(Fenced::Superseded { generation: mine, by }));
        for log in [None, Some(Generation(6))] {
            assert_eq!(superseded(mine, log), Err(Fenced::Forgotten { generation: mine }));
        }
    }
}
