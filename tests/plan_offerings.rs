//! Which offering a machine is made of: markets, flavors and zones in the order of preference, what is out of stock
//! or was taken back lately; and what a notice of the cloud means for the machine.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]
#![allow(clippy::wildcard_imports, reason = "a model of everything names everything")]

mod plan_support;

use std::collections::BTreeMap;

use plan_support::*;
use vcycle::model::*;
use vcycle::plan::{Made, Plan, Step, first_choice};

/// What a cloud sells: each of the flavors in each of the zones in both markets.
fn shop(flavors: &[(&str, u32)], zones: &[&str]) -> Vec<Offering> {
    let mut offerings = Vec::new();
    for (flavor, processors) in flavors {
        for zone in zones {
            for market in [Market::OnDemand, Market::Preemptible] {
                let mut one = offering(flavor, *processors);
                one.id.zone = (*zone).to_owned();
                one.id.market = market;
                offerings.push(one);
            }
        }
    }
    offerings
}

fn world(markets: &[Market]) -> World {
    let mut dune = machinetype("dune", 1.0);
    dune.markets = markets.to_vec();
    let mut world = World::new(vec![dune]);
    world.offerings = shop(&[("small", 1), ("large", 4)], &["a", "b", "c"]);
    world
}

/// How many machines a plan makes of what, as people read it.
fn made_of(plan: &Plan) -> BTreeMap<String, u32> {
    let mut made = BTreeMap::new();
    for step in &plan.steps {
        if let Step::Create(new) = step {
            *made.entry(new.offering.id.to_string()).or_default() += 1;
        }
    }
    made
}

fn stock_out(world: &mut World, flavour: &str, zones: &[&str], market: Market) {
    for zone in zones {
        world.past("dune", secs(30), EndKind::Rejected { kind: "insufficient-capacity".into() });
        world.past.last_mut().unwrap().offering =
            OfferingId { flavour: flavour.into(), zone: (*zone).into(), market };
    }
}

/// A machine of this offering that the cloud had accepted, as it is shown when it is refused after all.
fn refused_late(world: &mut World, short: &str, of: &OfferingId, refusal: LateRefusal) {
    let now = world.now;
    let view = world.starting("dune", short, minutes(2));
    view.record.offering = of.clone();
    let fault = "HTTP 503 ZONE_RESOURCE_POOL_EXHAUSTED".to_owned();
    let state = InstanceState::Failed { refusal: Some(refusal), fault };
    let vm = Instance { ended: Some(now), ..vm_of(&view.record, state) };
    view.sighting = Sighting::Seen(Box::new(vm));
}

const BOTH: [Market; 2] = [Market::Preemptible, Market::OnDemand];

#[test]
fn all_of_the_first_market_is_tried_before_the_next() {
    let mut world = world(&BOTH);
    let spot = |made: BTreeMap<String, u32>| made.keys().all(|id| id.ends_with("/preemptible"));
    assert!(spot(made_of(&world.plan())));
    stock_out(&mut world, "small", &["a", "b", "c"], Market::Preemptible);
    let made = made_of(&world.plan());
    assert!(made.keys().all(|id| id.starts_with("large/")) && spot(made.clone()), "{made:?}");
    stock_out(&mut world, "large", &["a", "b", "c"], Market::Preemptible);
    let made = made_of(&world.plan());
    assert!(made.keys().all(|id| id.starts_with("small/")) && !spot(made.clone()), "{made:?}");
}

#[test]
fn a_market_that_is_not_listed_is_never_used() {
    for (listed, other) in
        [(Market::OnDemand, Market::Preemptible), (Market::Preemptible, Market::OnDemand)]
    {
        let mut world = world(&[listed]);
        world.offerings.retain(|offering| offering.id.market == other);
        let plan = world.plan();
        let why = plan.report.machinetypes[&machinetype_name("dune")].to_string();
        assert!(why.contains(&format!("one of the markets {listed}")), "{why}");
        let dune = world.policy_of("dune").clone();
        assert!(first_choice(&world.policy, &dune, (&world.offerings, None)).is_err());
    }
}

