//! Flavours: what can be bought. Flavour × configured zone; without zones the cloud chooses one.
//!
//! A price is never told by Nova, so it is `Unknown`: whether a site bills is for the configuration
//! to say.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use vcycle_api::{
    Availability, Market, Megabytes, Offering, OfferingId, Price, Processors, ProviderError,
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
        price: Price::Unknown,
        availability: Availability::Available,
    }
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
