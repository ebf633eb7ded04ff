//! The conformance suite against a real OpenStack: `tests/openstack/run` calls this with
//!
//! - `VCYCLE_OPENSTACK_CLOUDS`: a `clouds.yaml`;
//! - `VCYCLE_OPENSTACK_TENANCY`: a tenancy file, which names an entry of it and what may be used there;
//! - `VCYCLE_OPENSTACK_CASES`: only cases whose names contain one of these words;
//! - `VCYCLE_OPENSTACK_ROWS`: a file for the table.
//!
//! The provider speaks to the cloud through a gateway that can lose what passes: replies are lost
//! between it and services that have really done what was asked.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "real/client.rs"]
mod client;
#[path = "real/gateway.rs"]
mod gateway;
#[path = "real/tenancy.rs"]
mod tenancy;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Method;
use serde_json::{Value, json};
use vcycle_api::testing::{
    CannotInject, Fault, Faults, Forward, Limits, Skew, Subject, Template, Tenancy, Verdict,
    all_cases, try_cases,
};
use vcycle_api::{
    Act, Clock, DeploymentId, InstanceId, Listing, Market, Observe, OfferingId, SystemClock,
    Timestamp, UserData,
};
use vcycle_openstack::{
    BootVolume, CloudRef, ConfigDrive, Credential, DataVolume, Networks, OpenStack, Settings,
};

use crate::client::Client;
use crate::gateway::{Gateway, Mischief, Storm, Weather};
use crate::tenancy::{Entry, NetworkNames, TenancyFile};

/// Short, since the suite waits for it again and again; the gateway holds no request back.
const SETTLE: Duration = Duration::from_secs(6);
/// Servers on a page: small, so that a few make several pages.
const PAGE: u32 = 2;
/// Ends the machine by itself if this program dies and its guests are real.
const GUEST: &str = "#!/bin/sh\nshutdown -h +120\n";

/// A clock that can be wrong.
#[derive(Debug)]
struct SkewedClock {
    real: SystemClock,
    millis: AtomicI64,
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.real.now().as_millis() + self.millis.load(Ordering::SeqCst))
    }
    fn monotonic(&self) -> Duration {
        self.real.monotonic()
    }
}

struct RealCloud {
    file: TenancyFile,
    entry: Entry,
}

struct Place {
    file: TenancyFile,
    gateway: Arc<Gateway>,
    client: Arc<Forward<Client>>,
    clock: Arc<SystemClock>,
    skewed: Arc<SkewedClock>,
    _folder: tempfile::TempDir,
}

fn settings(file: &TenancyFile, cloud: CloudRef) -> Settings {
    let networks = match &file.networks {
        NetworkNames::Word(word) if word == "auto" => Networks::Auto,
        NetworkNames::Word(word) if word == "none" => Networks::None,
        NetworkNames::Word(word) => panic!("networks = {word:?} is neither auto nor none"),
        NetworkNames::These(these) => Networks::These(these.clone()),
    };
    let gb = |gb| BootVolume { gb, volume_type: None };
    let per = |gb_per_processor| DataVolume { gb_per_processor, volume_type: None };
    let options = &file.options;
    Settings {
        networks,
        security_groups: file.security_groups.clone(),
        boot_volume: options.boot_volume_gb.map(gb),
        data_volume: options.data_volume_gb_per_processor.map(per),
        config_drive: if options.config_drive { ConfigDrive::Yes } else { ConfigDrive::No },
        page: Some(PAGE),
        settle: SETTLE,
        deployment: Some(DeploymentId::compose(0x0e57)),
        ..Settings::new(Credential { cloud, region: file.region.clone(), interface: None })
    }
}

#[async_trait]
impl Subject for RealCloud {
    fn name(&self) -> String {
        format!("openstack, {}", self.file.name)
    }

    async fn open(&self) -> Box<dyn Tenancy> {
        let folder = tempfile::tempdir().unwrap();
        let gateway = Gateway::start(self.entry.http()).await;
        let auth_url = gateway.through(self.entry.auth_url());
        let path = self.entry.write_through(&auth_url, &self.file.cloud, folder.path());
        let cloud = CloudRef::Named { cloud: self.file.cloud.clone(), file: Some(path) };
        let skewed = Arc::new(SkewedClock { real: SystemClock::new(), millis: AtomicI64::new(0) });
        let clock = Arc::clone(&skewed) as Arc<dyn Clock>;
        let provider = OpenStack::open(settings(&self.file, cloud), clock).unwrap();
        let before = match provider.list().await.unwrap() {
            Listing::Complete(all) => all.into_iter().map(|instance| instance.id).collect(),
            Listing::Partial { seen: _, why } => panic!("the project cannot be seen: {why}"),
        };
        let line = Client { gateway: Arc::clone(&gateway), before };
        let client = Arc::new(Forward::new(Arc::new(provider), line));
        Box::new(Place {
            file: self.file.clone(),
            gateway,
            client,
            clock: Arc::new(SystemClock::new()),
            skewed,
            _folder: folder,
        })
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
        // A real cloud lives in real time: nothing else makes it pass.
        tokio::time::sleep(time).await;
    }

