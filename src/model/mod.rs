//! Vocabulary: names, units, time, settings, records, phases. No IO, no clock, no randomness,
//! not async (invariant 1; `tests/architecture.rs` holds it).

pub mod outcome;
pub mod phase;
pub mod policy;
pub mod record;
pub mod request;
pub mod snapshot;
pub mod spending;
pub mod sums;
mod tenancy;
pub mod view;

pub use outcome::{Effect, EndKind, Ended, OutcomeRules, ShutdownMessage};
pub use phase::{Phase, phase_of};
pub use policy::{
    BlastRadius, Breaker, HeartbeatRule, MachinetypePolicy, Pace, Ranking, SpacePolicy,
};
pub use record::{
    DeleteReason, Deletion, Drain, DrainReason, EndFact, EndState, EntryRef, Evidence, Gone,
    LateRejection, MachineRecord, Rejection,
};
pub use request::{OperatorRequest, RequestId, RequestWhat};
pub use snapshot::{
    Board, ConfigStatus, Decision, MachineRow, MachinetypeRow, PhaseCounts, ReasonSince,
    SpaceSnapshot,
};
pub use spending::{BudgetRow, CapRow, SpendingBoard};
pub use sums::{Sides, Sums};
pub use tenancy::SpaceTenancy;
pub use view::{
    CLOCK_TOLERANCE, CLOCKS_APART, ClockTrust, Doors, Hearing, ListingState, MachineView, Sighting,
    Strangers,
};

// The vocabulary that providers share.
pub use vcycle_api::{
    Attached, Availability, DeploymentId, EntryName, ErrorKind, Generation, Hs06, Identity,
    Instance, InstanceId, InstanceState, IntentToken, Interruption, LateRefusal, MachineName,
    MachinetypeName, ManagerName, Market, Megabytes, Offering, OfferingId, Price, Processors,
    Quota, Readiness, Share, SideResource, SpaceName, Tags, TenancyId, Terms, Timestamp,
};
