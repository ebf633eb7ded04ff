//! Machines that a complete listing lacks: how many may be missing before the listing itself is suspected,
//! and direct questions for a few of them each cycle. Only `NotFound` proves absence.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use tracing::warn;
use vcycle_api::ErrorKind;

use super::join::{Match, judge, must_be_listed};
use super::{READS_AT_ONCE, Sources, SpaceMemory};
use crate::model::{
    Hearing, Identity, Instance, InstanceId, InstanceState, ListingState, MachineName,
    MachineRecord, MachineView, Sighting, Strangers, Timestamp,
};
use crate::plan::Orphan;

/// Machines asked for directly in one cycle whose end nobody asked for.
const ASKED_UNEXPECTED: usize = 20;
/// The same when the listing is suspected: then we go slowly.
const ASKED_WHEN_SHRUNKEN: usize = 5;
/// Machines asked for directly in one cycle that we have deleted: their absence is what we wait for.
const ASKED_DELETED: usize = 100;

/// What looking again has shown.
pub(super) struct Looked {
    /// Every record with its sighting, in the order of the records; without message and heartbeat yet.
    pub(super) views: Vec<MachineView>,
    /// How far the listing is believed.
    pub(super) listing: ListingState,
    /// Who was asked for, and when.
    pub(super) asked_for: Vec<(MachineName, Timestamp)>,
}

/// Judges a listing by what it lacks, and asks for the missing directly.
pub(super) async fn look(
    from: &Sources<'_>,
    memory: &SpaceMemory,
    unsettled: &HashSet<MachineName>,
    (answer, matches): (ListingState, Vec<Match>),
) -> Looked {
    let records = memory.records.values();
    let (listing, asked) = match &answer {
        ListingState::Complete { started } => {
            suspects((*started, unsettled), records.clone().zip(&matches), memory)
        }
        // Nothing follows from absence; `join` saw what there was to see.
        ListingState::Partial { why: _ }
        | ListingState::Failed { kind: _, message: _ }
        | ListingState::Elsewhere { ours: _, theirs: _ }
        | ListingState::Shrunken { expected: _, missing: _ } => (answer, Vec::new()),
    };
    let at = from.clock.now();
    let found = ask(from, &asked).await;
    let mut found = asked.iter().map(|suspect| suspect.position).zip(found).collect::<Vec<_>>();
    found.sort_by_key(|(position, _)| *position);
    let mut found = found.into_iter().peekable();
    let views = records.zip(matches).enumerate().map(|(position, (record, matched))| {
        let asked = found.next_if(|(of, _)| *of == position).map(|(_, sighting)| sighting);
        view(record, matched, asked)
    });
    let views = views.collect();
    let asked_for = asked.iter().map(|suspect| (suspect.record.machine().clone(), at)).collect();
    Looked { views, listing, asked_for }
}

fn view(record: &MachineRecord, matched: Match, asked: Option<Sighting>) -> MachineView {
    let Match { instance, duplicates } = matched;
    let sighting = match instance {
        Some(instance) => Sighting::Seen(Box::new(instance)),
        None => asked.unwrap_or(Sighting::NotSeen),
    };
    // Until the heartbeats are read nobody is silent.
    let hearing = Hearing::Deaf;
    let record = record.clone();
    MachineView { record, sighting, duplicates, heartbeat: None, hearing, message: None }
}

struct Suspect<'a> {
    position: usize,
    record: &'a MachineRecord,
    id: &'a InstanceId,
}

/// The verdict on a complete listing, and whom to ask for: those who were not asked for longest, then the oldest.
fn suspects<'a, 'm>(
    (started, unsettled): (Timestamp, &HashSet<MachineName>),
    records: impl Iterator<Item = (&'a MachineRecord, &'m Match)>,
    memory: &SpaceMemory,
) -> (ListingState, Vec<Suspect<'a>>) {
    let (mut expected, mut unexpected, mut deleted) = (0, Vec::new(), Vec::new());
    for (position, (record, matched)) in records.enumerate() {
        let Some(id) = record.instance.as_ref().filter(|_| must_be_listed(record, unsettled))
        else {
            continue;
        };
        let ours = record.deletion.is_some();
        expected += usize::from(!ours);
        if matched.instance.is_none() {
            let suspects = if ours { &mut deleted } else { &mut unexpected };
            suspects.push(Suspect { position, record, id });
        }
    }
    let listing = judge(started, expected, unexpected.len());
    let most = match listing {
        ListingState::Shrunken { expected, missing } => {
            warn!(expected, missing, "the listing has shrunk, so its absences are not believed");
            ASKED_WHEN_SHRUNKEN
        }
        ListingState::Complete { .. }
        | ListingState::Partial { .. }
        | ListingState::Elsewhere { .. }
        | ListingState::Failed { .. } => ASKED_UNEXPECTED,
    };
    let patience = |suspect: &Suspect<'_>| {
        let machine = suspect.record.machine();
        (memory.asked_for.get(machine).copied(), suspect.record.intended, machine.clone())
    };
    for (group, most) in [(&mut unexpected, most), (&mut deleted, ASKED_DELETED)] {
        group.sort_by_cached_key(patience);
        group.truncate(most);
    }
    unexpected.append(&mut deleted);
    (listing, unexpected)
}