    fn template(&self) -> Template {
        let flavour = self.file.flavors[0].clone();
        Template {
            offering: Some(OfferingId { flavour, zone: String::new(), market: Market::OnDemand }),
            image: Some(self.file.image.clone()),
            public_key: None,
            user_data: UserData::new(GUEST),
            environment: Vec::new(),
        }
    }

    fn limits(&self) -> Limits {
        let patience = Duration::from_secs(self.file.options.patience_seconds.unwrap_or(300));
        Limits {
            machines: self.file.machines,
            page: (self.file.machines > 2 * PAGE as usize).then_some(PAGE as usize),
            patience,
            step: Duration::from_millis(500),
            case_time: patience * 5,
        }
    }

    fn faults(&self) -> Option<&dyn Faults> {
        Some(self)
    }

    fn ends_at_deadline(&self) -> Result<(), CannotInject> {
        Err(CannotInject(
            "only the guest's own timer ends it, which images of tests lack".to_owned(),
        ))
    }

    fn mutations(&self) -> Option<u64> {
        Some(self.gateway.mutations())
    }

    async fn close(&self) {
        *self.gateway.mischief.lock().unwrap() = Mischief::default();
        self.quota("normal").ok();
        let mut left = self.gateway.take_made();
        let begun = self.clock.monotonic();
        while !left.is_empty() {
            let mut still = Vec::new();
            for id in left {
                let path = format!("/servers/{id}");
                let (status, _) = self.gateway.nova(Method::DELETE, &path, None, "2.1").await;
                if status != 404 {
                    still.push(id);
                }
            }
            left = still;
            let late = self.clock.monotonic() - begun > self.limits().patience * 2;
            assert!(!late, "{} servers do not go: {left:?}", left.len());
            self.pass(self.limits().step).await;
        }
    }
}

impl Place {
    /// An administrator sets the most instances.
    fn quota(&self, instances: &str) -> Result<(), CannotInject> {
        let Some(lever) = &self.file.levers.quota else {
            return Err(CannotInject("nobody here may change the quota".to_owned()));
        };
        let done =
            Command::new("sh").args(["-c", &format!("{lever} {instances}")]).status().unwrap();
        assert!(done.success(), "{lever} {instances}: {done}");
        Ok(())
    }

    async fn fill_quota(&self) -> Result<(), CannotInject> {
        let (_, limits) = self.gateway.nova(Method::GET, "/limits", None, "2.1").await;
        let used = limits["limits"]["absolute"]["totalInstancesUsed"].as_u64().unwrap();
        self.quota(&used.to_string())
    }

    /// The id of the named thing in a collection of Nova. Its oldest version still has a proxy for images.
    async fn nova_id(&self, path: &str, kind: &str, name: &str) -> Result<String, CannotInject> {
        let (_, answer) = self.gateway.nova(Method::GET, path, None, "2.1").await;
        let named = answer[kind].as_array().into_iter().flatten().find(|item| item["name"] == name);
        let id = named.and_then(|item| item["id"].as_str());
        id.map(str::to_owned).ok_or_else(|| CannotInject(format!("no {name:?} in {kind}")))
    }

    /// Somebody else's server, made as ours are.
    async fn stranger(
        &self,
        name: &str,
        tags: BTreeMap<String, String>,
    ) -> Result<(), CannotInject> {
        let flavor = self.nova_id("/flavors?limit=1000", "flavors", &self.file.flavors[0]).await?;
        let image = self.nova_id("/images", "images", &self.file.image).await?;
        let mut server =
            json!({"name": name, "flavorRef": flavor, "metadata": tags, "networks": "none"});
        match self.file.options.boot_volume_gb {
            None => server["imageRef"] = Value::String(image),
            Some(gb) => {
                server["block_device_mapping_v2"] = json!([{"uuid": image, "source_type": "image",
                    "destination_type": "volume", "volume_size": gb, "boot_index": 0,
                    "delete_on_termination": true}]);
            }
        }
        let body = json!({ "server": server });
        let (status, answer) =
            self.gateway.nova(Method::POST, "/servers", Some(&body), "2.37").await;
        assert_eq!(status, 202, "{answer}");
        let id = answer["server"]["id"].as_str().unwrap();
        self.gateway.note_made(id);
        self.wait_built(id).await;
        Ok(())
    }

