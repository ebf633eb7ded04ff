//! What is in use: by us, by others, by each machinetype. Everything that is not proven gone
//! holds its place, intents of unknown outcome and machines being deleted included.

use std::collections::BTreeMap;

use crate::model::{
    Identity, Instance, InstanceState, MachineView, MachinetypeName, MachinetypePolicy, Offering,
    OfferingId, Phase, PhaseCounts, Processors, Sighting,
};

use super::judge::{Judged, Sight};
use super::offerings::suits;
use super::{Orphan, PlanInput};

/// Machines with what they take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) machines: u32,
    pub(super) processors: Processors,
    pub(super) megabytes: u64,
}

impl Count {
    pub(super) fn add(&mut self, other: Self) {
        self.machines = self.machines.saturating_add(other.machines);
        self.processors = self.processors.plus(other.processors);
        self.megabytes = self.megabytes.saturating_add(other.megabytes);
    }
}

/// What one machinetype has.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TypeUsage {
    /// Everything that holds a place.
    pub(super) held: Count,
    /// Asked for, but not seen running yet.
    pub(super) starting: Processors,
    /// Working or about to: counts towards the target share.
    pub(super) sharing: Processors,
    /// By phase.
    pub(super) phases: PhaseCounts,
}

/// Everything in use in the tenancy.
#[derive(Debug, Clone, Default)]
pub(super) struct Usage<'a> {
    /// Ours, those of machinetypes that are not configured any more included.
    pub(super) ours: Count,
    /// Others'.
    pub(super) foreign: Count,
    /// Ours that this listing does not show, so that the cloud's own count may lack them.
    unlisted: Count,
    /// By machinetype.
    pub(super) types: BTreeMap<&'a MachinetypeName, TypeUsage>,
}

