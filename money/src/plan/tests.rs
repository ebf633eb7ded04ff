//! Properties of the controller.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use vcycle_api::Timestamp;

use super::*;
use crate::{Amount, Community, Permille, Scope};

const HOUR: Duration = Duration::from_secs(3600);

fn community(name: &str) -> Community {
    Community::parse(name).unwrap()
}

fn rate(text: &str) -> Rate {
    Rate::hourly(text.parse().unwrap())
}

fn budget() -> Budget {
    let priority = |name, share| Priority { community: community(name), share };
    Budget {
        name: "iris".parse().unwrap(),
        amount: Amount::from_units(1000),
        from: Timestamp::from_secs(0),
        to: Timestamp::from_secs(101 * 3600),
        scope: Scope::default(),
        priorities: vec![priority("ska", 40), priority("lsst", 40), priority("dune", 20)],
        backfill: vec![community("lhcb"), community("atlas")],
        hold_rate: true,
        reserve: Permille(0),
        stop_margin: HOUR,
        maximum_rate: None,
        spreading: 1.0,
        half_life: 720 * HOUR,
    }
}

/// Nothing runs; the target is 10/h, machines cost 0.10/h.
fn view() -> PlanView {
    PlanView {
        now: Timestamp::from_secs(0),
        settled: Amount::ZERO,
        accrued: Amount::ZERO,
        reserved: Amount::ZERO,
        communities: BTreeMap::new(),
        other: Rate::ZERO,
        unit: Unit::plain(rate("0.1")),
        longest: 12 * HOUR,
        overstay: HOUR,
        means: Means::default(),
        planners: 1,
        is_first: true,
    }
}

fn with(mut view: PlanView, name: &str, running: &str, work: Work) -> PlanView {
    let (proven, lately) = (rate("100"), rate("100"));
    let (unit, longest) = (view.unit, view.longest);
    let running = rate(running);
    let seen = CommunityView { running, work, proven, lately, unit, longest, ..Default::default() };
    view.communities.insert(community(name), seen);
    view
}

fn of<'a>(advice: &'a Advice, name: &str) -> &'a CommunityAdvice {
    advice.communities.iter().find(|own| own.community.as_str() == name).unwrap()
}

fn advise(view: &PlanView) -> Advice {
    Controller::new(budget()).advise(view)
}

fn works() -> impl Strategy<Value = Work> {
    prop::sample::select(vec![Work::No, Work::Perhaps, Work::Yes, Work::Stuck])
}

fn seen() -> impl Strategy<Value = CommunityView> {
    let running = prop_oneof![4 => 0_i64..2_000, 1 => 2_000_i64..20_000];
    (running, 0.0_f64..0.5, 0.0_f64..0.5, works(), 0_i64..10_000, 0.0_f64..1.0).prop_map(
        |(running, guaranteed, leaving, work, recent, lately)| {
            let millis = |count: i64| Rate::hourly(Amount::from_nanos(count * 1_000_000));
            let part = |part: f64| millis((running as f64 * part) as i64);
            CommunityView {
                running: millis(running),
                guaranteed: part(guaranteed),
                leaving: part(leaving),
                unproven: part(guaranteed),
                proven: millis(recent),
                lately: part(lately),
                unit: Unit::default(),
                longest: Duration::ZERO,
                in_vain: lately < 0.2,
                work,
                recent: millis(recent),
            }
        },
    )
}

prop_compose! {
    fn views()(
        secs in -3600_i64..110 * 3600, settled in 0_i64..1100, open in (0_i64..300, 0.0_f64..1.0),
        seen in prop::collection::vec(seen(), 6), unit in (1_i64..2_000, 1_000_i64..5_000), longest in 1_u64..48,
        overstay in 0_u64..2, planners in 0_u32..4, means in prop::option::of(0_i64..20),
    ) -> PlanView {
        let names = ["ska", "lsst", "dune", "lhcb", "atlas", "guest"];
        let unit = Unit {
            rate: Rate::hourly(Amount::from_nanos(unit.0 * 1_000_000)),
            // Up to five times as much, as of what may be taken back.
            reserved: Rate::hourly(Amount::from_nanos(unit.0 * unit.1 * 1_000)),
        };
        let longest = u32::try_from(longest).unwrap() * HOUR;
        let made = |seen| CommunityView { unit, longest, ..seen };
        PlanView {
            now: Timestamp::from_secs(secs),
            settled: Amount::from_units(settled),
            accrued: Amount::from_units((open.0 as f64 * open.1) as i64),
            reserved: Amount::from_units(open.0),
            communities: names.iter().map(|name| community(name)).zip(seen.into_iter().map(made)).collect(),
            other: Rate::ZERO,
            unit,
            longest,
            overstay: u32::try_from(overstay).unwrap() * HOUR,
            means: Means { six_hours: None, day: means.map(|mean| Rate::hourly(Amount::from_units(mean))) },
            planners,
            is_first: true,
        }
    }
}

