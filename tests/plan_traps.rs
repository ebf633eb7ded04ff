//! One regression test for each trap and pain that belongs to planning: the ancestor's faults
//! (FIELD 7), its weaknesses (PEERS 1j), and the pains of its peers (PEERS 3).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod plan_support;

use std::time::Duration;

use plan_support::*;
use vcycle::model::*;
use vcycle::plan::{Orphan, Reason, SnapshotFrame, Step, check, processors_in_use, snapshot};

fn one() -> World {
    World::new(vec![machinetype("dune", 1.0)])
}

fn said(code: u16, text: &str) -> EndKind {
    EndKind::Message { message: ShutdownMessage { code, text: text.into() } }
}

// --- Traps of the ancestor -----------------------------------------------------------------

#[test]
fn trap_7_3_machines_are_made_although_a_shutdown_time_is_set() {
    let mut world = one();
    world.policy.shutdown_time = Some(NOON + hours(5));
    let plan = world.plan();
    assert_eq!(creates(&plan).len(), 10);
    for new in creates(&plan) {
        assert_eq!(new.tags.deadline, NOON + hours(5), "no machine outlives its space");
    }
    world.policy.shutdown_time = Some(NOON + minutes(59));
    assert_eq!(word(&world.plan(), "dune"), "shutdown-too-near");
}

#[test]
fn trap_7_6_power_counts_in_shares_and_in_what_people_see() {
    let mut fast = machinetype("fast", 1.0);
    fast.hs06_per_processor = Some(Hs06(30.0));
    let mut slow = machinetype("slow", 1.0);
    slow.hs06_per_processor = Some(Hs06(10.0));
    let mut world = World::new(vec![fast, slow]);
    world.policy.processors_limit = Some(Processors(40));
    world.settle(20);
    let processors = world.processors();
    assert_eq!(processors[&machinetype_name("fast")], 10);
    assert_eq!(processors[&machinetype_name("slow")], 30);
    let plan = world.plan();
    let shown = snapshot(&world.input(), &plan, frame());
    assert!(shown.machinetypes.iter().all(|row| (row.share - 0.5).abs() < 1e-9));
}

#[test]
fn people_see_the_first_of_all_ends_of_a_machine() {
    let mut world = one();
    world.running("dune", "a", hours(2));
    world.starting("dune", "b", minutes(1));
    let ends = |world: &World| -> Vec<Timestamp> {
        let shown = snapshot(&world.input(), &world.plan(), frame());
        shown.machines.iter().map(|row| row.end_by.unwrap()).collect()
    };
    let deadline = world.machines[1].record.tags.deadline;
    assert_eq!(ends(&world), [NOON + hours(22), deadline], "its life; what has not begun");
    world.machines[0].record.tags.deadline = NOON + hours(21);
    assert_eq!(ends(&world)[0], NOON + hours(21), "its hard end");
    let by = NOON + hours(3);
    world.machines[0].record.drain = Some(Drain { by, reason: DrainReason::SpaceShutdown });
    assert_eq!(ends(&world), [by, deadline], "what it was told");
    world.policy.shutdown_time = Some(NOON + hours(2));
    assert_eq!(ends(&world), [NOON + hours(2); 2], "the end of the space");
}

#[test]
fn trap_7_7_the_fizzle_gate_sees_machines_without_a_start_time() {
    let mut world = one();
    world.past("dune", minutes(12), said(300, "No work"));
    world.starting("dune", "a", minutes(1));
    let plan = world.plan();
    let Reason::FizzleGate { waiting_for, until } =
        &plan.report.machinetypes[&machinetype_name("dune")]
    else {
        panic!("{:?}", plan.report);
    };
    assert_eq!(*waiting_for, machine_name("dune", "a"));
    assert_eq!(*until, NOON + minutes(8));
    let mut world = one();
    world.past("dune", minutes(12), said(300, "No work"));
    world.intended("dune", "a", minutes(1));
    assert_eq!(word(&world.plan(), "dune"), "fizzle-gate");
}

