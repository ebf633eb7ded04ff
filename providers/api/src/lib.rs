//! The contract between `vcycle` and its cloud providers.
//!
//! A provider is a pair of traits, [`Observe`] and [`Act`], so that whoever is only given an
//! `Observe` (a dry run, a status page) cannot change anything. Errors are one closed enum,
//! [`ProviderError`], and each kind has exactly one [`Reaction`]. The vocabulary that both sides
//! need (names, units, time, tags) lives here too; `vcycle::model` re-exports it.
//!
//! A provider has no policy: it does not rank, retry, pace or decide. `docs/PROVIDERS.md` tells
//! how to write one; the feature `testing` has the conformance suite that it must pass.

pub mod budget;
pub mod budgeted;
pub mod cache;
pub mod clock;
pub mod contract;
pub mod error;
pub mod findings;
pub mod ids;
pub mod instance;
pub mod intents;
pub mod labels;
pub mod offering;
pub mod prepare;
pub mod settle;
pub mod tags;
pub mod tenancy;
pub mod terms;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
pub mod units;

pub use budget::{BudgetSettings, BudgetState};
pub use budgeted::Budgeted;
pub use cache::Cache;
pub use clock::{Clock, ManualClock, SystemClock};
pub use contract::{
    Act, Capabilities, CreateRequest, Created, Deletion, Idempotency, Interruption, Listing,
    Observe, Resolution, SideResource, UserData,
};
pub use error::{ErrorKind, ProviderError, Reaction};
pub use findings::{Finding, Verdict};
pub use ids::{
    DeploymentId, EntryName, Generation, InstanceId, IntentToken, InvalidName, MachineName,
    MachinetypeName, ManagerName, SpaceName,
};
pub use instance::{Instance, InstanceState, LateRefusal};
pub use intents::{Before, Intents};
pub use offering::{
    Attached, Availability, Disk, Market, Money, Offering, OfferingId, Price, Quota,
};
pub use prepare::{Need, Readiness};
pub use settle::Settling;
pub use tags::{Identity, Tags};
pub use tenancy::TenancyId;
pub use terms::Terms;
pub use time::Timestamp;
pub use units::{Hs06, Megabytes, Processors, Share};
