//! Ends that do not come, come twice, or come from others; and what is left behind.

use vcycle_api::{Act, Deletion, ErrorKind, InstanceId, InstanceState, Listing, Observe};
use vcycle_openstack::testing::{Fate, Fault, Site};
use vcycle_openstack::{BootVolume, DataVolume};

use crate::common::tenancy::Place;

async fn running(place: &Place, number: u64) -> InstanceId {
    let created = place.provider.create(&place.request(number).await).await.unwrap();
    place.pass(10);
    created.id().clone()
}

async fn state(place: &Place, id: &InstanceId) -> InstanceState {
    place.provider.get(id).await.unwrap().state
}

#[tokio::test]
async fn a_ghost_is_listed_but_a_get_and_a_delete_say_that_there_is_nothing() {
    let place = Place::new(Site::small()).await;
    let id = running(&place, 1).await;
    place.fake.becomes(id.as_str(), Fate::Ghost);
    let Listing::Complete(all) = place.provider.list().await.unwrap() else { panic!("partial") };
    assert!(all.iter().any(|instance| instance.id == id), "{all:?}");
    let got = place.provider.get(&id).await.unwrap_err();
    assert_eq!(got.kind, ErrorKind::NotFound, "{got}");
    match place.provider.delete(&id).await {
        Ok(deletion) => assert_eq!(deletion, Deletion::AlreadyGone),
        Err(error) => assert_eq!(error.kind, ErrorKind::NotFound, "{error}"),
    }
}

#[tokio::test]
async fn a_delete_that_never_ends_is_deleting_for_ever_and_may_be_repeated() {
    let place = Place::new(Site::small()).await;
    let id = running(&place, 1).await;
    place.fake.becomes(id.as_str(), Fate::NeverDeleted);
    for _ in 0..4 {
        assert_eq!(place.provider.delete(&id).await.unwrap(), Deletion::Accepted);
        place.pass(3600);
        assert_eq!(state(&place, &id).await, InstanceState::Deleting);
    }
}

/// Nova lists servers that wait to be reclaimed to nobody, counts them in no quota, and shows them when
/// they are asked for.
#[tokio::test]
async fn a_cloud_that_keeps_deleted_servers_is_made_to_let_go_of_ours() {
    let place = Place::new(Site::small()).await;
    place.fake.deletes_softly();
    let id = running(&place, 1).await;
    place.provider.list().await.unwrap();
    assert_eq!(place.provider.delete(&id).await.unwrap(), Deletion::Accepted);
    let listing = place.provider.list().await.unwrap();
    assert!(matches!(&listing, Listing::Complete(all) if all.is_empty()), "{listing:?}");
    assert_eq!(place.provider.quota().await.unwrap().machines_used, Some(0));
    assert_eq!(place.fake.servers().len(), 1, "it could still be restored");
    assert_eq!(state(&place, &id).await, InstanceState::Deleting);
    assert_eq!(place.provider.delete(&id).await.unwrap(), Deletion::Accepted);
    place.pass(10);
    assert!(place.fake.servers().is_empty(), "{:?}", place.fake.servers());
    let error = place.provider.get(&id).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn what_an_operator_did_to_a_server_is_told_and_is_no_end() {
    let place = Place::new(Site::small()).await;
    let id = running(&place, 1).await;
    for word in ["SHELVED_OFFLOADED", "SHELVED", "PAUSED", "SUSPENDED", "RESCUE", "VERIFY_RESIZE"] {
        place.fake.becomes(id.as_str(), Fate::Status(word));
        let wanted = InstanceState::Unknown { word: word.to_owned() };
        assert_eq!(state(&place, &id).await, wanted);
        let listing = place.provider.list().await.unwrap();
        assert!(
            matches!(&listing, Listing::Complete(all) if all.len() == 1),
            "{word}: {listing:?}"
        );
        let used = place.provider.quota().await.unwrap().machines_used;
        assert_eq!(used, Some(1), "{word}");
    }
}

#[tokio::test]
async fn a_guest_that_shuts_itself_down_and_a_server_in_error_are_told_apart() {
    let place = Place::new(Site::small()).await;
    let (off, broken) = (running(&place, 1).await, running(&place, 2).await);
    place.fake.becomes(off.as_str(), Fate::ShutOff);
    let fault = Fault { code: 500, message: "the host died".into() };
    place.fake.becomes(broken.as_str(), Fate::Error(fault));
    let ended = place.provider.get(&off).await.unwrap();
    assert_eq!(ended.state, InstanceState::Stopped);
    assert_eq!(ended.ended, Some(place.now()));
    let failed = place.provider.get(&broken).await.unwrap();
    let InstanceState::Failed { refusal, fault } = &failed.state else { panic!("{failed:?}") };
    assert!(fault.contains("the host died") && refusal.is_none(), "{fault}");
    assert_eq!(failed.ended, Some(place.now()));
}

async fn place_with_volumes() -> Place {
    Place::with(Site::small(), "site-a", |settings| {
        settings.boot_volume = Some(BootVolume { gb: 10, volume_type: None });
        settings.data_volume = Some(DataVolume { gb_per_processor: 5, volume_type: None });
    })
    .await
}

#[tokio::test]
async fn ports_and_volumes_that_nova_leaves_behind_are_swept_and_those_of_others_are_not() {
    let place = place_with_volumes().await;
    place.fake.leaves_side_resources();
    let id = running(&place, 1).await;
    let other = place.another(|_| {});
    let theirs = {
        let mut request = place.request(2).await;
        request.tags.deployment = vcycle_api::DeploymentId::compose(99);
        other.create(&request).await.unwrap().id().clone()
    };
    place.pass(10);
    place.provider.list().await.unwrap();
    place.provider.prepare(&[]).await.unwrap();
    let ours = place.provider.side_resources().await.unwrap();
    let kinds: Vec<&str> = ours.iter().map(|resource| resource.kind.as_str()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "port").count(), 1, "{ours:?}");
    assert_eq!(kinds.iter().filter(|kind| **kind == "volume").count(), 2, "{ours:?}");
    assert!(ours.iter().all(|resource| resource.attached_to == Some(id.clone())), "{ours:?}");
    for gone in [&id, &theirs] {
        other.delete(gone).await.unwrap();
    }
    place.pass(10);
    place.provider.list().await.unwrap();
    let orphans = place.provider.side_resources().await.unwrap();
    assert_eq!(orphans.len(), 3);
    assert!(orphans.iter().all(|resource| resource.attached_to.is_none()), "{orphans:?}");
    for orphan in &orphans {
        let deletion = place.provider.delete_side_resource(orphan).await.unwrap();
        assert_eq!(deletion, Deletion::Accepted, "{orphan:?}");
        let again = place.provider.delete_side_resource(orphan).await.unwrap();
        assert_eq!(again, Deletion::AlreadyGone, "{orphan:?}");
    }
    let left = (place.fake.ports().len(), place.fake.volumes().len());
    assert_eq!(left, (1, 2), "those of the other deployment stay");
}

#[tokio::test]
async fn volumes_go_with_their_server() {
    let place = place_with_volumes().await;
    let id = running(&place, 1).await;
    let server = place.fake.server(id.as_str()).unwrap();
    assert_eq!(server.volumes.len(), 2);
    assert!(server.volumes.iter().all(|(_, goes)| *goes), "{server:?}");
    assert_eq!(server.image, None, "it boots from its volume");
    place.provider.delete(&id).await.unwrap();
    place.pass(10);
    assert!(place.fake.servers().is_empty() && place.fake.volumes().is_empty());
    assert!(place.fake.ports().is_empty());
}
