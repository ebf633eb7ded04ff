//! A VM as the cloud shows it.

use serde::{Deserialize, Serialize};

use crate::{ErrorKind, Identity, InstanceId, Megabytes, OfferingId, Processors, Timestamp};

/// What the cloud says of a VM, in our words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum InstanceState {
    /// Being made.
    Pending,
    /// Has power. Says nothing about what runs in it.
    Running,
    /// Has no power any more but still exists (and may still cost): it ended by itself.
    Stopped,
    /// Taken back by the provider; may still exist.
    Preempted,
    /// The cloud could not make it or lost it.
    Failed {
        /// It was refused after all, although its create was accepted. Only of a machine that never had power.
        refusal: Option<LateRefusal>,
        /// What the cloud gave as the cause.
        fault: String,
    },
    /// The cloud is removing it.
    Deleting,
    /// A tombstone: listed, but it exists no more and costs nothing.
    Gone,
    /// The cloud itself does not know (outage, word we have never seen). Proves nothing.
    Unknown {
        /// The cloud's own word.
        word: String,
    },
}

/// What an accepted create is refused for in the end. Those refusals that tell of the cloud and not of the machine: the
/// same create may be accepted elsewhere or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LateRefusal {
    /// As [`ErrorKind::InsufficientCapacity`].
    InsufficientCapacity,
    /// As [`ErrorKind::QuotaExceeded`].
    QuotaExceeded,
}

impl LateRefusal {
    /// What a create would have been refused with; `None`: that tells nothing of the cloud, or is not certain.
    pub fn of(kind: &ErrorKind) -> Option<Self> {
        match kind {
            ErrorKind::InsufficientCapacity { offering: _ } => Some(Self::InsufficientCapacity),
            ErrorKind::QuotaExceeded => Some(Self::QuotaExceeded),
            ErrorKind::NotFound
            | ErrorKind::Ambiguous
            | ErrorKind::Throttled { after: _ }
            | ErrorKind::AuthFailed
            | ErrorKind::InvalidSpec
            | ErrorKind::Unavailable => None,
        }
    }

    /// [`ErrorKind::word`] of the refusal that a create would have had.
    pub fn word(self) -> &'static str {
        match self {
            Self::InsufficientCapacity => "insufficient-capacity",
            Self::QuotaExceeded => "quota-exceeded",
        }
    }
}

/// One VM in the tenancy, ours or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The cloud's id.
    pub id: InstanceId,
    /// The cloud's display name, for people.
    pub name: String,
    /// Whose it is, by its tags.
    pub identity: Identity,
    /// State.
    pub state: InstanceState,
    /// What it is made of, when the cloud says so.
    pub offering: Option<OfferingId>,
    /// Processors, when known.
    pub processors: Option<Processors>,
    /// Memory, when known.
    pub memory: Option<Megabytes>,
    /// When the cloud accepted it.
    pub created: Option<Timestamp>,
    /// When it got power.
    pub started: Option<Timestamp>,
    /// When it ended, for `Stopped`, `Preempted`, `Failed` and `Gone`.
    pub ended: Option<Timestamp>,
    /// Addresses, the one that others should use first.
    pub addresses: Vec<std::net::IpAddr>,
}
