//! The fold, one story at a time, and its laws on random lives.

use proptest::prelude::*;

use super::*;
use crate::model::{DeleteReason, MachinetypeName, Market, OfferingId, ShutdownMessage};
use crate::plan::history::in_order;

const RULE: Breaker =
    Breaker { failures: 3, pause: Duration::from_secs(600), pause_max: Duration::from_secs(3600) };
const FIZZLE: Duration = Duration::from_secs(60);

/// The end of a machine that had not started.
fn end(at: i64, kind: EndKind) -> Ended {
    Ended {
        machinetype: MachinetypeName::parse("dune").unwrap(),
        offering: OfferingId {
            flavour: "m1".into(),
            zone: String::new(),
            market: Market::OnDemand,
        },
        started: None,
        at: Timestamp::from_secs(at),
        kind,
    }
}

/// The end of a machine that had started.
fn life(started: i64, at: i64, kind: EndKind) -> Ended {
    Ended { started: Some(Timestamp::from_secs(started)), ..end(at, kind) }
}

fn said(code: u16) -> EndKind {
    EndKind::Message { message: ShutdownMessage { code, text: "x".into() } }
}

fn killed() -> EndKind {
    EndKind::Killed { reason: DeleteReason::MaxWallclock }
}

/// Folds in the order of time. The opening's end and its pause, in seconds.
fn folded(ends: &[Ended], alive: &[i64]) -> Option<(i64, u64)> {
    let mut ends: Vec<_> = ends.iter().collect();
    ends.sort_by(|a, b| in_order(a, b));
    let alive: Vec<_> = alive.iter().map(|at| Timestamp::from_secs(*at)).collect();
    let outcomes = OutcomeRules::default();
    let terms = Terms { breaker: &RULE, outcomes: &outcomes, fizzle: FIZZLE };
    let opening = fold(&terms, &ends, &alive);
    assert!(opening.is_none() || terms.could_open(&ends));
    opening.map(|opening| (opening.until.as_secs(), opening.pause.as_secs()))
}

fn open_until(ends: &[Ended]) -> Option<i64> {
    folded(ends, &[]).map(|(until, _)| until)
}

/// Opens at 3, until 603.
fn three_failures() -> Vec<Ended> {
    (1..4).map(|at| end(at, EndKind::Fizzled)).collect()
}

#[test]
fn failures_in_a_row_open_it_and_each_failed_probe_doubles_the_pause() {
    let mut ends = vec![end(1, EndKind::Fizzled), end(2, EndKind::NeverStarted)];
    assert_eq!(open_until(&ends), None);
    ends.push(end(3, said(500)));
    assert_eq!(open_until(&ends), Some(603));
    ends.push(end(10, EndKind::Fizzled));
    assert_eq!(open_until(&ends), Some(603), "a machine made before it opened is no probe");
    ends.push(end(700, EndKind::Fizzled));
    assert_eq!(open_until(&ends), Some(700 + 1200));
    ends.push(end(2000, EndKind::Fizzled));
    ends.push(end(5000, EndKind::Fizzled));
    assert_eq!(open_until(&ends), Some(5000 + 3600), "never longer than pause_max");
    ends.push(end(9000, said(200)));
    assert_eq!(open_until(&ends), None, "the first success closes it");
    ends.push(end(9001, EndKind::Fizzled));
    assert_eq!(open_until(&ends), None, "and the count begins anew");
}

#[test]
fn a_wrong_specification_opens_it_at_once() {
    let kind = EndKind::Rejected { kind: "invalid-spec".into() };
    assert_eq!(open_until(&[end(5, kind)]), Some(605));
}

#[test]
fn no_work_and_what_is_not_its_fault_do_not_open_it() {
    for kind in [
        said(300),
        said(400),
        said(600),
        said(700),
        EndKind::Preempted,
        EndKind::CloudFault,
        killed(),
        EndKind::Rejected { kind: "quota-exceeded".into() },
        EndKind::Rejected { kind: "insufficient-capacity".into() },
        EndKind::NeverMade,
    ] {
        let ends: Vec<_> = (0..10).map(|at| end(at, kind.clone())).collect();
        assert_eq!(open_until(&ends), None, "{kind}");
    }
}

#[test]
fn an_entry_can_say_that_a_500_is_a_good_end() {
    let rules = OutcomeRules::with_overrides(vec![(510..=519, Effect::Normal)]);
    assert_eq!(Verdict::of(&said(515), &rules), Verdict::Success);
    assert_eq!(Verdict::of(&said(500), &rules), Verdict::Failure);
}

#[test]
fn half_open_allows_exactly_one_probe() {
    let ends = three_failures();
    let ends: Vec<_> = ends.iter().collect();
    let outcomes = OutcomeRules::default();
    let terms = Terms { breaker: &RULE, outcomes: &outcomes, fizzle: FIZZLE };
    let opening = fold(&terms, &ends, &[]).unwrap();
    let name = MachineName::parse("vcycle-dune-aaaaaaaaaa").unwrap();
    let allows = |now, intended: Option<i64>| {
        let witness = |at| Witness { machine: &name, intended: Timestamp::from_secs(at) };
        opening.allows(Timestamp::from_secs(now), intended.map(witness).into_iter())
    };
    assert_eq!(allows(602, None), Allows::Nothing);
    assert_eq!(allows(603, None), Allows::OneProbe);
    assert_eq!(allows(603, Some(2)), Allows::OneProbe, "made before it opened");
    assert_eq!(allows(700, Some(603)), Allows::WaitFor(&name));
}

