//! No limit is passed by what is made: everything that holds a place is counted anew, machines, further
//! VMs of their intents, VMs without a record, those of others, and what is made.

use std::collections::BTreeMap;

use crate::model::{
    Identity, InstanceId, InstanceState, MachinetypeName, Phase, Processors, Sighting,
};
use crate::plan::judge::{Judged, Sight};
use crate::plan::usage::{Count, of_orphan};
use crate::plan::{NewMachine, Orphan, PlanInput};

use super::{Set, Verdict, ensure};

const LAW: &str = "no limit is passed";

/// Whether all that is made has room in every limit.
pub(super) fn limits(
    input: &PlanInput<'_>,
    news: &[&NewMachine],
    judged: &[Judged<'_>],
) -> Verdict {
    let mut tally = Tally::of(input, judged);
    for new in news {
        let size = Count {
            machines: 1,
            processors: new.offering.processors,
            megabytes: new.offering.memory.0,
        };
        tally.add(&new.tags.machinetype, size, Holds::Starting);
        tally.unlisted.add(size);
    }
    let used = tally.in_cloud(input);
    let (policy, quota) = (input.policy, &input.quota);
    let quota_stop = input.quota_stop.map(|stop| stop.used);
    for (whose, limit) in [
        ("the space's limit", policy.processors_limit),
        ("the cloud's quota", quota.processors),
        ("the refused quota", quota_stop),
    ] {
        let used = used.processors;
        let is_lawful = limit.is_none_or(|limit| used <= limit);
        ensure(is_lawful, LAW, || format!("{whose}: {used} processors"))?;
    }
    for (whose, limit) in
        [("the space's limit", policy.machines_limit), ("the cloud's quota", quota.machines)]
    {
        let used = used.machines;
        let is_lawful = limit.is_none_or(|limit| used <= limit);
        ensure(is_lawful, LAW, || format!("{whose}: {used} machines"))?;
    }
    let has_memory = quota.memory.is_none_or(|limit| used.megabytes <= limit.0);
    ensure(has_memory, LAW, || format!("the cloud's quota: {} MB of memory", used.megabytes))?;
    own_limits(input, news, &tally)
}

/// A limit that was lowered below what exists is nobody's fault, as long as nothing is made.
fn own_limits(input: &PlanInput<'_>, news: &[&NewMachine], tally: &Tally<'_>) -> Verdict {
    for new in news {
        let name = &new.tags.machinetype;
        let Some(policy) = input.policy.machinetypes.get(name) else { continue };
        let (held, starting) = tally.types.get(name).copied().unwrap_or_default();
        let is_lawful = policy.processors_limit.is_none_or(|limit| held <= limit);
        ensure(is_lawful, LAW, || format!("{held} processors for {name}"))?;
        let is_lawful = policy.max_starting_processors.is_none_or(|limit| starting <= limit);
        ensure(is_lawful, LAW, || format!("{starting} starting processors for {name}"))?;
    }
    Ok(())
}

/// What holds a place.
#[derive(Default)]
struct Tally<'a> {
    ours: Count,
    /// Ours that the cloud's own count may lack.
    unlisted: Count,
    /// Held and starting processors.
    types: BTreeMap<&'a MachinetypeName, (Processors, Processors)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Starting,
    Place,
}

impl<'a> Tally<'a> {
    fn of(input: &PlanInput<'a>, judged: &[Judged<'a>]) -> Self {
        let mut tally = Self::default();
        for machine in judged {
            tally.add_machine(machine);
        }
        for orphan in lost(input) {
            let holds = match &orphan.instance.state {
                InstanceState::Pending | InstanceState::Unknown { word: _ } => Holds::Starting,
                InstanceState::Running
                | InstanceState::Stopped
                | InstanceState::Preempted
                | InstanceState::Failed { refusal: _, fault: _ }
                | InstanceState::Deleting
                | InstanceState::Gone => Holds::Place,
            };
            tally.add(&orphan.tags.machinetype, of_orphan(input, orphan), holds);
        }
        tally
    }

    fn add_machine(&mut self, machine: &Judged<'a>) {
        let record = machine.record();
        let size = Count { machines: 1, processors: record.processors, megabytes: record.memory.0 };
        for twin in machine.duplicates() {
            let processors = twin.processors.unwrap_or(record.processors);
            self.ours.add(Count { processors, ..size });
        }
        let is_seen = match machine.sight {
            Sight::Seen(instance) => instance.state != InstanceState::Gone,
            Sight::Absent | Sight::Nothing => false,
        };
        let holds = match machine.phase {
            Phase::Intended { since: _ } | Phase::Starting { since: _ } => Holds::Starting,
            Phase::Running { since: _ }
            | Phase::Ended { since: _ }
            | Phase::Deleting { since: _ } => Holds::Place,
            // Whatever our record says: what the cloud shows exists.
            Phase::Gone { since: _ } if is_seen => Holds::Place,
            Phase::Gone { since: _ } => return,
        };
        self.add(record.machinetype(), size, holds);
        if !is_seen {
            self.unlisted.add(size);
        }
    }

    fn add(&mut self, machinetype: &'a MachinetypeName, size: Count, holds: Holds) {
        self.ours.add(size);
        let (held, starting) = self.types.entry(machinetype).or_default();
        *held = held.plus(size.processors);
        if holds == Holds::Starting {
            *starting = starting.plus(size.processors);
        }
    }

    /// Everything in the tenancy: by our own count, or by the cloud's with what it may lack, whichever is
    /// more.
    fn in_cloud(&self, input: &PlanInput<'_>) -> Count {
        let (ours, unlisted, quota) = (self.ours, self.unlisted, &input.quota);
        let machines = ours.machines.saturating_add(input.strangers.machines);
        let processors = ours.processors.plus(input.strangers.processors);
        let told = |used: u64, unlisted: u64| used.saturating_add(unlisted);
        Count {
            machines: quota
                .machines_used
                .map_or(machines, |used| machines.max(used.saturating_add(unlisted.machines))),
            processors: quota
                .processors_used
                .map_or(processors, |used| processors.max(used.plus(unlisted.processors))),
            megabytes: quota.memory_used.map_or(ours.megabytes, |used| {
                ours.megabytes.max(told(used.0, unlisted.megabytes))
            }),
        }
    }
}

/// VMs of ours that no view counts.
fn lost<'a>(input: &PlanInput<'a>) -> Vec<&'a Orphan> {
    if input.orphans.is_empty() {
        return Vec::new();
    }
    let mut counted: Set<&InstanceId> = Set::default();
    for view in input.machines {
        counted.extend(&view.record.instance);
        counted.extend(view.duplicates.iter().map(|vm| &vm.id));
        match &view.sighting {
            Sighting::Seen(vm) => counted.extend([&vm.id]),
            Sighting::NotSeen | Sighting::ProvenAbsent => {}
        }
    }
    let is_ours = |orphan: &&Orphan| {
        orphan.tags.deployment == *input.deployment
            && orphan.tags.space == input.policy.space
            && orphan.instance.identity == Identity::Vcycle(orphan.tags.clone())
    };
    let exists = |orphan: &&Orphan| orphan.instance.state != InstanceState::Gone;
    let orphans = input.orphans.iter().filter(is_ours).filter(exists);
    orphans.filter(|orphan| !counted.contains(&orphan.instance.id)).collect()
}
