//! What the owner of a space remembers between cycles. The files are for restart, take-over and people; in a
//! steady cycle nothing is read but heartbeats and requests. Loaded when an ownership begins, and again
//! whenever the state directory has failed us: what stands there is the truth.
//!
//! Only what is durable enters: every change here follows the write that it mirrors.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use vcycle_money::Community;

use super::clock_watch::ClockWatch;
use super::readiness::ReadinessLog;
use super::settling::Settling;
use super::side::SideWatch;
use super::terms::TermsMemory;
use crate::model::{
    Decision, Ended, InstanceId, MachineName, MachineRecord, MachineView, MachinetypeName,
    Offering, Processors, Quota, ShutdownMessage, Sighting, SpacePolicy, SpaceSnapshot,
    SpaceTenancy, Timestamp,
};
use crate::plan::{Asked, AskedTwice, QuotaStop};
use crate::store::{Archived, CorruptRecord, LoadedSpace};

/// Decisions that are shown.
const DECISIONS_SHOWN: usize = 50;

/// A refusal for quota is tried again after this long even if usage has not fallen: somebody may have
/// raised the quota, and not every cloud tells.
const QUOTA_STOP_LONGEST: Duration = Duration::from_secs(3600);

/// After a refusal of our credentials nothing is asked for that long but listings; then one more try shows
/// whether they were mended.
const AUTH_STOP: Duration = Duration::from_secs(600);

/// Everything remembered of one space under one ownership.
#[derive(Debug)]
pub struct SpaceMemory {
    /// Records in `current/`, by name.
    pub(crate) records: BTreeMap<MachineName, MachineRecord>,
    /// Records that cannot be read: while there are any, our own knowledge is partial.
    pub(crate) corrupt: Vec<CorruptRecord>,
    /// Since when we listen: heartbeats of before may have been missed.
    pub(crate) since: Timestamp,
    /// Since when our clock has been believed without a break; `None`: it is not.
    pub(crate) believed_since: Option<Timestamp>,
    /// Last words that were read from machines which have not been archived.
    pub(crate) messages: HashMap<MachineName, ShutdownMessage>,
    /// Machines whose last words were looked for and not found when they were first seen ended.
    pub(crate) silent: HashSet<MachineName>,
    /// Some machine has said its last words: the next cycle looks who.
    pub(crate) listen: bool,
    /// When a machine that is missing from the listings was last asked for directly.
    pub(crate) asked_for: HashMap<MachineName, Timestamp>,
    /// The offerings, and in how many more cycles they are asked for again.
    pub(crate) offerings: Option<(u32, Vec<Offering>)>,
    /// Heartbeat lists as last written.
    pub(crate) heartbeat_lists: BTreeMap<MachinetypeName, String>,
    /// The snapshot as last written to `plan.json`.
    pub(crate) saved: Option<SpaceSnapshot>,
    /// The state directory has failed us since this was filled.
    pub(crate) stale: bool,
    /// How long each machine has been known.
    pub(crate) settling: Settling,
    /// Whether the time can be believed.
    pub(crate) clock: ClockWatch,
    /// What was seen of volumes and ports.
    pub(crate) side: SideWatch,
    /// What the cloud has promised.
    pub(crate) terms: TermsMemory,
    /// The tenancy that the machines are in, once it is known.
    pub(crate) home: Option<SpaceTenancy>,
    /// The credentials led to another one: perhaps a person has accepted that meanwhile.
    pub(crate) is_away: bool,
    /// What was told of machinetypes that cannot be made yet.
    pub(crate) readiness: ReadinessLog,
    /// When a VM of an archived machine was last asked for directly.
    pub(crate) ghosts_asked_for: HashMap<MachineName, Timestamp>,
    /// When a machine was last tried for a community, to see whether there is work.
    pub(crate) tries: BTreeMap<Community, Timestamp>,
    asked_twice: AskedTwice,
    archived: BTreeMap<MachineName, (Timestamp, MachineRecord)>,
    archived_corrupt: HashSet<MachineName>,
    past_of_archived: Option<Vec<Ended>>,
    fizzles: BTreeMap<MachinetypeName, Duration>,
    quota_stop: Option<(QuotaStop, Quota)>,
    auth_stop: Option<(Timestamp, String)>,
    decisions: VecDeque<Decision>,
}