#[test]
fn trap_7_8_our_own_message_is_never_taken_for_the_machines_own() {
    let mut world = one();
    let view = world.running("dune", "a", hours(2));
    view.record.deletion = Some(Deletion {
        reason: DeleteReason::Heartbeat,
        since: NOON - minutes(1),
        attempts: 1,
        last: NOON - minutes(1),
    });
    view.message = ShutdownMessage::parse("700 Heartbeat file not updated");
    view.sighting = Sighting::ProvenAbsent;
    let plan = world.plan();
    assert!(!texts(&plan).iter().any(|text| text.contains("700")), "{:?}", texts(&plan));
    // Its own last words are kept, also when we deleted it.
    world.machines[0].message = ShutdownMessage::parse("200 Success");
    let plan = world.plan();
    assert!(texts(&plan).iter().any(|text| text.contains("200 Success")), "{:?}", texts(&plan));
}

#[test]
fn trap_7_9_without_any_known_limit_one_machine_a_cycle_is_made() {
    let mut world = one();
    world.policy.processors_limit = None;
    assert_eq!(creates(&world.plan()).len(), 1);
    world.quota.processors = Some(Processors(50));
    assert_eq!(creates(&world.plan()).len(), 5, "a tenth of the quota");
    world.quota.processors = None;
    world.policy.machines_limit = Some(20);
    assert_eq!(creates(&world.plan()).len(), 2, "a tenth of the machines");
}

#[test]
fn trap_7_10_a_machine_just_started_has_the_clouds_start_time() {
    let mut world = one();
    world.starting("dune", "a", minutes(9));
    let started = NOON - minutes(2);
    let Sighting::Seen(vm) = &mut world.machines[0].sighting else { panic!() };
    vm.state = InstanceState::Running;
    vm.started = Some(started);
    world.settle(20);
    assert_eq!(world.machines[0].record.started, Some(started));
}

#[test]
fn trap_7_14_nothing_is_taken_for_old_because_a_time_is_missing() {
    // The ancestor compared a missing time with a number. A machine without a start time is
    // never judged by its running time, and one without a heartbeat rule never by its heartbeat.
    let mut world = one();
    world.policy_of("dune").max_wallclock = minutes(1);
    world.policy_of("dune").fizzle = minutes(1);
    world.starting("dune", "a", minutes(30));
    world.running("dune", "b", secs(30)).heartbeat = None;
    assert!(deletes(&world.plan()).is_empty());
}

#[test]
fn peers_1j_1_a_truncated_list_makes_nothing_and_files_nothing_away() {
    let mut world = one();
    world.policy.processors_limit = Some(Processors(4000));
    for index in 0..4000 {
        world.running("dune", &format!("{index:04}"), hours(1));
    }
    for view in world.machines.iter_mut().skip(1000) {
        view.sighting = Sighting::NotSeen;
    }
    for listing in [
        ListingState::Partial { why: "stopped at max_limit".into() },
        ListingState::Shrunken { expected: 4000, missing: 3000 },
        ListingState::Complete { started: NOON },
    ] {
        world.listing = listing;
        let plan = world.plan();
        assert_eq!(plan.steps, vec![], "{:?}", world.listing);
        assert_eq!(processors_in_use(&world.input()), Processors(4000));
    }
}

#[test]
fn peers_1j_2_an_intent_that_the_listing_lacks_is_not_filed_away() {
    let mut world = one();
    world.policy.processors_limit = Some(Processors(1));
    world.intended("dune", "a", minutes(1));
    let plan = world.plan();
    assert!(!plan.steps.iter().any(|step| matches!(step, Step::Archive { .. })));
    assert_eq!(plan.steps.len(), 1);
    assert_eq!(plan.steps[0].word(), "resolve");
}

#[test]
fn peers_1j_4_what_the_listing_does_not_show_yet_counts() {
    // The cloud's own count lacks the five that were just asked for.
    let mut world = one();
    world.policy.processors_limit = None;
    world.policy.pace = Pace::Machines(100);
    world.quota.processors = Some(Processors(20));
    world.quota.processors_used = Some(Processors(12));
    for index in 0..5 {
        world.intended("dune", &format!("{index}"), secs(5));
    }
    assert_eq!(creates(&world.plan()).len(), 3);
}

