//! The laws of DESIGN section 5, as far as they can be seen from outside, checked whenever something takes
//! effect.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use vcycle::model::{
    DeleteReason, DeploymentId, InstanceId, IntentToken, MachineName, MachineRecord,
    MachinetypeName, Processors, Tags, Timestamp,
};
use vcycle_money::Book;
use vcycle_sim::{LogEntry, LogEvent, SimMachine};

use super::gate::space_of;
use super::host::Process;
use super::meter::Meter;
use super::pace::Pace;
use super::paid::Wrong;
use super::purse::BEGIN;
use super::rules::CapsFile;
use super::trace::{Trace, Who};
use super::weather::{Clocks, Shape};
use super::world::{size, space_name};
use crate::support::laws::Books;

/// For how long a limit that was replaced may still be filled, and a new stranger be overlooked, in milliseconds:
/// the setup of a cycle stands for the whole cycle, and listings take their time. The settle time comes on top.
const GRACE: u64 = 90_000;

/// How far true time and the time of a manager's decision may lie apart, in milliseconds.
const TOLERANCE: u64 = 30_000;

/// Sees everything.
#[derive(Debug)]
pub struct Judge {
    trace: Arc<Trace>,
    settle: u64,
    clocks: Clocks,
    pace: Pace,
    broken: Option<String>,
    spaces: Vec<SpaceBook>,
    begin: Timestamp,
    /// VMs that do not end themselves.
    without_timer: BTreeSet<InstanceId>,
    /// Where machines cost money.
    pub meter: Option<Meter>,
    pub stats: Stats,
}

/// What a life was about, to see that the simulation bites.
#[derive(Debug, Default, Clone, Copy)]
pub struct Stats {
    pub generations: u64,
    pub machines: u64,
    pub deletes: u64,
    pub late: u64,
    /// Machines that were made where they cost money.
    pub paid: u64,
    /// After so many of them no further one had room in some window.
    pub tight: u64,
    /// Machines that budgets have paid for.
    pub planned: u64,
    /// Machines that were there for 20 hours longer than they were to be, when peace began.
    pub overdue: u64,
    /// Extensions of reservations until then.
    pub extended: u64,
}

/// What is known of one space.
#[derive(Debug)]
struct SpaceBook {
    books: Books,
    seen: usize,
    /// Who made each generation.
    claims: BTreeMap<u64, u32>,
    /// When each was last renewed.
    renewed: BTreeMap<u64, u64>,
    /// Intents that were ever durable.
    intents: BTreeMap<MachineName, IntentToken>,
    /// Reasons that were ever durable.
    reasons: BTreeMap<MachineName, DeleteReason>,
    /// When the create call of an intent was begun.
    asked: BTreeMap<IntentToken, u64>,
    /// VMs that came so late that nobody could know of them any more.
    late: BTreeMap<InstanceId, Processors>,
    strangers: BTreeMap<InstanceId, (u64, Processors)>,
    /// Limits with the times from which they stood.
    limits: Vec<(u64, Processors)>,
    judged: BTreeSet<InstanceId>,
    deletes_wanted: BTreeSet<MachineName>,
    drains_wanted: BTreeSet<MachineName>,
    types_drained: BTreeSet<MachinetypeName>,
}

impl Judge {
    pub fn new(shape: &Shape, deployment: &DeploymentId, trace: Arc<Trace>) -> Self {
        let book = |(space, limit): (usize, &u32)| SpaceBook {
            books: Books::new(deployment.clone(), space_name(space)),
            seen: 0,
            claims: BTreeMap::new(),
            renewed: BTreeMap::new(),
            intents: BTreeMap::new(),
            reasons: BTreeMap::new(),
            asked: BTreeMap::new(),
            late: BTreeMap::new(),
            strangers: BTreeMap::new(),
            limits: vec![(0, Processors(*limit))],
            judged: BTreeSet::new(),
            deletes_wanted: BTreeSet::new(),
            drains_wanted: BTreeSet::new(),
            types_drained: BTreeSet::new(),
        };
        Self {
            trace,
            settle: millis(shape.settle),
            clocks: shape.clocks,
            pace: shape.pace,
            broken: None,
            spaces: shape.limits.iter().enumerate().map(book).collect(),
            begin: shape.purse.as_ref().map_or(BEGIN, |purse| purse.begin),
            without_timer: BTreeSet::new(),
            meter: shape
                .purse
                .as_ref()
                .map(|purse| Meter::new(purse, (millis(shape.settle), shape.clocks))),
            stats: Stats::default(),
        }
    }

