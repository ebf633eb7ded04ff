//! The provider passes the contract's suite on the in-process fake, as projects that differ as projects do. In every
//! case both sides must have spoken as Google's own description of the API says.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::Place;
use vcycle_api::testing::{
    CannotInject, Counted, Fault, Faults, Forward, Limits, Subject, Template, Tenancy, run,
};
use vcycle_api::{Act, Clock, InstanceId, Market, OfferingId, UserData};
use vcycle_gcp::testing::{FakeCloud, NewMachine, On, Refusal, Shortage, Site, Told, Trouble};
use vcycle_gcp::{ExternalAddress, ServiceAccount, Settings};

/// A key of root.
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl a";

/// A kind of project.
struct Kind {
    name: &'static str,
    site: fn(&mut Site),
    settings: fn(&mut Settings),
    fake: fn(&FakeCloud),
    market: Market,
}

struct Here {
    place: Place,
    storm: Arc<Counted>,
    client: Arc<Forward<Arc<Counted>>>,
    market: Market,
}

#[async_trait]
impl Subject for Kind {
    fn name(&self) -> String {
        format!("gcp on the fake, {}", self.name)
    }

    async fn open(&self) -> Box<dyn Tenancy> {
        let mut site = Site::small();
        (self.site)(&mut site);
        let place = Place::with(site, |settings| {
            // The suite's deployment is another in each case.
            settings.deployment = None;
            settings.markets = vec![self.market];
            (self.settings)(settings);
        })
        .await;
        (self.fake)(&place.fake);
        let fake = Arc::clone(&place.fake);
        let storm = Arc::new(Counted::new(move || fake.calm()));
        let client = Arc::new(Forward::new(place.provider.clone(), Arc::clone(&storm)));
        Box::new(Here { place, storm, client, market: self.market })
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
        let (flavour, zone) = ("e2-standard-2".to_owned(), "europe-west2-b".to_owned());
        Template {
            offering: Some(OfferingId { flavour, zone, market: self.market }),
            image: Some("family/lab-tiny".to_owned()),
            user_data: UserData::new("#!/bin/sh\nexec sleep 3600\n"),
            environment: Vec::new(),
            public_key: Some(KEY.to_owned()),
        }
    }

    fn limits(&self) -> Limits {
        Limits { page: Some(500), ..Limits::default() }
    }

    fn unknown_id(&self) -> InstanceId {
        let project = &self.place.settings.project;
        InstanceId::parse(&format!("{project}/europe-west2-a/nobody-0123456789")).unwrap()
    }

    fn faults(&self) -> Option<&dyn Faults> {
        Some(self)
    }

    fn mutations(&self) -> Option<u64> {
        Some(self.place.fake.mutations())
    }

    async fn close(&self) {
        self.place.assert_described();
        // Whatever a case has left: no number was ever given to two machines, and none outlived its limit.
        for entry in self.place.fake.ledger() {
            let limit = entry.limit.unwrap_or(Duration::MAX);
            assert!(entry.billed <= limit.saturating_add(Duration::from_secs(60)), "{entry:?}");
        }
    }
}

impl Here {
    /// Trouble that lasts for a number of calls.
    fn begin(&self, calls: u32, on: On, trouble: Trouble) {
        self.storm.begin(calls);
        self.place.fake.befall(on, u32::MAX, trouble);
    }

    fn name_of(&self, id: &InstanceId) -> String {
        id.as_str().rsplit('/').next().unwrap().to_owned()
    }

    fn stranger(&self, name: &str, tags: &BTreeMap<String, String>) {
        self.place.fake.add_machine(&NewMachine::new(name, common::labels(tags)));
    }
}

#[async_trait]
impl Faults for Here {
    async fn inject(&self, fault: Fault) -> Result<(), CannotInject> {
        let fake = &self.place.fake;
        match fault {
            Fault::LoseReplyAfterCommit => fake.befall(On::Insert, 1, Trouble::LoseReply),
            Fault::LoseReplyBeforeCommit => fake.befall(On::Insert, 1, Trouble::LoseRequest),
            Fault::LoseDeleteReply => fake.befall(On::Delete, 1, Trouble::LoseReply),
            Fault::LosePage => fake.befall(On::LaterPage, 1, Trouble::LoseRequest),
            // Google says no time: the next minute is meant.
            Fault::Throttle { calls, after: _ } => {
                self.begin(calls, On::Compute, Trouble::Refuse(Refusal::rate()));
            }
            Fault::Outage { calls } => self.begin(calls, On::Any, Trouble::LoseRequest),
            Fault::StockOut(id) => {
                fake.stock_out(Shortage::of(&id.flavour, &id.zone, id.market));
            }
            Fault::Restock(id) => fake.restock(&id.flavour, &id.zone, id.market),
            Fault::QuotaFull => fake.fill_quotas(),
            Fault::Preempt(_) if self.market == Market::OnDemand => {
                return Err(CannotInject("only spot machines are taken back".to_owned()));
            }
            Fault::Preempt(id) => fake.preempt(&self.name_of(&id)),
            Fault::EndMachine(id) => fake.guest_ends(&self.name_of(&id)),
            Fault::Stranger { name, tags } => self.stranger(&name, &tags),
            Fault::RevokeCredentials => fake.refuse_everybody(),
            Fault::RestoreCredentials => fake.refuse_nobody(),
            Fault::SkewClient(skew) => self.place.client_clock.skew(skew),
            // An insert that fails in its operation leaves nothing to delete: tests/faults has those.
            Fault::FailBoot => fake.end_next_guests(1),
        }
        Ok(())
    }
}

async fn passes(kind: Kind, known: &[&str]) {
    let report = run(&kind).await;
    let skipped: Vec<&str> = report.skipped().map(|(case, _)| case).collect();
    assert_eq!(skipped, known, "each skip is known, with its reason in the harness");
}

#[tokio::test]
async fn on_demand_machines_pass() {
    let kind = Kind {
        name: "on demand, refusals inside operations",
        site: |_| {},
        settings: |_| {},
        fake: |_| {},
        market: Market::OnDemand,
    };
    passes(kind, &["a_preempted_machine_says_so"]).await;
}

#[tokio::test]
async fn spot_machines_with_addresses_and_refusals_at_once_pass() {
    let kind = Kind {
        name: "spot, external address, service account, subnetwork, refusals at once, no quota for spot",
        site: |site| {
            site.quotas.retain(|quota| quota.metric != "PREEMPTIBLE_CPUS");
        },
        settings: |settings| {
            settings.external_address = ExternalAddress::Yes;
            settings.subnetwork = Some("default".to_owned());
            settings.network_tags = vec!["workers".to_owned()];
            let email = "worker@vcycle-lab.iam.gserviceaccount.com".to_owned();
            settings.service_account = Some(ServiceAccount { email, scopes: Vec::new() });
            settings.boot_disk.gb = Some(20);
        },
        fake: |fake| {
            fake.tell_quota(Told::AtOnce);
            fake.tell_existing(Told::InOperation);
        },
        market: Market::Preemptible,
    };
    passes(kind, &[]).await;
}
