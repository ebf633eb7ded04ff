//! The books: every machine ever made and every call, in order. Nothing is ever taken out of them, so a test can
//! tell at the end what was made twice, what nobody knew of, and what lived too long.

use std::collections::BTreeMap;
use std::time::Duration;

use vcycle_api::{Identity, Timestamp};

use super::ask::Service;

/// Why a machine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// `TerminateInstances`.
    Asked,
    /// Its guest shut it down.
    Guest,
    /// EC2 took a spot machine back.
    Interrupted,
    /// It never ran: the launch failed after it was accepted.
    LaunchFailed,
}

/// A machine that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineRecord {
    /// Id.
    pub id: String,
    /// Tags of the launch.
    pub tags: BTreeMap<String, String>,
    /// Client token.
    pub token: Option<String>,
    /// Instance type.
    pub flavour: String,
    /// Zone.
    pub zone: String,
    /// Whether it is spot.
    pub spot: bool,
    /// Access key that launched it; `None`: a lever of the test.
    pub by: Option<String>,
    /// When the launch was accepted.
    pub accepted: Timestamp,
    /// When it began to run.
    pub began: Option<Timestamp>,
    /// When it stopped running (or its launch failed), and why.
    pub ended: Option<(Timestamp, End)>,
}

impl MachineRecord {
    /// What is paid for until `now`: the time in `running`, and at least a minute of it (EC2 On-Demand
    /// Pricing: by the second, for Linux).
    pub fn billed(&self, now: Timestamp) -> Duration {
        let Some(began) = self.began else { return Duration::ZERO };
        let until = self.ended.map_or(now, |(at, _)| at);
        until.since(began).max(Duration::from_secs(60))
    }

    /// Whose it is, by the tags of its launch.
    pub fn identity(&self) -> Identity {
        Identity::from_map(&self.tags)
    }
}

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    /// When.
    pub at: Timestamp,
    /// Service.
    pub service: Service,
    /// Name, for example `RunInstances`.
    pub action: String,
    /// Parameters; secrets are left out.
    pub params: Vec<(String, String)>,
    /// Permissions that a policy must give for it.
    pub permissions: Vec<String>,
    /// Access key; `None`: it was not signed.
    pub key: Option<String>,
    /// HTTP status of the answer; `None`: there was none, or it broke off.
    pub status: Option<u16>,
    /// Code of the error.
    pub code: Option<String>,
}

impl CallRecord {
    /// The first value of a parameter.
    pub fn param(&self, key: &str) -> Option<&str> {
        self.params.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// The books of a cloud.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Machines, in the order in which they were made.
    pub machines: Vec<MachineRecord>,
    /// Calls, in order.
    pub calls: Vec<CallRecord>,
}

impl Ledger {
    /// Client tokens that made more than one machine.
    pub fn made_twice(&self) -> Vec<&str> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for token in self.machines.iter().filter_map(|machine| machine.token.as_deref()) {
            *counts.entry(token).or_default() += 1;
        }
        counts.into_iter().filter(|(_, count)| *count > 1).map(|(token, _)| token).collect()
    }

    /// Machines that ran past the deadline in their tags by more than this.
    pub fn overdue(&self, now: Timestamp, grace: Duration) -> Vec<&MachineRecord> {
        let late = |machine: &&MachineRecord| {
            let Identity::Vcycle(tags) = machine.identity() else { return false };
            let until = machine.ended.map_or(now, |(at, _)| at);
            machine.began.is_some() && until > tags.deadline + grace
        };
        self.machines.iter().filter(late).collect()
    }

    /// The machines that have not ended.
    pub fn living(&self) -> impl Iterator<Item = &MachineRecord> {
        self.machines.iter().filter(|machine| machine.ended.is_none())
    }

    /// The calls with this name.
    pub fn calls_of(&self, action: &str) -> impl Iterator<Item = &CallRecord> {
        self.calls.iter().filter(move |call| call.action == action)
    }
}
