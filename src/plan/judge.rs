//! What follows for one machine from its record and this cycle's sighting: what to learn, its
//! phase, and whether it looks dead. Decides nothing about deleting or creating.

use crate::model::{
    Identity, Instance, InstanceId, InstanceState, ListingState, MachineRecord, MachineView,
    MachinetypePolicy, Phase, ShutdownMessage, Sighting, Timestamp, phase_of,
};

use super::{Fact, PlanInput, doubt, learn};

/// What this cycle proves of a machine's VM.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sight<'a> {
    /// Listed, with our tags and the id that the record knows.
    Seen(&'a Instance),
    /// Proven not to exist: a direct get said so, and a listing that ran to its end lacks it.
    Absent,
    /// Nothing is proven.
    Nothing,
}

/// One machine with its rules and what this cycle proves of it, each looked up once: with many
/// machines the way through memory is what a plan costs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sighted<'a> {
    pub(super) view: &'a MachineView,
    /// `None`: its machinetype is not configured any more.
    pub(super) policy: Option<&'a MachinetypePolicy>,
    pub(super) sight: Sight<'a>,
}

impl<'a> Sighted<'a> {
    /// Looks at one machine.
    pub(super) fn of(input: &PlanInput<'a>, view: &'a MachineView) -> Self {
        let policy = input.policy.machinetypes.get(view.record.machinetype());
        Self { view, policy, sight: sight(input, view) }
    }
}

/// One machine with what follows from this cycle.
#[derive(Debug)]
pub(super) struct Judged<'a> {
    pub(super) view: &'a MachineView,
    /// `None`: its machinetype is not configured any more.
    pub(super) policy: Option<&'a MachinetypePolicy>,
    pub(super) sight: Sight<'a>,
    pub(super) phase: Phase,
    /// The cloud's id, from the record or from this sighting.
    pub(super) instance: Option<&'a InstanceId>,
    /// Since when it runs or ran, from the record or from this sighting.
    pub(super) started: Option<Timestamp>,
    /// New facts, in the order in which they must be written.
    pub(super) facts: Vec<Fact>,
}

impl Judged<'_> {
    /// As [`is_impostor`]; a machine that is seen is none.
    pub(super) fn is_impostor(&self) -> bool {
        !matches!(self.sight, Sight::Seen(_)) && is_impostor(self.view)
    }
}

/// Whether a listing can be believed: also in what it lacks.
pub(super) fn is_trusted(listing: &ListingState) -> bool {
    match listing {
        ListingState::Complete { started: _ } => true,
        ListingState::Shrunken { expected: _, missing: _ }
        | ListingState::Partial { why: _ }
        | ListingState::Elsewhere { ours: _, theirs: _ }
        | ListingState::Failed { kind: _, message: _ } => false,
    }
}

/// Whether a machine that a direct get did not find may be concluded to be gone. A shrunken listing
/// proves nothing itself, but as long as it shows some machine of ours we are looking at the right
/// place, and it does not unsay direct gets (docs/decisions/0006). With a clock that is doubted nobody
/// knows whether a machine has had the time to be shown (docs/decisions/0008).
pub fn lets_absence_be_proven(input: &PlanInput<'_>) -> bool {
    match input.listing {
        _ if !input.clock.is_trusted() => false,
        ListingState::Complete { started: _ } => true,
        ListingState::Shrunken { expected: _, missing: _ } => {
            let shows = |view: &MachineView| match &view.sighting {
                Sighting::Seen(instance) => carries_tags_of(instance, &view.record),
                Sighting::ProvenAbsent | Sighting::NotSeen => false,
            };
            input.machines.iter().any(shows)
        }
        ListingState::Partial { why: _ }
        | ListingState::Elsewhere { ours: _, theirs: _ }
        | ListingState::Failed { kind: _, message: _ } => false,
    }
}

/// Whether the cloud refused our credentials: then nothing at all is deleted.
pub(super) fn is_auth_failure(listing: &ListingState) -> bool {
    match listing {
        ListingState::Failed { kind, message: _ } => {
            kind == crate::model::ErrorKind::AuthFailed.word()
        }
        ListingState::Complete { started: _ }
        | ListingState::Shrunken { expected: _, missing: _ }
        | ListingState::Elsewhere { ours: _, theirs: _ }
        | ListingState::Partial { why: _ } => false,
    }
}

/// Whether a VM carries the tags of this record's machine.
pub(super) fn carries_tags_of(instance: &Instance, record: &MachineRecord) -> bool {
    match &instance.identity {
        Identity::Vcycle(tags) => {
            tags.deployment == record.tags.deployment
                && tags.space == record.tags.space
                && tags.intent == record.tags.intent
        }
        Identity::Foreign => false,
    }
}

/// What the sighting proves. A VM that does not carry the machine's tags proves nothing, and
/// absence is only believed of a VM whose id is known, when the listing ran to its end.
pub(super) fn sight<'a>(input: &PlanInput<'_>, view: &'a MachineView) -> Sight<'a> {
    let record = &view.record;
    match &view.sighting {
        Sighting::Seen(instance) => {
            let expected = record.instance.as_ref().is_none_or(|id| *id == instance.id);
            if expected && carries_tags_of(instance, record) {
                Sight::Seen(instance)
            } else {
                Sight::Nothing
            }
        }
        Sighting::ProvenAbsent if record.instance.is_some() && lets_absence_be_proven(input) => {
            Sight::Absent
        }
        Sighting::ProvenAbsent | Sighting::NotSeen => Sight::Nothing,
    }
}

