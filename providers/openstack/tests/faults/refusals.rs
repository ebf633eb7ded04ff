//! Storms, outages, proxies, and refused credentials: each error says what it means, and no more.

use std::time::Duration;

use vcycle_api::{Act, Deletion, ErrorKind, InstanceId, Observe, Resolution};
use vcycle_openstack::testing::{Fate, On, Refusal, Site, Trouble};

use crate::common::tenancy::Place;

async fn running(place: &Place, number: u64) -> InstanceId {
    let created = place.provider.create(&place.request(number).await).await.unwrap();
    place.pass(10);
    created.id().clone()
}

#[tokio::test]
async fn storms_of_429_and_413_are_throttling_with_the_time_that_the_cloud_gave() {
    for (refusal, after) in [
        (Refusal::too_many(Some(7)), Some(Duration::from_secs(7))),
        (Refusal::too_many(None), None),
        (Refusal::over_limit_413(Some(30)), Some(Duration::from_secs(30))),
    ] {
        let place = Place::new(Site::small()).await;
        let id = running(&place, 1).await;
        let fresh = place.request(2).await;
        place.fake.befall(On::AnyButIdentity, u32::MAX, Trouble::Refuse(refusal.clone()));
        let wanted = ErrorKind::Throttled { after };
        assert_eq!(place.provider.list().await.unwrap_err().kind, wanted, "{refusal:?}");
        assert_eq!(place.provider.get(&id).await.unwrap_err().kind, wanted, "{refusal:?}");
        assert_eq!(place.provider.quota().await.unwrap_err().kind, wanted, "{refusal:?}");
        assert_eq!(place.provider.create(&fresh).await.unwrap_err().kind, wanted, "{refusal:?}");
        assert_eq!(place.provider.delete(&id).await.unwrap_err().kind, wanted, "{refusal:?}");
        place.fake.calm();
        assert_eq!(place.fake.servers().len(), 1, "nothing was made or removed");
    }
}

#[tokio::test]
async fn no_answer_of_a_broken_cloud_is_taken_for_a_refusal_or_for_a_proof() {
    for trouble in [
        Trouble::Refuse(Refusal::fault(500, "Unexpected API Error.")),
        Trouble::Refuse(Refusal::fault(503, "The server is currently unavailable.")),
        Trouble::Refuse(Refusal::proxy(502)),
        Trouble::Refuse(Refusal::proxy(503)),
        Trouble::Refuse(Refusal::proxy(504)),
        Trouble::LoseRequest,
        Trouble::LoseReply,
        Trouble::CutReply,
    ] {
        let place = Place::new(Site::small()).await;
        let id = running(&place, 1).await;
        let fresh = place.request(2).await;
        place.fake.befall(On::AnyButIdentity, u32::MAX, trouble.clone());
        let since = place.now();
        let read = place.provider.list().await.unwrap_err();
        assert_eq!(read.kind, ErrorKind::Unavailable, "{trouble:?}: {read}");
        let got = place.provider.get(&id).await.unwrap_err();
        assert_eq!(got.kind, ErrorKind::Unavailable, "{trouble:?}: {got}");
        let made = place.provider.create(&fresh).await.unwrap_err();
        assert_eq!(made.kind, ErrorKind::Ambiguous, "{trouble:?}: {made}");
        place.fake.calm();
        place.pass(100);
        let there = place.fake.servers().into_iter().find(|s| s.id != id.as_str());
        let mut resolution = Resolution::Unknown;
        while resolution == Resolution::Unknown {
            resolution = place.provider.resolve(&fresh.tags.intent, since).await.unwrap();
            place.pass(10);
        }
        let wanted = match there {
            Some(server) => Resolution::Found(InstanceId::parse(&server.id).unwrap()),
            None => Resolution::ProvenAbsent,
        };
        assert_eq!(resolution, wanted, "{trouble:?}");
    }
}

