//! Everything that a plan may depend on.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{
    ClockTrust, DeploymentId, Ended, Generation, InstanceId, Interruption, ListingState,
    MachineView, MachinetypeName, Offering, OperatorRequest, Processors, Quota, Readiness,
    SideResource, SpacePolicy, Strangers, Tags, Terms, Timestamp,
};

use super::spending::Spending;

/// How long before the end of a lease the space ends for us: deletes need time until they are proven, and what
/// the cloud takes away has no last words.
const BEFORE_LEASE_END: Duration = Duration::from_secs(5 * 60);

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
    /// What the cloud has promised.
    pub terms: &'a Terms,
    /// What machinetypes still lack before machines can be made. One that is not here lacks nothing.
    pub readiness: &'a BTreeMap<MachinetypeName, Readiness>,
    /// Side resources of ours that nothing uses.
    pub side: &'a LeftBehind,
    /// Ends that are remembered, archived machines included, in any order.
    pub past: &'a [Ended],
    /// Standing requests of people.
    pub requests: &'a [OperatorRequest],
    /// Second VMs of an intent whose delete was asked for already: no record says so.
    pub asked_twice: &'a AskedTwice,
    /// The cloud refused for quota, and usage has not fallen since.
    pub quota_stop: Option<QuotaStop>,
    /// What may be spent; `None`: that is not watched here.
    pub spending: Option<Spending<'a>>,
    /// Notices of the cloud that it will take machines back.
    pub interruptions: &'a [Interruption],
    /// What was asked for in this cycle already, and not refused: the pace counts it too.
    pub made: Made,
    /// Archived machines with the time of their archiving, for expiry.
    pub archived: &'a [(crate::model::MachineName, Timestamp)],
}

/// Side resources (volumes, ports) of this space that the cloud shows as used by nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeftBehind {
    /// How many are known.
    pub known: u32,
    /// Those that were seen so in two listings apart by more than the settle time, the second of them now.
    pub proven: Vec<SideResource>,
}

/// Machines with their processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Made {
    /// How many.
    pub machines: u32,
    /// With so many processors together.
    pub processors: Processors,
}

impl Made {
    /// With one machine more.
    #[must_use]
    pub fn and(self, more: Processors) -> Self {
        let Self { machines, processors } = self;
        Self { machines: machines.saturating_add(1), processors: processors.plus(more) }
    }

    /// Both together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        let Self { machines, processors } = other;
        Self {
            machines: self.machines.saturating_add(machines),
            processors: self.processors.plus(processors),
        }
    }
}

/// The end of a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpaceEnd {
    /// What runs then is deleted.
    pub at: Timestamp,
    /// Why.
    pub why: EndOfSpace,
}

/// Why a space ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EndOfSpace {
    /// `shutdown_time` of the configuration.
    ShutdownTime,
    /// The lease of the cloud ends shortly after.
    Lease,
}

/// When the space ends: by the configuration, or shortly before the cloud takes it away.
pub fn end_of_space(policy: &SpacePolicy, terms: &Terms) -> Option<SpaceEnd> {
    let configured = policy.shutdown_time.map(|at| SpaceEnd { at, why: EndOfSpace::ShutdownTime });
    let lease = |closes| SpaceEnd { at: closes - BEFORE_LEASE_END, why: EndOfSpace::Lease };
    configured.into_iter().chain(terms.closes.map(lease)).min()
}

impl PlanInput<'_> {
    /// When the space ends.
    pub fn end(&self) -> Option<SpaceEnd> {
        end_of_space(self.policy, self.terms)
    }

    /// The time at which it ends.
    pub(super) fn ends_at(&self) -> Option<Timestamp> {
        self.end().map(|end| end.at)
    }
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
