//! The brain: `plan(&PlanInput) -> Plan`. Pure, deterministic, explains itself: no IO, no clock,
//! no unseeded randomness, not async. Time and seed are fields of the input.
//!
//! Reading order: `judge` and `learn` (what follows from a sighting), `blast` (when to suspect
//! ourselves), `deletions`, `drains`, `housekeeping`, `side`; then for creations `usage`, `history`,
//! `breaker`, `ranking`, `offerings`, `gates`, `limits`, `spending`, `creations`; last `alarms`, `doubt`, `check`, `snapshot`.

mod alarms;
mod blast;
mod breaker;
mod check;
mod creations;
mod deletions;
mod doubt;
mod drains;
mod gates;
mod history;
mod housekeeping;
mod input;
mod judge;
mod learn;
mod limits;
mod offerings;
mod ranking;
mod rng;
mod side;
mod snapshot;
mod spending;
mod step;
mod usage;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{DeleteReason, LateRefusal, LateRejection, MachineName, Processors, Timestamp};

pub use check::{Violation, check};
pub use drains::grace_of;
pub use input::{
    Asked, AskedTwice, EndOfSpace, LeftBehind, Made, Orphan, PlanInput, QuotaStop, SpaceEnd,
    end_of_space,
};
pub use judge::lets_absence_be_proven;
pub use offerings::{first_choice, fits};
pub use snapshot::{SnapshotFrame, snapshot};
pub use spending::{Books, Costs, Known, Late, Pays, Spending, bookings};
pub use step::{Fact, NewMachine, Plan, Reason, Report, Step};
pub use words::{duration_words, listing_words};

use blast::{Blast, Looks, held_reason, looks};
use breaker::Breakers;
use deletions::Hold;
use drains::Drains;
use gates::Gatekeeper;
use history::{History, end_of};
use judge::{Judged, Sight, Sighted, judge, sight};
use usage::{Orphans, Usage};

/// What to do in this cycle, and why; also why not.
pub fn plan(input: &PlanInput<'_>) -> Plan {
    let (blast, machines) = sight_all(input);
    let orphans = Orphans::of(input);
    let drains = Drains::of(input.requests);
    let wanted = deletions::wanted_by_people(input);

    let mut judged = Vec::with_capacity(machines.len());
    let mut usage = Usage::of_others(input, &orphans);
    let mut ends = Vec::new();
    let mut steps = Steps::default();
    let mut held_back = BTreeMap::new();
    // One way through memory: with many machines that is what a plan costs.
    for machine in machines {
        let machine = judge(input, machine);
        usage.add_machine(&machine);
        ends.extend(end_of(&machine));
        steps.add_machine(input, &machine, &drains, &wanted, hold(&blast));
        let is_concluded = matches!(machine.sight, Sight::Absent);
        if blast.holds_back() && !is_concluded && !steps.deletes_last(&machine) {
            held_back.extend(held(input, &machine));
        }
        judged.push(machine);
    }
    let history = History::join(input, &ends);
    let adoptable = &orphans.adoptable;
    // A record that began at a wrong time would never settle.
    let adopted = adoptable.iter().filter(|_| input.clock.is_trusted());
    steps.housekeeping.extend(adopted.map(|orphan| housekeeping::plan_adoption(input, orphan)));
    steps.housekeeping.extend(housekeeping::plan_expiries(input));
    steps.housekeeping.extend(housekeeping::plan_closings(input, &judged, adoptable));

    steps.sweeps.extend(side::plan_sweeps(input));

    let breakers = Breakers::of(input, &history, &judged);
    let (blast, drains) = (&blast, &drains);
    let gates = Gatekeeper { input, blast, drains, history: &history, breakers: &breakers };
    let creations = creations::plan_creations(&gates, &usage, &judged);
    let concerns = alarms::Concerns {
        input,
        blast,
        breakers: &breakers,
        usage: &usage,
        orphans: &orphans,
        held_back: held_back.len(),
    };
    let report = Report {
        machinetypes: creations.reasons,
        alarms: alarms::alarms(&concerns, &judged),
        held_back,
    };
    // Not even what is known to be over is put away: a person looks first.
    let steps =
        if input.listing.is_elsewhere() { Vec::new() } else { steps.in_order(creations.machines) };
    Plan { steps, report }
}

