//! The laws that every finished plan must keep. A violation is a bug of the planner: the cycle
//! refuses the whole plan, changes nothing and says so.
//!
//! Counts are made anew here, from the machines alone, so that a mistake in the planner's own
//! counting cannot hide itself.

use std::collections::BTreeMap;

use crate::model::{
    DeleteReason, Evidence, InstanceId, InstanceState, MachineName, MachineView, MachinetypeName,
    Processors, RequestWhat, Sighting, phase_of,
};

use super::judge::{
    Sight, carries_tags_of, is_auth_failure, is_impostor, is_trusted, lets_absence_be_proven,
    remembered_phase, sight,
};
use super::limits::Budget;
use super::{Fact, NewMachine, Plan, PlanInput, Reason, Step, doubt};

/// A law that a plan breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plan breaks a law ({law}): {detail}; it is refused as a whole, please report this")]
pub struct Violation {
    /// The law, in a few words.
    pub law: &'static str,
    /// What breaks it.
    pub detail: String,
}

pub(super) type Verdict = Result<(), Violation>;

pub(super) fn ensure(holds: bool, law: &'static str, detail: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Violation { law, detail: detail() }) }
}

/// Checks a plan against the laws.
pub fn check(input: &PlanInput<'_>, plan: &Plan) -> Result<(), Violation> {
    reasons(input, plan)?;
    order(plan)?;
    if plan.steps.is_empty() {
        return Ok(());
    }
    let machines: BTreeMap<_, _> =
        input.machines.iter().map(|view| (view.record.machine(), view)).collect();
    for step in &plan.steps {
        one_step(input, &machines, step)?;
    }
    doubt::law(input, plan)?;
    gone_only_with_proof(input, plan, &machines)?;
    deletes_are_few(input, plan)?;
    creates(input, plan, &machines)
}

/// Every machinetype has exactly one reason, and it says `created` exactly if something is made.
fn reasons(input: &PlanInput<'_>, plan: &Plan) -> Verdict {
    let law = "every machinetype has exactly one reason";
    let known: Vec<_> = input.policy.machinetypes.keys().collect();
    let told: Vec<_> = plan.report.machinetypes.keys().collect();
    ensure(known == told, law, || format!("configured {known:?}, explained {told:?}"))?;
    let mut made: BTreeMap<&MachinetypeName, (u32, Processors)> = BTreeMap::new();
    for new in news(plan) {
        let (machines, processors) = made.entry(&new.tags.machinetype).or_default();
        *machines += 1;
        *processors = processors.plus(new.offering.processors);
    }
    for (machinetype, reason) in &plan.report.machinetypes {
        let told = match reason {
            Reason::Created { machines, processors } => Some((*machines, *processors)),
            _ => None,
        };
        ensure(told == made.get(machinetype).copied(), "the reason tells what is made", || {
            format!("{machinetype}: {reason}")
        })?;
    }
    Ok(())
}

/// Facts, housekeeping, resolves, drains, deletes, creates.
fn order(plan: &Plan) -> Verdict {
    let rank = |step: &Step| match step {
        Step::Learn { .. } => 0,
        Step::Adopt { .. }
        | Step::Archive { .. }
        | Step::Expire { .. }
        | Step::CloseRequest { .. } => 1,
        Step::Resolve { .. } => 2,
        Step::Drain { .. } => 3,
        Step::Delete { .. } => 4,
        Step::Create(_) => 5,
    };
    ensure(plan.steps.is_sorted_by_key(rank), "steps come in their order", || {
        "a step comes before one that must be earlier".to_owned()
    })
}

fn news(plan: &Plan) -> impl Iterator<Item = &NewMachine> {
    plan.steps.iter().filter_map(|step| match step {
        Step::Create(new) => Some(new),
        Step::Learn { .. }
        | Step::Adopt { .. }
        | Step::Resolve { .. }
        | Step::Drain { .. }
        | Step::Delete { .. }
        | Step::Archive { .. }
        | Step::Expire { .. }
        | Step::CloseRequest { .. } => None,
    })
}

type Machines<'m, 'a> = BTreeMap<&'m MachineName, &'a MachineView>;

/// Every step concerns a machine of this deployment that the input has (or a new one).
fn one_step(input: &PlanInput<'_>, machines: &Machines<'_, '_>, step: &Step) -> Verdict {
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
        Step::Expire { machine } => ensure(
            input.archived.iter().any(|(archived, _)| archived == machine),
            "only archived folders are removed",
            || step.to_string(),
        ),
        Step::CloseRequest { id, because: _ } => ensure(
            input.requests.iter().any(|request| request.id == *id && is_about_one(&request.what)),
            "only requests about one machine are closed",
            || step.to_string(),
        ),
        Step::Create(_) => Ok(()),
    }
}

