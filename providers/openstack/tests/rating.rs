//! The site's rating service, asked over HTTP.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::time::Duration;

use common::tenancy::Place;
use vcycle_api::ErrorKind;
use vcycle_openstack::testing::{On, Refusal, Site, SiteCharge, SiteRating, SiteRule, Trouble};
use vcycle_openstack::{Basis, Rates};

async fn place(rating: SiteRating) -> Place {
    let mut site = Site::small();
    site.rating = Some(rating);
    Place::new(site).await
}

fn rules() -> Vec<SiteRule> {
    let mut dear = SiteRule::flat("flavor_id", "c4", "0.2500000000000000000000000000");
    dear.group = Some("uptime".to_owned());
    let ours = SiteRule {
        project_id: Some("b75d58f2d72a492682abe0b70b498e57".to_owned()),
        ..SiteRule::flat("flavor_name", "lab.c1", "0.05")
    };
    vec![SiteRule::flat("flavor_name", "lab.c1", "0.06"), dear, ours]
}

fn charge(flavor: &str, quantity: f64, price: &str) -> SiteCharge {
    SiteCharge { flavor: flavor.to_owned(), quantity, price: price.to_owned() }
}

fn told(rates: &Rates) -> Vec<(&str, Vec<&str>)> {
    let flats = |it: &vcycle_openstack::FlavorRate| -> Vec<String> {
        it.groups.iter().flat_map(|group| group.flats.clone()).collect()
    };
    assert!(rates.flavors.iter().all(|it| !flats(it).is_empty()));
    let told = rates.flavors.iter().map(|it| {
        let flats = it.groups.iter().flat_map(|group| group.flats.iter().map(String::as_str));
        (it.flavor.as_str(), flats.collect())
    });
    told.collect()
}

#[tokio::test]
async fn flavours_are_rated_by_the_rules_and_the_period_by_the_charges() {
    let charges = vec![charge("lab.c1", 1.0, "0.05")];
    let period = Duration::from_secs(600);
    let place =
        place(SiteRating { rules: rules(), charges, period, ..SiteRating::default() }).await;
    let rates = place.provider.rates().await.unwrap();
    let wanted = [("lab.c1", vec!["0.05"]), ("lab.c4", vec!["0.2500000000000000000000000000"])];
    assert_eq!(told(&rates), wanted);
    assert_eq!((rates.basis, rates.period), (Basis::Rules, Some(period)));
    let left: Vec<&str> = rates.left_out.iter().map(|(flavor, _)| flavor.as_str()).collect();
    assert_eq!(left, ["lab.c2", "lab.c8", "lab.nohost"]);
    assert_eq!(place.fake.mutations(), 0, "it only looks");
}

#[tokio::test]
async fn without_charges_nobody_says_how_long_a_period_is() {
    let place = place(SiteRating { rules: rules(), ..SiteRating::default() }).await;
    assert_eq!(place.provider.rates().await.unwrap().period, None);
}

#[tokio::test]
async fn where_rules_are_closed_the_charges_of_the_last_days_tell() {
    let mut charges: Vec<SiteCharge> = (0..1_500).map(|_| charge("lab.c1", 1.0, "0.05")).collect();
    // On the second page; parts of a server say nothing of a whole one.
    charges.push(charge("lab.c1", 1.0, "0.0600000000000000000001"));
    charges.push(charge("lab.c4", 0.5, "9"));
    let place = place(SiteRating { open: false, charges, ..SiteRating::default() }).await;
    let rates = place.provider.rates().await.unwrap();
    assert_eq!(told(&rates), [("lab.c1", vec!["0.05", "0.0600000000000000000001"])]);
    assert_eq!((rates.basis, rates.period), (Basis::Charges, Some(Duration::from_secs(3600))));
    assert_eq!(rates.left_out.len(), 4);
    assert!(rates.left_out[0].1.contains("charged for none"), "{rates:?}");
    let pages = place.fake.asked();
    assert_eq!(pages.iter().filter(|it| it.path == "rating/v2/dataframes").count(), 2);
}

#[tokio::test]
async fn a_site_without_a_rating_service_says_what_to_do() {
    let place = Place::new(Site::small()).await;
    let error = place.provider.rates().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidSpec);
    assert!(error.message.contains("write the site's list by hand"), "{error}");
}

#[tokio::test]
async fn rules_that_we_do_not_know_make_no_prices() {
    let modules = vec!["hashmap".to_owned(), "pyscripts".to_owned()];
    let scripts = SiteRating { modules, rules: rules(), ..SiteRating::default() };
    let off = SiteRating { modules: vec!["noop".to_owned()], ..SiteRating::default() };
    let services = vec!["volume.size".to_owned()];
    let no_servers = SiteRating { services, ..SiteRating::default() };
    for (rating, said) in [
        (scripts, "made by pyscripts as well"),
        (off, "hashmap is not enabled"),
        (no_servers, "(volume.size)"),
    ] {
        let error = place(rating).await.provider.rates().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidSpec);
        assert!(error.message.contains(said), "{error}");
    }
    let thresholds = vec!["vcpus".to_owned()];
    let by_amount = SiteRating { thresholds, rules: rules(), ..SiteRating::default() };
    let rates = place(by_amount).await.provider.rates().await.unwrap();
    assert_eq!((rates.flavors.len(), rates.left_out.len()), (0, 5));
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_no_list() {
    for trouble in [
        Trouble::CutReply,
        Trouble::LoseReply,
        Trouble::Refuse(Refusal::proxy(502)),
        Trouble::Refuse(Refusal::proxy(404)),
    ] {
        let place = place(SiteRating { rules: rules(), ..SiteRating::default() }).await;
        place.fake.befall(On::Path("hashmap/mappings".to_owned()), 1, trouble.clone());
        let error = place.provider.rates().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{trouble:?}: {error}");
        assert_eq!(place.provider.rates().await.unwrap().flavors.len(), 2);
    }
}
