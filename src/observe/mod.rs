//! What a cycle knows: one listing of the cloud joined with the records in memory, plus heartbeats, last
//! words and requests from the state directory. Reads only, decides nothing; what could not be learned is
//! said, never replaced by an empty answer (invariant 2).

mod absent;
mod ask;
pub mod clock_watch;
pub mod join;
pub mod memory;
mod place;
mod readiness;
mod settling;
mod side;
mod terms;

use std::collections::HashSet;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use tracing::warn;
use vcycle_api::{Clock, Observe, ProviderError};

pub use clock_watch::{ClockLook, ClockReading, ClockWatch, Stepped};
pub use join::{Joined, Match, Ours, join};
pub use memory::SpaceMemory;

use ask::{Asked, Told};
use settling::Began;

use crate::model::{
    DeploymentId, Doors, Generation, Identity, InstanceState, Interruption, ListingState,
    MachineName, MachineRecord, MachineView, Offering, OperatorRequest, Quota, ShutdownMessage,
    Sighting, SpaceName, SpacePolicy, SpaceTenancy, Strangers, Terms, Timestamp,
};
use crate::plan::{LeftBehind, Orphan};
use crate::store::{Store, StoreError};

/// The file of a machine's last words.
const SHUTDOWN_MESSAGE: &str = "shutdown_message";

/// Reads of the cloud or the state directory that are under way at once.
const READS_AT_ONCE: usize = 8;

/// Where a cycle looks.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The cloud.
    pub provider: &'a dyn Observe,
    /// The state directory.
    pub store: &'a Store,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Ours.
    pub deployment: &'a DeploymentId,
    /// Where machines are heard.
    pub doors: &'a Doors,
    /// The space's rules.
    pub policy: &'a SpacePolicy,
}

impl Sources<'_> {
    fn space(&self) -> &SpaceName {
        &self.policy.space
    }
}

/// What a cycle knows.
#[derive(Debug, Clone)]
pub struct Observation {
    /// The time of the cycle: after everything here was learned.
    pub now: Timestamp,
    /// Every record that is not archived, with what is known of its machine.
    pub machines: Vec<MachineView>,
    /// Machines of ours without a record.
    pub orphans: Vec<Orphan>,
    /// Everybody else in the tenancy.
    pub strangers: Strangers,
    /// How far absence can be believed.
    pub listing: ListingState,
    /// Machines that the cloud may not show yet.
    pub unsettled: HashSet<MachineName>,
    /// Limits of the tenancy.
    pub quota: Quota,
    /// What can be made; empty when that, the quota, or the terms could not be learned.
    pub offerings: Vec<Offering>,
    /// What the cloud has promised.
    pub terms: Terms,
    /// Volumes and ports of ours that nothing uses.
    pub side: LeftBehind,
    /// Notices that machines will be taken back.
    pub interruptions: Vec<Interruption>,
    /// Standing requests of people.
    pub requests: Vec<OperatorRequest>,
    /// The tenancy that the cloud tells of, when none is known of the space yet.
    pub tenancy: Option<SpaceTenancy>,
    /// What could not be learned, for people.
    pub problems: Vec<String>,
}

impl Observation {
    /// The highest generation of a VM of ours that cannot be if the log is whole, when `ours` is the highest in it:
    /// one above it, or one of it without a record, since records come before VMs.
    pub fn outrun(&self, ours: Generation) -> Option<Generation> {
        let known = self.machines.iter().filter_map(seen_generation);
        let lost = self.orphans.iter().map(|orphan| orphan.tags.generation);
        known.filter(|by| *by > ours).chain(lost.filter(|by| *by >= ours)).max()
    }

    /// Whether a machine of ours is seen.
    pub fn shows_ours(&self) -> bool {
        self.machines.iter().any(|view| seen_generation(view).is_some())
    }
}

/// The generation on a machine's VM, if that is seen.
fn seen_generation(view: &MachineView) -> Option<Generation> {
    match &view.sighting {
        Sighting::Seen(instance) => match &instance.identity {
            Identity::Vcycle(tags) if tags.intent == view.record.tags.intent => {
                Some(tags.generation)
            }
            Identity::Vcycle(_) | Identity::Foreign => None,
        },
        Sighting::ProvenAbsent | Sighting::NotSeen => None,
    }
}

