//! The double of EC2.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use vcycle_api::{Act, Clock, DeploymentId, Identity, Market, OfferingId, Processors};
use vcycle_aws::testing::{
    self as fake, FakeCloud, MachineRecord, NewMachine, Pool, Refusal, Site, SiteLimits, SiteType,
    State,
};
use vcycle_aws::{Aws, CredentialFiles, Credentials, Settings};

use super::books::{Books, Made, Why};
use super::double::{Double, On, Woe};

/// How long after a lost reply a machine may still appear.
const SETTLE: Duration = Duration::from_secs(120);

/// How long a new machine is in no listing, and a change of state does not show.
const NEW_LAG: Duration = Duration::from_secs(15);
const STATE_LAG: Duration = Duration::from_secs(5);

/// An account in a region.
pub struct Ec2 {
    cloud: FakeCloud,
    site: Site,
    folder: tempfile::TempDir,
    limits: Mutex<SiteLimits>,
}

/// Two types of two processors, in three zones and both markets.
fn site() -> Site {
    let types = ["m5.large", "c5.large"].map(|name| SiteType::new(name, 2, 8));
    let mut site = Site { types: types.into(), ..Site::small() };
    (site.times.new_lag, site.times.state_lag) = (NEW_LAG, STATE_LAG);
    site
}

impl Ec2 {
    pub async fn start(clock: Arc<dyn Clock>) -> Self {
        let (site, folder) = (site(), tempfile::tempdir().unwrap());
        let cloud = FakeCloud::start(site.clone(), clock).await.unwrap();
        cloud.write_credentials(folder.path()).unwrap();
        let limits = Mutex::new(site.limits);
        Self { cloud, site, folder, limits }
    }

    /// Its table in a configuration, of which the name is left open.
    pub fn table(&self) -> String {
        let types: Vec<_> = self.site.types.iter().map(|kind| &kind.name).collect();
        let file = self.folder.path().join("credentials");
        format!(
            "region = {:?}\ninstance_types = {types:?}\nendpoint = {:?}\ncredentials_file = {file:?}\n\
             config_file = {file:?}\ninterruption_queue = {:?}\n",
            self.site.region,
            self.cloud.endpoint(),
            self.cloud.queue_url()
        )
    }

    /// Volumes and interfaces that machines of others use.
    fn sides_of_strangers(&self) -> BTreeSet<String> {
        let machines = self.cloud.machines().into_iter();
        let strangers =
            machines.filter(|machine| Identity::from_map(&machine.tags) == Identity::Foreign);
        // One of ours that has lost its tags has neither.
        strangers
            .flat_map(|machine| machine.volumes.into_iter().chain(machine.interfaces))
            .collect()
    }

    fn made(&self, record: &MachineRecord) -> Made {
        let kind = self.site.types.iter().find(|kind| kind.name == record.flavour);
        let stopped = record.ended.map(|(at, _)| at);
        // One that is only stopped ran for the last time, and is still there.
        let rests = self.cloud.machine(&record.id).is_some_and(|machine| match machine.state {
            State::Stopping | State::Stopped => true,
            State::Pending | State::Running | State::ShuttingDown | State::Terminated => false,
        });
        let why = match record.ended {
            None => Why::Lives,
            Some((_, fake::End::Asked)) => Why::Asked,
            Some((_, fake::End::Guest)) => Why::ByItself,
            Some((_, fake::End::Interrupted)) => Why::TakenBack,
            Some((_, fake::End::LaunchFailed)) => Why::Lost,
        };
        Made {
            id: record.id.clone(),
            identity: record.identity(),
            processors: Processors(kind.map_or(0, |kind| kind.vcpus)),
            is_spot: record.spot,
            accepted: record.accepted,
            began: record.began,
            stopped,
            ended: stopped.filter(|_| !rests),
            why,
        }
    }
}

fn pool(offering: &OfferingId) -> Pool {
    let market = match offering.market {
        Market::OnDemand => "on-demand",
        Market::Preemptible => "spot",
    };
    Pool::new(&offering.flavour, &offering.zone, market)
}

