//! What a failure means for us: one table from Google's words to meanings, and from meanings to the contract's
//! kinds, depending on what was attempted.
//!
//! Judged by Google's reason first, then by the sentence, then by the HTTP status; never by the code of the client
//! library, which is `Unknown` for most errors of this API. Reasons come in two spellings (`rateLimitExceeded` in
//! answers, `RATE_LIMIT_EXCEEDED` in operations and in newer answers), so they are compared without case and `_`.
//! Sources: <https://cloud.google.com/compute/docs/api/how-tos/api-requests-responses#handling_errors>,
//! <https://cloud.google.com/compute/docs/troubleshooting/troubleshooting-resource-availability>,
//! <https://cloud.google.com/compute/api-quota>.

use std::time::Duration;

use vcycle_api::{Clock, ErrorKind, OfferingId, ProviderError};

use crate::call::Call;
use crate::failure::{Arrived, Failure, NOT_GOOGLE};

/// What Google says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Out of stock.
    Capacity,
    /// A quota of the project, or the addresses of the subnetwork, are used up.
    Quota,
    /// Too many requests.
    Rate,
    /// Who we are is refused.
    Auth,
    /// We may not do this, or a policy of the organisation forbids it.
    Forbidden,
    /// The name is taken.
    Exists,
    /// There is no such thing.
    NotFound,
    /// The request is wrong, or cannot be carried out in the state that something is in.
    Invalid,
    /// A fault on the way or at Google.
    Fault,
}

/// Parts of reasons, in the order in which they are looked for.
const REASONS: [(&str, Meaning); 33] = [
    ("resourcepoolexhausted", Meaning::Capacity),
    ("insufficientcapacity", Meaning::Capacity),
    ("resourceavailability", Meaning::Capacity),
    ("stockout", Meaning::Capacity),
    // Other zones of the same subnetwork are no help: as with a quota, somebody must free or add something.
    ("ipspaceexhausted", Meaning::Quota),
    // `rateLimitExceeded` comes as 403. Before "quota", for newer answers name the quota of requests.
    ("ratelimitexceeded", Meaning::Rate),
    ("operationrateexceeded", Meaning::Rate),
    ("dailylimitexceeded", Meaning::Rate),
    ("toomanyrequests", Meaning::Rate),
    ("quota", Meaning::Quota),
    ("limitexceeded", Meaning::Quota),
    ("resourceexhausted", Meaning::Quota),
    ("accesstoken", Meaning::Auth),
    ("autherror", Meaning::Auth),
    ("unauthenticated", Meaning::Auth),
    ("credentials", Meaning::Auth),
    ("accountdisabled", Meaning::Auth),
    ("permission", Meaning::Forbidden),
    ("forbidden", Meaning::Forbidden),
    ("accessnotconfigured", Meaning::Forbidden),
    ("servicedisabled", Meaning::Forbidden),
    ("billing", Meaning::Forbidden),
    ("policy", Meaning::Forbidden),
    ("constraint", Meaning::Forbidden),
    ("alreadyexists", Meaning::Exists),
    ("duplicate", Meaning::Exists),
    ("notfound", Meaning::NotFound),
    ("backenderror", Meaning::Fault),
    ("internalerror", Meaning::Fault),
    ("unavailable", Meaning::Fault),
    ("timeout", Meaning::Fault),
    ("conditionnotmet", Meaning::Invalid),
    ("invalid", Meaning::Invalid),
];

/// Parts of sentences, in lower case, for answers whose reason says nothing.
const SENTENCES: [(&str, Meaning); 7] = [
    ("does not have enough resources available", Meaning::Capacity),
    ("resource pool exhausted", Meaning::Capacity),
    ("rate limit exceeded", Meaning::Rate),
    ("per minute", Meaning::Rate),
    ("quota", Meaning::Quota),
    ("constraints/", Meaning::Forbidden),
    ("already exists", Meaning::Exists),
];

