//! Flavours: what can be bought. Flavour × configured zone; without zones the cloud chooses one.
//!
//! A price is never told by Nova, so it is `Unknown`: whether a site bills is for the configuration
//! to say.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use vcycle_api::{
    Attached, Availability, Disk, Market, Megabytes, Offering, OfferingId, Price, Processors,
    ProviderError,
};

use crate::Settings;
use crate::session::{Call, Service};
use crate::site::Site;

const LIST: &str = "list flavours";

/// How long names and ids of flavours are remembered. They change when an admin works on them.
const LIFETIME: Duration = Duration::from_secs(600);

/// How soon a flavour that we do not know is looked for again.
const AGAIN: Duration = Duration::from_secs(60);

/// Flavours asked for in one page. Few sites have as many.
const PAGE: u32 = 1000;

/// A flavour, as Nova lists it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Flavor {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) vcpus: u32,
    /// MiB.
    pub(crate) ram: u64,
    /// GiB of the root disk; 0: as big as the image, or none.
    #[serde(default)]
    pub(crate) disk: u64,
    #[serde(default, rename = "OS-FLV-DISABLED:disabled")]
    disabled: bool,
}

/// The flavours of a site that we may use, private ones of the project included.
#[derive(Debug, Default)]
pub(crate) struct FlavorTable {
    flavors: Vec<Flavor>,
    by_id: HashMap<String, usize>,
    by_name: HashMap<String, usize>,
}

