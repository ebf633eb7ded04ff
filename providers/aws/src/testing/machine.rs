//! One machine: what it is, and its states one after the other.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use vcycle_api::Timestamp;

use super::ledger::End;
use super::site::Guest;
use super::words::gmt;

/// A state of a machine (API reference, `InstanceState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Being made.
    Pending,
    /// Has power.
    Running,
    /// Ends.
    ShuttingDown,
    /// Ended; the record stays for an hour.
    Terminated,
    /// Loses its power.
    Stopping,
    /// Has no power; its volumes cost.
    Stopped,
}

impl State {
    /// Its number.
    pub fn code(self) -> u16 {
        match self {
            Self::Pending => 0,
            Self::Running => 16,
            Self::ShuttingDown => 32,
            Self::Terminated => 48,
            Self::Stopping => 64,
            Self::Stopped => 80,
        }
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }

    /// Whether it ends or has ended for ever.
    pub(crate) fn is_ending(self) -> bool {
        matches!(self, Self::ShuttingDown | Self::Terminated)
    }
}

/// Why a machine is in its state (API reference, `StateReason`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Code, for example `Server.SpotInstanceTermination`.
    pub code: String,
    /// Message.
    pub message: String,
}

impl Reason {
    /// A reason.
    pub fn new(code: &str, message: &str) -> Self {
        Self { code: code.to_owned(), message: message.to_owned() }
    }

    /// There was no room after all.
    pub fn no_capacity() -> Self {
        let message = "Server.InsufficientInstanceCapacity: There was insufficient capacity available \
                       to satisfy the launch request.";
        Self::new("Server.InsufficientInstanceCapacity", message)
    }

    /// The account may have no more volumes.
    pub fn volume_limit() -> Self {
        let message = "Client.VolumeLimitExceeded: Volume limit exceeded";
        Self::new("Client.VolumeLimitExceeded", message)
    }

    /// Something that the client chose made the launch fail, for example a key of an encrypted volume.
    pub fn client_error() -> Self {
        Self::new("Client.InternalError", "Client.InternalError: Client error on launch")
    }

    /// EC2 itself is at fault.
    pub fn internal() -> Self {
        Self::new("Server.InternalError", "Server.InternalError: Internal error on launch")
    }

    fn of(end: End) -> Self {
        match end {
            End::Asked => Self::new(
                "Client.UserInitiatedShutdown",
                "Client.UserInitiatedShutdown: User initiated shutdown",
            ),
            End::Guest => Self::new(
                "Client.InstanceInitiatedShutdown",
                "Client.InstanceInitiatedShutdown: Instance initiated shutdown",
            ),
            End::Interrupted => Self::new(
                "Server.SpotInstanceTermination",
                "Server.SpotInstanceTermination: Spot instance termination",
            ),
            End::LaunchFailed => Self::internal(),
        }
    }
}

/// A state from some time on.
#[derive(Debug, Clone)]
pub(crate) struct Phase {
    pub(crate) at: Timestamp,
    pub(crate) state: State,
    pub(crate) reason: Option<Reason>,
    /// The older form of the reason, for example `User initiated (2026-11-21 01:34:55 GMT)`.
    pub(crate) transition: String,
}

impl Phase {
    pub(crate) fn plain(at: Timestamp, state: State) -> Self {
        Self { at, state, reason: None, transition: String::new() }
    }

    /// The begin of an end.
    pub(crate) fn ending(at: Timestamp, state: State, end: End, reason: Option<Reason>) -> Self {
        let transition = match end {
            End::Asked => format!("User initiated ({})", gmt(at)),
            End::Guest => String::new(),
            End::Interrupted => "Server.SpotInstanceTermination".to_owned(),
            End::LaunchFailed => {
                reason.as_ref().map_or(String::new(), |reason| reason.code.clone())
            }
        };
        Self { at, state, reason: Some(reason.unwrap_or_else(|| Reason::of(end))), transition }
    }
}

/// What a launch decides once and for all.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) id: String,
    pub(crate) reservation: String,
    pub(crate) index: u32,
    pub(crate) accepted: Timestamp,
    /// Client token, and the zone that was asked for with it.
    pub(crate) token: Option<(String, String)>,
    pub(crate) flavour: String,
    pub(crate) vcpus: u32,
    pub(crate) architecture: String,
    pub(crate) zone: String,
    pub(crate) image: String,
    pub(crate) subnet: String,
    pub(crate) vpc: String,
    pub(crate) groups: Vec<(String, String)>,
    pub(crate) key: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) user_data: Arc<[u8]>,
    /// Ends for good when its guest shuts it down; else it stops.
    pub(crate) ends_with_guest: bool,
    pub(crate) imds: Imds,
    /// Id of the spot request.
    pub(crate) spot: Option<String>,
    pub(crate) address: Ipv4Addr,
    pub(crate) public: Option<Ipv4Addr>,
    /// Index in the ledger.
    pub(crate) entry: usize,
}

/// Options of the metadata service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Imds {
    pub(crate) tokens: String,
    pub(crate) endpoint: String,
    pub(crate) hops: String,
}

/// A machine.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) made: Made,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) phases: Vec<Phase>,
    /// Ids of its volumes.
    pub(crate) volumes: Vec<String>,
    /// Ids of its network interfaces.
    pub(crate) interfaces: Vec<String>,
    pub(crate) guest: Guest,
    /// When its guest shuts it down, as planned now.
    pub(crate) guest_end: Option<Timestamp>,
    /// It may not be terminated.
    pub(crate) protected: bool,
    /// Notice of an interruption was given.
    pub(crate) noticed: bool,
}

impl Machine {
    /// The state in truth.
    pub(crate) fn phase(&self) -> &Phase {
        self.phases.last().expect("a machine begins with a state")
    }

    pub(crate) fn state(&self) -> State {
        self.phase().state
    }

    /// The state at this time; the first before that.
    pub(crate) fn phase_at(&self, time: Timestamp) -> &Phase {
        let there = self.phases.iter().rev().find(|phase| phase.at <= time);
        there.unwrap_or(&self.phases[0])
    }

    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        match vcycle_api::Identity::from_map(&self.tags) {
            vcycle_api::Identity::Vcycle(tags) => Some(tags.deadline),
            vcycle_api::Identity::Foreign => None,
        }
    }

    /// When its guest will shut down, if it runs from `began` on.
    pub(crate) fn plan_end(&self, began: Timestamp) -> Option<Timestamp> {
        // A timer that has run out already ends the machine as soon as it has booted.
        let timer = self.deadline().map(|deadline| deadline.max(began));
        match self.guest {
            Guest::ObeysItsTimer => timer,
            Guest::Ends(life) => Some(timer.map_or(began + life, |end| end.min(began + life))),
            Guest::IgnoresItsTimer => None,
        }
    }
}
