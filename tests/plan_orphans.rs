//! VMs of ours without a record: what they count, and what becomes of a second one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod plan_support;

use plan_support::*;
use vcycle::model::*;
use vcycle::observe::{Ours, join};
use vcycle::plan::{Orphan, Step, processors_in_use};

/// Offerings of 1, 4 and 16 processors; the last with much memory.
fn world() -> World {
    let mut world = World::new(vec![machinetype("dune", 1.0)]);
    world.policy.pace = Pace::FractionOfLimit(1.0);
    let large = Offering { memory: Megabytes(200_000), ..offering("m16", 16) };
    world.offerings = vec![offering("m1", 1), offering("m4", 4), large];
    world
}

/// A VM of ours of which the cloud tells neither flavour nor size.
fn orphan(world: &World, machinetype: &str, short: &str) -> Orphan {
    let record = world.record(machinetype, short, hours(1));
    let mut instance = vm_of(&record, InstanceState::Running);
    (instance.offering, instance.processors, instance.memory) = (None, None, None);
    Orphan { tags: record.tags, instance }
}

fn in_use(world: &World) -> u32 {
    processors_in_use(&world.input()).0
}

/// What the record of the adopted machine will say.
fn adopted(world: &World) -> (u32, u64) {
    let plan = world.plan();
    let size = plan.steps.iter().find_map(|step| match step {
        Step::Adopt { processors, memory, .. } => Some((processors.0, memory.0)),
        _ => None,
    });
    size.unwrap()
}

#[test]
fn an_orphan_of_unknown_size_counts_as_the_largest_that_it_can_be() {
    let mut world = world();
    world.orphans.push(orphan(&world, "dune", "z"));
    assert_eq!((in_use(&world), adopted(&world)), (16, (16, 200_000)), "any size is allowed");
    world.policy_of("dune").max_processors = Some(Processors(8));
    assert_eq!((in_use(&world), adopted(&world)), (4, (4, 8192)), "the largest that suits");
    world.policy_of("dune").flavors = vec!["m1".into()];
    assert_eq!((in_use(&world), adopted(&world)), (1, (1, 2048)));
    world.policy_of("dune").flavors = vec!["not sold any more".into()];
    assert_eq!((in_use(&world), adopted(&world)), (16, (16, 200_000)), "nothing suits");
    world.offerings.clear();
    assert_eq!((in_use(&world), adopted(&world)), (8, (8, 16_384)), "nothing is known at all");
}

#[test]
fn an_orphan_of_a_machinetype_that_is_not_configured_counts_as_the_largest_of_all() {
    let mut world = world();
    world.orphans.push(orphan(&world, "gone", "z"));
    assert_eq!((in_use(&world), adopted(&world)), (16, (16, 200_000)));
}

#[test]
fn what_the_cloud_tells_of_an_orphan_is_believed() {
    let mut world = world();
    world.orphans.push(orphan(&world, "dune", "z"));
    world.orphans[0].instance.processors = Some(Processors(4));
    assert_eq!((in_use(&world), adopted(&world)), (4, (4, 8192)), "memory by the processors");
    world.orphans[0].instance.processors = None;
    let elsewhere = OfferingId { zone: "b".into(), ..offering("m4", 4).id };
    world.orphans[0].instance.offering = Some(elsewhere);
    assert_eq!((in_use(&world), adopted(&world)), (4, (4, 8192)), "by its flavour");
}

#[test]
fn nothing_is_made_into_the_place_that_an_orphan_of_unknown_size_may_take() {
    let mut world = world();
    world.policy.processors_limit = Some(Processors(20));
    world.orphans.push(orphan(&world, "dune", "z"));
    let made: u32 = creates(&world.plan()).iter().map(|new| new.offering.processors.0).sum();
    assert_eq!(made, 4);
}

/// Two VMs of one intent without a record, the second one made later.
fn twins(world: &World) -> (Orphan, Orphan) {
    let first = orphan(world, "dune", "z");
    let mut second = first.clone();
    second.instance.id = InstanceId::parse("i-z-twin").unwrap();
    second.instance.created = Some(NOON);
    (first, second)
}

#[test]
fn a_second_vm_of_one_name_without_a_record_counts_and_is_said() {
    let mut world = world();
    world.policy_of("dune").max_processors = Some(Processors(4));
    world.policy_of("dune").target_share = Share::new(0.0).unwrap();
    let (first, mut second) = twins(&world);
    // Of another intent, so that it is no duplicate of the first.
    second.tags.intent = IntentToken::compose(9);
    second.instance.identity = Identity::Vcycle(second.tags.clone());
    world.orphans = vec![second, first];
    // Before one of them has its record, and after.
    for adoptions in [1, 0] {
        assert_eq!(in_use(&world), 8);
        let plan = world.plan();
        let alarm = "VMs of ours beside another one of the same name: 1";
        assert!(plan.report.alarms.iter().any(|line| line.starts_with(alarm)), "{:?}", plan.report);
        let adopts = |step: &&Step| matches!(step, Step::Adopt { .. });
        assert_eq!(plan.steps.iter().filter(adopts).count(), adoptions);
        assert!(deletes(&plan).is_empty());
        world.apply(&plan);
    }
}

#[test]
fn a_second_vm_of_an_orphans_intent_counts_until_it_is_deleted() {
    let mut world = world();
    world.policy_of("dune").max_processors = Some(Processors(4));
    world.policy_of("dune").target_share = Share::new(0.0).unwrap();
    let (first, second) = twins(&world);
    world.orphans = vec![second, first];
    for in_use_now in [8, 8, 4] {
        assert_eq!(in_use(&world), in_use_now);
        let plan = world.plan();
        world.apply(&plan);
    }
}

#[test]
fn a_second_vm_of_an_adopted_machine_is_deleted_as_its_duplicate() {
    let mut world = world();
    world.policy_of("dune").target_share = Share::new(0.0).unwrap();
    let (first, second) = twins(&world);
    let listed = vec![second.instance.clone(), first.instance.clone()];
    let sorted_out = |world: &World, listed: Vec<Instance>| {
        let (deployment, space) = (&world.deployment, &world.policy.space);
        let ours = Ours { deployment, space, offerings: &world.offerings };
        let records: Vec<_> = world.machines.iter().map(|view| &view.record).collect();
        join(&ours, &records, listed)
    };
    let joined = sorted_out(&world, listed.clone());
    assert_eq!((joined.orphans.len(), joined.strangers.machines), (1, 1), "both count");
    (world.orphans, world.strangers) = (joined.orphans, joined.strangers);
    let plan = world.plan();
    world.apply(&plan);
    let joined = sorted_out(&world, listed);
    assert_eq!((joined.orphans.len(), joined.strangers.machines), (0, 0));
    world.strangers = joined.strangers;
    world.machines[0].duplicates = joined.matches.into_iter().next().unwrap().duplicates;
    let plan = world.plan();
    let name = machine_name("dune", "z");
    assert_eq!(deletes(&plan), [(&name, &DeleteReason::Duplicate)]);
    assert!(texts(&plan).iter().any(|text| text.contains("i-z-twin")), "{:?}", texts(&plan));
}