impl FlavorTable {
    pub(crate) fn new(flavors: Vec<Flavor>) -> Self {
        let places = |key: fn(&Flavor) -> &String| {
            flavors.iter().enumerate().map(|(at, flavor)| (key(flavor).clone(), at)).collect()
        };
        Self { by_id: places(|flavor| &flavor.id), by_name: places(|flavor| &flavor.name), flavors }
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<&Flavor> {
        self.by_id.get(id).and_then(|at| self.flavors.get(*at))
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<&Flavor> {
        self.by_name.get(name).and_then(|at| self.flavors.get(*at))
    }
}

/// What can be bought. Pure.
pub(crate) fn offerings_of(table: &FlavorTable, settings: &Settings) -> Vec<Offering> {
    let anywhere = [String::new()];
    let zones = if settings.zones.is_empty() { &anywhere[..] } else { &settings.zones[..] };
    let usable = table.flavors.iter().filter(|flavor| is_usable(flavor, settings));
    usable
        .flat_map(|flavor| zones.iter().map(move |zone| offering(flavor, zone, settings)))
        .collect()
}

/// A flavour of no size cannot hold a machine. Members may boot one without a disk only from a volume
/// (policy `os_compute_api:servers:create:zero_disk_flavor`).
fn is_usable(flavor: &Flavor, settings: &Settings) -> bool {
    !flavor.disabled
        && flavor.vcpus > 0
        && flavor.ram > 0
        && (flavor.disk > 0 || settings.boot_volume.is_some())
}

fn offering(flavor: &Flavor, zone: &str, settings: &Settings) -> Offering {
    Offering {
        id: OfferingId {
            flavour: flavor.name.clone(),
            zone: zone.to_owned(),
            market: market_of(&flavor.name, settings),
        },
        processors: Processors(flavor.vcpus),
        memory: Megabytes(flavor.ram),
        attached: attached(Processors(flavor.vcpus), settings),
        price: Price::Unknown,
        availability: Availability::Available,
    }
}

/// The volumes that are made with a machine; a larger image makes a larger one to boot from. The disk of the flavour is
/// part of it, and addresses are those of the site's networks.
fn attached(processors: Processors, settings: &Settings) -> Attached {
    let boot = settings.boot_volume.as_ref();
    let boot =
        boot.map(|volume| Disk { gb: Some(volume.gb.into()), kind: volume.volume_type.clone() });
    let data = settings.data_volume.as_ref();
    let data = data.map(|volume| Disk {
        gb: Some(u64::from(volume.gb_per_processor) * u64::from(processors.0)),
        kind: volume.volume_type.clone(),
    });
    Attached { disks: boot.into_iter().chain(data).collect(), public_addresses: 0 }
}

/// Nova has no word for it: the site says which flavours it takes back.
pub(crate) fn market_of(flavor: &str, settings: &Settings) -> Market {
    let marked = settings.preemptible.iter().flat_map(|preemptible| &preemptible.flavors);
    match marked.into_iter().any(|name| name == flavor) {
        true => Market::Preemptible,
        false => Market::OnDemand,
    }
}

async fn read(site: &Site) -> Result<FlavorTable, ProviderError> {
    let dialect = site.dialect().await?;
    let call = Call::get(Service::Compute, "/flavors/detail", LIST);
    let call = dialect.say(call.with_query("limit", PAGE.to_string()));
    let flavors = site.session.pages::<Flavor>(call, "flavors").await;
    flavors.map(FlavorTable::new).map_err(|failure| failure.of_read())
}

/// What can be bought now, asked now.
pub(crate) async fn offerings(site: &Site) -> Result<Vec<Offering>, ProviderError> {
    let table = read(site).await?;
    let offerings = offerings_of(&table, &site.settings);
    site.flavors.put(table).await;
    Ok(offerings)
}

/// The flavours in which `wanted` can be looked up, asked again (not too often) when it is not there.
pub(crate) async fn table_with(
    site: &Site,
    has_all: impl Fn(&FlavorTable) -> bool,
) -> Result<Arc<FlavorTable>, ProviderError> {
    let table = site.flavors.younger_than(LIFETIME, read(site)).await?;
    if has_all(&table) {
        return Ok(table);
    }
    site.flavors.younger_than(AGAIN, read(site)).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::compute::captured;
    use crate::{BootVolume, CloudRef, Credential, DataVolume, Preemptible};

    fn settings() -> Settings {
        Settings::new(Credential { cloud: CloudRef::Environment, region: None, interface: None })
    }

    fn recorded(name: &str) -> FlavorTable {
        let flavors = captured::body(name)["flavors"].take();
        FlavorTable::new(serde_json::from_value(flavors).unwrap())
    }

    fn names(offerings: &[Offering]) -> Vec<String> {
        offerings.iter().map(|offering| offering.id.to_string()).collect()
    }

    #[test]
    fn recorded_flavours_are_offered_alike_in_old_and_new_versions() {
        let old = offerings_of(&recorded("032-flavors-detail"), &settings());
        let new = offerings_of(&recorded("033-flavors-detail-mv290"), &settings());
        assert_eq!(old, new);
        assert_eq!(names(&new), ["lab.c1", "lab.c2", "lab.c4", "lab.c8", "lab.nohost"]);
        assert_eq!((new[2].processors, new[2].memory), (Processors(4), Megabytes(8192)));
        assert!(new.iter().all(|offering| offering.price == Price::Unknown));
        assert!(new.iter().all(|offering| offering.attached == Attached::default()));
    }

    #[test]
    fn volumes_are_told_with_the_machine_that_they_are_made_for() {
        let mut settings = settings();
        settings.boot_volume = Some(BootVolume { gb: 20, volume_type: None });
        let fast = Some("fast".to_owned());
        settings.data_volume = Some(DataVolume { gb_per_processor: 15, volume_type: fast.clone() });
        let boot = Disk { gb: Some(20), kind: None };
        let told = attached(Processors(4), &settings);
        assert_eq!(told.disks, [boot, Disk { gb: Some(60), kind: fast }]);
        assert_eq!(told.public_addresses, 0);
    }

    #[test]
    fn each_flavour_is_offered_in_each_zone_and_marked_where_the_site_takes_it_back() {
        let mut settings = settings();
        settings.zones = vec!["a".to_owned(), "b c".to_owned()];
        let guaranteed = Duration::from_secs(1);
        settings.preemptible = Some(Preemptible { flavors: vec!["spot".to_owned()], guaranteed });
        let flavor =
            |name: &str| json!({ "id": name, "name": name, "vcpus": 1, "ram": 1, "disk": 1 });
        let flavors = serde_json::from_value(json!([flavor("spot"), flavor("own")])).unwrap();
        let offered = names(&offerings_of(&FlavorTable::new(flavors), &settings));
        let wanted = ["spot/a/preemptible", "spot/b c/preemptible", "own/a", "own/b c"];
        assert_eq!(offered, wanted);
    }

    #[test]
    fn a_flavour_that_no_machine_can_be_made_of_is_not_offered() {
        let flavors = json!([
            { "id": "1", "name": "good", "vcpus": 1, "ram": 512, "disk": 10 },
            { "id": "2", "name": "no disk", "vcpus": 1, "ram": 512, "disk": 0 },
            { "id": "3", "name": "no memory", "vcpus": 1, "ram": 0, "disk": 10 },
            { "id": "4", "name": "disabled", "vcpus": 1, "ram": 512, "disk": 10,
              "OS-FLV-DISABLED:disabled": true },
        ]);
        let table = FlavorTable::new(serde_json::from_value(flavors).unwrap());
        let mut settings = settings();
        assert_eq!(names(&offerings_of(&table, &settings)), ["good"]);
        settings.boot_volume = Some(BootVolume { gb: 5, volume_type: None });
        assert_eq!(names(&offerings_of(&table, &settings)), ["good", "no disk"]);
    }
}
