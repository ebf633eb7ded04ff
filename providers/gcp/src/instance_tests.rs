//! Tests of the reading of machines.

use google_cloud_compute_v1::model::{AccessConfig, NetworkInterface, Scheduling};

use super::*;

fn place() -> Place {
    Place::new("a-project", "europe-west2-a", "vcycle-dune-0123456789")
}

fn google(status: &str, spot: Option<&str>) -> Google {
    let google = Google::new()
        .set_name("vcycle-dune-0123456789")
        .set_status(status)
        .set_machine_type(
            "https://www.googleapis.com/compute/v1/projects/p/zones/z/machineTypes/n2-standard-4",
        )
        .set_creation_timestamp("2026-11-21T04:00:00.123-08:00")
        .set_last_start_timestamp("2026-11-21T04:00:05.000-08:00")
        .set_last_stop_timestamp("2026-11-21T05:00:00.000-08:00");
    match spot {
        Some(model) => google.set_scheduling(Scheduling::new().set_provisioning_model(model)),
        None => google,
    }
}

fn state_of(status: &str, spot: Option<&str>, evidence: Evidence) -> InstanceState {
    read(&google(status, spot), &place(), None, evidence).state
}

#[test]
fn every_status_of_google_has_a_state_and_an_unknown_one_exists() {
    let unknown = |word: &str| InstanceState::Unknown { word: word.to_owned() };
    for (status, wanted) in [
        ("PENDING", InstanceState::Pending),
        ("PROVISIONING", InstanceState::Pending),
        ("STAGING", InstanceState::Pending),
        ("RUNNING", InstanceState::Running),
        ("PENDING_STOP", InstanceState::Deleting),
        ("STOPPING", InstanceState::Deleting),
        ("DEPROVISIONING", InstanceState::Deleting),
        ("STOPPED", InstanceState::Stopped),
        ("TERMINATED", InstanceState::Stopped),
        ("SUSPENDING", unknown("SUSPENDING")),
        ("SUSPENDED", unknown("SUSPENDED")),
        ("REPAIRING", unknown("REPAIRING")),
        ("LEVITATING", unknown("LEVITATING")),
    ] {
        assert_eq!(state_of(status, None, Evidence::NotTaken), wanted, "{status}");
    }
}

#[test]
fn a_preemption_needs_evidence() {
    let at = Timestamp::from_secs(5);
    let spot = Some("SPOT");
    assert_eq!(state_of("TERMINATED", spot, Evidence::Taken(at)), InstanceState::Preempted);
    assert_eq!(state_of("TERMINATED", spot, Evidence::NotTaken), InstanceState::Stopped);
    let told = google("TERMINATED", spot).set_status_message("Instance was preempted.");
    let read = read(&told, &place(), None, Evidence::NotTaken);
    assert_eq!(read.state, InstanceState::Preempted);
    assert!(read.ended.is_some());
}

#[test]
fn what_could_not_be_told_of_a_spot_machine_is_not_guessed() {
    let untold = state_of("TERMINATED", Some("SPOT"), Evidence::Untold);
    assert!(matches!(untold, InstanceState::Unknown { word: _ }), "{untold:?}");
    let plain = state_of("TERMINATED", Some("STANDARD"), Evidence::Untold);
    assert_eq!(plain, InstanceState::Stopped);
}

#[test]
fn times_come_with_an_offset() {
    let read = read(&google("TERMINATED", None), &place(), None, Evidence::NotTaken);
    assert_eq!(read.created.unwrap().to_string(), "2026-11-21T12:00:00.123Z");
    assert_eq!(read.started.unwrap().to_string(), "2026-11-21T12:00:05.000Z");
    assert_eq!(read.ended.unwrap().to_string(), "2026-11-21T13:00:00.000Z");
}

#[test]
fn a_machine_that_has_no_power_yet_has_not_started() {
    let read = read(&google("PROVISIONING", None), &place(), None, Evidence::NotTaken);
    assert_eq!((read.started, read.ended), (None, None));
}

#[test]
fn both_ways_to_ask_for_spot_are_known() {
    let old = google("RUNNING", None).set_scheduling(Scheduling::new().set_preemptible(true));
    for (google, wanted) in [
        (google("RUNNING", Some("SPOT")), Market::Preemptible),
        (google("RUNNING", Some("STANDARD")), Market::OnDemand),
        (google("RUNNING", None), Market::OnDemand),
        (old, Market::Preemptible),
    ] {
        let offering = read(&google, &place(), None, Evidence::NotTaken).offering.unwrap();
        assert_eq!(offering.market, wanted);
        assert_eq!(offering.flavour, "n2-standard-4");
        assert_eq!(offering.zone, "europe-west2-a");
    }
}

#[test]
fn the_inner_address_comes_first() {
    let interface = NetworkInterface::new()
        .set_network_ip("10.0.0.7")
        .set_access_configs([AccessConfig::new().set_nat_ip("203.0.113.9")]);
    let google = google("RUNNING", None).set_network_interfaces([interface]);
    let read = read(&google, &place(), None, Evidence::NotTaken);
    let texts: Vec<String> = read.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["10.0.0.7", "203.0.113.9"]);
}

#[test]
fn a_custom_type_tells_its_size_by_its_name() {
    let size = |name| size_by_name(name).map(|size| (size.processors.0, size.memory.0));
    assert_eq!(size("custom-4-8192"), Some((4, 8192)));
    assert_eq!(size("n2-custom-8-16384-ext"), Some((8, 16384)));
    assert_eq!(size("e2-custom-small-2048"), Some((2, 2048)));
    assert_eq!(size("n2-standard-4"), None);
}
