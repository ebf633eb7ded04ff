//! A machine, as the cloud has it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::Value;
use vcycle_api::{Market, Timestamp};

use super::Place;
use crate::testing::ledger::End;

/// The words of `Instance.status` that come about by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Provisioning,
    Staging,
    Running,
    Stopping,
    Terminated,
}

impl Status {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Staging => "STAGING",
            Self::Running => "RUNNING",
            Self::Stopping => "STOPPING",
            Self::Terminated => "TERMINATED",
        }
    }
}

/// What follows STOPPING.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// TERMINATED.
    Rests,
    /// Nothing: the machine is gone.
    Goes,
}

/// The end of a machine, under way.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    pub(crate) at: Timestamp,
    pub(crate) then: Then,
    pub(crate) why: End,
    /// Operations that are done when it has ended.
    pub(crate) operations: Vec<Place>,
}

/// A disk of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attached {
    /// In the machine's zone.
    pub(crate) disk: String,
    pub(crate) device: String,
    pub(crate) boot: bool,
    pub(crate) auto_delete: bool,
}

/// A machine.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) id: u64,
    /// What was asked for; what is shown of it is in `show.rs`.
    pub(crate) spec: Value,
    pub(crate) machine_type: String,
    pub(crate) cpus: u32,
    pub(crate) market: Market,
    /// What preemption and the end of `limit` do.
    pub(crate) action: Then,
    pub(crate) limit: Option<Duration>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) labels_version: u64,
    /// Key and value, in order.
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) metadata_version: u64,
    pub(crate) disks: Vec<Attached>,
    pub(crate) internal: Ipv4Addr,
    pub(crate) external: Option<Ipv4Addr>,
    pub(crate) status: Status,
    /// A word that a test has put in place of the status.
    pub(crate) odd: Option<String>,
    pub(crate) accepted: Timestamp,
    /// Since when it runs.
    pub(crate) running: Option<Timestamp>,
    pub(crate) last_start: Option<Timestamp>,
    pub(crate) last_stop: Option<Timestamp>,
    /// Counts starts: an end that was meant for an earlier one is none for this.
    pub(crate) run: u32,
    pub(crate) ending: Option<Ending>,
    pub(crate) guest_ends: bool,
    pub(crate) protected: bool,
}

impl Machine {
    /// Its status as it is shown.
    pub(crate) fn word(&self) -> &str {
        self.odd.as_deref().unwrap_or(self.status.word())
    }

    /// Whether it counts against the quota of processors: a TERMINATED one does not.
    pub(crate) fn has_power(&self) -> bool {
        match self.status {
            Status::Provisioning | Status::Staging | Status::Running | Status::Stopping => true,
            Status::Terminated => false,
        }
    }
}
