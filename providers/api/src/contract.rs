//! The two traits of a provider, and what goes through them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{
    Finding, Instance, InstanceId, IntentToken, MachineName, Need, Offering, ProviderError, Quota,
    Readiness, Tags, TenancyId, Terms, Timestamp, findings,
};

/// What a provider can do and how it behaves. Constant for the life of the provider.
#[derive(Debug, Clone)]
pub struct Capabilities {
    /// Its name in the configuration, for example `local`.
    pub provider: &'static str,
    /// How it keeps one intent from becoming two machines.
    pub idempotency: Idempotency,
    /// How long after an accepted create a listing may still lack the machine, and how long after
    /// a lost reply the machine may still appear. Zero: listings are exact.
    pub settle: Duration,
    /// The most bytes of `user_data`, counted as [`Observe::user_data_bytes`] counts. A plain text of this length
    /// is taken in any case.
    pub user_data_limit: usize,
}

/// How a provider keeps one intent from becoming two machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idempotency {
    /// The cloud takes a token and answers a second call with the first machine (EC2).
    ClientToken,
    /// The cloud takes a request id, and names are unique (Compute Engine, `local`).
    RequestIdAndUniqueName,
    /// The cloud has nothing: only listing by tag can tell (Nova).
    ListAndMatch,
}

/// One listing of everything in the tenancy that can be seen, ours and foreign.
#[derive(Debug, Clone)]
pub enum Listing {
    /// Paged to the end, no part of the cloud was missing.
    Complete(Vec<Instance>),
    /// Something is missing: absence from this list proves nothing.
    Partial {
        /// What could be seen.
        seen: Vec<Instance>,
        /// What was missing, for people.
        why: String,
    },
}

/// The rendered contextualisation of one machine. Holds secrets: not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct UserData(Arc<str>);

impl UserData {
    /// Wraps a rendered text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text, for the create call and the machine's 0600 file only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UserData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserData({} bytes)", self.0.len())
    }
}

/// Everything that a create call needs. The same request gives the same machine.
#[derive(Debug, Clone)]
pub struct CreateRequest {
    /// Name of the machine.
    pub machine: MachineName,
    /// What it is made of.
    pub offering: Offering,
    /// Identity, set in the call itself. `tags.intent` is the idempotency token.
    pub tags: Tags,
    /// Image, as the entry or the space gave it; a provider without images ignores it.
    pub image: Option<String>,
    /// Text of the public key of root, for a provider that gives keys to machines; it also stands in
    /// [`Need::public_key`].
    pub public_key: Option<String>,
    /// Contextualisation.
    pub user_data: UserData,
    /// Variables that a provider without a metadata service sets in the machine's environment
    /// (`MACHINEFEATURES`, `JOBFEATURES`, `JOBOUTPUTS`).
    pub environment: Vec<(String, String)>,
}

/// An accepted create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// The cloud accepted it now.
    New(InstanceId),
    /// This intent already had its machine: an earlier reply was lost.
    AlreadyExists(InstanceId),
}

impl Created {
    /// The id, either way.
    pub fn id(&self) -> &InstanceId {
        match self {
            Self::New(id) | Self::AlreadyExists(id) => id,
        }
    }
}

/// What became of an intent whose outcome was unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// It became this machine.
    Found(InstanceId),
    /// It became nothing, and never will.
    ProvenAbsent,
    /// Not known yet: ask again.
    Unknown,
}

/// An accepted delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// The cloud will remove it; repeat until it is proven gone.
    Accepted,
    /// There was nothing to remove: proves absence.
    AlreadyGone,
}

/// The provider is about to take a machine back, or has done so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interruption {
    /// Which.
    pub instance: InstanceId,
    /// When, if it said so.
    pub at: Option<Timestamp>,
}

/// A port, volume, disk or address that carries our tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SideResource {
    /// Kind, in the cloud's word (`port`, `volume`, ...).
    pub kind: String,
    /// The cloud's id.
    pub id: String,
    /// Identity: only resources of our deployment are ever given.
    pub tags: Tags,
    /// The machine that uses it now; `None`: an orphan.
    pub attached_to: Option<InstanceId>,
}

/// The reading half. Guarantees: changes nothing in the cloud; every call ends within the
/// provider's own time limit; a failed call says so and is never an empty answer.
#[async_trait]
pub trait Observe: Send + Sync {
    /// What this provider is.
    fn capabilities(&self) -> &Capabilities;

