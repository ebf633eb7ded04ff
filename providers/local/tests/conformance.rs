//! `local` against the conformance suite that every provider must pass.
//!
//! The faults that this host can have are made for real: the folder is moved away (an outage),
//! another provider in the same folder fills the quota, plays another deployment, and uses a
//! supervisor that does not exist. Only lost replies are made by the client: its answer is
//! thrown away, or its call is not made. What cannot happen here is skipped, and says why.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use common::*;
use vcycle_api::testing::{CannotInject, Fault, Faults, Limits, Subject, Template, Tenancy, run};
use vcycle_api::{
    Act, Capabilities, Clock, CreateRequest, Created, Deletion, ErrorKind, Finding, Identity,
    Instance, InstanceId, IntentToken, Interruption, Listing, Need, Observe, Offering,
    ProviderError, Quota, Readiness, Resolution, SideResource, SystemClock, TenancyId, Terms,
    Timestamp, UserData,
};
use vcycle_local::Local;

const SCRIPT: &str = "#!/bin/sh\nwhile [ ! -e end ]; do sleep 0.1; done\n";

/// What the client does to its next calls.
#[derive(Debug, Default)]
struct Mischief {
    lose_create_after: bool,
    lose_create_before: bool,
    lose_delete: bool,
    fail_boot: bool,
    /// Calls until the folder is back in its place.
    outage: u32,
}

struct Client {
    local: Local,
    broken: Local,
    site: Arc<Site>,
    mischief: Mutex<Mischief>,
}

fn lost(operation: &'static str) -> ProviderError {
    ProviderError::new(ErrorKind::Ambiguous, operation, "the reply was lost")
}

impl Client {
    fn take(&self, which: impl Fn(&mut Mischief) -> &mut bool) -> bool {
        std::mem::take(which(&mut self.mischief.lock().unwrap()))
    }

    fn away(&self) -> (PathBuf, PathBuf) {
        (self.site.path().join("machines"), self.site.path().join("away"))
    }

    fn begin_outage(&self, calls: u32) {
        let (machines, away) = self.away();
        fs::rename(machines, away).unwrap();
        self.mischief.lock().unwrap().outage = calls;
    }

    /// After each call.
    fn called(&self) {
        let mut mischief = self.mischief.lock().unwrap();
        if mischief.outage > 0 {
            mischief.outage -= 1;
            if mischief.outage == 0 {
                let (machines, away) = self.away();
                fs::rename(away, machines).unwrap();
            }
        }
    }
}

#[async_trait]
impl Observe for Client {
    fn capabilities(&self) -> &Capabilities {
        self.local.capabilities()
    }
    fn user_data_bytes(&self, user_data: &UserData) -> usize {
        self.local.user_data_bytes(user_data)
    }
    async fn tenancy(&self) -> Result<Option<TenancyId>, ProviderError> {
        self.local.tenancy().await
    }
    async fn list(&self) -> Result<Listing, ProviderError> {
        let answer = self.local.list().await;
        self.called();
        answer
    }
    async fn get(&self, id: &InstanceId) -> Result<Instance, ProviderError> {
        let answer = self.local.get(id).await;
        self.called();
        answer
    }
    async fn offerings(&self) -> Result<Vec<Offering>, ProviderError> {
        let answer = self.local.offerings().await;
        self.called();
        answer
    }
    async fn quota(&self) -> Result<Quota, ProviderError> {
        let answer = self.local.quota().await;
        self.called();
        answer
    }
    async fn interruptions(&self) -> Result<Vec<Interruption>, ProviderError> {
        self.local.interruptions().await
    }
    async fn side_resources(&self) -> Result<Vec<SideResource>, ProviderError> {
        self.local.side_resources().await
    }
    async fn terms(&self) -> Result<Terms, ProviderError> {
        self.local.terms().await
    }
    async fn inspect(&self, needs: &[Need]) -> Vec<Finding> {
        self.local.inspect(needs).await
    }
}

#[async_trait]
impl Act for Client {
    async fn prepare(&self, needs: &[Need]) -> Result<Vec<Readiness>, ProviderError> {
        self.local.prepare(needs).await
    }
    fn turn_to_create(&self, patience: Duration) -> Result<Duration, ProviderError> {
        self.local.turn_to_create(patience)
    }
    async fn create(&self, request: &CreateRequest) -> Result<Created, ProviderError> {
        if self.take(|m| &mut m.lose_create_before) {
            return Err(lost("create machine"));
        }
        let local = if self.take(|m| &mut m.fail_boot) { &self.broken } else { &self.local };
        let answer = local.create(request).await;
        self.called();
        if self.take(|m| &mut m.lose_create_after) {
            return Err(lost("create machine"));
        }
        answer
    }
    async fn resolve(
        &self,
        intent: &IntentToken,
        since: Timestamp,
    ) -> Result<Resolution, ProviderError> {
        let answer = self.local.resolve(intent, since).await;
        self.called();
        answer
    }
    async fn delete(&self, id: &InstanceId) -> Result<Deletion, ProviderError> {
        let answer = self.local.delete(id).await;
        self.called();
        if self.take(|m| &mut m.lose_delete) {
            return Err(lost("delete machine"));
        }
        answer
    }
    async fn delete_side_resource(
        &self,
        resource: &SideResource,
    ) -> Result<Deletion, ProviderError> {
        self.local.delete_side_resource(resource).await
    }
}

