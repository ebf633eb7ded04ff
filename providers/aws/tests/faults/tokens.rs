//! One intent, one machine: whatever is lost, repeated or forgotten.

use std::time::Duration;

use vcycle_api::{Act, Created, ErrorKind, Market, Resolution};
use vcycle_aws::testing::{On, Refusal, Site, Trouble};

use crate::common::Place;

const RUN: On = On::Action("RunInstances");

#[tokio::test]
async fn another_request_with_the_token_of_an_intent_is_not_taken_for_a_refusal() {
    let place = Place::new(Site::small()).await;
    let request = place.request(1).await;
    let id = place.running(&request).await;
    let mut other = request.clone();
    other.offering = place.offering("c5.4xlarge", "eu-west-2a", Market::OnDemand).await;
    // Another manager, which does not know that the first was sent.
    match place.another(|_| {}).create(&other).await {
        Ok(created) => assert_eq!(created, Created::AlreadyExists(id)),
        Err(error) => assert!(!error.kind.create_made_nothing(), "{error}"),
    }
    assert_eq!(place.fake.ledger().machines.len(), 1);
}

#[tokio::test]
async fn a_mismatch_while_the_machine_is_not_shown_yet_keeps_the_intent() {
    let mut site = Site::small();
    site.times.new_lag = Duration::from_secs(30);
    let place = Place::new(site).await;
    let request = place.request(1).await;
    let id = place.provider.create(&request).await.unwrap().id().clone();
    let mut other = request.clone();
    other.offering = place.offering("c5.4xlarge", "eu-west-2a", Market::OnDemand).await;
    let another = place.another(|_| {});
    let error = another.create(&other).await.unwrap_err();
    assert!(!error.kind.create_made_nothing(), "{error}");
    place.pass(31);
    let found = another.resolve(&request.tags.intent, place.now()).await.unwrap();
    assert_eq!(found, Resolution::Found(id));
}

#[tokio::test]
async fn a_fault_of_ec2_after_it_made_the_machine_is_unclear_and_found() {
    for refusal in [Refusal::internal(), Refusal::unavailable()] {
        let place = Place::new(Site::small()).await;
        let request = place.request(1).await;
        place.fake.befall(RUN, 1, Trouble::RefuseAfter(refusal));
        let error = place.provider.create(&request).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Ambiguous, "{error}");
        let resolution = place.provider.resolve(&request.tags.intent, place.now()).await.unwrap();
        assert!(matches!(resolution, Resolution::Found(_)), "{resolution:?}");
        let again = place.provider.create(&request).await.unwrap();
        assert!(matches!(again, Created::AlreadyExists(_)), "{again:?}");
        assert_eq!(place.fake.ledger().machines.len(), 1);
    }
}

#[tokio::test]
async fn a_reply_that_breaks_off_or_is_a_proxys_is_unclear() {
    for trouble in [Trouble::CutReply, Trouble::LoseReply, Trouble::Page(502), Trouble::Page(504)] {
        let place = Place::new(Site::small()).await;
        let request = place.request(1).await;
        place.fake.befall(RUN, 1, trouble.clone());
        let error = place.provider.create(&request).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Ambiguous, "{trouble:?}: {error}");
        // The identical request again, by a manager that took over.
        let again = place.another(|_| {}).create(&request).await;
        assert!(again.is_ok(), "{trouble:?}: {again:?}");
        let ledger = place.fake.ledger();
        assert_eq!((ledger.machines.len(), ledger.made_twice().len()), (1, 0), "{trouble:?}");
    }
}

#[tokio::test]
async fn a_reply_that_takes_too_long_is_unclear() {
    let place = Place::with(Site::small(), |settings| {
        settings.request_time = Duration::from_millis(300);
    })
    .await;
    let request = place.request(1).await;
    place.fake.befall(RUN, 1, Trouble::Slow(Duration::from_secs(30)));
    let error = place.provider.create(&request).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Ambiguous, "{error}");
    let resolution = place.provider.resolve(&request.tags.intent, place.now()).await.unwrap();
    assert!(matches!(resolution, Resolution::Found(_)), "{resolution:?}");
}

#[tokio::test]
async fn an_intent_whose_machine_is_forgotten_makes_no_other() {
    let place = Place::new(Site::small()).await;
    let request = place.request(1).await;
    let id = place.running(&request).await;
    place.provider.delete(&id).await.unwrap();
    // Terminated; then without tags; then without a record; each time for a manager that knows nothing.
    for seconds in [60, 1800, 7200] {
        place.pass(seconds);
        match place.another(|_| {}).create(&request).await {
            Ok(created) => assert_eq!(created, Created::AlreadyExists(id.clone())),
            Err(error) => {
                let kinds = [ErrorKind::InvalidSpec, ErrorKind::Ambiguous];
                assert!(kinds.contains(&error.kind), "{error}");
            }
        }
    }
    assert_eq!(place.fake.ledger().machines.len(), 1);
}

#[tokio::test]
async fn each_intent_has_a_token_of_its_own_that_tells_whose_it_is() {
    let place = Place::new(Site::small()).await;
    for number in [1, 2] {
        let request = place.request(number).await;
        place.provider.create(&request).await.unwrap();
        let made = place.fake.machines().pop().unwrap();
        let wanted = request.tags.intent.to_string();
        assert_eq!(made.token.as_deref(), Some(wanted.as_str()));
        assert!(made.ends_with_guest, "a guest that halts must end its machine");
        assert_eq!(made.imds_tokens, "required");
        // The whole identity stands in the call itself, on all that it makes.
        for (key, value) in request.tags.to_map() {
            assert_eq!(made.tags.get(&key), Some(&value));
            for volume in place.fake.volumes() {
                let own = made.volumes.contains(&volume.id);
                assert!(!own || volume.tags.get(&key) == Some(&value));
            }
        }
    }
    assert!(place.fake.ledger().calls_of("CreateTags").next().is_none());
}

#[tokio::test]
async fn a_create_is_one_call_once_the_region_is_known() {
    let place = Place::new(Site::small()).await;
    let first = place.request(1).await;
    place.provider.create(&first).await.unwrap();
    let second = place.request(2).await;
    let before = place.fake.requests();
    place.provider.create(&second).await.unwrap();
    let calls = place.fake.ledger().calls.split_off(before);
    let names: Vec<&str> = calls.iter().map(|call| call.action.as_str()).collect();
    assert_eq!(names, ["RunInstances"]);
}
