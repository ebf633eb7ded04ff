//! What the provider asks of the cloud and what it leaves alone: few requests, none where nothing
//! changed, and nothing of anybody else's.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeMap;

use common::tenancy::Place;
use vcycle_api::{
    Act, CreateRequest, Deletion, DeploymentId, ErrorKind, Identity, InstanceId, InstanceState,
    IntentToken, Listing, MachinetypeName, Need, Observe, ProviderError, Readiness, Resolution,
    Tags,
};
use vcycle_openstack::testing::{NewServer, On, Refusal, Site, Trouble};
use vcycle_openstack::{DataVolume, Networks};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl lab";

/// A server of ours that runs.
async fn running(place: &Place, number: u64) -> (CreateRequest, InstanceId) {
    let request = place.request(number).await;
    let id = place.provider.create(&request).await.unwrap().id().clone();
    place.pass(10);
    (request, id)
}

/// What is asked of the cloud meanwhile, in order.
async fn cost<T>(place: &Place, call: impl Future<Output = T>) -> (T, Vec<String>) {
    let before = place.fake.requests();
    let answer = call.await;
    let asked = place.fake.asked().split_off(before);
    let asked = asked.into_iter().map(|asked| format!("{} {}", asked.method, asked.path));
    (answer, asked.collect())
}

fn need(key: Option<&str>) -> Need {
    Need {
        machinetype: MachinetypeName::parse("dune").unwrap(),
        image: Some("lab-tiny".to_owned()),
        public_key: key.map(str::to_owned),
        flavors: Vec::new(),
    }
}

fn kind<T: std::fmt::Debug>(result: Result<T, ProviderError>) -> ErrorKind {
    result.unwrap_err().kind
}

#[tokio::test]
async fn a_listing_takes_one_request_for_each_thousand_servers() {
    let place = Place::new(Site::small()).await;
    for number in 0..1_999 {
        place.fake.add_server(&NewServer { name: format!("s{number}"), ..NewServer::default() });
    }
    place.provider.quota().await.unwrap();
    let (listing, asked) = cost(&place, place.provider.list()).await;
    assert!(matches!(listing, Ok(Listing::Complete(all)) if all.len() == 1_999));
    assert_eq!(asked, ["GET compute/v2.1/servers/detail"; 2]);
}

#[tokio::test]
async fn machines_that_we_have_deleted_cost_a_listing_nothing() {
    let place = Place::new(Site::small()).await;
    let (_, id) = running(&place, 1).await;
    place.provider.list().await.unwrap();
    place.provider.delete(&id).await.unwrap();
    place.pass(10);
    let (listing, asked) = cost(&place, place.provider.list()).await;
    assert!(matches!(listing, Ok(Listing::Complete(all)) if all.is_empty()));
    assert_eq!(asked.len(), 1, "{asked:?}");
}

#[tokio::test]
async fn a_create_asks_for_nothing_but_its_server_once_the_site_is_known() {
    let place = Place::new(Site::small()).await;
    running(&place, 1).await;
    let request = place.request(2).await;
    let (created, asked) = cost(&place, place.provider.create(&request)).await;
    created.unwrap();
    assert_eq!(asked, ["POST compute/v2.1/servers"]);
}

#[tokio::test]
async fn an_unknown_intent_is_asked_for_in_one_request_until_it_has_settled() {
    let place = Place::new(Site::small()).await;
    place.provider.list().await.unwrap();
    let (since, intent) = (place.now(), IntentToken::compose(99));
    let (early, asked) = cost(&place, place.provider.resolve(&intent, since)).await;
    assert_eq!((early.unwrap(), asked.len()), (Resolution::Unknown, 1));
    place.pass(3600);
    let late = place.provider.resolve(&intent, since).await.unwrap();
    assert_eq!(late, Resolution::ProvenAbsent);
}

#[tokio::test]
async fn what_machinetypes_need_costs_nothing_once_it_is_there() {
    let place = Place::new(Site::small()).await;
    let needs = [need(Some(KEY)), need(Some(KEY)), need(None)];
    let answers = place.provider.prepare(&needs).await.unwrap();
    assert_eq!(answers, [const { Readiness::Ready }; 3]);
    assert_eq!(place.fake.keypairs().len(), 1, "one key, one key pair");
    let (again, asked) = cost(&place, place.provider.prepare(&needs)).await;
    assert_eq!(again.unwrap(), [const { Readiness::Ready }; 3]);
    assert_eq!(asked, [""; 0]);
}

#[tokio::test]
async fn a_key_pair_that_is_there_already_is_used() {
    let place = Place::new(Site::small()).await;
    place.provider.prepare(&[need(Some(KEY))]).await.unwrap();
    // Another manager, which does not know.
    let another = place.another(|_| {});
    let answers = another.prepare(&[need(Some(KEY))]).await.unwrap();
    assert_eq!(answers, [Readiness::Ready]);
    let mut request = place.request(1).await;
    request.public_key = Some(KEY.to_owned());
    let id = another.create(&request).await.unwrap().id().clone();
    let made = place.fake.server(id.as_str()).unwrap();
    assert_eq!(made.key_name.as_ref(), place.fake.keypairs().keys().next());
}