struct Here;

struct Place {
    site: Arc<Site>,
    clock: Arc<SystemClock>,
    client: Arc<Client>,
}

#[async_trait]
impl Subject for Here {
    fn name(&self) -> String {
        "local".to_owned()
    }

    async fn open(&self) -> Box<dyn Tenancy> {
        let site = Arc::new(Site::new());
        let client = Arc::new(Client {
            local: site.provider(),
            broken: site.provider_with(|settings| settings.supervisor.program = "/no/such".into()),
            site: Arc::clone(&site),
            mischief: Mutex::default(),
        });
        Box::new(Place { site, clock: Arc::new(SystemClock::new()), client })
    }
}

#[async_trait]
impl Tenancy for Place {
    fn provider(&self) -> Arc<dyn Act> {
        Arc::clone(&self.client) as Arc<dyn Act>
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }

    async fn pass(&self, time: Duration) {
        // Real processes live in real time: nothing else makes it pass.
        tokio::time::sleep(time).await;
    }

    fn template(&self) -> Template {
        Template {
            offering: None,
            image: None,
            public_key: None,
            user_data: UserData::new(SCRIPT),
            environment: vec![("JOBOUTPUTS".to_owned(), "https://example/".to_owned())],
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            // As many as the quota of the test allows.
            machines: 16,
            page: None,
            patience: PATIENCE,
            step: Duration::from_millis(50),
            case_time: Duration::from_secs(100),
        }
    }

    fn faults(&self) -> Option<&dyn Faults> {
        Some(self)
    }
}

impl Place {
    /// A machine that another provider makes in the same folder.
    async fn others_machine(
        &self,
        change: impl FnOnce(&mut CreateRequest),
    ) -> Result<(), CannotInject> {
        let other = self.site.provider();
        let mut request = request(&other, SCRIPT).await;
        change(&mut request);
        other.create(&request).await.map(drop).map_err(|error| CannotInject(error.to_string()))
    }

    async fn stranger(
        &self,
        name: String,
        tags: BTreeMap<String, String>,
    ) -> Result<(), CannotInject> {
        if let Identity::Vcycle(tags) = Identity::from_map(&tags) {
            return self.others_machine(|request| request.tags = tags).await;
        }
        if name == "stranger" {
            // What uses processors here can only be another deployment's machine.
            return self.others_machine(|_| ()).await;
        }
        let folder = self.site.path().join("machines").join(name);
        fs::create_dir(&folder).unwrap();
        let spec = serde_json::json!({ "format": 1, "tags": tags });
        fs::write(folder.join("spec.json"), spec.to_string()).unwrap();
        Ok(())
    }

    async fn fill(&self) -> Result<(), CannotInject> {
        let other = self.site.provider();
        let whole = other.offerings().await.unwrap().pop().unwrap();
        let filler = request_for(whole, SCRIPT);
        other.create(&filler).await.map(drop).map_err(|error| CannotInject(error.to_string()))
    }
}

#[async_trait]
impl Faults for Place {
    async fn inject(&self, fault: Fault) -> Result<(), CannotInject> {
        let cannot = |why: &str| Err(CannotInject(why.to_owned()));
        let set = |which: fn(&mut Mischief) -> &mut bool| {
            *which(&mut self.client.mischief.lock().unwrap()) = true;
            Ok(())
        };
        match fault {
            Fault::LoseReplyAfterCommit => set(|m| &mut m.lose_create_after),
            Fault::LoseReplyBeforeCommit => set(|m| &mut m.lose_create_before),
            Fault::LoseDeleteReply => set(|m| &mut m.lose_delete),
            Fault::FailBoot => set(|m| &mut m.fail_boot),
            Fault::Outage { calls } => {
                self.client.begin_outage(calls);
                Ok(())
            }
            Fault::QuotaFull => self.fill().await,
            Fault::EndMachine(id) => {
                fs::write(self.site.work(&id).join("end"), "").unwrap();
                Ok(())
            }
            Fault::Stranger { name, tags } => self.stranger(name, tags).await,
            Fault::LosePage => cannot("its listings have no pages"),
            Fault::Throttle { calls: _, after: _ } => cannot("nothing counts its calls"),
            Fault::StockOut(_) | Fault::Restock(_) => {
                cannot("its only stock is its quota and the disk")
            }
            Fault::Preempt(_) => cannot("nobody takes its machines back"),
            Fault::RevokeCredentials | Fault::RestoreCredentials => cannot("it has no credentials"),
            Fault::SkewClient(_) => cannot("client and cloud have the one clock of the host"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn local_passes_the_conformance_suite() {
    let report = run(&Here).await;
    let mut skipped: Vec<&str> = report.skipped().map(|(case, _)| case).collect();
    skipped.sort_unstable();
    assert_eq!(
        skipped,
        [
            "a_fast_client_clock_proves_no_absence",
            "a_lost_page_makes_the_listing_partial",
            "a_preempted_machine_says_so",
            "a_slow_client_clock_harms_nothing",
            "a_stock_out_names_the_offering_and_makes_nothing",
            "a_throttle_storm_is_told_and_passes",
            "an_inspection_says_that_the_login_fails",
            "revoked_credentials_give_nothing_but_auth_failed",
        ],
        "each skip is known, with its reason in the harness"
    );
}
