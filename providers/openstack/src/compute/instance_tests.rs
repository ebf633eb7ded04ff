//! Servers as real services showed them, and as they are said to show themselves where none of ours
//! could be brought to it.

use serde_json::{Value, json};
use vcycle_api::{Generation, IntentToken, LateRefusal, MachineName, MachinetypeName, Market};
use vcycle_api::{SpaceName, Tags};

use super::*;
use crate::compute::captured;
use crate::compute::flavors::Flavor;
use crate::{CloudRef, Credential, Networks, Preemptible};

fn settings() -> Settings {
    Settings::new(Credential { cloud: CloudRef::Environment, region: None, interface: None })
}

fn flavors() -> FlavorTable {
    let flavors: Vec<Flavor> =
        serde_json::from_value(captured::body("032-flavors-detail")["flavors"].take()).unwrap();
    FlavorTable::new(flavors)
}

fn seen_with(server: Value, settings: &Settings, soft_deleted: SoftDeleted) -> Told {
    let server: Server = serde_json::from_value(server).unwrap();
    let ours = tags().deployment;
    let (flavors, deployment) = (flavors(), Some(&ours));
    told(&server, Lens { flavors: &flavors, settings, deployment, soft_deleted })
}

fn seen(server: Value) -> Instance {
    match seen_with(server, &settings(), SoftDeleted::CanBeForced) {
        Told::Whole(instance) => instance,
        other => panic!("not told as a whole: {other:?}"),
    }
}

fn recorded(name: &str) -> Value {
    captured::body(name)["server"].take()
}

fn tags() -> Tags {
    let machinetype = MachinetypeName::parse("dune").unwrap();
    Tags {
        deployment: DeploymentId::compose(7),
        space: SpaceName::parse("a.example").unwrap(),
        machine: MachineName::compose(&machinetype, 3),
        machinetype,
        intent: IntentToken::compose(9),
        generation: Generation(4),
        deadline: Timestamp::from_secs(1_767_200_000),
    }
}

/// A server with these fields beside the usual ones.
fn server(fields: &Value) -> Value {
    let mut server = recorded("061-server-ACTIVE-mv290");
    for (key, value) in fields.as_object().unwrap() {
        server[key] = value.clone();
    }
    server
}

fn state(fields: &Value) -> InstanceState {
    seen(server(fields)).state
}

fn at(text: &str) -> Option<Timestamp> {
    let time = time(Some(text));
    assert!(time.is_some(), "{text}");
    time
}

#[test]
fn a_running_server_is_told_alike_in_old_and_new_versions() {
    let new = seen(recorded("061-server-ACTIVE-mv290"));
    let old = seen(recorded("059-server-ACTIVE"));
    assert_eq!(new, old);
    assert_eq!(new.state, InstanceState::Running);
    assert_eq!((new.processors, new.memory), (Some(Processors(1)), Some(Megabytes(2048))));
    let offering =
        OfferingId { flavour: "lab.c1".to_owned(), zone: String::new(), market: Market::OnDemand };
    assert_eq!(new.offering, Some(offering));
    assert_eq!(new.created, at("2026-11-21T01:34:55Z"));
    assert_eq!(new.started, at("2026-11-21T01:35:00Z"));
    assert_eq!(new.ended, None);
    assert_eq!((new.name.as_str(), new.identity), ("life-slow", Identity::Foreign));
}

#[test]
fn a_server_has_the_state_that_was_recorded() {
    let states = [
        ("056-server-BUILD-first", InstanceState::Pending),
        ("057-server-BUILD-spawning", InstanceState::Pending),
        ("058-server-BUILD-spawning-mv290", InstanceState::Pending),
        ("060-server-ACTIVE-mv237", InstanceState::Running),
        ("070-server-SHUTOFF", InstanceState::Stopped),
        ("071-server-SHUTOFF-mv290", InstanceState::Stopped),
        ("085-server-SHUTOFF-by-guest", InstanceState::Stopped),
        ("076-server-just-after-delete", InstanceState::Deleting),
        ("088-server-deleting-in-build", InstanceState::Deleting),
    ];
    for (name, wanted) in states {
        assert_eq!(seen(recorded(name)).state, wanted, "{name}");
    }
}

