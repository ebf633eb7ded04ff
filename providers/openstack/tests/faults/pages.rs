//! Listings that go wrong in the middle.

use std::collections::BTreeSet;

use vcycle_api::{ErrorKind, Listing, Observe};
use vcycle_openstack::testing::{NewServer, On, Refusal, Site, Trouble};

use crate::common::tenancy::Place;

async fn place_of_ten_in_pages_of_three() -> Place {
    let mut site = Site::small();
    site.max_limit = 3;
    let place = Place::new(site).await;
    for number in 0..10 {
        let name = format!("server-{number}");
        place.fake.add_server(&NewServer { name, ..NewServer::default() });
    }
    place
}

fn names(listing: Listing) -> Vec<String> {
    let Listing::Complete(all) = listing else { panic!("not complete: {listing:?}") };
    all.into_iter().map(|instance| instance.name).collect()
}

#[tokio::test]
async fn a_marker_that_is_deleted_meanwhile_restarts_the_scan() {
    let place = place_of_ten_in_pages_of_three().await;
    place.fake.befall_after(On::LaterPage, 1, 1, Trouble::MarkerVanishes);
    let listed = names(place.provider.list().await.unwrap());
    let once: BTreeSet<&String> = listed.iter().collect();
    assert_eq!((listed.len(), once.len()), (9, 9), "{listed:?}");
    let there: BTreeSet<String> =
        place.fake.servers().into_iter().map(|server| server.name).collect();
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), there);
}

#[tokio::test]
async fn markers_that_vanish_again_and_again_end_in_a_partial_listing_and_not_in_a_circle() {
    let place = place_of_ten_in_pages_of_three().await;
    place.fake.befall(On::LaterPage, u32::MAX, Trouble::MarkerVanishes);
    let before = place.fake.requests();
    match place.provider.list().await {
        Ok(Listing::Partial { seen, why }) => {
            assert!(seen.len() < 10 && why.contains("deleted"), "{why}");
        }
        Ok(Listing::Complete(all)) => panic!("complete with {}", all.len()),
        Err(error) => assert_eq!(error.kind, ErrorKind::Unavailable, "{error}"),
    }
    let requests = place.fake.requests() - before;
    assert!(requests < 40, "{requests} requests");
}

#[tokio::test]
async fn a_page_that_breaks_off_in_its_body_is_no_listing() {
    for trouble in [
        Trouble::CutReply,
        Trouble::LoseRequest,
        Trouble::LoseReply,
        Trouble::Refuse(Refusal::fault(500, "Unexpected API Error.")),
        Trouble::Refuse(Refusal::proxy(502)),
        Trouble::Refuse(Refusal::proxy(404)),
    ] {
        let place = place_of_ten_in_pages_of_three().await;
        place.provider.list().await.unwrap();
        place.fake.befall(On::LaterPage, 1, trouble.clone());
        let listed = place.provider.list().await;
        match listed {
            Ok(Listing::Partial { seen, .. }) => assert!(seen.len() < 10, "{trouble:?}"),
            Ok(Listing::Complete(all)) => panic!("{trouble:?}: complete with {}", all.len()),
            Err(error) => assert_eq!(error.kind, ErrorKind::Unavailable, "{trouble:?}: {error}"),
        }
        assert_eq!(names(place.provider.list().await.unwrap()).len(), 10, "{trouble:?}");
    }
}

#[tokio::test]
async fn a_page_that_breaks_off_before_the_first_item_is_no_empty_cloud() {
    let place = place_of_ten_in_pages_of_three().await;
    place.provider.list().await.unwrap();
    place.fake.befall(On::List, 1, Trouble::CutReply);
    let error = place.provider.list().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
}
