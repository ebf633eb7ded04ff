//! What a look at EC2 does not prove.

use std::time::Duration;

use vcycle_api::{Act, ErrorKind, Identity, InstanceState, Listing, Observe, Resolution};
use vcycle_aws::testing::{NewMachine, On, Refusal, Site, State, Trouble};

use crate::common::Place;

const LIST: On = On::Action("DescribeInstances");

#[tokio::test]
async fn a_fresh_machine_that_is_not_shown_yet_is_not_gone() {
    let mut site = Site::small();
    site.times.new_lag = Duration::from_secs(120);
    let place = Place::new(site).await;
    let request = place.request(1).await;
    let since = place.now();
    let id = place.provider.create(&request).await.unwrap().id().clone();
    for _ in 0..3 {
        place.pass(30);
        let error = place.provider.get(&id).await.unwrap_err();
        assert_ne!(error.kind, ErrorKind::NotFound, "{error}");
        let resolution = place.provider.resolve(&request.tags.intent, since).await.unwrap();
        assert_ne!(resolution, Resolution::ProvenAbsent);
    }
    place.pass(60);
    assert_eq!(place.provider.get(&id).await.unwrap().state, InstanceState::Running);
}

#[tokio::test]
async fn a_fresh_machine_that_is_not_known_yet_is_deleted_in_the_end() {
    let mut site = Site::small();
    site.times.new_lag = Duration::from_secs(60);
    let place = Place::new(site).await;
    let request = place.request(1).await;
    let id = place.provider.create(&request).await.unwrap().id().clone();
    // EC2 says that it does not exist, which must not be taken for its end.
    match place.provider.delete(&id).await {
        Ok(deletion) => assert_eq!(deletion, vcycle_api::Deletion::Accepted),
        Err(error) => assert_ne!(error.kind, ErrorKind::NotFound, "{error}"),
    }
    assert_eq!(place.fake.machine(id.as_str()).unwrap().state, State::Pending);
    place.pass(61);
    place.provider.delete(&id).await.unwrap();
    assert_eq!(place.fake.machine(id.as_str()).unwrap().state, State::ShuttingDown);
}

#[tokio::test]
async fn another_manager_takes_a_lagging_listing_for_no_proof() {
    let mut site = Site::small();
    site.times.new_lag = Duration::from_secs(120);
    let place = Place::new(site).await;
    let request = place.request(1).await;
    let since = place.now();
    place.fake.befall(On::Action("RunInstances"), 1, Trouble::LoseReply);
    place.provider.create(&request).await.unwrap_err();
    // It takes over when the stamp is old already: it must wait on its own clock, too.
    let another = place.another(|_| {});
    place.pass(110);
    let early = another.resolve(&request.tags.intent, since - Duration::from_secs(7200)).await;
    assert_eq!(early.unwrap(), Resolution::Unknown);
    place.pass(20);
    let later = another.resolve(&request.tags.intent, since).await.unwrap();
    assert!(matches!(later, Resolution::Found(_)), "{later:?}");
}

#[tokio::test]
async fn a_zone_that_is_down_leaves_no_complete_listing() {
    let place = Place::new(Site::small()).await;
    let request = place.request(1).await;
    let id = place.running(&request).await;
    place.listed().await.unwrap();
    place.fake.zone_fails("eu-west-2c");
    match place.provider.list().await {
        Ok(Listing::Complete(all)) => panic!("complete, with {} machines", all.len()),
        Ok(Listing::Partial { seen: _, why }) => assert!(!why.is_empty()),
        Err(error) => assert_eq!(error.kind, ErrorKind::Unavailable, "{error}"),
    }
    // A machine elsewhere can still be seen and ended.
    assert_eq!(place.provider.get(&id).await.unwrap().state, InstanceState::Running);
    let unknown = vcycle_api::IntentToken::compose(99);
    let resolution = place.provider.resolve(&unknown, place.now()).await;
    assert!(!matches!(resolution, Ok(Resolution::ProvenAbsent)), "{resolution:?}");
    place.provider.delete(&id).await.unwrap();
    place.fake.zones_recover();
    assert!(place.listed().await.is_some());
}

#[tokio::test]
async fn a_launch_into_a_zone_that_is_down_proves_nothing() {
    let place = Place::new(Site::small()).await;
    let request = place.request(1).await;
    place.fake.zone_fails("eu-west-2a");
    let error = place.provider.create(&request).await.unwrap_err();
    assert!(!error.kind.create_made_nothing(), "{error}");
}

#[tokio::test]
async fn a_lost_page_makes_a_listing_partial_and_a_stale_one_loses_no_machine_for_ever() {
    let place = Place::new(Site::small()).await;
    for _ in 0..2500 {
        place.fake.add_machine(&NewMachine::default());
    }
    place.pass(60);
    assert_eq!(place.listed().await.unwrap().len(), 2500);
    for trouble in [Trouble::LoseRequest, Trouble::CutReply, Trouble::Page(503)] {
        place.fake.befall(On::LaterPage, 1, trouble.clone());
        match place.provider.list().await {
            Ok(Listing::Complete(_)) => panic!("complete after {trouble:?}"),
            Ok(Listing::Partial { seen, why: _ }) => assert_eq!(seen.len(), 1000),
            Err(error) => assert_eq!(error.kind, ErrorKind::Unavailable, "{error}"),
        }
    }
}

