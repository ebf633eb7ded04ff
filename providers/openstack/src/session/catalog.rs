//! From a catalogue to one address for each service: region, interface, aliases.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use super::Service;
use super::token::{CatalogEntry, Endpoint};
use crate::clouds::Cloud;

/// The addresses that one login gives.
#[derive(Debug)]
pub(super) struct Endpoints {
    /// The region they are in, if there are regions.
    pub(super) region: Option<String>,
    bases: BTreeMap<Service, Result<Url, String>>,
}

impl Endpoints {
    /// The base of a service's calls; else why there is none.
    pub(super) fn base(&self, service: Service) -> Result<&Url, &str> {
        match self.bases.get(&service) {
            Some(Ok(url)) => Ok(url),
            Some(Err(why)) => Err(why),
            None => Err("not looked for in the catalogue"),
        }
    }
}

/// Chooses. The error, for people: several regions and none chosen, or no such region.
pub(super) fn choose(
    cloud: &Cloud,
    catalog: &[CatalogEntry],
    project_id: &str,
) -> Result<Endpoints, String> {
    let region = region(cloud, catalog)?;
    let bases = Service::ALL.map(|service| {
        let base = match (service, cloud.overrides.get(&service)) {
            (Service::Volume | Service::Rating, Some(given)) => {
                Ok(service.base(given.clone(), project_id))
            }
            (_, Some(given)) => Ok(trimmed(given.clone())),
            // Where we logged in is reached for certain; what the catalogue says may not be.
            (Service::Identity, None) => Ok(trimmed(cloud.auth_url.clone())),
            (_, None) => listed(cloud, catalog, service, region.as_deref())
                .map(|url| service.base(url, project_id)),
        };
        (service, base)
    });
    Ok(Endpoints { region, bases: bases.into_iter().collect() })
}

fn trimmed(mut url: Url) -> Url {
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    url
}

/// The region: the chosen one, else the only one. The last of several, as the ancestor took, may be
/// anybody's.
fn region(cloud: &Cloud, catalog: &[CatalogEntry]) -> Result<Option<String>, String> {
    let of = |kinds: &[&str]| -> BTreeSet<&str> {
        let entries = catalog.iter().filter(|entry| kinds.contains(&entry.kind.as_str()));
        entries.flat_map(|entry| &entry.endpoints).filter_map(Endpoint::region).collect()
    };
    let regions = of(Service::Compute.types());
    let list = || regions.iter().copied().collect::<Vec<_>>().join(", ");
    match &cloud.region {
        Some(chosen)
            if regions.is_empty()
                || regions.contains(chosen.as_str())
                || cloud.overrides.contains_key(&Service::Compute) =>
        {
            Ok(Some(chosen.clone()))
        }
        Some(chosen) => {
            Err(format!("region '{chosen}' is not in the catalogue (regions: {})", list()))
        }
        None if regions.len() > 1 => {
            Err(format!("the catalogue has several regions ({}): choose one", list()))
        }
        None => Ok(regions.first().map(|&only| only.to_owned())),
    }
}

fn listed(
    cloud: &Cloud,
    catalog: &[CatalogEntry],
    service: Service,
    region: Option<&str>,
) -> Result<Url, String> {
    let mut seen = Vec::new();
    for kind in service.types() {
        let entries = catalog.iter().filter(|entry| entry.kind == *kind);
        let here: Vec<&Endpoint> = entries.flat_map(|entry| &entry.endpoints).collect();
        let fits = |endpoint: &&&Endpoint| {
            let interface = endpoint.interface.strip_suffix("URL").unwrap_or(&endpoint.interface);
            interface == cloud.interface && usable(service, &endpoint.url)
        };
        let in_region = |e: &&&Endpoint| region.is_none() || e.region() == region;
        // An endpoint without a region serves them all.
        let found = here.iter().filter(fits).find(in_region);
        let found = found.or_else(|| here.iter().filter(fits).find(|e| e.region().is_none()));
        if let Some(endpoint) = found {
            let bad = |_| format!("the catalogue's address of {kind} is no URL");
            return Url::parse(&endpoint.url).map_err(bad);
        }
        seen.extend(
            here.iter().map(|e| {
                format!("{kind} {} in {}", e.interface, e.region().unwrap_or("no region"))
            }),
        );
    }
    let name = service.types()[0];
    let place = region.map_or(String::new(), |region| format!(" in region '{region}'"));
    let seen = if seen.is_empty() { kinds(catalog) } else { seen.join(", ") };
    Err(format!("the catalogue has no {} {name} service{place} (it has: {seen})", cloud.interface))
}

/// The type `volume` alone may mean Cinder's first version, which is another service.
fn usable(service: Service, url: &str) -> bool {
    service != Service::Volume || !(url.contains("/v1") || url.contains("/v2"))
}

fn kinds(catalog: &[CatalogEntry]) -> String {
    let kinds: BTreeSet<&str> = catalog.iter().map(|entry| entry.kind.as_str()).collect();
    kinds.into_iter().collect::<Vec<_>>().join(", ")
}
