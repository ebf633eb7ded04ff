//! The conformance suite against moto, an EC2 that others wrote: `tests/aws/run` calls this with
//!
//! - `VCYCLE_MOTO`: a file with its address and the keys of a user, which it checks;
//! - `VCYCLE_AWS_CASES`: only cases whose names contain one of these words;
//! - `VCYCLE_AWS_ROWS`: a file for the table.
//!
//! moto proves what we send and how we read it: signatures, parameters, XML, filters, pages. It proves nothing of safety:
//! what it does not do as EC2 does is in [`MOTO_CANNOT`], and shown on our own fake.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_ec2::config::Credentials as Keys;
use aws_sdk_ec2::types::{InstanceType, ResourceType, Tag, TagSpecification};
use serde::Deserialize;
use serde_json::json;
use vcycle_api::testing::{
    CannotInject, Fault, Faults, Limits, Subject, Template, Tenancy, Verdict, all_cases, try_cases,
};
use vcycle_api::{Act, Clock, InstanceId, Market, OfferingId, SystemClock, UserData};
use vcycle_aws::{Aws, Encryption, RootVolume, Settings};

/// Cases that stock moto cannot pass, and why. Measured on moto 5.2.5: each fails without its line here.
const MOTO_CANNOT: &[(&str, &str)] = &[
    (
        "the_same_request_again_makes_no_second_machine",
        "moto makes another instance for a client token that it knows",
    ),
    (
        "the_same_request_at_the_same_time_makes_no_second_machine",
        "moto makes another instance for a client token that it knows",
    ),
    (
        "a_deleted_machine_is_never_made_again_by_its_intent",
        "moto makes another instance for a client token that it knows",
    ),
    // Measured before the provider looked at the state before the call alone: to be measured again.
    (
        "a_delete_may_be_repeated",
        "moto says of a terminated instance that it goes from terminated to shutting-down",
    ),
];

/// Where moto is, and who we are there.
#[derive(Debug, Clone, Deserialize)]
struct Moto {
    endpoint: String,
    region: String,
    key: String,
    secret: String,
}

impl Moto {
    fn client(&self) -> aws_sdk_ec2::Client {
        let keys = Keys::new(&self.key, &self.secret, None, None, "moto");
        let config = aws_sdk_ec2::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .endpoint_url(&self.endpoint)
            .credentials_provider(keys);
        aws_sdk_ec2::Client::from_conf(config.build())
    }
}

struct Place {
    provider: Arc<Aws>,
    client: aws_sdk_ec2::Client,
    clock: Arc<SystemClock>,
    image: String,
    _folder: tempfile::TempDir,
}

#[async_trait]
impl Subject for Moto {
    fn name(&self) -> String {
        "aws on moto".to_owned()
    }

    async fn open(&self) -> Box<dyn Tenancy> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials");
        let (key, secret) = (&self.key, &self.secret);
        let text =
            format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n");
        std::fs::write(&file, text).unwrap();
        let mut settings = Settings::new(&self.region, vec!["m5.large".to_owned()]);
        settings.endpoint = Some(self.endpoint.clone());
        settings.credentials.files.credentials = Some(file);
        settings.markets = vec![Market::OnDemand, Market::Preemptible];
        // moto wants a size of every volume that a launch names, and its images keep their root volume.
        settings.root_volume = Some(RootVolume {
            gb: Some(8),
            gb_per_processor: None,
            volume_type: None,
            encrypted: Encryption::ByImage,
            device: None,
        });
        // Short, since the suite waits for it again and again; moto shows everything at once.
        settings.settle = Duration::from_secs(2);
        let clock = Arc::new(SystemClock::new());
        let provider = Arc::new(Aws::open(settings, clock.clone()).unwrap());
        let client = self.client();
        let images = client.describe_images().owners("amazon").send().await.unwrap();
        let mut images: Vec<&str> = images
            .images()
            .iter()
            .filter(|image| image.architecture().is_some_and(|one| one.as_str() == "x86_64"))
            .filter(|image| image.platform().is_none())
            .filter_map(|image| image.image_id())
            .collect();
        images.sort_unstable();
        let image = (*images.first().expect("moto has images")).to_owned();
        Box::new(Place { provider, client, clock, image, _folder: folder })
    }
}

#[async_trait]
impl Tenancy for Place {
    fn provider(&self) -> Arc<dyn Act> {
        Arc::clone(&self.provider) as Arc<dyn Act>
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }

    async fn pass(&self, time: Duration) {
        // moto lives in real time: nothing else makes it pass.
        tokio::time::sleep(time).await;
    }

