//! Answers that others recorded from the real API go through the provider. They are not in this repository:
//! `tests/gcp/run` names the folder of the package that ships them.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::path::PathBuf;

use common::Place;
use serde_json::Value;
use vcycle_api::{InstanceState, Listing, Observe};
use vcycle_gcp::testing::{On, Refusal, Site, Trouble};

/// The region of most recordings.
const REGION: &str = "us-central1";

fn folder() -> PathBuf {
    PathBuf::from(std::env::var("VCYCLE_GCE_RECORDINGS").expect("tests/gcp/run names the folder"))
}

fn recording(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

/// An answer as it was recorded.
fn answer(body: &str) -> Trouble {
    let content_type = "application/json; charset=UTF-8".to_owned();
    Trouble::Refuse(Refusal { status: 200, content_type, body: body.to_owned() })
}

async fn place() -> Place {
    let site = Site {
        region: REGION.to_owned(),
        zones: ["a", "b", "f"].map(|zone| format!("{REGION}-{zone}")).into(),
        ..Site::small()
    };
    Place::with(site, |_| {}).await
}

fn method(id: &str) -> On {
    On::Method(id.to_owned())
}

/// Names of the machines of a region in an aggregated list.
fn names(list: &Value) -> Vec<String> {
    let scopes = list["items"].as_object().unwrap().values();
    let machines = scopes.flat_map(|scope| scope["instances"].as_array().into_iter().flatten());
    let own = machines.filter(|one| one["zone"].as_str().unwrap().contains(REGION));
    let mut names: Vec<String> = own.map(|one| one["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
#[ignore = "needs recordings, which tests/gcp/run has"]
async fn a_recorded_list_of_all_zones_is_read_to_the_last_machine() {
    let (place, body) = (place().await, recording("aggregated_instances.json"));
    place.fake.befall(method("compute.instances.aggregatedList"), 1, answer(&body));
    let Listing::Complete(all) = place.provider.list().await.unwrap() else { panic!("partial") };
    let mut found: Vec<String> = all.iter().map(|machine| machine.name.clone()).collect();
    found.sort();
    let wanted = names(&serde_json::from_str(&body).unwrap());
    assert!(!wanted.is_empty());
    assert_eq!(found, wanted);
    for machine in &all {
        assert!(machine.created.is_some() && machine.offering.is_some(), "{machine:?}");
    }
    println!("replayed a list of {} machines", all.len());
}

#[tokio::test]
#[ignore = "needs recordings, which tests/gcp/run has"]
async fn every_recorded_machine_is_read() {
    let place = place().await;
    let mut read = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let file = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let Ok(value) = serde_json::from_str::<Value>(&text) else { continue };
        if value["kind"] != "compute#instance" {
            continue;
        }
        let (name, zone) = (value["name"].as_str().unwrap(), value["zone"].as_str().unwrap());
        let zone = zone.rsplit('/').next().unwrap();
        let id = format!("{}/{zone}/{name}", place.settings.project);
        place.fake.befall(method("compute.instances.get"), 1, answer(&text));
        let id = vcycle_api::InstanceId::parse(&id).unwrap();
        let machine = place.provider.get(&id).await.unwrap_or_else(|e| panic!("{file:?}: {e}"));
        place.fake.calm();
        let wanted = match value["status"].as_str().unwrap() {
            "RUNNING" => InstanceState::Running,
            "TERMINATED" => InstanceState::Stopped,
            "STOPPING" => InstanceState::Deleting,
            "PROVISIONING" | "STAGING" => InstanceState::Pending,
            other => InstanceState::Unknown { word: other.to_owned() },
        };
        assert_eq!((machine.name.as_str(), &machine.state), (name, &wanted), "{file:?}");
        read += 1;
    }
    assert!(read > 3, "{read} machines are recorded");
    println!("replayed {read} machines");
}

#[tokio::test]
#[ignore = "needs recordings, which tests/gcp/run has"]
async fn recorded_quotas_are_read() {
    let (place, body) = (place().await, recording("regions_us-central1.json"));
    place.fake.befall(method("compute.regions.get"), 1, answer(&body));
    let quota = place.provider.quota().await.unwrap();
    assert!(quota.processors.is_some(), "{quota:?}");
    println!("replayed the quotas of a region");
}

#[tokio::test]
#[ignore = "needs recordings, which tests/gcp/run has"]
async fn a_recorded_operation_that_failed_refuses_the_create() {
    let place = place().await;
    let request = place.request(1).await;
    // The machine of this operation exists already, says Google inside it.
    let mut wanted = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let file = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let Ok(value) = serde_json::from_str::<Value>(&text) else { continue };
        let is_failed = value["kind"] == "compute#operation" && value["error"].is_object();
        if !is_failed || value["status"] != "DONE" {
            continue;
        }
        place.fake.befall(On::Insert, 1, answer(&text));
        let error = vcycle_api::Act::create(&*place.provider, &request).await;
        place.fake.calm();
        let error = error.expect_err("a failed operation makes no machine");
        let message = value["error"]["errors"][0]["message"].as_str().unwrap_or_default();
        assert!(error.message.contains(message), "{file:?}: {error}");
        wanted += 1;
    }
    println!("replayed {wanted} failed operations");
}
