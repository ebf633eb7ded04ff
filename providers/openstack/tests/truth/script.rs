//! What happened between recorded exchanges, and what is deliberately not compared.

use serde_json::{Value, json};
use vcycle_openstack::testing::{Fate, Fault, NewServer};

use super::common::Capture;
use super::stage::Stage;

/// Exchanges that the fake is not asked for, with the reason.
pub(crate) fn skipped(recording: &str, number: u16) -> Option<&'static str> {
    match (recording, number) {
        ("2026.2", 62 | 80 | 81 | 92 | 95) => Some("the provider is never an admin"),
        ("2026.2", 133) => Some("nothing of ours asks for it"),
        _ => None,
    }
}

/// The recording of short pages caught its servers while they were being made.
const BEING_MADE: &[&str] = &[
    "/servers/*/status",
    "/servers/*/hostId",
    "/servers/*/OS-EXT-STS:power_state",
    "/servers/*/OS-EXT-STS:task_state",
    "/servers/*/OS-EXT-STS:vm_state",
    "/servers/*/OS-SRV-USG:launched_at",
];

/// Places that are not compared. Beside these, only ids, times, addresses and secrets are not.
pub(crate) fn left_out(name: &str) -> &'static [&'static str] {
    if name.contains("-maxlimit-page-") {
        return BEING_MADE;
    }
    match &name[..3] {
        // The text of the whole JSON schema.
        "014" => &["/error/message"],
        // What the person who made the credential wrote.
        "016" => &["/application_credentials/0/description"],
        // The range of addresses differs with the network.
        "135" => &[
            "/subnets/0/gateway_ip",
            "/subnets/0/cidr",
            "/subnets/0/allocation_pools/0/start",
            "/subnets/0/allocation_pools/0/end",
        ],
        // The fake has no rules of security groups.
        "136" => &["/security_groups/0/security_group_rules"],
        // The real service had not yet finished the delete before.
        "152" => &["/limits/absolute/totalVolumesUsed", "/limits/absolute/totalGigabytesUsed"],
        _ => &[],
    }
}

/// The last sentence of a message that repeats the request, whose keys come in another order.
fn last_sentence(body: &mut Value) {
    let message = body["badRequest"]["message"].as_str().unwrap_or_default();
    let tail = message.rsplit_once("}. ").map_or(message, |(_, tail)| tail).to_owned();
    body["badRequest"]["message"] = json!(tail);
}

fn by_name(body: &mut Value) {
    if let Some(servers) = body["servers"].as_array_mut() {
        servers.sort_by_key(|server| server["name"].as_str().unwrap_or_default().to_owned());
    }
}

/// Brings two bodies into a form in which they can be compared.
pub(crate) fn prepare(name: &str, recorded: &mut Value, fake: &mut Value) {
    match &name[..3] {
        "110" | "111" | "113" => {
            last_sentence(recorded);
            last_sentence(fake);
        }
        // Made in one second: their order is by chance.
        "126" => {
            by_name(recorded);
            by_name(fake);
        }
        "132" => {
            for body in [recorded, fake] {
                by_name(body);
            }
        }
        // The recording holds a hundred older servers of other tests.
        "083" => {
            for body in [recorded, fake] {
                body["servers"].as_array_mut().into_iter().for_each(|all| all.truncate(1));
            }
        }
        _ => {}
    }
}

fn servers(capture: &Capture) -> &[Value] {
    capture.response.body["servers"].as_array().map_or(&[], Vec::as_slice)
}

fn token(capture: &Capture) -> String {
    capture.request.headers["X-Auth-Token"].clone()
}

/// What happened before an exchange that is not itself an exchange.
pub(crate) async fn before(stage: &mut Stage, recording: &str, capture: &Capture, all: &[Capture]) {
    match recording {
        "2026.2" => before_2026_2(stage, capture, all).await,
        _ => before_limits(stage, capture, all).await,
    }
}

async fn before_2026_2(stage: &mut Stage, capture: &Capture, all: &[Capture]) {
    match capture.number() {
        // The application credential ends.
        21 => stage.pass(10),
        24 => stage.log_in("site-a", &token(capture)).await,
        // Scheduled; then running.
        57 => stage.pass(1),
        59 | 85 | 94 | 140 | 154 => stage.pass(10),
        63 => stage.log_in("site-b", &token(capture)).await,
        77 | 146 => stage.pass(2),
        87 => deleted_in_build(stage).await,
        90 => stage.pass(1),
        118 => two_big_servers(stage, capture).await,
        121 => late_quota(stage, capture),
        123 => ten_servers(stage),
        125 | 155 => stage.clear(),
        127 => {
            stage.clear();
            let pages = all.iter().filter(|page| (127..=129).contains(&page.number()));
            let listed: Vec<Value> = pages.flat_map(servers).cloned().collect();
            stage.seed("site-a", &listed);
        }
        138 => {
            // Only what the exchanges after this one name is left.
            stage.pass(1);
        }
        _ => {}
    }
}

/// A server that takes its time, with the name and metadata of the recorded one.
async fn deleted_in_build(stage: &mut Stage) {
    let metadata = [("lab.spawn_delay".to_owned(), "3".to_owned())].into();
    let name = "life-delete-in-build".to_owned();
    let new = NewServer { name, metadata, ..NewServer::default() };
    let id = stage.fake.add_server(&new);
    stage.fake.becomes(&id, Fate::Stuck);
    stage.stands_for(&id, "bc06203b-8a3e-46f2-8fa5-c7640b1a97c6");
}

async fn two_big_servers(stage: &mut Stage, capture: &Capture) {
    stage.log_in("site-b", &token(capture)).await;
    for name in ["q0", "q1"] {
        stage.fake.add_server(&NewServer {
            name: name.into(),
            project: "site-b".into(),
            flavor: "c8".into(),
            ..NewServer::default()
        });
    }
}

/// A server that was accepted and then failed for a quota.
fn late_quota(stage: &mut Stage, capture: &Capture) {
    let recorded = &capture.response.body["server"];
    let metadata = recorded["metadata"].as_object().into_iter().flatten();
    let id = stage.fake.add_server(&NewServer {
        name: "q2".into(),
        project: "site-b".into(),
        flavor: "c8".into(),
        metadata: metadata
            .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect(),
        ..NewServer::default()
    });
    stage.fake.becomes(&id, Fate::FailedBoot(Fault::late_quota()));
    stage.stands_for(&id, recorded["id"].as_str().unwrap_or_default());
}

fn ten_servers(stage: &mut Stage) {
    stage.clear();
    for number in 0..10 {
        stage.fake.add_server(&NewServer {
            name: format!("q{number}"),
            project: "site-b".into(),
            ..NewServer::default()
        });
    }
}

async fn before_limits(stage: &mut Stage, capture: &Capture, all: &[Capture]) {
    match capture.number() {
        3 => stage.pass(11),
        6 => {
            stage.log_in("site-a", &token(capture)).await;
            let pages = all.iter().filter(|page| (6..=7).contains(&page.number()));
            let listed: Vec<Value> = pages.flat_map(servers).cloned().collect();
            stage.seed("site-a", &listed);
        }
        _ => {}
    }
}