#[tokio::test]
async fn a_network_that_is_not_there_is_told_before_anything_is_made() {
    let place = Place::with(Site::small(), "site-a", |settings| {
        settings.networks = Networks::These(vec!["réseau privé".to_owned()]);
    })
    .await;
    let answers = place.provider.prepare(&[need(None)]).await.unwrap();
    let [Readiness::Cannot { why }] = &answers[..] else { panic!("{answers:?}") };
    assert!(why.contains("réseau privé"), "{why}");
    let request = place.request(1).await;
    assert_eq!(kind(place.provider.create(&request).await), ErrorKind::InvalidSpec);
    assert!(place.fake.servers().is_empty());
}

#[tokio::test]
async fn an_old_site_is_spoken_to_in_its_own_version() {
    let mut site = Site::small();
    site.microversion = 1;
    let place = Place::new(site).await;
    let (request, id) = running(&place, 1).await;
    let Listing::Complete(all) = place.provider.list().await.unwrap() else { panic!("partial") };
    assert_eq!(all[0].identity, Identity::Vcycle(request.tags.clone()));
    assert_eq!(all[0].offering.as_ref(), Some(&request.offering.id));
    assert_eq!(all[0].processors, Some(request.offering.processors));
    assert!(place.fake.servers()[0].tags.is_empty());
    let resolved = place.provider.resolve(&request.tags.intent, place.now()).await.unwrap();
    assert_eq!(resolved, Resolution::Found(id));
}

#[tokio::test]
async fn where_the_site_does_not_let_us_force_it_a_deleted_server_counts_no_more() {
    let place = Place::new(Site::small()).await;
    place.fake.deletes_softly();
    let (_, id) = running(&place, 1).await;
    place.provider.delete(&id).await.unwrap();
    assert_eq!(place.provider.get(&id).await.unwrap().state, InstanceState::Deleting);
    let policy = "Policy doesn't allow os_compute_api:os-deferred-delete:force to be performed.";
    place.fake.befall(On::Delete, 1, Trouble::Refuse(Refusal::fault(403, policy)));
    assert_eq!(place.provider.delete(&id).await.unwrap(), Deletion::Accepted);
    assert_eq!(place.provider.get(&id).await.unwrap().state, InstanceState::Gone);
}

/// A server of ours with a port and a volume, both marked.
async fn marked() -> (Place, CreateRequest, InstanceId) {
    let place = Place::with(Site::small(), "site-a", |settings| {
        settings.networks = Networks::These(vec!["site-a-net".to_owned()]);
        settings.data_volume = Some(DataVolume { gb_per_processor: 5, volume_type: None });
    })
    .await;
    place.fake.leaves_side_resources();
    let (request, id) = running(&place, 1).await;
    place.provider.list().await.unwrap();
    place.provider.prepare(&[]).await.unwrap();
    (place, request, id)
}

#[tokio::test]
async fn what_is_marked_is_not_marked_again() {
    let (place, request, id) = marked().await;
    place.provider.list().await.unwrap();
    let (_, asked) = cost(&place, place.provider.prepare(&[])).await;
    assert_eq!(asked, [""; 0]);
    let resources = place.provider.side_resources().await.unwrap();
    let kinds: Vec<_> = resources.iter().map(|resource| resource.kind.as_str()).collect();
    assert_eq!(kinds, ["port", "volume"]);
    let ours = |it: &&vcycle_api::SideResource| it.tags == request.tags;
    assert_eq!(resources.iter().filter(ours).count(), 2);
    assert!(resources.iter().all(|it| it.attached_to.as_ref() == Some(&id)), "{resources:?}");
}

#[tokio::test]
async fn a_port_of_a_server_that_lives_is_not_removed_whatever_is_asked() {
    let (place, _, _) = marked().await;
    let mut port = place.provider.side_resources().await.unwrap().remove(0);
    port.attached_to = None;
    assert_eq!(kind(place.provider.delete_side_resource(&port).await), ErrorKind::InvalidSpec);
    assert_eq!(place.fake.ports().len(), 1);
}

#[tokio::test]
async fn what_carries_other_marks_than_it_did_is_not_removed() {
    let (place, request, id) = marked().await;
    place.provider.delete(&id).await.unwrap();
    place.pass(10);
    for mut resource in place.provider.side_resources().await.unwrap() {
        resource.tags = Tags { intent: IntentToken::compose(2), ..request.tags.clone() };
        let refused = place.provider.delete_side_resource(&resource).await;
        assert_eq!(kind(refused), ErrorKind::InvalidSpec, "{}", resource.kind);
    }
    assert_eq!((place.fake.ports().len(), place.fake.volumes().len()), (1, 1));
}

#[tokio::test]
async fn servers_of_others_are_never_marked() {
    let place = Place::new(Site::small()).await;
    let (request, _) = running(&place, 1).await;
    place.provider.list().await.unwrap();
    place.provider.prepare(&[]).await.unwrap();
    let other = Tags { deployment: DeploymentId::compose(8), ..request.tags };
    for metadata in [BTreeMap::new(), other.to_map()] {
        place.fake.add_server(&NewServer { metadata, ..NewServer::default() });
    }
    let before = place.fake.mutations();
    place.provider.list().await.unwrap();
    place.provider.prepare(&[]).await.unwrap();
    assert_eq!(place.fake.mutations(), before);
}