/// Looks once. Provider failures are part of the answer; an error is the state directory's: then nothing
/// can be known, and nothing may be done.
pub async fn observe(
    from: &Sources<'_>,
    memory: &mut SpaceMemory,
) -> Result<Observation, StoreError> {
    if memory.is_away {
        memory.home = from.store.tenancy(from.space()).await?;
    }
    let wanted = heartbeat_files(from.policy, memory);
    // Stamped before the call: what is asked for later cannot be missing from the answer.
    let started = from.clock.now();
    let began = Began { wall: started, monotonic: from.clock.monotonic() };
    let settle = from.provider.capabilities().settle;
    let unsettled = memory.settling.unsettled(&memory.records, began, settle);
    let (place, asked, heartbeats, requests) = futures::join!(
        place::ask(from.provider),
        Asked::ask(from.provider, memory, began),
        from.store.heartbeats(from.space(), &wanted),
        from.store.requests(from.space()),
    );
    let (heartbeats, requests) = (heartbeats?, requests?);
    let mut problems = Vec::new();
    let elsewhere = place::elsewhere(memory.home.as_ref(), &place);
    memory.is_away = matches!(elsewhere, Some(ListingState::Elsewhere { ours: _, theirs: _ }));
    let Told { answer, interruptions, quota, terms, side } = match elsewhere {
        None => asked.learned(memory, (began, settle), &mut problems),
        Some(state) => Told::nothing(state),
    };
    let known_offerings = memory.offerings.as_ref().map_or(&[][..], |(_, known)| known);
    let ours =
        Ours { deployment: from.deployment, space: from.space(), offerings: known_offerings };
    let records: Vec<&MachineRecord> = memory.records.values().collect();
    let joined = join(&ours, &records, answer.listed);
    let Joined { matches, orphans, mut strangers, tombstones: _ } = joined;
    let looked = absent::look(from, memory, &unsettled, (answer.state, matches)).await;
    let mut machines: Vec<MachineView> = looked.views;
    let listing = looked.listing;
    memory.asked_for.extend(looked.asked_for);

    read_last_words(from, memory, &machines).await?;
    let mut beats = wanted.iter().zip(heartbeats).peekable();
    for view in &mut machines {
        let machine = view.record.machine();
        view.message = memory.messages.get(machine).cloned();
        let beat = beats.next_if(|((of, _), _)| of == machine).and_then(|(_, beat)| beat);
        view.heartbeat = beat;
        view.hearing = from.doors.hearing(&view.record.base_url, memory.since);
    }
    let orphans = leave_unreadable_alone(orphans, memory);
    let orphans = absent::without_ghosts(from, memory, (orphans, &mut strangers)).await;
    let listing = doubt_ourselves(listing, memory);
    let can_make = quota.is_ok() && terms.is_ok();
    let offerings = if can_make { known_offerings_of(memory) } else { Vec::new() };
    let quota = told("quota", quota, &mut problems).unwrap_or_default();
    let terms = told("terms", terms, &mut problems).unwrap_or_default();
    let now = from.clock.now();
    Ok(Observation {
        now,
        machines,
        orphans,
        strangers,
        listing,
        unsettled,
        quota,
        offerings,
        terms,
        side,
        interruptions,
        requests,
        tenancy: place.ok().flatten().filter(|_| memory.home.is_none()),
        problems,
    })
}

fn told<T>(what: &str, answer: Result<T, ProviderError>, problems: &mut Vec<String>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(error) => {
            warn!(%error, what, "the cloud did not tell, so nothing is created");
            problems
                .push(format!("nothing is created: the cloud did not tell its {what}: {error}"));
            None
        }
    }
}

fn known_offerings_of(memory: &SpaceMemory) -> Vec<Offering> {
    memory.offerings.as_ref().map(|(_, known)| known.clone()).unwrap_or_default()
}

/// Which files are the heartbeats of machines that still exist, in the order of the records.
fn heartbeat_files(policy: &SpacePolicy, memory: &SpaceMemory) -> Vec<(MachineName, String)> {
    let file_of = |record: &MachineRecord| {
        let name = record.machinetype();
        let rule = policy.machinetypes.get(name)?.heartbeat.as_ref()?;
        Some(rule.file.clone())
    };
    let exists = |record: &&MachineRecord| record.gone.is_none() && record.rejected.is_none();
    let records = memory.records.values().filter(exists);
    records.filter_map(|r| Some((r.machine().clone(), file_of(r)?))).collect()
}

