//! What an insert asks for, and whether it may.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use vcycle_api::Market;

use super::{Call, Then};
use crate::testing::reply::{self, Reply};
use crate::testing::site::{SiteImage, SiteMachineType};
use crate::testing::words::{after, last};
use crate::testing::world::World;

/// Bytes of one value of the metadata (`Metadata.items.value` in Google's description).
const VALUE_BYTES: usize = 262_144;
/// Bytes of all metadata of an instance (cloud.google.com/compute/docs/metadata/overview).
const METADATA_BYTES: usize = 512 * 1024;
/// Labels of one resource (cloud.google.com/compute/docs/labeling-resources).
const LABELS: usize = 64;
/// Shortest and longest `maxRunDuration` (cloud.google.com/compute/docs/instances/limit-vm-runtime).
const LIMITS: std::ops::RangeInclusive<u64> = 30..=120 * 86_400;

/// A disk to be made with the machine.
#[derive(Debug, Clone)]
pub(crate) struct WantedDisk {
    pub(crate) name: String,
    pub(crate) device: String,
    pub(crate) boot: bool,
    pub(crate) auto_delete: bool,
    pub(crate) gb: u32,
    pub(crate) kind: String,
    pub(crate) image: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
}

impl WantedDisk {
    /// A plain boot disk that goes with its machine.
    pub(crate) fn boot(machine: &str, labels: BTreeMap<String, String>) -> Self {
        Self {
            name: machine.to_owned(),
            device: "persistent-disk-0".to_owned(),
            boot: true,
            auto_delete: true,
            gb: 10,
            kind: "pd-standard".to_owned(),
            image: None,
            labels,
        }
    }
}

/// What an insert asks for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) machine_type: SiteMachineType,
    pub(crate) disks: Vec<WantedDisk>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) market: Market,
    pub(crate) action: Then,
    pub(crate) limit: Option<Duration>,
    pub(crate) wants_external: bool,
}

/// Reads and checks the body of an insert.
pub(crate) fn wanted(world: &World, call: &Call) -> Result<Wanted, Reply> {
    let body = &call.body;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = text(&body["name"]);
    let zone = call.name("zone");
    let (market, action, limit) = scheduling(&body["scheduling"])?;
    let disks = body["disks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let disks: Vec<WantedDisk> = disks
        .iter()
        .enumerate()
        .map(|(place, disk)| wanted_disk(world, zone, &name, place, disk))
        .collect::<Result<_, _>>()?;
    if disks.iter().filter(|disk| disk.boot).count() != 1 {
        let why = "At least one disk should be specified, and exactly one as boot disk.";
        return Err(reply::invalid("resource.disks", "", why));
    }
    Ok(Wanted {
        machine_type: machine_type(world, zone, &text(&body["machineType"]))?,
        labels: labels(&body["labels"], "resource.labels")?,
        metadata: metadata(&body["metadata"])?,
        wants_external: interfaces(world, &body["networkInterfaces"])?,
        disks,
        market,
        action,
        limit,
    })
}

fn machine_type(world: &World, zone: &str, url: &str) -> Result<SiteMachineType, Reply> {
    let field = "resource.machineType";
    if after(url, "zones") != Some(zone) || after(url, "machineTypes").is_none() {
        return Err(reply::invalid(field, url, "The URL is malformed."));
    }
    let found = world.site.machine_types.iter().find(|one| one.name == last(url));
    let why = format!("Machine type with name '{}' does not exist in zone '{zone}'.", last(url));
    found.cloned().ok_or_else(|| reply::invalid(field, url, &why))
}

/// The image of a URL: a name, or the newest of a family.
pub(crate) fn image<'a>(world: &'a World, url: &str) -> Option<&'a SiteImage> {
    let project = after(url, "projects").unwrap_or(&world.site.project);
    let mut own = world.site.images.iter().filter(|image| image.project == project);
    match after(url, "family") {
        Some(family) => own.rfind(|image| image.family.as_deref() == Some(family)),
        None => own.find(|image| image.name == last(url)),
    }
}