/// Whether the VM behind the record's id is seen now with tags that are not this machine's: then
/// it is not ours any more, whatever the record says, and is never touched.
pub(super) fn is_impostor(view: &MachineView) -> bool {
    match &view.sighting {
        Sighting::Seen(instance) => {
            let is_expected = view.record.instance.as_ref().is_none_or(|id| *id == instance.id);
            is_expected && !carries_tags_of(instance, &view.record)
        }
        Sighting::ProvenAbsent | Sighting::NotSeen => false,
    }
}

/// The machine's own last words. What we wrote for it when we deleted it is not its own.
pub(super) fn own_message(view: &MachineView) -> Option<&ShutdownMessage> {
    let message = view.message.as_ref()?;
    let ours = view.record.deletion.as_ref().and_then(|d| d.reason.shutdown_message());
    (ours != Some(message.to_string().as_str())).then_some(message)
}

/// The phase by our record alone, as if nothing had been seen.
pub(super) fn remembered_phase(record: &MachineRecord) -> Phase {
    if let Some(gone) = &record.gone {
        return Phase::Gone { since: gone.at };
    }
    if let Some(rejection) = &record.rejected {
        return Phase::Gone { since: rejection.at };
    }
    if let Some(deletion) = &record.deletion {
        return Phase::Deleting { since: deletion.since };
    }
    if let Some(ended) = &record.ended {
        return Phase::Ended { since: ended.at };
    }
    match (record.started, &record.instance) {
        (Some(since), _) => Phase::Running { since },
        (None, Some(_)) => Phase::Starting { since: record.intended },
        (None, None) => Phase::Intended { since: record.intended },
    }
}

/// Judges one machine. Its sight is `Nothing` when it is held back.
pub(super) fn judge<'a>(input: &PlanInput<'_>, machine: Sighted<'a>) -> Judged<'a> {
    let Sighted { view, policy, sight } = machine;
    let now = input.now;
    let record = &view.record;
    let phase = match sight {
        Sight::Seen(_) | Sight::Absent => phase_of(view, now),
        Sight::Nothing => remembered_phase(record),
    };
    let seen = match sight {
        Sight::Seen(instance) => Some(instance),
        Sight::Absent | Sight::Nothing => None,
    };
    let mut facts = learn::facts(input, view, sight);
    if !input.clock.is_trusted() {
        facts.retain(doubt::can_be_learned);
    }
    Judged {
        view,
        policy,
        sight,
        phase,
        instance: record.instance.as_ref().or(seen.map(|instance| &instance.id)),
        started: record.started.or_else(|| seen.and_then(|i| learn::start_of(i, now))),
        facts,
    }
}

impl<'a> Judged<'a> {
    /// What was seen of it.
    pub(super) fn sighted(&self) -> Sighted<'a> {
        Sighted { view: self.view, policy: self.policy, sight: self.sight }
    }

    /// Its record.
    pub(super) fn record(&self) -> &'a MachineRecord {
        &self.view.record
    }

    /// Further VMs of the same intent that still stand: each is one too many.
    pub(super) fn duplicates(&self) -> impl Iterator<Item = &'a Instance> {
        let known = self.record().instance.as_ref();
        let replaced = match (self.sight, &self.view.sighting) {
            (Sight::Absent | Sight::Nothing, Sighting::Seen(instance)) => Some(&**instance),
            // What is seen is the machine itself.
            (Sight::Seen(_), _) | (_, Sighting::ProvenAbsent | Sighting::NotSeen) => None,
        };
        let replaced = replaced.filter(|instance| known.is_some_and(|id| *id != instance.id));
        let others = self.view.duplicates.iter().chain(replaced);
        others.filter(move |instance| {
            instance.state != InstanceState::Gone
                && known != Some(&instance.id)
                && carries_tags_of(instance, self.record())
        })
    }

    /// Whether the cloud shows a VM of it now that exists (and may cost).
    pub(super) fn is_seen_existing(&self) -> bool {
        match self.sight {
            Sight::Seen(instance) => instance.state != InstanceState::Gone,
            Sight::Absent | Sight::Nothing => false,
        }
    }

    /// Whether it holds its place in limits: a record that is gone while the cloud still shows
    /// the VM holds it too.
    pub(super) fn holds_place(&self) -> bool {
        self.phase.holds_place() || self.is_seen_existing()
    }

    /// Whether it works or is about to, and has not yet lived as long as `fizzle`: it proves
    /// nothing so far. Machines without a start time are among them (the ancestor lost those).
    pub(super) fn proves_nothing_yet(&self, fizzle: std::time::Duration, now: Timestamp) -> bool {
        match self.phase {
            Phase::Intended { since: _ } | Phase::Starting { since: _ } => true,
            Phase::Running { since } => now.since(since) < fizzle,
            Phase::Ended { since: _ } | Phase::Deleting { since: _ } | Phase::Gone { since: _ } => {
                false
            }
        }
    }
}