#[test]
fn flavors_are_ranked_within_a_market() {
    let mut world = world(&BOTH);
    world.policy_of("dune").flavors = vec!["large".into(), "small".into()];
    let dune = world.policy_of("dune").clone();
    let first = first_choice(&world.policy, &dune, (&world.offerings, None)).unwrap();
    assert_eq!((first.id.flavour.as_str(), first.id.market), ("large", Market::Preemptible));
    stock_out(&mut world, "large", &["a", "b", "c"], Market::Preemptible);
    let made = made_of(&world.plan());
    assert!(made.keys().all(|id| id.starts_with("small/")), "spot before large: {made:?}");
}

#[test]
fn machines_are_spread_evenly_over_zones_that_nobody_prefers() {
    let mut world = world(&[Market::OnDemand]);
    world.policy.pace = Pace::Machines(9);
    let made = made_of(&world.plan());
    let even = ["small/a", "small/b", "small/c"].map(|id| (id.to_owned(), 3));
    assert_eq!(made, BTreeMap::from(even));
}

#[test]
fn zones_are_used_in_their_order_where_there_is_one() {
    let mut world = world(&[Market::OnDemand]);
    world.policy_of("dune").zones = vec!["b".into(), "a".into()];
    assert_eq!(made_of(&world.plan()), BTreeMap::from([("small/b".to_owned(), 10)]));
    stock_out(&mut world, "small", &["b"], Market::OnDemand);
    assert_eq!(made_of(&world.plan()), BTreeMap::from([("small/a".to_owned(), 10)]));
    stock_out(&mut world, "small", &["a"], Market::OnDemand);
    let made = made_of(&world.plan());
    assert!(made.keys().all(|id| id == "large/b"), "never in c: {made:?}");
}

#[test]
fn what_was_taken_back_lately_comes_after_what_was_not_and_stops_nothing() {
    let mut world = world(&[Market::Preemptible]);
    world.policy_of("dune").zones = vec!["a".into(), "b".into()];
    world.past("dune", minutes(1), EndKind::Preempted);
    let id = |zone: &str| OfferingId {
        flavour: "small".into(),
        zone: zone.into(),
        market: Market::Preemptible,
    };
    world.past.last_mut().unwrap().offering = id("a");
    let first = |world: &World| made_of(&world.plan()).into_keys().next().unwrap();
    assert_eq!(first(&world), "small/b/preemptible");
    world.wait(minutes(10));
    assert_eq!(first(&world), "small/a/preemptible", "forgotten after ten minutes");
    world.past("dune", secs(1), EndKind::Preempted);
    world.past.last_mut().unwrap().offering = id("a");
    world.offerings.retain(|offering| offering.id == id("a"));
    assert_eq!(first(&world), "small/a/preemptible", "there is nothing else");
}

#[test]
fn only_where_flavors_are_named_a_larger_one_takes_the_place_of_one_that_was_taken_back() {
    let mut world = world(&[Market::Preemptible]);
    world.policy_of("dune").zones = vec!["a".into()];
    world.past("dune", minutes(1), EndKind::Preempted);
    let taken_back = &mut world.past.last_mut().unwrap().offering;
    (taken_back.zone, taken_back.market) = ("a".into(), Market::Preemptible);
    let first = |world: &World| made_of(&world.plan()).into_keys().next().unwrap();
    assert_eq!(first(&world), "small/a/preemptible", "the smallest first");
    world.policy_of("dune").flavors = vec!["small".into(), "large".into()];
    assert_eq!(first(&world), "large/a/preemptible");
}

#[test]
fn what_was_made_earlier_in_the_cycle_counts_for_its_pace() {
    let mut world = world(&[Market::OnDemand]);
    world.made_before = Made { machines: 7, processors: Processors(7) };
    assert_eq!(made_of(&world.plan()).values().sum::<u32>(), 3, "of a tenth of 100 processors");
    world.made_before = Made { machines: 1, processors: Processors(10) };
    assert_eq!(made_of(&world.plan()).values().sum::<u32>(), 0);
}

/// A machine that runs on a spot offering, with a notice that it will be taken back.
fn noticed(at: Option<Timestamp>) -> World {
    let mut world = world(&[Market::Preemptible]);
    world.policy.processors_limit = Some(Processors(1));
    let view = world.running("dune", "a", hours(2));
    view.record.offering.market = Market::Preemptible;
    let instance = view.record.instance.clone().unwrap();
    world.interruptions = vec![Interruption { instance, at }];
    world
}

