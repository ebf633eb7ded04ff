//! The phase of a machine: derived from record, sighting and time each cycle, never stored.

use std::fmt;

use super::{InstanceState, MachineView, Sighting, Timestamp};

/// Where a machine is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The intent is durable; whether the cloud has a machine for it is not known. Holds its place.
    Intended {
        /// Since when.
        since: Timestamp,
    },
    /// The cloud accepted it; it has not been seen running.
    Starting {
        /// Since when.
        since: Timestamp,
    },
    /// Seen running.
    Running {
        /// Since when.
        since: Timestamp,
    },
    /// Has ended by itself, or failed; what remains must be deleted.
    Ended {
        /// Since when.
        since: Timestamp,
    },
    /// We decided to delete it; a duty until it is proven gone.
    Deleting {
        /// Since when.
        since: Timestamp,
    },
    /// Proven not to exist (or never made): can be archived.
    Gone {
        /// Since when.
        since: Timestamp,
    },
}

impl Phase {
    /// The word for tables and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Intended { since: _ } => "intended",
            Self::Starting { since: _ } => "starting",
            Self::Running { since: _ } => "running",
            Self::Ended { since: _ } => "ended",
            Self::Deleting { since: _ } => "deleting",
            Self::Gone { since: _ } => "gone",
        }
    }

    /// Since when.
    pub fn since(self) -> Timestamp {
        match self {
            Self::Intended { since }
            | Self::Starting { since }
            | Self::Running { since }
            | Self::Ended { since }
            | Self::Deleting { since }
            | Self::Gone { since } => since,
        }
    }

    /// Whether the machine holds its place in limits and caps: everything that is not proven gone.
    pub fn holds_place(self) -> bool {
        match self {
            Self::Gone { since: _ } => false,
            Self::Intended { since: _ }
            | Self::Starting { since: _ }
            | Self::Running { since: _ }
            | Self::Ended { since: _ }
            | Self::Deleting { since: _ } => true,
        }
    }

    /// Whether it counts towards the target shares: it works, or is about to.
    pub fn counts_for_share(self) -> bool {
        match self {
            Self::Intended { since: _ }
            | Self::Starting { since: _ }
            | Self::Running { since: _ } => true,
            Self::Ended { since: _ } | Self::Deleting { since: _ } | Self::Gone { since: _ } => {
                false
            }
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The phase of a machine at `now`. Total: every record and sighting has exactly one phase.
///
/// Order matters: proof of absence first, then our own decision to delete, then what the cloud
/// shows, then what we remember of it. What was seen once (running, ended) stays a fact when a
/// later listing lacks it.
pub fn phase_of(view: &MachineView, now: Timestamp) -> Phase {
    let record = &view.record;
    if let Some(gone) = &record.gone {
        return Phase::Gone { since: gone.at };
    }
    if let Some(rejection) = &record.rejected {
        return Phase::Gone { since: rejection.at };
    }
    if view.sighting == Sighting::ProvenAbsent {
        return Phase::Gone { since: now };
    }
    let tombstone = match &view.sighting {
        Sighting::Seen(instance) if instance.state == InstanceState::Gone => {
            Some(instance.ended.unwrap_or(now))
        }
        Sighting::Seen(_) | Sighting::NotSeen | Sighting::ProvenAbsent => None,
    };
    if let Some(since) = tombstone {
        return Phase::Gone { since };
    }
    if let Some(deletion) = &record.deletion {
        return Phase::Deleting { since: deletion.since };
    }
    if let Some(fact) = &record.ended {
        return Phase::Ended { since: fact.at };
    }
    match &view.sighting {
        Sighting::Seen(instance) => phase_in_the_cloud(view, instance, now),
        Sighting::NotSeen | Sighting::ProvenAbsent => phase_remembered(view),
    }
}

fn phase_in_the_cloud(view: &MachineView, instance: &super::Instance, now: Timestamp) -> Phase {
    let record = &view.record;
    match &instance.state {
        InstanceState::Pending => Phase::Starting { since: record.intended },
        InstanceState::Running => {
            Phase::Running { since: record.started.or(instance.started).unwrap_or(now) }
        }
        InstanceState::Stopped
        | InstanceState::Preempted
        | InstanceState::Failed { refusal: _, fault: _ } => {
            Phase::Ended { since: instance.ended.unwrap_or(now) }
        }
        InstanceState::Deleting => Phase::Deleting { since: instance.ended.unwrap_or(now) },
        InstanceState::Gone => Phase::Gone { since: instance.ended.unwrap_or(now) },
        InstanceState::Unknown { word: _ } => phase_remembered(view),
    }
}

fn phase_remembered(view: &MachineView) -> Phase {
    let record = &view.record;
    match (record.started, &record.instance) {
        (Some(since), _) => Phase::Running { since },
        (None, Some(_)) => Phase::Starting { since: record.intended },
        (None, None) => Phase::Intended { since: record.intended },
    }
}
