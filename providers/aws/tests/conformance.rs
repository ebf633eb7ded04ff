//! The provider passes the contract's suite on the in-process fake, as accounts that differ as accounts do.
//!
//! Nothing is skipped: what the suite asks for, EC2 can do.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::Place;
use vcycle_api::testing::{
    CannotInject, Counted, Fault, Faults, Forward, Limits, Subject, Template, Tenancy, run,
};
use vcycle_api::{Act, Clock, InstanceId, Market, OfferingId, UserData};
use vcycle_aws::testing::{NewMachine, On, Pool, Reason, Refusal, Site, Trouble};
use vcycle_aws::{Encryption, PublicAddress, RootVolume, Settings};

/// A key of root.
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl a";

/// A kind of account.
struct Kind {
    name: &'static str,
    market: Market,
    image: &'static str,
    site: fn(&mut Site),
    settings: fn(&mut Settings),
}

struct Here {
    place: Place,
    storm: Arc<Counted>,
    client: Arc<Forward<Arc<Counted>>>,
    market: Market,
    image: &'static str,
}

#[async_trait]
impl Subject for Kind {
    fn name(&self) -> String {
        format!("aws on the fake, {}", self.name)
    }

    async fn open(&self) -> Box<dyn Tenancy> {
        let mut site = Site::small();
        (self.site)(&mut site);
        // The suite makes up a deployment of its own for each tenancy.
        let place = Place::with(site, |settings| {
            settings.settle = Duration::from_secs(60);
            // With several, a market that is full is parked as if it were out of stock: tests/faults.
            settings.markets = vec![self.market];
            (self.settings)(settings);
        })
        .await;
        let fake = Arc::clone(&place.fake);
        let storm = Arc::new(Counted::new(move || fake.calm()));
        let client = Arc::new(Forward::new(place.provider.clone(), Arc::clone(&storm)));
        Box::new(Here { place, storm, client, market: self.market, image: self.image })
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
        let (flavour, zone) = ("m5.large".to_owned(), "eu-west-2b".to_owned());
        Template {
            offering: Some(OfferingId { flavour, zone, market: self.market }),
            image: Some(self.image.to_owned()),
            user_data: UserData::new("#!/bin/sh\nexec sleep 3600\n"),
            environment: Vec::new(),
            public_key: Some(KEY.to_owned()),
        }
    }

    fn limits(&self) -> Limits {
        // The SDK is slow in a debug build, and all tenancies make their thousand machines at once.
        let case_time = Duration::from_secs(300);
        Limits { page: Some(1000), case_time, ..Limits::default() }
    }

    fn unknown_id(&self) -> InstanceId {
        InstanceId::parse("i-0123456789abcdef0").unwrap()
    }

    fn faults(&self) -> Option<&dyn Faults> {
        Some(self)
    }

    fn mutations(&self) -> Option<u64> {
        Some(self.place.fake.mutations())
    }
}

fn pool(offering: &OfferingId) -> Pool {
    let market = match offering.market {
        Market::OnDemand => "on-demand",
        Market::Preemptible => "spot",
    };
    Pool::new(&offering.flavour, &offering.zone, market)
}

impl Here {
    /// Trouble that lasts for a number of calls.
    fn begin(&self, calls: u32, trouble: Trouble) {
        self.storm.begin(calls);
        self.place.fake.befall(On::Any, u32::MAX, trouble);
    }
}

#[async_trait]
impl Faults for Here {
    async fn inject(&self, fault: Fault) -> Result<(), CannotInject> {
        let fake = &self.place.fake;
        match fault {
            Fault::LoseReplyAfterCommit => {
                fake.befall(On::Action("RunInstances"), 1, Trouble::LoseReply);
            }
            Fault::LoseReplyBeforeCommit => {
                fake.befall(On::Action("RunInstances"), 1, Trouble::LoseRequest);
            }
            Fault::LoseDeleteReply => {
                fake.befall(On::Action("TerminateInstances"), 1, Trouble::LoseReply);
            }
            Fault::LosePage => fake.befall(On::LaterPage, 1, Trouble::LoseRequest),
            // EC2 does not say when to come again.
            Fault::Throttle { calls, after: _ } => {
                self.begin(calls, Trouble::Refuse(Refusal::throttled()));
            }
            Fault::Outage { calls } => self.begin(calls, Trouble::LoseRequest),
            Fault::StockOut(offering) => fake.runs_short(pool(&offering)),
            Fault::Restock(offering) => fake.restock(&pool(&offering)),
            Fault::QuotaFull => fake.fill_quota(),
            Fault::Preempt(id) => match self.market {
                Market::Preemptible => fake.interrupt(id.as_str()),
                Market::OnDemand => {
                    let why = "EC2 takes back spot machines only: see the tenancy of spot machines";
                    return Err(CannotInject(why.to_owned()));
                }
            },
            Fault::EndMachine(id) => fake.guest_ends(id.as_str()),
            Fault::Stranger { name, mut tags } => {
                tags.insert("Name".to_owned(), name);
                // Limits are counted for each market.
                let spot = self.market == Market::Preemptible;
                fake.add_machine(&NewMachine { tags, spot, ..NewMachine::default() });
            }
            Fault::RevokeCredentials => fake.refuse_everybody(),
            Fault::RestoreCredentials => fake.refuse_nobody(),
            Fault::SkewClient(skew) => self.place.client_clock.skew(skew),
            Fault::FailBoot => fake.fail_next_launches(1, &Reason::internal()),
        }
        Ok(())
    }
}

async fn passes(kind: Kind, known: &[&str]) {
    let report = run(&kind).await;
    let mut skipped: Vec<&str> = report.skipped().map(|(case, _)| case).collect();
    skipped.sort_unstable();
    assert_eq!(skipped, known, "each skip is known, with its reason in the harness");
}

#[tokio::test]
async fn machines_on_demand_pass() {
    let kind = Kind {
        name: "on demand, image by id, default VPC",
        market: Market::OnDemand,
        image: "ami-0aaaaaaaaaaaaaaa2",
        site: |_| {},
        settings: |_| {},
    };
    passes(kind, &["a_preempted_machine_says_so"]).await;
}

#[tokio::test]
async fn spot_machines_pass_with_everything_configured() {
    let kind = Kind {
        name: "spot, image by name, subnets, a group, a profile, a volume, a role",
        market: Market::Preemptible,
        image: "worker-*",
        site: |_| {},
        settings: |settings| {
            settings.subnets =
                vec!["default-eu-west-2a".to_owned(), "subnet-0a1b2c3d4e5f60701".to_owned()];
            settings.security_groups = vec!["workers".to_owned()];
            settings.instance_profile = Some("vcycle-worker".to_owned());
            settings.public_address = PublicAddress::Yes;
            settings.root_volume = Some(RootVolume {
                gb: Some(10),
                gb_per_processor: Some(5),
                volume_type: Some("gp3".to_owned()),
                encrypted: Encryption::Yes,
                device: None,
            });
        },
    };
    passes(kind, &[]).await;
}

#[tokio::test]
async fn a_cloud_that_lags_behind_passes() {
    let kind = Kind {
        name: "on demand, new ids unknown for 20 s, states 5 s late, no queue",
        market: Market::OnDemand,
        image: "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
        site: |site| {
            site.times.new_lag = Duration::from_secs(20);
            site.times.state_lag = Duration::from_secs(5);
            // Images that would leave their root volume behind.
            site.images.iter_mut().for_each(|image| image.deletes_root = false);
        },
        settings: |settings| settings.interruption_queue = None,
    };
    passes(kind, &["a_preempted_machine_says_so"]).await;
}