    /// Until its state does not change by itself any more.
    async fn wait_built(&self, id: &str) {
        let begun = self.clock.monotonic();
        let path = format!("/servers/{id}");
        loop {
            let (_, answer) = self.gateway.nova(Method::GET, &path, None, "2.1").await;
            if answer["server"]["status"] != "BUILD" {
                return;
            }
            let late = self.clock.monotonic() - begun > self.limits().patience;
            assert!(!late, "{id} stays in BUILD");
            self.pass(self.limits().step).await;
        }
    }

    async fn end(&self, id: &InstanceId) {
        let body = json!({"os-stop": null});
        let path = format!("/servers/{id}/action");
        let (status, answer) = self.gateway.nova(Method::POST, &path, Some(&body), "2.1").await;
        assert_eq!(status, 202, "{answer}");
    }

    async fn fail_boot(&self) -> Result<(), CannotInject> {
        let Some(broken) = &self.file.options.broken_flavor else {
            return Err(CannotInject(
                "the tenancy file names no flavour that fits on no host".into(),
            ));
        };
        let flavor = self.nova_id("/flavors?limit=1000", "flavors", broken).await?;
        self.gateway.mischief.lock().unwrap().swap_flavor = Some(flavor);
        Ok(())
    }

    fn skew(&self, skew: Skew) {
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap();
        let off = match skew {
            Skew::Ahead(time) => millis(time),
            Skew::Behind(time) => -millis(time),
        };
        self.skewed.millis.store(off, Ordering::SeqCst);
    }
}

#[async_trait]
impl Faults for Place {
    async fn inject(&self, fault: Fault) -> Result<(), CannotInject> {
        let cannot = |why: &str| Err(CannotInject(why.to_owned()));
        let set = |change: &dyn Fn(&mut Mischief)| {
            change(&mut self.gateway.mischief.lock().unwrap());
            Ok(())
        };
        let storm = |calls, weather| set(&|m| m.storm = Some(Storm { calls, weather }));
        match fault {
            Fault::LoseReplyAfterCommit => set(&|m| m.lose_create_after = true),
            Fault::LoseReplyBeforeCommit => set(&|m| m.lose_create_before = true),
            Fault::LoseDeleteReply => set(&|m| m.lose_delete = true),
            Fault::LosePage => set(&|m| m.lose_page = true),
            Fault::Throttle { calls, after } => storm(calls, Weather::Throttled(after)),
            Fault::Outage { calls } => storm(calls, Weather::Silent),
            Fault::RevokeCredentials => set(&|m| m.revoked = true),
            Fault::RestoreCredentials => set(&|m| m.revoked = false),
            Fault::SkewClient(skew) => {
                self.skew(skew);
                Ok(())
            }
            Fault::QuotaFull => self.fill_quota().await,
            Fault::EndMachine(id) => {
                self.end(&id).await;
                Ok(())
            }
            Fault::Stranger { name, tags } => self.stranger(&name, tags).await,
            Fault::FailBoot => self.fail_boot().await,
            Fault::StockOut(_) | Fault::Restock(_) => {
                cannot("Nova accepts first, and tells of it in the server: a failed boot")
            }
            Fault::Preempt(_) => cannot("Nova has no word for it: the machine is gone"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an OpenStack: tests/openstack/run"]
async fn a_real_openstack_passes_the_conformance_suite() {
    let file = TenancyFile::read();
    let entry = Entry::read(&file.cloud);
    let words = std::env::var("VCYCLE_OPENSTACK_CASES").unwrap_or_default();
    let mut cases = all_cases();
    if !words.trim().is_empty() {
        cases.retain(|case| words.split_whitespace().any(|word| case.name.contains(word)));
    }
    let subject = RealCloud { file, entry };
    let clock = SystemClock::new();
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for case in &cases {
        let begun = clock.monotonic();
        println!("... {}", case.name);
        let report = try_cases(&subject, std::slice::from_ref(case)).await;
        let (result, note) = match &report.cases[0].verdict {
            Verdict::Passed => ("ok", String::new()),
            Verdict::Skipped { why } => ("left out", why.clone()),
            Verdict::Failed { why } => {
                failed.push(format!("{}: {why}", case.name));
                ("FAILED", why.clone())
            }
        };
        println!("    {result} {note}");
        let seconds = (clock.monotonic() - begun).as_secs_f64();
        rows.push(json!([case.name.replace('_', " "), result, seconds, note]));
        // After each case, so that what was cut off shows how far it came.
        if let Some(path) = std::env::var_os("VCYCLE_OPENSTACK_ROWS") {
            std::fs::write(path, serde_json::to_string(&rows).unwrap()).unwrap();
        }
    }
    assert!(failed.is_empty(), "the provider breaks its contract:\n{}", failed.join("\n"));
}