    /// The first law that was broken.
    pub fn verdict(&self) -> Result<(), String> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    pub fn breaks(&mut self, law: String) {
        if self.broken.is_none() {
            self.trace.note(Who::WORLD, || format!("BROKEN: {law}"));
            self.broken = Some(law);
        }
    }

    /// Entries of a cloud's log that were judged.
    pub fn seen(&self, space: usize) -> usize {
        self.spaces[space].seen
    }

    /// A new limit.
    pub fn limit(&mut self, space: usize, limit: Processors) {
        let now = self.trace.now();
        self.spaces[space].limits.push((now, limit));
    }

    /// The file of the spend manager is another.
    pub fn caps(&mut self, file: &CapsFile) {
        let now = self.trace.now();
        if let Some(meter) = &mut self.meter {
            meter.file(now, file);
        }
    }

    /// A VM will not end itself.
    pub fn timer_stopped(&mut self, instance: InstanceId) {
        self.without_timer.insert(instance);
    }

    /// The law of money.
    pub fn money(&mut self) {
        let now = self.trace.now();
        if let Some(Err(law)) = self.meter.as_mut().map(|meter| meter.law(now)) {
            self.breaks(law);
        }
    }

    /// All is quiet: what is there longer than it was to be is booked.
    pub fn overdue(&mut self) {
        let now = self.trace.now();
        let Some(meter) = &self.meter else { return };
        if let Err(law) = meter.what_is_overdue_is_booked(now) {
            self.breaks(law);
        }
    }

    /// Peace begins.
    pub fn counts_overdue(&mut self) {
        let now = self.trace.now();
        if let Some(meter) = &self.meter {
            self.stats.overdue = meter.overdue_for_most_of_a_day(now);
            self.stats.extended = meter.paid.extended;
        }
    }

    /// The ledger agrees with the clouds, as far as it can while there is trouble.
    pub fn audits(&mut self, book: &Book) {
        let audited = self.meter.as_ref().map(|meter| meter.audit(book));
        if let Some(Err(Wrong::Broken(law))) = audited {
            self.breaks(law);
        }
    }

    pub fn delete_wanted(&mut self, space: usize, machine: MachineName) {
        self.spaces[space].deletes_wanted.insert(machine);
    }
    pub fn drain_wanted(&mut self, space: usize, machine: MachineName) {
        self.spaces[space].drains_wanted.insert(machine);
    }
    pub fn type_drained(&mut self, space: usize, machinetype: MachinetypeName) {
        self.spaces[space].types_drained.insert(machinetype);
    }

    /// The process that made the highest generation, and how long ago that was renewed.
    pub fn owner(&self, space: usize) -> Option<(u32, u64)> {
        let book = &self.spaces[space];
        let (generation, process) = book.claims.last_key_value()?;
        let renewed = book.renewed.get(generation).copied().unwrap_or(0);
        Some((*process, self.trace.now() - renewed))
    }

    /// A process has written a file.
    pub fn written(&mut self, process: &Process, path: &Path, content: &[u8]) {
        if path.starts_with("ledger/log") {
            return self.booked(content);
        }
        let Some(space) = space_of(path) else { return };
        let Some(book) = self.spaces.get_mut(space) else { return };
        let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
        match parts.as_slice() {
            [_, _, "owner", name] => match (name.parse::<u64>(), name.split_once(".renew")) {
                (Ok(generation), _) => {
                    self.stats.generations += 1;
                    let before = book.claims.insert(generation, process.number);
                    if before.is_some_and(|before| before != process.number) {
                        self.breaks(format!("generation {generation} was made twice"));
                    }
                }
                (Err(_), Some((generation, _))) => {
                    let generation = generation.parse().expect("a number");
                    book.renewed.insert(generation, self.trace.now());
                }
                (Err(_), None) => {}
            },
            [_, _, "current", _, "record.json"] => {
                // A folder that was swept has no record.
                let Ok(record) = serde_json::from_slice::<MachineRecord>(content) else { return };
                book.intents.insert(record.machine().clone(), *record.intent());
                self.trace.note(process.who(Some(space)), || says(&record));
                if let Some(deletion) = &record.deletion {
                    let reason = deletion.reason.clone();
                    book.reasons.entry(record.machine().clone()).or_insert(reason);
                }
            }
            _ => {}
        }
    }

    fn booked(&mut self, line: &[u8]) {
        let now = self.trace.now();
        let at = self.begin + std::time::Duration::from_millis(now);
        let Some(meter) = &mut self.meter else { return };
        if let Err(law) = meter.booked((now, at.as_millis()), line) {
            self.breaks(format!("the ledger: {law}"));
        }
    }

