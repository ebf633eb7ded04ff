//! One machine of a simulated cloud: what clients see of it, and what will happen to it.

use vcycle_api::{
    Identity, Instance, InstanceId, InstanceState, LateRefusal, Megabytes, OfferingId, Processors,
    Timestamp, UserData,
};

use crate::{EndCause, Script};

/// What a machine is made from.
#[derive(Debug, Clone)]
pub(crate) struct Blueprint {
    pub(crate) name: String,
    pub(crate) identity: Identity,
    pub(crate) offering: OfferingId,
    pub(crate) processors: Processors,
    pub(crate) memory: Megabytes,
    pub(crate) user_data: UserData,
    pub(crate) environment: Vec<(String, String)>,
}

/// One machine.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// As clients see it, but for [`Machine::shown`].
    pub(crate) instance: Instance,
    pub(crate) user_data: UserData,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) script: Script,
    /// Not shown to clients before.
    pub(crate) visible_at: Timestamp,
    /// When it is going to be taken back, if that is known already.
    pub(crate) preempted_at: Option<Timestamp>,
    /// When its removal will be, or was, done.
    pub(crate) removed_at: Option<Timestamp>,
    /// Why it lost its power.
    pub(crate) cause: Option<EndCause>,
    /// Deletes that it takes.
    pub(crate) deletes_needed: u32,
    /// Listed, but nobody can get or delete it.
    pub(crate) ghost: Ghost,
    /// The cloud itself does not know how it is.
    pub(crate) sight: Sight,
    /// Whether it ends itself at its hard end.
    pub(crate) timer: Timer,
}

/// The timer of the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timer {
    Runs,
    Stopped,
}

/// Whether a machine is only a leftover in the cloud's books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ghost {
    /// It is real.
    No,
    /// It is real, and will leave a ghost.
    Later,
    /// It is one.
    Yes,
}

/// Whether the cloud knows a machine's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    Known,
    Lost,
}

impl Machine {
    pub(crate) fn new(id: InstanceId, made: Blueprint, script: Script, now: Timestamp) -> Self {
        let instance = Instance {
            id,
            name: made.name,
            identity: made.identity,
            state: InstanceState::Pending,
            offering: Some(made.offering),
            processors: Some(made.processors),
            memory: Some(made.memory),
            created: Some(now),
            started: None,
            ended: None,
            addresses: Vec::new(),
        };
        Self {
            instance,
            user_data: made.user_data,
            environment: made.environment,
            script,
            visible_at: now,
            preempted_at: None,
            removed_at: None,
            cause: None,
            deletes_needed: 1,
            ghost: Ghost::No,
            sight: Sight::Known,
            timer: Timer::Runs,
        }
    }

    /// Whether it still holds quota and stock.
    pub(crate) fn exists(&self) -> bool {
        self.instance.state != InstanceState::Gone && self.ghost != Ghost::Yes
    }

    /// Whether nothing has ended it yet.
    pub(crate) fn is_alive(&self) -> bool {
        self.exists() && self.cause.is_none()
    }

    /// Whether clients are shown it at this time.
    pub(crate) fn is_visible(&self, now: Timestamp) -> bool {
        self.visible_at <= now
    }

    /// As clients are shown it.
    pub(crate) fn shown(&self) -> Instance {
        match self.sight {
            Sight::Known => self.instance.clone(),
            // As during the outage of a cell: the machine is listed with hardly a field.
            Sight::Lost => Instance {
                state: InstanceState::Unknown { word: "UNKNOWN".to_owned() },
                offering: None,
                processors: None,
                memory: None,
                started: None,
                ended: None,
                addresses: Vec::new(),
                ..self.instance.clone()
            },
        }
    }

    /// Its last heartbeat until now.
    pub(crate) fn last_heartbeat(&self, now: Timestamp) -> Option<Timestamp> {
        let started = self.instance.started?;
        Some(self.script.heartbeats?.last(started, self.instance.ended, now))
    }

    /// What it wrote at its end, if it has come to it.
    pub(crate) fn message(&self) -> Option<&str> {
        match self.cause? {
            EndCause::Finished => self.script.message.as_deref(),
            EndCause::Deadline
            | EndCause::Ended
            | EndCause::Preempted
            | EndCause::FailedBoot
            | EndCause::RefusedLate(_)
            | EndCause::Deleted => None,
        }
    }

    /// Takes its power. What has ended already stays as it is.
    pub(crate) fn end(&mut self, cause: EndCause, now: Timestamp) {
        if self.cause.is_some() {
            return;
        }
        self.cause = Some(cause);
        self.instance.ended = Some(now);
        let state = match cause {
            EndCause::Finished | EndCause::Deadline | EndCause::Ended => InstanceState::Stopped,
            EndCause::Preempted => InstanceState::Preempted,
            EndCause::FailedBoot => failed(None, "the guest could not be spawned"),
            EndCause::RefusedLate(LateRefusal::InsufficientCapacity) => {
                failed(Some(LateRefusal::InsufficientCapacity), "no valid host was found")
            }
            EndCause::RefusedLate(LateRefusal::QuotaExceeded) => {
                failed(Some(LateRefusal::QuotaExceeded), "the quota would be passed")
            }
            EndCause::Deleted => InstanceState::Deleting,
        };
        if self.instance.state != InstanceState::Deleting {
            self.instance.state = state;
        }
    }
}

fn failed(refusal: Option<LateRefusal>, fault: &str) -> InstanceState {
    InstanceState::Failed { refusal, fault: fault.to_owned() }
}
