//! A project of the fake cloud, with a provider on it.

#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use vcycle_api::testing::Skew;
use vcycle_api::{
    Clock, CreateRequest, DeploymentId, Generation, IntentToken, MachineName, MachinetypeName,
    ManualClock, Observe, Offering, SpaceName, Tags, Timestamp, UserData,
};
use vcycle_gcp::testing::{FakeCloud, Site};
use vcycle_gcp::{Credentials, Gcp, Settings, Source};

/// When each tenancy begins.
pub(crate) const BEGIN: Timestamp = Timestamp::from_secs(1_795_224_884);

/// Whose machines the tests make.
pub(crate) fn deployment() -> DeploymentId {
    DeploymentId::compose(7)
}

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
    pub(crate) provider: Arc<Gcp>,
    pub(crate) settings: Settings,
    folder: TempDir,
}

impl Place {
    /// A provider of the small site.
    pub(crate) async fn new() -> Self {
        Self::with(Site::small(), |_| {}).await
    }

    /// A provider of this site, its settings changed.
    pub(crate) async fn with(site: Site, change: impl FnOnce(&mut Settings)) -> Self {
        let clock = Arc::new(ManualClock::at(BEGIN));
        let (project, region) = (site.project.clone(), site.region.clone());
        let fake = FakeCloud::start(site, clock.clone()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let key = fake.write_key_file(folder.path()).unwrap();
        let mut settings = Settings::new(&project, &region, &["e2-standard-2", "n2-standard-4"]);
        settings.credentials = Credentials { source: Source::File(key), impersonate: None };
        settings.endpoint = Some(fake.base());
        settings.deployment = Some(deployment());
        settings.settle = Duration::from_secs(30);
        // What is refused at once is heard of at the first look.
        settings.insert_wait = Duration::from_secs(1);
        change(&mut settings);
        let (true_clock, off) = (clock.clone(), AtomicI64::new(0));
        let client_clock = Arc::new(ClientClock { true_clock, off });
        let provider = Gcp::open(settings.clone(), client_clock.clone()).unwrap();
        let (fake, provider) = (Arc::new(fake), Arc::new(provider));
        Self { fake, clock, client_clock, provider, settings, folder }
    }

    /// Another provider, as after a restart, with its settings changed.
    pub(crate) fn another(&self, change: impl FnOnce(&mut Settings)) -> Gcp {
        let mut settings = self.settings.clone();
        change(&mut settings);
        Gcp::open(settings, self.client_clock.clone()).unwrap()
    }

    /// What the cloud's clock shows.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A request for a machine of the smallest type.
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
            deployment: deployment(),
            space: SpaceName::parse("a.example").unwrap(),
            machinetype,
            machine: machine.clone(),
            intent: IntentToken::compose(u128::from(number)),
            generation: Generation(1),
            deadline: Timestamp::from_secs(self.now().as_secs() + 86_400),
        };
        CreateRequest {
            machine,
            offering,
            tags,
            image: Some("family/lab-tiny".to_owned()),
            user_data: UserData::new("#!/bin/sh\nexec sleep 3600\n"),
            environment: Vec::new(),
            public_key: None,
        }
    }

    /// Fails unless both sides have spoken as Google's description says.
    pub(crate) fn assert_described(&self) {
        let problems = self.fake.problems();
        assert!(problems.is_empty(), "{problems:#?}");
    }
}

/// Tags as labels: what `docs/GOOGLE.md` says, written down a second time, for short values.
pub(crate) fn labels(tags: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let encoded = |value: &String| value.replace('_', "__").replace('.', "_d");
    tags.iter().map(|(key, value)| (key.clone(), encoded(value))).collect()
}
