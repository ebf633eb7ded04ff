//! What a plan will do below caps that have less than it wants.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use vcycle_api::{IntentToken, SpaceName, Timestamp};

use super::ledger_tests::{BEGIN, Deployment, budget, community, from, space};
use super::*;
use crate::book::Span;
use crate::{Amount, Cap, Community, Permille, Scope, Stages, Window};

const HOUR: Duration = Duration::from_secs(3600);

fn cap(limit: &str, window: Window) -> Cap {
    Cap {
        name: "cap".parse().unwrap(),
        limit: limit.parse().unwrap(),
        scope: Scope::default(),
        window,
        stages: Stages::default(),
    }
}

const DAY: Window = Window::Day { utc_offset_hours: 0 };

fn grant() -> Window {
    Window::Grant { from: BEGIN, to: BEGIN + 2000 * HOUR }
}

fn standpoint<'a>(
    (space, habits): (&'a SpaceName, &'a BTreeMap<Community, Habit>),
    (unserved, leaving): (&'a BTreeSet<Community>, &'a BTreeSet<IntentToken>),
    now: Timestamp,
) -> Standpoint<'a> {
    Standpoint { space, unserved, ..from("a", now, leaving, habits) }
}

/// Below a cap on all that some communities make: machines for 0.50 an hour, for up to ten hours.
fn project(
    (cap, on): (&Cap, &[&str]),
    deployment: &Deployment,
    now: Timestamp,
) -> (Projection, Vec<Held>) {
    let own = space("a");
    let (habits, none, leaving) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    let standpoint = standpoint((&own, &habits), (&none, &leaving), now);
    let communities = on.iter().map(|name| community(name)).collect();
    let ceiling = Ceiling { cap, communities };
    budget().project_below(&[ceiling], &deployment.book, &standpoint, 6)
}

/// What a step costs is rounded up.
fn about(limit: Amount) -> Amount {
    limit + "0.0001".parse().unwrap()
}

const ALL: [&str; 3] = ["ska", "dune", "lhcb"];

#[test]
fn a_cap_that_pays_no_machine_lets_the_plan_land_nowhere() {
    let tiny = cap("1", grant());
    let (projection, held) = project((&tiny, &ALL), &Deployment::new(), BEGIN);
    // A machine needs 5 to its end; in the last hours of the budget one with a shorter life can be paid.
    assert!(projection.lands <= about(tiny.limit), "{projection:#?}");
    assert!(projection.days[..3].iter().all(|day| day.spent == Amount::ZERO), "{projection:#?}");
    let Window::Grant { from, to } = tiny.window else { unreachable!() };
    let window = Span { from, to };
    let left = Amount::from_units(1);
    assert_eq!(held, [Held { cap: tiny.name.clone(), since: BEGIN, window, left }]);
}

#[test]
fn what_has_room_for_all_holds_nothing_back() {
    let (wide, nothing) = (cap("5000", grant()), Deployment::new());
    let (projection, held) = project((&wide, &ALL), &nothing, BEGIN);
    let (free, _) = project((&wide, &[]), &nothing, BEGIN);
    assert_eq!((projection, held), (free, vec![]));
}

#[test]
fn below_a_cap_on_a_day_the_plan_spends_no_more_in_a_day_and_the_others_have_their_way() {
    // The line is 240 a day.
    let narrow = cap("100", DAY);
    let (projection, held) = project((&narrow, &ALL), &Deployment::new(), BEGIN);
    assert!(projection.days.iter().all(|day| day.spent <= about(narrow.limit)), "{projection:#?}");
    assert!(
        projection.lands <= about(Amount::from_units(500))
            && projection.lands > Amount::from_units(350)
    );
    assert_eq!(held.len(), 1);
    // On one community alone: the others spend what it leaves.
    let (projection, held) = project((&narrow, &["dune"]), &Deployment::new(), BEGIN);
    assert_eq!(held.len(), 1, "{projection:#?}");
    assert!(projection.lands > Amount::from_units(950), "{projection:#?}");
    // Who can have nothing keeps no room free: backfill fills it.
    let (projection, _) =
        project((&cap("20", grant()), &["ska", "dune"]), &Deployment::new(), BEGIN);
    assert!(projection.lands > Amount::from_units(900), "{projection:#?}");
    let dune = projection.communities.iter().position(|own| own.community == community("dune"));
    assert!(
        projection.days.iter().all(|day| day.communities[dune.unwrap()] <= about(narrow.limit))
    );
}

