//! The double of Compute Engine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use vcycle_api::{Act, Clock, DeploymentId, Identity, Market, OfferingId, Processors};
use vcycle_gcp::testing::{
    self as fake, Entry, FakeCloud, Login, NewMachine, Outage, Refusal, Shortage, Site,
    SiteMachineType, SiteTimes,
};
use vcycle_gcp::{Credentials, Gcp, Settings, Source};

use super::books::{Books, Made, Why};
use super::double::{Double, On, Woe};

/// How long after a lost reply a machine may still appear.
const SETTLE: Duration = Duration::from_secs(120);

/// How long an accepted insert takes to fail.
const REFUSAL: Duration = Duration::from_secs(2);

/// How long one takes that fails late: longer than a create waits for it.
const LATE_REFUSAL: Duration = Duration::from_secs(30);

/// The machine of somebody else.
const STRANGER: &str = "not-ours";

/// A project in a region.
pub struct Gce {
    cloud: FakeCloud,
    site: Site,
    folder: tempfile::TempDir,
}

/// Two types of two processors, in three zones and both markets.
fn site() -> Site {
    let kind = |name: &str| SiteMachineType { name: name.to_owned(), cpus: 2, memory_mb: 8192 };
    // Tokens have their own tests. Here they would be fetched at times of which nobody waits for them.
    let operation = Duration::from_secs(1);
    let (provisioning, staging) = (Duration::from_secs(10), Duration::from_secs(10));
    Site {
        times: SiteTimes {
            operation,
            refusal: REFUSAL,
            provisioning,
            staging,
            ..SiteTimes::default()
        },
        machine_types: vec![kind("n2-standard-2"), kind("e2-standard-2")],
        login: Login::Anyone,
        ..Site::small()
    }
}

/// The identity as the insert wrote it for people: labels are for the provider to read.
fn identity(entry: &Entry) -> Identity {
    let text = entry.metadata.get("vcycle-identity");
    let map = text.and_then(|text| serde_json::from_str::<BTreeMap<String, String>>(text).ok());
    map.map_or(Identity::Foreign, |map| Identity::from_map(&map))
}

impl Gce {
    /// One that asks nobody who he is.
    pub async fn start(clock: Arc<dyn Clock>) -> Self {
        Self::of(site(), clock).await
    }

    /// One that wants a token.
    pub async fn start_with_login(clock: Arc<dyn Clock>) -> Self {
        Self::of(Site { login: Login::Required, ..site() }, clock).await
    }

    async fn of(site: Site, clock: Arc<dyn Clock>) -> Self {
        let cloud = FakeCloud::start(site.clone(), clock).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        cloud.write_key_file(folder.path()).unwrap();
        Self { cloud, site, folder }
    }

    /// Its table in a configuration, of which the name is left open.
    pub fn table(&self) -> String {
        let types: Vec<_> = self.site.machine_types.iter().map(|kind| &kind.name).collect();
        format!(
            "project = {:?}\nregion = {:?}\nmachine_types = {types:?}\nendpoint = {:?}\n\
             credentials_file = {:?}\n",
            self.site.project,
            self.site.region,
            self.cloud.base(),
            self.folder.path().join("service-account.json")
        )
    }

    fn made(&self, entry: &Entry) -> Made {
        let kind = self.site.machine_types.iter().find(|kind| kind.name == entry.machine_type);
        let why = match &entry.why {
            None => Why::Lives,
            Some(fake::End::Refused(_)) => Why::NeverMade,
            Some(fake::End::Deleted) => Why::Asked,
            Some(fake::End::RanOut) => Why::ByItself,
            Some(fake::End::Preempted) => Why::TakenBack,
            Some(fake::End::Vanished) => Why::Lost,
        };
        Made {
            id: entry.name.clone(),
            identity: identity(entry),
            processors: Processors(kind.map_or(0, |kind| kind.cpus)),
            is_spot: entry.spot,
            accepted: entry.accepted,
            began: entry.began,
            stopped: entry.stopped,
            ended: entry.ended,
            why,
        }
    }
}

