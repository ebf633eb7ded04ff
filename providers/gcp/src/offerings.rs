//! What can be bought: the machine types of the settings, in each zone that has them, in each market of the settings;
//! in the order of the settings. Prices are not Google's to tell here.

use std::collections::BTreeMap;
use std::sync::Arc;

use google_cloud_compute_v1::model::{MachineType, deprecation_status};
use vcycle_api::{
    Attached, Availability, Disk, Megabytes, Offering, OfferingId, Price, Processors, ProviderError,
};

use crate::call::Call;
use crate::failure::Failure;
use crate::instance::size_by_name;
use crate::meaning::{Attempt, error};
use crate::memory::Size;
use crate::session::Clients;
use crate::settings::{BootDisk, ExternalAddress, Settings};
use crate::site::Site;

/// What can be bought now.
pub(crate) async fn offerings(site: &Site) -> Result<Vec<Offering>, ProviderError> {
    let mut by_zone = Vec::new();
    for zone in site.zones().await? {
        let sizes = sizes(site, &zone).await;
        let sizes = sizes.map_err(|failure| error(&failure, Attempt::Read, site.clock()))?;
        site.memory().sizes.extend(sizes.clone());
        by_zone.push((zone, sizes));
    }
    let mut offerings = Vec::new();
    for flavour in &site.settings().machine_types {
        for (zone, sizes) in &by_zone {
            let Some(size) = sizes.get(flavour) else { continue };
            for market in &site.settings().markets {
                let id =
                    OfferingId { flavour: flavour.clone(), zone: zone.clone(), market: *market };
                offerings.push(offering(id, *size, site.settings()));
            }
        }
    }
    Ok(offerings)
}

fn offering(id: OfferingId, size: Size, settings: &Settings) -> Offering {
    Offering {
        id,
        processors: size.processors,
        memory: size.memory,
        attached: attached(size.processors, settings),
        price: Price::Unknown,
        availability: Availability::Available,
    }
}

/// The disk that it boots from, and an external address where one is wanted. A larger image makes a larger disk.
fn attached(processors: Processors, settings: &Settings) -> Attached {
    let BootDisk { disk_type, .. } = &settings.boot_disk;
    let boot = Disk { gb: settings.boot_disk.size(processors), kind: disk_type.clone() };
    let public_addresses = match settings.external_address {
        ExternalAddress::Yes => 1,
        ExternalAddress::No => 0,
    };
    Attached { disks: vec![boot], public_addresses }
}

/// The sizes of our machine types that a zone has.
pub(crate) async fn sizes(site: &Site, zone: &str) -> Result<BTreeMap<String, Size>, Failure> {
    let wanted = &site.settings().machine_types;
    // Custom types are in no list; any zone has them that has their family.
    let mut sizes: BTreeMap<String, Size> =
        wanted.iter().filter_map(|name| Some((name.clone(), size_by_name(name)?))).collect();
    let listed: Vec<&String> = wanted.iter().filter(|name| !sizes.contains_key(*name)).collect();
    if listed.is_empty() {
        return Ok(sizes);
    }
    let mut token = None;
    loop {
        let (project, place) = (site.session.project(), zone.to_owned());
        let (filter, page) = (filter(&listed), token.take());
        let ask = |clients: Arc<Clients>| async move {
            let types = clients.machine_types().await?;
            let request = types.list().set_project(project).set_zone(place).set_filter(filter);
            Ok(request.set_max_results(500_u32).set_or_clear_page_token(page).send().await?)
        };
        let list = site.session.call(Call::ListMachineTypes, ask).await?;
        let found = list.items.iter().filter(|it| is_sold(it));
        let found = found.filter_map(|it| Some((it.name.clone()?, size(it)?)));
        sizes.extend(found.filter(|(name, _)| listed.contains(&name)));
        token = list.next_page_token.filter(|token| !token.is_empty());
        if token.is_none() {
            return Ok(sizes);
        }
    }
}

/// <https://cloud.google.com/compute/docs/reference/rest/v1/machineTypes/list>: expressions joined by `OR`.
fn filter(names: &[&String]) -> String {
    let each: Vec<String> = names.iter().map(|name| format!("(name = \"{name}\")")).collect();
    each.join(" OR ")
}

fn is_sold(kind: &MachineType) -> bool {
    use deprecation_status::State;
    let state = kind.deprecated.as_ref().and_then(|it| it.state.as_ref());
    !matches!(state, Some(State::Obsolete | State::Deleted))
}

fn size(kind: &MachineType) -> Option<Size> {
    let processors = u32::try_from(kind.guest_cpus?).ok().filter(|&it| it > 0)?;
    let memory = u64::try_from(kind.memory_mb?).ok().filter(|&it| it > 0)?;
    Some(Size { processors: Processors(processors), memory: Megabytes(memory) })
}

#[cfg(test)]
mod tests {
    use google_cloud_compute_v1::model::DeprecationStatus;

    use super::*;

    #[test]
    fn several_types_are_asked_for_at_once() {
        let names = ["n2-standard-4".to_owned(), "e2-standard-8".to_owned()];
        let names: Vec<&String> = names.iter().collect();
        assert_eq!(filter(&names), r#"(name = "n2-standard-4") OR (name = "e2-standard-8")"#);
    }

    #[test]
    fn what_is_paid_for_besides_is_told_as_far_as_it_is_known() {
        let told = |settings: &Settings| attached(Processors(4), settings);
        let mut settings = Settings::new("p", "europe-west2", &["n1"]);
        let by_image = Disk { gb: None, kind: None };
        assert_eq!(told(&settings), Attached { disks: vec![by_image], public_addresses: 0 });
        let disk_type = Some("pd-balanced".to_owned());
        settings.boot_disk = BootDisk { gb: Some(50), gb_per_processor: Some(20), disk_type };
        settings.external_address = ExternalAddress::Yes;
        let boot = Disk { gb: Some(80), kind: Some("pd-balanced".to_owned()) };
        assert_eq!(told(&settings), Attached { disks: vec![boot], public_addresses: 1 });
    }

    #[test]
    fn a_type_without_a_size_or_past_its_time_is_not_sold() {
        let kind = MachineType::new().set_name("n1").set_guest_cpus(4).set_memory_mb(15_360);
        assert!(is_sold(&kind) && size(&kind).is_some());
        assert_eq!(size(&kind.clone().set_guest_cpus(0)), None);
        let status = DeprecationStatus::new().set_state(deprecation_status::State::Obsolete);
        assert!(!is_sold(&kind.set_deprecated(status)));
    }
}