#[test]
fn each_cap_is_told_that_would_hold_the_plan_back_alone() {
    let nothing = Deployment::new();
    let (tiny, narrow) = (cap("1", grant()), cap("2", DAY));
    let (_, one) = project((&tiny, &ALL), &nothing, BEGIN);
    let (_, other) = project((&narrow, &["ska"]), &nothing, BEGIN);
    let own = space("a");
    let (habits, none, leaving) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    let standpoint = standpoint((&own, &habits), (&none, &leaving), BEGIN);
    let on = |names: &[&str]| names.iter().map(|name| community(name)).collect();
    let ceilings = [
        Ceiling { cap: &narrow, communities: on(&["ska", "dune"]) },
        Ceiling { cap: &tiny, communities: on(&ALL) },
    ];
    let (_, held) = budget().project_below(&ceilings, &nothing.book, &standpoint, 1);
    assert_eq!((one[0].since, other[0].since), (BEGIN, BEGIN));
    assert_eq!(held.iter().map(|held| held.since).collect::<Vec<_>>(), [BEGIN, BEGIN]);
}

#[test]
fn what_others_have_reserved_and_a_stage_that_stops_growing_leave_less() {
    let mut deployment = Deployment::new();
    // 50 reserved for a community that the plan does not name.
    deployment.make_many(10, "b", "alice", BEGIN);
    let narrow = cap("100", grant());
    let (projection, _) = project((&narrow, &["ska", "dune"]), &deployment, BEGIN);
    let named: Amount = ["ska", "dune"]
        .iter()
        .flat_map(|name| {
            let place = projection.communities.iter();
            let place = place.clone().position(|own| own.community == community(name)).unwrap();
            projection.days.iter().map(move |day| day.communities[place]).collect::<Vec<_>>()
        })
        .sum();
    assert!(named <= Amount::from_units(50), "{named}");
    let stages = Stages { stop_growing: Permille(300), ..Stages::default() };
    let (projection, _) = project((&Cap { stages, ..narrow }, &ALL), &Deployment::new(), BEGIN);
    assert!(projection.lands <= Amount::from_units(30), "{projection:#?}");
}

#[test]
fn a_cap_on_a_part_may_hold_back_where_less_is_left_than_may_be_spent_there() {
    let deployment = Deployment::new();
    let (projection, _) = project((&cap("5000", grant()), &[]), &deployment, BEGIN);
    let on = |names: &[&str]| names.iter().map(|name| community(name)).collect::<BTreeSet<_>>();
    let may = |limit: &str, window, names: &[&str]| {
        projection.may_be_held((&cap(limit, window), &on(names)), &deployment.book, BEGIN)
    };
    let held = may("20", DAY, &["ska"]).unwrap();
    assert_eq!((held.since, held.left), (BEGIN, Amount::from_units(20)));
    assert_eq!(may("500", DAY, &ALL), None);
    assert_eq!(may("20", DAY, &["nobody"]), None);
    assert!(may("1", grant(), &["dune"]).is_some());
}

proptest! {
    #[test]
    fn in_no_window_of_a_cap_more_is_spent_than_its_limit_and_without_need_nothing_changes(
        limit in 1_i64..400, kind in 0..3, hours in 0_u32..60, running in 0_u32..8,
    ) {
        let window = match kind {
            0 => DAY,
            1 => grant(),
            _ => Window::Week { utc_offset_hours: 0 },
        };
        let mut deployment = Deployment::new();
        deployment.make_many(running, "a", "ska", BEGIN);
        let now = BEGIN + HOUR * hours;
        let cap = cap(&limit.to_string(), window);
        let (projection, held) = project((&cap, &ALL), &deployment, now);
        let (free, _) = project((&cap, &[]), &deployment, now);
        // What runs already may cost more than the cap has.
        let running = Amount::from_units(5 * i64::from(running));
        for span in cap.window.spans(Span { from: now, to: projection.stop }) {
            let days = projection.days.iter().filter(|day| span.contains(day.from));
            let spent: Amount = days.map(|day| day.spent).sum();
            prop_assert!(spent <= about(cap.limit.max(running)), "{spent} in {span:?}: {projection:#?}");
        }
        prop_assert!(projection.lands <= about(projection.amount.max(running)));
        prop_assert!(!held.is_empty() || projection == free);
    }
}
