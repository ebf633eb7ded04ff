//! What a plan will do: from ledgers as managers write them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use vcycle_api::Timestamp;

use super::ledger_tests::{BEGIN, Deployment, budget, community, rate, space};
use super::*;
use crate::{Amount, Community, Permille, SettleReason};

const HOUR: Duration = Duration::from_secs(3600);

/// All communities have the same machines.
fn of_all(unit: Unit, longest: Duration) -> BTreeMap<Community, Next> {
    budget().named().map(|named| (named.clone(), Next { unit, longest, in_vain: false })).collect()
}

/// Machines for 0.50 an hour, for up to ten hours.
fn project(deployment: &Deployment, budget: &Budget, now: Timestamp, days: u16) -> Projection {
    project_without(&[], deployment, budget, (now, days))
}

/// The same where no machinetype works for some.
fn project_without(
    unserved: &[&str],
    deployment: &Deployment,
    budget: &Budget,
    (now, days): (Timestamp, u16),
) -> Projection {
    let own = space("a");
    let unserved = unserved.iter().map(|name| community(name)).collect();
    let standpoint = Standpoint {
        now,
        space: &own,
        unit: Unit::plain(rate("0.5")),
        longest: 9 * HOUR,
        next: &of_all(Unit::plain(rate("0.5")), 9 * HOUR),
        overstay: HOUR,
        spaces: 1,
        leaving: &BTreeSet::new(),
        habits: &BTreeMap::new(),
        unserved: &unserved,
    };
    budget.project(&deployment.book, &standpoint, days)
}

fn of_day(projection: &Projection, day: usize, name: &str) -> Amount {
    let mut communities = projection.communities.iter();
    let place = communities.position(|own| own.community == community(name)).unwrap();
    projection.days[day].communities[place]
}

fn assumed(projection: &Projection, name: &str) -> Assumed {
    let mut communities = projection.communities.iter();
    communities.find(|own| own.community == community(name)).unwrap().work
}

fn near(amount: Amount, expected: i64) -> bool {
    let expected = Amount::from_units(expected);
    let off = if amount > expected { amount - expected } else { expected - amount };
    off <= expected.share(3, 100).unwrap()
}

#[test]
fn a_new_plan_climbs_to_its_line_and_lands() {
    let projection = project(&Deployment::new(), &budget(), BEGIN, 3);
    assert_eq!(projection.days.len(), 3);
    for (number, day) in (1..).zip(&projection.days) {
        assert_eq!(day.to, BEGIN + HOUR * 24 * number);
        assert!(near(day.line, 240 * i64::from(number)), "{day:?}");
    }
    assert!(near(projection.days[2].total, 720), "{projection:#?}");
    assert!(near(projection.lands, 1000) && projection.lands <= projection.amount);
    assert_eq!(assumed(&projection, "ska"), Assumed::NotTried);
    let day = |name| of_day(&projection, 2, name);
    assert!(near(day("ska"), 120) && near(day("dune"), 120), "{projection:#?}");
    assert!(day("lhcb") < Amount::from_units(5), "nothing is left for backfill");
}

#[test]
fn before_it_begins_nothing_is_spent_and_days_end_with_the_budget() {
    let projection = project(&Deployment::new(), &budget(), BEGIN - 30 * HOUR, 30);
    let spent: Vec<Amount> = projection.days.iter().map(|day| day.spent).collect();
    assert_eq!(spent.len(), 7, "two before, five of the budget: {spent:?}");
    assert_eq!(spent[..2], [Amount::ZERO; 2]);
    assert!(spent[2] > Amount::ZERO);
    assert_eq!(projection.days[6].to, BEGIN + 101 * HOUR);
    assert_eq!(projection.days[6].total, projection.lands);
    assert_eq!(projection.days[6].committed, projection.lands, "nothing runs any more");
}

#[test]
fn who_found_no_work_is_not_reckoned_with_and_backfill_fills() {
    let mut deployment = Deployment::new();
    for name in ["ska", "dune"] {
        let made = deployment.make("a", name, BEGIN);
        deployment.end(made, BEGIN + HOUR / 4, SettleReason::Fizzled);
    }
    deployment.make_many(4, "a", "lhcb", BEGIN);
    let projection = project(&deployment, &budget(), BEGIN + HOUR, 2);
    assert_eq!(assumed(&projection, "ska"), Assumed::FoundNone);
    assert_eq!(assumed(&projection, "lhcb"), Assumed::FindsWork);
    assert_eq!(of_day(&projection, 1, "ska"), Amount::ZERO);
    assert!(near(of_day(&projection, 1, "lhcb"), 240), "{projection:#?}");
}

#[test]
fn whom_no_machinetype_works_for_spends_nothing_unless_something_of_it_runs() {
    let mut deployment = Deployment::new();
    let all = ["ska", "dune", "lhcb"];
    let projection = project_without(&all, &deployment, &budget(), (BEGIN, 2));
    assert_eq!(assumed(&projection, "lhcb"), Assumed::NoMachinetype);
    assert_eq!(projection.lands, Amount::ZERO, "a plan that nobody can carry out does not land");
    deployment.make("a", "lhcb", BEGIN);
    let projection = project_without(&all, &deployment, &budget(), (BEGIN + HOUR / 12, 2));
    assert_eq!(assumed(&projection, "lhcb"), Assumed::NotTried, "another manager makes them");
    assert!(near(of_day(&projection, 1, "lhcb"), 240), "{projection:#?}");
    assert_eq!(of_day(&projection, 1, "ska"), Amount::ZERO);
}

