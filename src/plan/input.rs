//! Everything that a plan may depend on.

use std::collections::BTreeMap;

use crate::model::{
    ClockTrust, DeploymentId, Ended, Generation, InstanceId, ListingState, MachineView, Offering,
    OperatorRequest, Processors, Quota, SpacePolicy, Strangers, Tags, Timestamp,
};

/// The input of one plan of one space. The order of the lists does not matter.
#[derive(Debug, Clone)]
pub struct PlanInput<'a> {
    /// The time of the whole cycle.
    pub now: Timestamp,
    /// Whether anything may follow from it.
    pub clock: &'a ClockTrust,
    /// For names of new machines and for breaking ties.
    pub seed: u64,
    /// Ours.
    pub deployment: &'a DeploymentId,
    /// The ownership under which the plan will be carried out.
    pub generation: Generation,
    /// The rules.
    pub policy: &'a SpacePolicy,
    /// Every record that is not archived, joined with the listing.
    pub machines: &'a [MachineView],
    /// Listed VMs with our deployment's tags in this space that have no record: lost by us, so adopted.
    pub orphans: &'a [Orphan],
    /// Everybody else in the tenancy.
    pub strangers: Strangers,
    /// How far absence can be believed.
    pub listing: &'a ListingState,
    /// Limits of the tenancy as the cloud tells them.
    pub quota: Quota,
    /// What can be made. Empty when the provider could not tell: then nothing is made.
    pub offerings: &'a [Offering],
    /// Ends that are remembered, archived machines included, in any order.
    pub past: &'a [Ended],
    /// Standing requests of people.
    pub requests: &'a [OperatorRequest],
    /// Second VMs of an intent whose delete was asked for already: no record says so.
    pub asked_twice: &'a AskedTwice,
    /// The cloud refused for quota, and usage has not fallen since.
    pub quota_stop: Option<QuotaStop>,
    /// Archived machines with the time of their archiving, for expiry.
    pub archived: &'a [(crate::model::MachineName, Timestamp)],
}

/// Second VMs of an intent, with the delete calls made for each so far.
pub type AskedTwice = BTreeMap<InstanceId, Asked>;

/// Delete calls that were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// How many.
    pub attempts: u32,
    /// When the last of them was.
    pub last: Timestamp,
}

/// A VM of ours without a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Its tags.
    pub tags: Tags,
    /// The VM.
    pub instance: crate::model::Instance,
}

/// A refusal for quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaStop {
    /// When.
    pub at: Timestamp,
    /// Processors in use in the whole tenancy then: creation goes on when fewer are in use.
    pub used: Processors,
}
