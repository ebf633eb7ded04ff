//! Volumes: they come with a machine, and go with it or stay.

use std::collections::BTreeMap;

use vcycle_api::Timestamp;

use super::describe::tags;
use super::machine::Machine;
use super::paging::Pages;
use super::params::{Filters, Params};
use super::reply::{Answer, Refusal, Said};
use super::wanted::WantedVolume;
use super::words::{Xml, is_id, time};
use super::world::World;

/// Where a volume is attached.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) machine: String,
    pub(crate) device: String,
    /// It goes when the machine goes.
    pub(crate) goes: bool,
}

/// A volume.
#[derive(Debug, Clone)]
pub(crate) struct Volume {
    pub(crate) id: String,
    pub(crate) zone: String,
    pub(crate) gb: u32,
    pub(crate) kind: String,
    pub(crate) encrypted: bool,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) created: Timestamp,
    pub(crate) attached: Option<Place>,
}

impl Volume {
    fn word(&self) -> &'static str {
        if self.attached.is_some() { "in-use" } else { "available" }
    }
}

/// Makes a volume of a new machine.
pub(crate) fn make(
    world: &mut World,
    machine: &mut Machine,
    wanted: &WantedVolume,
    tags: BTreeMap<String, String>,
) {
    let id = world.ids.resource("vol");
    let place = Place {
        machine: machine.made.id.clone(),
        device: wanted.device.clone(),
        goes: wanted.goes && !world.leaves,
    };
    machine.volumes.push(id.clone());
    let volume = Volume {
        id: id.clone(),
        zone: machine.made.zone.clone(),
        gb: wanted.gb,
        kind: wanted.kind.clone(),
        encrypted: wanted.encrypted,
        tags,
        created: machine.made.accepted,
        attached: Some(place),
    };
    world.volumes.insert(id, volume);
}

/// A machine is gone: its volumes go or stay.
pub(crate) fn end_of_machine(world: &mut World, own: &[String]) {
    for id in own {
        let Some(volume) = world.volumes.get_mut(id) else { continue };
        let place = volume.attached.take();
        if place.is_some_and(|place| place.goes) {
            world.volumes.remove(id);
        }
    }
}

fn unknown(id: &str) -> Refusal {
    if !is_id(id, "vol") {
        let message =
            format!("Value ({id}) for parameter volumeId is invalid. Expected: 'vol-...'.");
        return Refusal::bad(message);
    }
    let message = format!("The volume '{id}' does not exist.");
    Refusal::new(400, "InvalidVolume.NotFound", message)
}

/// Describes volumes.
pub(crate) fn describe(world: &World, params: &Params) -> Answer {
    let (ids, filters) = (params.list("VolumeId"), Filters::of(params)?);
    if let Some(missing) = ids.iter().find(|id| !world.volumes.contains_key(**id)) {
        return Err(unknown(missing));
    }
    let mut passed = Vec::new();
    for volume in world.volumes.values() {
        let named = ids.is_empty() || ids.contains(&volume.id.as_str());
        if named && filters.pass(&volume.tags, |name| value(volume, name))? {
            passed.push(volume);
        }
    }
    let pages = Pages::asked(params);
    let (page, next) = pages.cut(passed, "VolumeId", |volume| volume.id.clone())?;
    let mut xml = Xml::default();
    xml.list("volumeSet", page, show);
    xml.maybe("nextToken", next);
    Ok(Said::Xml(xml))
}

fn value(volume: &Volume, name: &str) -> Option<Vec<String>> {
    let place = volume.attached.as_ref();
    let one = |text: &str| Some(vec![text.to_owned()]);
    match name {
        "volume-id" => one(&volume.id),
        "status" => one(volume.word()),
        "availability-zone" => one(&volume.zone),
        "volume-type" => one(&volume.kind),
        "size" => one(&volume.gb.to_string()),
        "attachment.instance-id" => Some(place.iter().map(|p| p.machine.clone()).collect()),
        "attachment.delete-on-termination" => {
            Some(place.iter().map(|place| place.goes.to_string()).collect())
        }
        _ => None,
    }
}

fn show(xml: &mut Xml, volume: &Volume) {
    xml.text("volumeId", &volume.id);
    xml.text("size", volume.gb);
    xml.text("snapshotId", "");
    xml.text("availabilityZone", &volume.zone);
    xml.text("status", volume.word());
    xml.text("createTime", time(volume.created));
    xml.list("attachmentSet", volume.attached.as_ref(), |xml, place| {
        xml.text("volumeId", &volume.id);
        xml.text("instanceId", &place.machine);
        xml.text("device", &place.device);
        xml.text("status", "attached");
        xml.text("attachTime", time(volume.created));
        xml.text("deleteOnTermination", place.goes);
    });
    tags(xml, &volume.tags);
    xml.text("volumeType", &volume.kind);
    xml.text("encrypted", volume.encrypted);
    xml.text("multiAttachEnabled", false);
}

/// Deletes a volume that nobody uses.
pub(crate) fn delete(world: &mut World, params: &Params) -> Answer {
    let id = params.need("VolumeId")?;
    let volume = world.volumes.get(id).ok_or_else(|| unknown(id))?;
    if let Some(place) = &volume.attached {
        let message = format!("Volume {id} is currently attached to {}", place.machine);
        return Err(Refusal::new(400, "VolumeInUse", message));
    }
    world.volumes.remove(id);
    let mut xml = Xml::default();
    xml.text("return", true);
    Ok(Said::Xml(xml))
}