/// Reasons so general that the sentence goes first.
const GENERAL: [&str; 4] = ["forbidden", "conditionnotmet", "invalid", "badrequest"];

/// What Google's words mean.
pub(crate) fn meaning(status: Option<u16>, reasons: &[String], message: &str) -> Meaning {
    if reasons.iter().any(|reason| reason == NOT_GOOGLE) {
        // A proxy's "not found" says nothing of our machines, its "forbidden" nothing of our role.
        return if status == Some(407) { Meaning::Forbidden } else { Meaning::Fault };
    }
    let plain: Vec<String> = reasons
        .iter()
        .map(|reason| reason.replace(['_', '-', ' '], "").to_ascii_lowercase())
        .collect();
    let is_general = |reason: &String| GENERAL.contains(&reason.as_str());
    let telling: Vec<&String> = plain.iter().filter(|reason| !is_general(reason)).collect();
    let by_reason = |all: &[&String]| {
        let found = |(part, _): &&(&str, Meaning)| all.iter().any(|reason| reason.contains(part));
        REASONS.iter().find(found).map(|(_, meaning)| *meaning)
    };
    let sentence = message.to_ascii_lowercase();
    let by_sentence =
        || SENTENCES.iter().find(|(part, _)| sentence.contains(part)).map(|(_, it)| *it);
    by_reason(&telling)
        .or_else(by_sentence)
        .or_else(|| by_reason(&plain.iter().collect::<Vec<_>>()))
        .unwrap_or_else(|| by_status(status))
}

fn by_status(status: Option<u16>) -> Meaning {
    match status {
        Some(401) => Meaning::Auth,
        Some(403) => Meaning::Forbidden,
        Some(404) => Meaning::NotFound,
        Some(409) => Meaning::Exists,
        Some(429) => Meaning::Rate,
        Some(408) => Meaning::Fault,
        Some(400..=499) => Meaning::Invalid,
        Some(_) | None => Meaning::Fault,
    }
}

/// What was attempted, as far as it changes what a failure means.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Attempt<'a> {
    /// A question.
    Read,
    /// A question about one resource, or its removal: its absence is an answer. The text is the end of its URL, and
    /// must stand in Google's sentence: the absence of a project or of a zone is not the absence of a machine.
    One(&'a str),
    /// Making a machine.
    Create(Wanted<'a>),
}

/// What a machine is to be made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) offering: &'a OfferingId,
    pub(crate) books: Books,
}

/// In how many books of processors the offerings of the space are written (`quota.rs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Books {
    /// One market's: when it is full, so is the space.
    One,
    /// Several markets': when one is full, others may not be.
    Several,
}

/// The kind of a failure.
pub(crate) fn kind(failure: &Failure, attempt: Attempt<'_>, clock: &dyn Clock) -> ErrorKind {
    let Failure { call: _, status, reasons, message, request_id: _, retry_after, arrived } =
        failure;
    let meaning = meaning(*status, reasons, message);
    let throttled = || ErrorKind::Throttled { after: retry_after.or_else(|| Some(pause(clock))) };
    match attempt {
        Attempt::Read | Attempt::One(_) => match meaning {
            Meaning::Rate => throttled(),
            Meaning::Auth | Meaning::Forbidden => ErrorKind::AuthFailed,
            Meaning::NotFound if says_absent(attempt, message) => ErrorKind::NotFound,
            Meaning::Capacity
            | Meaning::Quota
            | Meaning::Exists
            | Meaning::NotFound
            | Meaning::Invalid
            | Meaning::Fault => ErrorKind::Unavailable,
        },
        Attempt::Create(Wanted { offering, books }) => match (meaning, arrived) {
            (Meaning::Fault, Arrived::No) => ErrorKind::Unavailable,
            (Meaning::Fault, Arrived::Perhaps | Arrived::Yes) => ErrorKind::Ambiguous,
            (Meaning::Capacity, _) => {
                ErrorKind::InsufficientCapacity { offering: offering.clone() }
            }
            (Meaning::Quota, _) if books == Books::Several && is_of_one_book(message) => {
                ErrorKind::InsufficientCapacity { offering: offering.clone() }
            }
            (Meaning::Quota, _) => ErrorKind::QuotaExceeded,
            (Meaning::Rate, _) => throttled(),
            (Meaning::Auth, _) => ErrorKind::AuthFailed,
            // Not `AuthFailed`: that would keep us from deleting, too, because one account may not be attached
            // or one image not be read.
            (Meaning::Forbidden | Meaning::Exists | Meaning::NotFound | Meaning::Invalid, _) => {
                ErrorKind::InvalidSpec
            }
        },
    }
}