/// Processors in use in the whole tenancy, as the cloud's quota is compared with them: machines
/// of ours that hold a place and foreign ones, or the cloud's own count with those of ours that
/// it may not know yet, whichever is more. The measure of [`QuotaStop::used`]: take it from the
/// input of the cycle in which the cloud refused.
pub fn processors_in_use(input: &PlanInput<'_>) -> Processors {
    Usage::count(input, &judge_all(input), &Orphans::of(input)).in_cloud(input).processors
}

/// Whether the cloud shows for the first time that it refuses an accepted machine for quota: the processors of all such
/// machines that still stand in the books. Without them no more than [`processors_in_use`] is known to be allowed.
pub fn refused_late_for_quota(input: &PlanInput<'_>) -> Option<Processors> {
    let is_quota = |refused: &LateRejection| refused.kind == LateRefusal::QuotaExceeded;
    let (mut is_news, mut all) = (false, Processors(0));
    for view in input.machines {
        let record = &view.record;
        let shown = match sight(input, view) {
            Sight::Seen(instance) => learn::refused_late(record, instance),
            Sight::Absent | Sight::Nothing => None,
        };
        let known = record.refused_late.as_ref().filter(|_| record.gone.is_none());
        if known.or(shown.as_ref()).is_some_and(is_quota) {
            is_news |= record.refused_late.is_none();
            all = all.plus(record.processors);
        }
    }
    is_news.then_some(all)
}

/// Judges all machines.
fn judge_all<'a>(input: &PlanInput<'a>) -> Vec<Judged<'a>> {
    let (_, machines) = sight_all(input);
    machines.into_iter().map(|machine| judge(input, machine)).collect()
}

/// Looks at all machines. Of a vanished machine that is held back nothing is known, so that it
/// keeps its place.
fn sight_all<'a>(input: &PlanInput<'a>) -> (Blast, Vec<Sighted<'a>>) {
    let mut machines: Vec<_> = input.machines.iter().map(|view| Sighted::of(input, view)).collect();
    let blast = Blast::count(input, &machines);
    if blast.holds_back() {
        hold_vanished(&blast, &mut machines, input.now);
    }
    (blast, machines)
}

