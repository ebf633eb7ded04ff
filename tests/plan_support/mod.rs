//! A small model of a space for planner tests: records, a perfect cloud that does at once what it
//! is told, and a clock that stands still until it is moved. Shared by the planner's test files.
#![allow(clippy::wildcard_imports, reason = "a model of everything names everything")]
#![allow(dead_code, reason = "each test file uses its own part of the model")]

mod purse;

use std::collections::BTreeMap;
use std::time::Duration;

use vcycle::model::*;
use vcycle::plan::{
    AskedTwice, Fact, LeftBehind, Made, NewMachine, Orphan, Plan, PlanInput, QuotaStop, Step,
    check, plan,
};

pub(crate) use purse::*;

/// Midday of the day on which every test begins.
pub(crate) const NOON: Timestamp = Timestamp::from_secs(1_767_268_800);

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) fn minutes(minutes: u64) -> Duration {
    secs(60 * minutes)
}

pub(crate) fn hours(hours: u64) -> Duration {
    minutes(60 * hours)
}

pub(crate) fn machinetype_name(text: &str) -> MachinetypeName {
    MachinetypeName::parse(text).unwrap()
}

/// A machine's name from a short one: `a` becomes `vcycle-TYPE-a000000000`.
pub(crate) fn machine_name(machinetype: &str, short: &str) -> MachineName {
    MachineName::parse(&format!("vcycle-{machinetype}-{short:0<10}")).unwrap()
}

pub(crate) fn offering(flavour: &str, processors: u32) -> Offering {
    Offering {
        id: OfferingId { flavour: flavour.into(), zone: String::new(), market: Market::OnDemand },
        processors: Processors(processors),
        memory: Megabytes(u64::from(processors) * 2048),
        attached: Attached::default(),
        price: Price::Unknown,
        availability: Availability::Available,
    }
}

pub(crate) fn machinetype(name: &str, share: f64) -> MachinetypePolicy {
    MachinetypePolicy {
        name: machinetype_name(name),
        entry: EntryName::parse(name).unwrap(),
        entry_version: "1.0".into(),
        target_share: Share::new(share).unwrap(),
        min_processors: Processors(1),
        max_processors: None,
        flavors: Vec::new(),
        markets: Vec::new(),
        zones: Vec::new(),
        ranking: Ranking::Listed,
        mb_per_processor: Megabytes(2048),
        processors_limit: None,
        max_starting_processors: None,
        hs06_per_processor: None,
        backoff: minutes(10),
        fizzle: minutes(10),
        start_timeout: hours(1),
        max_wallclock: hours(24),
        min_wallclock: hours(1),
        heartbeat: None,
        outcomes: OutcomeRules::default(),
        breaker: Breaker { failures: 3, pause: minutes(30), pause_max: hours(4) },
        grace: minutes(10),
    }
}

/// Everything that a plan depends on, owned.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) clock: ClockTrust,
    pub(crate) seed: u64,
    pub(crate) deployment: DeploymentId,
    pub(crate) policy: SpacePolicy,
    pub(crate) machines: Vec<MachineView>,
    pub(crate) orphans: Vec<Orphan>,
    pub(crate) strangers: Strangers,
    pub(crate) listing: ListingState,
    pub(crate) quota: Quota,
    pub(crate) offerings: Vec<Offering>,
    pub(crate) past: Vec<Ended>,
    pub(crate) requests: Vec<OperatorRequest>,
    pub(crate) asked_twice: AskedTwice,
    pub(crate) quota_stop: Option<QuotaStop>,
    pub(crate) terms: Terms,
    pub(crate) readiness: BTreeMap<MachinetypeName, Readiness>,
    pub(crate) side: LeftBehind,
    pub(crate) interruptions: Vec<Interruption>,
    pub(crate) purse: Option<Purse>,
    pub(crate) made_before: Made,
    pub(crate) archived: Vec<(MachineName, Timestamp)>,
    /// What `Resolve` finds: `true`, the VM was made.
    pub(crate) lost_replies_made_vms: bool,
    made: u32,
}