/// Asks for each; stops asking when the cloud has had enough of us.
async fn ask(from: &Sources<'_>, suspects: &[Suspect<'_>]) -> Vec<Sighting> {
    let enough = AtomicBool::new(false);
    let questions: Vec<BoxFuture<'_, Sighting>> =
        suspects.iter().map(|suspect| ask_one(from, suspect, &enough).boxed()).collect();
    stream::iter(questions).buffered(READS_AT_ONCE).collect().await
}

async fn ask_one(from: &Sources<'_>, suspect: &Suspect<'_>, enough: &AtomicBool) -> Sighting {
    if enough.load(Ordering::Relaxed) {
        return Sighting::NotSeen;
    }
    match from.provider.get(suspect.id).await {
        Ok(instance) if answers(suspect.record, &instance) => {
            Sighting::Seen(Box::new(claimed(suspect.record, instance)))
        }
        Ok(_) => Sighting::NotSeen,
        Err(error) if error.kind == ErrorKind::NotFound => Sighting::ProvenAbsent,
        Err(error) => {
            warn!(machine = %suspect.record.machine(), %error, "could not ask for a machine");
            enough.store(true, Ordering::Relaxed);
            Sighting::NotSeen
        }
    }
}

/// Orphans that are real. A VM whose machine is in our archive was proven gone once: it may be a late listing,
/// or a leftover in the cloud's books that nobody can delete. Only a direct answer makes it real again;
/// else it is counted with the strangers, and left alone. Those are asked for who were not for longest, so that
/// leftovers never hide a machine.
pub(super) async fn without_ghosts(
    from: &Sources<'_>,
    memory: &mut SpaceMemory,
    (orphans, strangers): (Vec<Orphan>, &mut Strangers),
) -> Vec<Orphan> {
    let (mut doubtful, mut real): (Vec<_>, Vec<_>) =
        orphans.into_iter().partition(|orphan| memory.is_archived(&orphan.tags.machine));
    doubtful.sort_by_cached_key(|orphan| {
        let machine = &orphan.tags.machine;
        (memory.ghosts_asked_for.get(machine).copied(), machine.clone())
    });
    let asked = &doubtful[..doubtful.len().min(ASKED_UNEXPECTED)];
    let at = from.clock.now();
    memory.ghosts_asked_for.extend(asked.iter().map(|o| (o.tags.machine.clone(), at)));
    let questions: Vec<BoxFuture<'_, _>> =
        asked.iter().map(|orphan| from.provider.get(&orphan.instance.id)).collect();
    let answers: Vec<_> = stream::iter(questions).buffered(READS_AT_ONCE).collect().await;
    let mut answers = answers.into_iter();
    for orphan in doubtful {
        match answers.next() {
            Some(Ok(instance)) if instance.identity == orphan.instance.identity => {
                real.push(orphan)
            }
            Some(Ok(_) | Err(_)) | None => {
                strangers.machines = strangers.machines.saturating_add(1);
                let processors = orphan.instance.processors.unwrap_or_default();
                strangers.processors = strangers.processors.plus(processors);
            }
        }
    }
    real
}

/// What was refused after it had been accepted never carried tags that could say whose it is. A direct answer about
/// the id that the cloud gave for our intent is about our machine, and nothing stands there that could be another's.
fn claimed(record: &MachineRecord, instance: Instance) -> Instance {
    match (&instance.identity, &instance.state) {
        (Identity::Foreign, InstanceState::Failed { refusal: Some(_), fault: _ }) => {
            Instance { identity: Identity::Vcycle(record.tags.clone()), ..instance }
        }
        (Identity::Vcycle(_) | Identity::Foreign, _) => instance,
    }
}

/// Whether this VM can be the machine of the record: its id was remembered, but ids may be used again.
fn answers(record: &MachineRecord, instance: &Instance) -> bool {
    match &instance.identity {
        Identity::Vcycle(tags) => tags.intent == *record.intent(),
        Identity::Foreign => true,
    }
}