#[test]
fn peers_1j_5_an_intent_keeps_its_place_until_it_is_resolved() {
    let mut world = one();
    world.policy.processors_limit = Some(Processors(1));
    world.policy_of("dune").start_timeout = minutes(1);
    world.intended("dune", "a", hours(30));
    let plan = world.plan();
    assert!(creates(&plan).is_empty());
    assert_eq!(word(&plan, "dune"), "space-limit");
    assert!(plan.report.alarms[0].contains("what became of them"), "{:?}", plan.report.alarms);
    // Resolved as never made: its place is free, and this is no failure of the machinetype.
    world.apply(&plan);
    assert_eq!(creates(&world.plan()).len(), 1);
}

#[test]
fn peers_1j_6_every_owner_of_a_space_enforces_the_rules_of_all_its_machines() {
    let mut world = one();
    let view = world.running("dune", "a", hours(24));
    view.record.manager = ManagerName::parse("a-dead-manager").unwrap();
    assert_eq!(deletes(&world.plan()).len(), 1);
}

#[test]
fn peers_1j_7_another_deployment_with_our_prefix_is_counted_and_never_touched() {
    let mut world = one();
    world.policy.processors_limit = Some(Processors(1));
    world.strangers = Strangers { machines: 1, processors: Processors(1), other_deployments: 1 };
    // Even if the observer handed it over as an orphan by mistake.
    let mut record = world.record("dune", "z", hours(40));
    record.tags.deployment = DeploymentId::compose(2);
    let instance = vm_of(&record, InstanceState::Running);
    world.orphans.push(Orphan { tags: record.tags, instance });
    let plan = world.plan();
    assert_eq!(plan.steps, vec![]);
    assert_eq!(word(&plan, "dune"), "space-limit");
}

#[test]
fn peers_1j_7_a_machine_that_the_cloud_is_deleting_does_not_count_as_working() {
    let mut world = one();
    let view = world.running("dune", "a", hours(1));
    let Sighting::Seen(vm) = &mut view.sighting else { panic!() };
    vm.state = InstanceState::Deleting;
    let shown = snapshot(&world.input(), &world.plan(), frame());
    assert_eq!(shown.machinetypes[0].phases.running, 0);
    assert_eq!(shown.machinetypes[0].phases.deleting, 1);
    assert_eq!(shown.processors, Processors(1), "but it holds its place");
}

#[test]
fn peers_1j_8_processors_are_counted_as_what_they_are() {
    let mut world = one();
    world.offerings = vec![offering("m16", 16)];
    world.policy.processors_limit = Some(Processors(40));
    world.settle(10);
    assert_eq!(world.processors()[&machinetype_name("dune")], 32);
}

#[test]
fn peers_1j_12_a_space_without_a_limit_can_be_filled_to_the_quota() {
    let mut world = one();
    world.policy.processors_limit = None;
    world.quota.processors = Some(Processors(7));
    world.settle(20);
    assert_eq!(world.processors()[&machinetype_name("dune")], 7);
    assert_eq!(word(&world.plan(), "dune"), "cloud-quota");
}

// --- Pains of the peers ----------------------------------------------------------------------

#[test]
fn pain_3_machines_being_born_are_not_collected() {
    let mut world = one();
    world.policy.processors_limit = Some(Processors(2));
    world.intended("dune", "a", secs(1));
    world.starting("dune", "b", secs(1)).sighting = Sighting::NotSeen;
    let plan = world.plan();
    assert!(deletes(&plan).is_empty());
    assert!(!plan.steps.iter().any(|step| matches!(step, Step::Archive { .. })));
}

#[test]
fn pain_4_absence_is_not_believed_on_a_listing_that_is_not_complete() {
    let mut world = one();
    world.running("dune", "a", hours(1)).sighting = Sighting::ProvenAbsent;
    world.listing = ListingState::Partial { why: "a zone did not answer".into() };
    assert_eq!(world.plan().steps, vec![]);
    world.listing = ListingState::Complete { started: NOON };
    assert!(world.plan().steps.iter().any(|step| matches!(step, Step::Archive { .. })));
}

