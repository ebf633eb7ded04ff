//! The billing catalogue, asked over HTTP.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::Place;
use vcycle_api::{ErrorKind, Market};
use vcycle_gcp::Catalogue;
use vcycle_gcp::testing::{On, Refusal, Site, SiteSku, Trouble};

async fn place(site: Site, machine_types: &[&str]) -> Place {
    let types: Vec<String> = machine_types.iter().map(|&name| name.to_owned()).collect();
    Place::with(site, |settings| {
        settings.billing_endpoint = settings.endpoint.clone();
        settings.machine_types = types;
        settings.markets = vec![Market::OnDemand, Market::Preemptible];
    })
    .await
}

fn told(catalogue: &Catalogue) -> Vec<String> {
    let prices = catalogue.prices.iter();
    prices.map(|it| format!("{} {} {}", it.machine_type, it.market, it.nanos)).collect()
}

const N2: [&str; 2] = ["n2-standard-4 on-demand 250248000", "n2-standard-4 spot 57520000"];

#[tokio::test]
async fn prices_are_read_from_all_pages_with_our_own_login() {
    let mut site = Site::small();
    site.skus_on_a_page = 3;
    let place = place(site, &["n2-standard-4"]).await;
    let catalogue = place.provider.catalogue("USD").await.unwrap();
    assert_eq!(told(&catalogue), N2);
    assert_eq!(catalogue.left_out, []);
    assert_eq!(place.fake.requests_of("cloudbilling.services.skus.list"), 3);
    let asked = place.fake.calls();
    let asked = asked.iter().filter(|call| call.method == "cloudbilling.services.skus.list");
    let tokens: Vec<Option<&str>> = asked
        .map(|call| call.query.iter().find(|(key, _)| key == "pageToken").map(|(_, it)| &**it))
        .collect();
    assert_eq!(tokens, [None, Some("3"), Some("6")]);
}

#[tokio::test]
async fn what_is_not_in_the_catalogue_is_left_out_and_said() {
    let mut site = Site::small();
    site.skus.retain(|sku| !(sku.description.contains("E2") && sku.usage == "Preemptible"));
    site.skus.extend(SiteSku::series("N2 Custom Instance", (1, 1), (1, 1)));
    let place = place(site, &["e2-standard-2", "n2-standard-4", "n2-nowhere-4"]).await;
    let catalogue = place.provider.catalogue("USD").await.unwrap();
    assert_eq!(told(&catalogue)[1..], N2);
    assert_eq!(told(&catalogue)[0], "e2-standard-2 on-demand 86335560");
    let [spot, nowhere] = &catalogue.left_out[..] else { panic!("{catalogue:?}") };
    assert_eq!((&*spot.machine_type, spot.market), ("e2-standard-2", Market::Preemptible));
    assert!(spot.why.contains("no \"Spot Preemptible E2 Instance Core running in "), "{spot:?}");
    assert_eq!(nowhere.why, "no zone of the space has it");
}

#[tokio::test]
async fn prices_come_in_the_currency_that_is_asked_for() {
    let place = place(Site::small(), &["n2-standard-4"]).await;
    let pounds = place.provider.catalogue("GBP").await.unwrap();
    assert_eq!(told(&pounds)[0], "n2-standard-4 on-demand 200198400");
}

#[tokio::test]
async fn a_catalogue_that_cannot_be_read_to_its_end_has_no_prices() {
    let disabled = "Cloud Billing API has not been used in project 1 before or it is disabled.";
    for (trouble, kind, said) in [
        (Trouble::CutReply, ErrorKind::Unavailable, ""),
        (Trouble::LoseReply, ErrorKind::Unavailable, ""),
        (Trouble::Refuse(Refusal::proxy(502)), ErrorKind::Unavailable, "502"),
        (
            Trouble::Refuse(Refusal::new(403, "accessNotConfigured", disabled)),
            ErrorKind::AuthFailed,
            "enable the Cloud Billing API",
        ),
    ] {
        let mut site = Site::small();
        site.skus_on_a_page = 3;
        let place = place(site, &["n2-standard-4"]).await;
        place.fake.befall_after(On::Catalogue, 1, 1, trouble.clone());
        let error = place.provider.catalogue("USD").await.unwrap_err();
        assert_eq!(error.kind, kind, "{trouble:?}: {error}");
        assert!(error.to_string().contains(said), "{trouble:?}: {error}");
        assert_eq!(told(&place.provider.catalogue("USD").await.unwrap()), N2);
    }
}