    fn template(&self) -> Template {
        let (flavour, zone) = ("m5.large".to_owned(), "eu-west-2b".to_owned());
        Template {
            offering: Some(OfferingId { flavour, zone, market: Market::OnDemand }),
            image: Some(self.image.clone()),
            public_key: None,
            user_data: UserData::new("#!/bin/sh\nexec sleep 3600\n"),
            environment: Vec::new(),
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            // Each further instance makes moto slower, quadratically in a listing.
            machines: 60,
            page: None,
            patience: Duration::from_secs(20),
            step: Duration::from_millis(300),
            case_time: Duration::from_secs(180),
        }
    }

    fn unknown_id(&self) -> InstanceId {
        InstanceId::parse("i-0123456789abcdef0").unwrap()
    }

    fn faults(&self) -> Option<&dyn Faults> {
        Some(self)
    }

    fn ends_at_deadline(&self) -> Result<(), CannotInject> {
        Err(CannotInject("only the guest's own timer ends it, and moto runs no guests".to_owned()))
    }

    async fn close(&self) {
        let answer = self.client.describe_instances().send().await.unwrap();
        let all = answer.reservations().iter().flat_map(|one| one.instances());
        let ids: Vec<String> = all.filter_map(|one| one.instance_id().map(str::to_owned)).collect();
        for some in ids.chunks(100) {
            self.client
                .terminate_instances()
                .set_instance_ids(Some(some.to_vec()))
                .send()
                .await
                .unwrap();
        }
    }
}

impl Place {
    async fn stranger(&self, name: String, mut tags: BTreeMap<String, String>) {
        tags.insert("Name".to_owned(), name);
        let tags =
            tags.into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
        let specification = TagSpecification::builder()
            .resource_type(ResourceType::Instance)
            .set_tags(Some(tags.collect()));
        self.client
            .run_instances()
            .image_id(&self.image)
            .instance_type(InstanceType::M5Large)
            .min_count(1)
            .max_count(1)
            .tag_specifications(specification.build())
            .send()
            .await
            .unwrap();
    }
}

#[async_trait]
impl Faults for Place {
    async fn inject(&self, fault: Fault) -> Result<(), CannotInject> {
        match fault {
            Fault::Stranger { name, tags } => {
                self.stranger(name, tags).await;
                Ok(())
            }
            Fault::LoseReplyAfterCommit
            | Fault::LoseReplyBeforeCommit
            | Fault::LoseDeleteReply
            | Fault::LosePage
            | Fault::Throttle { .. }
            | Fault::Outage { .. }
            | Fault::StockOut(_)
            | Fault::Restock(_)
            | Fault::QuotaFull
            | Fault::Preempt(_)
            | Fault::EndMachine(_)
            | Fault::RevokeCredentials
            | Fault::RestoreCredentials
            | Fault::SkewClient(_)
            | Fault::FailBoot => {
                Err(CannotInject("moto has no such lever; shown on our own fake".to_owned()))
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs moto: tests/aws/run"]
async fn moto_passes_the_conformance_suite() {
    let file = std::env::var_os("VCYCLE_MOTO").expect("VCYCLE_MOTO names a file");
    let moto: Moto = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let words = std::env::var("VCYCLE_AWS_CASES").unwrap_or_default();
    let mut cases = all_cases();
    if !words.trim().is_empty() {
        cases.retain(|case| words.split_whitespace().any(|word| case.name.contains(word)));
    }
    let clock = SystemClock::new();
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for case in &cases {
        let begun = clock.monotonic();
        let known = MOTO_CANNOT.iter().find(|(name, _)| *name == case.name);
        let (result, note) = match known {
            Some((_, why)) => ("left out", (*why).to_owned()),
            None => {
                let report = try_cases(&moto, std::slice::from_ref(case)).await;
                match &report.cases[0].verdict {
                    Verdict::Passed => ("ok", String::new()),
                    Verdict::Skipped { why } => ("left out", why.clone()),
                    Verdict::Failed { why } => {
                        failed.push(format!("{}: {why}", case.name));
                        ("FAILED", why.clone())
                    }
                }
            }
        };
        println!("{}: {result} {note}", case.name);
        let seconds = (clock.monotonic() - begun).as_secs_f64();
        rows.push(json!([case.name.replace('_', " "), result, seconds, note]));
        // After each case, so that what was cut off shows how far it came.
        if let Some(path) = std::env::var_os("VCYCLE_AWS_ROWS") {
            std::fs::write(path, serde_json::to_string(&rows).unwrap()).unwrap();
        }
    }
    assert!(failed.is_empty(), "the provider breaks its contract:\n{}", failed.join("\n"));
}
