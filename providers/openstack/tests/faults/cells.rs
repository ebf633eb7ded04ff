//! A part of the cloud is down: servers are UNKNOWN, or missing, and none of it proves anything.

use vcycle_api::{
    Act, Created, ErrorKind, Instance, InstanceId, InstanceState, Listing, Observe, Resolution,
};
use vcycle_openstack::testing::{Fate, NewServer, On, Site, Trouble};

use crate::common::tenancy::Place;

async fn running(place: &Place, number: u64) -> InstanceId {
    let created = place.provider.create(&place.request(number).await).await.unwrap();
    place.pass(10);
    created.id().clone()
}

fn seen(listing: &Listing) -> &[Instance] {
    match listing {
        Listing::Complete(all) | Listing::Partial { seen: all, .. } => all,
    }
}

async fn nothing_is_proven_of(place: &Place, id: &InstanceId) {
    let got = place.provider.get(id).await;
    match got {
        Ok(instance) => {
            assert!(matches!(instance.state, InstanceState::Unknown { word: _ }), "{instance:?}")
        }
        Err(error) => assert_eq!(error.kind, ErrorKind::Unavailable, "{error}"),
    }
    let deleted = place.provider.delete(id).await.unwrap_err();
    assert!(matches!(deleted.kind, ErrorKind::Unavailable | ErrorKind::Ambiguous), "{deleted}");
}

#[tokio::test]
async fn servers_of_a_cell_that_is_down_make_the_listing_partial() {
    let place = Place::new(Site::small()).await;
    let (dark, bright) = (running(&place, 1).await, running(&place, 2).await);
    place.fake.becomes(dark.as_str(), Fate::CellDown);
    let listing = place.provider.list().await.unwrap();
    assert!(matches!(listing, Listing::Partial { .. }), "{listing:?}");
    let bright_one = seen(&listing).iter().find(|instance| instance.id == bright).unwrap();
    assert_eq!(bright_one.state, InstanceState::Running);
    nothing_is_proven_of(&place, &dark).await;
    place.fake.becomes(dark.as_str(), Fate::CellUp);
    let listing = place.provider.list().await.unwrap();
    assert!(matches!(&listing, Listing::Complete(all) if all.len() == 2), "{listing:?}");
}

/// Nova shows servers of a dark cell only where no page is asked for; a wish for short pages must not
/// hide them.
#[tokio::test]
async fn short_pages_do_not_hide_a_cell_that_is_down() {
    let place = Place::with(Site::small(), "site-a", |settings| settings.page = Some(2)).await;
    let dark = running(&place, 1).await;
    for number in 2..6 {
        running(&place, number).await;
    }
    place.fake.becomes(dark.as_str(), Fate::CellDown);
    // A provider that was started in the outage and has seen nothing before.
    let fresh = place.another(|_| {});
    for provider in [&*place.provider, &fresh] {
        let listing = provider.list().await.unwrap();
        assert!(matches!(listing, Listing::Partial { .. }), "{listing:?}");
        assert_eq!(seen(&listing).len(), 4);
    }
}

/// With more servers than fit on a page, Nova does not show those of a dark cell at all: what has vanished
/// since the last listing is asked for one by one.
#[tokio::test]
async fn servers_that_vanish_from_a_long_listing_are_asked_for_before_it_is_called_complete() {
    let mut site = Site::small();
    site.max_limit = 3;
    let place = Place::new(site).await;
    let dark = running(&place, 1).await;
    for number in 2..8 {
        running(&place, number).await;
    }
    assert!(matches!(place.provider.list().await.unwrap(), Listing::Complete(_)));
    place.fake.becomes(dark.as_str(), Fate::CellDown);
    for _ in 0..3 {
        let listing = place.provider.list().await.unwrap();
        assert!(matches!(listing, Listing::Partial { .. }), "{listing:?}");
    }
    place.fake.becomes(dark.as_str(), Fate::CellUp);
    assert!(matches!(place.provider.list().await.unwrap(), Listing::Complete(_)));
}

#[tokio::test]
async fn servers_missing_from_the_listing_that_nova_still_knows_make_it_partial() {
    for microversion in [1, 68, 104] {
        let mut site = Site::small();
        site.microversion = microversion;
        let place = Place::new(site).await;
        let (dark, _) = (running(&place, 1).await, running(&place, 2).await);
        place.provider.list().await.unwrap();
        place.fake.becomes(dark.as_str(), Fate::Missing);
        let listing = place.provider.list().await.unwrap();
        assert!(matches!(listing, Listing::Partial { .. }), "2.{microversion}: {listing:?}");
        nothing_is_proven_of(&place, &dark).await;
    }
}

#[tokio::test]
async fn what_was_really_deleted_by_others_leaves_the_listing_complete() {
    let place = Place::new(Site::small()).await;
    let gone = running(&place, 1).await;
    running(&place, 2).await;
    place.provider.list().await.unwrap();
    place.fake.becomes(gone.as_str(), Fate::Vanished);
    let listing = place.provider.list().await.unwrap();
    assert!(matches!(&listing, Listing::Complete(all) if all.len() == 1), "{listing:?}");
    let error = place.provider.get(&gone).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn an_intent_whose_server_is_in_a_dark_cell_is_never_proven_absent() {
    let place = Place::new(Site::small()).await;
    let request = place.request(1).await;
    place.fake.befall(On::Create, 1, Trouble::LoseReply);
    let since = place.now();
    let lost = place.provider.create(&request).await.unwrap_err();
    assert_eq!(lost.kind, ErrorKind::Ambiguous, "{lost}");
    let made = place.fake.servers().remove(0).id;
    place.fake.becomes(&made, Fate::CellDown);
    let intent = request.tags.intent;
    for _ in 0..5 {
        match place.provider.resolve(&intent, since).await {
            Ok(resolution) => assert_eq!(resolution, Resolution::Unknown),
            Err(error) => assert_eq!(error.kind, ErrorKind::Unavailable, "{error}"),
        }
        place.pass(60);
    }
    place.fake.becomes(&made, Fate::CellUp);
    let resolution = place.provider.resolve(&intent, since).await.unwrap();
    assert_eq!(resolution, Resolution::Found(InstanceId::parse(&made).unwrap()));
    let again = place.provider.create(&request).await.unwrap();
    assert!(matches!(again, Created::AlreadyExists(_)), "{again:?}");
    assert_eq!(place.fake.servers().len(), 1);
}

#[tokio::test]
async fn a_foreign_server_in_a_dark_cell_is_not_taken_for_an_unmarked_one_of_ours() {
    let place = Place::new(Site::small()).await;
    let id = place.fake.add_server(&NewServer { name: "dune-1".into(), ..NewServer::default() });
    place.fake.becomes(&id, Fate::CellDown);
    let listing = place.provider.list().await.unwrap();
    assert!(matches!(listing, Listing::Partial { .. }), "{listing:?}");
    assert!(seen(&listing).iter().all(|instance| instance.id.as_str() != id), "{listing:?}");
}