fn budgets() -> impl Strategy<Value = Budget> {
    (any::<bool>(), prop::option::of(1_i64..30), 0_u16..200).prop_map(
        |(hold_rate, maximum, reserve)| {
            let maximum_rate = maximum.map(|units| Rate::hourly(Amount::from_units(units)));
            Budget { hold_rate, maximum_rate, reserve: Permille(reserve), ..budget() }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_growth_is_advised_that_cannot_be_paid_to_its_hard_end(view in views(), budget in budgets()) {
        let advice = Controller::new(budget.clone()).advise(&view);
        let grow: Rate = advice.communities.iter().map(|own| own.grow).sum();
        let life = view.longest.min(budget.stop().since(view.now)) + view.overstay;
        let worst = view.unit.reserved_for(grow).over(life);
        prop_assert!(worst.is_nothing() || view.settled + view.reserved + worst <= budget.spendable());
        if let Some(maximum) = budget.maximum_rate {
            prop_assert!(grow == Rate::ZERO || advice.burn + grow <= maximum);
        }
    }

    #[test]
    fn a_cycle_changes_no_more_than_a_tenth_or_one_machine(view in views(), budget in budgets()) {
        let advice = Controller::new(budget.clone()).advise(&view);
        let most = advice.target.permille(100).max(view.unit.rate);
        let sum = |part: fn(&CommunityAdvice) -> Rate| advice.communities.iter().map(part).sum::<Rate>();
        prop_assert!(sum(|own| own.grow) <= most);
        if advice.term == Term::Open {
            prop_assert!(sum(|own| own.give_way) <= most);
        }
        // Growth leads into the band, and no further than half a machine beyond.
        let grown = sum(|own| own.grow);
        if budget.hold_rate && grown > Rate::ZERO {
            let unit = view.unit.rate.max(advice.target.permille(1));
            prop_assert!(advice.burn + grown <= advice.target.permille(1100) + unit);
        }
    }

    #[test]
    fn backfill_leaves_room_for_what_priorities_with_work_could_take_soon(view in views()) {
        let advice = advise(&view);
        let of_role = |role| advice.communities.iter().filter(move |own| own.role == role);
        let backfill: Rate = of_role(Role::Backfill).map(|own| own.grow).sum();
        if backfill == Rate::ZERO {
            return Ok(());
        }
        let seen = |own: &CommunityAdvice| view.communities[&own.community];
        let unit = view.unit.rate.max(advice.target.permille(1));
        let trial = |seen: CommunityView| {
            let known = seen.proven.times(2).max(seen.running.permille(100));
            advice.target.permille(100).max(unit).min(known).max(unit)
        };
        let works = of_role(Role::Priority).map(seen).filter(|seen| seen.work == Work::Yes);
        let soon: Rate =
            works.map(|seen| trial(seen).times(4).min(seen.lately.times(2) + unit)).sum();
        let first: Rate = of_role(Role::Priority).map(|own| seen(own).running + own.grow).sum();
        let taken = of_role(Role::Priority).map(|own| own.grow).sum();
        let kept = soon.above(taken).min(advice.target.above(first));
        let all: Rate = advice.communities.iter().map(|own| own.grow).sum();
        // To whole machines of each of the three.
        prop_assert!(advice.burn + all + kept <= advice.target + unit.times(14));
    }

    #[test]
    fn only_backfill_gives_way_and_never_what_was_promised_its_time(view in views()) {
        let advice = advise(&view);
        for own in &advice.communities {
            let seen = view.communities[&own.community];
            let movable = seen.running.above(seen.guaranteed).above(seen.leaving);
            prop_assert!(own.give_way <= movable);
            prop_assert!(own.give_way == Rate::ZERO || own.role == Role::Backfill || advice.term == Term::Stopped);
            prop_assert!(own.give_way == Rate::ZERO || own.grow == Rate::ZERO);
        }
    }

    #[test]
    fn without_work_or_a_name_or_an_open_budget_nothing_grows(view in views()) {
        let advice = advise(&view);
        for own in &advice.communities {
            let idle = view.communities[&own.community].work == Work::No;
            if idle || own.role == Role::Unnamed || advice.term != Term::Open {
                prop_assert_eq!(own.grow, Rate::ZERO);
            }
        }
        prop_assert_eq!(advise(&view), advice, "the same view gives the same advice");
    }

    #[test]
    fn the_target_lands_on_the_budget(view in views(), budget in budgets()) {
        let target = Controller::new(budget.clone()).target(&view);
        let time = budget.stop().since(view.now.max(budget.from));
        let lands = view.spent() + target.over(time);
        prop_assert!(lands <= budget.spendable().max(view.spent()));
    }
}

#[test]
fn priorities_get_their_shares_and_backfill_waits() {
    let mut view = view();
    for name in ["ska", "lsst", "dune", "lhcb"] {
        view = with(view, name, "0", Work::Yes);
    }
    let advice = advise(&view);
    let grow = ["ska", "lsst", "dune", "lhcb"].map(|name| of(&advice, name).grow);
    assert_eq!(grow, [rate("0.4"), rate("0.4"), rate("0.2"), Rate::ZERO]);
    let ska = Why::PrioritiesFirst { community: community("ska") };
    assert_eq!((&of(&advice, "dune").why, &of(&advice, "lhcb").why), (&Why::ItsTurn, &ska));
    assert_eq!(advice.target, rate("10"));
}

#[test]
fn backfill_holds_the_rate_while_nobody_else_has_work() {
    let view = with(with(view(), "ska", "3", Work::No), "lhcb", "6.5", Work::Yes);
    let advice = advise(&view);
    assert_eq!((of(&advice, "lhcb").grow, &of(&advice, "lhcb").why), (rate("0.5"), &Why::Fills));
    assert_eq!(of(&advice, "ska").why, Why::NoWork);
    let full = with(view, "lhcb", "7.9", Work::Yes);
    let advice = advise(&full);
    assert_eq!(of(&advice, "lhcb").grow, Rate::ZERO);
    assert_eq!(of(&advice, "lhcb").give_way, Rate::ZERO, "within the band nothing ends");
    assert_eq!(of(&advice, "lhcb").why, Why::OnTheLine { target: rate("10") });
}

#[test]
fn backfill_holds_the_rate_while_a_priority_finds_out_how_much_work_it_has() {
    let mut view = with(with(view(), "ska", "1", Work::Yes), "lhcb", "2", Work::Yes);
    view.communities.get_mut(&community("ska")).unwrap().proven = rate("0.1");
    let advice = advise(&view);
    // 0.8 is kept for four trials of 0.2; of the rest a step.
    assert_eq!((of(&advice, "ska").grow, of(&advice, "lhcb").grow), (rate("0.2"), rate("0.8")));
    view.communities.get_mut(&community("lhcb")).unwrap().running = rate("8.5");
    assert_eq!(of(&advise(&view), "lhcb").grow, Rate::ZERO);
}

#[test]
fn backfill_makes_room_ahead_of_a_priority_and_not_all_at_once() {
    let view = with(with(view(), "ska", "1", Work::Yes), "lhcb", "9", Work::Yes);
    let advice = advise(&view);
    assert_eq!((of(&advice, "ska").grow, of(&advice, "lhcb").give_way), (rate("1"), rate("1")));
    assert_eq!(of(&advice, "lhcb").why, Why::GivesWay { to: community("ska") });
    // What leaves already makes room for two steps: enough.
    let mut leaving = view;
    leaving.communities.get_mut(&community("lhcb")).unwrap().leaving = rate("2");
    assert_eq!(of(&advise(&leaving), "lhcb").give_way, Rate::ZERO);
}

#[test]
fn a_priority_that_cannot_be_made_keeps_no_room_from_backfill() {
    let view = with(with(view(), "ska", "0", Work::Stuck), "lhcb", "5", Work::Yes);
    let advice = advise(&view);
    assert_eq!((of(&advice, "ska").grow, of(&advice, "lhcb").grow), (rate("0.1"), rate("0.9")));
    assert_eq!(of(&advice, "ska").why, Why::Tries);
}

#[test]
fn a_priority_that_waits_for_backfill_to_end_is_not_taken_for_one_that_cannot_grow() {
    // Full to the band, and nothing could be made for half an hour.
    let full = with(with(view(), "ska", "3", Work::Stuck), "lhcb", "8", Work::Yes);
    let advice = advise(&full);
    assert_eq!(of(&advice, "lhcb").give_way, rate("1"));
    assert_eq!(of(&advice, "lhcb").why, Why::GivesWay { to: community("ska") });
    // Some of it has ended, some has not yet: what is free is not for other backfill.
    let mut leaving = with(with(view(), "ska", "3", Work::Stuck), "lhcb", "5", Work::Yes);
    leaving.communities.get_mut(&community("lhcb")).unwrap().leaving = rate("1");
    let advice = advise(&leaving);
    assert_eq!((of(&advice, "ska").grow, of(&advice, "lhcb").grow), (rate("1"), Rate::ZERO));
}

#[test]
fn several_spaces_together_do_not_pass_the_maximum_rate() {
    let maximum = Budget { maximum_rate: Some(rate("6")), ..budget() };
    let grow = |running: &str, is_first| {
        let view = with(with(view(), "ska", running, Work::Yes), "lhcb", "0", Work::No);
        let advice =
            Controller::new(maximum.clone()).advise(&PlanView { planners: 10, is_first, ..view });
        of(&advice, "ska").grow
    };
    assert_eq!((grow("5.9", true), grow("5.9", false)), (rate("0.1"), Rate::ZERO));
    assert_eq!((grow("5", true), grow("5", false)), (rate("0.1"), rate("0.1")));
}

#[test]
fn who_got_less_lately_comes_first_and_is_forgiven_in_time() {
    let mut view = with(with(view(), "ska", "3", Work::Yes), "dune", "1", Work::Yes);
    view.communities.get_mut(&community("ska")).unwrap().recent = rate("4");
    let advice = advise(&view);
    assert_eq!((of(&advice, "ska").grow, of(&advice, "dune").grow), (Rate::ZERO, rate("1")));
    assert_eq!(of(&advice, "ska").why, Why::OthersFirst);

    let ska = community("ska");
    let mut recent = Recent::new(24 * HOUR, Timestamp::from_secs(0));
    let day = |day: i64| Timestamp::from_secs(day * 86_400);
    for hour in 1..=24 * 20 {
        let spent = [(&ska, Amount::from_units(5))];
        recent.spend(Timestamp::from_secs(hour * 3600), spent.into_iter());
    }
    let steady = recent.rate(&ska).in_an_hour();
    assert!(steady > "4.9".parse().unwrap() && steady < "5.2".parse().unwrap(), "{steady}");
    recent.spend(day(21), std::iter::empty());
    let after_a_day = recent.rate(&ska).in_an_hour();
    assert!(
        (after_a_day + after_a_day - steady).nanos().abs() < 10,
        "half of it a half-life later"
    );
    let hours =
        (1..=24 * 20).map(|hour| (Timestamp::from_secs(hour * 3600), &ska, Amount::from_units(5)));
    let again = Recent::from_hours(24 * HOUR, day(21), hours).rate(&ska).in_an_hour();
    assert!((again - after_a_day).nanos().abs() < 1_000, "{again} is not {after_a_day}");
}

#[test]
fn no_more_than_a_step_stands_of_which_nobody_knows_whether_it_found_work() {
    let mut view = with(with(view(), "ska", "2", Work::Yes), "lsst", "2", Work::Yes);
    view.communities.get_mut(&community("ska")).unwrap().unproven = rate("1");
    let advice = advise(&view);
    assert_eq!((of(&advice, "ska").grow, of(&advice, "lsst").grow), (Rate::ZERO, rate("1")));
    assert_eq!(of(&advice, "ska").why, Why::NotProven { unproven: rate("1") });
    // After a machine that found nothing it begins anew: a tenth of what it has, then twice what found work.
    let lsst = view.communities.get_mut(&community("lsst")).unwrap();
    (lsst.unproven, lsst.proven) = (rate("0.1"), rate("0"));
    assert_eq!(of(&advise(&view), "lsst").grow, rate("0.1"));
    view.communities.get_mut(&community("lsst")).unwrap().proven = rate("0.3");
    assert_eq!(of(&advise(&view), "lsst").grow, rate("0.5"));
}

#[test]
fn a_small_budget_has_whole_machines() {
    let made_of = |unit| {
        let view = PlanView { unit: Unit::plain(rate(unit)), longest: HOUR, ..view() };
        of(&advise(&with(view, "lhcb", "0", Work::Yes)), "lhcb").grow
    };
    assert_eq!(made_of("15"), rate("15"), "two thirds of a machine are one");
    assert_eq!(made_of("25"), Rate::ZERO, "less than half of one is none");
    assert_eq!(made_of("0"), Rate::ZERO, "there is nothing that could be made");
}

#[test]
fn a_community_of_large_machines_has_whole_ones_beside_one_of_small_ones() {
    // The small ones are a hundredth of the line, the large ones a tenth and more.
    let large = |work| {
        let mut view = with(with(view(), "ska", "0", work), "lhcb", "3", Work::Yes);
        let ska = view.communities.get_mut(&community("ska")).unwrap();
        (ska.unit, ska.lately) = (Unit::plain(rate("1.5")), Rate::ZERO);
        let advice = advise(&view);
        (of(&advice, "ska").grow, of(&advice, "lhcb").grow)
    };
    assert_eq!(large(Work::Perhaps), (rate("1.5"), Rate::ZERO), "a machine more than the step");
    assert_eq!(large(Work::Yes), (rate("1.5"), Rate::ZERO));
    assert_eq!(large(Work::Stuck), (rate("1.5"), Rate::ZERO));
    // Whoever makes none here takes nothing of the step.
    let mut elsewhere = with(with(view(), "ska", "1", Work::Yes), "lhcb", "3", Work::Yes);
    elsewhere.communities.get_mut(&community("ska")).unwrap().unit = Unit::default();
    let advice = advise(&elsewhere);
    assert_eq!((of(&advice, "ska").grow, of(&advice, "lhcb").grow), (Rate::ZERO, rate("1")));
}

#[test]
fn how_many_are_tried_at_once_follows_from_how_long_the_own_machines_live() {
    let mut view = with(with(view(), "ska", "5", Work::Yes), "lhcb", "0", Work::No);
    let ska = view.communities.get_mut(&community("ska")).unwrap();
    (ska.longest, ska.unproven) = (HOUR, rate("1"));
    assert_eq!(
        of(&advise(&view), "ska").grow,
        rate("1"),
        "half of all is made anew in half an hour"
    );
    view.communities.get_mut(&community("ska")).unwrap().longest = 12 * HOUR;
    assert_eq!(of(&advise(&view), "ska").grow, Rate::ZERO);
}

#[test]
fn the_term_of_a_budget() {
    let at =
        |secs| PlanView { now: Timestamp::from_secs(secs), ..with(view(), "lhcb", "2", Work::Yes) };
    let stopped = advise(&at(100 * 3600 + 1));
    assert_eq!((stopped.term, of(&stopped, "lhcb").give_way), (Term::Stopped, rate("2")));
    let before = advise(&at(-1));
    assert_eq!(of(&before, "lhcb").why, Why::NotOpen { term: Term::NotBegun });
    assert_eq!(before.target, rate("10"));
    assert_eq!(advise(&at(101 * 3600)).term, Term::Over);
    assert_eq!(advise(&at(0)).latest_end, Timestamp::from_secs(100 * 3600));
}

#[test]
fn the_landing_tells_over_and_under_and_when() {
    let mut view = with(view(), "lhcb", "5", Work::Yes);
    view.now = Timestamp::from_secs(50 * 3600);
    view.settled = Amount::from_units(400);
    view.accrued = Amount::from_units(100);
    view.reserved = Amount::from_units(150);
    view.means.day = Some(rate("20"));
    let advice = advise(&view);
    let now = Forecast { rate: rate("5"), lands: Amount::from_units(750), exhausted: None };
    assert_eq!(advice.landing.now, now);
    let exhausted = Some(Timestamp::from_secs(75 * 3600));
    let day = Forecast { rate: rate("20"), lands: Amount::from_units(1500), exhausted };
    assert_eq!(advice.landing.day, Some(day));
    assert_eq!(advice.pace, Pace::Above { by: rate("10") });
    view.means.day = Some(rate("8.9"));
    assert_eq!(advise(&view).pace, Pace::Below { by: rate("1.1") });
    view.means.day = Some(rate("10.9"));
    assert_eq!(advise(&view).pace, Pace::OnLine);
}

#[test]
fn a_budget_that_cannot_be_is_refused() {
    assert_eq!(budget().check(), Ok(()));
    let twice = Budget { backfill: vec![community("ska")], ..budget() };
    assert_eq!(twice.check(), Err(InvalidBudget::Twice(community("ska"))));
    let no_time = Budget { stop_margin: 101 * HOUR, ..budget() };
    assert_eq!(no_time.check(), Err(InvalidBudget::NoTime));
    let nobody = Budget { priorities: vec![], backfill: vec![], ..budget() };
    assert_eq!(nobody.check(), Err(InvalidBudget::Nobody));
    assert_eq!(Budget { spreading: f64::NAN, ..budget() }.check(), Err(InvalidBudget::Spreading));
    assert_eq!(
        Budget { reserve: Permille(1000), ..budget() }.check(),
        Err(InvalidBudget::AllReserved)
    );
}
