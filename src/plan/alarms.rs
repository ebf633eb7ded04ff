//! What needs a human, most urgent first. One line for each kind of trouble, with the oldest
//! case by name, so that a bad day does not drown people.

use std::time::Duration;

use crate::model::{ClockTrust, Hearing, InstanceState, MachineName, Phase, Readiness, Timestamp};

use super::PlanInput;
use super::blast::Blast;
use super::breaker::{Breakers, Opening};
use super::judge::{Judged, Sight, is_auth_failure, is_trusted};
use super::usage::{Orphans, Usage};
use super::words::{duration_words, listing_words};

/// What alarms are made from.
pub(super) struct Concerns<'c, 'a> {
    pub(super) input: &'c PlanInput<'a>,
    pub(super) blast: &'c Blast,
    pub(super) breakers: &'c Breakers<'a>,
    pub(super) usage: &'c Usage<'a>,
    pub(super) orphans: &'c Orphans<'a>,
    /// How many machines are held back.
    pub(super) held_back: usize,
}

/// A number of machines in one kind of trouble.
#[derive(Default)]
struct Trouble<'a> {
    machines: u32,
    oldest: Option<(Timestamp, &'a MachineName)>,
}

impl<'a> Trouble<'a> {
    fn add(&mut self, since: Timestamp, machine: &'a MachineName) {
        self.machines += 1;
        let case = (since, machine);
        self.oldest = Some(self.oldest.map_or(case, |oldest| oldest.min(case)));
    }

    fn line(&self, now: Timestamp, what: &str) -> Option<String> {
        let (since, machine) = self.oldest?;
        let age = duration_words(now.since(since));
        let count = self.machines;
        Some(format!("{what}: {count}; the oldest is {machine}, for {age}"))
    }
}

/// All alarms of a cycle.
pub(super) fn alarms(concerns: &Concerns<'_, '_>, judged: &[Judged<'_>]) -> Vec<String> {
    let mut alarms = Vec::new();
    alarms.extend(clock(concerns.input));
    alarms.extend(listing(concerns.input));
    alarms.extend(credential(concerns.input));
    alarms.extend(held_back(concerns));
    alarms.extend(over_limit(concerns));
    alarms.extend(machines(concerns.input, judged));
    alarms.extend(unheard(concerns.input, judged));
    alarms.extend(surplus(concerns));
    alarms.extend(breakers(concerns));
    alarms.extend(unprepared(concerns.input));
    alarms
        .extend(concerns.input.terms.notices.iter().map(|note| format!("the cloud says: {note}")));
    alarms
}

/// Days ahead at which people are told, and told again, that credentials expire: time to ask for new ones, time to
/// insist, and the last working days.
const EXPIRY_DAYS: [u64; 3] = [3, 14, 30];

fn credential(input: &PlanInput<'_>) -> Option<String> {
    let expires = input.terms.credential_expires?;
    let what_to_do = "give the space new ones (`fallback_cloud` lets both stand for a while)";
    if input.now >= expires {
        return Some(format!("the credentials of the cloud expired at {expires}: {what_to_do}"));
    }
    let left = expires.since(input.now);
    let days = EXPIRY_DAYS.into_iter().find(|days| left <= Duration::from_secs(days * 86_400))?;
    Some(format!(
        "the credentials of the cloud expire at {expires}, in less than {days} days: {what_to_do}"
    ))
}

/// Machinetypes that somebody must do something for. One that is being prepared needs only time.
fn unprepared(input: &PlanInput<'_>) -> impl Iterator<Item = String> {
    input.readiness.iter().filter_map(|(machinetype, readiness)| match readiness {
        Readiness::Cannot { why } => Some(format!("{machinetype} cannot be made: {why}")),
        Readiness::Ready | Readiness::NotYet { why: _ } => None,
    })
}

fn clock(input: &PlanInput<'_>) -> Option<String> {
    match input.clock {
        ClockTrust::Trusted => None,
        ClockTrust::Doubted { why } => Some(format!(
            "the time cannot be believed: {why}; until it can, nothing is created, and nothing is deleted \
             or concluded because of the time: check the clocks (NTP) of this host and of the file server"
        )),
    }
}

fn listing(input: &PlanInput<'_>) -> Option<String> {
    use crate::model::ListingState as State;
    let what = match input.listing {
        _ if is_auth_failure(input.listing) => "nothing is created or deleted until it is mended",
        State::Complete { started: _ } | State::Partial { why: _ } => return None,
        State::Shrunken { expected: _, missing: _ } => {
            "nothing is created, and only what a direct get does not find is taken for gone, a few \
             in each cycle: are the credentials for the right project?"
        }
        State::Elsewhere { ours, theirs } => return Some(moved(ours, theirs)),
        State::Failed { kind: _, message: _ } => {
            "nothing is created, and nothing is taken for gone"
        }
    };
    Some(format!(
        "the cloud's listing cannot be believed: {}; {what}",
        listing_words(input.listing)
    ))
}

fn moved(ours: &str, theirs: &str) -> String {
    format!(
        "the credentials lead to {theirs}, but the machines of the space are in {ours}: nothing is made, deleted or \
         archived until they lead there again; if the space is to go on in the other one, say so by removing its \
         tenancy.json (docs/STATE-DIR.md tells what that means)"
    )
}

fn held_back(concerns: &Concerns<'_, '_>) -> Option<String> {
    if !concerns.blast.holds_back() {
        return None;
    }
    let Blast { dead, running, .. } = *concerns.blast;
    Some(format!(
        "{dead} of {running} running machines look dead at once; {} held back, and nothing is \
         created: check this manager's web server, the shared directory and the cloud's network, \
         or delete machines by hand",
        concerns.held_back
    ))
}

/// Machines whose silence means nothing, since nobody is there to hear them.
fn unheard(input: &PlanInput<'_>, judged: &[Judged<'_>]) -> Option<String> {
    let mut trouble = Trouble::default();
    for machine in judged {
        let policy = input.policy.machinetypes.get(machine.record().machinetype());
        let speaks = policy.is_some_and(|policy| policy.heartbeat.is_some());
        if let (true, Hearing::Deaf, Some(started)) =
            (speaks, machine.view.hearing, machine.started)
        {
            trouble.add(started, machine.record().machine());
        }
    }
    trouble.line(
        input.now,
        "machines that report to a manager which does not live, so that their silence deletes nothing (start it again, \
         or let its https_host lead to another manager)",
    )
}