impl World {
    /// A space of 100 processors with one flavour of one processor.
    pub(crate) fn new(machinetypes: Vec<MachinetypePolicy>) -> Self {
        Self {
            now: NOON,
            clock: ClockTrust::Trusted,
            seed: 7,
            deployment: DeploymentId::compose(1),
            policy: SpacePolicy {
                space: SpaceName::parse("cloud.example").unwrap(),
                processors_limit: Some(Processors(100)),
                machines_limit: None,
                pace: Pace::FractionOfLimit(0.1),
                shutdown_time: None,
                cleanup: hours(72),
                blast_radius: BlastRadius { machines: 3, fraction: 0.25 },
                taken_back_after: None,
                delete_pause: minutes(1),
                delete_pause_max: hours(1),
                hs23: BTreeMap::new(),
                machinetypes: machinetypes.into_iter().map(|m| (m.name.clone(), m)).collect(),
            },
            machines: Vec::new(),
            orphans: Vec::new(),
            strangers: Strangers::default(),
            listing: ListingState::Complete { started: NOON },
            quota: Quota::default(),
            offerings: vec![offering("m1", 1)],
            past: Vec::new(),
            requests: Vec::new(),
            asked_twice: AskedTwice::new(),
            quota_stop: None,
            terms: Terms::default(),
            readiness: BTreeMap::new(),
            side: LeftBehind::default(),
            interruptions: Vec::new(),
            purse: None,
            made_before: Made::default(),
            archived: Vec::new(),
            lost_replies_made_vms: false,
            made: 0,
        }
    }

