//! The in-process fake is held to recorded answers of real services: each recorded request is put to
//! it, and its answer must have the same status, the same headers that matter, the same keys and types,
//! and the same values, where they are not ids, times or addresses.
//!
//! `cargo test -p vcycle-openstack --test fake_is_true -- --nocapture` prints what was compared.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "truth/compare.rs"]
mod compare;
#[path = "truth/script.rs"]
mod script;
#[path = "truth/stage.rs"]
mod stage;

use std::time::Duration;

use common::{Capture, Response, captures};
use compare::{Findings, normal};
use stage::Stage;
use vcycle_api::Timestamp;
use vcycle_openstack::testing::{Site, SiteCredential};

/// Headers whose values are compared.
const VALUES: [&str; 5] = [
    "Content-Type",
    "Location",
    "WWW-Authenticate",
    "OpenStack-API-Version",
    "X-OpenStack-Nova-API-Version",
];

/// Headers that must be there when they were recorded.
const PRESENT: [&str; 3] = ["X-Subject-Token", "x-openstack-request-id", "x-compute-request-id"];

/// When the recording began: 2026-11-21T01:34:44Z.
const BEGIN: Timestamp = Timestamp::from_secs(1_795_224_884);

fn compared(stage: &Stage, capture: &Capture, fake: &Response) -> Findings {
    let mut findings = Findings::default();
    let recorded = &capture.response;
    if recorded.status != fake.status {
        let (one, other) = (recorded.status, fake.status);
        findings.differences.push(format!("status {one} recorded, {other} from the fake"));
    }
    let bodiless = recorded.body == "";
    for name in VALUES.into_iter().filter(|name| !(bodiless && *name == "Content-Type")) {
        let (one, other) = stage.normal_headers(name, capture, fake);
        findings.compared += 1;
        if one != other {
            findings.differences.push(format!("{name}: {one:?} recorded, {other:?} from the fake"));
        }
    }
    for name in PRESENT.into_iter().filter(|name| recorded.header(name).is_some()) {
        findings.compared += 1;
        if fake.header(name).is_none() {
            findings.differences.push(format!("{name} is missing"));
        }
    }
    let (mut one, mut other) =
        (normal(&recorded.body, &stage.recorded_hosts()), normal(&fake.body, &stage.fake_hosts()));
    script::prepare(&capture.name, &mut one, &mut other);
    findings.compare("", &one, &other, script::left_out(&capture.name));
    findings
}

/// Plays a recording on a stage; the names of what was left out, and all differences.
async fn play(stage: &mut Stage, recording: &str) -> (Vec<String>, Vec<String>) {
    let (mut skipped, mut wrong) = (Vec::new(), Vec::new());
    let all = captures(recording);
    println!("{:44} {:>6} {:>8}", recording, "status", "compared");
    for capture in &all {
        if let Some(why) = script::skipped(recording, capture.number()) {
            println!("{:44} not compared: {why}", capture.name);
            skipped.push(capture.name.clone());
            continue;
        }
        script::before(stage, recording, capture, &all).await;
        let fake = stage.ask(capture).await;
        let findings = compared(stage, capture, &fake);
        println!("{:44} {:>6} {:>8}", capture.name, fake.status, findings.compared);
        let name = &capture.name;
        wrong.extend(findings.differences.iter().map(|difference| format!("{name}: {difference}")));
    }
    (skipped, wrong)
}

#[tokio::test]
async fn the_fake_answers_recorded_requests_as_the_real_services_did() {
    let all = captures("2026.2");
    let mut site = Site::small();
    let secret = &all[3].request.body["auth"]["identity"]["application_credential"]["secret"];
    site.tenants[0].credentials[0].secret = secret.as_str().unwrap().to_owned();
    site.tenants[0].quota.volumes = 10;
    let mut stage = Stage::new(site, BEGIN).await;
    let (skipped, wrong) = play(&mut stage, "2026.2").await;
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    let known = [
        "062-server-ACTIVE-as-admin-mv290",
        "080-server-DELETED-as-admin",
        "081-servers-DELETED-as-admin",
        "092-server-ERROR-novalidhost-as-admin",
        "095-server-ERROR-spawn-as-admin",
        "133-tenant-usage",
    ];
    assert_eq!(skipped, known);
}

#[tokio::test]
async fn the_fake_ends_tokens_and_cuts_pages_as_the_real_services_did() {
    let all = captures("2026.2-limits");
    let given = &all[0].request.body["auth"]["identity"]["application_credential"];
    let text = |key: &str| given[key].as_str().unwrap().to_owned();
    let mut site = Site::small();
    site.tenants[0].credentials.push(SiteCredential {
        id: text("id"),
        name: "vms".into(),
        secret: text("secret"),
        expires: None,
    });
    site.token_life = Duration::from_secs(10);
    site.max_limit = 100;
    let mut stage = Stage::new(site, BEGIN).await;
    let (skipped, wrong) = play(&mut stage, "2026.2-limits").await;
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    assert!(skipped.is_empty(), "{skipped:?}");
}
