//! Steps and reasons in words: one sentence for people, one word for metrics and scripts.
//! Everything that shows a reason (command line, server, log, metrics) takes it from here.

use std::fmt;
use std::time::Duration;

use vcycle_money::Amount;

use crate::model::{EndState, Evidence, ListingState, MachineName, Processors, Timestamp};

use super::{Reason, Step};

/// A duration for people: the two largest units, rounded down (`2d 3h`, `1h 5m`, `45s`).
pub fn duration_words(duration: Duration) -> String {
    let secs = duration.as_secs();
    let (days, hours, minutes) = (secs / 86_400, secs / 3600 % 24, secs / 60 % 60);
    let parts = [(days, "d"), (hours, "h"), (minutes, "m"), (secs % 60, "s")];
    let mut shown = Vec::new();
    for (index, (value, unit)) in parts.iter().enumerate() {
        if *value > 0 {
            shown.push(format!("{value}{unit}"));
        }
        if !shown.is_empty() && parts[..=index].iter().filter(|(v, _)| *v > 0).count() >= 2 {
            break;
        }
    }
    if shown.is_empty() { "0s".to_owned() } else { shown.join(" ") }
}

/// How far a listing can be believed, for people.
pub fn listing_words(listing: &ListingState) -> String {
    match listing {
        ListingState::Complete { started } => format!("complete, begun at {started}"),
        ListingState::Shrunken { expected, missing } => {
            format!("{missing} of {expected} machines that should be listed are missing")
        }
        ListingState::Partial { why } => format!("partial: {why}"),
        ListingState::Elsewhere { ours, theirs } => {
            format!("of {theirs}, while the space is in {ours}")
        }
        ListingState::Failed { kind, message } => format!("failed ({kind}): {message}"),
    }
}

