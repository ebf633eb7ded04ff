//! The durable record of one machine: facts, never opinions. Its phase is derived (`phase.rs`).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    DeploymentId, EndKind, Ended, EntryName, Generation, InstanceId, IntentToken, LateRefusal,
    MachineName, MachinetypeName, ManagerName, Megabytes, OfferingId, Processors, ShutdownMessage,
    SpaceName, Tags, Timestamp,
};

/// Everything we durably know of one machine. Written before the create call, and again whenever a
/// fact is learned; never edited in place. Facts are only added: no field goes back to `None`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineRecord {
    /// Version of this format: [`MachineRecord::FORMAT`].
    pub format: u32,
    /// Whose it is, where, under which intent, until when: also the tags on the VM. Its
    /// `generation` is the one under which the machine was asked for.
    #[serde(flatten)]
    pub tags: Tags,
    /// The ownership under which this record was last written.
    pub written_by: Generation,
    /// The manager that last wrote it.
    pub manager: ManagerName,
    /// Which definition it was made from.
    pub entry: EntryRef,
    /// What it is made of.
    pub offering: OfferingId,
    /// Its processors.
    pub processors: Processors,
    /// Its memory.
    pub memory: Megabytes,
    /// When it was decided. The place in every limit is held from here.
    pub intended: Timestamp,
    /// When the create call was last made (or may have been).
    pub asked: Timestamp,
    /// SHA-256 (hex) of the bearer token with which it may write its outputs; empty: the token is lost, it
    /// may not.
    pub outputs_token_sha256: String,
    /// The manager's address that the machine reports to, as it was made. Empty: not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub base_url: String,
    /// The cloud's id, once known.
    pub instance: Option<InstanceId>,
    /// When the cloud is known to have accepted it.
    pub created: Option<Timestamp>,
    /// The create call was refused and made nothing.
    pub rejected: Option<Rejection>,
    /// The create call was accepted, and the cloud said later that it refuses it. At the top and not within `ended`,
    /// so that an older manager keeps it when it writes the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_late: Option<LateRejection>,
    /// When it was first seen running, or the cloud's own start time.
    pub started: Option<Timestamp>,
    /// When it was seen to have ended, and how.
    pub ended: Option<EndFact>,
    /// It was told to end.
    pub drain: Option<Drain>,
    /// We decided to delete it: a duty until `gone`.
    pub deletion: Option<Deletion>,
    /// It is proven not to exist.
    pub gone: Option<Gone>,
}

/// An entry at a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryRef {
    /// Name.
    pub name: EntryName,
    /// Version.
    pub version: String,
}

/// A refused create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// When.
    pub at: Timestamp,
    /// [`super::ErrorKind::word`].
    pub kind: String,
    /// What came back.
    pub message: String,
}

/// A create that was accepted and refused after all: the machine never was, whatever remains of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateRejection {
    /// For want of what.
    pub kind: LateRefusal,
    /// What the cloud said.
    pub message: String,
}

/// An observed end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndFact {
    /// When it ended (the cloud's time if it told, else when we saw it).
    pub at: Timestamp,
    /// How the cloud showed it.
    pub state: EndState,
    /// The machine's own last words.
    pub message: Option<ShutdownMessage>,
}

/// How the cloud shows an end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndState {
    /// Lost its power.
    Stopped,
    /// Taken back by the provider.
    Preempted,
    /// Failed in the cloud.
    Failed,
    /// Not there any more, without our delete.
    Vanished,
}

/// A machine was told to end by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// When it will be deleted; the VM reads it as `shutdowntime_job`.
    pub by: Timestamp,
    /// Why.
    pub reason: DrainReason,
}

