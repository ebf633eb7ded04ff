//! Disks.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vcycle_api::Timestamp;

use super::wanted::{self, WantedDisk};
use super::{Call, Place, operation};
use crate::testing::reply::{self, Answer};
use crate::testing::words;
use crate::testing::world::World;

/// A disk.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    pub(crate) id: u64,
    pub(crate) gb: u32,
    pub(crate) kind: String,
    pub(crate) image: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) labels_version: u64,
    pub(crate) made: Timestamp,
    /// Name of the machine that uses it.
    pub(crate) user: Option<String>,
    pub(crate) attached: Option<Timestamp>,
    pub(crate) detached: Option<Timestamp>,
}

impl Disk {
    pub(crate) fn made_with(id: u64, made: Timestamp, wanted: &WantedDisk, user: &str) -> Self {
        Self {
            id,
            gb: wanted.gb,
            kind: wanted.kind.clone(),
            image: wanted.image.clone(),
            labels: wanted.labels.clone(),
            labels_version: 1,
            made,
            user: Some(user.to_owned()),
            attached: Some(made),
            detached: None,
        }
    }

    pub(crate) fn show(&self, world: &World, place: &Place) -> Value {
        let zone = world.url(&format!("projects/{}/zones/{}", world.site.project, place.zone));
        let mut all = json!({
            "kind": "compute#disk",
            "id": self.id.to_string(),
            "creationTimestamp": words::written(self.made),
            "name": place.name,
            "sizeGb": self.gb.to_string(),
            "zone": zone,
            "status": "READY",
            "type": format!("{zone}/diskTypes/{}", self.kind),
            "selfLink": format!("{zone}/disks/{}", place.name),
            "labelFingerprint": words::fingerprint(self.id, self.labels_version),
            "physicalBlockSizeBytes": "4096",
        });
        if let Some(image) = &self.image {
            all["sourceImage"] = json!(world.url(image));
        }
        if !self.labels.is_empty() {
            all["labels"] = json!(self.labels);
        }
        if let Some(at) = self.attached {
            all["lastAttachTimestamp"] = json!(words::written(at));
        }
        if let Some(at) = self.detached {
            all["lastDetachTimestamp"] = json!(words::written(at));
        }
        if let Some(user) = &self.user {
            all["users"] = json!([format!("{zone}/instances/{user}")]);
        }
        all
    }
}

/// `disks.get`
pub(crate) fn get(world: &World, call: &Call) -> Answer {
    let place = Place::new(call.name("zone"), call.name("disk"));
    let missing = || reply::not_found(&world.path(&place.zone, "disks", &place.name));
    let disk = world.compute.disks.get(&place).ok_or_else(missing)?;
    Ok(disk.show(world, &place))
}

/// `disks.insert`
pub(crate) fn insert(world: &mut World, call: &Call) -> Answer {
    let name = call.body["name"].as_str().unwrap_or_default();
    let place = Place::new(call.name("zone"), name);
    let path = world.path(&place.zone, "disks", name);
    if let Some(again) = operation::repeated(world, call, &path)? {
        return Ok(again);
    }
    if world.compute.disks.contains_key(&place) {
        return Err(reply::already_exists(&path));
    }
    let gb = call.body["sizeGb"].as_str().and_then(|text| text.parse().ok()).unwrap_or(10);
    let labels = wanted::labels(&call.body["labels"], "labels")?;
    let id = world.add_disk(&place, gb, labels);
    let operation = operation::begin(world, call, "insert", &path, id);
    Ok(operation::goes_well(world, &operation))
}

/// `disks.delete`: not while a machine uses it.
pub(crate) fn delete(world: &mut World, call: &Call) -> Answer {
    let place = Place::new(call.name("zone"), call.name("disk"));
    let path = world.path(&place.zone, "disks", &place.name);
    if let Some(again) = operation::repeated(world, call, &path)? {
        return Ok(again);
    }
    let disk = world.compute.disks.get(&place);
    let (id, user) = match disk {
        Some(disk) => (disk.id, disk.user.clone()),
        None => return Err(reply::not_found(&path)),
    };
    if let Some(user) = user {
        let user = world.path(&place.zone, "instances", &user);
        let message = format!("The disk resource '{path}' is already being used by '{user}'");
        return Err(reply::refusal(400, "resourceInUseByAnotherResource", message));
    }
    world.compute.disks.remove(&place);
    let operation = operation::begin(world, call, "delete", &path, id);
    Ok(operation::goes_well(world, &operation))
}

/// `disks.setLabels`
pub(crate) fn set_labels(world: &mut World, call: &Call) -> Answer {
    let place = Place::new(call.name("zone"), call.name("resource"));
    let path = world.path(&place.zone, "disks", &place.name);
    if let Some(again) = operation::repeated(world, call, &path)? {
        return Ok(again);
    }
    let labels = wanted::labels(&call.body["labels"], "labels")?;
    let Some(disk) = world.compute.disks.get_mut(&place) else {
        return Err(reply::not_found(&path));
    };
    if call.body["labelFingerprint"] != words::fingerprint(disk.id, disk.labels_version).as_str() {
        return Err(reply::fingerprint("labels"));
    }
    disk.labels = labels;
    disk.labels_version += 1;
    let id = disk.id;
    let operation = operation::begin(world, call, "setLabels", &path, id);
    Ok(operation::goes_well(world, &operation))
}