    pub(crate) fn input(&self) -> PlanInput<'_> {
        PlanInput {
            now: self.now,
            clock: &self.clock,
            seed: self.seed,
            deployment: &self.deployment,
            generation: Generation(4),
            policy: &self.policy,
            machines: &self.machines,
            orphans: &self.orphans,
            strangers: self.strangers,
            listing: &self.listing,
            quota: self.quota,
            offerings: &self.offerings,
            past: &self.past,
            requests: &self.requests,
            asked_twice: &self.asked_twice,
            quota_stop: self.quota_stop,
            terms: &self.terms,
            readiness: &self.readiness,
            side: &self.side,
            interruptions: &self.interruptions,
            spending: self.purse.as_ref().map(Purse::view),
            made: self.made_before,
            archived: &self.archived,
        }
    }

    /// A plan that keeps the laws.
    pub(crate) fn plan(&self) -> Plan {
        let input = self.input();
        let plan = plan(&input);
        check(&input, &plan).unwrap();
        plan
    }

    pub(crate) fn policy_of(&mut self, name: &str) -> &mut MachinetypePolicy {
        self.policy.machinetypes.get_mut(&machinetype_name(name)).unwrap()
    }

    /// A record as it is right after the intent was written, `ago`.
    pub(crate) fn record(&self, machinetype: &str, short: &str, ago: Duration) -> MachineRecord {
        let asked = self.now - ago;
        let name = machinetype_name(machinetype);
        let machine = machine_name(machinetype, short);
        let offering = self.offerings.first().cloned().unwrap_or_else(|| offering("m1", 1));
        let policy = &self.policy.machinetypes;
        let deadline = policy.get(&name).map_or(asked + hours(25), |p| p.deadline(asked));
        let number = machine
            .as_str()
            .bytes()
            .fold(1_u128, |n, b| (n ^ u128::from(b)).wrapping_mul(0x0100_0000_0000_0000_0000_013b));
        MachineRecord {
            format: MachineRecord::FORMAT,
            tags: Tags {
                deployment: self.deployment.clone(),
                space: self.policy.space.clone(),
                machinetype: name.clone(),
                machine,
                intent: IntentToken::compose(number),
                generation: Generation(3),
                deadline,
            },
            written_by: Generation(3),
            manager: ManagerName::parse("manager-a").unwrap(),
            entry: EntryRef { name: EntryName::parse(machinetype).unwrap(), version: "1.0".into() },
            offering: offering.id,
            processors: offering.processors,
            memory: offering.memory,
            intended: asked,
            asked,
            outputs_token_sha256: "0".repeat(64),
            base_url: String::new(),
            instance: None,
            created: None,
            rejected: None,
            refused_late: None,
            started: None,
            ended: None,
            drain: None,
            deletion: None,
            gone: None,
        }
    }

    /// A view of a record that nothing is known of.
    pub(crate) fn unseen(record: MachineRecord) -> MachineView {
        MachineView {
            record,
            sighting: Sighting::NotSeen,
            duplicates: Vec::new(),
            heartbeat: None,
            hearing: Hearing::Since(Timestamp::from_millis(0)),
            message: None,
        }
    }

    /// A volume with these tags that nothing uses.
    pub(crate) fn left_behind(&mut self, id: &str, tags: Tags) -> &mut SideResource {
        let (kind, id) = ("volume".to_owned(), id.to_owned());
        self.side.known += 1;
        self.side.proven.push(SideResource { kind, id, tags, attached_to: None });
        self.side.proven.last_mut().unwrap()
    }

    /// A machine that has been running for some time and is seen so.
    pub(crate) fn running(
        &mut self,
        machinetype: &str,
        short: &str,
        since: Duration,
    ) -> &mut MachineView {
        let mut record = self.record(machinetype, short, since + minutes(2));
        record.created = Some(record.asked);
        record.instance = Some(instance_id(&record));
        record.started = Some(self.now - since);
        let mut vm = vm_of(&record, InstanceState::Running);
        vm.started = record.started;
        let mut view = Self::unseen(record);
        view.sighting = Sighting::Seen(Box::new(vm));
        self.machines.push(view);
        self.machines.last_mut().unwrap()
    }

    /// A machine that the cloud accepted some time ago and is still making.
    pub(crate) fn starting(
        &mut self,
        machinetype: &str,
        short: &str,
        since: Duration,
    ) -> &mut MachineView {
        let mut record = self.record(machinetype, short, since);
        record.created = Some(record.asked);
        record.instance = Some(instance_id(&record));
        let vm = vm_of(&record, InstanceState::Pending);
        let mut view = Self::unseen(record);
        view.sighting = Sighting::Seen(Box::new(vm));
        self.machines.push(view);
        self.machines.last_mut().unwrap()
    }

    /// An intent of unknown outcome.
    pub(crate) fn intended(
        &mut self,
        machinetype: &str,
        short: &str,
        since: Duration,
    ) -> &mut MachineView {
        let record = self.record(machinetype, short, since);
        self.machines.push(Self::unseen(record));
        self.machines.last_mut().unwrap()
    }

    /// A remembered end of a machine that had run for some time.
    pub(crate) fn past_run(
        &mut self,
        machinetype: &str,
        ago: Duration,
        ran: Duration,
        kind: EndKind,
    ) {
        self.past(machinetype, ago, kind);
        let end = self.past.last_mut().unwrap();
        end.started = Some(end.at - ran);
    }

    /// A remembered end.
    pub(crate) fn past(&mut self, machinetype: &str, ago: Duration, kind: EndKind) {
        let offering =
            self.offerings.first().map_or_else(|| offering("m1", 1).id, |o| o.id.clone());
        self.past.push(Ended {
            machinetype: machinetype_name(machinetype),
            offering,
            started: None,
            at: self.now - ago,
            kind,
        });
    }

    pub(crate) fn request(&mut self, who: &str, what: RequestWhat) {
        self.requests.push(OperatorRequest {
            format: 1,
            id: RequestId(format!("r{}", self.requests.len() + 1)),
            who: who.into(),
            at: self.now,
            what,
        });
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        if let ListingState::Complete { started } = &mut self.listing {
            *started = self.now;
        }
    }

    pub(crate) fn view(&mut self, machine: &MachineName) -> &mut MachineView {
        self.machines.iter_mut().find(|view| view.record.machine() == machine).unwrap()
    }

    fn is_trusted(&self) -> bool {
        matches!(self.listing, ListingState::Complete { .. })
    }

    /// Plans and applies until there is nothing left to do. Panics if that takes too long.
    pub(crate) fn settle(&mut self, most_cycles: usize) -> usize {
        for cycle in 0..most_cycles {
            let plan = self.plan();
            if plan.steps.is_empty() {
                return cycle;
            }
            self.apply(&plan);
        }
        panic!("not settled after {most_cycles} cycles: {:#?}", self.plan().steps);
    }

    /// Carries a plan out, with a cloud that does everything at once.
    pub(crate) fn apply(&mut self, plan: &Plan) {
        for step in &plan.steps {
            self.apply_step(step);
        }
    }

    fn apply_step(&mut self, step: &Step) {
        match step {
            Step::Learn { machine, fact } => learn(&mut self.view(machine).record, fact),
            Step::Adopt { tags, instance, offering, processors, memory, entry } => {
                self.adopt(tags, instance, offering, (*processors, *memory), entry);
            }
            Step::Resolve { machine, intent: _, asked: _ } => self.resolve(machine),
            Step::Drain { machine, drain } => self.view(machine).record.drain = Some(drain.clone()),
            Step::Delete { machine, instance, reason } => self.delete(machine, instance, reason),
            Step::Create(new) => self.create(new),
            Step::Archive { machine } => self.archive(machine),
            Step::Expire { machine } => self.archived.retain(|(name, _)| name != machine),
            Step::Sweep { resource } => self.side.proven.retain(|other| other != resource),
            Step::CloseRequest { id, because: _ } => {
                self.requests.retain(|request| request.id != *id);
            }
        }
    }

    fn adopt(
        &mut self,
        tags: &Tags,
        instance: &InstanceId,
        offering: &OfferingId,
        (processors, memory): (Processors, Megabytes),
        entry: &EntryRef,
    ) {
        let position = self.orphans.iter().position(|o| o.instance.id == *instance).unwrap();
        let orphan = self.orphans.remove(position);
        let mut record = self.record("dune", "x", Duration::ZERO);
        record.tags = tags.clone();
        record.entry = entry.clone();
        record.offering = offering.clone();
        record.processors = processors;
        record.memory = memory;
        record.instance = Some(instance.clone());
        record.created = Some(self.now);
        let mut view = Self::unseen(record);
        view.sighting = Sighting::Seen(Box::new(orphan.instance));
        // From now on the listing shows others of its intent beside it.
        let twins = self.orphans.extract_if(.., |other| other.tags.intent == tags.intent);
        view.duplicates = twins.map(|twin| twin.instance).collect();
        self.machines.push(view);
    }

    fn resolve(&mut self, machine: &MachineName) {
        let (now, made) = (self.now, self.lost_replies_made_vms);
        let view = self.view(machine);
        if made {
            view.record.instance = Some(instance_id(&view.record));
            view.record.created = Some(now);
            view.sighting = Sighting::Seen(Box::new(vm_of(&view.record, InstanceState::Pending)));
        } else {
            view.record.gone = Some(Gone { at: now, evidence: Evidence::NeverMade });
        }
    }

    fn delete(&mut self, machine: &MachineName, instance: &InstanceId, reason: &DeleteReason) {
        let (now, trusted) = (self.now, self.is_trusted());
        let view = self.view(machine);
        if *reason == DeleteReason::Duplicate {
            view.duplicates.retain(|vm| vm.id != *instance);
            if matches!(&view.sighting, Sighting::Seen(vm) if vm.id == *instance) {
                view.sighting = Sighting::NotSeen;
            }
            return;
        }
        let deletion = view.record.deletion.get_or_insert(Deletion {
            reason: reason.clone(),
            since: now,
            attempts: 0,
            last: now,
        });
        deletion.attempts += 1;
        deletion.last = now;
        view.sighting = match (&view.sighting, trusted) {
            (Sighting::Seen(_), true) => Sighting::ProvenAbsent,
            (Sighting::Seen(_), false) => Sighting::NotSeen,
            (Sighting::NotSeen | Sighting::ProvenAbsent, _) => {
                view.record.gone = Some(Gone { at: now, evidence: Evidence::DeleteSaidGone });
                Sighting::NotSeen
            }
        };
    }

    fn create(&mut self, new: &NewMachine) {
        self.made += 1;
        let mut record = self.record(new.tags.machinetype.as_str(), "x", Duration::ZERO);
        record.tags = new.tags.clone();
        record.entry = new.entry.clone();
        record.offering = new.offering.id.clone();
        record.processors = new.offering.processors;
        record.memory = new.offering.memory;
        record.created = Some(self.now);
        record.instance = Some(instance_id(&record));
        let vm = vm_of(&record, InstanceState::Pending);
        let mut view = Self::unseen(record);
        view.sighting = Sighting::Seen(Box::new(vm));
        self.machines.push(view);
        if let Some(purse) = &mut self.purse {
            purse.pay(&new.pays);
        }
    }

    fn archive(&mut self, machine: &MachineName) {
        let position = self.machines.iter().position(|v| v.record.machine() == machine).unwrap();
        let view = self.machines.remove(position);
        assert!(view.record.gone.is_some(), "archived without a durable proof: {machine}");
        let fizzle = self
            .policy
            .machinetypes
            .get(view.record.machinetype())
            .map_or(Duration::ZERO, |policy| policy.fizzle);
        self.past.extend(view.record.how_it_ended(fizzle));
        if let Some(purse) = &mut self.purse {
            purse.settle(&self.policy, &view.record, self.now);
        }
        self.archived.push((machine.clone(), self.now));
    }

    /// All machines that are starting begin to run now.
    pub(crate) fn boot_all(&mut self) {
        for view in &mut self.machines {
            if let Sighting::Seen(vm) = &mut view.sighting
                && vm.state == InstanceState::Pending
            {
                vm.state = InstanceState::Running;
                vm.started = Some(self.now);
            }
        }
    }

    /// A running machine stops by itself now, perhaps with last words.
    pub(crate) fn stop(&mut self, machine: &MachineName, words: Option<&str>) {
        let now = self.now;
        let view = self.view(machine);
        view.message = words.map(|words| ShutdownMessage::parse(words).unwrap());
        let Sighting::Seen(vm) = &mut view.sighting else { panic!("{machine} is not seen") };
        vm.state = InstanceState::Stopped;
        vm.ended = Some(now);
    }

    /// Processors of each machinetype that work or are about to.
    pub(crate) fn processors(&self) -> BTreeMap<MachinetypeName, u32> {
        let mut processors: BTreeMap<_, u32> = BTreeMap::new();
        for view in &self.machines {
            if phase_of(view, self.now).counts_for_share() {
                *processors.entry(view.record.machinetype().clone()).or_default() +=
                    view.record.processors.0;
            }
        }
        processors
    }
}

