//! The harness of the simulated cloud for the conformance suite.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use vcycle_api::testing::{CannotInject, Fault, Faults, Limits, Skew, Subject, Template, Tenancy};
use vcycle_api::{Act, Clock, OfferingId, Processors, Timestamp, UserData};
use vcycle_sim::{
    CallFault, ClientOptions, ManualClock, Script, Settings, SimCloud, SimProvider, SkewedClock,
    Span, Stranger, WorldFault,
};

/// The simulated cloud, changed in some way.
pub(crate) struct SimSubject {
    pub(crate) name: &'static str,
    pub(crate) change: fn(&mut Settings),
}

struct SimTenancy {
    clock: Arc<ManualClock>,
    client_clock: Arc<SkewedClock>,
    cloud: SimCloud,
    provider: Arc<SimProvider>,
    offering: OfferingId,
}

#[async_trait]
impl Subject for SimSubject {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    async fn open(&self) -> Box<dyn Tenancy> {
        let boot = Duration::from_secs(20);
        let mut settings = Settings::simple(42, Processors(4000), boot, Duration::from_secs(7200));
        settings.page = 250;
        settings.script = Script::never_ends();
        settings.deletion = Span::between(Duration::from_secs(1), Duration::from_secs(20));
        (self.change)(&mut settings);
        let offering = settings.offerings[0].offering.id.clone();
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
        let cloud = SimCloud::new(settings, clock.clone());
        let client_clock = Arc::new(SkewedClock::new(clock.clone()));
        let own: Arc<dyn Clock> = client_clock.clone();
        let options = ClientOptions { clock: Some(own), ..ClientOptions::default() };
        let provider = Arc::new(cloud.client_with(options));
        Box::new(SimTenancy { clock, client_clock, cloud, provider, offering })
    }
}

#[async_trait]
impl Tenancy for SimTenancy {
    fn provider(&self) -> Arc<dyn Act> {
        self.provider.clone()
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    fn template(&self) -> Template {
        Template {
            offering: None,
            image: None,
            public_key: None,
            user_data: UserData::new("#!/bin/sh\nexec sleep 3600\n"),
            environment: Vec::new(),
        }
    }

    fn limits(&self) -> Limits {
        Limits { page: Some(250), ..Limits::default() }
    }

    fn faults(&self) -> Option<&dyn Faults> {
        Some(self)
    }

    fn mutations(&self) -> Option<u64> {
        Some(self.cloud.log().len() as u64)
    }
}

#[async_trait]
impl Faults for SimTenancy {
    async fn inject(&self, fault: Fault) -> Result<(), CannotInject> {
        let world = |fault| {
            assert!(self.cloud.inject(fault), "the machine exists");
        };
        match fault {
            Fault::LoseReplyAfterCommit => self.provider.inject(CallFault::LoseCreateReply),
            Fault::LoseReplyBeforeCommit => self.provider.inject(CallFault::LoseCreate),
            Fault::LoseDeleteReply => self.provider.inject(CallFault::LoseDeleteReply),
            Fault::LosePage => self.provider.inject(CallFault::LosePage),
            Fault::Throttle { calls, after } => {
                self.provider.inject(CallFault::Throttle { calls, after });
            }
            Fault::Outage { calls } => self.provider.inject(CallFault::Outage { calls }),
            Fault::RevokeCredentials => self.provider.inject(CallFault::RevokeCredentials),
            Fault::RestoreCredentials => self.provider.inject(CallFault::RestoreCredentials),
            Fault::StockOut(offering) => world(WorldFault::StockOut(offering)),
            Fault::Restock(offering) => world(WorldFault::Restock(offering)),
            Fault::QuotaFull => world(WorldFault::QuotaFull),
            Fault::Preempt(id) => world(WorldFault::Preempt(id)),
            Fault::EndMachine(id) => world(WorldFault::End(id)),
            Fault::FailBoot => world(WorldFault::FailNextBoot),
            Fault::Stranger { name, tags } => self.stranger(name, tags),
            Fault::SkewClient(skew) => {
                let millis =
                    |time: Duration| i64::try_from(time.as_millis()).expect("a skew is short");
                self.client_clock.set_offset_millis(match skew {
                    Skew::Ahead(time) => millis(time),
                    Skew::Behind(time) => -millis(time),
                });
            }
        }
        Ok(())
    }
}

impl SimTenancy {
    fn stranger(&self, name: String, tags: BTreeMap<String, String>) {
        let offering = self.offering.clone();
        self.cloud.add_stranger(Stranger { name, tags, offering }).expect("the offering is sold");
    }
}

/// A tenancy whose provider is looked at through something else.
pub(crate) struct Wrapped {
    pub(crate) inner: Box<dyn Tenancy>,
    pub(crate) provider: Arc<dyn Act>,
}

#[async_trait]
impl Tenancy for Wrapped {
    fn provider(&self) -> Arc<dyn Act> {
        self.provider.clone()
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.inner.clock()
    }

    async fn pass(&self, time: Duration) {
        self.inner.pass(time).await;
    }

    fn template(&self) -> Template {
        self.inner.template()
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    fn faults(&self) -> Option<&dyn Faults> {
        self.inner.faults()
    }

    fn mutations(&self) -> Option<u64> {
        self.inner.mutations()
    }
}