#[test]
fn a_notice_tells_the_machine_once_however_near_its_end_is() {
    for (at, by) in [(Some(NOON + secs(90)), NOON + secs(90)), (None, NOON + secs(30))] {
        let mut world = noticed(at);
        let plan = world.plan();
        let drain = Drain { by, reason: DrainReason::Interruption };
        let machine = machine_name("dune", "a");
        assert_eq!(plan.steps, [Step::Drain { machine, drain }]);
        world.apply(&plan);
        world.wait(secs(60));
        assert_eq!(world.plan().steps, [], "told, and never asked for its end by us");
    }
}

#[test]
fn what_the_cloud_wanted_back_and_did_not_take_is_deleted_in_the_end() {
    let mut world = noticed(Some(NOON + secs(90)));
    world.apply(&world.plan().clone());
    world.wait(secs(90) + minutes(9));
    assert_eq!(world.plan().steps, []);
    world.wait(minutes(1));
    let plan = world.plan();
    assert!(matches!(
        plan.steps.as_slice(),
        [Step::Delete { reason: DeleteReason::ShutdownTime, .. }]
    ));
}

#[test]
fn however_a_machine_with_a_notice_goes_it_was_taken_back() {
    let shown = [InstanceState::Preempted, InstanceState::Stopped, InstanceState::Gone];
    for state in shown {
        let mut world = noticed(Some(NOON + secs(90)));
        world.machines[0].record.started = Some(NOON - minutes(1));
        world.apply(&world.plan().clone());
        world.wait(secs(100));
        let Sighting::Seen(vm) = &mut world.machines[0].sighting else { unreachable!() };
        vm.state = state.clone();
        vm.ended = Some(NOON + secs(90));
        let facts = world.plan();
        world.apply(&Plan {
            steps: facts.steps.into_iter().filter(|s| matches!(s, Step::Learn { .. })).collect(),
            ..facts
        });
        let end = world.machines[0].record.how_it_ended(minutes(10)).unwrap();
        assert_eq!(end.kind, EndKind::Preempted, "shown as {state:?}");
    }
}

#[test]
fn a_tombstone_with_a_notice_was_taken_back_though_nobody_was_told_in_time() {
    let mut world = noticed(None);
    world.machines[0].record.started = Some(NOON - minutes(1));
    let Sighting::Seen(vm) = &mut world.machines[0].sighting else { unreachable!() };
    vm.state = InstanceState::Gone;
    let plan = world.plan();
    let word = plan.report.machinetypes[&machinetype_name("dune")].word();
    assert_eq!(word, "created", "no backoff, and its place is free at once");
    assert!(plan.steps.iter().any(|step| step.to_string().contains("taken back by the provider")));
}

#[test]
fn the_words_of_a_machine_that_was_told_to_end_say_no_less() {
    let message = |text| ShutdownMessage::parse(text);
    for (state, text, kind) in [
        (EndState::Preempted, "100 Told to end by the host", EndKind::Preempted),
        (EndState::Stopped, "110 Taken back by the provider", EndKind::Preempted),
        (
            EndState::Preempted,
            "200 Success",
            EndKind::Message { message: message("200 Success").unwrap() },
        ),
        (
            EndState::Stopped,
            "100 Told to end by the host",
            EndKind::Message { message: message("100 Told to end by the host").unwrap() },
        ),
    ] {
        let mut record = World::new(vec![machinetype("dune", 1.0)]).record("dune", "a", hours(1));
        record.ended = Some(EndFact { at: NOON, state, message: message(text) });
        assert_eq!(record.how_it_ended(minutes(10)).unwrap().kind, kind, "{text}");
    }
}

#[test]
fn disks_addresses_and_interfaces_of_machines_that_are_gone_are_swept_by_one_rule() {
    let mut world = World::new(vec![machinetype("dune", 1.0)]);
    world.policy.processors_limit = Some(Processors(1));
    let stands = world.running("dune", "a", hours(1)).record.tags.clone();
    let gone = world.record("dune", "b", hours(5)).tags;
    for kind in ["volume", "disk", "address", "network-interface"] {
        for (whose, tags) in [("gone", &gone), ("stands", &stands)] {
            world.left_behind(&format!("{kind}-of-one-that-{whose}"), tags.clone()).kind =
                kind.to_owned();
        }
    }
    let sweeps = |plan: &Plan| -> Vec<String> {
        let swept = plan.steps.iter().filter_map(|step| match step {
            Step::Sweep { resource } => Some(resource.id.clone()),
            _ => None,
        });
        swept.collect()
    };
    let ids = ["address", "disk", "network-interface", "volume"];
    assert_eq!(sweeps(&world.plan()), ids.map(|kind| format!("{kind}-of-one-that-gone")));
    // Another space of the same deployment looks after its own.
    for left in &mut world.side.proven {
        left.tags.space = SpaceName::parse("other.example").unwrap();
    }
    assert_eq!(sweeps(&world.plan()), [""; 0]);
}

