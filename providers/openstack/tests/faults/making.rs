//! Creates that are accepted and fail, take for ever, or meet a cloud that has several of everything.

use std::time::Duration;

use vcycle_api::{
    Act, Created, ErrorKind, InstanceId, InstanceState, LateRefusal, Observe, Resolution,
};
use vcycle_openstack::Networks;
use vcycle_openstack::testing::{Fault, NewServer, On, Site, SiteNetwork, Trouble};

use crate::common::tenancy::Place;

#[tokio::test]
async fn a_quota_that_is_seen_late_is_a_failed_server_that_says_so() {
    let place = Place::new(Site::small()).await;
    place.fake.fail_next_boots(1, &Fault::late_quota());
    let id = place.provider.create(&place.request(1).await).await.unwrap().id().clone();
    place.pass(5);
    let instance = place.provider.get(&id).await.unwrap();
    let InstanceState::Failed { refusal, fault } = &instance.state else { panic!("{instance:?}") };
    assert!(fault.contains("Quota exceeded"), "{fault}");
    assert_eq!(*refusal, Some(LateRefusal::QuotaExceeded));
    place.provider.delete(&id).await.unwrap();
    place.pass(5);
    assert!(place.fake.servers().is_empty());
}

#[tokio::test]
async fn a_server_for_which_there_is_no_host_is_a_failed_one() {
    let place = Place::new(Site::small()).await;
    place.fake.fail_next_boots(1, &Fault::no_valid_host());
    let id = place.provider.create(&place.request(1).await).await.unwrap().id().clone();
    place.pass(5);
    let instance = place.provider.get(&id).await.unwrap();
    let InstanceState::Failed { refusal, fault } = &instance.state else { panic!("{instance:?}") };
    assert!(fault.contains("No valid host"), "{fault}");
    assert_eq!(*refusal, Some(LateRefusal::InsufficientCapacity));
}

#[tokio::test]
async fn a_server_that_is_built_for_ever_is_pending_and_deletable() {
    let place = Place::new(Site::small()).await;
    place.fake.stick_next_boots(1);
    let id = place.provider.create(&place.request(1).await).await.unwrap().id().clone();
    place.pass(86_400);
    assert_eq!(place.provider.get(&id).await.unwrap().state, InstanceState::Pending);
    place.provider.delete(&id).await.unwrap();
    place.pass(5);
    assert!(place.fake.servers().is_empty());
}

#[tokio::test]
async fn two_servers_of_one_intent_are_both_listed_and_the_older_is_the_one() {
    let place = Place::new(Site::small()).await;
    let request = place.request(1).await;
    let since = place.now();
    place.fake.befall(On::Create, 1, Trouble::LoseReply);
    place.provider.create(&request).await.unwrap_err();
    // A proxy has sent it on a second time.
    place.pass(3);
    let (name, metadata) = (request.machine.to_string(), request.tags.to_map());
    place.fake.add_server(&NewServer { name, metadata, ..NewServer::default() });
    let first = InstanceId::parse(&place.fake.servers()[0].id).unwrap();
    for _ in 0..3 {
        let found = place.provider.resolve(&request.tags.intent, since).await.unwrap();
        assert_eq!(found, Resolution::Found(first.clone()));
        place.pass(60);
    }
    let vcycle_api::Listing::Complete(all) = place.provider.list().await.unwrap() else {
        panic!("partial")
    };
    assert_eq!(all.len(), 2);
    let again = place.provider.create(&request).await.unwrap();
    assert_eq!(again, Created::AlreadyExists(first));
    assert_eq!(place.fake.servers().len(), 2);
}

#[tokio::test]
async fn several_networks_without_a_choice_are_a_wrong_request_and_not_a_lost_one() {
    let mut site = Site::small();
    let second = SiteNetwork {
        id: "5f3f1d0c-6f5e-4c43-9d1e-2a6c1b1f7a10".into(),
        name: "second".into(),
        project: Some("site-a".into()),
        external: false,
    };
    site.networks.push(second.clone());
    let place = Place::new(site).await;
    let error = place.provider.create(&place.request(1).await).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidSpec, "{error}");
    assert!(error.message.to_lowercase().contains("network"), "{error}");
    let chosen = place.another(|settings| {
        settings.networks = Networks::These(vec!["second".into()]);
    });
    let id = chosen.create(&place.request(2).await).await.unwrap().id().clone();
    assert_eq!(place.fake.server(id.as_str()).unwrap().ports.len(), 1);
}

#[tokio::test]
async fn the_identity_description_and_key_are_in_the_create_call_itself() {
    let place = Place::new(Site::small()).await;
    let mut request = place.request(1).await;
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl a";
    request.public_key = Some(key.to_owned());
    let id = place.provider.create(&request).await.unwrap().id().clone();
    let server = place.fake.server(id.as_str()).unwrap();
    assert_eq!(server.metadata, request.tags.to_map());
    assert!(!server.tags.is_empty(), "a tag for a quick search");
    assert_eq!(server.name, request.machine.as_str());
    let description = server.description.unwrap();
    assert!(description.contains("dune") && description.contains("a.example"), "{description}");
    let name = server.key_name.unwrap();
    assert!(name.starts_with("vcycle-"), "{name}");
    assert_eq!(place.fake.keypairs()[&name].split(' ').nth(1), key.split(' ').nth(1));
}

#[tokio::test]
async fn each_create_is_one_request_and_no_more_are_under_way_than_allowed() {
    let place =
        Place::with(Site::small(), "site-a", |settings| settings.requests_at_once = 4).await;
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
    assert_eq!(place.fake.servers().len(), 41);
}