#[test]
fn pain_6_a_delete_is_a_duty_with_growing_pauses_and_an_alarm() {
    let mut world = one();
    world.policy.processors_limit = Some(Processors(1));
    world.running("dune", "a", hours(24));
    let mut calls = Vec::new();
    for minute in 0..(5 * 60) {
        let plan = world.plan();
        if !deletes(&plan).is_empty() {
            calls.push(minute);
        }
        // The cloud accepts every delete and does nothing.
        let sighting = world.machines[0].sighting.clone();
        world.apply(&plan);
        world.machines[0].sighting = sighting;
        world.wait(minutes(1));
    }
    assert_eq!(calls, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]);
    let alarms = world.plan().report.alarms;
    assert!(alarms[0].contains("being deleted and still not gone: 1"), "{alarms:?}");
    assert!(alarms[0].contains("5h"), "with its age: {alarms:?}");
}

#[test]
fn pain_7_a_whole_wave_stays_within_every_limit() {
    let mut world = one();
    world.policy.pace = Pace::FractionOfLimit(1.0);
    world.offerings = vec![offering("m8", 8)];
    world.policy.processors_limit = Some(Processors(100));
    world.strangers.processors = Processors(5);
    world.policy_of("dune").max_starting_processors = Some(Processors(50));
    world.policy.machines_limit = Some(7);
    let plan = world.plan();
    assert_eq!(creates(&plan).len(), 6, "48 of 50 starting processors");
    world.apply(&plan);
    world.boot_all();
    world.settle(9);
    assert_eq!(world.machines.len(), 7);
}

#[test]
fn pain_10_machines_that_never_join_are_not_replaced_for_ever() {
    let mut world = one();
    world.policy_of("dune").start_timeout = minutes(10);
    world.policy_of("dune").max_starting_processors = Some(Processors(10));
    let mut made = 0;
    for _ in 0..(24 * 60) {
        let plan = world.plan();
        made += creates(&plan).len();
        world.apply(&plan);
        world.wait(minutes(1));
    }
    // Ten at once before anything is known; then one at a time, then the breaker's pauses.
    assert!((11..=22).contains(&made), "{made} machines in a day");
    let alarms = world.plan().report.alarms.join("\n");
    assert!(alarms.contains("failures in a row"), "{alarms}");
}

#[test]
fn pain_11_a_stock_out_parks_one_offering_and_blocks_nobody_else() {
    let mut small = machinetype("small", 1.0);
    small.flavors = vec!["m1".into()];
    let mut large = machinetype("large", 9.0);
    large.flavors = vec!["m8".into()];
    let mut world = World::new(vec![small, large]);
    world.offerings = vec![offering("m8", 8), offering("m1", 1)];
    let kind = EndKind::Rejected { kind: "insufficient-capacity".into() };
    world.past("large", minutes(1), kind);
    let plan = world.plan();
    assert_eq!(word(&plan, "large"), "offerings-parked");
    assert_eq!(creates(&plan).len(), 10, "the other machinetype goes on");
    world.wait(minutes(2));
    assert_eq!(word(&world.plan(), "large"), "created", "and it is not for ever");
}

#[test]
fn pain_13_each_machine_has_its_own_step_and_outcome() {
    let mut world = one();
    for index in 0..5 {
        world.running("dune", &format!("{index}"), hours(24));
    }
    let plan = world.plan();
    let names: std::collections::BTreeSet<_> =
        deletes(&plan).into_iter().map(|(machine, _)| machine.clone()).collect();
    assert_eq!(names.len(), 5);
}

#[test]
fn pain_19_a_drain_has_a_deadline_and_never_blocks_others() {
    let mut world = World::new(vec![machinetype("dune", 1.0), machinetype("lsst", 1.0)]);
    world.running("dune", "a", hours(1));
    let by = NOON + hours(2);
    let machinetype = machinetype_name("dune");
    world.request("a@b", RequestWhat::DrainMachinetype { machinetype, by });
    let plan = world.plan();
    assert_eq!(word(&plan, "dune"), "draining");
    assert_eq!(word(&plan, "lsst"), "created");
    world.apply(&plan);
    assert_eq!(world.machines[0].record.drain.as_ref().map(|drain| drain.by), Some(by));
    assert!(deletes(&world.plan()).is_empty());
    world.wait(hours(2));
    let plan = world.plan();
    let told: Vec<_> = deletes(&plan).into_iter().map(|(machine, _)| machine.clone()).collect();
    assert!(told.contains(&machine_name("dune", "a")));
}