    /// Invariant 5: who begins to change a space has just proven that it owns it, so nobody else can yet.
    pub fn acts(&mut self, process: &Process, space: usize, what: &str) {
        let highest = self.spaces[space].claims.last_key_value();
        if highest.is_none_or(|(_, owner)| *owner != process.number) {
            let law = format!(
                "m{}#{} {what} of {}, and the highest generation is {highest:?}",
                process.host.number,
                process.number,
                space_name(space)
            );
            self.breaks(law);
        }
    }

    /// Invariants 3 and 5: an intent before the create call, under our own generation.
    pub fn creates(&mut self, process: &Process, space: usize, tags: &Tags) {
        self.acts(process, space, "creates a machine");
        let now = self.trace.now();
        if let Some(meter) = &mut self.meter {
            meter.asks(now, process.number, tags);
        }
        let book = &mut self.spaces[space];
        if book.intents.get(&tags.machine) != Some(&tags.intent) {
            return self.breaks(format!("no durable intent of {} before its create", tags.machine));
        }
        if book.claims.get(&tags.generation.0) != Some(&process.number) {
            let law = format!("{} is made under {}", tags.machine, tags.generation);
            return self.breaks(law);
        }
        if book.asked.insert(tags.intent, now).is_some() {
            self.breaks(format!("the intent of {} is asked for twice", tags.machine));
        }
    }

    /// Invariants 3, 4 and 6: what has happened in the cloud.
    pub fn cloud(&mut self, space: usize, entry: &LogEntry) {
        let at = millis(entry.at.since(self.begin));
        let (settle, trace) = (self.settle, self.trace.clone());
        let book = &mut self.spaces[space];
        book.seen += 1;
        match &entry.event {
            LogEvent::Created { instance, tags, offering, processors, .. } => {
                self.stats.machines += 1;
                let asked = book.asked.get(&tags.intent).copied().unwrap_or(0);
                let late = at - asked > settle / 2 + 1_000;
                trace.note(Who { space: Some(space), ..Who::WORLD }, || {
                    let late = if late { " LATE" } else { "" };
                    format!("there is {instance} of {}, {offering}, at {at}{late}", tags.machine)
                });
                if late {
                    self.stats.late += 1;
                    book.late.insert(instance.clone(), *processors);
                }
            }
            LogEvent::StrangerMade { instance, processors } => {
                book.strangers.insert(instance.clone(), (at, *processors));
            }
            LogEvent::Removed { instance } => {
                book.late.remove(instance);
                book.strangers.remove(instance);
                trace.note(Who { space: Some(space), ..Who::WORLD }, || {
                    format!("{instance} is no more at {at}")
                });
            }
            LogEvent::DeleteAsked { .. } => self.stats.deletes += 1,
            LogEvent::CreatedAlready { .. }
            | LogEvent::CreateRefused { .. }
            | LogEvent::PoweredOn { .. }
            | LogEvent::PoweredOff { .. } => {}
        }
        let most = book.most(at, settle);
        if let Err(law) = book.books.take(entry, most) {
            self.breaks(format!("{}: {law}", space_name(space)));
        }
        if let Err(law) = self.metered(space, entry) {
            self.breaks(law);
        }
    }

    /// The meter sees it, and the law is looked at.
    fn metered(&mut self, space: usize, entry: &LogEntry) -> Result<(), String> {
        let Some(meter) = &mut self.meter else { return Ok(()) };
        let where_and_when = (space, entry.at.as_millis());
        match &entry.event {
            LogEvent::Created { instance, tags, offering, processors, .. } => {
                let late = self.spaces[space].late.contains_key(instance);
                let made_of = (processors.0, offering.market);
                meter.created(where_and_when, (instance, tags, made_of), late)?;
                self.stats.paid += 1;
                (self.stats.tight, self.stats.planned) = (meter.tight, meter.planned);
            }
            LogEvent::Removed { instance } => meter.removed(where_and_when, instance),
            LogEvent::CreatedAlready { .. }
            | LogEvent::CreateRefused { .. }
            | LogEvent::DeleteAsked { .. }
            | LogEvent::StrangerMade { .. }
            | LogEvent::PoweredOn { .. }
            | LogEvent::PoweredOff { .. } => return Ok(()),
        }
        meter.law(millis(entry.at.since(self.begin)))
    }

