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