#[test]
fn pain_19_a_shutdown_time_is_never_set_nearer_than_grace() {
    let mut world = one();
    world.policy_of("dune").grace = hours(1);
    world.running("dune", "a", hours(1));
    world.request("a@b", RequestWhat::DrainSpace { by: NOON });
    for _ in 0..3 {
        let plan = world.plan();
        world.apply(&plan);
        world.wait(minutes(5));
    }
    let drain = world.machines[0].record.drain.clone().unwrap();
    assert_eq!(drain.by, NOON + hours(1), "told once, and not put off each cycle");
}

#[test]
fn pain_20_nothing_is_deleted_to_correct_shares_or_limits() {
    let mut world = World::new(vec![machinetype("dune", 1.0), machinetype("lsst", 9.0)]);
    for index in 0..20 {
        world.running("dune", &format!("{index:02}"), hours(1));
    }
    world.policy.processors_limit = Some(Processors(5));
    world.policy.machines_limit = Some(1);
    world.policy_of("dune").processors_limit = Some(Processors(1));
    world.policy_of("dune").target_share = Share::new(0.0).unwrap();
    assert_eq!(world.plan().steps, vec![]);
}

#[test]
fn pain_20_machines_of_a_machinetype_that_is_not_configured_any_more_live_on() {
    let mut world = one();
    world.running("dune", "a", hours(1));
    world.policy.machinetypes.clear();
    let plan = world.plan();
    assert_eq!(plan.steps, vec![]);
    let shown = snapshot(&world.input(), &plan, frame());
    assert_eq!(
        shown.machines[0].note.as_deref(),
        Some("its machinetype is not configured any more")
    );
    // But not longer than they may.
    world.wait(hours(26));
    let plan = world.plan();
    assert_eq!(deletes(&plan), [(&machine_name("dune", "a"), &DeleteReason::Deadline)]);
}

#[test]
fn pain_21_when_most_heartbeats_vanish_at_once_nothing_is_deleted_for_it() {
    let mut world = one();
    world.policy_of("dune").heartbeat =
        Some(HeartbeatRule { file: "heartbeat".into(), every: Some(minutes(10)) });
    for index in 0..40 {
        world.running("dune", &format!("{index:02}"), hours(2)).heartbeat = Some(NOON - minutes(3));
    }
    // Our own web server has been dead for eleven minutes.
    world.wait(minutes(11));
    let plan = world.plan();
    assert!(deletes(&plan).is_empty() && creates(&plan).is_empty());
    assert_eq!(plan.report.held_back.len(), 40);
    assert_eq!(word(&plan, "dune"), "blast-radius");
    assert!(plan.report.alarms[0].contains("40 of 40"), "{:?}", plan.report.alarms);
    let shown = snapshot(&world.input(), &plan, frame());
    assert!(shown.machines.iter().all(|row| row.note.as_deref().unwrap().contains("held back")));
    // It is mended: heartbeats arrive again, and all is well.
    for view in &mut world.machines {
        view.heartbeat = Some(world.now);
    }
    let plan = world.plan();
    assert!(deletes(&plan).is_empty() && plan.report.alarms.is_empty());
}

#[test]
fn invariant_4_a_person_adds_machines_and_we_make_nothing_and_say_so() {
    let mut world = one();
    world.strangers =
        Strangers { machines: 150, processors: Processors(150), other_deployments: 0 };
    let plan = world.plan();
    assert_eq!(plan.steps, vec![]);
    assert!(plan.report.alarms[0].contains("more than the space's limit"));
}