fn is_about_one(what: &RequestWhat) -> bool {
    match what {
        RequestWhat::DrainMachine { .. } | RequestWhat::DeleteMachine { .. } => true,
        RequestWhat::DrainMachinetype { .. } | RequestWhat::DrainSpace { .. } => false,
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
    let is_rejected = view.record.gone.is_some() && !by_tags;
    ensure(!is_rejected, "what is gone is not deleted", detail)?;
    let decided = view.record.deletion.as_ref().is_some_and(|d| d.reason == *reason);
    let rests_on_silence = *reason == DeleteReason::Heartbeat && !decided;
    ensure(
        !rests_on_silence || is_trusted(input.listing),
        "no delete for silence without a listing that can be believed",
        detail,
    )?;
    ensure(
        *reason != DeleteReason::Duplicate || view.record.instance.as_ref() != Some(instance),
        "the machine itself is not its own duplicate",
        detail,
    )
}

/// A machine is only taken for gone, and archived, with proof.
fn gone_only_with_proof(
    input: &PlanInput<'_>,
    plan: &Plan,
    machines: &Machines<'_, '_>,
) -> Verdict {
    let law = "a machine is only taken for gone with proof";
    let mut learned: Vec<&MachineName> = Vec::new();
    for step in &plan.steps {
        match step {
            Step::Learn { machine, fact: Fact::Gone { at: _, evidence } } => {
                let view = machines[machine];
                let proven = match evidence {
                    Evidence::Tombstone => is_tombstone(view),
                    Evidence::NotFound => {
                        view.sighting == Sighting::ProvenAbsent && lets_absence_be_proven(input)
                    }
                    Evidence::Rejected => view.record.rejected.is_some(),
                    Evidence::DeleteSaidGone | Evidence::NeverMade => false,
                };
                ensure(proven, law, || step.to_string())?;
                learned.push(machine);
            }
            Step::Archive { machine } => {
                let known = machines[machine].record.gone.is_some();
                // Steps of one kind are in the order of names.
                let told = learned.binary_search(&machine).is_ok();
                ensure(known || told, law, || step.to_string())?;
            }
            Step::Learn { .. }
            | Step::Adopt { .. }
            | Step::Resolve { .. }
            | Step::Drain { .. }
            | Step::Delete { .. }
            | Step::Create(_)
            | Step::Expire { .. }
            | Step::CloseRequest { .. } => {}
        }
    }
    Ok(())
}

fn is_tombstone(view: &MachineView) -> bool {
    match &view.sighting {
        Sighting::Seen(instance) => instance.state == InstanceState::Gone,
        Sighting::NotSeen | Sighting::ProvenAbsent => false,
    }
}

/// No VM is deleted twice in a plan, and silence never kills more than the blast radius.
fn deletes_are_few(input: &PlanInput<'_>, plan: &Plan) -> Verdict {
    let mut instances = Vec::new();
    let mut for_silence = 0_u32;
    for step in &plan.steps {
        if let Step::Delete { machine: _, instance, reason } = step {
            instances.push(instance);
            for_silence += u32::from(*reason == DeleteReason::Heartbeat);
        }
    }
    instances.sort_unstable();
    let twice = instances.windows(2).find(|pair| pair[0] == pair[1]);
    ensure(twice.is_none(), "no VM is deleted twice", || format!("{twice:?}"))?;
    ensure(
        plan.report.held_back.is_empty() || for_silence_is_decided(input, plan),
        "held-back machines are not deleted",
        || format!("{for_silence} deletes for silence beside held-back machines"),
    )
}

/// Deletes for silence beside held-back machines are repeats of earlier decisions only.
fn for_silence_is_decided(input: &PlanInput<'_>, plan: &Plan) -> bool {
    let decided: std::collections::BTreeSet<_> = input
        .machines
        .iter()
        .filter(|view| view.record.deletion.is_some() || view.message.is_some())
        .map(|view| view.record.machine())
        .collect();
    plan.steps.iter().all(|step| match step {
        Step::Delete { machine, instance: _, reason: DeleteReason::Heartbeat } => {
            decided.contains(machine)
        }
        _ => true,
    })
}

/// Creates: only when everything allows them, and within every limit.
fn creates(input: &PlanInput<'_>, plan: &Plan, machines: &Machines<'_, '_>) -> Verdict {
    let mut names = std::collections::BTreeSet::new();
    let mut made = (0_u32, Processors(0));
    let mut wanted = Tally::default();
    let offered: BTreeMap<_, _> = input.offerings.iter().map(|o| (&o.id, o)).collect();
    for new in news(plan) {
        one_create(input, new)?;
        let is_offered = offered.get(&new.offering.id) == Some(&&new.offering);
        ensure(is_offered, "only what is offered is made", || new.tags.machine.to_string())?;
        let is_new = names.insert(&new.tags.machine) && !machines.contains_key(&new.tags.machine);
        ensure(is_new, "a new machine has a new name", || new.tags.machine.to_string())?;
        wanted.add(&new.tags.machinetype, new.offering.processors, Holds::Starting);
        let too_fast = Budget::of(input).is_exceeded_by(made, new.offering.processors);
        ensure(!too_fast, "no faster than the pace", || format!("{made:?} and one more"))?;
        made = (made.0 + 1, made.1.plus(new.offering.processors));
    }
    if names.is_empty() {
        return Ok(());
    }
    ensure(
        is_trusted(input.listing),
        "nothing is made on a listing that cannot be believed",
        || format!("{:?}", input.listing),
    )?;
    ensure(plan.report.held_back.is_empty(), "nothing is made while we suspect ourselves", || {
        format!("{} held back", plan.report.held_back.len())
    })?;
    limits(input, wanted, made)
}

fn one_create(input: &PlanInput<'_>, new: &NewMachine) -> Verdict {
    let tags = &new.tags;
    let policy = input.policy.machinetypes.get(&tags.machinetype);
    let detail = || new.tags.machine.to_string();
    let is_wanted = policy.is_some_and(|policy| policy.target_share.weight() > 0.0);
    ensure(is_wanted, "only machinetypes with a share are made", detail)?;
    let in_time = tags.deadline > input.now
        && input.policy.shutdown_time.is_none_or(|end| tags.deadline <= end);
    ensure(in_time, "a machine ends before its space does", detail)?;
    let identity = tags.deployment == *input.deployment
        && tags.space == input.policy.space
        && tags.generation == input.generation;
    ensure(identity, "a new machine carries our identity", detail)
}

/// Processors that hold a place, counted from the machines alone.
#[derive(Default)]
struct Tally {
    machines: u32,
    processors: Processors,
    types: BTreeMap<MachinetypeName, (Processors, Processors)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Starting,
    Place,
}

impl Tally {
    fn add(&mut self, machinetype: &MachinetypeName, processors: Processors, holds: Holds) {
        self.machines += 1;
        self.processors = self.processors.plus(processors);
        let (held, starting) = match self.types.get_mut(machinetype) {
            Some(own) => own,
            None => self.types.entry(machinetype.clone()).or_default(),
        };
        *held = held.plus(processors);
        if holds == Holds::Starting {
            *starting = starting.plus(processors);
        }
    }
}

fn limits(input: &PlanInput<'_>, mut tally: Tally, made: (u32, Processors)) -> Verdict {
    let made_types: Vec<_> = tally.types.keys().cloned().collect();
    use crate::model::Phase;
    for view in input.machines {
        let phase = match sight(input, view) {
            Sight::Seen(_) | Sight::Absent => phase_of(view, input.now),
            Sight::Nothing => remembered_phase(&view.record),
        };
        let holds = match phase {
            Phase::Intended { since: _ } | Phase::Starting { since: _ } => Holds::Starting,
            Phase::Running { since: _ }
            | Phase::Ended { since: _ }
            | Phase::Deleting { since: _ } => Holds::Place,
            Phase::Gone { since: _ } => continue,
        };
        tally.add(view.record.machinetype(), view.record.processors, holds);
    }
    let processors = tally.processors.plus(input.strangers.processors);
    let machines = tally.machines.saturating_add(input.strangers.machines);
    let told = input.quota.processors_used.map_or(processors, |used| used.plus(made.1));
    let quota = processors.max(told);
    let (space, machine_limit) = (input.policy.processors_limit, input.policy.machines_limit);
    let law = "no limit is passed";
    let within = |limit: Option<Processors>, used: Processors| limit.is_none_or(|l| used <= l);
    ensure(within(space, processors), law, || format!("{processors} processors in the space"))?;
    ensure(within(input.quota.processors, quota), law, || {
        format!("{quota} processors in the cloud")
    })?;
    let most = [machine_limit, input.quota.machines].into_iter().flatten().min();
    ensure(most.is_none_or(|most| machines <= most), law, || format!("{machines} machines"))?;
    // A limit that was lowered below what exists is nobody's fault, as long as nothing is made.
    for name in &made_types {
        let Some(policy) = input.policy.machinetypes.get(name) else { continue };
        let (held, starting) = tally.types.get(name).copied().unwrap_or_default();
        ensure(within(policy.processors_limit, held), law, || format!("{held} for {name}"))?;
        let is_lawful = within(policy.max_starting_processors, starting);
        ensure(is_lawful, law, || format!("{starting} starting for {name}"))?;
    }
    Ok(())
}