    /// How many bytes of [`Capabilities::user_data_limit`] a `user_data` takes: less than its length where the
    /// provider compresses what is too long.
    fn user_data_bytes(&self, user_data: &UserData) -> usize {
        user_data.expose().len()
    }

    /// Which tenancy the calls of this provider go to, as the cloud itself tells: the project and region of the
    /// token (OpenStack), the account and region (EC2), the project and region (Compute Engine). `None`: it has no
    /// such notion. The same for the whole life of the provider: credentials that begin to lead elsewhere are
    /// refused until it is opened anew. Asked in every cycle and not paced, so it costs a login at most.
    async fn tenancy(&self) -> Result<Option<TenancyId>, ProviderError> {
        Ok(None)
    }

    /// Everything in the tenancy, paged to the end.
    async fn list(&self) -> Result<Listing, ProviderError>;

    /// One VM, directly. `NotFound` proves absence (on an eventually consistent cloud only
    /// after [`Capabilities::settle`]).
    async fn get(&self, id: &InstanceId) -> Result<Instance, ProviderError>;

    /// What can be bought now.
    async fn offerings(&self) -> Result<Vec<Offering>, ProviderError>;

    /// Limits and use of the tenancy.
    async fn quota(&self) -> Result<Quota, ProviderError>;

    /// Notices that machines will be taken back. Empty where the cloud gives none. Asked for after each listing, so
    /// that it can rest on what that showed: a machine that was taken back and is listed as
    /// [`crate::InstanceState::Gone`] must be told here too, since nothing else says why it is gone.
    async fn interruptions(&self) -> Result<Vec<Interruption>, ProviderError>;

    /// Side resources of our deployment. Empty where the cloud has none.
    async fn side_resources(&self) -> Result<Vec<SideResource>, ProviderError>;

    /// What the cloud has promised. No terms where it promises nothing.
    async fn terms(&self) -> Result<Terms, ProviderError> {
        Ok(Terms::default())
    }

    /// What works with this tenancy and what does not, for people: login, quota, and what each machinetype
    /// needs. Slow is allowed; what could not be told is said so.
    async fn inspect(&self, needs: &[Need]) -> Vec<Finding> {
        findings::by_reading(self, needs).await
    }
}

/// The changing half. Called only by `act`, each call under a proof of ownership.
/// Nothing here retries: the next cycle is the retry.
#[async_trait]
pub trait Act: Observe {
    /// Makes ready what machinetypes need (images, key pairs), and marks the side resources of our machines as
    /// ours. Called before each plan: cheap when all is there. What takes long (an upload) is begun or
    /// goes on in the background and is never waited for. One answer for each need, in their order; an error says
    /// nothing of any.
    async fn prepare(&self, needs: &[Need]) -> Result<Vec<Readiness>, ProviderError> {
        Ok(vec![Readiness::Ready; needs.len()])
    }

    /// Where the cloud limits how fast machines may be made: takes a turn for one create, and says how long to wait for
    /// it. Asked before the intent is written and the ownership is checked, so that no create goes out long after
    /// that. Zero where the request budget says all there is to say.
    ///
    /// # Errors
    /// `Throttled` when the wait would be longer than `patience`. Nothing was taken, and nothing was sent.
    fn turn_to_create(&self, patience: Duration) -> Result<Duration, ProviderError> {
        let _ = patience;
        Ok(Duration::ZERO)
    }

    /// Makes the machine of an intent. The same intent makes at most one machine, whatever is lost.
    async fn create(&self, request: &CreateRequest) -> Result<Created, ProviderError>;

    /// Finds out what became of an intent. `since`: when the create call was last made; within
    /// [`Capabilities::settle`] of it the answer is never `ProvenAbsent`.
    async fn resolve(
        &self,
        intent: &IntentToken,
        since: Timestamp,
    ) -> Result<Resolution, ProviderError>;

    /// Asks for a machine's end. May be repeated at any time.
    async fn delete(&self, id: &InstanceId) -> Result<Deletion, ProviderError>;

    /// Removes an orphaned side resource of ours.
    async fn delete_side_resource(
        &self,
        resource: &SideResource,
    ) -> Result<Deletion, ProviderError>;
}
