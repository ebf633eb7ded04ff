//! Which machines are made in this cycle: again and again the machinetype that is furthest below
//! its target share, until each one has a reason why no more of it is made.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{BuildHasherDefault, DefaultHasher};

use crate::model::{
    EntryRef, MachineName, MachinetypeName, MachinetypePolicy, Offering, OfferingId, Processors,
    Tags,
};

use super::gates::Gatekeeper;
use super::judge::Judged;
use super::limits::{Budget, Full, check_limits};
use super::offerings::{Candidate, Choosing, Scarcity, Usable, best, candidates, spread, why_this};
use super::rng::Stream;
use super::spending::{Pays, Purse};
use super::usage::Usage;
use super::{Made, NewMachine, PlanInput, Reason};

/// What is made, and the one reason of each machinetype.
pub(super) struct Creations {
    pub(super) machines: Vec<NewMachine>,
    pub(super) reasons: BTreeMap<MachinetypeName, Reason>,
}

/// A machinetype while machines are chosen.
struct Contender<'a> {
    policy: &'a MachinetypePolicy,
    stream: Stream,
    tie: u64,
    candidates: Vec<Candidate<'a>>,
    /// Whether only one machine at a time may be made (after an abort).
    gated_until: Option<crate::model::Timestamp>,
    made: u32,
    processors: Processors,
    /// Why an offering cannot be paid for: what binds, whatever stops the dearer ones that are tried after it.
    unpaid: Option<Reason>,
    /// Why no (more) machine is made; `None`: still in the running.
    stopped: Option<Reason>,
}

/// The choice of machines in progress.
struct Wave<'w, 'a> {
    input: &'w PlanInput<'a>,
    usage: Usage<'a>,
    budget: Budget,
    made: Made,
    purse: Purse<'a>,
    /// The pace is exhausted; the machinetype that would have been next.
    next_cycle: Option<&'a MachinetypeName>,
    /// A machinetype waits for room: others may not pass this weight for each share.
    kept_free: Option<(f64, &'a MachinetypeName)>,
    machines: Vec<NewMachine>,
    names: Names<'a>,
}

type NameSet<'a> = HashSet<&'a str, BuildHasherDefault<DefaultHasher>>;

/// Names that are taken, collected only when a machine is made.
struct Names<'a> {
    existing: Vec<&'a MachineName>,
    taken: Option<NameSet<'a>>,
    made: BTreeSet<MachineName>,
}

/// Chooses the machines to make.
pub(super) fn plan_creations<'a>(
    gates: &Gatekeeper<'_, 'a>,
    usage: &Usage<'a>,
    judged: &'a [Judged<'a>],
) -> Creations {
    let by_type = group_working(judged);
    let scarcity = Scarcity::of(gates.history, gates.input.now);
    let mut contenders: Vec<Contender<'a>> = gates
        .input
        .policy
        .machinetypes
        .values()
        .map(|policy| {
            let machines = by_type.get(&policy.name).map_or(&[][..], Vec::as_slice);
            enter(gates, policy, machines, &scarcity)
        })
        .collect();
    let mut wave = Wave {
        input: gates.input,
        usage: usage.clone(),
        budget: Budget::of(gates.input),
        made: gates.input.made,
        purse: Purse::of(gates.input.spending),
        next_cycle: None,
        kept_free: None,
        machines: Vec::new(),
        names: Names { existing: existing_names(gates.input), taken: None, made: BTreeSet::new() },
    };
    while let Some(index) = next(&contenders, &wave.usage) {
        let contender = &mut contenders[index];
        if let Err(reason) = wave.make_one(contender) {
            contender.stopped = Some(contender.unpaid.take().unwrap_or(reason));
        }
    }
    let reasons = contenders.into_iter().map(Contender::reason).collect();
    Creations { machines: wave.machines, reasons }
}

/// Machines that work or are about to, by machinetype.
fn group_working<'a>(
    judged: &'a [Judged<'a>],
) -> BTreeMap<&'a MachinetypeName, Vec<&'a Judged<'a>>> {
    let mut by_type: BTreeMap<_, Vec<&Judged<'_>>> = BTreeMap::new();
    for machine in judged.iter().filter(|machine| machine.phase.counts_for_share()) {
        by_type.entry(machine.record().machinetype()).or_default().push(machine);
    }
    by_type
}

