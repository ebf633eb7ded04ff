//! Volumes of a server: those that a create makes, and attaching and detaching.

use serde_json::{Map, Value, json};

use super::super::ask::Ask;
use super::super::cinder::Volume;
use super::super::reply::{self, Answer, Reply};
use super::super::world::World;
use super::server::Attached;
use super::{At, own, own_mut};

fn devices(fields: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    fields.get("block_device_mapping_v2").and_then(Value::as_array).into_iter().flatten()
}

/// The image of the boot volume that a create asks for.
pub(super) fn boot_image(fields: &Map<String, Value>) -> Option<&str> {
    let mut all = devices(fields);
    let boot = all.find(|one| one["boot_index"] == 0 && one["source_type"] == "image")?;
    boot["uuid"].as_str()
}

/// Makes the volumes of a create's block devices, without metadata, as Nova does.
/// `delete_on_termination` is false where it is not said.
pub(super) fn make(
    world: &mut World,
    tenant: usize,
    server: &str,
    fields: &Map<String, Value>,
) -> Vec<Attached> {
    let (now, mut made) = (world.now(), Vec::new());
    for device in devices(fields).filter(|device| device["destination_type"] == "volume") {
        let id = world.ids.uuid();
        let gb = device["volume_size"].as_i64().unwrap_or(1);
        let mut volume = Volume::new(id.clone(), tenant, gb, now);
        volume.kind = device["volume_type"].as_str().map(str::to_owned);
        volume.attach(server, now);
        world.volumes.all.push(volume);
        let delete_on_termination = device["delete_on_termination"] == true;
        made.push(Attached { volume: id, delete_on_termination });
    }
    made
}

/// `GET /servers/ID/os-volume_attachments`.
pub(super) fn list(world: &World, at: &At, id: &str) -> Answer {
    let server = own(world, at, id)?;
    let all: Vec<Value> =
        server.volumes.iter().map(|attached| shown(&server.id, &attached.volume)).collect();
    Ok(Reply::json(200, &json!({ "volumeAttachments": all })))
}

fn shown(server: &str, volume: &str) -> Value {
    json!({ "id": volume, "serverId": server, "volumeId": volume, "device": "/dev/sdb" })
}

/// `POST /servers/ID/os-volume_attachments`.
pub(super) fn attach(world: &mut World, ask: &Ask, at: &At, id: &str) -> Answer {
    let body = ask.json().unwrap_or_default();
    let wanted = body["volumeAttachment"]["volumeId"].as_str().unwrap_or_default().to_owned();
    let now = world.now();
    own_mut(world, at, id)?;
    let volume = world.volumes.all.iter_mut().find(|own| own.id == wanted);
    let Some(volume) = volume.filter(|volume| volume.tenant == at.caller) else {
        return Err(reply::fault(404, format!("Volume {wanted} could not be found.")));
    };
    volume.attach(id, now);
    let server = own_mut(world, at, id)?;
    server.volumes.push(Attached { volume: wanted.clone(), delete_on_termination: false });
    Ok(Reply::json(200, &json!({ "volumeAttachment": shown(id, &wanted) })))
}

/// `DELETE /servers/ID/os-volume_attachments/VOLUME`.
pub(super) fn detach(world: &mut World, at: &At, id: &str, volume: &str) -> Answer {
    let server = own_mut(world, at, id)?;
    server.volumes.retain(|attached| attached.volume != volume);
    world.volumes.detach(volume);
    Ok(Reply::empty(202).with("Content-Type", "application/json"))
}
