//! The closed set of provider errors, and the one reaction that each kind mandates.

use std::fmt;
use std::time::Duration;

use crate::OfferingId;

/// What went wrong, as far as it changes what we must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorKind {
    /// A direct get, or a delete, of an id that does not exist: proves absence.
    NotFound,
    /// The call may or may not have taken effect: the reply was lost.
    Ambiguous,
    /// The cloud has none of this offering now. Nothing was made.
    InsufficientCapacity {
        /// The offering that is out of stock.
        offering: OfferingId,
    },
    /// A quota of the tenancy would be passed. Nothing was made.
    QuotaExceeded,
    /// Too many requests. Nothing was done.
    Throttled {
        /// When to try again, if the cloud said so.
        after: Option<Duration>,
    },
    /// Credentials refused or expired. Nothing was done.
    AuthFailed,
    /// The request itself is wrong (image, network, flavour, user_data). Nothing was made.
    InvalidSpec,
    /// The cloud did not answer, or with a fault of its own. Proves nothing. From `create` this kind
    /// may only be given when the request certainly did not arrive; else it is `Ambiguous`.
    Unavailable,
}

/// What must be done on an error: exactly one thing for each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// The machine does not exist.
    ConcludeAbsent,
    /// Keep the reservation, ask `resolve` until it knows.
    KeepAndResolve,
    /// Remember the stock-out with decay and try the next offering.
    ParkOffering,
    /// No creation in this space until usage falls.
    StopSpaceUntilUsageFalls,
    /// Slow this space's requests: reads for people go first, deletes last.
    SlowDown,
    /// Stop the space, delete nothing, raise an alarm.
    StopSpaceAndAlarm,
    /// Open the breaker of the machinetype.
    OpenBreaker,
    /// Conclude nothing; the next cycle is the retry.
    RetryNextCycle,
}

impl ErrorKind {
    /// The mandated reaction. The table is in `docs/PROVIDERS.md`.
    pub fn reaction(&self) -> Reaction {
        match self {
            Self::NotFound => Reaction::ConcludeAbsent,
            Self::Ambiguous => Reaction::KeepAndResolve,
            Self::InsufficientCapacity { offering: _ } => Reaction::ParkOffering,
            Self::QuotaExceeded => Reaction::StopSpaceUntilUsageFalls,
            Self::Throttled { after: _ } => Reaction::SlowDown,
            Self::AuthFailed => Reaction::StopSpaceAndAlarm,
            Self::InvalidSpec => Reaction::OpenBreaker,
            Self::Unavailable => Reaction::RetryNextCycle,
        }
    }

    /// Whether this answer to `create` proves that nothing was made.
    /// Anything else keeps its reservation until it is resolved.
    pub fn create_made_nothing(&self) -> bool {
        match self {
            Self::InsufficientCapacity { offering: _ }
            | Self::QuotaExceeded
            | Self::Throttled { after: _ }
            | Self::AuthFailed
            | Self::InvalidSpec => true,
            Self::NotFound | Self::Ambiguous | Self::Unavailable => false,
        }
    }