/// A machinetype enters with what stops it from the start, if anything does.
fn enter<'a>(
    gates: &Gatekeeper<'_, 'a>,
    policy: &'a MachinetypePolicy,
    machines: &[&'a Judged<'a>],
    scarcity: &Scarcity<'a>,
) -> Contender<'a> {
    let mut stream = Stream::new(gates.input, &policy.name);
    let tie = stream.draw();
    let mut contender = Contender {
        policy,
        stream,
        tie,
        candidates: Vec::new(),
        gated_until: gates.gated_until(policy),
        made: 0,
        processors: Processors(0),
        unpaid: None,
        stopped: gates.closed(policy),
    };
    if contender.stopped.is_some() {
        return contender;
    }
    let choosing = Choosing { breakers: gates.breakers, scarcity, machines, tie };
    contender.candidates = candidates(gates.input, policy, &choosing);
    let offering = best(policy, &contender.candidates).err();
    contender.stopped =
        gates.longer(policy, offering).or_else(|| gates.fizzle_gate(policy, machines));
    contender
}

/// The machinetype that is furthest below its target; ties are broken by its random number.
fn next(contenders: &[Contender<'_>], usage: &Usage<'_>) -> Option<usize> {
    let ratio = |contender: &Contender<'_>| contender.ratio(usage, 0.0);
    let mut best: Option<(usize, f64)> = None;
    for (index, contender) in contenders.iter().enumerate() {
        if contender.stopped.is_some() {
            continue;
        }
        let own = ratio(contender);
        let is_better = best.is_none_or(|(other, lowest)| {
            own.total_cmp(&lowest).then(contender.tie.cmp(&contenders[other].tie)).is_lt()
        });
        if is_better {
            best = Some((index, own));
        }
    }
    best.map(|(index, _)| index)
}

impl Contender<'_> {
    /// Its weight, and some more, for each unit of its target share.
    fn ratio(&self, usage: &Usage<'_>, more: f64) -> f64 {
        let weight = usage.types.get(&self.policy.name).map_or(0.0, |own| own.weight(self.policy));
        (weight + more) / self.policy.target_share.weight()
    }

    /// Nothing (more) is made of an offering in this cycle.
    fn is_out(&mut self, offering: &OfferingId, reason: Reason) {
        let out = self.candidates.iter_mut().find(|candidate| candidate.offering.id == *offering);
        if let Some(candidate) = out {
            candidate.usable = Usable::No(reason);
        }
    }

    fn reason(self) -> (MachinetypeName, Reason) {
        let reason = match (self.made, self.stopped) {
            (0, Some(reason)) => reason,
            (machines, _) => Reason::Created { machines, processors: self.processors },
        };
        (self.policy.name.clone(), reason)
    }
}