    /// A delete rests on a durable reason, and on a true one.
    pub fn deletes(&mut self, space: usize, machine: &SimMachine, tags: &Tags) {
        let by_a_cap = self.meter.is_some();
        let now = self.begin + std::time::Duration::from_millis(self.trace.now());
        let book = &mut self.spaces[space];
        let Some(reason) = book.reasons.get(&tags.machine).cloned() else {
            return self.breaks(format!("{} is deleted without a durable reason", tags.machine));
        };
        let first = book.judged.insert(machine.id.clone());
        // With clocks that are minutes off a manager cannot but be wrong about times.
        // A cap that was lowered ends machines, too.
        let by_a_cap = by_a_cap && reason == DeleteReason::ShutdownTime;
        let must_be_true = first && self.clocks == Clocks::Mild && !by_a_cap;
        if must_be_true && !book.is_true((&reason, self.pace), (machine, tags), now) {
            self.breaks(format!("{} is deleted because {reason}: {machine:?}", tags.machine));
        }
    }

    /// What exists is not archived.
    pub fn buries(
        &mut self,
        process: &Process,
        space: usize,
        (machine, tags): (&SimMachine, &Tags),
    ) {
        if self.spaces[space].late.contains_key(&machine.id) {
            return;
        }
        let who = process.who(Some(space));
        self.breaks(format!("{who} archives {}, which exists: {machine:?}", tags.machine));
    }

    /// Everything that is there must be in the books.
    pub fn whole(&mut self, space: usize, machines: &[SimMachine], ours: &[(SimMachine, Tags)]) {
        let now = self.begin + std::time::Duration::from_millis(self.trace.now());
        let book = &self.spaces[space];
        let exist = machines.iter().filter(|machine| machine.exists);
        let used: Processors = exist.map(|machine| Processors(size(machine))).sum();
        if used != book.books.used() {
            let law = format!("{used} in the cloud, {} in the books", book.books.used());
            return self.breaks(law);
        }
        for (machine, tags) in ours.iter().filter(|(machine, _)| machine.exists) {
            if book.intents.get(&tags.machine) != Some(&tags.intent) {
                return self.breaks(format!("there never was an intent of {}", tags.machine));
            }
            let obeys = !self.without_timer.contains(&machine.id);
            let on = obeys && machine.started.is_some() && machine.ended.is_none();
            if on && now > tags.deadline + std::time::Duration::from_secs(1) {
                return self.breaks(format!("{} outlives its deadline", tags.machine));
            }
        }
    }
}

impl SpaceBook {
    /// What a create may fill up to: the highest limit that anybody may still work by, and what nobody may
    /// know of.
    fn most(&self, at: u64, settle: u64) -> Processors {
        let since = at.saturating_sub(GRACE + settle);
        let standing = self.limits.iter().rposition(|(from, _)| *from <= since).unwrap_or(0);
        let limit = self.limits[standing..].iter().map(|(_, limit)| *limit).max();
        let young =
            self.strangers.values().filter(|(from, _)| *from > since).map(|(_, size)| *size);
        let unknown: Processors = self.late.values().copied().chain(young).sum();
        limit.unwrap_or_default().plus(unknown)
    }

    /// Whether a reason is true of a machine, give or take the tolerance.
    fn is_true(
        &self,
        (reason, pace): (&DeleteReason, Pace),
        (machine, tags): (&SimMachine, &Tags),
        now: Timestamp,
    ) -> bool {
        let tolerance = std::time::Duration::from_millis(TOLERANCE);
        let longer = |since: Option<Timestamp>, than: std::time::Duration| {
            since.is_some_and(|since| now.since(since) + tolerance >= than)
        };
        match reason {
            DeleteReason::Ended | DeleteReason::CloudFault => {
                machine.ended.is_some() || machine.shutdown_message.is_some() || !machine.exists
            }
            DeleteReason::StartTimeout => {
                machine.started.is_none_or(|started| now.since(started) < tolerance * 2)
            }
            DeleteReason::MaxWallclock => longer(machine.started, pace.max_wallclock()),
            DeleteReason::Heartbeat => {
                machine.last_heartbeat.is_none_or(|beat| longer(Some(beat), pace.heartbeat()))
            }
            DeleteReason::Deadline => now + tolerance >= tags.deadline,
            DeleteReason::ShutdownTime => {
                self.drains_wanted.contains(&tags.machine)
                    || self.types_drained.contains(&tags.machinetype)
            }
            DeleteReason::Operator { who: _ } => self.deletes_wanted.contains(&tags.machine),
            DeleteReason::Duplicate => false,
        }
    }
}

/// The facts of a record that matter most to whoever reads a trace.
fn says(record: &MachineRecord) -> String {
    let MachineRecord { instance, rejected, deletion, gone, .. } = record;
    let rejected = rejected.as_ref().map(|rejected| &rejected.kind);
    let deletion = deletion.as_ref().map(|deletion| &deletion.reason);
    let gone = gone.as_ref().map(|gone| gone.evidence);
    format!(
        "  which says {instance:?}, rejected {rejected:?}, deletion {deletion:?}, gone {gone:?}"
    )
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("lives are short")
}
