//! Every state of the cloud crossed with every set of facts in a record: the phase, and what the
//! planner does. The golden table is `tests/phase_matrix.txt` (`SNAPSHOTS=overwrite` writes it
//! anew); each change of it must be looked at line by line.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod plan_support;

use plan_support::*;
use vcycle::model::*;
use vcycle::plan::{SnapshotFrame, Step, snapshot};

/// Sets of facts that a record can have.
const FACTS: [&str; 13] = [
    "intended",
    "created",
    "created, but its id is not known",
    "started",
    "ended",
    "ended, failed",
    "started, delete decided now",
    "started, delete decided and due again",
    "intended, delete decided",
    "started, told to end by a time that has passed",
    "started, to be taken back at a time that has passed",
    "rejected",
    "gone",
];

/// What the cloud can show.
const SIGHTS: [&str; 11] = [
    "not seen",
    "proven absent",
    "pending",
    "running",
    "stopped",
    "preempted",
    "failed",
    "deleting",
    "gone",
    "unknown",
    "running with other tags",
];

fn view(world: &mut World, facts: &str, sight: &str) -> MachineView {
    let now = world.now;
    let mut record = world.record("dune", "a", hours(2));
    if facts != "intended" && facts != "intended, delete decided" && facts != "rejected" {
        record.instance = Some(instance_id(&record));
        record.created = Some(record.asked);
    }
    let deletion = |attempts, ago| Deletion {
        reason: DeleteReason::Operator { who: "a@b".into() },
        since: now - ago,
        attempts,
        last: now - ago,
    };
    let started = Some(now - hours(1));
    match facts {
        "intended" | "created" => {}
        "created, but its id is not known" => record.instance = None,
        "started" => record.started = started,
        "ended" | "ended, failed" => {
            record.started = started;
            let failed = facts != "ended";
            let state = if failed { EndState::Failed } else { EndState::Stopped };
            record.ended = Some(EndFact { at: now - minutes(5), state, message: None });
        }
        "started, delete decided now" => {
            record.started = started;
            record.deletion = Some(deletion(1, secs(0)));
        }
        "started, delete decided and due again" => {
            record.started = started;
            record.deletion = Some(deletion(1, minutes(5)));
        }
        "intended, delete decided" => record.deletion = Some(deletion(0, minutes(5))),
        "started, told to end by a time that has passed" => {
            record.started = started;
            record.drain = Some(Drain { by: now, reason: DrainReason::SpaceShutdown });
        }
        "started, to be taken back at a time that has passed" => {
            record.started = started;
            record.drain = Some(Drain { by: now, reason: DrainReason::Interruption });
        }
        "rejected" => {
            record.rejected = Some(Rejection {
                at: now,
                kind: "invalid-spec".into(),
                message: "no image".into(),
            });
        }
        "gone" => record.gone = Some(Gone { at: now, evidence: Evidence::DeleteSaidGone }),
        other => panic!("{other}"),
    }
    let mut view = World::unseen(record);
    view.sighting = sighting(&view.record, sight);
    view
}

fn sighting(record: &MachineRecord, sight: &str) -> Sighting {
    let state = match sight {
        "not seen" => return Sighting::NotSeen,
        "proven absent" => return Sighting::ProvenAbsent,
        "pending" => InstanceState::Pending,
        "running" | "running with other tags" => InstanceState::Running,
        "stopped" => InstanceState::Stopped,
        "preempted" => InstanceState::Preempted,
        "failed" => InstanceState::Failed { refusal: None, fault: "no valid host".into() },
        "deleting" => InstanceState::Deleting,
        "gone" => InstanceState::Gone,
        "unknown" => InstanceState::Unknown { word: "SHELVED".into() },
        other => panic!("{other}"),
    };
    let mut vm = vm_of(record, state);
    if sight == "running with other tags" {
        vm.identity = Identity::Foreign;
    }
    Sighting::Seen(Box::new(vm))
}

/// What is done with the machine, in few words; what is made is not looked at.
fn steps(world: &World) -> String {
    let text = |step: &Step| match step {
        Step::Learn { machine: _, fact } => format!("learn: {fact}"),
        Step::Delete { machine: _, instance: _, reason } => format!("delete: {reason}"),
        Step::Resolve { .. }
        | Step::Archive { .. }
        | Step::Drain { .. }
        | Step::Adopt { .. }
        | Step::Create(_)
        | Step::Expire { .. }
        | Step::Sweep { .. }
        | Step::CloseRequest { .. } => step.word().to_owned(),
    };
    let steps: Vec<_> = world.plan().steps.iter().map(text).collect();
    if steps.is_empty() { "-".into() } else { steps.join("; ") }
}

/// The phase that people see.
fn shown_phase(world: &World) -> String {
    let frame = SnapshotFrame {
        provider: "sim".into(),
        manager: ManagerName::parse("manager-a").unwrap(),
        decisions: Vec::new(),
    };
    snapshot(&world.input(), &world.plan(), frame).machines[0].phase.clone()
}

fn table() -> String {
    let mut table = String::new();
    for facts in FACTS {
        table += &format!("record: {facts}\n");
        for sight in SIGHTS {
            let mut world = World::new(vec![machinetype("dune", 0.0)]);
            let view = view(&mut world, facts, sight);
            world.machines.push(view);
            let phase = shown_phase(&world);
            let trusted = steps(&world);
            world.listing = ListingState::Partial { why: "a page is missing".into() };
            let partial = steps(&world);
            table += &format!("  {sight:<24} {phase:<9} {trusted}\n");
            if partial != trusted {
                table += &format!("  {:<24} {:<9} {partial}\n", "", "(partial)");
            }
        }
    }
    table.replace("2026-01-01T", "").replace(".000Z", "")
}

#[test]
fn every_state_of_the_cloud_with_every_set_of_facts_has_its_phase_and_steps() {
    let golden =
        std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/phase_matrix.txt");
    let golden = snapbox::Data::read_from(&golden, Some(snapbox::data::DataFormat::Text));
    snapbox::Assert::new().action_env("SNAPSHOTS").eq(table(), golden);
}

#[test]
fn whatever_is_seen_carrying_out_the_plan_comes_to_rest() {
    for facts in FACTS {
        for sight in SIGHTS {
            let mut world = World::new(vec![machinetype("dune", 0.0)]);
            let view = view(&mut world, facts, sight);
            world.machines.push(view);
            world.settle(5);
        }
    }
}
