//! A tenancy of the fake cloud, with a provider on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use vcycle_api::testing::Skew;
use vcycle_api::{
    Clock, CreateRequest, DeploymentId, Generation, IntentToken, MachineName, MachinetypeName,
    ManualClock, Observe, Offering, SpaceName, Tags, Timestamp, UserData,
};
use vcycle_openstack::testing::{FakeCloud, Site};
use vcycle_openstack::{CloudRef, Credential, OpenStack, Settings};

/// When each tenancy begins.
pub(crate) const BEGIN: Timestamp = Timestamp::from_secs(1_795_224_884);

/// Shows another wall clock's time, off by some milliseconds. Its monotonic time is right.
#[derive(Debug)]
pub(crate) struct ClientClock {
    true_clock: Arc<ManualClock>,
    off: AtomicI64,
}

impl Clock for ClientClock {
    fn now(&self) -> Timestamp {
        let now = self.true_clock.now().as_millis();
        Timestamp::from_millis(now + self.off.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.true_clock.monotonic()
    }
}

impl ClientClock {
    pub(crate) fn skew(&self, skew: Skew) {
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap();
        let off = match skew {
            Skew::Ahead(time) => millis(time),
            Skew::Behind(time) => -millis(time),
        };
        self.off.store(off, Ordering::SeqCst);
    }
}

/// A cloud, a clock that is moved by hand, and a provider.
pub(crate) struct Place {
    pub(crate) fake: Arc<FakeCloud>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) client_clock: Arc<ClientClock>,
    pub(crate) provider: Arc<OpenStack>,
    pub(crate) settings: Settings,
    folder: TempDir,
}

/// The entry `name` of the fake's `clouds.yaml`.
pub(crate) fn credential(name: &str, folder: &TempDir) -> Credential {
    let file = Some(folder.path().join("clouds.yaml"));
    let cloud = CloudRef::Named { cloud: name.to_owned(), file };
    Credential { cloud, region: None, interface: None }
}

impl Place {
    /// A provider of `site-a` with the password.
    pub(crate) async fn new(site: Site) -> Self {
        Self::with(site, "site-a", |_| {}).await
    }

    /// A provider with the entry `cloud`, its settings changed.
    pub(crate) async fn with(site: Site, cloud: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let clock = Arc::new(ManualClock::at(BEGIN));
        let fake = FakeCloud::start(site, clock.clone()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        fake.write_clouds_yaml(folder.path()).unwrap();
        let mut settings = Settings::new(credential(cloud, &folder));
        settings.settle = Duration::from_secs(30);
        change(&mut settings);
        let (true_clock, off) = (clock.clone(), AtomicI64::new(0));
        let client_clock = Arc::new(ClientClock { true_clock, off });
        let provider = OpenStack::open(settings.clone(), client_clock.clone()).unwrap();
        let (fake, provider) = (Arc::new(fake), Arc::new(provider));
        Self { fake, clock, client_clock, provider, settings, folder }
    }

    /// A second credential: the entry `cloud`.
    pub(crate) fn credential(&self, cloud: &str) -> Credential {
        credential(cloud, &self.folder)
    }

    /// Another provider, as after a restart, with its settings changed.
    pub(crate) fn another(&self, change: impl FnOnce(&mut Settings)) -> OpenStack {
        let mut settings = self.settings.clone();
        change(&mut settings);
        OpenStack::open(settings, self.client_clock.clone()).unwrap()
    }

    /// What the cloud's clock shows.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A request for a machine of the smallest flavour.
    pub(crate) async fn request(&self, number: u64) -> CreateRequest {
        let offerings = self.provider.offerings().await.unwrap();
        let offering = offerings.into_iter().min_by_key(|one| one.processors).unwrap();
        self.request_of(number, offering)
    }

    /// A request for a machine of this offering.
    pub(crate) fn request_of(&self, number: u64, offering: Offering) -> CreateRequest {
        let machinetype = MachinetypeName::parse("dune").unwrap();
        let machine = MachineName::compose(&machinetype, number);
        let tags = Tags {
            deployment: DeploymentId::compose(7),
            space: SpaceName::parse("a.example").unwrap(),
            machinetype,
            machine: machine.clone(),
            intent: IntentToken::compose(u128::from(number)),
            generation: Generation(1),
            deadline: Timestamp::from_secs(BEGIN.as_secs() + 86_400),
        };
        CreateRequest {
            machine,
            offering,
            tags,
            image: Some("lab-tiny".to_owned()),
            user_data: UserData::new("#!/bin/sh\nexec sleep 3600\n"),
            environment: Vec::new(),
            public_key: None,
        }
    }
}