impl SpaceMemory {
    /// From what stands in the state directory; `now`: by our own clock.
    pub fn new(loaded: LoadedSpace, saved: Option<SpaceSnapshot>, now: Timestamp) -> Self {
        let decisions = saved.iter().flat_map(|s| s.decisions.iter().cloned()).collect();
        let mut memory = Self {
            records: BTreeMap::new(),
            corrupt: Vec::new(),
            since: now,
            believed_since: None,
            messages: HashMap::new(),
            silent: HashSet::new(),
            listen: false,
            asked_for: HashMap::new(),
            offerings: None,
            heartbeat_lists: BTreeMap::new(),
            saved,
            stale: false,
            settling: Settling::default(),
            clock: ClockWatch::default(),
            side: SideWatch::default(),
            terms: TermsMemory::default(),
            home: None,
            is_away: false,
            readiness: ReadinessLog::default(),
            ghosts_asked_for: HashMap::new(),
            tries: BTreeMap::new(),
            asked_twice: AskedTwice::new(),
            archived: BTreeMap::new(),
            archived_corrupt: HashSet::new(),
            past_of_archived: None,
            fizzles: BTreeMap::new(),
            quota_stop: None,
            auth_stop: None,
            decisions,
        };
        memory.refill(loaded);
        memory
    }

    /// With what this process has seen of its clocks under an earlier ownership.
    #[must_use]
    pub fn with_clock(self, clock: ClockWatch) -> Self {
        Self { clock, ..self }
    }

    /// What was seen of the clocks; the rest is forgotten.
    pub fn into_clock(self) -> ClockWatch {
        self.clock
    }

    /// Takes over what stands in the state directory now, after it has failed us.
    pub(crate) fn refill(&mut self, loaded: LoadedSpace) {
        let LoadedSpace {
            records,
            corrupt,
            archived,
            archived_corrupt,
            unfinished: _,
            strange: _,
            tenancy,
        } = loaded;
        self.home = tenancy;
        self.records = records.into_iter().map(|r| (r.machine().clone(), r)).collect();
        self.corrupt = corrupt;
        self.archived_corrupt = archived_corrupt.into_iter().map(|it| it.machine).collect();
        self.archived = archived
            .into_iter()
            .map(|Archived { machine, at, record }| (machine, (at, record)))
            .collect();
        self.past_of_archived = None;
        self.stale = false;
    }

    /// Whether the state directory has failed us, or holds what we could not read: perhaps it is mended.
    pub(crate) fn must_be_read_again(&self) -> bool {
        self.stale || !self.corrupt.is_empty()
    }

    /// Records that are not archived, by name.
    pub fn records(&self) -> &BTreeMap<MachineName, MachineRecord> {
        &self.records
    }

    /// Machines that may exist.
    pub(crate) fn places_held(&self) -> usize {
        let held = |record: &&MachineRecord| record.may_exist();
        self.records.values().filter(held).count() + self.corrupt.len()
    }

    /// Whether the record of a current machine cannot be read.
    pub(crate) fn is_corrupt(&self, machine: &MachineName) -> bool {
        self.corrupt.iter().any(|corrupt| corrupt.machine == *machine)
    }

    /// Whether the record of an archived machine cannot be read.
    pub(crate) fn is_archived_corrupt(&self, machine: &MachineName) -> bool {
        self.archived_corrupt.contains(machine)
    }

    /// A record was written.
    pub(crate) fn wrote(&mut self, record: MachineRecord) {
        self.records.insert(record.machine().clone(), record);
    }

    /// A machine's folder was moved to the archive.
    pub(crate) fn moved_to_archive(&mut self, machine: &MachineName, at: Timestamp) {
        self.messages.remove(machine);
        self.silent.remove(machine);
        self.asked_for.remove(machine);
        self.settling.forget(machine);
        if let Some(record) = self.records.remove(machine) {
            if let Some(past) = &mut self.past_of_archived {
                past.extend(record.how_it_ended(fizzle_of(&self.fizzles, &record)));
            }
            if self.archived.insert(machine.clone(), (at, record)).is_some() {
                self.past_of_archived = None;
            }
        }
    }

    /// Whether the archive has a folder of this machine.
    pub(crate) fn is_archived(&self, machine: &MachineName) -> bool {
        self.archived.contains_key(machine)
    }

    /// The record of a machine that was archived.
    pub(crate) fn archived(&self, machine: &MachineName) -> Option<&MachineRecord> {
        self.archived.get(machine).map(|(_, record)| record)
    }

    /// An archived folder was removed.
    pub(crate) fn expired(&mut self, machine: &MachineName) {
        self.archived.remove(machine);
        self.ghosts_asked_for.remove(machine);
        self.past_of_archived = None;
    }