impl<'a> Usage<'a> {
    /// Counts.
    pub(super) fn count(
        input: &PlanInput<'a>,
        judged: &[Judged<'a>],
        orphans: &Orphans<'a>,
    ) -> Self {
        let mut usage = Self::of_others(input, orphans);
        for machine in judged {
            usage.add_machine(machine);
        }
        usage
    }

    /// Strangers and orphans: everything but the machines that have a record.
    pub(super) fn of_others(input: &PlanInput<'a>, orphans: &Orphans<'a>) -> Self {
        let mut usage = Self {
            foreign: Count {
                machines: input.strangers.machines,
                processors: input.strangers.processors,
                megabytes: 0,
            },
            ..Self::default()
        };
        for name in input.policy.machinetypes.keys() {
            usage.types.insert(name, TypeUsage::default());
        }
        for orphan in orphans.all() {
            let count = of_orphan(input, orphan);
            let type_usage = usage.types.entry(&orphan.tags.machinetype).or_default();
            type_usage.add_place(count, phase_word_of(&orphan.instance));
            usage.ours.add(count);
        }
        usage
    }

    /// Adds a machine that has a record.
    pub(super) fn add_machine(&mut self, machine: &Judged<'a>) {
        let record = machine.record();
        let count =
            Count { machines: 1, processors: record.processors, megabytes: record.memory.0 };
        for duplicate in machine.duplicates() {
            self.ours.add(Count {
                processors: duplicate.processors.unwrap_or(record.processors),
                ..count
            });
        }
        if !machine.holds_place() {
            return;
        }
        self.ours.add(count);
        match machine.sight {
            Sight::Seen(_) => {}
            Sight::Absent | Sight::Nothing => self.unlisted.add(count),
        }
        let type_usage = self.types.entry(record.machinetype()).or_default();
        type_usage.add_place(count, Place::of(machine.phase));
    }

    /// Adds a machine that this plan makes.
    pub(super) fn add_new(&mut self, machinetype: &'a MachinetypeName, offering: &Offering) {
        let count =
            Count { machines: 1, processors: offering.processors, megabytes: offering.memory.0 };
        self.ours.add(count);
        self.unlisted.add(count);
        self.types.entry(machinetype).or_default().add_place(count, Place::Intended);
    }

    /// Ours and foreign: what the limits of the policy are compared with.
    pub(super) fn all(&self) -> Count {
        let mut all = self.ours;
        all.add(self.foreign);
        all
    }

    /// What the cloud's quota is compared with: our own count, or the cloud's with those of ours
    /// that it may not know yet, whichever is more.
    pub(super) fn in_cloud(&self, input: &PlanInput<'_>) -> Count {
        let (all, told) = (self.all(), &input.quota);
        let machines = told.machines_used.map_or(0, |n| n.saturating_add(self.unlisted.machines));
        let processors =
            told.processors_used.map_or(Processors(0), |n| n.plus(self.unlisted.processors));
        let megabytes = told.memory_used.map_or(0, |n| n.0.saturating_add(self.unlisted.megabytes));
        Count {
            machines: all.machines.max(machines),
            processors: all.processors.max(processors),
            megabytes: all.megabytes.max(megabytes),
        }
    }
}

/// How a machine that holds a place counts.
#[derive(Debug, Clone, Copy)]
enum Place {
    Intended,
    Starting,
    Running,
    Ended,
    Deleting,
}

impl Place {
    fn of(phase: Phase) -> Self {
        match phase {
            Phase::Intended { since: _ } => Self::Intended,
            Phase::Starting { since: _ } => Self::Starting,
            Phase::Running { since: _ } => Self::Running,
            Phase::Ended { since: _ } => Self::Ended,
            // Gone by the record, but the cloud still shows it.
            Phase::Deleting { since: _ } | Phase::Gone { since: _ } => Self::Deleting,
        }
    }
}

impl TypeUsage {
    fn add_place(&mut self, count: Count, place: Place) {
        self.held.add(count);
        match place {
            Place::Intended | Place::Starting => {
                self.starting = self.starting.plus(count.processors);
                self.sharing = self.sharing.plus(count.processors);
            }
            Place::Running => self.sharing = self.sharing.plus(count.processors),
            Place::Ended | Place::Deleting => {}
        }
        let phases = &mut self.phases;
        let counter = match place {
            Place::Intended => &mut phases.intended,
            Place::Starting => &mut phases.starting,
            Place::Running => &mut phases.running,
            Place::Ended => &mut phases.ended,
            Place::Deleting => &mut phases.deleting,
        };
        *counter += 1;
    }

    /// What counts for the target share of its machinetype.
    pub(super) fn weight(&self, policy: &MachinetypePolicy) -> f64 {
        policy.weight_of(self.sharing)
    }
}

fn phase_word_of(instance: &Instance) -> Place {
    match &instance.state {
        InstanceState::Running => Place::Running,
        InstanceState::Pending | InstanceState::Unknown { word: _ } => Place::Starting,
        InstanceState::Stopped
        | InstanceState::Preempted
        | InstanceState::Failed { refusal: _, fault: _ } => Place::Ended,
        InstanceState::Deleting | InstanceState::Gone => Place::Deleting,
    }
}

/// What an orphan takes, as far as the cloud tells; else the most that it can be.
pub(super) fn of_orphan(input: &PlanInput<'_>, orphan: &Orphan) -> Count {
    let instance = &orphan.instance;
    let offering = instance.offering.as_ref().and_then(|id| known_offering(input, id));
    let processors = instance.processors.or(offering.map(|o| o.processors));
    let memory = instance.memory.or(offering.map(|o| o.memory));
    if let (Some(processors), Some(memory)) = (processors, memory) {
        return Count { machines: 1, processors, megabytes: memory.0 };
    }
    let policy = input.policy.machinetypes.get(&orphan.tags.machinetype);
    let can_be: Vec<&Offering> = could_be(input, policy)
        .into_iter()
        .filter(|offering| processors.is_none_or(|known| offering.processors == known))
        .filter(|offering| memory.is_none_or(|known| offering.memory == known))
        .collect();
    // Nothing is offered that it could be: then what its machinetype asks for.
    let asked = policy.map_or(Processors(1), |p| p.max_processors.unwrap_or(p.min_processors));
    let most_processors = || can_be.iter().map(|o| o.processors).max().unwrap_or(asked);
    let processors = processors.unwrap_or_else(most_processors).max(Processors(1));
    let for_each = policy.map_or(0, |policy| policy.mb_per_processor.0);
    let asked = for_each.saturating_mul(u64::from(processors.0));
    let most_memory = || can_be.iter().map(|o| o.memory.0).max().unwrap_or(asked);
    let megabytes = memory.map_or_else(most_memory, |memory| memory.0);
    Count { machines: 1, processors, megabytes }
}

/// Offerings of which a machine of this machinetype can have been made: all, if none suits (it is not
/// configured any more, or differently).
fn could_be<'a>(input: &PlanInput<'a>, policy: Option<&MachinetypePolicy>) -> Vec<&'a Offering> {
    let suiting: Vec<_> = input
        .offerings
        .iter()
        .filter(|offering| policy.is_some_and(|policy| suits(policy, offering)))
        .collect();
    if suiting.is_empty() { input.offerings.iter().collect() } else { suiting }
}

