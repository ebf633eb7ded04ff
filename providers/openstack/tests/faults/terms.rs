//! Tenancies that are bounded in time: by a lease, by a credential that ends, by a site that takes
//! servers back.

use std::time::Duration;

use vcycle_api::{Act, ErrorKind, InstanceId, Listing, Market, Observe, Timestamp};
use vcycle_openstack::Preemptible;
use vcycle_openstack::testing::{Fate, Site, SiteLease};

use crate::common::tenancy::{BEGIN, Place};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(BEGIN.as_secs() + seconds)
}

async fn place_with_a_lease() -> Place {
    let mut site = Site::small();
    site.leases.push(SiteLease {
        id: "0f5b8f1e-93f4-4c53-a7e7-d3a35e1a7a31".into(),
        name: "autumn".into(),
        reservation: "5a0b2c6e-2f0e-4f3a-9a57-0a4d27f4d0c2".into(),
        start: at(-3600),
        end: at(86_400),
    });
    Place::with(site, "site-a", |settings| settings.lease = Some("autumn".into())).await
}

#[tokio::test]
async fn a_lease_gives_the_space_a_begin_and_an_end_and_its_servers_their_hosts() {
    let place = place_with_a_lease().await;
    let terms = place.provider.terms().await.unwrap();
    assert_eq!((terms.opens, terms.closes), (Some(at(-3600)), Some(at(86_400))));
    let id = place.provider.create(&place.request(1).await).await.unwrap().id().clone();
    let hints = place.fake.server(id.as_str()).unwrap().hints;
    assert_eq!(hints["reservation"], "5a0b2c6e-2f0e-4f3a-9a57-0a4d27f4d0c2");
}

#[tokio::test]
async fn servers_that_a_lease_took_with_it_are_gone_and_nothing_else_is() {
    let place = place_with_a_lease().await;
    let id = place.provider.create(&place.request(1).await).await.unwrap().id().clone();
    place.pass(10);
    place.provider.list().await.unwrap();
    place.pass(90_000);
    place.fake.becomes(id.as_str(), Fate::Vanished);
    let listing = place.provider.list().await.unwrap();
    assert!(matches!(&listing, Listing::Complete(all) if all.is_empty()), "{listing:?}");
    let closes = place.provider.terms().await.unwrap().closes;
    assert!(closes.is_some_and(|closes| closes < place.now()), "{closes:?}");
}

#[tokio::test]
async fn a_lease_that_is_not_there_is_an_error_and_no_open_end() {
    let mut site = Site::small();
    site.leases.push(SiteLease {
        id: "0f5b8f1e-93f4-4c53-a7e7-d3a35e1a7a31".into(),
        name: "autumn".into(),
        reservation: "r".into(),
        start: at(0),
        end: at(1),
    });
    let place =
        Place::with(site, "site-a", |settings| settings.lease = Some("winter".into())).await;
    let error = place.provider.terms().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidSpec, "{error}");
    assert!(error.message.contains("winter") && error.message.contains("autumn"), "{error}");
}

#[tokio::test]
async fn the_end_of_an_application_credential_is_told_before_and_is_auth_failed_after() {
    let mut site = Site::small();
    let end = at(20 * 86_400);
    site.tenants[0].credentials[0].expires = Some(end);
    let place = Place::with(site, "site-a-app", |_| {}).await;
    assert_eq!(place.provider.terms().await.unwrap().credential_expires, Some(end));
    let id = place.provider.create(&place.request(1).await).await.unwrap().id().clone();
    place.pass(21 * 86_400);
    for error in [
        place.provider.list().await.unwrap_err(),
        place.provider.get(&id).await.unwrap_err(),
        place.provider.delete(&id).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::AuthFailed, "{error}");
    }
    assert_eq!(place.fake.servers().len(), 1, "nothing was removed");
}

#[tokio::test]
async fn tokens_are_renewed_before_they_end_without_a_refused_call() {
    let mut site = Site::small();
    site.token_life = Duration::from_secs(600);
    let place = Place::new(site).await;
    for _ in 0..40 {
        place.provider.quota().await.unwrap();
        place.pass(100);
    }
    let asked = place.fake.asked();
    assert!(asked.iter().all(|one| one.status != Some(401)), "a token was used beyond its end");
    let logins = asked.iter().filter(|one| one.path.ends_with("auth/tokens")).count();
    assert!((6..=14).contains(&logins), "{logins} logins in 4,000 s with tokens of 600 s");
}

#[tokio::test]
async fn a_flavour_that_the_site_takes_back_is_sold_as_such_and_its_end_is_an_absence() {
    let place = Place::with(Site::small(), "site-a", |settings| {
        let guaranteed = Duration::from_secs(3600);
        settings.preemptible = Some(Preemptible { flavors: vec!["lab.c2".into()], guaranteed });
    })
    .await;
    let offerings = place.provider.offerings().await.unwrap();
    let market =
        |name: &str| offerings.iter().find(|one| one.id.flavour == name).map(|one| one.id.market);
    assert_eq!(market("lab.c2"), Some(Market::Preemptible));
    assert_eq!(market("lab.c1"), Some(Market::OnDemand));
    let offering = offerings.iter().find(|one| one.id.flavour == "lab.c2").unwrap().clone();
    let request = place.request_of(1, offering.clone());
    let id: InstanceId = place.provider.create(&request).await.unwrap().id().clone();
    place.pass(10);
    let instance = place.provider.get(&id).await.unwrap();
    assert_eq!(instance.offering, Some(offering.id));
    place.fake.becomes(id.as_str(), Fate::Vanished);
    let error = place.provider.get(&id).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
}