/// What others do outside us can pass a limit; we say so, and create nothing.
fn over_limit(concerns: &Concerns<'_, '_>) -> Option<String> {
    let (limit, used) = (concerns.input.policy.processors_limit?, concerns.usage.all());
    let foreign = concerns.usage.foreign;
    (used.processors > limit).then(|| {
        format!(
            "{} processors are in use, more than the space's limit of {limit}; {} of them are not \
             ours",
            used.processors, foreign.processors
        )
    })
}

fn machines(input: &PlanInput<'_>, judged: &[Judged<'_>]) -> Vec<String> {
    let now = input.now;
    let [mut deleting, mut open, mut stuck, mut twice, mut strange] =
        [(); 5].map(|()| Trouble::default());
    for machine in judged {
        let record = machine.record();
        let name = record.machine();
        let long = machine.policy.map_or(input.policy.delete_pause_max, |p| p.start_timeout);
        match (machine.phase, &record.deletion) {
            (Phase::Gone { since: _ }, _) => {}
            (_, Some(deletion)) if now.since(deletion.since) > input.policy.delete_pause_max => {
                deleting.add(deletion.since, name);
            }
            _ => {}
        }
        if now.since(record.asked) > long {
            if record.instance.is_none() && is_unknown(machine) {
                open.add(record.asked, name);
            }
            if is_stuck(input, machine) {
                stuck.add(record.asked, name);
            }
        }
        if machine.duplicates().next().is_some() {
            twice.add(record.intended, name);
        }
        if machine.is_impostor() {
            strange.add(record.intended, name);
        }
    }
    [
        deleting.line(now, "machines being deleted and still not gone"),
        open.line(now, "machines asked for, of which the cloud does not say what became of them"),
        stuck.line(
            now,
            "machines asked for and not seen running, in a state of the cloud that proves nothing",
        ),
        twice.line(now, "intents with more than one VM"),
        strange.line(now, "records that point to a VM with other tags, which is left alone"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn is_unknown(machine: &Judged<'_>) -> bool {
    match (machine.phase, machine.sight) {
        (Phase::Gone { since: _ }, _) | (_, Sight::Seen(_) | Sight::Absent) => false,
        (_, Sight::Nothing) => true,
    }
}

/// VMs beside another one of the same machine. Of one intent they are deleted as duplicates in the next
/// cycles; of another intent they only bear its name, and are left to their own hard end.
fn surplus(concerns: &Concerns<'_, '_>) -> Option<String> {
    let mut surplus = Trouble::default();
    let now = concerns.input.now;
    for orphan in &concerns.orphans.surplus {
        surplus.add(orphan.instance.created.unwrap_or(now), &orphan.tags.machine);
    }
    surplus.line(now, "VMs of ours beside another one of the same name")
}

/// Whether a machine that has never been seen running may be stuck. One that is seen being made is deleted
/// instead; an unknown state, or one that a listing lacks, proves nothing, so only people can tell.
fn is_stuck(input: &PlanInput<'_>, machine: &Judged<'_>) -> bool {
    let waits = match machine.phase {
        Phase::Intended { since: _ } | Phase::Starting { since: _ } => true,
        Phase::Running { since: _ }
        | Phase::Ended { since: _ }
        | Phase::Deleting { since: _ }
        | Phase::Gone { since: _ } => false,
    };
    let proves_nothing = match machine.sight {
        Sight::Seen(instance) => matches!(instance.state, InstanceState::Unknown { word: _ }),
        Sight::Absent => false,
        Sight::Nothing => machine.instance.is_some() && is_trusted(input.listing),
    };
    waits && proves_nothing && !machine.is_impostor()
}

/// Breakers that are not closed: the site or the experiment has something to mend.
fn breakers(concerns: &Concerns<'_, '_>) -> impl Iterator<Item = String> {
    let now = concerns.input.now;
    concerns.breakers.all().map(move |(machinetype, offering, opening)| {
        let Opening { until, after, .. } = opening;
        if now < until {
            format!(
                "{machinetype} is stopped on {offering} until {until} after failures in a row; the \
                 last: {after}"
            )
        } else {
            format!(
                "{machinetype} is tried on {offering} with one machine at a time since {until} \
                 after failures in a row; the last: {after}"
            )
        }
    })
}