    /// A short word for metrics and tables.
    pub fn word(&self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::Ambiguous => "ambiguous",
            Self::InsufficientCapacity { offering: _ } => "insufficient-capacity",
            Self::QuotaExceeded => "quota-exceeded",
            Self::Throttled { after: _ } => "throttled",
            Self::AuthFailed => "auth-failed",
            Self::InvalidSpec => "invalid-spec",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A provider call that failed. Never holds secrets: `message` is shown to people.
#[derive(Debug, Clone, thiserror::Error)]
pub struct ProviderError {
    /// What it means for us.
    pub kind: ErrorKind,
    /// What was attempted, for example `create server`.
    pub operation: &'static str,
    /// What came back, in the cloud's words.
    pub message: String,
    /// The cloud's own id of the request, to give to its support.
    pub request_id: Option<String>,
}

impl ProviderError {
    /// An error without a request id.
    pub fn new(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self { kind, operation, message: message.into(), request_id: None }
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.operation, self.message, self.kind.word())?;
        match &self.request_id {
            Some(id) => write!(f, " [request {id}]"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{LateRefusal, Market};

    /// One error of each kind. The match makes the compiler ask for a new kind here, too.
    fn every_kind() -> Vec<ErrorKind> {
        let offering =
            OfferingId { flavour: "a".into(), zone: String::new(), market: Market::OnDemand };
        let all = vec![
            ErrorKind::NotFound,
            ErrorKind::Ambiguous,
            ErrorKind::InsufficientCapacity { offering },
            ErrorKind::QuotaExceeded,
            ErrorKind::Throttled { after: None },
            ErrorKind::AuthFailed,
            ErrorKind::InvalidSpec,
            ErrorKind::Unavailable,
        ];
        for kind in &all {
            match kind {
                ErrorKind::NotFound
                | ErrorKind::Ambiguous
                | ErrorKind::InsufficientCapacity { offering: _ }
                | ErrorKind::QuotaExceeded
                | ErrorKind::Throttled { after: _ }
                | ErrorKind::AuthFailed
                | ErrorKind::InvalidSpec
                | ErrorKind::Unavailable => {}
            }
        }
        all
    }

    /// The rows of the table under the heading in `docs/PROVIDERS.md`, first cell to last.
    fn documented_rows() -> Vec<Vec<String>> {
        let text = include_str!("../../../docs/PROVIDERS.md");
        let (_, section) =
            text.split_once("## Errors and reactions").expect("the heading is there");
        let section = section.split("\n## ").next().unwrap_or(section);
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        rows.map(|row| {
            let cells = row.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
        })
        .collect()
    }

    #[test]
    fn each_kind_has_the_one_reaction_that_the_documentation_says() {
        let table: Vec<Vec<String>> = every_kind()
            .iter()
            .map(|kind| {
                let nothing = if kind.create_made_nothing() { "yes" } else { "no" };
                let variant = format!("{kind:?}");
                let name = variant.split([' ', '{']).next().unwrap_or(&variant).to_owned();
                let reaction = format!("{:?}", kind.reaction());
                vec![name, kind.word().to_owned(), nothing.to_owned(), reaction]
            })
            .collect();
        let documented: Vec<Vec<String>> =
            documented_rows().into_iter().map(|mut row| row.drain(..4).collect()).collect();
        assert_eq!(documented, table);
    }

    #[test]
    fn no_two_kinds_share_a_reaction_or_a_word() {
        let kinds = every_kind();
        let reactions: BTreeSet<_> = kinds.iter().map(|k| format!("{:?}", k.reaction())).collect();
        let words: BTreeSet<_> = kinds.iter().map(ErrorKind::word).collect();
        assert_eq!((reactions.len(), words.len()), (kinds.len(), kinds.len()));
    }

    #[test]
    fn a_late_refusal_has_the_word_of_the_refusal_that_it_would_have_been_and_certainly_made_nothing()
     {
        let late: Vec<_> = every_kind()
            .into_iter()
            .filter_map(|kind| Some((LateRefusal::of(&kind)?, kind)))
            .collect();
        assert_eq!(late.len(), 2);
        for (refusal, kind) in late {
            assert_eq!(refusal.word(), kind.word());
            assert!(kind.create_made_nothing(), "{kind:?}");
            let written = serde_json::to_value(refusal).unwrap();
            assert_eq!(written, serde_json::json!(kind.word()));
        }
    }

    #[test]
    fn what_may_have_made_a_machine_keeps_its_reservation() {
        for kind in [ErrorKind::Ambiguous, ErrorKind::Unavailable, ErrorKind::NotFound] {
            assert!(!kind.create_made_nothing(), "{kind:?}");
        }
    }

    #[test]
    fn an_error_tells_what_was_tried_what_came_back_and_the_request() {
        let mut error =
            ProviderError::new(ErrorKind::QuotaExceeded, "create server", "cores: 4 of 4 in use");
        error.request_id = Some("req-1".to_owned());
        let text = "create server: cores: 4 of 4 in use (quota-exceeded) [request req-1]";
        assert_eq!(error.to_string(), text);
    }
}
