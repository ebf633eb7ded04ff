//! Inserts: accepted ones that fail later, names that are taken, replies that are lost.

use std::time::Duration;

use vcycle_api::{
    Act, Created, ErrorKind, InstanceId, InstanceState, LateRefusal, Listing, Market, Observe,
    Resolution,
};
use vcycle_gcp::testing::{End, NewMachine, On, OpError, Refusal, Shortage, Told, Trouble};

use crate::common::{Place, labels};

fn nothing_is_left(place: &Place) {
    assert_eq!((place.fake.machines(), place.fake.disks()), (Vec::new(), Vec::new()));
    place.assert_described();
}

#[tokio::test]
async fn a_stock_out_in_all_its_words_parks_the_offering_and_leaves_nothing() {
    for code in [
        "ZONE_RESOURCE_POOL_EXHAUSTED",
        "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS",
        "RESOURCE_POOL_EXHAUSTED",
        "INSUFFICIENT_CAPACITY",
    ] {
        for told in [Told::InOperation, Told::AtOnce] {
            let place = Place::new().await;
            let request = place.request(1).await;
            place.fake.stock_out(Shortage { code: code.to_owned(), told, ..Shortage::total() });
            let error = place.provider.create(&request).await.unwrap_err();
            let offering = request.offering.id.clone();
            assert_eq!(error.kind, ErrorKind::InsufficientCapacity { offering }, "{code} {told:?}");
            nothing_is_left(&place);
        }
    }
}

#[tokio::test]
async fn a_stock_out_that_comes_late_is_shown_as_a_failed_machine_that_never_cost_anything() {
    let place = Place::new().await;
    let request = place.request(1).await;
    place.fake.set_times(|times| times.refusal = Duration::from_secs(120));
    place.fake.stock_out(Shortage::total());
    let created = place.provider.create(&request).await.unwrap();
    let id = created.id().clone();
    assert_eq!(place.provider.get(&id).await.unwrap().state, InstanceState::Pending);
    place.pass(180);
    let Listing::Complete(all) = place.provider.list().await.unwrap() else { panic!("partial") };
    let [machine] = all.as_slice() else { panic!("{all:?}") };
    let InstanceState::Failed { refusal, fault } = &machine.state else { panic!("{machine:?}") };
    assert_eq!(*refusal, Some(LateRefusal::InsufficientCapacity), "{fault}");
    assert_eq!(machine.id, id);
    place.provider.delete(&id).await.unwrap();
    let Listing::Complete(all) = place.provider.list().await.unwrap() else { panic!("partial") };
    assert_eq!(all, []);
    let ledger = place.fake.ledger();
    assert_eq!((ledger.len(), ledger[0].billed), (1, Duration::ZERO));
    assert!(matches!(&ledger[0].why, Some(End::Refused(_))), "{ledger:?}");
    nothing_is_left(&place);
}

#[tokio::test]
async fn a_late_stock_out_is_known_to_the_next_manager_too() {
    let place = Place::new().await;
    place.fake.set_times(|times| times.refusal = Duration::from_secs(120));
    place.fake.stock_out(Shortage::total());
    let request = place.request(1).await;
    let id = place.provider.create(&request).await.unwrap().id().clone();
    let next = place.another(|_| {});
    place.pass(180);
    let machine = next.get(&id).await.unwrap();
    let InstanceState::Failed { refusal, fault } = &machine.state else { panic!("{machine:?}") };
    assert_eq!(*refusal, Some(LateRefusal::InsufficientCapacity), "{fault}");
    next.delete(&id).await.unwrap();
    nothing_is_left(&place);
}

#[tokio::test]
async fn a_manager_that_died_before_it_heard_of_a_stock_out_finds_that_nothing_was_made() {
    let place = Place::new().await;
    let (request, since) = (place.request(1).await, place.now());
    place.fake.stock_out(Shortage::total());
    place.fake.befall(On::Insert, 1, Trouble::LoseReply);
    let error = place.provider.create(&request).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Ambiguous, "{error}");
    let next = place.another(|_| {});
    let mut resolution = Resolution::Unknown;
    while resolution == Resolution::Unknown {
        place.pass(10);
        resolution = next.resolve(&request.tags.intent, since).await.unwrap();
    }
    assert_eq!(resolution, Resolution::ProvenAbsent);
    nothing_is_left(&place);
}