/// A count with its noun.
pub(super) fn counted(count: u32, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

pub(super) fn processors(count: Processors) -> String {
    counted(count.0, "processor")
}

fn machines(count: u32) -> String {
    counted(count, "machine")
}

impl Reason {
    /// A short word for metrics and scripts; the same as in the JSON form.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Created { .. } => "created",
            Self::ZeroShare => "zero-share",
            Self::Draining { .. } => "draining",
            Self::ClockNotTrusted { .. } => "clock-not-trusted",
            Self::ListingNotTrusted { .. } => "listing-not-trusted",
            Self::BlastRadius { .. } => "blast-radius",
            Self::NoOfferings { .. } => "no-offerings",
            Self::NothingFits { .. } => "nothing-fits",
            Self::OfferingsParked { .. } => "offerings-parked",
            Self::SpaceLimit { .. } => "space-limit",
            Self::SpaceMachinesLimit { .. } => "space-machines-limit",
            Self::CloudQuota { .. } => "cloud-quota",
            Self::QuotaRefused { .. } => "quota-refused",
            Self::MachinetypeLimit { .. } => "machinetype-limit",
            Self::StartingLimit { .. } => "starting-limit",
            Self::Backoff { .. } => "backoff",
            Self::FizzleGate { .. } => "fizzle-gate",
            Self::BreakerOpen { .. } => "breaker-open",
            Self::BreakerProbing { .. } => "breaker-probing",
            Self::ShutdownTooNear { .. } => "shutdown-too-near",
            Self::SpaceShutDown { .. } => "space-shut-down",
            Self::LeaseNotBegun { .. } => "lease-not-begun",
            Self::LeaseTooNear { .. } => "lease-too-near",
            Self::LeaseEnded { .. } => "lease-ended",
            Self::Preparing { .. } => "preparing",
            Self::CannotPrepare { .. } => "cannot-prepare",
            Self::PriceUnknown { .. } => "price-unknown",
            Self::SpendingCap { .. } => "spending-cap",
            Self::SpendingPlan { .. } => "spending-plan",
            Self::SpendingStopped { .. } => "spending-stopped",
            Self::PaceLimit { .. } => "pace-limit",
            Self::OthersFirst { .. } => "others-first",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created { machines: count, processors: of } => {
                write!(f, "asked for {} with {}", machines(*count), processors(*of))
            }
            Self::ZeroShare => f.write_str("its target share is zero"),
            Self::Draining { until, who } => {
                write!(f, "draining until {until}, asked for by {who}")
            }
            Self::ClockNotTrusted { why } => write!(f, "the time cannot be believed: {why}"),
            Self::ListingNotTrusted { why } => {
                write!(f, "the cloud's listing cannot be believed: {why}")
            }
            Self::BlastRadius { dead, running } => look_dead(f, *dead, *running),
            Self::NoOfferings { why } => write!(f, "nothing can be bought: {why}"),
            Self::NothingFits { needs } => write!(f, "no offering fits: it needs {needs}"),
            Self::OfferingsParked { until } => {
                write!(f, "all offerings that fit are out of stock; next try at {until}")
            }
            Self::SpaceLimit { limit, used } => in_use(f, "the space's", used, limit),
            Self::SpaceMachinesLimit { limit, used } => {
                write!(f, "the space's limit: {used} of {limit} machines exist")
            }
            Self::CloudQuota { what, limit, used } => {
                write!(f, "the cloud's quota: {used} of {limit} {what} are in use")
            }
            Self::QuotaRefused { at } => refused_for_quota(f, *at),
            Self::MachinetypeLimit { limit, used } => in_use(f, "the machinetype's", used, limit),
            Self::StartingLimit { limit, starting } => {
                write!(f, "max_starting_processors: {starting} of {limit} processors are starting")
            }
            Self::Backoff { last_abort, until, after } => {
                write!(f, "backing off until {until}, after the abort at {last_abort}: {after}")
            }
            Self::FizzleGate { waiting_for, until } => one_at_a_time(f, waiting_for, *until),
            Self::BreakerOpen { until, after } => {
                write!(f, "stopped until {until} after failures in a row; the last: {after}")
            }
            Self::BreakerProbing { machine } => {
                write!(f, "after failures in a row one probe at a time: waiting for {machine}")
            }
            Self::ShutdownTooNear { shutdown, needs_secs } => {
                write!(f, "the space shuts down at {shutdown}, {}", too_soon(*needs_secs))
            }
            Self::SpaceShutDown { at } => write!(f, "the space shut down at {at}"),
            Self::LeaseNotBegun { opens } => write!(f, "the lease of the space begins at {opens}"),
            Self::LeaseTooNear { ends, needs_secs } => {
                let sooner = too_soon(*needs_secs);
                write!(f, "the lease of the space ends soon after {ends}, {sooner}")
            }
            Self::LeaseEnded { at } => write!(f, "the space ended at {at}, as its lease does"),
            Self::Preparing { why } => write!(f, "what it needs is not ready yet: {why}"),
            Self::CannotPrepare { why } => write!(f, "what it needs cannot be had: {why}"),
            Self::PriceUnknown { why } => write!(f, "nobody knows what it costs: {why}"),
            Self::SpendingCap { cap, window, needed, is_closed: true, .. } => {
                write!(f, "the cap {cap} from {window}: {needed} needed, and it stops growing here")
            }
            Self::SpendingCap { cap, window, left, needed, is_closed: false } => {
                write!(f, "the cap {cap} from {window}: {needed} needed, {left} left")
            }
            Self::SpendingPlan { budget, grow, why } => held_by_plan(f, budget, *grow, why),
            Self::SpendingStopped { why } => write!(f, "nothing may be spent: {why}"),
            Self::PaceLimit { per_cycle } => write!(f, "no more than {per_cycle} a cycle"),
            Self::OthersFirst { next } => {
                write!(f, "{next} is further below its target share and comes first")
            }
        }
    }
}

fn held_by_plan(f: &mut fmt::Formatter<'_>, budget: &str, grow: Amount, why: &str) -> fmt::Result {
    if grow.is_nothing() {
        return write!(f, "the plan of the budget {budget} lets it not grow now: {why}");
    }
    write!(
        f,
        "the plan of the budget {budget} holds growth to {grow:.2} an hour in this cycle: {why}"
    )
}

fn look_dead(f: &mut fmt::Formatter<'_>, dead: u32, running: u32) -> fmt::Result {
    write!(f, "{dead} of {running} running machines look dead at once: we suspect ourselves first")
}

fn refused_for_quota(f: &mut fmt::Formatter<'_>, at: Timestamp) -> fmt::Result {
    write!(f, "the cloud refused a machine for quota at {at}, and usage has not fallen since")
}

fn one_at_a_time(
    f: &mut fmt::Formatter<'_>,
    waiting_for: &MachineName,
    until: Timestamp,
) -> fmt::Result {
    write!(
        f,
        "after an abort one machine at a time: waiting for {waiting_for} to pass fizzle, \
         until {until} at the latest"
    )
}

fn in_use(
    f: &mut fmt::Formatter<'_>,
    whose: &str,
    used: &Processors,
    limit: &Processors,
) -> fmt::Result {
    write!(f, "{whose} limit: {used} of {limit} processors are in use")
}

fn too_soon(needs_secs: u64) -> String {
    let needed = duration_words(Duration::from_secs(needs_secs));
    format!("sooner than min_wallclock ({needed})")
}

