//! The workbench of one case: a tenancy, and the small steps that many cases share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{CannotInject, Fault, Limits, Tenancy};
use crate::{
    Act, Availability, CreateRequest, DeploymentId, ErrorKind, Generation, Identity, Instance,
    InstanceId, InstanceState, IntentToken, Listing, MachineName, MachinetypeName, Offering,
    ProviderError, Resolution, SpaceName, Tags, Timestamp,
};

/// Why a case ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Halt {
    /// The subject cannot be brought into the situation.
    Skipped(String),
    /// The rule is broken.
    Failed(String),
}

/// How a case ends.
pub type Outcome<T = ()> = Result<T, Halt>;

impl From<CannotInject> for Halt {
    fn from(CannotInject(why): CannotInject) -> Self {
        Self::Skipped(why)
    }
}

impl From<ProviderError> for Halt {
    fn from(error: ProviderError) -> Self {
        Self::Failed(format!("an error where none was due: {error}"))
    }
}

/// Fails the case unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::testing::Halt::Failed(format!($($message)+)));
        }
    };
}
pub(super) use ensure;

/// The workbench of one case.
pub struct Bench {
    tenancy: Box<dyn Tenancy>,
    deployment: DeploymentId,
    serial: AtomicU64,
}

impl Bench {
    pub(super) fn new(tenancy: Box<dyn Tenancy>) -> Self {
        // Unlike any earlier run on the same tenancy, without any randomness.
        let nonce = tenancy.clock().now().as_millis().unsigned_abs() << 14;
        Self { tenancy, deployment: DeploymentId::compose(nonce), serial: AtomicU64::new(nonce) }
    }

    pub(super) async fn close(&self) {
        self.tenancy.close().await;
    }

    /// The client under test.
    pub fn provider(&self) -> Arc<dyn Act> {
        self.tenancy.provider()
    }

    /// The harness.
    pub fn tenancy(&self) -> &dyn Tenancy {
        self.tenancy.as_ref()
    }

    /// The suite's time.
    pub fn now(&self) -> Timestamp {
        self.tenancy.clock().now()
    }

    /// Sizes and times of the subject.
    pub fn limits(&self) -> Limits {
        self.tenancy.limits()
    }

    /// Whose machines the suite makes.
    pub fn deployment(&self) -> &DeploymentId {
        &self.deployment
    }

    /// Makes a fault happen, or skips the case.
    pub async fn inject(&self, fault: Fault) -> Outcome {
        let Some(faults) = self.tenancy.faults() else {
            return Err(Halt::Skipped("this subject has no faults to inject".to_owned()));
        };
        Ok(faults.inject(fault).await?)
    }

    /// The offering that the suite buys: the subject's choice, or the smallest that can be had.
    pub async fn offering(&self) -> Outcome<Offering> {
        let wanted = self.tenancy.template().offering;
        let mut offerings = self.provider().offerings().await?;
        offerings.retain(|offering| match &wanted {
            Some(id) => offering.id == *id,
            None => offering.availability == Availability::Available,
        });
        offerings.sort_by_key(|o| (o.processors, o.memory, o.id.clone()));
        let none = || Halt::Failed("no offering can be had".to_owned());
        offerings.into_iter().next().ok_or_else(none)
    }

    /// A request like no other: own name, own intent, a deadline an hour away.
    pub async fn request(&self) -> Outcome<CreateRequest> {
        Ok(self.request_for(self.offering().await?))
    }

    /// As [`Self::request`], for an offering.
    pub fn request_for(&self, offering: Offering) -> CreateRequest {
        let random = self.serial.fetch_add(1, Ordering::SeqCst);
        let machinetype = MachinetypeName::parse("conformance").expect("a plain name is valid");
        let machine = MachineName::compose(&machinetype, random);
        let template = self.tenancy.template();
        CreateRequest {
            machine: machine.clone(),
            offering,
            tags: Tags {
                deployment: self.deployment.clone(),
                space: SpaceName::parse("conformance.example").expect("a plain name is valid"),
                machinetype,
                machine,
                intent: IntentToken::compose(u128::from(random) << 64 | u128::from(random)),
                generation: Generation(1),
                // Whole seconds, as the tag has it: a cloud gives no parts of a second back.
                deadline: Timestamp::from_secs(self.now().as_secs() + 3600),
            },
            image: template.image,
            public_key: template.public_key,
            user_data: template.user_data,
            environment: template.environment,
        }
    }

    /// Makes a machine, and waits until a complete listing has it.
    pub async fn machine(&self) -> Outcome<(CreateRequest, InstanceId)> {
        let request = self.request().await?;
        let id = self.provider().create(&request).await?.id().clone();
        self.listed(&id).await?;
        Ok((request, id))
    }