#[tokio::test]
async fn a_name_that_is_seen_to_be_taken_only_inside_the_operation_is_adopted_if_it_is_ours() {
    for told in [Told::InOperation, Told::AtOnce] {
        let place = Place::new().await;
        place.fake.tell_existing(told);
        let request = place.request(1).await;
        place.fake.befall(On::Insert, 1, Trouble::LoseReply);
        let error = place.provider.create(&request).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Ambiguous, "{error}");
        // Google does not say for how long it remembers.
        place.fake.forget_requests();
        let again = place.another(|_| {}).create(&request).await.unwrap();
        let Created::AlreadyExists(id) = again else { panic!("{told:?}: {again:?}") };
        assert!(id.as_str().ends_with(request.machine.as_str()));
        assert_eq!(place.fake.ledger().len(), 1);
        place.assert_described();
    }
}

#[tokio::test]
async fn a_name_that_somebody_else_has_taken_is_never_ours() {
    for told in [Told::InOperation, Told::AtOnce] {
        let place = Place::new().await;
        place.fake.tell_existing(told);
        let request = place.request(1).await;
        let mut others = request.tags.clone();
        others.intent = vcycle_api::IntentToken::compose(99);
        for labels in [labels(&others.to_map()), Default::default()] {
            let zone = request.offering.id.zone.clone();
            let name = request.machine.as_str();
            place.fake.add_machine(&NewMachine { zone, ..NewMachine::new(name, labels) });
            let error = place.provider.create(&request).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidSpec, "{told:?}: {error}");
            assert_eq!(place.fake.machines().len(), 1, "the other's machine stays");
            place.fake.vanish(name);
        }
    }
}

#[tokio::test]
async fn a_disk_of_that_name_is_no_machine_of_ours() {
    let place = Place::new().await;
    let request = place.request(1).await;
    let zone = &request.offering.id.zone;
    place.fake.add_disk(zone, request.machine.as_str(), labels(&request.tags.to_map()));
    let error = place.provider.create(&request).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidSpec, "{error}");
    assert!(error.message.contains("disks/"), "{error}");
    assert!(place.fake.machines().is_empty());
}

#[tokio::test]
async fn a_create_whose_operation_is_no_longer_known_is_found_by_its_machine() {
    let place = Place::new().await;
    place.fake.set_times(|times| times.operation = Duration::from_secs(60));
    let request = place.request(1).await;
    let id = place.provider.create(&request).await.unwrap().id().clone();
    place.fake.forget_operations();
    place.pass(30);
    assert_eq!(place.provider.get(&id).await.unwrap().state, InstanceState::Running);
    place.assert_described();
}

#[tokio::test]
async fn a_failed_insert_whose_operation_is_forgotten_is_proven_absent_and_no_create_is_lost() {
    let place = Place::new().await;
    place.fake.set_times(|times| times.refusal = Duration::from_secs(60));
    place.fake.stock_out(Shortage::total());
    let (request, since) = (place.request(1).await, place.now());
    let id = place.provider.create(&request).await.unwrap().id().clone();
    place.fake.forget_operations();
    place.pass(120);
    let error = place.provider.get(&id).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    let Listing::Complete(all) = place.provider.list().await.unwrap() else { panic!("partial") };
    assert_eq!(all, []);
    let (next, mut resolution) = (place.another(|_| {}), Resolution::Unknown);
    while resolution == Resolution::Unknown {
        resolution = next.resolve(&request.tags.intent, since).await.unwrap();
        place.pass(10);
    }
    assert_eq!(resolution, Resolution::ProvenAbsent);
}

#[tokio::test]
async fn the_same_request_makes_the_machine_when_the_stock_is_back_though_google_remembers_it() {
    let place = Place::new().await;
    let request = place.request(1).await;
    place.fake.stock_out(Shortage::total());
    for _ in 0..3 {
        let error = place.provider.create(&request).await.unwrap_err();
        assert!(matches!(error.kind, ErrorKind::InsufficientCapacity { .. }), "{error}");
    }
    place.fake.restock_all();
    let created = place.provider.create(&request).await.unwrap();
    assert!(matches!(created, Created::New(_)), "{created:?}");
    assert_eq!(place.fake.machines().len(), 1);
}

#[tokio::test]
async fn a_quota_stops_the_space_whether_it_is_told_at_once_or_later() {
    for told in [Told::InOperation, Told::AtOnce] {
        let place = Place::new().await;
        place.fake.tell_quota(told);
        let request = place.request(1).await;
        place.fake.fill_quotas();
        let error = place.provider.create(&request).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::QuotaExceeded, "{told:?}: {error}");
        assert!(error.message.contains("Quota"), "{error}");
        nothing_is_left(&place);
    }
}

