//! What is there before any machine: project, regions, zones, machine types, images, networks.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vcycle_api::Timestamp;

use super::list::{self, Row};
use super::{Call, Place, aggregate, quota, wanted};
use crate::testing::reply::{self, Answer};
use crate::testing::site::{SiteImage, SiteMachineType, SiteSubnetwork};
use crate::testing::words;
use crate::testing::world::World;

/// When everything here was made.
const MADE: Timestamp = Timestamp::from_secs(1_577_836_800);

fn number_of(name: &str) -> u64 {
    let spread = |sum: u64, byte: u8| sum.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, spread) >> 1
}

/// What every resource has.
fn resource(world: &World, kind: &str, path: &str) -> Value {
    json!({
        "kind": kind,
        "id": number_of(path).to_string(),
        "name": words::last(path),
        "creationTimestamp": words::written(MADE),
        "selfLink": world.url(path),
    })
}

fn own(world: &World, path: &str) -> String {
    format!("projects/{}/{path}", world.site.project)
}

/// One of a list, or 404.
fn one(call: &Call, found: Option<Value>) -> Answer {
    found.ok_or_else(|| reply::not_found(&call.ask.path.join("/")))
}

fn listed(world: &World, call: &Call, names: (&str, &str), all: Vec<Value>) -> Answer {
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let all: BTreeMap<Place, Value> =
        all.into_iter().map(|value| (Place::new("", name(&value)), value)).collect();
    let rows = all.iter().map(|(place, resource)| Row { place, made: MADE, resource });
    let page = list::page(call, names.0, rows, |row| row.resource.clone())?;
    Ok(list::plain(world, call, names.1, page))
}

/// `projects.get`
pub(crate) fn project(world: &World) -> Value {
    let path = format!("projects/{}", world.site.project);
    let mut all = resource(world, "compute#project", &path);
    all["id"] = json!(world.site.project_number.to_string());
    let mut metadata = json!({ "kind": "compute#metadata" });
    metadata["fingerprint"] = json!(words::fingerprint(world.site.project_number, 1));
    all["commonInstanceMetadata"] = metadata;
    all["defaultServiceAccount"] =
        json!(format!("{}-compute@developer.gserviceaccount.com", world.site.project_number));
    all["xpnProjectStatus"] = json!("UNSPECIFIED_XPN_PROJECT_STATUS");
    all
}

fn region(world: &World) -> Value {
    let path = own(world, &format!("regions/{}", world.site.region));
    let mut all = resource(world, "compute#region", &path);
    all["status"] = json!("UP");
    let zones = world.site.zones.iter();
    all["zones"] = zones.map(|zone| world.url(&own(world, &format!("zones/{zone}")))).collect();
    let quotas = world.site.quotas.iter().map(|quota| {
        let usage = quota::used(&world.site, &world.compute, &quota.metric);
        json!({ "metric": quota.metric, "limit": quota.limit, "usage": usage })
    });
    all["quotas"] = quotas.collect();
    all
}

/// `regions.get`
pub(crate) fn region_get(world: &World, call: &Call) -> Answer {
    one(call, (call.name("region") == world.site.region).then(|| region(world)))
}

/// `regions.list`
pub(crate) fn regions(world: &World, call: &Call) -> Answer {
    listed(world, call, ("Region", "compute#regionList"), vec![region(world)])
}

fn zone(world: &World, name: &str) -> Value {
    let mut all = resource(world, "compute#zone", &own(world, &format!("zones/{name}")));
    let down = world.compute.down.contains_key(name);
    all["status"] = json!(if down { "DOWN" } else { "UP" });
    let region = own(world, &format!("regions/{}", world.site.region));
    all["region"] = json!(world.url(&region));
    all
}

/// `zones.get`
pub(crate) fn zone_get(world: &World, call: &Call) -> Answer {
    let found = world.site.zones.iter().find(|zone| *zone == call.name("zone"));
    one(call, found.map(|name| zone(world, name)))
}

/// `zones.list`
pub(crate) fn zones(world: &World, call: &Call) -> Answer {
    let all = world.site.zones.iter().map(|name| zone(world, name)).collect();
    listed(world, call, ("Zone", "compute#zoneList"), all)
}

fn machine_type(world: &World, zone: &str, one: &SiteMachineType) -> Value {
    let path = own(world, &format!("zones/{zone}/machineTypes/{}", one.name));
    let mut all = resource(world, "compute#machineType", &path);
    all["guestCpus"] = json!(one.cpus);
    all["memoryMb"] = json!(one.memory_mb);
    all["isSharedCpu"] = json!(false);
    all["maximumPersistentDisks"] = json!(128);
    all["maximumPersistentDisksSizeGb"] = json!("263168");
    all["zone"] = json!(zone);
    all["architecture"] = json!("X86_64");
    all["description"] = json!(format!("{} vCPUs, {} GB RAM", one.cpus, one.memory_mb / 1024));
    all
}

/// `machineTypes.get`
pub(crate) fn machine_type_get(world: &World, call: &Call) -> Answer {
    let zone = call.name("zone");
    let found = world.site.machine_types.iter().find(|one| one.name == call.name("machineType"));
    one(call, found.map(|one| machine_type(world, zone, one)))
}

/// `machineTypes.list` and `machineTypes.aggregatedList`
pub(crate) fn machine_types(world: &World, call: &Call) -> Answer {
    let types = &world.site.machine_types;
    if let Some(zone) = call.names.get("zone") {
        let all = types.iter().map(|one| machine_type(world, zone, one)).collect();
        return listed(world, call, ("MachineType", "compute#machineTypeList"), all);
    }
    let mut all = BTreeMap::new();
    for zone in &world.site.zones {
        for one in types {
            all.insert(Place::new(zone, &one.name), machine_type(world, zone, one));
        }
    }
    let names = ("MachineType", "compute#machineTypeAggregatedList", "machineTypes");
    aggregate::everywhere(world, call, names, &all)
}

