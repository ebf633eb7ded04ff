//! Puts every listed VM in exactly one place: on its record, beside it as a duplicate, among the
//! orphans that we adopt, or among the strangers that we only count. Pure.
//!
//! Judged by tags first (they were set in the create call itself), by the cloud's id second. A VM
//! that carries another deployment's tags, or ours for another space, is a stranger whatever our
//! records say: invariant 6.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::model::{
    DeploymentId, Identity, Instance, InstanceId, InstanceState, IntentToken, ListingState,
    MachineName, MachineRecord, Offering, Processors, SpaceName, Strangers, Tags, Timestamp,
};
use crate::plan::Orphan;

/// Whose machines are ours, and what the flavours mean.
#[derive(Debug, Clone, Copy)]
pub struct Ours<'a> {
    /// Our deployment.
    pub deployment: &'a DeploymentId,
    /// The space.
    pub space: &'a SpaceName,
    /// For the processors of strangers whose cloud tells only the flavour.
    pub offerings: &'a [Offering],
}

/// The VMs of one record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Match {
    /// The machine.
    pub instance: Option<Instance>,
    /// More that carry the same intent.
    pub duplicates: Vec<Instance>,
}

/// A listing, sorted out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Joined {
    /// For each record, in the order given.
    pub matches: Vec<Match>,
    /// Ours, of this space, without a record; at most one of each intent and of each name.
    pub orphans: Vec<Orphan>,
    /// Everybody else who holds a place. Also VMs of ours that cannot be adopted yet (a second one of an
    /// orphan's intent: it is a duplicate as soon as the first has its record).
    pub strangers: Strangers,
    /// Listed tombstones of nobody's record: they exist no more, hold no place and need nothing.
    pub tombstones: usize,
}

/// Sorts a listing out. Each distinct id lands in exactly one place; a VM that is listed twice (it moved
/// between two pages) counts once. Linear in records and VMs.
pub fn join(ours: &Ours<'_>, records: &[&MachineRecord], listed: Vec<Instance>) -> Joined {
    let index = Index::of(records);
    let mut groups: Vec<Vec<Instance>> = vec![Vec::new(); records.len()];
    let mut lost: BTreeMap<IntentToken, Vec<(Tags, Instance)>> = BTreeMap::new();
    let mut strangers = Counter::new(ours);
    let mut tombstones = 0;
    let mut once = HashSet::with_capacity(listed.len());
    for instance in listed {
        if !once.insert(instance.id.clone()) {
            continue;
        }
        match index.place(ours, &instance) {
            Place::Record(record) => groups[record].push(instance),
            Place::Orphan(_) | Place::Stranger { other_deployment: _ }
                if instance.state == InstanceState::Gone =>
            {
                tombstones += 1;
            }
            Place::Orphan(tags) => {
                lost.entry(tags.intent).or_default().push((tags, instance));
            }
            Place::Stranger { other_deployment } => strangers.add(&instance, other_deployment),
        }
    }
    let matches =
        groups.into_iter().zip(records).map(|(group, record)| pick(record, group)).collect();
    let orphans = adoptable(lost, &index, &mut strangers);
    Joined { matches, orphans, strangers: strangers.sum, tombstones }
}

enum Place {
    Record(usize),
    Orphan(Tags),
    Stranger { other_deployment: bool },
}

struct Index<'a> {
    by_intent: HashMap<&'a IntentToken, usize>,
    by_id: HashMap<&'a InstanceId, usize>,
    names: HashSet<&'a MachineName>,
}

impl<'a> Index<'a> {
    fn of(records: &[&'a MachineRecord]) -> Self {
        let mut index = Self {
            by_intent: HashMap::with_capacity(records.len()),
            by_id: HashMap::with_capacity(records.len()),
            names: HashSet::with_capacity(records.len()),
        };
        for (position, record) in records.iter().copied().enumerate() {
            index.by_intent.insert(record.intent(), position);
            index.names.insert(record.machine());
            if let Some(id) = &record.instance {
                index.by_id.insert(id, position);
            }
        }
        index
    }

    fn place(&self, ours: &Ours<'_>, instance: &Instance) -> Place {
        let by_id = || self.by_id.get(&instance.id).copied();
        match &instance.identity {
            Identity::Vcycle(tags) if tags.deployment != *ours.deployment => {
                Place::Stranger { other_deployment: true }
            }
            Identity::Vcycle(tags) if tags.space != *ours.space => {
                Place::Stranger { other_deployment: false }
            }
            Identity::Vcycle(tags) => {
                match self.by_intent.get(&tags.intent).copied().or_else(by_id) {
                    Some(record) => Place::Record(record),
                    None => Place::Orphan(tags.clone()),
                }
            }
            // Its tags were lost, but we remember the id that the cloud gave to our intent.
            Identity::Foreign => match by_id() {
                Some(record) => Place::Record(record),
                None => Place::Stranger { other_deployment: false },
            },
        }
    }
}

struct Counter<'a> {
    flavours: HashMap<&'a str, Processors>,
    sum: Strangers,
}

