//! The circuit breaker as a space shows it: what a probe that has proven itself is worth, whatever
//! became of it, and until when people are told.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod plan_support;

use plan_support::*;
use vcycle::model::*;

/// A machinetype whose breaker opened 90 minutes ago, for 30 minutes.
fn half_open() -> World {
    let mut world = World::new(vec![machinetype("dune", 1.0)]);
    for ago in [100, 95, 90] {
        world.past("dune", minutes(ago), EndKind::Fizzled);
    }
    world
}

/// How many machines are made: one is a probe, ten are what the pace allows.
fn made(world: &World) -> usize {
    creates(&world.plan()).len()
}

/// The probe started 50 minutes ago, so it passed fizzle 40 minutes ago, and ended 25 minutes ago.
fn end_the_probe(world: &mut World, how: &str) {
    let at = world.now - minutes(25);
    let view = world.running("dune", "probe", minutes(50));
    let ended = |state, message| Some(EndFact { at, state, message });
    match how {
        "killed" => {
            let reason = DeleteReason::Operator { who: "a@b".into() };
            view.record.deletion = Some(Deletion { reason, since: at, attempts: 1, last: at });
            view.record.gone = Some(Gone { at, evidence: Evidence::DeleteSaidGone });
        }
        "preempted" => view.record.ended = ended(EndState::Preempted, None),
        "failed in the cloud" => view.record.ended = ended(EndState::Failed, None),
        "silent" => view.record.ended = ended(EndState::Stopped, None),
        "no work" => {
            let message = ShutdownMessage::parse("300 No work");
            view.record.ended = ended(EndState::Stopped, message);
        }
        "transient" => {
            let message = ShutdownMessage::parse("700 Transient");
            view.record.ended = ended(EndState::Stopped, message);
        }
        other => panic!("{other}"),
    }
    view.sighting = Sighting::NotSeen;
}

const WAYS: [&str; 6] =
    ["killed", "preempted", "failed in the cloud", "silent", "no work", "transient"];

#[test]
fn a_probe_that_has_proven_itself_closes_the_breaker_however_it_ended() {
    assert_eq!(made(&half_open()), 1, "half-open: one probe");
    for how in WAYS {
        let mut world = half_open();
        end_the_probe(&mut world, how);
        assert_eq!(made(&world), 10, "{how}");
    }
}

#[test]
fn after_a_proven_probe_one_failure_does_not_stop_anything() {
    for how in WAYS {
        let mut world = half_open();
        end_the_probe(&mut world, how);
        world.past("dune", minutes(21), EndKind::Fizzled);
        assert_eq!(made(&world), 10, "{how}");
    }
}

#[test]
fn a_proven_probe_that_still_runs_is_not_undone_by_one_failure() {
    let mut world = half_open();
    world.running("dune", "probe", minutes(50));
    assert_eq!(made(&world), 10);
    world.past("dune", minutes(21), EndKind::Fizzled);
    assert_eq!(made(&world), 10);
    // Three in a row are three, and the pause is the first one again.
    world.past("dune", minutes(22), EndKind::Fizzled);
    world.past("dune", minutes(23), EndKind::Fizzled);
    let plan = world.plan();
    assert_eq!(word(&plan, "dune"), "breaker-open");
    assert!(plan.report.alarms[0].contains("until 2026-01-01T12:09:00"), "{:?}", plan.report);
}

#[test]
fn a_half_open_breaker_is_an_alarm_until_it_is_closed() {
    let mut world = half_open();
    let alarms = |world: &World| world.plan().report.alarms.join("\n");
    assert!(alarms(&world).contains("failures in a row"), "{}", alarms(&world));
    world.starting("dune", "probe", minutes(1));
    assert_eq!(word(&world.plan(), "dune"), "breaker-probing");
    assert!(alarms(&world).contains("failures in a row"), "{}", alarms(&world));
    world.boot_all();
    world.settle(3);
    world.wait(minutes(10));
    assert_eq!(alarms(&world), "");
}