#[tokio::test]
async fn a_rule_of_the_organisation_is_a_wrong_request_and_not_a_lost_one() {
    let place = Place::new().await;
    let request = place.request(1).await;
    let rule = "constraints/compute.vmExternalIpAccess";
    place.fake.fail_next_inserts(1, &OpError::forbidden_by_rule(rule, "vcycle-lab"));
    let error = place.provider.create(&request).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidSpec, "{error}");
    assert!(error.message.contains(rule), "{error}");
    place.fake.fail_next_inserts(1, &OpError::no_addresses("default"));
    let error = place.provider.create(&request).await.unwrap_err();
    assert!(error.kind.create_made_nothing(), "{error}");
    nothing_is_left(&place);
}

#[tokio::test]
async fn no_answer_of_a_broken_cloud_is_taken_for_a_refusal_or_for_a_proof() {
    for trouble in [
        Trouble::Refuse(Refusal::backend()),
        Trouble::Refuse(Refusal::proxy(502)),
        Trouble::Refuse(Refusal::proxy(504)),
        Trouble::Mask(Refusal::proxy(504)),
        Trouble::LoseRequest,
        Trouble::LoseReply,
        Trouble::CutReply,
    ] {
        let place = Place::new().await;
        let (request, since) = (place.request(1).await, place.now());
        place.fake.befall(On::Insert, 1, trouble.clone());
        let error = place.provider.create(&request).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Ambiguous, "{trouble:?}: {error}");
        let made = place.fake.machine(request.machine.as_str());
        let mut resolution = Resolution::Unknown;
        while resolution == Resolution::Unknown {
            resolution = place.provider.resolve(&request.tags.intent, since).await.unwrap();
            place.pass(10);
        }
        let id = |name: &str, zone: &str| format!("vcycle-lab/{zone}/{name}");
        let wanted = match made {
            Some(made) => {
                Resolution::Found(InstanceId::parse(&id(&made.name, &made.zone)).unwrap())
            }
            None => Resolution::ProvenAbsent,
        };
        assert_eq!(resolution, wanted, "{trouble:?}");
        place.assert_described();
    }
}

#[tokio::test]
async fn identity_hard_end_and_disk_stand_in_the_insert_itself() {
    let place = Place::new().await;
    let mut request = place.request(1).await;
    request.offering.id.market = Market::Preemptible;
    place.provider.create(&request).await.unwrap();
    let machine = place.fake.machine(request.machine.as_str()).unwrap();
    assert_eq!(machine.labels, labels(&request.tags.to_map()));
    let scheduling = &machine.spec["scheduling"];
    assert_eq!(scheduling["instanceTerminationAction"], "DELETE");
    assert_eq!(scheduling["provisioningModel"], "SPOT");
    let seconds: i64 = scheduling["maxRunDuration"]["seconds"].as_str().unwrap().parse().unwrap();
    let left = request.tags.deadline.as_secs() - place.now().as_secs();
    assert!((left - 60..=left + 60).contains(&seconds), "{seconds} of {left}");
    assert_eq!(machine.spec["disks"][0]["autoDelete"], true);
    assert_eq!(place.fake.disks()[0].labels["vcycle_intent"], machine.labels["vcycle_intent"]);
    let ledger = place.fake.ledger();
    assert_eq!(ledger[0].request_id, Some(request.tags.intent.to_string()));
    assert_eq!(place.fake.mutations(), 1, "one call makes it all");
    place.assert_described();
}

#[tokio::test]
async fn each_create_is_one_insert_and_no_more_are_under_way_than_allowed() {
    let place = Place::with(vcycle_gcp::testing::Site::small(), |settings| {
        settings.requests_at_once = 4;
        settings.insert_wait = Duration::ZERO;
    })
    .await;
    let first = place.request(1).await;
    place.provider.create(&first).await.unwrap();
    place.fake.answer_after(Duration::from_millis(20));
    let offering = first.offering.clone();
    let requests: Vec<_> =
        (2..42).map(|number| place.request_of(number, offering.clone())).collect();
    let before = place.fake.requests();
    let calls = requests.iter().map(|request| place.provider.create(request));
    for created in futures::future::join_all(calls).await {
        created.unwrap();
    }
    assert_eq!((place.fake.requests() - before, place.fake.peak()), (40, 4));
    let mut names: Vec<_> = place.fake.ledger().into_iter().map(|entry| entry.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 41);
}