/// Why a machine is drained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "why")]
pub enum DrainReason {
    /// A person asked for it.
    Operator {
        /// Who, as far as known.
        who: String,
    },
    /// The provider gave notice.
    Interruption,
    /// The space ends.
    SpaceShutdown,
    /// A cap on spending is passed, or spent.
    SpendingCap {
        /// Which.
        cap: String,
    },
    /// The plan of a budget wants it: it makes room for others, or more is spent than the line allows.
    SpendingPlan {
        /// Which.
        budget: String,
        /// Why, in words.
        #[serde(rename = "because")]
        why: String,
    },
}

/// A decided delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// Why.
    pub reason: DeleteReason,
    /// When it was decided.
    pub since: Timestamp,
    /// How many delete calls were made.
    pub attempts: u32,
    /// When the last was made.
    pub last: Timestamp,
}

/// Why a machine is deleted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "why")]
pub enum DeleteReason {
    /// It has ended; its remains are removed.
    Ended,
    /// Not running within `start_timeout`.
    StartTimeout,
    /// Ran longer than `max_wallclock`.
    MaxWallclock,
    /// No heartbeat for too long.
    Heartbeat,
    /// Passed the space's shutdown time or its own.
    ShutdownTime,
    /// The cloud reports it as failed.
    CloudFault,
    /// A second machine of one intent.
    Duplicate,
    /// Past its hard end.
    Deadline,
    /// A person asked for it.
    Operator {
        /// Who, as far as known.
        who: String,
    },
}

impl DeleteReason {
    /// The message that the manager writes for the machine, if it left none itself.
    pub fn shutdown_message(&self) -> Option<&'static str> {
        match self {
            Self::StartTimeout => Some("700 Failed to start"),
            Self::MaxWallclock => Some("700 Exceeded max_wallclock"),
            Self::Heartbeat => Some("700 Heartbeat file not updated"),
            Self::ShutdownTime => Some("700 Passed shutdowntime"),
            Self::Deadline => Some("700 Passed its deadline"),
            Self::Operator { who: _ } => Some("700 Deleted by operator"),
            Self::Ended | Self::CloudFault | Self::Duplicate => None,
        }
    }
}

impl fmt::Display for DeleteReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("it has ended"),
            Self::StartTimeout => f.write_str("not running within start_timeout"),
            Self::MaxWallclock => f.write_str("ran longer than max_wallclock"),
            Self::Heartbeat => f.write_str("no heartbeat for too long"),
            Self::ShutdownTime => f.write_str("passed its shutdown time"),
            Self::CloudFault => f.write_str("the cloud reports it as failed"),
            Self::Duplicate => f.write_str("second machine of one intent"),
            Self::Deadline => f.write_str("past its hard end"),
            Self::Operator { who } => write!(f, "asked for by {who}"),
        }
    }
}

/// Proof that a machine does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// When it was proven.
    pub at: Timestamp,
    /// How.
    pub evidence: Evidence,
}

/// What proves absence (invariant 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// A direct get said NotFound.
    NotFound,
    /// A delete said that there was nothing.
    DeleteSaidGone,
    /// Listed as a tombstone.
    Tombstone,
    /// The intent was resolved: nothing was made.
    NeverMade,
    /// The create call was refused.
    Rejected,
}

impl MachineRecord {
    /// The format that this version writes.
    pub const FORMAT: u32 = 1;

    /// The machine's name.
    pub fn machine(&self) -> &MachineName {
        &self.tags.machine
    }
    /// Its machinetype.
    pub fn machinetype(&self) -> &MachinetypeName {
        &self.tags.machinetype
    }
    /// Its space.
    pub fn space(&self) -> &SpaceName {
        &self.tags.space
    }
    /// Its intent.
    pub fn intent(&self) -> &IntentToken {
        &self.tags.intent
    }
    /// Its deployment.
    pub fn deployment(&self) -> &DeploymentId {
        &self.tags.deployment
    }

    /// Whether its machine may exist: nothing proves that it does not.
    pub fn may_exist(&self) -> bool {
        self.gone.is_none() && self.rejected.is_none()
    }

