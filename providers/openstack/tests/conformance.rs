//! The provider passes the contract's suite on the in-process fake, as sites that differ as sites do.
//!
//! What is skipped is what no OpenStack can do, each with its reason in `inject`.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::tenancy::Place;
use vcycle_api::testing::{
    CannotInject, Counted, Fault, Faults, Forward, Limits, Subject, Template, Tenancy, run,
};
use vcycle_api::{Act, Clock, UserData};
use vcycle_openstack::testing::{
    Fate, Fault as BootFault, NewServer, On, Refusal, Site, SiteFlavor, SiteNetwork, Trouble,
};
use vcycle_openstack::{BootVolume, ConfigDrive, DataVolume, Networks, Settings};

/// A key of root.
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl a";

/// A kind of site.
struct Kind {
    name: &'static str,
    cloud: &'static str,
    site: fn(&mut Site),
    settings: fn(&mut Settings),
    page: usize,
}

struct Here {
    place: Place,
    storm: Arc<Counted>,
    client: Arc<Forward<Arc<Counted>>>,
    page: usize,
}

#[async_trait]
impl Subject for Kind {
    fn name(&self) -> String {
        format!("openstack on the fake, {}", self.name)
    }

    async fn open(&self) -> Box<dyn Tenancy> {
        let mut site = Site::small();
        // The smallest flavour of the suite must be one that a host can hold.
        site.flavors.retain(|flavor| flavor.disk < SiteFlavor::NO_HOST);
        (self.site)(&mut site);
        let place = Place::with(site, self.cloud, self.settings).await;
        let fake = Arc::clone(&place.fake);
        let storm = Arc::new(Counted::new(move || fake.calm()));
        let client = Arc::new(Forward::new(place.provider.clone(), Arc::clone(&storm)));
        Box::new(Here { place, storm, client, page: self.page })
    }
}

#[async_trait]
impl Tenancy for Here {
    fn provider(&self) -> Arc<dyn Act> {
        Arc::clone(&self.client) as Arc<dyn Act>
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.place.clock.clone()
    }

    async fn pass(&self, time: Duration) {
        self.place.clock.advance(time);
    }

    fn template(&self) -> Template {
        Template {
            offering: None,
            image: Some("lab-tiny".to_owned()),
            user_data: UserData::new("#!/bin/sh\nexec sleep 3600\n"),
            environment: Vec::new(),
            public_key: Some(KEY.to_owned()),
        }
    }

    fn limits(&self) -> Limits {
        Limits { page: Some(self.page), ..Limits::default() }
    }

    fn faults(&self) -> Option<&dyn Faults> {
        Some(self)
    }

    fn ends_at_deadline(&self) -> Result<(), CannotInject> {
        let why = "only the guest's own timer ends a server, and the fake runs no guests";
        Err(CannotInject(why.to_owned()))
    }

    fn mutations(&self) -> Option<u64> {
        Some(self.place.fake.mutations())
    }
}

impl Here {
    /// Trouble that lasts for a number of calls.
    fn begin(&self, calls: u32, on: On, trouble: Trouble) {
        self.storm.begin(calls);
        self.place.fake.befall(on, u32::MAX, trouble);
    }

    fn stranger(&self, name: String, metadata: BTreeMap<String, String>) {
        self.place.fake.add_server(&NewServer { name, metadata, ..NewServer::default() });
    }
}

#[async_trait]
impl Faults for Here {
    async fn inject(&self, fault: Fault) -> Result<(), CannotInject> {
        let fake = &self.place.fake;
        let cannot = |why: &str| Err(CannotInject(why.to_owned()));
        match fault {
            Fault::LoseReplyAfterCommit => fake.befall(On::Create, 1, Trouble::LoseReply),
            Fault::LoseReplyBeforeCommit => fake.befall(On::Create, 1, Trouble::LoseRequest),
            Fault::LoseDeleteReply => fake.befall(On::Delete, 1, Trouble::LoseReply),
            Fault::LosePage => fake.befall(On::LaterPage, 1, Trouble::LoseRequest),
            Fault::Throttle { calls, after } => {
                let refusal = Refusal::too_many(after.map(|after| after.as_secs()));
                self.begin(calls, On::AnyButIdentity, Trouble::Refuse(refusal));
            }
            Fault::Outage { calls } => self.begin(calls, On::Any, Trouble::LoseRequest),
            Fault::QuotaFull => fake.fill_quota("site-a"),
            Fault::EndMachine(id) => fake.becomes(id.as_str(), Fate::ShutOff),
            Fault::Stranger { name, tags } => self.stranger(name, tags),
            Fault::RevokeCredentials => fake.refuse_everybody(),
            Fault::RestoreCredentials => fake.refuse_nobody(),
            Fault::SkewClient(skew) => self.place.client_clock.skew(skew),
            Fault::FailBoot => fake.fail_next_boots(1, &BootFault::no_valid_host()),
            Fault::StockOut(_) | Fault::Restock(_) => {
                return cannot("Nova accepts a create first; no host is then a server in error");
            }
            Fault::Preempt(_) => {
                return cannot("OpenStack gives no notice: a server taken back is simply deleted");
            }
        }
        Ok(())
    }
}

async fn passes(kind: Kind) {
    let report = run(&kind).await;
    let mut skipped: Vec<&str> = report.skipped().map(|(case, _)| case).collect();
    skipped.sort_unstable();
    let known = [
        "a_machine_ends_at_its_deadline_though_nobody_ends_it",
        "a_preempted_machine_says_so",
        "a_stock_out_names_the_offering_and_makes_nothing",
    ];
    assert_eq!(skipped, known, "each skip is known, with its reason in the harness");
}

#[tokio::test]
async fn a_new_cloud_with_a_password_passes() {
    passes(Kind {
        name: "2.104, password, pages of 250 by our wish",
        cloud: "site-a",
        site: |_| {},
        settings: |settings| settings.page = Some(250),
        page: 250,
    })
    .await;
}

#[tokio::test]
async fn an_old_cloud_with_an_application_credential_and_short_pages_passes() {
    passes(Kind {
        name: "2.1, application credential, pages of 100 by the site, no network",
        cloud: "site-a-app",
        site: |site| {
            site.microversion = 1;
            site.max_limit = 100;
            site.networks.clear();
        },
        settings: |_| {},
        page: 100,
    })
    .await;
}

#[tokio::test]
async fn a_cloud_with_two_networks_zones_and_volumes_passes() {
    passes(Kind {
        name: "2.53, two networks by name, a zone, boot from volume, data volume, config drive",
        cloud: "site-a",
        site: |site| {
            site.microversion = 53;
            site.max_limit = 300;
            site.zones = vec!["zone-1".into(), "zone-2".into()];
            site.networks.push(SiteNetwork {
                id: "5f3f1d0c-6f5e-4c43-9d1e-2a6c1b1f7a10".into(),
                name: "Netz für Rechnungen".into(),
                project: None,
                external: false,
            });
        },
        settings: |settings| {
            let names = ["site-a-net", "Netz für Rechnungen"];
            settings.networks = Networks::These(names.map(str::to_owned).into());
            settings.zones = vec!["zone-2".to_owned()];
            settings.boot_volume = Some(BootVolume { gb: 10, volume_type: None });
            settings.data_volume = Some(DataVolume { gb_per_processor: 5, volume_type: None });
            settings.config_drive = ConfigDrive::Yes;
        },
        page: 300,
    })
    .await;
}
