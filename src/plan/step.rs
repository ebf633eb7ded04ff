//! A plan as data. `act` carries it out without an opinion of its own.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use vcycle_money::Amount;

use super::spending::Pays;
use super::words::{end_words, evidence_words};

use crate::model::{
    DeleteReason, Drain, EndState, EntryRef, Evidence, InstanceId, IntentToken, LateRejection,
    MachineName, MachinetypeName, Megabytes, Offering, OfferingId, Processors, RequestId,
    ShutdownMessage, SideResource, Tags, Timestamp,
};

/// What to do in one cycle, and why; also why not.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// In the order in which they are carried out: facts, housekeeping, resolves, drains,
    /// deletes, sweeps, creates.
    pub steps: Vec<Step>,
    /// For every machinetype its one reason; for held-back machines theirs.
    pub report: Report,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Write what was learned of a machine into its record.
    Learn {
        /// Which.
        machine: MachineName,
        /// What.
        fact: Fact,
    },
    /// Make a record for a VM of ours that has none (restored state directory, lost record).
    Adopt {
        /// Its tags.
        tags: Tags,
        /// The VM.
        instance: InstanceId,
        /// What it is made of, as far as the cloud tells.
        offering: OfferingId,
        /// Its processors; the most that it can have, if the cloud does not tell.
        processors: Processors,
        /// Its memory, likewise.
        memory: Megabytes,
        /// The definition that its machinetype has now.
        entry: EntryRef,
    },
    /// Ask the provider what became of an intent.
    Resolve {
        /// Which.
        machine: MachineName,
        /// Its intent.
        intent: IntentToken,
        /// When it was last asked for.
        asked: Timestamp,
    },
    /// Tell a machine when it must have ended.
    Drain {
        /// Which.
        machine: MachineName,
        /// Until when and why.
        drain: Drain,
    },
    /// Ask the provider to delete a VM.
    Delete {
        /// Which.
        machine: MachineName,
        /// The VM.
        instance: InstanceId,
        /// Why.
        reason: DeleteReason,
    },
    /// Make a machine: durable intent first.
    Create(NewMachine),
    /// Move the folder of a machine that is gone to the archive.
    Archive {
        /// Which.
        machine: MachineName,
    },
    /// Remove an archived folder whose time is over.
    Expire {
        /// Which.
        machine: MachineName,
    },
    /// Remove a volume or port that outlived its machine.
    Sweep {
        /// Which.
        resource: SideResource,
    },
    /// Take a request away that has been carried out.
    CloseRequest {
        /// Which.
        id: RequestId,
        /// Why, one line.
        because: String,
    },
}

/// A fact to write into a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// The cloud has it.
    Created {
        /// Its id.
        instance: InstanceId,
        /// When.
        at: Timestamp,
    },
    /// It runs.
    Started {
        /// Since when.
        at: Timestamp,
    },
    /// The cloud refuses what it had accepted.
    RefusedLate(LateRejection),
    /// It has ended.
    Ended {
        /// When.
        at: Timestamp,
        /// How the cloud showed it.
        state: EndState,
        /// Its own last words.
        message: Option<ShutdownMessage>,
    },
    /// It is proven not to exist.
    Gone {
        /// When.
        at: Timestamp,
        /// How.
        evidence: Evidence,
    },
}

/// A machine to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMachine {
    /// Identity, deadline included.
    pub tags: Tags,
    /// The definition it is made from.
    pub entry: EntryRef,
    /// What it is made of.
    pub offering: Offering,
    /// How it is paid for.
    pub pays: Pays,
    /// Why this one.
    pub because: String,
}

/// The one reason of a machinetype in a cycle: what was done, or the constraint that bound first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
#[expect(missing_docs, reason = "each variant's sentence is its Display")]
pub enum Reason {
    Created { machines: u32, processors: Processors },
    ZeroShare,
    Draining { until: Timestamp, who: String },
    ClockNotTrusted { why: String },
    ListingNotTrusted { why: String },
    BlastRadius { dead: u32, running: u32 },
    NoOfferings { why: String },
    NothingFits { needs: String },
    OfferingsParked { until: Timestamp },
    SpaceLimit { limit: Processors, used: Processors },
    SpaceMachinesLimit { limit: u32, used: u32 },
    CloudQuota { what: String, limit: u64, used: u64 },
    QuotaRefused { at: Timestamp },
    MachinetypeLimit { limit: Processors, used: Processors },
    StartingLimit { limit: Processors, starting: Processors },
    Backoff { last_abort: Timestamp, until: Timestamp, after: String },
    FizzleGate { waiting_for: MachineName, until: Timestamp },
    BreakerOpen { until: Timestamp, after: String },
    BreakerProbing { machine: MachineName },
    ShutdownTooNear { shutdown: Timestamp, needs_secs: u64 },
    SpaceShutDown { at: Timestamp },
    LeaseNotBegun { opens: Timestamp },
    LeaseTooNear { ends: Timestamp, needs_secs: u64 },
    LeaseEnded { at: Timestamp },
    Preparing { why: String },
    CannotPrepare { why: String },
    PriceUnknown { why: String },
    SpendingCap { cap: String, window: Timestamp, left: Amount, needed: Amount, is_closed: bool },
    SpendingPlan { budget: String, grow: Amount, why: String },
    SpendingStopped { why: String },
    PaceLimit { per_cycle: String },
    OthersFirst { next: MachinetypeName },
}

/// Why things are as they are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// Exactly one reason for each machinetype of the policy.
    pub machinetypes: BTreeMap<MachinetypeName, Reason>,
    /// What needs a human, most urgent first.
    pub alarms: Vec<String>,
    /// Machines that would be deleted if the blast-radius limit did not hold them back.
    pub held_back: BTreeMap<MachineName, DeleteReason>,
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created { instance, at: _ } => write!(f, "the cloud has it as {instance}"),
            Self::Started { at } => write!(f, "running since {at}"),
            Self::RefusedLate(LateRejection { kind, message }) => {
                write!(f, "refused after it had been accepted ({}): {message}", kind.word())
            }
            Self::Ended { at, state, message } => match message {
                Some(message) => write!(f, "ended at {at}: {message}"),
                None => write!(f, "ended at {at} without a message: {}", end_words(state)),
            },
            Self::Gone { at: _, evidence } => write!(f, "gone: {}", evidence_words(*evidence)),
        }
    }
}
