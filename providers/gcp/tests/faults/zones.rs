//! Zones that nobody can see into, pages that are lost, minutes that are full.

use std::time::Duration;

use vcycle_api::{Act, ErrorKind, InstanceId, Listing, Observe, Resolution};
use vcycle_gcp::testing::{NewMachine, On, Outage, Rates, Refusal, Trouble};

use crate::common::Place;

async fn running(place: &Place, number: u64) -> InstanceId {
    let created = place.provider.create(&place.request(number).await).await.unwrap();
    place.pass(10);
    created.id().clone()
}

#[tokio::test]
async fn a_zone_that_nobody_can_see_into_makes_every_listing_partial_and_proves_nothing() {
    for outage in [Outage::Warned, Outage::Unreachable] {
        let place = Place::new().await;
        let request = place.request(1).await;
        let (zone, since) = (request.offering.id.zone.clone(), place.now());
        let id = place.provider.create(&request).await.unwrap().id().clone();
        place.pass(10);
        place.fake.zone_down(&zone, outage);
        let listing = place.provider.list().await.unwrap();
        let Listing::Partial { seen, why } = listing else { panic!("{outage:?}: {listing:?}") };
        assert!(seen.is_empty() && why.contains(&zone), "{outage:?}: {why}");
        let error = place.provider.get(&id).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{outage:?}: {error}");
        let error = place.provider.delete(&id).await.unwrap_err();
        assert_ne!(error.kind, ErrorKind::NotFound, "{outage:?}: {error}");
        place.pass(86_400 / 2);
        for _ in 0..3 {
            let resolution = place.provider.resolve(&request.tags.intent, since).await.unwrap();
            assert_eq!(resolution, Resolution::Unknown, "{outage:?}");
            place.pass(60);
        }
        place.fake.zone_up(&zone);
        let resolution = place.provider.resolve(&request.tags.intent, since).await.unwrap();
        assert_eq!(resolution, Resolution::Found(id), "{outage:?}");
        place.assert_described();
    }
}

#[tokio::test]
async fn a_list_that_is_refused_as_a_whole_is_no_empty_list() {
    let place = Place::new().await;
    let id = running(&place, 1).await;
    place.fake.zone_down("europe-west2-c", Outage::Refused);
    let error = place.provider.list().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    // Its own zone is up.
    assert!(place.provider.get(&id).await.is_ok());
    assert_eq!(place.fake.machines().len(), 1);
}

#[tokio::test]
async fn a_create_in_a_zone_that_is_down_is_tried_elsewhere_or_again_and_never_twice() {
    let place = Place::new().await;
    let request = place.request(1).await;
    place.fake.zone_down(&request.offering.id.zone, Outage::Warned);
    let error = place.provider.create(&request).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Ambiguous, "{error}");
    place.fake.zone_up(&request.offering.id.zone);
    place.provider.create(&request).await.unwrap();
    assert_eq!(place.fake.ledger().len(), 1);
}

#[tokio::test]
async fn a_page_that_is_lost_makes_the_listing_partial() {
    let place = Place::new().await;
    for number in 0..1200 {
        let name = format!("stranger-{number:04}");
        place.fake.add_machine(&NewMachine::new(&name, Default::default()));
    }
    for trouble in [Trouble::LoseRequest, Trouble::CutReply, Trouble::Refuse(Refusal::backend())] {
        place.fake.befall(On::LaterPage, 1, trouble.clone());
        match place.provider.list().await {
            Ok(Listing::Partial { seen, why: _ }) => assert_eq!(seen.len(), 500, "{trouble:?}"),
            Ok(Listing::Complete(all)) => panic!("{trouble:?}: {} are all?", all.len()),
            Err(error) => assert_eq!(error.kind, ErrorKind::Unavailable, "{trouble:?}: {error}"),
        }
    }
    let before = place.fake.requests_of("compute.instances.aggregatedList");
    let Listing::Complete(all) = place.provider.list().await.unwrap() else { panic!("partial") };
    let pages = place.fake.requests_of("compute.instances.aggregatedList") - before;
    assert_eq!((all.len(), pages), (1200, 3));
    place.assert_described();
}

#[tokio::test]
async fn a_full_minute_is_throttling_until_the_next_one_begins() {
    let place = Place::new().await;
    let id = running(&place, 1).await;
    place.provider.list().await.unwrap();
    place.pass(60);
    place.fake.set_rates(Some(Rates { mutations: 1, reads: 2, lists: 2 }));
    place.provider.list().await.unwrap();
    let mut refused = None;
    for _ in 0..3 {
        refused = place.provider.list().await.err().or(refused);
    }
    let error = refused.expect("two lists a minute are allowed");
    let ErrorKind::Throttled { after } = error.kind else { panic!("{error}") };
    // The minutes are those of the clock.
    let left = 60 - place.now().as_secs().rem_euclid(60);
    let after = after.unwrap_or(Duration::from_secs(60));
    assert!(after.as_secs() as i64 >= left.min(60) - 1, "{after:?} of {left} s");
    place.clock.advance(after);
    assert!(place.provider.list().await.is_ok(), "a new minute");
    assert!(place.provider.get(&id).await.is_ok());
    place.assert_described();
}
