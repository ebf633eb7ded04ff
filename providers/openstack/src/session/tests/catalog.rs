//! Addresses from a real catalogue, and from catalogues as sites have them.

use serde_json::{Value, json};

use super::super::catalog::{self, Endpoints};
use super::super::token::CatalogEntry;
use super::capture;
use super::tiny::settings;
use crate::clouds::{self, Places};
use crate::session::Service;

/// What is chosen of a catalogue with these keys in the entry.
fn choose(catalog: &Value, keys: &str) -> Result<Endpoints, String> {
    let (settings, folder) = settings(&["http://k:5000"]);
    let auth = "auth: {auth_url: 'http://k:5000', token: t}";
    let file = folder.path().join("clouds.yaml");
    std::fs::write(&file, format!("clouds: {{c0: {{{auth}{keys}}}}}")).unwrap();
    let cloud = clouds::read(&settings.credentials[0], &Places::new(&[], &[])).unwrap();
    let entries: Vec<CatalogEntry> = serde_json::from_value(catalog.clone()).unwrap();
    catalog::choose(&cloud, &entries, "p1")
}

fn base(endpoints: &Endpoints, service: Service) -> String {
    endpoints.base(service).map_or_else(str::to_owned, |url| url.as_str().to_owned())
}

fn entry(kind: &str, endpoints: &[(&str, &str, &str)]) -> Value {
    let endpoint = |(interface, region, url): &(&str, &str, &str)| json!({"interface": interface, "region_id": region, "region": region, "url": url});
    json!({"type": kind, "endpoints": endpoints.iter().map(endpoint).collect::<Vec<_>>()})
}

#[test]
fn each_service_of_a_real_catalogue_has_its_address() {
    let token = capture("2026.2/003-auth-password")["response"]["body"]["token"].clone();
    let chosen = choose(&token["catalog"], "").unwrap();
    assert_eq!(chosen.region.as_deref(), Some("RegionOne"));
    for (service, address) in [
        (Service::Identity, "http://k:5000/v3"),
        (Service::Compute, "http://127.0.0.1:18774/v2.1"),
        (Service::Image, "http://127.0.0.1:19292/v2"),
        (Service::Network, "http://127.0.0.1:19696/v2.0"),
        (Service::Volume, "http://127.0.0.1:18776/v3/p1"),
    ] {
        assert_eq!(base(&chosen, service), address, "{service:?}");
    }
    assert!(chosen.base(Service::Reservation).is_err());
}

#[test]
fn region_and_interface_choose_among_the_addresses_of_a_service() {
    let catalog = json!([
        entry(
            "compute",
            &[
                ("public", "R1", "http://pub1/v2.1"),
                ("public", "R2", "http://pub2/v2.1"),
                ("internal", "R2", "http://int2/v2.1"),
            ]
        ),
        // For all regions; and one that says `publicURL`, as the second version of the API did.
        entry("image", &[("publicURL", "", "http://img"), ("internal", "", "http://img-int")]),
        entry("network", &[("public", "R1", "http://net1")]),
    ]);
    let chosen = choose(&catalog, ", region_name: R2").unwrap();
    assert_eq!(base(&chosen, Service::Compute), "http://pub2/v2.1");
    assert_eq!(base(&chosen, Service::Image), "http://img/v2");
    let missing = "the catalogue has no public network service in region 'R2' \
                   (it has: network public in R1)";
    assert_eq!(base(&chosen, Service::Network), missing);
    let chosen = choose(&catalog, ", region_name: R2, interface: internal").unwrap();
    assert_eq!(base(&chosen, Service::Compute), "http://int2/v2.1");
    assert_eq!(base(&chosen, Service::Image), "http://img-int/v2");
}

#[test]
fn cinder_is_found_under_all_its_names_and_never_in_its_old_versions() {
    let at = |kind: &str, url: &str| entry(kind, &[("public", "R", url)]);
    for (catalog, address) in [
        (
            json!([at("block-storage", "http://new/v3"), at("volumev3", "http://v3")]),
            "http://v3/v3/p1",
        ),
        (json!([at("block-storage", "http://new/v3")]), "http://new/v3/p1"),
        (
            json!([at("volume", "http://old/v1/p1"), at("block-store", "http://b")]),
            "http://b/v3/p1",
        ),
        (json!([at("volume", "http://h/volume/v3/p1")]), "http://h/volume/v3/p1"),
    ] {
        let chosen = choose(&catalog, "").unwrap();
        assert_eq!(base(&chosen, Service::Volume), address);
    }
    let old = choose(&json!([at("volume", "http://old/v2/p1")]), "").unwrap();
    assert!(old.base(Service::Volume).is_err());
}

#[test]
fn an_address_given_by_hand_goes_before_the_catalogue_and_needs_no_region() {
    let catalog = json!([entry("image", &[("public", "R", "http://img")])]);
    let keys = ", compute_endpoint_override: 'http://mine:1/v2.1/', region_name: Elsewhere";
    let chosen = choose(&catalog, keys).unwrap();
    assert_eq!(base(&chosen, Service::Compute), "http://mine:1/v2.1");
}