fn wanted_disk(
    world: &World,
    zone: &str,
    machine: &str,
    place: usize,
    disk: &Value,
) -> Result<WantedDisk, Reply> {
    let parameters = &disk["initializeParams"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let field = |name: &str| format!("resource.disks[{place}].initializeParams.{name}");
    let url = text(&parameters["sourceImage"]);
    let found = url.as_deref().map(|url| (url, image(world, url)));
    if let Some((url, None)) = found {
        let why = "The referenced image resource cannot be found.";
        return Err(reply::invalid(&field("sourceImage"), url, why));
    }
    let image = found.and_then(|(_, image)| image);
    let least = image.map_or(10, |image| image.gb);
    let size = text(&parameters["diskSizeGb"]);
    let gb = size.as_deref().and_then(|size| size.parse().ok()).unwrap_or(least);
    if gb < least {
        let why = format!("Requested disk size cannot be smaller than the image size ({least} GB)");
        return Err(reply::invalid(&field("diskSizeGb"), &gb.to_string(), &why));
    }
    let kind = text(&parameters["diskType"]);
    if let Some(url) = kind.as_deref()
        && after(url, "zones").is_some_and(|other| other != zone)
    {
        let why = "The URL is of another zone.";
        return Err(reply::invalid(&field("diskType"), url, why));
    }
    let plain = match place {
        0 => machine.to_owned(),
        _ => format!("{machine}-{place}"),
    };
    Ok(WantedDisk {
        name: text(&parameters["diskName"]).unwrap_or(plain),
        device: text(&disk["deviceName"]).unwrap_or_else(|| format!("persistent-disk-{place}")),
        boot: disk["boot"] == true,
        auto_delete: disk["autoDelete"] == true,
        gb,
        kind: kind.map_or("pd-standard".to_owned(), |url| last(&url).to_owned()),
        image: image
            .map(|image| format!("projects/{}/global/images/{}", image.project, image.name)),
        labels: labels(&parameters["labels"], &field("labels"))?,
    })
}

/// Whether an external address is wanted; both kinds of network must exist.
fn interfaces(world: &World, all: &Value) -> Result<bool, Reply> {
    let all = all.as_array().map(Vec::as_slice).unwrap_or_default();
    if all.is_empty() {
        let why = "At least one network interface is required.";
        return Err(reply::invalid("resource.networkInterfaces", "", why));
    }
    for interface in all {
        let why = "The referenced network resource cannot be found.";
        if let Some(url) = interface["network"].as_str()
            && !world.site.networks.iter().any(|network| network == last(url))
        {
            return Err(reply::invalid("resource.networkInterfaces[0].network", url, why));
        }
        let why = "The referenced subnetwork resource cannot be found.";
        if let Some(url) = interface["subnetwork"].as_str()
            && !world.site.subnetworks.iter().any(|one| one.name == last(url))
        {
            return Err(reply::invalid("resource.networkInterfaces[0].subnetwork", url, why));
        }
    }
    let external = |one: &Value| one["accessConfigs"].as_array().is_some_and(|all| !all.is_empty());
    Ok(all.iter().any(external))
}

fn scheduling(value: &Value) -> Result<(Market, Then, Option<Duration>), Reply> {
    let field = |name: &str| format!("resource.scheduling.{name}");
    let preemptible = value["preemptible"] == true;
    let spot = value["provisioningModel"] == "SPOT";
    if spot || preemptible {
        // cloud.google.com/compute/docs/instances/create-use-spot: neither restarted nor moved.
        if value["automaticRestart"] == true {
            let why = "Scheduling must have preemptible be false when automatic restart is true.";
            return Err(reply::invalid(&field("preemptible"), "true", why));
        }
        if value["onHostMaintenance"] == "MIGRATE" {
            let why = "Scheduling must have on host maintenance as TERMINATE when preemptible.";
            return Err(reply::invalid(&field("onHostMaintenance"), "MIGRATE", why));
        }
    }
    let limit = match value["maxRunDuration"]["seconds"].as_str() {
        None => None,
        Some(text) => {
            let seconds = text.parse::<u64>().ok().filter(|seconds| LIMITS.contains(seconds));
            let why = "Max run duration must be between 30 seconds and 120 days.";
            let seconds = seconds
                .ok_or_else(|| reply::invalid(&field("maxRunDuration.seconds"), text, why))?;
            Some(Duration::from_secs(seconds))
        }
    };
    let action = value["instanceTerminationAction"].as_str();
    if action.is_some() && !spot && limit.is_none() {
        let why = "Instance termination action needs a spot machine or a limit of its time.";
        let given = action.unwrap_or_default();
        return Err(reply::invalid(&field("instanceTerminationAction"), given, why));
    }
    let market = if spot || preemptible { Market::Preemptible } else { Market::OnDemand };
    let then = if action == Some("DELETE") { Then::Goes } else { Then::Rests };
    Ok((market, then, limit))
}

fn may_stand_in_label(c: char) -> bool {
    matches!(c, '-' | '_') || c.is_numeric() || (c.is_alphabetic() && !c.is_uppercase())
}

/// Labels: their number, letters and lengths (cloud.google.com/compute/docs/labeling-resources).
pub(crate) fn labels(value: &Value, field: &str) -> Result<BTreeMap<String, String>, Reply> {
    let map = value.as_object().cloned().unwrap_or_default();
    if map.len() > LABELS {
        let why = "Too many labels: the limit is 64.";
        return Err(reply::invalid(field, &map.len().to_string(), why));
    }
    let mut labels = BTreeMap::new();
    for (key, value) in map {
        let value = value.as_str().unwrap_or_default().to_owned();
        let good_key = key.starts_with(|c: char| c.is_alphabetic())
            && key.chars().count() <= 63
            && key.chars().all(may_stand_in_label);
        if !good_key {
            return Err(reply::invalid(field, &key, "Label keys must match the rules."));
        }
        if value.chars().count() > 63 || !value.chars().all(may_stand_in_label) {
            return Err(reply::invalid(field, &value, "Label values must match the rules."));
        }
        labels.insert(key, value);
    }
    Ok(labels)
}

/// Metadata: keys once each, values and sum within their limits.
pub(crate) fn metadata(value: &Value) -> Result<Vec<(String, String)>, Reply> {
    let field = "resource.metadata";
    let items = value["items"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all: Vec<(String, String)> =
        items.iter().map(|item| (text(&item["key"]), text(&item["value"]))).collect();
    let keys: BTreeSet<&String> = all.iter().map(|(key, _)| key).collect();
    if keys.len() != all.len() {
        return Err(reply::invalid(field, "", "Metadata has duplicate keys."));
    }
    if let Some((key, value)) = all.iter().find(|(_, value)| value.len() > VALUE_BYTES) {
        let why =
            format!("Value of {} bytes is too large: maximum size 262144 bytes.", value.len());
        return Err(reply::invalid(&format!("{field}.items[{key}].value"), "", &why));
    }
    if all.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > METADATA_BYTES {
        return Err(reply::invalid(field, "", "Metadata is too large: maximum size 512 KB."));
    }
    Ok(all)
}
