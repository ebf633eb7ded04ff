//! Rates of a ledger that has not spent for long.

use std::time::Duration;

use proptest::prelude::*;
use vcycle_api::Timestamp;

use super::ledger_tests::{BEGIN, Deployment, budget, rate};
use super::*;
use crate::{Amount, Scope, SettleReason};

const HOUR: Duration = Duration::from_secs(3600);

fn lately(deployment: &Deployment, now: Timestamp, hours: u32) -> Option<Lately> {
    let (book, all) = (&deployment.book, Scope::default());
    let first = book.first_spent(&all, Timestamp::from_secs(0), now)?;
    book.lately(&all, (first, now), HOUR * hours)
}

#[test]
fn in_the_first_hours_a_rate_is_over_the_time_since_the_first_spending() {
    let mut deployment = Deployment::new();
    assert_eq!(lately(&deployment, BEGIN + HOUR, 24), None, "nothing was spent yet");
    // Two for 0.50 an hour.
    deployment.make_many(2, "a", "ska", BEGIN);
    assert_eq!(lately(&deployment, BEGIN + HOUR / 2, 24), None, "too early");
    let of = |over| Some(Lately { rate: rate("1"), over });
    assert_eq!(lately(&deployment, BEGIN + HOUR, 24), of(HOUR));
    assert_eq!(lately(&deployment, BEGIN + 5 * HOUR, 24), of(5 * HOUR));
    assert_eq!(lately(&deployment, BEGIN + 5 * HOUR, 1), of(HOUR));
    // They end after ten hours.
    let day = lately(&deployment, BEGIN + 40 * HOUR, 24).unwrap();
    assert_eq!((day.rate, day.over), (rate("0"), 24 * HOUR));
}

#[test]
fn of_what_is_settled_the_first_moment_is_known_to_the_hour() {
    let mut deployment = Deployment::new();
    let machine = deployment.make("a", "ska", BEGIN + HOUR / 2);
    deployment.end(machine, BEGIN + HOUR, SettleReason::Worked);
    assert_eq!(lately(&deployment, BEGIN + HOUR, 24), None, "it may have been just now");
    let after = lately(&deployment, BEGIN + 2 * HOUR, 24).unwrap();
    assert_eq!((after.rate, after.over), (rate("0.125"), 2 * HOUR));
}

/// A budget that began ten days before it was written, and before something was spent from it, is not behind its line at once.
#[test]
fn a_young_budget_has_no_means_and_one_from_which_nothing_was_spent_for_a_day_has() {
    let long_ago = Budget { from: BEGIN - 240 * HOUR, ..budget() };
    let mut deployment = Deployment::of(&long_ago);
    let means = |deployment: &Deployment, now| {
        let landing = long_ago.standing(&deployment.book, now).landing;
        (landing.six_hours.is_some(), landing.day.is_some())
    };
    // It was written at the beginning.
    assert_eq!(means(&deployment, BEGIN + HOUR), (false, false));
    assert_eq!(means(&deployment, BEGIN + 7 * HOUR), (true, false));
    assert_eq!(means(&deployment, BEGIN + 24 * HOUR), (true, true), "nothing was ever spent");
    deployment.make_many(2, "a", "ska", BEGIN + 25 * HOUR);
    assert_eq!(means(&deployment, BEGIN + 26 * HOUR), (false, false));
    assert_eq!(means(&deployment, BEGIN + 31 * HOUR), (true, false));
    assert_eq!(means(&deployment, BEGIN + 49 * HOUR), (true, true));
}

proptest! {
    #[test]
    fn a_rate_over_its_time_is_what_was_spent_and_the_time_is_never_longer_than_asked(
        machines in prop::collection::vec((0_u32..72, 1_u32..10, any::<bool>()), 0..12),
        hours in 1_u32..48, later in 0_u32..48,
    ) {
        let (mut deployment, is_empty) = (Deployment::new(), machines.is_empty());
        let mut machines = machines;
        machines.sort_unstable();
        for (from, life, ends) in machines {
            let from = BEGIN + HOUR * from;
            let machine = deployment.make("a", "ska", from);
            if ends {
                deployment.end(machine, from + HOUR * life, SettleReason::Worked);
            }
        }
        let now = BEGIN + HOUR * (82 + later);
        if let Some(Lately { rate, over }) = lately(&deployment, now, hours) {
            prop_assert!(over <= HOUR * hours && over >= HOUR);
            let within = crate::book::Span { from: now - over, to: now };
            let spent = deployment.book.spent_on(&Scope::default(), within);
            let off = spent - rate.over(over);
            prop_assert!(off >= Amount::ZERO && off < "0.000001".parse().unwrap(), "{off}");
        } else {
            prop_assert!(is_empty);
        }
    }
}