    /// From when the settle time of the cloud counts: the call may have gone out long after it was asked for, and
    /// the answer longer after that.
    pub fn settling_since(&self) -> Timestamp {
        self.created.map_or(self.asked, |created| created.max(self.asked))
    }

    /// Whether it may write outputs. One that may not (its record was lost) cannot give a heartbeat either, so
    /// its silence means nothing; its other limits end it.
    pub fn can_write_outputs(&self) -> bool {
        !self.outputs_token_sha256.is_empty()
    }

    /// Whether the cloud gave notice that it would take the machine back.
    pub fn had_notice(&self) -> bool {
        self.drain.as_ref().is_some_and(|drain| drain.reason == DrainReason::Interruption)
    }

    /// How it ended, once it has: the same answer for the planner's memory, the archive and people.
    /// A machine's own message wins over ours; our kill wins over how the cloud showed it, unless the cloud refused it
    /// after all: then there was nothing to kill. That the provider took it back wins over a message that only says
    /// that it was told to end.
    pub fn how_it_ended(&self, fizzle: std::time::Duration) -> Option<Ended> {
        let (at, kind) = self.end(fizzle)?;
        Some(Ended {
            machinetype: self.machinetype().clone(),
            offering: self.offering.clone(),
            started: self.started,
            at,
            kind,
        })
    }

    fn end(&self, fizzle: std::time::Duration) -> Option<(Timestamp, EndKind)> {
        if let Some(rejection) = &self.rejected {
            return Some((rejection.at, EndKind::Rejected { kind: rejection.kind.clone() }));
        }
        if let Some(EndFact { at, message: Some(message), state }) = &self.ended {
            let is_taken_back = *state == EndState::Preempted || self.had_notice();
            if message.tells_of_preemption() || (is_taken_back && message.is_by_request()) {
                return Some((*at, EndKind::Preempted));
            }
            return Some((*at, EndKind::Message { message: message.clone() }));
        }
        if let Some((fact, kind)) = self.refused_in_the_end() {
            return Some((fact.at, EndKind::Rejected { kind: kind.word().to_owned() }));
        }
        if let Some(deletion) = &self.deletion {
            match &deletion.reason {
                DeleteReason::Ended | DeleteReason::CloudFault => {}
                DeleteReason::StartTimeout => return Some((deletion.since, EndKind::NeverStarted)),
                reason => {
                    return Some((deletion.since, EndKind::Killed { reason: reason.clone() }));
                }
            }
        }
        match (&self.ended, &self.gone, self.started) {
            (Some(fact), _, started) => {
                Some((fact.at, self.end_in_the_cloud(fact, started, fizzle)))
            }
            (None, Some(gone), _) => Some((gone.at, EndKind::NeverMade)),
            (None, None, _) => None,
        }
    }

    /// The end of a machine that never was. What has run was made, whatever the cloud says of it.
    fn refused_in_the_end(&self) -> Option<(&EndFact, LateRefusal)> {
        let refused = self.refused_late.as_ref().filter(|_| self.started.is_none())?;
        let fact = self.ended.as_ref().filter(|fact| fact.state == EndState::Failed)?;
        Some((fact, refused.kind))
    }

    fn end_in_the_cloud(
        &self,
        fact: &EndFact,
        started: Option<Timestamp>,
        fizzle: std::time::Duration,
    ) -> EndKind {
        match (&fact.state, started) {
            (EndState::Preempted, _) => EndKind::Preempted,
            // It was told, and ended before it was taken.
            (EndState::Stopped, _) if self.had_notice() => EndKind::Preempted,
            (EndState::Failed, None) => EndKind::NeverStarted,
            (EndState::Failed, Some(_)) => EndKind::CloudFault,
            (EndState::Stopped | EndState::Vanished, Some(started))
                if fact.at.since(started) >= fizzle =>
            {
                EndKind::Silent
            }
            (EndState::Stopped | EndState::Vanished, _) => EndKind::Fizzled,
        }
    }
}
