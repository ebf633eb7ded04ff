//! The words in which ownership is asked for, given, refused and lost.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Ownership;
use crate::model::{Generation, ManagerName};

/// Why the space may not be changed now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fenced {
    /// The ownership was not renewed in time. It does not come back: acquire again.
    #[error("generation {generation} was not renewed in time, {late:?} too late")]
    Expired {
        /// Ours.
        generation: Generation,
        /// Since when.
        late: Duration,
    },
    /// There is a newer owner.
    #[error("generation {generation} was superseded by generation {by}")]
    Superseded {
        /// Ours.
        generation: Generation,
        /// The newest.
        by: Generation,
    },
    /// The log does not know our generation any more: it was removed, or restored from a backup.
    #[error(
        "generation {generation} is not in the log any more: was the state directory restored from a backup?"
    )]
    Forgotten {
        /// Ours.
        generation: Generation,
    },
    /// The cloud shows a VM of ours that was made by a generation unknown to the log: it is older than the
    /// cloud.
    #[error(
        "a VM of ours was made by generation {by}, of which the log, at {generation}, knows nothing: was the state \
         directory restored from a backup?"
    )]
    Outrun {
        /// Ours.
        generation: Generation,
        /// The highest that is seen.
        by: Generation,
    },
    /// The log could not be read just now. The ownership may still stand: ask again.
    #[error("cannot tell whether generation {generation} still owns the space: {why}")]
    Unsure {
        /// Ours.
        generation: Generation,
        /// What came back.
        why: String,
    },
}

/// The ownership is over for good: drop it and acquire again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("lost the ownership: {0}")]
pub struct Lost(pub Fenced);

/// With what a space is taken.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// Who takes it.
    pub manager: &'a ManagerName,
    /// How long it may be silent.
    pub ttl: Duration,
    /// The new generation must be above this one: the highest that was seen on a VM.
    pub above: Generation,
}

/// The answer of [`Ownership::take_vacant`].
#[derive(Debug)]
pub enum Acquire {
    /// We own the space now.
    Owned(Ownership),
    /// Somebody else does, or may; ask again, at least twice within the TTL.
    HeldBy {
        /// Who.
        manager: ManagerName,
        /// Under which generation.
        generation: Generation,
    },
}

/// The answer of [`Ownership::look`].
#[derive(Debug)]
pub enum Look {
    /// Somebody owns the space, or may; look again, at least twice within the TTL.
    HeldBy {
        /// Who.
        manager: ManagerName,
        /// Under which generation.
        generation: Generation,
    },
    /// Nobody does.
    Vacant(Vacant),
}

/// A space that nobody owns, as far as this manager has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vacant {
    /// The generation to make.
    pub(super) generation: Generation,
    /// Who had it last, if that is known.
    pub left_by: Option<ManagerName>,
    /// What was said when it was given back.
    pub farewell: Option<Farewell>,
    /// For how long we have seen it so, on our own clock.
    pub lasts: Duration,
}

/// What an owner says when it gives a space back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Farewell {
    /// To whom it is handed over, if to somebody.
    #[serde(default)]
    pub to: Option<ManagerName>,
    /// For how many seconds from then the new owner is to keep it, even if another is placed better.
    #[serde(default)]
    pub keep_secs: u64,
}
