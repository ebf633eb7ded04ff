//! The error table over every refusal that real services gave.

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use vcycle_api::Timestamp;

use super::super::http::Answer;
use super::capture;
use crate::session::Failure;

fn answer_of(captured: &Value) -> Answer {
    let response = &captured["response"];
    let mut headers = HeaderMap::new();
    for pair in response["headers"].as_array().unwrap() {
        let name: HeaderName = pair[0].as_str().unwrap().parse().unwrap();
        headers.append(name, HeaderValue::from_str(pair[1].as_str().unwrap()).unwrap());
    }
    let body = match &response["body"] {
        Value::String(text) => text.clone().into_bytes(),
        json => json.to_string().into_bytes(),
    };
    let status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
    Answer { status, headers, body }
}

fn failure(answer: &Answer) -> Failure {
    Failure::of_answer("x", answer, Timestamp::from_secs(0))
}

/// The words of the three kinds of call, without repetition when all are the same.
fn words(failure: &Failure) -> String {
    let read = failure.clone().of_read().kind.word();
    let create = failure.clone().of_create().kind.word();
    let delete = failure.clone().of_delete().kind.word();
    if read == create && create == delete {
        return read.to_owned();
    }
    format!("{read} {create} {delete}")
}

const AUTH: &str = "auth-failed";
const SPEC: &str = "invalid-spec";
const QUOTA: &str = "quota-exceeded";
/// As a read, a create, a delete.
const GONE: &str = "not-found invalid-spec not-found";
const POLICY: &str = "auth-failed invalid-spec auth-failed";
const OPEN: &str = "unavailable ambiguous unavailable";

const CAPTURED: &[(&str, &str)] = &[
    ("2026.2-limits/003-servers-token-expired", AUTH),
    ("2026.2-limits/004-identity-token-expired", AUTH),
    ("2026.2-limits/005-create-token-expired", AUTH),
    ("2026.2/006-auth-password-wrong", AUTH),
    ("2026.2/007-auth-user-unknown", AUTH),
    ("2026.2/008-auth-project-unknown", AUTH),
    ("2026.2/009-auth-project-of-others", AUTH),
    ("2026.2/010-auth-appcred-wrong-secret", AUTH),
    ("2026.2/011-auth-appcred-unknown", AUTH),
    ("2026.2/012-auth-appcred-with-scope", AUTH),
    ("2026.2/013-auth-malformed-json", AUTH),
    ("2026.2/014-auth-no-identity", AUTH),
    ("2026.2/017-appcred-create-by-restricted-appcred", POLICY),
    ("2026.2/021-servers-list-after-appcred-expiry", AUTH),
    ("2026.2/022-auth-appcred-expired", AUTH),
    ("2026.2/025-servers-token-revoked", AUTH),
    ("2026.2/026-identity-token-revoked", AUTH),
    ("2026.2/029-servers-no-token", AUTH),
    ("2026.2/030-servers-token-invalid", AUTH),
    ("2026.2/034-flavor-unknown", GONE),
    ("2026.2/041-image-unknown", GONE),
    ("2026.2/044-microversion-too-new", SPEC),
    ("2026.2/045-servers-all-tenants-as-member", POLICY),
    ("2026.2/046-hypervisors-as-member", POLICY),
    // A path that Nova has not proves nothing of any server.
    ("2026.2/047-compute-unknown-path", OPEN),
    ("2026.2/048-compute-method-not-allowed", OPEN),
    ("2026.2/049-servers-limit-not-a-number", SPEC),
    ("2026.2/050-servers-marker-unknown", SPEC),
    ("2026.2/051-servers-changes-since-bad", SPEC),
    ("2026.2/052-server-unknown", GONE),
    ("2026.2/063-server-of-other-project", GONE),
    ("2026.2/067-start-when-active", OPEN),
    ("2026.2/072-stop-when-shutoff", OPEN),
    ("2026.2/077-server-deleted-404", GONE),
    ("2026.2/078-server-delete-again", GONE),
    ("2026.2/079-stop-deleted", GONE),
    ("2026.2/080-server-DELETED-as-admin", GONE),
    ("2026.2/096-stop-in-error", OPEN),
    ("2026.2/101-create-flavor-unknown", SPEC),
    ("2026.2/102-create-image-unknown", SPEC),
    ("2026.2/103-create-image-not-uuid", SPEC),
    ("2026.2/104-create-keypair-unknown", SPEC),
    ("2026.2/105-create-az-unknown", SPEC),
    ("2026.2/107-create-user-data-too-big", SPEC),
    ("2026.2/108-create-metadata-too-many", POLICY),
    ("2026.2/109-create-metadata-value-too-long", SPEC),
    ("2026.2/110-create-tags-on-old-microversion", SPEC),
    ("2026.2/111-create-unknown-property", SPEC),
    ("2026.2/112-create-empty-name", SPEC),
    ("2026.2/113-create-no-networks-new-microversion", SPEC),
    ("2026.2/114-create-secgroup-unknown", SPEC),
    ("2026.2/115-create-malformed-json", SPEC),
    ("2026.2/116-create-no-server-key", SPEC),
    ("2026.2/117-create-network-unknown", SPEC),
    ("2026.2/149-volume-delete-in-use", SPEC),
];