#[tokio::test]
async fn a_first_page_that_fails_is_never_an_empty_listing() {
    let place = Place::new(Site::small()).await;
    place.running(&place.request(1).await).await;
    for trouble in [
        Trouble::LoseRequest,
        Trouble::CutReply,
        Trouble::Page(200),
        Trouble::Page(503),
        Trouble::Refuse(Refusal::internal()),
        Trouble::Refuse(Refusal::unavailable()),
    ] {
        place.fake.befall(LIST, 1, trouble.clone());
        let listing = place.provider.list().await;
        assert!(listing.is_err(), "{trouble:?}: {listing:?}");
        assert_eq!(listing.unwrap_err().kind, ErrorKind::Unavailable, "{trouble:?}");
    }
}

#[tokio::test]
async fn a_stale_replica_brings_no_machine_back_to_life() {
    let place = Place::new(Site::small()).await;
    let id = place.running(&place.request(1).await).await;
    place.provider.delete(&id).await.unwrap();
    place.pass(60);
    place.fake.befall(LIST, 1, Trouble::Stale(Duration::from_secs(90)));
    place.provider.list().await.unwrap();
    // A repeated delete of what seems to run is harmless, and it is gone in the next look.
    place.provider.delete(&id).await.unwrap();
    let listed = place.listed().await.unwrap();
    let shown = listed.iter().find(|instance| instance.id == id);
    assert!(shown.is_none_or(|instance| instance.state == InstanceState::Gone), "{shown:?}");
}

#[tokio::test]
async fn a_forgotten_record_proves_absence() {
    let place = Place::new(Site::small()).await;
    let id = place.running(&place.request(1).await).await;
    place.provider.delete(&id).await.unwrap();
    place.pass(2 * 3600);
    assert_eq!(place.provider.get(&id).await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(place.listed().await.unwrap().len(), 0);
    let again = place.provider.delete(&id).await;
    assert!(matches!(again, Ok(vcycle_api::Deletion::AlreadyGone)), "{again:?}");
}

#[tokio::test]
async fn machines_of_others_are_foreign_and_counted() {
    let place = Place::new(Site::small()).await;
    let mut half = place.map(1);
    half.remove("vcycle_intent");
    place.fake.add_machine(&NewMachine { tags: half, ..NewMachine::default() });
    place.fake.add_machine(&NewMachine::default());
    place.pass(60);
    let listed = place.listed().await.unwrap();
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|instance| instance.identity == Identity::Foreign));
    assert_eq!(place.provider.quota().await.unwrap().processors_used.unwrap().0, 4);
}

#[tokio::test]
async fn credentials_that_are_refused_prove_nothing() {
    let place = Place::new(Site::small()).await;
    let request = place.request(1).await;
    let id = place.running(&request).await;
    place.fake.refuse("AKIAFAKEFAKEFAKE0001");
    for error in [
        place.provider.list().await.map(drop).unwrap_err(),
        place.provider.get(&id).await.map(drop).unwrap_err(),
        place.provider.interruptions().await.map(drop).unwrap_err(),
        place.provider.side_resources().await.map(drop).unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::AuthFailed, "{error}");
        assert!(!error.to_string().contains("fakefake"), "no secret: {error}");
    }
}

#[tokio::test]
async fn listing_and_quota_asked_for_side_by_side_take_one_listing_well_or_not() {
    let place = Place::new(Site::small()).await;
    for _ in 0..1500 {
        place.fake.add_machine(&NewMachine::default());
    }
    place.pass(60);
    let asked = || place.fake.ledger().calls_of("DescribeInstances").count();
    // Slower than any count is kept, by the clock of the provider.
    let (listing, quota) = futures::join!(
        async {
            let listing = place.provider.list().await;
            place.pass(60);
            listing
        },
        place.provider.quota()
    );
    assert!(matches!(listing.unwrap(), Listing::Complete(all) if all.len() == 1500));
    assert_eq!((quota.unwrap().machines_used, asked()), (Some(1500), 2));
    for (trouble, page, pages) in
        [(Refusal::throttled(), LIST, 1), (Refusal::internal(), On::LaterPage, 2)]
    {
        let before = asked();
        place.fake.befall(page, 1, Trouble::Refuse(trouble));
        let (_, quota) = futures::join!(place.provider.list(), place.provider.quota());
        assert_eq!(quota.unwrap_err().kind, ErrorKind::Unavailable);
        assert_eq!(asked() - before, pages);
    }
    assert_eq!(place.provider.quota().await.unwrap().machines_used, Some(1500));
}