/// Reads the last words of machines that are newly seen to have ended, once; and after a wake-up those of
/// whoever has left some.
async fn read_last_words(
    from: &Sources<'_>,
    memory: &mut SpaceMemory,
    machines: &[MachineView],
) -> Result<(), StoreError> {
    let unknown = |view: &&MachineView| {
        let recorded = view.record.ended.as_ref().is_some_and(|end| end.message.is_some());
        !recorded && !memory.messages.contains_key(view.record.machine())
    };
    let (ended, alive): (Vec<_>, Vec<_>) =
        machines.iter().filter(unknown).partition(|view| seems_ended(view));
    let silent = |view: &&MachineView| !memory.silent.contains(view.record.machine());
    let mut wanted: Vec<&MachineView> = ended.iter().copied().filter(silent).collect();
    if memory.listen {
        let late = ended.into_iter().filter(|view| !silent(view));
        wanted.extend(who_has_left_some(from, alive.into_iter().chain(late).collect()).await?);
    }
    let reads: Vec<BoxFuture<'_, _>> =
        wanted.into_iter().map(|view| own_words(from, view).boxed()).collect();
    let read: Vec<_> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    for (view, text) in read {
        let machine = view.record.machine().clone();
        match text.as_deref().and_then(ShutdownMessage::parse) {
            Some(message) => {
                memory.messages.insert(machine, message);
            }
            None if seems_ended(view) => {
                memory.silent.insert(machine);
            }
            None => {}
        }
    }
    memory.listen = false;
    Ok(())
}

/// What a machine has written, if it was not us.
async fn own_words<'v>(
    from: &Sources<'_>,
    view: &'v MachineView,
) -> Result<(&'v MachineView, Option<String>), StoreError> {
    let text = from.store.shutdown_message(from.space(), view.record.machine()).await?;
    Ok((view, text.filter(|text| !written_by_us(&view.record, text))))
}

/// One look at all of them.
async fn who_has_left_some<'v>(
    from: &Sources<'_>,
    views: Vec<&'v MachineView>,
) -> Result<Vec<&'v MachineView>, StoreError> {
    let name = |view: &&MachineView| (view.record.machine().clone(), SHUTDOWN_MESSAGE.to_owned());
    let files: Vec<_> = views.iter().map(name).collect();
    let left = from.store.heartbeats(from.space(), &files).await?;
    Ok(views.into_iter().zip(left).filter_map(|(view, left)| left.map(|_| view)).collect())
}

fn seems_ended(view: &MachineView) -> bool {
    match &view.sighting {
        Sighting::ProvenAbsent => true,
        Sighting::NotSeen => false,
        Sighting::Seen(instance) => match &instance.state {
            InstanceState::Stopped
            | InstanceState::Preempted
            | InstanceState::Failed { refusal: _, fault: _ }
            | InstanceState::Deleting
            | InstanceState::Gone => true,
            InstanceState::Pending
            | InstanceState::Running
            | InstanceState::Unknown { word: _ } => false,
        },
    }
}

/// The message that we left for a machine when we deleted it is not its own.
fn written_by_us(record: &MachineRecord, text: &str) -> bool {
    let ours = record.deletion.as_ref().and_then(|deletion| deletion.reason.shutdown_message());
    ours == Some(text.trim_end())
}

/// A machine whose record cannot be read has one all the same: it is not adopted over it.
fn leave_unreadable_alone(mut orphans: Vec<Orphan>, memory: &SpaceMemory) -> Vec<Orphan> {
    orphans.retain(|o| memory.corrupt.iter().all(|c| c.machine != o.tags.machine));
    orphans
}

/// With records that cannot be read our own knowledge is partial, and then absence proves nothing and
/// nothing is created, exactly as if the cloud had told us only a part.
fn doubt_ourselves(listing: ListingState, memory: &SpaceMemory) -> ListingState {
    match (&listing, memory.corrupt.first()) {
        (ListingState::Complete { .. } | ListingState::Shrunken { .. }, Some(first)) => {
            let why = format!(
                "{} of our records cannot be read, the first is {}: {}",
                memory.corrupt.len(),
                first.machine,
                first.why
            );
            ListingState::Partial { why }
        }
        (_, _) => listing,
    }
}
