//! Which manager a space belongs to, and in which order the others follow.
//!
//! Rendezvous hashing (Thaler and Ravishankar, "A name-based mapping scheme for rendezvous", 1996):
//! every manager computes the same order from the names alone, and when one comes or goes only
//! the spaces that it has or had change hands.

use std::collections::BTreeMap;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::Member;
use crate::model::{ManagerName, SpaceName};

/// How many TTLs a better placed manager must have been alive without a gap before a space is handed over to
/// it: one that comes and goes would only cost gaps.
pub const STEADY: u32 = 4;

/// The parts of a TTL that the next in rank waits longer: more than two looks, so that who is before it
/// has had its turn.
const TURNS_PER_TTL: u32 = 2;

/// A space without an owner.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vacancy {
    /// Who had it last, if that is known.
    pub left_by: Option<ManagerName>,
    /// To whom it was handed over.
    pub to: Option<ManagerName>,
}

/// The living managers that can work on a space, best placed first.
fn ranked<'a>(
    space: &SpaceName,
    live: &'a BTreeMap<ManagerName, Member>,
) -> impl Iterator<Item = &'a ManagerName> {
    let mut ranked: Vec<_> = live
        .iter()
        .filter(|(_, member)| member.serves(space))
        .map(|(name, _)| (weight(space, name), name))
        .collect();
    ranked.sort_unstable_by(|a, b| b.cmp(a));
    ranked.into_iter().map(|(_, name)| name)
}

/// The same in every version of this program: managers of two versions must agree.
fn weight(space: &SpaceName, manager: &ManagerName) -> [u8; 8] {
    let digest = Sha256::new()
        .chain_update(space.as_str())
        .chain_update([0])
        .chain_update(manager.as_str())
        .finalize();
    let mut weight = [0; 8];
    weight.copy_from_slice(&digest[..8]);
    weight
}

/// How long `me` waits, from when it first saw the vacancy, before it takes the space. Whoever it was handed
/// over to takes it at once, and the others only when that one has had time; else the best placed
/// takes it at once. Who had it last comes last: it gave the space back, or was silent.
pub fn turn(
    space: &SpaceName,
    me: &ManagerName,
    live: &BTreeMap<ManagerName, Member>,
    vacancy: &Vacancy,
    ttl: Duration,
) -> Duration {
    let is_last = |name: &ManagerName| vacancy.left_by.as_ref() == Some(name);
    let others = ranked(space, live).filter(|name| *name != me);
    let before_me = if is_last(me) {
        others.count()
    } else {
        let mine = weight(space, me);
        others.filter(|name| !is_last(name) && (weight(space, name), *name) > (mine, me)).count()
    };
    let step = ttl / TURNS_PER_TTL;
    let by_rank = step * u32::try_from(before_me).unwrap_or(u32::MAX);
    match &vacancy.to {
        Some(to) if to == me => Duration::ZERO,
        Some(to) if live.contains_key(to) => by_rank.saturating_add(step),
        Some(_) | None => by_rank,
    }
}

/// The best placed of the others.
pub fn best_other(
    space: &SpaceName,
    me: &ManagerName,
    live: &BTreeMap<ManagerName, Member>,
) -> Option<ManagerName> {
    ranked(space, live).find(|name| *name != me).cloned()
}

/// Whether an owner keeps a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placing {
    /// It does.
    Keep,
    /// It hands it over.
    HandOver {
        /// To whom.
        to: ManagerName,
    },
}