#[test]
fn a_power_off_ends_a_server_at_its_last_change() {
    let off = seen(recorded("085-server-SHUTOFF-by-guest"));
    assert!(off.ended.is_some() && off.ended >= off.started, "{:?}", off.ended);
}

#[test]
fn a_failure_tells_its_fault_and_whether_it_was_ever_on_a_host() {
    let failed = |name: &str| match seen(recorded(name)) {
        Instance { state: InstanceState::Failed { refusal, fault }, ended: Some(_), .. } => {
            (refusal, fault)
        }
        other => panic!("{name}: {other:?}"),
    };
    let nohost = "No valid host was found. (500), never on a host".to_owned();
    let no_room = Some(LateRefusal::InsufficientCapacity);
    assert_eq!(failed("090-server-ERROR-novalidhost"), (no_room, nohost.clone()));
    assert_eq!(failed("091-server-ERROR-novalidhost-mv290"), (no_room, nohost));
    let quota = "Quota exceeded for cores: Requested 8, but already used 16 of 16 cores (413), never on a host";
    let quota = (Some(LateRefusal::QuotaExceeded), quota.to_owned());
    assert_eq!(failed("121-server-ERROR-quota-race"), quota);
    let (refusal, spawn) = failed("094-server-ERROR-spawn");
    assert!(spawn.contains("(500)") && refusal.is_none(), "{spawn}");
    let none = state(&json!({ "status": "ERROR", "fault": null }));
    let fault = "the cloud gave no fault".to_owned();
    assert_eq!(none, InstanceState::Failed { refusal: None, fault });
}

#[test]
fn a_tombstone_is_gone_since_its_end() {
    let all = captured::body("083-servers-changes-since")["servers"].take();
    let all: Vec<Value> = serde_json::from_value(all).unwrap();
    let gone = seen(all[0].clone());
    assert_eq!(gone.state, InstanceState::Gone);
    assert_eq!(gone.ended, at("2026-11-21T01:35:02Z"));
}

#[test]
fn what_an_operator_does_by_hand_is_shown_by_its_word_and_counts() {
    for word in [
        "SHELVED",
        "SHELVED_OFFLOADED",
        "PAUSED",
        "SUSPENDED",
        "RESCUE",
        "VERIFY_RESIZE",
        "A_WORD_OF_NEXT_YEAR",
    ] {
        let shown = seen(server(&json!({ "status": word })));
        assert_eq!(shown.state, InstanceState::Unknown { word: word.to_owned() });
        assert_eq!(shown.processors, Some(Processors(1)), "{word} does not count");
    }
    for word in ["REBOOT", "HARD_REBOOT", "PASSWORD", "MIGRATING"] {
        assert_eq!(state(&json!({ "status": word })), InstanceState::Running, "{word}");
    }
}

#[test]
fn a_delete_under_way_is_told_whatever_the_status_says() {
    for status in ["ACTIVE", "BUILD", "ERROR", "SHUTOFF", "PAUSED"] {
        let fields = json!({ "status": status, "OS-EXT-STS:task_state": "deleting" });
        assert_eq!(state(&fields), InstanceState::Deleting, "{status}");
    }
}

#[test]
fn a_server_that_the_site_keeps_is_being_deleted_as_long_as_we_may_force_it() {
    let state = |metadata: Value, soft| {
        let kept = server(&json!({ "status": "SOFT_DELETED", "metadata": metadata }));
        match seen_with(kept, &settings(), soft) {
            Told::Whole(instance) => instance.state,
            other => panic!("{other:?}"),
        }
    };
    let ours = || json!(tags().to_map());
    assert_eq!(state(ours(), SoftDeleted::CanBeForced), InstanceState::Deleting);
    assert_eq!(state(ours(), SoftDeleted::IsFinal), InstanceState::Gone);
    assert_eq!(state(json!({}), SoftDeleted::CanBeForced), InstanceState::Gone);
    let other = Tags { deployment: DeploymentId::compose(8), ..tags() };
    assert_eq!(state(json!(other.to_map()), SoftDeleted::CanBeForced), InstanceState::Gone);
}