impl<'a> Counter<'a> {
    fn new(ours: &Ours<'a>) -> Self {
        let flavours =
            ours.offerings.iter().map(|o| (o.id.flavour.as_str(), o.processors)).collect();
        Self { flavours, sum: Strangers::default() }
    }

    fn add(&mut self, instance: &Instance, other_deployment: bool) {
        let of_flavour = || {
            let id = instance.offering.as_ref()?;
            self.flavours.get(id.flavour.as_str()).copied()
        };
        let processors = instance.processors.or_else(of_flavour).unwrap_or_default();
        self.sum.machines = self.sum.machines.saturating_add(1);
        self.sum.processors = self.sum.processors.plus(processors);
        self.sum.other_deployments =
            self.sum.other_deployments.saturating_add(u32::from(other_deployment));
    }
}

/// One order for all choices between VMs of one intent: those that exist before tombstones, the oldest
/// first, and the id as the last word, so that every cycle chooses the same.
fn seniority(instance: &Instance) -> (bool, Timestamp, InstanceId) {
    let never = Timestamp::from_millis(i64::MAX);
    let tombstone = instance.state == InstanceState::Gone;
    (tombstone, instance.created.unwrap_or(never), instance.id.clone())
}

/// The machine of a record among the VMs that carry its intent: the one whose id the record remembers if
/// that exists, else the most senior. Tombstones beside it need nothing.
fn pick(record: &MachineRecord, mut group: Vec<Instance>) -> Match {
    group.sort_by_cached_key(|instance| {
        let remembered = record.instance.as_ref() == Some(&instance.id);
        let (tombstone, created, id) = seniority(instance);
        (tombstone, !remembered, created, id)
    });
    let mut group = group.into_iter();
    let instance = group.next();
    let duplicates = group.filter(|other| other.state != InstanceState::Gone).collect();
    Match { instance, duplicates }
}

fn adoptable(
    lost: BTreeMap<IntentToken, Vec<(Tags, Instance)>>,
    index: &Index<'_>,
    strangers: &mut Counter<'_>,
) -> Vec<Orphan> {
    let mut names = HashSet::new();
    let mut orphans = Vec::new();
    for (_, mut group) in lost {
        group.sort_by_cached_key(|(_, instance)| seniority(instance));
        for (position, (tags, instance)) in group.into_iter().enumerate() {
            let free = !index.names.contains(&tags.machine) && !names.contains(&tags.machine);
            if position == 0 && free {
                names.insert(tags.machine.clone());
                orphans.push(Orphan { tags, instance });
            } else {
                strangers.add(&instance, false);
            }
        }
    }
    orphans
}

/// Machines that may be missing from a complete listing before we suspect the listing.
const MISSING_ALLOWED: usize = 3;
/// Percentage of the machines known to exist that may be missing as well.
const MISSING_ALLOWED_PERCENT: usize = 30;

/// Whether a machine must be in a complete listing: the cloud has told its id, nothing says that it ended for
/// good, and the cloud has had the time to show it.
pub fn must_be_listed(record: &MachineRecord, unsettled: &HashSet<MachineName>) -> bool {
    record.instance.is_some()
        && record.gone.is_none()
        && record.rejected.is_none()
        && !unsettled.contains(record.machine())
}

/// How far a listing that calls itself complete is believed. `expected`: machines that must be listed and
/// whose end nobody asked for; `missing`: how many of those are not. When all of several are missing,
/// however few, perhaps the credentials lead to another project.
pub fn judge(started: Timestamp, expected: usize, missing: usize) -> ListingState {
    let allowed = MISSING_ALLOWED.max(expected * MISSING_ALLOWED_PERCENT / 100);
    let shows_none_of_several = expected > 1 && missing == expected;
    if missing > allowed || shows_none_of_several {
        ListingState::Shrunken { expected, missing }
    } else {
        ListingState::Complete { started }
    }
}

#[cfg(test)]
pub(super) mod tests;