#[test]
fn invariant_9_every_new_machine_carries_its_hard_end() {
    let world = one();
    for new in creates(&world.plan()) {
        assert_eq!(new.tags.deadline, NOON + hours(25), "start_timeout and max_wallclock");
    }
}

#[test]
fn a_plan_that_breaks_a_law_is_refused() {
    let mut world = one();
    world.policy.processors_limit = Some(Processors(10));
    world.policy.pace = Pace::FractionOfLimit(1.0);
    let plan = world.plan();
    let law_of = |world: &World, plan: &vcycle::plan::Plan| {
        check(&world.input(), plan).expect_err("must be refused").law
    };
    let mut tight = world.clone();
    tight.strangers.processors = Processors(1);
    assert_eq!(law_of(&tight, &plan), "no limit is passed");
    let mut blind = world.clone();
    blind.listing = ListingState::Partial { why: "x".into() };
    assert_eq!(law_of(&blind, &plan), "nothing is made on a listing that cannot be believed");
    let mut silent = plan.clone();
    silent.report.machinetypes.clear();
    assert_eq!(law_of(&world, &silent), "every machinetype has exactly one reason");
    let mut twice = plan.clone();
    twice.steps[1] = twice.steps[0].clone();
    assert_eq!(law_of(&world, &twice), "a new machine has a new name");
    let mut stranger = plan;
    stranger.steps.insert(
        0,
        Step::Delete {
            machine: machine_name("dune", "z"),
            instance: InstanceId::parse("i-of-somebody").unwrap(),
            reason: DeleteReason::Ended,
        },
    );
    assert_eq!(law_of(&world, &stranger), "only machines of this deployment are touched");
}

#[test]
fn a_delete_must_name_a_vm_that_is_known_to_be_ours() {
    let mut world = one();
    world.running("dune", "a", hours(24));
    let mut plan = world.plan();
    for step in &mut plan.steps {
        if let Step::Delete { instance, .. } = step {
            *instance = InstanceId::parse("i-of-somebody").unwrap();
        }
    }
    let violation = check(&world.input(), &plan).unwrap_err();
    assert_eq!(violation.law, "only VMs that are known to be ours are deleted");
}

#[test]
fn a_vm_with_other_tags_behind_our_id_is_left_alone_and_said() {
    let mut world = one();
    world.policy.processors_limit = Some(Processors(1));
    let view = world.running("dune", "a", hours(1));
    let Sighting::Seen(vm) = &mut view.sighting else { panic!() };
    vm.identity = Identity::Foreign;
    vm.state = InstanceState::Stopped;
    view.record.tags.deadline = NOON - hours(1);
    let plan = world.plan();
    assert_eq!(plan.steps, vec![]);
    assert!(plan.report.alarms[0].contains("other tags"), "{:?}", plan.report.alarms);
}

#[test]
fn two_records_of_one_vm_do_not_freeze_the_space() {
    let mut world = one();
    world.running("dune", "a", hours(24));
    world.running("dune", "b", hours(24));
    let id = world.machines[0].record.instance.clone();
    world.machines[1].record.instance = id.clone();
    world.machines[1].sighting = Sighting::NotSeen;
    // `World::plan` checks the laws.
    let plan = world.plan();
    assert_eq!(deletes(&plan).len(), 1);
    assert!(!creates(&plan).is_empty());
}

#[test]
fn an_end_that_is_both_in_the_past_and_in_a_record_counts_once() {
    let mut world = one();
    world.policy_of("dune").breaker.failures = 2;
    world.starting("dune", "a", minutes(3));
    let record = &mut world.machines[0].record;
    record.started = Some(NOON - minutes(20));
    record.ended =
        Some(EndFact { at: NOON - minutes(15), state: EndState::Stopped, message: None });
    world.policy_of("dune").backoff = minutes(1);
    world.policy_of("dune").fizzle = minutes(6);
    let end = world.machines[0].record.how_it_ended(minutes(6)).unwrap();
    assert_eq!(end.kind, EndKind::Fizzled);
    world.past.push(end.clone());
    assert_eq!(word(&world.plan(), "dune"), "created");
    world.past.push(end);
    assert_eq!(word(&world.plan(), "dune"), "breaker-open", "two equal ends of the past are two");
}