const QUOTAS: [&str; 4] = [
    "2026.2/118-create-quota-cores-exceeded",
    "2026.2/120-create-quota-race",
    "2026.2/123-create-quota-instances-exceeded",
    "2026.2/124-create-multi-quota-exceeded",
];

fn table() -> BTreeMap<&'static str, &'static str> {
    CAPTURED.iter().copied().chain(QUOTAS.map(|name| (name, QUOTA))).collect()
}

/// Every captured refusal, by name.
fn refusals() -> Vec<(String, Value)> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures");
    let mut all = Vec::new();
    for folder in ["2026.2", "2026.2-limits"] {
        for file in std::fs::read_dir(format!("{root}/{folder}")).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            if let Some(stem) = name.strip_suffix(".json") {
                let name = format!("{folder}/{stem}");
                let captured = capture(&name);
                if captured["response"]["status"].as_u64() >= Some(400) {
                    all.push((name, captured));
                }
            }
        }
    }
    all
}

#[test]
fn every_refusal_that_real_services_gave_means_what_the_table_says() {
    let found: BTreeMap<String, String> = refusals()
        .into_iter()
        .map(|(name, captured)| {
            let mut failure = failure(&answer_of(&captured));
            if name.contains("-auth-") {
                failure = failure.of_login("x", "a credential");
            }
            (name, words(&failure))
        })
        .collect();
    let expected: BTreeMap<String, String> =
        table().into_iter().map(|(name, words)| (name.to_owned(), words.to_owned())).collect();
    assert_eq!(found, expected);
}

#[test]
fn no_message_quotes_the_user_data_that_nova_quotes() {
    let mut quoted = 0;
    for (name, captured) in refusals() {
        let user_data = captured["request"]["body"]["server"]["user_data"].as_str();
        let answer = answer_of(&captured);
        let message = failure(&answer).message;
        assert!(message.chars().count() <= 410, "{name}: {message}");
        if let Some(start) = user_data.and_then(|text| text.get(..40)) {
            quoted += usize::from(String::from_utf8_lossy(&answer.body).contains(start));
            assert!(!message.contains(&start[..20]), "{name}: {message}");
        }
    }
    assert!(quoted >= 3, "the captures have {quoted} such answers");
}

#[test]
fn a_quoted_request_leaves_the_cause_to_be_read() {
    for (name, cause) in [
        ("2026.2/111-create-unknown-property", "Additional properties are not allowed"),
        ("2026.2/113-create-no-networks-new-microversion", "'networks' is a required property"),
    ] {
        let message = failure(&answer_of(&capture(name))).message;
        assert!(message.contains(cause), "{name}: {message}");
    }
}

/// Status, headers, body, words.
type Other = (u16, &'static [(&'static str, &'static str)], Value, &'static str);

/// Refusals that the captured services could not be made to give.
/// The bodies are those of CLOUDS.md section 7 and of the services' sources.
fn others() -> Vec<Other> {
    let nova = |word: &str, message: &str| json!({word: {"code": 0, "message": message}});
    let neutron = |kind: &str, message: &str| json!({"NeutronError": {"type": kind, "message": message, "detail": ""}});
    let several = "More than one possible network found. Specify network ID(s) to select which one(s) to connect to.";
    let volumes = "Maximum number of volumes allowed (10) exceeded for quota 'volumes'.";
    vec![
        (409, &[], nova("conflictingRequest", several), "unavailable invalid-spec unavailable"),
        (409, &[], nova("conflictingRequest", "Instance a already exists."), OPEN),
        (409, &[], neutron("OverQuota", "Quota exceeded for resources: ['port']."), QUOTA),
        (403, &[], nova("forbidden", "Maximum number of ports exceeded"), QUOTA),
        (
            403,
            &[],
            nova(
                "forbidden",
                "Policy doesn't allow os_compute_api:servers:create to be performed.",
            ),
            AUTH,
        ),
        (
            403,
            &[],
            nova(
                "forbidden",
                "Policy doesn't allow os_compute_api:os-quota-sets:show to be performed.",
            ),
            POLICY,
        ),
        (413, &[("retry-after", "0")], nova("overLimit", volumes), QUOTA),
        (413, &[], nova("overLimit", "This request was rate-limited."), "throttled"),
        (413, &[("retry-after", "9")], json!("too fast"), "throttled"),
        (413, &[], json!("Request Entity Too Large"), SPEC),
        (429, &[], json!("slow down"), "throttled"),
        (404, &[], json!("<html><h1>404</h1></html>"), OPEN),
        (404, &[], neutron("PortNotFound", "Port p could not be found."), GONE),
        (401, &[], json!("from inside of Nova"), OPEN),
        (408, &[], json!("time"), OPEN),
        (500, &[], nova("computeFault", "Unexpected API Error."), OPEN),
        (502, &[], json!("bad gateway"), OPEN),
        (503, &[], json!("no server"), OPEN),
        (503, &[("retry-after", "5")], json!("later"), "throttled ambiguous unavailable"),
        (504, &[], json!("gateway time-out"), OPEN),
    ]
}

#[test]
fn refusals_that_were_not_captured_mean_what_the_table_says() {
    for (status, headers, body, expected) in others() {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        let body = match &body {
            Value::String(text) => text.clone(),
            json => json.to_string(),
        };
        let answer = Answer { status, headers: map, body: body.clone().into_bytes() };
        assert_eq!(words(&failure(&answer)), expected, "{status} {body}");
    }
}
