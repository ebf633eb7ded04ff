//! One machine as the planner sees it: our record joined with what the cloud shows.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Instance, MachineRecord, Processors, ShutdownMessage, Timestamp};

/// What a cycle knows of a machine's existence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sighting {
    /// Listed, or got directly.
    Seen(Box<Instance>),
    /// A direct get said NotFound, after a complete listing that began when the record had
    /// settled did not have it.
    ProvenAbsent,
    /// Nothing is proven (partial listing, not settled, no instance id yet).
    NotSeen,
}

/// A record with all that is known now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineView {
    /// Our record.
    pub record: MachineRecord,
    /// The cloud's word.
    pub sighting: Sighting,
    /// A second VM that carries the same intent (must not happen; deleted when it does).
    pub duplicates: Vec<Instance>,
    /// When its heartbeat file last arrived.
    pub heartbeat: Option<Timestamp>,
    /// Whether its heartbeats would be heard.
    pub hearing: Hearing,
    /// Its `shutdown_message`, as written by the machine itself.
    pub message: Option<ShutdownMessage>,
}

/// Whether a machine that gives a heartbeat is heard: its silence means nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hearing {
    /// The server that it reports to answers, and has been looked after since then.
    Since(Timestamp),
    /// No manager that lives answers at the address that it reports to.
    Deaf,
}

/// The addresses that machines report to and that managers who live answer at, as far as one manager knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doors {
    /// Nobody has looked: each counts as open.
    NotLookedAt,
    /// Since when each is known to be open.
    Open(BTreeMap<String, Timestamp>),
}

impl Doors {
    /// Whether a machine that reports to `url` is heard by a manager that has listened `since`. A record
    /// of an older version does not tell the address.
    pub fn hearing(&self, url: &str, since: Timestamp) -> Hearing {
        match self {
            Self::NotLookedAt => Hearing::Since(since),
            Self::Open(_) if url.is_empty() => Hearing::Since(since),
            Self::Open(doors) => match doors.get(url) {
                Some(open) => Hearing::Since(since.max(*open)),
                None => Hearing::Deaf,
            },
        }
    }
}

/// VMs in the tenancy that are not this deployment's: counted and reported, never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Strangers {
    /// How many.
    pub machines: u32,
    /// Their processors, as far as known.
    pub processors: Processors,
    /// How many of them carry another deployment's tags.
    pub other_deployments: u32,
}

/// How far this cycle's listing can be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListingState {
    /// Complete.
    Complete {
        /// When it began.
        started: Timestamp,
    },
    /// Complete by its own word, but so many known machines are missing that we suspect it
    /// (or ourselves) first.
    Shrunken {
        /// Machines that should have been listed.
        expected: usize,
        /// How many of them are missing.
        missing: usize,
    },
    /// Incomplete: nothing follows from absence.
    Partial {
        /// What was missing.
        why: String,
    },
    /// Of another tenancy than the space's: nothing at all follows from it, and nothing may be done there.
    Elsewhere {
        /// The tenancy of the space, for people.
        ours: String,
        /// Where the credentials lead, for people.
        theirs: String,
    },
    /// No listing at all.
    Failed {
        /// [`super::ErrorKind::word`].
        kind: String,
        /// What came back.
        message: String,
    },
}

impl ListingState {
    /// Whether the cloud that we see is not the space's: then nothing at all is done.
    pub fn is_elsewhere(&self) -> bool {
        match self {
            Self::Elsewhere { ours: _, theirs: _ } => true,
            Self::Complete { started: _ }
            | Self::Shrunken { expected: _, missing: _ }
            | Self::Partial { why: _ }
            | Self::Failed { kind: _, message: _ } => false,
        }
    }
}

/// How far a clock that is believed may be from the file server's. More than the time that a slow file server or a busy host
/// takes between two readings, less than any time that a machine is given.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// How far the clocks of two managers may be apart while both are believed.
pub const CLOCKS_APART: Duration = Duration::from_secs(2 * CLOCK_TOLERANCE.as_secs());

/// Whether the wall clock of this manager's host can be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClockTrust {
    /// Nothing speaks against it.
    Trusted,
    /// It moved in a way that time does not, or another clock contradicts it: nothing follows from it.
    Doubted {
        /// What both clocks showed.
        why: String,
    },
}

impl ClockTrust {
    /// Whether anything may follow from the time.
    pub fn is_trusted(&self) -> bool {
        match self {
            Self::Trusted => true,
            Self::Doubted { why: _ } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_heard_from_when_its_door_is_open_and_we_listen() {
        let at = Timestamp::from_secs;
        let doors = Doors::Open(BTreeMap::from([("https://a:443".to_owned(), at(500))]));
        assert_eq!(doors.hearing("https://a:443", at(400)), Hearing::Since(at(500)));
        assert_eq!(doors.hearing("https://a:443", at(600)), Hearing::Since(at(600)));
        assert_eq!(doors.hearing("https://b:443", at(600)), Hearing::Deaf);
        assert_eq!(doors.hearing("", at(600)), Hearing::Since(at(600)), "of an older version");
        assert_eq!(Doors::NotLookedAt.hearing("https://b:443", at(1)), Hearing::Since(at(1)));
    }
}