#[tokio::test]
async fn a_404_of_a_proxy_proves_no_absence() {
    let place = Place::new(Site::small()).await;
    let id = running(&place, 1).await;
    place.fake.befall(On::AnyButIdentity, 2, Trouble::Refuse(Refusal::proxy(404)));
    let got = place.provider.get(&id).await.unwrap_err();
    assert_eq!(got.kind, ErrorKind::Unavailable, "{got}");
    let deleted = place.provider.delete(&id).await;
    assert!(!matches!(&deleted, Ok(Deletion::AlreadyGone)), "{deleted:?}");
    assert_ne!(deleted.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(place.fake.servers().len(), 1);
}

#[tokio::test]
async fn a_cloud_that_is_not_there_is_unavailable_and_certainly_made_nothing() {
    let place = Place::new(Site::small()).await;
    let fresh = place.request(1).await;
    place.provider.list().await.unwrap();
    place.fake.stop();
    // Until the listener is closed, requests may still come in and be broken off.
    let read = place.provider.list().await.unwrap_err();
    assert_eq!(read.kind, ErrorKind::Unavailable, "{read}");
    let made = place.provider.create(&fresh).await.unwrap_err();
    assert!(matches!(made.kind, ErrorKind::Unavailable | ErrorKind::Ambiguous), "{made}");
    assert!(place.fake.servers().is_empty());
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_a_lost_one() {
    let place = Place::with(Site::small(), "site-a", |settings| {
        settings.request_time = Duration::from_millis(500);
    })
    .await;
    let request = place.request(1).await;
    let since = place.now();
    place.fake.befall(On::Create, 1, Trouble::Slow(Duration::from_secs(5)));
    let made = place.provider.create(&request).await.unwrap_err();
    assert_eq!(made.kind, ErrorKind::Ambiguous, "{made}");
    let id = InstanceId::parse(&place.fake.servers()[0].id).unwrap();
    let found = place.provider.resolve(&request.tags.intent, since).await.unwrap();
    assert_eq!(found, Resolution::Found(id));
    place.fake.befall(On::List, 1, Trouble::Slow(Duration::from_secs(5)));
    let read = place.provider.list().await.unwrap_err();
    assert_eq!(read.kind, ErrorKind::Unavailable, "{read}");
}

#[tokio::test]
async fn tokens_that_end_early_are_renewed_once_for_all_calls_at_once() {
    let place = Place::new(Site::small()).await;
    place.provider.list().await.unwrap();
    place.fake.end_tokens();
    let logins = || {
        let asked = place.fake.asked();
        asked.iter().filter(|one| one.method == "POST" && one.path.ends_with("auth/tokens")).count()
    };
    let before = logins();
    let calls: Vec<_> = (0..8).map(|_| place.provider.quota()).collect();
    for answer in futures::future::join_all(calls).await {
        answer.unwrap();
    }
    assert_eq!(logins() - before, 1);
}

#[tokio::test]
async fn the_second_credential_is_used_when_the_first_is_refused() {
    let place = Place::new(Site::small()).await;
    let provider = place.another(|settings| {
        let second = place.credential("site-a-app");
        settings.credentials.push(second);
    });
    provider.list().await.unwrap();
    place.fake.refuse("site-a-user");
    let id = running_with(&place, &provider, 1).await;
    assert!(provider.get(&id).await.is_ok());
    place.fake.refuse("26c7c394d6344bb2b98720c0bf2899e0");
    let error = provider.list().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::AuthFailed, "{error}");
    assert_eq!(place.fake.servers().len(), 1, "refused credentials remove nothing");
}

async fn running_with(
    place: &Place,
    provider: &vcycle_openstack::OpenStack,
    number: u64,
) -> InstanceId {
    // The first provider's offerings: its own token is refused by now.
    let offering = provider.offerings().await.unwrap().remove(0);
    let request = place.request_of(number, offering);
    provider.create(&request).await.unwrap().id().clone()
}

#[tokio::test]
async fn a_refusal_that_repeats_the_user_data_shows_none_of_it() {
    let place = Place::new(Site::small()).await;
    let mut request = place.request(1).await;
    let secret = "password-of-the-machine-0123456789";
    request.user_data = vcycle_api::UserData::new(format!("#!/bin/sh\n# {secret}\n"));
    // As Nova does with a request that its schema does not take.
    place.fake.befall(On::Create, 1, Trouble::RepeatRequest);
    let error = place.provider.create(&request).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidSpec, "{error}");
    let shown = format!("{error} {error:?}");
    let encoded = base64_of(request.user_data.expose());
    for length in [16, 24] {
        assert!(!shown.contains(&encoded[..length]), "{shown}");
        assert!(!shown.contains(&encoded[encoded.len() - length..]), "{shown}");
    }
    assert!(!shown.contains(secret), "{shown}");
}

fn base64_of(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[tokio::test]
async fn policy_is_told_from_quota() {
    let place = Place::new(Site::small()).await;
    let request = place.request(1).await;
    let policy = "Policy doesn't allow os_compute_api:servers:create to be performed.";
    place.fake.befall(On::Create, 1, Trouble::Refuse(Refusal::fault(403, policy)));
    let error = place.provider.create(&request).await.unwrap_err();
    assert!(!matches!(error.kind, ErrorKind::QuotaExceeded), "{error}");
    place.fake.fill_quota("site-a");
    let error = place.provider.create(&request).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::QuotaExceeded, "{error}");
    assert!(error.request_id.is_some(), "{error}");
}

#[tokio::test]
async fn a_locked_server_stays_and_the_error_says_why() {
    let place = Place::new(Site::small()).await;
    let id = running(&place, 1).await;
    place.fake.becomes(id.as_str(), Fate::Locked);
    let error = place.provider.delete(&id).await.unwrap_err();
    assert!(error.message.contains("lock"), "{error}");
    assert!(place.provider.get(&id).await.is_ok());
    place.fake.becomes(id.as_str(), Fate::Unlocked);
    assert_eq!(place.provider.delete(&id).await.unwrap(), Deletion::Accepted);
}