    /// Makes a machine, and waits until it has power.
    pub async fn running_machine(&self) -> Outcome<(CreateRequest, InstanceId)> {
        let (request, id) = self.machine().await?;
        self.wait("the machine to run", async || {
            Ok(self.listed(&id).await?.state == InstanceState::Running)
        })
        .await?;
        Ok((request, id))
    }

    /// Looks again and again until it holds, or patience is at its end.
    pub async fn wait(&self, what: &str, mut holds: impl AsyncFnMut() -> Outcome<bool>) -> Outcome {
        let limits = self.limits();
        let until = self.tenancy.clock().monotonic() + limits.patience;
        loop {
            if holds().await? {
                return Ok(());
            }
            let waited = limits.patience;
            ensure!(self.tenancy.clock().monotonic() < until, "waited {waited:?} for {what}");
            self.tenancy.pass(limits.step).await;
        }
    }

    /// A complete listing, tombstones left out. Partial ones are looked past.
    pub async fn list(&self) -> Outcome<BTreeMap<InstanceId, Instance>> {
        let mut found = BTreeMap::new();
        self.wait("a complete listing", async || {
            let Listing::Complete(all) = self.provider().list().await? else { return Ok(false) };
            let listed = all.len();
            found = all.into_iter().map(|instance| (instance.id.clone(), instance)).collect();
            ensure!(found.len() == listed, "a listing holds an id twice");
            found.retain(|_, instance| instance.state != InstanceState::Gone);
            Ok(true)
        })
        .await?;
        Ok(found)
    }

    /// The machine as a complete listing shows it, once one does.
    pub async fn listed(&self, id: &InstanceId) -> Outcome<Instance> {
        let mut found = None;
        self.wait("the machine to be listed", async || {
            found = self.list().await?.remove(id);
            Ok(found.is_some())
        })
        .await?;
        found.ok_or_else(|| Halt::Failed(format!("{id} is not listed")))
    }

    /// The machines that carry this intent.
    pub async fn of_intent(&self, intent: &IntentToken) -> Outcome<Vec<Instance>> {
        let mut all = self.list().await?;
        all.retain(|_, instance| {
            matches!(&instance.identity, Identity::Vcycle(tags) if tags.intent == *intent)
        });
        Ok(all.into_values().collect())
    }

    /// Waits as long as the provider says that a machine may stay unseen, and a little more.
    pub async fn settle(&self) {
        let settle = self.provider().capabilities().settle;
        self.tenancy.pass(settle + self.limits().step).await;
    }

    /// Asks for an intent's fate until it is known.
    pub async fn resolve(&self, intent: &IntentToken, since: Timestamp) -> Outcome<Resolution> {
        let settle = self.provider().capabilities().settle;
        let begin = self.tenancy.clock().monotonic();
        let mut resolution = Resolution::Unknown;
        self.wait("the intent to be resolved", async || {
            resolution = self.provider().resolve(intent, since).await?;
            let waited = self.tenancy.clock().monotonic().saturating_sub(begin);
            let early = resolution == Resolution::ProvenAbsent && waited < settle;
            ensure!(!early, "ProvenAbsent {waited:?} after the create, settle is {settle:?}");
            Ok(resolution != Resolution::Unknown)
        })
        .await?;
        Ok(resolution)
    }

    /// Deletes until absence is proven both by a direct get and by a complete listing.
    pub async fn remove(&self, id: &InstanceId) -> Outcome {
        let provider = self.provider();
        self.wait("the machine to be proven gone", async || {
            match provider.delete(id).await {
                Ok(_) => {}
                Err(error) if error.kind == ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
            self.is_gone(id).await
        })
        .await
    }

    /// Whether absence is proven both by a direct get and by a complete listing.
    pub async fn is_gone(&self, id: &InstanceId) -> Outcome<bool> {
        let direct = match self.provider().get(id).await {
            Ok(instance) => instance.state == InstanceState::Gone,
            Err(error) if error.kind == ErrorKind::NotFound => true,
            Err(error) => return Err(error.into()),
        };
        Ok(direct && !self.list().await?.contains_key(id))
    }

    /// What an error had to be.
    pub fn expect_error<T: std::fmt::Debug>(
        &self,
        what: &str,
        result: Result<T, ProviderError>,
        wanted: impl Fn(&ErrorKind) -> bool,
    ) -> Outcome {
        match result {
            Err(error) if wanted(&error.kind) => Ok(()),
            Err(error) => Err(Halt::Failed(format!("{what}: the wrong error: {error}"))),
            Ok(value) => Err(Halt::Failed(format!("{what}: {value:?} instead of an error"))),
        }
    }
}
