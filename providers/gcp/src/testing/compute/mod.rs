//! Compute Engine: from a request to its method, and back.

mod agenda;
mod aggregate;
mod catalogue;
mod change;
mod disk;
mod error;
mod filter;
mod insert;
mod list;
mod machine;
mod operation;
mod permit;
mod quota;
mod rate;
mod route;
mod show;
mod wanted;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use vcycle_api::Timestamp;

pub(crate) use agenda::{Agenda, Event, tick};
pub(crate) use change::{guest_ends, preempt, remove};
pub(crate) use disk::Disk;
pub use error::{OpError, Shortage, Told};
pub(crate) use insert::add;
pub(crate) use machine::{Attached, Ending, Machine, Status, Then};
pub(crate) use operation::{Operation, Remembered};
pub(crate) use quota::used;
pub(crate) use rate::Rate;
pub(crate) use route::{Call, answer};
pub(crate) use wanted::{Wanted, WantedDisk};

/// Zone and name: what tells resources of one kind apart. Global ones have an empty zone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) zone: String,
    pub(crate) name: String,
}

impl Place {
    pub(crate) fn new(zone: impl Into<String>, name: impl Into<String>) -> Self {
        Self { zone: zone.into(), name: name.into() }
    }
}

/// How a zone that is down shows itself to who lists all zones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// A warning in the zone's part of the answer.
    Warned,
    /// Its name among `unreachables`, and no part of its own.
    Unreachable,
    /// The whole list is refused.
    Refused,
}

/// Everything in the project.
#[derive(Debug, Default)]
pub(crate) struct Compute {
    pub(crate) machines: BTreeMap<Place, Machine>,
    pub(crate) disks: BTreeMap<Place, Disk>,
    pub(crate) operations: BTreeMap<Place, Operation>,
    pub(crate) agenda: Agenda,
    /// By `requestId`.
    pub(crate) requests: BTreeMap<String, Remembered>,
    pub(crate) shortages: Vec<Shortage>,
    /// What the next accepted inserts come to.
    pub(crate) next: VecDeque<Fate>,
    /// Zones that are down.
    pub(crate) down: BTreeMap<String, Outage>,
    pub(crate) rate: Rate,
    /// How a full quota is told, and a name that is taken.
    pub(crate) told: BTreeMap<What, Told>,
    /// Lasting oddities.
    pub(crate) habits: BTreeSet<Habit>,
    /// Permissions of the caller; `None`: all.
    pub(crate) permitted: Option<BTreeSet<String>>,
    /// Permissions that calls have needed.
    pub(crate) needed: BTreeSet<String>,
    /// Addresses given out so far.
    pub(crate) addresses: u32,
    pub(crate) now: Timestamp,
}

/// What the next accepted insert comes to.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    /// Its operation fails.
    Fails(OpError),
    /// Its guest ends as soon as it runs.
    GuestEnds,
}

/// What is refused at once, or inside an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Quota,
    Exists,
}

/// A lasting oddity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Habit {
    /// Disks stay when their machine goes, whatever was asked for.
    DisksOutlive,
    /// A machine that is being made is "not ready" to be deleted.
    NotReady,
}