impl<'a> Wave<'_, 'a> {
    /// Makes one machine, or takes an offering out of the running, or says what stops this machinetype for the rest of the cycle.
    fn make_one(&mut self, contender: &mut Contender<'a>) -> Result<(), Reason> {
        let policy = contender.policy;
        if let Some(until) = contender.gated_until
            && let Some(waiting_for) = self.last_of(contender)
        {
            return Err(Reason::FizzleGate { waiting_for, until });
        }
        let Candidate { offering, usable, .. } = best(policy, &contender.candidates)?;
        let (offering, is_probe) = (*offering, *usable == Usable::OneProbe);
        let ratio = contender.ratio(&self.usage, policy.weight_of(offering.processors));
        if let Some((_, next)) = self.kept_free.filter(|(most, _)| ratio > *most) {
            return Err(Reason::OthersFirst { next: next.clone() });
        }
        check_limits(self.input, &self.usage, policy, offering).map_err(|full| match full {
            Full::Own(reason) => reason,
            Full::Shared { reason, can_wait } => {
                // Whoever lacks money has no use for room.
                if can_wait && contender.unpaid.is_none() {
                    // Without a single machine it gets the next room, whatever others do.
                    let has_none = contender.ratio(&self.usage, 0.0) <= 0.0;
                    self.keep_free(if has_none { 0.0 } else { ratio }, &policy.name);
                }
                reason
            }
        })?;
        if let Some(next) = self.next_cycle {
            return Err(Reason::OthersFirst { next: next.clone() });
        }
        if self.budget.is_exceeded_by(self.made, offering.processors) {
            self.next_cycle = Some(&policy.name);
            return Err(Reason::PaceLimit { per_cycle: self.budget.words() });
        }
        let mut tags = self.tags(contender);
        if let Some(end) = self.purse.ends_by(&tags, &offering.id) {
            tags.deadline = tags.deadline.min(end);
        }
        if tags.deadline < self.input.now + policy.min_wallclock
            && let Some(reason) = self.purse.too_late(&tags, &offering.id)
        {
            contender.is_out(&offering.id, reason);
            return Ok(());
        }
        match self.purse.pay(&tags, &offering.id, self.input.now) {
            // Another offering may be cheaper, or in an account that no cap is on.
            Err(reason) => {
                contender.unpaid.get_or_insert_with(|| reason.clone());
                contender.is_out(&offering.id, reason);
            }
            Ok(pays) => {
                let machine = tags.machine.clone();
                self.make(contender, (tags, offering, pays), is_probe);
                if is_probe {
                    contender.is_out(&offering.id, Reason::BreakerProbing { machine });
                }
                spread(&mut contender.candidates, &offering.id);
            }
        }
        Ok(())
    }

    fn last_of(&self, contender: &Contender<'_>) -> Option<MachineName> {
        let own = |new: &&NewMachine| new.tags.machinetype == contender.policy.name;
        self.machines.iter().rev().find(own).map(|new| new.tags.machine.clone())
    }

    /// Others may only go on as far as this machinetype would be with one machine more: so a
    /// machinetype with large machines gets room in the end, and the rest is not left unused.
    fn keep_free(&mut self, ratio: f64, machinetype: &'a MachinetypeName) {
        if self.kept_free.is_none_or(|(most, _)| ratio < most) {
            self.kept_free = Some((ratio, machinetype));
        }
    }

    /// Who the next machine of a machinetype will be.
    fn tags(&mut self, contender: &mut Contender<'a>) -> Tags {
        let policy = contender.policy;
        let (machine, intent) = loop {
            let (machine, intent) = contender.stream.identity(&policy.name);
            if self.names.take(&machine) {
                break (machine, intent);
            }
        };
        let input = self.input;
        let deadline = policy.deadline(input.now);
        Tags {
            deployment: input.deployment.clone(),
            space: input.policy.space.clone(),
            machinetype: policy.name.clone(),
            machine,
            intent,
            generation: input.generation,
            deadline: input.ends_at().map_or(deadline, |end| end.min(deadline)),
        }
    }

    fn make(
        &mut self,
        contender: &mut Contender<'a>,
        (tags, offering, pays): (Tags, &Offering, Pays),
        is_probe: bool,
    ) {
        let policy = contender.policy;
        let because = if is_probe {
            format!("one probe of {} after failures in a row", offering.id)
        } else {
            because(contender, self, &offering.id)
        };
        self.machines.push(NewMachine {
            tags,
            entry: EntryRef { name: policy.entry.clone(), version: policy.entry_version.clone() },
            offering: offering.clone(),
            pays,
            because,
        });
        self.usage.add_new(&policy.name, offering);
        self.made = self.made.and(offering.processors);
        contender.made += 1;
        contender.processors = contender.processors.plus(offering.processors);
    }
}

fn because(contender: &Contender<'_>, wave: &Wave<'_, '_>, offering: &OfferingId) -> String {
    let policies = || wave.input.policy.machinetypes.values();
    let weights: f64 = policies()
        .filter_map(|policy| Some(wave.usage.types.get(&policy.name)?.weight(policy)))
        .sum();
    let shares: f64 = policies().map(|policy| policy.target_share.weight()).sum();
    let policy = contender.policy;
    let own = wave.usage.types.get(&policy.name).map_or(0.0, |own| own.weight(policy));
    let share = if weights > 0.0 { own / weights } else { 0.0 };
    let why_this = why_this(&contender.candidates, offering);
    format!(
        "{} has {:.0} % of the running weight, its target is {:.0} %{}",
        policy.name,
        100.0 * share,
        100.0 * policy.target_share.weight() / shares,
        why_this.map(|why| format!("; {why}")).unwrap_or_default()
    )
}

/// Names that a new machine must not have: of records, orphans and archived folders.
fn existing_names<'a>(input: &PlanInput<'a>) -> Vec<&'a MachineName> {
    let PlanInput { machines, orphans, archived, .. } = input;
    let records = machines.iter().map(|view| view.record.machine());
    let orphans = orphans.iter().map(|orphan| &orphan.tags.machine);
    records.chain(orphans).chain(archived.iter().map(|(machine, _)| machine)).collect()
}

impl Names<'_> {
    /// Takes a name, if no machine of ours has it.
    fn take(&mut self, machine: &MachineName) -> bool {
        let existing = &self.existing;
        let taken =
            self.taken.get_or_insert_with(|| existing.iter().map(|name| name.as_str()).collect());
        !taken.contains(machine.as_str()) && self.made.insert(machine.clone())
    }
}