impl Double for Gce {
    fn open(&self, deployment: &DeploymentId, clock: Arc<dyn Clock>) -> Arc<dyn Act> {
        let types: Vec<&str> = self.site.machine_types.iter().map(|t| t.name.as_str()).collect();
        let settings = Settings {
            credentials: Credentials { source: Source::Anonymous, impersonate: None },
            endpoint: Some(self.cloud.base()),
            markets: vec![Market::Preemptible, Market::OnDemand],
            settle: SETTLE,
            deployment: Some(deployment.clone()),
            ..Settings::new(&self.site.project, &self.site.region, &types)
        };
        Arc::new(Gcp::open(settings, clock).unwrap())
    }

    fn books(&self) -> Books {
        let machines = self.cloud.ledger().iter().map(|entry| self.made(entry)).collect();
        let disks = self.cloud.disks().into_iter();
        let ours = disks.filter(|disk| disk.user.as_deref() != Some(STRANGER));
        let sides = ours.map(|disk| disk.name).collect();
        Books { machines, sides }
    }

    fn requests(&self) -> usize {
        self.cloud.requests()
    }

    fn problems(&self) -> Vec<String> {
        self.cloud.problems().iter().map(|problem| format!("{problem:?}")).collect()
    }

    fn offerings(&self) -> Vec<OfferingId> {
        let mut all = Vec::new();
        for kind in &self.site.machine_types {
            for zone in &self.site.zones {
                for market in [Market::Preemptible, Market::OnDemand] {
                    let (flavour, zone) = (kind.name.clone(), zone.clone());
                    all.push(OfferingId { flavour, zone, market });
                }
            }
        }
        all
    }

    fn add_stranger(&self) {
        self.cloud.add_machine(&NewMachine::new(STRANGER, BTreeMap::new()));
    }

    fn runs_short(&self, offering: Option<&OfferingId>) {
        let shortage = |one: &OfferingId| Shortage::of(&one.flavour, &one.zone, one.market);
        self.cloud.stock_out(offering.map_or_else(Shortage::total, shortage));
    }

    fn runs_short_late(&self, offering: &OfferingId) {
        self.runs_short(Some(offering));
        self.cloud.set_times(|times| times.refusal = LATE_REFUSAL);
    }

    fn limit(&self, market: Market, processors: u32) {
        let books: &[&str] = match market {
            Market::OnDemand => &["CPUS", "N2_CPUS"],
            Market::Preemptible => &["PREEMPTIBLE_CPUS"],
        };
        for book in books {
            self.cloud.set_quota(book, processors.into());
        }
    }

    fn restock(&self) {
        self.cloud.restock_all();
    }

    fn take_back(&self, id: &str) {
        self.cloud.preempt(id);
    }

    fn guest_ends(&self, id: &str) {
        self.cloud.guest_ends(id);
    }

    fn sluggish(&self) {
        self.cloud.set_times(|times| times.refusal = Duration::from_secs(30));
    }

    fn brisk(&self) {
        self.cloud.set_times(|times| times.refusal = REFUSAL);
    }

    fn zone_fails(&self) {
        self.cloud.zone_down(&self.site.zones[1], Outage::Warned);
    }

    fn zones_recover(&self) {
        for zone in &self.site.zones {
            self.cloud.zone_up(zone);
        }
    }

    fn refuse_everybody(&self) {
        self.cloud.allow_only(std::collections::BTreeSet::new());
    }

    fn refuse_nobody(&self) {
        self.cloud.allow_all();
    }

    fn befall(&self, on: On, (skip, times): (u32, u32), woe: Woe) {
        let on = match on {
            On::Any => fake::On::Any,
            On::Create => fake::On::Insert,
            On::Delete => fake::On::Delete,
            On::List => fake::On::List,
        };
        let trouble = match woe {
            Woe::LoseRequest => fake::Trouble::LoseRequest,
            Woe::LoseReply => fake::Trouble::LoseReply,
            Woe::CutReply => fake::Trouble::CutReply,
            Woe::Mask => fake::Trouble::Mask(Refusal::backend()),
            Woe::Throttle => fake::Trouble::Refuse(Refusal::rate()),
            Woe::Slow(time) => fake::Trouble::Slow(time),
        };
        self.cloud.befall_after(on, skip, times, trouble);
    }

    fn calm(&self) {
        self.cloud.calm();
    }
}