impl Step {
    /// A short word for metrics and tables.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Learn { .. } => "learn",
            Self::Adopt { .. } => "adopt",
            Self::Resolve { .. } => "resolve",
            Self::Drain { .. } => "drain",
            Self::Delete { .. } => "delete",
            Self::Create(_) => "create",
            Self::Archive { .. } => "archive",
            Self::Expire { .. } => "expire",
            Self::Sweep { .. } => "sweep",
            Self::CloseRequest { .. } => "close-request",
        }
    }

    /// The machine that it concerns, if it concerns one.
    pub fn machine(&self) -> Option<&MachineName> {
        match self {
            Self::Learn { machine, fact: _ }
            | Self::Resolve { machine, intent: _, asked: _ }
            | Self::Drain { machine, drain: _ }
            | Self::Delete { machine, instance: _, reason: _ }
            | Self::Archive { machine }
            | Self::Expire { machine } => Some(machine),
            Self::Adopt { tags, .. } => Some(&tags.machine),
            Self::Create(new) => Some(&new.tags.machine),
            Self::Sweep { resource } => Some(&resource.tags.machine),
            Self::CloseRequest { id: _, because: _ } => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Learn { machine, fact } => write!(f, "learn of {machine}: {fact}"),
            Self::Adopt { tags, instance, offering, processors: of, memory: _, entry: _ } => {
                write!(
                    f,
                    "adopt {}: {instance} ({offering}, {}) is ours and has no record",
                    tags.machine,
                    processors(*of)
                )
            }
            Self::Resolve { machine, intent: _, asked } => {
                write!(f, "ask what became of {machine}, asked for at {asked} with unknown outcome")
            }
            Self::Drain { machine, drain } => {
                write!(f, "tell {machine} to end by {}: {}", drain.by, drain_words(drain))
            }
            Self::Delete { machine, instance, reason } => {
                write!(f, "delete {machine} ({instance}): {reason}")
            }
            Self::Create(new) => {
                write!(f, "create {} on {}: {}", new.tags.machine, new.offering.id, new.because)
            }
            Self::Archive { machine } => write!(f, "archive {machine}: it is gone"),
            Self::Expire { machine } => {
                write!(f, "remove the archived folder of {machine}: its time is over")
            }
            Self::Sweep { resource } => write!(
                f,
                "delete {} {} of {}: nothing uses it, and its machine is gone",
                resource.kind, resource.id, resource.tags.machine
            ),
            Self::CloseRequest { id, because } => write!(f, "close request {}: {because}", id.0),
        }
    }
}

/// How the cloud showed an end, for people.
pub(super) fn end_words(state: &EndState) -> &'static str {
    match state {
        EndState::Stopped => "it stopped",
        EndState::Preempted => "taken back by the provider",
        EndState::Failed => "failed in the cloud",
        EndState::Vanished => "it is not there any more",
    }
}

/// How absence was proven, for people.
pub(super) fn evidence_words(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::NotFound => "the cloud does not find it",
        Evidence::DeleteSaidGone => "there was nothing left to delete",
        Evidence::Tombstone => "the cloud lists it as gone",
        Evidence::NeverMade => "it was never made",
        Evidence::Rejected => "the create was refused",
    }
}

fn drain_words(drain: &crate::model::Drain) -> String {
    use crate::model::DrainReason;
    match &drain.reason {
        DrainReason::Operator { who } => format!("asked for by {who}"),
        DrainReason::Interruption => "the provider gave notice".to_owned(),
        DrainReason::SpaceShutdown => "the space shuts down".to_owned(),
        DrainReason::SpendingCap { cap } => format!("the cap {cap} on spending"),
        DrainReason::SpendingPlan { budget, why } => {
            format!("the plan of the budget {budget}: {why}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_in_their_two_largest_units() {
        for (secs, words) in [
            (0, "0s"),
            (45, "45s"),
            (60, "1m"),
            (3900, "1h 5m"),
            (3605, "1h 5s"),
            (93_784, "1d 2h"),
            (86_400, "1d"),
        ] {
            assert_eq!(duration_words(Duration::from_secs(secs)), words);
        }
    }

    #[test]
    fn the_word_of_a_reason_is_its_word_in_json() {
        let reason = Reason::QuotaRefused { at: crate::model::Timestamp::from_secs(0) };
        let json = serde_json::to_value(&reason).unwrap();
        assert_eq!(json["reason"], reason.word());
        let json = serde_json::to_value(&Reason::ZeroShare).unwrap();
        assert_eq!(json["reason"], Reason::ZeroShare.word());
    }
}
