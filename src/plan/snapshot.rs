//! What people see of a space, made from the same input and plan that decide, so that command
//! line, server, log and metrics can only show the same reasons.

use crate::model::{
    Decision, MachineRow, MachinetypePolicy, MachinetypeRow, ManagerName, Sighting, SpaceSnapshot,
    Timestamp,
};

use super::history::{History, end_of};
use super::judge::Judged;
use super::usage::{Orphans, Usage};
use super::words::listing_words;
use super::{Plan, PlanInput, judge_all};

/// What a snapshot shows beside the plan.
#[derive(Debug, Clone)]
pub struct SnapshotFrame {
    /// Name of the provider.
    pub provider: String,
    /// Who owns the space.
    pub manager: ManagerName,
    /// The last decisions, newest first, at most 50.
    pub decisions: Vec<Decision>,
}

/// The snapshot of a space at the time of planning, before the plan is carried out.
pub fn snapshot(input: &PlanInput<'_>, plan: &Plan, frame: SnapshotFrame) -> SpaceSnapshot {
    let judged = judge_all(input);
    let usage = Usage::count(input, &judged, &Orphans::of(input));
    let ends: Vec<_> = judged.iter().filter_map(end_of).collect();
    let history = History::join(input, &ends);
    let SnapshotFrame { provider, manager, decisions } = frame;
    let mut machines: Vec<MachineRow> =
        judged.iter().map(|m| machine_row(input, m, plan)).collect();
    machines.sort_by(|a, b| a.name.cmp(&b.name));
    let limits = [input.policy.processors_limit, input.quota.processors];
    SpaceSnapshot {
        format: 1,
        space: input.policy.space.clone(),
        provider,
        manager,
        generation: input.generation,
        at: input.now,
        processors_limit: limits.into_iter().flatten().min(),
        processors: usage.ours.processors,
        foreign_machines: usage.foreign.machines,
        foreign_processors: usage.foreign.processors,
        credential_expires: input.terms.credential_expires,
        side_resources_left: input.side.known,
        listing: listing_words(input.listing),
        alarms: plan.report.alarms.clone(),
        machinetypes: machinetype_rows(input, plan, &usage, &history),
        machines,
        decisions,
    }
}

fn machinetype_rows(
    input: &PlanInput<'_>,
    plan: &Plan,
    usage: &Usage<'_>,
    history: &History<'_>,
) -> Vec<MachinetypeRow> {
    let policies = || input.policy.machinetypes.values();
    let shares: f64 = policies().map(|policy| policy.target_share.weight()).sum();
    let own =
        |policy: &MachinetypePolicy| usage.types.get(&policy.name).copied().unwrap_or_default();
    let weights: f64 = policies().map(|policy| own(policy).weight(policy)).sum();
    let part = |of: f64, whole: f64| if whole > 0.0 { of / whole } else { 0.0 };
    policies()
        .map(|policy| {
            let own = own(policy);
            let reason = plan.report.machinetypes.get(&policy.name);
            MachinetypeRow {
                name: policy.name.clone(),
                entry: format!("{} {}", policy.entry, policy.entry_version),
                target: part(policy.target_share.weight(), shares),
                share: part(own.weight(policy), weights),
                phases: own.phases,
                processors: own.held.processors,
                reason: reason.map_or("none", |reason| reason.word()).to_owned(),
                why: reason.map_or_else(|| "not planned".to_owned(), ToString::to_string),
                last_abort: history.last_abort(policy).map(|end| end.at),
                last_end: history
                    .last_end(&policy.name)
                    .map(|end| format!("{} at {}", end.kind, end.at)),
                heartbeat_file: policy.heartbeat.as_ref().map(|rule| rule.file.clone()),
                history: Vec::new(),
            }
        })
        .collect()
}

/// When a machine is deleted if nothing else ends it before: the first of all ends that it has.
fn end_by(input: &PlanInput<'_>, machine: &Judged<'_>) -> Timestamp {
    let record = machine.record();
    let life = machine.policy.map(|policy| policy.max_wallclock);
    let worked = machine.started.zip(life).map(|(started, life)| started + life);
    let told = record.drain.as_ref().map(|drain| drain.by);
    let ends = [worked, told, input.ends_at()];
    ends.into_iter().flatten().fold(record.tags.deadline, Timestamp::min)
}

fn machine_row(input: &PlanInput<'_>, machine: &Judged<'_>, plan: &Plan) -> MachineRow {
    let record = machine.record();
    let address = match &machine.view.sighting {
        Sighting::Seen(instance) => instance.addresses.first().map(ToString::to_string),
        Sighting::NotSeen | Sighting::ProvenAbsent => None,
    };
    MachineRow {
        name: record.machine().clone(),
        machinetype: record.machinetype().clone(),
        phase: machine.phase.word().to_owned(),
        since: machine.phase.since(),
        intended: record.intended,
        deadline: record.tags.deadline,
        end_by: Some(end_by(input, machine)),
        instance: machine.instance.map(ToString::to_string),
        offering: record.offering.clone(),
        processors: record.processors,
        heartbeat: machine.view.heartbeat,
        drain_by: record.drain.as_ref().map(|drain| drain.by),
        address,
        note: note(machine, plan),
    }
}

/// What is special about a machine: the most important thing only.
fn note(machine: &Judged<'_>, plan: &Plan) -> Option<String> {
    let record = machine.record();
    if let Some(reason) = plan.report.held_back.get(record.machine()) {
        return Some(format!("held back, would be deleted: {reason}"));
    }
    if let Some(deletion) = &record.deletion {
        let calls = if deletion.attempts == 1 { "call" } else { "calls" };
        return Some(format!("{}; {} delete {calls}", deletion.reason, deletion.attempts));
    }
    if let Some(rejection) = &record.rejected {
        return Some(format!("create refused ({}): {}", rejection.kind, rejection.message));
    }
    if let Some(message) = &machine.view.message {
        return Some(format!("said: {message}"));
    }
    if let Some(drain) = &record.drain {
        return Some(format!("told to end by {}", drain.by));
    }
    machine.policy.is_none().then(|| "its machinetype is not configured any more".to_owned())
}
