//! What the suite asks of whoever is tested.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{Act, Clock, InstanceId, OfferingId, UserData};

/// A provider under test.
#[async_trait]
pub trait Subject: Send + Sync {
    /// For the report, for example `sim, as EC2`.
    fn name(&self) -> String;

    /// A tenancy without machines, for one case.
    async fn open(&self) -> Box<dyn Tenancy>;
}

/// One tenancy of the cloud under test, and the levers of the harness on it.
#[async_trait]
pub trait Tenancy: Send + Sync {
    /// The client that is tested; each call may give the same one. It must not pace requests:
    /// wrap the provider in [`crate::Budgeted`] elsewhere.
    fn provider(&self) -> Arc<dyn Act>;

    /// The time by which the suite stamps its intents: what a manager would use.
    fn clock(&self) -> Arc<dyn Clock>;

    /// Lets time pass in the cloud: a virtual clock is moved, a real one waited for.
    async fn pass(&self, time: Duration);

    /// What a small machine is made from that works until it is ended.
    fn template(&self) -> Template;

    /// Sizes and times that differ between subjects.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// An id in the cloud's form that no machine has.
    fn unknown_id(&self) -> InstanceId {
        InstanceId::parse("00000000-0000-4000-8000-000000000000").expect("a plain id is valid")
    }

    /// The levers that make the cloud misbehave; `None`: it cannot be made to.
    fn faults(&self) -> Option<&dyn Faults> {
        None
    }

    /// Whether the cloud itself ends a machine at the deadline in its tags. `Err`: only the guest's own
    /// timer does, which this subject's machines do not have.
    fn ends_at_deadline(&self) -> Result<(), CannotInject> {
        Ok(())
    }

    /// How many calls have changed the cloud so far, where it can be counted.
    fn mutations(&self) -> Option<u64> {
        None
    }

    /// Removes what is left. A case may leave machines behind.
    async fn close(&self) {}
}

/// What a machine of the suite is made from. Names and tags are the suite's own.
#[derive(Debug, Clone)]
pub struct Template {
    /// The flavour and market to use; `None`: the smallest offering that is available.
    pub offering: Option<OfferingId>,
    /// As in [`crate::CreateRequest`].
    pub image: Option<String>,
    /// As in [`crate::CreateRequest`].
    pub public_key: Option<String>,
    /// Keeps the machine at work until it is ended. The suite may append lines that begin with
    /// `#`, to reach the limit of its size.
    pub user_data: UserData,
    /// As in [`crate::CreateRequest`].
    pub environment: Vec<(String, String)>,
}

/// Sizes and times that differ between subjects.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Machines that the big listing is made of: 1,001, or the most that the subject can hold.
    pub machines: usize,
    /// Machines on one page of a listing; `None`: its listings have no pages.
    pub page: Option<usize>,
    /// The longest that anything may take that the contract says will come (in the subject's time).
    pub patience: Duration,
    /// How long to let pass between two looks (in the subject's time).
    pub step: Duration,
    /// The longest that a whole case may take, in real time.
    pub case_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            machines: 1001,
            page: None,
            patience: Duration::from_secs(600),
            step: Duration::from_secs(5),
            case_time: Duration::from_secs(120),
        }
    }
}

/// Something that goes wrong, or that others do, in the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The next create is carried out, but its reply never comes.
    LoseReplyAfterCommit,
    /// The next create never reaches the cloud, which the caller cannot know.
    LoseReplyBeforeCommit,
    /// The next delete is carried out, but its reply never comes.
    LoseDeleteReply,
    /// The next listing loses a page that is neither the first nor the last.
    LosePage,
    /// The next calls are refused as too many.
    Throttle {
        /// How many.
        calls: u32,
        /// What the cloud says of when to come again.
        after: Option<Duration>,
    },
    /// The cloud does not answer the next calls; none of them arrives.
    Outage {
        /// How many.
        calls: u32,
    },
    /// The offering is out of stock from now on.
    StockOut(OfferingId),
    /// It is back.
    Restock(OfferingId),
    /// The quota is used up: nothing more may be made.
    QuotaFull,
    /// The provider takes this machine back.
    Preempt(InstanceId),
    /// This machine ends by itself.
    EndMachine(InstanceId),
    /// Somebody else makes a machine in the tenancy.
    Stranger {
        /// Its display name.
        name: String,
        /// Its metadata.
        tags: BTreeMap<String, String>,
    },
    /// The credentials are refused from now on.
    RevokeCredentials,
    /// They are good again.
    RestoreCredentials,
    /// The clock of the provider's client is wrong from now on. The suite's own clock stays right,
    /// as if another manager had made the intent.
    SkewClient(Skew),
    /// The next accepted create never becomes a working machine.
    FailBoot,
}

/// How far a clock is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skew {
    /// It shows a later time than it is.
    Ahead(Duration),
    /// It shows an earlier time than it is.
    Behind(Duration),
}

/// The subject has no such lever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CannotInject(
    /// Why, for the report.
    pub String,
);

/// The levers that make the cloud misbehave.
#[async_trait]
pub trait Faults: Send + Sync {
    /// Makes this happen. It is in force when the call returns.
    async fn inject(&self, fault: Fault) -> Result<(), CannotInject>;
}
