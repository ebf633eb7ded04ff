//! The double of an OpenStack. It keeps no ledger of what is gone; this one does, of what it sees.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use vcycle_api::{Act, Clock, DeploymentId, Identity, Market, OfferingId, Processors, Timestamp};
use vcycle_openstack::testing::{self as fake, FakeCloud, Refusal, ServerView, Site};

use super::books::{Books, Made, Why};
use super::double::{Double, On, Woe};

/// The image of the double's site.
pub const IMAGE: &str = "lab-tiny";

/// A project of a site.
pub struct Nova {
    cloud: FakeCloud,
    clock: Arc<dyn Clock>,
    folder: tempfile::TempDir,
    seen: Mutex<BTreeMap<String, Made>>,
}

impl Nova {
    pub async fn start(clock: Arc<dyn Clock>) -> Self {
        let cloud = FakeCloud::start(Site::small(), clock.clone()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        cloud.write_clouds_yaml(folder.path()).unwrap();
        Self { cloud, clock, folder, seen: Mutex::default() }
    }

    /// Its table in a configuration, of which the name is left open.
    pub fn table(&self) -> String {
        let file = self.folder.path().join("clouds.yaml");
        format!("cloud = \"site-a\"\nclouds_file = {file:?}\n")
    }

    fn made(&self, server: &ServerView, now: Timestamp) -> Made {
        let flavor = Site::small().flavors.into_iter().find(|flavor| flavor.id == server.flavor);
        let processors = flavor.map_or(0, |flavor| flavor.vcpus);
        Made {
            id: server.id.clone(),
            identity: Identity::from_map(&server.metadata),
            processors: Processors(u32::try_from(processors).unwrap()),
            is_spot: false,
            accepted: now,
            began: Some(now),
            stopped: None,
            ended: None,
            why: Why::Lives,
        }
    }
}

impl Double for Nova {
    fn open(&self, _: &DeploymentId, _: Arc<dyn Clock>) -> Arc<dyn Act> {
        unreachable!("real programs open this one by its table")
    }

    fn books(&self) -> Books {
        let (servers, now) = (self.cloud.servers(), self.clock.now());
        let mut seen = self.seen.lock().unwrap();
        for made in seen.values_mut().filter(|made| made.is_there()) {
            if servers.iter().all(|server| server.id != made.id) {
                (made.stopped, made.ended, made.why) = (Some(now), Some(now), Why::Asked);
            }
        }
        for server in &servers {
            seen.entry(server.id.clone()).or_insert_with(|| self.made(server, now));
        }
        let mut machines: Vec<Made> = seen.values().cloned().collect();
        machines.sort_by_key(|made| made.accepted);
        let ports = self.cloud.ports().into_keys();
        Books { machines, sides: ports.chain(self.cloud.volumes().into_keys()).collect() }
    }

    fn requests(&self) -> usize {
        self.cloud.requests()
    }

    /// What was made and was gone before it was seen is missing in the books.
    fn problems(&self) -> Vec<String> {
        let asked = self.cloud.asked();
        let creates = asked.iter().filter(|a| a.method == "POST" && a.path.ends_with("/servers"));
        let accepted = creates.filter(|asked| asked.status == Some(202)).count();
        let seen = self.books().machines.len();
        let missed = (seen < accepted).then(|| format!("{accepted} creates, {seen} servers"));
        missed.into_iter().collect()
    }

    fn offerings(&self) -> Vec<OfferingId> {
        Vec::new()
    }

    fn add_stranger(&self) {
        let (project, name, flavor) = ("site-a".into(), "other".into(), "c2".into());
        let (metadata, tags, accepted) = (BTreeMap::new(), Default::default(), None);
        self.cloud.add_server(&fake::NewServer { project, name, flavor, metadata, tags, accepted });
    }

    fn runs_short(&self, _: Option<&OfferingId>) {}

    fn runs_short_late(&self, _: &OfferingId) {}

    fn limit(&self, _: Market, _: u32) {}

    fn restock(&self) {}

    fn take_back(&self, id: &str) {
        self.cloud.becomes(id, fake::Fate::Vanished);
    }

    fn guest_ends(&self, id: &str) {
        self.cloud.becomes(id, fake::Fate::ShutOff);
    }

    fn sluggish(&self) {}

    fn brisk(&self) {}

    fn zone_fails(&self) {}

    fn zones_recover(&self) {}

    fn refuse_everybody(&self) {
        self.cloud.refuse_everybody();
    }

    fn refuse_nobody(&self) {
        self.cloud.refuse_nobody();
    }

    fn befall(&self, on: On, (skip, times): (u32, u32), woe: Woe) {
        let on = match on {
            On::Any => fake::On::Any,
            On::Create => fake::On::Create,
            On::Delete => fake::On::Delete,
            On::List => fake::On::List,
        };
        let trouble = match woe {
            Woe::LoseRequest => fake::Trouble::LoseRequest,
            Woe::LoseReply | Woe::Mask => fake::Trouble::LoseReply,
            Woe::CutReply => fake::Trouble::CutReply,
            Woe::Throttle => fake::Trouble::Refuse(Refusal::too_many(None)),
            Woe::Slow(time) => fake::Trouble::Slow(time),
        };
        self.cloud.befall_after(on, skip, times, trouble);
    }

    fn calm(&self) {
        self.cloud.calm();
    }
}