    /// Archived machines with the time of their archiving.
    pub(crate) fn archive(&self) -> Vec<(MachineName, Timestamp)> {
        self.archived.iter().map(|(machine, (at, _))| (machine.clone(), *at)).collect()
    }

    /// Ends that the planner remembers: of archived machines and of those that still have their folder.
    pub(crate) fn past(&mut self, policy: &SpacePolicy) -> Vec<Ended> {
        let machinetypes = &policy.machinetypes;
        let fizzles: BTreeMap<_, _> =
            machinetypes.iter().map(|(name, policy)| (name.clone(), policy.fizzle)).collect();
        if self.fizzles != fizzles {
            self.fizzles = fizzles;
            self.past_of_archived = None;
        }
        let fizzles = &self.fizzles;
        let end = |record: &MachineRecord| record.how_it_ended(fizzle_of(fizzles, record));
        let archived = self.past_of_archived.get_or_insert_with(|| {
            self.archived.values().filter_map(|(_, record)| end(record)).collect()
        });
        let mut past = archived.clone();
        past.extend(self.records.values().filter_map(end));
        past
    }

    /// A delete call was made for a second VM of an intent. Not durable: after a restart it is made once more
    /// at once, which is harmless, while a record of it would have to outlive the VM's own record.
    pub(crate) fn asked_twice(&mut self, instance: &InstanceId, at: Timestamp) {
        let first = Asked { attempts: 0, last: at };
        let asked = self.asked_twice.entry(instance.clone()).or_insert(first);
        *asked = Asked { attempts: asked.attempts.saturating_add(1), last: at };
    }

    /// Second VMs for which a delete call was made, of those that still stand.
    pub(crate) fn standing_twice(&mut self, machines: &[MachineView]) -> AskedTwice {
        if !self.asked_twice.is_empty() {
            let standing = machines.iter().flat_map(|view| {
                let seen = match &view.sighting {
                    Sighting::Seen(instance) => Some(&**instance),
                    Sighting::ProvenAbsent | Sighting::NotSeen => None,
                };
                view.duplicates.iter().chain(seen).map(|instance| &instance.id)
            });
            let standing: HashSet<&InstanceId> = standing.collect();
            self.asked_twice.retain(|instance, _| standing.contains(instance));
        }
        self.asked_twice.clone()
    }

    /// The cloud refused for quota with this much in use.
    pub(crate) fn quota_refused(&mut self, at: Timestamp, used: Processors, quota: Quota) {
        self.quota_stop = Some((QuotaStop { at, used }, quota));
    }

    /// The standing refusal for quota; forgotten when usage has fallen, the quota has grown, or it is old.
    pub(crate) fn quota_stop(
        &mut self,
        now: Timestamp,
        used: Processors,
        quota: Quota,
    ) -> Option<QuotaStop> {
        let limits = |quota: Quota| (quota.machines, quota.processors, quota.memory);
        let (stop, then) = self.quota_stop?;
        let over = used < stop.used
            || limits(quota) != limits(then)
            || now.since(stop.at) >= QUOTA_STOP_LONGEST;
        if over {
            self.quota_stop = None;
        }
        self.quota_stop.map(|(stop, _)| stop)
    }

    /// A budget let one machine be tried for these.
    pub(crate) fn tried<'a>(&mut self, all: impl Iterator<Item = &'a Community>, now: Timestamp) {
        self.tries.extend(all.map(|community| (community.clone(), now)));
    }

    /// The cloud refused our credentials for a create, a resolve or a delete.
    pub(crate) fn auth_refused(&mut self, at: Timestamp, why: String) {
        self.auth_stop = Some((at, why));
    }

    /// What the cloud said when it refused our credentials, while that stands.
    pub(crate) fn auth_stop(&mut self, now: Timestamp) -> Option<&str> {
        if self.auth_stop.as_ref().is_some_and(|(at, _)| now.since(*at) >= AUTH_STOP) {
            self.auth_stop = None;
        }
        self.auth_stop.as_ref().map(|(_, why)| why.as_str())
    }

    /// Remembers decisions for people; the newest first.
    pub(crate) fn decided(&mut self, decisions: impl IntoIterator<Item = Decision>) {
        for decision in decisions {
            self.decisions.push_front(decision);
        }
        self.decisions.truncate(DECISIONS_SHOWN);
    }

    /// The last decisions, newest first.
    pub(crate) fn decisions(&self) -> Vec<Decision> {
        self.decisions.iter().cloned().collect()
    }
}

fn fizzle_of(fizzles: &BTreeMap<MachinetypeName, Duration>, record: &MachineRecord) -> Duration {
    fizzles.get(record.machinetype()).copied().unwrap_or_default()
}
