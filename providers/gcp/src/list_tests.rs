//! Tests of what makes a listing whole.

use std::sync::Arc;

use google_cloud_compute_v1::model::{
    InstancesScopedList, instance_aggregated_list::Warning as Whole,
    instance_aggregated_list::warning::Data, instances_scoped_list::Warning as Scoped,
};
use vcycle_api::ManualClock;

use super::*;
use crate::{Credentials, Settings, Source};

fn site() -> Site {
    let mut settings = Settings::new("a-project", "europe-west2", &["n2-standard-4"]);
    settings.credentials = Credentials { source: Source::Anonymous, impersonate: None };
    settings.endpoint = Some("http://127.0.0.1:1".to_owned());
    Site::open(settings, Arc::new(ManualClock::at(Timestamp::from_secs(0)))).unwrap()
}

fn scoped(zone: &str, code: &str) -> InstanceAggregatedList {
    let warning = Scoped::new().set_code(code).set_message("says google");
    let list = InstancesScopedList::new().set_warning(warning);
    InstanceAggregatedList::new().set_items([(format!("zones/{zone}"), list)])
}

#[test]
fn an_empty_zone_is_no_gap() {
    assert!(warnings(&site(), &scoped("europe-west2-a", "NO_RESULTS_ON_PAGE")).is_empty());
}

#[test]
fn a_zone_of_ours_that_cannot_be_reached_is_a_gap_and_anothers_is_not() {
    let gap = warnings(&site(), &scoped("europe-west2-a", "UNREACHABLE"));
    assert_eq!(gap, ["zones/europe-west2-a: UNREACHABLE says google"]);
    assert!(warnings(&site(), &scoped("us-east1-b", "UNREACHABLE")).is_empty());
    assert_eq!(warnings(&site(), &scoped("europe-west2-a", "SOMETHING_NEW")).len(), 1);
}

#[test]
fn a_warning_of_the_whole_answer_is_a_gap_unless_it_is_surely_elsewhere() {
    let whole = |data: &[&str]| {
        let data = data.iter().map(|text| Data::new().set_key("scope").set_value(*text));
        let warning = Whole::new().set_code("UNREACHABLE").set_data(data);
        warnings(&site(), &InstanceAggregatedList::new().set_warning(warning)).len()
    };
    assert_eq!(whole(&[]), 1);
    assert_eq!(whole(&["zones/europe-west2-a"]), 1);
    assert_eq!(whole(&["zones/us-east1-b"]), 0);
    assert_eq!(whole(&["zones/us-east1-b", "zones/europe-west2-a"]), 1);
}

#[test]
fn unreachable_scopes_are_gaps() {
    let list = |scope: &str| InstanceAggregatedList::new().set_unreachables([scope]);
    let here = "https://www.googleapis.com/compute/v1/projects/a-project/zones/europe-west2-c";
    assert_eq!(warnings(&site(), &list(here)).len(), 1);
    assert_eq!(warnings(&site(), &list("zones/us-east1-b")).len(), 0);
    assert_eq!(warnings(&site(), &list("something")).len(), 1);
}

#[test]
fn an_id_of_another_project_or_cloud_proves_nothing() {
    let site = site();
    for id in ["other/europe-west2-a/vcycle-a-0123456789", "00000000-0000-4000-8000-000000000000"] {
        let error = parse(&site, &InstanceId::parse(id).unwrap(), "get instance").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{id}");
    }
    let ours = InstanceId::parse("a-project/europe-west2-a/vcycle-a-0123456789").unwrap();
    assert!(parse(&site, &ours, "get instance").is_ok());
}

#[test]
fn a_failed_insert_says_what_a_create_would_have_been_refused_for() {
    let site = site();
    let place = site.place("europe-west2-a", "vcycle-a-0123456789");
    let failure = Failure {
        call: Call::InsertInstance,
        status: Some(503),
        reasons: vec!["ZONE_RESOURCE_POOL_EXHAUSTED".to_owned()],
        message: "no".to_owned(),
        request_id: None,
        retry_after: None,
        arrived: crate::failure::Arrived::Yes,
    };
    let shown = failed(&site, tombstone(&place, Timestamp::from_secs(0)), &failure, None);
    let fault = "HTTP 503 ZONE_RESOURCE_POOL_EXHAUSTED: no".to_owned();
    let refusal = Some(LateRefusal::InsufficientCapacity);
    assert_eq!(shown.state, InstanceState::Failed { refusal, fault });
}