#[test]
fn backfill_gives_way_to_a_priority_within_hours() {
    let mut deployment = Deployment::new();
    deployment.make_many(20, "a", "lhcb", BEGIN);
    deployment.make("a", "ska", BEGIN + HOUR * 7 / 4);
    let projection = project(&deployment, &budget(), BEGIN + 2 * HOUR, 2);
    assert!(projection.advice.communities.iter().any(|own| own.give_way > Rate::ZERO));
    let day = |name| of_day(&projection, 1, name);
    assert!(day("ska") + day("dune") > Amount::from_units(200), "{projection:#?}");
    assert!(day("lhcb") < Amount::from_units(24), "{projection:#?}");
}

#[test]
fn a_plan_that_is_not_in_force_is_reckoned_from_the_same_ledger() {
    let mut deployment = Deployment::new();
    let made = deployment.make("a", "lhcb", BEGIN);
    deployment.end(made, BEGIN + 4 * HOUR, SettleReason::Worked);
    deployment.make_many(3, "a", "lhcb", BEGIN + HOUR);
    let other = Budget { amount: Amount::from_units(500), ..budget() };
    let now = BEGIN + 5 * HOUR;
    let (as_is, with) =
        (project(&deployment, &budget(), now, 1), project(&deployment, &other, now, 1));
    assert_eq!(as_is.spent, Amount::from_units(8), "2.00 ended, 6.00 running up");
    assert_eq!((as_is.spent, as_is.committed), (with.spent, with.committed));
    assert!(with.days[0].spent < as_is.days[0].spent);
    assert!(near(with.lands, 500) && with.lands <= with.amount, "{}", with.lands);
}

#[test]
fn machines_that_live_for_two_hours_hold_the_line() {
    let own = space("a");
    let standpoint = Standpoint {
        now: BEGIN,
        space: &own,
        unit: Unit::plain(rate("0.5")),
        longest: 2 * HOUR,
        next: &of_all(Unit::plain(rate("0.5")), 2 * HOUR),
        overstay: HOUR,
        spaces: 1,
        leaving: &BTreeSet::new(),
        habits: &BTreeMap::new(),
        unserved: &BTreeSet::new(),
    };
    let alone = Budget { priorities: Vec::new(), ..budget() };
    let projection = alone.project(&Deployment::new().book, &standpoint, 5);
    let totals: Vec<Amount> = projection.days.iter().map(|day| day.total).collect();
    assert!(near(totals[1], 480), "{totals:?}");
}

#[test]
fn where_no_machine_can_be_made_the_plan_says_that_nothing_is_spent() {
    let own = space("a");
    let standpoint = Standpoint {
        now: BEGIN,
        space: &own,
        unit: Unit::default(),
        longest: HOUR,
        next: &of_all(Unit::default(), HOUR),
        overstay: HOUR,
        spaces: 1,
        leaving: &BTreeSet::new(),
        habits: &BTreeMap::new(),
        unserved: &BTreeSet::new(),
    };
    let projection = budget().project(&Deployment::new().book, &standpoint, 2);
    assert_eq!((projection.unit, projection.lands), (Rate::ZERO, Amount::ZERO));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_plan_is_shown_that_passes_its_budget(
        backfill in 0_u32..30, ska in 0_u32..10, hours in 0_u32..100, amount in 40_i64..2000,
        reserve in 0_u16..200,
    ) {
        let mut deployment = Deployment::new();
        deployment.make_many(backfill, "a", "lhcb", BEGIN);
        deployment.make_many(ska, "b", "ska", BEGIN);
        let plan = Budget { amount: Amount::from_units(amount), reserve: Permille(reserve), ..budget() };
        let projection = project(&deployment, &plan, BEGIN + HOUR * hours, 6);
        // What runs already may cost more than a smaller plan has.
        let most = plan.amount.max(projection.committed);
        prop_assert!(projection.lands <= most, "{} of {}", projection.lands, most);
        for day in &projection.days {
            prop_assert!(day.total <= day.committed && day.committed <= most, "{day:?}");
            let parts: Amount = day.communities.iter().copied().sum();
            prop_assert!(parts == day.spent, "all machines here have a community");
        }
    }
}

#[test]
fn who_has_the_larger_share_gets_it_within_days_whoever_was_first() {
    let priority = |name, share| Priority { community: community(name), share };
    let plan = Budget {
        priorities: vec![priority("dune", 1), priority("ska", 4)],
        amount: Amount::from_units(10_000),
        to: BEGIN + 24 * 60 * HOUR,
        ..budget()
    };
    let projection = project(&Deployment::new(), &plan, BEGIN, 5);
    let part = |name| of_day(&projection, 4, name).nanos() as f64;
    let ratio = part("ska") / part("dune");
    assert!((3.2..5.0).contains(&ratio), "{ratio}: {projection:#?}");
}