impl Double for Ec2 {
    fn open(&self, deployment: &DeploymentId, clock: Arc<dyn Clock>) -> Arc<dyn Act> {
        let types = self.site.types.iter().map(|kind| kind.name.clone()).collect();
        let files = CredentialFiles {
            credentials: Some(self.folder.path().join("credentials")),
            // There is none: only what is written here counts.
            config: Some(self.folder.path().join("credentials")),
        };
        let settings = Settings {
            credentials: Credentials { files, ..Credentials::default() },
            endpoint: Some(self.cloud.endpoint()),
            markets: vec![Market::Preemptible, Market::OnDemand],
            interruption_queue: Some(self.cloud.queue_url()),
            settle: SETTLE,
            deployment: Some(deployment.clone()),
            ..Settings::new(self.site.region.clone(), types)
        };
        Arc::new(Aws::open(settings, clock).unwrap())
    }

    fn books(&self) -> Books {
        let machines = self.cloud.ledger().machines.iter().map(|one| self.made(one)).collect();
        let of_strangers = self.sides_of_strangers();
        let volumes = self.cloud.volumes().into_iter().map(|volume| volume.id);
        let sides = volumes.chain(self.cloud.interfaces().into_keys());
        let sides = sides.filter(|id| !of_strangers.contains(id)).collect();
        Books { machines, sides }
    }

    fn requests(&self) -> usize {
        self.cloud.requests()
    }

    fn problems(&self) -> Vec<String> {
        Vec::new()
    }

    fn offerings(&self) -> Vec<OfferingId> {
        let mut all = Vec::new();
        for kind in &self.site.types {
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
        self.cloud.add_machine(&NewMachine::default());
    }

    fn runs_short(&self, offering: Option<&OfferingId>) {
        self.cloud.runs_short(offering.map_or_else(Pool::all, pool));
    }

    fn runs_short_late(&self, offering: &OfferingId) {
        self.cloud.runs_short_late(pool(offering));
    }

    fn limit(&self, market: Market, processors: u32) {
        let mut limits = self.limits.lock().unwrap();
        match market {
            Market::OnDemand => limits.on_demand = processors,
            Market::Preemptible => limits.spot = processors,
        }
        self.cloud.set_limits(*limits);
    }

    fn restock(&self) {
        self.cloud.restock_all();
    }

    fn take_back(&self, id: &str) {
        self.cloud.interrupt(id);
    }

    fn guest_ends(&self, id: &str) {
        self.cloud.guest_ends(id);
    }

    fn sluggish(&self) {
        self.cloud.lag(Duration::from_secs(40), Duration::from_secs(40));
    }

    fn brisk(&self) {
        self.cloud.lag(NEW_LAG, STATE_LAG);
    }

    fn zone_fails(&self) {
        self.cloud.zone_fails(&self.site.zones[1]);
    }

    fn zones_recover(&self) {
        self.cloud.zones_recover();
    }

    fn refuse_everybody(&self) {
        self.cloud.refuse_everybody();
    }

    fn refuse_nobody(&self) {
        self.cloud.refuse_nobody();
    }

    fn befall(&self, on: On, (skip, times): (u32, u32), woe: Woe) {
        let on = match on {
            On::Any => fake::On::Any,
            On::Create => fake::On::Action("RunInstances"),
            On::Delete => fake::On::Action("TerminateInstances"),
            On::List => fake::On::Action("DescribeInstances"),
        };
        let trouble = match woe {
            Woe::LoseRequest => fake::Trouble::LoseRequest,
            Woe::LoseReply => fake::Trouble::LoseReply,
            Woe::CutReply => fake::Trouble::CutReply,
            Woe::Mask => fake::Trouble::RefuseAfter(Refusal::unavailable()),
            Woe::Throttle => fake::Trouble::Refuse(Refusal::throttled()),
            Woe::Slow(time) => fake::Trouble::Slow(time),
        };
        self.cloud.befall_after(on, skip, times, trouble);
    }

    fn calm(&self) {
        self.cloud.calm();
    }
}