#[test]
fn a_server_of_a_cell_that_is_down_is_dark_or_dim_and_never_gone() {
    // All that Nova tells of it from microversion 2.69 (API guide, "Down cells").
    let dark = json!({ "id": "aba07ad8-9080-4ca8-b8f1-f9d0b40ea332", "status": "UNKNOWN",
        "created": "2026-11-21T01:34:55Z", "tenant_id": "b75d58f2d72a492682abe0b70b498e57", "links": [] });
    assert_eq!(seen_with(dark, &settings(), SoftDeleted::CanBeForced), Told::Dark);
    let dim = server(&json!({ "status": "UNKNOWN", "metadata": tags().to_map() }));
    match seen_with(dim, &settings(), SoftDeleted::CanBeForced) {
        Told::Dim(instance) => {
            assert_eq!(instance.state, InstanceState::Unknown { word: "UNKNOWN".to_owned() });
            assert_eq!(instance.identity, Identity::Vcycle(tags()));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_flavour_that_is_gone_leaves_its_size_unknown() {
    let unknown = seen(server(&json!({ "flavor": { "id": "gone" } })));
    let Instance { offering, processors, memory, .. } = unknown;
    assert_eq!((offering, processors, memory), (None, None, None));
}

#[test]
fn the_zone_belongs_to_the_offering_only_where_zones_are_offered() {
    let mut settings = settings();
    settings.zones = vec!["nova".to_owned()];
    let zone = |fields: &Value| match seen_with(server(fields), &settings, SoftDeleted::IsFinal) {
        Told::Whole(instance) => instance.offering.map(|offering| offering.zone),
        other => panic!("{other:?}"),
    };
    assert_eq!(zone(&json!({})), Some("nova".to_owned()));
    assert_eq!(zone(&json!({ "OS-EXT-AZ:availability_zone": "" })), None);
}

#[test]
fn a_flavour_that_the_site_takes_back_is_preemptible() {
    let mut settings = settings();
    let guaranteed = std::time::Duration::from_secs(3600);
    settings.preemptible = Some(Preemptible { flavors: vec!["lab.c1".to_owned()], guaranteed });
    match seen_with(server(&json!({})), &settings, SoftDeleted::IsFinal) {
        Told::Whole(instance) => {
            assert_eq!(instance.offering.unwrap().market, Market::Preemptible);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn fixed_addresses_come_before_floating_ones_in_the_order_of_the_networks() {
    let address = |addr: &str, kind: &str| json!({ "addr": addr, "OS-EXT-IPS:type": kind });
    let both = server(&json!({ "addresses": {
        "a": [address("192.0.2.7", "floating"), address("10.0.0.7", "fixed")],
        "b": [address("10.1.0.7", "fixed"), address("2001:db8::7", "fixed"), address("?", "fixed")],
    } }));
    let mut settings = settings();
    settings.networks = Networks::These(vec!["b".to_owned(), "a".to_owned()]);
    let Told::Whole(instance) = seen_with(both, &settings, SoftDeleted::IsFinal) else {
        panic!("it is told as a whole");
    };
    let shown: Vec<String> = instance.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["10.1.0.7", "2001:db8::7", "10.0.0.7", "192.0.2.7"]);
    let recorded = seen(recorded("141-server-ACTIVE-with-address-mv290"));
    assert_eq!(recorded.addresses, ["10.101.0.132".parse::<IpAddr>().unwrap()]);
}

#[test]
fn times_with_and_without_a_zone_are_utc() {
    assert_eq!(time(Some("2026-11-21T01:35:00.000000")), time(Some("2026-11-21T01:35:00Z")));
    assert_eq!(time(Some("yesterday")), None);
    assert_eq!(time(None), None);
}