/// Types of disks, in every zone.
const DISK_TYPES: [&str; 3] = ["pd-balanced", "pd-ssd", "pd-standard"];

fn disk_type(world: &World, zone: &str, name: &str) -> Value {
    let zone = own(world, &format!("zones/{zone}"));
    let mut all = resource(world, "compute#diskType", &format!("{zone}/diskTypes/{name}"));
    all["validDiskSize"] = json!("10GB-65536GB");
    all["defaultDiskSizeGb"] = json!("100");
    all["zone"] = json!(world.url(&zone));
    all
}

/// `diskTypes.get`
pub(crate) fn disk_type_get(world: &World, call: &Call) -> Answer {
    let found = DISK_TYPES.into_iter().find(|name| *name == call.name("diskType"));
    one(call, found.map(|name| disk_type(world, call.name("zone"), name)))
}

/// `diskTypes.list` and `diskTypes.aggregatedList`
pub(crate) fn disk_types(world: &World, call: &Call) -> Answer {
    if let Some(zone) = call.names.get("zone") {
        let all = DISK_TYPES.into_iter().map(|name| disk_type(world, zone, name)).collect();
        return listed(world, call, ("DiskType", "compute#diskTypeList"), all);
    }
    let zones = world.site.zones.iter();
    let all = zones.flat_map(|zone| {
        DISK_TYPES.map(|name| (Place::new(zone, name), disk_type(world, zone, name)))
    });
    let names = ("DiskType", "compute#diskTypeAggregatedList", "diskTypes");
    aggregate::everywhere(world, call, names, &all.collect())
}

fn image(world: &World, image: &SiteImage) -> Value {
    let path = format!("projects/{}/global/images/{}", image.project, image.name);
    let mut all = resource(world, "compute#image", &path);
    all["status"] = json!("READY");
    all["diskSizeGb"] = json!(image.gb.to_string());
    all["archiveSizeBytes"] = json!("1234567890");
    all["architecture"] = json!("X86_64");
    all["sourceType"] = json!("RAW");
    all["labelFingerprint"] = json!(words::fingerprint(number_of(&path), 1));
    if let Some(family) = &image.family {
        all["family"] = json!(family);
    }
    all
}

/// `images.get` and `images.getFromFamily`
pub(crate) fn image_get(world: &World, call: &Call) -> Answer {
    // As a URL that ends in this path, `family` or not, is meant in an insert.
    let found = wanted::image(world, &call.ask.path.join("/"));
    one(call, found.map(|found| image(world, found)))
}

/// `images.list`
pub(crate) fn images(world: &World, call: &Call) -> Answer {
    let all = world.site.images.iter().filter(|image| image.project == call.name("project"));
    let all = all.map(|one| image(world, one)).collect();
    listed(world, call, ("Image", "compute#imageList"), all)
}

fn network(world: &World, name: &str) -> Value {
    let path = own(world, &format!("global/networks/{name}"));
    let mut all = resource(world, "compute#network", &path);
    all["autoCreateSubnetworks"] = json!(true);
    all["routingConfig"] = json!({ "routingMode": "REGIONAL" });
    all
}

/// `networks.get`
pub(crate) fn network_get(world: &World, call: &Call) -> Answer {
    let found = world.site.networks.iter().find(|network| *network == call.name("network"));
    one(call, found.map(|name| network(world, name)))
}

/// `networks.list`
pub(crate) fn networks(world: &World, call: &Call) -> Answer {
    let all = world.site.networks.iter().map(|name| network(world, name)).collect();
    listed(world, call, ("Network", "compute#networkList"), all)
}

fn subnetwork(world: &World, one: &SiteSubnetwork) -> Value {
    let region = own(world, &format!("regions/{}", world.site.region));
    let path = format!("{region}/subnetworks/{}", one.name);
    let mut all = resource(world, "compute#subnetwork", &path);
    all["region"] = json!(world.url(&region));
    all["network"] = json!(world.url(&own(world, &format!("global/networks/{}", one.network))));
    all["ipCidrRange"] = json!("10.154.0.0/20");
    all["gatewayAddress"] = json!("10.154.0.1");
    all["privateIpGoogleAccess"] = json!(true);
    all
}

/// `subnetworks.get`
pub(crate) fn subnetwork_get(world: &World, call: &Call) -> Answer {
    let mut all = world.site.subnetworks.iter();
    let found = all.find(|one| one.name == call.name("subnetwork"));
    let found = found.filter(|_| call.name("region") == world.site.region);
    one(call, found.map(|one| subnetwork(world, one)))
}

/// `subnetworks.list` and, in parts of regions, `subnetworks.aggregatedList`
pub(crate) fn subnetworks(world: &World, call: &Call) -> Answer {
    let all: Vec<Value> = world.site.subnetworks.iter().map(|one| subnetwork(world, one)).collect();
    if call.names.contains_key("region") {
        return listed(world, call, ("Subnetwork", "compute#subnetworkList"), all);
    }
    let path = call.ask.path.join("/");
    let scope = format!("regions/{}", world.site.region);
    Ok(json!({
        "kind": "compute#subnetworkAggregatedList",
        "id": path,
        "selfLink": world.url(&path),
        "items": { scope: { "subnetworks": all } },
    }))
}