/// The offering, or one of the same flavour elsewhere.
fn known_offering<'a>(input: &PlanInput<'a>, id: &OfferingId) -> Option<&'a Offering> {
    let find = |is: &dyn Fn(&OfferingId) -> bool| input.offerings.iter().find(|o| is(&o.id));
    find(&|other| other == id).or_else(|| find(&|other| other.flavour == id.flavour))
}

/// VMs that are truly ours and exist, and are no record's. All count; each list in the order of names.
#[derive(Debug, Default)]
pub(super) struct Orphans<'a> {
    /// One of each machine that has no record.
    pub(super) adoptable: Vec<&'a Orphan>,
    /// More of a machine that has a record, or gets it now: duplicates as soon as that is known.
    pub(super) surplus: Vec<&'a Orphan>,
}

impl<'a> Orphans<'a> {
    /// Sorts them out.
    pub(super) fn of(input: &PlanInput<'a>) -> Self {
        let mut orphans: Vec<&Orphan> = input
            .orphans
            .iter()
            .filter(|orphan| {
                orphan.tags.deployment == *input.deployment
                    && orphan.tags.space == input.policy.space
                    && orphan.instance.identity == Identity::Vcycle(orphan.tags.clone())
                    && orphan.instance.state != InstanceState::Gone
            })
            .collect();
        if orphans.is_empty() {
            return Self::default();
        }
        let key = |orphan: &&'a Orphan| (&orphan.tags.machine, &orphan.instance.id);
        orphans.sort_by(|a, b| key(a).cmp(&key(b)));
        let known: BTreeMap<_, _> =
            input.machines.iter().map(|view| (view.record.machine(), view)).collect();
        let mut sorted = Self::default();
        for orphan in orphans {
            let is_next =
                sorted.adoptable.last().is_some_and(|o| o.tags.machine == orphan.tags.machine);
            match known.get(&orphan.tags.machine) {
                // It has a record after all.
                Some(view) if is_of(view, &orphan.instance) => {}
                None if !is_next => sorted.adoptable.push(orphan),
                Some(_) | None => sorted.surplus.push(orphan),
            }
        }
        sorted
    }

    fn all(&self) -> impl Iterator<Item = &'a Orphan> {
        self.adoptable.iter().chain(&self.surplus).copied()
    }
}

/// Whether a view counts this VM already.
fn is_of(view: &MachineView, instance: &Instance) -> bool {
    let seen = match &view.sighting {
        Sighting::Seen(seen) => Some(&**seen),
        Sighting::NotSeen | Sighting::ProvenAbsent => None,
    };
    let counted = seen.into_iter().chain(&view.duplicates).map(|vm| &vm.id);
    counted.chain(&view.record.instance).any(|id| *id == instance.id)
}