#[test]
fn last_words_that_arrive_late_are_learned() {
    let mut world = one();
    let view = world.running("dune", "a", hours(1));
    view.record.ended =
        Some(EndFact { at: NOON - minutes(2), state: EndState::Stopped, message: None });
    view.message = ShutdownMessage::parse("300 No work");
    let plan = world.plan();
    assert_eq!(word(&plan, "dune"), "backoff");
    assert!(texts(&plan)[0].contains("300 No work"));
    world.apply(&plan);
    assert!(!world.plan().steps.iter().any(|step| {
        matches!(step, Step::Learn { fact: vcycle::plan::Fact::Ended { .. }, .. })
    }));
}

#[test]
fn a_clock_of_the_cloud_that_is_ahead_puts_nothing_into_the_future() {
    let mut world = one();
    let view = world.starting("dune", "a", minutes(5));
    let Sighting::Seen(vm) = &mut view.sighting else { panic!() };
    vm.state = InstanceState::Stopped;
    vm.started = Some(NOON + hours(9));
    vm.ended = Some(NOON + hours(10));
    let plan = world.plan();
    world.apply(&plan);
    let record = &world.machines[0].record;
    assert_eq!(record.started, Some(NOON));
    assert_eq!(record.ended.as_ref().map(|ended| ended.at), Some(NOON));
}

#[test]
fn the_snapshot_shows_the_reasons_of_the_plan_and_nothing_else() {
    let mut world = World::new(vec![machinetype("dune", 3.0), machinetype("lsst", 1.0)]);
    world.running("dune", "a", hours(1)).heartbeat = Some(NOON - minutes(1));
    world.past("lsst", minutes(2), said(300, "No work"));
    let plan = world.plan();
    let shown = snapshot(&world.input(), &plan, frame());
    for row in &shown.machinetypes {
        let reason = &plan.report.machinetypes[&row.name];
        assert_eq!((row.reason.as_str(), row.why.clone()), (reason.word(), reason.to_string()));
    }
    let [dune, lsst] = &shown.machinetypes[..] else { panic!() };
    assert_eq!((dune.target, dune.share, dune.phases.running), (0.75, 1.0, 1));
    assert_eq!(lsst.last_abort, Some(NOON - minutes(2)));
    assert!(lsst.last_end.as_deref().unwrap().starts_with("300 No work at 2026-01-01T11:58"));
    assert_eq!(shown.machines[0].heartbeat, Some(NOON - minutes(1)));
    assert_eq!(shown.processors_limit, Some(Processors(100)));
}

fn frame() -> SnapshotFrame {
    SnapshotFrame {
        provider: "sim".into(),
        manager: ManagerName::parse("manager-a").unwrap(),
        decisions: Vec::new(),
    }
}

#[test]
fn pain_21_an_outage_that_is_noticed_bit_by_bit_does_not_pass_the_limit_in_small_steps() {
    let mut world = one();
    world.policy_of("dune").heartbeat =
        Some(HeartbeatRule { file: "heartbeat".into(), every: Some(minutes(10)) });
    // Heartbeats have their own phases: our web server dies, and every minute four more look dead.
    for index in 0..40_u32 {
        let last = NOON - minutes(9) + Duration::from_secs(15 * u64::from(index));
        world.running("dune", &format!("{index:02}"), hours(2)).heartbeat = Some(last);
    }
    let mut deleted = 0;
    for _ in 0..30 {
        world.wait(minutes(1));
        let plan = world.plan();
        for (machine, reason) in deletes(&plan) {
            assert_eq!(*reason, DeleteReason::Heartbeat);
            let view = world.machines.iter_mut().find(|v| v.record.machine() == machine).unwrap();
            let (since, last) = (world.now, world.now);
            if view.record.deletion.is_none() {
                deleted += 1;
            }
            let reason = reason.clone();
            view.record.deletion = Some(Deletion { reason, since, attempts: 1, last });
        }
    }
    // Those of the first two minutes; with those of the third it would be more than a quarter.
    assert_eq!(deleted, 8);
}
