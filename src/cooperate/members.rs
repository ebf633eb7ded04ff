//! Which managers live, judged by the counters in their files on this observer's own monotonic clock:
//! clocks of hosts are never compared.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{ManagerName, SpaceName};

/// What a manager's file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    /// Which process wrote it: no two processes have the same.
    pub run: String,
    /// Grows with each writing.
    pub counter: u64,
    /// It has stopped in an orderly way.
    pub is_leaving: bool,
    /// The spaces that it can work on; `None`: it does not say (an older version), so any.
    pub serves: Option<Vec<SpaceName>>,
    /// The address at which it answers machines; empty: it does not say (an older version).
    pub base_url: String,
}

/// A manager that lives, as far as this observer knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Since when its signs have been coming without a gap, on the observer's clock. `None`: only one has been
    /// seen so far, so that it may be dead.
    pub steady_since: Option<Duration>,
    /// The address at which it answers machines.
    pub base_url: String,
    serves: Option<Vec<SpaceName>>,
}

impl Member {
    /// Whether it can work on a space.
    pub fn serves(&self, space: &SpaceName) -> bool {
        self.serves.as_ref().is_none_or(|spaces| spaces.contains(space))
    }
}

/// What is known of one manager.
#[derive(Debug, Clone)]
struct Known {
    sign: Sign,
    /// When this sign was first seen.
    since: Duration,
    steady_since: Option<Duration>,
}

/// What this manager has seen of the others.
#[derive(Debug, Clone)]
pub struct Members {
    ttl: Duration,
    known: BTreeMap<ManagerName, Known>,
}

impl Members {
    /// Nothing seen yet. A manager whose sign does not change for `ttl` is taken for dead.
    pub fn new(ttl: Duration) -> Self {
        Self { ttl, known: BTreeMap::new() }
    }

    /// Takes in what the files say at `now`. A manager whose file is not shown keeps what was known of it: a
    /// listing may be old.
    pub fn look(&mut self, now: Duration, signs: impl IntoIterator<Item = (ManagerName, Sign)>) {
        for (name, sign) in signs {
            let fresh = |steady_since| Known { sign: sign.clone(), since: now, steady_since };
            let known = match self.known.get(&name) {
                None => fresh(None),
                Some(known) if known.sign == sign => continue,
                // A new process has to prove itself anew, and so has one that was silent for long.
                Some(known) if known.sign.run != sign.run => fresh(Some(now)),
                Some(known) if now.saturating_sub(known.since) > self.ttl => fresh(Some(now)),
                Some(known) => fresh(known.steady_since.or(Some(now))),
            };
            self.known.insert(name, known);
        }
    }

    /// Those that live, or may live, at `now`.
    pub fn live(&self, now: Duration) -> BTreeMap<ManagerName, Member> {
        let lives =
            |known: &&Known| !known.sign.is_leaving && now.saturating_sub(known.since) <= self.ttl;
        let member = |known: &Known| Member {
            steady_since: known.steady_since,
            base_url: known.sign.base_url.clone(),
            serves: known.sign.serves.clone(),
        };
        self.known
            .iter()
            .filter(|(_, known)| lives(known))
            .map(|(name, known)| (name.clone(), member(known)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(15);

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn name(name: &str) -> ManagerName {
        ManagerName::parse(name).unwrap()
    }

    fn sign(run: &str, counter: u64) -> Sign {
        Sign { run: run.into(), counter, is_leaving: false, serves: None, base_url: String::new() }
    }

    /// Who lives at `now`, and since when steadily, after these looks.
    fn seen(looks: &[(u64, Sign)], now: u64) -> Option<Option<u64>> {
        let mut members = Members::new(TTL);
        for (at, sign) in looks {
            members.look(secs(*at), [(name("a"), sign.clone())]);
        }
        let live = members.live(secs(now));
        live.get(&name("a")).map(|member| member.steady_since.map(|since| since.as_secs()))
    }

    #[test]
    fn an_old_file_may_be_of_a_living_manager_until_it_has_been_silent_for_the_ttl() {
        let once = [(100, sign("r", 7))];
        assert_eq!(seen(&once, 100), Some(None));
        assert_eq!(seen(&once, 115), Some(None));
        assert_eq!(seen(&once, 116), None);
    }

    #[test]
    fn signs_make_a_manager_steady_from_the_first_change_on() {
        let looks = [(100, sign("r", 7)), (105, sign("r", 8)), (110, sign("r", 9))];
        assert_eq!(seen(&looks, 112), Some(Some(105)));
    }

    #[test]
    fn silence_and_a_new_process_begin_the_count_anew() {
        let silent = [(100, sign("r", 7)), (105, sign("r", 8)), (130, sign("r", 9))];
        assert_eq!(seen(&silent, 131), Some(Some(130)));
        let restarted = [(100, sign("r", 7)), (105, sign("r", 8)), (110, sign("s", 1))];
        assert_eq!(seen(&restarted, 111), Some(Some(110)));
    }

    #[test]
    fn who_says_farewell_is_not_waited_for() {
        let farewell = Sign { is_leaving: true, ..sign("r", 9) };
        assert_eq!(seen(&[(100, sign("r", 8)), (101, farewell)], 101), None);
    }

    #[test]
    fn a_file_that_an_old_listing_does_not_show_is_not_forgotten() {
        let mut members = Members::new(TTL);
        members.look(secs(0), [(name("a"), sign("r", 1))]);
        members.look(secs(5), []);
        assert!(members.live(secs(5)).contains_key(&name("a")));
    }

    #[test]
    fn a_manager_that_does_not_say_what_it_serves_serves_everything() {
        let space = |name| SpaceName::parse(name).unwrap();
        let member = |serves| Member { steady_since: None, base_url: String::new(), serves };
        assert!(member(None).serves(&space("a")));
        assert!(member(Some(vec![space("a")])).serves(&space("a")));
        assert!(!member(Some(vec![space("a")])).serves(&space("b")));
    }
}