#[test]
fn a_late_refusal_for_capacity_parks_the_offering_and_the_next_is_made_in_the_same_cycle() {
    let mut world = world(&BOTH);
    let all: Vec<OfferingId> = world.offerings.iter().map(|offering| offering.id.clone()).collect();
    let small = all.iter().filter(|id| id.flavour == "small" && id.market == Market::Preemptible);
    let small: Vec<_> = small.collect();
    for (number, id) in small.iter().enumerate() {
        let short = format!("m{number}");
        refused_late(&mut world, &short, id, LateRefusal::InsufficientCapacity);
    }
    let plan = world.plan();
    let made = made_of(&plan);
    assert!(!made.is_empty() && made.keys().all(|id| id.starts_with("large/")), "{made:?}");
    assert!(made.keys().all(|id| id.ends_with("/preemptible")), "{made:?}");
    assert_eq!(plan.report.alarms, [""; 0]);
    assert_eq!(plan.report.machinetypes[&machinetype_name("dune")].word(), "created");
    let deleted = plan.steps.iter().filter(|step| matches!(step, Step::Delete { .. })).count();
    assert_eq!(deleted, small.len(), "what remains of them is removed");
    world.apply(&plan);
    world.now = world.now + minutes(1);
    let again = made_of(&world.plan());
    assert!(!again.keys().any(|id| id.starts_with("small/") && id.ends_with("/preemptible")));
}

#[test]
fn late_refusals_are_no_failures_of_the_machinetype_however_many_there_are() {
    for refusal in [LateRefusal::InsufficientCapacity, LateRefusal::QuotaExceeded] {
        let mut world = world(&[Market::OnDemand]);
        let id = world.offerings[0].id.clone();
        for number in 0..9 {
            refused_late(&mut world, &format!("m{number}"), &id, refusal);
        }
        let plan = world.plan();
        assert_eq!(plan.report.alarms, [""; 0], "no breaker: {refusal:?}");
        world.apply(&plan);
        for view in &world.machines {
            let Some(end) = view.record.how_it_ended(minutes(10)) else { continue };
            assert_eq!(end.kind, EndKind::Rejected { kind: refusal.word().to_owned() });
            assert_eq!(end.kind.effect(&OutcomeRules::default()), Effect::Normal);
        }
    }
}

#[test]
fn a_machine_that_has_run_was_not_refused_whatever_the_cloud_says() {
    let mut world = world(&BOTH);
    let id = world.offerings[0].id.clone();
    refused_late(&mut world, "a", &id, LateRefusal::InsufficientCapacity);
    world.machines[0].record.started = Some(NOON - minutes(1));
    let steps = texts(&world.plan());
    assert!(steps.iter().all(|step| !step.contains("refused after")), "{steps:?}");
    let mut record = world.machines[0].record.clone();
    let kind = LateRefusal::InsufficientCapacity;
    record.refused_late = Some(LateRejection { kind, message: String::new() });
    record.ended = Some(EndFact { at: NOON, state: EndState::Failed, message: None });
    assert_eq!(record.how_it_ended(minutes(10)).unwrap().kind, EndKind::CloudFault);
}

#[test]
fn that_it_was_refused_says_more_than_our_own_impatience() {
    let mut record = world(&BOTH).record("dune", "a", minutes(20));
    let kind = LateRefusal::QuotaExceeded;
    record.refused_late = Some(LateRejection { kind, message: String::new() });
    let (since, reason) = (NOON - minutes(1), DeleteReason::StartTimeout);
    record.deletion = Some(Deletion { reason, since, attempts: 1, last: since });
    let end = record.how_it_ended(minutes(10)).unwrap().kind;
    assert_eq!(end, EndKind::NeverStarted, "it has not ended yet, as far as we know");
    record.ended = Some(EndFact { at: NOON, state: EndState::Failed, message: None });
    let end = record.how_it_ended(minutes(10)).unwrap().kind;
    assert_eq!(end, EndKind::Rejected { kind: "quota-exceeded".into() });
}
