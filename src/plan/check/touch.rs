//! What a plan may touch at all: machines of this deployment, VMs that are known to be ours, folders
//! whose time is over.

use std::collections::BTreeMap;

use crate::model::{
    DeleteReason, InstanceId, MachineName, MachineView, RequestWhat, Sighting, Timestamp,
};
use crate::plan::judge::{carries_tags_of, is_auth_failure, is_impostor, is_trusted};
use crate::plan::{Plan, PlanInput, Step};

use super::{Machines, Set, Verdict, Violation, ensure};

/// Every step concerns a machine of this deployment that the input has (or a new one).
pub(super) fn only_ours(input: &PlanInput<'_>, plan: &Plan, machines: &Machines<'_>) -> Verdict {
    let mut instances: Set<&InstanceId> = Set::default();
    let mut expired = Vec::new();
    for step in &plan.steps {
        one_step(input, machines, step)?;
        match step {
            Step::Delete { machine: _, instance, reason: _ } => {
                ensure(instances.insert(instance), "no VM is deleted twice", || step.to_string())?;
            }
            Step::Expire { machine } => expired.push(machine),
            Step::Learn { .. }
            | Step::Adopt { .. }
            | Step::Resolve { .. }
            | Step::Drain { .. }
            | Step::Create(_)
            | Step::Archive { .. }
            | Step::Sweep { .. }
            | Step::CloseRequest { .. } => {}
        }
    }
    expiries(input, &expired)
}

/// Only archived folders are removed, and not before their time: with them their ends are forgotten.
fn expiries(input: &PlanInput<'_>, expired: &[&MachineName]) -> Verdict {
    if expired.is_empty() {
        return Ok(());
    }
    let mut archived: BTreeMap<&MachineName, Timestamp> = BTreeMap::new();
    for (machine, at) in input.archived {
        let first = archived.entry(machine).or_insert(*at);
        *first = (*first).min(*at);
    }
    for machine in expired {
        let at = archived.get(machine);
        ensure(at.is_some(), "only archived folders are removed", || machine.to_string())?;
        let is_over = at.is_some_and(|at| input.now.since(*at) >= input.policy.cleanup);
        ensure(is_over, "a folder is kept for its time", || machine.to_string())?;
    }
    Ok(())
}

fn one_step(input: &PlanInput<'_>, machines: &Machines<'_>, step: &Step) -> Verdict {
    let ours = |machine: &MachineName| {
        let view = machines.get(machine).filter(|v| v.record.deployment() == input.deployment);
        view.copied().ok_or_else(|| Violation {
            law: "only machines of this deployment are touched",
            detail: step.to_string(),
        })
    };
    match step {
        Step::Learn { machine, fact: _ }
        | Step::Resolve { machine, intent: _, asked: _ }
        | Step::Drain { machine, drain: _ }
        | Step::Archive { machine } => ours(machine).map(|_| ()),
        Step::Delete { machine, instance, reason } => {
            delete(input, ours(machine)?, instance, reason)
        }
        Step::Adopt { tags, .. } => ensure(
            tags.deployment == *input.deployment
                && tags.space == input.policy.space
                && !machines.contains_key(&tags.machine),
            "only VMs of this deployment without a record are adopted",
            || step.to_string(),
        ),
        Step::CloseRequest { id, because: _ } => ensure(
            input.requests.iter().any(|request| request.id == *id && is_about_one(&request.what)),
            "only requests about one machine are closed",
            || step.to_string(),
        ),
        // Their laws are in files of their own.
        Step::Expire { machine: _ } | Step::Sweep { .. } | Step::Create(_) => Ok(()),
    }
}

fn is_about_one(what: &RequestWhat) -> bool {
    match what {
        RequestWhat::DrainMachine { .. } | RequestWhat::DeleteMachine { .. } => true,
        RequestWhat::DrainMachinetype { .. }
        | RequestWhat::DrainSpace { .. }
        | RequestWhat::HandOver { .. } => false,
    }
}

fn delete(
    input: &PlanInput<'_>,
    view: &MachineView,
    instance: &InstanceId,
    reason: &DeleteReason,
) -> Verdict {
    let detail = || format!("{} ({instance}): {reason}", view.record.machine());
    ensure(!is_auth_failure(input.listing), "without credentials nothing is deleted", detail)?;
    let by_record = view.record.instance.as_ref() == Some(instance);
    let seen = match &view.sighting {
        Sighting::Seen(seen) => Some(&**seen),
        Sighting::NotSeen | Sighting::ProvenAbsent => None,
    };
    let by_tags = seen
        .into_iter()
        .chain(&view.duplicates)
        .any(|seen| seen.id == *instance && carries_tags_of(seen, &view.record));
    let is_foreign = by_record && is_impostor(view);
    ensure(
        (by_record || by_tags) && !is_foreign,
        "only VMs that are known to be ours are deleted",
        detail,
    )?;
    let is_over = view.record.gone.is_some() && !by_tags;
    ensure(!is_over, "what is gone is not deleted", detail)?;
    let decided = view.record.deletion.as_ref().is_some_and(|d| d.reason == *reason);
    let rests_on_silence = *reason == DeleteReason::Heartbeat && !decided;
    ensure(
        !rests_on_silence || is_trusted(input.listing),
        "no delete for silence without a listing that can be believed",
        detail,
    )?;
    ensure(
        *reason != DeleteReason::Duplicate || !by_record,
        "the machine itself is not its own duplicate",
        detail,
    )
}