pub(crate) fn instance_id(record: &MachineRecord) -> InstanceId {
    InstanceId::parse(&format!("i-{}", record.machine())).unwrap()
}

/// A VM that carries the record's tags.
pub(crate) fn vm_of(record: &MachineRecord, state: InstanceState) -> Instance {
    Instance {
        id: record.instance.clone().unwrap_or_else(|| instance_id(record)),
        name: record.machine().to_string(),
        identity: Identity::Vcycle(record.tags.clone()),
        state,
        offering: Some(record.offering.clone()),
        processors: Some(record.processors),
        memory: Some(record.memory),
        created: Some(record.asked),
        started: None,
        ended: None,
        addresses: Vec::new(),
    }
}

fn learn(record: &mut MachineRecord, fact: &Fact) {
    match fact.clone() {
        Fact::Created { instance, at } => {
            record.instance = Some(instance);
            record.created = Some(at);
        }
        Fact::Started { at } => record.started = Some(at),
        Fact::RefusedLate(refused) => record.refused_late = Some(refused),
        Fact::Ended { at, state, message } => record.ended = Some(EndFact { at, state, message }),
        Fact::Gone { at, evidence } => record.gone = Some(Gone { at, evidence }),
    }
}

/// The steps of a plan as text.
pub(crate) fn texts(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(ToString::to_string).collect()
}

pub(crate) fn creates(plan: &Plan) -> Vec<&NewMachine> {
    plan.steps
        .iter()
        .filter_map(|step| match step {
            Step::Create(new) => Some(new),
            _ => None,
        })
        .collect()
}

pub(crate) fn deletes(plan: &Plan) -> Vec<(&MachineName, &DeleteReason)> {
    plan.steps
        .iter()
        .filter_map(|step| match step {
            Step::Delete { machine, instance: _, reason } => Some((machine, reason)),
            _ => None,
        })
        .collect()
}

/// The word of a machinetype's reason.
pub(crate) fn word(plan: &Plan, machinetype: &str) -> &'static str {
    plan.report.machinetypes[&machinetype_name(machinetype)].word()
}
