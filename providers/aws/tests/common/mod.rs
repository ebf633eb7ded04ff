//! A tenancy of the fake cloud, with a provider on it.

#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use vcycle_api::testing::Skew;
use vcycle_api::{
    Act, Clock, CreateRequest, DeploymentId, Generation, InstanceId, IntentToken, Listing,
    MachineName, MachinetypeName, ManualClock, Market, Observe, Offering, SpaceName, Tags,
    Timestamp, UserData,
};
use vcycle_aws::testing::{FakeCloud, Site};
use vcycle_aws::{Aws, Settings};

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
    pub(crate) provider: Arc<Aws>,
    pub(crate) settings: Settings,
    _folder: TempDir,
}

/// Whose machines the tests make.
pub(crate) fn deployment() -> DeploymentId {
    DeploymentId::compose(7)
}

/// Tags of a machine of ours.
pub(crate) fn tags(number: u64) -> Tags {
    let machinetype = MachinetypeName::parse("dune").unwrap();
    Tags {
        deployment: deployment(),
        space: SpaceName::parse("a.example").unwrap(),
        machine: MachineName::compose(&machinetype, number),
        machinetype,
        intent: IntentToken::compose(u128::from(number)),
        generation: Generation(1),
        deadline: BEGIN + Duration::from_secs(24 * 3600),
    }
}

impl Place {
    /// A provider of both markets and two types.
    pub(crate) async fn new(site: Site) -> Self {
        Self::with(site, |_| {}).await
    }

    /// A provider with its settings changed.
    pub(crate) async fn with(site: Site, change: impl FnOnce(&mut Settings)) -> Self {
        let clock = Arc::new(ManualClock::at(BEGIN));
        let fake = FakeCloud::start(site, clock.clone()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let types = vec!["m5.large".to_owned(), "c5.4xlarge".to_owned()];
        let mut settings = Settings::new("eu-west-2", types);
        settings.endpoint = Some(fake.endpoint());
        settings.credentials.files.credentials =
            Some(fake.write_credentials(folder.path()).unwrap());
        settings.markets = vec![Market::OnDemand, Market::Preemptible];
        settings.interruption_queue = Some(fake.queue_url());
        settings.deployment = Some(deployment());
        change(&mut settings);
        let client_clock =
            Arc::new(ClientClock { true_clock: clock.clone(), off: AtomicI64::new(0) });
        let provider = Aws::open(settings.clone(), client_clock.clone()).unwrap();
        let (fake, provider) = (Arc::new(fake), Arc::new(provider));
        Self { fake, clock, client_clock, provider, settings, _folder: folder }
    }

    /// Another provider, as after a restart, with its settings changed.
    pub(crate) fn another(&self, change: impl FnOnce(&mut Settings)) -> Aws {
        let mut settings = self.settings.clone();
        change(&mut settings);
        Aws::open(settings, self.client_clock.clone()).unwrap()
    }

    /// What the cloud's clock shows.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// The offering of a type in a zone, on a market.
    pub(crate) async fn offering(&self, flavour: &str, zone: &str, market: Market) -> Offering {
        let offerings = self.provider.offerings().await.unwrap();
        let wanted = offerings.into_iter().find(|offering| {
            let id = &offering.id;
            id.flavour == flavour && id.zone == zone && id.market == market
        });
        wanted.expect("the site sells it")
    }

    /// A request for the smallest machine in the first zone.
    pub(crate) async fn request(&self, number: u64) -> CreateRequest {
        let offering = self.offering("m5.large", "eu-west-2a", Market::OnDemand).await;
        request_of(number, offering)
    }

    /// A request for a spot machine.
    pub(crate) async fn spot_request(&self, number: u64) -> CreateRequest {
        let offering = self.offering("m5.large", "eu-west-2a", Market::Preemptible).await;
        request_of(number, offering)
    }

    /// Makes this machine, and lets it boot.
    pub(crate) async fn running(&self, request: &CreateRequest) -> InstanceId {
        let id = self.provider.create(request).await.unwrap().id().clone();
        self.pass(60);
        id
    }

    /// A complete listing, or nothing.
    pub(crate) async fn listed(&self) -> Option<Vec<vcycle_api::Instance>> {
        match self.provider.list().await.unwrap() {
            Listing::Complete(all) => Some(all),
            Listing::Partial { seen: _, why: _ } => None,
        }
    }

    /// Our tags of a machine, as the cloud's.
    pub(crate) fn map(&self, number: u64) -> BTreeMap<String, String> {
        tags(number).to_map()
    }
}

/// A request for a machine of this offering.
pub(crate) fn request_of(number: u64, offering: Offering) -> CreateRequest {
    let tags = tags(number);
    CreateRequest {
        machine: tags.machine.clone(),
        offering,
        tags,
        image: Some("ami-0aaaaaaaaaaaaaaa2".to_owned()),
        public_key: None,
        user_data: UserData::new("#!/bin/sh\nexec sleep 3600\n"),
        environment: Vec::new(),
    }
}