/// Whether a full quota is that of one market (or of a family in it): `Quota 'PREEMPTIBLE_CPUS' exceeded.`, and not
/// `CPUS_ALL_REGIONS`, machines, disks or addresses, which all offerings share.
fn is_of_one_book(message: &str) -> bool {
    message.contains("CPUS'")
}

fn says_absent(attempt: Attempt<'_>, message: &str) -> bool {
    match attempt {
        Attempt::One(resource) => names(message, resource),
        Attempt::Read | Attempt::Create(_) => false,
    }
}

/// Whether a sentence names a resource: the end of its URL, not just the beginning of a longer name.
pub(crate) fn names(message: &str, resource: &str) -> bool {
    let goes_on = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '/';
    message
        .match_indices(resource)
        .any(|(at, _)| !message[at + resource.len()..].starts_with(goes_on))
}

/// Until the next minute: buckets of requests are filled again at the full minute, for all of a project's
/// clients at once (<https://cloud.google.com/compute/api-quota>). One second more, for clocks differ.
fn pause(clock: &dyn Clock) -> Duration {
    let into_minute = clock.now().as_secs().rem_euclid(60);
    Duration::from_secs(61 - into_minute.unsigned_abs())
}

/// The contract's error for a failure.
pub(crate) fn error(failure: &Failure, attempt: Attempt<'_>, clock: &dyn Clock) -> ProviderError {
    ProviderError {
        kind: kind(failure, attempt, clock),
        operation: failure.call.words(),
        message: advised(failure, attempt),
        request_id: failure.request_id.clone(),
    }
}

/// Google's words, and what to do where a person must.
fn advised(failure: &Failure, attempt: Attempt<'_>) -> String {
    let words = failure.words();
    let plain = failure.reasons.concat().replace('_', "").to_ascii_lowercase();
    let advice = match meaning(failure.status, &failure.reasons, &failure.message) {
        Meaning::Forbidden
            if plain.contains("accessnotconfigured") || plain.contains("servicedisabled") =>
        {
            let is_billing = failure.call == Call::ListSkus;
            if is_billing {
                "enable the Cloud Billing API of the project"
            } else {
                "enable the Compute Engine API of the project"
            }
        }
        Meaning::Forbidden if plain.contains("billing") => "link the project to a billing account",
        Meaning::Forbidden if failure.call == Call::ListSkus => {
            "public prices need no role: ask who administers the project what is forbidden"
        }
        Meaning::Forbidden => match attempt {
            Attempt::Read | Attempt::One(_) => "give our account the role in etc/gcp-role.yaml",
            Attempt::Create(_) => {
                "give our account the role in etc/gcp-role.yaml and, if machines have a service account, \
                 iam.serviceAccountUser on it; or ask about the policies of the organisation"
            }
        },
        Meaning::Auth => "check the credentials",
        Meaning::Quota => "ask Google for a higher quota, or free what is in use",
        Meaning::Capacity
        | Meaning::Rate
        | Meaning::Exists
        | Meaning::NotFound
        | Meaning::Invalid
        | Meaning::Fault => return words,
    };
    format!("{words} ({advice})")
}

#[cfg(test)]
#[path = "meaning_tests.rs"]
mod tests;