#[test]
fn a_probe_that_lived_closes_it_whatever_became_of_it() {
    for kind in [killed(), EndKind::Preempted, EndKind::CloudFault, EndKind::Silent, said(300)] {
        let mut ends = three_failures();
        ends.push(life(610, 900, kind.clone()));
        assert_eq!(open_until(&ends), None, "{kind}");
        ends.push(end(1000, EndKind::Fizzled));
        assert_eq!(open_until(&ends), None, "one later failure is one failure: {kind}");
    }
    let mut ends = three_failures();
    assert_eq!(folded(&ends, &[610]), None, "also while it is alive");
    ends.push(life(610, 660, killed()));
    assert_eq!(folded(&ends, &[]), Some((603, 600)), "killed too soon, it proved nothing");
    assert_eq!(folded(&three_failures(), &[2]), Some((603, 600)), "started before it opened");
}

#[test]
fn a_probe_that_lived_and_failed_later_has_closed_it_and_counts_as_one_failure() {
    let mut ends = three_failures();
    ends.push(life(610, 900, said(500)));
    assert_eq!(open_until(&ends), None);
    ends.extend([end(1000, EndKind::Fizzled), end(1001, EndKind::Fizzled)]);
    assert_eq!(folded(&ends, &[]), Some((1601, 600)));
}

#[test]
fn machines_that_live_a_while_and_then_fail_one_after_the_other_still_open_it() {
    let ends = [life(0, 90, said(500)), life(100, 190, said(500)), life(200, 290, said(500))];
    assert_eq!(open_until(&ends[..2]), None);
    assert_eq!(folded(&ends, &[]), Some((890, 600)));
    // While the last of them is alive, nobody knows.
    assert_eq!(folded(&ends[..2], &[200]), None);
    // Another machine that lives on is a success between them.
    assert_eq!(folded(&ends, &[150]), None);
}

fn kinds() -> impl Strategy<Value = EndKind> {
    prop_oneof![
        4 => Just(EndKind::Fizzled),
        1 => Just(EndKind::NeverStarted),
        1 => Just(EndKind::Preempted),
        1 => Just(killed()),
        1 => Just(EndKind::Rejected { kind: "invalid-spec".into() }),
        2 => prop::sample::select(vec![200, 300, 500, 700]).prop_map(said),
    ]
}

fn ends() -> impl Strategy<Value = Vec<Ended>> {
    let one = (0..4000_i64, prop::option::weighted(0.7, 0..200_i64), kinds());
    let one = one.prop_map(|(at, ran, kind)| match ran {
        Some(ran) => life(at - ran, at, kind),
        None => end(at, kind),
    });
    prop::collection::vec(one, 0..14)
}

/// What was known at a time: ends, and start times of those that had lived as long as `fizzle`.
fn known_at(ends: &[Ended], at: i64) -> (Vec<Ended>, Vec<i64>) {
    let at = Timestamp::from_secs(at);
    let (over, alive): (Vec<_>, Vec<_>) = ends.iter().cloned().partition(|end| end.at <= at);
    let started = alive.iter().filter_map(|end| end.started).filter(|s| *s + FIZZLE <= at);
    (over, started.map(Timestamp::as_secs).collect())
}

proptest! {
    #[test]
    fn folding_is_independent_of_the_order_of_the_lists(
        ends in ends(), alive in prop::collection::vec(0..3900_i64, 0..4), by in 0..14_usize,
    ) {
        let (mut other, mut others_alive) = (ends.clone(), alive.clone());
        other.reverse();
        other.rotate_left(by % ends.len().max(1));
        others_alive.reverse();
        prop_assert_eq!(folded(&ends, &alive), folded(&other, &others_alive));
    }

    #[test]
    fn a_closed_breakers_next_opening_starts_at_the_first_pause(ends in ends()) {
        let news = ends.iter().flat_map(|end| {
            let proven = end.started.map(|started| started + FIZZLE);
            [Some(end.at), proven].into_iter().flatten().map(Timestamp::as_secs)
        });
        let mut times: Vec<_> = news.collect();
        times.sort_unstable();
        times.dedup();
        let mut before = None;
        for at in times {
            let (over, alive) = known_at(&ends, at);
            let now = folded(&over, &alive);
            if let (None, Some((_, pause))) = (before, now) {
                prop_assert_eq!(pause, RULE.pause.as_secs());
            }
            before = now;
        }
    }

    #[test]
    fn what_a_machine_has_proven_is_not_undone_by_its_neutral_end(ends in ends(), started in 0..3000_i64, ran in 60..900_i64) {
        let mut with_end = ends.clone();
        with_end.push(life(started, started + ran, EndKind::Preempted));
        prop_assert_eq!(folded(&with_end, &[]), folded(&ends, &[started]));
    }
}