/// Of the vanished machines, only the first by name are concluded to be gone.
fn hold_vanished(blast: &Blast, machines: &mut [Sighted<'_>], now: Timestamp) {
    let mut vanished: Vec<_> =
        machines.iter_mut().filter(|machine| looks(**machine, now) == Looks::Vanished).collect();
    vanished.sort_by_key(|machine| machine.view.record.machine());
    for machine in vanished.into_iter().skip(blast.allowance()) {
        machine.sight = Sight::Nothing;
    }
}

fn hold(blast: &Blast) -> Hold {
    if blast.holds_back() { Hold::Back } else { Hold::Nothing }
}

/// The machine with what would have been done to it, if it is held back.
fn held(input: &PlanInput<'_>, machine: &Judged<'_>) -> Option<(MachineName, DeleteReason)> {
    let reason = held_reason(looks(Sighted::of(input, machine.view), input.now))?;
    Some((machine.record().machine().clone(), reason))
}

/// Steps by class, in the order in which they are carried out.
#[derive(Default)]
struct Steps {
    facts: Vec<Step>,
    housekeeping: Vec<Step>,
    resolves: Vec<Step>,
    drains: Vec<Step>,
    deletes: Vec<Step>,
    sweeps: Vec<Step>,
}

impl Steps {
    fn add_machine(
        &mut self,
        input: &PlanInput<'_>,
        machine: &Judged<'_>,
        drains: &Drains<'_>,
        wanted: &deletions::Wanted<'_>,
        hold_back: Hold,
    ) {
        if machine.record().deployment() != input.deployment {
            // Not ours: it only keeps its place.
            return;
        }
        let name = machine.record().machine();
        let learn = |fact: &Fact| Step::Learn { machine: name.clone(), fact: fact.clone() };
        self.facts.extend(machine.facts.iter().map(learn));
        // While a second VM of its intent stands, the record must stay to say whose that is.
        let is_alone = machine.duplicates().next().is_none();
        if housekeeping::is_gone(machine) && is_alone {
            self.housekeeping.push(Step::Archive { machine: name.clone() });
        }
        self.resolves.extend(housekeeping::plan_resolve(input, machine));
        self.deletes.extend(deletions::plan_deletes(input, machine, wanted, hold_back));
        if !self.deletes_last(machine) {
            self.drains.extend(drains::plan_drain(input, machine, drains));
        }
    }

    /// Whether the machine that was added last is deleted itself (not a duplicate of it).
    fn deletes_last(&self, machine: &Judged<'_>) -> bool {
        let own = |step: &Step| match step {
            Step::Delete { machine: name, instance, reason: _ } => {
                name == machine.record().machine() && Some(instance) == machine.instance
            }
            Step::Learn { .. }
            | Step::Adopt { .. }
            | Step::Resolve { .. }
            | Step::Drain { .. }
            | Step::Create(_)
            | Step::Archive { .. }
            | Step::Expire { .. }
            | Step::Sweep { .. }
            | Step::CloseRequest { .. } => false,
        };
        let of_machine = |step: &&Step| step.machine() == Some(machine.record().machine());
        self.deletes.iter().rev().take_while(of_machine).any(own)
    }

    /// Sorted by class and name: the order of the input leaves no trace. Facts of one machine
    /// stay in the order in which they are written.
    fn in_order(mut self, creations: Vec<NewMachine>) -> Vec<Step> {
        self.facts.sort_by(|a, b| a.machine().cmp(&b.machine()));
        self.housekeeping.sort_by_cached_key(|step| (housekeeping_rank(step), step.to_string()));
        self.resolves.sort_by(|a, b| a.machine().cmp(&b.machine()));
        self.drains.sort_by(|a, b| a.machine().cmp(&b.machine()));
        self.deletes.sort_by(|a, b| delete_key(a).cmp(&delete_key(b)));
        // Two records of one VM must not happen; if it does, one call is enough.
        let mut asked = BTreeSet::new();
        self.deletes.retain(|step| asked.insert(delete_key(step).1.cloned()));
        let Self { facts, housekeeping, resolves, drains, deletes, sweeps } = self;
        let records = facts.into_iter().chain(housekeeping).chain(resolves);
        let creates = creations.into_iter().map(Step::Create);
        records.chain(drains).chain(deletes).chain(sweeps).chain(creates).collect()
    }
}

fn housekeeping_rank(step: &Step) -> u8 {
    match step {
        Step::Adopt { .. } => 0,
        Step::Archive { .. } => 1,
        Step::Expire { .. } => 2,
        Step::CloseRequest { .. } => 3,
        Step::Learn { .. }
        | Step::Resolve { .. }
        | Step::Drain { .. }
        | Step::Delete { .. }
        | Step::Sweep { .. }
        | Step::Create(_) => 4,
    }
}

fn delete_key(step: &Step) -> (Option<&MachineName>, Option<&crate::model::InstanceId>) {
    let instance = match step {
        Step::Delete { machine: _, instance, reason: _ } => Some(instance),
        Step::Learn { .. }
        | Step::Adopt { .. }
        | Step::Resolve { .. }
        | Step::Drain { .. }
        | Step::Create(_)
        | Step::Archive { .. }
        | Step::Expire { .. }
        | Step::Sweep { .. }
        | Step::CloseRequest { .. } => None,
    };
    (step.machine(), instance)
}