/// Whether the owner `me` should keep a space at `now`, or hand it over to the best placed manager,
/// once that one has been alive for long enough.
pub fn place(
    space: &SpaceName,
    me: &ManagerName,
    live: &BTreeMap<ManagerName, Member>,
    now: Duration,
    ttl: Duration,
) -> Placing {
    let Some(best) = ranked(space, live).next().filter(|best| *best != me) else {
        return Placing::Keep;
    };
    let mine = (weight(space, me), me);
    let is_better = (weight(space, best), best) > mine;
    let is_steady = live[best]
        .steady_since
        .is_some_and(|since| now.saturating_sub(since) >= ttl.saturating_mul(STEADY));
    if is_better && is_steady { Placing::HandOver { to: best.clone() } } else { Placing::Keep }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Members, Sign};
    use super::*;

    const TTL: Duration = Duration::from_secs(15);

    fn manager(number: usize) -> ManagerName {
        ManagerName::parse(&format!("m{number}")).unwrap()
    }

    fn space(number: usize) -> SpaceName {
        SpaceName::parse(&format!("space{number}.example")).unwrap()
    }

    /// Managers that have been seen alive at 0 s and `steady` seconds.
    fn alive(
        numbers: impl IntoIterator<Item = usize>,
        steady: u64,
    ) -> BTreeMap<ManagerName, Member> {
        let mut members = Members::new(Duration::from_secs(10_000));
        let sign = |counter| Sign {
            run: "r".into(),
            counter,
            is_leaving: false,
            serves: None,
            base_url: String::new(),
        };
        let numbers: Vec<_> = numbers.into_iter().collect();
        for counter in 0..2 {
            let signs = numbers.iter().map(|number| (manager(*number), sign(counter)));
            members.look(Duration::ZERO, signs);
        }
        members.live(Duration::from_secs(steady))
    }

    fn best(space: &SpaceName, live: &BTreeMap<ManagerName, Member>) -> ManagerName {
        ranked(space, live).next().unwrap().clone()
    }

    proptest! {
        #[test]
        fn when_a_manager_goes_only_its_own_spaces_change_hands(
            managers in 2_usize..9, goes in 0_usize..9, number in 0_usize..1000,
        ) {
            let goes = goes % managers;
            let before = best(&space(number), &alive(0..managers, 0));
            let after = best(&space(number), &alive((0..managers).filter(|m| *m != goes), 0));
            prop_assert!(before == manager(goes) || before == after);
        }

        #[test]
        fn of_those_that_see_the_same_exactly_one_takes_a_space_at_once_and_the_others_later(
            managers in 1_usize..9, number in 0_usize..1000, left_by in prop::option::of(0_usize..9),
            to in prop::option::of(0_usize..9),
        ) {
            let live = alive(0..managers, 0);
            let vacancy = Vacancy { left_by: left_by.map(manager), to: to.map(manager) };
            let mut turns: Vec<_> =
                live.keys().map(|me| turn(&space(number), me, &live, &vacancy, TTL)).collect();
            turns.sort_unstable();
            let gaps = turns.windows(2).all(|pair| pair[1] - pair[0] >= TTL / TURNS_PER_TTL);
            prop_assert!(turns[0] == Duration::ZERO, "{:?}", turns);
            // Who it was handed over to is before all, and does not need its own rank.
            prop_assert!(gaps || to.is_some(), "{:?}", turns);
            prop_assert!(turns.get(1).is_none_or(|second| *second >= TTL / TURNS_PER_TTL));
        }

        #[test]
        fn handing_over_ends_at_the_best_placed_and_goes_no_further(
            managers in 1_usize..9, number in 0_usize..1000, owner in 0_usize..9,
        ) {
            let live = alive(0..managers, 0);
            let owner = manager(owner % managers);
            let now = Duration::from_secs(3600);
            match place(&space(number), &owner, &live, now, TTL) {
                Placing::Keep => prop_assert_eq!(owner, best(&space(number), &live)),
                Placing::HandOver { to } => {
                    prop_assert_eq!(place(&space(number), &to, &live, now, TTL), Placing::Keep);
                }
            }
        }
    }

    #[test]
    fn spaces_are_spread_over_the_managers() {
        let live = alive(0..4, 0);
        let mut counts = BTreeMap::new();
        for number in 0..1000 {
            *counts.entry(best(&space(number), &live)).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 4);
        assert!(counts.values().all(|count| (200..300).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_manager_that_has_just_come_is_given_nothing_yet() {
        let live = alive(0..8, 0);
        let (space, now) = (space(0), Duration::from_secs(59));
        let best = best(&space, &live);
        let owner = live.keys().find(|name| **name != best).unwrap();
        assert_eq!(place(&space, owner, &live, now, TTL), Placing::Keep);
        let later = Duration::from_secs(60);
        assert_eq!(place(&space, owner, &live, later, TTL), Placing::HandOver { to: best });
    }

    #[test]
    fn a_dead_manager_that_had_the_space_is_not_waited_for() {
        let live = alive(0..2, 0);
        let best = best(&space(0), &live);
        let other = live.keys().find(|name| **name != best).unwrap();
        let of = |left_by| Vacancy { left_by, to: None };
        assert_eq!(turn(&space(0), other, &live, &of(Some(best)), TTL), Duration::ZERO);
        assert_eq!(turn(&space(0), other, &live, &of(None), TTL), TTL / 2);
    }

    #[test]
    fn the_weights_are_those_of_every_version() {
        let order: Vec<_> = {
            let live = alive(0..4, 0);
            ranked(&space(1), &live).map(ToString::to_string).collect()
        };
        assert_eq!(order.join(" "), "m2 m1 m0 m3");
    }
}
